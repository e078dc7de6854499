"""Counterexamples: certain, replayed by other code, small and round, the same every time."""

import decimal
import subprocess
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gatec import compiler, interpret, resources, source
from gatec.equivalence import refute
from gatec.equivalence.evaluate import Rationals
from gatec.equivalence.fit import fitted
from gatec.equivalence.instances import Pair, Setting
from gatec.equivalence.match import Found
from gatec.equivalence.sides import renamed
from gatec.expr import Concat, Const, Ref, Slice
from gatec.passes.common import zeros
from gatec.passes.delay import delay

RNN = "h_t = tanh(W x_t + U h_{t-1} + b)"
LSTM = """
i_t = σ(W_i x_t + U_i h_{t-1} + b_i)
f_t = σ(W_f x_t + U_f h_{t-1} + b_f)
g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
o_t = σ(W_o x_t + U_o h_{t-1} + p ⊙ {c} + b_o)
h_t = o_t ⊙ tanh(c_t)
"""
GRU = """
r_t = σ(W_r x_t + U_r h_{t-1} + b_r)
z_t = σ(W_z x_t + U_z h_{t-1} + b_z)
n_t = tanh(W_n x_t + {product} + b_n)
h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}
"""


@cache
def cell(text, name="A"):
    (document,) = source.read_text(f"cell {name}\n{text}", "spec.gate")
    return delay(compiler.front(document).cell)


def pair(mine, theirs):
    """Two cells as they are compared: parameters of the second with a prime."""
    one, other = cell(mine, "A"), cell(theirs, "B")
    return one, renamed(other, {param.name: f"{param.name}'" for param in other.params})


def by_name(mine, theirs, **changed):
    """The map between parameters and states of one name; 0 for parameters only mine has."""
    params = {p.name.rstrip("'"): Ref("param", p.name, p.shape) for p in theirs.params}
    params.update(changed)
    others = {s.name for s in theirs.states}
    states = {s.name: (s.name, Fraction(1)) for s in mine.states if s.name in others}
    fits = {p.name: p.name in params and params[p.name].shape == p.shape for p in mine.params}
    made = {p.name: params[p.name] if fits[p.name] else zeros(p.shape) for p in mine.params}
    return Found(states, made)


@cache
def refuted(mine, theirs):
    one, other = pair(mine, theirs)
    return refute.refute(one, other, by_name(one, other))


# --- What a counterexample says, checked by code of its own ---------------------------------------


def array(value):
    """Nested lists of decimals as floats."""
    return (
        np.asarray([array(v) for v in value]) if isinstance(value, list) else float(Fraction(value))
    )


def interval(text):
    low, high = text.strip("[]").split(", ")
    return Fraction(low), Fraction(high)


def numbers(value):
    """All numbers of a counterexample's values."""
    if isinstance(value, str):
        yield Fraction(value)
        return
    for part in value.values() if isinstance(value, dict) else value:
        yield from numbers(part)


def check(example, mine, theirs, tolerance=1e-9):
    """The point by the interpreter; the intervals are apart, and hold what it computes."""
    for outputs, spec, prime in zip(example.outputs, (mine, theirs), ("", "'"), strict=True):
        params = {p.name: np.asarray(array(example.values[p.name])) for p in spec.params}
        inputs = {i.name: array(example.values[i.name])[:, None] for i in mine.inputs}
        states = {
            s.name: np.asarray(array(example.values[f"{s.name}{prime}(0)"]))[None]
            for s in spec.states
        }
        steps = len(next(iter(inputs.values())))
        assert steps == example.step
        run = interpret.run(spec, params, inputs, states, sizes=example.sizes)
        values = run.outputs[-1].reshape(-1)
        assert len(values) == len(outputs)
        for value, text in zip(values, outputs, strict=True):
            low, high = interval(text)
            slack = tolerance * max(1, abs(value))
            assert low - slack <= value <= high + slack, (text, value)
    one, other = (interval(side[example.unit]) for side in example.outputs)
    assert one[1] < other[0] or other[1] < one[0], "the printed intervals meet"


def check_map(example, mine, theirs):
    """Parameters of mine are the map's, exactly; states correspond."""
    made = Pair(mine, theirs, example.found)
    setting = Setting(example.sizes, example.step, given=False)
    rows = []
    for slot in made.slots(setting):
        value = example.values[slot.name]
        rows += numbers(value[slot.step] if slot.kind == "input" else value)
    values = made.values(Rationals(), setting, np.asarray([rows], object))
    for name, value in values.mine.items():
        assert list(numbers(example.values[name])) == list(value.reshape(-1)), name
    if not made.starts_agree:
        return  # the point may be one where each cell starts as it says
    for name, (other, scale) in example.found.states.items():
        given = list(numbers(example.values[f"{name}(0)"]))
        assert given == [scale * v for v in numbers(example.values[f"{other}'(0)"])]


def gap(example):
    one, other = (interval(side[example.unit]) for side in example.outputs)
    return float(max(one[0] - other[1], other[0] - one[1]))


DIFFERENT = {
    "reset": (
        GRU.replace("{product}", "U_n (r_t ⊙ h_{t-1})"),
        GRU.replace("{product}", "r_t ⊙ (U_n h_{t-1})"),
    ),
    "peephole": (LSTM.replace("{c}", "c_{t-1}"), LSTM.replace("{c}", "c_t")),
    "sign of a gate": (
        LSTM.replace("{c}", "c_t"),
        LSTM.replace("{c}", "c_t").replace("c_t = f_t ⊙", "c_t = -f_t ⊙"),
    ),
    "bias in the product": (
        GRU.replace("{product}", "r_t ⊙ (U_n h_{t-1})"),
        GRU.replace("{product} + b_n", "r_t ⊙ (U_n h_{t-1} + b_n)"),
    ),
    "rectifier far out": (RNN, RNN[:-1] + " + ReLU(W x_t - 100))"),
    "rectifier of the state": (RNN, RNN + " + ReLU(h_{t-1} - 100)"),
    "1e-9": (RNN, RNN.replace("tanh", "1.000000001 * tanh")),
    "1e-12": (RNN, RNN + " + 10^{-12} b"),
    "three steps": (
        RNN.replace("_{t-1}", "_{t-3}"),
        RNN.replace("_{t-1}", "_{t-2}"),
    ),
    "hard tanh": (RNN, RNN.replace("tanh", "hardtanh")),
    "a matrix for a state": (
        "S_t = S_{t-1} + v_t k_t^\\top\nk_t = tanh(K x_t)\nv_t = V x_t\ny_t = S_t k_t",
        "S_t = S_{t-1} + v_t k_t^\\top\nk_t = tanh(K x_t)\nv_t = V x_t\ny_t = S_{t-1} k_t",
    ),
    "normalisation": (
        "h_t = LayerNorm(W x_t + U h_{t-1})",
        "h_t = LayerNorm(W x_t) + U h_{t-1}",
    ),
    "softmax": (
        "h_t = softmax(W x_t + U h_{t-1})",
        "h_t = σ(W x_t + U h_{t-1})",
    ),
    "quotient": (
        "f_t = σ(F x_t)\ni_t = σ(I x_t)\nh_t = (f_t / (f_t + i_t)) ⊙ h_{t-1} + i_t ⊙ (W x_t)",
        "f_t = σ(F x_t)\ni_t = σ(I x_t)\nh_t = f_t ⊙ h_{t-1} + i_t ⊙ (W x_t)",
    ),
    "initial state": (RNN, "state h = 1\n" + RNN),
}


@pytest.mark.parametrize("name", sorted(DIFFERENT))
@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
def test_different_cells(name, turned):
    texts = DIFFERENT[name][::-1] if turned else DIFFERENT[name]
    example = refuted(*texts)
    assert example is not None
    mine, theirs = pair(*texts)
    check(example, mine, theirs)
    check_map(example, mine, theirs)
    assert set(example.sizes) == set(mine.size_names)
    assert 0 <= example.unit < len(example.outputs[0])
    assert example.equation is not None


EASY = sorted(set(DIFFERENT) - {"rectifier far out", "rectifier of the state", "1e-9", "1e-12"})


@pytest.mark.parametrize("name", EASY)
def test_the_point_is_small_and_round(name):
    """The smallest sizes, and nothing but 0, 1, -1 and their halves and doubles."""
    example = refuted(*DIFFERENT[name])
    assert example.sizes["hidden_size"] == 2 and example.sizes.get("input_size", 1) == 1
    assert not example.note
    plain = {Fraction(n, 2) for n in (0, 1, -1, 2, -2, 4, -4)}
    assert set(numbers(dict(example.values))) <= plain
    assert gap(example) > 0.03
    assert example.step == (3 if name == "three steps" else 1)


def test_the_two_grus_differ_plainly():
    """Not by the little that they differ at usual parameters."""
    mine, theirs = DIFFERENT["reset"]
    for texts in ((mine, theirs), (theirs, mine)):
        example = refuted(*texts)
        assert gap(example) > 0.1
        assert set(numbers(dict(example.values))) <= {0, 1, -1}
        zeros_ = sum(n == 0 for n in numbers(dict(example.values)))
        assert zeros_ > 0.6 * sum(1 for _ in numbers(dict(example.values)))
        assert all("n_t = tanh" in text for text in example.equation)


def test_the_two_grus_by_torch():
    """The shipped specs, through `best`: references written by hand compute the same outputs."""
    import references
    import torch

    mine, theirs = _shipped("gru"), _shipped("gru_v3", "'")
    found = refute.best(mine, theirs, [by_name(mine, theirs)])
    example = refute.refute(mine, theirs, found)
    assert gap(example) > 0.1
    for spec, reference, prime, outputs in (
        (mine, references.gru, "", example.outputs[0]),
        (theirs, references.gru_v3, "'", example.outputs[1]),
    ):
        params = {
            p.name.rstrip("'"): torch.tensor(array(example.values[p.name]), dtype=torch.float64)
            for p in spec.params
        }
        x = torch.tensor(array(example.values["x"]))[:, None]
        h = torch.tensor(array(example.values[f"h{prime}(0)"]))[None]
        values, _ = reference(params, x, {"h": h})
        for value, text in zip(values[-1, 0].tolist(), outputs, strict=True):
            low, high = interval(text)
            assert low - Fraction(1, 10**12) <= Fraction(value) <= high + Fraction(1, 10**12)


def _shipped(name, prime=""):
    (unit,) = compiler.units(str(resources.spec_path(name)))
    made = compiler.front(unit.document).cell
    return renamed(made, {param.name: param.name + prime for param in made.params})


def test_a_difference_too_small_for_floats():
    """1e-30, against Python's decimal arithmetic."""
    texts = (RNN, RNN + " + 10^{-30} b")
    example = refuted(*texts)
    check_map(example, *pair(*texts))
    with decimal.localcontext() as context:
        context.prec = 60
        sides = (_decimal_rnn(example, "", "0"), _decimal_rnn(example, "'", "1e-30"))
        for values, outputs in zip(sides, example.outputs, strict=True):
            for value, text in zip(values, outputs, strict=True):
                low, high = interval(text)
                assert low - Fraction(1, 10**50) <= Fraction(value) <= high + Fraction(1, 10**50)
    one, other = (interval(side[example.unit]) for side in example.outputs)
    assert one[1] < other[0] or other[1] < one[0]


def _decimal_rnn(example, prime, extra):
    """tanh(W x + U h + b) + extra * b, step after step."""

    def read(value):
        return [read(v) for v in value] if isinstance(value, list) else decimal.Decimal(value)

    def product(matrix, vector):
        return [sum(a * v for a, v in zip(row, vector, strict=True)) for row in matrix]

    def tanh(u):
        return 1 - 2 / ((2 * u).exp() + 1)

    weights, recurrent, b = (read(example.values[f"{n}{prime}"]) for n in "WUb")
    h = read(example.values[f"h{prime}(0)"])
    for x in read(example.values["x"]):
        sums = zip(product(weights, x), product(recurrent, h), b, strict=True)
        h = [tanh(sum(s)) + decimal.Decimal(extra) * s[2] for s in sums]
    return h


# --- What is no difference ------------------------------------------------------------------------

SAME = {
    "itself": (RNN, RNN),
    "other forms": (
        GRU.replace("{product}", "U_n (r_t ⊙ h_{t-1})"),
        GRU.replace("{product}", "U_n (h_{t-1} ⊙ r_t)").replace(
            "(1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}", "n_t + z_t ⊙ (h_{t-1} - n_t)"
        ),
    ),
    "rectifier": (
        "h_t = ReLU(W x_t + U h_{t-1})",
        "u_t = W x_t + U h_{t-1}\nh_t = (|u_t| + u_t) / 2",
    ),
    "cancellation": (RNN, RNN + " + (10^{12} + b) - 10^{12} - b"),
}


@pytest.mark.parametrize("name", sorted(SAME))
def test_equal_cells_are_not_refuted(name):
    for texts in (SAME[name], SAME[name][::-1]):
        assert refuted(*texts) is None


def test_shipped_specs_are_not_refuted_by_themselves():
    for name in ("lstm", "gru", "deltanet", "slstm"):
        mine, theirs = _shipped(name), _shipped(name, "'")
        assert refute.refute(mine, theirs, by_name(mine, theirs)) is None, name


# --- Sizes, steps, initial states -----------------------------------------------------------------


def test_a_difference_that_needs_three_units():
    """The third elementary symmetric polynomial vanishes for two numbers."""
    symmetric = "sum(h_{t-1})^3 - 3 sum(h_{t-1}) sum(h_{t-1}^2) + 2 sum(h_{t-1}^3)"
    texts = (RNN, RNN + f" + ({symmetric})")
    example = refuted(*texts)
    check(example, *pair(*texts))
    assert example.sizes["hidden_size"] == 3
    assert example.note == "no plain difference was found at input_size 1, hidden_size 2"


def test_a_difference_from_other_initial_states_only():
    """From 0 the second state stays 0."""
    text = "h_t = tanh(W x_t + U h_{t-1} {sign} k_{t-1})\nk_t = k_{t-1} / 2\ny_t = h_t"
    texts = (text.replace("{sign}", "+"), text.replace("{sign}", "-"))
    example = refuted(*texts)
    check(example, *pair(*texts))
    assert "initial states of the cells themselves" in example.note


def test_a_difference_that_takes_steps():
    """A clock: only after three steps from the cells' own start, whatever the states are."""
    text = "state k = 0\nh_t = tanh(W x_t + U h_{t-1} + {c} ReLU(k_t - 3.5))\nk_t = k_{t-1} + 1"
    mine, theirs = pair(
        text.replace("{c}", "1") + "\ny_t = h_t", text.replace("{c}", "2") + "\ny_t = h_t"
    )
    found = by_name(mine, theirs)
    unmapped = Found({"h": found.states["h"]}, found.params)
    example = refute.refute(mine, theirs, unmapped)
    assert example.step == 4
    check(example, mine, theirs)


def test_initial_states_that_differ():
    example = refuted(*DIFFERENT["initial state"])
    assert set(numbers(example.values["h(0)"])) == {0}
    assert set(numbers(example.values["h'(0)"])) == {1}


# --- The best map ---------------------------------------------------------------------------------


def test_best_of_several():
    mine, theirs = pair(*DIFFERENT["1e-9"])
    t = {p.name.rstrip("'"): Ref("param", p.name, p.shape) for p in theirs.params}
    right = by_name(mine, theirs)
    wrong = by_name(mine, theirs, U=zeros(t["U"].shape))
    for order in ([wrong, right], [right, wrong]):
        assert refute.best(mine, theirs, order).params == right.params
    assert refute.best(mine, theirs, []) is None


def test_a_map_is_made_better():
    """From a map that mixes up everything to the right one: sizes, order, sums, complements."""
    mine, theirs = pair(
        "f_t = σ(W_f [h_{t-1}, x_t] + b_f)\ng_t = tanh(W_g [h_{t-1}, x_t] + b_g)\n"
        "h_t = f_t ⊙ h_{t-1} + (1 - f_t) ⊙ g_t",
        "z_t = σ(W_z x_t + U_z h_{t-1} + b_z + c_z)\ng_t = tanh(W_g x_t + U_g h_{t-1} + b_g)\n"
        "h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ g_t",
    )
    t = {p.name.rstrip("'"): Ref("param", p.name, p.shape) for p in theirs.params}
    start = by_name(mine, theirs, W_g=zeros(mine.params[0].shape), b_g=t["b_z"])
    made = fitted(mine, theirs, start)
    assert made.residual < 1e-12
    assert made.found.params == {
        "W_f": -Concat((t["U_z"], t["W_z"]), 1),
        "b_f": -(t["b_z"] + t["c_z"]),
        "W_g": Concat((t["U_g"], t["W_g"]), 1),
        "b_g": t["b_g"],
    }
    assert refute.refute(mine, theirs, made.found) is None


def test_a_map_into_a_joined_weight():
    mine, theirs = pair(
        "h_t = tanh(W x_t + U h_{t-1} + b) + b", "h_t = tanh(V [x_t; h_{t-1}] + b) + b"
    )
    (v, b) = (Ref("param", p.name, p.shape) for p in theirs.params)
    made = fitted(mine, theirs, by_name(mine, theirs))
    assert made.residual < 1e-12
    assert isinstance(made.found.params["W"], Slice) and made.found.params["b"] == b
    assert made.found.params["U"] == Slice(v, 1, made.found.params["W"].stop, v.shape[1])


def test_cells_with_other_numbers_of_states():
    mine, theirs = pair(LSTM.replace("{c}", "c_t"), RNN)
    found = refute.best(mine, theirs, [by_name(mine, theirs)])
    example = refute.refute(mine, theirs, found)
    check(example, mine, theirs)
    states = [example.values[name] for name in example.values if name.endswith("(0)")]
    assert set(numbers(states)) == {0}


def test_maps_with_fractions_are_exact():
    mine, theirs = pair(RNN, RNN + " + b")
    b = Ref("param", "b'", theirs.params[-1].shape)
    found = by_name(mine, theirs, b=Const(Fraction(1, 3)) * b)
    example = refute.refute(mine, theirs, found)
    check(example, mine, theirs)
    check_map(example, mine, theirs)


# --- The same on every run ------------------------------------------------------------------------

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import test_equivalence_refute as t
for name in ("reset", "peephole", "three steps", "1e-9"):
    print(t.refuted(*t.DIFFERENT[name]))
mine, theirs = t._shipped("lstm"), t._shipped("cifg", "'")
print(t.refute.best(mine, theirs, [t.by_name(mine, theirs)]))
"""


def test_the_same_text_on_every_run():
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1 and "Counterexample" in texts.pop()

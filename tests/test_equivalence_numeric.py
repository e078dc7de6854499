"""The float64 replay of a map: against torch's automatic differentiation, and on maps of ours."""

import subprocess
import sys
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from harness import assert_close, cell_shapes, compiled, draw, interpreted, weights

from gatec import compiler, interpret, resources, source
from gatec.equivalence import numeric
from gatec.equivalence.evaluate import Floats, Rationals, Runner, Unsupported
from gatec.equivalence.instances import Pair, Setting
from gatec.equivalence.match import Found
from gatec.equivalence.sides import renamed
from gatec.equivalence.tape import gradients
from gatec.expr import Concat, Const, Dim, Ref, Slice, call

SIZES = {"input_size": 3, "hidden_size": 5}
EXACT = 1e-12


@cache
def cell(text, name="A"):
    """The cell of a text."""
    (document,) = source.read_text(f"cell {name}\n{text}", "spec.gate")
    return compiler.front(document).cell


def pair(mine, theirs):
    """Two cells as they are compared: parameters of the second with a prime."""
    one, other = cell(mine, "A"), cell(theirs, "B")
    return one, renamed(other, {param.name: f"{param.name}'" for param in other.params})


def names(theirs):
    return {p.name.rstrip("'"): Ref("param", p.name, p.shape) for p in theirs.params}


def states(mine, **scales):
    """States of one name, with scales where they are given."""
    return {s.name: (s.name, Fraction(scales.get(s.name, 1))) for s in mine.states}


# --- The two halves: runs and gradients -----------------------------------------------------------


@pytest.mark.parametrize("name", resources.spec_names())
def test_runs_and_gradients_are_those_of_torch(name):
    """Every shipped spec: against the interpreter, differentiated by torch."""
    spec = compiled(resources.spec_path(name)).source
    case = draw(cell_shapes(spec, SIZES), steps=4, batch=2)
    wanted = interpreted(spec, SIZES, case)
    runner = Runner(spec)
    rows = range(2)  # an instance is one row of the batch
    got = {}
    params = {k: np.stack([v] * 2) for k, v in case.params.items()}
    run = runner.run(
        Floats(),
        SIZES,
        params,
        {k: list(v) for k, v in case.inputs.items()},
        case.states,
        steps=4,
        keep=True,
    )
    outputs = np.stack(run.outputs)
    got["output"] = outputs
    got |= {f"state {k}": run.states[-1][k] for k in case.states}
    found = gradients(
        runner,
        run,
        SIZES,
        list(weights(outputs.shape)),
        {k: weights(run.states[-1][k].shape) for k in case.states},
        learned=False,
    )
    zero = {k: np.zeros_like(v) for k, v in params.items()}
    got |= {f"d {k}": sum(found.params.get(k, zero[k])[row] for row in rows) for k in params}
    got |= {f"d {k}": np.stack(v) for k, v in found.inputs.items()}
    got |= {f"d state {k}": v for k, v in found.states.items()}
    assert_close(got, wanted, 1e-11)


FUNCTIONS = """
u_t = W x_t + U h_{t-1} + b
e_t = ELU(u_t) + selu(u_t) * silu(u_t) + softsign(u_t) + mish(u_t) + gelu(u_t)
f_t = LayerNorm(u_t) + softmax(e_t) * hardsigmoid(u_t) + leakyrelu(-u_t) + relu6(u_t)
g_t = \\sqrt{u_t * u_t + 1} + log(1 + exp(u_t)) + arctan(u_t) + erf(u_t) + sin(u_t) * cos(u_t)
k_t = |u_t| + max(u_t, e_t) + min(u_t, f_t) + softplus(g_t) + 1 / (1 + u_t^4)
M_t = 0.5 M_{t-1} + 0.1 u_t e_t^\\top
h_t = tanh(0.1 (e_t + f_t + g_t + k_t) + M_t u_t + \\lVert u_t \\rVert)
"""


def test_gradients_of_every_function():
    spec = cell(FUNCTIONS)
    case = draw(cell_shapes(spec, SIZES), steps=3, batch=1, seed=3)
    wanted = interpreted(spec, SIZES, case)
    runner = Runner(spec)
    run = runner.run(
        Floats(),
        SIZES,
        {k: v[None] for k, v in case.params.items()},
        {k: list(v) for k, v in case.inputs.items()},
        case.states,
        steps=3,
        keep=True,
    )
    outputs = np.stack(run.outputs)
    last = {k: weights(run.states[-1][k].shape) for k in case.states}
    found = gradients(runner, run, SIZES, list(weights(outputs.shape)), last, learned=False)
    got = {"output": outputs, **{f"state {k}": run.states[-1][k] for k in case.states}}
    got |= {f"d {k}": v[0] for k, v in found.params.items()}
    got |= {f"d {k}": np.stack(v) for k, v in found.inputs.items()}
    got |= {f"d state {k}": v for k, v in found.states.items()}
    assert_close(got, wanted, 1e-11)


def test_rationals_compute_exactly_and_refuse_functions():
    spec = cell("h_t = (W x_t + U h_{t-1} + b) / 3")
    setting = {"input_size": 1, "hidden_size": 2}
    case = draw(cell_shapes(spec, setting), steps=2, batch=1)
    exact = np.vectorize(Fraction, otypes=[object])
    run = Runner(spec).run(
        Rationals(),
        setting,
        {k: exact(v[None]) for k, v in case.params.items()},
        {k: list(exact(v)) for k, v in case.inputs.items()},
        {k: exact(v) for k, v in case.states.items()},
        steps=2,
    )
    floats = interpret.run(spec, case.params, case.inputs, case.states, sizes=setting)
    assert isinstance(run.outputs[1][0, 0], Fraction)
    assert np.allclose(np.stack(run.outputs).astype(float), floats.outputs, rtol=1e-14)
    with pytest.raises(Unsupported):
        other = cell("h_t = tanh(W x_t + U h_{t-1} + b)")
        Runner(other).run(
            Rationals(),
            setting,
            {k: exact(v[None]) for k, v in case.params.items()},
            {k: list(exact(v)) for k, v in case.inputs.items()},
            {k: exact(v) for k, v in case.states.items()},
            steps=2,
        )


# --- Maps that are right --------------------------------------------------------------------------


def right_maps():
    joined = "h_t = tanh(W [h_{t-1}, x_t] + b)"
    split = "h_t = tanh(V x_t + U h_{t-1} + b_1 + b_2)"
    mine, theirs = pair(joined, split)
    t = names(theirs)
    yield (
        "two weights side by side",
        mine,
        theirs,
        states(mine),
        {"W": Concat((t["U"], t["V"]), 1), "b": t["b_1"] + t["b_2"]},
    )
    mine, theirs = pair(split, joined)
    t = names(theirs)
    hidden, whole = Dim.of("hidden_size"), t["W"].shape[1]
    yield (
        "slices of a weight",
        mine,
        theirs,
        states(mine),
        {
            "U": Slice(t["W"], 1, Dim(), hidden),
            "V": Slice(t["W"], 1, hidden, whole),
            "b_1": t["b"] * Const(Fraction(3)),
            "b_2": t["b"] * Const(Fraction(-2)),
        },
    )
    gate = "z_t = σ(W x_t + U h_{t-1} + b)\ng_t = tanh(V x_t)\n"
    mine, theirs = pair(
        gate + "h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ g_t",
        gate + "h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ g_t",
    )
    t = names(theirs)
    yield (
        "a gate turned",
        mine,
        theirs,
        states(mine),
        {"W": -t["W"], "U": -t["U"], "b": -t["b"], "V": t["V"]},
    )
    mine, theirs = pair(
        "c_t = tanh(W x_t) + σ(b) ⊙ c_{t-1}\ny_t = tanh(c_t / 2)",
        "c_t = tanh(W x_t) / 2 + σ(b) ⊙ c_{t-1}\ny_t = tanh(c_t)",
    )
    t = names(theirs)
    yield ("a state of twice the size", mine, theirs, states(mine, c=2), t)
    mine, theirs = pair(
        "h_t = tanh(W x_t + U h_{t-1})", "h_t = tanh(A (B x_t) + (C C^\\top) h_{t-1})"
    )
    t = names(theirs)
    square = call("matmul", t["C"], call("transpose", t["C"]))
    yield (
        "products of weights",
        mine,
        theirs,
        states(mine),
        {"W": call("matmul", t["A"], t["B"]), "U": square},
    )
    mine, theirs = pair(
        "state h learned\nh_t = tanh(W x_t + U h_{t-1})",
        "state h learned\nh_t = tanh(W x_t + U h_{t-1})",
    )
    yield ("a learned start", mine, theirs, states(mine), names(theirs))


RIGHT = list(right_maps())


@pytest.mark.parametrize(
    ("mine", "theirs", "state", "params"), [r[1:] for r in RIGHT], ids=[r[0] for r in RIGHT]
)
def test_a_right_map_agrees(mine, theirs, state, params):
    params = {p.name: params[p.name] for p in mine.params}
    replay = numeric.compare(mine, theirs, Found(state, params))
    assert replay.instances >= 40
    assert replay.outputs < EXACT and replay.gradients < EXACT
    assert replay.ulps == max(replay.outputs, replay.gradients) * 2**52


@pytest.mark.parametrize(
    ("mine", "theirs", "state", "params"), [r[1:] for r in RIGHT], ids=[r[0] for r in RIGHT]
)
def test_a_map_that_is_wrong_in_one_parameter_differs(mine, theirs, state, params):
    """Every parameter matters: twice its value is seen, in outputs and in gradients."""
    right = {p.name: params[p.name] for p in mine.params}
    for name in right:
        wrong = {**right, name: right[name] * Const(Fraction(2))}
        replay = numeric.compare(mine, theirs, Found(state, wrong))
        assert replay.outputs > 1e-3 and replay.gradients > 1e-3, name


# --- Maps and cells that are wrong ----------------------------------------------------------------


def test_a_state_of_the_wrong_size_differs():
    mine, theirs = RIGHT[3][1:3]
    replay = numeric.compare(mine, theirs, Found(states(mine, c=1), names(theirs)))
    assert replay.outputs > 1e-3


def test_other_initial_states_differ():
    mine, theirs = pair(
        "h_t = tanh(W x_t + U h_{t-1})", "state h = 1\nh_t = tanh(W x_t + U h_{t-1})"
    )
    replay = numeric.compare(mine, theirs, Found(states(mine), names(theirs)))
    assert replay.outputs > 1e-3


def test_gradients_are_compared_too():
    """A stopped gradient changes no value."""
    mine, theirs = pair("h_t = tanh(W x_t + U h_{t-1})", "h_t = tanh(W x_t + U sg(h_{t-1}))")
    replay = numeric.compare(mine, theirs, Found(states(mine), names(theirs)))
    assert replay.outputs == 0 and replay.gradients > 1e-3


def test_a_difference_of_1e_9_is_seen():
    mine, theirs = pair(
        "h_t = tanh(W x_t + U h_{t-1})", "h_t = 1.000000001 tanh(W x_t + U h_{t-1})"
    )
    replay = numeric.compare(mine, theirs, Found(states(mine), names(theirs)))
    assert 1e-10 < replay.outputs < 1e-8


def test_values_that_are_not_finite_do_not_count():
    """log of random numbers: the instances of positive numbers are left."""
    text = "h_t = log(w ⊙ x_t) + 0.5 h_{t-1}"
    mine, theirs = pair(text, text)
    replay = numeric.compare(mine, theirs, Found(states(mine), names(theirs)))
    assert 0 < replay.instances < 80 and replay.ulps == 0


def test_with_nothing_to_compare_nothing_is_claimed():
    text = "h_t = log(-exp(w ⊙ x_t)) + 0.5 h_{t-1}"
    mine, theirs = pair(text, text)
    replay = numeric.compare(mine, theirs, Found(states(mine), names(theirs)))
    assert replay.instances == 0 and replay.outputs == replay.gradients == float("inf")


def test_chaos_does_not_count():
    """A map so steep that a rounding grows without bound: two right forms, far apart in float64."""
    mine, theirs = pair("h_t = sin(10000 (h_{t-1} + x_t))", "h_t = sin(10000 h_{t-1} + 10000 x_t)")
    replay = numeric.compare(mine, theirs, Found(states(mine), {}))
    assert replay.outputs < 1e-9 and replay.gradients < 1e-9


def test_the_same_numbers_every_time():
    mine, theirs = RIGHT[2][1:3]
    params = {p.name: RIGHT[2][4][p.name] for p in mine.params}
    found = Found(states(mine), params)
    assert numeric.compare(mine, theirs, found) == numeric.compare(mine, theirs, found)


# --- Instances ------------------------------------------------------------------------------------


def test_sizes_leave_no_array_empty():
    mine, theirs = pair("h_t = tanh(W x_t + U h_{t-1})", "h_t = tanh(W x_t + U h_{t-1})")
    made = Pair(mine, theirs, Found(states(mine), names(theirs)))
    assert made.smallest() == {"input_size": 1, "hidden_size": 2}
    sizes = list(made.larger(4))
    assert sizes[0] == made.smallest() and len(sizes) == 4
    totals = [sum(each.values()) for each in sizes]
    assert totals == sorted(totals)


def test_the_map_decides_what_is_free():
    """Parameters of mine and states of mine are no free numbers: they follow from theirs."""
    mine, theirs = RIGHT[3][1:3]
    made = Pair(mine, theirs, Found(states(mine, c=2), names(theirs)))
    setting = Setting({"input_size": 2, "hidden_size": 2}, 1)
    slots = made.slots(setting)
    assert [(slot.kind, slot.name) for slot in slots] == [
        *(("param", param.name) for param in theirs.params),
        ("input", "x"),
        ("state", "c"),
    ]
    rows = np.arange(slots[-1].stop, dtype=float)[None]
    values = made.values(Floats(), setting, rows)
    assert (values.mine_states["c"] == 2 * values.theirs_states["c"]).all()
    assert (values.mine["W"] == values.theirs["W'"]).all()


@pytest.mark.parametrize("module", ["numpy", "flint"])
def test_a_missing_library_is_said(module):
    code = (
        f"import sys; sys.modules['{module}'] = None\n"
        "from gatec.errors import GatecError\n"
        "from gatec.equivalence import libraries\n"
        "try:\n"
        f"    libraries.{module}()\n"
        "except GatecError as error:\n"
        "    print(error.diagnostics[0].code, error.diagnostics[0].hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("E0715") and "gatec[check]" in done.stdout

"""Stages, recurrence classes and costs of cells whose answers are known."""

from __future__ import annotations

import handmade
import pytest
from harness import compiled, compiled_text
from papers import PAPERS

from gatec import analyse, passes, resources
from gatec.analyse import Recurrence
from gatec.expr import HIDDEN, INPUT, Dim, Ref, Slice, call
from gatec.ir import Cell, Equation, State
from gatec.polynomial import Polynomial

NONE, AFFINE, ELEMENTWISE, MIXING = Recurrence


def cell(*lines: str) -> Cell:
    return compiled_text("\n".join(lines), "cell.gate").source


def spec(name: str) -> Cell:
    return compiled(resources.spec_path(name)).source


SRU = (
    r"\tilde x_t = W x_t",
    r"f_t = \sigma(W_f x_t + b_f)",
    r"r_t = \sigma(W_r x_t + b_r)",
    r"c_t = f_t \odot c_{t-1} + (1 - f_t) \odot \tilde x_t",
    r"h_t = r_t \odot \tanh(c_t)",
)
QRNN = (
    r"z_t = \tanh(W_z x_t + V_z x_{t-1})",
    r"f_t = \sigma(W_f x_t + V_f x_{t-1})",
    r"o_t = \sigma(W_o x_t + V_o x_{t-1})",
    r"c_t = f_t \odot c_{t-1} + (1 - f_t) \odot z_t",
    r"h_t = o_t \odot c_t",
)
LAYER_NORM = (r"h_t = \tanh(\operatorname{LayerNorm}(W x_t + U h_{t-1}) + b)",)
TWO_LAYERS = (
    r"a_t = \tanh(W x_t + U a_{t-1})",
    r"c_t = \sigma(V a_t) \odot c_{t-1} + a_t",
    "output c",
)


def highway(depth: int) -> Cell:
    """A recurrent highway network: each of its layers multiplies the one before."""
    lines = [r"s_{1,t} = \tanh(W x_t + R_1 h_{t-1})"]
    lines += [
        rf"s_{{{i},t}} = \tanh(R_{i} s_{{{i - 1},t}}) + s_{{{i - 1},t}}"
        for i in range(2, depth + 1)
    ]
    return cell(*lines, rf"h_t = s_{{{depth},t}} \odot \sigma(b)")


# --- Stages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stages"),
    [("rnn", 1), ("lstm", 1), ("lstm_peephole", 1), ("gru", 2), ("gru_v3", 1), ("mgu", 2),
     ("mingru", 0), ("minlstm", 0), ("indrnn", 0), ("slstm", 1), ("deltanet", 2)],
)  # fmt: skip
def test_stages_of_specs(name, stages):
    source = spec(name)
    assert analyse.stages(source) == stages
    # Passes do not change what a cell is.
    assert analyse.stages(passes.plan(source)) == stages


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_stages_of_highways(depth):
    assert analyse.stages(highway(depth)) == depth


def test_stages_of_others():
    assert analyse.stages(cell(*SRU)) == 0
    assert analyse.stages(cell(*LAYER_NORM)) == 2
    # A product of an input is no stage, however it is nested.
    assert analyse.stages(cell(r"h_t = h_{t-1} + V \tanh(W \tanh(U x_t))")) == 0
    # The output counts: it is computed in every step.
    assert analyse.stages(cell(r"h_t = \tanh(W x_t + U h_{t-1})", r"y_t = V h_t")) == 2


# --- Recurrence -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [("rnn", MIXING), ("lstm", MIXING), ("gru", MIXING), ("cifg", MIXING), ("mingru", AFFINE),
     ("minlstm", AFFINE), ("indrnn", ELEMENTWISE), ("slstm", MIXING), ("deltanet", MIXING)],
)  # fmt: skip
def test_recurrence_of_specs(name, kind):
    source = spec(name)
    assert analyse.recurrence(source).kind is kind
    assert analyse.recurrence(passes.plan(source)).kind is kind


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((r"h_t = \lambda h_{t-1} + W x_t",), AFFINE),
        ((r"h_t = \sigma(W x_t) \odot h_{t-1} - h_{t-1} / 2",), AFFINE),
        ((r"h_t = a \odot (h_{t-1} + (1 + b) \odot h_{t-1}) + W x_t",), AFFINE),
        ((r"h_t = h_{t-1} \odot h_{t-1} + W x_t",), ELEMENTWISE),
        ((r"h_t = 1 / (2 + h_{t-1}) + W x_t",), ELEMENTWISE),
        ((r"h_t = \max(h_{t-1}, W x_t)",), ELEMENTWISE),
        ((r"h_t = h_{t-1}^2 + W x_t",), ELEMENTWISE),
        ((r"h_t = U h_{t-1} + W x_t",), MIXING),
        ((r"h_t = h_{t-1} - \operatorname{mean}(h_{t-1}) + W x_t",), MIXING),
        ((r"h_t = \operatorname{softmax}(h_{t-1} + W x_t)",), MIXING),
        ((r"h_t = \tanh(W x_t)", r"y_t = V h_{t-1} + h_t"), NONE),
        # Coupled oscillators: two states, each times numbers, read each other.
        ((r"z_t = z_{t-1} - \gamma y_{t-1} + W x_t", r"y_t = y_{t-1} + 0.1 z_t"), AFFINE),
        (
            (r"z_t = z_{t-1} - \gamma \tanh(y_{t-1}) + W x_t", r"y_t = y_{t-1} + 0.1 z_t"),
            ELEMENTWISE,
        ),
        # Lags do not matter.
        ((r"h_t = 0.5 h_{t-1} + 0.2 h_{t-3} + W x_t",), AFFINE),
        (SRU, AFFINE),
        (QRNN, AFFINE),
        (LAYER_NORM, MIXING),
    ],
)
def test_recurrence(lines, kind):
    source = cell(*lines)
    found = analyse.recurrence(source)
    assert found.kind is kind
    assert found.reason


def test_groups_are_strongly_connected():
    found = analyse.recurrence(cell(*TWO_LAYERS))
    assert [(group.states, group.kind) for group in found.groups] == [
        (("a",), MIXING),
        (("c",), AFFINE),
    ]
    assert found.kind is MIXING
    # What a group reads comes before it, whatever the order of the text.
    swapped = analyse.recurrence(cell(*TWO_LAYERS[1::-1], TWO_LAYERS[2]))
    assert [group.states for group in swapped.groups] == [("a",), ("c",)]
    lstm = analyse.recurrence(spec("lstm"))
    assert [group.states for group in lstm.groups] == [("a", "c")]


def test_groups_of_a_plan():
    """Delayed inputs become states, which never read themselves."""
    found = analyse.recurrence(passes.plan(cell(*QRNN)))
    assert {group.states: group.kind for group in found.groups} == {
        ("x_lag_1",): NONE,
        ("c",): AFFINE,
    }
    assert found.kind is AFFINE


def test_reasons_name_what_decides():
    assert "U_z, U_r, U_h" in analyse.recurrence(spec("gru")).reason or all(
        name in analyse.recurrence(spec("gru")).reason for name in ("U_z", "U_r", "U_h")
    )
    assert "relu" in analyse.recurrence(spec("indrnn")).reason
    assert "a scan along time is exact" in analyse.recurrence(spec("mingru")).reason
    reason = analyse.recurrence(cell(r"h_t = h_{t-1} \odot h_{t-1} + W x_t")).reason
    assert "a product of states" in reason
    two = analyse.recurrence(cell(*TWO_LAYERS)).reason
    assert two.startswith("mixing: a reads other units through U; affine: c enters")


def test_units_that_change_places():
    h = Ref("state", "h", (HIDDEN,), 1)
    one = Dim((), 1)
    from gatec.expr import Concat

    rotated = Concat((Slice(h, 0, one, HIDDEN), Slice(h, 0, Dim(), one)))
    new = rotated * 0.5 + call("matvec", Ref("param", "W", (HIDDEN, INPUT)), handmade.X)
    states = (State("h", "h", (HIDDEN,), "h"),)
    found = analyse.recurrence(handmade._cell("Cell", states, [Equation("h", "h", new)], "h"))
    assert found.kind is MIXING
    assert "a change of places" in found.reason


# --- Cost -----------------------------------------------------------------------------------------


def numbers(source: Cell, **sizes: int) -> tuple[int, int, int]:
    cost = analyse.cost(passes.plan(source))
    values = {"hidden_size": sizes["h"], "input_size": sizes["x"]}
    parts = (cost.parameters, cost.flops_per_step, cost.bytes_per_step)
    return tuple(part.value(values) for part in parts)


def test_cost_of_rnn():
    h, x = 5, 3
    # Two products, the input's with its bias, their sum, tanh; the biases are added once.
    flops = 2 * h * x + h + 2 * h * h + h + h
    moved = h * x + h * h + h + x + 2 * h
    assert numbers(spec("rnn"), h=h, x=x) == (h * x + h * h + 2 * h, flops, 4 * moved)


def test_cost_of_lstm():
    h, x = 5, 3
    gates = (
        2 * 4 * h * x + 4 * h + 2 * 4 * h * h + 4 * h + 4 * h
    )  # products, biases, sums, functions
    flops = gates + 3 * h + 2 * h
    moved = 4 * h * (h + x) + 4 * h + x + 2 * 2 * h
    assert numbers(spec("lstm"), h=h, x=x) == (4 * (h * (h + x) + h), flops, 4 * moved)


def test_cost_of_indrnn():
    h, x = 5, 3
    flops = 2 * h * x + h + h + h + h  # W x, + b, u * h, +, relu
    moved = h * x + h + h + x + 2 * h
    assert numbers(spec("indrnn"), h=h, x=x) == (h * x + 2 * h, flops, 4 * moved)


def test_cost_of_a_readout():
    """An output that is no state is written, too."""
    source = cell(r"h_t = \tanh(W x_t + U h_{t-1})", r"y_t = V h_t", "param V : n_x x n_h")
    h, x = 5, 3
    flops = 2 * h * x + 2 * h * h + h + h + 2 * h * x
    moved = h * x + h * h + x * h + x + 2 * h + x
    assert numbers(source, h=h, x=x) == (h * x + h * h + x * h, flops, 4 * moved)


def test_formulas():
    cost = analyse.cost(passes.plan(spec("lstm")))
    assert str(cost.parameters) == "4*hidden_size**2 + 4*hidden_size*input_size + 4*hidden_size"


# --- Polynomials ----------------------------------------------------------------------------------


def test_polynomials():
    h, x = Polynomial.of(HIDDEN), Polynomial.of(INPUT)
    value = (h + x) * (h + x * 2) * 3 + Polynomial.of(Dim((), 7))
    sizes = {"hidden_size": 4, "input_size": 5}
    assert value.value(sizes) == 3 * 9 * 14 + 7
    assert str(value) == "3*hidden_size**2 + 9*hidden_size*input_size + 6*input_size**2 + 7"
    assert eval(str(value), sizes) == value.value(sizes)
    assert value == h * h * 3 + h * x * 9 + x * x * 6 + Polynomial.of(Dim((), 7))
    assert hash(value) == hash(h * h * 3 + h * x * 9 + x * x * 6 + Polynomial.of(Dim((), 7)))
    assert value != value + h
    assert str(h * -1 + x) == "-hidden_size + input_size"
    assert str(h + h * -1) == "0"
    assert str(Polynomial.of(HIDDEN * 2 - 1)) == "2*hidden_size - 1"
    assert Polynomial() == Polynomial.of(Dim())


# --- Everything -----------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_analyses_of_papers(paper):
    """Passes keep stages (or lower them) and recurrence; every cost is positive."""
    source = compiled_text(paper.text, f"{paper.name}.{paper.suffix}").source
    plan = passes.plan(source)
    found = analyse.recurrence(source)
    assert {name for group in found.groups for name in group.states} == {
        s.name for s in source.states
    }
    assert analyse.recurrence(plan).kind is found.kind
    cost = analyse.cost(plan)
    sizes = dict.fromkeys(plan.size_names, 3)
    assert cost.flops_per_step.value(sizes) > 0
    counted = sum(analyse.units(param.shape).value(sizes) for param in source.params)
    assert cost.parameters.value(sizes) == counted
    assert cost.bytes_per_step.value(sizes) >= 4 * 2 * len(source.states)

"""Pairs of cells about which the literature leaves no doubt, compared in both directions."""

import json
from functools import cache

import equivalence_texts as texts
import pytest
from disguises import DISGUISED

from gatec import compiler, resources
from gatec.equivalence.check import check
from gatec.equivalence.references import forms
from gatec.equivalence.verdict import Kind


@cache
def cell(name):
    """A cell of `equivalence_texts`, of the specs, or a reference (`torch:lstm`)."""
    if name.startswith("torch:"):
        first, _, index = name.removeprefix("torch:").partition(":")
        return forms(first)[int(index or 0)].cell
    text = getattr(texts, name, None)
    if text is None:
        assert name in resources.spec_names(), name
        text = name
    return compiler.front(compiler.single(text).document).cell


@cache
def verdict(one, other):
    return check(cell(one), cell(other))


def kinds(one, other):
    return verdict(one, other).kind, verdict(other, one).kind


# --- The same function ----------------------------------------------------------------------------

EQUAL = [
    ("NOTES_LSTM", "SPLIT_LSTM"),
    ("NOTES_LSTM", "torch:lstm"),
    ("SPLIT_LSTM", "torch:lstm"),
    ("TORCH_LSTM", "torch:lstm"),
    ("NOTES_LSTM", "lstm"),
    ("SPLIT_LSTM", "LOGISTIC_LSTM"),
    ("SPLIT_LSTM", "FOLDED_OUTPUT_LSTM"),
    ("SPLIT_LSTM", "FACTORED_LSTM"),
    ("NOTES_LSTM", "FACTORED_LSTM"),
    ("SPLIT_LSTM", "DEAD_LSTM"),
    ("SPLIT_LSTM", "FORGET_BIAS_LSTM"),
    ("CHO_GRU", "COURSERA_GRU"),
    ("CHO_GRU", "RESIDUAL_GRU"),
    ("CHO_GRU", "gru"),
    ("gru_v3", "torch:gru"),
    ("GRU_V3", "gru_v3"),
    ("RNN", "torch:rnn"),
    ("RNN", "SCALED_RNN"),
    ("rnn", "torch:rnn"),
    ("RELU_RNN", "torch:rnn:1"),
    ("INPUT_BEFORE", "PROJECTED_BEFORE"),
    ("INPUT_BEFORE", "PROJECTED_TWICE"),
    ("PROJECTED_BEFORE", "PROJECTED_TWICE"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal(one, other):
    assert set(kinds(one, other)) <= {Kind.IDENTICAL, Kind.EQUAL}
    found = verdict(one, other)
    assert found.basis == "exact"
    assert found.covers is not None
    assert found.covered is not None
    assert found.exit_code == 0
    assert all(replay.instances >= 40 and replay.ulps < 100_000 for replay in found.replays)
    assert len(found.replays) == 2


@pytest.mark.parametrize("name", texts.NOTATIONS)
def test_one_cell_in_all_notations(name, tmp_path):
    first, *_ = paths = [tmp_path / file for file in texts.NOTATIONS]
    for path in paths:
        path.write_text(texts.NOTATIONS[path.name], encoding="utf-8")
    cells = [
        compiler.front(compiler.single(str(path)).document).cell
        for path in (first, tmp_path / name)
    ]
    for pair in (cells, cells[::-1]):
        assert check(*pair).kind in (Kind.IDENTICAL, Kind.EQUAL)


# --- One is the other with something fixed --------------------------------------------------------

SPECIAL = [
    ("CIFG", "SPLIT_LSTM"),
    ("CIFG", "NOTES_LSTM"),
    ("cifg", "lstm_peephole"),
    ("SPLIT_LSTM", "PEEPHOLE"),
    ("NOTES_LSTM", "PEEPHOLE"),
    ("RNN", "MI_RNN"),
    ("RNN", "MEMORY_RNN"),
    ("DIAGONAL_RNN", "RNN"),
    ("indrnn", "torch:rnn:1"),
    ("PEEPHOLE", "FULL_PEEPHOLE"),
    ("JANET_HALF", "SPLIT_LSTM"),
    ("MGU", "CHO_GRU"),
    ("mgu", "gru"),
    ("INPUT_BEFORE", "PROJECTED_AND_GIVEN"),
    ("NARROW_BEFORE", "INPUT_BEFORE"),
    ("RESIDUAL_PLAIN", "RESIDUAL"),
]


@pytest.mark.parametrize(("special", "general"), SPECIAL)
def test_special_case(special, general):
    assert kinds(special, general) == (Kind.SPECIAL_CASE, Kind.GENERALISATION)
    found = verdict(special, general)
    assert found.basis == "exact"
    assert found.covers is None
    assert found.covered is not None
    assert found.exit_code == 1


def test_limit_case():
    """JANET has no output gate: an LSTM's has to be wide open."""
    assert kinds("JANET_TANH", "SPLIT_LSTM") == (Kind.LIMIT_CASE, Kind.LIMIT_CASE)
    assert kinds("RNN", "MGU") == (Kind.LIMIT_CASE, Kind.LIMIT_CASE)


# --- Different ------------------------------------------------------------------------------------

DIFFERENT = [
    ("CHO_GRU", "GRU_V3"),
    ("gru", "torch:gru"),
    ("MGU", "GRU_V3"),
    ("PEEPHOLE", "PEEPHOLE_BEFORE"),
    ("RELU_LSTM", "RELU_LSTM_FLIPPED"),
    ("SPLIT_LSTM", "FORGET_FLIPPED"),
    ("LAGGED", "LAGGED_LESS"),
    ("RNN", "KINKED_RNN"),
    ("RNN", "RELU_RNN"),
    ("RNN", "NEARLY_RNN"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different(one, other):
    assert kinds(one, other) == (Kind.DIFFERENT, Kind.DIFFERENT)
    found = verdict(one, other)
    assert found.basis == "certified"
    assert found.exit_code == 1
    point = found.counterexample
    low_high = [json.loads(outputs[point.unit]) for outputs in point.outputs]
    assert low_high[0][1] < low_high[1][0] or low_high[1][1] < low_high[0][0]


# --- Written otherwise ----------------------------------------------------------------------------

OTHERWISE = {
    "maxima of three": (
        r"h_t = \tanh(\max(\max(W x_t, h_{t-1}), b))",
        r"h_t = \tanh(\max(W x_t, \max(h_{t-1}, b)))",
    ),
    "a minimum of maxima": (
        r"h_t = \sin(\max(\min(W x_t, h_{t-1}), b))",
        r"h_t = \sin(\min(\max(W x_t, b), \max(h_{t-1}, b)))",
    ),
    "clipped": (
        r"h_t = \max(\min(W x_t + U h_{t-1}, 1), -1)",
        r"h_t = \min(\max(W x_t + U h_{t-1}, -1), 1)",
    ),
    "a rectifier in a rectifier": (
        r"h_t = \tanh(relu(relu(W x_t) + U h_{t-1}))",
        r"h_t = \tanh(\max(0, \max(U h_{t-1}, W x_t + U h_{t-1})))",
    ),
    "tanh of a rectifier, as exponentials": (
        r"h_t = \tanh(relu(W x_t + U h_{t-1}))",
        "v_t = \\exp(2 relu(W x_t + U h_{t-1}))\nh_t = (v_t - 1) / (v_t + 1)",
    ),
    "the sum of a join": (
        "z_t = \\tanh([h_{t-1}, x_t])\nh_t = \\tanh(W x_t) sum(z_t \\odot z_t)",
        r"h_t = \tanh(W x_t) (sum(\tanh(h_{t-1})^2) + sum(\tanh(x_t)^2))",
    ),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_cells_written_otherwise_are_proved_equal(name):
    one, other = (
        compiler.front(compiler.single(f"cell A\n{text}").document).cell for text in OTHERWISE[name]
    )
    found = check(one, other)
    assert found.kind in (Kind.EQUAL, Kind.IDENTICAL)
    assert found.basis == "exact"


@pytest.mark.parametrize(
    ("one", "other"), [pair[1:] for pair in DISGUISED], ids=[pair[0] for pair in DISGUISED]
)
def test_cells_in_disguise(one, other):
    cells = [compiler.front(compiler.single(text).document).cell for text in (one, other)]
    found = check(*cells)
    assert found.kind in (Kind.IDENTICAL, Kind.EQUAL)
    assert found.basis == "exact"

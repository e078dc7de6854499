"""The living definition against plain NumPy, written out by hand."""

from __future__ import annotations

from fractions import Fraction

import handmade
import numpy as np
import pytest

from gatec.expr import HIDDEN, INPUT, Concat, Dim, Expr, Identity, Ref, SizeValue, Slice, call
from gatec.interpret import run
from gatec.ir import Cell, Constant, Equation, Initial, Param, State

X, H = handmade.X, Ref("state", "h", (HIDDEN,), 1)
SIZES = {"input_size": 3, "hidden_size": 4}
RNG = np.random.default_rng(0)


def one(value: Expr, **more) -> Cell:
    """A cell whose output is `value`, next to a state that is not in the way."""
    h = Equation("h", "h", H * 1)
    states = (State("h", "h", (HIDDEN,), "h"),)
    return handmade._cell("Cell", states, [h, Equation("y", "y", value)], "y", **more)


def output(value: Expr, params=None, **more) -> np.ndarray:
    x = np.arange(6.0).reshape(1, 2, 3)
    return run(one(value, **more), params or {}, {"x": x}, sizes=SIZES).outputs[0]


def test_lstm():
    cell = handmade.lstm()
    params = {p.name: RNG.standard_normal([d.value(SIZES) for d in p.shape]) for p in cell.params}
    x, a, c = RNG.standard_normal((5, 2, 3)), RNG.standard_normal((2, 4)), np.zeros((2, 4))
    found = run(cell, params, {"x": x}, {"a": a}, sizes=SIZES)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    for t, x_t in enumerate(x):
        joined = np.concatenate([a, x_t], axis=1)
        f, u, candidate, o = (joined @ params[f"W_{g}"].T + params[f"b_{g}"] for g in "fuco")
        c = sigmoid(f) * c + sigmoid(u) * np.tanh(candidate)
        a = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(found.outputs[t], a, rtol=1e-14)
        np.testing.assert_allclose(found.trace[t]["Gamma_f"], sigmoid(f), rtol=1e-14)
    np.testing.assert_allclose(found.state["c"], c, rtol=1e-14)
    np.testing.assert_allclose(found.state["a"], a, rtol=1e-14)


def test_lags_reach_back_to_the_start():
    """Before the first step, inputs are 0 and states are where they start."""
    x1, h2 = Ref("input", "x", (INPUT,), 2), Ref("state", "h", (INPUT,), 3)
    new = Equation("h", "h", X + x1 * 10 + h2 * 100)
    states = (State("h", "h", (INPUT,), "h", Initial(Fraction(7))),)
    cell = handmade._cell("Cell", states, [new], "h")
    x = np.arange(1.0, 6).reshape(5, 1, 1)
    sizes = {"input_size": 1}
    values = run(cell, {}, {"x": x}, sizes=sizes).outputs.ravel()
    assert values.tolist() == [701, 702, 713, 70100 + 24, 70200 + 35]
    given = run(cell, {}, {"x": x}, {"h": np.array([[2.0]])}, sizes=sizes).outputs.ravel()
    # A given state is the value one step back; older ones stay where they start.
    assert given.tolist()[:3] == [701, 702, 213]


def test_learned_initial_state():
    h = Ref("state", "h", (HIDDEN,), 1)
    cell = Cell(
        "Cell",
        one(X.apply("sum")).inputs,
        (State("h", "h", (HIDDEN,), "h", Initial(param="p")),),
        (Param("p", "p", (HIDDEN,)),),
        (Equation("h", "h", h * 2 + X.apply("sum") * 0),),
        "h",
    )
    found = run(cell, {"p": np.arange(4.0)}, {"x": np.ones((2, 3, 3))}, sizes=SIZES)
    np.testing.assert_array_equal(found.outputs[1], [np.arange(4.0) * 4] * 3)


def test_no_steps():
    found = run(handmade.lstm(), {}, {"x": np.ones((0, 2, 3))}, sizes=SIZES)
    assert found.outputs.shape == (0, 2, 4)
    assert found.state["c"].shape == (2, 4)
    assert found.trace == []


X_ROWS = np.arange(6.0).reshape(2, 3)
W, P, Q = np.arange(12.0).reshape(4, 3), np.array([1.0, 2, 3, 4]), np.array(5.0)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        # A scalar per row meets vectors and matrices of its row.
        (X.apply("sum") * X, X_ROWS.sum(1, keepdims=True) * X_ROWS),
        (X.apply("sum") * call("outer", X, X),
         np.einsum("b,bi,bj->bij", X_ROWS.sum(1), X_ROWS, X_ROWS)),
        (X.apply("sum").broadcast_like(X), np.repeat(X_ROWS.sum(1)[:, None], 3, 1)),
        (call("matvec", Ref("param", "W", (HIDDEN, INPUT)), X) * Ref("param", "p", (HIDDEN,)),
         X_ROWS @ W.T * P),
        (Ref("param", "q", ()) + X, 5 + X_ROWS),
        # Numbers without a batch are repeated for every row.
        (Ref("param", "p", (HIDDEN,)), np.stack([P, P])),
        (Identity(INPUT), np.stack([np.eye(3)] * 2)),
        (SizeValue(HIDDEN + 2).broadcast_like(X), np.full((2, 3), 6.0)),
        # Views and joins.
        (Slice(X, 0, Dim((), 1), INPUT), X_ROWS[:, 1:]),
        (Slice(call("outer", X, X), 1, Dim(), Dim((), 2)),
         np.einsum("bi,bj->bij", X_ROWS, X_ROWS[:, :2])),
        (Concat((X, X.apply("sum"), Ref("param", "p", (HIDDEN,)))),
         np.concatenate([X_ROWS, X_ROWS.sum(1, keepdims=True), np.stack([P, P])], 1)),
        (Concat((call("outer", X, X), call("outer", X, X)), 1),
         np.concatenate([np.einsum("bi,bj->bij", X_ROWS, X_ROWS)] * 2, 2)),
        (call("outer", X, X).apply("transpose").apply("matvec", X),
         np.einsum("bi,bj,bi->bj", X_ROWS, X_ROWS, X_ROWS)),
        (call("outer", X, X).apply("mean").broadcast_like(X),
         np.repeat(np.einsum("bi,bj->b", X_ROWS, X_ROWS)[:, None] / 9, 3, 1)),
    ],
)  # fmt: skip
def test_nodes(value, wanted):
    np.testing.assert_allclose(output(value, {"W": W, "p": P, "q": Q}), wanted, rtol=1e-14)


def test_constants():
    value = Ref("const", "c", ()) * X
    constants = (Constant("c", "c", Fraction(1, 4)),)
    np.testing.assert_array_equal(output(value, constants=constants), X_ROWS / 4)


def test_deep_and_shared_expressions():
    deep: Expr = X
    for _ in range(3000):
        deep = deep.apply("sin")
    assert np.isfinite(output(deep)).all()
    shared: Expr = X * 0.1
    for _ in range(60):
        shared = shared * 0.5 + (shared * 0.5).apply("sin").apply("arctan") * 0.1
    assert np.isfinite(output(shared)).all()


def test_a_missing_parameter_is_named():
    with pytest.raises(KeyError, match="W_f"):
        run(handmade.lstm(), {}, {"x": np.ones((1, 2, 3))}, sizes=SIZES)

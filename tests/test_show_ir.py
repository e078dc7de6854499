"""The IR as text: what `--stop-after resolve|passes|adjoint` prints."""

from __future__ import annotations

import math
import random

import handmade
import pytest
from harness import compiled

from gatec import passes, resources, show_ir
from gatec.expr import HIDDEN, INPUT, Broadcast, Concat, Dim, Identity, Ref, SizeValue, Slice, call


def param(name, *shape):
    return Ref("param", name, shape)


W, V, A, B = param("W", HIDDEN, INPUT), param("v", HIDDEN), param("a"), param("b")
X, H = handmade.X, Ref("state", "h", (HIDDEN,), 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (call("matvec", W, X) + V * H, "W @ x + v * h_prev"),
        (call("matvec", W.apply("transpose"), H + V), "W^T @ (h_prev + v)"),
        (call("matvec", W, X) - V - (H - V), "W @ x - v - (h_prev - v)"),
        ((1 - H) * V / (H * V), "(1 - h_prev) * v / (h_prev * v)"),
        (-(H + V) * V, "-(h_prev + v) * v"),
        ((H + V).apply("pow", -2), "(h_prev + v) ** (-2)"),
        ((A.apply("pow", 2)).apply("pow", B), "(a ** 2) ** b"),
        (H.apply("gt", V).apply("where", H, 0), "where(h_prev > v, h_prev, 0)"),
        (Ref("state", "h", (HIDDEN,), 3) + Ref("state", "h", (HIDDEN,), 1), "h(t-3) + h_prev"),
        (Ref("input", "x", (INPUT,), 2), "x(t-2)"),
        (Concat((H, X)), "[h_prev; x]"),
        (Concat((W, W), 1), "[W, W]"),
        (Slice(W, 1, Dim((), 1), INPUT), "W[:, 1:input_size]"),
        (Slice(H, 0, Dim(), Dim((), 2)), "h_prev[:2]"),
        (Broadcast(A, (HIDDEN,)) + H, "broadcast(a) + h_prev"),
        (Identity(HIDDEN), "identity(hidden_size)"),
        (H.apply("sum") / SizeValue(HIDDEN + 1), "sum(h_prev) / (hidden_size + 1)"),
        (call("add", H, -1), "h_prev - 1"),
        (H * -1, "h_prev * -1"),
    ],
)
def test_expressions(value, text):
    assert show_ir.text(value) == text


def test_brackets_keep_the_meaning():
    """Python reads what is printed as what was meant."""
    rng = random.Random(0)
    names = {"a": 0.7, "b": -1.3}

    def draw(depth):
        if not depth:
            name = rng.choice("ab")
            return (param(name), names[name]) if rng.random() < 0.8 else (A * 0 + 2, 2.0)
        (one, x), (other, y) = draw(depth - 1), draw(rng.randrange(depth))
        kind = rng.choice(["add", "sub", "mul", "neg", "div", "exp"])
        if kind == "neg":
            return -one, -x
        if kind == "exp":
            return one.apply("tanh"), math.tanh(x)
        if kind == "div":
            return one / (other * other + 1), x / (y * y + 1)
        if kind == "add":
            return one + other, x + y
        return (one - other, x - y) if kind == "sub" else (one * other, x * y)

    for _ in range(300):
        expr, wanted = draw(rng.randint(1, 6))
        found = eval(show_ir.text(expr), {"tanh": math.tanh, **names})
        assert found == pytest.approx(wanted, rel=1e-12)


def test_deep_expressions():
    deep = H
    for _ in range(5000):
        deep = deep.apply("sin")
    assert show_ir.text(deep).startswith("sin(sin(")


def test_stages_of_lstm():
    made = compiled(resources.spec_path("lstm"))
    source = show_ir.cell_text(made.source)
    for line in (
        "cell LSTM",
        "input x : input_size",
        "state c : hidden_size = 0, next c",
        "param W_f : hidden_size x hidden_size + input_size",
        "output a",
        r"  # a^{<t>} = \Gamma_o^{<t>} * \tanh(c^{<t>})",
        "  c : hidden_size = Gamma_f * c_prev + Gamma_u * c_tilde",
    ):
        assert line in source.split("\n")
    plan = show_ir.plan_text(passes.plan(made.source)).split("\n")
    titles = [line for line in plan if line.startswith(("once:", "sequence:", "step:"))]
    assert [title.split(":")[0] for title in titles] == ["once", "sequence", "step"]
    backward = show_ir.backward_text(made.plan, made.backward).split("\n")
    for line in (
        "backward of LSTM, in reverse time",
        "  grad_outputs : hidden_size",
        "  carry_c : d c from step t+1; to step t-1: grad_c_prev",
        "  grad_c : hidden_size = carry_c + grad_a * Gamma_o * (1 - tanh_c * tanh_c)",
        "  d W_f = grad_W_f",
        "  d x = grad_x",
    ):
        assert line in backward


@pytest.mark.parametrize("name", resources.spec_names())
def test_every_equation_is_shown(name):
    made = compiled(resources.spec_path(name))
    texts = (
        (show_ir.cell_text(made.source), made.source.equations),
        (show_ir.plan_text(made.plan), made.plan.equations),
        (show_ir.backward_text(made.plan, made.backward), made.backward.equations),
    )
    for text, equations in texts:
        for equation in equations:
            assert f"\n  {equation.name} : " in text

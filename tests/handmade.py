"""Cells built by hand in the IR, for tests that must not depend on the front end."""

from __future__ import annotations

from fractions import Fraction

from gatec.expr import HIDDEN, INPUT, Concat, Expr, Identity, Ref, call
from gatec.ir import Cell, Equation, Input, Param, State

X = Ref("input", "x", (INPUT,))


def _state(name: str, *shape) -> Ref:
    return Ref("state", name, shape or (HIDDEN,), 1)


def _param(name: str, *shape) -> Ref:
    return Ref("param", name, shape)


def _affine(gate: str, joined: Expr) -> Expr:
    weight = _param(f"W_{gate}", HIDDEN, HIDDEN + INPUT)
    return call("matvec", weight, joined) + _param(f"b_{gate}", HIDDEN)


def _cell(name, states, equations, output, **more) -> Cell:
    """A cell whose parameters are found in its equations."""
    from gatec.expr import walk

    params: dict[str, Param] = {}
    for equation in equations:
        for node in walk(equation.value):
            if isinstance(node, Ref) and node.kind == "param":
                params[node.name] = Param(
                    node.name, node.name, node.shape, bias=node.name.startswith("b")
                )
    return Cell(
        name,
        (Input("x", "x", (INPUT,)),),
        tuple(states),
        tuple(params.values()),
        tuple(equations),
        output,
        **more,
    )


def lstm() -> Cell:
    """The notes' LSTM: W[a, x] + b, states a (the output) and c."""
    joined = Concat((_state("a"), X))
    gates = [
        Equation(
            f"Gamma_{g}",
            rf"\Gamma_{g}",
            _affine(g, joined).apply("sigmoid"),
            rf"\Gamma_{g}^{{<t>}} = \sigma(W_{g}[a^{{<t-1>}}, x^{{<t>}}] + b_{g})",
        )
        for g in "fu"
    ]
    gates.append(
        Equation(
            "c_tilde",
            r"\tilde{c}",
            _affine("c", joined).apply("tanh"),
            r"\tilde{c}^{<t>} = \tanh(W_c[a^{<t-1>}, x^{<t>}] + b_c)",
        )
    )
    f, u, candidate = (e.ref for e in gates)
    c = Equation(
        "c",
        "c",
        f * _state("c") + u * candidate,
        r"c^{<t>} = \Gamma_f^{<t>} * c^{<t-1>} + \Gamma_u^{<t>} * \tilde{c}^{<t>}",
    )
    o = Equation(
        "Gamma_o",
        r"\Gamma_o",
        _affine("o", joined).apply("sigmoid"),
        r"\Gamma_o^{<t>} = \sigma(W_o[a^{<t-1>}, x^{<t>}] + b_o)",
    )
    a = Equation(
        "a", "a", o.ref * c.ref.apply("tanh"), r"a^{<t>} = \Gamma_o^{<t>} * \tanh(c^{<t>})"
    )
    states = (State("a", "a", (HIDDEN,), "a"), State("c", "c", (HIDDEN,), "c"))
    return _cell("LSTM", states, [*gates, c, o, a], "a")


def gru_reset_after() -> Cell:
    """The GRU of torch: the reset gate multiplies the recurrent product."""
    h = _state("h")

    def side(letter: str, gate: str, value: Expr, size) -> Expr:
        return call("matvec", _param(f"W_{letter}{gate}", HIDDEN, size), value) + _param(
            f"b_{letter}{gate}", HIDDEN
        )

    def both(gate: str) -> Expr:
        return (side("i", gate, X, INPUT) + side("h", gate, h, HIDDEN)).apply("sigmoid")

    r, z = Equation("r", "r", both("r")), Equation("z", "z", both("z"))
    n = Equation(
        "n", "n", (side("i", "n", X, INPUT) + r.ref * side("h", "n", h, HIDDEN)).apply("tanh")
    )
    new = Equation("h", "h", (1 - z.ref) * n.ref + z.ref * h)
    return _cell("GRU", (State("h", "h", (HIDDEN,), "h"),), [r, z, n, new], "h")


def gru_reset_before() -> Cell:
    """Cho et al. (2014): two matrix products of the state in a row (two stages)."""
    h = _state("h")

    def affine(gate: str, state: Expr) -> Expr:
        return (
            call("matvec", _param(f"W_{gate}", HIDDEN, INPUT), X)
            + call("matvec", _param(f"U_{gate}", HIDDEN, HIDDEN), state)
            + _param(f"b_{gate}", HIDDEN)
        )

    r = Equation("r", "r", affine("r", h).apply("sigmoid"))
    z = Equation("z", "z", affine("z", h).apply("sigmoid"))
    n = Equation("n", "n", affine("n", r.ref * h).apply("tanh"))
    new = Equation("h", "h", (1 - z.ref) * h + z.ref * n.ref)
    return _cell("GRU", (State("h", "h", (HIDDEN,), "h"),), [r, z, n, new], "h")


def antisymmetric() -> Cell:
    """AntisymmetricRNN (Chang et al., 2019): a product of parameters alone, (W - W^T - 0.1 I)."""
    h = _state("h")
    w = _param("W", HIDDEN, HIDDEN)
    mixing = w - w.apply("transpose") - Identity(HIDDEN) * 0.1
    new = Equation(
        "h",
        "h",
        h
        + 0.5
        * (
            call("matvec", mixing, h)
            + call("matvec", _param("V", HIDDEN, INPUT), X)
            + _param("b", HIDDEN)
        ).apply("tanh"),
    )
    return _cell("Antisymmetric", (State("h", "h", (HIDDEN,), "h"),), [new], "h")


def deltanet() -> Cell:
    """The delta rule with a matrix state: S = S (I - beta k k^T) + beta v k^T, o = S q."""
    s = _state("S", HIDDEN, HIDDEN)

    def project(name: str) -> Expr:
        return call("matvec", _param(f"W_{name}", HIDDEN, INPUT), X)

    q = Equation("q", "q", project("q"))
    key = Equation("k", "k", project("k") / (project("k").apply("norm") + 0.01))
    v = Equation("v", "v", project("v"))
    beta = Equation("beta", r"\beta", call("dot", _param("w", INPUT), X).apply("sigmoid"))
    new = Equation(
        "S", "S", s + beta.ref * call("outer", v.ref - call("matvec", s, key.ref), key.ref)
    )
    o = Equation("o", "o", call("matvec", new.ref, q.ref))
    return _cell(
        "DeltaNet", (State("S", "S", (HIDDEN, HIDDEN), "S"),), [q, key, v, beta, new, o], "o"
    )


def lagged() -> Cell:
    """A state read two steps back, an input one step back, a running maximum of a scalar."""
    h2, x1 = Ref("state", "h", (HIDDEN,), 2), Ref("input", "x", (INPUT,), 1)
    m = Equation(
        "m", "m", call("max", Ref("state", "m", (), 1) * 0.9, call("dot", _param("w", INPUT), X))
    )
    h = Equation(
        "h",
        "h",
        (
            call("matvec", _param("W", HIDDEN, INPUT), x1)
            + _param("u", HIDDEN) * h2
            + _param("v", HIDDEN) * _state("h")
            + m.ref
        ).apply("softmax")
        + Fraction(1, 2).__float__(),
    )
    states = (State("h", "h", (HIDDEN,), "h"), State("m", "m", (), "m"))
    return _cell("Lagged", states, [m, h], "h")


ALL = {
    f.__name__: f
    for f in (lstm, gru_reset_after, gru_reset_before, antisymmetric, deltanet, lagged)
}

"""`gatec show --latex`: what it prints means what it was printed from."""

import pytest

import gatec
from gatec import resources
from gatec.expr import HIDDEN, INPUT, Apply, Ref, call, number, rewrite, walk
from gatec.ops import OPS, Kind
from gatec.show_latex import align, with_time


def plain(expr):
    """An expression without what the notation does not show: the order and nesting of sums."""

    def rule(node):
        if isinstance(node, Apply) and node.op in ("add", "mul"):
            args = [a for arg in node.args for a in (arg.args if _same(arg, node.op) else (arg,))]
            return Apply(node.op, tuple(sorted(args, key=repr)))
        return node

    return rewrite(expr, rule)


def _same(arg, op):
    return isinstance(arg, Apply) and arg.op == op


@pytest.mark.parametrize("name", resources.spec_names())
def test_specs_read_back(name):
    """Printed and compiled again, a spec is the same equations over the same names."""
    before = gatec.parse(name).cell
    text = f"```gate\ncell {before.name}\n" + "".join(f"{line}\n" for line in _declarations(before))
    after = gatec.parse(f"{text}```\n\n$$\n{align(before)}$$\n").cell
    assert [(p.name, p.shape) for p in sorted(after.params, key=lambda p: p.name)] == [
        (p.name, p.shape) for p in sorted(before.params, key=lambda p: p.name)
    ]
    for one, other in zip(before.equations, after.equations, strict=True):
        assert one.name == other.name
        assert plain(one.value) == plain(other.value)


def _declarations(cell):
    for size in cell.sizes:
        yield f"size {size.symbol} = {size.default}"
    for item in cell.params:
        yield f"param {item.symbol} : {' x '.join(map(str, item.shape)) or 'scalar'}"


POINTWISE = [n for n, op in OPS.items() if op.kind is Kind.POINTWISE and op.arity == 1]


@pytest.mark.parametrize("name", POINTWISE)
def test_functions_read_back(name):
    found = gatec.parse(f"h_t = {OPS[name].latex.format('x_t')} + h_{{t-1}}\n").cell
    (equation,) = found.equations
    assert name in {node.op for node in walk(equation.value) if isinstance(node, Apply)}


X = Ref("input", "x", (HIDDEN,))
H = Ref("state", "h", (HIDDEN,), 1)
W = Ref("param", "W", (HIDDEN, HIDDEN))

EXPRESSIONS = [
    (-(X + H), r"-\left(x_{t} + h_{t-1}\right)"),
    (-(X * H), r"-x_{t} \odot h_{t-1}"),
    (X - H, r"x_{t} - h_{t-1}"),
    (X - (H - X), r"x_{t} - \left(h_{t-1} - x_{t}\right)"),
    (X * (H + 1), r"x_{t} \odot \left(h_{t-1} + 1\right)"),
    (X * -H, r"x_{t} \odot \left(-h_{t-1}\right)"),
    ((X + H) / (X * H), r"\frac{x_{t} + h_{t-1}}{x_{t} \odot h_{t-1}}"),
    (call("pow", X / H, number(2)), r"\left(\frac{x_{t}}{h_{t-1}}\right)^{2}"),
    (call("pow", X + H, number(2)), r"\left(x_{t} + h_{t-1}\right)^{2}"),
    (call("pow", X, number(0.5)), r"x_{t}^{0.5}"),
    (call("matvec", W, X + H), r"W \left(x_{t} + h_{t-1}\right)"),
    (call("matvec", call("transpose", W), X), r"W^{\top} x_{t}"),
    (call("matvec", call("transpose", W + W), X), r"\left(W + W\right)^{\top} x_{t}"),
    (call("matvec", W, call("matvec", W, X)), r"W \left(W x_{t}\right)"),
    (call("matvec", call("matmul", W, W), X), r"\left(W W\right) x_{t}"),
    (call("dot", X + H, H), r"\left(x_{t} + h_{t-1}\right)^{\top} h_{t-1}"),
    (call("dot", X, H) * H, r"\left(x_{t}^{\top} h_{t-1}\right) \, h_{t-1}"),
    (number(1e-6) * X, r"10^{-6} \, x_{t}"),
    (number(-0.25) * X, r"\left(-0.25\right) \, x_{t}"),
    (X / 3, r"\frac{x_{t}}{3}"),
    (call("abs", X + H), r"\lvert x_{t} + h_{t-1} \rvert"),
    (
        call("where", call("lt", X, H), X, H + 1),
        r"\begin{cases} x_{t} & x_{t} < h_{t-1} \\ h_{t-1} + 1 \end{cases}",
    ),
]


@pytest.mark.parametrize(("expr", "wanted"), EXPRESSIONS, ids=[w for _, w in EXPRESSIONS])
def test_brackets(expr, wanted):
    from gatec.ir import Cell, Equation, Input, Param, State

    cell = Cell(
        "C",
        (Input("x", "x", (INPUT,)),),
        (State("h", "h", (HIDDEN,), "y"),),
        (Param("W", "W", (HIDDEN, HIDDEN)),),
        (Equation("y", "y", expr),),
        "y",
    )
    assert f"y_{{t}} &= {wanted}\n" in align(cell)


@pytest.mark.parametrize(
    ("symbol", "lag", "wanted"),
    [
        ("h", 0, "h_{t}"),
        ("h", 2, "h_{t-2}"),
        (r"\Gamma_f", 0, r"\Gamma_{f, t}"),
        (r"\Gamma_{f}", 1, r"\Gamma_{f, t-1}"),
        (r"\tilde{c}", 0, r"\tilde{c}_{t}"),
        (r"W_{ih}^{(f)}", 0, r"W_{ih, t}^{(f)}"),
        ("i'", 0, "i'_{t}"),
        (r"\mathrm{in\_put}", 0, r"\mathrm{in\_put}_{t}"),
    ],
)
def test_time_joins_the_subscript(symbol, lag, wanted):
    assert with_time(symbol, lag) == wanted

"""The operators: one row each, and every stage reads the row.

A row says what the operator is (`kind`, `arity`), how shapes relate (`signature`), what it
computes (`reference`, NumPy), its derivative (`adjoint`), how each language family spells it,
and, for composed operators, its `definition` over simpler ones. Adding an operator is adding a
row; only a new infix symbol also touches the grammar.

Adjoint rows receive `g` (the cotangent of the result), `y` (the result) and the operands, all
as expressions that overload `+ - * /`, and return one cotangent per operand, or None where the
derivative is zero. Cotangents of pointwise rows may be too big where a scalar operand was
broadcast; the adjoint pass sums them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What an operator does to the units of its operands."""

    POINTWISE = "pointwise"  # unit i of the result reads unit i of the operands (or a scalar)
    CONTRACTION = "contraction"  # a product that sums over units, or an outer product
    REDUCTION = "reduction"  # all units to one scalar
    NORMALISATION = "normalisation"  # vector to vector through a reduction (softmax, LayerNorm)
    LAYOUT = "layout"  # moves units, computes nothing
    BATCH = "batch"  # reduces the batch (and, over a whole sequence, time) away


# Binding strength of printed forms; a function call or a name is an atom.
COMPARISON, ADDITIVE, MULTIPLICATIVE, UNARY, POWER, ATOM = range(6)


@dataclass(frozen=True)
class Op:
    """One operator.

    `arity` is None for an n-ary operator (two operands or more, kept flat).
    `signature` is an einsum of a contraction or a transposition: `"ij,j->i"`.
    `numpy`, `torch`, `c` and `latex` are templates with `{0}`, `{1}`, …; for an n-ary infix
    operator they are the symbol that stands between operands.
    `flops` is the cost per unit of the result (a transcendental function counts as one).
    `continuous` is False where the value jumps (comparisons, sign).
    """

    name: str
    kind: Kind
    arity: int | None
    reference: Callable[..., Any]
    numpy: str = ""
    torch: str = ""
    c: str = ""
    latex: str = ""
    precedence: int = ATOM
    infix: bool = False
    signature: str | None = None
    adjoint: Callable[..., tuple[Any, ...]] | None = None
    definition: Callable[..., Any] | None = None
    flops: int = 1
    continuous: bool = True


def _others(operands: tuple[Any, ...], index: int) -> Any:
    """The product of all operands but one (None where there is no other)."""
    rest = [x for i, x in enumerate(operands) if i != index]
    product = rest[0]
    for factor in rest[1:]:
        product = product * factor
    return product


def _reduce(function: str) -> Callable[..., Any]:
    """A NumPy reduction over the last `rank` axes, those of the units."""

    def reference(np: Any, x: Any, rank: int) -> Any:
        return getattr(np, function)(x, axis=tuple(range(-rank, 0))) if rank else x

    return reference


def _softmax(np: Any, x: Any, rank: int) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def _layer_norm(np: Any, x: Any, rank: int) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)


def _rms_norm(np: Any, x: Any, rank: int) -> Any:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-5)


def _sigmoid(np: Any, x: Any) -> Any:
    # Exact in both tails and free of overflow.
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _erf(np: Any, x: Any) -> Any:
    import math

    return np.vectorize(math.erf, otypes=[float])(x)


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")


def _unary(
    name: str,
    reference: Callable[..., Any],
    adjoint: Callable[..., Any] | None,
    *,
    numpy: str | None = None,
    torch: str | None = None,
    c: str | None = None,
    latex: str | None = None,
    **more: Any,
) -> Op:
    """A pointwise function of one operand, called by its name unless told otherwise."""
    row = (lambda g, y, x: (adjoint(g, y, x),)) if adjoint else (lambda g, y, x: (None,))
    return Op(
        name,
        Kind.POINTWISE,
        1,
        reference,
        numpy=numpy or f"np.{name}({{0}})",
        torch=torch or f"torch.{name}({{0}})",
        c=c or f"{name}({{0}})",
        latex=latex or rf"\operatorname{{{{{_escaped(name)}}}}}({{0}})",
        adjoint=None if "definition" in more else row,
        **more,
    )


def _infix(name: str, symbol: str, arity: int | None, precedence: int, **more: Any) -> Op:
    """A pointwise operator written between its operands."""
    latex = more.pop("latex", symbol)
    if arity is not None:
        numpy = torch = c = f"{{0}} {symbol} {{1}}"
    else:
        numpy = torch = c = symbol
    return Op(
        name,
        Kind.POINTWISE,
        arity,
        numpy=numpy,
        torch=torch,
        c=c,
        latex=latex,
        infix=True,
        precedence=precedence,
        **more,
    )


def _comparison(name: str, symbol: str, latex: str) -> Op:
    return _infix(
        name,
        symbol,
        2,
        COMPARISON,
        reference=lambda np, a, b: {
            "lt": np.less,
            "le": np.less_equal,
            "gt": np.greater,
            "ge": np.greater_equal,
            "eq": np.equal,
        }[name](a, b),
        adjoint=lambda g, y, a, b: (None, None),
        latex=f"{{0}} {latex} {{1}}",
        continuous=False,
    )


def _extremum(name: str, numpy: str, compare: str) -> Op:
    """max or min: at a tie each operand takes half of the cotangent, as in PyTorch."""

    def share(g: Any, a: Any, b: Any) -> Any:
        tie = a.apply("eq", b).apply("where", g * 0.5, 0)
        return a.apply(compare, b).apply("where", g, tie)

    return Op(
        name,
        Kind.POINTWISE,
        2,
        lambda np, a, b: getattr(np, numpy)(a, b),
        numpy=f"np.{numpy}({{0}}, {{1}})",
        torch=f"torch.{numpy}({{0}}, {{1}})",
        c=f"f{name}({{0}}, {{1}})",
        latex=rf"\{name}({{0}}, {{1}})",
        adjoint=lambda g, y, a, b: (share(g, a, b), share(g, b, a)),
    )


_POINTWISE = (
    _infix(
        "add",
        "+",
        None,
        ADDITIVE,
        reference=lambda np, *x: sum(x[1:], x[0]),
        adjoint=lambda g, y, *x: tuple(g for _ in x),
    ),
    _infix(
        "mul",
        "*",
        None,
        MULTIPLICATIVE,
        latex=r"\odot",
        reference=lambda np, *x: _others((None, *x), 0),
        adjoint=lambda g, y, *x: tuple(g * _others(x, i) for i in range(len(x))),
    ),
    _infix(
        "div",
        "/",
        2,
        MULTIPLICATIVE,
        latex=r"\frac{{{0}}}{{{1}}}",
        reference=lambda np, a, b: a / b,
        adjoint=lambda g, y, a, b: (g / b, -(g * y / b)),
    ),
    Op(
        "neg",
        Kind.POINTWISE,
        1,
        lambda np, x: -x,
        numpy="-{0}",
        torch="-{0}",
        c="-{0}",
        latex="-{0}",
        precedence=UNARY,
        adjoint=lambda g, y, x: (-g,),
    ),
    # The exponent's cotangent is used only where the exponent is no constant; the base must
    # then be positive, as in every real power.
    Op(
        "pow",
        Kind.POINTWISE,
        2,
        lambda np, a, b: np.power(a, b),
        numpy="{0} ** {1}",
        torch="{0} ** {1}",
        c="pow({0}, {1})",
        latex="{0}^{{{1}}}",
        precedence=POWER,
        infix=True,
        adjoint=lambda g, y, a, b: (
            g * b * a.apply("pow", b - 1),
            None if b.is_constant else g * y * a.apply("log"),
        ),
    ),
    _unary("sqrt", lambda np, x: np.sqrt(x), lambda g, y, x: g / (2 * y), latex=r"\sqrt{{{0}}}"),
    _unary("exp", lambda np, x: np.exp(x), lambda g, y, x: g * y, latex=r"\exp({0})"),
    _unary("log", lambda np, x: np.log(x), lambda g, y, x: g / x, latex=r"\log({0})"),
    _unary("log1p", lambda np, x: np.log1p(x), lambda g, y, x: g / (1 + x)),
    _unary("expm1", lambda np, x: np.expm1(x), lambda g, y, x: g * (y + 1)),
    _unary("tanh", lambda np, x: np.tanh(x), lambda g, y, x: g * (1 - y * y), latex=r"\tanh({0})"),
    _unary(
        "sigmoid",
        _sigmoid,
        lambda g, y, x: g * y * (1 - y),
        numpy="sigmoid({0})",
        c="sigmoid({0})",
        latex=r"\sigma({0})",
    ),
    _unary(
        "relu",
        lambda np, x: np.maximum(x, 0),
        lambda g, y, x: x.apply("gt", 0).apply("where", g, 0),
        numpy="np.maximum({0}, 0)",
        c="fmax({0}, 0)",
        latex=r"\operatorname{{ReLU}}({0})",
    ),
    _unary(
        "softplus",
        lambda np, x: np.logaddexp(0, x),
        lambda g, y, x: g * x.apply("sigmoid"),
        numpy="np.logaddexp(0, {0})",
        torch="nn.functional.softplus({0})",
        c="softplus({0})",
    ),
    _unary(
        "abs",
        lambda np, x: np.abs(x),
        lambda g, y, x: g * x.apply("sign"),
        c="fabs({0})",
        latex=r"\lvert {0} \rvert",
    ),
    _unary("sign", lambda np, x: np.sign(x), None, c="sign({0})", continuous=False),
    _unary("sin", lambda np, x: np.sin(x), lambda g, y, x: g * x.apply("cos"), latex=r"\sin({0})"),
    _unary(
        "cos", lambda np, x: np.cos(x), lambda g, y, x: -(g * x.apply("sin")), latex=r"\cos({0})"
    ),
    _unary(
        "arctan",
        lambda np, x: np.arctan(x),
        lambda g, y, x: g / (1 + x * x),
        c="atan({0})",
        latex=r"\arctan({0})",
    ),
    # 2/sqrt(pi) to the precision of a double.
    _unary(
        "erf",
        _erf,
        lambda g, y, x: g * 1.1283791670955126 * (-(x * x)).apply("exp"),
        numpy="erf({0})",
    ),
    _extremum("max", "maximum", "gt"),
    _extremum("min", "minimum", "lt"),
    _comparison("lt", "<", "<"),
    _comparison("le", "<=", r"\le"),
    _comparison("gt", ">", ">"),
    _comparison("ge", ">=", r"\ge"),
    _comparison("eq", "==", "="),
    Op(
        "where",
        Kind.POINTWISE,
        3,
        lambda np, c, a, b: np.where(c, a, b),
        numpy="np.where({0}, {1}, {2})",
        torch="torch.where({0}, {1}, {2})",
        c="({0} ? {1} : {2})",
        latex=r"\begin{{cases}} {1} & {0} \\ {2} \end{{cases}}",
        adjoint=lambda g, y, c, a, b: (None, c.apply("where", g, 0), c.apply("where", 0, g)),
    ),
)


def _not_above_0(x: Any) -> Any:
    """min(x, 0), its derivative at 0 that from below."""
    return x.apply("gt", 0).apply("where", 0, x)


def _between(x: Any, low: float, high: float, value: Any, bottom: float, top: float) -> Any:
    """`value` for x between two ends, `bottom` and `top` beyond; at both its derivative is 0."""
    below_high = x.apply("lt", high).apply("where", value, top)
    return x.apply("gt", low).apply("where", below_high, bottom)


# Composed pointwise functions: passes replace them by their definition; the reference is
# independent of it, and a test compares the two.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _composed(
    name: str,
    reference: Callable[..., Any],
    definition: Callable[..., Any],
    torch: str | None = None,
    numpy: str | None = None,
) -> Op:
    return _unary(
        name,
        reference,
        None,
        definition=definition,
        numpy=numpy,
        torch=torch or f"nn.functional.{name}({{0}})",
    )


_COMPOSED = (
    _composed(
        "logsigmoid",
        lambda np, x: -np.logaddexp(0, -x),
        lambda x: -(-x).apply("softplus"),
        numpy="-np.logaddexp(0, -({0}))",
    ),
    _composed("silu", lambda np, x: x * _sigmoid(np, x), lambda x: x * x.apply("sigmoid")),
    _composed(
        "gelu",
        lambda np, x: x / 2 * (1 + _erf(np, x / 2**0.5)),
        lambda x: x * 0.5 * (1 + (x * 0.7071067811865476).apply("erf")),
    ),
    _composed(
        "elu",
        lambda np, x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: x.apply("gt", 0).apply("where", x, _not_above_0(x).apply("expm1")),
    ),
    _composed(
        "selu",
        lambda np, x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x: (
            x.apply("gt", 0).apply("where", x, _not_above_0(x).apply("expm1") * _SELU_ALPHA)
            * _SELU_SCALE
        ),
    ),
    _composed(
        "leaky_relu",
        lambda np, x: np.where(x > 0, x, 0.01 * x),
        lambda x: x.apply("gt", 0).apply("where", x, x * 0.01),
    ),
    _composed("relu6", lambda np, x: np.clip(x, 0, 6), lambda x: _between(x, 0, 6, x, 0, 6)),
    _composed(
        "hard_sigmoid",
        lambda np, x: np.clip(x / 6 + 0.5, 0, 1),
        lambda x: _between(x, -3, 3, x / 6 + 0.5, 0, 1),
        torch="nn.functional.hardsigmoid({0})",
    ),
    _composed(
        "hard_tanh",
        lambda np, x: np.clip(x, -1, 1),
        lambda x: _between(x, -1, 1, x, -1, 1),
        torch="nn.functional.hardtanh({0})",
    ),
    _composed("softsign", lambda np, x: x / (1 + np.abs(x)), lambda x: x / (1 + x.apply("abs"))),
    _composed(
        "mish",
        lambda np, x: x * np.tanh(np.logaddexp(0, x)),
        lambda x: x * x.apply("softplus").apply("tanh"),
    ),
    _composed(
        "tan",
        lambda np, x: np.tan(x),
        lambda x: x.apply("sin") / x.apply("cos"),
        torch="torch.tan({0})",
    ),
    _composed(
        "sinh",
        lambda np, x: np.sinh(x),
        lambda x: (x.apply("expm1") - (-x).apply("expm1")) * 0.5,  # exact near 0, too
        torch="torch.sinh({0})",
    ),
    _composed(
        "cosh",
        lambda np, x: np.cosh(x),
        lambda x: (x.apply("exp") + (-x).apply("exp")) * 0.5,
        torch="torch.cosh({0})",
    ),
)

_CONTRACTIONS = (
    Op(
        "matvec",
        Kind.CONTRACTION,
        2,
        lambda np, a, v: np.einsum("...ij,...j->...i", a, v),
        signature="ij,j->i",
        latex="{0} {1}",
        precedence=MULTIPLICATIVE,
        flops=2,
        adjoint=lambda g, y, a, v: (g.apply("outer", v), a.apply("transpose").apply("matvec", g)),
    ),
    Op(
        "matmul",
        Kind.CONTRACTION,
        2,
        lambda np, a, b: np.einsum("...ij,...jk->...ik", a, b),
        signature="ij,jk->ik",
        latex="{0} {1}",
        precedence=MULTIPLICATIVE,
        flops=2,
        adjoint=lambda g, y, a, b: (
            g.apply("matmul", b.apply("transpose")),
            a.apply("transpose").apply("matmul", g),
        ),
    ),
    Op(
        "outer",
        Kind.CONTRACTION,
        2,
        lambda np, u, v: np.einsum("...i,...j->...ij", u, v),
        signature="i,j->ij",
        latex=r"{0} {1}^{{\top}}",
        precedence=MULTIPLICATIVE,
        flops=1,
        adjoint=lambda g, y, u, v: (g.apply("matvec", v), g.apply("transpose").apply("matvec", u)),
    ),
    Op(
        "dot",
        Kind.CONTRACTION,
        2,
        lambda np, u, v: np.einsum("...i,...i->...", u, v),
        signature="i,i->",
        latex=r"{0}^{{\top}} {1}",
        precedence=MULTIPLICATIVE,
        flops=2,
        adjoint=lambda g, y, u, v: (g * v, g * u),
    ),
)

_LAYOUT = (
    Op(
        "transpose",
        Kind.LAYOUT,
        1,
        lambda np, a: np.swapaxes(a, -1, -2),
        signature="ij->ji",
        latex=r"{0}^{{\top}}",
        precedence=POWER,
        flops=0,
        adjoint=lambda g, y, a: (g.apply("transpose"),),
    ),
)


_REDUCTIONS = (
    Op(
        "sum",
        Kind.REDUCTION,
        1,
        _reduce("sum"),
        latex=r"\operatorname{{sum}}({0})",
        adjoint=lambda g, y, x: (g.broadcast_like(x),),
    ),
    # At a tie every maximal unit takes an equal share, as torch.amax does.
    Op(
        "amax",
        Kind.REDUCTION,
        1,
        _reduce("max"),
        latex=r"\max({0})",
        adjoint=lambda g, y, x: (
            x.apply("eq", y).apply(
                "where",
                g / x.apply("eq", y).apply("where", g.one(), g.zero()).apply("sum"),
                g.zero(),
            ),
        ),
    ),
    Op(
        "mean",
        Kind.REDUCTION,
        1,
        _reduce("mean"),
        latex=r"\operatorname{{mean}}({0})",
        definition=lambda x: x.apply("sum") / x.size(),
    ),
    Op(
        "norm",
        Kind.REDUCTION,
        1,
        lambda np, x, rank: np.sqrt(_reduce("sum")(np, x * x, rank)),
        latex=r"\lVert {0} \rVert",
        definition=lambda x: (x * x).apply("sum").apply("sqrt"),
    ),
    Op(
        "norm1",
        Kind.REDUCTION,
        1,
        lambda np, x, rank: _reduce("sum")(np, np.abs(x), rank),
        latex=r"\lVert {0} \rVert_1",
        definition=lambda x: x.apply("abs").apply("sum"),
    ),
)

_NORMALISATIONS = (
    Op(
        "softmax",
        Kind.NORMALISATION,
        1,
        _softmax,
        torch="torch.softmax({0}, -1)",
        latex=r"\operatorname{{softmax}}({0})",
        # The shift by the maximum cancels, value and derivative, whatever it is; it keeps exp
        # in range, so the maximum itself is held constant.
        definition=lambda x: (lambda e: e / e.apply("sum"))(
            (x - x.apply("amax").apply("detach")).apply("exp")
        ),
    ),
    Op(
        "layer_norm",
        Kind.NORMALISATION,
        1,
        _layer_norm,
        torch="nn.functional.layer_norm({0}, {0}.shape[-1:])",
        latex=r"\operatorname{{LayerNorm}}({0})",
        definition=lambda x: (lambda d: d / ((d * d).apply("mean") + 1e-5).apply("sqrt"))(
            x - x.apply("mean")
        ),
    ),
    Op(
        "rms_norm",
        Kind.NORMALISATION,
        1,
        _rms_norm,
        latex=r"\operatorname{{RMSNorm}}({0})",
        definition=lambda x: x / ((x * x).apply("mean") + 1e-5).apply("sqrt"),
    ),
)

_BATCH = (
    # A value that takes part with derivative zero.
    Op(
        "detach",
        Kind.POINTWISE,
        1,
        lambda np, x: x.detach() if hasattr(x, "detach") else x,
        numpy="{0}",
        torch="{0}.detach()",
        c="{0}",
        latex=r"\operatorname{{sg}}({0})",
        flops=0,
        adjoint=lambda g, y, x: (None,),
    ),
    # Only in backward cells: the cotangent of a parameter is the sum over the batch, and over
    # time where the equation runs on the whole sequence.
    Op(
        "batch_sum",
        Kind.BATCH,
        1,
        lambda np, x, rank: np.sum(np.reshape(x, (-1, *np.shape(x)[np.ndim(x) - rank :])), axis=0),
        latex=r"\sum_{{\text{{batch}}}} {0}",
    ),
)

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        *_POINTWISE,
        *_COMPOSED,
        *_CONTRACTIONS,
        *_LAYOUT,
        *_REDUCTIONS,
        *_NORMALISATIONS,
        *_BATCH,
    )
}


# Functions as papers spell them (letters only, lower case compared) → operator.
FUNCTIONS: dict[str, str] = {
    "tanh": "tanh",
    "th": "tanh",
    "sigmoid": "sigmoid",
    "sigm": "sigmoid",
    "sig": "sigmoid",
    "logistic": "sigmoid",
    "expit": "sigmoid",
    "relu": "relu",
    "rectifier": "relu",
    "softplus": "softplus",
    "exp": "exp",
    "log": "log",
    "ln": "log",
    "sqrt": "sqrt",
    "abs": "abs",
    "sign": "sign",
    "sgn": "sign",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "arctan": "arctan",
    "atan": "arctan",
    "sinh": "sinh",
    "cosh": "cosh",
    "erf": "erf",
    "log1p": "log1p",
    "expm1": "expm1",
    "logsigmoid": "logsigmoid",
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "elu": "elu",
    "selu": "selu",
    "leakyrelu": "leaky_relu",
    "lrelu": "leaky_relu",
    "relu6": "relu6",
    "hardsigmoid": "hard_sigmoid",
    "hardtanh": "hard_tanh",
    "softsign": "softsign",
    "mish": "mish",
    "max": "max",
    "maximum": "max",
    "min": "min",
    "minimum": "min",
    "softmax": "softmax",
    "layernorm": "layer_norm",
    "ln_": "layer_norm",
    "rmsnorm": "rms_norm",
    "sum": "sum",
    "mean": "mean",
    "avg": "mean",
    "norm": "norm",
    "identity": "identity",
    "id": "identity",
    "linear": "identity",
    "diag": "diag",
    "concat": "concat",
    "cat": "concat",
    "clip": "clip",
    "clamp": "clip",
    "outer": "outer",
    "dot": "dot",
    "transpose": "transpose",
    "hadamard": "mul",
    "sg": "detach",
    "stopgradient": "detach",
    "stopgrad": "detach",
    "detach": "detach",
}

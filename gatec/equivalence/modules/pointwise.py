"""PyTorch's pointwise operations as expressions: one row each."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from gatec.equivalence.modules.contract import Products
from gatec.equivalence.modules.merge import Count
from gatec.equivalence.modules.record import Untraceable
from gatec.equivalence.modules.symbolic import Symbolic, array, each
from gatec.expr import Apply, Broadcast, Const, Expr, SizeValue, call, number
from gatec.ops import OPS

Row = Callable[..., Any]
_ZERO, _ONE = Const(Fraction(0)), Const(Fraction(1))


def scalar(space: Products, value: Any) -> Expr:
    """A number as an expression."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, bool):
        return _ONE if value else _ZERO
    if isinstance(value, (int, float)):
        return number(float(value) if isinstance(value, float) else Fraction(value))
    if isinstance(value, Count):
        return SizeValue(space.dim(value))
    raise Untraceable(f"it computes with {value!r}")


def tensor(space: Products, value: Any) -> Symbolic:
    """An operand as a tensor."""
    if isinstance(value, Symbolic):
        return value
    made = scalar(space, value)
    return Symbolic((), array((), lambda _: made))


# --- Pointwise ------------------------------------------------------------------------------------


def _pointwise(make: Callable[..., Expr], count: int) -> Row:
    """A function of `count` operands, unit by unit."""

    def row(space: Products, *operands: Any, **options: Any) -> Symbolic:
        if options:
            raise Untraceable(f"an option that is not known: {', '.join(options)}")
        return space.pointwise(make, [tensor(space, x) for x in operands[:count]])

    return row


def _named(op: str) -> Row:
    return _pointwise(lambda *x: call(op, *x), OPS[op].arity or 2)


def _scaled_sum(sign: int) -> Row:
    def row(space: Products, a: Any, b: Any, alpha: Any = 1) -> Symbolic:
        factor = scalar(space, alpha)

        def make(x: Expr, y: Expr) -> Expr:
            y = y if factor == _ONE else factor * y
            return x + y if sign > 0 else x - y

        return space.pointwise(make, [tensor(space, a), tensor(space, b)])

    return row


def _reversed_difference(space: Products, a: Any, b: Any, alpha: Any = 1) -> Symbolic:
    made: Symbolic = _scaled_sum(-1)(space, b, a, alpha)
    return made


def _division(space: Products, a: Any, b: Any, rounding_mode: Any = None) -> Symbolic:
    if rounding_mode is not None:
        raise Untraceable("it rounds to whole numbers")
    return space.pointwise(lambda x, y: x / y, [tensor(space, a), tensor(space, b)])


def _clamped(space: Products, x: Any, least: Any = None, most: Any = None, **more: Any) -> Symbolic:
    least, most = more.get("min", least), more.get("max", most)
    made = tensor(space, x)
    if least is not None:
        made = space.pointwise(lambda a, b: call("max", a, b), [made, tensor(space, least)])
    if most is not None:
        made = space.pointwise(lambda a, b: call("min", a, b), [made, tensor(space, most)])
    return made


def _function(make: Callable[..., Expr]) -> Row:
    """A function of one tensor and some numbers."""

    def row(space: Products, x: Any, *numbers: Any, **options: Any) -> Symbolic:
        given = [n if isinstance(n, str) or n is None else scalar(space, n) for n in numbers]
        named = {
            key: n if isinstance(n, str) or n is None else scalar(space, n)
            for key, n in options.items()
        }
        return each(tensor(space, x), lambda item: make(item, *given, **named))

    return row


def _positive(x: Expr, yes: Expr, no: Expr) -> Expr:
    return x.apply("gt", 0).apply("where", yes, no)


def _softplus(x: Expr, beta: Expr = _ONE, threshold: Expr = _ONE) -> Expr:
    # Above the threshold PyTorch returns x: the same number, computed faster.
    return x.apply("softplus") if beta == _ONE else (beta * x).apply("softplus") / beta


def _elu(x: Expr, alpha: Expr = _ONE, scale: Expr = _ONE, inner: Expr = _ONE) -> Expr:
    below = alpha * (inner * x.apply("min", 0)).apply("expm1")
    made = _positive(x, x, below)
    return made if scale == _ONE else scale * made


def _celu(x: Expr, alpha: Expr = _ONE) -> Expr:
    return _positive(x, x, alpha * (x.apply("min", 0) / alpha).apply("expm1"))


def _gelu(x: Expr, approximate: Any = "none") -> Expr:
    if approximate != "none":
        inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1 + inner.apply("tanh"))
    return x.apply("gelu")


def _hardtanh(x: Expr, least: Expr = -_ONE, most: Expr = _ONE) -> Expr:
    return x.apply("max", least).apply("min", most)


def _threshold(x: Expr, threshold: Expr, value: Expr) -> Expr:
    return x.apply("gt", threshold).apply("where", x, value)


def _multiplied(a: Expr, b: Expr) -> Expr:
    """A product; of a column and a row that were broadcast, their outer product."""
    for column, row in ((a, b), (b, a)):
        if _is_outer(column, 1) and _is_outer(row, 0):
            return call("outer", column.children[0], row.children[1])
    return call("mul", a, b)


def _is_outer(item: Expr, ones: int) -> bool:
    """Whether an expression is an outer product with ones in one place."""
    if not isinstance(item, Apply) or item.op != "outer":
        return False
    part = item.args[ones]
    return isinstance(part, Broadcast) and part.arg == _ONE


def _power(a: Expr, b: Expr) -> Expr:
    return call("mul", a, a) if b == Const(Fraction(2)) else call("pow", a, b)


_SLOPE = number(0.01)  # of the leaky ReLU, where none is given
# Operations and operators of one name.
_ALIKE = (
    *("neg", "sqrt", "exp", "log", "log1p", "expm1", "tanh", "sigmoid", "relu", "abs", "sign"),
    *("sin", "cos", "tan", "sinh", "cosh", "erf", "silu", "mish", "relu6"),
)

FUNCTIONS: dict[str, Row] = {
    **dict.fromkeys(("mul", "multiply"), _pointwise(_multiplied, 2)),
    **{name: _named(name) for name in _ALIKE},
    "add": _scaled_sum(1),
    "sub": _scaled_sum(-1),
    "subtract": _scaled_sum(-1),
    "rsub": _reversed_difference,
    "div": _division,
    "true_divide": _division,
    "pow": _pointwise(_power, 2),
    "square": _function(lambda x: x * x),
    "reciprocal": _function(lambda x: 1 / x),
    "rsqrt": _function(lambda x: 1 / x.apply("sqrt")),
    "atan": _function(lambda x: x.apply("arctan")),
    "maximum": _named("max"),
    "minimum": _named("min"),
    "softplus": _function(_softplus),
    "elu": _function(_elu),
    "celu": _function(_celu),
    "gelu": _function(_gelu),
    "leaky_relu": _function(lambda x, slope=_SLOPE: _positive(x, x, slope * x)),
    "hardtanh": _function(_hardtanh),
    "hardsigmoid": _function(lambda x: x.apply("hard_sigmoid")),
    "hardswish": _function(lambda x: x * x.apply("hard_sigmoid")),
    "threshold": _function(_threshold),
    "log_sigmoid_forward": lambda space, x: (each(x, lambda i: i.apply("logsigmoid")), None),
    "logaddexp": _pointwise(lambda a, b: a + (b - a).apply("softplus"), 2),
    "prelu": _pointwise(lambda x, slope: _positive(x, x, slope * x), 2),
    "_prelu_kernel": _pointwise(lambda x, slope: _positive(x, x, slope * x), 2),
    "clamp": _clamped,
    "clamp_min": _clamped,
    "clamp_max": lambda space, x, most: _clamped(space, x, None, most),
    "where": _pointwise(lambda c, a, b: call("where", c, a, b), 3),
    **{name: _named(name) for name in ("gt", "lt", "ge", "le", "eq")},
    "ne": _pointwise(lambda a, b: 1 - call("eq", a, b).apply("where", 1, 0), 2),
    "logical_not": _function(lambda x: 1 - x),
    "lerp": _pointwise(lambda a, b, w: a + w * (b - a), 3),
}


def _addcmul(sign: str) -> Row:
    def row(space: Products, a: Any, b: Any, c: Any, value: Any = 1) -> Symbolic:
        factor = scalar(space, value)

        def make(x: Expr, y: Expr, z: Expr) -> Expr:
            term = call(sign, y, z)
            return x + (term if factor == _ONE else factor * term)

        return space.pointwise(make, [tensor(space, a), tensor(space, b), tensor(space, c)])

    return row


FUNCTIONS |= {"addcmul": _addcmul("mul"), "addcdiv": _addcmul("div")}

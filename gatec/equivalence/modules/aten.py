"""What PyTorch's operations mean as expressions: one row each.

A row takes the space and the operands as PyTorch passes them (tensors symbolic, numbers as
`int`, `Count` or expressions) and gives a tensor, or several. Views of a tensor are in `views.py`,
with how a value that is written to the view is put into the tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gatec.equivalence.modules.contract import Products
from gatec.equivalence.modules.pointwise import FUNCTIONS, Row, scalar, tensor
from gatec.equivalence.modules.record import Untraceable
from gatec.equivalence.modules.symbolic import Items, Symbolic, Unit, each
from gatec.expr import Apply, Broadcast, Const, Expr, call, number

_ONE = Const(Fraction(1))

# --- Products -------------------------------------------------------------------------------------


def _added(space: Products, bias: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Symbolic:
    product = space.matmul(a, b)
    return space.pointwise(
        lambda x, y: _times(scalar(space, beta), x) + _times(scalar(space, alpha), y),
        [bias, product],
    )


def _times(factor: Expr, x: Expr) -> Expr:
    return x if factor == _ONE else factor * x


def _linear(space: Products, x: Any, weight: Any, bias: Any = None) -> Symbolic:
    made = space.matmul(x, space.permute(weight, [1, 0]))
    return made if bias is None else space.pointwise(lambda x, b: x + b, [made, bias])


def _matmul(space: Products, a: Any, b: Any) -> Symbolic:
    return space.matmul(a, b)


_PRODUCTS: dict[str, Row] = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "matmul"), _matmul),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _added),
    "linear": _linear,
    "outer": lambda space, a, b: space.pointwise(
        lambda x, y: x * y, [space.unsqueezed(a, 1), space.unsqueezed(b, 0)]
    ),
}


# --- Reductions -----------------------------------------------------------------------------------


def _dims(x: Symbolic, dims: Any) -> list[int]:
    if dims is None or dims == ():
        return list(range(x.rank))
    return [dims] if isinstance(dims, int) else list(dims)


def _reduction(op: str) -> Row:
    def row(space: Products, x: Any, dims: Any = None, keepdim: bool = False) -> Symbolic:
        return space.reduce(x, op, _dims(x, dims), keepdim)

    return row


def _mean(space: Products, x: Any, dims: Any = None, keepdim: bool = False) -> Symbolic:
    count = space.size(x, _dims(x, dims))
    return each(space.reduce(x, "sum", _dims(x, dims), keepdim), lambda item: item / count)


def _variance(
    space: Products,
    x: Any,
    dims: Any = None,
    *more: Any,
    keepdim: bool = False,
    correction: Any = 1,
) -> Symbolic:
    mean = _mean(space, x, dims, True)
    squares = space.pointwise(lambda a, m: (a - m) * (a - m), [x, mean])
    count = space.size(x, _dims(x, dims)) - scalar(space, 1 if correction is None else correction)
    return each(space.reduce(squares, "sum", _dims(x, dims), keepdim), lambda item: item / count)


def _norm(
    space: Products, x: Any, order: Any = 2, dims: Any = None, keepdim: bool = False
) -> Symbolic:
    order = Fraction(2) if order is None else scalar(space, order)
    order = order.value if isinstance(order, Const) else order
    if order == 2:
        squares = each(x, lambda item: item * item)
        total = space.reduce(squares, "sum", _dims(x, dims), keepdim)
        return each(total, lambda item: item.apply("sqrt"))
    if order == 1:
        sizes = each(x, lambda item: item.apply("abs"))
        return space.reduce(sizes, "sum", _dims(x, dims), keepdim)
    raise Untraceable("a norm of another order than 1 and 2")


def _softmax(space: Products, x: Any, dim: int, *more: Any) -> Symbolic:
    axis = x.axes[dim]
    if len(axis) == 1 and isinstance(axis[0], Unit) and not _other_units(x, dim):
        return each(x, lambda item: item.apply("softmax"))
    powers = each(x, lambda item: item.apply("exp"))
    total = space.reduce(powers, "sum", [dim], True)
    return space.pointwise(lambda a, b: a / b, [powers, total])


def _other_units(x: Symbolic, dim: int) -> bool:
    return sum(isinstance(atom, Unit) for atom in x.atoms) > 1


def _layer_norm(
    space: Products, x: Any, shape: Sequence[Any], weight: Any, bias: Any, eps: Any
) -> tuple[Any, ...]:
    dims = list(range(-len(shape), 0))
    centred = space.pointwise(lambda a, m: a - m, [x, _mean(space, x, dims, True)])
    mean = _mean(space, each(centred, lambda item: item * item), dims, True)
    eps = scalar(space, eps)
    plain = len(shape) == 1 and eps == number(1e-5) and not _other_units(x, -1)
    if plain and isinstance(x.axes[-1][0] if x.axes[-1] else None, Unit):
        made = each(x, lambda item: item.apply("layer_norm"))
    else:
        made = space.pointwise(lambda a, v: a / (v + eps).apply("sqrt"), [centred, mean])
    if weight is not None:
        made = space.pointwise(lambda a, w: a * w, [made, weight])
    if bias is not None:
        made = space.pointwise(lambda a, b: a + b, [made, bias])
    return made, None, None


def _rms_norm(
    space: Products, x: Any, shape: Sequence[Any], weight: Any, eps: Any
) -> tuple[Any, ...]:
    dims = list(range(-len(shape), 0))
    mean = _mean(space, each(x, lambda item: item * item), dims, True)
    least = scalar(space, 2.220446049250313e-16 if eps is None else eps)
    made = space.pointwise(lambda a, v: a / (v + least).apply("sqrt"), [x, mean])
    if weight is not None:
        made = space.pointwise(lambda a, w: a * w, [made, weight])
    return made, None


def _running(op: str) -> Row:
    """A running sum or product over the steps of a sequence."""

    def row(space: Products, x: Any, dim: int) -> Symbolic:
        axis = x.axes[dim]
        if not axis:
            return x  # type: ignore[no-any-return]
        if len(axis) != 1 or not isinstance(axis[0], Items):
            raise Untraceable("a running sum over units")
        made = [space.select(x, dim, 0)]
        for k in range(1, axis[0].count):
            entry = space.select(x, dim, k)
            made.append(space.pointwise(lambda a, b: call(op, a, b), [made[-1], entry]))
        return space.stack(made, dim % x.rank)

    return row


_REDUCTIONS: dict[str, Row] = {
    "sum": _reduction("sum"),
    "amax": _reduction("amax"),
    "amin": _reduction("amin"),
    "mean": _mean,
    "var": _variance,
    "std": lambda space, *a, **k: each(_variance(space, *a, **k), lambda i: i.apply("sqrt")),
    "linalg_vector_norm": _norm,
    "norm": _norm,
    "_softmax": _softmax,
    "softmax": _softmax,
    "_log_softmax": lambda space, x, dim, *m: each(
        _softmax(space, x, dim), lambda item: item.apply("log")
    ),
    "native_layer_norm": _layer_norm,
    "layer_norm": lambda space, *args: _layer_norm(space, *args[:5])[0],
    "_fused_rms_norm": _rms_norm,
    "cumsum": _running("add"),
    "cumprod": _running("mul"),
}


# --- Layout that is no view -----------------------------------------------------------------------


def _repeat(space: Products, x: Any, repeats: Sequence[Any]) -> Symbolic:
    made = Symbolic(((),) * (len(repeats) - x.rank) + x.axes, x.items)
    for dim, count in enumerate(repeats):
        if count == 1:
            continue
        if not made.axes[dim]:
            shape: list[Any] = [-1] * made.rank
            shape[dim] = count
            made = space.expand(made, shape)
        elif isinstance(count, int):
            made = space.join([made] * count, dim)
        else:
            raise Untraceable("it repeats units as often as there are others")
    return made


def _flip(space: Products, x: Any, dims: Sequence[int]) -> Symbolic:
    for dim in dims:
        axis = x.axes[dim]
        count = axis[0].count if axis and isinstance(axis[0], Items) else 1
        x = space.reordered(x, dim % x.rank, range(count)[::-1])
    return x  # type: ignore[no-any-return]


def _same(space: Products, x: Any, *more: Any, **options: Any) -> Any:
    return x


def _as_numbers(space: Products, x: Any, *more: Any, **options: Any) -> Symbolic:
    """A conversion: conditions become 1 and 0."""
    return each(x, lambda item: item.apply("where", 1, 0) if is_condition(item) else item)


def is_condition(item: Expr) -> bool:
    inner = item.arg if isinstance(item, Broadcast) else item
    return isinstance(inner, Apply) and inner.op in ("gt", "lt", "ge", "le", "eq")


def _copied(space: Products, target: Any, source: Any, *more: Any) -> Symbolic:
    made = _as_numbers(space, tensor(space, source))
    made = Symbolic(((),) * (target.rank - made.rank) + made.axes, made.items)
    return space.spread(made, tuple(o or t for t, o in zip(target.axes, made.axes, strict=True)))


_LAYOUT: dict[str, Row] = {
    "cat": lambda space, values, dim=0: space.join(values, dim),
    "stack": lambda space, values, dim=0: space.stack(values, dim),
    "repeat": _repeat,
    "flip": _flip,
    "clone": _same,
    "contiguous": _same,
    "lift_fresh": _same,
    "_to_copy": _as_numbers,
    "to": _as_numbers,
    "copy": _copied,
    "fill": lambda space, x, value: _copied(space, x, value),
    "zero": lambda space, x: _copied(space, x, 0),
}


TABLE: dict[str, Row] = {**FUNCTIONS, **_PRODUCTS, **_REDUCTIONS, **_LAYOUT}

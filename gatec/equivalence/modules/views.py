"""Views: operations whose result shares the memory of their operand.

Each row gives the view of a value, and puts a new value of the view back into the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gatec.equivalence.modules.contract import Products
from gatec.equivalence.modules.record import Interleaved, Untraceable
from gatec.equivalence.modules.symbolic import Symbolic
from gatec.expr import Dim

Get = Callable[[Products, Symbolic], Symbolic]
Put = Callable[[Products, Symbolic, Symbolic], Symbolic]


@dataclass(frozen=True)
class View:
    """How a view is read from the whole, and written back to it."""

    get: Get
    put: Put


# What an operation returns as views: one, or several.
Row = Callable[..., "View | list[View]"]


def _shape(space: Products, value: Symbolic) -> list[Any]:
    return [space.count(*axis) for axis in value.axes]


def _reshaped(space: Products, whole: Symbolic, shape: Sequence[Any], **options: Any) -> View:
    return View(lambda s, x: s.reshape(x, shape), lambda s, x, new: s.reshape(new, _shape(s, x)))


def _permuted(order: Sequence[int]) -> View:
    back = [order.index(i) for i in range(len(order))]
    return View(lambda s, x: s.permute(x, order), lambda s, x, new: s.permute(new, back))


def _transposed(space: Products, x: Symbolic, one: int = 0, other: int = 1) -> View:
    order = list(range(x.rank))
    if x.rank > 1:
        order[one], order[other] = order[other], order[one]
    return _permuted(order)


def _permute(space: Products, x: Symbolic, order: Sequence[int]) -> View:
    return _permuted([i % x.rank for i in order])


def _selected(space: Products, x: Symbolic, dim: int, index: Any) -> View:
    dim %= x.rank
    start = space.bound(index, space.length(x, dim))
    return View(
        lambda s, v: s.select(v, dim, index),
        lambda s, v, new: s.written(v, dim, start, start + 1, s.unsqueezed(new, dim)),
    )


def _range(dim: int, start: Dim, stop: Dim) -> View:
    return View(
        lambda s, v: s.part(v, dim, start, stop),
        lambda s, v, new: s.written(v, dim, start, stop, new),
    )


def _sliced(
    space: Products, x: Symbolic, dim: int = 0, start: Any = None, stop: Any = None, step: Any = 1
) -> View:
    dim %= x.rank
    length = space.length(x, dim)
    first = Dim() if start is None else space.bound(start, length)
    last = length if stop is None else space.bound(stop, length)
    if step != 1:
        if length.terms:
            raise Interleaved
        order = range(first.const, last.const, step)
        return View(lambda s, v: s.reordered(v, dim, order), _unwritable)
    return _range(dim, first, last)


def _unwritable(space: Products, whole: Symbolic, new: Symbolic) -> Symbolic:
    raise Untraceable("it writes to a view of a kind that is not understood")


def _split(space: Products, x: Symbolic, size: Any, dim: int = 0) -> list[View]:
    dim %= x.rank
    length = space.length(x, dim)
    if type(size) is tuple:  # a `Count` is one number
        sizes = [space.dim(part) for part in size]
    else:
        each_, sizes = space.dim(size), []
        total = Dim()
        while total != length:
            if any(a > b for a, b in zip(*map(space.sizes.of, (total, length)), strict=True)):
                raise Untraceable("it splits a tensor into parts of different sizes")
            sizes.append(each_)
            total = total + each_
    made, position = [], Dim()
    for part in sizes:
        made.append(_range(dim, position, position + part))
        position = position + part
    return made


def _unbound(space: Products, x: Symbolic, dim: int = 0) -> list[View]:
    length = space.length(x, dim % x.rank)
    if length.terms:
        raise Untraceable("it handles units one by one")
    return [_selected(space, x, dim, k) for k in range(length.const)]


def _unsqueezed(space: Products, x: Symbolic, dim: int) -> View:
    dim %= x.rank + 1
    return View(lambda s, v: s.unsqueezed(v, dim), lambda s, v, new: s.squeezed(new, [dim]))


def _squeezed(space: Products, x: Symbolic, dims: Any = None) -> View:
    dims = range(x.rank) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = sorted(d % x.rank for d in dims if not x.axes[d % x.rank])

    def put(s: Products, v: Symbolic, new: Symbolic) -> Symbolic:
        for dim in gone:
            new = s.unsqueezed(new, dim)
        return new

    return View(lambda s, v: s.squeezed(v, gone), put)


def _expanded(space: Products, x: Symbolic, shape: Sequence[Any], **options: Any) -> View:
    return View(lambda s, v: s.expand(v, shape), _unwritable)


def _alias(space: Products, x: Symbolic, *more: Any, **options: Any) -> View:
    return View(lambda s, v: v, lambda s, v, new: new)


RESHAPED = ("view", "_unsafe_view", "reshape", "_reshape_alias")
VIEWS: dict[str, Row] = {
    **dict.fromkeys(RESHAPED, _reshaped),
    **dict.fromkeys(("t", "transpose"), _transposed),
    "permute": _permute,
    "select": _selected,
    "slice": _sliced,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "unbind": _unbound,
    "unsqueeze": _unsqueezed,
    "squeeze": _squeezed,
    "expand": _expanded,
    # The function is the same with `detach`; that gradients stop there, the replay sees.
    **dict.fromkeys(("alias", "detach"), _alias),
}
# Results of these are tensors of their own, made as a view is read.
COPIES = {"unsafe_split": "split", "unsafe_split_with_sizes": "split", "unsafe_chunk": "chunk"}

__all__ = ["COPIES", "RESHAPED", "VIEWS", "View"]

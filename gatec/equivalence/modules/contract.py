"""Products and reductions of symbolic tensors."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable

import numpy as np

from gatec.equivalence.modules.parts import Parts
from gatec.equivalence.modules.record import Untraceable
from gatec.equivalence.modules.symbolic import (
    Axis,
    Batch,
    Items,
    Symbolic,
    Unit,
    array,
    lists,
    units,
)
from gatec.expr import Broadcast, Const, Dim, Expr, SizeValue, call, number
from gatec.passes.layout import transpose
from gatec.passes.products import product

_ONE = Const(number(1).value)


class Products(Parts):
    """Matrix products and reductions at the sizes of several runs."""

    def matmul(self, one: Symbolic, other: Symbolic) -> Symbolic:
        """`torch.matmul`, vectors included."""
        if one.rank == 1 and other.rank == 1:
            made = self.matmul(self.unsqueezed(one, 0), self.unsqueezed(other, 1))
            return self.squeezed(made, [0, 1])
        if one.rank == 1:
            return self.squeezed(self.matmul(self.unsqueezed(one, 0), other), [-2])
        if other.rank == 1:
            return self.squeezed(self.matmul(one, self.unsqueezed(other, 1)), [-1])
        return self._matrices(one, other)

    def _matrices(self, one: Symbolic, other: Symbolic) -> Symbolic:
        one, other = self._inner_alike(one, other)
        rank = max(one.rank, other.rank)
        axes, (one, other) = self._batches(one, other, rank)
        inner, rows, columns = one.axes[-1], one.axes[-2], other.axes[-1]
        outer = tuple(itertools.chain.from_iterable(axes))
        if any(isinstance(atom, Batch) for atom in inner):
            raise Untraceable("it sums over the batch")
        if sum(isinstance(a, Batch) for a in (*outer, *rows, *columns)) > 1:
            raise Untraceable("it multiplies rows of the batch with each other")
        if len(units(inner)) > 1:
            raise Untraceable("it computes with arrays of units of three axes")
        over = lists(inner)
        result = (*lists(outer), *lists(rows), *lists(columns))
        n, m = len(lists(outer)), len(lists(rows))
        flags = bool(units(outer)), bool(units(rows)), bool(units(inner)), bool(units(columns))

        def entry(index: tuple[int, ...]) -> Expr:
            head, mid, tail = index[:n], index[n : n + m], index[n + m :]
            terms = [
                _product(one.items[(*head, *mid, *k)], other.items[(*head, *k, *tail)], flags)
                for k in np.ndindex(*over)
            ]
            return call("add", *terms) if terms[1:] else terms[0]

        return Symbolic((*axes, rows, columns), array(result, entry))

    def _inner_alike(self, one: Symbolic, other: Symbolic) -> tuple[Symbolic, Symbolic]:
        """Both with the axis that is summed over made of the same atoms."""
        a, b = one.axes[-1], other.axes[-2]
        if a == b:
            return one, other
        if not a or not b:
            raise Untraceable("it multiplies matrices whose sizes fit by chance")
        cuts = self._refined([list(a), list(b)])
        return self.cut(one, one.rank - 1, cuts), self.cut(other, other.rank - 2, cuts)

    def _batches(
        self, one: Symbolic, other: Symbolic, rank: int
    ) -> tuple[list[Axis], list[Symbolic]]:
        """The leading axes of a product, and both operands spread over them."""
        made = [Symbolic(((),) * (rank - v.rank) + v.axes, v.items) for v in (one, other)]
        axes: list[Axis] = []
        for dim in range(rank - 2):
            made = self._fitted(made, dim)
            axes.append(next((v.axes[dim] for v in made if v.axes[dim]), ()))
        return axes, [self._over(v, axes) for v in made]

    def _over(self, value: Symbolic, axes: list[Axis]) -> Symbolic:
        """The operand with its leading enumerations repeated, where it has none of them."""
        return self.spread(value, (*axes, *value.axes[-2:]))

    # --- Reductions -----------------------------------------------------------------------------

    def reduce(self, value: Symbolic, op: str, dims: Iterable[int], keep: bool) -> Symbolic:
        """`sum`, `amax` or `amin` over axes."""
        dims = sorted({dim % value.rank for dim in dims})
        for dim in dims:
            value = self._reduced(value, op, dim)
        return value if keep else self.squeezed(value, dims)

    def size(self, value: Symbolic, dims: Iterable[int]) -> Expr:
        """The number of entries over some axes."""
        made: Expr = _ONE
        for dim in {dim % value.rank for dim in dims}:
            length = self.length(value, dim)
            own = SizeValue(length) if length.terms else Const(number(length.const).value)
            made = own if made == _ONE else made * own
        return made

    def _reduced(self, value: Symbolic, op: str, dim: int) -> Symbolic:
        axis = value.axes[dim]
        if any(isinstance(atom, Batch) for atom in axis):
            raise Untraceable("it computes over the rows of the batch together")
        before = [a for other in value.axes[:dim] for a in other]
        place, inner = len(lists(before)), len(units(before))
        own = lists(axis)
        shape = (*value.items.shape[:place], *value.items.shape[place + len(own) :])
        combine = _COMBINED[op]

        def entry(index: tuple[int, ...]) -> Expr:
            parts: list[Expr] = [
                value.items[(*index[:place], *middle, *index[place:])]
                for middle in np.ndindex(*own)
            ]
            for _ in units(axis):
                parts = [_over_units(part, op, inner) for part in parts]
            return functools.reduce(combine, parts)

        axes = (*value.axes[:dim], (), *value.axes[dim + 1 :])
        return Symbolic(axes, array(shape, entry))


_COMBINED: dict[str, Callable[[Expr, Expr], Expr]] = {
    "sum": lambda a, b: call("add", a, b),
    "amax": lambda a, b: call("max", a, b),
    "amin": lambda a, b: call("min", a, b),
}


def _over_units(item: Expr, op: str, axis: int) -> Expr:
    """A reduction over one axis of units."""
    if len(item.shape) == 1:
        if op == "amin":
            return -call("amax", -item)
        return product("sum", item) if op == "sum" else call(op, item)
    if op != "sum":
        raise Untraceable("it takes the largest value of each row of a matrix")
    ones = Broadcast(_ONE, (item.shape[axis],))
    return product("matvec", item if axis == 1 else transpose(item), ones)


def _product(a: Expr, b: Expr, flags: tuple[bool, bool, bool, bool]) -> Expr:
    """One entry of a matrix product; which axes are units: outer, rows, inner, columns."""
    outer, rows, inner, columns = flags
    if outer:
        return _for_each_unit(a, b, flags)
    match rows, inner, columns:
        case False, True, False:
            return product("dot", a, b)
        case True, True, False:
            return product("matvec", a, b)
        case False, True, True:
            return product("matvec", transpose(b), a)
        case True, True, True:
            return product("matmul", a, b)
        case True, False, True:
            return product("outer", a, b)
    return call("mul", a, b)


def _for_each_unit(a: Expr, b: Expr, flags: tuple[bool, bool, bool, bool]) -> Expr:
    """A product for each unit of a leading axis: nothing but plain products has a meaning."""
    _, rows, inner, columns = flags
    if rows or columns:
        if inner or len(a.shape) + len(b.shape) > 3:
            raise Untraceable("it computes with arrays of units of three axes")
        vector, matrix = (a, b) if columns else (b, a)
        spread = call("outer", vector, Broadcast(_ONE, (matrix.shape[1],)))
        return call("mul", spread, matrix)
    if not inner:
        return call("mul", a, b)
    ones = Broadcast(_ONE, (a.shape[1],))
    return product("matvec", call("mul", a, b), ones)


__all__ = ["Dim", "Items", "Products", "Unit"]

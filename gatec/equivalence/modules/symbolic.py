"""Tensors of expressions: what an axis means, and how tensors are reshaped and broadcast.

An axis of a tensor is the batch, the units of a vector or matrix, an enumeration (the steps of a
sequence, gates that were stacked), or several of these flattened into one. A tensor holds one
expression of the IR for each combination of its enumerations; its units are the expression's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatec.equivalence.modules.merge import Count, Sizes
from gatec.equivalence.modules.record import Interleaved, Untraceable
from gatec.expr import Broadcast, Const, Dim, Expr, Shape, number
from gatec.passes.layout import concat, slice_, transpose
from gatec.passes.products import product

_MOST = 4096  # expressions in one tensor


@dataclass(frozen=True)
class Batch:
    """The rows of the batch, which no expression shows."""


@dataclass(frozen=True)
class Unit:
    """Units of a vector or matrix."""

    dim: Dim


@dataclass(frozen=True)
class Items:
    """An enumeration of a fixed length."""

    count: int


Atom = Batch | Unit | Items
Axis = tuple[Atom, ...]
Axes = tuple[Axis, ...]
Array = Any


@dataclass(frozen=True, eq=False)
class Symbolic:
    """A tensor of expressions.

    axes   what each axis is made of, the outer part first; () for an axis of size 1
    items  one expression for each combination of enumerations, an array with an axis for each
           `Items`; an expression has an axis for each `Unit`
    """

    axes: Axes
    items: Array

    @property
    def atoms(self) -> Axis:
        return tuple(itertools.chain.from_iterable(self.axes))

    @property
    def rank(self) -> int:
        return len(self.axes)


def array(shape: Sequence[int], make: Callable[[tuple[int, ...]], Expr]) -> Array:
    """An array of expressions, made index by index."""
    if np.prod(shape, dtype=int) > _MOST:
        raise Untraceable("it handles too many values one by one")
    made = np.empty(tuple(shape), dtype=object)
    for index in np.ndindex(*made.shape):
        made[index] = make(index)
    return made


def each(value: Symbolic, make: Callable[[Expr], Expr]) -> Symbolic:
    """The tensor with a function of every expression (of unchanged shape)."""
    return Symbolic(value.axes, array(value.items.shape, lambda i: make(value.items[i])))


def lists(axis: Iterable[Atom]) -> tuple[int, ...]:
    """The lengths of the enumerations."""
    return tuple(atom.count for atom in axis if isinstance(atom, Items))


def units(axis: Iterable[Atom]) -> Shape:
    """The sizes of the units."""
    return tuple(atom.dim for atom in axis if isinstance(atom, Unit))


ONE = Dim((), 1)


class Space:
    """Shapes of symbolic tensors at the sizes of several runs."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes

    # --- Sizes of axes --------------------------------------------------------------------------

    def count(self, *atoms: Atom) -> Count:
        """How many entries an axis of these atoms has, in each run."""
        made = [1] * len(self.sizes.runs)
        for atom in atoms:
            if isinstance(atom, Batch):
                own: Iterable[int] = self.sizes.of(Dim.of("batch"))
            else:
                own = self.sizes.of(atom.dim if isinstance(atom, Unit) else Dim((), atom.count))
            made = [a * b for a, b in zip(made, own, strict=True)]
        return Count(made)

    def axis(self, size: int | Count) -> Axis:
        """The axis of a size. Raises Untraceable for one that is neither units nor the batch."""
        dim = self.sizes.dim(size)
        if dim is None:
            raise Untraceable("a size of its tensors is no sum of its sizes")
        if not dim.terms:
            if dim.const < 1:
                raise Untraceable("it handles empty tensors")
            return () if dim.const == 1 else (Items(dim.const),)
        if dim == Dim.of("batch"):
            return (Batch(),)
        if any(name == "batch" for name, _ in dim.terms):
            ((_, factor), *rest) = dim.terms
            if rest or dim.const:
                raise Untraceable("it joins rows of the batch with something else")
            return (Items(factor), Batch())
        return (Unit(dim),)

    def axes(self, shape: Iterable[int | Count]) -> Axes:
        return tuple(self.axis(size) for size in shape)

    def full(self, value: Expr, shape: Iterable[int | Count]) -> Symbolic:
        """A scalar everywhere."""
        axes = self.axes(shape)
        flat = tuple(itertools.chain.from_iterable(axes))
        inner = units(flat)
        made = Broadcast(value, inner) if inner else value
        return Symbolic(axes, array(lists(flat), lambda _: made))

    # --- Reshaping ------------------------------------------------------------------------------

    def reshape(self, value: Symbolic, shape: Sequence[int | Count]) -> Symbolic:
        """The same entries in another shape. Raises Untraceable where units are cut across."""
        left = list(value.atoms)
        flat = Symbolic(tuple((atom,) for atom in left), value.items)
        axes: list[Axis] = []
        position = 0
        for size in shape:
            wanted, made = self.sizes.count(size), list[Atom]()
            have = self.count()
            while have != wanted:
                if position == len(flat.axes):
                    raise Untraceable("it reshapes a tensor in a way that is not understood")
                (atom,) = flat.axes[position]
                own = self.count(atom)
                both = Count(a * b for a, b in zip(have, own, strict=True))
                if not _divides(both, wanted):
                    flat = self._split(flat, position, quotient(wanted, have))
                    continue
                made.append(atom)
                have, position = both, position + 1
            axes.append(tuple(made))
        if any(self.count(*axis) != self.count() for axis in flat.axes[position:]):
            raise Untraceable("it reshapes a tensor in a way that is not understood")
        return Symbolic(tuple(axes), flat.items)

    def _split(self, flat: Symbolic, position: int, outer: Count | None) -> Symbolic:
        """A flat tensor with one atom as an enumeration of `outer` parts and the rest."""
        (atom,) = flat.axes[position]
        if outer is None or len(set(outer)) > 1 or outer[0] < 2:
            raise Interleaved
        count = outer[0]
        before = flat.axes[:position]
        place = len(lists(flat_ := [a for (a,) in before]))
        inner = len(units(flat_))
        if isinstance(atom, Items) and atom.count % count == 0:
            rest: Atom = Items(atom.count // count)
            shape = flat.items.shape
            items = flat.items.reshape(*shape[:place], count, -1, *shape[place + 1 :])
        elif isinstance(atom, Unit) and (dim := _divided(atom.dim, count)) is not None:
            rest = Unit(dim)
            shape = (*flat.items.shape[:place], count, *flat.items.shape[place:])

            def piece(index: tuple[int, ...]) -> Expr:
                k = index[place]
                item = flat.items[(*index[:place], *index[place + 1 :])]
                return slice_(item, inner, dim * k, dim * (k + 1))

            items = array(shape, piece)
        else:
            raise Untraceable("it reshapes a tensor in a way that is not understood")
        return Symbolic((*before, (Items(count),), (rest,), *flat.axes[position + 1 :]), items)

    def permute(self, value: Symbolic, order: Sequence[int]) -> Symbolic:
        """Axes in another order."""
        order = [i % value.rank for i in order]
        numbers = _numbered(value.axes)
        axes = tuple(value.axes[i] for i in order)
        moved = [n for i in order for n in numbers[i]]
        items = np.transpose(value.items, [n for kind, n in moved if kind is Items])
        crossed = [n for kind, n in moved if kind is Unit]
        made = Symbolic(axes, items)
        if crossed == sorted(crossed):
            return made
        if len(crossed) > 2:
            raise Untraceable("it computes with arrays of units of three axes")
        return each(made, transpose)

    def unsqueezed(self, value: Symbolic, dim: int) -> Symbolic:
        dim %= value.rank + 1
        return Symbolic((*value.axes[:dim], (), *value.axes[dim:]), value.items)

    def squeezed(self, value: Symbolic, dims: Iterable[int]) -> Symbolic:
        """The tensor without those of the axes that have size 1."""
        gone = {dim % value.rank for dim in dims if not value.axes[dim % value.rank]}
        return Symbolic(tuple(a for i, a in enumerate(value.axes) if i not in gone), value.items)

    def enumerated(self, value: Symbolic, dim: int) -> Symbolic:
        """The tensor with a fixed number of units along an axis as an enumeration of numbers."""
        (atom,) = value.axes[dim]
        assert isinstance(atom, Unit) and not atom.dim.terms
        before = [a for axis in value.axes[:dim] for a in axis]
        place, inner = len(lists(before)), len(units(before))
        shape = (*value.items.shape[:place], atom.dim.const, *value.items.shape[place:])

        def entry(index: tuple[int, ...]) -> Expr:
            item = value.items[(*index[:place], *index[place + 1 :])]
            return picked(item, inner, index[place])

        axes = (*value.axes[:dim], (Items(atom.dim.const),), *value.axes[dim + 1 :])
        return Symbolic(axes, array(shape, entry))

    def united(self, value: Symbolic, dim: int) -> Symbolic:
        """The tensor with one `Unit` along an axis that enumerates vectors or numbers."""
        axis = value.axes[dim]
        if len(axis) == 1 and isinstance(axis[0], Unit):
            return value
        if any(isinstance(atom, Batch) for atom in axis):
            raise Untraceable("it joins rows of the batch with something else")
        if len(units(axis)) > 1 or (units(axis) and not isinstance(axis[-1], Unit)):
            raise Interleaved
        before = [a for other in value.axes[:dim] for a in other]
        place, inner = len(lists(before)), len(units(before))
        own = lists(axis)
        shape = (*value.items.shape[:place], *value.items.shape[place + len(own) :])

        def joined(index: tuple[int, ...]) -> Expr:
            parts = [
                value.items[(*index[:place], *middle, *index[place:])]
                for middle in np.ndindex(*own)
            ]
            if not units(axis):
                parts = [self.widened(part, [inner]) for part in parts]
            return concat(parts, inner) if len(parts) > 1 else parts[0]

        dim_ = units(axis)[0] if units(axis) else ONE
        total = dim_ * int(np.prod(own, dtype=int))
        axes = (*value.axes[:dim], (Unit(total),), *value.axes[dim + 1 :])
        return Symbolic(axes, array(shape, joined))

    def widened(self, item: Expr, places: Sequence[int]) -> Expr:
        """An expression with an axis of one unit put in at each place."""
        for place in places:
            if not item.shape:
                item = Broadcast(item, (ONE,))
            elif len(item.shape) == 1:
                one = Broadcast(Const(number(1).value), (ONE,))
                item = product("outer", *((one, item) if place == 0 else (item, one)))
            else:
                raise Untraceable("it computes with arrays of units of three axes")
        return item


# --- Helpers --------------------------------------------------------------------------------------


def picked(item: Expr, axis: int, index: int) -> Expr:
    """One unit along an axis of an expression, without that axis."""
    start = Dim((), index) if index >= 0 else item.shape[axis] + index
    part = slice_(item, axis, start, start + 1)
    if len(part.shape) == 1:
        return product("sum", part)
    ones = Broadcast(Const(number(1).value), (ONE,))
    return product("matvec", part if axis == 1 else transpose(part), ones)


def _numbered(axes: Axes) -> list[list[tuple[type, int]]]:
    """Each axis as (kind of atom, its number among those of its kind)."""
    counters: dict[type, Iterator[int]] = {k: itertools.count() for k in (Batch, Unit, Items)}
    return [[(type(atom), next(counters[type(atom)])) for atom in axis] for axis in axes]


def _divides(part: Count, whole: Count) -> bool:
    return all(w % p == 0 for p, w in zip(part, whole, strict=True))


def quotient(whole: Count, part: Count) -> Count | None:
    return (
        Count(w // p for p, w in zip(part, whole, strict=True)) if _divides(part, whole) else None
    )


def _divided(dim: Dim, count: int) -> Dim | None:
    """A size over a whole number, where that is a size."""
    if dim.const % count or any(c % count for _, c in dim.terms):
        return None
    return Dim(tuple((name, c // count) for name, c in dim.terms), dim.const // count)

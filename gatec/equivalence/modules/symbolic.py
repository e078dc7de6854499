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
from gatec.equivalence.modules.record import Untraceable
from gatec.expr import Broadcast, Const, Dim, Expr, Shape, call, number
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
                    flat = self._split(flat, position, _quotient(wanted, have))
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
            raise Untraceable("it takes every n-th unit of a vector")
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
            raise Untraceable("it takes every n-th unit of a vector")
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

    # --- Broadcasting ---------------------------------------------------------------------------

    def expand(self, value: Symbolic, shape: Sequence[int | Count]) -> Symbolic:
        """Axes of size 1 repeated; -1 keeps an axis."""
        missing = len(shape) - value.rank
        axes = ((),) * missing + value.axes
        wanted = tuple(
            axis if axis or size == -1 else self.axis(size)
            for axis, size in zip(axes, shape, strict=True)
        )
        return self.spread(Symbolic(axes, value.items), wanted)

    def spread(self, value: Symbolic, wanted: Axes) -> Symbolic:
        """The tensor over all of the axes; each of its own is the wanted one or of size 1."""
        present = [bool(axis) for axis in value.axes]
        flat = [(atom, has) for axis, has in zip(wanted, present, strict=True) for atom in axis]
        index = tuple(slice(None) if has else None for atom, has in flat if isinstance(atom, Items))
        shape = lists(atom for atom, _ in flat)
        items = np.broadcast_to(value.items[index], shape)
        target = units(atom for atom, _ in flat)
        own = [has for atom, has in flat if isinstance(atom, Unit)]
        return Symbolic(wanted, array(shape, lambda i: broadcast(items[i], target, own)))

    def aligned(self, values: Sequence[Symbolic]) -> tuple[Axes, list[Symbolic]]:
        """The axes of a pointwise result, and the operands with axes that fit into them."""
        rank = max(value.rank for value in values)
        made = [Symbolic(((),) * (rank - v.rank) + v.axes, v.items) for v in values]
        axes: list[Axis] = []
        for dim in range(rank):
            made = self._fitted(made, dim)
            axes.append(next((value.axes[dim] for value in made if value.axes[dim]), ()))
        return tuple(axes), made

    def _fitted(self, values: list[Symbolic], dim: int) -> list[Symbolic]:
        """Operands whose axes `dim` are made of the same atoms (or are of size 1)."""
        found = dict.fromkeys(value.axes[dim] for value in values if value.axes[dim])
        if len(found) < 2:
            return values
        cuts = self._refined([list(axis) for axis in found])
        return [self.cut(value, dim, cuts) if value.axes[dim] else value for value in values]

    def cut(self, value: Symbolic, dim: int, cuts: Sequence[Count]) -> Symbolic:
        """The tensor with an axis of atoms of these sizes; fixed numbers of units enumerated."""
        shape: list[int | Count] = [self.count(*axis) for axis in value.axes]
        flat = self.reshape(value, [*shape[:dim], *cuts, *shape[dim + 1 :]])
        for k in range(dim, dim + len(cuts)):
            axis = flat.axes[k]
            if len(axis) == 1 and isinstance(axis[0], Unit) and not axis[0].dim.terms:
                flat = self.enumerated(flat, k)
        middle = tuple(itertools.chain.from_iterable(flat.axes[dim : dim + len(cuts)]))
        axes = (*flat.axes[:dim], middle, *flat.axes[dim + len(cuts) :])
        return Symbolic(axes, flat.items)

    def _refined(self, axes: list[list[Atom]]) -> list[Count]:
        """Sizes of atoms that all of the axes can be cut into."""
        left = [[self.count(atom) for atom in axis] for axis in axes]
        cuts: list[Count] = []
        while all(left):
            smallest = min((counts[0] for counts in left), key=lambda c: tuple(c))
            cuts.append(smallest)
            for counts in left:
                rest = _quotient(counts[0], smallest)
                if rest is None:
                    raise Untraceable("it combines axes of different kinds unit by unit")
                if all(part == 1 for part in rest):
                    counts.pop(0)
                else:
                    counts[0] = rest
        if any(left):
            raise Untraceable("it combines axes of different sizes unit by unit")
        return cuts

    def pointwise(self, make: Callable[..., Expr], values: Sequence[Symbolic]) -> Symbolic:
        """A function of the expressions of several tensors, unit by unit."""
        axes, values = self.aligned(values)
        flat = tuple(itertools.chain.from_iterable(axes))
        target, shape = units(flat), lists(flat)
        operands = []
        for value in values:
            present = [
                (atom, bool(has))
                for axis, has in zip(axes, value.axes, strict=True)
                for atom in axis
            ]
            index = tuple(slice(None) if h else None for a, h in present if isinstance(a, Items))
            items = np.broadcast_to(value.items[index], shape)
            operands.append((items, [h for a, h in present if isinstance(a, Unit)]))

        def made(index: tuple[int, ...]) -> Expr:
            parts = [
                item if not item.shape else broadcast(item, target, own)
                for item, own in ((items[index], own) for items, own in operands)
            ]
            if target and not any(part.shape for part in parts):
                parts = [Broadcast(parts[0], target), *parts[1:]]
            return make(*parts)

        return Symbolic(axes, array(shape, made))


# --- Helpers --------------------------------------------------------------------------------------


def broadcast(item: Expr, target: Shape, own: Sequence[bool]) -> Expr:
    """An expression over those axes of units that it has (`own`), over all of them."""
    if item.shape == target and all(own):
        return item
    if not any(own):
        return Broadcast(item, target) if target else item
    if len(target) != 2:
        raise Untraceable("it computes with arrays of units of three axes")
    ones = Broadcast(Const(number(1).value), (target[0 if own[1] else 1],))
    return call("outer", *((ones, item) if own[1] else (item, ones)))


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


def _quotient(whole: Count, part: Count) -> Count | None:
    return (
        Count(w // p for p, w in zip(part, whole, strict=True)) if _divides(part, whole) else None
    )


def _divided(dim: Dim, count: int) -> Dim | None:
    """A size over a whole number, where that is a size."""
    if dim.const % count or any(c % count for _, c in dim.terms):
        return None
    return Dim(tuple((name, c // count) for name, c in dim.terms), dim.const // count)

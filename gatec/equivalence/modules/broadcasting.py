"""Symbolic tensors broadcast over each other, as PyTorch does it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from gatec.equivalence.modules.merge import Count
from gatec.equivalence.modules.record import Untraceable
from gatec.equivalence.modules.symbolic import (
    Atom,
    Axes,
    Axis,
    Items,
    Space,
    Symbolic,
    Unit,
    array,
    lists,
    quotient,
    units,
)
from gatec.expr import Broadcast, Const, Expr, Shape, call, number


class Broadcasting(Space):
    """Operands with axes of the same atoms, at the sizes of several runs."""

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
                rest = quotient(counts[0], smallest)
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

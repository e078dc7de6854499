"""Parts of symbolic tensors: slices, joins, and parts that are written to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from gatec.equivalence.modules.broadcasting import Broadcasting
from gatec.equivalence.modules.merge import Count
from gatec.equivalence.modules.record import Untraceable
from gatec.equivalence.modules.symbolic import (
    ONE,
    Axes,
    Batch,
    Items,
    Symbolic,
    Unit,
    array,
    lists,
    picked,
    units,
)
from gatec.expr import Dim, Expr
from gatec.passes.layout import concat, slice_

Whole = int | Count


class Parts(Broadcasting):
    """Slices and joins at the sizes of several runs."""

    def dim(self, size: Whole) -> Dim:
        dim = self.sizes.dim(size)
        if dim is None:
            raise Untraceable("a size of its tensors is no sum of its sizes")
        return dim

    def length(self, value: Symbolic, axis: int) -> Dim:
        """The size of an axis."""
        return self.dim(self.count(*value.axes[axis]))

    def bound(self, index: Whole, length: Dim) -> Dim:
        """An end of a range as a distance from the start."""
        found = self.dim(index)
        if any(n < 0 for n in self.sizes.of(found)):
            found = found + length
        if any(n > m for n, m in zip(self.sizes.of(found), self.sizes.of(length), strict=True)):
            return length
        return found

    # --- Slices ---------------------------------------------------------------------------------

    def part(self, value: Symbolic, axis: int, start: Dim, stop: Dim) -> Symbolic:
        """Entries `start` to `stop` along an axis."""
        axis %= value.rank
        if start == Dim() and stop == self.length(value, axis):
            return value
        if any(b <= a for a, b in zip(*map(self.sizes.of, (start, stop)), strict=True)):
            raise Untraceable("it handles empty tensors")
        atoms = value.axes[axis]
        if any(isinstance(atom, Batch) for atom in atoms):
            raise Untraceable("it takes rows out of the batch")
        if len(atoms) == 1 and isinstance(atoms[0], Items):
            return self._items(value, axis, range(start.const, stop.const))
        if len(atoms) > 1:
            whole = self._of_items(value, axis, start, stop)
            if whole is not None:
                return whole
            value = self.united(value, axis)
        inner = len(units(a for other in value.axes[:axis] for a in other))
        shape = value.items.shape
        if stop - start == ONE:
            made = array(shape, lambda i: picked_at(value.items[i], inner, start))
            return Symbolic((*value.axes[:axis], (), *value.axes[axis + 1 :]), made)
        made = array(shape, lambda i: slice_(value.items[i], inner, start, stop))
        middle = (Unit(stop - start),)
        return Symbolic((*value.axes[:axis], middle, *value.axes[axis + 1 :]), made)

    def _of_items(self, value: Symbolic, axis: int, start: Dim, stop: Dim) -> Symbolic | None:
        """A slice of whole vectors of a flattened enumeration; None where it cuts one."""
        first, *rest = value.axes[axis]
        if not isinstance(first, Items):
            return None
        each = self.dim(self.count(*rest))
        bounds = {each * k: k for k in range(first.count + 1)}
        if start not in bounds or stop not in bounds:
            return None
        shape = [self.count(*a) for a in value.axes]
        apart = self.reshape(
            value, [*shape[:axis], first.count, self.count(*rest), *shape[axis + 1 :]]
        )
        chosen = self._items(apart, axis, range(bounds[start], bounds[stop]))
        middle = (*chosen.axes[axis], *chosen.axes[axis + 1])
        axes = (*chosen.axes[:axis], middle, *chosen.axes[axis + 2 :])
        return Symbolic(axes, chosen.items)

    def _items(self, value: Symbolic, axis: int, chosen: Sequence[int]) -> Symbolic:
        """Entries of an enumeration."""
        place = len(lists(a for other in value.axes[:axis] for a in other))
        items = np.take(value.items, list(chosen), axis=place)
        middle = (Items(len(chosen)),) if len(chosen) > 1 else ()
        if len(chosen) == 1:
            items = items.squeeze(place)
        return Symbolic((*value.axes[:axis], middle, *value.axes[axis + 1 :]), items)

    def reordered(self, value: Symbolic, axis: int, order: Sequence[int]) -> Symbolic:
        """Entries of an enumeration in another order."""
        atoms = value.axes[axis]
        if not atoms and list(order) == [0]:
            return value
        if len(atoms) != 1 or not isinstance(atoms[0], Items):
            raise Untraceable("it reorders units or rows")
        return self._items(value, axis, order)

    def select(self, value: Symbolic, axis: int, index: Whole) -> Symbolic:
        """One entry along an axis, without that axis."""
        axis %= value.rank
        start = self.bound(index, self.length(value, axis))
        made = self.part(value, axis, start, start + 1)
        return Symbolic((*made.axes[:axis], *made.axes[axis + 1 :]), made.items)

    def split(self, value: Symbolic, axis: int, sizes: Sequence[Dim]) -> list[Symbolic]:
        """Consecutive parts of given sizes."""
        ends = list(itertools.accumulate(sizes, initial=Dim()))
        return [self.part(value, axis, a, b) for a, b in itertools.pairwise(ends)]

    # --- Joins ----------------------------------------------------------------------------------

    def join(self, values: Sequence[Symbolic], axis: int) -> Symbolic:
        """Tensors joined along an axis (`torch.cat`)."""
        axis %= values[0].rank
        if len(values) == 1:
            return values[0]
        values = self._alike(values, axis)
        if all(not v.axes[axis] or isinstance(v.axes[axis][0], Items) for v in values):
            found = self._enumerated(values, axis)
            if found is not None:
                return found
        values = [self.united(value, axis) for value in values]
        first = values[0]
        inner = len(units(a for other in first.axes[:axis] for a in other))
        total = sum((self.length(value, axis) for value in values), Dim())
        items = array(
            first.items.shape, lambda i: concat([value.items[i] for value in values], inner)
        )
        return Symbolic((*first.axes[:axis], (Unit(total),), *first.axes[axis + 1 :]), items)

    def _enumerated(self, values: Sequence[Symbolic], axis: int) -> Symbolic | None:
        """A join of enumerations of the same things, as a longer enumeration."""
        rests = {value.axes[axis][1:] for value in values}
        if len(rests) > 1:
            return None
        (rest,) = rests
        place = len(lists(a for other in values[0].axes[:axis] for a in other))
        parts = [
            value.items if value.axes[axis] else np.expand_dims(value.items, place)
            for value in values
        ]
        items = np.concatenate(parts, axis=place)
        middle = (Items(items.shape[place]), *rest)
        return Symbolic((*values[0].axes[:axis], middle, *values[0].axes[axis + 1 :]), items)

    def _alike(self, values: Sequence[Symbolic], axis: int) -> list[Symbolic]:
        """The tensors with axes of the same atoms, but for the one that is joined."""
        made = list(values)
        for other in range(made[0].rank):
            if other != axis:
                made = self._fitted(made, other)
        axes = [next((v.axes[k] for v in made if v.axes[k]), ()) for k in range(made[0].rank)]
        return [self.spread(v, self._with(axes, axis, v.axes[axis])) for v in made]

    def _with(self, axes: Sequence[object], axis: int, own: object) -> Axes:
        made = list(axes)
        made[axis] = own
        return tuple(made)  # type: ignore[arg-type]

    def stack(self, values: Sequence[Symbolic], axis: int) -> Symbolic:
        """Tensors as the entries of a new axis."""
        axis %= values[0].rank + 1
        return self.join([self.unsqueezed(value, axis) for value in values], axis)

    # --- Parts that are written to --------------------------------------------------------------

    def written(self, value: Symbolic, axis: int, start: Dim, stop: Dim, new: Symbolic) -> Symbolic:
        """The tensor with entries `start` to `stop` along an axis replaced."""
        axis %= value.rank
        length = self.length(value, axis)
        if start == Dim() and stop == length:
            return new
        parts = [new]
        if start != Dim():
            parts.insert(0, self.part(value, axis, Dim(), start))
        if stop != length:
            parts.append(self.part(value, axis, stop, length))
        return self.join(parts, axis)


def picked_at(item: Expr, axis: int, start: Dim) -> Expr:
    """The unit at a symbolic place, without its axis."""
    return picked(slice_(item, axis, start, start + 1), axis, 0)

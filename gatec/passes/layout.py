"""Slices, transposes and joins built in one form.

A slice of a slice is one slice, a transpose stands outside of slices, neighbouring slices of
one value join to a longer slice. Slices and transposes move inwards through operators that
compute unit by unit, down to the names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gatec.expr import Apply, Broadcast, Concat, Dim, Expr, Identity, Slice, call
from gatec.passes.algebra import make
from gatec.passes.common import is_pointwise, is_transpose, is_zero, zeros

ZERO, ONE = Dim(), Dim((), 1)


@dataclass(frozen=True)
class View:
    """`base[start0:stop0, start1:stop1]`, perhaps transposed. Ranges are those of the base."""

    base: Expr
    ranges: tuple[tuple[Dim, Dim], ...]
    transposed: bool = False

    @classmethod
    def of(cls, expr: Expr) -> View:
        if is_transpose(expr):
            inner = cls.of(expr.children[0])
            return cls(inner.base, inner.ranges, not inner.transposed)
        if isinstance(expr, Slice):
            inner = cls.of(expr.arg)
            axis = 1 - expr.axis if inner.transposed else expr.axis
            ranges = list(inner.ranges)
            start = ranges[axis][0]
            ranges[axis] = (start + expr.start, start + expr.stop)
            return cls(inner.base, tuple(ranges), inner.transposed)
        return cls(expr, tuple((ZERO, dim) for dim in expr.shape))

    def expr(self) -> Expr:
        made = self.base
        # Columns first: rows of one matrix's columns are then slices of one expression.
        for axis in reversed(range(len(self.ranges))):
            start, stop = self.ranges[axis]
            if (start, stop) != (ZERO, self.base.shape[axis]):
                made = Slice(made, axis, start, stop)
        return Apply("transpose", (made,)) if self.transposed else made

    def joined(self, other: View, axis: int) -> View | None:
        """Both as one view, where `other` goes on along `axis` where this one stops."""
        axis = 1 - axis if self.transposed else axis
        if (self.base, self.transposed) != (other.base, other.transposed):
            return None
        for i, (mine, its) in enumerate(zip(self.ranges, other.ranges, strict=True)):
            if (mine[1] != its[0]) if i == axis else (mine != its):
                return None
        ranges = list(self.ranges)
        ranges[axis] = (ranges[axis][0], other.ranges[axis][1])
        return View(self.base, tuple(ranges), self.transposed)


def transpose(arg: Expr) -> Expr:
    """The transpose of a matrix, moved inwards as far as it goes."""
    if isinstance(arg, Identity):
        return arg
    if isinstance(arg, Broadcast):
        return Broadcast(arg.arg, arg.target[::-1])
    if isinstance(arg, Concat):
        return concat([transpose(part) for part in arg.args], 1 - arg.axis)
    if isinstance(arg, Apply):
        if arg.op == "outer":
            return call("outer", arg.args[1], arg.args[0])
        if arg.op == "matmul":
            return call("matmul", transpose(arg.args[1]), transpose(arg.args[0]))
        if arg.op == "batch_sum":
            return call("batch_sum", transpose(arg.args[0]))
        if is_pointwise(arg):
            return make(arg.op, *(transpose(part) if part.shape else part for part in arg.args))
    return View.of(Apply("transpose", (arg,))).expr()


def slice_(arg: Expr, axis: int, start: Dim, stop: Dim) -> Expr:
    """Units `start` to `stop` of `arg` along `axis`, moved inwards as far as it goes."""
    if (start, stop) == (ZERO, arg.shape[axis]):
        return arg
    if isinstance(arg, Broadcast):
        shape = list(arg.target)
        shape[axis] = stop - start
        return Broadcast(arg.arg, tuple(shape))
    if isinstance(arg, Concat):
        return _slice_of_concat(arg, axis, start, stop)
    if isinstance(arg, Apply):
        parts = list(arg.args)
        if arg.op == "outer":
            parts[axis] = slice_(parts[axis], 0, start, stop)
            return call("outer", *parts)
        if arg.op in ("matvec", "matmul"):
            parts[axis] = slice_(parts[axis], axis, start, stop)
            return call(arg.op, *parts)
        if arg.op == "batch_sum":
            return call("batch_sum", slice_(parts[0], axis, start, stop))
        if is_pointwise(arg):
            return make(
                arg.op, *(slice_(part, axis, start, stop) if part.shape else part for part in parts)
            )
    return View.of(Slice(arg, axis, start, stop)).expr()


def _slice_of_concat(arg: Concat, axis: int, start: Dim, stop: Dim) -> Expr:
    if axis != arg.axis:
        return concat([slice_(part, axis, start, stop) for part in arg.args], arg.axis)
    # Sizes are symbols: a slice that starts and stops between parts is those parts, and one
    # inside a part is a slice of it only where the symbols show that it is.
    offsets = [ZERO]
    for part in arg.args:
        offsets.append(offsets[-1] + units(part, axis))
    if start in offsets and stop in offsets:
        first, last = offsets.index(start), offsets.index(stop)
        if first < last:
            return concat(list(arg.args[first:last]), axis)
    for part, offset in zip(arg.args, offsets, strict=False):
        end = offset + units(part, axis)
        if part.shape and never_negative(start - offset) and never_negative(end - stop):
            return slice_(part, axis, start - offset, stop - offset)
    return Slice(arg, axis, start, stop)


def units(part: Expr, axis: int) -> Dim:
    """How many units a part of a join has along an axis; a scalar is one unit."""
    return part.shape[axis] if part.shape else ONE


def never_negative(dim: Dim) -> bool:
    """Whether a difference of sizes is 0 or more, whatever the sizes."""
    return dim.const >= 0 and all(count >= 0 for _, count in dim.terms)


def concat(parts: list[Expr], axis: int) -> Expr:
    """Parts joined; nested joins are flat, neighbouring slices of one value are one slice."""
    joined: list[Expr] = []
    for part in parts:
        same = isinstance(part, Concat) and part.axis == axis
        for piece in part.children if same else (part,):
            if joined and piece.shape and joined[-1].shape:
                both = View.of(joined[-1]).joined(View.of(piece), axis)
                if both is not None:
                    joined[-1] = both.expr()
                    continue
            joined.append(piece)
    if len(joined) == 1 and joined[0].shape:
        return joined[0]
    return Concat(tuple(joined), axis)


def add_joins(terms: tuple[Expr, ...]) -> Expr | None:
    """A sum of joins as the join of sums: what slices of one value send back to it.

    Each term is a join, its zero parts but padding. None where the terms are no joins along one
    axis, or their other parts overlap without being the same units.
    """
    first = terms[0]
    if not isinstance(first, Concat) or not all(
        isinstance(term, Concat) and term.axis == first.axis and term.shape == first.shape
        for term in terms
    ):
        return None
    axis, pieces = first.axis, dict[tuple[Dim, Dim], list[Expr]]()
    for term in terms:
        start = ZERO
        for part in term.children:
            stop = start + units(part, axis)
            if not is_zero(part):
                pieces.setdefault((start, stop), []).append(part)
            start = stop
    stops = dict(pieces.keys())  # start -> stop
    if len(stops) < len(pieces):
        return None
    position, parts = ZERO, list[Expr]()
    while stops:
        start = position if position in stops else _nearest(stops)
        stop = stops.pop(start)
        if start != position:
            if not never_negative(start - position):
                return None
            parts.append(_padding(first, axis, start - position))
        found = pieces[start, stop]
        parts.append(make("add", *found) if len(found) > 1 else found[0])
        position = stop
    end = first.shape[axis]
    if position != end:
        parts.append(_padding(first, axis, end - position))
    return concat(parts, axis)


def _nearest(starts: Iterable[Dim]) -> Dim:
    """The smallest of the starts, as far as sizes tell."""
    best, *others = starts
    for other in others:
        if never_negative(best - other):
            best = other
    return best


def _padding(like: Expr, axis: int, size: Dim) -> Expr:
    shape = list(like.shape)
    shape[axis] = size
    return zeros(tuple(shape))

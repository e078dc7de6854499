"""Slices, transposes and joins of the checker: moved inwards, down to what is stored.

`inwards` gives an expression in which slices and transposes stand at names alone (or at values
that cannot be cut), and neighbouring slices of one value are joined.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatec.equivalence.checker.refusal import Refused
from gatec.expr import Apply, Broadcast, Concat, Dim, Expr, Identity, Shape, Slice
from gatec.ops import OPS, Kind

NONE, UNIT = Dim(), Dim((), 1)


def inwards(expr: Expr, known: dict[Expr, Expr]) -> Expr:
    """The expression with its slices, transposes and joins in one form."""
    stack = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if node in known:
            continue
        if ready or not node.children:
            made = node.with_children(tuple(known[child] for child in node.children))
            if isinstance(made, Slice):
                made = cut(made.arg, made.axis, made.start, made.stop)
            elif isinstance(made, Concat):
                made = join(made.args, made.axis)
            elif isinstance(made, Apply) and made.op == "transpose":
                made = turned(made.args[0])
            known[node] = made
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in node.children)
    return known[expr]


def cut(value: Expr, axis: int, start: Dim, stop: Dim) -> Expr:
    """Units `start` to `stop` of a value along an axis, from the same units of its operands."""
    if start == NONE and stop == value.shape[axis]:
        return value
    if isinstance(value, Broadcast):
        shape = list(value.target)
        shape[axis] = stop - start
        return Broadcast(value.arg, tuple(shape))
    if isinstance(value, Concat):
        return _cut_join(value, axis, start, stop)
    if isinstance(value, Apply):
        args = list(value.args)
        if OPS[value.op].kind is Kind.POINTWISE:
            whole = [cut(a, axis, start, stop) if a.shape else a for a in args]
            return Apply(value.op, tuple(whole))
        # The rows of a product are those of its first operand, the columns those of its last.
        if value.op == "outer":
            args[axis] = cut(args[axis], 0, start, stop)
            return Apply("outer", tuple(args))
        if value.op in ("matvec", "matmul"):
            args[axis] = cut(args[axis], axis, start, stop)
            return Apply(value.op, tuple(args))
    return _Stored.of(value).cut(axis, start, stop).expr()


def _cut_join(value: Concat, axis: int, start: Dim, stop: Dim) -> Expr:
    if axis != value.axis:
        return join(tuple(cut(part, axis, start, stop) for part in value.args), value.axis)
    found: list[Expr] = []
    at, inside = NONE, False
    for part in value.args:
        end = at + length(part, axis)
        if at == start and not inside and _within(at, end, stop):
            inside = True
        if inside and _within(at, end, stop):
            found.append(part)
            if end == stop:
                return join(tuple(found), axis)
        elif not inside and part.shape and _ordered(at, start) and _ordered(stop, end):
            return cut(part, axis, start - at, stop - at)
        at = end
    return Slice(value, axis, start, stop)


def _within(at: Dim, end: Dim, stop: Dim) -> bool:
    return _ordered(end, stop)


def _ordered(one: Dim, other: Dim) -> bool:
    """Whether `one` is at most `other`, whatever the sizes."""
    gap = other - one
    return gap.const >= 0 and all(count > 0 for _, count in gap.terms)


def length(part: Expr, axis: int) -> Dim:
    """How many units a part of a join has; a scalar is one."""
    return part.shape[axis] if part.shape else UNIT


def join(parts: tuple[Expr, ...], axis: int) -> Expr:
    """Parts as one value: flat, and what follows on in one stored value as one slice of it."""
    made: list[Expr] = []
    for part in parts:
        flat = part.args if isinstance(part, Concat) and part.axis == axis else (part,)
        for piece in flat:
            last = made[-1] if made else None
            longer = _followed(last, piece, axis) if last is not None else None
            if longer is None:
                made.append(piece)
            else:
                made[-1] = longer
    if len(made) > 1:
        return Concat(tuple(made), axis)
    (single,) = made
    return single if single.shape else Broadcast(single, (UNIT,))


def _followed(one: Expr, other: Expr, axis: int) -> Expr | None:
    if not one.shape or not other.shape or not (_is_stored(one) and _is_stored(other)):
        return None
    first, second = _Stored.of(one), _Stored.of(other)
    both = first.followed(second, axis)
    return None if both is None else both.expr()


def turned(value: Expr) -> Expr:
    """The transpose of a matrix."""
    if isinstance(value, Identity):
        return value
    if isinstance(value, Broadcast):
        rows, columns = value.target
        return Broadcast(value.arg, (columns, rows))
    if isinstance(value, Concat):
        return join(tuple(turned(part) for part in value.args), 1 - value.axis)
    if isinstance(value, Apply):
        if OPS[value.op].kind is Kind.POINTWISE:
            return Apply(value.op, tuple(turned(a) if a.shape else a for a in value.args))
        if value.op == "outer":
            return Apply("outer", value.args[::-1])
        if value.op == "matmul":
            return Apply("matmul", (turned(value.args[1]), turned(value.args[0])))
    return _Stored.of(value).turned().expr()


def _is_stored(value: Expr) -> bool:
    return isinstance(value, Slice) or not isinstance(value, Broadcast | Concat | Identity)


@dataclass(frozen=True)
class _Stored:
    """A rectangle of a stored value, perhaps transposed; `spans` are those of the value."""

    value: Expr
    spans: tuple[tuple[Dim, Dim], ...]
    flipped: bool = False

    @staticmethod
    def of(expr: Expr) -> _Stored:
        if isinstance(expr, Slice):
            return _Stored.of(expr.arg).cut(expr.axis, expr.start, expr.stop)
        if isinstance(expr, Apply) and expr.op == "transpose":
            return _Stored.of(expr.args[0]).turned()
        return _Stored(expr, tuple((NONE, dim) for dim in expr.shape))

    @property
    def shape(self) -> Shape:
        lengths = tuple(stop - start for start, stop in self.spans)
        return lengths[::-1] if self.flipped else lengths

    def cut(self, axis: int, start: Dim, stop: Dim) -> _Stored:
        own = 1 - axis if self.flipped else axis
        at = self.spans[own][0]
        spans = list(self.spans)
        spans[own] = (at + start, at + stop)
        return _Stored(self.value, tuple(spans), self.flipped)

    def turned(self) -> _Stored:
        if len(self.spans) != 2:
            raise Refused("a transpose of what is no matrix")
        return _Stored(self.value, self.spans, not self.flipped)

    def followed(self, other: _Stored, axis: int) -> _Stored | None:
        own = 1 - axis if self.flipped else axis
        if (self.value, self.flipped) != (other.value, other.flipped):
            return None
        spans = list(self.spans)
        for i, (mine, its) in enumerate(zip(self.spans, other.spans, strict=True)):
            if i != own and mine != its:
                return None
        if self.spans[own][1] != other.spans[own][0]:
            return None
        spans[own] = (self.spans[own][0], other.spans[own][1])
        return _Stored(self.value, tuple(spans), self.flipped)

    def expr(self) -> Expr:
        made = self.value
        for axis, (start, stop) in enumerate(self.spans):
            if (start, stop) != (NONE, self.value.shape[axis]):
                made = Slice(made, axis, start, stop)
        return Apply("transpose", (made,)) if self.flipped else made

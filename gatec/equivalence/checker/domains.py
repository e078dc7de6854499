"""Where a cell is defined: bounds of values, and what quotients, roots and logarithms ask for.

Laws hold where both sides are defined. `u / u` is not 1 where u is 0, and states start at 0: so
two cells count as equal only if they ask for the same. A denominator like `1 + exp(u)` asks for
nothing: intervals show that it is never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import inf

from gatec.expr import (
    Apply,
    Broadcast,
    Concat,
    Const,
    Dim,
    Expr,
    Identity,
    Ref,
    SizeValue,
    Slice,
)
from gatec.ops import OPS

Bound = Fraction | float


@dataclass(frozen=True)
class Interval:
    """Values from `low` to `high`; an open end is never reached."""

    low: Bound = -inf
    high: Bound = inf
    low_open: bool = False
    high_open: bool = False

    @property
    def positive(self) -> bool:
        return self.low > 0 or (self.low == 0 and self.low_open)

    @property
    def not_negative(self) -> bool:
        return self.low >= 0

    @property
    def not_zero(self) -> bool:
        return self.positive or self.high < 0 or (self.high == 0 and self.high_open)


ANY = Interval()
NOT_NEGATIVE = Interval(Fraction(0))
POSITIVE = Interval(Fraction(0), inf, True)
UNIT = Interval(Fraction(0), Fraction(1), True, True)
SIGNED = Interval(Fraction(-1), Fraction(1))
_BOUNDED = {
    "exp": POSITIVE,
    "softplus": POSITIVE,
    "sigmoid": UNIT,
    "tanh": Interval(Fraction(-1), Fraction(1), True, True),
    "erf": Interval(Fraction(-1), Fraction(1), True, True),
    "sin": SIGNED,
    "cos": SIGNED,
    "sign": SIGNED,
    "eq": Interval(Fraction(0), Fraction(1)),
    **dict.fromkeys(("gt", "lt", "ge", "le"), Interval(Fraction(0), Fraction(1))),
}
# Functions with the sign of their operand.
_SIGN_KEPT = frozenset({"tanh", "erf", "arctan", "expm1", "log1p"})


def point(value: Fraction) -> Interval:
    return Interval(value, value)


def total(parts: Iterable[Interval]) -> Interval:
    """The sum of values in intervals."""
    made = point(Fraction(0))
    for part in parts:
        made = Interval(
            made.low + part.low,
            made.high + part.high,
            made.low_open or part.low_open,
            made.high_open or part.high_open,
        )
    return made


def negative(one: Interval) -> Interval:
    return Interval(-one.high, -one.low, one.high_open, one.low_open)


def union(one: Interval, other: Interval) -> Interval:
    low, low_open = min((one.low, one.low_open), (other.low, other.low_open))
    high, closed = max((one.high, not one.high_open), (other.high, not other.high_open))
    return Interval(low, high, low_open, not closed)


def product(one: Interval, other: Interval) -> Interval:
    """The product: exact signs, coarse bounds elsewhere."""
    ends = [
        (
            _times(a, b),
            (a_open or b_open) and not (_closed_zero(a, a_open) or _closed_zero(b, b_open)),
        )
        for a, a_open in ((one.low, one.low_open), (one.high, one.high_open))
        for b, b_open in ((other.low, other.low_open), (other.high, other.high_open))
    ]
    low, low_open = min(ends)
    high, closed = max((value, not is_open) for value, is_open in ends)
    return Interval(low, high, low_open, not closed)


def _closed_zero(bound: Bound, is_open: bool) -> bool:
    return bound == 0 and not is_open


def _times(one: Bound, other: Bound) -> Bound:
    return Fraction(0) if one == 0 or other == 0 else one * other


class Bounds:
    """Intervals of expressions; quantities have the bounds of their equations' right sides.

    `behind` are other names of quantities.
    """

    def __init__(self, quantities: Mapping[str, Expr], behind: Mapping[Expr, Expr]) -> None:
        self.quantities, self.behind = quantities, behind
        self._known: dict[Expr, Interval] = {}

    def __call__(self, expr: Expr) -> Interval:
        stack = [(expr, False)]
        while stack:
            node, ready = stack.pop()
            if node in self._known:
                continue
            inner = self._below(node)
            if ready or not inner:
                self._known[node] = self._node(node, [self._known[child] for child in inner])
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in inner)
        return self._known[expr]

    def _below(self, node: Expr) -> tuple[Expr, ...]:
        if isinstance(node, Ref) and node.kind == "var":
            return (self.quantities[node.name],) if node.name in self.quantities else ()
        if node in self.behind:
            return (self.behind[node],)
        if isinstance(node, Apply):
            definition = OPS[node.op].definition
            if definition is not None:
                return (definition(*node.args),)
        return node.children

    def _node(self, node: Expr, parts: list[Interval]) -> Interval:
        if isinstance(node, Const):
            return point(node.value)
        if isinstance(node, SizeValue):
            return _size(node.dim)
        if isinstance(node, Identity):
            return Interval(Fraction(0), Fraction(1))
        if isinstance(node, Ref):
            return parts[0] if parts else ANY
        if isinstance(node, Broadcast | Slice):
            return parts[0]
        if isinstance(node, Concat):
            made = parts[0]
            for part in parts[1:]:
                made = union(made, part)
            return made
        if isinstance(node, Apply):
            if OPS[node.op].definition is not None:
                return parts[0]
            return self._apply(node, parts)
        return ANY

    def _apply(self, node: Apply, parts: list[Interval]) -> Interval:
        match node.op:
            case "add":
                return total(parts)
            case "neg":
                return negative(parts[0])
            case "mul":
                return self._product(node.args, parts)
            case "div":
                return product(parts[0], _inverse(parts[1]))
            case "pow":
                return _power(parts[0], node.args[1])
            case "abs" | "relu":
                positive = parts[0].positive
                return (
                    POSITIVE
                    if positive or (node.op == "abs" and parts[0].not_zero)
                    else (NOT_NEGATIVE)
                )
            case "sqrt":
                return POSITIVE if parts[0].positive else NOT_NEGATIVE
            case "max":
                return _larger(*parts)
            case "min":
                return negative(_larger(*map(negative, parts)))
            case "where":
                return union(parts[1], parts[2])
            case "sum":
                return _signs(parts[0])
            case "amax" | "transpose" | "detach":
                return parts[0]
            case "dot" if node.args[0] == node.args[1]:
                return NOT_NEGATIVE
            case "dot" | "outer" | "matvec" | "matmul":
                return _signs(product(*parts))
        bounded = _BOUNDED.get(node.op, ANY)
        if node.op in _SIGN_KEPT:
            if parts[0].positive:
                return Interval(Fraction(0), bounded.high, True, bounded.high_open)
            if parts[0].not_negative:
                return Interval(Fraction(0), bounded.high, False, bounded.high_open)
        return bounded

    def _product(self, args: tuple[Expr, ...], parts: list[Interval]) -> Interval:
        """A product, equal factors as powers: a square is not negative."""
        counts: dict[Expr, int] = {}
        for arg in args:
            counts[arg] = counts.get(arg, 0) + 1
        made = point(Fraction(1))
        for arg, part in dict(zip(args, parts, strict=True)).items():
            made = product(made, _whole_power(part, counts[arg]))
        return made


def _size(dim: Dim) -> Interval:
    """A size is at least 1."""
    if all(count >= 0 for _, count in dim.terms):
        return Interval(Fraction(dim.const + sum(count for _, count in dim.terms)))
    return ANY


def _signs(part: Interval) -> Interval:
    """The sum of one or more values in an interval: its signs alone."""
    if part.not_negative:
        return POSITIVE if part.positive else NOT_NEGATIVE
    if negative(part).not_negative:
        return negative(_signs(negative(part)))
    return ANY


def _inverse(part: Interval) -> Interval:
    if part.positive:
        return POSITIVE
    return negative(POSITIVE) if negative(part).positive else ANY


def _larger(one: Interval, other: Interval) -> Interval:
    low, low_open = max((one.low, one.low_open), (other.low, other.low_open))
    high, closed = max((one.high, not one.high_open), (other.high, not other.high_open))
    return Interval(low, high, low_open, not closed)


def _power(base: Interval, exponent: Expr) -> Interval:
    exponent = exponent.arg if isinstance(exponent, Broadcast) else exponent
    if isinstance(exponent, Const) and exponent.value.denominator == 1:
        count = int(exponent.value)
        return _whole_power(base if count >= 0 else _inverse(base), abs(count))
    return POSITIVE if base.positive else NOT_NEGATIVE if base.not_negative else ANY


def _whole_power(base: Interval, count: int) -> Interval:
    if count == 1:
        return base
    if count % 2 == 0:
        return POSITIVE if base.not_zero or count == 0 else NOT_NEGATIVE
    return _signs(base)

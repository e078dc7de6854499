"""Laws about signs, by cases: where on a line a value lies.

relu, |u|, maxima, comparisons and choices are sums and products on each stretch between the values
at which they switch, and at each of these. Two sides that agree on all stretches and at all
switches are equal everywhere, ties included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from gatec.equivalence.checker.algebra import (
    ONE,
    Algebra,
    Frozen,
    Sum,
    Term,
    constant,
    joined,
    minus,
    number,
    plus,
    power,
    proportional,
    scaled,
    thawed,
    times,
)
from gatec.equivalence.checker.refusal import Refused
from gatec.ops import OPS, Kind

COMPARISONS = frozenset({"gt", "lt", "ge", "le", "eq"})
_SIGNED = frozenset({"relu", "abs", "sign"})
_MOST = 12  # switches on one line


@dataclass(frozen=True)
class Place:
    """A stretch of a line, by one number on it; or one number exactly."""

    at: Fraction
    exact: bool


class Cases:
    """Values by where a value lies: `about` without its number, the line."""

    def __init__(self, algebra: Algebra, about: Sum) -> None:
        self.algebra = algebra
        self.line = {term: count for term, count in about.items() if term}
        self.zero = -about.get((), Fraction(0))

    def agree(self, one: Sum, other: Sum) -> bool:
        """Whether two values are equal wherever on the line."""
        if not self.line:  # a number: choices about it are made already
            place = Place(Fraction(0), False)
            return self._agree_at(one, other, place)
        switches = {self.zero, *self._switches(one), *self._switches(other)}
        if len(switches) > _MOST:
            raise Refused("a value with too many cases")
        return all(self._agree_at(one, other, place) for place in _places(sorted(switches)))

    def of(self, value: Sum) -> list[Sum]:
        """What a value is at each place of the line."""
        if not self.line:
            return [self._there(value, Place(Fraction(0), False), {})]
        places = _places(sorted({self.zero, *self._switches(value)}))
        return [self._there(value, place, {}) for place in places]

    def _agree_at(self, one: Sum, other: Sum, place: Place) -> bool:
        known: dict[int, Sum | None] = {}
        difference = minus(self._there(one, place, known), self._there(other, place, known))
        left = without_denominators(self.algebra.cleared(difference))
        if not left or not place.exact:
            return not left
        gap = self._gap(place)  # it is 0 as it is, and as its functions are there
        for zero in (gap, self._there(gap, place, known)):
            zero = without_denominators(self.algebra.cleared(zero))
            if constant(zero):  # a number over something is never 0
                return True
            if zero and not remainder(left, zero):
                return True
        return False

    def _gap(self, place: Place) -> Sum:
        """What is 0 exactly there."""
        return minus(self.line, number(place.at))

    # --- Switches -----------------------------------------------------------------------------

    def _switches(self, value: Sum) -> Iterator[Fraction]:
        """Where functions in a value, however deep, switch."""
        seen: set[int] = set()
        stack = [atom for term in value for atom, _ in term]
        while stack:
            atom = stack.pop()
            if atom in seen:
                continue
            seen.add(atom)
            made = self.algebra.atoms[atom]
            args = [thawed(arg) for arg in made.args]
            stack.extend(inner for arg in args for term in arg for inner, _ in term)
            decided = self._decided(made.op, args)
            if decided is not None:
                factor = proportional({t: c for t, c in decided.items() if t}, self.line)
                if factor is not None:
                    yield -decided.get((), Fraction(0)) / factor

    def _decided(self, op: str, args: list[Sum]) -> Sum | None:
        """The value whose sign decides what a function is; None for other functions."""
        if op in _SIGNED:
            return args[0]
        if op in COMPARISONS or op in ("max", "min"):
            return minus(args[0], args[1])
        return None

    # --- Values at a place --------------------------------------------------------------------

    def _there(self, value: Sum, place: Place, known: dict[int, Sum | None]) -> Sum:
        """A value, functions that are decided at the place replaced by what they are there."""
        parts: list[Sum] = []
        for term, count in value.items():
            made: Sum = {(): count}
            for atom, exponent in term:
                if atom not in known:
                    known[atom] = None  # while it is worked out
                    known[atom] = self._atom(atom, place, known)
                there = known[atom]
                if there is None:
                    made = times(made, {((atom, exponent),): Fraction(1)})
                else:
                    base = there if exponent > 0 else self.algebra.inverse(there)
                    made = times(made, power(base, abs(exponent)))
            parts.append(made)
        return plus(*parts)

    def _atom(self, atom: int, place: Place, known: dict[int, Sum | None]) -> Sum | None:
        """What an atom is at a place; None where it stays as it is."""
        made = self.algebra.atoms[atom]
        if made.op == "whole":
            inner = thawed(made.args[0])
            there = self._there(inner, place, known)
            return there if there != inner else None
        if made.op not in OPS or OPS[made.op].kind is not Kind.POINTWISE:
            return None
        raw = [thawed(arg) for arg in made.args]
        args = [self._there(arg, place, known) for arg in raw]
        for operands in (raw, args):
            decided = self._decided(made.op, operands)
            sign = None if decided is None else self._sign(decided, place)
            if sign is not None:
                return _known(made.op, args, sign)
        if made.op == "where" and constant(args[0]) in (0, 1):
            return args[1] if constant(args[0]) else args[2]
        if place.exact:
            args = [self._exactly(arg, place) for arg in args]
        if made.op == "exp" and not args[0]:
            return ONE
        return self.algebra.function(made.op, *args) if args != raw else None

    def _exactly(self, value: Sum, place: Place) -> Sum:
        """A value once the largest term of what is 0 there is expressed by the others."""
        gap = self._gap(place)
        if all(exponent > 0 for term in (*value, *gap) for _, exponent in term):
            return remainder(value, gap)
        lead = max(gap, key=_order)
        return minus(value, scaled(gap, value.get(lead, Fraction(0)) / gap[lead]))

    def _sign(self, value: Sum, place: Place) -> int | None:
        """The sign of a value on the line at a place; None for a value off the line."""
        rest = {term: count for term, count in value.items() if term}
        factor = Fraction(0) if not rest else proportional(rest, self.line)
        if factor is None:
            return None
        found = factor * place.at + value.get((), Fraction(0))
        return (found > 0) - (found < 0)


def _places(switches: list[Fraction]) -> Iterator[Place]:
    """Every switch and every stretch between switches."""
    yield Place(switches[0] - 1, False)
    for index, switch in enumerate(switches):
        yield Place(switch, True)
        last = index == len(switches) - 1
        yield Place(switch + 1 if last else (switch + switches[index + 1]) / 2, False)


def _known(op: str, args: list[Sum], sign: int) -> Sum:
    """A function whose case is known by a sign."""
    match op:
        case "relu":
            return args[0] if sign > 0 else {}
        case "abs":
            return scaled(args[0], Fraction(sign))
        case "sign":
            return number(sign)
        case "max":
            return args[0] if sign >= 0 else args[1]
        case "min":
            return args[1] if sign >= 0 else args[0]
        case "gt":
            return number(int(sign > 0))
        case "lt":
            return number(int(sign < 0))
        case "ge":
            return number(int(sign >= 0))
        case "le":
            return number(int(sign <= 0))
    return number(int(sign == 0))


# --- Polynomials ----------------------------------------------------------------------------------


def remainder(value: Sum, divisor: Sum) -> Sum:
    """What is left of a value where `divisor` is 0; 0 where it is a multiple of it.

    Neither is divided by anything.
    """
    lead = max(divisor, key=_order)
    if not lead:
        return value
    instead = scaled(
        {term: count for term, count in divisor.items() if term != lead}, -1 / divisor[lead]
    )
    for _ in range(200):
        found = next((term for term in value if _divides(lead, term)), None)
        if found is None:
            return value
        rest = joined(found, tuple((atom, -exponent) for atom, exponent in lead))
        count = value[found]
        others = {term: c for term, c in value.items() if term != found}
        value = plus(others, times({rest: count}, instead))
    return value


def without_denominators(value: Sum) -> Sum:
    """A value times the atoms that it is divided by."""
    lowest: dict[int, int] = {}
    for term in value:
        for atom, exponent in term:
            lowest[atom] = min(exponent, lowest.get(atom, 0))
    needed = tuple(sorted((atom, -exponent) for atom, exponent in lowest.items() if exponent < 0))
    return {joined(term, needed): count for term, count in value.items()} if needed else value


def _order(term: Term) -> tuple[int, Term]:
    return sum(exponent for _, exponent in term), term


def _divides(part: Term, whole: Term) -> bool:
    powers = dict(whole)
    return all(exponent <= powers.get(atom, 0) for atom, exponent in part)


# --- Choices --------------------------------------------------------------------------------------


def signs_in(algebra: Algebra, value: Sum) -> Iterator[Sum]:
    """What the comparisons in a value, however deep, depend on."""
    found: set[Frozen] = set()
    seen: set[int] = set()
    stack = [atom for term in value for atom, _ in term]
    while stack:
        atom = stack.pop()
        if atom in seen:
            continue
        seen.add(atom)
        made = algebra.atoms[atom]
        if made.op in COMPARISONS:
            about = minus(thawed(made.args[0]), thawed(made.args[1]))
            if frozenset(about.items()) not in found:
                found.add(frozenset(about.items()))
                yield about
        pointwise = made.op in OPS and OPS[made.op].kind is Kind.POINTWISE
        if pointwise or made.op == "whole":
            stack.extend(inner for arg in made.args for term, _ in arg for inner, _ in term)


def is_condition(algebra: Algebra, value: Sum) -> bool:
    """Whether a value is 0 or 1 wherever it is defined: comparisons, and what is made of them.

    Shown by cases of one comparison after the other.
    """
    if constant(value) in (0, 1):
        return True
    atoms = sorted({atom for term in value for atom, _ in term})
    if len(atoms) > 8 or not all(_is_indicator(algebra, atom) for atom in atoms):
        return False
    if any(exponent < 0 for term in value for _, exponent in term):
        return False
    return _is_zero_or_one(algebra, value, 3)


def _is_zero_or_one(algebra: Algebra, value: Sum, depth: int) -> bool:
    # Powers of what is 0 or 1 are the thing itself; c is 0 or 1 where c c = c.
    if not _squarefree(minus(times(value, value), value)):
        return True
    return depth > 0 and any(
        all(_is_zero_or_one(algebra, there, depth - 1) for there in Cases(algebra, about).of(value))
        for about in signs_in(algebra, value)
    )


def _squarefree(value: Sum) -> Sum:
    return plus(*({tuple((atom, 1) for atom, _ in term): count} for term, count in value.items()))


def _is_indicator(algebra: Algebra, atom: int) -> bool:
    made = algebra.atoms[atom]
    if made.op in COMPARISONS:
        return True
    if made.op != "where":
        return False
    condition, one, other = (thawed(arg) for arg in made.args)
    plain = (one, other) in ((ONE, {}), ({}, ONE))
    return plain and is_condition(algebra, condition)

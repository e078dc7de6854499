"""Laws about signs, by cases: a value is positive, negative or zero.

In each case relu, |u|, maxima, comparisons and choices that depend on that sign alone are what
they are there; two sides that agree in all three cases are equal everywhere, ties included.
"""

from __future__ import annotations

from collections.abc import Iterator
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

COMPARISONS = frozenset({"gt", "lt", "ge", "le", "eq"})
POSITIVE, ZERO, NEGATIVE = 1, 0, -1


class Cases:
    """Values where another value, `about`, has a sign."""

    def __init__(self, algebra: Algebra, about: Sum) -> None:
        self.algebra, self.about = algebra, about

    def agree(self, one: Sum, other: Sum) -> bool:
        """Whether two values are equal whatever the sign of `about`."""
        return all(self._vanishes(minus(one, other), sign) for sign in self._signs())

    def _signs(self) -> tuple[int, ...]:
        fixed = constant(self.about)
        if fixed is None:
            return POSITIVE, ZERO, NEGATIVE
        return (POSITIVE if fixed > 0 else NEGATIVE if fixed < 0 else ZERO,)

    def _vanishes(self, difference: Sum, sign: int) -> bool:
        left = self.algebra.cleared(self.where(difference, sign))
        if sign == ZERO and self.about:
            zero = without_denominators(self.algebra.cleared(self.about))
            if constant(zero):  # a number over something: never 0
                return True
            left = remainder(without_denominators(left), zero)
        return not left

    def where(self, value: Sum, sign: int) -> Sum:
        """A value where `about` has a sign."""
        parts: list[Sum] = []
        for term, count in value.items():
            made: Sum = {(): count}
            for atom, exponent in term:
                known = self._atom(atom, sign)
                if known is None:
                    made = times(made, {((atom, exponent),): Fraction(1)})
                else:
                    base = known if exponent > 0 else self.algebra.inverse(known)
                    made = times(made, power(base, abs(exponent)))
            parts.append(made)
        return plus(*parts)

    def _atom(self, atom: int, sign: int) -> Sum | None:
        """What a function of the sign is in this case; None for other atoms."""
        made = self.algebra.atoms[atom]
        args = [thawed(arg) for arg in made.args]
        match made.op:
            case "relu" | "abs" | "sign":
                own = self._sign(args[0], sign)
                if own is None:
                    return None
                if made.op == "sign":
                    return number(own)
                factor = max(own, 0) if made.op == "relu" else own
                return scaled(args[0], Fraction(factor))
            case "max" | "min":
                own = self._sign(minus(args[0], args[1]), sign)
                if own is None:
                    return None
                return args[0] if (own >= 0) == (made.op == "max") else args[1]
            case "where":
                condition = constant(self.where(args[0], sign))
                if condition == 1:
                    return self.where(args[1], sign)
                return self.where(args[2], sign) if condition == 0 else None
        if made.op in COMPARISONS:
            own = self._sign(minus(args[0], args[1]), sign)
            return None if own is None else number(int(_holds(made.op, own)))
        return None

    def _sign(self, value: Sum, sign: int) -> int | None:
        """The sign of a value that is a multiple of `about`."""
        fixed = constant(value)
        if fixed is not None:
            return (fixed > 0) - (fixed < 0)
        factor = proportional(value, self.about)
        if factor is None:
            return None
        return sign if factor > 0 else -sign


def _holds(op: str, sign: int) -> bool:
    """Whether a comparison holds where the difference of its sides has a sign."""
    match op:
        case "gt":
            return sign > 0
        case "lt":
            return sign < 0
        case "ge":
            return sign >= 0
        case "le":
            return sign <= 0
    return sign == 0


def remainder(value: Sum, divisor: Sum) -> Sum:
    """What is left of a value where `divisor` is 0; 0 where it is a multiple of it.

    Neither is divided by anything.
    """
    lead = max(divisor, key=_order)
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


def signs_in(algebra: Algebra, value: Sum) -> Iterator[Sum]:
    """What the choices among the atoms of a value depend on."""
    seen: set[Frozen] = set()
    for atom in {atom for term in value for atom, _ in term}:
        made = algebra.atoms[atom]
        if made.op != "where":
            continue
        for term in thawed(made.args[0]):
            for inner, _ in term:
                condition = algebra.atoms[inner]
                if condition.op in COMPARISONS:
                    about = minus(thawed(condition.args[0]), thawed(condition.args[1]))
                    if frozenset(about.items()) not in seen:
                        seen.add(frozenset(about.items()))
                        yield about


def is_condition(algebra: Algebra, value: Sum) -> bool:
    """Whether a value is 0 or 1 wherever it is defined: comparisons, and 1 minus them."""
    if constant(value) in (0, 1):
        return True
    atoms = {atom for term in value for atom, _ in term}
    if not all(_is_indicator(algebra, atom) for atom in atoms) or len(atoms) > 8:
        return False
    if any(exponent < 0 for term in value for _, exponent in term):
        return False
    # Powers of what is 0 or 1 are the thing itself; c is 0 or 1 where c c = c.
    return _squarefree(times(value, value)) == _squarefree(value)


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

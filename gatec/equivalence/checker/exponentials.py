"""Laws about exponentials, logistic functions and logarithms.

All exponentials in a term are one, exp(softplus(u)) is 1 + exp(u), exp(log(u)) is u, and where
asked for, sigmoid(u) is 1 / (1 + exp(-u)): two values that agree then are equal.
"""

from __future__ import annotations

from fractions import Fraction

from gatec.equivalence.checker.algebra import (
    ONE,
    Algebra,
    Sum,
    minus,
    plus,
    power,
    scaled,
    thawed,
    times,
)
from gatec.equivalence.checker.refusal import Refused


class Exponentials:
    def __init__(self, algebra: Algebra, *, logistic: bool) -> None:
        self.algebra, self.logistic = algebra, logistic

    def same(self, one: Sum, other: Sum) -> bool:
        """Whether two values are equal by the laws of exponentials."""
        difference = minus(one, other)
        for _ in range(16):
            made = self.algebra.cleared(self.written_out(difference))
            if not made or made == difference:
                return not made
            difference = made
        raise Refused("exponentials are nested too deep to be checked")

    def written_out(self, value: Sum) -> Sum:
        """A value with one exponential in each term."""
        parts: list[Sum] = []
        for term, count in value.items():
            made: Sum = {(): count}
            exponent: Sum = {}
            for atom, times_ in term:
                meaning = self.algebra.atoms[atom]
                if meaning.op == "exp":
                    (inner,) = meaning.args
                    exponent = plus(exponent, scaled(thawed(inner), Fraction(times_)))
                elif meaning.op == "sigmoid" and self.logistic:
                    (inner,) = meaning.args
                    below = plus(ONE, self._exp(scaled(thawed(inner), Fraction(-1))))
                    base = self.algebra.inverse(below) if times_ > 0 else below
                    made = times(made, power(base, abs(times_)))
                else:
                    made = times(made, {((atom, times_),): Fraction(1)})
            parts.append(times(made, self._exp(exponent)))
        return plus(*parts)

    def _exp(self, exponent: Sum) -> Sum:
        """The exponential of a value, softplus and logarithms taken out of it."""
        made = ONE
        rest = dict(exponent)
        for term, count in exponent.items():
            if len(term) != 1 or term[0][1] != 1 or count.denominator != 1 or abs(count) > 16:
                continue
            meaning = self.algebra.atoms[term[0][0]]
            if meaning.op not in ("softplus", "log"):
                continue
            inner = thawed(meaning.args[0])
            base = inner if meaning.op == "log" else plus(ONE, self._exp(inner))
            base = base if count > 0 else self.algebra.inverse(base)
            made = times(made, power(base, abs(int(count))))
            del rest[term]
        if not rest:
            return made
        return times(made, self.algebra.function("exp", rest))

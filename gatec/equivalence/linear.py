"""Linear equations between parameters: exact elimination over the rationals.

An unknown is a parameter of one cell (or a slice of it), a right side a combination of parameters
of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from gatec.expr import Broadcast, Const, Expr, Shape, call
from gatec.passes.common import zeros

Combination = dict[Expr, Fraction]


@dataclass
class Row:
    """`sum of left` = `sum of right`."""

    left: Combination = field(default_factory=dict)
    right: Combination = field(default_factory=dict)


def plus(one: Mapping[Expr, Fraction], other: Mapping[Expr, Fraction], c: Fraction) -> Combination:
    """one + c * other."""
    made = dict(one)
    for name, number in other.items():
        made[name] = made.get(name, Fraction(0)) + c * number
    return {name: number for name, number in made.items() if number}


class System:
    """Equations in triangular form; adding one says whether all still have a solution."""

    def __init__(self) -> None:
        self._rows: dict[Expr, Row] = {}  # by the unknown that each row gives

    def copy(self) -> System:
        made = System()
        made._rows = dict(self._rows)
        return made

    def add(self, rows: Iterable[Row]) -> bool:
        """Add equations. False where they contradict each other or earlier ones."""
        for row in rows:
            left, right = self._reduced(row)
            if not left:
                if right:
                    return False
                continue
            pivot, number = next(iter(left.items()))
            made = Row(
                {name: c / number for name, c in left.items()},
                {name: c / number for name, c in right.items()},
            )
            for name, old in list(self._rows.items()):
                c = old.left.get(pivot)
                if c:
                    self._rows[name] = Row(
                        plus(old.left, made.left, -c), plus(old.right, made.right, -c)
                    )
            self._rows[pivot] = made
        return True

    def _reduced(self, row: Row) -> tuple[Combination, Combination]:
        left, right = dict(row.left), dict(row.right)
        for name in list(left):
            known = self._rows.get(name)
            c = left.get(name)
            if known is not None and c:
                left, right = plus(left, known.left, -c), plus(right, known.right, -c)
        return left, right

    def settled(self) -> dict[Expr, Expr]:
        """The unknowns that have one value, whatever the others are."""
        return {
            name: combined(row.right, name.shape)
            for name, row in self._rows.items()
            if len(row.left) == 1
        }

    def solution(self) -> dict[Expr, Combination]:
        """A value for every unknown that occurs; those left open are 0."""
        found: dict[Expr, Combination] = {}
        for name, row in self._rows.items():
            found[name] = row.right
            for free in row.left:
                if free not in self._rows:
                    found.setdefault(free, {})
        return found


def combined(combination: Combination, shape: Shape) -> Expr:
    """A combination as an expression of the given shape."""
    terms: list[Expr] = []
    for name, number in combination.items():
        value = name if name.shape == shape else Broadcast(name, shape)
        terms.append(value if number == 1 else -value if number == -1 else Const(number) * value)
    if not terms:
        return zeros(shape)
    return call("add", *terms) if terms[1:] else terms[0]

"""Results cut into pieces that have to agree one by one.

`f * c + i * g` is `F * c + I * G`, whatever gates take the places of f, i and g, only if `f` is `F`
and `i * g` is `I * G`: c has no parameters, gates have, and stay what they are or become numbers.
So a wrong choice for f is seen before anything is chosen for i and g.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from gatec.equivalence.polynomials import Monomial, Poly
from gatec.equivalence.sides import parameters
from gatec.expr import Expr
from gatec.passes.common import nodes

Terms = dict[Monomial, Fraction]


@dataclass(frozen=True)
class Piece:
    """`value` has to become `wanted`, once the `gates` in it are chosen."""

    value: Expr
    wanted: Expr
    gates: frozenset[Expr]


def pieces(value: Expr, mine: Poly, wanted: Expr, theirs: Poly, gates: set[Expr]) -> list[Piece]:
    """The pieces of `value = wanted`, given both normal forms and the gates of `value`.

    One piece, where parameters stand outside of gates, or gates inside of other values: then
    what is free of parameters in the end is not known yet.
    """
    if not all(atom in gates or not parameters(atom) for atom in mine.atoms()):
        return [_piece(value, wanted, gates)]
    own, other = _parted(mine), _parted(theirs)
    return [
        _piece(
            Poly(own.get(free, {})).expr(value.shape),
            Poly(other.get(free, {})).expr(wanted.shape),
            gates,
        )
        for free in dict.fromkeys((*own, *other))
    ]


def _piece(value: Expr, wanted: Expr, gates: set[Expr]) -> Piece:
    return Piece(value, wanted, frozenset(node for node in nodes(value) if node in gates))


def _parted(value: Poly) -> dict[Monomial, Terms]:
    """What multiplies each monomial without parameters."""
    made: dict[Monomial, Terms] = {}
    for monomial, number in value.ordered():
        free = tuple(_free(monomial))
        rest = tuple(item for item in monomial if item not in free)
        made.setdefault(free, {})[rest] = number
    return made


def _free(monomial: Monomial) -> Iterator[tuple[Expr, int]]:
    return (item for item in monomial if not parameters(item[0]))

"""Results cut into pieces that have to agree one by one.

`f * c + i * g` is `F * c + I * G`, whatever gates take the places of f, i and g, only if `f` is `F`
and `i * g` is `I * G`: c has no parameters, gates have, and stay what they are or become numbers.
So a wrong choice for f is seen before anything is chosen for i and g.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from gatec.equivalence.polynomials import Monomial, Poly
from gatec.equivalence.sides import parameters
from gatec.expr import Expr, Ref
from gatec.passes.common import nodes, refs

Terms = dict[Monomial, Fraction]


@dataclass(frozen=True)
class Piece:
    """`value` has to become `wanted`, once the `gates` in it are chosen."""

    value: Expr
    wanted: Expr
    gates: frozenset[Expr]


def pieces(value: Expr, mine: Poly, wanted: Expr, theirs: Poly, gates: set[Expr]) -> list[Piece]:
    """The pieces of `value = wanted`, given both normal forms and the gates of `value`.

    Terms with parameters outside of gates, or gates inside of other values, can become anything
    over the states and inputs in them: they make one piece with all that this may be.
    """
    loose = {m: c for m, c in mine.terms.items() if not all(_is_firm(a, gates) for a, _ in m)}
    reached = [_leaves(monomial) for monomial in loose]
    firm = Poly({m: c for m, c in mine.terms.items() if m not in loose})
    own, other = _parted(firm), _parted(theirs)
    together, made = [], []
    for free in dict.fromkeys((*own, *other)):
        leaves = _leaves(free)
        if any(leaves <= others for others in reached):
            together.append(free)
        else:
            made.append((_whole(own, [free]), _whole(other, [free])))
    if loose:
        made.append((Poly({**loose, **_whole(own, together).terms}), _whole(other, together)))
    return [_piece(a.expr(value.shape), b.expr(wanted.shape), gates) for a, b in made]


def _piece(value: Expr, wanted: Expr, gates: set[Expr]) -> Piece:
    return Piece(value, wanted, frozenset(node for node in nodes(value) if node in gates))


def _is_firm(atom: Expr, gates: set[Expr]) -> bool:
    """Whether an atom stays what it is, or is a gate."""
    return atom in gates or not parameters(atom)


def _parted(value: Poly) -> dict[Monomial, Terms]:
    """The terms by what they have without parameters."""
    made: dict[Monomial, Terms] = {}
    for monomial, number in value.ordered():
        free = tuple(item for item in monomial if not parameters(item[0]))
        made.setdefault(free, {})[monomial] = number
    return made


def _whole(parts: dict[Monomial, Terms], keys: list[Monomial]) -> Poly:
    return Poly({m: c for key in keys for m, c in parts.get(key, {}).items()})


def _leaves(monomial: Monomial) -> frozenset[Ref]:
    """The states and inputs in a monomial."""
    return frozenset().union(*(_read(atom) for atom, _ in monomial))


@lru_cache(maxsize=1 << 16)
def _read(atom: Expr) -> frozenset[Ref]:
    return frozenset(ref for ref in refs(atom) if ref.kind in ("state", "input"))

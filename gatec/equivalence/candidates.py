"""Maps worth trying where none is proved: by names, by order, what a search got furthest with.

A candidate need not be right. It is what a refutation refutes, a fingerprint or a replay tries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from gatec.equivalence.match import Budget, Found, Matcher
from gatec.equivalence.polynomials import TooLarge
from gatec.expr import Expr, Ref
from gatec.ir import Cell, Param
from gatec.passes.common import zeros

_TRIES = 300


def candidates(mine: Cell, theirs: Cell) -> Iterator[Found]:
    """Different maps from the parameters of `theirs` to those of `mine`, the likeliest first."""
    seen: list[dict[str, Expr]] = []
    for found in (*_partial(mine, theirs), *by_name(mine, theirs)):
        if found.params not in seen:
            seen.append(dict(found.params))
            yield found


def _states(mine: Cell, theirs: Cell) -> dict[str, tuple[str, Fraction]]:
    """Each state of mine and one of theirs of its shape: of its name, else the next in order.

    States for which there is none are left out: they start where their cell says.
    """
    left = list(theirs.states)
    made: dict[str, tuple[str, Fraction]] = {}
    for named in (True, False):
        for state in mine.states:
            if state.name in made:
                continue
            for other in left:
                if other.shape == state.shape and (other.name == state.name or not named):
                    made[state.name] = (other.name, Fraction(1))
                    left.remove(other)
                    break
    return {s.name: made[s.name] for s in mine.states if s.name in made}


def _partial(mine: Cell, theirs: Cell) -> Iterator[Found]:
    """The map that a search got furthest with, what it left open filled by names and order."""
    matcher = Matcher(mine, theirs, Budget(_TRIES))
    try:
        next(matcher.search(), None)
    except TooLarge:
        return
    if matcher.furthest is not None:
        found = matcher.furthest
        params = filled(mine.params, theirs.params, found.params)
        yield Found(found.states, params, found.gates)


def by_name(mine: Cell, theirs: Cell) -> Iterator[Found]:
    """The map from every parameter and state to that of the same name, else the next in order."""
    yield Found(_states(mine, theirs), filled(mine.params, theirs.params, {}))


def filled(
    mine: tuple[Param, ...], theirs: tuple[Param, ...], known: Mapping[str, Expr]
) -> dict[str, Expr]:
    """`known`, and for every other parameter of mine one of theirs: of its name, else in order."""
    used = {ref.name for value in known.values() for ref in _refs(value)}
    left = [param for param in theirs if param.name not in used]
    made = dict(known)
    for named in (True, False):
        for param in mine:
            if param.name in made:
                continue
            for other in left:
                if other.shape == param.shape and (_same_name(param, other) or not named):
                    made[param.name] = Ref("param", other.name, other.shape)
                    left.remove(other)
                    break
    return {p.name: made.get(p.name, zeros(p.shape)) for p in mine}


def _same_name(one: Param, other: Param) -> bool:
    """Whether two parameters have one name; those of the second cell carry a prime."""
    return one.name.rstrip("'") == other.name.rstrip("'")


def _refs(value: Expr) -> list[Ref]:
    from gatec.passes.common import refs

    return list(refs(value, "param"))

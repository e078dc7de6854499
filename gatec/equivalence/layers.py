"""Parameter maps found layer by layer, for cells that are deep within a step.

The normal form of a deep cell (a recurrent highway network) doubles with every layer. But such
cells have waists: quantities through which all goes on that was computed before. Where both cells
have as many of them, each is taken for the one of its place, and the map of what lies between two
waists is searched as that of a cell of its own, with the waists before it as inputs. As everything
that is searched, the map is only claimed once it is proved, or has passed the identity test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from gatec.equivalence.candidates import filled
from gatec.equivalence.match import Budget, Found, Matcher
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.waists import waists
from gatec.expr import Expr, Ref, rewrite
from gatec.ir import Cell, Equation, Input
from gatec.passes.common import refs

_TRIES = 300  # for the map of one layer
_FEWEST = 2  # waists of a cell that is worth it
DEEP = 8  # waists of a cell whose normal form is out of reach


@dataclass(frozen=True)
class Layering:
    """What came of the search layer by layer.

    found     a map: where the search failed, of the layers that it found one for, the rest by name
    whole     whether it makes every layer that of the other cell
    complete  whether the search came to its end in every layer
    """

    found: Found
    whole: bool
    complete: bool


def is_deep(cell: Cell) -> bool:
    return len(waists(cell)) >= DEEP


@lru_cache(maxsize=16)
def layered(mine: Cell, theirs: Cell) -> Layering | None:
    """The map that makes each waist of `mine` that of `theirs`; None where they do not correspond.

    Cells as `check.prepared` gives them, their states in the same order.
    """
    ours, others = waists(mine), waists(theirs)
    shapes = [[state.shape for state in cell.states] for cell in (mine, theirs)]
    if shapes[0] != shapes[1] or len(ours) != len(others) or len(ours) < _FEWEST:
        return None
    params: dict[str, Expr] = {}
    whole = complete = True
    for goals in _goals(mine, theirs, ours, others):
        found, ended = _layer(mine, theirs, ours, others, goals)
        complete &= ended
        whole &= found is not None and all(
            params.setdefault(name, value) == value for name, value in found.items()
        )
    states = {
        one.name: (other.name, Fraction(1))
        for one, other in zip(mine.states, theirs.states, strict=True)
    }
    whole &= params.keys() == {param.name for param in mine.params}
    return Layering(Found(states, filled(mine.params, theirs.params, params)), whole, complete)


def _goals(
    mine: Cell, theirs: Cell, ours: list[str], others: list[str]
) -> Iterator[tuple[str, str, int]]:
    """Pairs of quantities that have to agree, with the number of waists before them."""
    for place, (one, other) in enumerate(zip(ours, others, strict=True)):
        yield one, other, place
    for one_state, other_state in zip(mine.states, theirs.states, strict=True):
        yield one_state.update, other_state.update, len(ours)
    yield mine.output, theirs.output, len(ours)


def _layer(
    mine: Cell, theirs: Cell, ours: list[str], others: list[str], goals: tuple[str, str, int]
) -> tuple[Mapping[str, Expr] | None, bool]:
    """The map that makes two quantities the same over the waists before them, if there is one,
    and whether the search came to its end."""
    one, other, before = goals
    left, right = cut(mine, one, ours[:before]), cut(theirs, other, others[:before])
    budget = Budget(_TRIES)
    try:
        found = next(Matcher(left, right, budget).search(), None)
    except TooLarge:
        return None, False
    return (None, budget.left >= 0) if found is None else (found.params, True)


def cut(cell: Cell, goal: str, before: list[str]) -> Cell:
    """The cell without memory that computes one quantity from inputs, states and waists."""
    inputs = [replace(item, name=f"input {place}") for place, item in enumerate(cell.inputs)]
    names = {item.name: made.name for item, made in zip(cell.inputs, inputs, strict=True)}
    for place, state in enumerate(cell.states):
        inputs.append(Input(f"state {place}", state.symbol, state.shape))
    states = {state.name: inputs[len(cell.inputs) + i].name for i, state in enumerate(cell.states)}
    waist = {name: f"waist {place}" for place, name in enumerate(before)}
    for name in before:
        equation = cell.equation(name)
        inputs.append(Input(waist[name], equation.symbol, equation.value.shape))

    def node(expr: Expr) -> Expr:
        if not isinstance(expr, Ref):
            return expr
        known = {"input": names, "state": states, "var": waist}.get(expr.kind, {})
        name = known.get(expr.name)
        return expr if name is None else Ref("input", name, expr.shape, 0, True)

    kept: list[Equation] = []
    needed = {goal}
    for equation in reversed(cell.equations):
        if equation.name in needed and (equation.name == goal or equation.name not in waist):
            made = replace(equation, value=rewrite(equation.value, node))
            needed |= {ref.name for ref in refs(made.value, "var")}
            kept.append(made)
    read = {ref.name for equation in kept for ref in refs(equation.value, "param")}
    return replace(
        cell,
        inputs=tuple(inputs),
        states=(),
        params=tuple(param for param in cell.params if param.name in read),
        equations=tuple(reversed(kept)),
        output=goal,
    )

"""Quantities that two cells have in common once a map is in place: what deep cells are proved by.

The normal form of a deep cell (a recurrent highway network) doubles with every layer. But such
cells have waists: quantities that several later ones read, as what a layer hands on to the gates
of the next. Once two of them are shown to be equal, both are one unknown in all that follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gatec.equivalence.normal import Normaliser
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.steps import Waist
from gatec.expr import Expr, Ref, rewrite
from gatec.ir import Cell, Equation, Input
from gatec.passes.common import refs
from gatec.passes.tidy import needs

FEWEST = 3  # waists of a cell that is proved by them: normal forms of others are small
_STEPS = 2_000  # for the normal form of one quantity
_AWAY = 3  # waists that are compared with one, of those that come next


def waists(cell: Cell) -> list[str]:
    """The quantities, in order, that several later ones read; neither output nor new states."""
    readers: dict[str, int] = dict.fromkeys((e.name for e in cell.equations), 0)
    for equation in cell.equations:
        for name in {ref.name for ref in refs(equation.value, "var")}:
            readers[name] += 1
    results = {cell.output, *(state.update for state in cell.states)}
    return [
        equation.name
        for equation in cell.equations
        if readers[equation.name] > 1 and equation.name not in results and equation.value.batched
    ]


def common(mine: Cell, theirs: Cell) -> tuple[Waist, ...]:
    """Pairs of equal waists, in order; none where the cells have few.

    Both cells over one set of inputs, states and parameters.
    """
    ours, others = waists(mine), waists(theirs)
    if min(len(ours), len(others)) < FEWEST:
        return ()
    found: list[Waist] = []
    passed: set[str] = set()  # of theirs: equal to one of mine, or read by what is
    for name in ours:
        near = [other for other in others if other not in passed][:_AWAY]
        value = _normal(mine, name, {each.mine: each.name for each in found})
        if value is None:
            continue
        cuts = {each.theirs: each.name for each in found}
        twin = next((other for other in near if _normal(theirs, other, cuts) == value), None)
        if twin is not None:
            found.append(Waist(f"waist {len(found) + 1}", name, twin))
            passed |= needs(theirs.equations, {twin})
    return tuple(found)


def _normal(cell: Cell, name: str, before: Mapping[str, str]) -> Expr | None:
    """The normal form of a quantity over the waists before it; None where it is too large."""
    made = cut(cell, before)
    needed = needs(made.equations, {name})
    equations = [equation for equation in made.equations if equation.name in needed]
    try:
        return Normaliser(equations, _STEPS).expr(made.equation(name).ref)
    except TooLarge:
        return None


def cut(cell: Cell, names: Mapping[str, str]) -> Cell:
    """The cell with an input for each waist, which what comes after reads in the waist's stead.

    `names` of the inputs, by quantity.
    """
    inputs = list(cell.inputs)
    now: dict[str, Ref] = {}
    for quantity, name in names.items():
        equation = cell.equation(quantity)
        now[quantity] = Ref("input", name, equation.value.shape, 0, True)
        inputs.append(Input(name, equation.symbol, equation.value.shape))
    made: list[Equation] = []

    def node(expr: Expr) -> Expr:
        return now.get(expr.name, expr) if isinstance(expr, Ref) and expr.kind == "var" else expr

    for equation in cell.equations:
        made.append(replace(equation, value=rewrite(equation.value, node)))
        now.setdefault(equation.name, made[-1].ref)
    return replace(cell, inputs=tuple(inputs), equations=tuple(made))


__all__ = ["FEWEST", "common", "cut", "waists"]

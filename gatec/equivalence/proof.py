"""From a map that the search found to a proof that it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from gatec.equivalence.match import Found, in_terms_of
from gatec.equivalence.polynomials import Poly
from gatec.equivalence.sides import Side, is_gate, with_params
from gatec.equivalence.steps import INFINITE, Claim, Proof, Step
from gatec.equivalence.waists import common as common_waists
from gatec.equivalence.waists import cut
from gatec.expr import Apply, Broadcast, Const, Expr, Ref
from gatec.ir import Cell, Equation, Initial
from gatec.passes.common import bottom_up


def prove(mine: Cell, theirs: Cell, found: Found) -> Proof | None:
    """The proof that a map is right; None where it is not. Raises TooLarge."""
    if not _starts_agree(mine, theirs, found):
        return None
    cell = with_params(mine, found.params)
    limits: dict[Expr, Expr] = {}
    limit_steps: Mapping[Expr, Step] = {}
    if found.limits:
        before = Side.of(cell)
        limited = _in_the_limit(before)
        if limited is None:
            return None
        cell, limits = limited
        limit_steps = before.normaliser.steps
    other_cell = in_terms_of(theirs, mine, found.states)
    waists = () if found.limits else common_waists(cell, other_cell)
    left = Side.of(cut(cell, {waist.mine: waist.name for waist in waists}))
    right = Side.of(cut(other_cell, {waist.theirs: waist.name for waist in waists}))
    wanted: dict[str, Expr] = {"": right.output}
    for name, (other, scale) in found.states.items():
        value = right.updates[other]
        wanted[name] = value if scale == 1 else Const(scale) * value
    starts_left = _results(left.cell)
    starts_right = _results(right.cell)
    claims = []
    for name, goal in wanted.items():
        common = right.normaliser.expr(goal)
        if left.results()[name] != common:
            return None
        other, scale = found.states[name] if name else ("", Fraction(1))
        target = starts_right[other]
        claims.append(
            Claim(name, starts_left[name], target if scale == 1 else Const(scale) * target, common)
        )
    for waist in waists:
        one, two = left.cell.equation(waist.mine).ref, right.cell.equation(waist.theirs).ref
        common = right.normaliser.expr(two)
        if left.normaliser.expr(one) != common:
            return None
        claims.append(Claim(waist.name, one, two, common))
    return Proof(
        mine,
        theirs,
        found.params,
        found.states,
        tuple(claims),
        left.normaliser.steps,
        right.normaliser.steps,
        limits,
        limit_steps,
        waists,
    )


def _results(cell: Cell) -> dict[str, Ref]:
    found = {state.name: cell.equation(state.update).ref for state in cell.states}
    return {**found, "": cell.equation(cell.output).ref}


# --- Limits -------------------------------------------------------------------------------------


def _in_the_limit(side: Side) -> tuple[Cell, dict[Expr, Expr]] | None:
    """The cell with its infinite gates at their limits, and which those are.

    None where `infinity` stands anywhere but alone in a sigmoid.
    """
    limits: dict[Expr, Expr] = {}
    infinite: set[str] = set()  # quantities that depend on infinity
    made: list[Equation] = []
    now: dict[Expr, Expr] = {}  # references to quantities, as they are in the limit
    for equation in side.cell.equations:
        new: dict[Expr, Expr] = {}
        depends: set[Expr] = set()
        for node in bottom_up(equation.value):
            value = node.with_children(tuple(new[child] for child in node.children))
            reaches = any(child in depends for child in node.children)
            if isinstance(node, Ref):
                value = now.get(node, node)
                reaches = node.name in (infinite if node.kind == "var" else {INFINITE})
            if reaches and is_gate(node):
                number = _at_infinity(side.poly(node))
                if number is None:
                    return None
                value = Const(number) if not node.shape else Broadcast(Const(number), node.shape)
                limits[node] = value
                reaches = False
            new[node] = value
            if reaches:
                depends.add(node)
        made.append(replace(equation, value=new[equation.value]))
        now[equation.ref] = made[-1].ref
        if equation.value in depends:
            infinite.add(equation.name)
    if infinite & {side.cell.output, *(state.update for state in side.cell.states)}:
        return None
    return replace(side.cell, equations=tuple(made)), limits


def _at_infinity(value: Poly) -> Fraction | None:
    """A polynomial in sigmoid(infinity), once that is 1; None for any other."""
    for atom in value.atoms():
        alone = isinstance(atom, Apply) and atom.op == "sigmoid" and atom.args[0]
        if not isinstance(alone, Ref) or alone.name != INFINITE:
            return None
    return sum(value.terms.values(), Fraction(0))


# --- First steps --------------------------------------------------------------------------------


def _starts_agree(mine: Cell, theirs: Cell, found: Found) -> bool:
    """Whether corresponding states start at corresponding values."""
    others = {state.name: state for state in theirs.states}
    for state in mine.states:
        if state.name not in found.states:
            continue
        other, scale = found.states[state.name]
        start = others[other].initial
        if state.initial.param is not None or start.param is not None:
            if not _learned_agree(state.initial, start, scale, found):
                return False
        elif state.initial.value != scale * start.value:
            return False
    return True


def _learned_agree(mine: Initial, theirs: Initial, scale: Fraction, found: Found) -> bool:
    """A learned start: the map must give it the other's start."""
    if mine.param is None or theirs.param is None:
        return False
    value = found.params.get(mine.param)
    return scale == 1 and isinstance(value, Ref) and value.name == theirs.param


__all__ = ["Proof", "prove"]

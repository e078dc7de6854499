"""Proofs: what is claimed, and the steps that lead both sides to one expression.

A `Proof` says that `mine`, with expressions in place of its parameters, is `theirs`: both start
from corresponding states, and if the states correspond before a step, the outputs are equal and
the states correspond after it. So both are the same function of sequences, by induction over t,
for all sizes and all values of the parameters of `theirs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from gatec.equivalence.match import INFINITE, Found, in_terms_of, replaced
from gatec.equivalence.normal import Step
from gatec.equivalence.sides import Side, with_params
from gatec.expr import Apply, Broadcast, Const, Expr, Ref
from gatec.ir import Cell, Initial

LIMIT = "limit"


@dataclass(frozen=True)
class Claim:
    """Two expressions over the inputs and states of `mine` are equal; both become `common`.

    `about` is a state of `mine`, or "" for the output.
    """

    about: str
    left: Expr
    right: Expr
    common: Expr


@dataclass(frozen=True)
class Proof:
    """A map and the proof that it makes `mine` the same function as `theirs`.

    mine, theirs  the cells as compared: live states only, lags of one step, constants at their
                  values, parameters of different names
    params        parameter of mine -> expression in the parameters of theirs
    states        state of mine -> (state of theirs, scale): mine = scale * theirs
    limits        the sigmoid of a bias that goes to infinity -> 1, where a gate is constant only
                  in the limit
    claims        one for each state, and one for the output
    steps         what each claim rests on, by the expression that is rewritten; those of `mine`
                  and of `theirs` apart, since names of quantities may mean different things
    """

    mine: Cell
    theirs: Cell
    params: Mapping[str, Expr]
    states: Mapping[str, tuple[str, Fraction]]
    limits: Mapping[Expr, Expr]
    claims: tuple[Claim, ...]
    mine_steps: Mapping[Expr, Step]
    theirs_steps: Mapping[Expr, Step]


def prove(mine: Cell, theirs: Cell, found: Found) -> Proof | None:
    """The proof that a map is right; None where it is not. Raises TooLarge."""
    if not _starts_agree(mine, theirs, found):
        return None
    left = Side.of(with_params(mine, found.params))
    right = Side.of(in_terms_of(theirs, mine, found.states))
    limits = _limits(found)
    wanted: dict[str, Expr] = {"": right.output}
    for name, (other, scale) in found.states.items():
        value = right.updates[other]
        wanted[name] = value if scale == 1 else Const(scale) * value
    starts_left = _results(left.cell)
    starts_right = _results(right.cell)
    claims = []
    for name, result in left.results().items():
        value = left.normaliser.expr(replaced(result, limits)) if limits else result
        common = right.normaliser.expr(wanted[name])
        if value != common:
            return None
        other, scale = found.states[name] if name else ("", Fraction(1))
        target = starts_right[other]
        claims.append(
            Claim(name, starts_left[name], target if scale == 1 else Const(scale) * target, common)
        )
    return Proof(
        mine,
        theirs,
        found.params,
        found.states,
        limits,
        tuple(claims),
        left.normaliser.steps,
        right.normaliser.steps,
    )


def _results(cell: Cell) -> dict[str, Ref]:
    found = {state.name: cell.equation(state.update).ref for state in cell.states}
    return {**found, "": cell.equation(cell.output).ref}


def _limits(found: Found) -> dict[Expr, Expr]:
    """`sigmoid` of a bias that goes to infinity is 1."""
    made: dict[Expr, Expr] = {}
    for gate in found.limits:
        atom = Apply("sigmoid", (Ref("param", INFINITE, gate.shape),))
        made[atom] = Broadcast(Const(Fraction(1)), gate.shape) if gate.shape else Const(Fraction(1))
    return made


def _starts_agree(mine: Cell, theirs: Cell, found: Found) -> bool:
    """Whether corresponding states start at corresponding values."""
    others = {state.name: state for state in theirs.states}
    for state in mine.states:
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

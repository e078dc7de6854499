"""What a proof is made of: data alone, shared by the prover and the checker.

A `Proof` says that `mine`, with expressions in place of its parameters, is `theirs`: both start
from corresponding states, and if the states correspond before a step, the outputs are equal and
the states correspond after it. So both are the same function of sequences, by induction over t,
for all sizes and all values of the parameters of `theirs` for which a step is defined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from gatec.expr import Expr
from gatec.ir import Cell

# A parameter on its way to infinity: what a bias becomes in a map that holds only in the limit.
INFINITE = "infinity"


@dataclass(frozen=True)
class Step:
    """`before` = `after`, by a law."""

    law: str
    before: Expr
    after: Expr


@dataclass(frozen=True)
class Waist:
    """A quantity of mine and one of theirs that are equal, by a claim about `name`.

    In both cells, what is computed from it reads an input of that name in its stead.
    """

    name: str
    mine: str
    theirs: str


@dataclass(frozen=True)
class Claim:
    """Two expressions over the inputs and states of `mine` are equal; both become `common`.

    `about` is a state of `mine`, "" for the output, or the name of a waist.
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
    params        parameter of mine -> expression in the parameters of theirs; in a limit case in
                  `infinity` as well
    states        state of mine -> (state of theirs, scale): mine = scale * theirs; every state of
                  theirs has one. What mine has besides does nothing: the claims are about any
                  value of it
    claims        one for each of these states, one for the output, and one for each waist
    steps         what each claim rests on, by the expression that is rewritten; those of `mine`
                  and of `theirs` apart, since names of quantities may mean different things
    limits        a limit case only: functions in the equations of mine, with `params` in place,
                  and the constants that they become as `infinity` goes to infinity. The claims
                  and `mine_steps` are about mine with those constants in place
    limit_steps   a limit case only: how the functions in `limits` come to depend on `infinity`
                  alone
    waists        what deep cells have in common within a step, in order
    """

    mine: Cell
    theirs: Cell
    params: Mapping[str, Expr]
    states: Mapping[str, tuple[str, Fraction]]
    claims: tuple[Claim, ...]
    mine_steps: Mapping[Expr, Step]
    theirs_steps: Mapping[Expr, Step]
    limits: Mapping[Expr, Expr] = field(default_factory=dict)
    limit_steps: Mapping[Expr, Step] = field(default_factory=dict)
    waists: tuple[Waist, ...] = ()

"""Checks proofs. Shares no code with what finds them: only the operators and the IR.

`check` rebuilds what has to be shown from the two cells and the map, replays the steps from both
sides of each claim, verifies each as an instance of the law that it names, and accepts the proof
where both sides arrive at one expression, and where both cells are defined for the same values.
"""

from __future__ import annotations

from gatec.equivalence.checker import statement
from gatec.equivalence.checker.algebra import Algebra
from gatec.equivalence.checker.conditions import (
    Condition,
    Conditions,
    all_nodes,
    implied,
    unguarded,
)
from gatec.equivalence.checker.domains import Bounds
from gatec.equivalence.checker.laws import NAMES, Laws
from gatec.equivalence.checker.limits import in_the_limit
from gatec.equivalence.checker.refusal import OutOfScope, Refused
from gatec.equivalence.checker.replay import Replay
from gatec.equivalence.steps import Proof
from gatec.expr import Expr

__all__ = ["NAMES", "OutOfScope", "Refused", "check"]


def check(proof: Proof) -> int:
    """The number of steps that were replayed. Raises Refused where the proof does not hold.

    OutOfScope, a kind of Refused, says that the steps are right and show less than the claim:
    the cells are defined for different values, or a limit passes through a jump.
    """
    statement.cells_fit(proof)
    statement.map_fits(proof)
    statement.states_fit(proof)
    statement.waists_fit(proof)
    found = statement.by_name(proof)
    laws = Laws(Algebra())
    mine, theirs = statement.left(proof), statement.right(proof)
    count = 0
    if proof.limits:
        limits = Replay(proof.limit_steps, mine, laws)
        mine = in_the_limit(proof, mine, limits)
        count = limits.count
    one, other = Replay(proof.mine_steps, mine, laws), Replay(proof.theirs_steps, theirs, laws)
    wanted = statement.claims(proof, mine, theirs)
    for about, (left, right) in wanted.items():
        claim = found[about]
        what = about or "the output"
        if (claim.left, claim.right) != (left, right):
            raise Refused(f"the claim about {what} is another one")
        common = laws.algebra.value(claim.common)
        sides = one.closed(left), other.closed(right)
        if not all(laws.algebra.same(side, common) for side in sides):
            raise Refused(f"the sides of the claim about {what} do not meet")
    results = [pair for about, pair in wanted.items() if about in ("", *proof.states)]
    asked = _conditions(one, mine, [left for left, _ in results])
    asked_too = _conditions(other, theirs, [right for _, right in results])
    _same_domain(asked, asked_too, bool(proof.limits))
    return count + one.count + other.count


def _conditions(
    replay: Replay, equations: statement.Equations, results: list[Expr]
) -> tuple[set[Condition], set[Condition]]:
    """What one side asks for to be defined, and what always holds."""
    bounds = Bounds(equations.values, equations.behind)
    conditions = Conditions(replay.laws.algebra, bounds, replay.closed)
    led_through = conditions.asked(replay.seen)
    written = conditions.asked(all_nodes(equations.values.values()))
    always = conditions.asked(unguarded(results, equations.values, equations.behind))
    proved = implied(conditions.proved, replay.laws.algebra)
    given = implied(always, replay.laws.algebra) | proved
    if not written <= given:
        raise OutOfScope("a choice between values of which one is not always defined")
    if not led_through <= given:
        raise OutOfScope("a step asks for more than the cells to be defined")
    return always, proved


def _same_domain(
    one: tuple[set[Condition], set[Condition]],
    other: tuple[set[Condition], set[Condition]],
    limit: bool,
) -> None:
    proved = one[1] | other[1]
    if one[0] - proved != other[0] - proved:
        raise OutOfScope("the cells are not defined for the same values")
    if limit and one[0] - proved:
        raise OutOfScope("a limit of a cell that is not always defined")

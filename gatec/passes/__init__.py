"""Passes: a cell as it was written becomes the same cell as it is computed.

`plan` runs the PIPELINE; each pass is one function, valid IR in, valid IR out. `normalise` runs
the part of it that any list of equations goes through (backward cells do). `check_plan` says
what a plan promises to backends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from gatec.ir import Cell, Phase
from gatec.passes.affine import affine
from gatec.passes.check import check_equations, check_plan
from gatec.passes.common import Roots, kept
from gatec.passes.delay import delay
from gatec.passes.expand import expand
from gatec.passes.group import group, merge
from gatec.passes.normal import normal
from gatec.passes.simplify import simplify
from gatec.passes.tidy import after_loop, bound, live, ordered

PIPELINE: tuple[Callable[[Cell], Cell], ...] = (
    delay,  # states at lag 1, inputs at lag 0
    expand,  # primitive operators only
)

# What a backward cell goes through, too.
NORMAL: tuple[Callable[[Cell, Roots], Cell], ...] = (
    simplify,  # the same numbers with less work; W [a; x] becomes two products
    live,
    normal,  # products alone in their equations, everything once and as early as it can be
    after_loop,  # backward: what the loop does not need
    group,  # products that share an operand are one product
    affine,  # and their biases are added in one sum
    merge,  # sums of products are one product
    bound,  # no long sums, no deep nesting
    live,
    ordered,  # by phase
)


def plan(cell: Cell) -> Cell:
    """The cell as backends compute it; `check_plan` says what that means."""
    for step in PIPELINE:
        cell = step(cell)
    return normalise(cell, kept(cell))


def normalise(cell: Cell, roots: Collection[str], *, taken: Collection[str] = ()) -> Cell:
    """Any cell's equations in the normal form of plans; `roots` are read from outside.

    Equations may read `Ref("grad", …)`, which arrives at each step, and variables that no
    equation computes (values of the forward loop). A root whose phase is given as AFTER or
    FINAL is not needed inside the loop; every other root is. No new equation is called as one of
    `taken`. Raises ValueError where shapes do not fit.
    """
    late = {e.name for e in cell.equations if e.phase in (Phase.AFTER, Phase.FINAL)}
    given = Roots(frozenset(roots), frozenset(roots) - late, frozenset(taken))
    for step in NORMAL:
        cell = step(cell, given)
    return cell


__all__ = ["check_equations", "check_plan", "normalise", "plan"]

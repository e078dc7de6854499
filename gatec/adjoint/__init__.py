"""The backward cell: derived from the operators' own derivative rows, never written per cell.

`derive` walks the planned equations in reverse and asks each operator's row for the cotangents
of its operands (`reverse.py`). Then it chooses which forward values the loop keeps for the way
back and which are computed again (`keep.py`), and brings the result into the normal form that
backends print.
"""

from __future__ import annotations

from dataclasses import replace

from gatec import passes
from gatec.adjoint.keep import keep
from gatec.adjoint.reverse import reverse
from gatec.ir import Backward, Cell, Program
from gatec.passes.common import all_names, refs


def derive(plan: Cell) -> tuple[Cell, Backward]:
    """The backward cell of a plan, and the plan with names for what the backward cell reads.

    The plan computes the same values as before; some of them, that stood inside a tree, now
    have an equation of their own because their values of all steps are kept.
    """
    raw = reverse(plan)
    plan, equations = keep(plan, raw.equations)
    # A cell names an output; backward equations have none of their own.
    back = replace(plan, equations=tuple(equations), output=equations[-1].name)
    made = passes.normalise(back, raw.roots, taken=all_names(plan))
    own = {equation.name for equation in made.equations}
    read = {
        ref.name
        for equation in made.equations
        for ref in refs(equation.value, "var")
        if ref.batched and ref.name not in own
    }
    return plan, Backward(
        stored=tuple(e.name for e in plan.equations if e.name in read),
        equations=made.equations,
        grad_output=raw.grad_output,
        carries=raw.carries,
        carry_names=raw.carry_names,
        grad_params=raw.grad_params,
        grad_inputs=raw.grad_inputs,
    )


def differentiate(source: Cell, plan: Cell) -> Program:
    """A cell, its plan and its backward cell: what backends read."""
    plan, backward = derive(plan)
    return Program(source, plan, backward)


__all__ = ["derive", "differentiate"]

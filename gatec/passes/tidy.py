"""Order, dead code and bounds: what makes a list of equations ready for a backend."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from gatec.expr import Apply, Expr, Ref, call
from gatec.ir import Cell, Equation, Phase
from gatec.passes.common import (
    COMPARISONS,
    RANK,
    Fresh,
    Roots,
    bottom_up,
    is_pointwise,
    refs,
    temporary,
    with_equations,
)

MOST_TERMS = 64
DEEPEST = 50


def live(cell: Cell, roots: Roots) -> Cell:
    """The equations that roots need, directly or through others."""
    needed = needs(cell.equations, roots.all)
    return with_equations(cell, (e for e in cell.equations if e.name in needed))


def needs(equations: Iterable[Equation], roots: Collection[str]) -> set[str]:
    """The names that the equations `roots` read, directly or not, and these themselves."""
    by_name = {equation.name: equation for equation in equations}
    found: set[str] = set()
    stack = [name for name in roots if name in by_name]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack += [r.name for r in refs(by_name[name].value, "var") if r.name in by_name]
    return found


def ordered(cell: Cell, roots: Roots) -> Cell:
    """Equations in phase order, each after those that it reads; otherwise as they stood."""
    by_name = {equation.name: equation for equation in cell.equations}
    done: set[str] = set()
    result: list[Equation] = []
    for start in sorted(cell.equations, key=lambda equation: RANK[equation.phase]):
        stack = [(start, False)]
        while stack:
            equation, ready = stack.pop()
            if equation.name in done:
                continue
            if ready:
                done.add(equation.name)
                result.append(equation)
                continue
            stack.append((equation, True))
            for ref in reversed([*refs(equation.value, "var")]):
                if ref.name in by_name and ref.name not in done:
                    stack.append((by_name[ref.name], False))
    return with_equations(cell, sorted(result, key=lambda equation: RANK[equation.phase]))


def after_loop(cell: Cell, roots: Roots) -> Cell:
    """Move what the loop does not need behind it (backward cells).

    The loop computes the roots of phase STEP, what they read, and what reads a cotangent that
    arrives at each step; the rest is computed for all steps at once.
    """
    steps = {
        equation.name
        for equation in cell.equations
        if equation.phase is Phase.STEP
        and (equation.name in roots.loop or any(refs(equation.value, "grad")))
    }
    inside = needs(cell.equations, steps)
    return with_equations(
        cell,
        (
            replace(e, phase=Phase.AFTER) if e.phase is Phase.STEP and e.name not in inside else e
            for e in cell.equations
        ),
    )


def bound(cell: Cell, roots: Roots) -> Cell:
    """Give parts of long sums and of deep trees their own equations."""
    fresh = Fresh.of(cell, roots)
    equations: list[Equation] = []
    for equation in cell.equations:
        value, parts = _bounded(equation, fresh)
        equations += parts
        equations.append(equation if value is equation.value else replace(equation, value=value))
    return with_equations(cell, equations)


def _bounded(equation: Equation, fresh: Fresh) -> tuple[Expr, list[Equation]]:
    parts: list[Equation] = []

    def named(value: Expr) -> Ref:
        parts.append(temporary(fresh(f"{equation.name}_part"), value, equation.phase))
        return parts[-1].ref

    done: dict[Expr, Expr] = {}
    depth: dict[Expr, int] = {}
    for node in bottom_up(equation.value):
        children = [done[child] for child in node.children]
        while is_pointwise(node) and len(children) > MOST_TERMS:
            chunks = [children[i : i + MOST_TERMS] for i in range(0, len(children), MOST_TERMS)]
            op = node.op if isinstance(node, Apply) else "add"
            children = [named(call(op, *c)) if len(c) > 1 else c[0] for c in chunks]
            depth.update((child, 0) for child in children)
        made = node.with_children(tuple(children)) if children else node
        own = 1 + max((depth.get(child, 0) for child in children), default=-1)
        boolean = isinstance(node, Apply) and node.op in COMPARISONS
        if own >= DEEPEST and node is not equation.value and is_pointwise(node) and not boolean:
            made, own = named(made), 0
        done[node], depth[made] = made, own
    return done[equation.value], parts

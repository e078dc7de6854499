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
    is_carry,
    is_pointwise,
    refs,
    temporary,
    with_equations,
)

MOST_TERMS = 64
MOST_FACTORS = 8  # the derivative by each is the product of all others
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
    """Move out of the loop what it does not need (backward cells).

    The loop computes the roots of phase STEP, what they read, and what reads a cotangent that
    step t+1 sends back. The rest is computed for all steps at once, after it. Of what the loop
    reads, two kinds need no such cotangent and are computed for all steps before it: products
    with a matrix, and what is read after the loop, too, so that its values are kept anyway.
    """
    if roots.loop == roots.all:
        return cell
    steps = [equation for equation in cell.equations if equation.phase is Phase.STEP]
    carried = {e.name for e in steps if any(map(is_carry, refs(e.value)))}
    wanted = carried | {e.name for e in steps if e.name in roots.loop}
    inside = needs(cell.equations, wanted) & {e.name for e in steps}
    late = [equation for equation in cell.equations if equation.name not in inside]
    read_late = {ref.name for equation in late for ref in refs(equation.value, "var")}
    again = inside - readers(cell.equations, carried) - roots.all
    products = {equation.name for equation in steps if _is_product(equation.value)}
    early = needs(steps, (read_late | products) & again)

    def phase(equation: Equation) -> Phase:
        if equation.phase is not Phase.STEP:
            return equation.phase
        if equation.name in early:
            return Phase.SEQUENCE
        return Phase.STEP if equation.name in inside else Phase.AFTER

    return with_equations(cell, (replace(e, phase=phase(e)) for e in cell.equations))


def _is_product(value: Expr) -> bool:
    product = isinstance(value, Apply) and value.op in ("matvec", "matmul")
    return product and value.batched and not value.children[0].batched


def readers(equations: Iterable[Equation], names: Collection[str]) -> set[str]:
    """The equations `names`, and those that read one of these, directly or not."""
    found = set(names)
    for equation in equations:
        if any(ref.name in found for ref in refs(equation.value, "var")):
            found.add(equation.name)
    return found


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
        op = node.op if isinstance(node, Apply) else ""
        most = MOST_FACTORS if op == "mul" else MOST_TERMS
        while is_pointwise(node) and len(children) > most:
            chunks = [children[i : i + most] for i in range(0, len(children), most)]
            children = [named(call(op, *c)) if len(c) > 1 else c[0] for c in chunks]
            depth.update((child, 0) for child in children)
        made = node.with_children(tuple(children)) if children else node
        own = 1 + max((depth.get(child, 0) for child in children), default=-1)
        may_part = op and op not in COMPARISONS
        if own >= DEEPEST and node is not equation.value and may_part:
            made, own = named(made), 0
        done[node], depth[made] = made, own
    return done[equation.value], parts

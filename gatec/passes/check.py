"""What a plan promises to backends, checked: ValueError says which promise is broken."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gatec.expr import Apply, Concat, Expr, Ref
from gatec.ir import Cell, Equation, verify
from gatec.ops import OPS
from gatec.passes.common import (
    RANK,
    Phases,
    bottom_up,
    is_leaf,
    is_pointwise,
    is_simple,
    kept,
    nodes,
)
from gatec.passes.tidy import DEEPEST, MOST_TERMS, needs

_PRODUCTS = frozenset({"matvec", "matmul", "dot", "sum", "amax"})


def check_plan(cell: Cell) -> None:
    """Check a forward plan. Raises ValueError with the reason.

    States are read at lag 1 and inputs at lag 0; no operator has a definition; products,
    reductions and joins are roots of their own equations, over views; equations stand in phase
    order, each as early as it can be computed; nothing is dead, nested deeply or long.
    """
    verify(cell)
    check_equations(cell.equations, kept(cell))
    phases = Phases()
    for equation in cell.equations:
        for node in nodes(equation.value):
            if isinstance(node, Ref):
                allowed = {"state": 1, "input": 0}.get(node.kind, 0)
                if node.lag != allowed:
                    raise ValueError(f"{equation.name} reads {node.name} at lag {node.lag}")
        if equation.phase is not phases(equation.value):
            raise ValueError(f"{equation.name} is computed {equation.phase}, which is not needed")
        phases.equations[equation.name] = equation.phase


def check_equations(equations: Iterable[Equation], roots: Collection[str]) -> None:
    """Check the normal form of equations, whatever they are for. Raises ValueError."""
    equations = list(equations)
    position = 0
    for equation in equations:
        if RANK[equation.phase] < position:
            raise ValueError(f"{equation.name} stands after equations of a later phase")
        position = RANK[equation.phase]
        _check_form(equation)
        _check_bounds(equation)
    dead = {equation.name for equation in equations} - needs(equations, roots)
    if dead:
        raise ValueError(f"nothing reads {', '.join(sorted(dead))}")


def _check_form(equation: Equation) -> None:
    value = equation.value
    if isinstance(value, Concat):
        parts: tuple[Expr, ...] = value.args
    elif isinstance(value, Apply) and value.op in _PRODUCTS:
        parts = value.args
    elif isinstance(value, Apply) and value.op == "batch_sum":
        inner = value.args[0]
        outer = isinstance(inner, Apply) and inner.op == "outer"
        parts = inner.children if outer else (inner,)
    else:
        _check_tree(equation)
        return
    for part in parts:
        if not is_simple(part):
            raise ValueError(f"{equation.name} has an operand that is no view: {part}")


def _check_tree(equation: Equation) -> None:
    """A pointwise tree over leaves."""
    stack = [equation.value]
    while stack:
        node = stack.pop()
        if isinstance(node, Apply) and OPS[node.op].definition is not None:
            raise ValueError(f"{equation.name} has the composed operator {node.op}")
        if is_leaf(node):
            continue
        if not is_pointwise(node):
            raise ValueError(f"{equation.name} has a {type(node).__name__} inside: {node}")
        stack += node.children


def _check_bounds(equation: Equation) -> None:
    depth: dict[Expr, int] = {}
    for node in bottom_up(equation.value):
        if is_pointwise(node) and len(node.children) > MOST_TERMS:
            raise ValueError(f"{equation.name} has {len(node.children)} terms")
        depth[node] = 1 + max((depth[child] for child in node.children), default=0)
    if depth[equation.value] > DEEPEST + 3:
        raise ValueError(f"{equation.name} is nested {depth[equation.value]} deep")

"""Simplification: what is the same number with less work.

Constants fold exactly (as fractions), zeros and ones vanish, equal terms of a sum are counted,
signs and scalar factors leave contractions and reductions, `W [a; x]` becomes two products,
broadcasts move outwards, slices and transposes inwards, equations that only rename another
value are read through. Results differ from the source's by rounding only. It neither
distributes products over sums nor looks for equal terms across equations (`normal` does).
"""

from __future__ import annotations

from dataclasses import replace

from gatec.expr import Apply, Broadcast, Concat, Const, Expr, Ref, SizeValue, Slice, rewrite
from gatec.ir import Cell, Equation
from gatec.passes.algebra import make, spread
from gatec.passes.common import Roots, is_simple, with_equations
from gatec.passes.layout import add_joins, concat, slice_, transpose
from gatec.passes.products import RULED, product


def simplify(cell: Cell, roots: Roots) -> Cell:
    """Simplify every equation, and read through those that only rename a value."""
    values: dict[str, Expr] = {}
    equations: list[Equation] = []

    def rule(node: Expr) -> Expr:
        if isinstance(node, Ref):
            return values.get(node.name, node) if node.kind == "var" else node
        return simplified(node)

    for equation in cell.equations:
        value = rewrite(equation.value, rule)
        if value is not equation.value:
            equation = replace(equation, value=value)
        equations.append(equation)
        values[equation.name] = value if _is_alias(equation) else equation.ref
    return with_equations(cell, equations)


def simplified(node: Expr) -> Expr:
    """A node whose children are simplified, simplified; of the same shape."""
    match node:
        case Slice():
            return slice_(node.arg, node.axis, node.start, node.stop)
        case Concat():
            return concat(list(node.args), node.axis)
        case Broadcast():
            return spread(node.arg, node.target)
        case Apply(op="transpose"):
            return transpose(node.args[0])
        case Apply() if node.op in RULED:
            return product(node.op, *node.args)
        case Apply(op="add"):
            return add_joins(node.args) or make("add", *node.args)
        case Apply():
            return make(node.op, *node.args)
    return node


def _is_alias(equation: Equation) -> bool:
    value = equation.value
    if isinstance(value, Broadcast):
        value = value.arg
    if isinstance(value, Const | SizeValue | Ref):
        return True
    # A view that the source names keeps its name; one that a pass made is read through.
    return not equation.symbol and is_simple(value)

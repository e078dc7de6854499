"""Simplification: what is the same number with less work.

Constants fold exactly (as fractions), zeros and ones vanish, equal terms of a sum are counted,
signs and scalar factors leave contractions and reductions, broadcasts move outwards, slices and
transposes inwards, equations that only rename another value are read through. Results differ
from the source's by rounding only. It neither distributes products over sums nor looks for
equal terms across equations (`share` does).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from gatec.expr import (
    Apply,
    Broadcast,
    Concat,
    Const,
    Expr,
    Identity,
    Ref,
    Shape,
    SizeValue,
    Slice,
    call,
    rewrite,
)
from gatec.ir import Cell, Equation
from gatec.ops import Kind
from gatec.passes.common import is_simple, is_transpose, is_zero, kind_of, with_equations, zeros
from gatec.passes.views import concat, slice_, transpose


def simplify(cell: Cell) -> Cell:
    """Simplify every equation, and read through those that only rename a value."""
    values: dict[str, Expr] = {}
    equations: list[Equation] = []

    def rule(node: Expr) -> Expr:
        if isinstance(node, Ref):
            return values[node.name] if node.kind == "var" else node
        return simplified(node)

    for equation in cell.equations:
        value = rewrite(equation.value, rule)
        if value is not equation.value:
            equation = replace(equation, value=value)
        equations.append(equation)
        values[equation.name] = value if _is_alias(equation) else equation.ref
    return with_equations(cell, equations)


def _is_alias(equation: Equation) -> bool:
    value = equation.value
    if isinstance(value, Broadcast):
        value = value.arg
    if isinstance(value, Const | SizeValue | Ref):
        return True
    # A view that the source names keeps its name; one that a pass made is read through.
    return not equation.symbol and is_simple(value)


def simplified(node: Expr) -> Expr:
    """A node whose children are simplified, simplified; of the same shape."""
    match node:
        case Slice():
            made = slice_(node.arg, node.axis, node.start, node.stop)
        case Concat():
            made = concat(node.args, node.axis)
        case Broadcast():
            made = _broadcast(node.arg, node.target)
        case Apply():
            made = _apply(node)
        case _:
            return node
    if made != node and not isinstance(made, Const | Ref):
        # What moved inwards or outwards may meet more to simplify.
        made = rewrite(made, lambda inner: inner if inner == made else _once(inner))
        made = _once(made)
    if made.shape != node.shape:
        made = _broadcast(made, node.shape)
    return made


def _once(node: Expr) -> Expr:
    return node

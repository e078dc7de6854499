"""Expansion: composed operators become their definitions, down to primitives.

An operand that a definition reads more than once, and that is more than a name, gets its own
equation first, so nested functions never multiply the size of the cell. Small whole powers
become products, the power one half a square root, and the square of a square root its operand.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from gatec.expr import Apply, Const, Expr, Ref, call, number, rewrite
from gatec.ir import Cell, Equation
from gatec.ops import OPS
from gatec.passes.common import Fresh, is_leaf, temporary, with_equations

_LARGEST_PRODUCT = 4


def expand(cell: Cell) -> Cell:
    """Replace every operator that has a definition."""
    fresh = Fresh.of(cell)
    equations: list[Equation] = []
    for equation in cell.equations:
        expansion = _Expansion(equation.name, fresh)
        value = rewrite(equation.value, expansion.rule)
        equations += expansion.temporaries
        equations.append(equation if value is equation.value else replace(equation, value=value))
    return with_equations(cell, equations)


class _Expansion:
    def __init__(self, name: str, fresh: Fresh) -> None:
        self.name, self.fresh = name, fresh
        self.temporaries: list[Equation] = []

    def rule(self, node: Expr) -> Expr:
        if not isinstance(node, Apply):
            return node
        if node.op == "pow":
            return self._power(node)
        definition = OPS[node.op].definition
        if definition is None:
            return node
        (operand,) = node.args
        marker = Ref("var", "", operand.shape, 0, operand.batched)
        body = definition(marker)
        if not is_leaf(operand) and _uses(body, marker) > 1:
            operand = self._named(operand)
        # A definition may itself use composed operators (LayerNorm a mean).
        return rewrite(body, lambda inner: operand if inner == marker else self.rule(inner))

    def _power(self, node: Apply) -> Expr:
        base, exponent = node.args
        if not isinstance(exponent, Const) or isinstance(base, Const):
            return node
        if exponent.value == Fraction(1, 2):
            return call("sqrt", base)
        count = exponent.value
        if isinstance(base, Apply) and base.op == "sqrt" and count.denominator == 1:
            # The square of a norm has a derivative at 0, where the norm has none.
            if count == 2:
                return base.args[0]
            if count % 2 == 0:
                return self._power(Apply("pow", (base.args[0], Const(count / 2))))
        if count.denominator != 1 or not 1 <= abs(count) <= _LARGEST_PRODUCT:
            return node
        if not is_leaf(base) and abs(count) > 1:
            base = self._named(base)
        product = call("mul", *[base] * abs(int(count))) if abs(count) > 1 else base
        return product if count > 0 else call("div", number(1), product)

    def _named(self, operand: Expr) -> Expr:
        equation = temporary(self.fresh(f"{self.name}_argument"), operand)
        self.temporaries.append(equation)
        return equation.ref


def _uses(body: Expr, marker: Ref) -> int:
    """How often a definition reads its operand, counted over the tree as it is written."""
    counts: dict[Expr, int] = {}

    def count(node: Expr) -> Expr:
        counts[node] = int(node == marker) + sum(counts[child] for child in node.children)
        return node

    rewrite(body, count)
    return counts[body]

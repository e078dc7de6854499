"""Temporaries of the plan put back where they are read, so that equations read as written.

The plan names products, and parts that a backward pass would keep. Autograd keeps what it needs
by itself: a part that is read once stands in the equation that reads it, as long as that stays
short.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from gatec.backends.torch.affine import affine_operands, is_product
from gatec.expr import Apply, Expr, Ref, Slice, bottom_up, call, rewrite
from gatec.ir import Cell, Equation, Phase
from gatec.ops import OPS, Kind
from gatec.passes.common import kept

# How many operators, names and numbers an equation may have when it has taken others in.
_LONGEST = 16


def inlined(plan: Cell) -> list[Equation]:
    """The plan's equations, without the temporaries that others take in."""
    waiting: dict[str, Equation] = {}  # to be taken in by the equations after them
    lengths: dict[str, int] = {}
    uses = _uses(plan)
    made: list[Equation] = []
    for equation in plan.equations:
        value = _taken_in(equation, waiting, lengths)
        equation = replace(equation, value=value)
        lengths[equation.name] = len(bottom_up(value))
        if _may_move(equation, uses) and equation.name not in kept(plan):
            waiting[equation.name] = equation
        made.append(equation)
    read = {
        ref.name for equation in made for ref in bottom_up(equation.value) if isinstance(ref, Ref)
    }
    return [e for e in made if e.name in read or e.name not in waiting]


def _uses(plan: Cell) -> Counter[str]:
    """How often each variable stands in the text of the equations; a slice of it counts twice."""
    uses: Counter[str] = Counter()
    for equation in plan.equations:
        times: Counter[Expr] = Counter({equation.value: 1})
        for node in reversed(bottom_up(equation.value)):
            for child in node.children:
                times[child] += times[node] * (2 if isinstance(node, Slice) else 1)
            if isinstance(node, Ref) and node.kind == "var":
                uses[node.name] += times[node]
    return uses


def _may_move(equation: Equation, uses: Counter[str]) -> bool:
    value = equation.value
    if equation.text or uses[equation.name] != 1 or not isinstance(value, Apply):
        return False
    return OPS[value.op].kind is Kind.POINTWISE or is_product(value)


def _taken_in(equation: Equation, waiting: dict[str, Equation], lengths: dict[str, int]) -> Expr:
    """The equation's value with what it alone reads put in."""
    length = len(bottom_up(equation.value))
    found: dict[Expr, Expr] = {}
    for node in bottom_up(equation.value):
        part = waiting.get(node.name) if isinstance(node, Ref) else None
        if part is None or not _as_often(part, equation):
            continue
        if is_product(part.value) and not _gives_affine(equation.value, node, part.value):
            continue
        if length + lengths[part.name] <= _LONGEST:
            found[node] = part.value
            length += lengths[part.name]
    if not found:
        return equation.value
    return rewrite(equation.value, lambda node: found.get(node) or _flat(node))


def _as_often(part: Equation, equation: Equation) -> bool:
    """Whether a part is computed no more often inside an equation than before it."""
    return part.phase is equation.phase or equation.phase is Phase.SEQUENCE


def _gives_affine(value: Expr, product: Expr, put: Expr) -> bool:
    """Whether a value is an affine map once a product is put in."""
    put_in = tuple(put if child is product else child for child in value.children)
    return affine_operands(value.with_children(put_in)) is not None


def _flat(node: Expr) -> Expr:
    """Sums within sums and products within products as one, but for affine maps."""
    if not isinstance(node, Apply) or OPS[node.op].arity is not None or affine_operands(node):
        return node
    return call(node.op, *node.args)

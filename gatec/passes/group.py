"""Grouping: several products become one.

`group` stacks the matrices of products that share a vector (`W_f h`, `W_i h`, … are slices of
one product), and the factors of weight gradients that share one. `merge` makes one product of a
sum of products (`U^T g + V^T k` is `[U; V]^T [g, k]`). Stacked matrices are computed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from gatec.expr import Apply, Expr, Ref, Slice, call, rewrite
from gatec.ir import Cell, Equation, Phase
from gatec.passes.common import (
    Fresh,
    Roots,
    is_simple,
    is_transpose,
    nodes,
    temporary,
    with_equations,
)
from gatec.passes.layout import ZERO, concat, slice_, transpose

_Key = tuple[str, Expr, Phase]


class _Builder:
    """New equations, one per value."""

    def __init__(self, cell: Cell, roots: Roots) -> None:
        self.fresh = Fresh.of(cell, roots)
        self.computed: dict[Expr, Ref] = {}
        self.made: list[Equation] = []

    def view(self, value: Expr, name: str, phase: Phase) -> Expr:
        """The value as a view: itself, or the name of a new equation."""
        if is_simple(value):
            return value
        if value not in self.computed:
            self.made.append(temporary(self.fresh(name), value, phase))
            self.computed[value] = self.made[-1].ref
        return self.computed[value]


def group(cell: Cell, roots: Roots) -> Cell:
    """One product for those that share an operand; their values are slices of it."""
    members: dict[_Key, list[Equation]] = {}
    for equation in cell.equations:
        key = _shared_operand(equation)
        if key is not None:
            members.setdefault(key, []).append(equation)
    builder = _Builder(cell, roots)
    values: dict[str, Expr] = {}
    for key, found in members.items():
        if len(found) > 1:
            values.update(_stacked(key, found, builder))
    if not values:
        return cell
    return substituted(cell, values, roots, builder.made)


def _shared_operand(equation: Equation) -> _Key | None:
    """What products may share: the vector of `W v`, the row of a summed `u v^T`."""
    value = equation.value
    if not isinstance(value, Apply) or equation.phase in (Phase.ONCE, Phase.FINAL):
        return None
    if value.op in ("matvec", "matmul") and not value.args[0].batched:
        return value.op, value.args[1], equation.phase
    inner = value.args[0]
    if value.op == "batch_sum" and isinstance(inner, Apply) and inner.op == "outer":
        return "outer", inner.args[1], equation.phase
    return None


def _stacked(key: _Key, found: list[Equation], builder: _Builder) -> dict[str, Expr]:
    """The one product of a group, and each member as a slice of it."""
    op, operand, phase = key
    firsts = [_first(equation) for equation in found]
    label = _label(operand)
    if op == "outer":
        stack = builder.view(concat(firsts, 0), f"{label}_products_grad", phase)
        value = call("batch_sum", call("outer", stack, operand))
    else:
        stack = builder.view(concat(firsts, 0), f"{label}_weights", Phase.ONCE)
        value = call(op, stack, operand)
    name = f"{label}_weights_grad" if op == "outer" else f"{label}_products"
    product = builder.view(value, name, phase)
    values, start = {}, ZERO
    for equation, first in zip(found, firsts, strict=True):
        stop = start + first.shape[0]
        values[equation.name] = slice_(product, 0, start, stop)
        start = stop
    return values


def _first(equation: Equation) -> Expr:
    """The operand that a group does not share."""
    inner = equation.value.children[0]
    return inner.children[0] if isinstance(inner, Apply) and inner.op == "outer" else inner


def _label(view: Expr) -> str:
    while isinstance(view, Slice) or is_transpose(view):
        view = view.children[0]
    return view.name if isinstance(view, Ref) else "value"


def substituted(
    cell: Cell, values: dict[str, Expr], roots: Roots, made: Iterable[Equation]
) -> Cell:
    """The cell with views in place of equations, and the new equations that they are views of.

    An equation that the source names, or that is a root, stays as the name of its view.
    """
    named = {
        equation.name
        for equation in cell.equations
        if equation.name in values and (equation.symbol or equation.name in roots.all)
    }

    def rule(node: Expr) -> Expr:
        if isinstance(node, Ref):
            inside = node.kind == "var" and node.name in values and node.name not in named
            return values[node.name] if inside else node
        if isinstance(node, Slice):
            return slice_(node.arg, node.axis, node.start, node.stop)
        return transpose(node.children[0]) if is_transpose(node) else node

    equations = [*made]
    for equation in cell.equations:
        if equation.name in named:
            value, phase = values[equation.name], equation.phase
            summed = phase is Phase.AFTER and not value.batched
            phase = Phase.FINAL if summed else phase
            equations.append(replace(equation, value=value, phase=phase))
        elif equation.name not in values:
            equations.append(equation)
    changed = (replace(e, value=rewrite(e.value, rule)) for e in equations)
    return with_equations(cell, changed)


def merge(cell: Cell, roots: Roots) -> Cell:
    """One product for a sum of products of the loop (or after it), where nothing else reads
    them. Before the loop the vectors would have to be joined over the whole sequence, so
    products of inputs stay as they are.
    """
    products = {
        equation.name: equation
        for equation in cell.equations
        if _is_product(equation) and equation.name not in roots.all and not equation.symbol
    }
    uses: Counter[str] = Counter()
    for equation in cell.equations:
        for node in nodes(equation.value):
            uses.update(
                {child.name for child in node.children if _is_var(child)}  # type: ignore[attr-defined]
            )
        if _is_var(equation.value):
            uses[equation.value.name] += 1  # type: ignore[attr-defined]
    builder = _Builder(cell, roots)

    def rule(node: Expr) -> Expr:
        if not (isinstance(node, Apply) and node.op == "add"):
            return node
        groups: dict[Phase, list[Equation]] = {}
        for term in node.args:
            if isinstance(term, Ref) and term.name in products and uses[term.name] == 1:
                groups.setdefault(products[term.name].phase, []).append(products[term.name])
        one: dict[Expr, Expr | None] = {}
        for phase, found in groups.items():
            if len(found) > 1:
                one.update({equation.ref: None for equation in found})
                one[found[0].ref] = _merged(phase, found, builder)
        if not one:
            return node
        terms = [one.get(term, term) for term in node.args]
        kept = [term for term in terms if term is not None]
        return call("add", *kept) if len(kept) > 1 else kept[0]

    equations = [replace(e, value=rewrite(e.value, rule)) for e in cell.equations]
    return with_equations(cell, (*equations, *builder.made)) if builder.made else cell


def _is_var(node: Expr) -> bool:
    return isinstance(node, Ref) and node.kind == "var"


def _is_product(equation: Equation) -> bool:
    value = equation.value
    return (
        isinstance(value, Apply)
        and value.op == "matvec"
        and not value.args[0].batched
        and equation.phase in (Phase.STEP, Phase.AFTER)
    )


def _merged(phase: Phase, found: list[Equation], builder: _Builder) -> Expr:
    matrices = [equation.value.children[0] for equation in found]
    vectors = [equation.value.children[1] for equation in found]
    name = found[0].name
    matrix = builder.view(concat(matrices, 1), f"{name}_matrices", Phase.ONCE)
    vector = builder.view(concat(vectors, 0), f"{name}_vectors", phase)
    return builder.view(call("matvec", matrix, vector), f"{name}_all", phase)

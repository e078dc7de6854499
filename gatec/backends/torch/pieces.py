"""Grouped products taken apart by name.

The plan computes the products of all gates as one and slices it. What is read in slices alone
is split once instead, into pieces with names: `W_f_a` is what `W_f` gives for `a`. The equations
then read as they were written, and one split costs less than many slices, most of all backward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from gatec.expr import Apply, Concat, Dim, Expr, Ref, Slice, rewrite
from gatec.ir import Cell, Equation
from gatec.passes.common import kept, nodes


@dataclass(frozen=True)
class Assignment:
    """An equation as a statement: its value under one name, or split into pieces of `sizes`."""

    equation: Equation
    names: tuple[str, ...]
    sizes: tuple[Dim, ...] = ()
    axis: int = 0


def assignments(plan: Cell, fresh: Callable[[str], str]) -> list[Assignment]:
    """The plan's equations, split where only slices of them are read.

    `fresh` gives a name that the cell does not have.
    """
    equations = _affine(plan)
    table = {equation.name: equation.value for equation in equations}
    parts = {
        name: found
        for name, slices in _slices(equations, kept(plan)).items()
        if (found := _in_order(table[name], slices))
    }
    known: dict[Expr, Expr] = {}  # what stands for slices, and for other names of a value
    result: list[Assignment] = []
    for equation in equations:
        found = parts.get(equation.name, [])
        names = tuple(fresh(name) for name in _piece_names(equation, found, table))
        for name, part in zip(names, found, strict=True):
            known[part] = Ref("var", name, part.shape, 0, part.batched)
        value = rewrite(equation.value, lambda node: known.get(node, node))
        made = replace(equation, value=value)
        if found:
            sizes = tuple(part.stop - part.start for part in found)
            result.append(Assignment(made, names, sizes, found[0].axis - found[0].rank))
        elif isinstance(value, Ref) and not equation.text and equation.name not in kept(plan):
            known[equation.ref] = value
        else:
            result.append(Assignment(made, (equation.name,)))
    return result


# --- Affine maps ----------------------------------------------------------------------------


def affine_operands(value: Expr) -> tuple[Expr, Expr, Expr] | None:
    """`(A, v, b)` of a value `A v + b` over rows `v`, where A and b read no row."""
    if not isinstance(value, Apply) or value.op != "add" or len(value.args) != 2:
        return None
    for product, bias in (value.args, value.args[::-1]):
        if _is_product(product) and bias.shape == value.shape and not bias.batched:
            matrix, vector = product.children
            return matrix, vector, bias
    return None


def _is_product(value: Expr) -> bool:
    if not isinstance(value, Apply) or value.op != "matvec":
        return False
    return value.args[1].batched and not value.args[0].batched


def _affine(plan: Cell) -> list[Equation]:
    """The equations; a product that is only read to add a bias to it is part of that sum."""
    uses = Counter(
        node.name
        for equation in plan.equations
        for node in nodes(equation.value)
        if isinstance(node, Ref) and node.kind == "var"
    )
    products = {
        equation.name: equation
        for equation in plan.equations
        if _is_product(equation.value)
        and uses[equation.name] == 1
        and equation.name not in kept(plan)
        and not equation.text
    }
    gone: set[str] = set()
    made: list[Equation] = []
    for equation in plan.equations:
        for term in equation.value.children:
            product = products.get(term.name) if isinstance(term, Ref) else None
            if product is None or product.phase is not equation.phase:
                continue
            inside = tuple(
                product.value if child is term else child for child in equation.value.children
            )
            value = equation.value.with_children(inside)
            if affine_operands(value):
                equation = replace(equation, value=value)
                gone.add(product.name)
        made.append(equation)
    return [equation for equation in made if equation.name not in gone]


# --- Pieces ---------------------------------------------------------------------------------


def _slices(equations: Iterable[Equation], whole: Iterable[str]) -> dict[str, list[Slice]]:
    """The variables of which only slices are read, and the slices."""
    found: dict[str, list[Slice]] = {}
    taken = set(whole)
    for equation in equations:
        for node in nodes(equation.value):
            if isinstance(node, Ref) and node is equation.value:
                taken.add(node.name)
            for child in node.children:
                if not isinstance(child, Ref) or child.kind != "var":
                    continue
                if not isinstance(node, Slice):
                    taken.add(child.name)
                elif node not in found.setdefault(child.name, []):
                    found[child.name].append(node)
    return {name: slices for name, slices in found.items() if name not in taken}


def _in_order(value: Expr, slices: list[Slice]) -> list[Slice]:
    """The slices one after the other where they are the value's parts along one axis."""
    axis = slices[0].axis
    starts = {part.start: part for part in slices}
    if len(starts) < len(slices) or any(part.axis != axis for part in slices):
        return []
    ordered: list[Slice] = []
    position = Dim()
    while position in starts and len(ordered) < len(slices):
        ordered.append(starts[position])
        position = ordered[-1].stop
    complete = position == value.shape[axis] and len(ordered) == len(slices) > 1
    return ordered if complete else []


def _piece_names(equation: Equation, parts: list[Slice], table: Mapping[str, Expr]) -> list[str]:
    """A name for each piece: the parameter and what it multiplies, or the equation's name."""
    names = [_origin(equation.value, part, table) for part in parts]
    if None in names or len(set(names)) < len(names):
        base = names[0] if names and len(set(names)) == 1 and names[0] else equation.name
        return [f"{base}_{i}" for i, _ in enumerate(parts, 1)]
    return [name for name in names if name]


def _origin(value: Expr, part: Slice, table: Mapping[str, Expr]) -> str | None:
    """Where a piece of a product comes from: `W_f_a` for the rows of `W_f`, times `a`."""
    affine = affine_operands(value)
    if affine is not None:
        matrix, vector, _ = affine
    elif _is_product(value):
        matrix, vector = value.children
    else:
        return None
    if isinstance(matrix, Ref) and matrix.kind == "var":
        matrix = table.get(matrix.name, matrix)
    if isinstance(matrix, Concat) and matrix.axis == 0:
        start = Dim()
        for arg in matrix.args:
            if start == part.start and start + arg.shape[0] == part.stop:
                matrix = arg
                break
            start += arg.shape[0]
    rows, operand = _root(matrix), _root(vector)
    return f"{rows}_{operand}" if rows and operand else None


def _root(value: Expr) -> str | None:
    """The name of what a value is a view of."""
    while isinstance(value, Slice) or (isinstance(value, Apply) and value.op == "transpose"):
        value = value.children[0]
    return value.name if isinstance(value, Ref) else None

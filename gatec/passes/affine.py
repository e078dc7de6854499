"""Biases of products that were grouped: one sum for all of them.

`group` made `W_f x`, `W_i x`, … slices of one product over the whole sequence; each slice plus
its bias is then a slice of that product plus the stacked biases. It is done where every slice
has a bias and nothing reads the product without one; elsewhere each sum stays its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatec.expr import Apply, Dim, Expr, Ref, Slice, call
from gatec.ir import Cell, Equation, Phase
from gatec.passes.common import Fresh, Roots, is_simple, refs, temporary
from gatec.passes.group import substituted
from gatec.passes.layout import ZERO, concat


@dataclass(frozen=True)
class _Sum:
    """An equation that is a slice of a product plus a value that is computed once."""

    equation: Equation
    part: Slice
    bias: Expr


def affine(cell: Cell, roots: Roots) -> Cell:
    """Add the biases of a grouped product in one sum over the sequence."""
    once = {equation.name for equation in cell.equations if equation.phase is Phase.ONCE}
    sums: dict[Ref, list[_Sum]] = {}
    readers: dict[str, int] = {}
    for equation in cell.equations:
        for name in {ref.name for ref in refs(equation.value, "var")}:
            readers[name] = readers.get(name, 0) + 1
        found = _sum(equation, once, roots)
        if found is not None and isinstance(found.part.arg, Ref):
            sums.setdefault(found.part.arg, []).append(found)
    fresh, made, values = Fresh.of(cell, roots), list[Equation](), dict[str, Expr]()
    for product, found_sums in sums.items():
        members = _tiles(found_sums, product.shape[0])
        if len(members) < 2 or len(members) != readers[product.name]:
            continue
        base = product.name.removesuffix("_products")
        bias = concat([member.bias for member in members], 0)
        if not is_simple(bias):
            made.append(temporary(fresh(f"{base}_biases"), bias, Phase.ONCE))
            bias = made[-1].ref
        total = call("add", product, bias)
        made.append(temporary(fresh(f"{base}_affine"), total, Phase.SEQUENCE))
        for member in members:
            part = member.part
            values[member.equation.name] = Slice(made[-1].ref, 0, part.start, part.stop)
    return substituted(cell, values, roots, made) if values else cell


def _sum(equation: Equation, once: set[str], roots: Roots) -> _Sum | None:
    value = equation.value
    if equation.symbol or equation.name in roots.all or equation.phase is not Phase.SEQUENCE:
        return None
    if not isinstance(value, Apply) or value.op != "add" or len(value.args) != 2:
        return None
    parts = [arg for arg in value.args if isinstance(arg, Slice) and arg.batched]
    biases = [
        arg
        for arg in value.args
        if arg.shape == value.shape
        and is_simple(arg)
        and all(ref.kind == "param" or ref.name in once for ref in refs(arg))
    ]
    if len(value.shape) != 1 or len(parts) != 1 or len(biases) != 1:
        return None
    return _Sum(equation, parts[0], biases[0])


def _tiles(sums: list[_Sum], size: Dim) -> list[_Sum]:
    """The sums in the order of their slices, where these are the whole product, each once."""
    by_start = {member.part.start: member for member in sums}
    ordered, position = list[_Sum](), ZERO
    while position in by_start:
        ordered.append(by_start.pop(position))
        position = ordered[-1].part.stop
    return ordered if position == size and len(ordered) == len(sums) else []

"""Cells at other sizes: one size in place of another, a number in place of a size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gatec.expr import (
    Apply,
    Broadcast,
    Const,
    Dim,
    Expr,
    Identity,
    Ref,
    Shape,
    SizeValue,
    Slice,
    number,
    rewrite,
)
from gatec.ir import Cell


def resized(cell: Cell, sizes: Mapping[str, Dim]) -> Cell:
    """The cell with other sizes in place of some."""
    if not sizes:
        return cell

    def dim(old: Dim) -> Dim:
        made = Dim((), old.const)
        for name, count in old.terms:
            made = made + sizes.get(name, Dim.of(name)) * count
        return made

    def shape(old: Shape) -> Shape:
        return tuple(map(dim, old))

    def node(expr: Expr) -> Expr:
        match expr:
            case Ref():
                return replace(expr, dims=shape(expr.dims))
            case Slice():
                return replace(expr, start=dim(expr.start), stop=dim(expr.stop))
            case Broadcast():
                return replace(expr, target=shape(expr.target))
            case Identity():
                return Identity(dim(expr.dim))
            case SizeValue():
                made = dim(expr.dim)
                return SizeValue(made) if made.terms else Const(number(made.const).value)
            case Apply():
                return expr
        return expr

    return replace(
        cell,
        inputs=tuple(replace(i, shape=shape(i.shape)) for i in cell.inputs),
        states=tuple(replace(s, shape=shape(s.shape)) for s in cell.states),
        params=tuple(replace(p, shape=shape(p.shape)) for p in cell.params),
        equations=tuple(replace(e, value=rewrite(e.value, node)) for e in cell.equations),
        sizes=tuple(s for s in cell.sizes if s.name not in sizes),
    )

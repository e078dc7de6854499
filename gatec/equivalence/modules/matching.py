"""The match of parameters, as a table: what stands for what in a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from gatec.equivalence.modules.trace import Traced
from gatec.equivalence.verdict import Verdict
from gatec.expr import Broadcast, Const, Expr, Ref, rewrite
from gatec.ir import Cell
from gatec.show_ir import text


@dataclass(frozen=True)
class Row:
    """One line of the table.

    spec     a parameter of the cell, or an expression of its parameters
    module   what it is in the module: `weight_ih[:hidden_size]`, a sum of several, a number
    how      proved | name | shape | order | fit
    """

    spec: str
    module: str
    how: str


def table(cell: Cell, traced: Traced, verdict: Verdict) -> tuple[Row, ...]:
    """The match that a verdict states; of the best map where nothing is proved."""
    symbols = {p.name: p.name for p in cell.params}
    theirs = {f"{name}'": block.text for name, block in traced.blocks.items()}
    if verdict.covers is not None:
        found = verdict.covers.params
        return tuple(Row(n, spelled(v, theirs), "proved") for n, v in found.items())
    if verdict.covered is not None:
        found = verdict.covered.params
        return tuple(Row(spelled(v, symbols), theirs.get(n, n), "proved") for n, v in found.items())
    if verdict.counterexample is not None:
        found = verdict.counterexample.found.params
        forward = set(found) <= set(symbols)
        if forward:
            return tuple(Row(n, spelled(v, theirs), "fit") for n, v in found.items())
        return tuple(Row(spelled(v, symbols), theirs.get(n, n), "fit") for n, v in found.items())
    return ()


def spelled(value: Expr, names: Mapping[str, str]) -> str:
    """An expression in parameters of the other side, by what these are called there."""

    def node(expr: Expr) -> Expr:
        if isinstance(expr, Broadcast) and isinstance(expr.arg, Const):
            return Ref("param", text(expr.arg), expr.target)
        if isinstance(expr, Ref) and expr.kind == "param":
            return Ref("param", names.get(expr.name, expr.name), expr.dims)
        return expr

    return text(rewrite(value, node))


def numbers(params: Mapping[str, Expr], cell: Cell) -> dict[str, Fraction] | None:
    """The scalar parameters of a cell that a map sets to numbers; None where it sets others."""
    scalars = {param.name for param in cell.params if not param.shape}
    made: dict[str, Fraction] = {}
    for name, value in params.items():
        inner = value.arg if isinstance(value, Broadcast) else value
        if isinstance(inner, Const):
            if name not in scalars:
                return None
            made[name] = inner.value
    return made

"""Affine maps of rows: what PyTorch computes with one call."""

from __future__ import annotations

from gatec.expr import Apply, Expr


def affine_operands(value: Expr) -> tuple[Expr, Expr, Expr] | None:
    """`(A, v, b)` of a value `A v + b` over rows `v`, where A and b read no row."""
    if not isinstance(value, Apply) or value.op != "add" or len(value.args) != 2:
        return None
    for product, bias in (value.args, value.args[::-1]):
        if is_product(product) and bias.shape == value.shape and not bias.batched:
            matrix, vector = product.children
            return matrix, vector, bias
    return None


def is_product(value: Expr) -> bool:
    """Whether a value is one matrix times the vectors of all rows."""
    if not isinstance(value, Apply) or value.op != "matvec":
        return False
    return value.args[1].batched and not value.args[0].batched

"""Contractions and reductions built in simplest form.

Signs and scalar factors leave them; products with zeros, the identity and outer products are
written out (`(u w^T) v` is `u (w^T v)`, a vector times a number); the sum of a product of two
vectors is their inner product. `batch_sum` gives way to whatever does not depend on the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from gatec.expr import Apply, Broadcast, Expr, Identity, SizeValue, call
from gatec.passes.algebra import add, make, mul, neg, spread
from gatec.passes.common import is_leaf, is_zero, zeros
from gatec.passes.layout import transpose


def product(op: str, *args: Expr) -> Expr:
    """A contraction, reduction or batch sum over simplified operands, simplified."""
    return _RULES[op](*args)


RULED = frozenset({"matvec", "matmul", "dot", "outer", "sum", "amax", "batch_sum"})


def factors(expr: Expr) -> tuple[list[Expr], Expr]:
    """The scalar factors (and the sign) of an expression, and the rest of it."""
    if isinstance(expr, Apply) and expr.op == "neg":
        scalars, rest = factors(expr.args[0])
        return [_minus_one(), *scalars], rest
    if isinstance(expr, Apply) and expr.op == "mul" and expr.shape:
        scalars = [arg for arg in expr.args if not arg.shape]
        rest = [arg for arg in expr.args if arg.shape]
        if scalars:
            return scalars, rest[0] if len(rest) == 1 else call("mul", *rest)
    if isinstance(expr, Apply) and expr.op == "div" and expr.shape and not expr.args[1].shape:
        scalars, rest = factors(expr.args[0])
        return [*scalars, call("div", 1, expr.args[1])], rest
    return [], expr


def _minus_one() -> Expr:
    from gatec.expr import Const

    return Const(Fraction(-1))

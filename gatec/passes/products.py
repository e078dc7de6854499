"""Contractions and reductions built in simplest form.

Signs and scalar factors leave them; products with zeros, the identity and outer products are
written out (`(u w^T) v` is `u (w^T v)`, a vector times a number); the sum of a product of two
vectors is their inner product. `batch_sum` gives way to whatever does not depend on the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from gatec.expr import Apply, Broadcast, Concat, Const, Dim, Expr, Identity, SizeValue, call
from gatec.passes.algebra import make, mul, neg, spread
from gatec.passes.common import is_simple, is_zero, zeros
from gatec.passes.layout import ZERO, slice_, transpose, units

_ONE = Const(Fraction(1))


def product(op: str, *args: Expr) -> Expr:
    """A contraction, reduction or batch sum over simplified operands, simplified."""
    return _RULES[op](*args)


def factors(expr: Expr) -> tuple[list[Expr], Expr]:
    """The scalar factors (and the sign) of an expression, and the rest of it."""
    if isinstance(expr, Apply) and expr.op == "neg":
        scalars, inner = factors(expr.args[0])
        return [Const(Fraction(-1)), *scalars], inner
    if isinstance(expr, Apply) and expr.op == "mul" and expr.shape:
        scalars = [arg for arg in expr.args if not arg.shape]
        rest = [arg for arg in expr.args if arg.shape]
        if scalars:
            return scalars, rest[0] if len(rest) == 1 else call("mul", *rest)
    if isinstance(expr, Apply) and expr.op == "div" and expr.shape and not expr.args[1].shape:
        scalars, inner = factors(expr.args[0])
        return [*scalars, call("div", 1, expr.args[1])], inner
    return [], expr


def _matvec(matrix: Expr, vector: Expr) -> Expr:
    if is_zero(matrix) or is_zero(vector):
        return zeros(matrix.shape[:1])
    if isinstance(matrix, Identity):
        return vector
    scalars, (matrix, vector) = _without_factors(matrix, vector)
    if scalars:
        return mul(*scalars, _matvec(matrix, vector))
    if isinstance(vector, Concat):
        # W [a; x] is W's first columns times a plus the others times x.
        terms, start = [], ZERO
        for part in vector.args:
            stop = start + units(part, 0)
            part = part if part.shape else Broadcast(part, (stop - start,))
            terms.append(_matvec(slice_(matrix, 1, start, stop), part))
            start = stop
        return make("add", *terms) if len(terms) > 1 else terms[0]
    if isinstance(vector, Broadcast) and vector.arg != _ONE:
        return mul(vector.arg, _matvec(matrix, Broadcast(_ONE, vector.target)))
    if _is_outer(matrix):
        column, row = matrix.children
        return mul(_dot(row, vector), column)
    if _is_low_rank_sum(matrix):
        return make("add", *(_matvec(term, vector) for term in matrix.children))
    if isinstance(matrix, Apply) and matrix.op == "matmul" and matrix.batched:
        return _matvec(matrix.args[0], _matvec(matrix.args[1], vector))
    return call("matvec", matrix, vector)


def _matmul(left: Expr, right: Expr) -> Expr:
    if is_zero(left) or is_zero(right):
        return zeros((left.shape[0], right.shape[1]))
    if isinstance(left, Identity):
        return right
    if isinstance(right, Identity):
        return left
    scalars, (left, right) = _without_factors(left, right)
    if scalars:
        return mul(*scalars, _matmul(left, right))
    if _is_outer(left):
        column, row = left.children
        return _outer(column, _matvec(transpose(right), row))
    if _is_outer(right):
        column, row = right.children
        return _outer(_matvec(left, column), row)
    if _is_low_rank_sum(left):
        return make("add", *(_matmul(term, right) for term in left.children))
    if _is_low_rank_sum(right):
        return make("add", *(_matmul(left, term) for term in right.children))
    return call("matmul", left, right)


def _dot(one: Expr, other: Expr) -> Expr:
    if is_zero(one) or is_zero(other):
        return zeros(())
    scalars, (one, other) = _without_factors(one, other)
    if scalars:
        return mul(*scalars, _dot(one, other))
    for value, rest in ((one, other), (other, one)):
        if isinstance(value, Broadcast):
            return mul(value.arg, _sum(rest))
    return call("dot", one, other)


def _outer(column: Expr, row: Expr) -> Expr:
    if is_zero(column) or is_zero(row):
        return zeros((*column.shape, *row.shape))
    scalars, (column, row) = _without_factors(column, row)
    if scalars:
        return mul(*scalars, _outer(column, row))
    if isinstance(column, Broadcast) and isinstance(row, Broadcast):
        return Broadcast(mul(column.arg, row.arg), (*column.target, *row.target))
    return call("outer", column, row)


def _sum(arg: Expr) -> Expr:
    if not arg.shape:
        return arg
    if isinstance(arg, Broadcast):
        return mul(arg.arg, *(_size(dim) for dim in arg.target))
    scalars, rest = factors(arg)
    if scalars:
        return mul(*scalars, _sum(rest))
    if _is_outer(arg):
        return mul(*(_sum(part) for part in arg.children))
    if isinstance(arg, Apply) and arg.op == "mul" and len(arg.shape) == 1:
        one, *others = arg.args
        if len(others) == 1 and is_simple(one) and is_simple(others[0]):
            return _dot(one, others[0])
    return call("sum", arg)


def _size(dim: Dim) -> Expr:
    return SizeValue(dim) if dim.terms else Const(Fraction(dim.const))


def _amax(arg: Expr) -> Expr:
    if not arg.shape:
        return arg
    return arg.arg if isinstance(arg, Broadcast) else call("amax", arg)


def _batch_sum(arg: Expr) -> Expr:
    if is_zero(arg):
        return arg
    if isinstance(arg, Broadcast):
        return spread(_batch_sum(arg.arg), arg.target)
    if isinstance(arg, Apply) and arg.op == "neg":
        return neg(_batch_sum(arg.args[0]))
    if _is_outer(arg) and any(not part.batched for part in arg.children):
        return _outer(*(_batch_sum(part) if part.batched else part for part in arg.children))
    if isinstance(arg, Apply) and arg.op == "mul":
        fixed = [part for part in arg.args if not part.batched]
        rest = [part for part in arg.args if part.batched]
        if fixed and rest:
            inner = _batch_sum(rest[0] if len(rest) == 1 else call("mul", *rest))
            return spread(make("mul", *fixed, inner), arg.shape)
        # s (u v^T) summed over the batch is the product of (s u) and v.
        scalars = [part for part in rest if not part.shape]
        others = [part for part in rest if part.shape]
        if len(others) == 1 and _is_outer(others[0]):
            column, row = others[0].children
            return _batch_sum(call("outer", mul(*scalars, column), row))
    if isinstance(arg, Apply) and arg.op == "div" and not arg.args[1].batched:
        return make("div", *(spread(_batch_sum(arg.args[0]), arg.args[0].shape), arg.args[1]))
    matrices = isinstance(arg, Apply) and arg.op == "add" and len(arg.shape) == 2
    if matrices and all(part.batched and part.shape for part in arg.children):
        return make("add", *(_batch_sum(part) for part in arg.children))
    return call("batch_sum", arg)


def _without_factors(*args: Expr) -> tuple[list[Expr], tuple[Expr, ...]]:
    """The scalar factors of all operands, and the operands without them."""
    split = [factors(arg) for arg in args]
    return [scalar for scalars, _ in split for scalar in scalars], tuple(rest for _, rest in split)


def _is_outer(expr: Expr) -> bool:
    return isinstance(expr, Apply) and expr.op == "outer"


def _is_low_rank_sum(expr: Expr) -> bool:
    """A sum such as `I - beta k k^T`: a product with it needs no matrix product."""
    if not (isinstance(expr, Apply) and expr.op == "add" and expr.batched):
        return False
    bare = [factors(term)[1] for term in expr.args]
    return all(isinstance(term, Identity) or _is_outer(term) for term in bare)


_RULES: dict[str, Callable[..., Expr]] = {
    "matvec": _matvec,
    "matmul": _matmul,
    "dot": _dot,
    "outer": _outer,
    "sum": _sum,
    "amax": _amax,
    "batch_sum": _batch_sum,
}
RULED = frozenset(_RULES)

"""The laws by which a node over operands in normal form is rewritten.

`rewritten` gives the law and what the node is equal to, or None where no law applies: then the
node is an atom. `polynomial` is the normal form of an operand. `LAWS` says each in words.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from gatec.equivalence.polynomials import Monomial, Poly, product, split
from gatec.equivalence.reductions import ONE, ZERO, indicated, indicator
from gatec.expr import (
    Apply,
    Broadcast,
    Concat,
    Const,
    Expr,
    Identity,
    SizeValue,
    Slice,
    call,
)
from gatec.ops import OPS, Kind
from gatec.passes.layout import ZERO as START
from gatec.passes.layout import slice_, transpose, units

Rewrite = tuple[str, Expr] | None
Normal = Callable[[Expr], Poly]

HALF, TWO = Const(Fraction(1, 2)), Const(Fraction(2))

LAWS = {
    "equation": "a quantity is the right side of its equation",
    "arithmetic": "commutative ring arithmetic, unit by unit",
    "broadcast": "a function of one number in every unit is its value in every unit",
    "definition": "a composed function is what it is composed of",
    "tanh": "tanh(u) = 2 sigmoid(2 u) - 1",
    "complement": "sigmoid(-u) = 1 - sigmoid(u)",
    "value at zero": "sigmoid(0) = 1/2, exp(0) = 1, sign(2) = 1, and so on",
    "odd function": "f(-u) = -f(u) for sin, arctan, erf, sign",
    "even function": "f(-u) = f(u) for cos",
    "rectifier": "relu(u) = u [u > 0]",
    "rectifier of a negative": "relu(-u) = relu(u) - u",
    "absolute value": "|u| = 2 relu(u) - u",
    "maximum": "max(u, v) = v + relu(u - v)",
    "minimum": "min(u, v) = u - relu(u - v)",
    "comparison": "u > v is [u - v > 0], u >= v is 1 - [v - u > 0], u = v is c (u - v) = 0",
    "scale of a sign": "[c u > 0] = [u > 0] for c > 0",
    "choice": "where(c, u, v) = v + [c] (u - v)",
    "softplus": "softplus(-u) = softplus(u) - u",
    "logarithm": "log(exp(u)) = u, log(1 + exp(u)) = softplus(u), log1p(u) = log(1 + u)",
    "exponential": "expm1(u) = exp(u) - 1, exp(softplus(u)) = 1 + exp(u), "
    "exp(-softplus(u)) = sigmoid(-u)",
    "exponential of a sum": "exp(u) exp(v) = exp(u + v)",
    "indicator squared": "[u > 0]^2 = [u > 0]",
    "square of a root": "sqrt(u)^2 = u",
    "gate and exponential": "exp(u) sigmoid(u) = exp(u) - sigmoid(u), "
    "exp(-u) sigmoid(u) = 1 - sigmoid(u), 1 / sigmoid(u) = 1 + exp(-u)",
    "logistic function": "1 / (exp(u) + exp(v)) = exp(-u) sigmoid(u - v)",
    "share of a sum": "u / (u + v) = 1 - v / (u + v)",
    "cases of a sign": "u [-u > 0] = u - u [u > 0]",
    "linearity": "products with matrices, sums and outer products distribute; scalars leave them",
    "inner product": "u^T v = sum(u * v)",
    "blocks": "M [u; v] = M_1 u + M_2 v, with M's first and last columns",
    "slice": "a slice of a value is computed from slices of its operands",
    "transposition": "(A B)^T = B^T A^T, and so on",
    "association": "(A B) v = A (B v)",
    "outer product": "(u w^T) v = u (w^T v)",
    "identity": "I v = v",
    "scaled rows and columns": "(u w^T * M) v = u * (M (w * v))",
}

_ODD = frozenset({"sin", "arctan", "erf", "sign"})
_AT_ZERO = {
    "sigmoid": HALF,
    "exp": ONE,
    "cos": ONE,
    "sin": ZERO,
    "arctan": ZERO,
    "erf": ZERO,
    "sign": ZERO,
    "sqrt": ZERO,
    "relu": ZERO,
}


def rewritten(node: Expr, polynomial: Normal) -> Rewrite:
    """The law for a node whose operands are in normal form, and what it makes of it."""
    if isinstance(node, Slice):
        return _slice(node)
    if isinstance(node, Apply):
        op = OPS[node.op]
        scalar = _in_every_unit(node) if op.kind is Kind.POINTWISE else None
        if scalar is not None:
            return "broadcast", scalar
        if op.definition is not None:
            return "definition", _same_shape(op.definition(node.args[0]), node)
        if op.kind is Kind.POINTWISE:
            rule = _POINTWISE.get(node.op)
            return _at_zero(node) or (rule(node, polynomial) if rule else None)
        rule = _PRODUCTS.get(node.op)
        return rule(node, polynomial) if rule else None
    return None


def _in_every_unit(node: Apply) -> Expr | None:
    """A function whose operands are the same in every unit, as its one value; None for others."""
    if not node.shape or not all(not a.shape or isinstance(a, Broadcast) for a in node.args):
        return None
    inner = tuple(a.arg if isinstance(a, Broadcast) else a for a in node.args)
    return Broadcast(Apply(node.op, inner), node.shape)


def _same_shape(value: Expr, like: Expr) -> Expr:
    return value if value.shape == like.shape else Broadcast(value, like.shape)


def _at_zero(node: Apply) -> Rewrite:
    arg = node.args[0]
    zero = arg.arg if isinstance(arg, Broadcast) else arg
    if zero == ZERO and node.op in _AT_ZERO:
        return "value at zero", _same_shape(_AT_ZERO[node.op], node)
    if node.op == "sign" and isinstance(zero, Const):
        return "value at zero", _same_shape(ONE if zero.value > 0 else -ONE, node)
    return None


def _leading(value: Poly) -> Fraction:
    """The number of the first monomial; 1 for zero."""
    return value.ordered()[0][1] if value else Fraction(1)


# --- Functions ------------------------------------------------------------------------------------


def _tanh(node: Apply, polynomial: Normal) -> Rewrite:
    return "tanh", TWO * Apply("sigmoid", (TWO * node.args[0],)) - ONE


def _sigmoid(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    if _leading(polynomial(arg)) < 0:
        return "complement", ONE - Apply("sigmoid", (-arg,))
    return None


def _odd(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    if _leading(polynomial(arg)) < 0:
        return "odd function", -Apply(node.op, (-arg,))
    return None


def _even(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    if _leading(polynomial(arg)) < 0:
        return "even function", Apply(node.op, (-arg,))
    return None


def _relu(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    if _leading(polynomial(arg)) < 0:
        return "rectifier of a negative", Apply("relu", (-arg,)) + arg
    return "rectifier", arg * indicator(arg)


def _abs(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    return "absolute value", TWO * Apply("relu", (arg,)) - arg


def _max(node: Apply, polynomial: Normal) -> Rewrite:
    one, other = node.args
    return "maximum", other + Apply("relu", (one - other,))


def _min(node: Apply, polynomial: Normal) -> Rewrite:
    one, other = node.args
    return "minimum", one - Apply("relu", (one - other,))


def _comparison(node: Apply, polynomial: Normal) -> Rewrite:
    one, other = node.args
    match node.op:
        case "eq":
            return _equality(node, polynomial(one - other))
        case "gt":
            made = indicator(one - other)
        case "lt":
            made = indicator(other - one)
        case "ge":
            made = ONE - indicator(other - one)
        case _:
            made = ONE - indicator(one - other)
    return "comparison", made


def _equality(node: Apply, difference: Poly) -> Rewrite:
    number = difference.constant
    if number is not None:
        return "comparison", _same_shape(ZERO if number else ONE, node)
    made = Apply("eq", (difference.scaled(1 / _leading(difference)).expr(node.shape), ZERO))
    return None if made == node else ("comparison", made)


def _where(node: Apply, polynomial: Normal) -> Rewrite:
    value = indicated(node)
    if value is not None:
        poly = polynomial(value)
        number = poly.constant
        if number is not None:
            return "value at zero", _same_shape(ONE if number > 0 else ZERO, node)
        size = abs(_leading(poly))
        if size != 1:
            return "scale of a sign", indicator(Const(1 / size) * value)
        return None
    condition, one, other = node.args
    if isinstance(condition, Apply) and condition.op in ("gt", "eq"):
        if (one, other) == (ONE, ZERO):
            return None
        chosen: Expr = Apply("where", (condition, ONE, ZERO))
    elif all(_is_choice(atom) for atom in polynomial(condition).atoms()):
        chosen = condition  # a comparison, written as a number by now
    else:
        return None
    return "choice", _same_shape(other + chosen * (one - other), node)


def _is_choice(atom: Expr) -> bool:
    return isinstance(atom, Apply) and atom.op == "where" and atom.args[1:] == (ONE, ZERO)


def _softplus(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    if _leading(polynomial(arg)) < 0:
        return "softplus", Apply("softplus", (-arg,)) + arg
    return None


def _log(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    if isinstance(arg, Apply) and arg.op == "exp":
        return "logarithm", arg.args[0]
    terms = arg.args if isinstance(arg, Apply) and arg.op == "add" else ()
    if len(terms) == 2 and ONE in terms:
        (exponential,) = [term for term in terms if term != ONE] or [ONE]
        if isinstance(exponential, Apply) and exponential.op == "exp":
            return "logarithm", Apply("softplus", (exponential.args[0],))
    return None


def _log1p(node: Apply, polynomial: Normal) -> Rewrite:
    return "logarithm", Apply("log", (ONE + node.args[0],))


def _expm1(node: Apply, polynomial: Normal) -> Rewrite:
    return "exponential", Apply("exp", (node.args[0],)) - ONE


def _exp(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    poly = polynomial(arg)
    for monomial, number in poly.ordered():
        atom = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if abs(number) != 1 or not isinstance(atom, Apply) or atom.op not in ("softplus", "log"):
            continue
        rest = (poly - Poly({monomial: number})).expr(arg.shape)
        inner = atom.args[0]
        if atom.op == "log":
            value = inner if number > 0 else ONE / inner
        else:
            value = ONE + Apply("exp", (inner,)) if number > 0 else Apply("sigmoid", (-inner,))
        return "exponential", _same_shape(value * Apply("exp", (rest,)), node)
    scalars = {m: c for m, c in poly.terms.items() if m and not split(m, arg.rank)[1]}
    if arg.rank and scalars and len(scalars) < len(poly.terms):
        outside = Poly(scalars)
        inside = (poly - outside).expr(arg.shape)
        return "exponential of a sum", Apply("exp", (inside,)) * Apply("exp", (outside.expr(()),))
    return None


_POINTWISE: dict[str, Callable[[Apply, Normal], Rewrite]] = {
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "relu": _relu,
    "abs": _abs,
    "max": _max,
    "min": _min,
    "gt": lambda node, _: None if node.args[1] == ZERO else _comparison(node, _),
    "lt": _comparison,
    "ge": _comparison,
    "eq": _comparison,
    "le": _comparison,
    "where": _where,
    "softplus": _softplus,
    "log": _log,
    "log1p": _log1p,
    "expm1": _expm1,
    "exp": _exp,
    "cos": _even,
    **dict.fromkeys(_ODD, _odd),
}


# --- Products and reductions ----------------------------------------------------------------------


def _parts(value: Poly, rank: int) -> list[tuple[Fraction, Monomial, Expr | None]]:
    """The monomials as number, scalar atoms, and the product of the rest."""
    found = []
    for monomial, number in value.ordered():
        scalars, rest = split(monomial, rank)
        found.append((number, scalars, product(rest)))
    return found


def _scaled(number: Fraction, scalars: Monomial, value: Expr) -> Expr:
    factors: list[Expr] = [Const(number)] if number != 1 else []
    outside = product(scalars)
    factors += [outside] if outside is not None else []
    return call("mul", *factors, value) if factors else value


def _bilinear(node: Apply, polynomial: Normal) -> Rewrite:
    """Both operands of a product as sums of single terms."""
    left, right = node.args
    one, other = _parts(polynomial(left), left.rank), _parts(polynomial(right), right.rank)
    if not one or not other:
        return "linearity", _zero(node)
    simple = all(len(p) == 1 and p[0][0] == 1 and not p[0][1] for p in (one, other))
    if simple:
        return _single(node)
    terms = []
    for c, s, a in one:
        for d, r, b in other:
            first = a if a is not None else Broadcast(ONE, left.shape)
            second = b if b is not None else Broadcast(ONE, right.shape)
            inner = Apply(node.op, (first, second))
            terms.append(_scaled(c * d, (*s, *r), inner))
    made = call("add", *terms) if terms[1:] else terms[0]
    return "linearity", made


def _zero(node: Expr) -> Expr:
    return Broadcast(ZERO, node.shape) if node.shape else ZERO


def _single(node: Apply) -> Rewrite:
    """A product of two single terms."""
    left, right = node.args
    if node.op == "matvec":
        if isinstance(left, Identity):
            return "identity", right
        if isinstance(left, Apply) and left.op == "outer":
            return "outer product", call("mul", Apply("sum", (left.args[1] * right,)), left.args[0])
        if isinstance(left, Apply) and left.op == "matmul":
            inner = Apply("matvec", (left.args[1], right))
            return "association", Apply("matvec", (left.args[0], inner))
        return _scaled_product(left, right) or _blocks(left, right)
    if node.op == "matmul":
        if isinstance(left, Identity) or isinstance(right, Identity):
            return "identity", right if isinstance(left, Identity) else left
        if isinstance(right, Apply) and right.op == "outer":
            column = Apply("matvec", (left, right.args[0]))
            return "outer product", Apply("outer", (column, right.args[1]))
        if isinstance(left, Apply) and left.op == "outer":
            row = Apply("matvec", (transpose(right), left.args[1]))
            return "outer product", Apply("outer", (left.args[0], row))
        if isinstance(left, Apply) and left.op == "matmul":
            inner = Apply("matmul", (left.args[1], right))
            return "association", Apply("matmul", (left.args[0], inner))
    return None


def _scaled_product(matrix: Expr, vector: Expr) -> Rewrite:
    """A product with a matrix whose rows and columns are scaled, as diag(u) M is."""
    factors = matrix.args if isinstance(matrix, Apply) and matrix.op == "mul" else ()
    scales = [factor for factor in factors if isinstance(factor, Apply) and factor.op == "outer"]
    if not scales:
        return None
    rows, columns = zip(*(scale.args for scale in scales), strict=True)
    rest = [factor for factor in factors if factor not in scales]
    inner = call("mul", *columns, vector)
    if rest:
        made = Apply("matvec", (call("mul", *rest) if rest[1:] else rest[0], inner))
    else:  # u w^T alone
        made = Apply("sum", (inner,))
    return "scaled rows and columns", call("mul", *rows, made)


def _blocks(matrix: Expr, vector: Expr) -> Rewrite:
    """A product with a join: the matrix's columns, part by part."""
    factors = vector.children if isinstance(vector, Apply) and vector.op == "mul" else (vector,)
    join = next((factor for factor in factors if isinstance(factor, Concat)), None)
    if join is None:
        return None
    terms, start = [], START
    for part in join.args:
        stop = start + units(part, 0)
        piece = slice_(vector, 0, start, stop)
        piece = piece if piece.shape else Broadcast(piece, (stop - start,))
        terms.append(Apply("matvec", (slice_(matrix, 1, start, stop), piece)))
        start = stop
    return "blocks", call("add", *terms) if terms[1:] else terms[0]


def _dot(node: Apply, polynomial: Normal) -> Rewrite:
    return "inner product", Apply("sum", (node.args[0] * node.args[1],))


def _sum(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    parts = _parts(polynomial(arg), arg.rank)
    if not parts:
        return "linearity", ZERO
    if len(parts) == 1 and parts[0][0] == 1 and not parts[0][1] and parts[0][2] is not None:
        inner = parts[0][2]
        if isinstance(inner, Apply) and inner.op == "outer":
            column, row = (Apply("sum", (part,)) for part in inner.args)
            return "linearity", column * row
        return None
    terms = []
    for number, scalars, value in parts:
        inner = Apply("sum", (value,)) if value is not None else _size(arg)
        terms.append(_scaled(number, scalars, inner))
    return "linearity", call("add", *terms) if terms[1:] else terms[0]


def _size(arg: Expr) -> Expr:
    sizes: list[Expr] = [
        SizeValue(dim) if dim.terms else Const(Fraction(dim.const)) for dim in arg.shape
    ]
    return call("mul", *sizes) if sizes[1:] else sizes[0]


def _transpose(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    parts = _parts(polynomial(arg), 2)
    single = len(parts) == 1 and parts[0][0] == 1 and not parts[0][1]
    if not single:
        terms = []
        for number, scalars, value in parts:
            inner = value if value is not None else Broadcast(ONE, arg.shape)
            terms.append(_scaled(number, scalars, Apply("transpose", (inner,))))
        made = call("add", *terms) if terms[1:] else terms[0] if terms else _zero(node)
        return "linearity", made
    made = transpose(arg)
    return None if made == node else ("transposition", made)


def _slice(node: Slice) -> Rewrite:
    made = slice_(node.arg, node.axis, node.start, node.stop)
    return None if made == node else ("slice", made)


_PRODUCTS: dict[str, Callable[[Apply, Normal], Rewrite]] = {
    "matvec": _bilinear,
    "matmul": _bilinear,
    "outer": _bilinear,
    "dot": _dot,
    "sum": _sum,
    "transpose": _transpose,
}

"""The laws by which a node over operands in normal form is rewritten.

`rewritten` gives the law and what the node is equal to, or None where no law applies: then the
node is an atom. `polynomial` is the normal form of an operand. `LAWS` says each in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from gatec.equivalence.polynomials import Monomial, Poly, product, split
from gatec.equivalence.reductions import ONE, ZERO, indicated, indicator, is_choice, is_zero
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
    rewrite,
)
from gatec.ops import OPS, Kind
from gatec.passes.layout import ZERO as START
from gatec.passes.layout import concat, slice_, transpose, units

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
    "odd function": "f(-u) = -f(u) for sin, arctan, erf",
    "even function": "f(-u) = f(u) for cos",
    "rectifier": "relu(u) = u [u > 0]",
    "rectifier of a negative": "relu(-u) = relu(u) - u",
    "absolute value": "|u| = 2 relu(u) - u",
    "sign": "sign(u) = [u > 0] - [-u > 0]",
    "maximum": "max(u, v) = v + relu(u - v)",
    "minimum": "min(u, v) = u - relu(u - v)",
    "comparison": "u > v is [u - v > 0], u >= v is 1 - [v - u > 0], u = v is c (u - v) = 0",
    "scale of a sign": "[c u > 0] = [u > 0] for c > 0",
    "choice": "where(c, u, v) = v + [c] (u - v)",
    "sign of a negative": "[-u > 0] = 1 - [u > 0] - [u = 0]",
    "sign of exponentials": "[exp(u) - exp(v) > 0] = [u - v > 0], exp(u) = exp(v) is u - v = 0",
    "choice inside": "f(u + c v) = c f(u + v) + (1 - c) f(u), where c is 0 or 1, "
    "for exponentials, sigmoids, softplus, indicators and one over a sum",
    "softplus": "softplus(-u) = softplus(u) - u",
    "logarithm": "log(exp(u)) = u, log(exp(u) + exp(v)) = v + softplus(u - v), "
    "log(sigmoid(u)) = u - softplus(u), log1p(u) = log(1 + u)",
    "exponential": "expm1(u) = exp(u) - 1, exp(softplus(u)) = 1 + exp(u), "
    "exp(-softplus(u)) = sigmoid(-u)",
    "exponential of a sum": "exp(u) exp(v) = exp(u + v)",
    "indicator squared": "[u > 0]^2 = [u > 0]",
    "signs of one value": "[u > 0] [u - 1 > 0] = [u - 1 > 0], [u > 0] [u = 0] = 0, and so on",
    "signs of a sum": "[v > 0] [u + v > 0] = [u + v > 0] + [u > 0] ([v > 0] - [u + v > 0])",
    "square of a root": "sqrt(u)^2 = u",
    "root": "sqrt(u^2) = |u|, u^(1/2) = sqrt(u)",
    "gate and exponential": "exp(u) sigmoid(u) = exp(u) - sigmoid(u), "
    "exp(-u) sigmoid(u) = 1 - sigmoid(u), 1 / sigmoid(u) = 1 + exp(-u)",
    "logistic function": "1 / (exp(u) + exp(v)) = exp(-u) sigmoid(u - v)",
    "share of a sum": "u / (u + v) = 1 - v / (u + v)",
    "at zero": "v [u = 0] is [u = 0] times what v is where u = 0",
    "linearity": "products with matrices, sums and outer products distribute; scalars leave them",
    "inner product": "u^T v = sum(u * v)",
    "blocks": "M [u; v] = M_1 u + M_2 v, with M's first and last columns",
    "join": "f([u; v]) = [f(u); f(v)], sum([u; v]) = sum(u) + sum(v)",
    "slice": "a slice of a value is computed from slices of its operands",
    "transposition": "(A B)^T = B^T A^T, and so on",
    "association": "(A B) v = A (B v)",
    "outer product": "(u w^T) v = u (w^T v)",
    "identity": "I v = v",
    "scaled rows and columns": "(u w^T * M) v = u * (M (w * v))",
}

_ODD = frozenset({"sin", "arctan", "erf"})
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
            return _at_zero(node) or _joined(node) or (rule(node, polynomial) if rule else None)
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
    inside = _chosen_inside(node, arg, polynomial)
    if inside is not None:
        return inside
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
    difference = difference.scaled(1 / _leading(difference))
    exponents = _compared(difference)
    if exponents is not None:
        return "sign of exponentials", Apply("eq", (_same_shape(exponents, node), ZERO))
    made = Apply("eq", (difference.expr(node.shape), ZERO))
    return None if made == node else ("comparison", made)


def _sign(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    return "sign", indicator(arg) - indicator(-arg)


def _chosen_inside(
    node: Apply, arg: Expr, polynomial: Normal, *, to_number: bool = False
) -> Rewrite:
    """A function of a value with choices in it, as a choice between two values.

    With `to_number` only where one of them is the function of a number.
    """
    poly = polynomial(arg)
    for choice in filter(is_choice, poly.atoms()):
        if any(power != 1 for m in poly.terms for a, power in m if a == choice):
            continue
        off = Poly({m: c for m, c in poly.terms.items() if all(a != choice for a, _ in m)})
        extra = {
            tuple(item for item in m if item[0] != choice): c
            for m, c in poly.terms.items()
            if any(a == choice for a, _ in m)
        }
        on = off + Poly(extra)
        if to_number and on.constant is None and off.constant is None:
            continue
        chosen, other = (_with(node, arg, value.expr(arg.shape)) for value in (on, off))
        return "choice inside", choice * chosen + (ONE - choice) * other
    return None


def _with(node: Expr, old: Expr, new: Expr) -> Expr:
    return rewrite(node, lambda inner: new if inner == old else inner)


def _where(node: Apply, polynomial: Normal) -> Rewrite:
    value = indicated(node)
    if value is not None:
        inside = _chosen_inside(node, value, polynomial)
        if inside is not None:
            return inside
        poly = polynomial(value)
        number = poly.constant
        if number is not None:
            return "value at zero", _same_shape(ONE if number > 0 else ZERO, node)
        size = _leading(poly)
        if size < 0:
            return "sign of a negative", ONE - indicator(-value) - is_zero(value)
        if size != 1:
            return "scale of a sign", indicator(Const(1 / size) * value)
        exponents = _compared(poly)
        if exponents is not None:
            return "sign of exponentials", indicator(exponents)
        return None
    condition, one, other = node.args
    if isinstance(condition, Apply) and condition.op in ("gt", "eq"):
        if (one, other) == (ONE, ZERO):
            return None
        chosen: Expr = Apply("where", (condition, ONE, ZERO))
    elif _is_condition(polynomial(condition)):
        chosen = condition  # a comparison, written as a number by now
    else:
        return None
    return "choice", _same_shape(other + chosen * (one - other), node)


def _is_condition(poly: Poly) -> bool:
    """Whether a condition is a number by now: made of few comparisons, or 0 or 1."""
    atoms = poly.atoms()
    if not atoms:
        return poly.constant in (0, 1)
    return len(atoms) < 5 and all(map(is_choice, atoms))


def _compared(poly: Poly) -> Expr | None:
    """`u - v` of exp(u) - exp(v), where exp(0) is 1; None for others."""
    terms = {_single_atom(monomial): c for monomial, c in poly.terms.items()}
    if len(poly.terms) != 2 or sorted(terms.values()) != [-1, 1]:
        return None
    first, second = (_exponent(atom) for atom in sorted(terms, key=terms.__getitem__, reverse=True))
    return None if first is None or second is None else first - second


def _softplus(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    inside = _chosen_inside(node, arg, polynomial)
    if inside is not None:
        return inside
    if _leading(polynomial(arg)) < 0:
        return "softplus", Apply("softplus", (-arg,)) + arg
    return None


def _log(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    poly = polynomial(arg)
    terms = {_single_atom(monomial): c for monomial, c in poly.terms.items()}
    gate = next((a for a in terms if isinstance(a, Apply) and a.op == "sigmoid"), None)
    if gate is not None:
        lowered = -Apply("softplus", (gate.children[0],))
        if terms == {gate: Fraction(1)}:
            return "logarithm", _same_shape(gate.children[0] + lowered, node)
        if terms == {ONE: Fraction(1), gate: Fraction(-1)}:
            return "logarithm", _same_shape(lowered, node)
    exponents = [_exponent(atom) for atom in terms]
    if None in exponents or any(c != 1 for c in terms.values()) or len(exponents) not in (1, 2):
        return None
    first, *others = [exponent for exponent in exponents if exponent is not None]
    if others:
        first, (other,) = others[0], [first]
        first = first + Apply("softplus", (_same_shape(other - first, node),))
    return "logarithm", _same_shape(first, node)


def _single_atom(monomial: Monomial) -> Expr | None:
    """The atom that a monomial is, 1 for a number, None for a product."""
    if not monomial:
        return ONE
    return monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None


def _exponent(atom: Expr | None) -> Expr | None:
    """`u` of exp(u), 0 for 1; None for others."""
    if atom == ONE:
        return ZERO
    return atom.children[0] if isinstance(atom, Apply) and atom.op == "exp" else None


def _sqrt(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    poly = polynomial(arg)
    if len(poly.terms) != 1:
        return None
    ((monomial, number),) = poly.terms.items()
    if number != 1 or not monomial or any(power % 2 for _, power in monomial):
        return None
    root = Poly({tuple((atom, power // 2) for atom, power in monomial): number})
    return "root", _same_shape(Apply("abs", (root.expr(arg.shape),)), node)


def _pow(node: Apply, polynomial: Normal) -> Rewrite:
    base, exponent = node.args
    if polynomial(exponent).constant == Fraction(1, 2):
        return "root", _same_shape(Apply("sqrt", (base,)), node)
    return None


def _log1p(node: Apply, polynomial: Normal) -> Rewrite:
    return "logarithm", Apply("log", (ONE + node.args[0],))


def _expm1(node: Apply, polynomial: Normal) -> Rewrite:
    return "exponential", Apply("exp", (node.args[0],)) - ONE


def _exp(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    inside = _chosen_inside(node, arg, polynomial)
    if inside is not None:
        return inside
    poly = polynomial(arg)
    for monomial, number in poly.ordered():
        atom = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if abs(number) != 1 or not isinstance(atom, Apply) or atom.op not in ("softplus", "log"):
            continue
        rest = (poly - Poly({monomial: number})).expr(arg.shape)
        inner = atom.args[0]
        if atom.op == "log":
            factor = inner if number > 0 else ONE / inner
        else:
            factor = ONE + Apply("exp", (inner,)) if number > 0 else Apply("sigmoid", (-inner,))
        return "exponential", _same_shape(factor * Apply("exp", (rest,)), node)
    scalars = {m: c for m, c in poly.terms.items() if m and not split(m, arg.rank)[1]}
    if arg.rank and scalars and len(scalars) < len(poly.terms):
        outside = Poly(scalars)
        rest = (poly - outside).expr(arg.shape)
        return "exponential of a sum", Apply("exp", (rest,)) * Apply("exp", (outside.expr(()),))
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
    "sign": _sign,
    "where": _where,
    "sqrt": _sqrt,
    "pow": _pow,
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


def _joined(node: Apply) -> Rewrite:
    """A function of a join as the join of functions."""
    join = next((part for arg in node.args for part in _factors_and_terms(arg)), None)
    if join is None or not node.shape:
        return None
    parts: list[Expr] = []
    start = START
    for part in join.args:
        stop = start + units(part, join.axis)
        args = (slice_(arg, join.axis, start, stop) if arg.shape else arg for arg in node.args)
        parts.append(Apply(node.op, tuple(args)))
        start = stop
    return "join", concat(parts, join.axis)


def _factors_and_terms(expr: Expr) -> Iterator[Concat]:
    """Joins among what sums and products are over."""
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Concat):
            yield node
        elif isinstance(node, Apply) and node.op in ("add", "neg", "mul"):
            stack.extend(node.args)


def _sum(node: Apply, polynomial: Normal) -> Rewrite:
    (arg,) = node.args
    if isinstance(arg, Concat):
        return "join", call("add", *(Apply("sum", (p,)) if p.shape else p for p in arg.args))
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

"""Pointwise expressions built in simplest form.

`make(op, …)` builds what `call` builds, with less work where arithmetic allows: constants fold
exactly, zeros and ones vanish, equal terms are counted, signs leave products, a value in every
unit of a shape (`Broadcast`) is computed as the one number it is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction

from gatec.expr import Apply, Broadcast, Const, Expr, Shape, call
from gatec.passes.common import is_zero, zeros

_ONE = Const(Fraction(1))

# Folded constants stay within what a double holds and a reader can read.
_LONGEST = 512


def make(op: str, *args: Expr) -> Expr:
    """A pointwise operator over simplified operands, simplified."""
    shape = next((arg.shape for arg in args if arg.shape), ())
    full = [arg for arg in args if arg.shape]
    if full and all(isinstance(arg, Broadcast) for arg in full):
        return spread(make(op, *(_inner(arg) for arg in args)), shape)
    if any(not isinstance(arg, Broadcast) for arg in full):
        args = tuple(_inner(arg) for arg in args)
    rule = _RULES.get(op)
    return spread(rule(*args) if rule else Apply(op, args), shape)


def spread(value: Expr, shape: Shape) -> Expr:
    """`value` in every unit of `shape`, where it is not of that shape already."""
    return value if value.shape == shape else Broadcast(value, shape)


def _inner(arg: Expr) -> Expr:
    return arg.arg if isinstance(arg, Broadcast) else arg


def _number(expr: Expr) -> Fraction | None:
    return expr.value if isinstance(expr, Const) else None


def _fits(value: Fraction) -> bool:
    return value.numerator.bit_length() < _LONGEST and value.denominator.bit_length() < _LONGEST


def split_sign(expr: Expr) -> tuple[Fraction, Expr]:
    """An expression as a number times another: `-2 x` is (-2, x)."""
    if isinstance(expr, Const):
        return expr.value, _ONE
    if isinstance(expr, Apply) and expr.op == "neg":
        number, inner = split_sign(expr.args[0])
        return -number, inner
    if isinstance(expr, Apply) and expr.op == "mul" and isinstance(expr.args[0], Const):
        rest = expr.args[1:]
        return expr.args[0].value, rest[0] if len(rest) == 1 else Apply("mul", rest)
    return Fraction(1), expr


def scaled(number: Fraction, expr: Expr) -> Expr:
    """A number times an expression."""
    if number == 1:
        return expr
    if number == 0 or is_zero(expr):
        return zeros(expr.shape)
    if number == -1:
        return neg(expr)
    return mul(Const(number), expr)


def add(*args: Expr) -> Expr:
    """A sum: flat, numbers folded to one, equal terms counted, zeros dropped."""
    shape = next((arg.shape for arg in args if arg.shape), ())
    counts: dict[Expr, Fraction] = {}
    merged: set[Expr] = set()
    terms: list[Expr] = []
    for arg in args:
        terms.extend(arg.args if isinstance(arg, Apply) and arg.op == "add" else (arg,))
    original: dict[Expr, Expr] = {}
    for term in terms:
        if is_zero(term):
            continue
        number, rest = split_sign(term)
        total = counts.get(rest, Fraction(0)) + number
        if rest in counts:
            if not _fits(total):  # left as it is: another key, so that nothing is lost
                rest, total = term, Fraction(1)
            merged.add(rest)
        counts[rest] = total
        original.setdefault(rest, term)
    kept = []
    for rest, number in counts.items():
        term = original[rest]
        if rest in merged:
            term = Const(number) if rest == _ONE else scaled(number, rest)
        if not is_zero(term):
            kept.append(term)
    if not kept:
        return zeros(shape)
    result = kept[0] if len(kept) == 1 else _factored(kept) or call("add", *kept)
    return spread(result, shape)


def _factored(terms: list[Expr]) -> Expr | None:
    """`g a - g b` as `g (a - b)`: a sum whose terms are products that share their first factor."""
    split = [split_sign(term) for term in terms]
    products = [rest.children for _, rest in split if isinstance(rest, Apply) and rest.op == "mul"]
    if len(products) < len(terms) or len({factors[0] for factors in products}) > 1:
        return None
    shared = products[0][0]
    rests = [
        scaled(number, mul(*factors[1:]))
        for (number, _), factors in zip(split, products, strict=True)
    ]
    return mul(shared, add(*rests))


def mul(*args: Expr) -> Expr:
    """A product: flat, numbers folded to one factor in front, one sign outside."""
    shape = next((arg.shape for arg in args if arg.shape), ())
    number, factors = Fraction(1), []
    stack = list(reversed(args))
    while stack:
        arg = stack.pop()
        if isinstance(arg, Apply) and arg.op == "mul":
            stack.extend(reversed(arg.args))
        elif isinstance(arg, Apply) and arg.op == "neg":
            number = -number
            stack.append(arg.args[0])
        elif isinstance(arg, Const) and _fits(number * arg.value):
            number *= arg.value
        elif is_zero(arg):
            number = Fraction(0)
        else:
            factors.append(arg)
    if number == 0:
        return zeros(shape)
    if not factors:
        return spread(Const(number), shape)
    if abs(number) != 1:
        return spread(call("mul", Const(number), *factors), shape)
    result = spread(factors[0] if len(factors) == 1 else call("mul", *factors), shape)
    return result if number == 1 else call("neg", result)


def neg(arg: Expr) -> Expr:
    if isinstance(arg, Const):
        return Const(-arg.value)
    if isinstance(arg, Broadcast):
        return Broadcast(neg(arg.arg), arg.target)
    if isinstance(arg, Apply) and arg.op == "neg":
        return arg.args[0]
    number, _ = split_sign(arg)
    return call("neg", arg) if number == 1 else mul(Const(Fraction(-1)), arg)


def div(top: Expr, bottom: Expr) -> Expr:
    if is_zero(top):
        return zeros(top.shape or bottom.shape)
    if bottom == _ONE:
        return top
    above, below = _number(top), _number(bottom)
    if above is not None and below and _fits(above / below):
        return Const(above / below)
    for arg, other in ((top, bottom), (bottom, top)):
        if isinstance(arg, Apply) and arg.op == "neg":
            inner = arg.args[0]
            return neg(div(inner, other) if arg is top else div(other, inner))
    return call("div", top, bottom)


def power(base: Expr, exponent: Expr) -> Expr:
    number, value = _number(exponent), _number(base)
    if number == 0:
        return spread(_ONE, base.shape)
    if number == 1:
        return base
    if number is not None and value and number.denominator == 1 and abs(number) <= 64:
        folded = value ** int(number)
        if _fits(folded):
            return Const(folded)
    return call("pow", base, exponent)


def where(condition: Expr, one: Expr, other: Expr) -> Expr:
    if one == other:
        return spread(one, one.shape or condition.shape)
    known = _decided(condition)
    if known is not None:
        return spread(one if known else other, one.shape or other.shape)
    return call("where", condition, one, other)


def _decided(condition: Expr) -> bool | None:
    """The truth of a comparison of numbers; None where it is none."""
    numbers = [_number(arg) for arg in condition.children]
    if not isinstance(condition, Apply) or condition.op not in _COMPARE or None in numbers:
        return None
    return bool(_COMPARE[condition.op](*numbers))


_COMPARE: dict[str, Callable[..., object]] = {
    name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq")
}


def _even(op: str) -> Callable[[Expr], Expr]:
    """An even function of one operand does not see its sign."""

    def build(arg: Expr) -> Expr:
        return call(op, arg.args[0] if isinstance(arg, Apply) and arg.op == "neg" else arg)

    return build


def detach(arg: Expr) -> Expr:
    return arg if isinstance(arg, Const) else call("detach", arg)


_RULES: dict[str, Callable[..., Expr]] = {
    "add": add,
    "mul": mul,
    "neg": neg,
    "div": div,
    "pow": power,
    "where": where,
    "abs": _even("abs"),
    "cos": _even("cos"),
    "detach": detach,
}

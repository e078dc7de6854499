"""Constant expressions of a text, exact."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from gatec.syntax import Bracket, Call, Node, Number, Power, Product, Quotient, Run, Sum, Symbol

PI = Fraction("3.141592653589793")
_MAX_EXPONENT = 400


def number(node: Node | None) -> Fraction | None:
    """The value of an expression of numbers alone, or None."""
    match node:
        case Number():
            return node.value
        case Symbol() if node.time is None and str(node.key) == "pi":
            return PI
        case Run() | Bracket() if len(node.items) == 1:
            return number(node.items[0])
        case Sum():
            total = Fraction(0)
            for sign, term in node.terms:
                value = number(term)
                if value is None:
                    return None
                total += sign * value
            return total
        case Product():
            factors = [number(factor) for factor in node.factors]
            known = [factor for factor in factors if factor is not None]
            return prod(known, start=Fraction(1)) if len(known) == len(factors) else None
        case Quotient():
            top, bottom = number(node.numerator), number(node.denominator)
            return None if top is None or not bottom else top / bottom
        case Power():
            base, exponent = number(node.base), number(node.exponent)
            if base is None or exponent is None or (not base and exponent < 0):
                return None
            if exponent.denominator == 1 and abs(exponent) <= _MAX_EXPONENT:
                return base ** int(exponent)
        case Call() if node.name == "sqrt":
            value = number(node.args[0])
            if value is not None and value >= 0:
                return Fraction(repr(float(value) ** 0.5))
    return None

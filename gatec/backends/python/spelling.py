"""Pieces of Python text: expressions with how strongly they bind, numbers, shapes, slices."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from gatec.ops import ADDITIVE, ATOM, COMPARISON, MULTIPLICATIVE


@dataclass(frozen=True)
class Text:
    """Printed code and how strongly it binds.

    number  a Python number rather than an array
    full    the array has all its units; otherwise it broadcasts to them
    """

    code: str
    precedence: int = ATOM
    number: bool = False
    full: bool = True


# Functions of Python numbers (sizes, constants and what is computed from them alone) that are not
# those of the module `math` by their operators' names.
_NUMBER_FUNCTIONS = {
    "sigmoid": "math.exp(min({0}, 0)) / (1 + math.exp(-abs({0})))",
    "relu": "max({0}, 0)",
    "softplus": "max({0}, 0) + math.log1p(math.exp(-abs({0})))",
    "abs": "abs({0})",
    "sign": "({0} > 0) - ({0} < 0)",
    "arctan": "math.atan({0})",
    "pow": "pow({0}, {1})",
    "max": "max({0}, {1})",
    "min": "min({0}, {1})",
    "where": "{1} if {0} else {2}",
}
# How strongly those bind that are more than one call.
_CHOICE = COMPARISON - 1
_NUMBER_PRECEDENCE = {
    "sigmoid": MULTIPLICATIVE,
    "softplus": ADDITIVE,
    "sign": ADDITIVE,
    "where": _CHOICE,
}


def number_function(name: str, texts: list[Text]) -> Text:
    """A function of Python numbers, by Python's own arithmetic."""
    least = {"sign": ADDITIVE, "where": COMPARISON}.get(name, _CHOICE)
    template = _NUMBER_FUNCTIONS.get(name, f"math.{name}({{0}})")
    code = template.format(*(bracketed(text, least) for text in texts))
    return Text(code, _NUMBER_PRECEDENCE.get(name, ATOM), number=True)


def shape_tuple(dims: Iterable[str]) -> str:
    """Sizes as the text of a tuple."""
    dims = list(dims)
    return f"({dims[0]},)" if len(dims) == 1 else f"({', '.join(dims)})"


def number_text(value: Fraction) -> str:
    """A number as Python reads it: an integer where it is one, else the nearest double."""
    if value.denominator == 1 and abs(value) <= 2**53:
        return str(value.numerator)
    return repr(float(value))


def sum_text(texts: list[Text]) -> Text:
    """A sum; a term with a minus is subtracted."""
    code = bracketed(texts[0], ADDITIVE)
    for text in texts[1:]:
        term = bracketed(text, ADDITIVE + 1) if text.precedence == ADDITIVE else text.code
        term = bracketed(text, ADDITIVE) if text.precedence < ADDITIVE else term
        code += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return Text(code, ADDITIVE)


def bracketed(text: Text, precedence: int) -> str:
    """The code, in brackets where it binds less strongly than `precedence`."""
    return text.code if text.precedence >= precedence else f"({text.code})"


def _is_simple(code: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][\w.]*|[\d.]+(e-?\d+)?", code) is not None


def range_text(start: str, stop: str) -> str:
    """A slice as `ruff format` spaces it: blanks where a bound is more than a name."""
    if all(not bound or _is_simple(bound) for bound in (start, stop)):
        return f"{start}:{stop}"
    return f"{start} : {stop}".strip()


def dim_precedence(code: str) -> int:
    """How strongly the text of a size binds."""
    return ADDITIVE if " + " in code or " - " in code else MULTIPLICATIVE if " * " in code else ATOM

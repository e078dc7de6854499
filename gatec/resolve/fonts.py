"""Names in two alphabets: fonts carry no meaning, but a paper may mean two things by W and 𝒲."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatec.errors import Diagnostic, Note
from gatec.syntax import Key, Module, Symbol, symbols

_ALPHABETS = re.compile(
    r"\\(?:mathcal|mathscr|mathfrak|mathbb|cal)(?![A-Za-z])|[\U0001d49c-\U0001d537]"
)


def warnings(module: Module) -> Iterator[Diagnostic]:
    """A warning for each name that a module writes in two alphabets."""
    plain: dict[Key, Symbol] = {}
    other: dict[Key, Symbol] = {}
    for equation in module.equations:
        for symbol in (*symbols(equation.left), *symbols(equation.right)):
            special = _ALPHABETS.search(symbol.span.text) is not None
            (other if special else plain).setdefault(symbol.key, symbol)
    for key, symbol in other.items():
        if key in plain:
            yield Diagnostic(
                "E0206",
                f"'{key}' stands in two alphabets, and fonts carry no meaning: it is one name",
                symbol.span,
                f"if it is another quantity, give it another name, such as \\hat {key}",
                (Note("it is plain here", plain[key].span),),
                severity="warning",
            )

"""What is said where a statement does not parse: by example of the common mistakes."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from gatec.errors import Diagnostic, Source
from gatec.parse.tokens import describe
from gatec.parse.vocabulary import DESCRIPTIONS, EXAMPLES, OPERATORS, REFUSED

BINDING = OPERATORS - {"EQUALS", "COMPARE"}
_BEFORE_OPERAND = OPERATORS | {"COMMA", "SEMICOLON", "LPAR", "LSQB", "LBRACE", "FRAC", "SQRT"}


def missing_between(one: Token, other: Token, source: Source) -> Diagnostic:
    span = source.span(one.start_pos or 0, other.end_pos or 0)
    return Diagnostic(
        "E0105",
        f"an operand is missing between '{one}' and '{other}'",
        span,
        "write what stands between them, or remove one",
    )


def unexpected(
    tokens: Sequence[Token], position: int, source: Source, accepts: set[str]
) -> Diagnostic:
    """The error at a token that cannot stand where it stands (or at the end of the statement)."""
    previous = tokens[position - 1] if position else None
    token = tokens[position] if position < len(tokens) else None
    place = token or previous
    if place is None:
        return Diagnostic("E0106", "an expression is missing", source.span(0, 0))
    span = source.span(place.start_pos or 0, max(place.end_pos or 0, (place.start_pos or 0) + 1))
    if token is not None and token.type == "COMPARE":
        message = "a comparison stands where a value is expected"
        what = r"comparisons are the conditions of \begin{cases}"
        return Diagnostic("E0310", message, span, what)
    if "NAME" in accepts:
        what = "write what it applies to, or remove it"
        if previous is not None and previous.type in _BEFORE_OPERAND:
            span = source.span(previous.start_pos or 0, previous.end_pos or 0)
            return Diagnostic(
                "E0105", f"an operand is missing after {describe(previous)}", span, what
            )
        if previous is None and token is not None and token.type in OPERATORS:
            return Diagnostic(
                "E0105", f"an operand is missing before {describe(token)}", span, what
            )
    expected = sorted({DESCRIPTIONS[kind] for kind in accepts if kind in DESCRIPTIONS})
    found = describe(token) if token is not None else "end of the line"
    hint = f"expected {', '.join(expected[:6])}" if expected else None
    return Diagnostic("E0106", f"unexpected {found}", span, hint)


def declaration(error: Diagnostic, keyword: str) -> Diagnostic:
    """What to say of a declaration that does not parse."""
    example = EXAMPLES[keyword]
    message = f"this is no {keyword} declaration: {error.message}"
    return Diagnostic("E0401", message, error.span, f"write it like `{example}`")


def strange(tokens: Sequence[Token], source: Source) -> Diagnostic | None:
    """The error of the first character or sign that the notation does not have."""
    for token in tokens:
        if token.type == "UNKNOWN":
            return _unknown(token, source)
        if token.type in ("OPENANGLE", "CLOSEANGLE"):
            what = r"angles are an index, as in x^{\langle t \rangle}, or an inner product of two"
            span = source.span(token.start_pos or 0, token.end_pos or 0)
            return Diagnostic("E0106", f"unexpected {describe(token)}", span, what)
    return None


def _unknown(token: Token, source: Source) -> Diagnostic:
    span = source.span(token.start_pos or 0, token.end_pos or 0)
    hint = REFUSED.get(str(token))
    if hint is not None:
        return Diagnostic("E0112", f"'{token}' is not in gatec's notation", span, hint)
    return Diagnostic(
        "E0107",
        f"gatec does not know the character {describe(token)}",
        span,
        "write it in letters, digits or LaTeX, or remove it",
    )

"""What a text says of a value by its space: `W_f \\in \\mathbb{R}^{d \\times h}` is a matrix."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from gatec.parse.tokens import Script

_REALS = frozenset(["R", "\\R", "\\Re", "\\reals", "\\RR"])
_BY = frozenset(["DOT", "TIMES", "COMMA", "SEMICOLON"])


def is_membership(token: Token) -> bool:
    """Whether a token is the sign of membership."""
    return token.type == "UNKNOWN" and str(token) in ("\\in", "∈")


UNKNOWN = -1


def rank(space: Sequence[Token]) -> int:
    """How many sizes the elements of a space of real numbers have; UNKNOWN for another space.

    A size of 1 counts for none: the biases of row vectors live in `\\mathbb{R}^{1 \\times h}`.
    """
    tokens = [token for token in space if token.type not in ("LBRACE", "RBRACE")]
    if not tokens or tokens[0].type != "NAME" or str(tokens[0]) not in _REALS:
        return UNKNOWN
    if len(tokens) == 1:
        return 0
    script = tokens[1]
    if not isinstance(script, Script) or str(script) != "^" or len(tokens) > 2:
        return UNKNOWN
    sizes: list[list[Token]] = [[]]
    for token in script.content:
        if token.type in _BY or token == "x":
            sizes.append([])
        elif token.type not in ("LBRACE", "RBRACE", "LPAR", "RPAR"):
            sizes[-1].append(token)
    if not all(sizes) or len(sizes) > 2:
        return UNKNOWN
    return sum(list(map(str, size)) != ["1"] for size in sizes)

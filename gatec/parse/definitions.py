"""Equations that define functions: `\\hat\\sigma(z) = …`, `\\phi = \\tanh`."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from gatec.errors import GatecError
from gatec.parse.juxtapose import Juxtaposer
from gatec.parse.tree import make_function
from gatec.syntax import Bracket, Function, Node, Run, Symbol, single

_DOT = ["LPAR", "DOT", "RPAR"]


def function(left: Node, right: Node, probe: Juxtaposer) -> Function | None:
    """The function that an equation defines, if it does."""
    return _applied(left, right, probe) or _alias(left, right, probe)


def without_dots(tokens: Sequence[Token]) -> Sequence[Token]:
    """`\\phi(\\cdot) = \\tanh(\\cdot)` as `\\phi = \\tanh`; other statements as they are."""
    kinds = [token.type for token in tokens]
    if kinds.count("EQUALS") != 1:
        return tokens
    middle = kinds.index("EQUALS")
    if kinds[middle - len(_DOT) : middle] != _DOT or kinds[-len(_DOT) :] != _DOT:
        return tokens
    return [*tokens[: middle - len(_DOT)], *tokens[middle : -len(_DOT)]]


def _applied(left: Node, right: Node, probe: Juxtaposer) -> Function | None:
    """A name applied to plain names that are no time index."""
    if not (isinstance(left, Run) and len(left.items) == 2):
        return None
    head, bracket = left.items
    if not isinstance(head, Symbol) or not isinstance(bracket, Bracket):
        return None
    if head.time is not None or bracket.kind != "(" or not bracket.items:
        return None
    if isinstance(probe.left(left), Symbol):
        return None
    for item in bracket.items:
        inner = single(item)
        if not isinstance(inner, Symbol) or inner.time is not None:
            return None
    try:
        made = make_function(left, right, left.span)
    except GatecError:
        return None
    return made if isinstance(made, Function) else None


def _alias(left: Node, right: Node, probe: Juxtaposer) -> Function | None:
    """A name without time for a function's bare name."""
    left, right = single(left), single(right)
    if not isinstance(left, Symbol) or not isinstance(right, Symbol) or left.time is not None:
        return None
    if not probe.names.is_function(right) or probe.names.is_function(left):
        return None
    return Function(left, (), right, left.span)

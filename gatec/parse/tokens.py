"""Tokens: Lark's, with what the stages between lexing and parsing add to them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Protocol

from lark import Token

from gatec.parse.grammar import parser


class Script(Token):
    """A sub- or superscript with its whole argument."""

    __slots__ = ("above", "content", "grouped")
    above: bool
    content: tuple[Token, ...]
    grouped: bool  # written with braces, parentheses or angles


class Whole(Token):
    """A name written as one word (`\\text{gate}`): never a product of letters."""

    __slots__ = ()


class Failure(Protocol):
    """Told what is wrong: a code, a message, the place, a hint."""

    def __call__(self, code: str, message: str, place: Token, hint: str | None = None) -> None: ...


def make(kind: str, text: str, start: int | None, end: int | None) -> Token:
    return Token(kind, text, start_pos=start, end_pos=end)


def retyped(token: Token, kind: str, text: str | None = None) -> Token:
    """A token of another kind at the same place."""
    return make(kind, str(token) if text is None else text, token.start_pos, token.end_pos)


def plain_tokens(text: str, base: int = 0) -> Iterator[Token]:
    """Every token of a text, also those without meaning; positions count from `base`."""
    for token in parser().lex(normalise(text), dont_ignore=True):
        token.start_pos = (token.start_pos or 0) + base
        token.end_pos = token.start_pos + len(token)
        yield token


def normalise(text: str) -> str:
    """Letters that differ only in their font become one letter; the length stays the same."""
    if text.isascii():
        return text
    return "".join(char if char.isascii() else _plain(char) for char in text)


_KEEP = frozenset("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾…″‴")


@cache
def _plain(char: str) -> str:
    if char in _KEEP or unicodedata.category(char) == "Lm":
        return char
    flat = unicodedata.normalize("NFKC", char)
    return flat if len(flat) == 1 and not flat.isspace() else char


def describe(token: Token) -> str:
    """A token in a message."""
    text = " ".join(str(token).split())
    return f"'{text[:40]}'" if text else "the end of the equation"

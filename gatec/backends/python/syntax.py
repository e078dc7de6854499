"""The Python expressions that backends print, read back into small trees.

Only what is printed is read: names, numbers, attributes, calls, indices, operators, tuples and
lists (no `**`, which ruff spaces by rules of its own). Parentheses stay as they stand, which `ast`
does not tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Bracket:
    """`(…)`, `[…]` or `{…}` with its items. `trailer` is a call or an index."""

    opening: str
    items: list[Node]
    trailer: bool
    comma: bool  # a tuple of one

    @property
    def closing(self) -> str:
        return _CLOSING[self.opening]


@dataclass(frozen=True)
class Chain:
    """A name, number or bracket and what follows it: attributes, calls, indices."""

    parts: list[str | Bracket]


@dataclass(frozen=True)
class Prefixed:
    """A sign, or the name and `=` of a keyword, before a value."""

    prefix: str
    value: Node


@dataclass(frozen=True)
class Operation:
    """Operands with operators of one precedence between them."""

    operands: list[Node]
    operators: list[str]


@dataclass(frozen=True)
class Choice:
    """`one if condition else other`."""

    one: Node
    condition: Node
    other: Node


@dataclass(frozen=True)
class Verbatim:
    """Code that is never broken: a slice `a:b`."""

    code: str


Node = Chain | Prefixed | Operation | Choice | Verbatim

_TOKEN = re.compile(
    r"""\s*(
        [fr]?"(?:[^"\\]|\\.)*"
        | \d[\d_.]*(?:e[+-]?\d+)?
        | [A-Za-z_]\w* | \.\.\.
        | // | [<>=!]= | [-+*/@<>=:,.()\[\]{}]
    )""",
    re.VERBOSE,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_LEVELS = (
    ("<", "<=", ">", ">=", "==", "!=", "is", "is not", "in"),
    ("+", "-"),
    ("*", "/", "//", "@"),
)


def read(code: str) -> tuple[list[Node], bool]:
    """The expressions between the commas of `code`, and whether a comma ends it.

    Raises ValueError for code that no backend prints.
    """
    return _Reader(code).items("")


class _Reader:
    """Recursive descent. Depth is that of the printed expression, which passes keep small."""

    def __init__(self, code: str) -> None:
        self.code, self.at = code, 0
        self.tokens: list[re.Match[str]] = []
        position = 0
        while position < len(code):
            found = _TOKEN.match(code, position)
            if found is None:
                raise ValueError(f"no token at {code[position:]!r}")
            self.tokens.append(found)
            position = found.end()

    def peek(self, ahead: int = 0) -> str:
        position = self.at + ahead
        return self.tokens[position].group(1) if position < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return str(self.tokens[self.at - 1].group(1))

    def items(self, until: str) -> tuple[list[Node], bool]:
        """Items between commas, and whether a comma ends them."""
        found: list[Node] = []
        comma = False
        while self.peek() != until:
            found.append(self.item())
            comma = self.peek() == ","
            if not comma:
                break
            self.take()
        if self.peek() != until:
            raise ValueError(f"{self.peek()!r} where {until!r} was expected")
        return found, comma

    def item(self) -> Node:
        if self.peek() == "*" and self.peek(1) == ",":
            return Verbatim(self.take())  # what follows are keywords
        if self.peek(1) == "=" and self.peek().isidentifier():
            return Prefixed(self.take() + self.take(), self.choice())
        start = self.at
        first = self.choice() if self.peek() != ":" else None
        if first is not None and self.peek() != ":":
            return first
        self.take()
        if first is not None and self.peek(-2).startswith('"'):
            return Prefixed(f"{self.peek(-2)}: ", self.choice())  # an entry of a dictionary
        if self.peek() not in ("]", ","):
            self.choice()
        return Verbatim(self.code[self.tokens[start].start(1) : self.tokens[self.at - 1].end()])

    def choice(self) -> Node:
        one = self.operation(0)
        if self.peek() != "if":
            return one
        self.take()
        condition = self.operation(0)
        self.take()
        return Choice(one, condition, self.choice())

    def operation(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self.signed()
        operands, operators = [self.operation(level + 1)], list[str]()
        while (symbol := self.peek()) in _LEVELS[level]:
            self.take()
            if symbol == "is" and self.peek() == "not":
                symbol += " " + self.take()
            operators.append(symbol)
            operands.append(self.operation(level + 1))
        return Operation(operands, operators) if operators else operands[0]

    def signed(self) -> Node:
        if self.peek() in ("-", "*"):
            return Prefixed(self.take(), self.signed())
        return self.chain()

    def chain(self) -> Node:
        parts: list[str | Bracket] = []
        while True:
            symbol = self.peek()
            if symbol in ("(", "[", "{"):
                self.take()
                items, comma = self.items(_CLOSING[symbol])
                self.take()
                parts.append(Bracket(symbol, items, bool(parts), comma))
            elif symbol == ".":
                parts.append(self.take() + self.take())
            elif not parts:
                parts.append(self.take())
            else:
                return Chain(parts)

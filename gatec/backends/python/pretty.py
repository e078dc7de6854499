"""Documents of text and places to break, laid out on lines of a width.

Wadler, "A prettier printer", 2003: a group stands on one line if it fits, with what follows it
up to the next place to break; else every place of the group itself breaks.
"""

from __future__ import annotations

from dataclasses import dataclass

INDENT = 4


@dataclass(frozen=True)
class Line:
    """A place to break: `flat` stands there where the group around it fits on one line."""

    flat: str


@dataclass(frozen=True)
class IfBroken:
    """Text that is there only where the group around it is broken."""

    text: str


@dataclass(frozen=True)
class Indented:
    parts: list[Doc]


@dataclass(frozen=True)
class Group:
    """Parts that stand on one line if they fit, else break at every line of the group itself."""

    parts: list[Doc]


Doc = str | Line | IfBroken | Indented | Group
SOFT, SPACE = Line(""), Line(" ")
_Item = tuple[int, bool, Doc]  # indentation, broken, document


def layout(doc: list[Doc], width: int) -> str:
    """The text of a document on lines of at most `width` columns, where its places allow it."""
    out: list[str] = []
    column = 0
    stack: list[_Item] = [(0, True, part) for part in reversed(doc)]
    while stack:
        indent, broken, part = stack.pop()
        match part:
            case str():
                out.append(part)
                column += len(part)
            case Line():
                out.append("\n" + " " * indent if broken else part.flat)
                column = indent if broken else column + len(part.flat)
            case IfBroken():
                out.append(part.text if broken else "")
                column += len(part.text) if broken else 0
            case Indented():
                stack += [(indent + INDENT, broken, inner) for inner in reversed(part.parts)]
            case Group():
                items = [(indent, False, inner) for inner in reversed(part.parts)]
                fits = not broken or _fits(items, stack, width - column)
                stack += items if fits else [(indent, True, inner) for _, _, inner in items]
    return "".join(out)


def _fits(items: list[_Item], rest: list[_Item], room: int) -> bool:
    """Whether the items fit on the line, with what follows them up to the next break."""
    stack, following = list(items), len(rest)
    while room >= 0:
        if not stack:
            if not following:
                return True
            following -= 1
            stack.append(rest[following])
        indent, broken, part = stack.pop()
        match part:
            case str():
                room -= len(part)
            case Line():
                if broken:
                    return True
                room -= len(part.flat)
            case IfBroken():
                room -= len(part.text) if broken else 0
            case Indented() | Group():
                stack += [(indent, broken, inner) for inner in reversed(part.parts)]
    return False

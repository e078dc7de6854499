"""What reading gives: documents, their formulas, and the marks between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gatec.errors import Span


class Style(Enum):
    """How a formula is written."""

    GATE = "gate"  # equations, declarations and comments, one a line
    TEX = "tex"  # LaTeX mathematics out of a text


@dataclass(frozen=True)
class Formula:
    """A piece of mathematics where it stands.

    `display` is False for a formula inside a sentence. `aside` marks one that gives way to
    another that defines the same name: in a note, a footnote, a list of arguments.
    """

    span: Span
    style: Style
    display: bool = True
    aside: bool = False


@dataclass(frozen=True)
class Document:
    """The formulas of one cell, in their order.

    `declared` says that a marker gave the name; without one it comes from the file's stem.
    `stem` names the output files. `macros` are the text's own LaTeX commands: the name with its
    backslash, the number of arguments, the body.
    """

    name: str
    declared: bool
    stem: str
    formulas: tuple[Formula, ...]
    comments: tuple[str, ...] = ()
    macros: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True)
class Marker:
    """`cell NAME`: what stands after the offset `place` belongs to that cell."""

    name: str
    span: Span
    place: int


@dataclass(frozen=True)
class Reading:
    """Everything found in one source (a file, a notebook's cell, a docstring), in its order."""

    items: tuple[Formula | Marker, ...]
    macros: tuple[tuple[str, int, str], ...] = ()

"""What a report is made of, whatever it is printed as."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """`left = right`, or where `relation` is another sign, that; with a remark."""

    left: str
    right: str
    note: str = ""
    relation: str = "="


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Formulas:
    """Formulas below each other, aligned at their signs."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Listing:
    """Items, each a sentence."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Cells of text below a heading."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Source:
    """Text as the user wrote it: whose it is, and a line."""

    lines: tuple[tuple[str, str], ...]


Block = Text | Formulas | Listing | Table | Source


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it.

    folded  shown on demand
    paper   left out on a terminal
    """

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False
    paper: bool = False


@dataclass(frozen=True)
class Report:
    """A report: its verdict in one word and one sentence, then sections.

    same    whether the answer is yes (True), no (False) or open (None)
    legend  how to read the names
    """

    title: str
    kind: str
    headline: str
    same: bool | None
    legend: str
    sections: tuple[Section, ...]

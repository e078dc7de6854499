"""Sources, spans and diagnostics: what every layer uses to speak of the user's text.

A `Diagnostic` is data: a code, a message, the place, a hint. `render` turns it into the
`file:line:col` text with the source line and carets, `as_json` into a dictionary.
"""

from __future__ import annotations

import bisect
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True, eq=False)
class Source:
    """A named text: a file, standard input, a notebook cell or a docstring."""

    name: str
    text: str

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(i + 1 for i, char in enumerate(self.text) if char == "\n")]

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column (in characters) of a character offset."""
        line = bisect.bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its line ending."""
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def span(self, start: int, end: int) -> Span:
        return Span(self, start, end)


@dataclass(frozen=True)
class Span:
    """Characters `start` (included) to `end` (excluded) of a source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def location(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other` (same source)."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))


@dataclass(frozen=True)
class Note:
    """A second place that a diagnostic speaks of, and what is there."""

    message: str
    span: Span


@dataclass(frozen=True)
class Diagnostic:
    """One fact that the user must know, with its place and how to mend it."""

    code: str
    message: str
    span: Span | None = None
    hint: str | None = None
    notes: tuple[Note, ...] = field(default=())
    severity: str = "error"
    file: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            **_place(self.span, self.file),
            "notes": [{"message": note.message, **_place(note.span)} for note in self.notes],
        }


class GatecError(Exception):
    """Bad input: every diagnostic that was found, in the order of the text."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        if isinstance(diagnostics, Diagnostic):
            diagnostics = (diagnostics,)
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(render(diagnostic) for diagnostic in self.diagnostics))


def _place(span: Span | None, file: str | None = None) -> dict[str, Any]:
    if span is None:
        return {"file": file, "line": None, "column": None, "end_line": None, "end_column": None}
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


_COLOURS = {
    "error": "\033[1;31m",
    "warning": "\033[1;33m",
    "note": "\033[1;36m",
    "hint": "\033[36m",
}


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """The diagnostic as text: `file:line:col: error[E0103]: …`, the line, carets, the hint."""

    def paint(kind: str, text: str) -> str:
        return f"{_COLOURS[kind]}{text}\033[0m" if colour else text

    head = paint(diagnostic.severity, f"{diagnostic.severity}[{diagnostic.code}]")
    where = diagnostic.span.location if diagnostic.span else diagnostic.file
    lines = [
        f"{printable(where)}: {head}: {printable(diagnostic.message)}"
        if where
        else f"{head}: {printable(diagnostic.message)}"
    ]
    if diagnostic.span:
        lines += _excerpt(diagnostic.span, lambda text: paint(diagnostic.severity, text))
    for note in diagnostic.notes:
        lines.append(
            f"{printable(note.span.location)}: {paint('note', 'note')}: {printable(note.message)}"
        )
        lines += _excerpt(note.span, lambda text: paint("note", text))
    if diagnostic.hint:
        lines.append(f"  {paint('hint', 'hint')}: {printable(diagnostic.hint)}")
    return "\n".join(lines)


def printable(text: str) -> str:
    """The text with control and bidirectional characters shown as escapes.

    A terminal must never act on what stands in a spec.
    """
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char == "\n" or (char == " ")
        else " "
        if char in "\t\xa0" or unicodedata.category(char) == "Zs"
        else f"\\u{{{ord(char):x}}}"
        for char in text
    )


_MAX_WIDTH = 120


def _excerpt(span: Span, paint: Any) -> list[str]:
    """The source line of a span and the carets under it, cut to a readable width."""
    number, column = span.source.position(span.start)
    raw = span.source.line(number)
    start = min(column - 1, len(raw))
    end = max(start + 1, min(start + (span.end - span.start), len(raw)))
    prefix = ""
    if len(raw) > _MAX_WIDTH:
        cut = max(0, min(start - _MAX_WIDTH // 3, len(raw) - _MAX_WIDTH))
        prefix = "…" if cut else ""
        raw = raw[cut : cut + _MAX_WIDTH]
        start, end = start - cut, min(end - cut, _MAX_WIDTH)
    before = prefix + printable(raw[:start])
    marked = printable(raw[start:end])
    gutter = f"{number:>5} | "
    blank = " " * (len(gutter) - 2) + "| "
    carets = " " * _width(before) + paint("^" * max(1, _width(marked)))
    return [gutter + before + marked + printable(raw[end:]), blank + carets]


def _width(text: str) -> int:
    """How many terminal columns a text takes (combining marks none, wide letters two)."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )

"""Formulas as lines of text, aligned where they fit on a page."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable

from gatec.equivalence.report.model import Line
from gatec.errors import printable

WIDTH = 100


def width(text: str) -> int:
    """How many columns a text takes."""
    return sum(0 if unicodedata.combining(char) else 1 for char in text)


def padded(text: str, size: int) -> str:
    return text + " " * max(0, size - width(text))


def wrapped(text: str, indent: str = "", first: str | None = None) -> list[str]:
    """A text cut between words into lines of the page; the first may be indented otherwise."""
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def formulas(lines: Iterable[Line]) -> list[tuple[str, str]]:
    """Lines and their remarks: aligned at their signs where all fit, else below each other."""
    shown = [Line(*map(printable, (ln.left, ln.right, ln.note, ln.relation))) for ln in lines]
    left = max((width(line.left) for line in shown), default=0)
    right = max((width(line.right) for line in shown), default=0)
    note = max((width(line.note) for line in shown), default=0)
    if left + right + note + 10 > WIDTH:
        return [row for line in shown for row in _hanging(line)]
    sign = max((width(line.relation) for line in shown), default=0)
    columns = [
        (padded(line.left, left), padded(line.relation, sign), padded(line.right, right))
        for line in shown
    ]
    return [(f"  {' '.join(row)}", _remark(line)) for row, line in zip(columns, shown, strict=True)]


def _remark(line: Line) -> str:
    return f"# {line.note}" if line.note else ""


def _hanging(line: Line) -> list[tuple[str, str]]:
    """A formula on one line where it fits, else its right side below the left one."""
    note = _remark(line)
    whole = f"  {line.left} {line.relation} {line.right}" if line.left else ""
    if whole and width(whole) + width(note) + 2 <= WIDTH:
        return [(whole, note)]
    left = wrapped(line.left, "      ", "  ") if line.left else []
    right = wrapped(f"{line.relation} {line.right}", "        ", "    ")
    plain = [(row, "") for row in [*left, *right[:-1]]]
    if note and width(right[-1]) + width(note) + 2 > WIDTH:
        return [*plain, (right[-1], ""), ("      ", note)]
    return [*plain, (right[-1], note)]

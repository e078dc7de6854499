"""A report as Markdown that GitHub shows as it is meant: formulas as code, folded parts folded."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterable

from gatec.equivalence.report.layout import formulas, padded, width
from gatec.equivalence.report.model import (
    Block,
    Formulas,
    Listing,
    Report,
    Section,
    Source,
    Table,
    Text,
)
from gatec.errors import printable


def render(report: Report) -> str:
    """The whole report, with a final newline."""
    parts = [
        f"# {escaped(report.title)}",
        f"**{escaped(report.kind)}.** {escaped(report.headline)}",
        *([escaped(report.legend)] if report.legend else []),
        *(part for section in report.sections for part in _section(section)),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown takes for text."""
    return re.sub(r"([\\`*_{}\[\]<>#|$~!&])", r"\\\1", printable(text).replace("\n", " "))


def _section(section: Section) -> Iterable[str]:
    blocks = [_block(block) for block in section.blocks]
    if section.folded:
        head = f"<details>\n<summary>{_html(section.title)}</summary>"
        return [head, *blocks, "</details>"]
    title = section.title[:1].upper() + section.title[1:]
    return [f"## {escaped(title)}", *blocks]


def _html(text: str) -> str:
    return html.escape(printable(text))


def _block(block: Block) -> str:
    match block:
        case Text():
            return escaped(block.text)
        case Listing():
            return "\n".join(f"- {escaped(item)}" for item in block.items)
        case Formulas():
            return _code(_noted(row, note) for row, note in formulas(block.lines))
        case Table():
            head = _row(block.head), _row(("---",) * len(block.head), str)
            return "\n".join([*head, *map(_row, block.rows)])
        case Source():
            size = max(width(printable(whose)) for whose, _ in block.lines)
            gap = "  " if size else ""
            return _code(
                f"{padded(printable(whose), size)}{gap}{printable(line).strip()}"
                for whose, line in block.lines
            )


def _row(cells: tuple[str, ...], write: Callable[[str], str] = escaped) -> str:
    return f"| {' | '.join(map(write, cells))} |"


def _noted(row: str, note: str) -> str:
    return f"{row}  {note}".rstrip()


def _code(lines: Iterable[str]) -> str:
    """A fenced block; no line of a spec can end it."""
    text = textwrap.dedent("\n".join(lines))
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"

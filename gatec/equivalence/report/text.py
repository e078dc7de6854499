"""A report for a terminal: at most 100 columns, coloured only where asked for."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from gatec.equivalence.report.layout import WIDTH, formulas, padded, width, wrapped
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

_BOLD, _DIM, _OFF = "\033[1m", "\033[2m", "\033[0m"
_COLOURS = {True: "\033[1;32m", False: "\033[1;31m", None: "\033[1;33m"}


def render(report: Report, *, proof: bool = False, colour: bool = False) -> str:
    """The text, with folded sections only where `proof` asks for them."""
    paint = _Paint(colour)
    lines = [f"{paint.verdict(report.kind, report.same)}: {report.title}", ""]
    lines += wrapped(report.headline)
    lines += [paint.dim(line) for line in wrapped(report.legend)]
    folded = 0
    for section in report.sections:
        if section.paper:
            continue
        if section.folded and not proof:
            folded += 1
            continue
        lines += ["", paint.bold(section.title), *_section(section, paint)]
    if folded:
        lines += ["", paint.dim("--proof prints every step; -o report.html writes all of this")]
    return "\n".join(line.rstrip() for line in lines) + "\n"


class _Paint:
    def __init__(self, on: bool) -> None:
        self.on = on

    def bold(self, text: str) -> str:
        return f"{_BOLD}{text}{_OFF}" if self.on else text

    def dim(self, text: str) -> str:
        return f"{_DIM}{text}{_OFF}" if self.on and text else text

    def verdict(self, text: str, same: bool | None) -> str:
        return f"{_COLOURS[same]}{text}{_OFF}" if self.on else text


def _section(section: Section, paint: _Paint) -> list[str]:
    lines: list[str] = []
    before: Block | None = None
    for block in section.blocks:
        # Formulas that follow each other are steps about different equations.
        if isinstance(block, Formulas) and isinstance(before, Formulas):
            lines.append("")
        lines += _block(block, paint)
        before = block
    return lines


def _block(block: Block, paint: _Paint) -> list[str]:
    match block:
        case Text():
            return wrapped(block.text, "  ")
        case Listing():
            return [line for item in block.items for line in wrapped(item, "    ", "  - ")]
        case Formulas():
            return [f"{row}  {paint.dim(note)}" for row, note in formulas(block.lines)]
        case Table():
            return _table([block.head, *block.rows], paint)
        case Source():
            return _source(block, paint)


def _source(block: Source, paint: _Paint) -> list[str]:
    size = max(width(printable(whose)) for whose, _ in block.lines)
    made = []
    for whose, line in block.lines:
        first, *rest = wrapped(line.strip(), " " * (size + 6), " " * (size + 4)) or [""]
        made.append(f"  {paint.dim(padded(printable(whose), size))}  {first[size + 4 :]}")
        made += rest
    return made


def _table(rows: Sequence[Sequence[str]], paint: _Paint) -> list[str]:
    """Columns; the last but the first long one is cut into lines where the page is too narrow."""
    shown = [[printable(cell) for cell in row] for row in rows]
    sizes = [max(map(width, column)) for column in zip(*shown, strict=True)]
    widest = sizes.index(max(sizes))
    sizes[widest] = max(12, min(sizes[widest], WIDTH - 2 * len(sizes) - sum(sizes) + sizes[widest]))
    lines = []
    for index, row in enumerate(shown):
        parts = [textwrap.wrap(cell, size) or [""] for cell, size in zip(row, sizes, strict=True)]
        for level in range(max(map(len, parts))):
            cells = [part[level] if level < len(part) else "" for part in parts]
            text = "  ".join(map(padded, cells, sizes)).rstrip()
            lines.append(f"  {paint.dim(text) if not index else text}")
    return lines

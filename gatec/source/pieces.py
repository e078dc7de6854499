"""How a text is cut: into equations, into cells, and free of the marks of quotation."""

from __future__ import annotations

import re
from itertools import pairwise

from gatec.errors import Source
from gatec.source.document import Formula, Marker, Style

_GATE_CELL = re.compile(r"[ \t]*cell[ \t]+(?![=:_^+*/(\[-])(\S+)[ \t]*(?:[#%].*)?$", re.IGNORECASE)
_QUOTE = re.compile(r"[ \t]{0,3}>(?:[ \t]{0,3}>)*[ \t]?")


def gate_items(source: Source, start: int, end: int) -> list[Formula | Marker]:
    """A text in gatec's own notation, cut before each `cell NAME` where it has several.

    Comments right above such a line go with it.
    """
    markers: list[Marker] = []
    position = begin = start
    for line in source.text[start:end].split("\n"):
        match = _GATE_CELL.match(line)
        if match:
            first = position + match.start(1)
            span = source.span(first, position + match.end(1))
            markers.append(Marker(match.group(1), span, begin))
        position += len(line) + 1
        if line.lstrip()[:1] not in ("#", "%"):
            begin = position
    if len(markers) < 2:
        whole = [Formula(source.span(start, end), Style.GATE)]
        named = [Marker(marker.name, marker.span, start) for marker in markers]
        return [*named, *whole] if source.text[start:end].strip() else []
    items: list[Formula | Marker] = []
    places = [start, *(marker.place for marker in markers), end]
    for index, (first, last) in enumerate(pairwise(places)):
        if index:
            items.append(markers[index - 1])
        if source.text[first:last].strip():
            items.append(Formula(source.span(first, last), Style.GATE))
    return items


_BREAK = re.compile(r"\n[ \t]*\n\s*|\\(begin|end)\s{0,3}\{")


def paragraphs(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Equations that blank lines part, outside every environment."""
    found = []
    depth = 0
    begin = start
    for match in _BREAK.finditer(text, start, end):
        if match.group(1):
            depth += 1 if match.group(1) == "begin" else -1
        elif depth <= 0:
            found.append((begin, match.start()))
            begin = match.end()
    found.append((begin, end))
    return [_trim(text, *part) for part in found if text[part[0] : part[1]].strip()]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - (len(inner) - len(inner.rstrip()))


_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}


def cleaned(text: str) -> str:
    """The text with the `>` of quoted lines as spaces, and HTML's `&lt;` as the character."""
    for entity, char in _ENTITIES.items():
        text = text.replace(entity, char.ljust(len(entity)))
    if ">" not in text:
        return text
    return "\n".join(
        " " * match.end() + line[match.end() :]
        if ">" in line and (match := _QUOTE.match(line))
        else line
        for line in text.split("\n")
    )


def quoted_lines(text: str) -> list[tuple[int, int]]:
    if ">" not in text:
        return []
    found = []
    start = 0
    for line in text.split("\n"):
        if ">" in line and _QUOTE.match(line):
            found.append((start, start + len(line) + 1))
        start += len(line) + 1
    return found

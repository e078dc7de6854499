"""Searches that stay linear in the length of the text, whatever the text is."""

from __future__ import annotations

import re
from bisect import bisect_right


class Next:
    """The next match of a pattern at or after a position.

    Asked at rising positions it reads the text once in all: an opener without its closer would
    otherwise be searched for to the end of the text, again and again.
    """

    def __init__(self, pattern: str, text: str) -> None:
        self._pattern = re.compile(pattern)
        self._text = text
        self._asked = -1
        self._found: re.Match[str] | None = None

    def __call__(self, position: int) -> re.Match[str] | None:
        fresh = self._asked < 0 or position < self._asked
        if fresh or (self._found is not None and self._found.start() < position):
            self._asked = position
            self._found = self._pattern.search(self._text, position)
        return self._found


class Ranges:
    """Parts of a text, asked whether they hold a position."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []
        self._merged: list[tuple[int, int]] | None = None

    def add(self, start: int, end: int) -> None:
        if start < end:
            self._ranges.append((start, end))
            self._merged = None

    def merged(self) -> list[tuple[int, int]]:
        """The ranges in order, none overlapping."""
        if self._merged is None:
            self._merged = []
            for start, end in sorted(self._ranges):
                if self._merged and start <= self._merged[-1][1]:
                    last = self._merged[-1]
                    self._merged[-1] = (last[0], max(last[1], end))
                else:
                    self._merged.append((start, end))
        return self._merged

    def __contains__(self, position: int) -> bool:
        return bool(self.inside(position, position + 1))

    def inside(self, start: int, end: int) -> list[tuple[int, int]]:
        """The ranges that overlap `start` to `end`."""
        ranges = self.merged()
        first = max(0, bisect_right(ranges, (start, start)) - 1)
        found = []
        for index in range(first, len(ranges)):
            if ranges[index][0] >= end:
                break
            if ranges[index][1] > start:
                found.append(ranges[index])
        return found

    def blank(self, text: str) -> str:
        """The text with these parts as spaces; lines stay lines and offsets stay true."""
        pieces = []
        position = 0
        for start, end in self.merged():
            pieces.append(text[position:start])
            pieces.append(re.sub(r"[^\n]", " ", text[start:end]))
            position = end
        pieces.append(text[position:])
        return "".join(pieces)


def partners(text: str) -> dict[int, int]:
    """The position of the closing brace for every opening one that is closed."""
    found: dict[int, int] = {}
    stack: list[int] = []
    for match in re.finditer(r"\\.|[{}]", text):
        if match.group() == "{":
            stack.append(match.start())
        elif match.group() == "}" and stack:
            found[stack.pop()] = match.start()
    return found


def environments(text: str) -> tuple[dict[int, int], list[re.Match[str]]]:
    """Where each `\\begin` ends (the offset after its own `\\end`), and those never ended."""
    found: dict[int, int] = {}
    stacks: dict[str, list[re.Match[str]]] = {}
    for match in re.finditer(r"\\\\|\\(begin|end)\s{0,3}\{([A-Za-z]+\*?)\}", text):
        if match.group(1) == "begin":
            stacks.setdefault(match.group(2), []).append(match)
        elif match.group(1) == "end" and stacks.get(match.group(2)):
            found[stacks[match.group(2)].pop().start()] = match.end()
    return found, [match for stack in stacks.values() for match in stack]

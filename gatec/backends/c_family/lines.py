"""Lines of C: the names they use, how they are indented and where they are cut."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Members of structures are no names of their own.
_WORD = re.compile(r"(?<!->)(?<!\.)\b[A-Za-z_]\w*")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
WIDTH = 100


def words(lines: Iterable[str]) -> set[str]:
    """The identifiers of code, comments left out."""
    return set(_WORD.findall(_COMMENT.sub("", "\n".join(lines))))


def ordered_words(lines: Iterable[str]) -> list[str]:
    """The identifiers of code in the order of their first use, comments left out."""
    return list(dict.fromkeys(_WORD.findall(_COMMENT.sub("", "\n".join(lines)))))


def bare(text: str) -> str:
    """A text that stands for itself, without brackets around all of it."""
    inner = text[1:-1]
    whole = text.startswith("(") and text.endswith(")") and "(" not in inner
    return inner if whole else text


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    return ["    " * depth + line if line else "" for line in lines]


def wrapped(lines: Iterable[str], depth: int = 0) -> list[str]:
    """Lines of at most WIDTH columns where there is a place to cut them; comments stay.

    `depth` is how deep the lines will be indented.
    """
    width = WIDTH - 4 * depth
    result: list[str] = []
    for line in lines:
        margin = len(line) - len(line.lstrip())
        if len(line) <= width or is_comment(line):
            result.append(line)
        else:
            goes_on = bool(result) and result[-1].endswith(",")
            result += _wrap(line[margin:], margin, 0 if goes_on else 4, width)
    return result


def _wrap(code: str, margin: int, more: int, width: int) -> list[str]:
    lines: list[str] = []
    while len(code) + margin > width:
        cut = _cut(code, width - margin)
        if cut is None:
            break
        lines.append(" " * margin + code[:cut].rstrip())
        code = code[cut:].lstrip()
        if len(lines) == 1:
            margin += more
    return [*lines, " " * margin + code]


def _cut(code: str, room: int) -> int | None:
    """Where to cut: as far outside of brackets as there is a place, then as late as there is."""
    depth, best = 0, None
    for position, char in enumerate(code[:room]):
        # Never inside of an index where there is another place.
        if char in "([{":
            depth += 10 if char == "[" else 1
        elif char in ")]}":
            depth -= 10 if char == "]" else 1
        after = code[position + 1 : position + 4]
        here = char == "," or after in (" + ", " - ", " * ", " / ", " ? ", " : ")
        start = char == "=" and code[position - 1 : position + 2] == " = "
        if (here or start) and position + 1 < len(code):
            late = 3.5 if start else 1 if after in (" * ", " / ") else -1 if char == "," else 0
            rank = (2 * depth + late, -position)
            if best is None or rank <= best[0]:
                best = (rank, position + 1)
    return None if best is None else best[1]


def is_comment(line: str) -> bool:
    """A line of a comment, or one for the preprocessor."""
    return line.lstrip().startswith(("/*", "*", "#"))

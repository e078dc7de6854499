"""The parts of a text that follow one rule for scripts.

In LaTeX `W_xh` is W_x times h; in plain text it is one name. In a .gate text a line with a
backslash is LaTeX, a line without is plain; a statement that spans lines is of one kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# `W_ih h_t`: a script of several letters that another name follows is one label, LaTeX or not.
_WORD_SCRIPT = re.compile(
    r"_[A-Za-z]{2,}[ \t]+(?:[A-Za-z]|\\(?:mathbf|boldsymbol|bm|tilde|hat|bar|widetilde)\b)"
)
_STARTS_EQUATION = re.compile(r"\s*\\?\w[^=]*=")
_LINE = re.compile(r"[^\n]*\n?")
_COMMENT = re.compile(r"(?<!\\)[#%]")
_JOINING = ("+", "-", "*", "=", "⊙", "/", "·", "∘", "−")


def regions(text: str, base: int, *, tex: bool) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether LaTeX's rules hold) for each part of a formula's text."""
    if tex:
        yield base, base + len(text), True
        return
    words = _WORD_SCRIPT.search(text) is not None
    start = depth = 0
    kind: bool | None = None
    for match in _LINE.finditer(text):
        code = _COMMENT.split(match.group(), maxsplit=1)[0]
        if not code.strip():
            continue
        latex = "\\" in code
        if _STARTS_EQUATION.match(code):
            depth = 0  # a bracket that an earlier line forgot to close
        goes_on = depth > 0 or code.lstrip().startswith(_JOINING)
        if kind is None:
            kind = latex
        elif goes_on:
            kind = kind or latex
        elif latex != kind:
            yield base + start, base + match.start(), kind and not words
            start, kind = match.start(), latex
        opened = sum(map(code.count, "([{")) - sum(map(code.count, ")]}"))
        depth = max(0, depth + opened)
    if start < len(text):
        yield base + start, base + len(text), bool(kind) and not words

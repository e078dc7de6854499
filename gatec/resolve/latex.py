"""A name as LaTeX."""

from __future__ import annotations

from gatec.parse.vocabulary import CAPITAL_GREEK, SMALL_GREEK
from gatec.syntax import Key

_LETTERS = SMALL_GREEK | CAPITAL_GREEK | {"ell"}


def latex(key: Key) -> str:
    """The name without its time index, as LaTeX mathematics."""
    base = key.base
    if base in _LETTERS:
        text = "\\" + base
    elif base.startswith("Delta_"):
        text = "\\Delta " + base[6:]
    elif len(base) == 1:
        text = base
    else:
        text = "\\mathrm{" + base.replace("_", "\\_") + "}"
    for accent in key.accents:
        macro = {"ring": "mathring"}.get(accent, accent)
        text = f"\\{macro}{{{text}}}"
    if key.sub:
        text += "_{" + ", ".join(_label(part) for part in key.sub) + "}"
    if key.sup:
        text += "^{(" + ", ".join(_label(part) for part in key.sup) + ")}"
    return text + "'" * key.primes


def _label(text: str) -> str:
    if text in _LETTERS:
        return "\\" + text
    if len(text) <= 2 or text.isdigit():
        return text
    return "\\mathrm{" + text.replace("_", "\\_") + "}"

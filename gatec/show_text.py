"""A name's LaTeX as text with raised and lowered parts, for drawings."""

from __future__ import annotations

import re
import unicodedata
from html import escape

_VARIANTS = {"varepsilon": "ε", "varphi": "φ", "ell": "ℓ"}
_ACCENTS = {
    "tilde": "\u0303",
    "hat": "\u0302",
    "bar": "\u0304",
    "overline": "\u0304",
    "dot": "\u0307",
    "ddot": "\u0308",
    "vec": "\u20d7",
    "check": "\u030c",
    "breve": "\u0306",
    "acute": "\u0301",
    "grave": "\u0300",
    "mathring": "\u030a",
}
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[_^{}']|[^\\_^{}']")


def rich(symbol: str, time: str = "") -> str:
    """The symbol as SVG text, with the time index as the last part of its subscript."""
    parts = {"": "", "_": "", "^": ""}
    place, depth, accent = "", 0, ""
    for token in _TOKEN.findall(symbol):
        if token in "_^" and depth == 0:
            place = token
            continue
        if token == "{":
            depth += 1
            continue
        if token == "}":
            depth -= 1
            place = place if depth else ""
            continue
        word = token[1:] if token.startswith("\\") else ""
        if word in _ACCENTS:
            accent = _ACCENTS[word]
            continue
        text = _letter(word) if word.isalpha() else word or token
        parts[place] += (text + accent) if text.strip() else ""
        accent = ""
        place = place if depth else ""
    lowered = ", ".join(filter(None, (parts["_"].replace(",", ", "), time)))
    return (
        f'<tspan font-style="italic">{escape(parts[""])}</tspan>'
        + _shifted(parts["^"], -6)
        + _shifted(lowered, 4, after=-6 if parts["^"] else 0)
    )


def _letter(macro: str) -> str:
    """The Greek letter of a macro's name; nothing for a font."""
    size = "CAPITAL" if macro[0].isupper() else "SMALL"
    name = {"LAMBDA": "LAMDA"}.get(macro.upper(), macro.upper())
    try:
        return _VARIANTS.get(macro) or unicodedata.lookup(f"GREEK {size} LETTER {name}")
    except KeyError:
        return ""


def _shifted(text: str, by: int, after: int = 0) -> str:
    if not text:
        return ""
    return f'<tspan dy="{by - after}" font-size="10">{escape(text)}</tspan>'

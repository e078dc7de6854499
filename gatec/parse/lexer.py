"""From text to tokens: Lark's lexer, then what a regular expression cannot do.

`tokens` gives a formula's tokens with meaning: macros named, meaningless ones dropped, every
script folded with its argument into one `Script`. Offsets are those of the whole source, so
spans survive whatever is dropped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from lark import Token

from gatec.errors import Diagnostic, Source
from gatec.parse import idioms
from gatec.parse.fold import fold
from gatec.parse.macros import Macros, expand
from gatec.parse.tokens import Whole, make, plain_tokens, retyped
from gatec.parse.vocabulary import (
    ACCENTS,
    CAPITAL_GREEK,
    COMBINING,
    GREEK_NAMES,
    MACRO_TYPES,
    REFUSED,
    SMALL_GREEK,
    letter_in_font,
)


class Lexer:
    """Lexes the formulas of one source."""

    def __init__(self, source: Source, macros: Macros | None = None) -> None:
        self.source = source
        self.macros = macros or {}
        self.diagnostics: list[Diagnostic] = []

    def error(self, code: str, message: str, place: Token, hint: str | None = None) -> None:
        span = self.source.span(place.start_pos or 0, place.end_pos or 0)
        self.diagnostics.append(Diagnostic(code, message, span, hint))

    def tokens(self, start: int, end: int, *, tex: bool, gate: bool = False) -> list[Token]:
        """The tokens of a part of the source.

        tex   LaTeX's own rules hold: an unbraced script is one character, `~` is a space, a new
              line is no new statement
        gate  the text of a .gate file, where `#` starts a comment and `c~` is an accent, also
              next to LaTeX
        """
        text = self.source.text[start:end]
        # In LaTeX `#` is no comment.
        raw = list(plain_tokens(text if gate or not tex else text.replace("#", " "), start))
        if self.macros:
            raw = expand(raw, self.macros, self.error)
        raw = idioms.decimals(raw, self.error)
        if gate and not tex:
            raw = _with_digits(idioms.code(raw))
        folded = fold(_named(raw, tex=tex, gate=gate), self.error, tex=tex)
        return idioms.inner_products(folded)


def _with_digits(raw: list[Token]) -> list[Token]:
    """`h1` is a name in plain text (in LaTeX, digits after a letter are a factor of their own)."""
    joined: list[Token] = []
    for token in raw:
        before = joined[-1] if joined else None
        follows = before is not None and before.type == "NAME" and before.end_pos == token.start_pos
        if (
            before is not None
            and follows
            and (
                (token.type == "NUMBER" and token.isdigit())
                or (token.type == "NAME" and before[-1].isdigit())
            )
        ):
            joined[-1] = make("NAME", str(before) + token, before.start_pos, token.end_pos)
        else:
            joined.append(token)
    return joined


_LETTERS = SMALL_GREEK | CAPITAL_GREEK | GREEK_NAMES  # \beta is no eta in a font


# --- What macros and characters mean --------------------------------------------------------------

_DROPPED = frozenset(["SPACE", "COMMENT", "FONT", "LABEL", "DELIMITER", "ESCAPED"])
_ACCENTED = frozenset(["NAME", "MACRO", "SUBRUN", "TEXT", "RBRACE"])


def _named(raw: list[Token], *, tex: bool, gate: bool) -> list[Token]:
    """Macros become what they mean; what has no meaning is dropped."""
    tokens: list[Token] = []
    sized = False  # the token before was \left or \bigl
    font: int | None = None  # where the \mathbf before this token starts
    for position, token in enumerate(raw):
        kind, text = token.type, str(token)
        if kind == "FONT":
            font = token.start_pos if font is None else font
            continue
        if font is not None and kind != "SPACE":
            # A name's place includes its font.
            token, font = _starting_at(token, font), None
        if kind in _DROPPED or (kind == "TILDE" and not gate):
            continue
        if kind == "SPACING":
            if text in (r"\quad", r"\qquad"):
                tokens.append(retyped(token, "QUAD"))
            continue
        if kind == "SIZING":
            sized = text.startswith(r"\left") or (text.endswith("l") and "big" in text.lower())
            continue
        if kind == "MACRO":
            token = _macro(token)
        elif kind == "TEXT":
            token = _text(token)
        elif kind == "ROOT":
            token = retyped(token, "SQRT")
        elif kind == "NORM":
            token = retyped(token, "BAR", "‖")
        elif kind == "COMBINING":
            tokens += _combining(tokens, token)
            continue
        elif kind == "TILDE":
            before = raw[position - 1].type if position else ""
            after = raw[position + 1].type if position + 1 < len(raw) else ""
            if before in _ACCENTED and not (tex and after in ("NAME", "MACRO", "NUMBER")):
                tokens.append(retyped(token, "SCRIPT_ACCENT", "tilde"))
            continue
        elif kind == "NAME" and not text.isascii():
            tokens += _decomposed(token)
            sized = False
            continue
        if token.type == "BAR" and sized:
            token = retyped(token, "BAR_OPEN")
        sized = False
        tokens.append(token)
    return _with_steps(tokens)


def _macro(token: Token) -> Token:
    name = str(token)[1:]
    if str(token) in REFUSED:
        return retyped(token, "UNKNOWN")
    if name in ACCENTS:
        return retyped(token, "ACCENT", ACCENTS[name])
    kind = MACRO_TYPES.get(name, "NAME")
    if kind == "NAME" and name not in _LETTERS:
        letter = letter_in_font(name)
        if letter is not None:
            return retyped(token, "NAME", letter if len(letter) == 1 else "\\" + letter)
    if kind == "BAR":
        sides = {"l": "BAR_OPEN", "r": "BAR_CLOSE"}
        return retyped(token, sides.get(name[0], kind), "‖" if "V" in name else "|")
    if kind == "COMPARE":
        sign = {"l": "<", "g": ">"}[name[0]]
        return retyped(token, kind, sign if name in ("lt", "gt") else sign + "=")
    return retyped(token, kind)


def _text(token: Token) -> Token:
    """`\\text{…}`: one name where it is one word, else words."""
    command, inner = str(token)[1:-1].split("{", 1)
    inner = " ".join(inner.replace("\\_", "_").replace("~", " ").split())
    word = inner.replace("-", "").replace("_", "").isalnum()
    words = command.strip().startswith(("text", "mbox", "hbox")) and not word
    return retyped(token, "WORDS" if words else "TEXTNAME", inner)


def _combining(tokens: list[Token], token: Token) -> Iterator[Token]:
    """The accents of combining marks, where they stand on a name."""
    if not tokens or tokens[-1].type not in ("NAME", "SCRIPT_ACCENT"):
        return
    for place, mark in enumerate(str(token), token.start_pos or 0):
        if mark in COMBINING:
            yield make("SCRIPT_ACCENT", COMBINING[mark], place, place + 1)


def _decomposed(token: Token) -> Iterator[Token]:
    """A precomposed letter is its base letter and an accent."""
    start = pending = token.start_pos or 0
    text = str(token)
    for place, char in enumerate(text, start):
        parts = unicodedata.normalize("NFD", char)
        if len(parts) == 2 and parts[1] in COMBINING:
            yield make("NAME", text[pending - start : place - start] + parts[0], pending, place + 1)
            yield make("SCRIPT_ACCENT", COMBINING[parts[1]], place, place + 1)
            pending = place + 1
    if pending - start < len(text):
        yield make("NAME", text[pending - start :], pending, start + len(text))


def _starting_at(token: Token, start: int) -> Token:
    if token.type in ("LBRACE", "NAME", "MACRO", "ACCENT"):
        token.start_pos = start
    return token


def _with_steps(tokens: list[Token]) -> list[Token]:
    """`\\Delta t` is one name: the length of a time step."""
    joined: list[Token] = []
    for token in tokens:
        before = joined[-1] if joined else None
        if (
            before is not None
            and token.type == before.type == "NAME"
            and str(token) in ("t", "\\tau", "τ")
            and str(before) in ("\\Delta", "Δ", "∆", "Delta")
        ):
            letter = str(token).lstrip("\\").replace("τ", "tau")
            joined[-1] = Whole(
                "NAME", "Delta_" + letter, start_pos=before.start_pos, end_pos=token.end_pos
            )
        else:
            joined.append(token)
    return joined

"""From text to tokens: Lark's lexer, then what a regular expression cannot do.

`tokens` gives a formula's tokens with meaning: macros named, meaningless ones dropped, every
script folded with its argument into one `Script`. Offsets are those of the whole source, so
spans survive whatever is dropped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from lark import Lark, Token

from gatec import resources
from gatec.errors import Diagnostic, Source
from gatec.parse import tables
from gatec.parse.tokens import (
    ACCENTS,
    CLOSERS,
    COMBINING,
    MACRO_TYPES,
    MAX_DEPTH,
    OPENERS,
)

Macros = dict[str, tuple[int, str]]


class Script(Token):
    """A sub- or superscript with its whole argument."""

    __slots__ = ("above", "content", "grouped")
    above: bool
    content: tuple[Token, ...]
    grouped: bool  # written with braces, parentheses or angles


@cache
def parser() -> Lark:
    grammar = (resources.folder("grammars") / "gate.lark").read_text(encoding="utf-8")
    return tables.load(grammar)


def normalise(text: str) -> str:
    """Letters that differ only in their font become one letter; the length stays the same."""
    if text.isascii():
        return text
    return "".join(char if char.isascii() else _plain(char) for char in text)


_KEEP = frozenset("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾…″‴")


@cache
def _plain(char: str) -> str:
    if char in _KEEP or unicodedata.category(char) == "Lm":
        return char
    flat = unicodedata.normalize("NFKC", char)
    return flat if len(flat) == 1 and not flat.isspace() else char


def make(kind: str, text: str, start: int, end: int) -> Token:
    return Token(kind, text, start_pos=start, end_pos=end)


class Lexer:
    """Lexes the formulas of one source.

    `tex` says that LaTeX's own rules hold: an unbraced script is one character, `~` is a space,
    a new line is no new statement.
    """

    def __init__(self, source: Source, macros: Macros | None = None) -> None:
        self.source = source
        self.macros = macros or {}
        self.diagnostics: list[Diagnostic] = []
        self.depth = 0  # of scripts inside scripts

    def error(self, code: str, message: str, start: int, end: int, hint: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, message, self.source.span(start, end), hint))

    def tokens(self, start: int, end: int, *, tex: bool, hashes: bool = False) -> list[Token]:
        """The tokens of a part of the source; `hashes`: `#` starts a comment there."""
        self.depth = 0
        raw = _lex(self.source.text[start:end], start, tex and not hashes)
        if self.macros:
            raw = self._expand(raw, 0, tex)
        if hashes:
            raw = _join_digits(raw, tex)
        return self._fold(self._name(raw, tex, hashes), tex)

    # --- user macros (\newcommand) ------------------------------------------------------------

    def _expand(self, tokens: list[Token], level: int, tex: bool) -> list[Token]:
        if level > 16:  # a macro that calls itself
            return tokens
        result: list[Token] = []
        position = 0
        changed = False
        while position < len(tokens):
            token = tokens[position]
            position += 1
            definition = self.macros.get(str(token)) if token.type == "MACRO" else None
            if definition is None:
                result.append(token)
                continue
            count, body = definition
            arguments = []
            for _ in range(count):
                while position < len(tokens) and tokens[position].type == "SPACE":
                    position += 1
                stop = _argument_end(tokens, position)
                inner = tokens[position:stop]
                if inner and inner[0].type == "LBRACE":
                    inner = inner[1:-1]
                arguments.append(inner)
                position = stop
            result += _instantiate(body, arguments, token, tex)
            changed = True
        return self._expand(result, level + 1, tex) if changed else result

    # --- names of macros ----------------------------------------------------------------------

    def _name(self, raw: list[Token], tex: bool, gate: bool) -> list[Token]:
        """Macros become what they mean; what has no meaning is dropped.

        `gate`: the text of a .gate file, where `c~` is an accent, also next to LaTeX.
        """
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
                    tokens.append(make("QUAD", text, token.start_pos, token.end_pos))
                continue
            if kind == "SIZING":
                sized = text.startswith(r"\left") or text.endswith("l") and "big" in text.lower()
                continue
            if kind == "MACRO":
                token = self._macro(token)
            elif kind == "TEXT":
                token = _text(token)
            elif kind == "NORM":
                token = make("BAR", "‖", token.start_pos, token.end_pos)
            elif kind == "COMBINING":
                self._combine(tokens, token)
                continue
            elif kind == "TILDE":
                previous = raw[position - 1].type if position else ""
                following = raw[position + 1].type if position + 1 < len(raw) else ""
                if previous in ("NAME", "MACRO", "SUBRUN", "TEXT", "RBRACE") and not (
                    tex and following in ("NAME", "MACRO", "NUMBER")
                ):
                    tokens.append(_accent_after(token, "tilde"))
                continue
            elif kind == "NAME" and not text.isascii():
                tokens += _decompose(token)
                sized = False
                continue
            if token.type == "BAR" and sized:
                token = make("BAR_OPEN", str(token), token.start_pos, token.end_pos)
            sized = False
            tokens.append(token)
        return _join_steps(tokens)

    def _macro(self, token: Token) -> Token:
        name = str(token)[1:]
        kind = "ACCENT" if name in ACCENTS else MACRO_TYPES.get(name)
        text = str(token)
        if kind is None:
            kind = "NAME"
        elif kind == "BAR":
            text = "‖" if "V" in name else "|"
            if name[0] in "lr":
                kind = "BAR_OPEN" if name[0] == "l" else "BAR_CLOSE"
        elif kind == "COMPARE":
            text = {"l": "<", "g": ">"}[name[0]] + ("" if name in ("lt", "gt") else "=")
        elif kind == "ACCENT":
            text = ACCENTS[name]
        return make(kind, text, token.start_pos, token.end_pos)

    def _combine(self, tokens: list[Token], token: Token) -> None:
        for offset, mark in enumerate(str(token)):
            accent = COMBINING.get(mark)
            if accent and tokens and tokens[-1].type in ("NAME", "SCRIPT_ACCENT"):
                place = token.start_pos + offset
                tokens.append(_accent_after(make("", mark, place, place + 1), accent))

    # --- scripts ------------------------------------------------------------------------------

    def _fold(self, tokens: list[Token], tex: bool) -> list[Token]:
        """`_` and `^` take their arguments; unbraced ones one character where `tex`."""
        result: list[Token] = []
        position = 0
        queue = tokens
        while position < len(queue):
            token = queue[position]
            position += 1
            kind = token.type
            if kind == "SCRIPT_ACCENT":
                result.append(_script(token, True, (token,), False, token.end_pos))
            elif kind == "TEXTNAME":
                result.append(Whole("NAME", str(token), token.start_pos, token.end_pos))
            elif kind == "PRIME":
                result.append(_script(token, True, (token,), False, token.end_pos))
            elif kind in ("SUBRUN", "SUPRUN"):
                content = tuple(_translate(token))
                result.append(_script(token, kind == "SUPRUN", content, False, token.end_pos))
            elif kind in ("SUB", "SUP"):
                position = self._script(queue, position, token, result, tex)
            elif kind == "BRACED_OVER":
                _annotated(queue, position, token)
            elif kind in ("FRAC", "SQRT", "ACCENT"):
                result.append(token)
                _split_argument(queue, position, 2 if kind == "FRAC" else 1)
            elif kind == "LBRACE":
                # `{}_t`: an empty group carries a script to what stands before it.
                if position < len(queue) and queue[position].type == "RBRACE":
                    position += 1
                else:
                    result.append(token)
            else:
                result.append(token)
        return result

    def _script(
        self, queue: list[Token], position: int, mark: Token, result: list[Token], tex: bool
    ) -> int:
        while position < len(queue) and queue[position].type in ("NEWLINE", "QUAD"):
            position += 1
        if position >= len(queue):
            self.error(
                "E0104",
                f"nothing stands after '{mark}'",
                mark.start_pos,
                mark.end_pos,
                "write the script after it, as in x_t",
            )
            return position
        token = queue[position]
        above = mark.type == "SUP"
        closer = _SCRIPT_CLOSERS.get(token.type) if token != ">" else None
        if closer:
            stop = _closing(queue, position, token.type, closer, tex)
            if stop is None:
                self.error(
                    "E0101",
                    f"'{token}' is never closed",
                    token.start_pos,
                    token.end_pos,
                    "add the closing bracket",
                )
                result.append(_script(mark, above, (), True, token.end_pos))
                return position + 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                if self.depth == MAX_DEPTH + 1:
                    self.error(
                        "E0501",
                        f"nested more than {MAX_DEPTH} deep",
                        token.start_pos,
                        token.end_pos,
                        "give the inner part a name of its own",
                    )
                content: tuple[Token, ...] = ()
            else:
                content = tuple(self._fold(queue[position + 1 : stop], tex))
            self.depth -= 1
            if token.type in ("LPAR", "LSQB"):
                content = (token, *content, queue[stop])
            result.append(_script(mark, above, content, True, queue[stop].end_pos))
            return stop + 1
        text = str(token)
        if token.type in ("NAME", "NUMBER") and len(text) > 1 and not text.startswith("\\"):
            following = queue[position + 1] if position + 1 < len(queue) else None
            joined = following is not None and following.start_pos == token.end_pos
            if tex or (
                joined
                and following is not None
                and following.type in ("SUB", "SUP")
                and token.type == "NAME"
            ):
                first = make(token.type, text[0], token.start_pos, token.start_pos + 1)
                result.append(_script(mark, above, (first,), False, first.end_pos))
                queue[position] = make(token.type, text[1:], first.end_pos, token.end_pos)
                return position
        if (
            token.type == "SIGN"
            and position + 1 < len(queue)
            and queue[position + 1].type in ("NUMBER",)
        ):
            stop = position + 1
            result.append(_script(mark, above, (token, queue[stop]), False, queue[stop].end_pos))
            return stop + 1
        if token.type == "ACCENT":
            stop = _argument_end(queue, position + 1)
            content = tuple(queue[position:stop])
            result.append(_script(mark, above, content, False, content[-1].end_pos))
            return stop
        if token.type in ("SUB", "SUP", "RBRACE", "EQUALS", "NEWLINE", "ROW", "LBRACE", "RPAR"):
            self.error(
                "E0104",
                f"nothing stands after '{mark}'",
                mark.start_pos,
                mark.end_pos,
                "write the script after it, as in x_t",
            )
            return position
        result.append(_script(mark, above, (token,), False, token.end_pos))
        return position + 1


def _join_digits(raw: list[Token], tex: bool) -> list[Token]:
    """`h1` is a name in plain text (in LaTeX, digits after a letter are a factor of their own)."""
    if tex:
        return raw
    joined: list[Token] = []
    for token in raw:
        before = joined[-1] if joined else None
        if (
            token.type == "NUMBER"
            and token.isdigit()
            and before is not None
            and before.type == "NAME"
            and before.end_pos == token.start_pos
        ):
            joined[-1] = make(
                "NAME", str(before) + token, before.start_pos or 0, token.end_pos or 0
            )
        elif (
            token.type == "NAME"
            and before is not None
            and before.type == "NAME"
            and (before[-1].isdigit() and before.end_pos == token.start_pos)
        ):
            joined[-1] = make(
                "NAME", str(before) + token, before.start_pos or 0, token.end_pos or 0
            )
        else:
            joined.append(token)
    return joined


def _starting_at(token: Token, start: int) -> Token:
    if token.type in ("LBRACE", "NAME", "MACRO", "ACCENT"):
        token.start_pos = start
    return token


def _join_steps(tokens: list[Token]) -> list[Token]:
    """`\\Delta t` is one name: the length of a time step."""
    joined: list[Token] = []
    for token in tokens:
        before = joined[-1] if joined else None
        if (
            token.type == "NAME"
            and str(token) in ("t", "\\tau", "τ")
            and before is not None
            and before.type == "NAME"
            and str(before) in ("\\Delta", "Δ", "∆", "Delta")
        ):
            joined[-1] = Whole(
                "NAME",
                "Delta_" + str(token).lstrip("\\").replace("τ", "tau"),
                before.start_pos or 0,
                token.end_pos or 0,
            )
        else:
            joined.append(token)
    return joined


def _annotated(queue: list[Token], position: int, macro: Token) -> None:
    """Keep what `\\underbrace{…}_{label}` or `\\underset{label}{…}` annotates, drop the label."""
    stop = _argument_end(queue, position)
    if "set" in macro or "rel" in macro:
        del queue[position:stop]
        return
    while stop < len(queue) and queue[stop].type in ("SUB", "SUP"):
        del queue[stop : _argument_end(queue, stop + 1)]


def _split_argument(queue: list[Token], position: int, count: int) -> None:
    """A macro's unbraced argument is one character: `\\frac12`, `\\tilde cx`."""
    for index in range(position, position + count):
        if index >= len(queue):
            return
        token = queue[index]
        text = str(token)
        plain = token.type in ("NAME", "NUMBER") and not isinstance(token, Whole)
        if not plain or len(text) == 1 or text.startswith("\\") or "." in text:
            return
        middle = (token.start_pos or 0) + 1
        queue[index] = make(token.type, text[0], token.start_pos or 0, middle)
        queue.insert(index + 1, make(token.type, text[1:], middle, token.end_pos or 0))


_DROPPED = frozenset(["SPACE", "COMMENT", "FONT", "LABEL", "DELIMITER", "ESCAPED"])
_SCRIPT_CLOSERS = {
    "LBRACE": "RBRACE",
    "OPENANGLE": "CLOSEANGLE",
    "COMPARE": "COMPARE",
    "LPAR": "RPAR",
    "LSQB": "RSQB",
}


def _lex(text: str, base: int, tex: bool) -> list[Token]:
    text = normalise(text)
    if tex:
        # In LaTeX `#` is no comment (and a line break inside a formula is a space).
        text = text.replace("#", " ")
    tokens = list(parser().lex(text, dont_ignore=True))
    for token in tokens:
        token.start_pos = (token.start_pos or 0) + base
        token.end_pos = token.start_pos + len(token)
    return tokens


def _instantiate(body: str, arguments: Sequence[list[Token]], at: Token, tex: bool) -> list[Token]:
    """A macro's body with its arguments, everything but the arguments standing at `at`."""
    result: list[Token] = []
    for index, part in enumerate(body.split("#")):
        if index:
            number = int(part[0]) if part[:1].isdigit() else 0
            if 1 <= number <= len(arguments):
                result += arguments[number - 1]
            part = part[1:]
        for token in _lex(part, 0, tex):
            token.start_pos, token.end_pos = at.start_pos, at.end_pos
            result.append(token)
    return result


def _argument_end(tokens: Sequence[Token], position: int) -> int:
    """The position after the macro argument that starts at `position`."""
    if position < len(tokens) and tokens[position].type == "LBRACE":
        stop = _closing(tokens, position, "LBRACE", "RBRACE", True)
        return len(tokens) if stop is None else stop + 1
    return min(position + 1, len(tokens))


def _closing(
    tokens: Sequence[Token], position: int, opener: str, closer: str, tex: bool
) -> int | None:
    """Where the bracket at `position` closes; None where it does not (in its own statement)."""
    if opener == "COMPARE":  # <t>
        for index in range(position + 1, min(position + 12, len(tokens))):
            if tokens[index] == ">":
                return index
        return None
    depth = 0
    for index in range(position, len(tokens)):
        kind = tokens[index].type
        if kind == opener:
            depth += 1
        elif kind == closer:
            depth -= 1
            if depth == 0:
                return index
        elif kind == "NEWLINE" and not tex:
            return None
    return None


class Whole(Token):
    """A name written as one word (`\\text{gate}`): never a product of letters."""

    __slots__ = ()

    def __new__(cls, kind: str, text: str, start: int | None, end: int | None) -> Whole:
        return super().__new__(cls, kind, text, start_pos=start, end_pos=end)


def _script(
    mark: Token, above: bool, content: tuple[Token, ...], grouped: bool, end: int | None
) -> Script:
    script = Script("SCRIPT", str(mark), start_pos=mark.start_pos, end_pos=end)
    script.above, script.content, script.grouped = above, content, grouped
    return script


def _accent_after(token: Token, accent: str) -> Token:
    return make("SCRIPT_ACCENT", accent, token.start_pos, token.end_pos)


def _decompose(token: Token) -> Iterable[Token]:
    """A precomposed letter is its base letter and an accent."""
    start = token.start_pos or 0
    pending = start
    text = str(token)
    for offset, char in enumerate(text):
        parts = unicodedata.normalize("NFD", char)
        if len(parts) == 2 and parts[1] in COMBINING:
            word = text[pending - start : offset] + parts[0]
            yield make("NAME", word, pending, start + offset + 1)
            yield make("SCRIPT_ACCENT", COMBINING[parts[1]], start + offset, start + offset + 1)
            pending = start + offset + 1
    if pending - start < len(text):
        yield make("NAME", text[pending - start :], pending, start + len(text))


_SUBSCRIPTS = str.maketrans("⁺⁻⁼⁽⁾₊₋₌₍₎⊤", "+-=()+-=()T")


def _translate(token: Token) -> list[Token]:
    """The plain tokens of a run of Unicode sub- or superscript characters."""
    text = "".join(
        unicodedata.normalize("NFKC", char) for char in str(token).translate(_SUBSCRIPTS)
    )
    tokens = []
    for inner in parser().lex(text, dont_ignore=True):
        tokens.append(make(inner.type, str(inner), token.start_pos, token.end_pos))
    return tokens


def _text(token: Token) -> Token:
    text = str(token)
    command, inner = text[1:-1].split("{", 1)
    inner = " ".join(inner.replace("\\_", "_").replace("~", " ").split())
    kind = "WORDS" if command.strip().startswith(("text", "mbox", "hbox")) else "TEXTNAME"
    if kind == "TEXTNAME" or inner.replace("-", "").replace("_", "").isalnum():
        kind = "TEXTNAME"
    return make(kind, inner, token.start_pos, token.end_pos)


def check_brackets(tokens: Sequence[Token], lexer: Lexer) -> bool:
    """Whether every bracket is closed by its own kind and none nests too deep."""
    stack: list[Token] = []
    signs = prefixes = 0
    for token in tokens:
        kind = token.type
        signs = signs + 1 if kind == "SIGN" else 0
        prefixes = prefixes + 1 if kind in ("ACCENT", "SQRT", "FRAC") else 0
        if kind in CLOSERS or kind in ("BEGIN_MATRIX", "BEGIN_CASES", "BAR_OPEN"):
            stack.append(token)
        elif kind in OPENERS or kind in ("END_MATRIX", "END_CASES", "BAR_CLOSE"):
            if not stack:
                lexer.error(
                    "E0102",
                    f"'{token}' closes nothing",
                    token.start_pos,
                    token.end_pos,
                    "remove it, or add the opening bracket",
                )
                return False
            opener = stack.pop()
            if not _fits(opener.type, kind):
                lexer.error(
                    "E0102",
                    f"'{token}' does not close '{opener}'",
                    token.start_pos,
                    token.end_pos,
                    "use brackets of one kind",
                )
                return False
        if max(len(stack), signs, prefixes) > MAX_DEPTH:
            lexer.error(
                "E0501",
                f"nested more than {MAX_DEPTH} deep",
                token.start_pos,
                token.end_pos,
                "give the inner part a name with an equation of its own",
            )
            return False
    if stack:
        opener = stack[-1]
        lexer.error(
            "E0101",
            f"'{opener}' is never closed",
            opener.start_pos,
            opener.end_pos,
            "add the closing bracket",
        )
        return False
    return True


def _fits(opener: str, closer: str) -> bool:
    if opener.startswith(("BEGIN", "BAR")) or closer.startswith(("END", "BAR")):
        return closer == opener.replace("BEGIN", "END").replace("OPEN", "CLOSE")
    return CLOSERS[opener] == closer


def bars(tokens: Sequence[Token]) -> list[Token]:
    """Tell opening bars from closing ones: one closes where a bar is open and a value ended."""
    result: list[Token] = []
    stack: list[str] = []
    for token in tokens:
        kind = token.type
        if kind == "BAR":
            ended = bool(result) and result[-1].type in _VALUE_ENDS
            closes = bool(stack) and stack[-1] == str(token) and ended
            kind = "BAR_CLOSE" if closes else "BAR_OPEN"
            token = make(kind, str(token), token.start_pos, token.end_pos)
        if kind == "BAR_OPEN":
            stack.append(str(token))
        elif kind == "BAR_CLOSE" and stack:
            stack.pop()
        result.append(token)
    return result


_VALUE_ENDS = frozenset(
    ["NAME", "NUMBER", "SCRIPT", "RPAR", "RSQB", "RSET", "RBRACE", "BAR_CLOSE", "TEXTNAME",
     "END_MATRIX", "END_CASES"]
)  # fmt: skip


def describe(token: Any) -> str:
    text = " ".join(str(token).split())
    return f"'{text[:40]}'" if text else "the end of the equation"

"""Brackets and bars: which opens and which closes, and whether each is closed by its own kind."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from gatec.errors import Diagnostic, Source
from gatec.parse.tokens import retyped
from gatec.parse.vocabulary import CLOSERS, MAX_DEPTH, OPENERS

_PREFIXES = frozenset(["ACCENT", "SQRT", "FRAC"])
_STARTS = frozenset([*CLOSERS, "BEGIN_MATRIX", "BEGIN_CASES", "BAR_OPEN"])
_ENDS = frozenset([*OPENERS, "END_MATRIX", "END_CASES", "BAR_CLOSE"])


def wrong(tokens: Sequence[Token], source: Source) -> Diagnostic | None:
    """What is wrong with the brackets of a statement, if anything is."""

    def error(code: str, message: str, token: Token, hint: str) -> Diagnostic:
        return Diagnostic(
            code, message, source.span(token.start_pos or 0, token.end_pos or 0), hint
        )

    stack: list[Token] = []
    signs = prefixes = 0
    for token in tokens:
        kind = token.type
        signs = signs + 1 if kind == "SIGN" else 0
        prefixes = prefixes + 1 if kind in _PREFIXES else 0
        if kind in _STARTS:
            stack.append(token)
        elif kind in _ENDS:
            if not stack:
                return error("E0102", f"'{token}' closes nothing", token,
                             "remove it, or add the opening bracket")  # fmt: skip
            opener = stack.pop()
            if not _fits(opener.type, kind):
                return error("E0102", f"'{token}' does not close '{opener}'", token,
                             "use brackets of one kind")  # fmt: skip
        if max(len(stack), signs, prefixes) > MAX_DEPTH:
            return error("E0501", f"nested more than {MAX_DEPTH} deep", token,
                         "give the inner part a name with an equation of its own")  # fmt: skip
    if stack:
        return error("E0101", f"'{stack[-1]}' is never closed", stack[-1],
                     "add the closing bracket")  # fmt: skip
    return None


def _fits(opener: str, closer: str) -> bool:
    if opener.startswith(("BEGIN", "BAR")) or closer.startswith(("END", "BAR")):
        return closer == opener.replace("BEGIN", "END").replace("OPEN", "CLOSE")
    return CLOSERS[opener] == closer


def bars(tokens: Sequence[Token]) -> list[Token]:
    """Tell opening bars from closing ones: one closes where a bar is open and a value ended.

    In `[a \\Vert b]` the bar is neither: it joins, as a comma does.
    """
    joining = _joining(tokens)
    result: list[Token] = []
    stack: list[str] = []
    for index, token in enumerate(tokens):
        kind = token.type
        if index in joining:
            token = retyped(token, "COMMA", ",")
        elif kind == "BAR":
            ended = bool(result) and result[-1].type in _VALUE_ENDS
            closes = bool(stack) and stack[-1] == str(token) and ended
            kind = "BAR_CLOSE" if closes else "BAR_OPEN"
            token = retyped(token, kind)
        if kind == "BAR_OPEN":
            stack.append(str(token))
        elif kind == "BAR_CLOSE" and stack:
            stack.pop()
        result.append(token)
    return result


def _joining(tokens: Sequence[Token]) -> set[int]:
    """The places of double bars between the items of a bracket: one alone, or several in [ ]."""
    found: set[int] = set()
    levels: list[tuple[str, list[int]]] = [("", [])]
    opened = 0  # by `\left` or `\lVert`: the next bar closes it
    for index, token in enumerate(tokens):
        kind = token.type
        if kind in CLOSERS:
            levels.append((kind, []))
        elif kind in OPENERS and len(levels) > 1:
            opener, places = levels.pop()
            odd = len(places) % 2 == 1
            if (
                places
                and (odd or opener == "LSQB")
                and all(tokens[place - 1].type in _VALUE_ENDS for place in places)
            ):
                found.update(places)
        elif kind == "BAR_OPEN" and token == "‖":
            opened += 1
        elif kind in ("BAR", "BAR_CLOSE") and token == "‖":
            if opened:
                opened -= 1
            else:
                levels[-1][1].append(index)
    return found


_VALUE_ENDS = frozenset(
    ["NAME", "NUMBER", "SCRIPT", "RPAR", "RSQB", "RSET", "RBRACE", "BAR_CLOSE", "TEXTNAME",
     "END_MATRIX", "END_CASES"]
)  # fmt: skip

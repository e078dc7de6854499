"""Cut a formula's tokens into statements: one equation or declaration each.

In a `.gate` text a new line ends a statement; in LaTeX `\\\\` does, and so does a comma before
another equation. Environments that only align equations vanish; matrices and cases stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lark import Token

from gatec.errors import Source, Span
from gatec.parse import environments, idioms
from gatec.parse.clauses import clauses_of
from gatec.parse.tokens import Failure, Whole, make, retyped
from gatec.parse.vocabulary import (
    CLOSERS,
    KEYWORDS,
    OPENERS,
    OPERATORS,
)


@dataclass(frozen=True)
class Statement:
    """The tokens of one statement.

    `rank` is set where it is a name alone, of which the text says in what space it lives.
    """

    tokens: tuple[Token, ...]
    span: Span
    tex: bool
    rank: int | None = None

    @property
    def is_declaration(self) -> bool:
        return self.tokens[0].type.startswith("KEY_")

    @property
    def has_equals(self) -> bool:
        return any(token.type == "EQUALS" for token in self.tokens)


def split(tokens: list[Token], source: Source, failure: Failure, *, tex: bool) -> list[Statement]:
    """The statements of a formula's tokens."""
    tokens = environments.resolve(idioms.ungrouped(tokens), failure)
    statements = []
    for line in _Lines(tokens, tex).run():
        if _declares(line, tex):
            statements += _finish(line, source, tex)
            continue
        clauses, members = clauses_of(line, tex)
        for clause in clauses:
            statements += _finish(clause, source, tex)
        for member, rank in members:
            statements += [replace(s, rank=rank) for s in _finish(member, source, tex)]
    return statements


# --- lines ----------------------------------------------------------------------------------------

_CONTINUES = OPERATORS - {"COMPARE"}
_LEFT_SIDE = frozenset(
    ["NAME", "SCRIPT", "ACCENT", "LBRACE", "RBRACE", "LPAR", "RPAR", "NUMBER", "SIGN", "AMP"]
)

_STARTS = frozenset(["NAME", "ACCENT", "LBRACE"])


class _Lines:
    """Cuts tokens where a statement ends: at a new line or at `\\\\`, unless it goes on."""

    def __init__(self, tokens: Sequence[Token], tex: bool) -> None:
        self.tokens, self.tex = tokens, tex
        self.next = _next_meaningful(tokens)
        self._equations: dict[int, bool] = {}
        self.lines: list[list[Token]] = []
        self._end()

    def _end(self) -> None:
        self.lines.append([])
        self.depth = 0
        self.opened = False  # the line has its `=`

    def run(self) -> list[list[Token]]:
        environment = 0
        for index, token in enumerate(self.tokens):
            kind = token.type
            if kind in CLOSERS:
                self.depth += 1
            elif kind in OPENERS:
                self.depth = max(0, self.depth - 1)
            elif kind in ("BEGIN_MATRIX", "BEGIN_CASES"):
                environment += 1
            elif kind in ("END_MATRIX", "END_CASES"):
                environment = max(0, environment - 1)
            if kind == "NEWLINE":
                if not self.tex and not environment and self._ends_at_newline(index):
                    self._end()
            elif kind == "ROW" and not environment:
                if self._ends_at_row(index, explicit=bool(token)):
                    self._end()
            elif kind == "AMP" and not environment:
                if self._is_column(index):
                    self.lines[-1].append(retyped(token, "QUAD", ""))
            else:
                self.lines[-1].append(token)
                self.opened = self.opened or kind == "EQUALS"
        return [line for line in self.lines if line]

    def _ends_at_newline(self, index: int) -> bool:
        start = self.next[index + 1]
        following = self.tokens[start].type if start < len(self.tokens) else ""
        last = self.lines[-1][-1].type if self.lines[-1] else ""
        if self._starts_declaration(start):
            return True
        fresh = self._starts_equation(start)
        if fresh and self.opened:
            return True
        if (self.depth and not fresh) or last in _CONTINUES or (last == "COMMA" and not fresh):
            return False
        if "END_MATRIX" in (following, last) or following == "BEGIN_MATRIX":
            return False
        if self.opened and self._holds_matrix(index + 1):
            return False
        return self.depth > 0 or following not in _CONTINUES

    def _ends_at_row(self, index: int, *, explicit: bool) -> bool:
        """At `\\\\` (explicit) or at the border of an environment."""
        if explicit and self.depth:
            return False
        if self.lines[-1] and self.lines[-1][-1].type in _CONTINUES:
            return False
        start = self.next[index + 1]
        following = self.tokens[start].type if start < len(self.tokens) else ""
        return not explicit or following not in _CONTINUES

    def _is_column(self, index: int) -> bool:
        """Whether the `&` here stands between two equations: a &= b & c &= d."""
        start = self.next[index + 1]
        return self.opened and self.depth == 0 and self._starts_equation(start)

    def _starts_declaration(self, start: int) -> bool:
        """Whether the line that starts here is a declaration."""
        line = [token for token in self.tokens[start : start + 3] if token.type != "QUAD"]
        if len(line) > 1 and line[1].type == "NEWLINE":
            line = line[:1]
        return bool(line) and _declares(line, tex=False)

    def _holds_matrix(self, index: int) -> bool:
        """Whether a matrix opens on the line that starts here, and no `=` stands there."""
        found = False
        while index < len(self.tokens):
            kind = self.tokens[index].type
            if kind == "BEGIN_MATRIX":
                found = True
            elif kind == "EQUALS":
                return False
            elif kind in ("NEWLINE", "ROW"):
                break
            index += 1
        return found

    def _starts_equation(self, start: int) -> bool:
        """Whether the line that starts here is an equation of its own: a name, then `=`.

        It tells a bracket that was forgotten on one line from one that spans lines.
        """
        known = self._equations.get(start)
        if known is None:
            known = self._equations[start] = self._is_equation(start)
        return known

    def _is_equation(self, start: int) -> bool:
        index = self._after_stack(start)
        if index == start:
            if start >= len(self.tokens) or self.tokens[start].type not in _STARTS:
                return False
            index = start + 1
        while index < len(self.tokens) and self.tokens[index].type in _LEFT_SIDE:
            index += 1
        return index < len(self.tokens) and self.tokens[index].type == "EQUALS"

    def _after_stack(self, start: int) -> int:
        """The position after a column of names that a line starts with, if it does."""
        index = start
        while index < len(self.tokens) and self.tokens[index].type in ("LPAR", "LSQB", "LSET"):
            index += 1
        if index >= len(self.tokens) or self.tokens[index].type != "BEGIN_MATRIX":
            return start
        while index < len(self.tokens) and self.tokens[index].type != "END_MATRIX":
            index += 1
        index += 1
        while index < len(self.tokens) and self.tokens[index].type in ("RPAR", "RSQB", "RSET"):
            index += 1
        return index


def _next_meaningful(tokens: Sequence[Token]) -> list[int]:
    """For each position, the next one at which something stands that means something."""
    found = [len(tokens)] * (len(tokens) + 1)
    for index in range(len(tokens) - 1, -1, -1):
        empty = tokens[index].type in ("NEWLINE", "QUAD", "AMP")
        found[index] = found[index + 1] if empty else index
    return found


def _declares(line: Sequence[Token], tex: bool) -> bool:
    if tex or line[0].type != "NAME" or str(line[0]).lower() not in KEYWORDS or len(line) < 2:
        return False
    # `input = …` or `cell_t = …` is an equation.
    return line[1].type not in ("EQUALS", "SCRIPT", *OPERATORS)


# --- statements -----------------------------------------------------------------------------------


def _finish(tokens: Sequence[Token], source: Source, tex: bool) -> list[Statement]:
    """The statement of some tokens, if any of them means something."""
    tokens = list(tokens)
    while tokens and tokens[-1].type in ("PERIOD", "COMMA", "SEMICOLON", "QUAD"):
        tokens.pop()
    if not tokens:
        return []
    if [token.type for token in tokens[:3]] == ["LPAR", "NUMBER", "RPAR"] and len(tokens) > 3:
        tokens = tokens[3:] if tokens[3].type in ("NAME", "ACCENT") else tokens  # (1) h_t = …
    tokens = _declaration(tokens) if _declares(tokens, tex) else _conditions(tokens)
    span = source.span(tokens[0].start_pos or 0, max(token.end_pos or 0 for token in tokens))
    return [Statement(tuple(tokens), span, tex)]


def _declaration(tokens: list[Token]) -> list[Token]:
    first = tokens[0]
    kind = KEYWORDS[str(first).lower()]
    result = [make(kind, str(first), first.start_pos, first.end_pos)]
    shaped = False
    for index, token in enumerate(tokens[1:], 1):
        last = index == len(tokens) - 1
        if token.type == "COLON":
            shaped = True
        elif shaped and (token == "x" or token.type in ("DOT", "TIMES")):
            token = retyped(token, "BY")
        elif kind == "KEY_STATE" and last and token == "learned":
            token = retyped(token, "LEARNED")
        if token.type not in ("QUAD", "NEWLINE"):
            result.append(token)
    return result


def _conditions(tokens: list[Token]) -> list[Token]:
    """Inside cases, words are conditions' grammar and `=` compares."""
    result: list[Token] = []
    depth = 0
    for token, following in itertools.zip_longest(tokens, tokens[1:]):
        kind, word = token.type, str(token).lower().strip(" ,.")
        if kind == "BEGIN_CASES":
            depth += 1
        elif kind == "END_CASES":
            depth -= 1
        if depth and (kind == "WORDS" or isinstance(token, Whole) or kind == "NAME"):
            if word in ("otherwise", "else", "elsewhere"):
                token = retyped(token, "OTHERWISE", word)
            elif word in ("and",):
                token = retyped(token, "AND", word)
            elif kind == "WORDS" or word in ("if", "when", "for", "where"):
                continue
        elif depth and kind == "EQUALS":
            token = retyped(token, "COMPARE", "==")
        elif kind == "WORDS" or (depth and _ends_case(token, following)):
            continue
        result.append(token)
    return result


def _ends_case(token: Token, following: Token | None) -> bool:
    """Whether a token is the punctuation at the end of a case."""
    punctuation = token.type in ("COMMA", "SEMICOLON", "PERIOD")
    return punctuation and following is not None and following.type in ("ROW", "END_CASES")

"""Cut a formula's tokens into statements: one equation or declaration each.

In a `.gate` text a new line ends a statement; in LaTeX `\\\\` does, and so does a comma before
another equation. Environments that only align equations vanish; matrices and cases stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lark import Token

from gatec.errors import Source, Span
from gatec.parse.lexer import Lexer, Whole, make
from gatec.parse.tokens import (
    CASES_ENVIRONMENTS,
    CLOSERS,
    KEYWORDS,
    MATRIX_ENVIRONMENTS,
    OPENERS,
    OPERATORS,
)


@dataclass(frozen=True)
class Statement:
    """The tokens of one statement. `label` marks text that only annotates (dropped)."""

    tokens: tuple[Token, ...]
    span: Span
    tex: bool

    @property
    def is_declaration(self) -> bool:
        return self.tokens[0].type.startswith("KEY_")

    @property
    def has_equals(self) -> bool:
        return any(token.type == "EQUALS" for token in self.tokens)


def split(tokens: list[Token], lexer: Lexer, source: Source, *, tex: bool) -> list[Statement]:
    tokens = _environments(tokens, lexer)
    statements = []
    for line in _lines(tokens, tex):
        for part in [line] if _declares(line, tex) else _clauses(line, tex):
            made = _finish(part, source, tex)
            if made is not None:
                statements.append(made)
    return statements


# --- environments ---------------------------------------------------------------------------------


def _environments(tokens: list[Token], lexer: Lexer) -> list[Token]:
    """Matrices and cases become brackets; every other environment is a way to align equations."""
    kinds = _classify(tokens, lexer)
    result: list[Token] = []
    for index, token in enumerate(tokens):
        if token.type == "BEGIN":
            kind = kinds.get(index)
            if kind is None:
                # \left\{ \begin{aligned} … : the brace only gathers.
                if result and result[-1].type in ("LSET", "LBRACE"):
                    result.pop()
                    _drop_closer(tokens, index)
                result.append(make("ROW", "", token.start_pos, token.end_pos))
            else:
                result.append(make(f"BEGIN_{kind}", str(token), token.start_pos, token.end_pos))
        elif token.type == "END":
            kind = kinds.get(index)
            name = "ROW" if kind is None else f"END_{kind}"
            result.append(make(name, str(token) if kind else "", token.start_pos, token.end_pos))
        else:
            result.append(token)
    return result


def _environment_name(token: Token) -> str:
    return str(token).split("{", 1)[1].split("}", 1)[0].strip().rstrip("*")


def _classify(tokens: Sequence[Token], lexer: Lexer) -> dict[int, str | None]:
    """MATRIX, CASES or None (transparent) for the position of each BEGIN and END."""
    kinds: dict[int, str | None] = {}
    # (position, name, has `=` in a row, an equation was open before it)
    stack: list[list[object]] = []
    equals_before = False
    depth = 0
    for index, token in enumerate(tokens):
        kind = token.type
        if kind == "BEGIN":
            stack.append([index, _environment_name(token), False, equals_before, depth])
        elif kind == "END" and stack:
            position, name, has_equals, opened, _ = stack.pop()
            assert isinstance(position, int)
            meaning = None
            if name in MATRIX_ENVIRONMENTS and not has_equals:
                meaning = "MATRIX"
            elif name in CASES_ENVIRONMENTS and (opened or not has_equals):
                meaning = "CASES"
            kinds[position] = kinds[index] = meaning
        elif kind == "EQUALS":
            if stack and stack[-1][4] == depth:
                stack[-1][2] = True
            equals_before = True
        elif kind in CLOSERS:
            depth += 1
        elif kind in OPENERS:
            depth -= 1
        elif kind in ("ROW", "NEWLINE") and not stack:
            equals_before = False
    for entry in stack:
        position = entry[0]
        assert isinstance(position, int)
        if entry[1] in MATRIX_ENVIRONMENTS | CASES_ENVIRONMENTS and entry[3]:
            token = tokens[position]
            lexer.error(
                "E0101",
                f"'{token}' is never closed",
                token.start_pos,
                token.end_pos,
                "add the \\end of the environment",
            )
    return kinds


def _drop_closer(tokens: list[Token], begin: int) -> None:
    """Remove the brace that closes after the environment at `begin`, where there is one."""
    depth = 0
    for index in range(begin, len(tokens)):
        if tokens[index].type == "BEGIN":
            depth += 1
        elif tokens[index].type == "END":
            depth -= 1
            if depth == 0:
                following = index + 1
                if following < len(tokens) and tokens[following].type in ("RSET", "RBRACE"):
                    place = tokens[following]
                    tokens[following] = make("QUAD", "", place.start_pos, place.end_pos)
                return


# --- lines ----------------------------------------------------------------------------------------

_CONTINUES = OPERATORS - {"COMPARE"}


def _lines(tokens: Sequence[Token], tex: bool) -> list[list[Token]]:
    lines: list[list[Token]] = [[]]
    depth = environment = 0
    for index, token in enumerate(tokens):
        kind = token.type
        if kind in CLOSERS:
            depth += 1
        elif kind in OPENERS:
            depth = max(0, depth - 1)
        elif kind in ("BEGIN_MATRIX", "BEGIN_CASES"):
            environment += 1
        elif kind in ("END_MATRIX", "END_CASES"):
            environment = max(0, environment - 1)
        if kind == "NEWLINE":
            if tex or environment:
                continue
            following = _next(tokens, index)
            if _starts_declaration(tokens, index + 1):
                lines.append([])
                depth = 0
                continue
            if depth and not _starts_equation(tokens, index + 1):
                continue
            if "END_MATRIX" in (following, lines[-1][-1].type if lines[-1] else "") or (
                following == "BEGIN_MATRIX" and not _starts_equation(tokens, index + 1)
            ):
                continue
            if _holds_matrix(tokens, index + 1) and any(t.type == "EQUALS" for t in lines[-1]):
                continue
            if lines[-1] and (
                lines[-1][-1].type in _CONTINUES
                or lines[-1][-1].type == "COMMA"
                and not _starts_equation(tokens, index + 1)
            ):
                continue
            if following in _CONTINUES and not depth:
                continue
            lines.append([])
            depth = 0
            continue
        if kind == "ROW" and not environment:
            if str(token) and depth:
                continue
            if lines[-1] and lines[-1][-1].type in _CONTINUES:
                continue
            if str(token) and _next(tokens, index) in _CONTINUES:
                continue
            lines.append([])
            depth = 0
            continue
        if kind == "AMP" and not environment:
            continue
        lines[-1].append(token)
    return [line for line in lines if line]


def _next(tokens: Sequence[Token], index: int) -> str:
    """The type of the next token that means something."""
    for token in tokens[index + 1 :]:
        if token.type not in ("NEWLINE", "QUAD", "AMP"):
            return token.type
    return ""


def _starts_declaration(tokens: Sequence[Token], index: int) -> bool:
    """Whether the line that starts here is a declaration."""
    line = []
    for token in tokens[index:]:
        if token.type == "NEWLINE":
            if line:
                break
        elif token.type != "QUAD":
            line.append(token)
        if len(line) > 1:
            break
    return bool(line) and _declares(line, tex=False)


def _holds_matrix(tokens: Sequence[Token], index: int) -> bool:
    """Whether a matrix opens on the line that starts here, and no `=` stands there."""
    found = False
    for token in tokens[index:]:
        if token.type == "BEGIN_MATRIX":
            found = True
        elif token.type == "EQUALS":
            return False
        elif token.type in ("NEWLINE", "ROW"):
            break
    return found


def _starts_equation(tokens: Sequence[Token], index: int) -> bool:
    """Whether the line that starts here is an equation of its own: a name, then `=`.

    It tells a bracket that was forgotten on one line from one that spans lines.
    """
    seen = False
    for token in tokens[index:]:
        kind = token.type
        if kind == "NEWLINE":
            if seen:
                return False
            continue
        if kind == "EQUALS":
            return seen
        if kind not in (
            "NAME",
            "SCRIPT",
            "ACCENT",
            "LBRACE",
            "RBRACE",
            "LPAR",
            "RPAR",
            "NUMBER",
            "SIGN",
        ):
            return False
        if not seen and kind not in ("NAME", "ACCENT"):
            return False
        seen = True
    return False


def _declares(line: Sequence[Token], tex: bool) -> bool:
    if tex or line[0].type != "NAME" or str(line[0]).lower() not in KEYWORDS or len(line) < 2:
        return False
    # `input = …` or `cell_t = …` is an equation.
    return line[1].type not in ("EQUALS", "SCRIPT", *OPERATORS)


# --- clauses --------------------------------------------------------------------------------------

_SEPARATORS = frozenset(["COMMA", "SEMICOLON", "PERIOD", "QUAD", "WORDS", "COLON", "DOTS"])
_JOINING_WORDS = frozenset(
    ["and", "where", "with", "or", "for", "if", "so", "then", "thus", "hence"]
)


def _clauses(line: Sequence[Token], tex: bool) -> list[list[Token]]:
    """Several equations on one line, and the annotations between them."""
    pieces: list[tuple[str, list[Token]]] = [("", [])]
    depth = 0
    for token in line:
        kind = token.type
        if kind in CLOSERS or kind.startswith("BEGIN_"):
            depth += 1
        elif kind in OPENERS or kind.startswith("END_"):
            depth -= 1
        joins = kind == "NAME" and isinstance(token, Whole) and str(token).lower() in _JOINING_WORDS
        if depth <= 0 and (kind in _SEPARATORS or joins):
            if pieces[-1][1] or kind != "QUAD":
                pieces.append(("WORDS" if joins else kind, []))
            continue
        if kind != "QUAD":
            pieces[-1][1].append(token)
    clauses: list[list[Token]] = []
    for separator, piece in pieces:
        if not piece:
            continue
        opened = bool(clauses) and any(token.type == "EQUALS" for token in clauses[-1])
        if any(token.type == "EQUALS" for token in piece):
            # `a =\quad b`: the piece before is the left side of this one.
            if clauses and not opened and separator in ("QUAD", ""):
                clauses[-1] += piece
            elif clauses and clauses[-1][-1].type == "EQUALS":
                clauses[-1] += piece
            else:
                clauses.append(piece)
        elif clauses and (
            clauses[-1][-1].type in OPERATORS
            or (separator == "QUAD" and not _is_number(piece) and piece[0].type in OPERATORS)
            or (separator == "QUAD" and not opened)
        ):
            clauses[-1] += piece
        elif not clauses:
            clauses.append(piece)
        elif not tex and separator != "QUAD":
            # Plain text has no annotations: let the parser say what is wrong here.
            place = piece[0]
            clauses[-1] += [make("COMMA", ",", place.start_pos, place.start_pos), *piece]
        elif separator == "QUAD" and not tex and not _is_number(piece):
            clauses[-1] += piece
    return clauses


def _is_number(piece: Sequence[Token]) -> bool:
    """An equation number, `(3)` or `(2.1a)`."""
    return (
        len(piece) <= 6
        and piece[0].type == "LPAR"
        and piece[-1].type == "RPAR"
        and any(token.type == "NUMBER" for token in piece)
    )


def _finish(tokens: Sequence[Token], source: Source, tex: bool) -> Statement | None:
    if not tokens:
        return None
    tokens = list(tokens)
    while tokens and tokens[-1].type in ("PERIOD", "COMMA", "SEMICOLON", "QUAD"):
        tokens.pop()
    if not tokens:
        return None
    if _declares(tokens, tex):
        tokens = _declaration(tokens)
    else:
        tokens = _conditions(tokens)
    span = source.span(tokens[0].start_pos or 0, max(token.end_pos or 0 for token in tokens))
    return Statement(tuple(tokens), span, tex)


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
            token = make("BY", str(token), token.start_pos, token.end_pos)
        elif kind == "KEY_STATE" and last and token == "learned":
            token = make("LEARNED", str(token), token.start_pos, token.end_pos)
        if token.type not in ("QUAD", "NEWLINE"):
            result.append(token)
    return result


def _conditions(tokens: list[Token]) -> list[Token]:
    """Inside cases, words are conditions' grammar and `=` compares."""
    result: list[Token] = []
    depth = 0
    for token in tokens:
        kind, word = token.type, str(token).lower().strip(" ,.")
        if kind == "BEGIN_CASES":
            depth += 1
        elif kind == "END_CASES":
            depth -= 1
        if depth and (kind == "WORDS" or isinstance(token, Whole) or kind == "NAME"):
            if word in ("otherwise", "else", "elsewhere"):
                token = make("OTHERWISE", word, token.start_pos, token.end_pos)
            elif word in ("and",):
                token = make("AND", word, token.start_pos, token.end_pos)
            elif kind == "WORDS" or word in ("if", "when", "for", "where"):
                continue
        elif depth and kind == "EQUALS":
            token = make("COMPARE", "==", token.start_pos, token.end_pos)
        elif kind == "WORDS":
            continue
        result.append(token)
    return result

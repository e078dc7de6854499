"""Several equations on one line, and what stands between them: annotations, names, spaces."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from gatec.parse import spaces
from gatec.parse.tokens import Whole, retyped
from gatec.parse.vocabulary import CLOSERS, OPENERS, OPERATORS

_SEPARATORS = frozenset(["COMMA", "SEMICOLON", "PERIOD", "QUAD", "WORDS", "COLON", "DOTS"])
_JOINING_WORDS = frozenset(
    ["and", "where", "with", "or", "for", "if", "so", "then", "thus", "hence"]
)


_NAMED = ("NAME", "ACCENT", "LBRACE")
_Piece = tuple[str, Token | None, list[Token]]  # what separates it, the separator itself, the rest


def clauses_of(
    line: Sequence[Token], tex: bool
) -> tuple[list[list[Token]], list[tuple[list[Token], int]]]:
    """The equations of a line without the annotations between them.

    And the names that it says the space of, each with its rank.
    """
    pieces: list[_Piece] = [("", None, [])]
    depth = 0
    for token in line:
        kind = token.type
        if kind in CLOSERS or kind.startswith("BEGIN_"):
            depth += 1
        elif kind in OPENERS or kind.startswith("END_"):
            depth -= 1
        joins = kind == "NAME" and isinstance(token, Whole) and str(token).lower() in _JOINING_WORDS
        member = kind == "UNKNOWN" and spaces.is_membership(token)
        if depth <= 0 and (kind in _SEPARATORS or joins or member):
            if pieces[-1][2] or kind != "QUAD":
                pieces.append(("IN" if member else "WORDS" if joins else kind, token, []))
            continue
        if kind != "QUAD":
            pieces[-1][2].append(token)
    clauses: list[list[Token]] = []
    pieces = _unpacked(pieces)
    ranks = _members(pieces)
    members = [(piece, ranks[i]) for i, (_, _, piece) in enumerate(pieces) if i in ranks]
    opened = False  # the last clause has its `=`
    for number, (separator, mark, piece) in enumerate(pieces):
        if not piece or separator == "IN" or number in ranks:
            continue
        equation = _is_equation(piece)
        if not clauses:
            clauses.append(piece)
        elif equation and not (
            # `a =\\quad b`: the piece before is the left side of this one.
            (not opened and separator in ("QUAD", "")) or clauses[-1][-1].type == "EQUALS"
        ):
            clauses.append(piece)
            opened = False
        elif equation or _goes_on(clauses[-1], piece, separator, opened):
            clauses[-1] += piece
        elif tex or _is_number(piece):
            continue  # an annotation
        elif separator != "QUAD":
            # Plain text has no annotations: let the parser say what is wrong here.
            clauses[-1] += [retyped(mark or piece[0], "COMMA"), *piece]
        else:
            clauses[-1] += piece
        opened = opened or equation
    return clauses, members


def _unpacked(pieces: list[_Piece]) -> list[_Piece]:
    """`k, v = W_k x, W_v x`: an equation for each name, where there are as many values."""
    for middle, (_, _, piece) in enumerate(pieces):
        if not _is_equation(piece) or _counts(piece):
            continue
        first = middle
        while first > 0 and pieces[first][0] == "COMMA" and _is_name(pieces[first - 1][2]):
            first -= 1
        count = middle - first
        values = pieces[middle + 1 : middle + 1 + count]
        following = pieces[middle + 1 + count : middle + 2 + count]
        if (
            not count
            or len(values) < count
            or any(
                separator != "COMMA" or not value or _is_equation(value)
                for separator, _, value in values
            )
            or (following and following[0][0] == "COMMA" and not _is_equation(following[0][2]))
        ):
            continue
        place = next(i for i, token in enumerate(piece) if token.type == "EQUALS")
        names = [pieces[i][2] for i in range(first, middle)] + [piece[:place]]
        right = [piece[place + 1 :], *(value for _, _, value in values)]
        made: list[_Piece] = [
            ("COMMA", None, [*name, retyped(piece[place], "EQUALS"), *value])
            for name, value in zip(names, right, strict=True)
        ]
        return [*pieces[:first], *made, *_unpacked(pieces[middle + 1 + count :])]
    return pieces


def _counts(piece: Sequence[Token]) -> bool:
    """`t = 1` in x_t, t = 1, 2: the index, no name of a value."""
    return [token.type for token in piece] == ["NAME", "EQUALS", "NUMBER"]


def _is_equation(piece: Sequence[Token]) -> bool:
    return any(token.type == "EQUALS" for token in piece)


def _is_name(piece: Sequence[Token]) -> bool:
    kinds = {token.type for token in piece}
    return bool(piece) and piece[0].type in _NAMED and kinds <= {*_NAMED, "SCRIPT", "RBRACE"}


def _members(pieces: Sequence[_Piece]) -> dict[int, int]:
    """The pieces that are names of which the line says the space, `a, b \\in …`: their ranks."""
    found: dict[int, int] = {}
    for number, (separator, _, space) in enumerate(pieces):
        place = number - 1 if separator == "IN" else -1
        while place >= 0 and place not in found and pieces[place][0] != "IN":
            name = pieces[place][2]
            if (name and name[0].type not in _NAMED) or _is_equation(name):
                break
            if name:
                found[place] = spaces.rank(space)
            place -= 1
    return found


def _goes_on(clause: Sequence[Token], piece: Sequence[Token], separator: str, opened: bool) -> bool:
    """Whether a piece without `=` belongs to the clause before it."""
    if clause[-1].type in OPERATORS:
        return True
    if separator != "QUAD":
        return False
    return not opened or (not _is_number(piece) and piece[0].type in OPERATORS)


def _is_number(piece: Sequence[Token]) -> bool:
    """An equation number, `(3)` or `(2.1a)`."""
    return (
        len(piece) <= 6
        and piece[0].type == "LPAR"
        and piece[-1].type == "RPAR"
        and any(token.type == "NUMBER" for token in piece)
    )

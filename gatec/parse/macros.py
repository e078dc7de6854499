"""The commands that a LaTeX text defines for itself (`\\newcommand`), put in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lark import Token

from gatec.parse.tokens import Failure, plain_tokens

Macros = dict[str, tuple[int, str]]  # name -> number of arguments, body

_LEVELS = 16  # of macros in macros
_MAX_TOKENS = 50_000  # a macro that doubles at each level says "billion laughs"


def expand(tokens: list[Token], macros: Macros, failure: Failure) -> list[Token]:
    """The tokens with every use of a macro replaced by its body."""
    bodies = {name: _body(body) for name, (_, body) in macros.items()}
    for _ in range(_LEVELS):
        result = _once(tokens, macros, bodies)
        if result is None:
            return tokens
        if len(result) > _MAX_TOKENS:
            failure("E0505", "the macros of this text expand to too much", tokens[0],
                    "write the formula without them")  # fmt: skip
            return []
        tokens = result
    return tokens  # a macro that calls itself


def _once(
    tokens: Sequence[Token], macros: Macros, bodies: dict[str, list[list[Token]]]
) -> list[Token] | None:
    """One level of macros put in; None where there is none."""
    result: list[Token] = []
    position = 0
    changed = False
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.type not in ("MACRO", "FONT") or str(token) not in macros:
            result.append(token)
            continue
        changed = True
        arguments = []
        for _ in range(macros[str(token)][0]):
            while position < len(tokens) and tokens[position].type == "SPACE":
                position += 1
            stop = _argument_end(tokens, position)
            inner = tokens[position:stop]
            arguments.append(inner[1:-1] if inner and inner[0].type == "LBRACE" else inner)
            position = stop
        result += _instantiate(bodies[str(token)], arguments, token)
        if len(result) > _MAX_TOKENS:
            break
    return result if changed else None


def _argument_end(tokens: Sequence[Token], position: int) -> int:
    """The position after the argument that starts at `position`."""
    if position >= len(tokens) or tokens[position].type != "LBRACE":
        return min(position + 1, len(tokens))
    depth = 0
    for index in range(position, len(tokens)):
        if tokens[index].type == "LBRACE":
            depth += 1
        elif tokens[index].type == "RBRACE":
            depth -= 1
            if depth == 0:
                return index + 1
    return len(tokens)


def _body(body: str) -> list[list[Token]]:
    """A body's tokens, cut at its arguments: [before], [#, number, after], …"""
    pieces: list[list[Token]] = []
    for index, part in enumerate(body.split("#")):
        number: list[Token] = []
        if index:
            number = [Token("NUMBER", part[:1])]
            part = part[1:]
        pieces.append([*number, *plain_tokens(part)])
    return pieces


def _instantiate(
    body: list[list[Token]], arguments: Sequence[Sequence[Token]], at: Token
) -> Iterable[Token]:
    """A macro's body with its arguments, everything but the arguments standing at `at`."""
    for index, part in enumerate(body):
        if index:
            number = int(part[0]) if part[0].isdigit() else 0
            if 1 <= number <= len(arguments):
                yield from arguments[number - 1]
            part = part[1:]
        for token in part:
            yield Token(token.type, str(token), start_pos=at.start_pos, end_pos=at.end_pos)

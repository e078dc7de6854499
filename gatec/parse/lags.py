"""`h_t-1` for `h_{t-1}`, as plain text has it.

It says the past only where the text has no other way to say it: a cell that reads no past is
none, and beside an h_{t-1} the same characters are h_t minus 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lark import Token

from gatec.parse.fold import script_token
from gatec.parse.statements import Statement
from gatec.parse.tokens import Script


def joined(statement: Statement) -> Statement:
    """The statement with every `_t-1` written without spaces as one script."""
    tokens = statement.tokens
    result: list[Token] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if isinstance(token, Script) and _is_lag(tokens[position : position + 3]):
            sign, number = tokens[position + 1 : position + 3]
            content = (*token.content, sign, number)
            token = script_token(token, token.above, content, True, number.end_pos)
            position += 2
        result.append(token)
        position += 1
    return statement if len(result) == len(tokens) else replace(statement, tokens=tuple(result))


def _is_lag(tokens: Sequence[Token]) -> bool:
    """Whether a script of one letter, a minus and a number follow each other without spaces."""
    if len(tokens) < 3:
        return False
    script, sign, number = tokens
    assert isinstance(script, Script)
    return (
        not script.grouped
        and len(script.content) == 1
        and script.content[0].type == "NAME"
        and sign.type == "SIGN"
        and sign != "+"
        and number.isdigit()
        and script.end_pos == sign.start_pos
        and sign.end_pos == number.start_pos
    )

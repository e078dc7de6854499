"""Idioms of other notations, as tokens of ours.

0{,}3          a number with a decimal comma
np.tanh, W.T   names of libraries, and their transpose
\\langle u, v \\rangle   the inner product
\\boxed{a = b}  an equation inside of a group
"""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from gatec.parse.tokens import Failure, Whole, make, retyped
from gatec.parse.vocabulary import CASES_ENVIRONMENTS, CLOSERS, MATRIX_ENVIRONMENTS, OPENERS

_LIBRARIES = frozenset(["np", "numpy", "jnp", "math", "torch", "F", "tf", "nn", "K", "jax", "lax"])
_VALUES = frozenset(["NAME", "NUMBER", "RPAR", "RSQB", "RBRACE"])


def decimals(raw: Sequence[Token], failure: Failure) -> list[Token]:
    """`0{,}3` is 0.3. `10{,}000` is an error: ten thousand in one country, ten in another."""
    result: list[Token] = []
    index = 0
    while index < len(raw):
        five = raw[index : index + 5]
        kinds = [token.type for token in five]
        if (
            kinds == ["NUMBER", "LBRACE", "COMMA", "RBRACE", "NUMBER"]
            and five[0].isdigit()
            and five[4].isdigit()
        ):
            if len(five[4]) == 3 and five[0] != "0":
                whole = "".join(five)
                place = make("NUMBER", whole, five[0].start_pos, five[4].end_pos)
                failure("E0106", f"'{whole}' is one number or another", place,
                        f"write {five[0]}{five[4]} or {five[0]}.{five[4]}")  # fmt: skip
            text = f"{five[0]}.{five[4]}"
            result.append(make("NUMBER", text, five[0].start_pos, five[4].end_pos))
            index += 5
        else:
            result.append(raw[index])
            index += 1
    return result


def code(raw: Sequence[Token]) -> list[Token]:
    """Without the names of libraries before functions; `W.T` as `W^T`. In plain text alone."""
    result: list[Token] = []
    index = 0
    while index < len(raw):
        token = raw[index]
        adjacent = (
            token.type == "PERIOD"
            and 0 < index < len(raw) - 1
            and raw[index + 1].type == "NAME"
            and raw[index - 1].end_pos == token.start_pos
            and raw[index + 1].start_pos == token.end_pos
        )
        if adjacent and raw[index - 1].type == "NAME" and str(raw[index - 1]) in _LIBRARIES:
            result.pop()
        elif adjacent and raw[index - 1].type in _VALUES and raw[index + 1] == "T":
            result.append(retyped(token, "SUP", "^"))
        else:
            result.append(token)
        index += 1
    return result


def inner_products(tokens: Sequence[Token]) -> list[Token]:
    """`\\langle u, v \\rangle`, where it is no index, as `dot(u, v)`."""
    if all(token.type != "OPENANGLE" for token in tokens):
        return list(tokens)
    pairs: dict[int, int] = {}
    stack: list[tuple[int, int]] = []  # what is open: its place, and its commas
    for index, token in enumerate(tokens):
        kind = token.type
        if kind in CLOSERS or kind == "OPENANGLE":
            stack.append((index, 0))
        elif stack and kind == "COMMA":
            stack[-1] = (stack[-1][0], stack[-1][1] + 1)
        elif stack and (kind in OPENERS or kind == "CLOSEANGLE"):
            start, commas = stack.pop()
            if kind == "CLOSEANGLE" and tokens[start].type == "OPENANGLE" and commas == 1:
                pairs[start] = index
    ends = set(pairs.values())
    result: list[Token] = []
    for index, token in enumerate(tokens):
        if index in pairs:
            place = {"start_pos": token.start_pos, "end_pos": token.end_pos}
            result += [Whole("NAME", "dot", **place), retyped(token, "LPAR", "(")]
        else:
            result.append(retyped(token, "RPAR", ")") if index in ends else token)
    return result


def ungrouped(tokens: Sequence[Token]) -> list[Token]:
    """Without the braces around equations: `\\boxed{a = b}`, `\\overset{!}{=}`."""
    marked: set[int] = set()
    pairs: dict[int, int] = {}
    stack: list[int] = []
    for index, token in enumerate(tokens):
        kind = token.type
        if kind in CLOSERS or (kind == "BEGIN" and _is_value(token)):
            stack.append(index)
        elif stack and (kind in OPENERS or (kind == "END" and _is_value(token))):
            start = stack.pop()
            if start in marked:
                pairs[start] = index
        elif kind == "EQUALS":
            for start in reversed(stack):
                if tokens[start].type != "LBRACE":
                    break
                marked.add(start)
    if not pairs:
        return list(tokens)
    # What follows a box is no part of its equation.
    ends = {end: all(t.type == "EQUALS" for t in tokens[start + 1 : end])
            for start, end in pairs.items()}  # fmt: skip
    result: list[Token] = []
    for index, token in enumerate(tokens):
        if index in ends and not ends[index]:
            result.append(retyped(token, "QUAD", ""))
        elif index not in pairs and index not in ends:
            result.append(token)
    return result


def _is_value(token: Token) -> bool:
    """Whether an environment is a value, in which `=` stands in conditions only."""
    name = str(token).split("{", 1)[1].split("}", 1)[0].strip().rstrip("*")
    return name in MATRIX_ENVIRONMENTS | CASES_ENVIRONMENTS

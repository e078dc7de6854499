"""LaTeX environments: matrices and cases are brackets, every other one only aligns equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lark import Token

from gatec.parse.tokens import Failure, make, retyped
from gatec.parse.vocabulary import CASES_ENVIRONMENTS, CLOSERS, MATRIX_ENVIRONMENTS, OPENERS


@dataclass
class _Environment:
    begin: int  # the position of its \begin
    name: str
    opened: bool  # an equation was open before it
    depth: int  # of brackets
    has_equals: bool = False  # of its own, not inside brackets
    end: int | None = None

    @property
    def kind(self) -> str | None:
        """MATRIX, CASES or None: it only aligns."""
        if self.end is None:
            return None
        if self.name in MATRIX_ENVIRONMENTS and not self.has_equals:
            return "MATRIX"
        if self.name in CASES_ENVIRONMENTS and (self.opened or not self.has_equals):
            return "CASES"
        return None

    @property
    def is_unclosed_value(self) -> bool:
        values = MATRIX_ENVIRONMENTS | CASES_ENVIRONMENTS
        return self.end is None and self.opened and self.name in values


def resolve(tokens: Sequence[Token], failure: Failure) -> list[Token]:
    """The tokens with BEGIN_MATRIX, END_CASES and the like; other environments are new rows."""
    found = _find(tokens, failure)
    begins = {environment.begin: environment for environment in found}
    ends = {environment.end: environment for environment in found}
    result: list[Token] = []
    gathered: set[int] = set()  # closing braces that only gather
    open_ended = False  # inside a matrix that is never closed: it ends with the line
    for index, token in enumerate(tokens):
        environment = begins.get(index) if token.type == "BEGIN" else ends.get(index)
        kind = environment.kind if environment is not None else None
        open_ended = (
            open_ended or (environment is not None and environment.is_unclosed_value)
        ) and token.type != "NEWLINE"
        if open_ended and token.type in ("ROW", "BEGIN"):
            continue
        if token.type == "BEGIN" and kind is None:
            # \left\{ \begin{aligned} … : the brace only gathers.
            if result and result[-1].type in ("LSET", "LBRACE"):
                result.pop()
                if environment is not None and environment.end is not None:
                    gathered.add(environment.end + 1)
            result.append(retyped(token, "ROW", ""))
        elif token.type in ("BEGIN", "END"):
            result.append(retyped(token, "ROW", "") if kind is None else
                          retyped(token, f"{token.type}_{kind}"))  # fmt: skip
        elif index in gathered and token.type in ("RSET", "RBRACE"):
            result.append(make("QUAD", "", token.start_pos, token.end_pos))
        else:
            result.append(token)
    return result


def _find(tokens: Sequence[Token], failure: Failure) -> list[_Environment]:
    found: list[_Environment] = []
    stack: list[_Environment] = []
    opened = False
    depth = 0
    for index, token in enumerate(tokens):
        kind = token.type
        if kind == "BEGIN":
            name = str(token).split("{", 1)[1].split("}", 1)[0].strip().rstrip("*")
            stack.append(_Environment(index, name, opened, depth))
            found.append(stack[-1])
        elif kind == "END" and stack:
            stack.pop().end = index
        elif kind == "EQUALS":
            if stack and stack[-1].depth == depth:
                stack[-1].has_equals = True
            opened = True
        elif kind in CLOSERS:
            depth += 1
        elif kind in OPENERS:
            depth -= 1
        elif kind in ("ROW", "NEWLINE") and not stack:
            opened = False
    for environment in stack:
        if environment.is_unclosed_value:
            token = tokens[environment.begin]
            failure("E0101", f"'{token}' is never closed", token,
                    "add the \\end of the environment")  # fmt: skip
    return found

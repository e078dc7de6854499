"""Fold scripts: `_` and `^` take their whole argument into one SCRIPT token.

What TeX gives an unbraced argument is one character (`x_12` is x_1 times 2, `\\frac12` a half);
in plain text it is one word (`W_xh`). Labels of `\\underbrace` and the like are dropped here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from lark import Token

from gatec.parse.tokens import Failure, Script, Whole, make, plain_tokens
from gatec.parse.vocabulary import MAX_DEPTH

_CLOSERS = {
    "LBRACE": "RBRACE",
    "OPENANGLE": "CLOSEANGLE",
    "LPAR": "RPAR",
    "LSQB": "RSQB",
}
_OPENERS = {closer: opener for opener, closer in _CLOSERS.items()}
_ARGUMENTS = {"FRAC": 2, "SQRT": 1, "ACCENT": 1}
# What can never be a script's argument.
_NO_ARGUMENT = frozenset(["SUB", "SUP", "RBRACE", "EQUALS", "NEWLINE", "ROW", "LBRACE", "RPAR"])
_ANGLE_WIDTH = 12  # tokens of `<t-1>` at most


def fold(tokens: Sequence[Token], failure: Failure, *, tex: bool) -> list[Token]:
    """The tokens with every script folded; `failure` is told what is wrong with them."""
    return list(_Folder(tokens, failure, tex).run(0, len(tokens), 0))


def partners(tokens: Sequence[Token], *, tex: bool) -> dict[int, int]:
    """Where each bracket closes, if it does (in plain text: on its own line)."""
    found: dict[int, int] = {}
    stacks: dict[str, list[int]] = {opener: [] for opener in _CLOSERS}
    for index, token in enumerate(tokens):
        kind = token.type
        if kind in _CLOSERS:
            stacks[kind].append(index)
        elif kind in _OPENERS:
            stack = stacks[_OPENERS[kind]]
            if stack:
                found[stack.pop()] = index
        elif kind == "NEWLINE" and not tex:
            for stack in stacks.values():
                stack.clear()
    return found


class _Folder:
    def __init__(self, tokens: Sequence[Token], failure: Failure, tex: bool) -> None:
        self.tokens, self.failure, self.tex = tokens, failure, tex
        self.partners = partners(tokens, tex=tex)
        self.skips: dict[int, int] = {}  # what is dropped: from here to there
        self.singles: dict[int, int] = {}  # how many characters of a token stand alone
        self.arguments: set[int] = set()  # where the groups start that macros take
        self.deep = False

    def run(self, start: int, stop: int, depth: int) -> Iterator[Token]:
        """The folded tokens of a range."""
        position = start
        while position < stop:
            if position in self.skips:
                position = self.skips[position]
                continue
            token = self.tokens[position]
            kind = token.type
            position += 1
            if kind in ("SUB", "SUP"):
                script, rest, position = self._script(token, position, stop, depth)
                if script is not None:
                    yield script
                if rest is not None:
                    yield rest
            elif self._is_empty_group(position - 1, stop):
                position += 1  # `{}_t`: an empty group carries a script to what stands before it
            else:
                self._prepare(token, position)
                yield from self._folded(token, position - 1)

    def _folded(self, token: Token, position: int) -> Iterator[Token]:
        kind = token.type
        if kind in ("SCRIPT_ACCENT", "PRIME"):
            yield script_token(token, True, (token,), False, token.end_pos)
        elif kind == "TEXTNAME":
            yield Whole("NAME", str(token), start_pos=token.start_pos, end_pos=token.end_pos)
        elif kind in ("SUBRUN", "SUPRUN"):
            content = tuple(_translate(token))
            yield script_token(token, kind == "SUPRUN", content, False, token.end_pos)
        elif kind == "BRACED_OVER":
            pass
        else:
            yield from _characters(token, self.singles.get(position, 0))

    def _is_empty_group(self, position: int, stop: int) -> bool:
        """Whether `{}` stands here, and is no argument that somebody forgot to write."""
        is_group = self.tokens[position].type == "LBRACE" and self._is(position + 1, stop, "RBRACE")
        return is_group and position not in self.arguments

    def _is(self, position: int, stop: int, kind: str) -> bool:
        return position < stop and self.tokens[position].type == kind

    # --- arguments of macros ----------------------------------------------------------------------

    def _prepare(self, token: Token, position: int) -> None:
        """Note what the arguments of a macro at `position - 1` are."""
        kind = token.type
        if kind == "BRACED_OVER":
            stop = self._argument_end(position)
            if "set" in token or "rel" in token:  # \underset{label}{what}
                self.skips[position] = stop
            while stop < len(self.tokens) and self.tokens[stop].type in ("SUB", "SUP"):
                self.skips[stop] = stop = self._argument_end(stop + 1)
        elif kind in _ARGUMENTS:
            self._single(position, _ARGUMENTS[kind])

    def _single(self, position: int, count: int) -> int:
        """Give a macro its arguments: groups, or single characters. Where they end."""
        while count and position < len(self.tokens):
            token = self.tokens[position]
            if token.type == "LBRACE":
                self.arguments.add(position)
                position = self._argument_end(position)
                count -= 1
                continue
            taken = min(count, len(token)) if _divides(token) else 1
            if _divides(token):
                self.singles[position] = taken
            count -= taken
            position += 1
        return position

    def _argument_end(self, position: int) -> int:
        """The position after the macro argument that starts at `position`."""
        if position < len(self.tokens) and self.tokens[position].type == "LBRACE":
            return self.partners.get(position, len(self.tokens) - 1) + 1
        return min(position + 1, len(self.tokens))

    # --- scripts ----------------------------------------------------------------------------------

    def _script(
        self, mark: Token, position: int, stop: int, depth: int
    ) -> tuple[Token | None, Token | None, int]:
        """A script, what is left of the token that it took a character of, where to go on."""
        while position < stop and self.tokens[position].type in ("NEWLINE", "QUAD"):
            position += 1
        if position >= stop:
            return self._missing(mark, position)
        token = self.tokens[position]
        above = mark.type == "SUP"
        if token.type in _CLOSERS or token == "<":
            return self._grouped(mark, position, depth)
        several = token.type in ("NAME", "NUMBER") and len(token) > 1 and token[0] != "\\"
        if several and (self.tex or self._goes_on(position, stop)):
            first, rest = _split(token)
            return script_token(mark, above, (first,), False, first.end_pos), rest, position + 1
        if token.type == "SIGN" and self._is(position + 1, stop, "NUMBER"):
            number = self.tokens[position + 1]
            script = script_token(mark, above, (token, number), False, number.end_pos)
            return script, None, position + 2
        if token.type in _ARGUMENTS:
            end = min(self._single(position + 1, _ARGUMENTS[token.type]), stop)
            content = tuple(self.run(position, end, depth + 1))
            return script_token(mark, above, content, False, content[-1].end_pos), None, end
        if token.type in _NO_ARGUMENT:
            return self._missing(mark, position)
        folded = tuple(self._folded(token, position))
        content = folded[0].content if folded and isinstance(folded[0], Script) else folded
        return script_token(mark, above, content, False, token.end_pos), None, position + 1

    def _goes_on(self, position: int, stop: int) -> bool:
        """`W_xh_t` in plain text: W with x, then h with t; `h_t^2`, `forget_gate_t` are names."""
        token = self.tokens[position]
        if token.type != "NAME" or position + 1 >= stop or len(token) > 2:
            return False
        base = self.tokens[position - 2] if position > 1 else token
        if base.type == "NAME" and len(base) > 1 and not base.startswith("\\"):
            return False
        following = self.tokens[position + 1]
        return following.type in ("SUB", "SUP") and following.start_pos == token.end_pos

    def _grouped(self, mark: Token, position: int, depth: int) -> tuple[Token, Token | None, int]:
        token = self.tokens[position]
        above = mark.type == "SUP"
        stop = self._angle_end(position) if token == "<" else self.partners.get(position)
        if stop is None:
            self.failure("E0101", f"'{token}' is never closed", token, "add the closing bracket")
            return script_token(mark, above, (), True, token.end_pos), None, position + 1
        content: tuple[Token, ...] = ()
        if depth < MAX_DEPTH:
            content = tuple(self.run(position + 1, stop, depth + 1))
        elif not self.deep:
            self.deep = True
            self.failure("E0501", f"nested more than {MAX_DEPTH} deep", token,
                         "give the inner part a name of its own")  # fmt: skip
        closer, rest = self.tokens[stop], None
        if token.type in ("LPAR", "LSQB"):
            content = (token, *content, closer)
        elif closer == ">=":  # `h^<t>= …`
            closer, rest = _split(closer)
            rest = make("EQUALS", "=", rest.start_pos, rest.end_pos)
        return script_token(mark, above, content, True, closer.end_pos), rest, stop + 1

    def _angle_end(self, position: int) -> int | None:
        """Where `<t-1>` ends."""
        for index in range(position + 1, min(position + _ANGLE_WIDTH, len(self.tokens))):
            if self.tokens[index] in (">", ">="):
                return index
        return None

    def _missing(self, mark: Token, position: int) -> tuple[None, None, int]:
        self.failure("E0104", f"nothing stands after '{mark}'", mark,
                     "write the script after it, as in x_t")  # fmt: skip
        return None, None, position


def script_token(
    mark: Token, above: bool, content: tuple[Token, ...], grouped: bool, end: int | None
) -> Script:
    script = Script("SCRIPT", str(mark), start_pos=mark.start_pos, end_pos=end)
    script.above, script.content, script.grouped = above, content, grouped
    return script


def _divides(token: Token) -> bool:
    """Whether a token is several characters that TeX takes one by one."""
    return (
        token.type in ("NAME", "NUMBER")
        and not isinstance(token, Whole)
        and len(token) > 1
        and not token.startswith("\\")
        and "." not in token
    )


def _split(token: Token) -> tuple[Token, Token]:
    middle = (token.start_pos or 0) + 1
    return (
        make(token.type, token[0], token.start_pos, middle),
        make(token.type, token[1:], middle, token.end_pos),
    )


def _characters(token: Token, count: int) -> Iterator[Token]:
    """The token, its first `count` characters standing alone."""
    for _ in range(count):
        if len(token) == 1:
            break
        first, token = _split(token)
        yield first
    yield token


_SIGNS = str.maketrans("⁺⁻⁼⁽⁾₊₋₌₍₎⊤", "+-=()+-=()T")


def _translate(token: Token) -> Iterator[Token]:
    """The plain tokens of a run of Unicode sub- or superscript characters."""
    text = str(token).translate(_SIGNS)
    text = "".join(unicodedata.normalize("NFKC", char) for char in text)
    for inner in plain_tokens(text):
        yield make(inner.type, str(inner), token.start_pos, token.end_pos)

"""What a sub- or superscript means: time, label, prime, transposition or power.

The same marks serve for all of them in the literature, so a document is read as a whole first
(`survey`): which letter is the time index, which letters number units, which superscript
numbers are labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lark import Token

from gatec.parse.tokens import Script, make
from gatec.parse.vocabulary import GREEK


@dataclass(frozen=True)
class Context:
    """What the scripts of a document mean."""

    index: str | None  # the letter of the time index
    components: frozenset[str] = frozenset()  # letters that number units: [W x]_j
    numbered: frozenset[str] = frozenset()  # bases whose superscript numbers are labels: W^1
    lagged: bool = False  # something is read or defined at another time than t
    joined: frozenset[str] = frozenset()  # labels that the index follows at once: c_{ft-1}


@dataclass
class Meaning:
    """One script, read."""

    time: int | None = None
    labels: tuple[str, ...] = ()
    accents: tuple[str, ...] = ()
    primes: int = 0
    transposed: bool = False
    component: bool = False
    exponent: tuple[Token, ...] = field(default=())


_WRAPPERS = {"LPAR": "RPAR", "LBRACE": "RBRACE", "OPENANGLE": "CLOSEANGLE", "LSQB": "RSQB"}
_TRANSPOSES = frozenset(["T", "top", "intercal", "transpose", "mathsf{T}", "⊤"])


def name_of(token: Token) -> str:
    """A name's letters: Greek spelled out, macros without their backslash."""
    text = str(token)
    text = text[1:] if text.startswith("\\") else text
    return GREEK.get(text, text)


def unwrap(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The tokens without the brackets around them all."""
    tokens = tuple(tokens)
    while len(tokens) >= 2 and (
        _WRAPPERS.get(tokens[0].type) == tokens[-1].type or (tokens[0] == "<" and tokens[-1] == ">")
    ):
        tokens = tokens[1:-1]
    return tokens


def lag(tokens: Sequence[Token]) -> tuple[str, int] | None:
    """`(letter, offset)` for `t`, `t-1`, `n+1`, however bracketed; else None."""
    tokens = unwrap(tokens)
    if not tokens or tokens[0].type != "NAME":
        return None
    letter = name_of(tokens[0])
    if len(str(tokens[0])) != 1 and not str(tokens[0]).startswith("\\"):
        return None
    if len(tokens) == 1:
        return letter, 0
    if len(tokens) == 3 and tokens[1].type == "SIGN" and tokens[2].isdigit():
        steps = int(tokens[2]) if len(tokens[2]) < 7 else 10**6
        return letter, steps if tokens[1] == "+" else -steps
    return None


def parts(tokens: Sequence[Token]) -> list[tuple[Token, ...]]:
    """The comma-separated parts of a script."""
    result: list[list[Token]] = [[]]
    depth = 0
    for token in unwrap(tokens):
        if token.type in _WRAPPERS:
            depth += 1
        elif token.type in _WRAPPERS.values():
            depth -= 1
        if token.type in ("COMMA", "SEMICOLON") and depth == 0:
            result.append([])
        else:
            result[-1].append(token)
    return [tuple(part) for part in result if part]


def label(tokens: Iterable[Token], level: int = 0) -> str:
    """A script's letters as one label."""
    pieces: list[str] = []
    accent = ""
    for token in tokens:
        kind = token.type
        if isinstance(token, Script):
            inner = token.content
            if inner and inner[0].type == "SCRIPT_ACCENT":
                pieces.append(str(inner[0]))
            elif inner and inner[0].type == "PRIME":
                pieces.append("prime")
            elif level < 8:
                pieces.append("_" + label(inner, level + 1))
        elif kind == "ACCENT":
            accent = str(token)
        elif kind in ("NAME", "WORDS", "TEXTNAME"):
            pieces.append(name_of(token))
            if accent:
                pieces.append(accent)
                accent = ""
        elif kind == "NUMBER":
            pieces.append(str(token).replace(".", "p"))
        elif kind == "SIGN":
            pieces.append("plus" if token == "+" else "minus")
        elif kind == "TIMES":
            pieces.append("star")
        elif kind == "SLASH":
            pieces.append("over")
        elif kind == "COMPARE":
            pieces.append({"<": "lt", ">": "gt"}.get(str(token), "cmp"))
    # Letters and numbers join (W_{xf1} is W_xf1); words keep their boundaries.
    letters = all(len(piece) == 1 or piece.isdigit() or piece.startswith("_") for piece in pieces)
    return "".join(
        piece if letters or not index or piece.startswith("_") else "_" + piece
        for index, piece in enumerate(pieces)
    )


def survey(statements: Iterable[Sequence[Token]]) -> Context:
    """Read all the scripts of a document to learn what its letters number."""
    shifted: Counter[str] = Counter()
    plain: Counter[str] = Counter()
    marked: Counter[str] = Counter()  # in angles, or in parentheses after a name
    components: Counter[str] = Counter()
    numbered: set[str] = set()
    joined: set[tuple[str, str]] = set()

    def count(tokens: Sequence[Token], *, angled: bool = False) -> None:
        found = lag(tokens)
        if found is None:
            label_index = _joined(tokens)
            if label_index is not None:
                joined.add(label_index)
                shifted[label_index[1]] += 1
            return
        letter, offset = found
        (shifted if offset else plain)[letter] += 1
        if angled:
            marked[letter] += 1

    for tokens in statements:
        base = ""
        for position, token in enumerate(tokens):
            previous = tokens[position - 1] if position else None
            if token.type == "NAME":
                base = name_of(token)
            if isinstance(token, Script):
                content = token.content
                angled = bool(content) and (
                    content[0].type in ("OPENANGLE", "LPAR") or content[0] == "<"
                )
                angled = angled or (str(token) == "^" and token.grouped and len(content) == 3)
                for part in parts(content):
                    count(part, angled=angled)
                if token.above and len(content) == 1 and content[0] in ("0", "1"):
                    numbered.add(base)
                if (
                    previous is not None
                    and previous.type in ("RSQB", "RPAR")
                    and len(content) == 1
                    and content[0].type == "NAME"
                    and (not token.above or str(content[0]) in ("i", "j", "k", "l"))
                ):
                    components[name_of(content[0])] += 1
            elif (
                token.type in ("LPAR", "LSQB")
                and previous is not None
                and previous.type in ("NAME", "SCRIPT", "RBRACE")
            ):
                stop = position + 1
                while (
                    stop < len(tokens)
                    and stop < position + 5
                    and tokens[stop].type not in ("RPAR", "RSQB")
                ):
                    stop += 1
                inner = tokens[position + 1 : stop]
                found = lag(inner)
                if found and found[0] in ("t", "n", "k", "tau"):
                    count(inner, angled=True)
    index = _index(shifted, plain, marked)
    return Context(
        index,
        frozenset(set(components) - {index}),
        frozenset(numbered),
        index is not None and shifted[index] > 0,
        frozenset(label for label, letter in joined if letter == index),
    )


def _joined(tokens: Sequence[Token]) -> tuple[str, str] | None:
    """`ft-1`: a label and the index letter, written as one word."""
    tokens = unwrap(tokens)
    if len(tokens) == 3 and tokens[0].type == "NAME" and 1 < len(tokens[0]) < 4:
        word = str(tokens[0])
        if word.isalpha() and word.isascii() and tokens[1].type == "SIGN" and tokens[2] == "1":
            return word[:-1], word[-1]
    return None


_PREFERRED = ("t", "n", "k", "tau", "s", "i")


def _index(shifted: Counter[str], plain: Counter[str], marked: Counter[str]) -> str | None:
    if shifted["t"] or marked["t"]:
        return "t"
    if shifted:

        def rank(letter: str) -> tuple[int, int]:
            preferred = letter in _PREFERRED
            return (
                -shifted[letter] - marked[letter],
                _PREFERRED.index(letter) if preferred else 99,
            )

        return min(shifted, key=rank)
    return "t" if plain["t"] else None


_LAYERS = frozenset("lLijm")


def read(script: Script, context: Context, base: str | None) -> Meaning:
    """What one script means on a name (`base` None: on a bracket or a number)."""
    content = script.content
    if not content:
        return Meaning()
    first = content[0]
    if first.type == "SCRIPT_ACCENT":
        return Meaning(accents=(str(first),))
    if first.type == "PRIME":
        return Meaning(primes=sum({"″": 2, "‴": 3}.get(mark, 1) for mark in str(first)))
    inner = unwrap(content)
    found = lag(content)
    if found is not None and found[0] == context.index:
        return Meaning(time=found[1])
    if script.above:
        if all(token == "\\prime" for token in inner):
            return Meaning(primes=len(inner))
        if len(inner) == 1 and name_of(inner[0]) in _TRANSPOSES:
            return Meaning(transposed=True)
        if found is not None and found[1] == 0 and found[0] in context.components:
            return Meaning(component=True)
        if _is_exponent(script, inner, context, base, found):
            return Meaning(exponent=tuple(content))
    return _labels(content, context)


def _is_exponent(
    script: Script,
    inner: Sequence[Token],
    context: Context,
    base: str | None,
    found: tuple[str, int] | None,
) -> bool:
    if base is None or base == "e" or base == "exp":
        return True
    if len(inner) == 1 and inner[0].type == "NUMBER":
        bracketed = script.content[0].type in _WRAPPERS or script.content[0] == "<"
        return not bracketed and base not in context.numbered
    if found is not None and found[0] in _LAYERS:
        return False  # h^{l-1}: a layer's number, no power
    if _changes(inner, context):
        return True  # a^{c r_t}: no label changes from step to step
    if inner and inner[0].type == "NUMBER" and any(isinstance(t, Script) for t in inner):
        return True  # 10^{2^3}
    operators = [token.type for token in inner if token.type in ("SIGN", "SLASH", "FRAC", "DOT")]
    return bool(operators) and len(inner) > 1 and len(parts(script.content)) == 1


def _changes(tokens: Sequence[Token], context: Context) -> bool:
    """Whether one of the names in a script has a time index of its own."""
    if context.index is None:
        return False
    for script in tokens:
        if isinstance(script, Script):
            for part in parts(script.content):
                found = lag(part)
                if found is not None and found[0] == context.index:
                    return True
    return False


def _labels(content: Sequence[Token], context: Context) -> Meaning:
    meaning = Meaning()
    labels: list[str] = []
    for part in [each for whole in parts(content) for each in _apart(whole, context)]:
        found = lag(part)
        if found is not None and found[0] == context.index:
            meaning.time = found[1]
        elif found is not None and found[1] == 0 and found[0] in context.components:
            meaning.component = True
        else:
            if all(_is_prime(token) for token in part):
                meaning.primes += len(part)
                continue
            text = label(part)
            if text:
                labels.append(text)
    meaning.labels = tuple(labels)
    return meaning


def _is_prime(token: Token) -> bool:
    if isinstance(token, Script):
        return len(token.content) == 1 and _is_prime(token.content[0])
    return token == "\\prime" or token.type == "PRIME"


def _apart(part: tuple[Token, ...], context: Context) -> list[tuple[Token, ...]]:
    """`ft` and `ft-1` as label and index, where the document writes them as one word."""
    word = part[0]
    is_word = word.type == "NAME" and len(word) > 1 and word.isalpha()
    if not is_word or word[-1] != context.index or word[:-1] not in context.joined:
        return [part]
    middle = (word.start_pos or 0) + len(word) - 1
    return [
        (make("NAME", word[:-1], word.start_pos, middle),),
        (make("NAME", word[-1], middle, word.end_pos), *part[1:]),
    ]

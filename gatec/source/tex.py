"""What only LaTeX has: comments, verbatim text, and the commands a text defines for itself."""

from __future__ import annotations

import re

from gatec.errors import Source
from gatec.source.document import Formula, Marker, Style
from gatec.source.finder import Next, Ranges, environments, partners

Macro = tuple[str, int, str]

_VERBATIM = frozenset(
    ["verbatim", "Verbatim", "lstlisting", "minted", "comment", "filecontents", "tikzpicture",
     "algorithmic", "thebibliography"]
)  # fmt: skip
_ASIDE = frozenset(["remark", "note", "exercise", "problem", "quote", "quotation", "footnotesize"])
# An escaped character is skipped: `\%` starts no comment, `\\%` does.
_COMMENT = re.compile(r"\\.|%([^\n]*)", re.DOTALL)
_CELL = re.compile(r"%*[ \t]*cell[ \t]+(\S+)[ \t]*$")
_LINE = re.compile(r"%*[ \t]*gate:[ \t]*(\S.*)$")


def prepare(source: Source, text: str, hidden: Ranges, asides: Ranges) -> list[Formula | Marker]:
    """Hide what is no text of a `.tex` file and note its asides.

    Returns what its comments say to gatec: `% cell NAME`, and lines such as `% gate: output h`.
    `text` is the source's text, or as much of it as is LaTeX with the rest as spaces.
    """
    found: list[Formula | Marker] = []
    for match in _COMMENT.finditer(text):
        comment = match.group(1)
        if comment is not None:
            hidden.add(match.start(), match.end())
            named = _CELL.match(comment)
            if named:
                start = match.start(1) + named.start(1)
                span = source.span(start, start + len(named[1]))
                found.append(Marker(named.group(1), span, start))
            line = _LINE.match(comment)
            if line:
                start = match.start(1)
                span = source.span(start + line.start(1), start + line.end(1))
                found.append(Formula(span, Style.GATE))
    _hide_verb(text, hidden)
    ends, _ = environments(hidden.blank(text))
    for start, end in ends.items():
        name = text[text.index("{", start) + 1 : text.index("}", start)].strip().rstrip("*")
        if name in _VERBATIM:
            hidden.add(start, end)
        elif name in _ASIDE:
            asides.add(start, end)
        elif name == "document":
            hidden.add(end, len(text))
    closing = Next(r"\\fi(?![A-Za-z])", text)
    for match in re.finditer(r"\\iffalse(?![A-Za-z])", text):
        stop = closing(match.end())
        if stop is not None:
            hidden.add(match.start(), stop.end())
    braces: dict[int, int] | None = None
    for match in re.finditer(r"\\(?:footnote|marginpar|todo)\s{0,3}(?=\{)", text):
        braces = partners(text) if braces is None else braces
        asides.add(match.start(), braces.get(match.end(), match.end()))
    return found


def _hide_verb(text: str, hidden: Ranges) -> None:
    for match in re.finditer(r"\\verb\*?([^\sA-Za-z*])", text):
        stop = text.find(match.group(1), match.end(), match.end() + 1000)
        if stop >= 0 and "\n" not in text[match.end() : stop]:
            hidden.add(match.start(), stop + 1)


_NEW = re.compile(
    r"\\(?:new|renew|provide)command\*?\s{0,3}\{?\s{0,3}(\\[A-Za-z]+)\s{0,3}\}?\s{0,3}"
    r"(?:\[(\d)\])?\s{0,3}(?:\[([^\]\n]{0,200})\])?\s{0,3}(?=\{)"
    r"|\\(?:DeclareMathOperator|DeclareRobustCommand)\*?\s{0,3}\{?\s{0,3}(\\[A-Za-z]+)\s{0,3}\}?"
    r"\s{0,3}(?=\{)"
    r"|\\[gex]?def\s{0,3}(\\[A-Za-z]+)\s{0,3}((?:#\d){0,9})\s{0,3}(?=\{)"
    r"|\\let\s{0,3}(\\[A-Za-z]+)\s{0,3}=?\s{0,3}(\\[A-Za-z]+)"
)


def macros(text: str, hidden: Ranges) -> list[Macro]:
    """The commands that a text defines, the last definition of each; their text is hidden."""
    found: dict[str, Macro] = {}
    braces: dict[int, int] | None = None
    end = 0
    for match in _NEW.finditer(text):
        if match.start() < end:  # a definition inside a definition's body
            continue
        new, count, default, operator, define, arguments, let, other = match.groups()
        if let:
            found[let] = (let, 0, other)
            hidden.add(match.start(), match.end())
            continue
        braces = partners(text) if braces is None else braces
        stop = braces.get(match.end())
        if stop is None:
            continue
        body = text[match.end() + 1 : stop]
        end = stop + 1
        hidden.add(match.start(), end)
        if operator:
            robust = "Robust" in match.group()
            found[operator] = (operator, 0, body if robust else rf"\operatorname{{{body}}}")
        elif define:
            found[define] = (define, arguments.count("#"), body)
        else:
            arity = int(count or 0)
            if default is not None and arity:
                # An optional first argument is always left out here: its default stands.
                arity -= 1
                body = body.replace("#1", default)
                for number in range(1, arity + 1):
                    body = body.replace(f"#{number + 1}", f"#{number}")
            found[new] = (new, arity, body)
    return list(found.values())

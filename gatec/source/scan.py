"""Find the formulas of a text: `$…$`, `\\[…\\]`, environments, roles, `.. math::`, fences."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import replace

from gatec.errors import Diagnostic, GatecError, Source
from gatec.source import tex
from gatec.source.blocks import Blocks
from gatec.source.document import Formula, Marker, Reading, Style
from gatec.source.finder import Next, Ranges, environments
from gatec.source.pieces import gate_items, paragraphs

_ENVIRONMENTS = frozenset(
    ["equation", "align", "alignat", "flalign", "gather", "multline", "eqnarray", "displaymath",
     "math", "dmath", "array", "aligned", "alignedat", "gathered", "split", "cases", "dcases",
     "rcases", "matrix", "pmatrix", "bmatrix", "Bmatrix", "xalignat", "IEEEeqnarray", "subarray"]
)  # fmt: skip
_OPENING = (
    r"\\begin\s{0,3}\{[A-Za-z]+\*?\}|\\[(\[]|\\\\[(\[]|\\.|\$\$?|:math:`|\{math\}`+|`+"
)  # fmt: skip
# What tells mathematics from an amount of money.
_LOOKS_LIKE_MATH = re.compile(r"[\\^_={}]")


def read_math(source: Source, kind: str) -> Reading:
    """The formulas and cell markers of a text of this kind, in its order.

    `kind` is "tex", "rst", "docstring", "markdown" or "text". Raises GatecError for a block or
    environment that is never closed.
    """
    if kind == "tex":
        hidden, asides = Ranges(), Ranges()
        items: list[Formula | Marker] = tex.prepare(source, source.text, hidden, asides)
        diagnostics: list[Diagnostic] = []
        rst = False
    else:
        rst = kind in ("rst", "docstring")
        blocks = Blocks(source, docstring=kind == "docstring", rst=rst)
        blocks.walk()
        source, hidden, asides = blocks.source, blocks.hidden, blocks.asides
        items, diagnostics = blocks.items, blocks.diagnostics
        if blocks.latex:
            items += _latex_fences(source, blocks.latex)
    text = source.text
    definitions = Ranges()
    macros = tex.macros(text, definitions) if "\\" in text else []
    scanner = _Scanner(source, hidden.blank(text), diagnostics, plain=kind != "tex", rst=rst)
    items += scanner.scan()
    if diagnostics:
        raise GatecError(diagnostics)
    items = [
        replace(item, aside=True)
        if isinstance(item, Formula) and _is_tex(item) and item.span.start in asides
        else item
        for item in items
    ]
    if not items or (kind == "tex" and not any(_is_tex(item) for item in items)):
        items += _bare(source, hidden, kind)
    if macros:
        items = [piece for item in items for piece in _without(item, definitions)]
    items.sort(key=_place)
    return Reading(tuple(items), tuple(macros))


_EQUATION = re.compile(r"^[ \t]*[^\s=][^\n=]{0,60}=", re.MULTILINE)
_PREAMBLE = re.compile(r"\\documentclass|\\begin\s{0,3}\{document\}|\\(?:sub)*section")


def _bare(source: Source, hidden: Ranges, kind: str) -> list[Formula | Marker]:
    """The formulas of a file that is nothing but equations, without any delimiter."""
    text = source.text
    if kind not in ("text", "tex") or not _EQUATION.search(hidden.blank(text)):
        return []
    if kind == "text":
        return gate_items(source, 0, len(text))
    # A piece of LaTeX that another file puts between its delimiters.
    return [] if _PREAMBLE.search(text) else [Formula(source.span(0, len(text)), Style.TEX)]


def _is_tex(item: Formula | Marker) -> bool:
    return isinstance(item, Formula) and item.style is Style.TEX


def _place(item: Formula | Marker) -> tuple[int, int]:
    return (item.place, 0) if isinstance(item, Marker) else (item.span.start, 1)


def _latex_fences(source: Source, fences: list[tuple[int, int]]) -> list[Formula | Marker]:
    """A fence of LaTeX holds a text with formulas, or nothing but one formula."""
    text = source.text
    others = Ranges()
    for (_, start), (end, _) in zip([(0, 0), *fences], [*fences, (len(text), 0)], strict=True):
        others.add(start, end)
    # What stands around the fences is blank, so that offsets stay those of the whole text.
    blank = others.blank(text)
    hidden = Ranges()
    markers = tex.prepare(source, blank, hidden, Ranges())
    found = _Scanner(source, hidden.blank(blank), [], plain=False).scan()
    starts = [formula.span.start for formula in found]
    for start, end in fences:
        if bisect_left(starts, start) == bisect_left(starts, end) and "=" in text[start:end]:
            parts = paragraphs(text, start, end)
            found += [Formula(source.span(*part), Style.TEX) for part in parts]
    return [*markers, *found]


def _without(item: Formula | Marker, definitions: Ranges) -> list[Formula | Marker]:
    """A formula cut where the text defines a command."""
    if isinstance(item, Marker) or item.style is Style.GATE:
        return [item]
    position, end = item.span.start, item.span.end
    pieces = []
    for start, stop in definitions.inside(position, end):
        pieces.append((position, max(position, start)))
        position = min(stop, end)
    if not pieces:
        return [item]
    pieces.append((position, end))
    source = item.span.source
    return [
        replace(item, span=source.span(start, stop))
        for start, stop in pieces
        if source.text[start:stop].strip()
    ]


class _Scanner:
    """Searches a text in which everything that is no prose stands as spaces."""

    def __init__(
        self, source: Source, text: str, diagnostics: list[Diagnostic], *, plain: bool,
        rst: bool = False,
    ) -> None:  # fmt: skip
        self.source, self.text, self.diagnostics = source, text, diagnostics
        self.plain = plain  # Markdown's rules for `$` and backticks hold
        self.rst = rst
        self.formulas: list[Formula] = []
        self.ends, self.unclosed = environments(text) if "\\begin" in text else ({}, [])
        self.opening = Next(_OPENING, text)
        self.dollar = Next(r"(?<!\\)\$", text)
        self.dollars = Next(r"(?<!\\)\$\$", text)
        self.parenthesis = Next(r"(?<!\\)\\\)", text)
        self.bracket = Next(r"(?<!\\)\\\]", text)
        self.parentheses = Next(r"\\\\\)", text)
        self.brackets = Next(r"\\\\\]", text)
        self.backtick = Next("`", text)
        self.blank = Next(r"\n[ \t]*\n", text)
        self.ticks: dict[int, Next] = {}

    def scan(self) -> list[Formula]:
        for match in self.unclosed:
            if match.group(2).rstrip("*") in _ENVIRONMENTS:
                self._never_closed(match.group(), match.start(), match.end())
                break
        position = 0
        while (found := self.opening(position)) is not None:
            position = max(self._opened(found), found.end())
        return self.formulas

    def _opened(self, match: re.Match[str]) -> int:
        """Reads what opens here; the position from which to search on."""
        mark, start, inner = match.group(), match.start(), match.end()
        if mark.startswith("\\begin"):
            name = mark.split("{")[1].rstrip("}").rstrip("*")
            stop = self.ends.get(start)
            if name in _ENVIRONMENTS and stop is not None:
                self._display(start, stop)
                return stop
            return inner
        if mark == "$$":
            return self._double(start, inner)
        if mark == "$":
            return self._single(start, inner)
        if mark in ("\\[", "\\\\["):
            if mark == "\\\\[" and not self.plain:
                return inner  # a row's end with its spacing
            return self._bracketed(mark, start, inner)
        if mark in ("\\(", "\\\\("):
            if mark == "\\\\(" and not self.plain:
                return inner
            closing = (self.parenthesis if mark == "\\(" else self.parentheses)(inner)
            if closing is None or self._broken(inner, closing.start()):
                return inner
            self._inline(start, inner, closing.start(), closing.end())
            return closing.end()
        if mark.startswith((":math:", "{math}")):
            closing = self.backtick(inner)
            if closing is None or self._broken(inner, closing.start()):
                return inner
            self._inline(start, inner, closing.start(), closing.end())
            return closing.end()
        if mark.startswith("`") and self.plain:
            return self._code(mark, inner)
        return inner

    # --- delimiters -------------------------------------------------------------------------------

    def _double(self, start: int, inner: int) -> int:
        closing = self.dollars(inner)
        if closing is None:
            self._maybe_never_closed("$$", start, inner)
            return inner
        content = self.text[inner : closing.start()]
        gap = self.blank(inner)
        if gap is not None and gap.start() < closing.start():
            # `$$ … $$` over a blank line: where mathematics ends and prose follows, the closing
            # mark was forgotten, and what closes here opens the next formula.
            tail = content[content.rstrip().rfind("\n\n") + 1 :]
            head = self.text[inner : gap.start()]
            if "=" in head and not _LOOKS_LIKE_MATH.search(tail) and len(tail.split()) > 2:
                self._never_closed("$$", start, inner)
                return gap.start()
        if content.strip():
            self._display(inner, closing.start())
        return closing.end()

    def _single(self, start: int, inner: int) -> int:
        if self.plain and self.text[inner : inner + 1] == "`":  # $`…`$
            stop = self.text.find("`$", inner + 1, inner + 2000)
            if stop > 0 and not self._broken(inner, stop):
                self._inline(start, inner + 1, stop, stop + 2)
                return stop + 2
        closing = self.dollar(inner)
        if closing is None or closing.start() == inner or self._broken(inner, closing.start()):
            return inner
        stop = closing.start()
        if self.plain and self._is_money(inner, stop):
            return inner
        self._inline(start, inner, stop, stop + 1)
        return stop + 1

    def _is_money(self, start: int, stop: int) -> bool:
        """Whether `$…$` are two amounts, as in "$5 and $10", and no formula.

        Pandoc's rule: nothing blank after the first mark or before the second, no digit after it.
        What breaks it is a formula all the same where it is evidently mathematics on one line.
        """
        content = self.text[start:stop]
        evident = re.search(r"[\\=]|\w[\^_]", content) is not None
        if content[0].isdigit() and not evident and " " in content:
            return True
        if content == content.strip() and not self.text[stop + 1 : stop + 2].isdigit():
            return False
        return not evident or content[0].isdigit() or "`" in content or "\n" in content

    def _bracketed(self, mark: str, start: int, inner: int) -> int:
        closing = (self.bracket if mark == "\\[" else self.brackets)(inner)
        if closing is None:
            if mark == "\\[":
                self._maybe_never_closed(mark, start, inner)
            return inner
        if self.text[inner : closing.start()].strip():
            self._display(inner, closing.start())
        return closing.end()

    def _code(self, mark: str, inner: int) -> int:
        """Inline code is passed over; backticks that quote (``so'') are not."""
        size = len(mark)
        if size > 8:
            return inner
        if size not in self.ticks:
            # In reStructuredText a literal may end in a backtick of its own.
            before = "" if self.rst and size == 2 else "(?<!`)"
            self.ticks[size] = Next(rf"{before}`{{{size}}}(?!`)", self.text)
        closing = self.ticks[size](inner)
        if closing is None or closing.start() - inner > 1000:
            return inner
        content = self.text[inner : closing.start()]
        if "\n" in content or "''" in content:
            return inner
        return closing.end()

    def _broken(self, start: int, stop: int) -> bool:
        """Whether a blank line stands between."""
        gap = self.blank(start)
        return gap is not None and gap.start() < stop

    # --- results ----------------------------------------------------------------------------------

    def _display(self, start: int, stop: int) -> None:
        for first, last in paragraphs(self.text, start, stop):
            span = self.source.span(first, last)
            self.formulas.append(Formula(span, Style.TEX))

    def _inline(self, before: int, start: int, stop: int, after: int) -> None:
        if not self.text[start:stop].strip():
            return
        # A formula on a line of its own is displayed, whatever stray mark stands beside it.
        begin = self.text.rfind("\n", max(0, before - 40), before)
        begin = begin + 1 if begin >= 0 else (0 if before <= 40 else before - 40)
        end = self.text.find("\n", after, after + 40)
        end = end if end >= 0 else min(len(self.text), after + 40)
        around = self.text[begin:before] + self.text[after:end]
        display = "=" in self.text[start:stop] and len(_letters(around)) <= 2
        span = self.source.span(start, stop)
        self.formulas.append(Formula(span, Style.TEX, display))

    def _maybe_never_closed(self, mark: str, start: int, inner: int) -> None:
        head = self.text[inner : inner + 300]
        if ("=" in head and "\\" in head) or re.match(r"\s*[\w\\{}^]{1,20}\s*=", head):
            self._never_closed(mark, start, inner)

    def _never_closed(self, mark: str, start: int, end: int) -> None:
        if len(self.diagnostics) >= 20:
            return
        closing = {"$$": "$$", "\\[": "\\]"}.get(mark, mark.replace("begin", "end"))
        self.diagnostics.append(
            Diagnostic(
                "E0010",
                f"'{mark}' is never closed",
                self.source.span(start, end),
                f"add '{closing}' where the mathematics ends",
            )
        )


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())

"""The blocks of a Markdown, reStructuredText or plain text: what is mathematics, code or aside.

One walk over the lines. What it leaves untouched, `scan` searches for formulas in sentences.
"""

from __future__ import annotations

import re

from gatec.errors import Diagnostic, Source
from gatec.source.document import Formula, Marker, Style
from gatec.source.finder import Next, Ranges
from gatec.source.pieces import cleaned, gate_items, paragraphs, quoted_lines

_FENCE = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_DIRECTIVE = re.compile(r"([ \t]*)\.\.[ \t]+([A-Za-z][\w:.-]*?)::(?:[ \t]+|$)")
_COMMENT = re.compile(r"([ \t]*)\.\.(?:[ \t]+|$)(?![ \t]*_|[ \t]*\|)(.*)$")
_OPTION = re.compile(r"[ \t]*:[\w-]+:(?![`\w]).*$")
_ADMONITION = re.compile(r"([ \t]*)(?:!!!|\?\?\?\+?)[ \t]+\w")
_FOOTNOTE = re.compile(r"([ \t]*)(?:\[\^[^\]\n]+\]:|\.\.[ \t]+\[[^\]\n]+\])")
_COLONS = re.compile(r"[ \t]*:{3,}[ \t]*(\{[\w-]+\}|[A-Za-z.{][^\n]*)?[ \t]*$")
_CELL = re.compile(r"\s*cell[ \t]+(\S+)\s*$")
_PERCENT = re.compile(r"[ \t]*%+[ \t]*cell[ \t]+(\S+)[ \t]*$")
_SECTION = re.compile(
    r"([ \t]*)(?:Args|Arguments|Call arguments|Parameters|Keyword Args|Inputs?|Outputs?|Returns?|"
    r"Raises|Yields|Shapes?|Attributes|Examples?|References|See Also|Warnings?|Todo|Variables)\b"
    r"[^\n:]{0,40}:{1,2}(?:[ \t].{0,80})?$"
)

_UNDERLINE = re.compile(r"[ \t]*[-=]{3,}[ \t]*$")

_MATH = frozenset(["math", "katex", "mathjax", "asciimath", "displaymath"])
_LATEX = frozenset(["latex", "tex"])
_ASIDES = frozenset(
    ["note", "warning", "tip", "hint", "important", "seealso", "admonition", "attention",
     "caution", "danger", "error", "versionadded", "versionchanged", "deprecated", "todo", "topic",
     "sidebar", "margin", "footnote", "dropdown", "exercise", "solution"]
)  # fmt: skip
_CODE = frozenset(
    ["code-block", "code", "code-cell", "sourcecode", "literalinclude", "doctest", "testcode",
     "testoutput", "testsetup", "ipython", "parsed-literal", "raw", "plot", "graphviz", "include",
     "highlight", "mermaid", "figure", "image"]
)  # fmt: skip


class Blocks:
    """Walks over a source; `hidden` and `asides` tell where prose is none or of less weight."""

    def __init__(self, source: Source, *, docstring: bool = False, rst: bool = False) -> None:
        self.rst = rst
        self.docstring = docstring
        self.hidden = Ranges()
        self.asides = Ranges()
        self.items: list[Formula | Marker] = []
        # Marks of quotation inside formulas are no mathematics. Offsets and lines stay true.
        self.source = source if self.rst else Source(source.name, cleaned(source.text))
        self.quoted = [] if self.rst else quoted_lines(source.text)
        self.diagnostics: list[Diagnostic] = []
        self.latex: list[tuple[int, int]] = []  # fences of LaTeX, texts of their own
        text = self.source.text
        self.lines: list[tuple[int, int]] = []
        start = 0
        for line in text.split("\n"):
            self.lines.append((start, start + len(line)))
            start += len(line) + 1
        self._after_comment = Next("-->", text)
        # Of blank lines -1.
        self._indents = [_indent(self.line(i)) for i in range(len(self.lines))]
        self._closing: set[int] = set()  # lines that end a block whose inside is read
        self._fence_ends: dict[tuple[str, int], int] = {}

    def walk(self) -> None:
        for start, end in self.quoted:
            self.asides.add(start, end)
        number = 0
        while number < len(self.lines):
            number = max(number + 1, self._block(number))
        if self.docstring:
            self._sections()

    def line(self, number: int) -> str:
        start, end = self.lines[number]
        return self.source.text[start:end]

    def _block(self, number: int) -> int:
        """Reads the block that starts at a line, if one does; the number of the line after it."""
        line = self.line(number)
        stripped = line.strip()
        if not stripped or number in self._closing:
            return number + 1
        if "```" in line or "~~~" in line:
            match = _FENCE.match(line)
            if match:
                return self._fence(number, match)
        if "<!--" in line:
            return self._html_comment(number, line)
        if stripped.startswith("..") and (stripped == ".." or stripped[2] in " \t"):
            return self._explicit(number, line)
        if stripped[0] == "%":
            named = _PERCENT.match(line)
            if named:
                self._mark(self.lines[number][0], named)
                self.hidden.add(*self.lines[number])
        elif stripped.startswith((":::", "!!!", "???", "[^")):
            self._note(number, line)
        elif self.rst and stripped.startswith((">>>", "...")):
            self.hidden.add(*self.lines[number])
        elif self.rst and stripped.endswith("::"):
            stop = self._indented(number + 1, _indent(line))
            if stop > number + 1:
                self.hidden.add(self.lines[number][1], self.lines[stop - 1][1])
                return stop
        return number + 1

    # --- fences -----------------------------------------------------------------------------------

    def _fence(self, number: int, opening: re.Match[str]) -> int:
        mark, info = opening.group(1), opening.group(2).strip()
        word = re.split(r"[\s,}]", info.strip("{"), maxsplit=1)[0].lstrip(".=").lower()
        start = self.lines[number][0]
        directive = info.startswith("{")
        if word in _ASIDES and directive:
            stop = self._fence_end(number, mark)
            self.hidden.add(start, self.lines[number][1])
            if stop is not None:
                self.asides.add(start, self.lines[stop][1])
                self.hidden.add(*self.lines[stop])
                self._closing.add(stop)
            return number + 1
        stop = self._fence_end(number, mark)
        wanted = word in _MATH or word in _LATEX or word == "gate"
        if stop is None:
            if wanted:
                self.diagnostics.append(
                    Diagnostic(
                        "E0010",
                        f"this {word} block is never closed",
                        self.source.span(start + opening.start(1), start + opening.end(1)),
                        f"end it with a line of its own: {mark}",
                    )
                )
            # As Markdown has it, code without an end goes on to the end of the text.
            self.hidden.add(start, len(self.source.text))
            return len(self.lines)
        self.hidden.add(start, self.lines[stop][1])
        first, last = number + 1, stop
        if wanted and directive:
            while first < last and _OPTION.match(self.line(first)):
                first += 1
        if first < last:
            span = self.lines[first][0], self.lines[last - 1][1]
            if word == "gate":
                self.items += gate_items(self.source, *span)
            elif word in _LATEX and not directive:
                self.latex.append(span)
            elif wanted:
                self._math(*span)
        return stop + 1

    def _fence_end(self, number: int, mark: str) -> int | None:
        """The line that closes a fence; as long as the opening mark, or longer."""
        key = (mark[0], min(len(mark), 16))  # few kinds, each searched for once through the text
        known = self._fence_ends.get(key, 0)
        if known <= number:
            known = number + 1
            while known < len(self.lines):
                line = self.line(known).strip()
                if line.startswith(mark[:16]) and not line.strip(mark[0]):
                    break
                known += 1
            self._fence_ends[key] = known
        return known if known < len(self.lines) else None

    def _math(self, start: int, end: int) -> None:
        for first, last in paragraphs(self.source.text, start, end):
            span = self.source.span(first, last)
            self.items.append(Formula(span, Style.TEX))

    # --- comments and directives ------------------------------------------------------------------

    def _html_comment(self, number: int, line: str) -> int:
        base = self.lines[number][0]
        column = ticks = 0
        while True:
            found = line.find("<!--", column)
            if found < 0:
                return number + 1
            ticks += line.count("`", column, found)
            column = found
            if ticks % 2:  # inside inline code
                column += 4
                continue
            stop = self._after_comment(base + column + 4)
            if stop is None:
                return number + 1
            inner = base + column + 4
            named = _CELL.match(self.source.text[inner : stop.start()])
            if named:
                self._mark(inner, named)
            self.hidden.add(base + column, stop.end())
            if stop.end() > self.lines[number][1]:
                while self.lines[number][1] < stop.end():
                    number += 1
                return number + 1
            column = stop.end() - base

    def _mark(self, base: int, match: re.Match[str]) -> None:
        span = self.source.span(base + match.start(1), base + match.end(1))
        self.items.append(Marker(match.group(1), span, span.start))

    def _explicit(self, number: int, line: str) -> int:
        """A line that starts with `..`: a directive, a footnote or a comment of rst."""
        start = self.lines[number][0]
        match = _DIRECTIVE.match(line)
        stop = self._indented(number + 1, _indent(line))
        last = self.lines[stop - 1][1]
        if match is None:
            if _FOOTNOTE.match(line):
                self.asides.add(start, last)
                return number + 1
            comment = _COMMENT.match(line)
            if comment:
                named = _CELL.match(comment.group(2))
                if named:
                    self._mark(start + comment.start(2), named)
                    stop = number + 1
                self.hidden.add(start, self.lines[stop - 1][1])
                return stop
            return number + 1
        name = match.group(2).lower()
        if name == "math":
            self.hidden.add(start, last)
            self._math_directive(number, start + match.end(), stop)
            return stop
        if name in _CODE:
            self.hidden.add(start, last)
            return stop
        if name in _ASIDES:
            self.asides.add(start, last)
        return number + 1

    def _math_directive(self, number: int, argument: int, stop: int) -> None:
        first = number + 1
        while first < stop and _OPTION.match(self.line(first)):
            first += 1
        start = self.lines[first][0] if first < stop else len(self.source.text)
        if self.source.text[argument : self.lines[number][1]].strip():
            if first > number + 1:  # options stand between the argument and the rest
                self._math(argument, self.lines[number][1])
            else:
                start = argument
        if start < self.lines[stop - 1][1]:
            self._math(start, self.lines[stop - 1][1])

    def _indented(self, number: int, indent: int) -> int:
        """The line after the lines from `number` that are blank or further in than `indent`."""
        stop = number
        while number < len(self.lines):
            if self._indents[number] >= 0:
                if self._indents[number] <= indent:
                    break
                stop = number + 1
            number += 1
        return stop

    def _note(self, number: int, line: str) -> None:
        start = self.lines[number][0]
        colons = _COLONS.match(line)
        if colons:
            self.hidden.add(*self.lines[number])
            word = (colons.group(1) or "").strip("{}. ").split(" ")[0].lower()
            if word in _ASIDES:
                width = len(line.strip()) - len(line.strip().lstrip(":"))
                stop = self._fence_end(number, ":" * width)
                self.asides.add(start, self.lines[number if stop is None else stop][1])
            return
        if _ADMONITION.match(line) or _FOOTNOTE.match(line):
            stop = self._indented(number + 1, _indent(line))
            self.asides.add(start, self.lines[stop - 1][1])

    def _sections(self) -> None:
        """The sections of a docstring on arguments, shapes and results are asides."""
        opened: int | None = None
        indent = 0  # of the section's heading; -1 for one that is underlined
        for number, (start, _) in enumerate(self.lines):
            if self._indents[number] < 0:
                continue
            line = self.line(number)
            underlined = number + 1 < len(self.lines) and _UNDERLINE.match(self.line(number + 1))
            heading = _SECTION.match(line.rstrip() + ":" if underlined else line)
            ends = underlined if indent < 0 else self._indents[number] <= indent
            if opened is not None and ends:
                self.asides.add(opened, start)
                opened = None
            if opened is None and heading:
                opened = start
                # A section of the numpy style goes on to the next heading.
                indent = -1 if underlined else self._indents[number]
        if opened is not None:
            self.asides.add(opened, len(self.source.text))


def _indent(line: str) -> int:
    inner = line.lstrip()
    return len(line[: len(line) - len(inner)].expandtabs()) if inner else -1

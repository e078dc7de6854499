"""From a document's formulas to its syntax tree; every syntax error of the document at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import replace

from gatec.errors import Diagnostic, GatecError, Source
from gatec.parse import brackets, scripts
from gatec.parse.juxtapose import Juxtaposer, Names
from gatec.parse.lexer import Lexer
from gatec.parse.statements import Statement, split
from gatec.parse.tree import make_function
from gatec.parse.tree import parse as parse_tokens
from gatec.parse.vocabulary import KEYWORDS, MAX_EQUATIONS
from gatec.source import Document, Style
from gatec.syntax import (
    Bracket,
    Declaration,
    Equation,
    Function,
    Key,
    Matrix,
    Mention,
    Module,
    Node,
    Run,
    Symbol,
    symbols,
)


def parse(document: Document) -> Module:
    """Parse a document. The module holds the diagnostics; nothing is raised for a bad text."""
    return _Parser(document).module()


class _Parser:
    def __init__(self, document: Document) -> None:
        self.document = document
        # A .gate text holds nothing but statements; elsewhere a formula may be a mere mention.
        self.strict = all(formula.style is Style.GATE for formula in document.formulas)
        self.diagnostics: list[Diagnostic] = []
        self.mentions: list[Mention] = []

    def module(self) -> Module:
        statements = list(self._statements())
        context = scripts.survey(statement.tokens for statement, _, _ in statements)
        raw: list[tuple[list[Node], Statement, bool]] = []
        declarations: list[Declaration] = []
        functions: list[Function] = []
        for statement, aside, display in statements:
            parsed = self._parse(statement, context, display)
            if isinstance(parsed, Declaration):
                declarations.append(parsed)
            elif isinstance(parsed, Function):
                functions.append(parsed)
            elif isinstance(parsed, list):
                raw += self._chain(parsed, statement, aside)
        equations, functions = self._meaning(raw, declarations, functions, context)
        return Module(
            self.document.name,
            self.document.declared,
            tuple(equations),
            tuple(declarations),
            tuple(functions),
            tuple(self.mentions),
            tuple(self.diagnostics),
            context.index,
            self.strict,
            self.document.comments,
        )

    # --- statements -----------------------------------------------------------------------------

    def _statements(self) -> Iterator[tuple[Statement, bool, bool]]:
        count = 0
        macros = {name: (arity, body) for name, arity, body in self.document.macros}
        for formula in self.document.formulas:
            source = formula.span.source
            lexer = Lexer(source, macros)
            tex = formula.style is Style.TEX
            words = not tex and _WORD_SCRIPT.search(formula.span.text) is not None
            for start, end, line_tex in _regions(formula.span.text, formula.span.start, tex):
                line_tex = line_tex and not words
                before = len(lexer.diagnostics)
                tokens = lexer.tokens(start, end, tex=line_tex, gate=not tex)
                found = split(tokens, source, lexer.error, tex=tex)
                clean = len(lexer.diagnostics) == before
                for statement in found:
                    count += 1
                    if count > MAX_EQUATIONS:
                        if count == MAX_EQUATIONS + 1:
                            self.diagnostics.append(
                                Diagnostic(
                                    "E0502",
                                    f"more than {MAX_EQUATIONS} equations",
                                    statement.span,
                                    "split the cell, or generate its equations as matrix products",
                                )
                            )
                        return
                    if clean:
                        yield statement, formula.aside, formula.display
                if not clean:
                    if tex:
                        self._pass_over(
                            formula.span.text,
                            "is damaged",
                            source,
                            start,
                            end,
                            lexer.diagnostics[before],
                        )
                    else:
                        self.diagnostics += lexer.diagnostics[before:]

    def _pass_over(
        self,
        text: str,
        reason: str,
        source: Source,
        start: int,
        end: int,
        diagnostic: Diagnostic | None = None,
        defines: Key | None = None,
    ) -> None:
        one_line = " ".join(text.split())
        self.mentions.append(
            Mention(one_line, reason, source.span(start, end), diagnostic, defines)
        )

    def _parse(
        self, statement: Statement, context: scripts.Context, display: bool
    ) -> Declaration | Function | list[Node] | None:
        span = statement.span
        prose = statement.tex and not statement.is_declaration
        if not statement.has_equals and not statement.is_declaration:
            if prose:
                self._pass_over(span.text, "it has no '='", span.source, span.start, span.end)
            else:
                self._missing_equals(statement)
            return None
        tokens = brackets.bars(statement.tokens)
        try:
            wrong = brackets.wrong(tokens, span.source)
            if wrong is not None:
                raise GatecError(wrong)
            parsed: Declaration | Function | list[Node] = parse_tokens(
                tokens, span.source, context, "start"
            )
        except GatecError as error:
            if prose:
                self._failed(statement, context, display, error.diagnostics[0])
            else:
                self.diagnostics += error.diagnostics
            return None
        return parsed

    def _missing_equals(self, statement: Statement) -> None:
        wrong = brackets.wrong(brackets.bars(statement.tokens), statement.span.source)
        if wrong is not None:
            self.diagnostics.append(wrong)
            return
        first = str(statement.tokens[0]).lower()
        near = difflib.get_close_matches(first, KEYWORDS, 1, 0.7)
        self.diagnostics.append(
            Diagnostic(
                "E0103",
                "this line has no '='",
                statement.span,
                f"did you mean '{near[0]}'?"
                if near and near[0] != first
                else "an equation is `name = expression`; a declaration starts with cell, input, state, "
                "output, param, const, size, function or init; a comment starts with #",
            )
        )

    def _failed(
        self, statement: Statement, context: scripts.Context, display: bool, error: Diagnostic
    ) -> None:
        """A formula of a prose document that does not parse: an error if it defines a quantity."""
        left: list[object] = []
        for token in statement.tokens:
            if token.type == "EQUALS":
                break
            left.append(token)
        defines = None
        try:
            tree = parse_tokens(left, statement.span.source, context, "sum")  # type: ignore[arg-type]
            name = tree.items[0] if isinstance(tree, Run) and len(tree.items) == 1 else tree
            if isinstance(name, Symbol) and name.time is not None:
                defines = name.key
        except (GatecError, IndexError):
            pass
        span = statement.span
        if display and defines is not None:
            self.diagnostics.append(error)
        else:
            self._pass_over(
                span.text,
                f"it does not parse: {error.message}",
                span.source,
                span.start,
                span.end,
                error,
                defines,
            )

    def _chain(
        self, sides: list[Node], statement: Statement, aside: bool
    ) -> list[tuple[list[Node], Statement, bool]]:
        """`a = b = e`: two equations where b is a name, else the first right side counts."""
        if len(sides) == 2:
            return [(sides, statement, aside)]
        span = statement.span
        middle = sides[1]
        only = middle.items[0] if isinstance(middle, Run) and len(middle.items) == 1 else None
        if isinstance(only, Symbol) and len(sides) == 3:
            return [([sides[1], sides[2]], statement, aside), (sides[:2], statement, aside)]
        if not statement.tex:
            self.diagnostics.append(
                Diagnostic(
                    "E0110",
                    "one equation has two '='",
                    sides[2].span,
                    "write each equation on a line of its own",
                )
            )
            return []
        self._pass_over(
            sides[2].span.text,
            "it is another form of the same equation",
            span.source,
            sides[2].span.start,
            sides[-1].span.end,
        )
        return [(sides[:2], statement, aside)]

    # --- juxtaposition --------------------------------------------------------------------------

    def _meaning(
        self,
        raw: list[tuple[list[Node], Statement, bool]],
        declarations: list[Declaration],
        functions: list[Function],
        context: scripts.Context,
    ) -> tuple[list[Equation], list[Function]]:
        defined_functions: list[Function] = list(functions)
        kept: list[tuple[list[Node], Statement, bool]] = []
        probe = Juxtaposer(Names(context.index))
        for sides, statement, aside in raw:
            function = _function_definition(sides, probe) or _alias(sides, probe)
            if function is None:
                kept.append((sides, statement, aside))
            else:
                defined_functions.append(replace_span(function, statement))
        names = Names(context.index, frozenset(f.name.key for f in defined_functions))
        for declaration in declarations:
            if declaration.kind != "cell":
                names.defined |= {symbol.key for symbol in declaration.names}
        for sides, _, _ in kept:
            left = probe.left(sides[0])
            names.defined |= {symbol.key for symbol in symbols(left)}
            names.defined |= {
                Key(symbol.key.base) for symbol in symbols(left) if symbol.key.sub == ("0",)
            }
        names.survey(side for sides, _, _ in kept for side in sides)
        names.survey(function.body for function in defined_functions)
        rewriter = Juxtaposer(names)
        equations = []
        for sides, statement, aside in kept:
            made = self._equation(sides, statement, aside, rewriter)
            if made is not None:
                equations.append(made)
        result = [
            Function(f.name, f.parameters, rewriter.rewrite(f.body), f.span)
            for f in defined_functions
        ]
        for position, declaration in enumerate(declarations):
            value, shape = declaration.value, declaration.shape
            declarations[position] = replace(
                declaration,
                value=None if value is None else rewriter.rewrite(value),
                shape=None if shape is None else tuple(map(rewriter.left, shape)),
            )
        self.diagnostics += rewriter.diagnostics
        return equations, result

    def _equation(
        self, sides: list[Node], statement: Statement, aside: bool, rewriter: Juxtaposer
    ) -> Equation | None:
        before = len(rewriter.diagnostics)
        left = rewriter.left(sides[0])
        span = statement.span
        if not _is_left_side(left):
            del rewriter.diagnostics[before:]
            if statement.tex:
                self._pass_over(
                    span.text, "its left side is no name", span.source, span.start, span.end
                )
            else:
                self.diagnostics.append(
                    Diagnostic(
                        "E0111",
                        "the left side must be a name",
                        sides[0].span,
                        "write `name = expression`, as in h_t = …",
                    )
                )
            return None
        try:
            right = rewriter.rewrite(sides[1])
        except GatecError as error:
            self.diagnostics += error.diagnostics
            return None
        return Equation(left, right, " ".join(span.text.split()), aside, span)


def replace_span(function: Function, statement: Statement) -> Function:
    return Function(function.name, function.parameters, function.body, statement.span)


def _function_definition(sides: list[Node], probe: Juxtaposer) -> Function | None:
    """`\\hat\\sigma(z) = …`: a name applied to plain names that are no time index."""
    left = sides[0]
    if not (isinstance(left, Run) and len(left.items) == 2 and isinstance(left.items[1], Bracket)):
        return None
    head, bracket = left.items
    assert isinstance(bracket, Bracket)
    if not isinstance(head, Symbol) or head.time is not None or bracket.kind != "(":
        return None
    if isinstance(probe.left(left), Symbol) or not bracket.items:
        return None
    for item in bracket.items:
        inner = item.items[0] if isinstance(item, Run) and len(item.items) == 1 else item
        if not (isinstance(inner, Symbol) and inner.time is None):
            return None
    try:
        made = make_function(left, sides[1], left.span)
    except GatecError:
        return None
    return made if isinstance(made, Function) else None


def _alias(sides: list[Node], probe: Juxtaposer) -> Function | None:
    """`\\phi = \\tanh`: a name without time for a function's bare name."""
    left, right = (_single(side) for side in sides[:2])
    if not isinstance(left, Symbol) or not isinstance(right, Symbol) or left.time is not None:
        return None
    if not probe.names.is_function(right) or probe.names.is_function(left):
        return None
    return Function(left, (), right, left.span)


def _single(node: Node) -> Node:
    while isinstance(node, Run) and len(node.items) == 1:
        node = node.items[0]
    return node


def _is_left_side(node: Node) -> bool:
    if isinstance(node, Symbol):
        return True
    if isinstance(node, Bracket) and len(node.items) == 1:
        return _is_left_side(node.items[0])
    if isinstance(node, (Bracket, Matrix)):
        found = node.items if isinstance(node, Bracket) else [c for row in node.rows for c in row]
        return bool(found) and all(isinstance(item, Symbol) for item in found)
    return False


# `W_ih h_t`: a script of several letters that another name follows is one label, LaTeX or not.
_WORD_SCRIPT = re.compile(
    r"_[A-Za-z]{2,}[ \t]+(?:[A-Za-z]|\\(?:mathbf|boldsymbol|bm|tilde|hat|bar|widetilde)\b)"
)
_STARTS_EQUATION = re.compile(r"\s*\\?\w[^=]*=")
_BLANK = re.compile(r"[^\n]*\n?")


def _regions(text: str, base: int, tex: bool) -> Iterator[tuple[int, int, bool]]:
    """The parts of a formula that follow one rule for scripts.

    In a .gate text a line with a backslash is LaTeX, where `W_xh` is W_x times h; a
    line without is plain, where it is one name.
    """
    if tex:
        yield base, base + len(text), True
        return
    start = 0
    kind: bool | None = None
    depth = 0
    for match in _BLANK.finditer(text):
        line = match.group()
        if not line:
            break
        code = re.split(r"(?<!\\)[#%]", line, maxsplit=1)[0]
        latex = "\\" in code
        relevant = bool(code.strip())
        if _STARTS_EQUATION.match(code):
            depth = 0  # a bracket that an earlier line forgot to close
        # A statement that spans lines stays in one region.
        if relevant and kind is not None and latex != kind and depth <= 0 and not _joins(code):
            yield base + start, base + match.start(), kind
            start, kind = match.start(), latex
        elif relevant:
            kind = latex if kind is None else (kind or latex) if depth > 0 or _joins(code) else kind
        depth = max(
            0, depth + sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")
        )
    if start < len(text):
        yield base + start, base + len(text), bool(kind)


def _joins(code: str) -> bool:
    return code.lstrip()[:1] in ("+", "-", "*", "=", "⊙", "/", "·", "∘", "−", "\\end")


__all__ = ["parse"]

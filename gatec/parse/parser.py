"""One document through lexing, the grammar and juxtaposition; every syntax error at once."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lark import Token

from gatec.errors import Diagnostic, GatecError, Note, Span
from gatec.parse import brackets, complaints, definitions, lags, scripts
from gatec.parse.juxtapose import Juxtaposer
from gatec.parse.known import Names
from gatec.parse.lexer import Lexer
from gatec.parse.regions import regions
from gatec.parse.spaces import UNKNOWN
from gatec.parse.statements import Statement, split
from gatec.parse.suggest import nearest
from gatec.parse.tree import parse as parse_tokens
from gatec.parse.vocabulary import KEYWORDS, MAX_EQUATIONS
from gatec.source import Document, Formula, Style
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
    Symbol,
    Transpose,
    single,
    symbols,
)

_FOREIGN = ("E0107", "E0112")  # what no notation of gatec is
_NAME_WIDTH = 8  # tokens of a name at most


@dataclass(frozen=True)
class _Found:
    """A statement of a formula, and what the lexer has to say of it."""

    statement: Statement
    formula: Formula
    damage: Diagnostic | None = None


@dataclass(frozen=True)
class _Sides:
    """An equation before juxtaposition."""

    left: Node
    right: Node
    found: _Found


class Parser:
    """Parses one document. Nothing is raised for a bad text: the module holds what is wrong."""

    def __init__(self, document: Document) -> None:
        self.document = document
        # A .gate text holds nothing but statements; elsewhere a formula may be a mere mention.
        self.strict = all(formula.style is Style.GATE for formula in document.formulas)
        self.diagnostics: list[Diagnostic] = []
        self.mentions: list[Mention] = []
        self.declarations: list[Declaration] = []
        self.functions: list[Function] = []
        self.broken: set[Key] = set()
        self.foreign: list[tuple[_Found, Key | None, Diagnostic]] = []
        self.ranks: dict[Key, int] = {}

    def module(self) -> Module:
        found = list(itertools.islice(self._statements(), MAX_EQUATIONS + 1))
        if len(found) > MAX_EQUATIONS:
            self.diagnostics = [_too_many(found.pop().statement)]
            found.clear()
        found = self._survey(found)
        sides: list[_Sides] = []
        for each in found:
            sides += self._parse(each)
        equations = self._meaning(sides)
        self._settle(equations)
        return Module(
            self.document.name,
            self.document.declared,
            tuple(equations),
            tuple(self.declarations),
            tuple(self.functions),
            tuple(self.mentions),
            tuple(self.diagnostics),
            self.context.index,
            self.strict,
            self.document.comments,
            frozenset(self.broken),
            tuple(self.ranks.items()),
        )

    def _survey(self, found: list[_Found]) -> list[_Found]:
        """Learn what the scripts of the document mean."""
        self.context = scripts.survey(each.statement.tokens for each in found)
        if self.context.lagged or self.context.index is None:
            return found
        joined = [replace(each, statement=lags.joined(each.statement)) for each in found]
        context = scripts.survey(each.statement.tokens for each in joined)
        if not context.lagged:
            return found
        self.context = context
        return joined

    # --- statements -----------------------------------------------------------------------------

    def _statements(self) -> Iterator[_Found]:
        macros = {name: (arity, body) for name, arity, body in self.document.macros}
        for formula in self.document.formulas:
            yield from self._of_formula(formula, Lexer(formula.span.source, macros))

    def _of_formula(self, formula: Formula, lexer: Lexer) -> Iterator[_Found]:
        tex = formula.style is Style.TEX
        span = formula.span
        for start, end, line_tex in regions(span.text, span.start, tex=tex):
            before = len(lexer.diagnostics)
            tokens = lexer.tokens(start, end, tex=line_tex, gate=not tex)
            statements = split(tokens, span.source, lexer.error, tex=tex)
            damages = _by_statement(statements, lexer.diagnostics[before:])
            self.diagnostics += damages.pop(-1, [])
            for number, statement in enumerate(statements):
                damage = damages.get(number)
                yield _Found(statement, formula, damage[0] if damage else None)

    def _pass_over(
        self,
        span: Span,
        reason: str,
        diagnostic: Diagnostic | None = None,
        defines: Key | None = None,
    ) -> None:
        one_line = " ".join(span.text.split())
        self.mentions.append(Mention(one_line, reason, span, diagnostic, defines))

    def _parse(self, found: _Found) -> Sequence[_Sides]:
        """What the grammar makes of a statement: the sides of its equations, or a declaration."""
        statement = found.statement
        span = statement.span
        if statement.rank is not None:
            self._note_space(statement)
            return ()
        if not (statement.has_equals or statement.is_declaration or found.damage):
            if statement.tex:
                self._pass_over(span, "it has no '='")
            else:
                self._missing_equals(statement)
            return ()
        tokens = brackets.bars(definitions.without_dots(statement.tokens))
        try:
            wrong = found.damage or complaints.strange(tokens, span.source)
            wrong = wrong or brackets.wrong(tokens, span.source)
            if wrong is not None:
                raise GatecError(wrong)
            parsed = parse_tokens(tokens, span.source, self.context, "start")
        except GatecError as error:
            self._failed(found, error.diagnostics[0])
            return ()
        if isinstance(parsed, Declaration):
            self.declarations.append(parsed)
        elif isinstance(parsed, Function):
            self.functions.append(parsed)
        else:
            return self._chain(parsed, found)
        return ()

    def _note_space(self, statement: Statement) -> None:
        """`W_f \\in \\mathbb{R}^{d \\times h}`: a hint where nothing else says what W_f is."""
        for name in self._left_names(statement)[:1]:
            rank = statement.rank
            if name.time is None and rank is not None and rank != UNKNOWN:
                self.ranks.setdefault(name.key, rank)
        self._pass_over(statement.span, "it says what the name is")

    def _missing_equals(self, statement: Statement) -> None:
        wrong = brackets.wrong(brackets.bars(statement.tokens), statement.span.source)
        if wrong is not None:
            self.diagnostics.append(wrong)
            return
        first = str(statement.tokens[0]).lower()
        near = nearest(first, KEYWORDS)
        self.diagnostics.append(
            Diagnostic(
                "E0103",
                "this line has no '='",
                statement.span,
                f"did you mean '{near}'?"
                if near and near != first
                else "an equation is `name = expression`; a declaration starts with cell, input, "
                "state, output, param, const, size, function or init; a comment starts with #",
            )
        )

    def _failed(self, found: _Found, error: Diagnostic) -> None:
        """A statement that does not parse: in prose an error only if it defines a quantity."""
        statement = found.statement
        if statement.is_declaration and error.code in ("E0105", "E0106"):
            keyword = statement.tokens[0].type.removeprefix("KEY_").lower()
            error = complaints.declaration(error, keyword)
        names = self._left_names(statement)
        self.broken |= {name.key for name in names}
        prose = statement.tex and not statement.is_declaration
        defines = next((name.key for name in names if name.time is not None), None)
        if not prose or (found.formula.display and defines is not None):
            if prose and error.code in _FOREIGN:
                self.foreign.append((found, defines, error))
            else:
                self.diagnostics.append(error)
        else:
            reason = f"it does not parse: {error.message}"
            self._pass_over(statement.span, reason, error, defines)

    def _settle(self, equations: Sequence[Equation]) -> None:
        """Other mathematics, such as a loss that is a sum, is an error where the cell reads it."""
        read = {symbol.key for equation in equations for symbol in symbols(equation.right)}
        for found, defines, error in self.foreign:
            if defines in read:
                self.diagnostics.append(error)
            else:
                reason = f"it does not parse: {error.message}"
                self._pass_over(found.statement.span, reason, error, defines)

    def _left_names(self, statement: Statement) -> Sequence[Symbol]:
        """The names that a statement would define, or declare."""
        left: list[Token] = []
        for token in statement.tokens[statement.is_declaration :]:
            if token.type in ("EQUALS", "COLON"):
                break
            left.append(token)
        for stop in [len(left), *range(min(len(left), _NAME_WIDTH), 0, -1)]:
            try:
                return symbols(
                    parse_tokens(left[:stop], statement.span.source, self.context, "sum")
                )
            except (GatecError, IndexError):
                continue  # what starts like a name, as far as it is one
        return ()

    def _chain(self, sides: list[Node], found: _Found) -> Sequence[_Sides]:
        """`a = b = e`: an equation for each name, else the first right side counts."""
        names, value = sides[:-1], sides[-1]
        if all(isinstance(single(name), Symbol) for name in names):
            # Each name has the value of the next, the last one that of the expression.
            made = [_Sides(names[-1], value, found)]
            alias = definitions.function(names[-1], value, Juxtaposer(Names(self.context.index)))
            for name, following in zip(names[-2::-1], names[:0:-1], strict=True):
                made.append(_Sides(name, value if alias else following, found))
            return made
        if len(sides) == 2:
            return [_Sides(*_upright(sides[0], sides[1]), found)]
        if not found.statement.tex:
            self.diagnostics.append(
                Diagnostic(
                    "E0110",
                    "one equation has two '='",
                    _between(sides[1].span, sides[2].span),
                    "write each equation on a line of its own",
                )
            )
            return ()
        rest = sides[2].span.to(sides[-1].span)
        self._pass_over(rest, "it is another form of the same equation")
        return [_Sides(sides[0], sides[1], found)]

    # --- juxtaposition --------------------------------------------------------------------------

    def _meaning(self, sides: Sequence[_Sides]) -> list[Equation]:
        """Decide what stands side by side, now that all names of the document are known."""
        probe = Juxtaposer(Names(self.context.index))
        kept = []
        for each in sides:
            made = definitions.function(each.left, each.right, probe)
            if made is None:
                kept.append(each)
            else:
                self.functions.append(replace(made, span=each.found.statement.span))
        self._check_functions()
        rewriter = Juxtaposer(self._names(kept, probe), prose=not self.strict)
        equations = [self._equation(each, rewriter) for each in kept]
        self.functions = [
            replace(function, body=rewriter.rewrite(function.body)) for function in self.functions
        ]
        self.declarations = [
            replace(
                each,
                value=None if each.value is None else rewriter.rewrite(each.value),
                shape=None if each.shape is None else tuple(map(rewriter.left, each.shape)),
            )
            for each in self.declarations
        ]
        self.diagnostics += rewriter.diagnostics
        return [equation for equation in equations if equation is not None]

    def _check_functions(self) -> None:
        """One definition per function; the same one twice is one."""
        first: dict[Key, Function] = {}
        for function in self.functions:
            known = first.setdefault(function.name.key, function)
            if (known.parameters, known.body) != (function.parameters, function.body):
                self.diagnostics.append(
                    Diagnostic(
                        "E0202",
                        f"the function '{function.name.key}' is defined twice",
                        function.span,
                        "keep one of the two",
                        (Note("it is defined here first", known.span),),
                    )
                )
        self.functions = list(first.values())

    def _names(self, kept: Sequence[_Sides], probe: Juxtaposer) -> Names:
        names = Names(self.context.index, frozenset(f.name.key for f in self.functions))
        for declaration in self.declarations:
            if declaration.kind != "cell":
                names.defined |= {symbol.key for symbol in declaration.names}
                names.letters |= {s.key.base for s in declaration.names if len(s.key.base) == 1}
        for each in kept:
            left = symbols(probe.left(each.left))
            names.defined |= {symbol.key for symbol in left}
            names.defined |= {Key(symbol.key.base) for symbol in left if symbol.key.sub == ("0",)}
        names.defined |= self.broken
        names.survey(side for each in kept for side in (each.left, each.right))
        names.survey(function.body for function in self.functions)
        return names

    def _equation(self, sides: _Sides, rewriter: Juxtaposer) -> Equation | None:
        before = len(rewriter.diagnostics)
        left = rewriter.left(sides.left)
        statement = sides.found.statement
        span = statement.span
        if not _is_left_side(left):
            del rewriter.diagnostics[before:]
            if statement.tex:
                self._pass_over(span, "its left side is no name")
            else:
                self.diagnostics.append(
                    Diagnostic(
                        "E0111",
                        "the left side must be a name",
                        sides.left.span,
                        "write `name = expression`, as in h_t = …",
                    )
                )
            return None
        try:
            right = rewriter.rewrite(sides.right)
        except GatecError as error:
            self.diagnostics += error.diagnostics
            self.broken |= {symbol.key for symbol in symbols(left)}
            return None
        text = " ".join(span.text.split())
        return Equation(left, right, text, sides.found.formula.aside, span)


def _too_many(statement: Statement) -> Diagnostic:
    return Diagnostic(
        "E0502",
        f"more than {MAX_EQUATIONS} equations",
        statement.span,
        "split the cell, or write its equations as matrix products",
    )


def _by_statement(
    statements: Sequence[Statement], diagnostics: Sequence[Diagnostic]
) -> dict[int, list[Diagnostic]]:
    """The lexer's diagnostics by the statement they stand in; -1 for those before the first."""
    found: dict[int, list[Diagnostic]] = {}
    starts = [statement.span.start for statement in statements] if diagnostics else []
    for diagnostic in diagnostics:
        place = diagnostic.span.start if diagnostic.span is not None else 0
        found.setdefault(bisect.bisect_right(starts, place) - 1, []).append(diagnostic)
    return found


def _between(one: Span, other: Span) -> Span:
    """What stands between two expressions."""
    text = one.source.text[one.end : other.start]
    start = one.end + len(text) - len(text.lstrip())
    return one.source.span(start, max(start + 1, one.end + len(text.rstrip())))


def _upright(left: Node, right: Node) -> tuple[Node, Node]:
    """`h_t^\\top = x_t^\\top W` as the equation of `h_t`, both sides transposed."""
    inner = single(left)
    if isinstance(inner, Transpose) and isinstance(inner.arg, Symbol):
        return inner.arg, Transpose(right, right.span)
    return left, right


def _is_left_side(node: Node) -> bool:
    if isinstance(node, Symbol):
        return True
    if isinstance(node, Bracket) and len(node.items) == 1:
        return _is_left_side(node.items[0])
    if isinstance(node, (Bracket, Matrix)):
        found = node.items if isinstance(node, Bracket) else [c for row in node.rows for c in row]
        return bool(found) and all(isinstance(item, Symbol) for item in found)
    return False

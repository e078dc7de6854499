"""From Lark's tree to the syntax tree: one method per grammar rule."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from lark import Token, Transformer_NonRecursive
from lark.exceptions import UnexpectedToken, VisitError

from gatec.errors import Diagnostic, GatecError, Source, Span
from gatec.parse import complaints, scripts
from gatec.parse.grammar import parser
from gatec.parse.tokens import Script, Whole
from gatec.parse.vocabulary import GREEK_NAMES, MAX_DEPTH, MAX_DIGITS, MAX_MARKS, MAX_POWER
from gatec.syntax import (
    Bracket,
    Call,
    Cases,
    Comparison,
    Declaration,
    Function,
    Key,
    Matrix,
    Node,
    Norm,
    Number,
    Power,
    Product,
    Quotient,
    Run,
    Sum,
    Symbol,
    Transpose,
    text,
)

Children = list[Any]
# Signs of products that papers also write for scalar factors.
_PLAIN_TIMES = ("*", r"\ast", r"\star")


def parse(tokens: Sequence[Token], source: Source, context: scripts.Context, start: str) -> Any:
    """Parse one statement (`start="start"`) or expression (`"sum"`).

    Raises GatecError with the syntax error.
    """
    machine: Any = parser().parse_interactive(start=start)
    for position, token in enumerate(tokens):
        if token == "+" and position and tokens[position - 1].type in complaints.BINDING:
            raise GatecError(complaints.missing_between(tokens[position - 1], token, source))
        try:
            machine.feed_token(token)
        except UnexpectedToken:
            raise GatecError(
                complaints.unexpected(tokens, position, source, machine.accepts())
            ) from None
    try:
        tree = machine.feed_eof(tokens[-1] if tokens else None)
    except UnexpectedToken:
        raise GatecError(
            complaints.unexpected(tokens, len(tokens), source, machine.accepts())
        ) from None
    try:
        return Builder(source, context).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, GatecError):
            raise error.orig_exc from None
        raise


class Builder(Transformer_NonRecursive):  # type: ignore[type-arg]
    """Builds the syntax tree of one statement."""

    def __init__(self, source: Source, context: scripts.Context) -> None:
        super().__init__()
        self.source, self.context = source, context

    def _span(self, children: Children) -> Span:
        starts, ends = [], []
        for child in children:
            if isinstance(child, Token):
                starts.append(child.start_pos or 0)
                ends.append(child.end_pos or 0)
            elif getattr(child, "span", None) is not None:
                starts.append(child.span.start)
                ends.append(child.span.end)
        return self.source.span(min(starts, default=0), max(ends, default=0))

    # --- statements -----------------------------------------------------------------------------

    def equation(self, children: Children) -> list[Node]:
        return [child for child in children if not isinstance(child, Token)]

    def name(self, children: Children) -> Symbol:
        if isinstance(children[0], Token) and children[0].type == "LBRACE":
            children = [children[1], *children[3:]]
        made = self.item(children)
        if not isinstance(made, Symbol):
            raise GatecError(
                Diagnostic(
                    "E0401",
                    "a declaration names one quantity",
                    made.span,
                    "write the name alone, as in `state h`",
                )
            )
        return Symbol(made.key, made.time, True, made.component, made.span)

    def names(self, children: Children) -> list[Symbol]:
        return [child for child in children if isinstance(child, Symbol)]

    def shape(self, children: Children) -> tuple[Node, ...]:
        return tuple(child for child in children if not isinstance(child, Token))

    def initial(self, children: Children) -> Any:
        return "learned" if children[0].type == "LEARNED" else children[1]

    def _declare(self, children: Children) -> Declaration:
        kind = str(children[0]).lower().removesuffix("s")
        kind = {"parameter": "param", "constant": "const"}.get(kind, kind)
        names = children[1] if isinstance(children[1], list) else [children[1]]
        shape: tuple[Node, ...] | None = None
        value: Node | None = None
        learned = False
        for child in children[2:]:
            if isinstance(child, tuple):
                shape = child
            elif child == "learned":
                learned = True
            elif isinstance(child, Token):
                if child.type == "NUMBER":
                    value = self.number([child])
            else:
                value = child
        return Declaration(
            kind, tuple(names), shape, value, learned, self._span([children[0], *names])
        )

    cell = inputs = states = outputs = params = constants = sizes = init = _declare

    def function(self, children: Children) -> Function | Declaration:
        run, body = children[1], children[-1]
        return make_function(run, body, self._span(children))

    # --- expressions ----------------------------------------------------------------------------

    def sum(self, children: Children) -> Node:
        if len(children) == 1:
            return children[0]  # type: ignore[no-any-return]
        terms: list[tuple[int, Node]] = []
        sign = 1
        for child in children:
            if isinstance(child, Token):
                sign = 1 if child == "+" else -1
            elif isinstance(child, Sum) and len(child.terms) == 1 and not terms:
                terms.append((sign * child.terms[0][0], child.terms[0][1]))
            else:
                terms.append((sign, child))
        return Sum(tuple(terms), self._span(children))

    def term(self, children: Children) -> Node:
        if len(children) == 1:
            return children[0]  # type: ignore[no-any-return]
        signs, operands = children[1::2], children[2::2]
        circled = any(sign.type == "TIMES" and sign not in _PLAIN_TIMES for sign in signs)
        factors: list[Node] = [children[0]]
        divisions = 0
        for sign, operand in zip(signs, operands, strict=True):
            if sign.type == "TIMES":
                factors.append(operand)
                continue
            divisions += 1
            if divisions > MAX_DEPTH:
                raise GatecError(
                    Diagnostic(
                        "E0501",
                        f"more than {MAX_DEPTH} divisions in a row",
                        operand.span,
                        "give the inner part a name with an equation of its own",
                    )
                )
            factors = [self._divide(self._times(factors, circled), operand)]
        return self._times(factors, circled)

    def _times(self, factors: list[Node], circled: bool) -> Node:
        if len(factors) == 1:
            return factors[0]
        return Product(tuple(factors), True, self._span(factors), circled)

    def _divide(self, left: Node, right: Node) -> Node:
        # `1/2 (x + y)` is a half of the bracket.
        if isinstance(left, Run) and len(left.items) == 1:
            left = left.items[0]
        if (
            isinstance(left, Number)
            and isinstance(right, Run)
            and isinstance(right.items[0], Number)
        ):
            rest = right.items[1:]
            ratio = Quotient(left, right.items[0], left.span.to(right.items[0].span))
            if not rest:
                return ratio
            return Run((ratio, *rest), right.dots, left.span.to(right.span))
        return Quotient(left, right, left.span.to(right.span))

    def factor(self, children: Children) -> Node:
        if len(children) == 1:
            return children[0]  # type: ignore[no-any-return]
        sign, operand = children
        if sign == "+":
            return operand  # type: ignore[no-any-return]
        if isinstance(operand, Sum) and len(operand.terms) == 1:
            return Sum(((-operand.terms[0][0], operand.terms[0][1]),), self._span(children))
        return Sum(((-1, operand),), self._span(children))

    def run(self, children: Children) -> Node:
        items: list[Node] = []
        dots = set()
        for child in children:
            if isinstance(child, Token):
                dots.add(len(items))
            else:
                items.append(child)
        return Run(tuple(items), frozenset(dots), self._span(children))

    def item(self, children: Children) -> Node:
        base: Node = children[0]
        if len(children) - 1 > MAX_MARKS:
            raise GatecError(
                Diagnostic(
                    "E0507",
                    f"more than {MAX_MARKS} scripts, accents and primes on one name",
                    self._span(children),
                    "write one script with its parts: W_{a,b}",
                )
            )
        if isinstance(base, Token):
            base = self.name_atom([base])
        pending: list[Node] = []
        transposed = False
        for script in children[1:]:
            base, exponent, flip = self._attach(base, script)
            transposed = transposed or flip
            if exponent is not None:
                pending.append(exponent)
        span = self._span(children)
        if transposed:
            base = Transpose(base, span)
        for exponent in pending:
            base = Power(base, exponent, span)
        return base

    def _attach(self, base: Node, script: Script) -> tuple[Node, Node | None, bool]:
        named = isinstance(base, Symbol)
        name = base.key.base if isinstance(base, Symbol) else None
        if not named and [str(token) for token in scripts.unwrap(script.content)] == ["+"]:
            span = base.span.to(self.source.span(base.span.start, script.end_pos or 0))
            return Call("relu", (base,), span, span), None, False  # [x]_+, the positive part
        meaning = scripts.read(script, self.context, name)
        if meaning.exponent:
            inner = scripts.unwrap(meaning.exponent)
            exponent = parse(inner, self.source, self.context, "sum")
            return base, exponent, False
        if meaning.transposed:
            return base, None, True
        if isinstance(base, Symbol):
            return self._mark(base, meaning, script), None, False
        if isinstance(base, Norm) and meaning.labels:
            span = base.span.to(self.source.span(base.span.start, script.end_pos or 0))
            return Norm(base.kind, base.arg, meaning.labels[0], span), None, False
        if meaning.component or named:
            return base, None, False
        what = "time index" if meaning.time is not None else "label"
        raise GatecError(
            Diagnostic(
                "E0108",
                f"a bracket takes no {what}",
                self.source.span(script.start_pos or 0, script.end_pos or 0),
                "put the index on the names inside, or give the bracket a name of its own",
            )
        )

    def _mark(self, base: Symbol, meaning: scripts.Meaning, script: Script) -> Symbol:
        key = base.key
        sub, sup = key.sub, key.sup
        if script.above:
            sup = (*sup, *meaning.labels)
        else:
            sub = (*sub, *meaning.labels)
        span = base.span.to(self.source.span(script.start_pos or 0, script.end_pos or 0))
        if meaning.time is not None and base.time is not None and meaning.time != base.time:
            raise GatecError(
                Diagnostic(
                    "E0208", f"'{key}' has two time indices", span, "one name stands at one time"
                )
            )
        made = Key(
            key.base, (*key.accents, *meaning.accents), sub, sup, key.primes + meaning.primes
        )
        time = meaning.time if meaning.time is not None else base.time
        return Symbol(made, time, base.whole, base.component or meaning.component, span)

    def number(self, children: Children) -> Number:
        token = children[0]
        span = self._span(children)
        digits = sum(char.isdigit() for char in token)
        if digits > MAX_DIGITS or (
            "e" in token.lower() and abs(int(token.lower().split("e")[1][:6])) > 400
        ):
            raise GatecError(
                Diagnostic(
                    "E0503",
                    "this number is too long",
                    span,
                    f"at most {MAX_DIGITS} digits, exponents up to 400",
                )
            )
        if len(token) == 1 and not token.isdigit():  # ½
            fraction = Fraction(unicodedata.numeric(token)).limit_denominator(10)
            return Number(fraction, str(fraction), span)
        return Number(Fraction(str(token)), str(token), span)

    def name_atom(self, children: Children) -> Symbol:
        token = children[0]
        name = scripts.name_of(token)
        whole = (
            isinstance(token, Whole)
            or token.startswith("\\")
            or len(token) == 1
            or name in GREEK_NAMES
        )
        if isinstance(token, Whole):
            name = "".join(char if char.isalnum() else "_" for char in name)
        return Symbol(Key(name), None, whole, False, self._span(children))

    def group(self, children: Children) -> Bracket:
        items: list[Node] = []
        separators: list[str] = []
        if len(children) == 3:
            for child in children[1]:
                if isinstance(child, Token):
                    separators.append(str(child))
                else:
                    items.append(child)
        kind = {"LPAR": "(", "LSQB": "["}.get(children[0].type, "{")
        return Bracket(kind, tuple(items), tuple(separators), self._span(children))

    def entries(self, children: Children) -> Children:
        return children

    def braces(self, children: Children) -> Node:
        inner: Node = children[1]
        if isinstance(inner, Run) and len(inner.items) == 1:
            inner = inner.items[0]
            if isinstance(inner, Symbol) and inner.whole:
                return replace(inner, span=self._span(children))
            return inner
        if isinstance(inner, (Run, Sum, Product, Quotient)):
            return Bracket("(", (inner,), (), self._span(children))
        return inner

    def norm(self, children: Children) -> Norm:
        return Norm(str(children[0])[0], children[1], "", self._span(children))

    def fraction(self, children: Children) -> Node:
        _, numerator, denominator = children
        return Quotient(numerator, denominator, self._span(children))

    def root(self, children: Children) -> Node:
        span = self._span(children)
        _, mark, index = str(children[0]).partition("[")
        index = index.rstrip("]").strip()
        if not mark or index == "2":
            return Call("sqrt", (children[1],), span, span)
        if not index.isdigit() or not 0 < int(index) <= MAX_POWER:
            raise GatecError(
                Diagnostic(
                    "E0108",
                    f"gatec does not know the root with index '{index}'",
                    span,
                    f"the index of a root is a whole number up to {MAX_POWER}",
                )
            )
        return Power(children[1], Number(Fraction(1, int(index)), f"1/{index}", span), span)

    def argument(self, children: Children) -> Node:
        return children[0]  # type: ignore[no-any-return]

    def accent(self, children: Children) -> Node:
        accent, inner = children
        if isinstance(inner, Bracket) and len(inner.items) == 1:
            inner = inner.items[0]
        if isinstance(inner, Run) and len(inner.items) == 1:
            inner = inner.items[0]
        if not isinstance(inner, Symbol):
            raise GatecError(
                Diagnostic(
                    "E0109",
                    f"the accent stands over an expression: {text(inner)}",
                    self._span(children),
                    "an accent is part of one name, as in \\tilde{c}",
                )
            )
        key = inner.key
        marked = Key(key.base, (*key.accents, str(accent)), key.sub, key.sup, key.primes)
        return Symbol(marked, inner.time, True, inner.component, self._span(children))

    def choose(self, children: Children) -> Node:
        return Bracket("(", (children[2],), (), self._span(children))

    def matrix(self, children: Children) -> Matrix:
        rows = tuple(tuple(child) for child in children if isinstance(child, list))
        return Matrix(rows, self._span(children))

    def row(self, children: Children) -> list[Node]:
        return [child for child in children if not isinstance(child, Token)]

    def cases(self, children: Children) -> Cases:
        branches = tuple(child for child in children if isinstance(child, tuple))
        return Cases(branches, self._span(children))

    def case(self, children: Children) -> tuple[Node, tuple[Comparison, ...]]:
        nodes = [child for child in children if not isinstance(child, Token)]
        return (nodes[0], nodes[1] if len(nodes) > 1 else ())

    def condition(self, children: Children) -> tuple[Comparison, ...]:
        return tuple(child for child in children if isinstance(child, Comparison))

    def comparison(self, children: Children) -> Any:
        if isinstance(children[0], Token):
            return None
        operators = tuple(str(child) for child in children[1::2])
        return Comparison(tuple(children[0::2]), operators, self._span(children))


def make_function(run: Node, body: Node, span: Span) -> Function | Declaration:
    """`\\phi(z) = …` or `\\phi = tanh` after the word `function`."""
    items = run.items if isinstance(run, Run) else (run,)
    head = items[0]
    if isinstance(head, Symbol) and len(items) == 1:
        return Function(head, (), body, span)
    if isinstance(head, Symbol) and len(items) == 2 and isinstance(items[1], Bracket):
        keys = []
        for entry in items[1].items:
            inner = entry.items[0] if isinstance(entry, Run) and len(entry.items) == 1 else entry
            if not isinstance(inner, Symbol):
                break
            keys.append(inner.key)
        else:
            return Function(head, tuple(keys), body, span)
    raise GatecError(
        Diagnostic(
            "E0401",
            "this is no function definition",
            span,
            "write `function f(z) = …` or `function f = tanh`",
        )
    )

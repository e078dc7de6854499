"""From syntax to typed nodes: names looked up, functions put in, every node with a type.

A `Typed` node says what it computes once its operands' kinds are known; `infer.py` finds the
kinds, `build.py` writes the IR.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from gatec.errors import Diagnostic, Span
from gatec.parse.vocabulary import MAX_EXPONENT, MAX_POWER
from gatec.resolve.calls import Calls, Scope
from gatec.resolve.constants import PI
from gatec.resolve.declarations import DeclaredSize
from gatec.resolve.dimensions import Dimensions
from gatec.resolve.quantities import Table
from gatec.resolve.references import References
from gatec.resolve.typed import Typed, constant, is_literal, mark_juxtaposed
from gatec.resolve.types import Solver, Type
from gatec.syntax import (
    Bracket,
    Call,
    Cases,
    Comparison,
    Key,
    Matrix,
    Node,
    Norm,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    Transpose,
    text,
)

_COMPARISONS = {"<": "lt", ">": "gt", "<=": "le", ">=": "ge", "==": "eq", "≤": "le", "≥": "ge",
                "⩽": "le", "⩾": "ge"}  # fmt: skip


class Elaborator:
    """Elaborates the right sides of a table's definitions."""

    def __init__(self, table: Table, solver: Solver, sizes: Mapping[str, DeclaredSize]) -> None:
        self.table, self.solver = table, solver
        self.diagnostics: list[Diagnostic] = []
        self.dimensions = Dimensions(table, sizes)
        self.references = References(table, self.diagnostics.append)
        self._calls = Calls(table, solver, self.node, self.diagnostics.append)

    def node(self, node: Node, scope: Scope | None = None) -> Typed:
        """The typed node of an expression; `scope` holds a function's arguments."""
        scope = {} if scope is None else scope
        match node:
            case Number():
                return self._number(node.value, node.span)
            case Symbol():
                return self._symbol(node, scope)
            case Bracket():
                return self._bracket(node, scope)
            case Sum():
                return self._sum(node, scope)
            case Product():
                return self._product(node, scope)
            case Quotient():
                before = self.dimensions.open
                args = [self.node(node.numerator, scope), self.node(node.denominator, scope)]
                made = Typed("div", Type(), node.span, args)
                self.dimensions.bind(made, before)
                return made
            case Power():
                return self._power(node, scope)
            case Transpose():
                return self._transpose(node, scope)
            case Call():
                return self._calls.call(node, scope)
            case Norm():
                return self._calls.norm(node, scope)
            case Matrix():
                rows = [
                    _join([self.node(cell, scope) for cell in row], 1, node.span)
                    for row in node.rows
                ]
                return _join(rows, 0, node.span)
            case Comparison():
                hint = "comparisons are the conditions of \\begin{cases}"
                message = "a comparison stands where a value is expected"
                self._error("E0310", message, node.span, hint)
                return self._tests(node, scope)[0]
            case Cases():
                return self._cases(node, scope)
        raise TypeError(f"no such syntax node: {node!r}")

    def _error(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, hint))

    def _number(self, value: Fraction, span: Span) -> Typed:
        return Typed("number", Type(0, (), span), span, data=value)

    # --- names ----------------------------------------------------------------------------------

    def _symbol(self, symbol: Symbol, scope: Scope) -> Typed:
        if symbol.time is None and symbol.key in scope:
            return scope[symbol.key]
        if not self.references.knows(symbol):
            special = self.dimensions.find(symbol) or self._special(symbol)
            if special is not None:
                return special
        quantity, lag = self.references.find(symbol)
        return Typed("ref", quantity.type, symbol.span, data=(quantity, lag))

    def _special(self, symbol: Symbol) -> Typed | None:
        """The identity matrix and pi, where the document means nothing else by the letters."""
        key = symbol.key
        if symbol.time is not None or (self.table.primed and key.primes):
            return None
        if key.base in ("I", "Id", "eye") and not key.accents and not key.sup:
            return Typed("identity", self.solver.square(symbol.span), symbol.span)
        if key == Key("pi"):
            return self._number(PI, symbol.span)
        return None

    # --- brackets and sums ----------------------------------------------------------------------

    def _bracket(self, node: Bracket, scope: Scope) -> Typed:
        if not node.items:
            self._error("E0306", "empty brackets", node.span, "write what they hold")
            return self._number(Fraction(0), node.span)
        items = [self.node(item, scope) for item in node.items]
        return _join(items, 0 if ";" in node.separators else 1, node.span)

    def _sum(self, node: Sum, scope: Scope) -> Typed:
        terms = []
        for sign, term in node.terms:
            typed = self.node(term, scope)
            if sign < 0:
                span = node.span if len(node.terms) == 1 else typed.span
                typed = Typed("neg", typed.type, span, [typed])
            terms.append(typed)
        return terms[0] if len(terms) == 1 else Typed("add", Type(), node.span, terms)

    # --- products and powers ----------------------------------------------------------------------

    def _product(self, node: Product, scope: Scope) -> Typed:
        before = self.dimensions.open
        factors = [self.node(factor, scope) for factor in node.factors]
        if node.elementwise:
            made = Typed("mul", Type(), node.span, factors, data=node.circled)
        else:
            factors = [self._ones(node, i) or factor for i, factor in enumerate(factors)]
            for factor in factors:
                mark_juxtaposed(factor)
            made = Typed("product", Type(), node.span, factors)
        self.dimensions.bind(made, before)
        return made

    def _ones(self, node: Product, place: int) -> Typed | None:
        """The vector of ones that a 1 beside a transposed vector is: `v \\mathbf{1}^\\top`."""
        factor = node.factors[place]
        beside = node.factors[max(0, place - 1) : place] + node.factors[place + 1 : place + 2]
        if (
            not isinstance(factor, Number)
            or factor.value != 1
            or not any(isinstance(other, Transpose) for other in beside)
        ):
            return None
        return Typed("ones", self.solver.of_rank(1, factor.span), factor.span)

    def _transpose(self, node: Transpose, scope: Scope) -> Typed:
        arg = self.node(node.arg, scope)
        if arg.kind == "number" and arg.data == 1:
            # \mathbf{1}^\top v: the vector of ones.
            return Typed("ones", self.solver.of_rank(1, node.span), node.span, row=True)
        mark_juxtaposed(arg)
        return Typed("transpose", Type(), node.span, [arg])

    def _power(self, node: Power, scope: Scope) -> Typed:
        base = self.node(node.base, scope)
        exponent = self.node(node.exponent, scope)
        value, number = constant(exponent), constant(base)
        whole = value is not None and value.denominator == 1
        if value is not None and whole and number and abs(value) <= MAX_EXPONENT:
            return self._number(number ** int(value), node.span)
        if value is None and exponent.kind == "pow" and is_literal(exponent):
            value = Fraction(1)  # what is wrong with it has been said
        elif (value is None and is_literal(exponent)) or (
            value is not None and whole and abs(value) > MAX_POWER
        ):
            shown = value if value is not None else text(node.exponent)
            hint = f"whole powers go up to {MAX_POWER}; use \\exp and \\log beyond"
            self._error("E0504", f"the power {shown} is too high", node.span, hint)
            value = Fraction(1)
        args = [base] if value is not None else [base, exponent]
        return Typed("pow", Type(), node.span, args, data=value)

    # --- cases ----------------------------------------------------------------------------------

    def _tests(self, node: Comparison, scope: Scope) -> list[Typed]:
        """`a < b < c` is two tests."""
        operands = [self.node(operand, scope) for operand in node.operands]
        return [
            Typed("compare", Type(), node.span, [left, right], data=_COMPARISONS[sign])
            for left, right, sign in zip(operands, operands[1:], node.operators, strict=False)
        ]

    def _cases(self, node: Cases, scope: Scope) -> Typed:
        values = [self.node(value, scope) for value, _ in node.branches]
        result = values[-1]
        for (_, conditions), value in list(zip(node.branches, values, strict=True))[-2::-1]:
            if not conditions:
                message = "only the last case may lack a condition"
                self._error("E0309", message, value.span, "write `if …` after it")
            otherwise, chosen = result, value
            for test in [t for c in reversed(conditions) for t in self._tests(c, scope)]:
                chosen = Typed("where", Type(), node.span, [test, chosen, otherwise])
            result = chosen
        return result


def _join(items: list[Typed], axis: int, span: Span) -> Typed:
    return items[0] if len(items) == 1 else Typed("concat", Type(), span, items, data=axis)

"""From syntax to typed nodes: names looked up, functions put in, every node with a type.

A `Typed` node says what it computes once its operands' kinds are known; `infer.py` finds the
kinds, `build.py` writes the IR.
"""

from __future__ import annotations

from fractions import Fraction

from gatec.errors import Diagnostic, Note, Span
from gatec.ops import OPS, Kind
from gatec.parse.vocabulary import MAX_EXPONENT, MAX_LAG, MAX_POWER
from gatec.resolve.constants import PI
from gatec.resolve.quantities import INPUT_LETTERS, Quantity, Table
from gatec.resolve.typed import Typed, constant, is_literal
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
    symbols,
    text,
)


class Elaborator:
    """Elaborates the right sides of a table's definitions."""

    def __init__(self, table: Table, solver: Solver) -> None:
        self.table, self.solver = table, solver
        self.diagnostics: list[Diagnostic] = []
        self._calls: list[Key] = []
        self._reported: set[Key] = set()  # names that are not defined

    @property
    def undefined(self) -> bool:
        return bool(self._reported)

    def node(self, node: Node, scope: dict[Key, Typed] | None = None) -> Typed:
        """The typed node of an expression; `scope` holds a function's arguments."""
        scope = scope or {}
        match node:
            case Number():
                return Typed("number", Type(0, (), node.span), node.span, data=node.value)
            case Symbol():
                return self._symbol(node, scope)
            case Bracket():
                return self._bracket(node, scope)
            case Sum():
                return self._sum(node, scope)
            case Product():
                factors = [self.node(factor, scope) for factor in node.factors]
                if node.elementwise:
                    return Typed("mul", Type(), node.span, factors, data=node.circled)
                return self._product(node, factors)
            case Quotient():
                args = [self.node(node.numerator, scope), self.node(node.denominator, scope)]
                return Typed("div", Type(), node.span, args)
            case Power():
                return self._power(node, scope)
            case Transpose():
                arg = self.node(node.arg, scope)
                if arg.kind == "number" and arg.data == 1:
                    # \mathbf{1}^\top v: the vector of ones.
                    ones = self.solver.of_rank(1, node.span)
                    return Typed("ones", ones, node.span, row=True)
                self._mark_juxtaposed(arg)
                return Typed("transpose", Type(), node.span, [arg])
            case Call():
                return self._call(node, scope)
            case Norm():
                return self._norm(node, scope)
            case Matrix():
                rows = [
                    self._join([self.node(cell, scope) for cell in row], 1, node.span)
                    for row in node.rows
                ]
                return self._join(rows, 0, node.span)
            case Comparison():
                return self._comparison(node, scope)
            case Cases():
                return self._cases(node, scope)
        raise TypeError(f"no such syntax node: {node!r}")

    # --- names ----------------------------------------------------------------------------------

    def _symbol(self, symbol: Symbol, scope: dict[Key, Typed]) -> Typed:
        if symbol.key in scope and symbol.time is None:
            return scope[symbol.key]
        table, key = self.table, symbol.key
        quantity, lag = table.lookup(symbol)
        if quantity is None:
            special = self._special(symbol)
            if special is not None:
                return special
            quantity, lag = self._undefined(symbol)
        quantity.used = True
        if quantity.kind == "number":
            return Typed("number", Type(0, (), symbol.span), symbol.span, data=PI)
        if quantity.kind in ("var", "input"):
            if lag < 0:
                self._error(
                    "E0209",
                    f"'{key}' is read at a later time than it is computed",
                    symbol.span,
                    "a recurrent cell reads the present and the past; shift the indices",
                )
                lag = 1
            if lag > MAX_LAG:
                self._error(
                    "E0508",
                    f"'{key}' is read {lag} steps back",
                    symbol.span,
                    f"at most {MAX_LAG} steps are kept",
                )
                lag = 1
            quantity.lags.add(lag)
        elif symbol.time is not None and quantity.kind in ("param", "const"):
            self._error(
                "E0210",
                f"'{key}' is a {_WORDS[quantity.kind]}, it has no time",
                symbol.span,
                f"write it without the index, or declare `input {key}`",
                (Note("it is declared here", quantity.span),) if quantity.declared else (),
            )
        return Typed("ref", quantity.type, symbol.span, data=(quantity, lag))

    def _special(self, symbol: Symbol) -> Typed | None:
        """The identity matrix and pi, where the document means nothing else by the letters."""
        key = symbol.key
        if symbol.time is not None or (self.table.primed and key.primes):
            return None
        if key.base in ("I", "Id", "eye") and not key.accents and not key.sup:
            return Typed("identity", self._square(symbol.span), symbol.span)
        if key == Key("pi"):
            return Typed("number", Type(0, (), symbol.span), symbol.span, data=PI)
        return None

    def _square(self, span: Span) -> Type:
        type_ = self.solver.of_rank(2, span)
        self.solver.sizes.unify(type_.dims[0], type_.dims[1])
        return type_

    def _undefined(self, symbol: Symbol) -> tuple[Quantity, int]:
        """A name no equation defines: an input where it is timed, else a parameter."""
        table = self.table
        key, offset = table.reference_key(symbol)
        if symbol.time is not None or (table.primed and symbol.key.primes):
            self._check_known(symbol, key)
            newest = max([offset, 0, *self._offsets(key)]) if not table.primed else 0
            quantity = Quantity(
                key,
                "input",
                symbol.span,
                offset=newest,
                timed=True,
                rule="timed, and no equation defines it",
            )
            lag = newest - offset
        elif self._is_plain_input(key):
            quantity = Quantity(key, "input", symbol.span, rule="the usual letter of the input")
            lag = 0
        else:
            if key.plain and key.base == table.module.index:
                self._error(
                    "E0211",
                    f"the time index '{key}' is no value",
                    symbol.span,
                    "give the cell an input that counts the steps",
                )
            quantity = Quantity(
                key, "param", symbol.span, rule="it has no time index and no equation defines it"
            )
            lag = 0
        table.quantities[key] = quantity
        return quantity, lag

    def _offsets(self, key: Key) -> list[int]:
        return self._timed.get(key, [])

    def _is_plain_input(self, key: Key) -> bool:
        return key.plain and key.base in ("x", "u") and self.plain_inputs

    def survey(self) -> None:
        """Note every timed use of the names that no equation defines."""
        table = self.table
        self._timed: dict[Key, list[int]] = {}
        primed: set[Key] = set()
        for definition in table.definitions:
            for symbol in symbols(definition.right):
                key, offset = table.reference_key(symbol)
                if key in table.quantities:
                    continue
                if symbol.time is not None:
                    self._timed.setdefault(key, []).append(offset)
                elif table.primed and symbol.key.primes:
                    primed.add(key)
        declared = [q for q in table.quantities.values() if q.kind == "input"]
        self.plain_inputs = not self._timed and not declared
        self._declared_inputs(declared)
        if table.primed and primed:
            for key in primed:
                # x' is the present input, x the one before.
                symbol = next(
                    s
                    for d in table.definitions
                    for s in symbols(d.right)
                    if table.reference_key(s) == (key, 0)
                )
                table.quantities[key] = Quantity(
                    key, "input", symbol.span, timed=True, rule="primed, and no equation defines it"
                )
            self.plain_inputs = False

    def _declared_inputs(self, declared: list[Quantity]) -> None:
        """The newest use of a declared input is its present, as for those found by use."""
        table = self.table
        offsets: dict[Key, list[int]] = {}
        primed: set[Key] = set()
        for definition in table.definitions:
            for symbol in symbols(definition.right):
                key, offset = table.reference_key(symbol)
                if symbol.time is not None:
                    offsets.setdefault(key, []).append(offset)
                elif table.primed and symbol.key.primes:
                    primed.add(key)
        for quantity in declared:
            if table.primed:
                quantity.timed = quantity.key in primed
            else:
                quantity.offset = max([0, *offsets.get(quantity.key, ())])

    def _check_known(self, symbol: Symbol, key: Key) -> None:
        """Report a timed name that is more likely misspelt than an input."""
        table = self.table
        if key in table.module.broken:
            return  # its equation has an error of its own
        declared = [q for q in table.quantities.values() if q.kind == "input" and q.declared]
        unused = {q.key for q in table.quantities.values() if q.kind == "var"} - self._read_keys()
        similar = table.suggestion(key, unused)
        usual = key.base in INPUT_LETTERS
        only_past = all(offset < 0 for offset in self._offsets(key)) and not usual
        others = [k for k in self._timed if k != key and k.base in INPUT_LETTERS]
        hint = None
        if declared:
            near = table.suggestion(key, table.quantities)
            hint = f"did you mean '{near}'?" if near else f"define it, or declare `input {key}`"
        elif similar:
            hint = f"did you mean '{similar}'? Nothing reads that one"
        elif only_past and others:
            near = table.suggestion(key, table.quantities)
            hint = (f"did you mean '{near}'? " if near else "") + (
                f"Nothing defines it at t; if it is an input, say `input {key}`"
            )
        if hint and key not in self._reported:
            self._reported.add(key)
            self._error("E0201", f"'{key}' is not defined", symbol.span, hint)

    def _read_keys(self) -> set[Key]:
        if not hasattr(self, "_reads"):
            self._reads = {
                self.table.reference_key(symbol)[0]
                for definition in self.table.definitions
                for symbol in symbols(definition.right)
            }
            if self.table.definitions:
                last = self.table.definitions[-1].names[-1]
                self._reads.add(self.table.defined_key(last)[0])
            for declaration in self.table.module.declarations:
                if declaration.kind in ("output", "state"):
                    self._reads |= {name.key for name in declaration.names}
        return self._reads

    # --- brackets and sums ----------------------------------------------------------------------

    def _bracket(self, node: Bracket, scope: dict[Key, Typed]) -> Typed:
        items = [self.node(item, scope) for item in node.items]
        if not items:
            self._error("E0306", "empty brackets", node.span, "write what they hold")
            return Typed("number", Type(0, (), node.span), node.span, data=Fraction(0))
        if len(items) == 1:
            return items[0]
        axis = 0 if ";" in node.separators else 1
        return self._join(items, axis, node.span)

    def _join(self, items: list[Typed], axis: int, span: Span) -> Typed:
        if len(items) == 1:
            return items[0]
        return Typed("concat", Type(), span, items, data=axis)

    def _sum(self, node: Sum, scope: dict[Key, Typed]) -> Typed:
        terms = []
        for sign, term in node.terms:
            typed = self.node(term, scope)
            if sign < 0:
                typed = Typed("neg", typed.type, typed.span, [typed])
            terms.append(typed)
        if len(terms) == 1:
            terms[0].span = node.span if node.span is not None else terms[0].span
            return terms[0]
        return Typed("add", Type(), node.span, terms)

    # --- products -------------------------------------------------------------------------------

    def _product(self, node: Product, factors: list[Typed]) -> Typed:
        for factor in factors:
            self._mark_juxtaposed(factor)
        return Typed("product", Type(), node.span, factors)

    def _mark_juxtaposed(self, typed: Typed) -> None:
        inner = typed
        while inner.kind in ("transpose", "neg"):
            inner = inner.args[0]
        if inner.kind == "ref":
            inner.data[0].juxtaposed = True

    def _power(self, node: Power, scope: dict[Key, Typed]) -> Typed:
        base = self.node(node.base, scope)
        exponent = self.node(node.exponent, scope)
        value, number = constant(exponent), constant(base)
        if value is not None and number and value.denominator == 1 and abs(value) <= MAX_EXPONENT:
            kind = Type(0, (), node.span)
            return Typed("number", kind, node.span, data=number ** int(value))
        too_high = value is not None and value.denominator == 1 and abs(value) > MAX_POWER
        if too_high or (value is None and is_literal(exponent)):
            shown = value if value is not None else text(node.exponent)
            self._error(
                "E0504",
                f"the power {shown} is too high",
                node.span,
                "integer powers up to 64 are compiled; use \\exp and \\log beyond",
            )
            value = Fraction(1)
        return Typed(
            "pow", Type(), node.span, [base] if value is not None else [base, exponent], data=value
        )

    # --- functions ------------------------------------------------------------------------------

    def _call(self, node: Call, scope: dict[Key, Typed]) -> Typed:
        if isinstance(node.name, Key):
            return self._user_function(node, scope)
        args = [self.node(arg, scope) for arg in node.args]
        name = node.name
        expected = _ARITIES.get(name, (1, 1))
        if name == "norm" and len(args) == 1:
            return Typed("norm", Type(0), node.span, args, data="norm")
        if not expected[0] <= len(args) <= expected[1]:
            wants = str(expected[0]) if expected[0] == expected[1] else f"{expected[0]} or more"
            self._error(
                "E0307",
                f"{name} takes {wants} argument{'s' * (wants != '1')}, not {len(args)}",
                node.span,
            )
            args = (args * 3)[: expected[0]]
        match name:
            case "identity":
                return args[0]
            case "concat":
                return self._join(args, 0, node.span)
            case "diag":
                return Typed("diag", self._square(node.span), node.span, args)
            case "mul":
                return Typed("mul", Type(), node.span, args, data=True)
            case "outer" | "dot" | "transpose":
                for arg in args:
                    self._mark_juxtaposed(arg)
                if name == "transpose":
                    return Typed("transpose", Type(), node.span, args)
                flipped = 1 if name == "outer" else 0
                factors = list(args)
                factors[flipped] = Typed("transpose", Type(), node.span, [args[flipped]])
                return Typed("product", Type(), node.span, factors)
            case "clip":
                low = Typed("call", Type(), node.span, [args[0], args[1]], data="max")
                return Typed("call", Type(), node.span, [low, args[2]], data="min")
            case "max" | "min":
                return self._extremum(name, args, node.span)
            case "layer_norm" | "rms_norm":
                normed = Typed("call", Type(), node.span, args[:1], data=name)
                if len(args) > 1:
                    normed = Typed("mul", Type(), node.span, [args[1], normed], data=True)
                if len(args) > 2:
                    normed = Typed("add", Type(), node.span, [normed, args[2]])
                return normed
        row = OPS[name]
        if row.kind is Kind.REDUCTION:
            return Typed("norm", Type(0, (), node.span), node.span, args, data=name)
        return Typed("call", Type(), node.span, args, data=name)

    def _extremum(self, name: str, args: list[Typed], span: Span) -> Typed:
        if len(args) == 1:
            if name == "max":
                return Typed("norm", Type(0, (), span), span, args, data="amax")
            flipped = Typed("neg", args[0].type, span, args)
            largest = Typed("norm", Type(0, (), span), span, [flipped], data="amax")
            return Typed("neg", largest.type, span, [largest])
        result = args[0]
        for arg in args[1:]:
            result = Typed("call", Type(), span, [result, arg], data=name)
        return result

    def _user_function(self, node: Call, scope: dict[Key, Typed]) -> Typed:
        assert isinstance(node.name, Key)
        function = self.table.functions[node.name]
        if node.name in self._calls:
            self._error(
                "E0212",
                f"the function '{node.name}' is defined through itself",
                function.span,
                "a function's body may use functions defined otherwise",
            )
            return Typed("number", Type(0, (), node.span), node.span, data=Fraction(0))
        args = [self.node(arg, scope) for arg in node.args]
        self._calls.append(node.name)
        try:
            if not function.parameters:
                return self._alias(function.body, node, args, scope)
            if len(function.parameters) != len(args):
                self._error(
                    "E0307",
                    f"'{node.name}' takes {len(function.parameters)} arguments, not {len(args)}",
                    node.span,
                    None,
                    (Note("it is defined here", function.span),),
                )
                return Typed("number", Type(0, (), node.span), node.span, data=Fraction(0))
            return self.node(function.body, dict(zip(function.parameters, args, strict=True)))
        finally:
            self._calls.pop()

    def _alias(self, body: Node, node: Call, args: list[Typed], scope: dict[Key, Typed]) -> Typed:
        """`function \\phi = tanh`: the body is a function's name."""
        from gatec.parse.juxtapose import Names

        if isinstance(body, Symbol):
            if body.key in self.table.functions:
                return self._user_function(Call(body.key, node.args, node.span, node.place), scope)
            operator = Names(None).builtin(body.key)
            if operator is not None:
                return self._call(Call(operator, node.args, node.span, node.place), scope)
        near = (
            self.table.suggestion(body.key, [Key(n) for n in OPS])
            if isinstance(body, Symbol)
            else None
        )
        self._error(
            "E0204",
            f"'{text(body)}' is no function",
            body.span,
            f"did you mean '{near}'?"
            if near
            else "name one that gatec knows, such as "
            "tanh, sigmoid, relu or softplus, or write `function f(z) = …`",
        )
        return args[0] if args else Typed("number", Type(0), node.span, data=Fraction(0))

    def _norm(self, node: Norm, scope: dict[Key, Typed]) -> Typed:
        arg = self.node(node.arg, scope)
        if node.kind == "|":
            return Typed("call", Type(), node.span, [arg], data="abs")
        name = {"": "norm", "2": "norm", "F": "norm", "1": "norm1"}.get(node.index)
        if node.index in ("infty", "∞"):
            absolute = Typed("call", Type(), node.span, [arg], data="abs")
            return Typed("norm", Type(0, (), node.span), node.span, [absolute], data="amax")
        if name is None:
            self._error(
                "E0308",
                f"gatec does not know the norm with index '{node.index}'",
                node.span,
                "write its formula; 1, 2 and \\infty are known",
            )
        return Typed("norm", Type(0, (), node.span), node.span, [arg], data=name or "norm")

    # --- cases ----------------------------------------------------------------------------------

    def _comparison(self, node: Comparison, scope: dict[Key, Typed]) -> Typed:
        self._error(
            "E0310",
            "a comparison stands where a value is expected",
            node.span,
            "comparisons are the conditions of \\begin{cases}",
        )
        return self._tests(node, scope)[0]

    def _tests(self, node: Comparison, scope: dict[Key, Typed]) -> list[Typed]:
        """`a < b < c` is two tests."""
        operands = [self.node(operand, scope) for operand in node.operands]
        return [
            Typed("compare", Type(), node.span, [left, right], data=_COMPARISONS[sign])
            for left, right, sign in zip(operands, operands[1:], node.operators, strict=False)
        ]

    def _cases(self, node: Cases, scope: dict[Key, Typed]) -> Typed:
        values = [self.node(value, scope) for value, _ in node.branches]
        result = values[-1]
        for (_, conditions), value in list(zip(node.branches, values, strict=True))[-2::-1]:
            if not conditions:
                self._error(
                    "E0309",
                    "only the last case may lack a condition",
                    value.span,
                    "write `if …` after it",
                )
            otherwise, chosen = result, value
            for test in [t for c in reversed(conditions) for t in self._tests(c, scope)]:
                chosen = Typed("where", Type(), node.span, [test, chosen, otherwise])
            result = chosen
        return result

    def _error(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        notes: tuple[Note, ...] = (),
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, hint, notes))


_WORDS = {"param": "parameter", "const": "constant", "input": "input", "var": "quantity"}
_COMPARISONS = {"<": "lt", ">": "gt", "<=": "le", ">=": "ge", "==": "eq", "≤": "le", "≥": "ge",
                "⩽": "le", "⩾": "ge"}  # fmt: skip
_ARITIES: dict[str, tuple[int, int]] = {
    "max": (1, 64), "min": (1, 64), "concat": (1, 64), "outer": (2, 2), "dot": (2, 2),
    "mul": (2, 64), "clip": (3, 3), "layer_norm": (1, 3), "rms_norm": (1, 2),
}  # fmt: skip


__all__ = ["INPUT_LETTERS", "Elaborator", "Typed", "constant"]

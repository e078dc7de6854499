"""Functions applied: the operators of the table, and what a text defines itself."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from gatec.errors import Diagnostic, Note, Span
from gatec.ops import FUNCTIONS, OPS, Kind
from gatec.parse.known import Names
from gatec.parse.suggest import nearest
from gatec.parse.vocabulary import MAX_DEPTH
from gatec.resolve.quantities import Table
from gatec.resolve.typed import Typed, mark_juxtaposed
from gatec.resolve.types import Solver, Type
from gatec.syntax import Call, Function, Key, Node, Norm, Symbol, text, walk

Scope = dict[Key, Typed]
Elaborate = Callable[[Node, Scope], Typed]

_MAX_PUT_IN = 50_000  # nodes of functions' bodies
_ARITIES: dict[str, tuple[int, int]] = {
    "max": (1, 64), "min": (1, 64), "concat": (1, 64), "outer": (2, 2), "dot": (2, 2),
    "mul": (2, 64), "clip": (3, 3), "layer_norm": (1, 3), "rms_norm": (1, 2),
}  # fmt: skip


class Calls:
    """Elaborates calls; `node` elaborates an expression in a scope of a function's arguments."""

    def __init__(
        self,
        table: Table,
        solver: Solver,
        node: Elaborate,
        report: Callable[[Diagnostic], None],
    ) -> None:
        self.table, self.solver, self.node, self.report = table, solver, node, report
        self._open: list[Key] = []  # functions whose bodies are being put in
        self._put_in = 0

    def call(self, node: Call, scope: Scope) -> Typed:
        args = [self.node(arg, scope) for arg in node.args]
        if isinstance(node.name, Key):
            return self._defined(node, node.name, args)
        return self._operator(node.name, args, node.span)

    def norm(self, node: Norm, scope: Scope) -> Typed:
        arg = self.node(node.arg, scope)
        if node.kind == "|":
            return self._applied("abs", [arg], node.span)
        if node.index in ("infty", "∞"):
            return self._reduced("amax", self._applied("abs", [arg], node.span), node.span)
        name = {"": "norm", "2": "norm", "F": "norm", "1": "norm1"}.get(node.index)
        if name is None:
            message = f"gatec does not know the norm with index '{node.index}'"
            hint = "write its formula; 1, 2 and \\infty are known"
            self.report(Diagnostic("E0308", message, node.span, hint))
        return self._reduced(name or "norm", arg, node.span)

    def _applied(self, operator: str, args: list[Typed], span: Span) -> Typed:
        return Typed("call", Type(), span, args, data=operator)

    def _reduced(self, operator: str, arg: Typed, span: Span) -> Typed:
        return Typed("norm", Type(0, (), span), span, [arg], data=operator)

    # --- operators --------------------------------------------------------------------------------

    def _operator(self, name: str, args: list[Typed], span: Span) -> Typed:
        least, most = _ARITIES.get(name, (1, 1))
        if not least <= len(args) <= most:
            wants = str(least) if least == most else f"{least} or more"
            plural = "" if wants == "1" else "s"
            message = f"{name} takes {wants} argument{plural}, not {len(args)}"
            self.report(Diagnostic("E0307", message, span))
            args = (args * 3)[:least]
        match name:
            case "identity":
                return args[0]
            case "concat":
                joined = Typed("concat", Type(), span, args, data=0)
                return args[0] if len(args) == 1 else joined
            case "diag":
                return Typed("diag", self.solver.square(span), span, args)
            case "mul":
                return Typed("mul", Type(), span, args, data=True)
            case "outer" | "dot" | "transpose":
                return self._product(name, args, span)
            case "clip":
                low = self._applied("max", args[:2], span)
                return self._applied("min", [low, args[2]], span)
            case "max" | "min":
                return self._extremum(name, args, span)
            case "layer_norm" | "rms_norm":
                return self._normed(name, args, span)
        if OPS[name].kind is Kind.REDUCTION:
            return self._reduced(name, args[0], span)
        return self._applied(name, args, span)

    def _product(self, name: str, args: list[Typed], span: Span) -> Typed:
        for arg in args:
            mark_juxtaposed(arg)
        if name == "transpose":
            return Typed("transpose", Type(), span, args)
        factors = list(args)
        flipped = 1 if name == "outer" else 0
        factors[flipped] = Typed("transpose", Type(), span, [args[flipped]])
        return Typed("product", Type(), span, factors)

    def _normed(self, name: str, args: list[Typed], span: Span) -> Typed:
        """LayerNorm(x), perhaps with its gain and bias as further arguments."""
        normed = self._applied(name, args[:1], span)
        if len(args) > 1:
            normed = Typed("mul", Type(), span, [args[1], normed], data=True)
        if len(args) > 2:
            # Marked as the product is: a small Greek bias is a vector, as the gain is.
            normed = Typed("add", Type(), span, [normed, args[2]], data=True)
        return normed

    def _extremum(self, name: str, args: list[Typed], span: Span) -> Typed:
        if len(args) == 1:
            if name == "max":
                return self._reduced("amax", args[0], span)
            flipped = Typed("neg", args[0].type, span, args)
            largest = self._reduced("amax", flipped, span)
            return Typed("neg", largest.type, span, [largest])
        result = args[0]
        for arg in args[1:]:
            result = self._applied(name, [result, arg], span)
        return result

    # --- functions of the text --------------------------------------------------------------------

    def _defined(self, node: Call, key: Key, args: list[Typed]) -> Typed:
        function = self.table.functions[key]
        nothing = Typed("number", Type(0, (), node.span), node.span, data=Fraction(0))
        if not self._affordable(function, node.span):
            return nothing
        if key in self._open:
            message = f"the function '{key}' is defined through itself"
            hint = "a function's body may use functions defined otherwise"
            self.report(Diagnostic("E0212", message, function.span, hint))
            return nothing
        self._open.append(key)
        try:
            if not function.parameters:
                return self._alias(function.body, node, args)
            if len(function.parameters) != len(args):
                message = f"'{key}' takes {len(function.parameters)} arguments, not {len(args)}"
                note = Note("it is defined here", function.span)
                self.report(Diagnostic("E0307", message, node.span, None, (note,)))
                return nothing
            scope = dict(zip(function.parameters, args, strict=True))
            return self.node(function.body, scope)
        finally:
            self._open.pop()

    def _affordable(self, function: Function, span: Span) -> bool:
        """Whether a body may be put in once more: functions of functions grow without end."""
        if len(self._open) >= MAX_DEPTH:
            message = f"functions nested more than {MAX_DEPTH} deep"
            hint = "define the function by its formula"
            self.report(Diagnostic("E0501", message, span, hint))
            return False
        before = self._put_in
        self._put_in += sum(1 for _ in walk(function.body))
        if before <= _MAX_PUT_IN < self._put_in:
            message = "the functions of this text expand to too much"
            hint = "give parts names with equations of their own"
            self.report(Diagnostic("E0505", message, span, hint))
        return self._put_in <= _MAX_PUT_IN

    def _alias(self, body: Node, node: Call, args: list[Typed]) -> Typed:
        """`function \\phi = tanh`: the body is a function's name."""
        near = None
        if isinstance(body, Symbol):
            if body.key in self.table.functions:
                return self._defined(node, body.key, args)
            operator = Names(None).builtin(body.key)
            if operator is not None:
                return self._operator(operator, args, node.span)
            near = nearest(body.key.base.lower(), FUNCTIONS)
        hint = (
            f"did you mean '{near}'?"
            if near
            else "name one that gatec knows, such as tanh, sigmoid, relu or softplus, or write "
            "`function f(z) = …`"
        )
        self.report(Diagnostic("E0204", f"'{text(body)}' is no function", body.span, hint))
        return args[0] if args else Typed("number", Type(0), node.span, data=Fraction(0))

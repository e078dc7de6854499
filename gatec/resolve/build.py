"""Write the IR of typed nodes whose kinds and sizes are all known."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from gatec.errors import Diagnostic
from gatec.expr import (
    Apply,
    Broadcast,
    Concat,
    Const,
    Expr,
    Identity,
    Ref,
    Shape,
    SizeValue,
    Slice,
    call,
)
from gatec.resolve.dimensions import dim
from gatec.resolve.quantities import Quantity
from gatec.resolve.typed import Typed
from gatec.resolve.types import Solver


class Builder:
    """Builds expressions; `name` gives a quantity its generated name."""

    def __init__(self, solver: Solver, name: Callable[[Quantity], str]) -> None:
        self.solver, self.name = solver, name
        self.batched: dict[str, bool] = {}  # of the equations built so far
        self.additive: dict[str, bool] = {}  # parameter -> only ever a term of a batched sum
        self.diagnostics: list[Diagnostic] = []
        self._done: dict[int, Expr] = {}

    def expr(self, root: Typed) -> Expr:
        """The expression of a typed tree, without recursion (a tree may be 10,000 terms long)."""
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if id(node) in self._done:
                continue
            operands = [node.settled] if node.settled is not None else node.args
            if not ready:
                stack.append((node, True))
                stack.extend((arg, False) for arg in operands)
                continue
            args = [self._done[id(arg)] for arg in operands]
            made = args[0] if node.settled is not None else self._make(node, args)
            self._note_parameters(node, made)
            self._done[id(node)] = made
        if root.kind == "ref":
            self._bare(root)
        return self._done[id(root)]

    def shape(self, node: Typed) -> Shape:
        return self.solver.shape(node.type)

    def _make(self, node: Typed, args: list[Expr]) -> Expr:
        span = node.span
        match node.kind:
            case "number":
                return Const(node.data, span)
            case "ref":
                return self._reference(node)
            case "scaled":
                return call("mul", *args, span=span)
            case "neg" | "add" | "mul" | "div" | "matvec" | "matmul" | "outer" | "dot":
                return self._operation(node, args)
            case "rows":
                return call("matvec", _transposed(args[1]), args[0], span=span)
            case "pow":
                return self._power(node, args)
            case "call" | "compare":
                return self._call(node, args)
            case "where":
                return call("where", *args, span=span)
            case "transpose":
                return _transposed(args[0]) if args[0].rank == 2 else args[0]
            case "concat":
                axis = node.data if len(self.shape(node)) == 2 else 0
                return Concat(tuple(args), axis, span)
            case "norm":
                return self._reduction(node, args[0])
            case "identity":
                return Identity(self.shape(node)[0], span)
            case "size":
                return self._size(node)
            case "ones":
                return Broadcast(Const(Fraction(1)), self.shape(node), span)
            case "diag":
                size = self.shape(node)[0]
                return call("mul", _rows_of(args[0]), Identity(size), span=span)
            case "part":
                position, _ = node.data
                size = self.shape(node)[0]
                return Slice(args[0], 0, size * position, size * (position + 1), span)
        raise TypeError(f"no such typed node: {node.kind}")

    def _reference(self, node: Typed) -> Expr:
        quantity, lag = node.data
        shape, name = self.solver.shape(quantity.type), self.name(quantity)
        if quantity.kind != "var":
            return Ref(
                quantity.kind, name, shape, lag if quantity.kind == "input" else 0, span=node.span
            )
        if lag > 0:
            return Ref("state", name, shape, lag, span=node.span)
        return Ref("var", name, shape, 0, self.batched.get(name, True), span=node.span)

    def _operation(self, node: Typed, args: list[Expr]) -> Expr:
        diagonal = [_diagonal(arg) for arg in node.args]
        if node.kind == "matvec" and diagonal[0] is not None:
            return call("mul", self._done[id(diagonal[0])], args[1], span=node.span)
        if node.kind == "matmul" and diagonal[0] is not None:
            return call(
                "mul",
                _rows_of(self._done[id(diagonal[0])], args[1].shape[1]),
                args[1],
                span=node.span,
            )
        if node.kind == "matmul" and diagonal[1] is not None:
            vector = self._done[id(diagonal[1])]
            ones = Broadcast(Const(Fraction(1)), (args[0].shape[0],))
            return call("mul", args[0], call("outer", ones, vector), span=node.span)
        return call(node.kind, *args, span=node.span)

    def _power(self, node: Typed, args: list[Expr]) -> Expr:
        if args[0].rank == 2:
            inverse = node.data is not None and node.data < 0
            hint = (
                "gatec solves no linear systems: make what it computes a parameter of its own"
                if inverse
                else "write the products out, or use \\odot for element-wise powers"
            )
            what = "an inverse" if inverse else "a power"
            self.diagnostics.append(Diagnostic("E0311", f"{what} of a matrix", node.span, hint))
        value = node.data
        if value is None:
            return call("pow", args[0], args[1], span=node.span)
        if value == Fraction(1, 2):
            return call("sqrt", args[0], span=node.span)
        return args[0] if value == 1 else call("pow", args[0], Const(value), span=node.span)

    def _call(self, node: Typed, args: list[Expr]) -> Expr:
        if node.data in ("softmax", "layer_norm", "rms_norm") and args[0].rank != 1:
            self.diagnostics.append(
                Diagnostic(
                    "E0312",
                    f"{node.data} of a {('scalar', 'vector', 'matrix')[args[0].rank]}",
                    node.span,
                    "it is defined for vectors",
                )
            )
            return args[0]
        return call(node.data, *args, span=node.span)

    def _size(self, node: Typed) -> Expr:
        found = dim(node, self.solver)
        if isinstance(found, Diagnostic):
            self.diagnostics.append(found)
            return Const(Fraction(1), node.span)
        return SizeValue(found, node.span)

    def _reduction(self, node: Typed, arg: Expr) -> Expr:
        if arg.rank == 0:
            return call("abs", arg, span=node.span) if node.data in ("norm", "norm1") else arg
        return call(node.data, arg, span=node.span)

    # --- what a parameter is used for -----------------------------------------------------------

    def _note_parameters(self, node: Typed, made: Expr) -> None:
        for arg in node.args:
            inner = arg
            while inner.kind == "neg":
                inner = inner.args[0]
            if inner.kind == "ref" and inner.data[0].kind == "param" and node.kind != "neg":
                name = self.name(inner.data[0])
                added = node.kind == "add" and made.batched
                self.additive[name] = self.additive.get(name, True) and added

    def _bare(self, node: Typed) -> None:
        if node.data[0].kind == "param":
            self.additive[self.name(node.data[0])] = False


def _transposed(matrix: Expr) -> Expr:
    if isinstance(matrix, Apply) and matrix.op == "transpose":
        return matrix.args[0]
    return call("transpose", matrix, span=matrix.span)


def _rows_of(vector: Expr, columns: object = None) -> Expr:
    """The matrix whose row i is the i-th unit throughout: v 1^T."""
    width = vector.shape[0] if columns is None else columns
    return Apply("outer", (vector, Broadcast(Const(Fraction(1)), (width,))))  # type: ignore[arg-type]


def _diagonal(node: Typed) -> Typed | None:
    return node.args[0] if node.kind == "diag" else None

"""Juxtaposition: the product that the kinds allow.

Scalars multiply anything. A matrix times a vector is a vector, a column times a row (`v k^\\top`)
a matrix, a row times a column (`n^\\top q`) a scalar. Chains associate so that vectors come
first: `W U x` is two matrix-vector products, `S k k^\\top` an outer product of `S k` and `k`.
"""

from __future__ import annotations

from collections.abc import Callable

from gatec.errors import Diagnostic, Note, Span
from gatec.expr import Dim, Shape
from gatec.resolve.quantities import Quantity
from gatec.resolve.typed import Typed, is_parameter
from gatec.resolve.types import Solver, Type

MAX_FACTORS = 200


def fold(
    node: Typed,
    solver: Solver,
    diagnostics: list[Diagnostic],
    other_use: Callable[[Quantity, Typed], Note | None],
    *,
    rows: bool = False,
) -> Typed | None:
    """The product of factors whose kinds are all known; None after an error was reported.

    `rows`: the document writes vectors as rows (`x_t W`), so that `k^\\top v` is an outer product.
    """
    folder = _Folder(node, solver, diagnostics, rows)
    folder.other_use = other_use
    return folder.run()


def _quoted(typed: Typed) -> str:
    """An operand as the user wrote it, in parentheses where it is a sum."""
    written = " ".join(typed.span.text.split())
    return f"({written})" if typed.kind == "add" and not written.startswith("(") else written


class _Folder:
    def __init__(
        self, node: Typed, solver: Solver, diagnostics: list[Diagnostic], rows: bool
    ) -> None:
        self.node, self.solver, self.diagnostics = node, solver, diagnostics
        self.rows = rows
        self.other_use: Callable[[Quantity, Typed], Note | None] = lambda *_: None

    def run(self) -> Typed | None:
        scalars = [arg for arg in self.node.args if self._rank(arg) == 0]
        shaped = [arg for arg in self.node.args if self._rank(arg) != 0]
        if not shaped:
            return self._scaled(scalars, None)
        if len(shaped) > MAX_FACTORS:
            self._error(
                "E0506",
                f"a product of more than {MAX_FACTORS} matrices and vectors",
                shaped[0],
                shaped[-1],
                "give parts of it names with equations of their own",
            )
            return None
        result = self._chain(shaped)
        return None if result is None else self._scaled(scalars, result)

    def _rank(self, typed: Typed) -> int:
        rank = self.solver.known(typed.type)
        assert rank is not None
        return rank

    def _scaled(self, scalars: list[Typed], result: Typed | None) -> Typed:
        factors = scalars + ([result] if result is not None else [])
        if len(factors) == 1:
            return factors[0]
        kind = result.type if result is not None else Type(0, (), self.node.span)
        row = result is not None and self._is_row(result)
        return Typed("scaled", kind, self.node.span, factors, row=row)

    def _chain(self, factors: list[Typed]) -> Typed | None:
        """Fold from the right: `W U x` is two matrix-vector products."""
        result, rest = factors[-1], factors[:-1]
        scalars: list[Typed] = []
        while rest:
            kinds = (self._kind(rest[-1]), self._kind(result))
            if kinds == ("column", "row") or (kinds == ("column", "column") and len(rest) > 1):
                # All to the left is one factor: a column in u v^T, a scalar in w^T x h.
                left, rest = self._chain(rest), []
                if left is None:
                    return None
                if self._rank(left) == 0:
                    scalars.append(left)
                    break
            else:
                left = rest.pop()
            made = self._pair(left, result)
            if made is None:
                return None
            if self._rank(made) == 0 and rest:
                scalars.append(made)
                made = rest.pop()
            result = made
        return self._scaled(scalars, result) if scalars else result

    def _kind(self, typed: Typed) -> str:
        rank = self._rank(typed)
        return "matrix" if rank == 2 else "row" if self._is_row(typed) != self.rows else "column"

    def _is_row(self, typed: Typed) -> bool:
        """Whether a vector is transposed, as far as the text says so."""
        match typed.kind:
            case "neg":
                return self._is_row(typed.args[0])
            case "transpose":
                inner = typed.args[0]
                return self.solver.known(inner.type) == 1 and not self._is_row(inner)
            case "product":
                # One of unknown factors whose own kind the context gave begins like its result.
                return self._is_row(typed.settled or typed.args[0])
            case "add" | "mul" | "div" | "pow" | "call" | "where" | "concat":
                vectors = [
                    arg
                    for arg in typed.args
                    if self.solver.known(arg.type) == 1 and not is_parameter(arg)
                ]
                return bool(vectors) and all(map(self._is_row, vectors))
        return typed.row

    def _pair(self, left: Typed, right: Typed) -> Typed | None:
        kinds = (self._kind(left), self._kind(right))
        span = left.span.to(right.span) if left.span.source is right.span.source else right.span
        a, b = left.type.root().dims, right.type.root().dims
        match kinds:
            case ("matrix", "matrix"):
                return self._made("matmul", left, right, (a[0], b[1]), (a[1], b[0]), span)
            case ("matrix", "column"):
                made = self._made("matvec", left, right, (a[0],), (a[1], b[0]), span)
                if made is not None:
                    made.row = self.rows
                return made
            case ("matrix", "row") if not self._is_row(right):
                return self._made("matvec", left, right, (a[0],), (a[1], b[0]), span)
            case ("row", "matrix") | ("column", "matrix"):
                # Row vectors may be written without ^\top throughout: x_t W + h_{t-1} U + b.
                made = self._made("rows", left, right, (b[1],), (a[0], b[0]), span)
                if made is not None:
                    made.row = (kinds[0] == "row") != self.rows
                return made
            case ("row", "column"):
                return self._made("dot", left, right, (), (a[0], b[0]), span)
            case ("column", "row"):
                return self._made("outer", left, right, (a[0], b[0]), None, span)
            case ("matrix", "row"):
                self._error(
                    "E0301",
                    "a matrix stands next to a transposed vector",
                    left,
                    right,
                    "write the vector without ^\\top, or an outer product v k^\\top",
                )
                return None
        one, two = _quoted(left), _quoted(right)
        self._error(
            "E0301",
            "a vector stands next to a vector",
            left,
            right,
            f"write {one} \\odot {two} for the element-wise product, {one}^\\top {two} for the "
            f"inner product"
            + ("" if len(one) + len(two) > 40 else f", {one} {two}^\\top for the outer product")
            + _scalar_hint(left, right),
        )
        return None

    def _made(
        self,
        kind: str,
        left: Typed,
        right: Typed,
        shape: Shape,
        inner: tuple[Dim, Dim] | None,
        span: Span,
    ) -> Typed | None:
        sizes = self.solver.sizes
        report = self.solver.differing(span)
        if inner is not None and not sizes.unify(*inner, report):
            texts = self.solver.text(left.type), self.solver.text(right.type)
            self._error(
                "E0304",
                f"a {texts[0]} does not multiply a {texts[1]}",
                left,
                right,
                "the inner sizes must be equal",
            )
            return None
        return Typed(kind, Type(len(shape), shape, span), span, [left, right])

    def _error(self, code: str, message: str, left: Typed, right: Typed, hint: str) -> None:
        texts = self.solver.text(left.type), self.solver.text(right.type)
        self.diagnostics.append(
            Diagnostic(
                code,
                message,
                left.span.to(right.span) if left.span.source is right.span.source else right.span,
                hint,
                (
                    *(
                        self._why(typed, words)
                        for typed, words in zip((left, right), texts, strict=True)
                    ),
                    *self._elsewhere(left),
                ),
            )
        )

    def _elsewhere(self, typed: Typed) -> tuple[Note, ...]:
        """The other place that says what size a parameter has."""
        if typed.kind != "ref" or typed.data[0].kind != "param":
            return ()
        note = self.other_use(typed.data[0], self.node)
        return () if note is None else (note,)

    def _why(self, typed: Typed, words: str) -> Note:
        rule = ""
        if typed.kind == "ref" and typed.data[0].kind == "param" and typed.data[0].rule:
            rule = f" ({typed.data[0].rule})"
        return Note(f"this is a {words}{rule}", typed.span)


def _scalar_hint(*factors: Typed) -> str:
    """What to declare where one of two vectors is one by convention alone."""
    for typed in factors:
        if typed.kind == "ref" and typed.data[0].kind == "param" and not typed.data[0].declared:
            key = typed.data[0].key
            return f"; if {key} is a number, declare it: param {key} : scalar"
    return ""

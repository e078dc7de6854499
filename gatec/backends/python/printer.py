"""The printer of the Python family: expressions of the IR as text for NumPy or PyTorch.

A batched value carries leading dimensions before its units: `(T, B, *units)` over a whole
sequence, `(B, *units)` within a step. An unbatched value has its units only and broadcasts.
What differs between the libraries is a `Library`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gatec.backends.python.library import Library
from gatec.backends.python.spelling import (
    Text,
    bracketed,
    dim_precedence,
    number_function,
    number_text,
    range_text,
    shape_tuple,
    sum_text,
)
from gatec.expr import (
    Apply,
    Broadcast,
    Concat,
    Const,
    Dim,
    Expr,
    Identity,
    Ref,
    Shape,
    SizeValue,
    Slice,
)
from gatec.ops import ATOM, MULTIPLICATIVE, OPS, UNARY, Kind, Op


@dataclass
class Used:
    """What the printed code needs around it."""

    sizes: set[str] = field(default_factory=set)
    lead: bool = False  # the leading dimensions by name


class Printer:
    """Prints expressions for one place of the generated code.

    name      the text of a reference
    lead      the texts of the leading dimensions of batched values there
    helper    the name of the helper function for an operator and the rank of its operand
    numbers   equations whose values are Python numbers
    """

    def __init__(
        self,
        library: Library,
        name: Callable[[Ref], str],
        lead: tuple[str, ...],
        used: Used,
        helper: Callable[[str, int], str],
        numbers: set[str],
    ) -> None:
        self.library, self.name, self.lead = library, name, lead
        self.used, self.helper, self.numbers = used, helper, numbers

    # --- Interface --------------------------------------------------------------------------

    def value(self, expr: Expr) -> Text:
        """The text of an expression, without recursion: sums of thousands of terms are common.

        Where it is not `full`, its value only broadcasts to the expression's shape.
        """
        done: dict[Expr, Text] = {}
        stack = [(expr, False)]
        while stack:
            node, ready = stack.pop()
            if node in done:
                continue
            if ready or not node.children:
                done[node] = self._node(node, done)
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in node.children)
        return done[expr]

    def whole(self, expr: Expr, *, batched: bool | None = None) -> str:
        """The text of an array with every dimension present; `batched` adds the leading ones."""
        return self._whole(expr, self.value(expr), expr.batched if batched is None else batched)

    def size(self, dim: Dim) -> str:
        """A size as text."""
        self.used.sizes.update(name for name, _ in dim.terms)
        return str(dim)

    def shape(self, shape: Shape, *, batched: bool) -> str:
        """The text of a tuple: leading dimensions where batched, then the units."""
        lead = self.lead if batched else ()
        self.used.lead |= batched
        return shape_tuple([*lead, *(self.size(dim) for dim in shape)])

    # --- Nodes ------------------------------------------------------------------------------

    def _node(self, node: Expr, done: dict[Expr, Text]) -> Text:
        match node:
            case Const():
                code = number_text(node.value)
                return Text(code, UNARY if node.value < 0 else ATOM, number=True)
            case SizeValue():
                code = self.size(node.dim)
                return Text(code, dim_precedence(code), number=True)
            case Ref():
                number = node.kind == "const" or (node.kind == "var" and node.name in self.numbers)
                return Text(self.name(node), number=number)
            case Identity():
                return Text(self.library.identity(self.size(node.dim)))
            case Broadcast():
                inner = done[node.arg]
                if inner.number:
                    return inner
                return replace(self._widened(node.arg, inner, node.rank), full=False)
            case Slice():
                return self._slice(node, done[node.arg])
            case Concat():
                return self._concat(node, done)
            case Apply():
                return self._apply(node, done)
        raise TypeError(f"no text for {type(node).__name__}")

    def _apply(self, node: Apply, done: dict[Expr, Text]) -> Text:
        op = OPS[node.op]
        texts = [done[arg] for arg in node.args]
        if op.kind is Kind.POINTWISE:
            if all(text.number for text in texts):
                return self._number(op, node, texts)
            return self._pointwise(op, node, texts)
        if op.kind is Kind.CONTRACTION:
            return self._product(node, done)
        (arg,), (text,) = node.args, texts
        if op.kind is Kind.LAYOUT:
            return Text(self._transposed(arg, done))
        if op.kind is Kind.BATCH:
            return self._batch_sum(arg, done)
        if not arg.shape and op.kind is Kind.REDUCTION and op.definition is None:
            return text
        whole = self._whole(arg, text, arg.batched)
        if op.name in self.library.helpers:
            return Text(f"{self.helper(op.name, arg.rank)}({whole})")
        if op.name not in self.library.functions:
            return Text(self.library.template(op).format(whole))
        axes = "-1" if arg.rank == 1 else shape_tuple(str(i) for i in range(-arg.rank, 0))
        return Text(f"{self.library.functions[op.name]}({whole}, {self.library.axis}={axes})")

    def _number(self, op: Op, node: Apply, texts: list[Text]) -> Text:
        """A pointwise operator over Python numbers alone: Python's own arithmetic."""
        if op.name == "detach":
            return texts[0]
        if (op.infix and op.name != "pow") or op.name == "neg":
            return replace(self._operator(op, op.numpy, node.args, texts), number=True)
        if op.definition is not None:
            return self.value(op.definition(*node.args))
        return number_function(op.name, texts)

    def _pointwise(self, op: Op, node: Apply, texts: list[Text]) -> Text:
        full = any(
            text.full and arg.shape == node.shape and not text.number
            for arg, text in zip(node.args, texts, strict=True)
        )
        texts = [
            self._widened(arg, text, node.rank) for arg, text in zip(node.args, texts, strict=True)
        ]
        if op.name in ("max", "min", "where"):
            texts = self._arrays(op, texts)
        template = self.library.template(op)
        if op.name in self.library.helpers:
            template = self.helper(op.name, 0) + "({0})"
        if op.name == "pow":
            function = self.library.functions.get("pow", f"{self.library.prefix}.pow")
            return Text(f"{function}({texts[0].code}, {texts[1].code})", full=full)
        if op.infix or op.precedence != ATOM:
            return replace(self._operator(op, template, node.args, texts), full=full)
        if template == "{0}":
            return texts[0]
        inner = [
            bracketed(text, ATOM) if f"{{{i}}}." in template else text.code
            for i, text in enumerate(texts)
        ]
        return Text(template.format(*inner), ATOM, full=full)

    def _arrays(self, op: Op, texts: list[Text]) -> list[Text]:
        """The operands of a function that wants arrays, or whose data type arrays decide."""
        choices = texts[1:] if op.name == "where" else texts
        if self.library.arrays_only or all(text.number for text in choices):
            choices = [Text(self.library.scalar(t.code)) if t.number else t for t in choices]
        return [texts[0], *choices] if op.name == "where" else choices

    def _operator(self, op: Op, template: str, args: tuple[Expr, ...], texts: list[Text]) -> Text:
        """An infix or prefix operator with only the brackets it needs."""
        if op.name == "add":
            return sum_text(texts)
        if op.name == "neg" and isinstance(args[0], Const):
            return self.value(Const(-args[0].value))
        if op.name == "neg":
            binding = max(min(texts[0].precedence, UNARY), MULTIPLICATIVE)
            inner = bracketed(texts[0], MULTIPLICATIVE)
            return Text(f"-{inner}" if inner[0] != "-" else f"-({inner})", binding)
        if op.name == "mul":
            first, *rest = texts
            factors = [bracketed(first, MULTIPLICATIVE)]
            factors += [bracketed(text, MULTIPLICATIVE + 1) for text in rest]
            return Text(" * ".join(factors), MULTIPLICATIVE)
        left, right = texts
        code = template.format(
            bracketed(left, op.precedence if op.name == "div" else op.precedence + 1),
            bracketed(right, op.precedence + 1),
        )
        return Text(code, op.precedence)

    # --- Products ---------------------------------------------------------------------------

    def _product(self, node: Apply, done: dict[Expr, Text]) -> Text:
        a, b = node.args
        if node.op == "outer":
            u, v = done[a], done[b]
            left = self._indexed(a, self._array(a, u), (":", "None"))
            right = self._indexed(b, self._array(b, v), ("None", ":"))
            return Text(f"{left} * {right}", MULTIPLICATIVE)
        left, right = self._array(a, done[a]), self._array(b, done[b])
        if node.op == "matmul":
            return Text(f"{left} @ {right}", MULTIPLICATIVE)
        if node.op == "dot":
            if a.batched and b.batched:
                library = self.library
                return Text(f"{library.functions['sum']}({left} * {right}, {library.axis}=-1)")
            if a.batched or b.batched:
                vectors, weights = (left, right) if a.batched else (right, left)
                return Text(f"{vectors} @ {weights}", MULTIPLICATIVE)
            return Text(f"{left} @ {right}", MULTIPLICATIVE)
        return self._matvec(a, b, done, left, right)

    def _matvec(self, a: Expr, b: Expr, done: dict[Expr, Text], left: str, right: str) -> Text:
        if a.batched:
            if not b.batched:
                return Text(f"{left} @ {right}", MULTIPLICATIVE)
            if isinstance(a, Apply) and a.op == "transpose":
                matrix = self._array(a.args[0], done[a.args[0]])
                rows = self._indexed(b, right, ("None", ":"))
                return Text(f"({rows} @ {matrix}){self._at(0, 2)}")
            columns = self._indexed(b, right, (":", "None"))
            return Text(f"({left} @ {columns}){self._at(0, 1)}")
        if not b.batched:
            return Text(f"{left} @ {right}", MULTIPLICATIVE)
        if isinstance(a, Apply) and a.op == "transpose":
            return self._row_product(right, self._array(a.args[0], done[a.args[0]]), False)
        return self._row_product(right, left, transposed=True)

    def _row_product(self, vectors: str, matrix: str, transposed: bool) -> Text:
        if len(self.lead) > 1:
            return Text(self.library.sequence_product(vectors, matrix, transposed))
        return Text(f"{vectors} @ {matrix}{'.T' if transposed else ''}", MULTIPLICATIVE)

    def _at(self, index: int, back: int) -> str:
        """Indexing that takes one unit along the last axis (`back` 1) or the one before it."""
        lead = [":"] * len(self.lead)
        return f"[{', '.join([*lead, ':', str(index)] if back == 1 else [*lead, str(index)])}]"

    def _batch_sum(self, arg: Expr, done: dict[Expr, Text]) -> Text:
        library = self.library
        if isinstance(arg, Apply) and arg.op == "outer" and all(a.batched for a in arg.args):
            u, v = (self._array(a, done[a]) for a in arg.args)
            return Text(library.batch_product(u, v))
        whole = self._whole(arg, done[arg], True)
        axes = shape_tuple(str(i) for i in range(len(self.lead)))
        return Text(f"{library.functions['sum']}({whole}, {library.axis}={axes})")

    # --- Layout -----------------------------------------------------------------------------

    def _transposed(self, arg: Expr, done: dict[Expr, Text]) -> str:
        return self.library.transposed(self._array(arg, done[arg]), arg.batched)

    def _slice(self, node: Slice, text: Text) -> Text:
        if text.number or not text.full:
            return text
        start = "" if node.start == Dim() else self.size(node.start)
        stop = "" if node.stop == node.arg.shape[node.axis] else self.size(node.stop)
        if not start and not stop:
            return text
        units = [":"] * node.arg.rank
        units[node.axis] = range_text(start, stop)
        while units[-1] == ":":
            units.pop()
        code = bracketed(text, ATOM)
        return Text(self._indexed(node.arg, code, tuple(units)))

    def _indexed(self, arg: Expr, code: str, units: tuple[str, ...]) -> str:
        """A value with an index of its units, after its leading dimensions."""
        index = [*([":"] * len(self.lead) if arg.batched else []), *units]
        if isinstance(arg, Ref) and code.endswith("]"):
            # `c[t]` and `c_prev[:-1]` take one index, not two.
            code, _, taken = code[:-1].rpartition("[")
            index = [taken, *(index[1:] if ":" in taken else index)]
        return f"{code}[{', '.join(index)}]"

    def _concat(self, node: Concat, done: dict[Expr, Text]) -> Text:
        parts = []
        for arg in node.args:
            code = self._whole(arg, done[arg], node.batched)
            if not arg.shape:
                index = [":"] * len(self.lead) if node.batched else []
                code = f"{code}[{', '.join([*index, 'None'])}]"
            parts.append(code)
        axis = node.axis - node.rank
        name = self.library.functions["concat"]
        return Text(f"{name}([{', '.join(parts)}], {self.library.axis}={axis})")

    def _widened(self, arg: Expr, text: Text, rank: int) -> Text:
        """A scalar per row of the batch, aligned with the units of a value of that rank."""
        if arg.shape or not arg.batched or text.number or not rank:
            return text
        units = ("None",) * rank
        if isinstance(arg, Apply) and arg.op == "neg" and text.precedence == UNARY:
            # The sign stays outside, where a sum makes it a minus.
            code = self._indexed(arg.args[0], text.code.removeprefix("-"), units)
            return Text(f"-{code}", UNARY, full=False)
        return Text(self._indexed(arg, bracketed(text, ATOM), units), full=False)

    def _array(self, expr: Expr, text: Text) -> str:
        """An operand of a product: an array with all its units, in brackets if need be."""
        whole = self._whole(expr, text, expr.batched)
        return bracketed(text, ATOM) if whole == text.code else whole

    def _whole(self, expr: Expr, text: Text, batched: bool) -> str:
        if text.number:
            shape = self.shape(expr.shape, batched=batched)
            return self.library.full(text.code, shape)
        if (text.full or not expr.shape) and batched == expr.batched:
            return text.code
        return self.library.broadcast(text.code, self.shape(expr.shape, batched=batched))

"""Expressions as C: the value of one unit (a row of the batch, an index per axis)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from gatec.backends.c_family.indices import Index, count_text, dim_text, place, product
from gatec.expr import (
    Apply,
    Broadcast,
    Const,
    Dim,
    Expr,
    Identity,
    Ref,
    Shape,
    SizeValue,
    Slice,
)
from gatec.ops import ADDITIVE, ATOM, COMPARISON, MULTIPLICATIVE, OPS, UNARY

# Names that differ from the operator's own spelling: the C library's fmax loses NaN, and the
# rest are no library functions. No name of a cell begins with `gatec_`.
_CALLS = {
    "sigmoid": "gatec_sigmoid({0})",
    "softplus": "gatec_softplus({0})",
    "sign": "gatec_sign({0})",
    "relu": "gatec_max({0}, 0)",
    "max": "gatec_max({0}, {1})",
    "min": "gatec_min({0}, {1})",
}
_LARGEST_BARE = 1000  # whole numbers up to this stand without a cast beside other operands


@dataclass(frozen=True)
class Code:
    """Printed code and how strongly it binds."""

    text: str
    precedence: int = ATOM

    def bracketed(self, least: int) -> str:
        return self.text if self.precedence >= least else f"({self.text})"


def number(value: Fraction) -> str:
    """A number of the chosen precision."""
    if value.denominator == 1 and abs(value) <= 2**53:
        return f"(real){value.numerator}" if value >= 0 else f"(real)({value.numerator})"
    # A decimal of the shortest form, which reads back as the nearest double.
    text = repr(float(value))
    return f"(real){text}" if value >= 0 else f"(real)({text})"


@dataclass
class View:
    """A simple operand in memory: where it begins and how far its rows and units are apart.

    `row_stride` is "0" where it has no batch; `whole` says that it is all of its array.
    """

    base: str
    offset: list[str]
    strides: list[str]
    row_stride: str
    whole: bool = True

    @property
    def pointer(self) -> str:
        return " + ".join([self.base, *self.offset])


@dataclass(frozen=True)
class Loop:
    """The indices of the loop that code stands in, and the shape that it runs over.

    `at` is the name of the number of the loop's own unit.
    """

    row: str
    index: tuple[Index, ...]
    shape: Shape
    batched: bool
    at: str


class Units:
    """Prints expressions for one loop of the generated code.

    array     the name of the array that holds a reference's values
    scalar    the local variable of a reference computed in the same loop, or None
    optional  whether a parameter may be absent (a NULL pointer counts as zeros)
    calls     the target's own spellings of operators
    """

    def __init__(
        self,
        array: Callable[[Ref], str],
        scalar: Callable[[Ref], str | None],
        optional: Callable[[Ref], bool],
        loop: Loop,
        calls: Mapping[str, str],
    ) -> None:
        self.array, self.scalar, self.optional, self.loop = array, scalar, optional, loop
        self.calls = {**_CALLS, **calls}
        # The arrays that were read or written, and at which index.
        self.touched: list[tuple[str, tuple[Index, ...], Shape, bool]] = []

    def value(self, expr: Expr, index: tuple[Index, ...]) -> Code:
        """The unit of `expr` at an index (one per axis)."""
        match expr:
            case Const():
                return Code(number(expr.value), UNARY)
            case SizeValue():
                size = str(expr.dim)
                return Code(f"(real){size if size.isidentifier() else f'({size})'}", UNARY)
            case Identity():
                one, other = (place(None, (at,), (Dim(),)) for at in index)
                return Code(f"(real)({one} == {other})", UNARY)
            case Broadcast():
                return self.value(expr.arg, ())
            case Ref():
                return Code(self._reference(expr, index))
            case Slice():
                moved = list(index)
                moved[expr.axis] = index[expr.axis].moved(expr.start)
                return self.value(expr.arg, tuple(moved))
            case Apply():
                return self._apply(expr, index)
        raise TypeError(f"no C for {type(expr).__name__} inside an expression")

    def element(self, array: str, index: tuple[Index, ...], shape: Shape, batched: bool) -> str:
        """A unit of an array."""
        self.touched.append((array, index, shape, batched))
        return f"{array}[{self._place(index, shape, batched)}]"

    def _place(self, index: tuple[Index, ...], shape: Shape, batched: bool) -> str:
        loop = self.loop
        text = place(loop.row if batched else None, index, shape)
        own = (index, shape, batched) == (loop.index, loop.shape, loop.batched)
        # A unit's own number has a name, unless it is as short as one.
        return loop.at if own and " " in text else text

    def _reference(self, ref: Ref, index: tuple[Index, ...]) -> str:
        if ref.kind == "const":
            return ref.name
        scalar = self.scalar(ref)
        if scalar is not None:
            return scalar
        array, at = self.array(ref), self._place(index, ref.shape, ref.batched)
        self.touched.append((array, index, ref.shape, ref.batched))
        return f"gatec_or_zero({array}, {at})" if self.optional(ref) else f"{array}[{at}]"

    def _apply(self, expr: Apply, index: tuple[Index, ...]) -> Code:
        op = OPS[expr.op]
        if op.name == "outer":
            u, v = expr.args
            column = self.value(u, index[:1]).bracketed(MULTIPLICATIVE)
            row = self.value(v, index[1:]).bracketed(MULTIPLICATIVE + 1)
            return Code(f"{column} * {row}", MULTIPLICATIVE)
        if op.name == "transpose":
            return self.value(expr.args[0], (index[1], index[0]))
        args = [self.value(arg, index if arg.shape else ()) for arg in expr.args]
        match op.name:
            case "detach":
                return args[0]
            case "add":
                return self._sum(expr.args, index)
            case "mul":
                first, *rest = (_operand(a, c) for a, c in zip(expr.args, args, strict=True))
                factors = [first.bracketed(MULTIPLICATIVE)]
                factors += [code.bracketed(MULTIPLICATIVE + 1) for code in rest]
                return Code(" * ".join(factors), MULTIPLICATIVE)
            case "div":
                # Two whole numbers would be a division of integers.
                both = all(isinstance(arg, Const) for arg in expr.args)
                top = args[0] if both else _operand(expr.args[0], args[0])
                bottom = _operand(expr.args[1], args[1]).bracketed(MULTIPLICATIVE + 1)
                return Code(f"{top.bracketed(MULTIPLICATIVE)} / {bottom}", MULTIPLICATIVE)
            case "neg":
                return Code(f"-{_positive(args[0].bracketed(UNARY))}", UNARY)
            case "where":
                if "where" in self.calls:
                    return Code(self.calls["where"].format(*(arg.text for arg in args)))
                condition = args[0].bracketed(COMPARISON)
                values = [arg.bracketed(COMPARISON + 1) for arg in args[1:]]
                return Code(f"({condition} ? {values[0]} : {values[1]})")
        if op.infix and op.precedence == COMPARISON:
            pair = [_operand(a, c) for a, c in zip(expr.args, args, strict=True)]
            return Code(op.c.format(*(code.bracketed(ADDITIVE) for code in pair)), COMPARISON)
        template = self.calls.get(op.name, op.c)
        if not template or op.kind != "pointwise":
            raise TypeError(f"{op.name} stands inside an expression")
        return Code(template.format(*(arg.text for arg in args)))

    def _sum(self, terms: tuple[Expr, ...], index: tuple[Index, ...]) -> Code:
        if len(terms) == 2 and _is_negative(terms[0]) and not _is_negative(terms[1]):
            terms = terms[::-1]  # `1 - z`, not `-z + 1`
        text = ""
        for term in terms:
            if text and _is_negative(term):
                (inner,) = term.children
                code = self._term(inner, index).bracketed(MULTIPLICATIVE)
                text += f" - {_positive(code)}"
            else:
                code = self._term(term, index).bracketed(MULTIPLICATIVE)
                text += f" + {code}" if text else code
        return Code(text, ADDITIVE)

    def _term(self, expr: Expr, index: tuple[Index, ...]) -> Code:
        return _operand(expr, self.value(expr, index if expr.shape else ()))

    def view(self, expr: Expr, absent: bool = False) -> View | None:
        """Where a simple operand lies, or None where it is not simple.

        Neither has what may be absent a place, unless it is all of it and `absent` allows it.
        """
        path: list[Expr] = []
        while isinstance(expr, Slice) or (isinstance(expr, Apply) and expr.op == "transpose"):
            path.append(expr)
            expr = expr.children[0]
        if not isinstance(expr, Ref) or expr.kind == "const" or self.scalar(expr) is not None:
            return None
        if self.optional(expr) and (path or not absent):
            return None
        strides = [count_text(expr.shape[axis + 1 :]) for axis in range(expr.rank)]
        row_stride = count_text(expr.shape) if expr.batched else "0"
        view = View(self.array(expr), [], strides, row_stride, whole=not path)
        for node in reversed(path):
            if isinstance(node, Slice):
                if node.start != Dim():
                    view.offset.append(product(dim_text(node.start), view.strides[node.axis]))
            else:
                view.strides.reverse()
        return view


def _operand(expr: Expr, code: Code) -> Code:
    """A small whole number stands bare beside other operands."""
    if not isinstance(expr, Const) or expr.value.denominator != 1:
        return code
    if abs(expr.value) > _LARGEST_BARE:
        return code
    return Code(str(expr.value.numerator), ATOM if expr.value >= 0 else UNARY)


def _is_negative(expr: Expr) -> bool:
    return isinstance(expr, Apply) and expr.op == "neg"


def _positive(text: str) -> str:
    """Two minus signs never meet: `--` is another operator."""
    return f"({text})" if text.startswith("-") else text

"""Expressions as C: the value of one unit (a row of the batch, an index per axis)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

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
from gatec.ops import ADDITIVE, ATOM, COMPARISON, MULTIPLICATIVE, OPS, UNARY

# Names that differ from the operator's own spelling: the C library's fmax loses NaN, and the
# rest are no library functions. `gatec_…` never is a name of a cell.
_CALLS = {
    "sigmoid": "gatec_sigmoid({0})",
    "softplus": "gatec_softplus({0})",
    "sign": "gatec_sign({0})",
    "relu": "gatec_max({0}, 0)",
    "max": "gatec_max({0}, {1})",
    "min": "gatec_min({0}, {1})",
}
_LARGEST_BARE = 1000  # integers up to this stand without a cast


@dataclass(frozen=True)
class Code:
    """Printed code and how strongly it binds."""

    text: str
    precedence: int = ATOM

    def bracketed(self, least: int) -> str:
        return self.text if self.precedence >= least else f"({self.text})"


def dim_text(dim: Dim) -> str:
    """A size as a factor."""
    text = str(dim)
    return f"({text})" if " " in text else text


def count_text(shape: Shape) -> str:
    """The number of units of a shape."""
    return " * ".join(map(dim_text, shape)) or "1"


def number(value: Fraction) -> str:
    """A number of the chosen precision."""
    if value.denominator == 1 and abs(value) <= 2**53:
        return f"(real){value.numerator}" if value >= 0 else f"(real)({value.numerator})"
    # A decimal of the shortest form, which reads back as the nearest double.
    text = repr(float(value))
    return f"(real){text}" if value >= 0 else f"(real)({text})"


@dataclass
class View:
    """A simple operand in memory: `base[offset + row * row_stride + sum(index * stride)]`."""

    base: str
    offset: list[str]
    strides: list[str]
    row_stride: str

    @property
    def pointer(self) -> str:
        return " + ".join([self.base, *self.offset])


class Units:
    """Prints expressions for one place of the generated code.

    array   the name of the array that holds a reference's values
    scalar  the name of the local variable of a reference computed in the same loop, or None
    row     the name of the index of the batch row
    """

    def __init__(
        self, array: Callable[[Ref], str], scalar: Callable[[Ref], str | None], row: str
    ) -> None:
        self.array, self.scalar, self.row = array, scalar, row

    def value(self, expr: Expr, index: tuple[str, ...]) -> Code:
        """The unit of `expr` at an index (one text per axis)."""
        match expr:
            case Const():
                return Code(number(expr.value), UNARY)
            case SizeValue():
                return Code(f"(real){dim_text(expr.dim)}", UNARY)
            case Identity():
                return Code(f"(real)({index[0]} == {index[1]})", UNARY)
            case Broadcast():
                return self.value(expr.arg, ())
            case Ref():
                return Code(self._reference(expr, index))
            case Slice():
                moved = list(index)
                if expr.start != Dim():
                    moved[expr.axis] = f"{dim_text(expr.start)} + {index[expr.axis]}"
                return self.value(expr.arg, tuple(moved))
            case Concat():
                return self._concat(expr, index)
            case Apply():
                return self._apply(expr, index)
        raise TypeError(f"no C for {type(expr).__name__}")

    def _reference(self, ref: Ref, index: tuple[str, ...]) -> str:
        if ref.kind == "const":
            return ref.name
        scalar = self.scalar(ref)
        if scalar is not None:
            return scalar
        terms = [f"{self.row} * {_factor(count_text(ref.shape))}"] if ref.batched else []
        for axis, at in enumerate(index):
            stride = count_text(ref.shape[axis + 1 :])
            terms.append(at if stride == "1" else f"{_bracket(at)} * {_factor(stride)}")
        terms = [term.removesuffix(" * 1") for term in terms]
        return f"{self.array(ref)}[{' + '.join(terms) or '0'}]"

    def _concat(self, expr: Concat, index: tuple[str, ...]) -> Code:
        """A part by its place: only where a concatenation is no root of an equation."""
        at, start = index[expr.axis], Dim()
        text = ""
        for number_, arg in enumerate(expr.args):
            inner = list(index)
            inner[expr.axis] = at if start == Dim() else f"({at} - {dim_text(start)})"
            value = self.value(arg, tuple(inner) if arg.shape else ()).bracketed(ATOM)
            start = start + (arg.shape[expr.axis] if arg.shape else 1)
            last = number_ == len(expr.args) - 1
            text += value if last else f"{at} < {dim_text(start)} ? {value} : "
        return Code(text, COMPARISON - 1)

    def _apply(self, expr: Apply, index: tuple[str, ...]) -> Code:
        op = OPS[expr.op]
        if op.name == "outer":
            u, v = expr.args
            left = self.value(u, index[:1]).bracketed(MULTIPLICATIVE)
            right = self.value(v, index[1:]).bracketed(MULTIPLICATIVE + 1)
            return Code(f"{left} * {right}", MULTIPLICATIVE)
        if op.name == "transpose":
            return self.value(expr.args[0], (index[1], index[0]))
        args = [self.value(arg, index if arg.shape else ()) for arg in expr.args]
        match op.name:
            case "detach":
                return args[0]
            case "add":
                return _sum(expr.args, args, self, index)
            case "mul":
                first, *rest = (self._operand(a, c) for a, c in zip(expr.args, args, strict=True))
                factors = [first.bracketed(MULTIPLICATIVE)]
                factors += [factor.bracketed(MULTIPLICATIVE + 1) for factor in rest]
                return Code(" * ".join(factors), MULTIPLICATIVE)
            case "div":
                left = args[0].bracketed(MULTIPLICATIVE)
                return Code(f"{left} / {args[1].bracketed(MULTIPLICATIVE + 1)}", MULTIPLICATIVE)
            case "neg":
                return Code(f"-{_positive(args[0].bracketed(UNARY))}", UNARY)
            case "where":
                condition = args[0].bracketed(COMPARISON)
                values = [arg.bracketed(COMPARISON + 1) for arg in args[1:]]
                return Code(f"({condition} ? {values[0]} : {values[1]})")
        if op.infix and op.precedence == COMPARISON:
            left, right = (arg.bracketed(ADDITIVE) for arg in args)
            return Code(op.c.format(left, right), COMPARISON)
        template = _CALLS.get(op.name, op.c)
        if not template or op.kind != "pointwise":
            raise TypeError(f"{op.name} stands inside an expression")
        return Code(template.format(*(arg.text for arg in args)))

    def _operand(self, expr: Expr, code: Code) -> Code:
        """A small whole number stands bare beside other operands."""
        if isinstance(expr, Const) and expr.value.denominator == 1:
            if abs(expr.value) <= _LARGEST_BARE:
                return Code(str(expr.value.numerator), ATOM if expr.value >= 0 else UNARY)
        return code

    def view(self, expr: Expr) -> View | None:
        """Where a simple operand lies, or None where it is not simple."""
        path: list[Expr] = []
        while isinstance(expr, Slice) or (isinstance(expr, Apply) and expr.op == "transpose"):
            path.append(expr)
            expr = expr.children[0]
        if not isinstance(expr, Ref) or expr.kind == "const":
            return None
        strides = [count_text(expr.shape[axis + 1 :]) for axis in range(expr.rank)]
        row_stride = count_text(expr.shape) if expr.batched else "0"
        view = View(self.array(expr), [], strides, row_stride)
        for node in reversed(path):
            if isinstance(node, Slice):
                if node.start != Dim():
                    stride = view.strides[node.axis]
                    start = dim_text(node.start)
                    view.offset.append(start if stride == "1" else f"{start} * {_factor(stride)}")
            else:
                view.strides.reverse()
        return view


def _sum(exprs: tuple[Expr, ...], args: list[Code], units: Units, index: tuple[str, ...]) -> Code:
    text = ""
    for expr, arg in zip(exprs, args, strict=True):
        if text and isinstance(expr, Apply) and expr.op == "neg":
            inner = units.value(expr.args[0], index if expr.args[0].shape else ())
            text += f" - {_positive(inner.bracketed(MULTIPLICATIVE))}"
        else:
            code = units._operand(expr, arg).bracketed(MULTIPLICATIVE)
            text += f" + {code}" if text else code
    return Code(text, ADDITIVE)


def _positive(text: str) -> str:
    """Two minus signs never meet: `--` is another operator."""
    return f"({text})" if text.startswith("-") else text


def _bracket(text: str) -> str:
    return f"({text})" if " " in text else text


def _factor(text: str) -> str:
    return f"({text})" if " * " in text or " + " in text else text

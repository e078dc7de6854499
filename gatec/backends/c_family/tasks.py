"""Equations as tasks: loops over units, and products.

Pointwise equations of one shape that follow each other become one fused loop; what only that
loop reads is a local variable. A product of a parameter with the rows of a batch is one GEMM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gatec.backends import text
from gatec.backends.c_family.expressions import Units, dim_text
from gatec.expr import Apply, Concat, Dim, Expr, Ref, Shape, Slice
from gatec.ir import Equation
from gatec.ops import OPS, Kind
from gatec.passes.common import nodes


@dataclass
class Loop:
    """`lines`, once per row and unit of a shape; `scalars` are their local variables."""

    rows: str | None  # the number of rows; None where the value has no batch
    shape: Shape
    lines: list[str]
    comments: list[str] = field(default_factory=list)
    scalars: set[str] = field(default_factory=set)


@dataclass
class Product:
    """`target[m, n] = sum over k of a[m, k] * b[k, n]`: pointer, row and column stride."""

    sizes: tuple[str, str, str]
    a: tuple[str, str, str]
    b: tuple[str, str, str]
    target: str
    comments: list[str] = field(default_factory=list)


Task = Loop | Product


@dataclass(frozen=True)
class Names:
    """The indices of loops, none of which is a name of the cell."""

    row: str
    unit: str
    column: str
    term: str
    term_2: str
    sum: str

    @property
    def index(self) -> tuple[str, str]:
        return (self.unit, self.column)


@dataclass(frozen=True)
class Place:
    """Where equations are computed: how arrays are called there and how many rows there are."""

    array: Callable[[Ref], str]
    rows: str
    names: Names


def tasks(equations: list[Equation], place: Place, stored: Callable[[str], bool]) -> list[Task]:
    """The tasks of equations of one phase, in order; `stored` values need their array."""
    made: list[Task] = []
    for group in _groups(equations):
        made += _Group(group, place, stored, _readers(equations, group)).tasks()
    return made


def _groups(equations: Iterable[Equation]) -> list[list[Equation]]:
    groups: list[list[Equation]] = []
    for equation in equations:
        last = groups[-1] if groups else []
        if last and _pointwise(equation.value) and _fits(equation, last):
            last.append(equation)
        else:
            groups.append([equation])
    return groups


def _pointwise(expr: Expr) -> bool:
    for node in nodes(expr):
        if isinstance(node, Concat):
            return False
        if isinstance(node, Apply) and node.op not in ("outer", "transpose"):
            if OPS[node.op].kind is not Kind.POINTWISE:
                return False
    return True


def _fits(equation: Equation, group: list[Equation]) -> bool:
    """Whether an equation reads the group's values at its own unit only."""
    first = group[0].value
    if not _pointwise(first) or equation.value.shape != first.shape:
        return False
    if equation.value.batched != first.batched:
        return False
    members = {member.name for member in group}
    for node in nodes(equation.value):
        moves = isinstance(node, Slice) or (
            isinstance(node, Apply) and node.op in ("outer", "transpose")
        )
        if moves and any(
            isinstance(inner, Ref) and inner.kind == "var" and inner.name in members
            for inner in nodes(node)
        ):
            return False
    return True


def _readers(equations: Iterable[Equation], group: list[Equation]) -> set[str]:
    """What equations outside the group read."""
    inside = {equation.name for equation in group}
    return {
        node.name
        for equation in equations
        if equation.name not in inside
        for node in nodes(equation.value)
        if isinstance(node, Ref) and node.kind == "var"
    }


class _Group:
    def __init__(
        self,
        equations: list[Equation],
        place: Place,
        stored: Callable[[str], bool],
        read: set[str],
    ) -> None:
        self.equations, self.place = equations, place
        fused = _pointwise(equations[0].value)
        names = {equation.name for equation in equations}
        self.local = {n for n in names if fused and not stored(n) and n not in read}
        self.units = Units(place.array, self._scalar, place.names.row)

    def _scalar(self, ref: Ref) -> str | None:
        return ref.name if ref.kind == "var" and ref.name in self.local else None

    def tasks(self) -> list[Task]:
        first = self.equations[0]
        if _pointwise(first.value):
            return [self._loop()]
        made = self._single(first)
        made[0].comments[:0] = _comments(first)
        return made

    def _index(self, shape: Shape) -> tuple[str, ...]:
        return self.place.names.index[: len(shape)]

    def _loop(self) -> Loop:
        first = self.equations[0].value
        index = self._index(first.shape)
        lines: list[str] = []
        for equation in self.equations:
            lines += _comments(equation)
            code = self.units.value(equation.value, index).text
            if equation.name in self.local:
                lines.append(f"const real {equation.name} = {code};")
            else:
                lines.append(f"{self.units.value(equation.ref, index).text} = {code};")
        return Loop(self._rows(first), first.shape, lines, scalars=self.local)

    def _rows(self, expr: Expr) -> str | None:
        return self.place.rows if expr.batched else None

    def _single(self, equation: Equation) -> list[Task]:
        value = equation.value
        if isinstance(value, Concat):
            return self._concat(equation, value)
        assert isinstance(value, Apply), equation.name
        product = self._product(equation, value)
        return [product] if product else [self._reduction(equation, value)]

    def _concat(self, equation: Equation, value: Concat) -> list[Task]:
        made: list[Task] = []
        start = Dim()
        for arg in value.args:
            shape = arg.shape or (Dim((), 1),)
            index = self._index(shape)
            moved = list(index)
            if start != Dim():
                moved[value.axis] = f"{dim_text(start)} + {index[value.axis]}"
            target = self.units.value(equation.ref, tuple(moved)).text
            code = self.units.value(arg, index if arg.shape else ()).text
            made.append(Loop(self._rows(value), shape, [f"{target} = {code};"]))
            start = start + shape[value.axis]
        return made

    def _product(self, equation: Equation, value: Apply) -> Product | None:
        """The GEMM of an equation, or None where it is none."""
        target = self.place.array(equation.ref)
        if value.op == "batch_sum":
            (outer,) = value.args
            if not isinstance(outer, Apply) or outer.op != "outer":
                return None
            u, v = (self.units.view(arg) for arg in outer.args)
            if u is None or v is None:
                return None
            m, n = map(dim_text, outer.shape)
            return Product(
                (m, n, self.place.rows),
                (u.pointer, u.strides[0], u.row_stride),
                (v.pointer, v.row_stride, v.strides[0]),
                target,
            )
        if value.op not in ("matvec", "matmul") or value.args[0].batched:
            return None
        a, b = (self.units.view(arg) for arg in value.args)
        if a is None or b is None:
            return None
        n, k = map(dim_text, value.args[0].shape)
        if value.op == "matvec":
            rows = self.place.rows if value.batched else "1"
            return Product(
                (rows, n, k),
                (b.pointer, b.row_stride, b.strides[0]),
                (a.pointer, a.strides[1], a.strides[0]),
                target,
            )
        if value.batched:
            return None
        columns = dim_text(value.shape[1])
        return Product(
            (n, columns, k),
            (a.pointer, *a.strides),
            (b.pointer, *b.strides),
            target,  # type: ignore[arg-type]
        )

    def _reduction(self, equation: Equation, value: Apply) -> Loop:
        """Sums and maxima: one unit of the result after the other."""
        names = self.place.names
        index = self._index(value.shape)
        term = (names.term, names.term_2)
        args = value.args
        bounds: list[tuple[str, str]]
        start, step = "0", "{0} += {1};"
        match value.op:
            case "matvec":
                left = self.units.value(args[0], (*index, term[0]))
                right = self.units.value(args[1], term[:1])
                bounds = [(term[0], str(args[1].shape[0]))]
            case "matmul":
                left = self.units.value(args[0], (index[0], term[0]))
                right = self.units.value(args[1], (term[0], index[1]))
                bounds = [(term[0], str(args[1].shape[0]))]
            case "dot":
                left = self.units.value(args[0], term[:1])
                right = self.units.value(args[1], term[:1])
                bounds = [(term[0], str(args[0].shape[0]))]
            case "batch_sum":
                bounds = [(names.row, self.place.rows)]
            case "sum" | "amax":
                bounds = [(name, str(dim)) for name, dim in zip(term, args[0].shape, strict=False)]
                if value.op == "amax":
                    start, step = "-(real)INFINITY", "{0} = gatec_max({0}, {1});"
            case _:
                raise TypeError(f"{value.op} is no root of an equation in C")
        if value.op in ("matvec", "matmul", "dot"):
            code = f"{left.bracketed(2)} * {right.bracketed(3)}"
        else:
            at = index if value.op == "batch_sum" else term[: args[0].rank]
            code = self.units.value(args[0], at).text
        lines = [f"real {names.sum} = {start};"]
        for depth, (name, bound) in enumerate(bounds):
            lines.append("    " * depth + f"for (size_t {name} = 0; {name} < {bound}; {name}++)")
        lines.append("    " * len(bounds) + step.format(names.sum, code))
        lines.append(f"{self.units.value(equation.ref, index).text} = {names.sum};")
        return Loop(self._rows(value), value.shape, lines)


def _comments(equation: Equation) -> list[str]:
    return text.c_comment(equation.text, 12) if equation.text else []


def copy(source: Ref, array: str, target: str, place: Place) -> Loop:
    """All rows of a value to another array, repeated where the value has no batch."""
    index = place.names.index[: source.rank]
    value = Units(lambda _: array, lambda _: None, place.names.row).value(source, index)
    flat = Ref("var", "", source.shape, 0, True)
    into = Units(lambda _: target, lambda _: None, place.names.row).value(flat, index)
    return Loop(place.rows, source.shape, [f"{into.text} = {value.text};"])

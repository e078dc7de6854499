"""Groups of statements become tasks: a kernel for a loop, a call for a product or a copy."""

from __future__ import annotations

from collections.abc import Iterable

from gatec.backends import text
from gatec.backends.c_family.expressions import Loop, Units, View
from gatec.backends.c_family.indices import Index, count_text, dim_text, place, product
from gatec.backends.c_family.statements import Statement, Target
from gatec.backends.c_family.tasks import Access, Call, Kernel, Place, Task
from gatec.expr import Apply, Dim, Expr, Ref, Shape
from gatec.ops import MULTIPLICATIVE


def tasks(groups: Iterable[list[Statement]], place: Place) -> list[Task]:
    """The tasks of statements that are grouped for one loop each, in their order."""
    return [task for group in groups for task in _Group(group, place).tasks()]


class _Group:
    def __init__(self, statements: list[Statement], place: Place) -> None:
        self.statements, self.place = statements, place
        first = statements[0]
        self.batched = first.batched
        self.shape = first.value.shape
        self.local = {s.name for s in statements if s.is_loop and not s.targets}
        self.index = place.names.index(len(self.shape))
        names, self.shapes = place.names, dict[str, str]()
        loop = Loop(names.row, self.index, self.shape, self.batched, names.at)
        self.units = Units(self._array, self._scalar, place.optional, loop, place.calls)

    def _scalar(self, ref: Ref) -> str | None:
        return ref.name if ref.kind == "var" and ref.name in self.local else None

    def _array(self, ref: Ref) -> str:
        return self._known(self.place.array(ref), ref.shape, ref.batched)

    def _known(self, array: str, shape: Shape, batched: bool) -> str:
        """The array, its shape noted for the kernel's comment."""
        lead = (self.place.lead,) if batched else ()
        self.shapes[array] = f"({', '.join([*lead, *map(str, shape)]) or '1'})"
        return array

    def tasks(self) -> list[Task]:
        if not self.statements[0].is_loop:
            (statement,) = self.statements
            return self._alone(statement)
        alone = len(self.statements) == 1 or not self.place.step
        copies = [self._copies(s) for s in self.statements] if alone else [None]
        if all(copy is not None for copy in copies):
            return [call for copy in copies for call in copy or ()]
        return [self._loop()]

    # --- Loops ------------------------------------------------------------------------------

    def _loop(self) -> Kernel:
        lines: list[str] = []
        for statement in self.statements:
            lines += _comment(statement)
            code = self.units.value(statement.value, self.index).text
            if not statement.targets:
                lines.append(f"const real {statement.name} = {code};")
            lines += self._stores(statement, code)
        return self._kernel(lines)

    def _stores(self, statement: Statement, code: str) -> list[str]:
        lines = []
        for target in statement.targets:
            element = self._element(target)
            lines.append(f"{element} = {code};")
            code = element
        return lines

    def _element(self, target: Target) -> str:
        index = list(self.index)
        array = self._known(target.array, target.shape, target.batched)
        if len(target.shape) > len(index):
            # A scalar that is one unit of a vector.
            row = self.place.names.row if target.batched else None
            self.units.touched.append((array, (), target.shape, target.batched))
            return f"{array}[{_unit(row, target.start, target.shape)}]"
        if index:
            index[target.axis] = index[target.axis].moved(target.start)
        return self.units.element(array, tuple(index), target.shape, target.batched)

    def _kernel(self, lines: list[str], **more: object) -> Kernel:
        written = [target.array for s in self.statements for target in s.targets]
        rows = self.place.rows if self.batched else None
        written = list(dict.fromkeys(written))
        step = self.place.step
        more |= {"by_rows": rows is not None and not step, "step": step}
        more["accesses"] = tuple(
            dict.fromkeys(
                Access(array, array in written, self._part(index, shape, batched))
                for array, index, shape, batched in self.units.touched
            )
        )
        return Kernel(rows, self.shape, lines, written, self.shapes, **more)  # type: ignore[arg-type]

    def _part(
        self, index: tuple[Index, ...], shape: Shape, batched: bool
    ) -> tuple[object, ...] | None:
        """Which part of an array a thread touches, where threads share the units of a kernel."""
        if not self.shape:
            return ("rows",) if batched else None
        if not index or index[0].name != self.index[0].name:
            return None
        dim, start = self.shape[0], index[0].offset
        if start != Dim() and _times(start, dim) is None:
            return None
        return ("units", str(dim), *map(str, shape[1:]), len(self.shape))

    # --- Copies -----------------------------------------------------------------------------

    def _copies(self, statement: Statement) -> list[Task] | None:
        """A statement that only moves values, as calls; None where it computes something."""
        value = statement.value
        view = self.units.view(value, absent=True)
        if view is None or not statement.targets or statement.text:
            return None
        made: list[Task] = []
        for target in statement.targets:
            args = self._copy(value, view, target)
            if args is None:
                return None
            made.append(Call("copy", args))
        return made

    def _copy(self, value: Expr, view: View, target: Target) -> tuple[str, ...] | None:
        """The arguments of a copy in two dimensions, or None where it has more."""
        all_units = count_text(value.shape)
        array = target.array
        if target.start != Dim():
            stride = count_text(target.shape[target.axis + 1 :])
            array += " + " + product(dim_text(target.start), stride)
        if target.batched:
            rows, target_row = self.place.rows, count_text(target.shape)
            if value.rank < 2:
                column = view.strides[0] if view.strides else "1"
            elif view.whole and value.shape == target.shape:
                column = "1"
            else:
                return None
            return (rows, all_units, array, target_row, view.pointer, view.row_stride, column)
        if value.rank < 2:
            column = view.strides[0] if view.strides else "1"
            return ("1", all_units, array, all_units, view.pointer, all_units, column)
        m, n = map(dim_text, value.shape)
        target_row = count_text(target.shape[1:])
        return (m, n, array, target_row, view.pointer, *view.strides)

    # --- Products and reductions ------------------------------------------------------------

    def _alone(self, statement: Statement) -> list[Task]:
        value = statement.value
        assert isinstance(value, Apply), statement.name
        first, *others = statement.targets
        call = self._product(statement, value, first.array) or self._row_sum(value, first.array)
        if call is None:
            return [self._reduction(statement, value)]
        source = Ref("var", statement.name, value.shape, 0, value.batched)
        view = View(first.array, [], ["1"], count_text(value.shape) if value.batched else "0")
        copies = [Call("copy", self._copy(source, view, t) or ()) for t in others]
        return [call, *copies]

    def _product(self, statement: Statement, value: Apply, target: str) -> Call | None:
        """The call of the GEMM, or None where it is none."""
        if value.op == "batch_sum":
            return self._outer_sum(value, target)
        if value.op not in ("matvec", "matmul") or value.args[0].batched:
            return None
        a, b = (self.units.view(arg) for arg in value.args)
        if a is None or b is None:
            return None
        n, k = map(dim_text, value.args[0].shape)
        if value.op == "matvec":
            rows, row_stride = (self.place.rows, b.row_stride) if value.batched else ("1", k)
            bias = "NULL"
            if statement.bias is not None:
                given = self.units.view(statement.bias, absent=True)
                assert given is not None
                bias = given.pointer
            left = (b.pointer, row_stride, b.strides[0])
            right = (a.pointer, a.strides[1], a.strides[0])
            count, width = _blocks(value.args[0].shape[0])
            blocks = (str(count), str(width))
            accesses = (
                Access(target, True, ("units", str(width), 1)),
                Access(b.base, False, None),
            )
            helper, start = ("gemm_add", ()) if statement.after else ("gemm", (bias,))
            args = (rows, n, k, target, *start, *left, *right)
            return Call(helper, args, value.batched, blocks, accesses if value.batched else None)
        if value.batched:
            return None
        columns = dim_text(value.shape[1])
        operands = (a.pointer, *a.strides, b.pointer, *b.strides)
        return Call("gemm", (n, columns, k, target, "NULL", *operands))

    def _outer_sum(self, value: Apply, target: str) -> Call | None:
        """The sum over all rows of `u v^T`: the product of two matrices of rows."""
        (outer,) = value.args
        if not (isinstance(outer, Apply) and outer.op == "outer"):
            return None
        if not all(arg.batched for arg in outer.args):
            return None
        u, v = (self.units.view(arg) for arg in outer.args)
        if u is None or v is None:
            return None
        m, n = map(dim_text, outer.shape)
        left = (u.pointer, u.strides[0], u.row_stride)
        right = (v.pointer, v.row_stride, v.strides[0])
        if self.place.accumulate:
            return Call("gemm_add", (m, n, self.place.rows, target, *left, *right))
        return Call("gemm", (m, n, self.place.rows, target, "NULL", *left, *right))

    def _row_sum(self, value: Apply, target: str) -> Call | None:
        """The sum over all rows of values that lie beside each other."""
        if value.op != "batch_sum" or not value.args[0].batched:
            return None
        view = self.units.view(value.args[0])
        if view is None or (value.rank == 2 and not view.whole):
            return None
        args = (self.place.rows, count_text(value.shape), target, view.pointer, view.row_stride)
        return Call("sum_rows", (*args, str(int(self.place.accumulate))))

    def _reduction(self, statement: Statement, value: Apply) -> Kernel:
        """Sums and maxima of views: one unit of the result after the other."""
        names, args = self.place.names, value.args
        indices = self._operands(value)
        if value.op == "batch_sum":
            bounds = [(names.row, self.place.rows)]
        else:
            counts = map(str, args[-1].shape if len(args) == 1 else args[1].shape[:1])
            bounds = list(zip((names.term, names.term_2), counts, strict=False))
        codes = [self.units.value(arg, index) for arg, index in zip(args, indices, strict=True)]
        term = codes[0].text
        if len(codes) > 1:
            right = codes[1].bracketed(MULTIPLICATIVE + 1)
            term = f"{codes[0].bracketed(MULTIPLICATIVE)} * {right}"
        along = self._along(args[0], indices[0], bounds[-1][0])
        total = names.total
        if statement.bias is not None:
            total += f" + {self.units.value(statement.bias, self.index).text}"
        if statement.after or (value.op == "batch_sum" and self.place.accumulate):
            total += f" + {self._element(statement.targets[0])}"
        lines = [*_comment(statement), *self._stores(statement, total)]
        return self._kernel(lines, terms=bounds, term=term, maximum=value.op == "amax", along=along)

    def _operands(self, value: Apply) -> tuple[tuple[Index, ...], ...]:
        """At which index a reduction reads each operand."""
        names, index = self.place.names, self.index
        term, term_2 = Index(names.term), Index(names.term_2)
        match value.op:
            case "matvec":
                return (*index, term), (term,)
            case "matmul":
                return (index[0], term), (term, index[1])
            case "dot":
                return (term,), (term,)
            case "sum" | "amax":
                return ((term, term_2)[: value.args[0].rank],)
            case "batch_sum":
                return (index,)
        raise TypeError(f"{value.op} is no root of an equation in C")

    def _along(self, operand: Expr, index: tuple[Index, ...], term: str) -> bool:
        """Whether neighbouring terms of an operand lie beside each other."""
        view = self.units.view(operand)
        if view is None:
            return False
        if not index or term == self.place.names.row:
            return view.row_stride == "1"
        strides = dict(zip((at.name for at in index), view.strides, strict=True))
        return strides.get(term) == "1"


def _blocks(dim: Dim) -> tuple[int, Dim]:
    """A dimension as so many blocks of one size: `4 * hidden_size` is four."""
    if len(dim.terms) == 1 and not dim.const:
        ((name, count),) = dim.terms
        return count, Dim.of(name)
    return 1, dim


def _times(dim: Dim, unit: Dim) -> int | None:
    """How many times `unit` a dimension is, where it is a whole number."""
    names = [count for _, count in unit.terms] or [unit.const]
    given = [count for _, count in dim.terms] or [dim.const]
    times = given[0] // names[0] if names[0] else 0
    return times if times > 0 and unit * times == dim else None


def _unit(row: str | None, start: Dim, shape: Shape) -> str:
    """The number of the unit `start` of a vector."""
    return place(row, (Index("0", start),), shape).removesuffix(" + 0")


def _comment(statement: Statement) -> list[str]:
    return text.c_comment(statement.text, 12) if statement.text else []

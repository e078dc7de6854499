"""From expressions to a cell of the IR: parameters cut into the blocks that are used, equations
named by the lines of code that compute them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from gatec.equivalence.modules import code
from gatec.equivalence.modules.interpret import Named
from gatec.equivalence.modules.merge import Sizes
from gatec.equivalence.modules.record import Place
from gatec.expr import (
    Apply,
    Broadcast,
    Const,
    Dim,
    Expr,
    Ref,
    Shape,
    Slice,
    bottom_up,
    call,
    number,
    replaced,
    rewrite,
)
from gatec.ir import Equation
from gatec.ops import OPS, Kind
from gatec.passes.common import is_transpose, refs
from gatec.passes.layout import ONE, View, concat, transpose
from gatec.passes.products import product


@dataclass(frozen=True)
class Block:
    """A parameter of the cell: some rows and columns of a module's parameter.

    name        in the cell
    source      the module's parameter, and which entry of it where an axis enumerates
    path        the module's parameter
    index       along each of its axes: an entry, or None for the units
    ranges      (start, stop) along each axis of the source
    cut         whether that is less than all, for each axis
    transposed  the cell's parameter is the transpose of the block
    single      the axis along which the block is one unit: the cell's parameter is a vector
    """

    name: str
    source: str
    path: str
    index: tuple[int | None, ...]
    shape: Shape
    ranges: tuple[tuple[Dim, Dim], ...]
    cut: tuple[bool, ...]
    transposed: bool = False
    single: int | None = None

    def of(self, tensors: Mapping[str, Tensor], sizes: Mapping[str, int]) -> Tensor:
        """The block of a tensor of the module: the parameter, or its gradient."""
        found = tensors[self.path]
        found = found[tuple(slice(None) if i is None else i for i in self.index)]
        ends = [slice(a.value(sizes), b.value(sizes)) for a, b in self.ranges]
        found = found[tuple(ends)]
        if self.single is not None:
            return found.squeeze(self.single)
        return found.t() if self.transposed else found

    @property
    def whole(self) -> bool:
        return not any(self.cut)

    @property
    def text(self) -> str:
        """`weight_ih[0:hidden_size]`, as one would write it in Python."""
        made = self.source
        if not self.whole:
            ends = [
                f"{'' if a == Dim() else a}:{b}" if cut else ":"
                for cut, (a, b) in zip(self.cut, self.ranges, strict=True)
            ]
            while ends[-1] == ":":
                ends.pop()
            if self.single is not None:
                ends[self.single] = str(self.ranges[self.single][0])
            made += f"[{', '.join(ends)}]"
        return f"{made}.T" if self.transposed else made


# --- Blocks ---------------------------------------------------------------------------------------


# A name in expressions -> the module's parameter, and along each axis an entry or None for units.
Origins = Mapping[str, tuple[str, tuple[int | None, ...]]]


def blocks(
    roots: Sequence[Expr], sizes: Sizes, origins: Origins
) -> tuple[dict[Expr, Expr], list[Block]]:
    """The parameters in some expressions, cut where slices cut them.

    Gives what to put in place of every view of a parameter, and the blocks in order.
    """
    views = list(_views(roots))
    by_param: dict[Ref, list[View]] = {}
    for view in views:
        found = View.of(view)
        assert isinstance(found.base, Ref)
        by_param.setdefault(found.base, []).append(found)
    values: dict[Expr, Expr] = {}
    made: list[Block] = []
    for param, uses in by_param.items():
        grid = _Grid.of(param, uses, sizes, origins)
        made += grid.blocks.values()
        values |= {use.expr(): grid.value(use) for use in uses}
    for view in views:
        values[view] = values[View.of(view).expr()]
    return values, made


def _views(roots: Sequence[Expr]) -> Iterator[Expr]:
    """The largest views of parameters in some expressions."""
    seen: set[Expr] = set()
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        base = node
        while isinstance(base, Slice) or is_transpose(base):
            base = base.children[0]
        if isinstance(base, Ref) and base.kind == "param":
            yield node
        else:
            stack.extend(reversed(node.children))


@dataclass(frozen=True)
class _Grid:
    """A parameter cut by the bounds of its views."""

    param: Ref
    cuts: tuple[tuple[Dim, ...], ...]
    blocks: Mapping[tuple[int, ...], Block]

    @classmethod
    def of(cls, param: Ref, uses: Sequence[View], sizes: Sizes, origins: Origins) -> _Grid:
        path, entry = origins.get(param.name, (param.name, ()))
        cuts = []
        for axis, size in enumerate(param.shape):
            ends = {Dim(), size}
            for view in uses:
                ends |= set(view.ranges[axis])
            cuts.append(tuple(sorted(ends, key=lambda dim: tuple(sizes.of(dim)))))
        counts = [len(ends) - 1 for ends in cuts]
        transposed = len(param.shape) == 2 and all(view.transposed for view in uses)
        found = {}
        for index in itertools.product(*map(range, counts)):
            ranges = tuple((ends[i], ends[i + 1]) for ends, i in zip(cuts, index, strict=True))
            shape = tuple(stop - start for start, stop in ranges)
            numbers = [str(i) for i, count in zip(index, counts, strict=True) if count > 1]
            name = f"{param.name}[{','.join(numbers)}]" if numbers else param.name
            single = shape.index(ONE) if len(shape) == 2 and ONE in shape else None
            if single is not None:
                shape = (shape[1 - single],)
            turned = transposed and single is None
            found[index] = Block(
                name,
                param.name,
                path,
                entry,
                shape[::-1] if turned else shape,
                ranges,
                tuple(count > 1 for count in counts),
                turned,
                single,
            )
        return cls(param, tuple(cuts), found)

    def value(self, view: View) -> Expr:
        """A view, put together from blocks."""
        chosen = [
            [i for i, cut in enumerate(ends[:-1]) if self._inside(axis, i, view)]
            for axis, ends in enumerate(self.cuts)
        ]
        made = self._joined(chosen, ())
        return transpose(made) if view.transposed else made

    def _inside(self, axis: int, index: int, view: View) -> bool:
        start, stop = view.ranges[axis]
        ends = self.cuts[axis]
        return ends.index(start) <= index < ends.index(stop)

    def _joined(self, chosen: Sequence[Sequence[int]], index: tuple[int, ...]) -> Expr:
        axis = len(index)
        if axis == len(chosen):
            block = self.blocks[index]
            ref = Ref("param", block.name, block.shape)
            if block.single is not None:
                one = Broadcast(Const(number(1).value), (ONE,))
                return call("outer", *((one, ref) if block.single == 0 else (ref, one)))
            return transpose(ref) if block.transposed else ref
        parts = [self._joined(chosen, (*index, i)) for i in chosen[axis]]
        return concat(parts, axis) if len(parts) > 1 else parts[0]


def put(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """An expression with blocks in place of views of parameters."""

    def node(found: Expr) -> Expr:
        # A column of a matrix times one unit is that column.
        if isinstance(found, Apply) and found.op == "matvec":
            matrix = found.args[0]
            if isinstance(matrix, Apply) and matrix.op == "outer":
                return product("matvec", *found.args)
        return found

    return rewrite(replaced(expr, values), node)


# --- Equations ------------------------------------------------------------------------------------


def equations(
    roots: Mapping[str, Expr], named: Iterable[Named], taken: set[str]
) -> tuple[list[Equation], dict[str, str]]:
    """Equations for some results, cut where a line of code gives a value a name, and at gates.

    Gives the equations, and for each root the name of its equation.
    """
    labels = _labels(named)
    names = set(taken)
    made: list[Equation] = []
    now: dict[Expr, Expr] = {}

    def emit(name: str, value: Expr, text: str) -> Ref:
        unique, count = name, 2
        while unique in names:
            unique, count = f"{name}_{count}", count + 1
        names.add(unique)
        made.append(Equation(unique, unique, value, text))
        return made[-1].ref

    for root in roots.values():
        for node in bottom_up(root):
            if node in now:
                continue
            value = node.with_children(tuple(now[child] for child in node.children))
            label = labels.get(node)
            if label is not None and label.fits(value):
                value = emit(label.name, value, label.text)
            now[node] = value
    updates = {}
    for name, root in roots.items():
        value = now[root]
        if not (isinstance(value, Ref) and value.kind == "var"):
            value = now[root] = emit(f"{name}_next", value, "")
        updates[name] = value.name
    return made, updates


@dataclass(frozen=True)
class _Label:
    """What a value is called, and the code that computes it; `gate` where no line names it."""

    name: str
    text: str
    gate: bool

    def fits(self, value: Expr) -> bool:
        """Whether the value is worth an equation of its own."""
        if not value.batched or isinstance(value, (Ref, Slice)):
            return False
        return not self.gate or next(refs(value, "param"), None) is not None


def _labels(named: Iterable[Named]) -> dict[Expr, _Label]:
    """The values that stand for a line of code, and the functions inside of lines."""
    items = list(named)
    last: list[Named] = []
    for item in items:
        if item.place is not None:
            if last and last[-1].place is not None and _together(last[-1].place, item.place):
                last.pop()
            last.append(item)
    labels: dict[Expr, _Label] = {}
    for item in last:
        assert item.place is not None
        found = code.statement(item.place)
        if found.target is not None:
            labels.setdefault(item.value, _Label(found.target, found.text, False))
    for item in items:
        if isinstance(item.value, Apply) and _is_function(item.value):
            name, text = (item.op, "") if item.place is None else code.call(item.place, item.op)
            labels.setdefault(item.value, _Label(name, text, True))
    return labels


def _together(one: Place, other: Place) -> bool:
    """Whether two expressions are of one statement."""
    return one.file == other.file and code.statement(one) == code.statement(other)


def _is_function(node: Apply) -> bool:
    row = OPS[node.op]
    return row.kind is Kind.POINTWISE and not row.infix and node.op not in ("neg", "detach")

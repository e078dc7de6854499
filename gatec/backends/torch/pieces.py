"""Grouped products taken apart by name.

The plan computes the products of all gates as one and slices it. What is read in slices alone
is split once instead, into pieces with names: `W_f_a` is what `W_f` gives for `a`. The equations
then read as they were written, and one split costs less than many slices, most of all backward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from gatec.backends.torch.affine import affine_operands, is_product
from gatec.backends.torch.inline import inlined
from gatec.expr import Apply, Concat, Dim, Expr, Ref, Slice, bottom_up, rewrite
from gatec.ir import Cell, Equation, Phase
from gatec.passes.common import kept, nodes


@dataclass(frozen=True)
class Assignment:
    """An equation as a statement: its value under one name, or split into pieces of `sizes`."""

    equation: Equation
    names: tuple[str, ...]
    sizes: tuple[Dim, ...] = ()
    axis: int = 0


def assignments(plan: Cell, fresh: Callable[[str], str]) -> list[Assignment]:
    """The plan's equations as statements, split where only slices of them are read.

    `fresh` makes a new name of a word, one that nothing has yet.
    """
    return _Writer(plan, fresh).assignments()


class _Writer:
    def __init__(self, plan: Cell, fresh: Callable[[str], str]) -> None:
        self.fresh, self.kept = fresh, kept(plan)
        self.equations = inlined(plan)
        self.table = {equation.name: equation.value for equation in self.equations}
        self.known: dict[Expr, Expr] = {}  # what is read instead of slices and other values
        self.made: list[Assignment] = []

    def assignments(self) -> list[Assignment]:
        parts = _slices(self.equations, self.kept)
        for equation in self.equations:
            if equation.phase is not Phase.ONCE:
                self.take_out_views(equation)
            value = rewrite(equation.value, lambda node: self.known.get(node, node))
            written = replace(equation, value=value)
            found = _in_order(equation.value, parts.get(equation.name, []))
            if found:
                self.split(written, found)
            else:
                self.whole(written)
        return self.made

    def take_out_views(self, equation: Equation) -> None:
        """Slices of parameters, which the step would take anew each time."""
        for node in bottom_up(equation.value):
            root = _root(node)
            if not isinstance(node, Slice) or node.batched or root is None or node in self.known:
                continue
            name = self.fresh(f"{root}_part")
            view = replace(equation, name=name, value=node, text="", phase=Phase.ONCE)
            self.known[node] = view.ref
            self.made.append(Assignment(view, (name,)))

    def split(self, equation: Equation, parts: list[Slice]) -> None:
        """The value split into pieces, which are read instead of slices of it."""
        names = tuple(self.fresh(name) for name in _piece_names(equation, parts, self.table))
        for name, part in zip(names, parts, strict=True):
            self.known[part] = Ref("var", name, part.shape, 0, part.batched)
        sizes = tuple(part.stop - part.start for part in parts)
        axis = parts[0].axis - parts[0].rank
        self.made.append(Assignment(equation, names, sizes, axis))

    def whole(self, equation: Equation) -> None:
        """The value under the equation's name, or one that says what it is."""
        own = not equation.text and equation.name not in self.kept
        if own and isinstance(equation.value, Ref):
            self.known[equation.ref] = equation.value
            return
        name = equation.name
        origin = _origin(equation.value, None, self.table)
        if own and origin is not None and affine_operands(equation.value):
            name = self.fresh(origin)
            self.known[equation.ref] = replace(equation, name=name).ref
        self.made.append(Assignment(equation, (name,)))


# --- Pieces ---------------------------------------------------------------------------------


def _slices(equations: Iterable[Equation], whole: Iterable[str]) -> dict[str, list[Slice]]:
    """The variables of which only slices are read, and the slices."""
    found: dict[str, list[Slice]] = {}
    taken = set(whole)
    for equation in equations:
        for node in nodes(equation.value):
            if isinstance(node, Ref) and node is equation.value:
                taken.add(node.name)
            for child in node.children:
                if not isinstance(child, Ref) or child.kind != "var":
                    continue
                if not isinstance(node, Slice):
                    taken.add(child.name)
                elif node not in found.setdefault(child.name, []):
                    found[child.name].append(node)
    return {name: slices for name, slices in found.items() if name not in taken}


def _in_order(value: Expr, slices: list[Slice]) -> list[Slice]:
    """The slices one after the other where they are the value's parts along one axis."""
    if not slices:
        return []
    axis = slices[0].axis
    starts = {part.start: part for part in slices}
    if len(starts) < len(slices) or any(part.axis != axis for part in slices):
        return []
    ordered: list[Slice] = []
    position = Dim()
    while position in starts and len(ordered) < len(slices):
        ordered.append(starts[position])
        position = ordered[-1].stop
    complete = position == value.shape[axis] and len(ordered) == len(slices) > 1
    return ordered if complete else []


def _piece_names(equation: Equation, parts: list[Slice], table: Mapping[str, Expr]) -> list[str]:
    """A name for each piece: the parameter and what it multiplies, or the equation's name."""
    names = [_origin(equation.value, part, table) for part in parts]
    if None in names or len(set(names)) < len(names):
        base = names[0] if names and len(set(names)) == 1 and names[0] else equation.name
        return [f"{base}_{i}" for i, _ in enumerate(parts, 1)]
    return [name for name in names if name]


def _origin(value: Expr, part: Slice | None, table: Mapping[str, Expr]) -> str | None:
    """Where a product, or a piece of one, comes from: `W_f_a` for the rows of `W_f`, times `a`."""
    affine = affine_operands(value)
    if affine is not None:
        matrix, vector, _ = affine
    elif is_product(value):
        matrix, vector = value.children
    else:
        return None
    if isinstance(matrix, Ref) and matrix.kind == "var":
        matrix = table.get(matrix.name, matrix)
    if isinstance(matrix, Concat) and matrix.axis == 0 and part is not None:
        start = Dim()
        for arg in matrix.args:
            if start == part.start and start + arg.shape[0] == part.stop:
                matrix = arg
                break
            start += arg.shape[0]
    rows, operand = _root(matrix), _root(vector)
    return f"{rows}_{operand}" if rows and operand else None


def _root(value: Expr) -> str | None:
    """The name of what a value is a view of."""
    while isinstance(value, Slice) or (isinstance(value, Apply) and value.op == "transpose"):
        value = value.children[0]
    return value.name if isinstance(value, Ref) else None

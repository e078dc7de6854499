"""Parameters of a module cut into the pieces that a cell may have as parameters of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from gatec.equivalence.modules.cells import Block, blocks
from gatec.equivalence.modules.construct import HIDDEN, INPUT, Constructor, Values
from gatec.equivalence.modules.merge import Count, Sizes
from gatec.expr import Apply, Concat, Dim, Expr, replaced, rewrite
from gatec.ir import Cell, Param
from gatec.passes.common import refs
from gatec.passes.products import product

_H, _I = Dim.of(HIDDEN), Dim.of(INPUT)


@dataclass(frozen=True)
class Piece:
    """A block of a parameter, the number of its gate, and how many gates the parameter holds."""

    block: Block
    gate: int
    gates: int


def shapes(
    made: Constructor, runs: Sequence[Values]
) -> tuple[Sizes, dict[str, tuple[Dim | None, ...]]]:
    """The shape of every parameter of a module, in sizes; None for a size that is no sum."""
    sizes = Sizes(tuple(runs))
    tables: list[dict[str, Tensor]] = [dict(made.build(v).named_parameters()) for v in runs]
    found = {}
    for name, tensor in tables[0].items():
        axes = range(tensor.dim())
        counts = [Count(table[name].shape[axis] for table in tables) for axis in axes]
        found[name] = tuple(sizes.dim(count) for count in counts)
    return sizes, found


def arrangements(found: Mapping[str, tuple[Dim | None, ...]]) -> Iterator[list[Piece]]:
    """The pieces of all parameters; once for each order in which [x, h] may be joined."""
    options = [list(_of_parameter(name, shape)) for name, shape in found.items()]
    for chosen in itertools.islice(itertools.product(*options), 64):
        yield [piece for pieces in chosen for piece in pieces]


def _of_parameter(name: str, shape: tuple[Dim | None, ...]) -> Iterator[list[Piece]]:
    """The pieces of one parameter, for every order of its parts."""
    if any(dim is None for dim in shape):
        yield []
        return
    axes = [list(_cuts(dim)) for dim in shape if dim is not None]
    for cuts in itertools.product(*axes):
        pieces = []
        counts = [len(parts) for parts in cuts]
        gates = max(counts, default=1)
        gate_axis = counts.index(gates) if counts else 0
        for place in itertools.product(*map(range, counts)):
            pieces.append(Piece(_block(name, cuts, place), place[gate_axis] if place else 0, gates))
        yield pieces


# Parts of an axis: units from start to stop, or an entry of its own.
_Part = tuple[Dim, Dim] | int


def _cuts(dim: Dim) -> Iterator[list[_Part]]:
    """The ways to cut an axis: into gates, or into what is joined."""
    if not dim.terms:
        yield list(range(dim.const))
        return
    for unit in (_H, _I):
        count = dict(dim.terms).get(unit.terms[0][0], 0)
        if count >= 1 and dim == unit * count:
            yield [(unit * k, unit * (k + 1)) for k in range(count)]
            return
    if dim == _H + _I:
        yield [(Dim(), _I), (_I, dim)]
        yield [(Dim(), _H), (_H, dim)]
        return
    yield [(Dim(), dim)]


def _block(name: str, cuts: Sequence[list[_Part]], place: tuple[int, ...]) -> Block:
    parts = [parts[i] for parts, i in zip(cuts, place, strict=True)]
    index = tuple(part if isinstance(part, int) else None for part in parts)
    ranges = tuple(part for part in parts if not isinstance(part, int))
    cut = tuple(
        len(c) > 1 for c, part in zip(cuts, parts, strict=True) if not isinstance(part, int)
    )
    entries = [str(i) for i, c in zip(index, cuts, strict=True) if i is not None and len(c) > 1]
    source = f"{name}[{', '.join(entries)}]" if entries else name
    shape = tuple(stop - start for start, stop in ranges)
    return Block(source, source, name, index, shape, ranges, cut)


# --- The cell -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """A cell over blocks of its parameters: what multiplies a join is cut into its parts."""

    cell: Cell
    blocks: tuple[Block, ...]

    def gates(self) -> list[list[str]]:
        """The parameters of each equation that has some, every parameter once."""
        seen: set[str] = set()
        made = []
        for equation in self.cell.equations:
            names = [ref.name for ref in refs(equation.value, "param") if ref.name not in seen]
            seen |= set(names)
            if names:
                made.append(names)
        return made


def split(cell: Cell, sizes: Sizes) -> Split:
    """The cell over blocks."""

    def node(expr: Expr) -> Expr:
        joined = isinstance(expr, Apply) and expr.op == "matvec"
        if joined and isinstance(expr.children[1], Concat):
            return product("matvec", *expr.children)
        return expr

    values = [rewrite(equation.value, node) for equation in cell.equations]
    origins = {param.name: (param.name, (None,) * len(param.shape)) for param in cell.params}
    swap, made = blocks(values, sizes, origins)
    equations = tuple(
        replace(equation, value=replaced(value, swap))
        for equation, value in zip(cell.equations, values, strict=True)
    )
    learned = {s.initial.param for s in cell.states if s.initial.param}
    params = [Param(block.name, "", block.shape) for block in made]
    names = {block.name for block in made}
    params += [p for p in cell.params if p.name in learned - names]
    return Split(replace(cell, params=tuple(params), equations=equations), tuple(made))


__all__ = ["Piece", "Split", "arrangements", "shapes", "split"]

"""From a module to a cell: one step of it, recorded at several sizes and read as equations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn

from gatec.equivalence.modules import cells, interpret, unroll
from gatec.equivalence.modules.calling import Calling, Layout
from gatec.equivalence.modules.construct import BATCH, HIDDEN, INPUT, Constructor, Values, quiet
from gatec.equivalence.modules.contract import Products
from gatec.equivalence.modules.interpret import Reading
from gatec.equivalence.modules.merge import Graph, MergedLeaf, merged
from gatec.equivalence.modules.record import Trace, Untraceable, record
from gatec.equivalence.modules.symbolic import Batch, Items, Symbolic, array, lists, units
from gatec.equivalence.sides import mapped
from gatec.expr import Dim, Expr, Ref, Shape, bottom_up
from gatec.ir import Cell, Initial, Input, Param, Size, State, verify

# Sizes of the runs: no two meanings share one, and the columns are independent.
_TABLE = (
    (2, 3, 2, 5, 3, 4, 7),
    (3, 4, 7, 6, 5, 9, 8),
    (5, 7, 11, 8, 13, 6, 9),
    (7, 9, 5, 11, 4, 13, 6),
    (11, 13, 4, 7, 9, 5, 8),
)


@dataclass(frozen=True)
class Slot:
    """Where a state of the cell is in the states of a module.

    tensor  the number of the tensor
    index   along each of its axes: an entry, or None for the batch and the units
    batch   the axis of the batch, once the entries are taken
    """

    tensor: int
    index: tuple[int | None, ...]
    batch: int

    def of(self, states: Sequence[Tensor]) -> Tensor:
        found = states[self.tensor][tuple(slice(None) if i is None else i for i in self.index)]
        return found.movedim(self.batch, 0)


@dataclass(frozen=True)
class Traced:
    """A module as a cell.

    cell       its equations, over blocks of its parameters
    blocks     which rows and columns of which parameter each parameter of the cell is
    constants  parameters of the cell that are numbers of the constructor
    states     the cell's states, in the order of the entries of the module's
    slots      where each of them is in the module's
    idle       parameters that no equation reads, in which a state may start
    """

    cell: Cell
    blocks: Mapping[str, cells.Block]
    constants: frozenset[str]
    states: tuple[str, ...]
    slots: tuple[Slot, ...] = ()
    idle: tuple[cells.Block, ...] = ()

    def start(self, given: Sequence[Tensor]) -> dict[str, Tensor]:
        """The cell's states (B, *units) from those of the module."""
        return {name: slot.of(given) for name, slot in zip(self.states, self.slots, strict=True)}


def traced(made: Constructor, calling: Calling) -> Traced:
    """The cell that a module computes. Raises Untraceable."""
    given = runs(made)
    graph = merged([_recorded(made, calling, values) for values in given], given)
    return _Assembly(made, calling, graph).traced()


def runs(made: Constructor) -> list[Values]:
    """Sizes and constants of enough runs to tell all of them apart. Raises Untraceable."""
    names = (BATCH, *made.size_names)
    if len(names) > len(_TABLE):
        raise Untraceable("its constructor takes too many sizes")
    count = len(names) + 2
    found = []
    for k in range(count):
        sizes = {name: row[k] for name, row in zip(names, _TABLE, strict=False)}
        constants = {
            name: _moved(default, k + 3 * i, count)
            for i, (name, default) in enumerate((made.constants or {}).items())
        }
        found.append(Values(sizes, constants))
    return found


def _moved(value: float, k: int, count: int) -> float:
    """Another value for a constant, near its default and on the same side of 0 and 1."""
    shares = (0.875, 0.75, 0.8125, 0.6875, 0.9375, 0.625, 0.71875, 0.84375, 0.65625, 0.90625)
    share = shares[k % len(shares)]
    return value * share if value else share / 8


def _recorded(made: Constructor, calling: Calling, values: Values) -> Trace:
    sizes = dict(values.sizes)
    module = made.build(values)
    rows = sizes[BATCH]
    steps = 1 if calling.recurrent else unroll.STEPS
    generator = torch.Generator().manual_seed(2)

    def drawn(shape: Sequence[int]) -> Tensor:
        return torch.randn(tuple(shape), generator=generator, dtype=torch.float64)

    with quiet():
        x = drawn((steps, rows, sizes[calling.size]))
        x = calling.arranged(x).clone()
        states = None
        if calling.recurrent:
            start = calling.zeros(sizes, rows)
            found = calling(module, x, start)[1]
            states = [drawn(state.shape) for state in found]
        if calling.by_row:
            x, states = calling.row(x, states, 0)
            x, states = x.clone(), states and [state.clone() for state in states]
            calling = replace(calling, by_row=False)
        named = [("input", "x", x)]
        named += [("state", name, s) for name, s in zip(calling.names, states or [], strict=True)]
        named += [("param", name, p) for name, p in module.named_parameters()]
        named += [("constant", name, b) for name, b in module.named_buffers()]
        return record(lambda: _results(module, calling, x, states), named)


def _results(
    module: nn.Module, calling: Calling, x: Tensor, states: list[Tensor] | None
) -> list[Tensor]:
    if not calling.last_only or calling.recurrent:
        output, new = calling(module, x, states)
        return [output, *new] if calling.recurrent else [output]
    time = 1 if calling.layout is Layout.BATCH_FIRST else 0
    return [calling(module, x.narrow(time, 0, t + 1), None)[0] for t in range(x.shape[time])]


# --- Assembly -------------------------------------------------------------------------------------


class _Assembly:
    def __init__(self, made: Constructor, calling: Calling, graph: Graph) -> None:
        self.made, self.calling, self.graph = made, calling, graph
        self.space = Products(graph.sizes)
        self.state_items: list[tuple[str, Symbolic]] = []
        self._shapes: dict[str, Shape] = {}

    def traced(self) -> Traced:
        leaves: dict[int, Symbolic] = {}
        for number, leaf in self.graph.leaves.items():
            if leaf.kind == "input":
                leaves[number] = self._input(leaf)
            elif leaf.kind in ("param", "state"):
                leaves[number] = interpret.leaf_tensor(self.space, leaf.kind, leaf)
                for _, ref in _entries(leaves[number]):
                    self._shapes[getattr(ref, "name", "")] = ref.shape
                if leaf.kind == "state":
                    self.state_items.append((leaf.name, leaves[number]))
        reading = interpret.read(self.graph, leaves)
        if self.calling.recurrent:
            output, updates, named = self._one_step(reading)
        else:
            output, updates, named = self._unrolled(reading)
        return self._cell(output, updates, named)

    def _input(self, leaf: MergedLeaf) -> Symbolic:
        """The input: one `Ref`, or one for each step of a sequence."""
        axes = self.space.axes(leaf.shape)
        flat = tuple(atom for axis in axes for atom in axis)
        shape = units(flat)
        several = len(lists(flat)) > 0

        def ref(index: tuple[int, ...]) -> Expr:
            return Ref("input", unroll.step_input("x", index[0]) if several else "x", shape)

        if len(lists(flat)) > 1:
            raise Untraceable("its input has more axes than time, batch and units")
        return Symbolic(axes, array(lists(flat), ref))

    # --- Results --------------------------------------------------------------------------------

    def _one_step(self, reading: Reading) -> tuple[Expr, dict[str, Expr], list[interpret.Named]]:
        output, *new = reading.results
        updates: dict[str, Expr] = {}
        for (_, old), value in zip(self.state_items, new, strict=True):
            value = self._like(value, old)
            for index, ref in _entries(old):
                assert isinstance(ref, Ref)
                updates[ref.name] = value.items[index]
        return self._flat(output), updates, list(reading.named)

    def _like(self, value: Symbolic, old: Symbolic) -> Symbolic:
        """A new state in the shape of the old one."""
        if value.axes == old.axes:
            return value
        axes, (fitted, _) = self.space.aligned([value, old])
        if axes != old.axes:
            raise Untraceable("its state changes shape")
        return self.space.spread(fitted, axes)

    def _unrolled(self, reading: Reading) -> tuple[Expr, dict[str, Expr], list[interpret.Named]]:
        if self.calling.last_only:
            outputs = [self._flat(result) for result in reading.results]
        else:
            (result,) = reading.results
            time = 1 if self.calling.layout is Layout.BATCH_FIRST else 0
            outputs = [self._flat(self.space.select(result, time, t)) for t in range(unroll.STEPS)]
        found = unroll.recurrence("x", outputs)
        named = [
            replace(item, value=found.shown[item.value])
            for item in reading.named
            if item.value in found.shown
        ]
        return found.output, found.states, named

    def _flat(self, value: Symbolic) -> Expr:
        """The output of one step as one expression."""
        kept = [i for i, axis in enumerate(value.axes) if axis and axis != (Batch(),)]
        if any(isinstance(a, Batch) for i in kept for a in value.axes[i]):
            raise Untraceable("its output joins rows of the batch")
        value = self.space.squeezed(value, [i for i in range(value.rank) if not value.axes[i]])
        for i in range(value.rank):
            if any(isinstance(atom, Items) for atom in value.axes[i]):
                value = self.space.united(value, i)
        item: Expr = value.items.reshape(-1)[0]
        return item

    # --- The cell -------------------------------------------------------------------------------

    def _cell(self, output: Expr, updates: dict[str, Expr], named: list[interpret.Named]) -> Traced:
        constants = frozenset(self.made.constants or {})
        roots = [output, *updates.values()]
        for root in roots:
            for node in bottom_up(root):
                if isinstance(node, Ref) and node.kind == "var":
                    raise Untraceable("it computes with a constant tensor that is not understood")
        origins: dict[str, tuple[str, tuple[int | None, ...]]] = {}
        for leaf in self.graph.leaves.values():
            if leaf.kind in ("param", "constant") and leaf.name:
                origins |= interpret.origins(self.space, leaf)
        values, made = cells.blocks(roots, self.graph.sizes, origins)
        named = [replace(item, value=cells.put(item.value, values)) for item in named]
        new = {name: cells.put(value, values) for name, value in updates.items()}
        taken = {"x", *updates, *(block.name for block in made), *self.graph.sizes.runs[0].sizes}
        results = {**new, "output": cells.put(output, values)}
        equations, names = cells.equations(results, named, taken)
        size = self.made.size_names
        order = {leaf.name: i for i, leaf in enumerate(self.graph.leaves.values())}
        made.sort(key=lambda block: (order.get(block.source.split("[")[0], -1), block.name))
        params = tuple(Param(block.name, "", block.shape) for block in made)
        cell = Cell(
            self.made.cls.__name__,
            (Input("x", "x", (Dim.of(self.calling.size),)),),
            tuple(
                State(name, name, value.shape, names[name], Initial(Fraction(0)))
                for name, value in new.items()
            ),
            params,
            tuple(equations),
            names["output"],
            sizes=tuple(Size(n, n, None) for n in size if n not in (INPUT, HIDDEN)),
        )
        try:
            verify(cell)
        except ValueError as error:
            raise Untraceable(str(error)) from None
        blocks = {block.name: block for block in made}
        cell, states = _with_states_named(cell, tuple(updates))
        idle = tuple(self._idle(origins, {block.path for block in made}))
        return Traced(cell, blocks, constants & set(blocks), states, tuple(self._slots()), idle)

    def _idle(self, origins: cells.Origins, used: set[str]) -> Iterator[cells.Block]:
        """The parameters of the module that its equations do not read, vectors of them."""
        for name, (path, index) in origins.items():
            shape = self._shapes.get(name, ())
            if path not in used and len(shape) == 1:
                ranges = ((Dim(), shape[0]),)
                yield cells.Block(name, name, path, index, shape, ranges, (False,))

    def _slots(self) -> Iterator[Slot]:
        """Where the states are, in the order of their entries."""
        for number, (_, value) in enumerate(self.state_items):
            for entry, _ in _entries(value):
                left = iter(entry)
                index = tuple(
                    0 if not axis else next(left) if isinstance(axis[0], Items) else None
                    for axis in value.axes
                )
                if self.calling.by_row:  # rows are not the module's own, and come first
                    yield Slot(number, (None, *index), 0)
                    continue
                kept = [axis for axis, i in zip(value.axes, index, strict=True) if i is None]
                yield Slot(number, index, kept.index((Batch(),)))


def _with_states_named(cell: Cell, states: tuple[str, ...]) -> tuple[Cell, tuple[str, ...]]:
    """The cell with states called as the variables that their new values are assigned to."""
    if len(states) < 2 and states != ("s",):
        return cell, states  # the signature of forward names it
    taken = {cell.inputs[0].name, *(param.name for param in cell.params)}
    made: dict[str, str] = {}
    for state in cell.states:
        text = cell.equation(state.update).text
        named = bool(text) and not text.partition(": ")[2].startswith("return")
        name = state.update if named and not re.search(r"_\d+$", state.update) else state.name
        made[state.name] = state.name if name in taken else name
        taken.add(made[state.name])

    def rule(ref: Ref) -> Expr:
        return replace(ref, name=made[ref.name]) if ref.kind == "state" else ref

    renamed = tuple(
        replace(state, name=made[state.name], symbol=made[state.name]) for state in cell.states
    )
    return replace(mapped(cell, rule), states=renamed), tuple(made[name] for name in states)


def _entries(value: Symbolic) -> Iterator[tuple[tuple[int, ...], Expr]]:
    for index in np.ndindex(*value.items.shape):
        yield index, value.items[index]

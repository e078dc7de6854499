"""A graph of operations read as equations: every tensor a tensor of expressions.

Writes in place are followed through views, as PyTorch's memory is: a write to a view is a write
to the tensor that it views.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gatec.equivalence.modules.aten import TABLE
from gatec.equivalence.modules.constants import recognised
from gatec.equivalence.modules.contract import Products
from gatec.equivalence.modules.merge import Graph, MergedCall, MergedLeaf
from gatec.equivalence.modules.record import Place, TensorId, Untraceable
from gatec.equivalence.modules.symbolic import Items, Symbolic, array, lists, units
from gatec.equivalence.modules.views import COPIES, RESHAPED, VIEWS, View
from gatec.expr import Expr, Ref


@dataclass(frozen=True)
class Named:
    """An expression that a line of code computed."""

    value: Expr
    place: Place | None
    op: str


@dataclass(frozen=True)
class Reading:
    """What a graph computes.

    results  the tensors of interest
    named    what each line computed last, in order
    buffers  constants of the module that follow no rule: they are parameters here
    """

    results: tuple[Symbolic, ...]
    named: tuple[Named, ...]
    buffers: Mapping[str, Symbolic]


class _Memory:
    """A tensor's value: its own, or a view of another's."""

    def __init__(
        self, value: Symbolic | None, base: _Memory | None = None, view: View | None = None
    ) -> None:
        self._value, self._base, self._view = value, base, view

    def read(self, space: Products) -> Symbolic:
        if self._base is not None and self._view is not None:
            return self._view.get(space, self._base.read(space))
        assert self._value is not None
        return self._value

    def write(self, space: Products, value: Symbolic) -> None:
        if self._base is not None and self._view is not None:
            whole = self._view.put(space, self._base.read(space), value)
            self._base.write(space, whole)
        else:
            self._value = value


def read(graph: Graph, leaves: Mapping[int, Symbolic]) -> Reading:
    """The meaning of a graph, given its inputs, states and parameters. Raises Untraceable."""
    return _Interpreter(graph, leaves).run()


class _Interpreter:
    def __init__(self, graph: Graph, leaves: Mapping[int, Symbolic]) -> None:
        self.graph, self.space = graph, Products(graph.sizes)
        self.memory = {number: _Memory(value) for number, value in leaves.items()}
        self.named: list[Named] = []
        self.buffers: dict[str, Symbolic] = {}

    def run(self) -> Reading:
        for number, leaf in self.graph.leaves.items():
            if leaf.kind == "constant" and number not in self.memory:
                self.memory[number] = _Memory(self._constant(leaf))
        for call in self.graph.calls:
            try:
                self._call(call)
            except Untraceable as error:
                if call.place is not None:
                    where = f"{call.place.file}:{call.place.line}"
                    raise type(error)(f"{where}: {error}") from None
                raise
        results = tuple(self._value(result) for result in self.graph.results)
        return Reading(results, tuple(self.named), self.buffers)

    def _constant(self, leaf: MergedLeaf) -> Symbolic:
        assert leaf.values is not None
        try:
            found = recognised(self.space, leaf.values, leaf.shape)
        except Untraceable:
            found = None
        if found is None and leaf.name:
            found = leaf_tensor(self.space, "param", leaf)
            self.buffers[leaf.name] = found
        # What is never used may be anything.
        return found if found is not None else _unknown(self.space, leaf)

    def _value(self, value: Any) -> Any:
        """An operand: tensors by their values."""
        if isinstance(value, TensorId):
            return self._memory(value.number).read(self.space)
        if type(value) is tuple:
            return tuple(self._value(part) for part in value)
        return value

    def _memory(self, number: int) -> _Memory:
        if number not in self.memory:
            raise Untraceable("it uses a tensor of unknown origin")
        return self.memory[number]

    # --- One operation --------------------------------------------------------------------------

    def _call(self, call: MergedCall) -> None:
        name = call.op.split(".")[0]
        if name in VIEWS:
            self._view(name, call)
        elif name.endswith("_") and name[:-1] in VIEWS:
            self._turned(name[:-1], call)
        elif not call.depends:
            self._constants(call)
        elif name in COPIES:
            self._pieces(COPIES[name], call)
        elif name.endswith("_") and not name.endswith("__"):
            self._in_place(name[:-1], call)
        else:
            self._compute(name, call)

    def _view(self, name: str, call: MergedCall) -> None:
        base, *rest = call.args
        if name in RESHAPED:  # -1 is not a size: the result's own are
            rest = [self.graph.shapes[call.results.number]]
        memory = self._memory(base.number)
        views = VIEWS[name](self.space, memory.read(self.space), *rest, **call.kwargs)
        results = call.results if isinstance(views, list) else [call.results]
        views = views if isinstance(views, list) else [views]
        for result, view in zip(results, views, strict=True):
            if result != base:
                self.memory[result.number] = _Memory(None, memory, view)

    def _turned(self, name: str, call: MergedCall) -> None:
        """A tensor that becomes a view of itself, as by `transpose_`."""
        base, *rest = call.args
        memory = self._memory(base.number)
        view = VIEWS[name](self.space, memory.read(self.space), *rest, **call.kwargs)
        assert isinstance(view, View)
        self.memory[base.number] = _Memory(None, memory, view)

    def _pieces(self, name: str, call: MergedCall) -> None:
        base, *rest = call.args
        value = self._value(base)
        views = VIEWS[name](self.space, value, *rest, **call.kwargs)
        assert isinstance(views, list)
        for result, view in zip(call.results, views, strict=True):
            self.memory[result.number] = _Memory(view.get(self.space, value))

    def _constants(self, call: MergedCall) -> None:
        """An operation on constants alone: its result is looked at, not derived."""
        for result in _ids(call.results):
            if result.number not in call.values:
                continue
            shape, values = self.graph.shapes[result.number], call.values[result.number]
            leaf = MergedLeaf("constant", "", shape, values)
            if result.number in self.memory:
                self.memory[result.number].write(self.space, self._constant(leaf))
            else:
                self.memory[result.number] = _Memory(self._constant(leaf))

    def _in_place(self, name: str, call: MergedCall) -> None:
        target = call.args[0]
        old = self._value(target)
        made = self._computed(name, call)
        if made.axes != old.axes:  # the result of an operation in place has the target's shape
            made = TABLE["copy"](self.space, old, made)
        self._memory(target.number).write(self.space, made)
        self._note(made, call)

    def _compute(self, name: str, call: MergedCall) -> None:
        made = self._computed(name, call)
        if isinstance(call.results, TensorId):
            self.memory[call.results.number] = _Memory(made)
            self._note(made, call)
            return
        for result, value in zip(call.results, made, strict=True):
            if value is not None and isinstance(result, TensorId):
                self.memory[result.number] = _Memory(value)
                self._note(value, call)

    def _computed(self, name: str, call: MergedCall) -> Any:
        row = TABLE.get(name)
        if row is None:
            raise Untraceable(f"an operation that is not known: {name}")
        try:
            return row(self.space, *self._value(call.args), **self._value_of(call.kwargs))
        except (TypeError, ValueError, AttributeError) as error:
            raise Untraceable(f"{name} in a form that is not known ({error})") from None

    def _value_of(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self._value(value) for key, value in options.items()}

    def _note(self, made: Symbolic, call: MergedCall) -> None:
        if made.items.size == 1:
            item = made.items.reshape(-1)[0]
            self.named.append(Named(item, call.place, call.op.split(".")[0].strip("_")))


def _ids(value: Any) -> Iterator[TensorId]:
    if isinstance(value, TensorId):
        yield value
    elif type(value) is tuple:
        for part in value:
            yield from _ids(part)


def leaf_tensor(space: Products, kind: str, leaf: MergedLeaf) -> Symbolic:
    """A parameter or state as a tensor: a `Ref` over its units, one for each enumeration."""
    axes = space.axes(leaf.shape)
    flat = tuple(atom for axis in axes for atom in axis)
    shape = units(flat)
    if len(shape) > 2:
        raise Untraceable(f"{leaf.name} has more than two axes of units")

    def ref(index: tuple[int, ...]) -> Expr:
        return Ref(kind, entry(leaf.name, index), shape, int(kind == "state"))

    return Symbolic(axes, array(lists(flat), ref))


def entry(name: str, index: tuple[int, ...]) -> str:
    """The name of one entry of the enumerations of a tensor."""
    return "".join((name, *(f"[{i}]" for i in index)))


def origins(space: Products, leaf: MergedLeaf) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """For every `Ref` of a parameter: its name, and along each axis an entry, or None for units."""
    axes = space.axes(leaf.shape)
    counts = lists(atom for axis in axes for atom in axis)
    made: dict[str, tuple[str, tuple[int | None, ...]]] = {}
    for index in itertools.product(*map(range, counts)):
        left = iter(index)
        where = tuple(
            0 if not axis else next(left) if isinstance(axis[0], Items) else None for axis in axes
        )
        made[entry(leaf.name, index)] = (leaf.name, where)
    return made


def _unknown(space: Products, leaf: MergedLeaf) -> Symbolic:
    """A constant that must not be read: it becomes a name that no cell has."""
    return leaf_tensor(space, "var", MergedLeaf("constant", UNKNOWN, leaf.shape, None))


UNKNOWN = "unknown constant"

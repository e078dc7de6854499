"""Two cells under a map, run at the same instances: parameters of theirs, inputs, initial states.

An instance is a row of numbers, one for every unit of every free array (a `Slot`); everything
else follows from the map: parameters of mine from those of theirs, states of mine as a multiple
of those of theirs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gatec.equivalence.evaluate import Array, Domain, Evaluator, Run, Runner, Sizes, dims
from gatec.equivalence.libraries import numpy
from gatec.equivalence.match import Found
from gatec.expr import Dim, Ref, Shape, Slice
from gatec.ir import Cell
from gatec.passes.common import nodes


@dataclass(frozen=True)
class Setting:
    """What instances have in common.

    With `given` the states that are mapped, and that the user's equations name, start anywhere;
    else all start where their cell says.
    """

    sizes: Mapping[str, int]
    steps: int
    given: bool = True


@dataclass(frozen=True)
class Slot:
    """A free array: a parameter or an initial state of theirs, or an input at one step.

    `step` counts from 0 and is that of an input, `start` the first unit's place in a row.
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    start: int
    step: int = 0

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape)


@dataclass(frozen=True)
class Values:
    """The arrays of some instances, over one kind of numbers: each (B, *shape)."""

    mine: Mapping[str, Array]
    theirs: Mapping[str, Array]
    inputs: Mapping[str, list[Array]]
    mine_states: Mapping[str, Array]
    theirs_states: Mapping[str, Array]


class Pair:
    """Two cells as `check.prepared` gives them, and a map that need not be right.

    States that the map leaves out start where their cell says.
    """

    def __init__(self, mine: Cell, theirs: Cell, found: Found) -> None:
        self.mine, self.theirs, self.found = mine, theirs, found
        self.runners = Runner(mine), Runner(theirs)
        # A state that the preparation made up holds the value of a function: not every value.
        named, others = (
            {state.name for state in cell.states if state.symbol} for cell in (mine, theirs)
        )
        # Where a state has no counterpart, the others may not start anywhere: they may hold it.
        whole = len(mine.states) == len(theirs.states) == len(found.states)
        self.free = {
            name: (other, scale)
            for name, (other, scale) in found.states.items()
            if whole and name in named and other in others
        }

    def slots(self, setting: Setting) -> tuple[Slot, ...]:
        """The free arrays, in the order in which they stand in a row."""
        made: list[Slot] = []

        def add(kind: str, name: str, shape: Shape, step: int = 0) -> None:
            start = made[-1].stop if made else 0
            made.append(Slot(kind, name, dims(shape, setting.sizes), start, step))

        for param in self.theirs.params:
            add("param", param.name, param.shape)
        for step in range(setting.steps):
            for item in self.mine.inputs:
                add("input", item.name, item.shape, step)
        if setting.given:
            free = {other for other, _ in self.free.values()}
            for state in self.theirs.states:
                if state.name in free:
                    add("state", state.name, state.shape)
        return tuple(made)

    @property
    def starts_agree(self) -> bool:
        """Whether states that may start anywhere may start where both cells say."""
        mine = {state.name: state.initial for state in self.mine.states}
        theirs = {state.name: state.initial for state in self.theirs.states}
        for name, (other, scale) in self.free.items():
            one, two = mine[name], theirs[other]
            if one.param or two.param or one.value != scale * two.value:
                return False
        return True

    def shortened(self, setting: Setting, row: Array, steps: int) -> tuple[Setting, Array]:
        """An instance up to a step."""
        np = numpy()
        kept = [
            row[slot.start : slot.stop]
            for slot in self.slots(setting)
            if slot.kind != "input" or slot.step < steps
        ]
        return replace(setting, steps=steps), np.concatenate(kept) if kept else row

    def values(self, domain: Domain, setting: Setting, rows: Array) -> Values:
        """All arrays of the instances `rows` (B, units). Raises Unsupported for a strange map."""
        theirs: dict[str, Array] = {}
        inputs: dict[str, list[Array]] = {item.name: [] for item in self.mine.inputs}
        free: dict[str, Array] = {}
        for slot in self.slots(setting):
            value = rows[:, slot.start : slot.stop].reshape(len(rows), *slot.shape)
            if slot.kind == "input":
                inputs[slot.name].append(value)
            else:
                (theirs if slot.kind == "param" else free)[slot.name] = value
        evaluator = Evaluator(domain, setting.sizes)
        mine = {
            name: self._mapped(evaluator, value, theirs)
            for name, value in self.found.params.items()
        }
        mine_states = {}
        for name, (other, scale) in self.free.items():
            if setting.given:
                factor = evaluator.full(scale, ()).reshape(1, *[1] * (free[other].ndim - 1))
                mine_states[name] = domain.pointwise("mul", [factor, free[other]])
        return Values(mine, theirs, inputs, mine_states, free)

    def _mapped(self, evaluator: Evaluator, value: Any, theirs: Mapping[str, Array]) -> Array:
        def leaf(ref: Ref) -> Array:
            return theirs[ref.name]

        return evaluator.value(value, leaf)

    def run(
        self, domain: Domain, setting: Setting, values: Values, *, keep: bool = False
    ) -> tuple[Run, Run]:
        """Both cells. Raises Unsupported."""
        names = zip(self.mine.inputs, self.theirs.inputs, strict=True)
        theirs_inputs = {other.name: values.inputs[own.name] for own, other in names}
        sides = (
            (self.runners[0], values.mine, values.inputs, values.mine_states),
            (self.runners[1], values.theirs, theirs_inputs, values.theirs_states),
        )
        one, other = (
            runner.run(domain, setting.sizes, *given, steps=setting.steps, keep=keep)
            for runner, *given in sides
        )
        return one, other

    # --- Sizes ------------------------------------------------------------------------------------

    @property
    def size_names(self) -> tuple[str, ...]:
        """Every size of either cell, those of `mine` first."""
        return tuple(dict.fromkeys((*self.mine.size_names, *self.theirs.size_names)))

    def smallest(self) -> dict[str, int]:
        """The smallest sizes worth a try: 2 for what a state has many of, else 1.

        At hidden_size 1 products with matrices commute with everything, and cells coincide that
        are different functions otherwise.
        """
        inner = {
            name
            for cell in (self.mine, self.theirs)
            for state in cell.states
            for dim in state.shape
            for name, _ in dim.terms
        }
        return self.fitted({name: 2 if name in inner else 1 for name in self.size_names})

    def fitted(self, sizes: Sizes) -> dict[str, int]:
        """The sizes, enlarged until every array has a unit."""
        made = dict(sizes)
        while True:
            short = [dim for dim in self._dims() if dim.value(made) < 1]
            grown = {name for dim in short for name, count in dim.terms if count > 0}
            if not grown or max(made.values()) > 64:
                return made
            for name in grown:
                made[name] += 1

    def _dims(self) -> Iterator[Dim]:
        for cell in (self.mine, self.theirs):
            shapes = [item.shape for item in cell.inputs]
            shapes += [state.shape for state in cell.states]
            shapes += [param.shape for param in cell.params]
            yield from itertools.chain.from_iterable(shapes)
            for equation in cell.equations:
                for node in nodes(equation.value):
                    yield from node.shape
                    if isinstance(node, Slice):
                        yield node.start + 1
                        yield node.arg.shape[node.axis] - node.stop + 1

    def larger(self, limit: int) -> Iterator[dict[str, int]]:
        """Sizes from the smallest up, by their sum: at most two more of each."""
        base = self.smallest()
        varied = list(base)[:4]
        more = sorted(itertools.product(range(3), repeat=len(varied)), key=_by_sum)
        seen: list[dict[str, int]] = []
        for extra in more:
            grown = {name: base[name] + e for name, e in zip(varied, extra, strict=True)}
            sizes = self.fitted({**base, **grown})
            if sizes not in seen:
                seen.append(sizes)
                yield sizes
            if len(seen) == limit:
                return


def _by_sum(extra: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return sum(extra), extra

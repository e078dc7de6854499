"""The workspace: every array between and inside the calls, and the pointers to them.

`train` keeps the values of all steps for the backward pass; without it, what a step computes
takes the place of the last one, and values of the inputs alone are computed for a chunk of steps
at a time, so that memory does not grow with the sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from gatec.backends.c_family.indices import count_text
from gatec.backends.c_family.lines import words
from gatec.expr import Shape


class Slots(Enum):
    """How many values of its shape an array holds; `{0}` is a local name."""

    ONE = "1"
    CHUNK = "{chunk}"  # of the inputs alone: a chunk of steps, all where the call is to train
    KEPT = "{train} ? {steps} : 1"  # of a step, read on the way back
    STATES = "{train} ? {steps} + 1 : 2"  # before every step and after the last one
    STEPS = "{steps}"  # backward: of all steps
    PAIR = "2"  # backward: what a step receives and what it sends


@dataclass(frozen=True)
class Array:
    """An array of the workspace; `backward` where only the way back uses it."""

    name: str
    slots: Slots
    shape: Shape
    batched: bool
    backward: bool


class Storage:
    """The arrays of a cell, in the order in which they are asked for."""

    def __init__(self, local: Mapping[str, str]) -> None:
        self.local = local
        self.arrays: dict[str, Array] = {}

    def reserve(
        self, name: str, slots: Slots, shape: Shape, batched: bool, backward: bool = False
    ) -> None:
        self.arrays.setdefault(name, Array(name, slots, shape, batched, backward))

    def pointer(self, name: str) -> str:
        """The declaration of a pointer to an array."""
        local = self.local
        return f"real *const {name} = {local['memory']} + {local['layout']}.{name};"

    def layout(self) -> list[str]:
        """The lines that give every array its place."""
        lines = [self._take(array) for array in self.arrays.values() if not array.backward]
        late = [self._take(array) for array in self.arrays.values() if array.backward]
        if late:
            lines += [f"if ({self.local['train']}) {{", *("    " + line for line in late), "}"]
        return lines

    def _take(self, array: Array) -> str:
        slots = array.slots.value.format_map(self.local)
        rows = self.local["batch"] if array.batched else "1"
        units = [*map(str, array.shape), "1", "1"]
        place = f"{self.local['layout']}->{array.name}"
        total = self.local["placed"]
        return f"{place} = gatec_take(&{total}, {slots}, {rows}, {units[0]}, {units[1]});"


class Scope:
    """Declarations of a block, of which those are printed that its lines use."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}

    def add(self, name: str, line: str) -> None:
        self.lines.setdefault(name, line)

    def used(self, block: Iterable[str]) -> list[str]:
        """The declarations that lines use, or that those use, in the order they were added."""
        used = words(block)
        kept: list[str] = []
        for name, line in reversed(self.lines.items()):
            if name in used:
                kept.append(line)
                used |= words([line])
        return kept[::-1]


def block_text(local: Mapping[str, str], shape: Shape) -> str:
    """The number of units of one step."""
    count = count_text(shape)
    return local["batch"] if count == "1" else f"{local['batch']} * {count}"

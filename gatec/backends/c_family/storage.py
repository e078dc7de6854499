"""The workspace: every array between and inside the calls, and the pointers to them.

`train` keeps the values of all steps that the backward pass reads. All other memory does not grow
with the sequence: what a step computes takes the place of the last one, and what waits for no state
is computed for a chunk of steps at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from gatec.backends.c_family.lines import bare, words
from gatec.expr import Shape


class Slots(Enum):
    """How many values of its shape an array holds; `{0}` is a local name."""

    ONE = "1"
    CHUNK = "{chunk}"  # of a chunk of steps
    KEPT = "{train} ? {steps} : 1"  # of a step, read on the way back
    KEPT_CHUNK = "{train} ? {steps} : {chunk}"  # of a chunk of steps, read on the way back
    STATES = "{train} ? {steps} + 1 : 2"  # before every step and after the last one
    # The same where threads share the steps of a chunk.
    STATES_CHUNK = "({train} ? {steps} : {chunk}) + 1"
    CARRIES = "{chunk} + 1"  # backward: what the steps of a chunk receive and send
    PARTS = "{chunk} < GATEC_MOST_THREADS ? {chunk} : GATEC_MOST_THREADS"  # for each thread
    PAIR = "2"  # backward: what a step receives and what it sends


@dataclass(frozen=True)
class Array:
    """An array of the workspace; `backward` where only the way back uses it.

    `units` are the two factors of what it holds for a slot and a row.
    """

    name: str
    slots: Slots
    units: tuple[str, str]
    batched: bool
    backward: bool
    shape: Shape = ()


class Storage:
    """The arrays of a cell, in the order in which they are asked for."""

    def __init__(self, local: Mapping[str, str]) -> None:
        self.local = local
        self.arrays: dict[str, Array] = {}

    def reserve(
        self, name: str, slots: Slots, shape: Shape, batched: bool, backward: bool = False
    ) -> None:
        units = [*map(str, shape), "1", "1"]
        array = Array(name, slots, (units[0], units[1]), batched, backward, shape)
        self.arrays.setdefault(name, array)

    def reserve_packed(self, name: str, blocks: str, n: str, k: str, backward: bool) -> None:
        """Room for a matrix in panels: blocks of so many columns and terms."""
        lead = f"{blocks} * " if blocks != "1" else ""
        units = (f"{lead}gatec_padded({bare(n)})", bare(k))
        self.arrays.setdefault(name, Array(name, Slots.ONE, units, False, backward))

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
        place = f"{self.local['layout']}->{array.name}"
        total = self.local["placed"]
        return f"{place} = gatec_take(&{total}, {slots}, {rows}, {', '.join(array.units)});"


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

"""How a module is called: the layout of its input, and how states go in and come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn

from gatec.equivalence.modules.construct import BATCH


class Layout(StrEnum):
    """The axes of the input and of the output."""

    STEP = "(batch, units)"
    TIME_FIRST = "(time, batch, units)"
    BATCH_FIRST = "(batch, time, units)"


class Passing(StrEnum):
    """How states are handed over."""

    NOT = "not at all"
    ONE = "as one argument"
    EACH = "as an argument each"


class Returned(StrEnum):
    """Where the new state stands in what a module returns."""

    NOWHERE = "nowhere"
    ALL = "all that is returned"
    SECOND = "the second value"
    REST = "all but the first value"
    FIRST = "the first value"


SymbolicShape = tuple[int | str, ...]
# A nested structure of tensors, as None | "tensor" | (type, parts) | (keys, parts).
Structure = Any


@dataclass(frozen=True)
class Calling:
    """A calling convention.

    input       the position of the input among the arguments
    size        the name of the input's size
    structure   how the state that is handed over nests
    by_row      whether it takes no batch, but the units of one row
    keywords    of the arguments that hold states, "" for one that is passed by position
    required    whether there is no state by default
    last_only   whether a sequence gives the output of its last step alone
    names       of the states, from the signature of forward
    shapes      of the states, where one is required: numbers and names of sizes
    """

    layout: Layout
    passing: Passing
    returned: Returned
    input: int
    size: str
    structure: Structure = None
    required: bool = False
    last_only: bool = False
    by_row: bool = False
    names: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    shapes: tuple[SymbolicShape, ...] = ()

    def zeros(self, sizes: Mapping[str, int], rows: int) -> list[Tensor] | None:
        """The states to start from where there are none by default; None where there are."""
        if not self.required:
            return None
        sizes = {**sizes, BATCH: rows}
        return [
            torch.zeros([n if isinstance(n, int) else sizes[n] for n in shape], dtype=torch.float64)
            for shape in self.shapes
        ]

    @property
    def recurrent(self) -> bool:
        """Whether one step with its state can be seen from outside."""
        return self.passing is not Passing.NOT

    def __call__(
        self, module: nn.Module, x: Tensor, states: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The output and the new states; `states` None leaves them out.

        Where rows are handed over one by one, x and the states have an axis of rows all the same.
        """
        if not self.by_row:
            return self.split(self.returns(module, x, states))
        single = replace(self, by_row=False)
        found = [
            single(module, *self.row(x, states, b)) for b in range(x.shape[self._axis_of_rows])
        ]
        axis = 0 if self.last_only else self._axis_of_rows
        output = torch.stack([output for output, _ in found], axis)
        parts = zip(*(new for _, new in found), strict=True)
        return output, [torch.stack(rows) for rows in parts]

    @property
    def _axis_of_rows(self) -> int:
        return 1 if self.layout is Layout.TIME_FIRST else 0

    def row(
        self, x: Tensor, states: list[Tensor] | None, b: int
    ) -> tuple[Tensor, list[Tensor] | None]:
        """One row of an input and of states."""
        return x.select(self._axis_of_rows, b), None if states is None else [s[b] for s in states]

    def returns(self, module: nn.Module, x: Tensor, states: list[Tensor] | None) -> Any:
        """What a module returns, as it is."""
        given: list[Any] = []
        if states is not None:
            state = nested(self.structure, list(states))
            given = list(state) if self.passing is Passing.EACH else [state]
        # What is handed over beyond the arguments that are known is by position: an error.
        keywords = (*self.keywords, *("",) * len(given))[: len(given)]
        named = {name: value for name, value in zip(keywords, given, strict=True) if name}
        given = [value for name, value in zip(keywords, given, strict=True) if not name]
        given.insert(min(self.input, len(given)), x)
        return module(*given, **named)

    def split(self, returned: Any) -> tuple[Tensor, list[Tensor]]:
        """What a module returned, as its output and its new states."""
        return first(returned), tensors(state_of(self.returned, returned))

    def arranged(self, x: Tensor) -> Tensor:
        """A sequence (T, B, units) as the module takes it; of one step where it takes steps."""
        if self.layout is Layout.STEP:
            return x[0]
        return x.transpose(0, 1) if self.layout is Layout.BATCH_FIRST else x

    def sequence(self, output: Tensor) -> Tensor:
        """An output as (T, B, units)."""
        if self.layout is Layout.STEP or self.last_only:
            return output.unsqueeze(0)
        return output.transpose(0, 1) if self.layout is Layout.BATCH_FIRST else output

    def run(
        self, module: nn.Module, x: Tensor, states: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """A sequence x (T, B, units), step by step where the module takes steps."""
        if self.layout is not Layout.STEP:
            output, states = self(module, self.arranged(x), states)
            return self.sequence(output), states
        outputs = []
        for t in range(len(x)):
            output, states = self(module, x[t], states)
            outputs.append(output)
        return torch.stack(outputs), states or []


# --- Structures -----------------------------------------------------------------------------------


def tensors(value: Any) -> list[Tensor]:
    """The tensors in a nested value, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [found for part in value for found in tensors(part)]
    if isinstance(value, dict):
        return tensors(list(value.values()))
    return []


def structure(value: Any) -> Structure:
    """How a value nests; None for what is no nest of tensors."""
    if isinstance(value, Tensor):
        return "tensor"
    if isinstance(value, (tuple, list)) and value:
        parts = tuple(structure(part) for part in value)
        return None if None in parts else (type(value), parts)
    if isinstance(value, dict) and value:
        parts = tuple(structure(part) for part in value.values())
        return None if None in parts else (tuple(value), parts)
    return None


def nested(form: Structure, flat: list[Tensor]) -> Any:
    """Tensors put together as `form` says; takes them from the front of `flat`."""
    if form == "tensor":
        return flat.pop(0)
    kind, parts = form
    made = [nested(part, flat) for part in parts]
    if isinstance(kind, tuple):
        return dict(zip(kind, made, strict=True))
    return kind(*made) if hasattr(kind, "_fields") else kind(made)


def first(value: Any) -> Tensor:
    """The first tensor in a nested value. Raises ValueError where there is none."""
    found = tensors(value)
    if not found:
        raise ValueError("it returns no tensor")
    return found[0]


def state_of(where: Returned, returned: Any) -> Any:
    match where:
        case Returned.ALL:
            return returned
        case Returned.SECOND:
            return returned[1]
        case Returned.REST:
            return returned[1:]
        case Returned.FIRST:
            return returned[0]
    return None

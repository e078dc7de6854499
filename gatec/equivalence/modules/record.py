"""A run of a module, recorded: every operation of PyTorch that took part, in order.

Operations are recorded below autograd, where composed ones (`nn.Linear`, `nn.LSTM`, …) have
become the few that compute; tensors are numbered as they appear, so that two runs of one module
at different sizes can be laid side by side (`merge.py`).
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Untraceable(Exception):
    """A module's computation cannot be read as equations; the message says why."""


class Interleaved(Untraceable):
    """It takes every n-th unit: its packed parameters have an order that no search tries."""

    def __init__(self, message: str = "it takes every n-th unit of a vector") -> None:
        super().__init__(message)


@dataclass(frozen=True)
class TensorId:
    """A tensor of a run, by its number."""

    number: int


@dataclass(frozen=True)
class Place:
    """The expression of the user's code that called an operation; columns count bytes, from 0."""

    file: str
    line: int
    end_line: int
    column: int
    end_column: int


@dataclass(frozen=True)
class Leaf:
    """A tensor that no operation made: an input, a state, a parameter, or a constant.

    `value` is kept for constants.
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    value: Tensor | None = None


@dataclass(frozen=True)
class Call:
    """One operation.

    args, kwargs  as it was called, tensors by their numbers
    results       what it returned, likewise
    depends       whether any operand depends on an input, a state or a parameter
    values        of results that do not
    """

    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: Any
    depends: bool
    place: Place | None
    values: Mapping[int, Tensor]


@dataclass
class Trace:
    """What was recorded: leaves by number, calls in order, shapes, and what was returned."""

    leaves: dict[int, Leaf] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    results: list[TensorId] = field(default_factory=list)


_TORCH = os.path.dirname(torch.__file__)
_HERE = os.path.dirname(__file__)
# Options of operations that say how numbers are stored.
_STORAGE = frozenset({"dtype", "device", "layout", "pin_memory", "memory_format", "generator"})
_READS = ("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select")
# Operations that look at the shape of their operand alone.
_SHAPES = frozenset(
    f"{which}{kind}"
    for which, kind in [
        *(("new_", kind) for kind in ("empty", "zeros", "ones", "full", "empty_strided")),
        *((kind, "_like") for kind in ("empty", "zeros", "ones", "full")),
    ]
)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records while it is active. Raises Untraceable where values decide what is computed."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else PyTorch imports its compiler, which takes seconds, to keep it off this class.
        return False

    def __init__(self, named: list[tuple[str, str, Tensor]]) -> None:
        """`named` are the leaves that are known: (kind, name, tensor)."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.trace = Trace()
        self._numbers: dict[int, int] = {}
        self._alive: list[Tensor] = []  # numbers go by identity: no tensor may be freed
        self._dependent: set[int] = set()  # storages: a write to a view reaches all views of it
        for kind, name, tensor in named:
            number = self._number(tensor)
            value = tensor.clone() if kind == "constant" else None
            self.trace.leaves[number] = Leaf(kind, name, tuple(tensor.shape), value)
            if kind != "constant":
                self._dependent.add(_storage(tensor))

    def _number(self, tensor: Tensor) -> int:
        if id(tensor) not in self._numbers:
            self._numbers[id(tensor)] = number = len(self._numbers)
            self._alive.append(tensor)
            self.trace.shapes[number] = tuple(tensor.shape)
        return self._numbers[id(tensor)]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        numbered = self._replaced(args), self._replaced(dict(kwargs))
        name = func.name().removeprefix("aten::")
        depends = name.split(".")[0] not in _SHAPES and any(
            _storage(self._alive[n]) in self._dependent for n in _numbers(numbered)
        )
        if depends and name.split(".")[0] in _READS:
            raise Untraceable("which operations it runs depends on the values of its tensors")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise Untraceable(f"it draws random numbers ({name})")
        result = func(*args, **kwargs)
        results = self._replaced(result, new=True)
        made = list(_numbers(results))
        if depends:
            self._dependent.update(_storage(self._alive[n]) for n in made)
        values = {} if depends else {n: self._alive[n].clone() for n in made}
        options = {key: v for key, v in numbered[1].items() if key not in _STORAGE}
        self.trace.calls.append(
            Call(name, numbered[0], options, results, depends, _place(), values)
        )
        return result

    def _replaced(self, value: Any, new: bool = False) -> Any:
        """A nested value with numbers in place of tensors."""
        if isinstance(value, Tensor):
            known = id(value) in self._numbers
            number = self._number(value)
            if not known and not new:  # a constant that the code made or holds
                leaf = Leaf("constant", "", tuple(value.shape), value.clone())
                self.trace.leaves[number] = leaf
            return TensorId(number)
        if isinstance(value, (list, tuple)):
            return tuple(self._replaced(part, new) for part in value)
        if isinstance(value, dict):
            return {key: self._replaced(part, new) for key, part in value.items()}
        return value


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _numbers(value: Any) -> list[int]:
    if isinstance(value, TensorId):
        return [value.number]
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple):
        return [number for part in value for number in _numbers(part)]
    return []


def _place() -> Place | None:
    """The innermost expression outside of PyTorch and of this package; None without one."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_HERE):
            return None
        if not file.startswith((_TORCH, "<")):
            positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
            line, end_line, column, end_column = next(positions, (None,) * 4)
            line = line or frame.f_lineno
            return Place(file, line, end_line or line, column or 0, end_column or 0)
        frame = frame.f_back
    return None


def record(run: Callable[[], list[Tensor]], named: list[tuple[str, str, Tensor]]) -> Trace:
    """The trace of `run`, which returns the tensors of interest. Raises Untraceable."""
    recorder = Recorder(named)
    with recorder:
        found = run()
        recorder.trace.results = [recorder._replaced(tensor) for tensor in found]
    return recorder.trace

"""The compiled kernels of a cell, called with tensors."""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gatec import adjoint, backends, cell_text, passes
from gatec.backends.c_family.interface import Interface
from gatec.expr import Dim, Shape
from gatec.ir import Cell, Program
from gatec.runtime import build
from gatec.runtime.build import Unavailable

DTYPES = {torch.float32: "float32", torch.float64: "float64"}


@dataclass(frozen=True)
class Shapes:
    """What a call computes with: T steps, a batch of B, the sizes of the cell."""

    steps: int
    batch: int
    sizes: dict[str, int]

    def of(self, shape: Shape, *lead: int) -> tuple[int, ...]:
        return (*lead, *(dim.value(self.sizes) for dim in shape))


class Kernels:
    """Forward and backward of one cell for one type of numbers.

    All tensors are contiguous, of that type, and on the CPU. `params` in the order of the cell's;
    a bias may be None. States are those of the plan: those that a pass made among them.
    """

    def __init__(self, program: Program, dtype: torch.dtype) -> None:
        """Compiles them where that is not done yet. Raises Unavailable."""
        self.plan: Cell = program.plan
        self.size_names = Interface(program).size_names
        files = backends.load("c").generate(program, "cell")
        path = build.library(files, DTYPES[dtype])
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise Unavailable(f"the library cannot be loaded: {error}") from error
        prefix = f"gatec_{program.source.name.lower()}"
        self._measure = getattr(library, f"{prefix}_workspace_size")
        self._measure.restype = ctypes.c_size_t
        self._forward = getattr(library, f"{prefix}_forward")
        self._backward = getattr(library, f"{prefix}_backward", None)

    # --- Shapes -------------------------------------------------------------------------------

    def shapes(
        self, inputs: Sequence[Tensor], params: Sequence[Tensor | None], hidden_size: int
    ) -> Shapes:
        """The sizes of a call, by the shapes of what it is given. Raises ValueError."""
        sizes = {"hidden_size": hidden_size}
        items = [*zip(self.plan.inputs, inputs, [2] * len(inputs), strict=True)]
        items += [(p, given, 0) for p, given in zip(self.plan.params, params, strict=True)]  # type: ignore[misc]
        for item, tensor, lead in items:
            if tensor is not None:
                for dim, count in zip(item.shape, tensor.shape[lead:], strict=True):
                    _learn(dim, count, sizes)
        missing = [name for name in self.size_names if name not in sizes]
        if missing:
            raise ValueError(f"the size {missing[0]} does not show in any shape")
        steps, batch = inputs[0].shape[:2]
        return Shapes(steps, batch, sizes)

    def _sizes(self, shapes: Shapes, threads: int) -> ctypes.Array[Any]:
        own = [shapes.sizes[name] for name in self.size_names]
        numbers = [shapes.steps, shapes.batch, *own, threads]
        return (ctypes.c_size_t * len(numbers))(*numbers)

    def results(self, shapes: Shapes, like: Tensor, train: bool) -> list[Tensor]:
        """Tensors for the outputs, the last states and the workspace, not filled."""
        plan = self.plan
        made = [like.new_empty(shapes.of(plan.output_shape, shapes.steps, shapes.batch))]
        made += [like.new_empty(shapes.of(state.shape, shapes.batch)) for state in plan.states]
        room = self._measure(self._sizes(shapes, 1), int(train))
        if not room:
            raise ValueError("a size is too big")
        return [*made, like.new_empty((room,), dtype=torch.uint8)]

    # --- Calls --------------------------------------------------------------------------------

    def forward(
        self,
        shapes: Shapes,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        params: Sequence[Tensor | None],
        constants: Sequence[float],
        train: bool,
    ) -> list[Tensor]:
        """The outputs (T, B, …), the last states, the workspace that backward wants."""
        outputs, *last, workspace = self.results(shapes, inputs[0], train)
        status = self._forward(
            ctypes.c_void_p(outputs.data_ptr()),
            _pointers(last),
            *self._shared(shapes, inputs, states, params, constants, workspace),
            int(train),
        )
        if status:
            raise RuntimeError(f"the kernel refused the call (status {status})")
        if not train:
            workspace = workspace.new_empty((0,))
        return [outputs, *last, workspace]

    def backward(
        self,
        shapes: Shapes,
        grad_outputs: Tensor,
        grad_last: Sequence[Tensor],
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        params: Sequence[Tensor | None],
        constants: Sequence[float],
        workspace: Tensor,
        wanted: Sequence[bool],
    ) -> list[Tensor]:
        """The gradients by inputs, states and parameters that are wanted, empty for others."""
        plan, like = self.plan, inputs[0]
        assert self._backward is not None
        full = [shapes.of(item.shape, shapes.steps, shapes.batch) for item in plan.inputs]
        full += [shapes.of(state.shape, shapes.batch) for state in plan.states]
        full += [shapes.of(param.shape) for param in plan.params]
        made = [like.new_empty(s if w else (0,)) for s, w in zip(full, wanted, strict=True)]
        pointers = [g if w else None for g, w in zip(made, wanted, strict=True)]
        first, second = len(plan.inputs), len(plan.inputs) + len(plan.states)
        groups = [_pointers(pointers[second:])] if plan.params else []
        status = self._backward(
            *groups,
            _pointers(pointers[:first]),
            _pointers(pointers[first:second]),
            ctypes.c_void_p(grad_outputs.data_ptr()),
            _pointers(grad_last) if grad_last else None,
            *self._shared(shapes, inputs, states, params, constants, workspace),
        )
        if status:
            raise RuntimeError(f"the kernel refused the call (status {status})")
        return made

    def _shared(
        self,
        shapes: Shapes,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        params: Sequence[Tensor | None],
        constants: Sequence[float],
        workspace: Tensor,
    ) -> list[Any]:
        """The arguments that forward and backward have in common."""
        numbers = (ctypes.c_double * len(constants))(*constants)
        return [
            self._sizes(shapes, torch.get_num_threads()),
            *([numbers] if self.plan.constants else []),
            *([_pointers(params)] if self.plan.params else []),
            _pointers(inputs),
            _pointers(states) if states else None,
            ctypes.c_void_p(workspace.data_ptr()),
            ctypes.c_size_t(workspace.numel()),
        ]


def _pointers(tensors: Sequence[Tensor | None]) -> ctypes.Array[Any]:
    """A structure of pointers; None is NULL."""
    values = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    return (ctypes.c_void_p * max(len(values), 1))(*values)


def _learn(dim: Dim, count: int, sizes: dict[str, int]) -> None:
    """What a dimension says of the one size in it that is not known yet."""
    unknown = [(name, times) for name, times in dim.terms if name not in sizes]
    if len(unknown) != 1:
        return
    ((name, times),) = unknown
    rest = count - dim.const - sum(sizes[n] * t for n, t in dim.terms if n in sizes)
    sizes[name] = rest // times


# --- By key ---------------------------------------------------------------------------------------

_lock = threading.Lock()
_texts: dict[str, str] = {}  # cells by key
_programs: dict[str, Program] = {}
_made: dict[tuple[str, torch.dtype], Kernels | Unavailable] = {}


@cache
def key_of(text: str) -> str:
    """The key of a cell, given by its text, for `kernels`."""
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    _texts.setdefault(key, text)
    return key


def program(key: str) -> Program:
    """A cell by its key. Raises Unavailable."""
    if key not in _programs:
        text = _texts.get(key)
        if text is None:
            raise Unavailable("the module of this cell has not been imported")
        if not text.strip():
            raise Unavailable("the module carries no text of its cell that leads back to it")
        try:
            cell = cell_text.read(text)
            _programs[key] = adjoint.differentiate(cell, passes.plan(cell))
        except (ValueError, TypeError, KeyError, SyntaxError, RecursionError) as error:
            raise Unavailable(f"this version of gatec cannot read the cell: {error}") from error
    return _programs[key]


def kernels(key: str, dtype: torch.dtype) -> Kernels:
    """The kernels of a cell, compiled when first asked for. Raises Unavailable, each time."""
    found = _made.get((key, dtype))
    if found is None:
        with _lock:  # one thread compiles, the others wait
            found = _made.get((key, dtype))
            if found is None:
                try:
                    found = Kernels(program(key), dtype)
                except Unavailable as error:
                    found = error
                _made[key, dtype] = found
    if isinstance(found, Unavailable):
        raise Unavailable(str(found))
    return found


def _after_fork() -> None:
    """Another thread may have held the lock, and does not exist in the child."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def forget() -> None:
    """Forget all kernels: they are looked for anew. For tests, and after a compiler came."""
    with _lock:
        _made.clear()

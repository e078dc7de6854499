"""The compiled kernels of a cell, called with tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gatec import backends
from gatec.backends.c_family.interface import Interface
from gatec.ir import Program
from gatec.runtime import build, memory, openmp
from gatec.runtime.build import Unavailable
from gatec.runtime.shapes import Extent, Layout

DTYPES = {torch.float32: "float32", torch.float64: "float64"}
# How the kernels keep the weights of products, beside numbers of the type of all others.
WEIGHTS: dict[torch.dtype | None, tuple[str, ...]] = {
    None: (),
    torch.bfloat16: ("-DGATEC_BFLOAT16",),
}
_REMEMBERED = 512  # extents, so that programs whose T changes with every call do not grow


class Kernels:
    """Forward and backward of one cell for one type of numbers.

    All tensors are contiguous, of that type, and on the CPU. Sequences are the rows of all steps,
    those of step 0 first. States are those of the plan, those that a pass made among them; none
    at all for the cell's own first states.
    """

    def __init__(
        self,
        program: Program,
        dtype: torch.dtype,
        path: Path | None = None,
        weights: torch.dtype | None = None,
    ) -> None:
        """Compiles them where that is not done yet, or takes the library at a path.

        Raises Unavailable.
        """
        self.layout = Layout(program.plan)
        self.dtype = dtype
        self._size_names = Interface(program).size_names
        self._has_constants = bool(program.plan.constants)
        self._extents: dict[Any, Measured] = {}
        if path is None:
            files = backends.load("c").generate(program, "cell")
            path = build.library(files, DTYPES[dtype], *WEIGHTS[weights])
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise Unavailable(f"the library cannot be loaded: {error}") from error
        prefix = f"gatec_{program.source.name.lower()}"
        shared = 5 + self._has_constants + bool(program.plan.params)
        openmp.serve(getattr(library, f"{prefix}_use_openmp"))
        self._measure = _function(library, f"{prefix}_workspace_size", 1, ctypes.c_int)
        self._measure.restype = ctypes.c_size_t
        last = (ctypes.c_size_t, ctypes.c_int)
        self._forward = _function(library, f"{prefix}_forward", 1 + shared, *last)
        count = 4 + bool(program.plan.params) + shared - 1
        self._backward = _function(library, f"{prefix}_backward", count, ctypes.c_size_t)

    def extent(
        self,
        steps: int,
        batch: int,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        params: Sequence[Tensor],
        hidden_size: int,
    ) -> Measured:
        """The sizes of a call, by the shapes of what it is given. Raises ValueError.

        A shape that does not fit is refused: kernels would read beyond what a tensor holds.
        """
        key = (
            steps,
            batch,
            hidden_size,
            len(inputs),
            len(states),
            *[tensor.shape for tensor in (*inputs, *states, *params)],
        )
        found = self._extents.get(key)
        if found is None:
            made = self.layout.extent(steps, batch, inputs, states, params, hidden_size)
            found = Measured(made)
            if len(self._extents) >= _REMEMBERED:
                self._extents.clear()
            self._extents[key] = found
        return found

    def measured(self, extent: Extent) -> Measured:
        """An extent for `room`."""
        return Measured(extent)

    def room(self, extent: Measured, train: bool) -> int:
        """The bytes of workspace of a call. Raises ValueError."""
        if extent.room[train] is None:
            room = self._measure(self._sizes(extent, 1), train)
            if not room:
                raise ValueError("a size is too big")
            extent.room[train] = room
        return extent.room[train]  # type: ignore[return-value]

    # --- Calls --------------------------------------------------------------------------------

    def forward(
        self,
        extent: Measured,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        params: Sequence[Tensor],
        constants: Sequence[float],
        train: bool,
        workspace: Tensor | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """The rows of the outputs and the last states; the workspace that backward wants."""
        dtype = self.dtype
        results = [memory.empty(shape, dtype) for shape in extent.results]
        if workspace is None:
            room = self.room(extent, train)
            workspace = memory.workspace(room) if train else memory.scratch(room)
        status = self._forward(
            results[0].data_ptr(),
            _pointers(results[1:]),
            *self._shared(extent, inputs, states, params, constants, workspace),
            train,
        )
        if status:
            raise RuntimeError(f"the kernel refused the call (status {status})")
        return results, workspace

    def backward(
        self,
        extent: Measured,
        grads: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        params: Sequence[Tensor],
        constants: Sequence[float],
        workspace: Tensor,
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """The gradients by inputs, given states and parameters that are wanted, None for others.

        `grads` are those by the outputs and by the last states, None for zeros.
        """
        dtype = self.dtype
        tensors = [*inputs, *states, *params]
        made = [
            memory.empty(tensor.shape, dtype) if want else None
            for tensor, want in zip(tensors, wanted, strict=True)
        ]
        first, second = len(inputs), len(inputs) + len(states)
        outputs = grads[0]
        if outputs is None:
            outputs = torch.zeros(extent.results[0], dtype=dtype)
        status = self._backward(
            *([_pointers(made[second:])] if params else []),
            _pointers(made[:first]),
            _pointers(made[first:second]) if states else None,
            outputs.data_ptr(),
            _pointers(grads[1:]),
            *self._shared(extent, inputs, states, params, constants, workspace),
        )
        if status:
            raise RuntimeError(f"the kernel refused the call (status {status})")
        return made

    def _shared(
        self,
        extent: Measured,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        params: Sequence[Tensor],
        constants: Sequence[float],
        workspace: Tensor,
    ) -> list[Any]:
        """The arguments that forward and backward have in common."""
        made = [self._sizes(extent, torch.get_num_threads())]
        if self._has_constants:
            made.append((ctypes.c_double * len(constants))(*constants))
        if params:
            made.append(_pointers(params))
        return [
            *made,
            _pointers(inputs),
            _pointers(states) if states else None,
            workspace.data_ptr(),
            workspace.numel(),
        ]

    def _sizes(self, extent: Measured, threads: int) -> ctypes.Array[Any]:
        found = extent.numbers.get(threads)
        if found is None:
            own = [extent.sizes[name] for name in self._size_names]
            numbers = [extent.steps, extent.batch, *own, threads]
            found = extent.numbers[threads] = (ctypes.c_size_t * len(numbers))(*numbers)
        return found


class Measured(Extent):
    """An extent, with what the library says of it and takes for it."""

    def __init__(self, extent: Extent) -> None:
        super().__init__(extent.steps, extent.batch, extent.sizes, extent.results)
        self.room: list[int | None] = [None, None]  # bytes, without and with what backward reads
        self.numbers: dict[int, ctypes.Array[Any]] = {}  # the structure, by the number of threads
        self.segments: dict[int, int] = {}  # bytes that training in segments keeps, by their steps


def _function(library: ctypes.CDLL, name: str, pointers: int, *others: Any) -> Any:
    function = getattr(library, name)
    function.argtypes = [ctypes.c_void_p] * pointers + list(others)
    return function


def _pointers(tensors: Sequence[Tensor | None]) -> ctypes.Array[Any]:
    """A structure of pointers; None is NULL."""
    values = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    return _structure(len(values))(*values)


@cache
def _structure(count: int) -> type[ctypes.Array[Any]]:
    return ctypes.c_void_p * max(count, 1)

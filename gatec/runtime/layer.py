"""One layer of a generated module: on compiled kernels where that gives what the equations give.

The module's own equations, run by PyTorch step by step, are the eager path. It serves whatever the
kernels do not: other devices and types, derivatives of derivatives, tangents, `vmap`.
Nothing falls back in silence: `module.path` says what ran, and a missing compiler is warned about.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gatec.runtime import cells, operators, packed
from gatec.runtime.build import Unavailable
from gatec.runtime.function import run_rows
from gatec.runtime.kernels import Kernels

Result = tuple[Tensor, tuple[Tensor, ...]]
NATIVE = "native"
_OFF = ("off", "eager", "0", "no")  # values of GATEC_RUNTIME
_TYPES = (torch.float32, torch.float64)


class Module(Protocol):
    """What is asked of a generated module."""

    hidden_size: int
    _cell: str
    _path: str

    def _layer(
        self,
        weights: list[Tensor],
        state: tuple[Tensor, ...],
        steps: int | list[int],
        reverse: bool,
        *inputs: Tensor,
    ) -> Result: ...


def run_layer(
    module: Any,
    weights: list[Tensor],
    state: tuple[Tensor, ...],
    steps: int | list[int],
    reverse: bool,
    *inputs: Tensor,
) -> Result:
    """One layer in one direction.

    weights  the parameters, in the order of the cell
    state    a tensor (B, ...) for each state; () for the cell's own first states
    steps    how many steps there are, with as many rows each; or the rows of each, never more later
    inputs   the rows of each input, those of step 0 first

    Returns the rows of the outputs and each sequence's state after its last step.
    """
    if torch.compiler.is_compiling():
        return _traced(module, weights, state, steps, reverse, inputs)
    if torch._C._get_tracing_state():  # torch.jit.trace
        return module._layer(weights, state, steps, reverse, *inputs)  # type: ignore[no-any-return]
    reason = _why_not((*inputs, *state, *weights))
    if reason is None:
        reason, kernels = _kernels(module, inputs[0].dtype)
        if kernels is not None:
            module.__dict__["_path"] = NATIVE  # past nn.Module, which takes its time
            if isinstance(steps, list):
                return packed.run(module, kernels, weights, state, steps, reverse, inputs)
            return run_rows(module, kernels, weights, state, steps, reverse, inputs)
    module._path = f"eager: {reason}"
    return module._layer(weights, state, steps, reverse, *inputs)  # type: ignore[no-any-return]


# --- Which path -----------------------------------------------------------------------------------


def _why_not(tensors: Sequence[Tensor]) -> str | None:
    """Why the kernels do not serve a call, whatever the cell; None where they may."""
    if os.environ.get("GATEC_RUNTIME", "").lower() in _OFF:
        return "GATEC_RUNTIME turns the kernels off"
    dtype = tensors[0].dtype
    for tensor in tensors:
        if type(tensor) is not Tensor and type(tensor) is not torch.nn.Parameter:
            return f"{type(tensor).__name__} is another kind of tensor"
        if not tensor.is_cpu or tensor.layout is not torch.strided:
            return f"tensors on {tensor.device} have no kernels yet"
        if tensor.dtype is not dtype or dtype not in _TYPES:
            return f"there are no kernels for {tensor.dtype}"
        if tensor.is_neg():
            return "a tensor is a view that negates"
    if is_transformed():
        return "a transform of torch.func is at work"
    if torch._C._len_torch_dispatch_stack():
        return "the operations of PyTorch are being observed"
    # Tensors have tangents within a level of forward-mode derivatives alone.
    if getattr(forward_ad, "_current_level", 0) >= 0 and any(map(_has_tangent, tensors)):
        return "there are tangents (forward-mode derivatives)"
    return None


def is_transformed() -> bool:
    """Whether vmap, grad, jvp and the like are at work: kernels see no tensors of theirs."""
    return _peek is not None and _peek() is not None


_peek = getattr(getattr(torch._C, "_functorch", None), "peek_interpreter_stack", None)


def _has_tangent(tensor: Tensor) -> bool:
    return forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


_warned: set[str] = set()


def _kernels(module: Module, dtype: torch.dtype) -> tuple[str, Kernels | None]:
    """The kernels of a module; why there are none, which is said once."""
    try:
        return "", cells.kernels(module._cell, dtype, getattr(module, "kernel_weights", None))
    except Unavailable as error:
        _warn(str(error))
        return str(error), None


def _warn(reason: str) -> None:
    if reason not in _warned:
        _warned.add(reason)
        warnings.warn(f"gatec runs the slower eager path: {reason}", stacklevel=7)


# --- torch.compile, torch.export ------------------------------------------------------------------


def _traced(
    module: Any,
    weights: list[Tensor],
    state: tuple[Tensor, ...],
    steps: int | list[int],
    reverse: bool,
    inputs: Sequence[Tensor],
) -> Result:
    """A layer while it is traced: one node of the graph, the kernels' operator."""
    tensors = [*inputs, *state, *weights]
    dtype = inputs[0].dtype
    fits = all(t.device.type == "cpu" and t.dtype == dtype for t in tensors) and dtype in _TYPES
    kernel_weights = getattr(module, "kernel_weights", None)
    if isinstance(steps, list) or not fits or not _compiles(module._cell, dtype, kernel_weights):
        return module._layer(weights, state, steps, reverse, *inputs)  # type: ignore[no-any-return]
    # Copies, which compilers drop: of a view put back, torch.export wants to know that B > 0.
    batch = inputs[0].shape[0] // steps
    sequences = [_copied(rows).view(steps, batch, *rows.shape[1:]) for rows in inputs]
    if reverse:
        sequences = [sequence.flip(0) for sequence in sequences]
    outputs, *last = operators.forward(
        module._cell,
        sequences,
        state,
        weights,
        module._constants,
        module.hidden_size,
        kernel_weights,
        torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors),
    )
    if reverse:
        outputs = outputs.flip(0)
    return _copied(outputs.flatten(0, 1)), tuple(last)


def _copied(rows: Tensor) -> Tensor:
    return rows.clone(memory_format=torch.contiguous_format)


def _compiles(cell: str, dtype: torch.dtype, weights: torch.dtype | None) -> bool:
    """Whether a cell has kernels: decided once, when a call is traced."""
    if os.environ.get("GATEC_RUNTIME", "").lower() in _OFF:
        return False
    try:
        cells.kernels(cell, dtype, weights)
    except Unavailable as error:
        _warn(str(error))
        return False
    return True


# As `torch.compiler.assume_constant_result` does, which takes seconds to import.
_compiles._dynamo_marked_constant = True  # type: ignore[attr-defined]

"""`torch.ops.gatec.forward` and `.backward`: any cell's kernels as operators of PyTorch.

They are what `torch.compile` and `torch.export` see of a generated module, as one node, whatever
the number of steps. Both carry the text of their cell, so that an exported program runs in any
process that has imported `gatec.runtime`.

    forward   inputs (T, B, ...), first states (or none), parameters -> outputs (T, B, ...),
              last states, and with `train` the workspace that backward reads
    backward  gradients by the outputs and the last states -> those that are `wanted`

They are pure: backward works on a copy of the workspace, whose other parts kernels write to.
Derivatives: reverse mode, once. What would need more is refused; a dispatcher left alone would
give zero tangents instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from gatec.runtime import cells
from gatec.runtime.shapes import Extent, Layout

_CELL = "str cell, Tensor[] inputs, Tensor[] states, Tensor[] params, float[] constants"
_INSTEAD = "call the module outside of torch.compile, or set GATEC_RUNTIME=off"
_library: Any = torch.library.Library("gatec", "DEF")  # type: ignore[no-untyped-call]
for _schema in (
    f"forward({_CELL}, SymInt hidden_size, bool train) -> Tensor[]",
    f"backward({_CELL}, SymInt hidden_size, Tensor[] grads, Tensor workspace, bool[] wanted)"
    " -> Tensor[]",
):
    _library.define(_schema, tags=torch.Tag.pt2_compliant_tag)


def forward(
    cell: str,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    constants: Sequence[float],
    hidden_size: int,
    train: bool,
) -> tuple[Tensor, ...]:
    """The outputs (T, B, ...) and the last states of a cell. With `train` they have gradients."""
    given = (cell, list(inputs), list(states), list(params), list(constants), hidden_size, train)
    return tuple(torch.ops.gatec.forward(*given)[:-1])


# --- On the CPU -----------------------------------------------------------------------------------


def _forward_cpu(
    cell: str,
    inputs: list[Tensor],
    states: list[Tensor],
    params: list[Tensor],
    constants: list[float],
    hidden_size: int,
    train: bool,
) -> list[Tensor]:
    kernels, extent, dense = _call(cell, inputs, states, params, hidden_size)
    # Zeros: the parts that are not written would else differ from call to call.
    workspace = torch.zeros(kernels.room(extent, train), dtype=torch.uint8)
    results, _ = kernels.forward(extent, *dense, constants, train, workspace)
    outputs = results[0].unflatten(0, (extent.steps, extent.batch))
    return [outputs, *results[1:], workspace if train else workspace.new_empty(0)]


def _backward_cpu(
    cell: str,
    inputs: list[Tensor],
    states: list[Tensor],
    params: list[Tensor],
    constants: list[float],
    hidden_size: int,
    grads: list[Tensor],
    workspace: Tensor,
    wanted: list[bool],
) -> list[Tensor]:
    kernels, extent, dense = _call(cell, inputs, states, params, hidden_size)
    rows, *last = (grad.contiguous() for grad in grads)
    rows = rows.flatten(0, 1)
    for grad, shape in zip((rows, *last), extent.results, strict=True):
        if tuple(grad.shape) != shape or grad.dtype != kernels.dtype:
            raise ValueError(f"a gradient must be {shape}, got {tuple(grad.shape)}")
    if workspace.numel() != kernels.room(extent, True):
        raise ValueError("the workspace is not that of a call of forward with `train`")
    made = kernels.backward(extent, (rows, *last), *dense, constants, workspace.clone(), wanted)
    return [
        grad.view(tensor.shape)
        for grad, tensor in zip(made, (*inputs, *states, *params), strict=True)
        if grad is not None
    ]


def _call(
    cell: str,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    hidden_size: int,
) -> tuple[Any, Any, tuple[list[Tensor], list[Tensor], list[Tensor]]]:
    """The kernels, the sizes, and the tensors as the kernels take them. Raises ValueError."""
    dtype = inputs[0].dtype
    for tensor in (*inputs, *states, *params):
        if tensor.dtype != dtype or tensor.device.type != "cpu":
            raise ValueError(f"all tensors must be {dtype} on the CPU, got one of {tensor.dtype}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"there are no kernels for {dtype}")
    kernels = cells.kernels(cell, dtype)
    steps, batch = _lead(inputs)
    rows = [tensor.contiguous().flatten(0, 1) for tensor in inputs]
    dense = [tensor.contiguous() for tensor in states], [tensor.contiguous() for tensor in params]
    extent = kernels.extent(steps, batch, rows, *dense, hidden_size)
    return kernels, extent, (rows, *dense)


def _lead(inputs: Sequence[Tensor]) -> tuple[int, int]:
    """T and B. Raises ValueError."""
    if not inputs or inputs[0].dim() < 2:
        raise ValueError("inputs must be (T, B, ...)")
    steps, batch = inputs[0].shape[:2]
    if any(tensor.shape[:2] != (steps, batch) for tensor in inputs):
        raise ValueError("inputs must have one T and B")
    return steps, batch


# --- Fake tensors ---------------------------------------------------------------------------------


def _forward_fake(
    cell: str,
    inputs: list[Tensor],
    states: list[Tensor],
    params: list[Tensor],
    constants: list[float],
    hidden_size: int,
    train: bool,
) -> list[Tensor]:
    extent = _fake_extent(cell, inputs, states, params, hidden_size)
    like, (rows, *last) = inputs[0], extent.results
    outputs = like.new_empty((extent.steps, extent.batch, *rows[1:]))
    room = 0
    sizes = (extent.steps, extent.batch, *extent.sizes.values())
    if train and all(isinstance(size, int) for size in sizes):
        kernels = cells.kernels(cell, like.dtype)
        room = kernels.room(kernels.measured(extent), True)
    elif train:  # known once the library has measured it
        room = torch.library.get_ctx().new_dynamic_size()  # type: ignore[assignment]
    workspace = like.new_empty(room, dtype=torch.uint8)
    return [outputs, *(like.new_empty(shape) for shape in last), workspace]


def _backward_fake(
    cell: str,
    inputs: list[Tensor],
    states: list[Tensor],
    params: list[Tensor],
    constants: list[float],
    hidden_size: int,
    grads: list[Tensor],
    workspace: Tensor,
    wanted: list[bool],
) -> list[Tensor]:
    tensors = (*inputs, *states, *params)
    return [t.new_empty(t.shape) for t, want in zip(tensors, wanted, strict=True) if want]


def _fake_extent(
    cell: str,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    hidden_size: int,
) -> Extent:
    steps, batch = _lead(inputs)
    rows = [tensor.new_empty((steps * batch, *tensor.shape[2:])) for tensor in inputs]
    layout = Layout(cells.program(cell).plan)
    return layout.extent(steps, batch, rows, states, params, hidden_size)


# --- Derivatives ----------------------------------------------------------------------------------


def _forward_autograd(
    cell: str,
    inputs: list[Tensor],
    states: list[Tensor],
    params: list[Tensor],
    constants: list[float],
    hidden_size: int,
    train: bool,
) -> list[Tensor]:
    tensors = (*inputs, *states, *params)
    _refuse_tangents("forward", tensors)
    counts = (len(inputs), len(states))
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        _refuse_transforms("forward")
        return list(_Forward.apply(cell, constants, hidden_size, train, counts, *tensors))  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.gatec.forward(cell, inputs, states, params, constants, hidden_size, train)  # type: ignore[no-any-return]


def _backward_autograd(
    cell: str,
    inputs: list[Tensor],
    states: list[Tensor],
    params: list[Tensor],
    constants: list[float],
    hidden_size: int,
    grads: list[Tensor],
    workspace: Tensor,
    wanted: list[bool],
) -> list[Tensor]:
    tensors = (*inputs, *states, *params, *grads)
    _refuse_tangents("backward", tensors)
    given = (cell, constants, hidden_size, workspace, wanted, (len(inputs), len(states)))
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        _refuse_transforms("backward")
        return list(_Backward.apply(*given, len(params), *tensors))  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.gatec.backward(  # type: ignore[no-any-return]
            cell, inputs, states, params, constants, hidden_size, grads, workspace, wanted
        )


def _refuse_tangents(name: str, tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        if torch._C._VariableFunctions._unpack_dual(tensor, level=0).tangent is not None:
            raise NotImplementedError(f"gatec::{name} has no forward-mode derivatives; {_INSTEAD}")


def _refuse_transforms(name: str) -> None:
    if torch._C._are_functorch_transforms_active():
        raise NotImplementedError(f"gatec::{name} has no gradients in torch.func; {_INSTEAD}")


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        constants: list[float],
        hidden_size: int,
        train: bool,
        counts: tuple[int, int],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        groups = _groups(counts, tensors)
        with torch._C._AutoDispatchBelowAutograd():
            made = torch.ops.gatec.forward(cell, *groups, constants, hidden_size, train)
        ctx.given = (cell, constants, hidden_size, train, counts)
        ctx.set_materialize_grads(False)  # of the workspace, most of all
        ctx.mark_non_differentiable(made[-1])
        ctx.save_for_backward(made[-1], *tensors)
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        cell, constants, hidden_size, train, counts = ctx.given
        if not train:
            raise RuntimeError(
                "gatec::forward was traced without gradients, and kept nothing for them; "
                "trace it with gradients enabled and parameters that require them"
            )
        workspace, *tensors = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[5:])
        inputs, states, params = _groups(counts, tensors)
        extent = _fake_extent(cell, inputs, states, params, hidden_size)
        rows, *last = extent.results
        shapes = [(extent.steps, extent.batch, *rows[1:]), *last]
        full = [
            inputs[0].new_zeros(shape) if grad is None else grad
            for grad, shape in zip(grads[:-1], shapes, strict=True)
        ]
        found = iter(
            torch.ops.gatec.backward(
                cell, inputs, states, params, constants, hidden_size, full, workspace, wanted
            )
        )
        return (*[None] * 5, *(next(found) if want else None for want in wanted))


class _Backward(torch.autograd.Function):
    """Gradients in a graph: they are right, and their own derivatives are refused."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        constants: list[float],
        hidden_size: int,
        workspace: Tensor,
        wanted: list[bool],
        counts: tuple[int, int],
        params: int,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        count = sum(counts) + params
        groups = _groups(counts, tensors[:count])
        with torch._C._AutoDispatchBelowAutograd():
            made = torch.ops.gatec.backward(
                cell, *groups, constants, hidden_size, list(tensors[count:]), workspace, wanted
            )
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        raise NotImplementedError(f"gatec::backward has no derivatives of its own; {_INSTEAD}")


def _groups(
    counts: tuple[int, int], tensors: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Tensors as inputs, states, parameters."""
    first, second = counts[0], sum(counts)
    return list(tensors[:first]), list(tensors[first:second]), list(tensors[second:])


_library.impl("forward", _forward_cpu, "CPU")
_library.impl("backward", _backward_cpu, "CPU")
_library.impl("forward", _forward_autograd, "Autograd")
_library.impl("backward", _backward_autograd, "Autograd")
torch.library.register_fake("gatec::forward", _forward_fake, lib=_library)
torch.library.register_fake("gatec::backward", _backward_fake, lib=_library)

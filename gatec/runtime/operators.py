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
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gatec.runtime import cells, memory
from gatec.runtime.kernels import Kernels
from gatec.runtime.shapes import Extent, Layout

# What both operators are given first: `_Call` and its tensors.
_CALL = (
    "str cell, Tensor[] inputs, Tensor[] states, Tensor[] params, float[] constants,"
    " SymInt hidden_size, ScalarType? kernel_weights"
)
_INSTEAD = "call the module outside of torch.compile, or set GATEC_RUNTIME=off"
_library: Any = torch.library.Library("gatec", "DEF")  # type: ignore[no-untyped-call]
for _schema in (
    f"forward({_CALL}, bool train) -> Tensor[]",
    f"backward({_CALL}, Tensor[] grads, Tensor workspace, bool[] wanted) -> Tensor[]",
):
    _library.define(_schema, tags=torch.Tag.pt2_compliant_tag)

Groups = tuple[list[Tensor], list[Tensor], list[Tensor]]


class _Call(NamedTuple):
    """A call without its tensors: inputs and states, `counts` of them, and parameters."""

    cell: str
    counts: tuple[int, int]
    constants: list[float]
    hidden_size: int
    kernel_weights: torch.dtype | None

    def groups(self, tensors: Sequence[Tensor]) -> Groups:
        """Tensors as inputs, states, parameters."""
        first, second = self.counts[0], sum(self.counts)
        return list(tensors[:first]), list(tensors[first:second]), list(tensors[second:])

    def arguments(self, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
        """What an operator is given first."""
        groups = self.groups(tensors)
        return (self.cell, *groups, self.constants, self.hidden_size, self.kernel_weights)

    def kernels(self, dtype: torch.dtype) -> Kernels:
        return cells.kernels(self.cell, dtype, self.kernel_weights)


def _read(arguments: Sequence[Any]) -> tuple[_Call, tuple[Tensor, ...], Sequence[Any]]:
    """A call, its tensors, and the arguments that are an operator's own."""
    cell, inputs, states, params, constants, hidden_size, kernel_weights, *own = arguments
    call = _Call(cell, (len(inputs), len(states)), constants, hidden_size, kernel_weights)
    return call, (*inputs, *states, *params), own


def forward(
    cell: str,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    constants: Sequence[float],
    hidden_size: int,
    kernel_weights: torch.dtype | None,
    train: bool,
) -> tuple[Tensor, ...]:
    """The outputs (T, B, ...) and the last states of a cell. With `train` they have gradients."""
    tensors = list(inputs), list(states), list(params)
    own = list(constants), hidden_size, kernel_weights, train
    return tuple(torch.ops.gatec.forward(cell, *tensors, *own)[:-1])


# --- On the CPU -----------------------------------------------------------------------------------


def _forward_cpu(*arguments: Any) -> list[Tensor]:
    call, tensors, (train,) = _read(arguments)
    kernels, extent, dense = _dense(call, tensors)
    workspace = None
    if train:  # zeros: the parts that are not written would else differ from call to call
        workspace = memory.workspace(kernels.room(extent, train)).zero_()
    results, _ = kernels.forward(extent, *dense, call.constants, train, workspace)
    outputs = results[0].view(extent.steps, extent.batch, *results[0].shape[1:])
    if workspace is None:
        workspace = torch.empty(0, dtype=torch.uint8)
    return [outputs, *results[1:], workspace]


def _backward_cpu(*arguments: Any) -> list[Tensor]:
    call, tensors, (grads, workspace, wanted) = _read(arguments)
    kernels, extent, dense = _dense(call, tensors)
    rows, *last = (grad.contiguous() for grad in grads)
    rows = rows.flatten(0, 1)
    for grad, shape in zip((rows, *last), extent.results, strict=True):
        if tuple(grad.shape) != shape or grad.dtype != kernels.dtype:
            raise ValueError(f"a gradient must be {shape}, got {tuple(grad.shape)}")
    if workspace.numel() != kernels.room(extent, True):
        raise ValueError("the workspace is not that of a call of forward with `train`")
    # A copy: kernels write to the parts that forward does not keep.
    own = memory.workspace(workspace.numel()).copy_(workspace)
    made = kernels.backward(extent, (rows, *last), *dense, call.constants, own, wanted)
    return [
        grad.view(tensor.shape)
        for grad, tensor in zip(made, tensors, strict=True)
        if grad is not None
    ]


def _dense(call: _Call, tensors: Sequence[Tensor]) -> tuple[Kernels, Any, Groups]:
    """The kernels, the sizes, and the tensors as the kernels take them. Raises ValueError."""
    inputs, states, params = call.groups(tensors)
    dtype = inputs[0].dtype
    for tensor in tensors:
        if tensor.dtype != dtype or tensor.device.type != "cpu":
            raise ValueError(f"all tensors must be {dtype} on the CPU, got one of {tensor.dtype}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"there are no kernels for {dtype}")
    kernels = call.kernels(dtype)
    steps, batch = _lead(inputs)
    rows = [tensor.contiguous().flatten(0, 1) for tensor in inputs]
    dense = [tensor.contiguous() for tensor in states], [tensor.contiguous() for tensor in params]
    extent = kernels.extent(steps, batch, rows, *dense, call.hidden_size)
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


def _forward_fake(*arguments: Any) -> list[Tensor]:
    call, tensors, (train,) = _read(arguments)
    extent = _fake_extent(call, tensors)
    like, (rows, *last) = tensors[0], extent.results
    outputs = like.new_empty((extent.steps, extent.batch, *rows[1:]))
    room = 0
    sizes = (extent.steps, extent.batch, *extent.sizes.values())
    if train and all(isinstance(size, int) for size in sizes):
        kernels = call.kernels(like.dtype)
        room = kernels.room(kernels.measured(extent), True)
    elif train:  # known once the library has measured it
        room = torch.library.get_ctx().new_dynamic_size()  # type: ignore[assignment]
    workspace = like.new_empty(room, dtype=torch.uint8)
    return [outputs, *(like.new_empty(shape) for shape in last), workspace]


def _backward_fake(*arguments: Any) -> list[Tensor]:
    _, tensors, (_, _, wanted) = _read(arguments)
    return [t.new_empty(t.shape) for t, want in zip(tensors, wanted, strict=True) if want]


def _fake_extent(call: _Call, tensors: Sequence[Tensor]) -> Extent:
    inputs, states, params = call.groups(tensors)
    steps, batch = _lead(inputs)
    rows = [tensor.new_empty((steps * batch, *tensor.shape[2:])) for tensor in inputs]
    layout = Layout(cells.program(call.cell).plan)
    return layout.extent(steps, batch, rows, states, params, call.hidden_size)


# --- Derivatives ----------------------------------------------------------------------------------


def _forward_autograd(*arguments: Any) -> list[Tensor]:
    call, tensors, (train,) = _read(arguments)
    _refuse_tangents("forward", tensors)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        _refuse_transforms("forward")
        return list(_Forward.apply(call, train, *tensors))  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.gatec.forward(*arguments)  # type: ignore[no-any-return]


def _backward_autograd(*arguments: Any) -> list[Tensor]:
    call, tensors, (grads, workspace, wanted) = _read(arguments)
    given = (*tensors, *grads)
    _refuse_tangents("backward", given)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        _refuse_transforms("backward")
        return list(_Backward.apply(call, workspace, wanted, len(tensors), *given))  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.gatec.backward(*arguments)  # type: ignore[no-any-return]


def _refuse_tangents(name: str, tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        if torch._C._VariableFunctions._unpack_dual(tensor, level=0).tangent is not None:
            raise NotImplementedError(f"gatec::{name} has no forward-mode derivatives; {_INSTEAD}")


def _refuse_transforms(name: str) -> None:
    if torch._C._are_functorch_transforms_active():
        raise NotImplementedError(f"gatec::{name} has no gradients in torch.func; {_INSTEAD}")


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, train: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            made = torch.ops.gatec.forward(*call.arguments(tensors), train)
        ctx.given = call, train
        ctx.set_materialize_grads(False)  # of the workspace, most of all
        ctx.mark_non_differentiable(made[-1])
        ctx.save_for_backward(made[-1], *tensors)
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        call, train = ctx.given
        if not train:
            raise RuntimeError(
                "gatec::forward was traced without gradients, and kept nothing for them; "
                "trace it with gradients enabled and parameters that require them"
            )
        workspace, *tensors = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[2:])
        extent = _fake_extent(call, tensors)
        rows, *last = extent.results
        shapes = [(extent.steps, extent.batch, *rows[1:]), *last]
        full = [
            tensors[0].new_zeros(shape) if grad is None else grad
            for grad, shape in zip(grads[:-1], shapes, strict=True)
        ]
        made = torch.ops.gatec.backward(*call.arguments(tensors), full, workspace, wanted)
        found = iter(made)
        return (None, None, *(next(found) if want else None for want in wanted))


class _Backward(torch.autograd.Function):
    """Gradients in a graph: they are right, and their own derivatives are refused."""

    @staticmethod
    def forward(
        ctx: Any, call: _Call, workspace: Tensor, wanted: list[bool], count: int, *given: Tensor
    ) -> tuple[Tensor, ...]:
        """`given` are the tensors of the call, `count` of them, and the gradients."""
        arguments = call.arguments(given[:count])
        with torch._C._AutoDispatchBelowAutograd():
            return tuple(
                torch.ops.gatec.backward(*arguments, list(given[count:]), workspace, wanted)
            )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        raise NotImplementedError(f"gatec::backward has no derivatives of its own; {_INSTEAD}")


_library.impl("forward", _forward_cpu, "CPU")
_library.impl("backward", _backward_cpu, "CPU")
_library.impl("forward", _forward_autograd, "Autograd")
_library.impl("backward", _backward_autograd, "Autograd")
torch.library.register_fake("gatec::forward", _forward_fake, lib=_library)
torch.library.register_fake("gatec::backward", _backward_fake, lib=_library)

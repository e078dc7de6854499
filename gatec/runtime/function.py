"""A call of the kernels with PyTorch's own tensors, differentiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatec.runtime.kernels import Kernels

Result = tuple[Tensor, tuple[Tensor, ...]]


def run_rows(
    module: Any,
    kernels: Kernels,
    weights: list[Tensor],
    state: tuple[Tensor, ...],
    steps: int,
    reverse: bool,
    inputs: Sequence[Tensor],
) -> Result:
    """One layer on sequences of one length, as `run_layer` is given them."""
    batch = inputs[0].shape[0] // steps
    if reverse:
        inputs = [_flipped(rows, steps, batch) for rows in inputs]
    extent = kernels.extent(steps, batch, inputs, state, weights, module.hidden_size)
    tensors = (*inputs, *state, *weights)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        first, second = len(inputs), len(inputs) + len(state)  # `again` must not hold the tensors

        def again(*given: Tensor) -> Result:
            return module._layer(  # type: ignore[no-any-return]
                list(given[second:]), tuple(given[first:second]), steps, False, *given[:first]
            )

        call = _Call(kernels, extent, module._constants, (first, second), again)
        output, *last = _Layer.apply(call, *tensors)  # type: ignore[no-untyped-call]
    else:
        (output, *last), _ = kernels.forward(
            extent,
            [rows.contiguous() for rows in inputs],
            [value.contiguous() for value in state],
            [weight.contiguous() for weight in weights],
            module._constants,
            False,
        )
    if reverse:
        output = _flipped(output, steps, batch)
    return output, tuple(last)


def _flipped(rows: Tensor, steps: int, batch: int) -> Tensor:
    """The rows of the last step first."""
    return rows.view(steps, batch, *rows.shape[1:]).flip(0).flatten(0, 1)


@dataclass(frozen=True)
class _Call:
    """A call of the kernels. `again` is the eager path on inputs, states and parameters."""

    kernels: Kernels
    extent: Any
    constants: tuple[float, ...]
    ends: tuple[int, int]  # of the inputs and of the states among the tensors
    again: Callable[..., Result]

    def parts(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Tensors as inputs, states, parameters, as the kernels take them."""
        first, second = self.ends
        dense = [tensor.contiguous() for tensor in tensors]
        return dense[:first], dense[first:second], dense[second:]


class _Layer(torch.autograd.Function):
    """Forward and backward by the kernels; derivatives of derivatives by the eager path."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, workspace = call.kernels.forward(
            call.extent, *call.parts(tensors), call.constants, True
        )
        ctx.call = call
        ctx.set_materialize_grads(False)  # the kernels take absent gradients for zeros
        ctx.save_for_backward(workspace, *tensors)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        call, wanted = ctx.call, ctx.needs_input_grad[1:]
        workspace, *tensors = ctx.saved_tensors
        # Somebody wants derivatives of these, or asks for many gradients at once.
        if torch.is_grad_enabled() or not all(map(_is_plain, grads)):
            return (None, *_again(call, tensors, grads, wanted))
        made = call.kernels.backward(
            call.extent,
            [None if grad is None else grad.contiguous() for grad in grads],
            *call.parts(tensors),
            call.constants,
            workspace,
            wanted,
        )
        return (None, *made)


def _is_plain(grad: Tensor | None) -> bool:
    """Whether a gradient is numbers in memory."""
    if grad is None:
        return True
    if torch._C._functorch.is_functorch_wrapped_tensor(grad) or type(grad) is not Tensor:
        return False
    return not (grad._is_zerotensor() or grad.is_neg())


def _again(
    call: _Call, tensors: Sequence[Tensor], grads: Sequence[Tensor | None], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients by the eager path, which can be differentiated themselves."""
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        if not graph:  # of this call alone
            tensors = [t.detach().requires_grad_(w) for t, w in zip(tensors, wanted, strict=True)]
        output, last = call.again(*tensors)
    pairs = [
        (value, grad)
        for value, grad in zip((output, *last), grads, strict=True)
        if grad is not None and value.requires_grad
    ]
    sought = [tensor for tensor, want in zip(tensors, wanted, strict=True) if want]
    if not pairs:
        return [None] * len(tensors)
    found = iter(
        torch.autograd.grad(
            [value for value, _ in pairs],
            sought,
            [grad for _, grad in pairs],
            create_graph=graph,
            allow_unused=True,
        )
    )
    return [next(found) if want else None for want in wanted]

"""A call of the kernels with PyTorch's own tensors, differentiable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatec.runtime import checkpoints
from gatec.runtime.calls import Call, Result, again, is_plain
from gatec.runtime.kernels import Kernels


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
        first, second = len(inputs), len(inputs) + len(state)  # `eager` must not hold the tensors

        def eager(*given: Tensor) -> Result:
            return module._layer(  # type: ignore[no-any-return]
                list(given[second:]), tuple(given[first:second]), steps, False, *given[:first]
            )

        every = checkpoints.steps_of(module, kernels, extent)
        call = Call(kernels, extent, module._constants, (first, second), eager, every)
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


class _Layer(torch.autograd.Function):
    """Forward and backward by the kernels; derivatives of derivatives by the eager path."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, kept = call.forward(tensors)
        ctx.call = call
        ctx.set_materialize_grads(False)  # the kernels take absent gradients for zeros
        ctx.save_for_backward(*tensors, *kept)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        call, wanted = ctx.call, ctx.needs_input_grad[1:]
        tensors, kept = ctx.saved_tensors[: len(wanted)], ctx.saved_tensors[len(wanted) :]
        # Somebody wants derivatives of these, or asks for many gradients at once.
        if torch.is_grad_enabled() or not all(map(is_plain, grads)):
            return (None, *again(call, tensors, grads, wanted))
        return (None, *call.backward(grads, tensors, kept, wanted))

"""What a differentiable call of the kernels remembers, and its derivatives by the eager path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatec.runtime import segments
from gatec.runtime.kernels import Kernels

Result = tuple[Tensor, tuple[Tensor, ...]]


@dataclass(frozen=True)
class Call:
    """A call of the kernels, for the whole sequence or for segments of `every` steps.

    `eager` is the eager path on inputs, states and parameters.
    """

    kernels: Kernels
    extent: Any
    constants: tuple[float, ...]
    ends: tuple[int, int]  # of the inputs and of the states among the tensors
    eager: Callable[..., Result]
    every: int | None = None

    def forward(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], Sequence[Tensor]]:
        """The outputs and the last states; what `backward` wants to be kept."""
        given = self.extent, *self._parts(tensors), self.constants
        if self.every is not None:
            return segments.forward(self.kernels, *given, self.every)
        results, workspace = self.kernels.forward(*given, True)
        return results, [workspace]

    def backward(
        self,
        grads: Sequence[Tensor | None],
        tensors: Sequence[Tensor],
        kept: Sequence[Tensor],
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """The gradients by the tensors that are wanted, None for others."""
        dense = [None if grad is None else grad.contiguous() for grad in grads]
        given = self.extent, dense, *self._parts(tensors), self.constants
        if self.every is not None:
            return segments.backward(self.kernels, *given, kept, self.every, wanted)
        return self.kernels.backward(*given, kept[0], wanted)

    def _parts(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Tensors as inputs, states, parameters, as the kernels take them."""
        first, second = self.ends
        dense = [tensor.contiguous() for tensor in tensors]
        return dense[:first], dense[first:second], dense[second:]


def is_plain(grad: Tensor | None) -> bool:
    """Whether a gradient is numbers in memory."""
    if grad is None:
        return True
    wrapped = torch._C._functorch
    if wrapped.is_functorch_wrapped_tensor(grad) or wrapped.is_legacy_batchedtensor(grad):
        return False
    return type(grad) is Tensor and not (grad._is_zerotensor() or grad.is_neg())


def again(
    call: Call, tensors: Sequence[Tensor], grads: Sequence[Tensor | None], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients by the eager path, which can be differentiated themselves."""
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        if not graph:  # of this call alone
            tensors = [t.detach().requires_grad_(w) for t, w in zip(tensors, wanted, strict=True)]
        output, last = call.eager(*tensors)
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

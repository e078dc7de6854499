"""`module.checkpoint`: training that keeps states every so many steps, and computes the rest again.

None    all that backward reads is kept
k       the states every k steps are, rounded up to whole chunks of the kernels
"auto"  the longest segments for which a call keeps at most `module.checkpoint_budget` bytes,
        by default a quarter of the memory that is free
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from gatec.runtime import segments
from gatec.runtime.calls import Call, again, is_plain
from gatec.runtime.kernels import Kernels
from gatec.runtime.shapes import Extent

_SHARE = 4  # "auto" takes one part in so many of the free memory
_UNKNOWN = 1 << 30  # bytes, where a system does not say what is free


def steps_of(module: Any, kernels: Kernels, extent: Extent) -> int | None:
    """The steps of a segment, None for the whole sequence at once. Raises ValueError."""
    wanted = getattr(module, "checkpoint", None)
    if wanted is None:
        return None
    if wanted == "auto":
        budget = getattr(module, "checkpoint_budget", None)
        steps = segments.within(kernels, extent, _free() // _SHARE if budget is None else budget)
    elif isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
        steps = segments.steps_of(wanted, extent.batch)
    else:
        raise ValueError(f'checkpoint must be a number of steps, "auto" or None, got {wanted!r}')
    return steps if steps < extent.steps else None


def _free() -> int:
    """The bytes of memory that are free."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return _UNKNOWN


class Checkpointed(torch.autograd.Function):
    """Forward and backward by the kernels, segment by segment."""

    @staticmethod
    def forward(ctx: Any, call: Call, every: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, between = segments.forward(
            call.kernels, call.extent, *call.parts(tensors), call.constants, every
        )
        ctx.call, ctx.every = call, every
        ctx.set_materialize_grads(False)  # the kernels take absent gradients for zeros
        ctx.save_for_backward(*tensors, *between)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        call, wanted = ctx.call, ctx.needs_input_grad[2:]
        tensors, between = ctx.saved_tensors[: len(wanted)], ctx.saved_tensors[len(wanted) :]
        if torch.is_grad_enabled() or not all(map(is_plain, grads)):
            return (None, None, *again(call, tensors, grads, wanted))
        inputs, states, params = call.parts(tensors)
        made = segments.backward(
            call.kernels,
            call.extent,
            [None if grad is None else grad.contiguous() for grad in grads],
            inputs,
            states,
            params,
            call.constants,
            between,
            ctx.every,
            wanted,
        )
        return (None, None, *made)

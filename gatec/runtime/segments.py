"""Training a long sequence in segments: states are kept between them, the rest is computed again.

Forward keeps the states before each segment but the first. Backward goes through the segments from
the last one, each with the kernels of a whole sequence: forward again, now with what backward
reads, then backward. A segment's last states get the gradients by the next one's first states, and
gradients by parameters add up.

States are those of the plan, in which every lag is one and inputs have none: nothing but they goes
from step to step. Segments are whole chunks of the kernels, so that, with as many threads at work,
outputs and the gradients by inputs and first states are those of the whole sequence bit for bit
(up to rounding where threads share the steps of a chunk).
Gradients by parameters are sums over segments of sums over chunks: the same up to the order in
which chunks are added, and bit for bit where a segment is one chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gatec.backends.c import CHUNK_ROWS
from gatec.runtime import memory
from gatec.runtime.kernels import Kernels, Measured
from gatec.runtime.shapes import Extent

_GROWTH = 1.25  # from one number of segments that is tried to the next


def steps_of(every: int, batch: int) -> int:
    """The steps of a segment that is to have `every`: up to whole chunks. Raises ValueError."""
    if every < 1:
        raise ValueError(f"a segment must have at least 1 step, got {every}")
    chunk = -(-CHUNK_ROWS // max(batch, 1))
    return -(-every // chunk) * chunk


def within(kernels: Kernels, extent: Measured, budget: int) -> int:
    """The longest segments for which training keeps at most `budget` bytes.

    All steps where they fit at once; where nothing fits, the segments that keep the least.
    """
    count, steps, shortest = 1, extent.steps, steps_of(1, extent.batch)
    tried = [steps]
    while _kept(kernels, extent, steps) > budget and steps > shortest:
        count = max(count + 1, int(count * _GROWTH))
        steps = steps_of(-(-extent.steps // count), extent.batch)
        tried.append(steps)
    if _kept(kernels, extent, steps) > budget:
        steps = min(tried, key=lambda steps: _kept(kernels, extent, steps))
    return max(steps, 1)


def _kept(kernels: Kernels, extent: Measured, steps: int) -> int:
    """The bytes that segments of so many steps take, which are measured once for each shape."""
    found = extent.segments.get(steps)
    if found is None:
        found = extent.segments[steps] = _measured(kernels, extent, min(steps, extent.steps))
    return found


def _measured(kernels: Kernels, extent: Extent, steps: int) -> int:
    """The bytes of one segment at work, and of the states between segments."""
    made = Extent(steps, extent.batch, extent.sizes, extent.results)
    room = kernels.room(kernels.measured(made), True)
    if steps == extent.steps:
        return room
    size = torch.empty((), dtype=kernels.dtype).element_size()
    states = sum(torch.Size(shape).numel() for shape in extent.results[1:])
    return room + size * states * (-(-extent.steps // steps) - 1)


def forward(
    kernels: Kernels,
    extent: Extent,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    constants: Sequence[float],
    every: int,
) -> tuple[list[Tensor], list[Tensor]]:
    """A sequence in segments of `every` steps, the last one of what is left.

    Arguments as `Kernels.forward`. Returns the rows of the outputs and the last states; the states
    before each segment but the first, one after the other.
    """
    outputs = memory.empty(extent.results[0], kernels.dtype)
    between: list[Tensor] = []
    last = list(states)
    for first, end in _segments(extent, every):
        if first:
            between += last
        rows = [tensor[first * extent.batch : end * extent.batch] for tensor in inputs]
        part = _part(kernels, extent, end - first, rows, last, params)
        (made, *last), _ = kernels.forward(part, rows, last, params, constants, False)
        outputs[first * extent.batch : end * extent.batch] = made
    return [outputs, *last], between


def backward(
    kernels: Kernels,
    extent: Extent,
    grads: Sequence[Tensor | None],
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    constants: Sequence[float],
    between: Sequence[Tensor],
    every: int,
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients that `Kernels.backward` gives; `between` as `forward` left it."""
    batch, count = extent.batch, len(extent.results) - 1
    first_param = len(inputs) + len(states)
    given = (*inputs, *states, *params)
    found: list[Tensor | None] = [None] * len(given)
    for place in range(len(inputs)):
        if wanted[place]:
            found[place] = memory.empty(inputs[place].shape, kernels.dtype)
    outputs, *last = grads
    workspace: Tensor | None = None
    for number, (first, end) in reversed(list(enumerate(_segments(extent, every)))):
        rows = slice(first * batch, end * batch)
        here = [tensor[rows] for tensor in inputs]
        before = list(between[(number - 1) * count : number * count] if number else states)
        part = _part(kernels, extent, end - first, here, before, params)
        room = kernels.room(part, True)
        if workspace is None or workspace.numel() < room:
            workspace = memory.workspace(room)
        _, held = kernels.forward(part, here, before, params, constants, True, workspace)
        asked = [*wanted[: len(inputs)]]
        asked += [True] * count if number else wanted[len(inputs) : first_param]
        asked += wanted[first_param:]
        made = kernels.backward(
            part,
            [None if outputs is None else outputs[rows], *last],
            here,
            before,
            params,
            constants,
            held,
            asked,
        )
        for whole, grad in zip(found, made[: len(inputs)], strict=False):
            if whole is not None and grad is not None:
                whole[rows] = grad
        for place, grad in enumerate(made[len(made) - len(params) :], first_param):
            total = found[place]
            if total is None or grad is None:
                found[place] = grad
            else:
                total += grad
        last = made[len(inputs) : len(inputs) + len(before)]
    found[len(inputs) : first_param] = last
    return found


def _segments(extent: Extent, every: int) -> Iterator[tuple[int, int]]:
    """The first step of each segment and the one after its last; one segment where T is 0."""
    steps = steps_of(every, extent.batch)
    yield 0, min(steps, extent.steps)
    for first in range(steps, extent.steps, steps):
        yield first, min(first + steps, extent.steps)


def _part(
    kernels: Kernels,
    extent: Extent,
    steps: int,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    params: Sequence[Tensor],
) -> Any:
    """The sizes of a segment of so many steps."""
    hidden_size = extent.sizes["hidden_size"]
    return kernels.extent(steps, extent.batch, inputs, states, params, hidden_size)

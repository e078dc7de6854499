"""Packed sequences of several lengths on kernels, which take sequences of one length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from gatec.runtime.calls import Result
from gatec.runtime.function import run_rows
from gatec.runtime.kernels import Kernels


def run(
    module: Any,
    kernels: Kernels,
    weights: list[Tensor],
    state: tuple[Tensor, ...],
    batch_sizes: list[int],
    reverse: bool,
    inputs: Sequence[Tensor],
) -> Result:
    """One layer on packed rows, as `run_layer` is given them.

    The steps at which as many sequences go on are one call; the states go from call to call.
    """
    if batch_sizes[0] == batch_sizes[-1]:
        return run_rows(module, kernels, weights, state, len(batch_sizes), reverse, inputs)
    runs = [(batch, len([*steps])) for batch, steps in groupby(batch_sizes)]
    pieces = [torch.split(rows, [batch * steps for batch, steps in runs]) for rows in inputs]
    initial = state or _first_states(module, kernels, weights, batch_sizes[0], inputs)
    order = range(len(runs))
    # Where sequences end, or where they join in reverse: the states of those that are not at work.
    outputs: list[Tensor] = []
    ended: list[tuple[Tensor, ...]] = []
    state = tuple(value[: runs[-1 if reverse else 0][0]] for value in initial)
    for place in reversed(order) if reverse else order:
        batch, steps = runs[place]
        before = state[0].shape[0]
        if batch < before:
            ended.append(tuple(value[batch:] for value in state))
            state = tuple(value[:batch] for value in state)
        elif batch > before:
            joined = [value[before:batch] for value in initial]
            state = tuple(torch.cat(pair) for pair in zip(state, joined, strict=True))
        rows = [piece[place] for piece in pieces]
        output, state = run_rows(module, kernels, weights, state, steps, reverse, rows)
        outputs.append(output)
    if reverse:
        outputs.reverse()
    ended.append(state)
    ended.reverse()
    last = tuple(torch.cat(parts) for parts in zip(*ended, strict=True))
    return torch.cat(outputs), last


def _first_states(
    module: Any,
    kernels: Kernels,
    weights: Sequence[Tensor],
    batch: int,
    inputs: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """The states that the cell begins with itself, one row for each sequence."""
    plan = kernels.layout.plan
    sizes = kernels.layout.sizes(inputs, weights, module.hidden_size)
    named = dict(zip((param.name for param in plan.params), weights, strict=True))
    made = []
    for state in plan.states:
        shape = (batch, *(dim.value(sizes) for dim in state.shape))
        if state.initial.param is not None:
            made.append(named[state.initial.param].expand(shape))
        else:
            made.append(inputs[0].new_full(shape, float(state.initial.value)))
    return tuple(made)

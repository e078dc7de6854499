"""Whether what was read from a module is what the module computes: both run in float64.

Parameters, inputs and states are drawn at random; outputs and gradients are compared. Nothing
that was read is used before this.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gatec.equivalence.evaluate import Floats, Run, Runner
from gatec.equivalence.modules.calling import Calling
from gatec.equivalence.modules.construct import (
    Constructor,
    Values,
    draw,
    example,
    quiet,
)
from gatec.equivalence.modules.trace import Traced
from gatec.equivalence.tape import gradients
from gatec.ir import Cell, Initial, Param
from gatec.passes.delay import delay

Array = Any
_STEPS, _ROWS = 5, 3
_EXACT = 1e-9  # a relative difference above this is no rounding


@dataclass(frozen=True)
class Sample:
    """A module at random parameters, and what it gave for a random sequence.

    x (T, B, units), outputs (T, B, units); gradients of a random linear function of the outputs
    with respect to x and the parameters, by name. `start` are the states that were given, None
    where it started from its own.
    """

    module: nn.Module
    values: Values
    x: Tensor
    start: list[Tensor] | None
    weights: Tensor
    outputs: Tensor
    grad_x: Tensor
    grads: Mapping[str, Tensor]


def sample(
    made: Constructor, calling: Calling, seed: int, rows: int = _ROWS, *, anywhere: bool = False
) -> Sample:
    """Run a module over as many steps as its values stay finite for.

    It starts from its own initial states; with `anywhere` from random ones where it takes any.
    """
    for steps in (_STEPS, 2, 1):
        found = _sample(made, calling, seed, rows, steps, anywhere and calling.recurrent)
        if torch.isfinite(found.outputs).all():
            break
    return found


def _sample(
    made: Constructor, calling: Calling, seed: int, rows: int, steps: int, anywhere: bool
) -> Sample:
    values = example(made)
    module = made.build(values)
    draw(module, seed)
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x = drawn(steps, rows, values.sizes[calling.size]).requires_grad_()
    start = calling.zeros(values.sizes, rows)
    with quiet(), torch.enable_grad():
        if anywhere:
            shapes = [s.shape for s in calling(module, calling.arranged(x[:1]), start)[1]]
            start = [drawn(*shape) for shape in shapes]
        if calling.last_only:
            parts = [calling.run(module, x[: t + 1], start)[0] for t in range(steps)]
            outputs = torch.cat(parts)
        else:
            outputs = calling.run(module, x, start)[0]
        outputs = outputs.reshape(*outputs.shape[:2], -1)
        weights = drawn(*outputs.shape)
        params = {name: p for name, p in module.named_parameters() if p.requires_grad}
        found = torch.autograd.grad(
            (outputs * weights).sum(), [x, *params.values()], allow_unused=True
        )
    grads = {
        name: torch.zeros_like(p) if g is None else g
        for (name, p), g in zip(params.items(), found[1:], strict=True)
    }
    grad_x = torch.zeros_like(x) if found[0] is None else found[0]
    given = start if anywhere else None
    return Sample(module, values, x.detach(), given, weights, outputs.detach(), grad_x, grads)


# --- The cell that was read -----------------------------------------------------------------------


def params(traced: Traced, given: Mapping[str, Tensor], values: Values) -> dict[str, Array]:
    """The cell's parameters (1, *shape) from the module's tensors by name."""
    made = {}
    for name, block in traced.blocks.items():
        if name in traced.constants:
            made[name] = np.asarray([values.constants[name]])
            continue
        made[name] = block.of(given, values.sizes).detach().numpy()[None]
    return made


def run(
    traced: Traced, cell: Cell, sample: Sample, *, keep: bool = False
) -> tuple[Runner, Run, list[Array]]:
    """The cell on the sequence of a sample, from the states that the module started from."""
    runner = Runner(delay(cell))
    tensors = dict(sample.module.named_parameters()) | dict(sample.module.named_buffers())
    x = [step.numpy() for step in sample.x]
    found = runner.run(
        Floats(),
        sample.values.sizes,
        params(traced, tensors, sample.values),
        {cell.inputs[0].name: x},
        {name: s.numpy() for name, s in traced.start(sample.start).items()} if sample.start else {},
        steps=len(x),
        keep=keep,
    )
    rows = sample.x.shape[1]
    outputs = [np.broadcast_to(o, (rows, *o.shape[1:])).reshape(rows, -1) for o in found.outputs]
    return runner, found, outputs


def started(traced: Traced, given: Sample) -> Traced | None:
    """The cell with the initial states that the module has; None where it computes otherwise."""
    cell = traced.cell
    options = [_initials(traced, state.shape) for state in cell.states]
    for chosen in itertools.islice(itertools.product(*options), 64):
        states = tuple(
            replace(state, initial=initial)
            for state, initial in zip(cell.states, chosen, strict=True)
        )
        names = {initial.param for initial in chosen}
        more = tuple(block for block in traced.idle if block.name in names)
        made = replace(
            traced,
            cell=replace(
                cell,
                states=states,
                params=(*cell.params, *(Param(block.name, "", block.shape) for block in more)),
            ),
            blocks={**traced.blocks, **{block.name: block for block in more}},
        )
        outputs = np.asarray(run(made, made.cell, given)[2])
        if distance(outputs, given.outputs.numpy()) < _EXACT:
            return made
    return None


def _initials(traced: Traced, shape: Any) -> list[Initial]:
    """Where a state may start: at 0, at 1, at a parameter of its shape."""
    learned = [block.name for block in traced.idle if block.shape == shape]
    learned += [p.name for p in traced.cell.params if p.shape == shape]
    return [
        Initial(Fraction(0)),
        Initial(Fraction(1)),
        *(Initial(Fraction(0), name) for name in learned),
    ]


def distance(one: Array, other: Array) -> float:
    """The largest difference over the largest value; infinite where shapes differ."""
    if one.shape != other.shape or not np.isfinite(other).all():
        return float("inf")
    size = max(float(np.abs(other).max(initial=0.0)), 1e-300)
    found = float(np.abs(one - other).max(initial=0.0)) / size
    return found if np.isfinite(found) else float("inf")


def outputs_agree(traced: Traced, given: Sample) -> bool:
    """Whether the cell that was read gives the outputs of the module."""
    outputs = np.asarray(run(traced, traced.cell, given)[2])
    return distance(outputs, given.outputs.numpy()) < _EXACT


def gradients_agree(traced: Traced, given: Sample) -> bool:
    """Whether the module's gradients are the derivatives of what it computes."""
    runner, found, _ = run(traced, traced.cell, given, keep=True)
    weights = [
        w.numpy().reshape(o.shape) for w, o in zip(given.weights, _full(found, given), strict=True)
    ]
    made = gradients(runner, found, given.values.sizes, weights, {}, learned=not given.start)
    x = np.stack(made.inputs[traced.cell.inputs[0].name])
    if distance(x, given.grad_x.numpy()) > 1e-7:
        return False
    wanted = {
        name: block.of(given.grads, given.values.sizes) for name, block in _learned(traced, given)
    }
    own = {name: g.sum(axis=0) for name, g in made.params.items() if name in wanted}
    scale = max((float(w.abs().max()) for w in wanted.values()), default=1.0)
    return all(
        float(np.abs(own.get(name, 0.0) - w.numpy()).max(initial=0.0)) <= 1e-7 * scale
        for name, w in wanted.items()
    )


def _learned(traced: Traced, given: Sample) -> list[tuple[str, Any]]:
    return [
        (name, block)
        for name, block in traced.blocks.items()
        if name not in traced.constants and block.path in given.grads
    ]


def _full(found: Run, given: Sample) -> Sequence[Array]:
    rows = given.x.shape[1]
    return [np.broadcast_to(o, (rows, *o.shape[1:])) for o in found.outputs]

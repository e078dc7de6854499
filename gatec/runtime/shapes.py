"""The shapes of a call of a cell: what is given says what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from gatec.expr import Dim, Shape
from gatec.ir import Cell


@dataclass(eq=False)
class Extent:
    """What a call computes with: T steps, a batch of B, the sizes of the cell.

    results  the shapes of the outputs' rows and of the last states
    """

    steps: int
    batch: int
    sizes: dict[str, int]
    results: list[tuple[int, ...]]


class Layout:
    """The shapes of one cell, of tensors or of fake ones with symbolic sizes."""

    def __init__(self, plan: Cell) -> None:
        self.plan = plan

    def extent(
        self,
        steps: int,
        batch: int,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        params: Sequence[Tensor],
        hidden_size: int,
    ) -> Extent:
        """The sizes of a call. `inputs` are the rows of all steps. Raises ValueError."""
        plan = self.plan
        groups = [("inputs", inputs, plan.inputs), ("parameters", params, plan.params)]
        groups += [("states", states, plan.states)] if states else []
        for kind, given, wanted in groups:
            if len(given) != len(wanted):
                raise ValueError(f"{plan.name} has {len(wanted)} {kind}, got {len(given)}")
        sizes = self.sizes(inputs, params, hidden_size)

        def of(shape: Shape, *lead: int) -> tuple[int, ...]:
            return (*lead, *(dim.value(sizes) for dim in shape))

        expected = [(item.name, of(item.shape, steps * batch)) for item in plan.inputs]
        if states:
            expected += [(state.name, of(state.shape, batch)) for state in plan.states]
        expected += [(param.name, of(param.shape)) for param in plan.params]
        for (name, shape), tensor in zip(expected, [*inputs, *states, *params], strict=True):
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name} must be {shape}, got {tuple(tensor.shape)}")
        results = [of(plan.output_shape, steps * batch)]
        results += [of(state.shape, batch) for state in plan.states]
        return Extent(steps, batch, sizes, results)

    def sizes(
        self, inputs: Sequence[Tensor], params: Sequence[Tensor], hidden_size: int
    ) -> dict[str, int]:
        """The sizes of a cell that shapes show. Raises ValueError."""
        plan = self.plan
        sizes = {"hidden_size": hidden_size}
        items = [(item, given.shape[1:]) for item, given in zip(plan.inputs, inputs, strict=True)]
        items += [(param, given.shape) for param, given in zip(plan.params, params, strict=True)]  # type: ignore[misc]
        for item, shape in items:
            for dim, count in zip(item.shape, shape, strict=False):
                _learn(dim, count, sizes)
        named = {name for shape in self._shapes() for dim in shape for name, _ in dim.terms}
        if not named <= sizes.keys():
            missing = min(named - sizes.keys())
            raise ValueError(f"the size {missing} does not show in any shape")
        return sizes

    def _shapes(self) -> list[Shape]:
        plan = self.plan
        groups = (plan.inputs, plan.states, plan.params)
        return [item.shape for group in groups for item in group] + [plan.output_shape]


def _learn(dim: Dim, count: int, sizes: dict[str, int]) -> None:
    """What a dimension says of the one size in it that is not known yet."""
    unknown = [(name, times) for name, times in dim.terms if name not in sizes]
    if len(unknown) != 1:
        return
    ((name, times),) = unknown
    rest = count - dim.const - sum(sizes[n] * t for n, t in dim.terms if n in sizes)
    sizes[name] = rest // times

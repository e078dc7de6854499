"""The living definition: what a cell computes, one step after the other, by the operator rows.

No pass has touched the cell that is interpreted here, and no backend shares this code. The
array library is an argument, so that a test can run the definition on another one (to
differentiate it, say).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatec.expr import (
    Apply,
    Broadcast,
    Concat,
    Const,
    Expr,
    Identity,
    Ref,
    Shape,
    SizeValue,
    Slice,
    bottom_up,
)
from gatec.ir import Cell, State
from gatec.ops import OPS, Kind

Array = Any


@dataclass(frozen=True)
class Run:
    """`outputs` (T, B, *shape); `state` after the last step; every equation's value per step."""

    outputs: Array
    state: dict[str, Array]
    trace: list[dict[str, Array]]


def run(
    cell: Cell,
    params: Mapping[str, Array],
    inputs: Mapping[str, Array],
    state: Mapping[str, Array] | None = None,
    *,
    sizes: Mapping[str, int],
    xp: Any = None,
) -> Run:
    """Run a cell over a sequence.

    `params` maps names to arrays of the parameters' shapes; `inputs` maps each input to
    (T, B, *shape); `state` maps states to (B, *shape), their values before the first step
    (default: the cell's initial values). `sizes` gives every size name. Raises KeyError where
    a name is missing.
    """
    if xp is None:
        import numpy as xp
    evaluator = _Evaluator(cell, params, sizes, xp)
    steps, batch = next(iter(inputs.values())).shape[:2]
    history: dict[str, list[Array]] = {
        s.name: [evaluator.initial(s, state, batch)] for s in cell.states
    }
    trace: list[dict[str, Array]] = []
    for t in range(steps):
        values: dict[str, Array] = {}
        for equation in cell.equations:
            evaluator.at(t, inputs, history, values)
            values[equation.name] = evaluator.value(equation.value)
        for s in cell.states:
            history[s.name].append(evaluator.batch(values[s.update], batch, s.shape))
        trace.append(values)
    shape = cell.output_shape
    if steps:
        outputs = xp.stack([evaluator.batch(v[cell.output], batch, shape) for v in trace])
    else:
        outputs = xp.zeros((0, batch, *evaluator.sizes_of(shape)))
    return Run(outputs, {name: values[-1] for name, values in history.items()}, trace)


class _Evaluator:
    """Evaluates expressions at one step. Batched values are (B, *shape), others (*shape)."""

    def __init__(
        self, cell: Cell, params: Mapping[str, Array], sizes: Mapping[str, int], xp: Any
    ) -> None:
        self.cell, self.params, self.sizes, self.xp = cell, params, sizes, xp
        self.constants = {c.name: float(c.value) for c in cell.constants}
        self.states = {s.name: s for s in cell.states}

    def at(
        self,
        t: int,
        inputs: Mapping[str, Array],
        history: Mapping[str, list[Array]],
        values: Mapping[str, Array],
    ) -> None:
        self.t, self.inputs, self.history, self.values = t, inputs, history, values

    def initial(self, state: State, given: Mapping[str, Array] | None, batch: int) -> Array:
        if given is not None and state.name in given:
            return given[state.name]
        return self._default(state, batch)

    def _default(self, state: State, batch: int) -> Array:
        if state.initial.param is not None:
            value = self.params[state.initial.param]
        else:
            value = self.xp.asarray(float(state.initial.value))
            value = self._full(value, state.shape)
        return self.batch(value, batch, state.shape)

    def _full(self, value: Array, shape: Shape) -> Array:
        return self.xp.broadcast_to(value, self.sizes_of(shape))

    def batch(self, value: Array, batch: int, shape: Shape) -> Array:
        """A value with its batch dimension, whether or not it depends on the batch."""
        full = (batch, *self.sizes_of(shape))
        return self.xp.broadcast_to(value, full) + self.xp.zeros(full)

    def sizes_of(self, shape: Shape) -> tuple[int, ...]:
        """A shape in numbers."""
        return tuple(dim.value(self.sizes) for dim in shape)

    def value(self, expr: Expr) -> Array:
        """The value of an expression, children first: nesting may be deep, subtrees shared."""
        done: dict[Expr, Array] = {}
        for node in bottom_up(expr):
            done[node] = self._node(node, [done[child] for child in node.children])
        return done[expr]

    def _node(self, node: Expr, operands: list[Array]) -> Array:
        xp = self.xp
        match node:
            case Const():
                return xp.asarray(float(node.value))
            case SizeValue():
                return xp.asarray(float(node.dim.value(self.sizes)))
            case Identity():
                return xp.eye(node.dim.value(self.sizes))
            case Ref():
                return self._reference(node)
            case Broadcast():
                zeros = xp.zeros(self.sizes_of(node.shape))
                return self._widen(operands[0], len(node.shape)) + zeros
            case Slice():
                index = [slice(None)] * len(node.arg.shape)
                index[node.axis] = slice(node.start.value(self.sizes), node.stop.value(self.sizes))
                return operands[0][(..., *index)]
            case Concat():
                return self._concat(node, operands)
            case Apply():
                return self._apply(node, operands)
        raise TypeError(f"no such node: {node!r}")

    def _reference(self, ref: Ref) -> Array:
        match ref.kind:
            case "param":
                return self.params[ref.name]
            case "const":
                return self.xp.asarray(self.constants[ref.name])
            case "var":
                return self.values[ref.name]
            case "input":
                values = self.inputs[ref.name]
                return values[self.t - ref.lag] if self.t >= ref.lag else values[0] * 0
            case "state":
                values = self.history[ref.name]
                position = len(values) - ref.lag
                if position >= 0:
                    return values[position]
                return self._default(self.states[ref.name], values[0].shape[0])
        raise TypeError(f"a cell has no {ref.kind} reference")

    def _apply(self, expr: Apply, operands: list[Array]) -> Array:
        row = OPS[expr.op]
        if row.kind in (Kind.REDUCTION, Kind.NORMALISATION, Kind.BATCH):
            return row.reference(self.xp, operands[0], expr.args[0].rank)
        if row.kind is Kind.POINTWISE:
            # A scalar per row of the batch meets vectors: align it with their units.
            rank = expr.rank
            operands = [
                self._widen(value, rank) if arg.batched and not arg.shape else value
                for arg, value in zip(expr.args, operands, strict=True)
            ]
        return row.reference(self.xp, *operands)

    def _widen(self, value: Array, rank: int) -> Array:
        return value[(..., *([None] * rank))] if len(value.shape) else value

    def _concat(self, expr: Concat, operands: list[Array]) -> Array:
        pairs = list(zip(expr.args, operands, strict=True))
        batch = next((value.shape[0] for arg, value in pairs if arg.batched), None)
        parts = []
        for arg, value in pairs:
            if not arg.shape:
                value = value[..., None]
            if batch is not None and not arg.batched:
                value = self.xp.broadcast_to(value, (batch, *value.shape))
            parts.append(value)
        return self.xp.concatenate(parts, axis=expr.axis - len(expr.shape))

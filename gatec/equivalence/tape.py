"""Gradients of a run, back through time, by the derivative rows of the operators.

What a `Runner` kept of a run is differentiated number by number. The adjoint pass of the
compiler, which derives equations, has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatec.equivalence.evaluate import Array, Floats, Run, Runner, Sizes, apply, dims, widened
from gatec.equivalence.libraries import numpy
from gatec.expr import Apply, Broadcast, Concat, Const, Expr, Ref, Slice
from gatec.ops import OPS

_FLOATS = Floats()
Table = dict[str, Array]


@dataclass(frozen=True)
class Value:
    """A number per instance and unit, with the operators that derivative rows use."""

    array: Array  # (B, *units)
    is_constant: bool = False

    def apply(self, op: str, *others: Value | float) -> Value:
        arrays = [value.array for value in (self, *map(_value, others))]
        return Value(apply(_FLOATS, op, arrays, [array.ndim - 1 for array in arrays]))

    def __add__(self, other: Value | float) -> Value:
        return self.apply("add", other)

    def __mul__(self, other: Value | float) -> Value:
        return self.apply("mul", other)

    def __truediv__(self, other: Value | float) -> Value:
        return self.apply("div", other)

    def __neg__(self) -> Value:
        return self.apply("neg")

    def __sub__(self, other: Value | float) -> Value:
        return self + -_value(other)

    def __rsub__(self, other: float) -> Value:
        return -self + other

    __radd__, __rmul__ = __add__, __mul__

    def broadcast_like(self, other: Value) -> Value:
        shape = (len(self.array), *other.array.shape[1:])
        return Value(numpy().broadcast_to(widened(self.array, other.array.ndim - 1), shape))

    def zero(self) -> Value:
        return _value(0.0)

    def one(self) -> Value:
        return _value(1.0)


def _value(number: Value | float) -> Value:
    if isinstance(number, Value):
        return number
    return Value(numpy().asarray([float(number)]), is_constant=True)


def pulled_back(
    order: Sequence[Expr], values: Mapping[Expr, Array], cotangent: Array, sizes: Sizes
) -> dict[Ref, Array]:
    """Cotangents of the references in an expression, from that of its value.

    `order` is `bottom_up` of the primitive expression, `values` what every node was.
    """
    arriving: dict[Expr, Array] = {order[-1]: cotangent}
    leaves: dict[Ref, Array] = {}
    for node in reversed(order):
        g = arriving.pop(node, None)
        if g is None:
            continue
        if isinstance(node, Ref):
            leaves[node] = g
            continue
        for child, part in zip(node.children, _parts(node, values, g, sizes), strict=True):
            if part is not None and not isinstance(child, Const):
                part = _fitted(part, values[child])
                arriving[child] = arriving[child] + part if child in arriving else part
    return leaves


def _fitted(part: Array, like: Array) -> Array:
    """A cotangent in the shape of its value: summed where a scalar stood in every unit."""
    if like.ndim == 1 and part.ndim > 1:
        return part.reshape(len(part), -1).sum(axis=1)
    whole = (len(part), *like.shape[1:])
    return numpy().broadcast_to(widened(part, like.ndim - part.ndim), whole)


def _parts(
    node: Expr, values: Mapping[Expr, Array], g: Array, sizes: Sizes
) -> Sequence[Array | None]:
    np = numpy()
    match node:
        case Broadcast():
            return [g]
        case Slice():
            made = np.zeros((len(g), *values[node.arg].shape[1:]))
            index = [slice(None)] * made.ndim
            index[node.axis + 1] = slice(node.start.value(sizes), node.stop.value(sizes))
            made[tuple(index)] = g
            return [made]
        case Concat():
            lengths = [values[arg].shape[node.axis + 1] if arg.rank else 1 for arg in node.args]
            pieces = np.split(g, np.cumsum(lengths)[:-1], axis=node.axis + 1)
            pairs = zip(node.args, pieces, strict=True)
            return [piece if arg.rank else piece[:, 0] for arg, piece in pairs]
        case Apply():
            return _row(node, values, g)
    return [None] * len(node.children)


def _row(node: Apply, values: Mapping[Expr, Array], g: Array) -> Sequence[Array | None]:
    row = OPS[node.op].adjoint
    if row is None:
        return [None] * len(node.args)
    operands = [Value(values[arg], isinstance(arg, Const)) for arg in node.args]
    parts = row(Value(g), Value(values[node]), *operands)
    return [None if part is None else part.array for part in parts]


@dataclass(frozen=True)
class Gradients:
    """Cotangents by name: of parameters, of inputs (one per step), of states before step 1.

    A state that starts from a parameter passes its cotangent on where `learned` is set.
    """

    params: dict[str, Array]
    inputs: dict[str, list[Array]]
    states: dict[str, Array]


def gradients(
    runner: Runner,
    run: Run,
    sizes: Sizes,
    outputs: Sequence[Array],
    states: Mapping[str, Array],
    *,
    learned: bool,
) -> Gradients:
    """The way back through a run that was kept.

    outputs  the cotangent of the output of every step, (B, *shape)
    states   that of some states after the last step, by name
    learned  whether states that start from a parameter did so in this run
    """
    cell = runner.cell
    made = Gradients({}, {item.name: [] for item in cell.inputs}, {})
    carried = dict(states)
    for t in reversed(range(len(run.outputs))):
        arriving = {cell.output: outputs[t]}
        for state in cell.states:
            if state.name in carried:
                _add(arriving, state.update, carried[state.name])
        carried, inputs = {}, dict[str, Array]()
        for name, order in reversed(runner.orders):
            if name not in arriving:
                continue
            found = pulled_back(order, run.nodes[t][name], arriving[name], sizes)
            tables = {
                "param": made.params,
                "input": inputs,
                "state": carried,
                "var": arriving,
            }
            for ref, g in found.items():
                _add(tables[ref.kind], ref.name, g)
        for item in cell.inputs:
            zero = numpy().zeros((len(outputs[t]), *dims(item.shape, sizes)))
            made.inputs[item.name].insert(0, inputs.get(item.name, zero))
    made.states.update(carried)
    for state in cell.states:
        if learned and state.initial.param is not None and state.name in carried:
            _add(made.params, state.initial.param, carried[state.name])
    return made


def _add(table: Table, name: str, value: Array) -> None:
    table[name] = table[name] + value if name in table else value

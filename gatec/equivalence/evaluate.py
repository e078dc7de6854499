"""Cells computed step by step over any kind of numbers: floats, rationals, balls, a finite field.

A value is a NumPy array `(B, *shape)`: B instances at once, each with parameters, inputs and
states of its own (1 in place of B where all instances share a value). What numbers are is said
by a `Domain`; sums of products, slices and loops over time are the same for all. Cells are read
as the comparison prepares them: states at lag 1, inputs at lag 0, no constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, Protocol

from gatec.equivalence.libraries import numpy
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
    rewrite,
)
from gatec.ir import Cell, State
from gatec.ops import OPS, Kind
from gatec.passes.common import bottom_up, refs

Array = Any
Sizes = Mapping[str, int]


class Unsupported(Exception):
    """A kind of numbers does not have an operator."""


class Domain(Protocol):
    """A kind of numbers, held in NumPy arrays."""

    @property
    def dtype(self) -> str: ...

    def number(self, value: Fraction) -> Any:
        """A rational number, or the nearest."""

    def pointwise(self, op: str, operands: Sequence[Array]) -> Array:
        """A primitive pointwise operator of `ops.OPS`. Raises Unsupported."""

    def settled(self, value: Array) -> Array:
        """The result of sums and products of numbers, as a number again."""


class Floats:
    """float64, by the reference of every operator's row."""

    dtype = "float64"

    def number(self, value: Fraction) -> float:
        return float(value)

    def pointwise(self, op: str, operands: Sequence[Array]) -> Array:
        np = numpy()
        with np.errstate(all="ignore"):
            return OPS[op].reference(np, *operands)

    def settled(self, value: Array) -> Array:
        return value


class Rationals:
    """Exact rationals; arithmetic only."""

    dtype = "object"

    def number(self, value: Fraction) -> Fraction:
        return value

    def pointwise(self, op: str, operands: Sequence[Array]) -> Array:
        if op == "pow":
            exponents = set(operands[1].flat)
            if any(exponent.denominator != 1 for exponent in exponents):
                raise Unsupported(op)
        elif op not in ("add", "mul", "neg", "div", "detach"):
            raise Unsupported(op)
        try:
            return OPS[op].reference(numpy(), *operands)
        except ZeroDivisionError:
            raise Unsupported("a quotient by 0") from None

    def settled(self, value: Array) -> Array:
        return value


# --- Operators ------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def primitive(expr: Expr) -> Expr:
    """The expression with composed operators as their definitions."""

    def rule(node: Expr) -> Expr:
        if not isinstance(node, Apply):
            return node
        definition = OPS[node.op].definition
        if definition is None:
            return node
        made = definition(node.args[0])
        return primitive(made if made.shape == node.shape else Broadcast(made, node.shape))

    return rewrite(expr, rule)


def widened(value: Array, more: int) -> Array:
    """A value with `more` unit axes of size 1 at its end."""
    return value[(..., *([None] * more))] if more else value


def apply(domain: Domain, op: str, operands: Sequence[Array], ranks: Sequence[int]) -> Array:
    """A primitive operator over values of the given ranks. Raises Unsupported."""
    np, row = numpy(), OPS[op]
    if row.kind is Kind.POINTWISE:
        rank = max(ranks)
        # A scalar of each instance meets the units of vectors: align it with them.
        aligned = [widened(value, rank - own) for value, own in zip(operands, ranks, strict=True)]
        return domain.pointwise(op, aligned)
    if row.signature is not None:
        inputs, output = row.signature.split("->")
        subscripts = ",".join(f"...{part}" for part in inputs.split(",")) + f"->...{output}"
        with np.errstate(all="ignore"):
            return domain.settled(np.einsum(subscripts, *operands))
    if row.kind is Kind.REDUCTION and row.name in ("sum", "amax"):
        (value,) = operands
        units = value.reshape(value.shape[0], -1)
        if op == "sum":
            return domain.settled(units.sum(axis=1))
        largest = units[:, 0]
        for index in range(1, units.shape[1]):
            largest = domain.pointwise("max", [largest, units[:, index]])
        return largest
    raise Unsupported(op)


def dims(shape: Shape, sizes: Sizes) -> tuple[int, ...]:
    """A shape in numbers."""
    return tuple(dim.value(sizes) for dim in shape)


class Evaluator:
    """Values of expressions over one kind of numbers, at given sizes."""

    def __init__(self, domain: Domain, sizes: Sizes) -> None:
        self.domain, self.sizes = domain, sizes

    def full(self, value: Fraction, shape: Shape) -> Array:
        """A number in every unit of a shape, for all instances."""
        np = numpy()
        made = np.empty((1, *dims(shape, self.sizes)), dtype=self.domain.dtype)
        made[...] = self.domain.number(value)
        return made

    def value(self, expr: Expr, leaf: Callable[[Ref], Array]) -> Array:
        """The value of an expression, given those of references. Raises Unsupported."""
        expr = primitive(expr)
        return self.nodes(bottom_up(expr), leaf)[expr]

    def nodes(self, order: Sequence[Expr], leaf: Callable[[Ref], Array]) -> dict[Expr, Array]:
        """The values of primitive nodes that stand in the order of `bottom_up`."""
        done: dict[Expr, Array] = {}
        for node in order:
            if isinstance(node, Ref):
                done[node] = leaf(node)
            else:
                done[node] = self._node(node, [done[child] for child in node.children])
        return done

    def _node(self, node: Expr, operands: list[Array]) -> Array:
        np = numpy()
        match node:
            case Const():
                return self.full(node.value, ())
            case SizeValue():
                return self.full(Fraction(node.dim.value(self.sizes)), ())
            case Identity():
                made = self.full(Fraction(0), node.shape)
                units = np.arange(made.shape[-1])
                made[:, units, units] = self.domain.number(Fraction(1))
                return made
            case Broadcast():
                value = widened(operands[0], node.rank)
                return np.broadcast_to(value, (len(value), *dims(node.shape, self.sizes)))
            case Slice():
                index = [slice(None)] * (node.arg.rank + 1)
                ends = node.start.value(self.sizes), node.stop.value(self.sizes)
                index[node.axis + 1] = slice(*ends)
                return operands[0][tuple(index)]
            case Concat():
                return self._concat(node, operands)
            case Apply():
                return apply(self.domain, node.op, operands, [arg.rank for arg in node.args])
        raise TypeError(f"no such node: {node!r}")

    def _concat(self, node: Concat, operands: list[Array]) -> Array:
        np = numpy()
        count = max(len(value) for value in operands)
        parts = []
        for arg, value in zip(node.args, operands, strict=True):
            value = value if arg.rank else value[:, None]
            parts.append(np.broadcast_to(value, (count, *value.shape[1:])))
        return np.concatenate(parts, axis=node.axis + 1)


# --- Cells ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What a cell computed: one dictionary of values per step, states before each step and last.

    `nodes` holds, for each step and equation, the values inside of it (where they are kept).
    """

    outputs: list[Array]
    equations: list[dict[str, Array]]
    states: list[dict[str, Array]]
    nodes: list[dict[str, dict[Expr, Array]]]


class Runner:
    """A cell made ready to run over any numbers, many times."""

    def __init__(self, cell: Cell) -> None:
        """Raises ValueError for a cell that is not prepared: with longer lags, or constants."""
        for equation in cell.equations:
            for ref in refs(equation.value):
                if ref.kind == "const" or ref.lag > (ref.kind == "state"):
                    raise ValueError(f"{equation.name} reads {ref.kind} {ref.name}, lag {ref.lag}")
        self.cell = cell
        self.orders = [
            (equation.name, bottom_up(primitive(equation.value))) for equation in cell.equations
        ]

    def run(
        self,
        domain: Domain,
        sizes: Sizes,
        params: Mapping[str, Array],
        inputs: Mapping[str, Sequence[Array]],
        states: Mapping[str, Array],
        *,
        steps: int,
        keep: bool = False,
        instead: Mapping[str, Sequence[Array]] | None = None,
    ) -> Run:
        """Run over a sequence. Raises Unsupported where the domain lacks an operator.

        params  name -> (B, *shape)
        inputs  name -> one (B, *shape) per step
        states  name -> (B, *shape) before the first step; those left out start where the cell
                says
        instead equation -> a value per step, in place of its own
        """
        evaluator = Evaluator(domain, sizes)
        now = {
            state.name: states[state.name]
            if state.name in states
            else start(evaluator, state, params)
            for state in self.cell.states
        }
        made, put = Run([], [], [now], []), instead or {}
        for t in range(steps):
            values: dict[str, Array] = {}
            kept: dict[str, dict[Expr, Array]] = {}
            tables: dict[str, Mapping[str, Array]] = {
                "param": params,
                "input": {name: v[t] for name, v in inputs.items()},
                "state": now,
                "var": values,
            }
            leaf = partial(_looked_up, tables)
            for name, order in self.orders:
                nodes = evaluator.nodes(order, leaf)
                values[name] = put[name][t] if name in put else nodes[order[-1]]
                if keep:
                    kept[name] = nodes
            now = {state.name: values[state.update] for state in self.cell.states}
            made.outputs.append(values[self.cell.output])
            made.equations.append(values)
            made.states.append(now)
            made.nodes.append(kept)
        return made


def start(evaluator: Evaluator, state: State, params: Mapping[str, Array]) -> Array:
    """A state before the first step, where its cell says."""
    if state.initial.param is not None:
        return params[state.initial.param]
    return evaluator.full(state.initial.value, state.shape)


def _looked_up(tables: Mapping[str, Mapping[str, Array]], ref: Ref) -> Array:
    return tables[ref.kind][ref.name]

"""Runs at different sizes laid side by side: what changes from run to run is a size or a constant.

A whole number becomes the tuple of its values over the runs (`Count`), or a plain `int` where it
is the same in all; `Sizes` reads such a tuple as `2 * hidden_size + 1`. A real number that
follows a constant of the constructor, or a size, becomes an expression of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import Tensor

from gatec.equivalence.modules.construct import BATCH, Values
from gatec.equivalence.modules.record import Call, Leaf, Place, TensorId, Trace, Untraceable
from gatec.expr import Const, Dim, Expr, Ref, SizeValue, number


class Count(tuple[int, ...]):
    """A whole number that is another in each run: its value in each."""


@dataclass(frozen=True)
class Sizes:
    """What sizes and constants were in each run, and how to read numbers that follow them."""

    runs: tuple[Values, ...]

    def count(self, value: int | Count) -> Count:
        return Count((value,) * len(self.runs)) if isinstance(value, int) else value

    def of(self, dim: Dim) -> Count:
        """A size in numbers, one per run."""
        return Count(dim.value(run.sizes) for run in self.runs)

    def dim(self, value: int | Count) -> Dim | None:
        """The size that a number is in all runs; None where it is no sum of sizes."""
        if isinstance(value, int):
            return Dim((), value)
        names = list(self.runs[0].sizes)
        rows = [[*(run.sizes[name] for name in names), 1] for run in self.runs]
        solved = _solved(rows, value)
        if solved is None or any(part.denominator != 1 for part in solved):
            return None
        *counts, constant = (int(part) for part in solved)
        terms = sorted((name, c) for name, c in zip(names, counts, strict=True) if c)
        return Dim(tuple(terms), constant)

    def real(self, values: Sequence[float]) -> Expr:
        """A real number as an expression of constants and sizes. Raises Untraceable."""
        if not all(map(math.isfinite, values)):
            raise Untraceable("it computes with a number that is not finite")
        if len(set(values)) == 1:
            return number(values[0])
        for made, wanted in self._forms():
            scale = values[0] / wanted[0] if wanted[0] else 0.0
            plain = Fraction(scale).limit_denominator(64)
            if plain and all(
                math.isclose(v, float(plain) * w, rel_tol=1e-12)
                for v, w in zip(values, wanted, strict=True)
            ):
                return made if plain == 1 else -made if plain == -1 else Const(plain) * made
        raise Untraceable(f"a number follows the sizes or constants in no way known: {values[0]}")

    def _forms(self) -> Iterator[tuple[Expr, list[float]]]:
        """Expressions of one constant or one size, and their values in each run."""
        leaves: list[tuple[Expr, list[float]]] = [
            (Ref("param", name, ()), [run.constants[name] for run in self.runs])
            for name in self.runs[0].constants
        ]
        leaves += [
            (SizeValue(Dim.of(name)), [float(run.sizes[name]) for run in self.runs])
            for name in self.runs[0].sizes
            if name != BATCH
        ]
        for leaf, values in leaves:
            for make, function in _FORMS:
                try:
                    found = [function(value) for value in values]
                except (ValueError, ZeroDivisionError, OverflowError):
                    continue
                yield make(leaf), found


_FORMS: tuple[tuple[Callable[[Expr], Expr], Callable[[float], float]], ...] = (
    (lambda e: e, lambda v: v),
    (lambda e: 1 - e, lambda v: 1 - v),
    (lambda e: 1 + e, lambda v: 1 + v),
    (lambda e: 1 / e, lambda v: 1 / v),
    (lambda e: e.apply("sqrt"), math.sqrt),
    (lambda e: 1 / e.apply("sqrt"), lambda v: 1 / math.sqrt(v)),
    (lambda e: e * e, lambda v: v * v),
    (lambda e: 1 - e * e, lambda v: 1 - v * v),
    (lambda e: (1 - e * e).apply("sqrt"), lambda v: math.sqrt(1 - v * v)),
    (lambda e: 1 / (1 + e), lambda v: 1 / (1 + v)),
    (lambda e: 1 / (1 - e), lambda v: 1 / (1 - v)),
    (lambda e: e.apply("exp"), math.exp),
    (lambda e: (-e).apply("exp"), lambda v: math.exp(-v)),
    (lambda e: 1 - (-e).apply("exp"), lambda v: 1 - math.exp(-v)),
    (lambda e: e.apply("log"), math.log),
)


def _solved(rows: list[list[int]], values: Sequence[int]) -> list[Fraction] | None:
    """The solution of a system with more equations than unknowns; None where it has none."""
    table = [[Fraction(v) for v in (*row, value)] for row, value in zip(rows, values, strict=True)]
    width = len(rows[0])
    for column in range(width):
        pivot = next((i for i in range(column, len(table)) if table[i][column]), None)
        assert pivot is not None, "sizes of the runs do not tell their names apart"
        table[column], table[pivot] = table[pivot], table[column]
        top = table[column]
        for i, row in enumerate(table):
            if i != column and row[column]:
                factor = row[column] / top[column]
                table[i] = [a - factor * b for a, b in zip(row, top, strict=True)]
    if any(row[width] for row in table[width:]):
        return None
    return [table[i][width] / table[i][i] for i in range(width)]


# --- Traces ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MergedLeaf:
    """A leaf of all runs; `values` are those of a constant in each."""

    kind: str
    name: str
    shape: tuple[int | Count, ...]
    values: tuple[Tensor, ...] | None


@dataclass(frozen=True)
class MergedCall:
    """An operation of all runs; `values` are those of results that depend on nothing."""

    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: Any
    depends: bool
    place: Place | None
    values: Mapping[int, tuple[Tensor, ...]]


@dataclass(frozen=True)
class Graph:
    """What several runs have in common."""

    sizes: Sizes
    leaves: Mapping[int, MergedLeaf]
    calls: tuple[MergedCall, ...]
    shapes: Mapping[int, tuple[int | Count, ...]]
    results: tuple[TensorId, ...]


def merged(traces: Sequence[Trace], runs: Sequence[Values]) -> Graph:
    """One graph of several traces. Raises Untraceable where they differ in more than numbers."""
    sizes = Sizes(tuple(runs))
    first = traces[0]
    if any(len(trace.calls) != len(first.calls) for trace in traces):
        raise Untraceable("which operations it runs depends on its sizes or constants")
    calls = tuple(
        _call([trace.calls[i] for trace in traces], sizes) for i in range(len(first.calls))
    )
    leaves = {
        number: _leaf([trace.leaves[number] for trace in traces], sizes)
        for number in first.leaves
        if all(number in trace.leaves for trace in traces)
    }
    shapes = {
        number: _same([trace.shapes[number] for trace in traces], sizes) for number in first.shapes
    }
    results = _same([tuple(trace.results) for trace in traces], sizes)
    return Graph(sizes, leaves, calls, shapes, results)


def _leaf(leaves: list[Leaf], sizes: Sizes) -> MergedLeaf:
    first = leaves[0]
    if any((leaf.kind, leaf.name) != (first.kind, first.name) for leaf in leaves):
        raise Untraceable("its parameters depend on its sizes or constants")
    values = tuple(leaf.value for leaf in leaves if leaf.value is not None)
    shape = _same([leaf.shape for leaf in leaves], sizes)
    return MergedLeaf(first.kind, first.name, shape, values or None)


def _call(calls: list[Call], sizes: Sizes) -> MergedCall:
    first = calls[0]
    if any((call.op, call.depends) != (first.op, first.depends) for call in calls):
        raise Untraceable("which operations it runs depends on its sizes or constants")
    values = {
        number: tuple(call.values[number] for call in calls)
        for number in first.values
        if all(number in call.values for call in calls)
    }
    return MergedCall(
        first.op,
        _same([call.args for call in calls], sizes),
        _same([dict(call.kwargs) for call in calls], sizes),
        _same([call.results for call in calls], sizes),
        first.depends,
        first.place,
        values,
    )


def _same(values: Sequence[Any], sizes: Sizes) -> Any:
    """Nested values of all runs as one. Raises Untraceable where they nest differently."""
    first = values[0]
    if any(type(value) is not type(first) for value in values):
        raise Untraceable("what it passes to an operation depends on its sizes")
    if isinstance(first, tuple):
        if any(len(value) != len(first) for value in values):
            raise Untraceable("how many tensors it handles depends on its sizes")
        return tuple(_same(parts, sizes) for parts in zip(*values, strict=True))
    if isinstance(first, dict):
        if any(value.keys() != first.keys() for value in values):
            raise Untraceable("what it passes to an operation depends on its sizes")
        return {key: _same([value[key] for value in values], sizes) for key in first}
    if isinstance(first, float):
        return sizes.real(values)
    if all(value == first for value in values):
        return first
    if isinstance(first, int) and not isinstance(first, bool):
        return Count(values)
    raise Untraceable("what it passes to an operation depends on its sizes")

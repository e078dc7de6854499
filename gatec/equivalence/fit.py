"""A map made better by trial: parameters of mine taken for other parameters of theirs.

Where no map is proved, the one that a refutation refutes should be the most sensible one. From a
map that may be wrong, parameters are exchanged, those of a whole equation or one at a time, for
parameters of theirs of the same shape (their negatives, slices, pairs side by side, sums of
biases, or 0), as long as the outputs of both cells on random instances come closer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from gatec.equivalence.evaluate import Array, Evaluator, Floats, Unsupported
from gatec.equivalence.instances import Pair, Setting
from gatec.equivalence.libraries import numpy
from gatec.equivalence.match import Found
from gatec.expr import Apply, Concat, Dim, Expr, Ref, Shape, Slice, call
from gatec.ir import Cell, Equation, Param
from gatec.passes.common import refs, zeros

_INSTANCES = 24
_STEPS = 2
_SWEEPS = 6
# How many ways are tried: for an equation, for one by one other, for a parameter in it.
_CHOICES, _BLOCKS, _OPTIONS = 96, 16, 4
_ZERO = 1e-12  # a residual that is rounding
# What a change has to leave of the residual at most. Single parameters can make up for a little
# of a difference that they have nothing to do with: such a map explains nothing to a reader.
_EQUATIONS, _PARAMETERS = 0.999, 0.7
# What it costs if two equations are taken for one, to change a sign, to leave a parameter out.
_TWICE, _NEGATIVE, _UNREAD = 1.3, 1.02, 1.03


@dataclass(frozen=True)
class Fit:
    """A map, and the mean difference of the outputs on random instances.

    `cost` is that, too, larger where the map is less natural.
    """

    found: Found
    residual: float
    cost: float


def fitted(mine: Cell, theirs: Cell, found: Found) -> Fit | None:
    """The map after all exchanges that help; None where it cannot be evaluated."""
    try:
        return _Fitting(Pair(mine, theirs, found)).made()
    except Unsupported:
        return None


Move = Mapping[str, Expr]  # parameters of mine -> what they become


class _Fitting:
    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        np = numpy()
        sizes = pair.fitted({name: count + 1 for name, count in pair.smallest().items()})
        given = bool(pair.free)
        self.setting = Setting(sizes, _STEPS, given)
        slots = pair.slots(self.setting)
        units = slots[-1].stop if slots else 0
        rows = np.random.default_rng(3).standard_normal((_INSTANCES, units))
        self.values = pair.values(Floats(), self.setting, rows)
        self.wanted = pair.run(Floats(), self.setting, self.values)[1].outputs
        self.known: dict[Expr, Array] = {}
        self.readers = tuple(map(_readers, (pair.mine, pair.theirs)))
        equations = [(choices, _EQUATIONS) for choices in _of_equations(pair)]
        parameters = [(choices, _PARAMETERS) for choices in _of_parameters(pair)]
        self.phases = equations, [*equations, *parameters]

    def made(self) -> Fit:
        params = dict(self.pair.found.params)
        cost = self._costs(params, [{}])[0]
        for moves in self.phases:
            for _ in range(_SWEEPS):
                before = cost
                for choices, enough in moves:
                    found = self._costs(params, choices)
                    index = min(range(len(choices)), key=found.__getitem__)
                    if found[index] < cost * enough:
                        cost = found[index]
                        params.update(choices[index])
                if cost == before or cost < _ZERO:
                    break
        residual = self._residuals(params, [{}])[0]
        return Fit(replace(self.pair.found, params=params), residual, cost)

    def _costs(self, params: Mapping[str, Expr], choices: Sequence[Move]) -> list[float]:
        """The residuals, larger where a map is less natural."""
        residuals = self._residuals(params, choices)
        return [
            residual * self._strangeness({**params, **choice})
            for residual, choice in zip(residuals, choices, strict=True)
        ]

    def _strangeness(self, params: Move) -> float:
        """Larger for equations of theirs that stand for two of mine, and so on; at least 1."""
        used: dict[str, set[str]] = {}
        read: set[str] = set()
        for name, value in params.items():
            for other in _names(value):
                read.add(other)
                for equation in self.readers[1].get(other, ()):
                    used.setdefault(equation, set()).update(self.readers[0].get(name, ()))
        again = sum(len(equations) - 1 for equations in used.values() if equations)
        negative = sum(isinstance(v, Apply) and v.op == "neg" for v in params.values())
        unread = len(self.readers[1].keys() - read)
        return _TWICE**again * _NEGATIVE**negative * _UNREAD**unread

    def _residuals(self, params: Mapping[str, Expr], choices: Sequence[Move]) -> list[float]:
        """The residual of each choice: all are run at once, as instances."""
        np = numpy()
        count = len(choices)
        changed = {name for choice in choices for name in choice}
        values = {
            name: np.concatenate(
                [self._value((choice if name in choice else params)[name]) for choice in choices]
            )
            if name in changed
            else _tiled(self._value(value), count)
            for name, value in params.items()
        }
        run = self.pair.runners[0].run(
            Floats(),
            self.setting.sizes,
            values,
            {n: [_tiled(v, count) for v in each] for n, each in self.values.inputs.items()},
            {n: _tiled(v, count) for n, v in self.values.mine_states.items()},
            steps=_STEPS,
        )
        with np.errstate(all="ignore"):
            total = np.zeros(count * _INSTANCES)
            for one, other in zip(run.outputs, self.wanted, strict=True):
                wanted = _tiled(other, count)
                size = np.maximum(1, np.maximum(np.abs(one), np.abs(wanted)))
                error = np.abs(one - wanted) / size
                error = np.where(np.isfinite(error), error, 1.0)
                total += np.broadcast_to(error, wanted.shape).reshape(len(total), -1).mean(axis=1)
        means = total.reshape(count, _INSTANCES).mean(axis=1) / _STEPS
        return [float(f"{mean:.6e}") for mean in means]

    def _value(self, value: Expr) -> Array:
        """A parameter of mine for every instance."""
        if value not in self.known:
            theirs, evaluator = self.values.theirs, Evaluator(Floats(), self.setting.sizes)
            made = evaluator.value(value, lambda ref: theirs[ref.name])
            whole = (_INSTANCES, *made.shape[1:])
            self.known[value] = numpy().broadcast_to(made, whole)
        return self.known[value]


@lru_cache(maxsize=4096)
def _names(value: Expr) -> frozenset[str]:
    """The parameters in an expression."""
    return frozenset(ref.name for ref in refs(value, "param"))


def _readers(cell: Cell) -> dict[str, list[str]]:
    """The equations that read each parameter."""
    made: dict[str, list[str]] = {}
    for equation in cell.equations:
        for ref in refs(equation.value, "param"):
            made.setdefault(ref.name, []).append(equation.name)
    return made


def _tiled(value: Array, count: int) -> Array:
    np = numpy()
    whole = np.broadcast_to(value, (_INSTANCES, *value.shape[1:]))
    return np.tile(whole, (count, *[1] * (value.ndim - 1)))


# --- Moves ----------------------------------------------------------------------------------------


def _of_parameters(pair: Pair) -> Iterator[list[Move]]:
    """One parameter for anything of its shape."""
    pools = [_params(pair.theirs, equation) for equation in pair.theirs.equations]
    for param in pair.mine.params:
        values: list[Expr] = [zeros(param.shape)]
        for pool in pools:
            for value in _shaped(param.shape, pool):
                values += [value, -value]
        distinct = list(dict.fromkeys(values))[:_CHOICES]
        yield [{param.name: value} for value in distinct]


def _of_equations(pair: Pair) -> Iterator[list[Move]]:
    """All parameters of an equation for those of another one, with either sign."""
    pools = [_params(pair.theirs, equation) for equation in pair.theirs.equations]
    for equation in pair.mine.equations:
        own = _params(pair.mine, equation)
        choices: list[Move] = []
        for pool in filter(None, pools):
            for move in itertools.islice(_blocks(own, pool), _BLOCKS):
                choices += [move, {name: -value for name, value in move.items()}]
        if choices:
            yield choices[:_CHOICES]


def _params(cell: Cell, equation: Equation) -> list[Param]:
    """The parameters that an equation reads, in the order of the cell."""
    read = {ref.name for ref in refs(equation.value, "param")}
    return [param for param in cell.params if param.name in read]


def _blocks(own: Sequence[Param], pool: Sequence[Param]) -> Iterator[Move]:
    """The parameters of an equation for others, of which none is taken twice but 0."""
    options: list[list[Expr]] = []
    for param in own:
        values = list(itertools.islice(_shaped(param.shape, pool), _OPTIONS))
        if len(param.shape) == 1:
            values.sort(key=lambda value: isinstance(value, Ref))  # the sum of all first
        if len(param.shape) == 1 or not values:
            values.append(zeros(param.shape))
        options.append(values)
    for chosen in itertools.product(*options):
        read = [ref for value in chosen for ref in refs(value, "param")]
        sliced = any(isinstance(value, Slice) for value in chosen)
        if read and (sliced or len(set(read)) == len(read)):
            yield {param.name: value for param, value in zip(own, chosen, strict=True)}


def _shaped(shape: Shape, pool: Sequence[Param]) -> Iterator[Expr]:
    """Expressions of a shape over some parameters of theirs."""
    names = [Ref("param", param.name, param.shape) for param in pool]
    exact = [ref for ref in names if ref.shape == shape]
    yield from exact
    if len(shape) == 2:
        for ref in names:
            yield from _slices(ref, shape)
        for one, other in itertools.permutations(names, 2):
            yield from _joined(one, other, shape)
    elif len(exact) > 1:
        yield call("add", *exact)


def _slices(ref: Ref, shape: Shape) -> Iterator[Expr]:
    """The first and the last rows or columns of a matrix."""
    if ref.rank != 2:
        return
    for axis in (1, 0):
        rest = ref.shape[axis] - shape[axis]
        if ref.shape[1 - axis] != shape[1 - axis] or not _is_size(rest):
            continue
        yield Slice(ref, axis, Dim(), shape[axis])
        yield Slice(ref, axis, rest, ref.shape[axis])


def _is_size(dim: Dim) -> bool:
    """Whether a difference of sizes is a size, and not 0."""
    counts = [count for _, count in dim.terms]
    return dim.const >= 0 and all(count > 0 for count in counts) and bool(counts or dim.const)


def _joined(one: Ref, other: Ref, shape: Shape) -> Iterator[Expr]:
    """Two matrices side by side or one above the other."""
    if one.rank != 2 or other.rank != 2:
        return
    for axis in (1, 0):
        across = one.shape[1 - axis] == other.shape[1 - axis] == shape[1 - axis]
        if across and one.shape[axis] + other.shape[axis] == shape[axis]:
            yield Concat((one, other), axis)


__all__ = ["Fit", "fitted"]

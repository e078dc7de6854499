"""A map tried in float64: both cells run on random instances, outputs and gradients compared.

No code of the search, of the proofs or of the adjoint pass takes part: the cells are run by the
operators' references, differentiated by their derivative rows, and the gradients of the
parameters of mine are pulled back through the map by the chain rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gatec.equivalence.evaluate import Array, Evaluator, Floats, Run, dims, primitive
from gatec.equivalence.instances import Pair, Setting, Values
from gatec.equivalence.libraries import numpy
from gatec.equivalence.match import Found
from gatec.equivalence.proof import Proof
from gatec.equivalence.tape import Gradients, Table, gradients, pulled_back
from gatec.equivalence.verdict import Replay
from gatec.expr import Ref
from gatec.ir import Cell, Input
from gatec.passes.common import bottom_up

_FLOATS = Floats()
# Steps, and how many of each size, cycling: one unit, odd, more in than hidden and the reverse.
_SETTINGS = ((1, (1, 1, 1)), (2, (2, 3, 1)), (4, (3, 1, 2)), (5, (5, 3, 4)), (8, (3, 5, 2)))
_INSTANCES = 8  # of each setting
# What a rounding of the operands may change at most; instances that magnify it more are left out.
_SENSITIVE = 1e-11
_LEAST = 1e-4  # the least that a difference is relative to; parameters and inputs are about 1


def replay(proof: Proof) -> Replay:
    """Replay a proved map without limits. Raises GatecError where NumPy is not installed."""
    return compare(proof.mine, proof.theirs, Found(dict(proof.states), dict(proof.params)))


def compare(mine: Cell, theirs: Cell, found: Found, *, enough: float = float("inf")) -> Replay:
    """How far `mine` under a map is from `theirs`.

    Outputs of all steps and the mapped states after the last one; gradients of a random linear
    function of these with respect to inputs, mapped initial states and parameters of theirs.
    Instances whose values are not finite, or that magnify roundings so much that float64 says
    nothing, do not count. With none left both differences are infinite: nothing was compared.
    Ends at the first instance that differs by more than `enough`.
    Raises GatecError where NumPy is not installed.
    """
    pair = Pair(mine, theirs, found)
    counted, outputs, slopes = 0, 0.0, 0.0
    for seed, setting in enumerate(_settings(pair)):
        for one, other in _differences(pair, setting, seed):
            counted, outputs, slopes = counted + 1, max(outputs, one), max(slopes, other)
            if max(outputs, slopes) > enough:
                return Replay(counted, outputs, slopes)
    if not counted:
        return Replay(0, float("inf"), float("inf"))
    return Replay(counted, outputs, slopes)


def _settings(pair: Pair) -> Iterator[Setting]:
    for steps, counts in _SETTINGS:
        names = pair.size_names
        sizes = {name: counts[index % len(counts)] for index, name in enumerate(names)}
        for given in (True, False):
            yield Setting(pair.fitted(sizes), steps, given)


@dataclass(frozen=True)
class _Result:
    """Arrays (B, units) of everything that is compared."""

    outputs: Array
    slopes: Array


def _differences(pair: Pair, setting: Setting, seed: int) -> Iterator[tuple[float, float]]:
    """The relative differences of outputs and gradients, of each instance that counts."""
    np = numpy()
    rng = np.random.default_rng(seed)
    rows = _rows(pair, setting, rng)
    weights = _weights(pair, setting, rng)
    with np.errstate(all="ignore"):
        one, other = _results(pair, setting, rows, weights)
        moved = rows * (1 + rng.choice([-1.0, 1.0], rows.shape) * 2.0**-50)
        _, near = _results(pair, setting, moved, weights)
        steady = [
            _relative(getattr(other, part), getattr(near, part)) < _SENSITIVE
            for part in ("outputs", "slopes")
        ]
        parts = (one.outputs, one.slopes, other.outputs, other.slopes)
        finite = np.logical_and.reduce([np.isfinite(part).all(axis=1) for part in parts])
        outputs = _relative(one.outputs, other.outputs)
        slopes = _relative(one.slopes, other.slopes)
    for index in np.flatnonzero(steady[0] & steady[1] & finite):
        yield float(outputs[index]), float(slopes[index])


def _relative(one: Array, other: Array) -> Array:
    """The largest difference of each instance over its largest value; NaN is a difference.

    Values far below those of the instances (all units of a rectifier off, say) are roundings of
    terms that cancel: nothing is relative to them.
    """
    np = numpy()
    error = np.abs(one - other).max(axis=1, initial=0.0)
    error = np.where(np.isnan(error), np.inf, error)
    return error / np.maximum(np.abs(other).max(axis=1, initial=0.0), _LEAST)


def _rows(pair: Pair, setting: Setting, rng: Array) -> Array:
    """Random instances: every second one stronger, a few of positive numbers only."""
    np = numpy()
    pieces = []
    for slot in pair.slots(setting):
        made = rng.standard_normal((_INSTANCES, *slot.shape))
        # Scaled as usual initialisations are, so that no recurrence explodes.
        made /= np.sqrt(slot.shape[-1] if len(slot.shape) > 1 else 1)
        pieces.append(made.reshape(_INSTANCES, -1))
    rows = np.concatenate(pieces, axis=1)
    rows[1::2] *= 2
    rows[2::4] = np.abs(rows[2::4])
    return rows


def _weights(pair: Pair, setting: Setting, rng: Array) -> tuple[list[Array], Table]:
    """What outputs and last states of theirs are multiplied by, (B, *shape) each."""

    def drawn(shape: tuple[int, ...]) -> Array:
        return rng.standard_normal((_INSTANCES, *shape))

    output = dims(pair.theirs.output_shape, setting.sizes)
    mapped = {other for other, _ in pair.found.states.values()}
    states = {
        state.name: drawn(dims(state.shape, setting.sizes))
        for state in pair.theirs.states
        if state.name in mapped
    }
    return [drawn(output) for _ in range(setting.steps)], states


def _results(
    pair: Pair, setting: Setting, rows: Array, weights: tuple[list[Array], Table]
) -> tuple[_Result, _Result]:
    """Both cells, in terms of what is theirs."""
    values = pair.values(_FLOATS, setting, rows)
    runs = pair.run(_FLOATS, setting, values, keep=True)
    outputs, states = weights
    scales = {name: (other, float(scale)) for name, (other, scale) in pair.found.states.items()}
    scaled = {name: states[other] / scale for name, (other, scale) in scales.items()}
    slopes = [
        gradients(runner, run, setting.sizes, outputs, last, learned=not setting.given)
        for runner, run, last in zip(pair.runners, runs, (scaled, states), strict=True)
    ]
    own, theirs = slopes
    back = Gradients(
        _through_map(pair, setting, values, own.params),
        {o.name: own.inputs[m.name] for m, o in _inputs(pair)},
        {other: own.states[name] * c for name, (other, c) in scales.items() if name in own.states},
    )
    first = [_state(runs[0], name) / c for name, (_, c) in scales.items()]
    second = [_state(runs[1], other) for other, _ in scales.values()]
    return (
        _Result(_flat([*runs[0].outputs, *first], len(rows)), _slopes(pair, setting, back, rows)),
        _Result(
            _flat([*runs[1].outputs, *second], len(rows)), _slopes(pair, setting, theirs, rows)
        ),
    )


def _inputs(pair: Pair) -> Iterator[tuple[Input, Input]]:
    return zip(pair.mine.inputs, pair.theirs.inputs, strict=True)


def _state(run: Run, name: str) -> Array:
    return run.states[-1][name]


def _through_map(
    pair: Pair, setting: Setting, values: Values, cotangents: Mapping[str, Array]
) -> Table:
    """Cotangents of the parameters of theirs, from those of mine, by the chain rule."""
    evaluator = Evaluator(_FLOATS, setting.sizes)
    made: Table = {}

    def leaf(ref: Ref) -> Array:
        return values.theirs[ref.name]

    for name, value in pair.found.params.items():
        if name in cotangents:
            order = bottom_up(primitive(value))
            nodes = evaluator.nodes(order, leaf)
            found = pulled_back(order, nodes, cotangents[name], setting.sizes)
            for ref, g in found.items():
                made[ref.name] = made[ref.name] + g if ref.name in made else g
    return made


def _slopes(pair: Pair, setting: Setting, made: Gradients, rows: Array) -> Array:
    """All gradients that are compared, (B, units)."""
    np = numpy()
    parts: list[Array] = []
    for slot in pair.slots(setting):
        if slot.kind == "input":
            position = [item.name for item in pair.mine.inputs].index(slot.name)
            found = made.inputs[pair.theirs.inputs[position].name][slot.step]
        else:
            table = made.params if slot.kind == "param" else made.states
            found = table.get(slot.name, np.zeros((1, *slot.shape)))
        parts.append(found)
    return _flat(parts, len(rows))


def _flat(parts: list[Array], count: int) -> Array:
    np = numpy()
    whole = [np.broadcast_to(part, (count, *part.shape[1:])).reshape(count, -1) for part in parts]
    return np.concatenate(whole, axis=1) if whole else np.zeros((count, 0))


__all__ = ["compare", "replay"]

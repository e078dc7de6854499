"""Refutations: a point at which two cells differ for certain, as small and as round as can be.

Numbers are searched in float64 (`search.py`), then the outputs are enclosed in balls
(`intervals.py`): where the balls of both cells have no number in common, the cells differ there,
whatever the roundings. That no map of parameters makes them equal is not claimed: they differ
under the map that was given.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from gatec.equivalence.evaluate import Array, Evaluator, Rationals, Run, Unsupported, start
from gatec.equivalence.fit import fitted
from gatec.equivalence.instances import Pair, Setting, Values
from gatec.equivalence.intervals import Balls, bounds, decimal, distance, precision
from gatec.equivalence.libraries import flint, numpy
from gatec.equivalence.match import Found
from gatec.equivalence.parting import parting
from gatec.equivalence.search import (
    Point,
    Region,
    Scores,
    as_decimal,
    difference,
    exactly,
    explore,
    find,
)
from gatec.equivalence.verdict import Counterexample
from gatec.ir import Cell

_BITS = (128, 512, 2048)
_STEPS = (1, 2, 3, 4, 8)
_SIZES = 6
_CANDIDATES = 6
_EXACTLY = 6  # settings that balls are tried at
_PLAIN_LEVELS = 3  # numbers up to 10
_PLACES = 6  # decimals of an output


def best(mine: Cell, theirs: Cell, candidates: Iterable[Found]) -> Found | None:
    """The map under which `mine` is closest to `theirs` on random instances.

    It is one of the candidates, made better by trial (`fit.py`). None where there is none, or none
    can be evaluated. Raises GatecError where NumPy is not installed.
    """
    tried = (fitted(mine, theirs, found) for found in itertools.islice(candidates, _CANDIDATES))
    fits = [fit for fit in tried if fit is not None]
    return min(fits, key=lambda fit: fit.cost).found if fits else None


def refute(mine: Cell, theirs: Cell, found: Found) -> Counterexample | None:
    """A certified point where `mine` under a map differs from `theirs`; None where none is found.

    Raises GatecError where NumPy or python-flint is not installed.
    """
    flint()
    pair = Pair(mine, theirs, found)
    try:
        for scores, point in _points(pair):
            for bits in _BITS:
                with precision(bits):
                    certified = _certified(pair, point)
                    if certified is not None:
                        return _counterexample(pair, certified, _note(scores, certified.setting))
    except Unsupported:  # a map or a cell with an operator that balls do not have
        pass
    return None


def _points(pair: Pair) -> Iterator[tuple[Scores, Point]]:
    """Points where the cells seem to differ, from where a reader likes best to anywhere."""
    for exact, region in _regions(pair):
        scores = Scores(pair, exact=exact)
        found = find(scores, region)
        if found is not None:
            yield scores, found


def _regions(pair: Pair) -> Iterator[tuple[bool, Region]]:
    """In float64 with few steps and plain numbers, then with any; then the same in balls."""
    starts = (True,) if pair.starts_agree else (False, True)
    sizes = list(pair.larger(_SIZES))

    def settings(places: list[dict[str, int]], longest: int) -> list[Setting]:
        steps = [steps for steps in _STEPS if steps <= longest]
        return [Setting(*each) for each in itertools.product(places, steps, starts)]

    plain = Region(settings(sizes[:3], 3), _PLAIN_LEVELS, wild=False)
    yield False, plain
    yield False, Region(settings(sizes, max(_STEPS)))
    yield True, replace(plain, settings=plain.settings[:_EXACTLY])
    yield True, Region(settings(sizes[:1], 3)[:_EXACTLY])


@dataclass(frozen=True)
class _Certified:
    """A point with the runs of both cells in balls, and the unit where their outputs are apart.

    The last step is the one where they are compared.
    """

    setting: Setting
    row: Array
    values: Values
    runs: tuple[Run, Run]
    unit: int


def _certified(pair: Pair, point: Point) -> _Certified | None:
    """The point up to the first step where the cells differ plainly; None where they may not.

    Call it with the precision set.
    """
    for step in range(point.setting.steps):
        setting, row = pair.shortened(point.setting, point.row, step + 1)
        values = pair.values(Balls(), setting, exactly(row[None]))
        runs = pair.run(Balls(), setting, values)
        one, other = (run.outputs[step].reshape(-1) for run in runs)
        gaps = [difference(a, b) for a, b in zip(one, other, strict=True)]
        largest = max(gaps)
        if largest > 0 and largest >= point.score / 2:
            return _Certified(setting, row, values, runs, gaps.index(largest))
    return None


# --- The report -----------------------------------------------------------------------------------


def _counterexample(pair: Pair, found: _Certified, note: str) -> Counterexample:
    """What the reader sees. Call it with the precision set."""
    outputs = [[*run.outputs[-1].reshape(-1)] for run in found.runs]
    return Counterexample(
        sizes=dict(found.setting.sizes),
        values=_values(pair, found),
        outputs=_enclosed(outputs, found.unit),
        unit=found.unit,
        step=found.setting.steps,
        equation=parting(pair, found.setting, found.runs),
        found=pair.found,
        note=note,
    )


def _enclosed(outputs: list[list[Any]], unit: int) -> tuple[list[str], list[str]]:
    """Intervals with as many decimals as it takes to see that they are apart."""
    gap = distance(outputs[0][unit], outputs[1][unit])
    places = _PLACES
    while not gap * 10**places > 100:
        places += 1
    one, other = ([bounds(value, places) for value in side] for side in outputs)
    return one, other


def _values(pair: Pair, found: _Certified) -> dict[str, object]:
    """All numbers of the point, exactly: `h(0)` is a state before the first step."""
    exact = numpy().asarray([[as_decimal(value) for value in found.row]], dtype=object)
    values = pair.values(Rationals(), found.setting, exact)
    made: dict[str, object] = {}
    for params, cell in ((values.mine, pair.mine), (values.theirs, pair.theirs)):
        made |= {param.name: _nested(params[param.name][0]) for param in cell.params}
    for item in pair.mine.inputs:
        made[item.name] = [_nested(value[0]) for value in values.inputs[item.name]]
    evaluator = Evaluator(Rationals(), found.setting.sizes)
    sides = (
        (pair.mine, values.mine, values.mine_states, "(0)"),
        (pair.theirs, values.theirs, values.theirs_states, "'(0)"),
    )
    for cell, params, states, suffix in sides:
        for state in cell.states:
            value = states.get(state.name)
            if value is None:
                value = start(evaluator, state, params)
            made[state.name + suffix] = _nested(value[0])
    return made


def _nested(value: Array) -> object:
    """An array as nested lists of exact numbers."""
    if isinstance(value, Fraction):
        return decimal(value)
    return [_nested(part) for part in value]


def _note(scores: Scores, setting: Setting) -> str:
    """What the reader might ask: why no smaller sizes, and what of the usual initial states."""
    notes = []
    pair = scores.pair
    smallest = pair.smallest()
    if setting.sizes != smallest:
        sizes = ", ".join(f"{name} {count}" for name, count in smallest.items())
        notes.append(f"no plain difference was found at {sizes}")
    if setting.given and pair.free and not _differs_from_start(scores, setting):
        notes.append("no difference was found from the initial states of the cells themselves")
    return "; ".join(notes)


def _differs_from_start(scores: Scores, setting: Setting) -> bool:
    """Whether some difference shows where both cells start as they say."""
    longest = 2 if scores.exact else max(_STEPS)
    places = [Setting(setting.sizes, steps, False) for steps in _STEPS if steps <= longest]
    return any(explore(scores, place, Region(())) is not None for place in places)


__all__ = ["best", "refute"]

"""The search for a point where two cells differ: as plainly as possible, at numbers as round.

A point is a row of `instances.Pair`. Everything is seeded and ordered, so that the same cells
give the same point. What is found here is a guess in float64 (or, where the difference drowns in
roundings, in balls); `refute.py` certifies it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from gatec.equivalence.evaluate import Array, Domain, Floats
from gatec.equivalence.instances import Pair, Setting
from gatec.equivalence.intervals import Balls, ball, distance, precision
from gatec.equivalence.libraries import numpy

# Numbers that a point may consist of: the plainest first. Each level has those before it, too.
LEVELS: tuple[tuple[float, ...], ...] = (
    (0, 1, -1),
    (0.5, -0.5, 2, -2),
    (3, -3, 5, -5, 10, -10, 0.1, -0.1),
    (30, -30, 100, -100, 1000, -1000, 0.01, -0.01, 1.5, -1.5, 0.25, -0.25),
)
PLAIN = 0.1  # a difference that anyone sees
_DIGITS = 6  # of the decimals that a row consists of; two, in fact
_NOISE = 1e-12  # a difference that may be rounding
_DRAWN = 96  # rows of each kind
_SHARE = 0.5  # of the largest difference that a simpler point has to keep
_SMALL_SHARE = 0.01  # where the largest is hardly seen anyway


@dataclass(frozen=True)
class Point:
    """A row, its score, and where it is meant."""

    setting: Setting
    row: Array
    score: float


class Scores:
    """How plainly both cells differ at rows: the largest difference of any unit at any step.

    Relative where values are larger than 1. Values that are not finite count for nothing.
    """

    def __init__(self, pair: Pair, *, exact: bool = False) -> None:
        """With `exact` in balls: slow, and sees differences of any size."""
        self.pair, self.exact = pair, exact

    def __call__(self, setting: Setting, rows: Array) -> Array:
        """(B,) scores of (B, units) rows. Raises Unsupported."""
        np = numpy()
        if self.exact:
            with precision(_BITS):
                return _rounded(self._scores(Balls(), setting, exactly(rows)))
        with np.errstate(all="ignore"):
            return _rounded(self._scores(Floats(), setting, rows))

    def _scores(self, domain: Domain, setting: Setting, rows: Array) -> Array:
        np = numpy()
        values = self.pair.values(domain, setting, rows)
        runs = self.pair.run(domain, setting, values)
        best = np.zeros(len(rows))
        for one, other in zip(*(run.outputs for run in runs), strict=True):
            apart = self._apart(one, other).reshape(max(len(one), len(other)), -1).max(axis=1)
            best = np.maximum(best, apart)
        return best

    def _apart(self, one: Array, other: Array) -> Array:
        np = numpy()
        if self.exact:
            return np.frompyfunc(difference, 2, 1)(one, other).astype(float)
        size = np.maximum(1, np.maximum(np.abs(one), np.abs(other)))
        found = np.abs(one - other) / size
        return np.where(np.isfinite(found), found, 0)


_BITS = 512


def difference(one: Any, other: Any) -> float:
    """The certain difference of two balls, relative where they are larger than 1."""
    found = distance(one, other)
    if not found > 0:
        return 0.0
    size = max(1.0, float(abs(one).abs_upper()), float(abs(other).abs_upper()))
    return float(found) / size if size < float("inf") else 0.0


def exactly(rows: Array) -> Array:
    """Rows as balls around the decimals that the floats are read as."""
    np = numpy()
    return np.frompyfunc(lambda v: ball(as_decimal(v)), 1, 1)(rows).astype(object)


@lru_cache(maxsize=4096)
def as_decimal(value: float) -> Fraction:
    """The short decimal that a number of a row stands for."""
    return Fraction(f"{value:.{_DIGITS}g}")


def _rounded(scores: Array) -> Array:
    """Scores to a few digits: ties are ties on every machine."""
    np = numpy()
    digits, exponents = np.frexp(scores)
    return np.ldexp(np.round(digits, 6), exponents)


# --- Where to look --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Region:
    """Settings, the simplest first, and the numbers that points are made of.

    `levels` of LEVELS; if `wild`, each array at times has a scale of its own.
    """

    settings: Sequence[Setting]
    levels: int = len(LEVELS)
    wild: bool = True


def find(scores: Scores, region: Region) -> Point | None:
    """A point of the region as the reader wants it, or None where no difference shows.

    Raises Unsupported.
    """
    explored: list[Point] = []
    for setting in region.settings:
        point = explore(scores, setting, region)
        if point is not None:
            explored.append(point)
            if point.score >= PLAIN:
                break
    if not explored:
        return None
    largest = max(point.score for point in explored)
    enough = _enough(largest)
    start = next(point for point in explored if point.score >= enough)
    return simplified(scores, _climbed(scores, start, region.levels))


def _enough(largest: float) -> float:
    """What a simpler point has to show, where the largest difference is this."""
    if largest >= PLAIN:
        return min(PLAIN, _SHARE * largest)
    return max(_SMALL_SHARE * largest, min(largest, _NOISE))


def explore(scores: Scores, setting: Setting, region: Region) -> Point | None:
    """The best of random rows; None where no difference shows in them."""
    np = numpy()
    rows = np.concatenate([*_draws(scores, setting, region)])
    found = scores(setting, rows)
    index = int(found.argmax())
    if not found[index] > (0 if scores.exact else _NOISE):
        return None
    return Point(setting, rows[index], float(found[index]))


def _draws(scores: Scores, setting: Setting, region: Region) -> Iterator[Array]:
    """Rows of plain numbers, and rows in which each array has a scale of its own."""
    np = numpy()
    slots = scores.pair.slots(setting)
    units = slots[-1].stop if slots else 0
    rng = np.random.default_rng([setting.steps, units])
    count = _DRAWN // 6 if scores.exact else _DRAWN
    for level in range(region.levels):
        yield _from_level(rng, level, (count, units))
    if region.wild:
        made = rng.standard_normal((2 * count, units))
        for slot in slots:
            made[:, slot.start : slot.stop] *= 10.0 ** rng.uniform(-2, 6, (len(made), 1))
        yield _short(made)


def _from_level(rng: Any, level: int, shape: tuple[int, int]) -> Array:
    """Rows of numbers up to a level; from none to most of them 0."""
    np = numpy()
    made = rng.choice(_values(level), shape)
    empty = rng.uniform(0, 0.8, (shape[0], 1))
    return np.where(rng.uniform(size=shape) < empty, 0.0, made)


def _values(level: int) -> list[float]:
    return [value for values in LEVELS[: level + 1] for value in values]


def _short(rows: Array) -> Array:
    """Rows rounded to two significant digits."""
    np = numpy()
    sizes = np.abs(rows)
    units = 10.0 ** (np.floor(np.log10(np.where(sizes > 0, sizes, 1.0))) - 1)
    return np.round(rows / units) * units


# --- Climbing -------------------------------------------------------------------------------------


def _climbed(scores: Scores, start: Point, levels: int) -> Point:
    """A point of a plain difference, in numbers of the lowest level that has one."""
    setting, reached = start.setting, [start]
    np = numpy()
    units = len(start.row)
    for level in range(levels):
        rng = np.random.default_rng([level, units])
        rows = _from_level(rng, level, (_DRAWN // 6 if scores.exact else 4 * _DRAWN, units))
        found = scores(setting, rows)
        row = rows[int(found.argmax())]
        point = ascended(scores, setting, row, _values(level))
        if point.score >= PLAIN:
            return point
        reached.append(point)
    reached.append(ascended(scores, setting, start.row, _values(levels - 1)))
    largest = max(point.score for point in reached)
    enough = _enough(largest)
    return next(point for point in [*reached[1:], start] if point.score >= enough)


def ascended(scores: Scores, setting: Setting, row: Array, values: Sequence[float]) -> Point:
    """The row after the best changes of one number at a time, until none helps much."""
    np = numpy()
    score = float(scores(setting, row[None])[0])
    for _ in range(4 if scores.exact else 40):
        rows = _changed(row, [values] * len(row))
        found = scores(setting, rows)
        index = int(found.argmax())
        if not found[index] > score * 1.05:
            break
        row, score = rows[index], float(found[index])
    return Point(setting, np.asarray(row), score)


def _changed(row: Array, values: Sequence[Sequence[float]]) -> Array:
    """Every row that differs from this one in one number."""
    np = numpy()
    changes = [
        (i, value) for i, choices in enumerate(values) for value in choices if value != row[i]
    ]
    rows = np.repeat(row[None], len(changes) or 1, axis=0)
    for index, (i, value) in enumerate(changes):
        rows[index, i] = value
    return rows


# --- Shrinking ------------------------------------------------------------------------------------


def simplified(scores: Scores, point: Point) -> Point:
    """The point with fewer and rounder numbers, as long as a good part of the difference stays."""
    setting, row = point.setting, point.row
    least = _SHARE * point.score
    score = point.score
    while True:
        rows = _simpler(scores.pair, setting, row)
        if not len(rows):
            break
        found = scores(setting, rows)
        # The largest step down that leaves enough; of several the one that leaves most.
        ranks = [(_cost(r), -float(s)) for r, s in zip(rows, found, strict=True) if s >= least]
        if not ranks:
            break
        best = min(ranks)
        index = next(
            i
            for i, (r, s) in enumerate(zip(rows, found, strict=True))
            if s >= least and (_cost(r), -float(s)) == best
        )
        row, score = rows[index], float(found[index])
    return Point(setting, row, score)


def _simpler(pair: Pair, setting: Setting, row: Array) -> Array:
    """Rows with one array of zeros, or one rounder number."""
    np = numpy()
    rows = []
    for slot in pair.slots(setting):
        part = row[slot.start : slot.stop]
        if np.count_nonzero(part) > 1:
            made = row.copy()
            made[slot.start : slot.stop] = 0
            rows.append(made)
    for i, value in enumerate(row):
        for other in (*_values(1), float(f"{value:.0e}")):
            if _price(other) < _price(value):
                made = row.copy()
                made[i] = other
                rows.append(made)
    return np.asarray(rows) if rows else np.zeros((0, len(row)))


def _cost(row: Array) -> float:
    return float(sum(map(_price, row)))


def _price(value: float) -> float:
    """How much of a reader's time a number takes."""
    if value == 0:
        return 0
    plain = {1.0: 1.0, -1.0: 1.5, 2.0: 2.5, -2.0: 3.0, 0.5: 2.5, -0.5: 3.0}
    return plain.get(float(value), 3.5 + len(f"{value:g}"))

"""A parameter put together from the values of its slices."""

from __future__ import annotations

from collections.abc import Mapping

from gatec.equivalence.linear import Combination, combined
from gatec.equivalence.sides import mentions
from gatec.expr import Concat, Dim, Expr, Ref, Shape
from gatec.passes.common import zeros
from gatec.passes.layout import View, transpose

_Range = tuple[Dim, Dim]


def assembled(name: str, shape: Shape, solution: Mapping[Expr, Combination]) -> Expr | None:
    """The value of a parameter, given those of it or of slices of it; 0 where nothing is given.

    None where the slices overlap or leave gaps, or where sizes do not tell.
    """
    whole = Ref("param", name, shape)
    tiles: dict[tuple[_Range, ...], Expr] = {}
    for view, combination in solution.items():
        if not mentions(view, (name,)):
            continue
        place = View.of(view)
        if place.base != whole:
            return None
        value = combined(combination, view.shape)
        tiles[place.ranges] = transpose(value) if place.transposed else value
    if not tiles:
        return zeros(shape)
    return _joined(tiles, shape, 0)


def _joined(tiles: Mapping[tuple[_Range, ...], Expr], shape: Shape, axis: int) -> Expr | None:
    """Tiles that fill a shape, joined along an axis, each part along the next."""
    if axis == len(shape):
        (value,) = tiles.values()
        return value
    strips: dict[_Range, dict[tuple[_Range, ...], Expr]] = {}
    for ranges, value in tiles.items():
        strips.setdefault(ranges[axis], {})[ranges] = value
    stops = dict(strips.keys())
    if len(stops) != len(strips):
        return None
    parts: list[Expr] = []
    position = Dim()
    while position in stops:
        end = stops.pop(position)
        part = _joined(strips[position, end], shape, axis + 1)
        if part is None:
            return None
        parts.append(part)
        position = end
    if stops or position != shape[axis]:
        return None
    return Concat(tuple(parts), axis) if len(parts) > 1 else parts[0]

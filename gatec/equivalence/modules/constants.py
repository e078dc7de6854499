"""Constant tensors as expressions: zeros, ones, a number everywhere, the identity, few numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gatec.equivalence.modules.contract import Products
from gatec.equivalence.modules.merge import Count
from gatec.equivalence.modules.record import Untraceable
from gatec.equivalence.modules.symbolic import (
    Atom,
    Batch,
    Items,
    Symbolic,
    array,
    lists,
    units,
)
from gatec.expr import Broadcast, Expr, Identity, Shape


def recognised(
    space: Products, values: Sequence[Tensor], shape: Sequence[int | Count]
) -> Symbolic | None:
    """The tensor that has these values in the runs; None where they follow no simple rule.

    Raises Untraceable for numbers that are not finite.
    """
    axes = space.axes(shape)
    atoms = tuple(atom for axis in axes for atom in axis)
    counts = [space.count(atom) for atom in atoms]
    runs = [
        value.reshape([count[i] for count in counts]) if atoms else value
        for i, value in enumerate(values)
    ]
    rows = [_without_batch(run, atoms) for run in runs]
    if any(row is None for row in rows):
        return None
    plain = [atom for atom in atoms if not isinstance(atom, Batch)]

    def item(index: tuple[int, ...]) -> Expr:
        return _item(
            space, [_taken(row, plain, index) for row in rows if row is not None], units(atoms)
        )

    try:
        return Symbolic(axes, array(lists(atoms), item))
    except _Unknown:
        return None


class _Unknown(Exception):
    """Numbers that follow no rule."""


def _without_batch(run: Tensor, atoms: Sequence[Atom]) -> Tensor | None:
    """The values of one row, where all rows have the same; else None."""
    for dim, atom in enumerate(atoms):
        if isinstance(atom, Batch):
            first = run.select(dim, 0)
            if not bool((run == first.unsqueeze(dim)).all()):
                return None
            return first
    return run


def _taken(run: Tensor, atoms: Sequence[Atom], index: tuple[int, ...]) -> Tensor:
    """The entry of the enumerations, over the units that are left."""
    places = iter(index)
    return run[tuple(next(places) if isinstance(a, Items) else slice(None) for a in atoms)]


def _item(space: Products, runs: Sequence[Tensor], target: Shape) -> Expr:
    firsts = [float(run.reshape(-1)[0]) for run in runs]
    if all(bool((run == first).all()) for run, first in zip(runs, firsts, strict=True)):
        if not all(map(math.isfinite, firsts)):
            raise Untraceable("it computes with a number that is not finite")
        value = space.sizes.real(firsts)
        return Broadcast(value, target) if target else value
    if len(target) == 2 and target[0] == target[1] and firsts[0]:
        eyes = [
            first * torch.eye(len(run), dtype=run.dtype)
            for run, first in zip(runs, firsts, strict=True)
        ]
        if all(bool((run == eye).all()) for run, eye in zip(runs, eyes, strict=True)):
            identity = Identity(target[0])
            return identity if set(firsts) == {1.0} else space.sizes.real(firsts) * identity
    raise _Unknown

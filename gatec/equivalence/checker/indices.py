"""Indices of the factors in a product: under other names, and numbered in one order.

The indices that are summed over are numbered in an order that depends on the term alone, so that
equal terms look the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from gatec.equivalence.checker.algebra import Term
from gatec.equivalence.checker.refusal import Refused
from gatec.expr import Dim

ROW, COLUMN = -1, -2  # the indices of the result; those that are summed over count from 0
SWAPPED = {ROW: COLUMN, COLUMN: ROW}

# An atom, its power, its indices.
Factor = tuple[int, int, tuple[int, ...]]


@dataclass(frozen=True)
class Product:
    """A term: scalars, factors with indices, and the ranges of the indices summed over."""

    scalars: Term
    factors: tuple[Factor, ...]
    ranges: tuple[Dim, ...]


Tensor = dict[Product, Fraction]


def renamed(value: Tensor, names: dict[int, int]) -> Tensor:
    """Indices of the result under other names; names from 0 on come before those summed over."""
    room = sum(1 for name in names.values() if name >= 0)
    made: Tensor = {}
    for product, count in value.items():
        factors = tuple(
            (atom, power, tuple(names.get(i, i) if i < 0 else i + room for i in where))
            for atom, power, where in product.factors
        )
        # The ranges of the names are given where they are summed over.
        made[Product(product.scalars, factors, (Dim(),) * room + product.ranges)] = count
    return made


def shifted(factors: tuple[Factor, ...], shared: int, taken: int) -> tuple[Factor, ...]:
    """Indices summed over, after those that are taken; shared ones stay."""
    by = max(taken - shared, 0)
    if not by:
        return factors
    return tuple(
        (atom, power, tuple(i + by if i >= shared else i for i in where))
        for atom, power, where in factors
    )


def numbered(
    factors: list[Factor], ranges: tuple[Dim, ...]
) -> tuple[tuple[Factor, ...], tuple[Dim, ...]]:
    """The factors in order, the indices summed over numbered by what they stand at."""
    used = sorted({i for _, _, where in factors for i in where if i >= 0})
    if not used:
        return tuple(sorted(factors)), ()
    ranks = _ranks(used, lambda i: str(ranges[i]))
    for _ in used:

        def looks(index: int, ranks: dict[int, int] = ranks) -> object:
            return ranks[index], sorted(
                (atom, power, tuple(-9 if i == index else ranks.get(i, i) for i in where))
                for atom, power, where in factors
                if index in where
            )

        ranks = _ranks(used, looks)
    groups = [
        list(group)
        for _, group in itertools.groupby(
            sorted(used, key=ranks.__getitem__), key=ranks.__getitem__
        )
    ]
    orders: list[list[int]] = [[]]
    for group in groups:
        if len(group) > 5 or len(orders) > 1000:
            raise Refused("a product of too many equal factors to be checked")
        orders = [[*order, *more] for order in orders for more in itertools.permutations(group)]
    best: tuple[tuple[Factor, ...], tuple[Dim, ...]] | None = None
    for order in orders:
        names = {index: position for position, index in enumerate(order)}
        made = tuple(
            sorted(
                (atom, power, tuple(names.get(i, i) for i in where))
                for atom, power, where in factors
            )
        )
        if best is None or made < best[0]:
            best = made, tuple(ranges[index] for index in order)
    assert best is not None
    return best


def _ranks(indices: list[int], looks: Callable[[int], object]) -> dict[int, int]:
    """Each index by how it looks, equal where it looks the same."""
    seen = {index: looks(index) for index in indices}
    distinct = sorted({repr(look) for look in seen.values()})
    return {index: distinct.index(repr(look)) for index, look in seen.items()}

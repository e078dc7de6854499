"""Factors that depend on sizes, as 1 / sqrt(n): weights may take them up, by another map per size.

The search for maps knows numbers only. So two cells that it finds different are compared once more
with numbers for their sizes in such factors, at more than one choice; the sizes of vectors and
matrices stay what they are. Where the cells are the same at each, they are told to agree there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

from gatec.equivalence.modules.construct import HIDDEN, INPUT
from gatec.equivalence.modules.variants import Case
from gatec.equivalence.verdict import Kind, Verdict
from gatec.expr import Apply, Const, Expr, SizeValue, rewrite
from gatec.ir import Cell
from gatec.passes.common import nodes

# Squares, so that roots are numbers; no size is another, or a multiple by chance of both choices.
_CHOICES = ((4, 9, 25, 49), (9, 25, 4, 121))


def judged(verdict: Verdict, case: Case, check: Callable[[Case], Verdict]) -> tuple[Verdict, str]:
    """The verdict about two cells, and a note, with factors of sizes taken into account.

    A verdict of `different` stands where they are different with numbers in place of sizes, too.
    """
    if not (_reads_sizes(case.mine) or _reads_sizes(case.theirs)):
        return verdict, ""
    found, told = [], []
    for sizes in _choices(case):
        mine, theirs = (_numbered(cell, sizes) for cell in (case.mine, case.theirs))
        found.append(check(replace(case, mine=mine, theirs=theirs)))
        told.append(" and ".join(f"{name} = {n}" for name, n in sizes.items()))
        if found[-1].kind in (Kind.DIFFERENT, Kind.UNDECIDED):
            return verdict, ""
    places = " as with ".join(told)
    factors = "factors that depend on sizes are taken up by the weights, by another map per size"
    if all(other.exit_code == 0 for other in found):
        replays = tuple(replay for other in found for replay in other.replays)
        same = Verdict(
            Kind.EQUAL_NUMERICALLY,
            verdict.mine,
            verdict.theirs,
            basis="numerical",
            replays=replays,
            searched=verdict.searched,
            reason=f"with {places} in factors that depend on sizes, a map makes them equal",
        )
        return same, f"{factors}; they are the same with {places}, and other sizes were not tried"
    unknown = replace(verdict, kind=Kind.UNDECIDED, basis="none", counterexample=None)
    return unknown, f"{factors}: with {places} they are related, and no map is known for all sizes"


def _choices(case: Case) -> Iterator[dict[str, int]]:
    """Numbers for the sizes that factors read."""
    read = _sizes(case.mine) | _sizes(case.theirs)
    names = [name for name in (HIDDEN, INPUT) if name in read]
    names += sorted(read - {HIDDEN, INPUT})
    for numbers in _CHOICES:
        yield dict(zip(names, numbers, strict=False))


def _values(cell: Cell) -> Iterator[SizeValue]:
    for equation in cell.equations:
        yield from (node for node in nodes(equation.value) if isinstance(node, SizeValue))


def _reads_sizes(cell: Cell) -> bool:
    return 0 < len(_sizes(cell)) <= len(_CHOICES[0])


def _sizes(cell: Cell) -> set[str]:
    return {name for node in _values(cell) for name, _ in node.dim.terms}


def _numbered(cell: Cell, sizes: Mapping[str, int]) -> Cell:
    """The cell with numbers for the sizes in its factors."""

    def rule(node: Expr) -> Expr:
        if isinstance(node, SizeValue):
            return Const(Fraction(node.dim.value(sizes)))
        if isinstance(node, Apply) and node.op == "sqrt" and isinstance(node.args[0], Const):
            return _root(node, node.args[0].value)
        return node

    equations = tuple(replace(e, value=rewrite(e.value, rule)) for e in cell.equations)
    return replace(cell, equations=equations)


def _root(node: Expr, value: Fraction) -> Expr:
    """The square root of a number, where it is a fraction."""
    if value < 0:
        return node
    above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
    exact = above * above == value.numerator and below * below == value.denominator
    return Const(Fraction(above, below)) if exact else node

"""What a comparison leaves open, made definite: sizes, constants, which value is the output.

Equations in a text do not say everything that code says. Each case settles what is open in one
way; a case that is compared says in a note what it settled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from gatec.equivalence.check import unlike
from gatec.equivalence.modules.calling import Returned
from gatec.equivalence.modules.construct import HIDDEN, INPUT
from gatec.equivalence.modules.loaded import LoadedModule
from gatec.equivalence.modules.trace import Traced
from gatec.equivalence.prepare import prepared
from gatec.equivalence.resize import resized
from gatec.equivalence.sides import mapped
from gatec.expr import Broadcast, Const, Dim, Expr, Ref
from gatec.ir import Cell, Param
from gatec.passes.common import refs


@dataclass(frozen=True)
class Case:
    """Two cells that can be compared, and what was settled to get there."""

    mine: Cell
    theirs: Cell
    notes: tuple[str, ...] = ()


def cases(cell: Cell, module: LoadedModule, traced: Traced) -> Iterator[Case]:
    """The cases of a cell and a module that was read, the likeliest first."""
    base = _sized(Case(cell, traced.cell))
    if traced.constants and cell.constants:
        yield replace(base, mine=freed(base.mine))
    yield base
    if traced.constants and (numbers := greek(base.mine)):
        told = f"{' and '.join(numbers)}: one number for all units"
        yield Case(as_numbers(base.mine, numbers), base.theirs, (*base.notes, told))
    if module.calling.returned is Returned.ALL:
        yield from _outputs_of_module(base)
    yield from _outputs_of_cell(base)


# --- Sizes ----------------------------------------------------------------------------------------


def _sized(case: Case) -> Case:
    """Both cells with the same names for their sizes."""
    mine, theirs = case.mine, case.theirs
    sizes: dict[str, Dim] = {}
    own, other = mine.inputs[0].shape, theirs.inputs[0].shape
    notes = case.notes
    if len(mine.inputs) == 1 and own != other:
        if own == (Dim.of(INPUT),):
            sizes[INPUT] = other[0]
        elif own == (Dim.of(HIDDEN),) and other == (Dim.of(INPUT),):
            theirs = resized(theirs, {INPUT: Dim.of(HIDDEN)})
            notes = (*notes, f"the equations make sense for {INPUT} = {HIDDEN} only")
    others = [size.name for size in theirs.sizes if size.name not in sizes]
    for size in mine.sizes:
        if size.name in others:
            others.remove(size.name)
        elif others:
            sizes[size.name] = Dim.of(others.pop(0))
        elif size.default is None:
            sizes[size.name] = Dim.of(HIDDEN)
    made = resized(mine, {name: dim for name, dim in sizes.items() if dim != Dim.of(name)})
    known = {size.name for size in made.sizes}
    more = tuple(size for size in theirs.sizes if size.name not in known)
    return Case(replace(made, sizes=(*made.sizes, *more)), theirs, notes)


def sized(cell: Cell, size: str) -> Cell:
    """The cell with a size of that name as the size of its input."""
    plain = len(cell.inputs) == 1 and cell.inputs[0].shape == (Dim.of(INPUT),)
    return resized(cell, {INPUT: Dim.of(size)}) if plain and size != INPUT else cell


# --- Outputs --------------------------------------------------------------------------------------


def _outputs_of_module(case: Case) -> Iterator[Case]:
    """A module that returns its states alone, with another of them as the output."""
    for name in dict.fromkeys(state.update for state in case.theirs.states):
        made = replace(case.theirs, output=name)
        if name != case.theirs.output and _alike(case.mine, made):
            yield Case(case.mine, made, (*case.notes, f"the output is the module's {name}"))


def _outputs_of_cell(case: Case) -> Iterator[Case]:
    """The cell with another output: a value that no equation reads must be there for something."""
    cell = case.mine
    read = {ref.name for e in cell.equations for ref in refs(e.value, "var")}
    read |= {state.update for state in cell.states}
    for equation in cell.equations:
        made = replace(cell, output=equation.name)
        free = equation.name not in read and equation.name != cell.output
        if free and _alike(made, case.theirs):
            yield Case(made, case.theirs, (*case.notes, f"the output is {equation.name}"))


def _alike(one: Cell, other: Cell) -> bool:
    return unlike(prepared(one), prepared(other)) is None


# --- Constants ------------------------------------------------------------------------------------


def freed(cell: Cell) -> Cell:
    """The cell with its constants as parameters: it is compared for all of their values."""
    names = {constant.name for constant in cell.constants}

    def rule(ref: Ref) -> Expr:
        return replace(ref, kind="param") if ref.kind == "const" and ref.name in names else ref

    params = tuple(Param(c.name, c.symbol, ()) for c in cell.constants)
    return replace(mapped(cell, rule), params=(*cell.params, *params), constants=())


def greek(cell: Cell) -> list[str]:
    """Vectors of parameters called by a small Greek letter: most often such a thing is a number.

    `\\lambda \\circ h` has a meaning for both.
    """
    greek = re.compile(r"\\(?:var)?[a-z]+(?![A-Za-z])|[α-ω]")
    return [p.name for p in cell.params if len(p.shape) == 1 and greek.match(p.symbol)]


def as_numbers(cell: Cell, names: Sequence[str]) -> Cell:
    """The cell with numbers in place of some vectors of parameters."""

    def rule(ref: Ref) -> Expr:
        if ref.kind != "param" or ref.name not in names:
            return ref
        return Broadcast(replace(ref, dims=()), ref.dims)

    params = tuple(replace(p, shape=()) if p.name in names else p for p in cell.params)
    return replace(mapped(cell, rule), params=params)


def settled(cell: Cell, values: Mapping[str, Fraction]) -> Cell:
    """The cell with numbers in place of some scalar parameters."""

    def rule(ref: Ref) -> Expr:
        return Const(values[ref.name]) if ref.kind == "param" and ref.name in values else ref

    params = tuple(param for param in cell.params if param.name not in values)
    return replace(mapped(cell, rule), params=params)

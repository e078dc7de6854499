"""A cell against a module: which variants of both are compared, and the strongest verdict."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from gatec.equivalence.check import check, unlike
from gatec.equivalence.modules import fitting, matching, reading
from gatec.equivalence.modules.calling import Returned
from gatec.equivalence.modules.loaded import LoadedModule
from gatec.equivalence.modules.resize import resized
from gatec.equivalence.modules.trace import Traced
from gatec.equivalence.prepare import prepared
from gatec.equivalence.sides import mapped
from gatec.equivalence.verdict import Kind, Verdict
from gatec.expr import Broadcast, Const, Dim, Expr, Ref
from gatec.ir import Cell, Param
from gatec.source.document import Document

_ORDER = tuple(Kind)
_READINGS = 4  # of a document whose functions are not named


def compare(cell: Cell, module: LoadedModule) -> Verdict:
    """The strongest verdict about a cell and a module."""
    if module.traced is None:
        return fitting.compare(_sized(cell, module), module)
    best: tuple[Verdict, Cell, Traced] | None = None
    for mine, traced in _variants(cell, module, module.traced):
        verdict = check(mine, traced.cell)
        if best is None or _ORDER.index(verdict.kind) < _ORDER.index(best[0].kind):
            best = verdict, mine, traced
        if verdict.exit_code == 0:
            break
    assert best is not None
    return _with_constants(module, *best)


def compare_document(document: Document, module: LoadedModule) -> Verdict:
    """The strongest verdict about what a document states and a module.

    Raises GatecError where the document cannot be read.
    """
    best: Verdict | None = None
    closest: int | None = None
    for cell, note in itertools.islice(reading.cells(document, module), _READINGS):
        distance = reading.distance(cell, module)
        if closest is not None and distance > closest:
            break
        closest = distance
        verdict = compare(cell, module)
        if note:
            notes = verdict.extra["notes"]
            assert isinstance(notes, tuple)
            verdict = replace(verdict, extra={**verdict.extra, "notes": (note, *notes)})
        if best is None or _ORDER.index(verdict.kind) < _ORDER.index(best.kind):
            best = verdict
        if verdict.exit_code == 0:
            break
    assert best is not None
    return best


def _variants(cell: Cell, module: LoadedModule, traced: Traced) -> Iterator[tuple[Cell, Traced]]:
    """Both cells with the same sizes; constants free where the module takes constants."""
    cell = fitted(cell, traced.cell)
    if traced.constants and cell.constants:
        yield freed(cell), traced
    yield cell, traced
    if traced.constants and (numbers := _greek(cell)):
        yield as_numbers(cell, numbers), traced
    for other in _outputs(cell, traced) if module.calling.returned is Returned.ALL else ():
        yield cell, other


def _sized(cell: Cell, module: LoadedModule) -> Cell:
    """The cell with the size of its input called as in a module that was not read."""
    same = cell.inputs[0].shape == (Dim.of("input_size"),) and len(cell.inputs) == 1
    return resized(cell, {"input_size": Dim.of(module.calling.size)}) if same else cell


def _outputs(cell: Cell, traced: Traced) -> Iterator[Traced]:
    """The module with another of its states as the output, where it returns its states alone.

    Which of them is the output is not said then; the first is taken for it before.
    """
    updates = dict.fromkeys(state.update for state in traced.cell.states)
    for name in updates:
        made = replace(traced.cell, output=name)
        if name != traced.cell.output and unlike(prepared(cell), prepared(made)) is None:
            yield replace(traced, cell=made)


def fitted(cell: Cell, other: Cell) -> Cell:
    """The cell with the sizes of another one, where it has names of its own for them."""
    sizes: dict[str, Dim] = {}
    own, theirs = cell.inputs[0].shape, other.inputs[0].shape
    if len(cell.inputs) == 1 and own == (Dim.of("input_size"),) and own != theirs:
        sizes["input_size"] = theirs[0]
    names = [size.name for size in cell.sizes]
    others = [size.name for size in other.sizes]
    sizes |= {a: Dim.of(b) for a, b in zip(names, others, strict=False) if a != b}
    made = resized(cell, sizes)
    return replace(made, sizes=other.sizes) if sizes and others else made


def freed(cell: Cell) -> Cell:
    """The cell with its constants as parameters: it is compared for all of their values."""
    names = {constant.name for constant in cell.constants}

    def rule(ref: Ref) -> Expr:
        return replace(ref, kind="param") if ref.kind == "const" and ref.name in names else ref

    params = tuple(Param(c.name, c.symbol, ()) for c in cell.constants)
    return replace(mapped(cell, rule), params=(*cell.params, *params), constants=())


def _greek(cell: Cell) -> list[str]:
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


def _with_constants(module: LoadedModule, verdict: Verdict, mine: Cell, traced: Traced) -> Verdict:
    """The verdict, once scalars of the cell have the values that they have in the module.

    A symbol of a formula that is explained in words only, as a step size, is a parameter to
    gatec; in the module it is a number.
    """
    notes = list(module.notes)
    if verdict.kind is Kind.GENERALISATION and verdict.covers is not None:
        values = matching.numbers(verdict.covers.params, mine)
        if values:
            again = check(settled(mine, values), traced.cell)
            if again.exit_code == 0:
                told = ", ".join(f"{name} = {float(value):g}" for name, value in values.items())
                notes.append(f"constants of the module: {told}")
                mine, verdict = settled(mine, values), again
    rows = matching.table(mine, traced, verdict)
    extra = {
        **verdict.extra,
        "cell": traced.cell,
        "mine": mine,
        "match": rows,
        "notes": tuple(notes),
    }
    return replace(verdict, theirs=module.name, extra=extra)

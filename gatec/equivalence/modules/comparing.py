"""A cell against a module: which variants of both are compared, and the strongest verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gatec.equivalence.align import aligned
from gatec.equivalence.check import check
from gatec.equivalence.likely import likely
from gatec.equivalence.match import Found
from gatec.equivalence.modules import factors, fitting, matching, reading, variants
from gatec.equivalence.modules.loaded import LoadedModule
from gatec.equivalence.modules.trace import Traced
from gatec.equivalence.modules.variants import Case
from gatec.equivalence.verdict import Kind, Verdict
from gatec.ir import Cell
from gatec.source.document import Document

_ORDER = tuple(Kind)
_TRIES = 400  # of a search; code that is no disguise needs none
_FEW = 200  # where something was settled in an unlikely way
_NO = (Kind.DIFFERENT, Kind.UNDECIDED)
_READINGS = 2  # of a document whose functions are not named


def hints(mine: Cell, theirs: Cell) -> Iterator[Found]:
    """Maps worth trying first: of cells that are written alike; of what is alike in them."""
    yield from aligned(mine, theirs)
    yield from likely(mine, theirs)


def compare(cell: Cell, module: LoadedModule) -> Verdict:
    """The strongest verdict about a cell and a module."""
    if module.traced is None:
        return fitting.compare(variants.sized(cell, module.calling.size), module)
    first, *others = variants.cases(cell, module, module.traced)
    found = check(first.mine, first.theirs, hints=hints, tries=_TRIES), first
    for case in others:
        if found[0].exit_code == 0:
            break
        # What is settled differently must make the cells related, not just different again.
        verdict = check(case.mine, case.theirs, hints=hints, refuted=False, tries=_FEW)
        if verdict.kind not in _NO and _ORDER.index(verdict.kind) < _ORDER.index(found[0].kind):
            found = verdict, case
    verdict, case = found
    if verdict.kind is Kind.DIFFERENT and not verdict.reason:
        verdict, note = factors.judged(verdict, case, _related)
        case = replace(case, notes=(*case.notes, note)) if note else case
    return _told(module, module.traced, verdict, case)


def _related(case: Case) -> Verdict:
    return check(case.mine, case.theirs, hints=hints, refuted=False, tries=_FEW)


def compare_document(document: Document, module: LoadedModule) -> Verdict:
    """The strongest verdict about what a document states and a module.

    Raises GatecError where the document cannot be read.
    """
    readings = list(_closest(document, module))
    several = len(readings) > 1  # else it is looked at once, in `compare`
    proved = [given for given in readings if several and _is_written_alike(given[0], module)]
    best: Verdict | None = None
    for cell, note in (proved or readings)[:_READINGS]:
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


def _closest(document: Document, module: LoadedModule) -> Iterator[tuple[Cell, str]]:
    """The readings of a document whose functions are most like those of the module."""
    closest: int | None = None
    for cell, note in reading.cells(document, module):
        distance = reading.distance(cell, module)
        if closest is not None and distance > closest:
            return
        closest = distance
        yield cell, note


def _is_written_alike(cell: Cell, module: LoadedModule) -> bool:
    """Whether a cell is the module's by a map that can be read off: quick to see."""
    if module.traced is None:
        return False
    return any(
        check(case.mine, case.theirs, hints=aligned, refuted=False, tries=0).exit_code == 0
        for case in variants.cases(cell, module, module.traced)
    )


def _told(module: LoadedModule, traced: Traced, verdict: Verdict, case: Case) -> Verdict:
    """The verdict with the match of parameters, and what was settled for it.

    Scalars of the cell may have values in the module: a symbol of a formula that is explained in
    words only, as a step size, is a parameter to gatec; in the module it is a number.
    """
    notes = [*module.notes, *case.notes]
    mine = case.mine
    if verdict.kind is Kind.GENERALISATION and verdict.covers is not None:
        values = matching.numbers(verdict.covers.params, mine)
        if values:
            settled = variants.settled(mine, values)
            again = check(settled, case.theirs, hints=hints, tries=_TRIES)
            if again.exit_code == 0:
                told = ", ".join(f"{name} = {float(value):g}" for name, value in values.items())
                notes.append(f"constants of the module: {told}")
                mine, verdict = settled, again
    extra = {
        **verdict.extra,
        "cell": case.theirs,
        "mine": mine,
        "match": matching.table(mine, traced, verdict),
        "notes": tuple(notes),
    }
    return replace(verdict, theirs=module.name, extra=extra)

"""From what a user names to a comparison: `gatec check`, `gatec.check`.

`against` is what the command line takes for a spec, or `lstm`, `gru`, `rnn` for the cells as torch
computes them, or `module:package.module:Class` for somebody's `nn.Module`.
"""

from __future__ import annotations

import os
from dataclasses import replace

from gatec import compiler
from gatec.equivalence import libraries, references
from gatec.equivalence.check import check as compare_cells
from gatec.equivalence.comparison import Compared, Comparison
from gatec.equivalence.verdict import Kind
from gatec.errors import Diagnostic, GatecError
from gatec.ir import Cell

Spec = str | os.PathLike[str]

# The verdicts from the one that is closest to "the same function".
_CLOSEST = tuple(Kind)


def compare(spec: Spec, against: Spec, cell: str | None = None) -> Comparison:
    """The comparison of two cells. `cell` picks one where `spec` holds several.

    Raises GatecError for a spec that cannot be read, and where a library is missing.
    """
    if isinstance(spec, str) and spec.startswith("module:"):
        raise _misplaced(spec)
    if spec == against == "-":
        message = "standard input can be read once: one of the two cells has to come from a file"
        raise GatecError(Diagnostic("E0711", message))
    libraries.numpy()
    libraries.flint()
    named = against if isinstance(against, str) else ""
    if named.startswith("module:"):
        return _with_module(compiler.single(spec, cell), named)
    if named in references.NAMES:
        return _with_reference(_compared(spec, cell), named)
    return _comparison(*_told_apart(*_both(spec, against, cell)))


def _both(spec: Spec, against: Spec, cell: str | None) -> tuple[Compared, Compared]:
    """Both cells, or the errors of both texts."""
    found, errors = [], list[Diagnostic]()
    for each, label in ((spec, cell), (against, None)):
        try:
            found.append(_compared(each, label))
        except GatecError as error:
            errors += error.diagnostics
    if errors:
        raise GatecError(errors)
    mine, theirs = found
    return mine, theirs


def _misplaced(spec: str) -> GatecError:
    hint = f"write gatec check SPEC --against {spec}"
    return GatecError(
        Diagnostic("E0711", "a module is what equations are compared with", file=spec, hint=hint)
    )


def _compared(spec: Spec, cell: str | None) -> Compared:
    unit = compiler.single(spec, cell)
    found = compiler.front(unit.document).cell
    return Compared(found.name, unit.spec, found)


def _comparison(mine: Compared, theirs: Compared) -> Comparison:
    named = (replace(each.cell, name=each.name) for each in (mine, theirs))
    return Comparison(mine, theirs, compare_cells(*named))


def _told_apart(mine: Compared, theirs: Compared) -> tuple[Compared, Compared]:
    """Both with names that differ."""
    if mine.name != theirs.name:
        return mine, theirs
    if mine.spec == theirs.spec == "<text>":
        return replace(mine, name="the first cell"), replace(theirs, name="the second cell")
    if mine.spec == theirs.spec:
        return mine, replace(theirs, name=f"{theirs.name} itself")
    one, other = (replace(each, name=f"{each.name} ({each.spec})") for each in (mine, theirs))
    return one, other


# --- References -----------------------------------------------------------------------------------


def _with_reference(mine: Compared, name: str) -> Comparison:
    """Against a form of a reference: torch's if it is that, else the form that comes closest."""
    made: list[Comparison] = []
    for form in references.forms(name):
        theirs = Compared(form.title, "", form.cell, form.note)
        made.append(_comparison(mine, theirs))
        if made[-1].same:
            break
    made.sort(key=lambda comparison: _CLOSEST.index(comparison.kind))
    closest, *others = made
    return replace(closest, others=tuple(others))


# --- Modules --------------------------------------------------------------------------------------


def _with_module(unit: compiler.Unit, address: str) -> Comparison:
    from gatec.equivalence import modules

    # The text, not its cell: functions that it explains in words are those of the module.
    verdict = modules.compare(unit.document, address)
    # Constants that the module takes are parameters there; what was not read has no equations.
    cell, theirs = verdict.extra["mine"], verdict.extra["cell"]
    assert isinstance(cell, Cell)
    assert isinstance(theirs, Cell)
    mine = Compared(cell.name, unit.spec, cell)
    named = _told_apart(mine, Compared(verdict.theirs, address, theirs))
    return Comparison(*named, verdict)

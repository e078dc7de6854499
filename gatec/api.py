"""The Python interface: `gatec.load`, `gatec.compile`, `gatec.parse`.

A spec is what the command line takes (a file, `FILE#CELL`, `doc:torch.nn:GRU`, the name of a
shipped spec), a path, or the equations themselves as text.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from types import ModuleType

from gatec import compiler, source
from gatec.errors import Diagnostic, GatecError
from gatec.resolve import Resolution
from gatec.show_latex import align


@dataclass(frozen=True, repr=False)
class Parsed(Resolution):
    """What gatec understood of a cell. Printed, it says what `gatec show` says.

    cell      the meaning: inputs, states, parameters with shapes, equations
    mentions  the mathematics of the document that was passed over
    warnings  what is odd, but no error
    """

    @classmethod
    def of(cls, found: Resolution) -> Parsed:
        return cls(found.cell, found.mentions, found.warnings)

    @property
    def latex(self) -> str:
        """The equations as LaTeX, every product and grouping explicit."""
        return align(self.cell)

    def __str__(self) -> str:
        from gatec import show

        return show.text(self)

    def __repr__(self) -> str:
        return f"<gatec cell {self.cell.name}: {len(self.cell.equations)} equations>"

    def _repr_latex_(self) -> str:  # what a notebook shows
        return "$$" + self.latex.replace("align*", "aligned").strip() + "$$"


def parse(spec: str | os.PathLike[str], *, cell: str | None = None) -> Parsed:
    """What a spec means. Raises GatecError with every error of the text."""
    return Parsed.of(compiler.front(_unit(spec, cell).document))


def compile(
    spec: str | os.PathLike[str], target: str = "torch", *, cell: str | None = None
) -> str | dict[str, str]:
    """The generated code of one cell: its text, or where a target makes several files, a dict.

    target  torch, numpy, c, cuda or all; c and cuda give `{"lstm.c": …, "lstm.h": …}`.

    Raises GatecError for a bad spec, ValueError for an unknown target.
    """
    files = _generate(_unit(spec, cell), target)
    return next(iter(files.values())) if len(files) == 1 else files


def load(
    spec: str | os.PathLike[str], target: str = "torch", *, cell: str | None = None
) -> ModuleType:
    """The generated module of one cell, imported: `gatec.load("lstm").LSTM(3, 5)`.

    target  torch or numpy. Tracebacks show the generated lines, and instances can be pickled.

    Raises GatecError for a bad spec, ValueError for another target.
    """
    if target not in ("torch", "numpy"):
        raise ValueError(f"only the targets torch and numpy can be imported, not {target!r}")
    from gatec import loader

    unit = _unit(spec, cell)
    (text,) = _generate(unit, target).values()
    return loader.module(text, unit.stem)


def _generate(unit: compiler.Unit, target: str) -> dict[str, str]:
    from gatec import backends

    targets = backends.targets() if target == "all" else [target]
    return dict(compiler.compile_unit(unit, targets).files)


def _unit(spec: str | os.PathLike[str], cell: str | None) -> compiler.Unit:
    """The one cell that a spec means, or an error that names the cells to choose from."""
    text = os.fspath(spec)
    if isinstance(spec, str) and re.search(r"[\n=]", text):
        documents = source.read_text(text, cell=cell)
        units = [compiler.Unit("<text>", d, compiler.safe_stem(d.stem)) for d in documents]
    else:
        units = compiler.units(text, cell)
    if len(units) > 1:
        names = ", ".join(unit.document.name for unit in units)
        hint = f"name one: cell={units[0].document.name!r}"
        message = f"there are {len(units)} cells here: {names}"
        raise GatecError(Diagnostic("E0712", message, file=units[0].spec, hint=hint))
    return units[0]

"""The Python interface: `gatec.load`, `gatec.compile`, `gatec.parse`, `gatec.check`.

A spec is what the command line takes (a file, `FILE#CELL`, `doc:torch.nn:GRU`, the name of a
shipped spec), a path, or the equations themselves as text.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from gatec import compiler
from gatec.resolve import Resolution
from gatec.show_latex import align

if TYPE_CHECKING:
    from gatec.equivalence.comparison import Comparison


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
    return Parsed.of(compiler.front(compiler.single(spec, cell).document))


def compile(
    spec: str | os.PathLike[str], target: str = "torch", *, cell: str | None = None
) -> str | dict[str, str]:
    """The generated code of one cell: its text, or where a target makes several files, a dict.

    target  torch, numpy, c, cuda or all; c and cuda give `{"lstm.c": …, "lstm.h": …}`.

    Raises GatecError for a bad spec, ValueError for an unknown target.
    """
    files = _generate(compiler.single(spec, cell), target)
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

    unit = compiler.single(spec, cell)
    (text,) = _generate(unit, target).values()
    return loader.module(text, unit.stem)


def check(
    spec: str | os.PathLike[str], against: str | os.PathLike[str], *, cell: str | None = None
) -> Comparison:
    """Whether two cells are the same function of inputs and initial states, and why.

    against  a spec as well; or "lstm", "gru", "rnn" for the cells as torch computes them; or
             "module:package.module:Class" for an `nn.Module`

    Printed, the result is the report of `gatec check`: `result.kind` is the verdict, `result.same`
    the answer (None: undecided), and `result.verdict` holds the maps and proofs.

    Raises GatecError for a bad spec, and where NumPy or python-flint is not installed.
    """
    from gatec import checking

    return checking.compare(spec, against, cell)


def _generate(unit: compiler.Unit, target: str) -> dict[str, str]:
    from gatec import backends

    targets = backends.targets() if target == "all" else [target]
    return dict(compiler.compile_unit(unit, targets).files)

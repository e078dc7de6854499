"""The functions of kernels, their parameters and the comments above them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from gatec.backends.c_family.dialect import Dialect, Parameter
from gatec.backends.c_family.indices import count_text
from gatec.backends.c_family.interface import Interface
from gatec.backends.c_family.lines import ordered_words, words, wrapped
from gatec.backends.c_family.tasks import Kernel, Task
from gatec.ir import Program

_COLUMNS = 96


@dataclass(frozen=True)
class Function:
    """A kernel's function and the comment above it."""

    comment: list[str]
    lines: list[str]


class Kernels:
    """The functions of all kernels, named after the pass and the phase that they belong to."""

    def __init__(self, program: Program, interface: Interface, dialect: Dialect) -> None:
        self.interface, self.dialect = interface, dialect
        self.constants = [constant.name for constant in program.plan.constants]
        self.functions: list[Function] = []
        self.numbers: dict[str, int] = {}

    def start(
        self, made: list[Task], stem: str, title: str, team: str, waits: Collection[int] = ()
    ) -> list[str]:
        """The statements that run tasks; their kernels become functions.

        `team` is the word for the threads that share them; they wait before the tasks `waits`.
        """
        lines: list[str] = []
        for place, task in enumerate(made):
            if place in waits:
                lines += self.dialect.waits(team)
            arguments: list[str] = []
            if isinstance(task, Kernel):
                number = self.numbers[stem] = self.numbers.get(stem, 0) + 1
                task.name = f"{stem}_{number}" if number > 1 else stem
                arguments = self._add(task, title)
            lines += self.dialect.run(task, arguments, team)
        return lines

    def _add(self, kernel: Kernel, title: str) -> list[str]:
        """Write the function of a kernel; returns the arguments of its call."""
        bounds = [number for _, number in kernel.terms]
        found = ordered_words([*kernel.lines, kernel.term, *bounds])
        written = set(kernel.written)
        read = [name for name in found if name in kernel.shapes and name not in written]
        used = {*found, *words([kernel.rows or "", count_text(kernel.shape)])}
        restrict = self.dialect.restrict
        parameters = [Parameter(f"real *{restrict} ", array) for array in kernel.written]
        parameters += [Parameter(f"const real *{restrict} ", array) for array in read]
        parameters += [Parameter("real ", name) for name in self.constants if name in used]
        rows = [name for name in self.interface.row_counts if name in used]
        sizes = [name for name in self.interface.size_names if name in used]
        parameters += [Parameter("size_t ", name) for name in (*rows, *sizes)]
        lines = self.dialect.function(kernel, parameters, self.interface.names)
        self.functions.append(Function(_comment(kernel, read, title), wrapped(lines)))
        return [parameter.name for parameter in parameters]


def _comment(kernel: Kernel, read: list[str], title: str) -> list[str]:
    """What a kernel writes and reads, with shapes."""
    lines = _listed(f"{title}:", kernel.written, kernel.shapes)
    if read:
        lines += _listed("from", read, kernel.shapes)
    lines[-1] += "."
    return ["/*", *(f" * {line}" for line in lines), " */"]


def _listed(lead: str, arrays: Iterable[str], shapes: dict[str, str]) -> list[str]:
    by_shape: dict[str, list[str]] = {}
    for array in arrays:
        by_shape.setdefault(shapes[array], []).append(array)
    text = "; ".join(f"{', '.join(names)} {shape}" for shape, names in by_shape.items())
    lines = [lead]
    for word in text.split():
        if len(lines[-1]) + len(word) > _COLUMNS:
            lines.append(" ")
        lines[-1] += " " + word
    return lines

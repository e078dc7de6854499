"""What a target of the C family does in its own way: how a kernel is written and started."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatec.backends.c_family.lines import bare, is_comment
from gatec.backends.c_family.tasks import Call, Kernel, Names, Task

_SHORT = 80  # a product of at most so many columns stands on one line
# How many arguments at the end of a product are its operands.
_OPERANDS = {"gemm": 6, "gemm_add": 6} | {
    f"{step}product{add}": 4 for step in ("", "step_") for add in ("", "_add")
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel: type `const real *restrict `, name `x_t`."""

    type: str
    name: str

    def __str__(self) -> str:
        return self.type + self.name


class Dialect(ABC):
    """A target.

    restrict  its word for pointers that nothing else points to
    calls     its own spellings of operators
    fills     whether biases that may be absent are copied, or zeros, before they are read in loops
    packs     whether products want a right operand that stays the same in panels
    scans     whether threads can share the steps of a recurrence that is affine
    chunk_rows  how many rows are computed at once where no state is waited for, for the template
    local     the local names of the host's functions
    lead      the first row of the batch that is computed in the loop over time, "0" for all rows
    own       how many rows are
    """

    restrict: str
    calls: Mapping[str, str] = {}
    fills = False
    packs = False
    scans = False
    chunk_rows = 0

    def __init__(self, local: Mapping[str, str]) -> None:
        self.local = local
        self.lead, self.own = "0", local["batch"]

    def arguments(self, prefix: str) -> Mapping[str, str]:
        """Declarations of what a call is given, by name, where they are no parameters."""
        return {}

    def prelude(self, scan: bool = False) -> Mapping[str, str]:
        """Declarations that the tasks of the loop over time use, by name; `scan`: of a scan."""
        return {}

    def waits(self, team: str = "team") -> list[str]:
        """What makes all threads of a team wait for each other."""
        return []

    @abstractmethod
    def function(self, kernel: Kernel, parameters: Sequence[Parameter], names: Names) -> list[str]:
        """The lines of the function of a kernel, its comment left out."""

    @abstractmethod
    def start(self, kernel: Kernel, arguments: Sequence[str], team: str) -> list[str]:
        """The statements that run a kernel, in the host's function, by a team."""

    @abstractmethod
    def called(self, name: str, arguments: str, team: str) -> str:
        """The statement that calls a helper of the template."""

    def call(self, helper: str, arguments: Sequence[str], team: str = "team") -> list[str]:
        """The lines that call a helper; of a product, the operands have their own line.

        `team` is the word for the threads that share it: "mates" in the loop over time.
        """
        texts = [bare(text) for text in arguments]
        name = f"gatec_{helper}"
        line = self.called(name, ", ".join(texts), team)
        last = _OPERANDS.get(helper, 0) + (self.packs and helper == "gemm_add")
        if not last or len(line) < _SHORT:
            return [line]
        first, second = self.called(name, ", ".join([*texts[:-last], "\n"]), team).split("\n")
        return [first.rstrip(), f"    {', '.join(texts[-last:])}{second}"]

    def run(self, task: Task, arguments: Sequence[str], team: str) -> list[str]:
        """The statements that run a task; `arguments` are those of a kernel."""
        if isinstance(task, Call):
            return self.call(task.helper, task.args, team)
        return self.start(task, arguments, team)


def body(kernel: Kernel, names: Names, at: str) -> list[str]:
    """The lines inside a kernel's loops; the unit's number has a name where it is used twice."""
    place = re.compile(rf"\b{names.at}\b")
    uses = sum(len(place.findall(line)) for line in kernel.lines if not is_comment(line))
    if uses > 1:
        return [f"const size_t {names.at} = {at};", *kernel.lines]
    return [line if is_comment(line) else place.sub(at, line) for line in kernel.lines]

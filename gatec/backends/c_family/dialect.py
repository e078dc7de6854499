"""What a target of the C family does in its own way: how a kernel is written and started."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatec.backends.c_family.lines import bare, is_comment
from gatec.backends.c_family.tasks import Call, Kernel, Names, Task

_SHORT = 80  # a product of at most so many columns stands on one line


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel: type `const real *restrict `, name `x_t`."""

    type: str
    name: str

    def __str__(self) -> str:
        return self.type + self.name


class Dialect(ABC):
    """A target.

    `restrict` is its word for pointers that nothing else points to; `local` are the local names
    of the host's functions.
    """

    restrict: str

    def __init__(self, local: Mapping[str, str]) -> None:
        self.local = local

    @abstractmethod
    def function(self, kernel: Kernel, parameters: Sequence[Parameter], names: Names) -> list[str]:
        """The lines of the function of a kernel, its comment left out."""

    @abstractmethod
    def start(self, kernel: Kernel, arguments: Sequence[str]) -> list[str]:
        """The statement that runs a kernel, in the host's function."""

    @abstractmethod
    def called(self, name: str, arguments: str) -> str:
        """The statement that calls a helper of the template."""

    def call(self, helper: str, arguments: Sequence[str]) -> list[str]:
        """The lines that call a helper; of a product, the operands have their own line."""
        texts = [bare(text) for text in arguments]
        name = f"gatec_{helper}"
        line = self.called(name, ", ".join(texts))
        if helper not in ("gemm", "gemm_add") or len(line) < _SHORT:
            return [line]
        first, second = self.called(name, ", ".join([*texts[:-6], "\n"])).split("\n")
        return [first.rstrip(), f"    {', '.join(texts[-6:])}{second}"]

    def run(self, task: Task, arguments: Sequence[str] = ()) -> list[str]:
        """The statement that runs a task; `arguments` are those of a kernel."""
        if isinstance(task, Call):
            return self.call(task.helper, task.args)
        return self.start(task, arguments)


def body(kernel: Kernel, names: Names, at: str) -> list[str]:
    """The lines inside a kernel's loops; the unit's number has a name where it is used twice."""
    place = re.compile(rf"\b{names.at}\b")
    uses = sum(len(place.findall(line)) for line in kernel.lines if not is_comment(line))
    if uses > 1:
        return [f"const size_t {names.at} = {at};", *kernel.lines]
    return [line if is_comment(line) else place.sub(at, line) for line in kernel.lines]

"""What a target of the C family does in its own way: how a kernel is written and started."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gatec.backends.c_family.tasks import Call, Kernel, Names, Task

# Members of structures are no names of their own.
_WORD = re.compile(r"(?<!->)(?<!\.)\b[A-Za-z_]\w*")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
WIDTH = 100
_SHORT = 80


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


def words(lines: Iterable[str]) -> set[str]:
    """The identifiers of code, comments left out."""
    return set(_WORD.findall(_COMMENT.sub("", "\n".join(lines))))


def ordered_words(lines: Iterable[str]) -> list[str]:
    """The identifiers of code in the order of their first use, comments left out."""
    return list(dict.fromkeys(_WORD.findall(_COMMENT.sub("", "\n".join(lines)))))


def bare(text: str) -> str:
    """A text that stands for itself, without brackets around all of it."""
    inner = text[1:-1]
    whole = text.startswith("(") and text.endswith(")") and "(" not in inner
    return inner if whole else text


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    return ["    " * depth + line if line else "" for line in lines]


def body(kernel: Kernel, names: Names, at: str) -> list[str]:
    """The lines inside a kernel's loops; the unit's number has a name where it is used twice."""
    place = re.compile(rf"\b{names.at}\b")
    code = [not line.lstrip().startswith(("/*", "*")) for line in kernel.lines]
    uses = sum(
        len(place.findall(line)) for line, is_code in zip(kernel.lines, code, strict=True) if is_code
    )
    if uses > 1:
        return [f"const size_t {names.at} = {at};", *kernel.lines]
    return [
        place.sub(at, line) if is_code else line
        for line, is_code in zip(kernel.lines, code, strict=True)
    ]


def wrapped(lines: Iterable[str]) -> list[str]:
    """Lines of at most WIDTH columns where there is a place to cut them; comments stay."""
    result: list[str] = []
    for line in lines:
        margin = len(line) - len(line.lstrip())
        comment = line.lstrip().startswith(("/*", "*", "//", "#"))
        if len(line) <= WIDTH or comment:
            result.append(line)
        else:
            goes_on = bool(result) and result[-1].endswith(",")
            result += _wrap(line[margin:], margin, 0 if goes_on else 4)
    return result


def _wrap(code: str, margin: int, more: int) -> list[str]:
    lines: list[str] = []
    while len(code) + margin > WIDTH:
        cut = _cut(code, WIDTH - margin)
        if cut is None:
            break
        lines.append(" " * margin + code[:cut].rstrip())
        code = code[cut:].lstrip()
        if len(lines) == 1:
            margin += more
    return [*lines, " " * margin + code]


def _cut(code: str, room: int) -> int | None:
    """Where to cut: as far outside of brackets as there is a place, then as late as there is."""
    depth, best = 0, None
    for position, char in enumerate(code[:room]):
        # Never inside of an index where there is another place.
        if char in "([{":
            depth += 10 if char == "[" else 1
        elif char in ")]}":
            depth -= 10 if char == "]" else 1
        after = code[position + 1 : position + 4]
        here = char == "," or after in (" + ", " - ", " * ", " / ", " ? ", " : ")
        start = char == "=" and code[position - 1 : position + 2] == " = "
        if (here or start) and position + 1 < len(code):
            late = 3.5 if start else 1 if after in (" * ", " / ") else -1 if char == "," else 0
            rank = (2 * depth + late, -position)
            if best is None or rank <= best[0]:
                best = (rank, position + 1)
    return None if best is None else best[1]

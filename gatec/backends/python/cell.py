"""What both Python backends need of a cell: names, sizes, phases, helper functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatec.backends.python import Library, Printer, Used
from gatec.backends.python.lines import statement
from gatec.expr import Dim, Expr, Ref
from gatec.ir import Equation, Phase, Program
from gatec.ops import OPS
from gatec.passes.common import all_names


class Locals:
    """Names for what only the generated code has, apart from every name of the cell."""

    def __init__(self, program: Program) -> None:
        self._taken = all_names(program.source) | all_names(program.plan)
        if program.backward is not None:
            self._taken |= {equation.name for equation in program.backward.equations}
        self._given: dict[str, str] = {}

    def __call__(self, word: str) -> str:
        """The name for `word`: the word itself unless the cell has it."""
        if word not in self._given:
            name, count = word, 2
            while name in self._taken:
                name, count = f"{word}_{count}", count + 1
            self._taken.add(name)
            self._given[word] = name
        return self._given[word]


class Helpers:
    """The helper functions that the printed code calls, in order of first use.

    `written` gives the text of those that are not composed of simpler operators.
    """

    def __init__(self, library: Library, local: Locals, written: dict[str, str]) -> None:
        self.library, self.local, self.written = library, local, written
        self.texts: dict[str, str] = {}

    def __call__(self, op: str, rank: int) -> str:
        name = self.local(op if rank < 2 else f"{op}_of_matrix")
        if name not in self.texts:
            self.texts[name] = ""  # keeps its place before those it uses
            self.texts[name] = self._text(name, op, rank)
        return name

    def _text(self, name: str, op: str, rank: int) -> str:
        if op in self.written:
            return self.written[op].replace("NAME", name)
        definition = OPS[op].definition
        assert definition is not None
        shape = tuple(Dim.of(f"z.shape[{i}]") for i in range(-rank, 0))
        argument = Ref("var", "z", shape, 0, bool(rank))
        used = Used()
        printer = Printer(self.library, lambda ref: ref.name, ("...",), used, self, set())
        code = f"return {printer.value(definition(argument)).code}"
        lines = [f"    {line}" for line in statement(code, 4)]
        return "\n".join([f"def {name}(z):", *lines, ""])


def references(equations: Iterable[Equation]) -> Iterator[Ref]:
    """Every reference in the equations, each once."""
    seen: set[Expr] = set()
    stack = [equation.value for equation in equations]
    stack.reverse()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Ref):
            yield node
        stack.extend(reversed(node.children))


def of_phase(equations: Iterable[Equation], *phases: Phase) -> list[Equation]:
    return [equation for equation in equations if equation.phase in phases]

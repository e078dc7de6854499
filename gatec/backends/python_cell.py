"""What both Python backends need of a cell: names, sizes, phases, helper functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gatec.backends.python import Library, Printer, Text, Used
from gatec.expr import Dim, Expr, Ref, Shape
from gatec.ir import Backward, Cell, Equation, Phase, Program
from gatec.ops import OPS


class Locals:
    """Names for what only the generated code has, apart from every name of the cell."""

    def __init__(self, program: Program) -> None:
        self._taken = set(program.source.size_names) | {"input_size", "hidden_size"}
        for cell in (program.source, program.plan):
            groups = (cell.inputs, cell.states, cell.params, cell.equations)
            self._taken |= {item.name for group in groups for item in group}
            self._taken |= {item.name for item in (*cell.constants, *cell.sizes)}
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
        return f"def {name}(z):\n    return {printer.value(definition(argument)).code}\n"


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


def solve_sizes(
    wanted: Iterable[str], sources: Iterable[tuple[Shape, Callable[[int], str]]]
) -> tuple[list[str], list[str]]:
    """Lines that compute sizes from the shapes of arrays, and the sizes that no shape tells.

    `sources` are shapes with the text of each dimension; the first that tells a size wins.
    """
    dims = [(dim, text(i)) for shape, text in sources for i, dim in enumerate(shape)]
    lines: list[str] = []
    known: set[str] = set()
    unknown: list[str] = []

    def solve(name: str, pending: frozenset[str]) -> bool:
        if name in known:
            return True
        mine = [(dim, text) for dim, text in dims if name in dict(dim.terms)]
        for dim, text in sorted(mine, key=lambda item: len(item[0].terms)):
            others = [other for other, _ in dim.terms if other != name]
            if pending & set(others) or not all(solve(o, pending | {name}) for o in others):
                continue
            count = dict(dim.terms)[name]
            rest = dim - Dim(((name, count),), 0)
            code = text if rest == Dim() else f"{text} - ({rest})" if _several(rest) else None
            if code is None:
                code = f"{text} {'+' if str(rest * -1)[:1] != '-' else '-'} {_absolute(rest)}"
            lines.append(f"{name} = {code if count == 1 else f'({code}) // {count}'}")
            known.add(name)
            return True
        return False

    for name in wanted:
        if not solve(name, frozenset()):
            unknown.append(name)
    return lines, unknown


def _several(dim: Dim) -> bool:
    return len(dim.terms) + bool(dim.const) > 1


def _absolute(dim: Dim) -> str:
    return str(dim).removeprefix("-")


def is_number(text: Text) -> bool:
    return text.number


def backward_reads(backward: Backward, plan: Cell) -> tuple[list[str], list[str]]:
    """The forward equations and the states whose values the backward equations read."""
    own = {equation.name for equation in backward.equations}
    found = list(references(backward.equations))
    read = {ref.name for ref in found if ref.kind == "var" and ref.name not in own}
    states = {ref.name for ref in found if ref.kind == "state"}
    return (
        [equation.name for equation in plan.equations if equation.name in read],
        [state.name for state in plan.states if state.name in states],
    )

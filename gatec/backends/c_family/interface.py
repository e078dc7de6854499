"""What a cell's C interface is called: the structures, their members, the local names."""

from __future__ import annotations

from collections.abc import Iterable

from gatec.backends.c_family.tasks import Names
from gatec.expr import Dim, Shape
from gatec.ir import Program

# Local names of the generated functions.
_LOCALS = """
sizes constants params inputs initial outputs last workspace workspace_bytes train stream
grad_outputs grad_last grad_params grad_inputs grad_initial
steps batch rows chunk first end t slot before after newest memory layout queue status
no_states nowhere defaults no_params no_inputs most placed outside bytes cublas
team mates alone lead own call given joined start stop part ends chunk_team
"""


class Interface:
    """Names of the generated code; none of the local ones is a name of the cell."""

    def __init__(self, program: Program) -> None:
        plan = program.plan
        self.prefix = f"gatec_{program.source.name.lower()}"
        equations = list(plan.equations)
        carries: list[str] = []
        if program.backward is not None:
            equations += program.backward.equations
            carries = [name for _, name in program.backward.carry_names]
        groups = (plan.inputs, plan.states, plan.params, plan.constants, plan.sizes, equations)
        self._taken = {item.name for group in groups for item in group}
        self._taken |= {*carries, *(f"{state.name}_prev" for state in plan.states)}
        self._taken |= {name + "_t" for name in self._taken}
        self._taken |= {"input_size", "hidden_size", "real"}
        self.size_names = _size_names(program)
        words = ("row", "unit", "column", "at", "term", "term_2", "total", "from", "to", "crew")
        self.names = Names(*map(self.fresh, words))
        self.local = {word: self.fresh(word) for word in _LOCALS.split()}
        self.row_counts = (self.local["rows"], self.local["batch"], self.local["own"])
        # The rows of a chunk of an array, and where a state's new value goes that no equation of
        # the loop computes.
        self._chunks: dict[str, str] = {}
        self.next_of = {s.name: self.fresh(f"{s.name}_next") for s in plan.states}

    def chunk_of(self, array: str) -> str:
        """The name of a chunk's rows of an array."""
        if array not in self._chunks:
            self._chunks[array] = self.fresh(f"{array}_rows")
        return self._chunks[array]

    def fresh(self, word: str) -> str:
        """A name like `word` that nothing else has."""
        while word in self._taken:
            word += "_"
        self._taken.add(word)
        return word


def _size_names(program: Program) -> tuple[str, ...]:
    """All sizes: of the plan, the source and the backward cell (they only use the same)."""
    used = {*program.plan.size_names, *program.source.size_names}
    order = ["input_size", "hidden_size", *(size.name for size in program.source.sizes)]
    return tuple(name for name in order if name in used)


def shape_words(lead: tuple[str, ...], shape: Shape) -> str:
    """A shape for a comment: `(T, B, hidden_size)`."""
    return f"({', '.join([*lead, *map(str, shape)])})" if lead or shape else "one number"


def negative_dims(shapes: Iterable[Shape]) -> list[Dim]:
    """The dimensions that some sizes would make negative."""
    found = {dim for shape in shapes for dim in shape}
    return sorted(
        (d for d in found if d.const < 0 or any(count < 0 for _, count in d.terms)), key=str
    )


def largest_factor(shapes: Iterable[Shape]) -> int:
    """What no dimension exceeds as a multiple of the largest size."""
    dims = {dim for shape in shapes for dim in shape}
    return max((sum(abs(c) for _, c in d.terms) + abs(d.const) for d in dims), default=1)

"""What a cell's C interface is called: the structures, their members, the local names."""

from __future__ import annotations

from gatec.backends.c_family.tasks import Names
from gatec.expr import Dim, Shape
from gatec.ir import Cell, Program
from gatec.names import RESERVED


class Interface:
    """Names of the generated code; none of the local ones is a name of the cell."""

    def __init__(self, program: Program) -> None:
        self.program, self.plan = program, program.plan
        self.prefix = f"gatec_{program.source.name.lower()}"
        equations = list(self.plan.equations)
        grads: list[str] = []
        if program.backward is not None:
            equations += program.backward.equations
            grads = [name for _, name in program.backward.carry_names]
            grads.append(program.backward.grad_output)
        groups = (self.plan.inputs, self.plan.states, self.plan.params, equations)
        self._taken = {item.name for group in groups for item in group}  # type: ignore[attr-defined]
        self._taken |= {item.name for item in (*self.plan.constants, *self.plan.sizes)}
        self._taken |= {*grads, *(f"{state.name}_prev" for state in self.plan.states)}
        self._taken |= {name + "_t" for name in self._taken}
        self._taken |= {"input_size", "hidden_size"}
        self._taken |= RESERVED - {"sizes", "workspace", "stream", "inputs", "status"}
        self.size_names = _size_names(program)
        self.names = Names(
            *(self.fresh(w) for w in ("row", "unit", "column", "term", "term_2", "total"))
        )
        words = ("steps", "batch", "rows", "t", "slot", "before", "after", "memory", "at", "zeros")
        words += ("constants", "params", "initial", "outputs", "last", "train")
        words += ("grad_outputs", "grad_last", "grad_params", "grad_inputs", "grad_initial")
        words += ("sizes", "inputs", "workspace", "workspace_bytes", "stream")
        self.local = {word: self.fresh(word) for word in words}

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


def negative_dims(cell: Cell, shapes: list[Shape]) -> list[Dim]:
    """The dimensions that some sizes would make negative."""
    found = {dim for shape in shapes for dim in shape}
    return sorted(
        (d for d in found if d.const < 0 or any(count < 0 for _, count in d.terms)), key=str
    )

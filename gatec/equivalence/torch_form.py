"""Whether a cell may be one of torch's by its interface; imports nothing that takes time."""

from __future__ import annotations

from gatec.expr import HIDDEN, INPUT
from gatec.ir import Cell, Initial
from gatec.passes.common import nodes

_MOST = 400  # expressions; torch's cells have less than a hundred


def has_the_form(cell: Cell) -> bool:
    """Whether the interface is that of a torch cell: enough to rule most other cells out."""
    states = cell.states
    return (
        [item.shape for item in cell.inputs] == [(INPUT,)]
        and 1 <= len(states) <= 2
        and all(state.shape == (HIDDEN,) and state.initial == Initial() for state in states)
        and cell.output_shape == (HIDDEN,)
        and not cell.constants
        and not cell.sizes
        and all(param.shape and param.bias == (len(param.shape) == 1) for param in cell.params)
        and sum(1 for equation in cell.equations for _ in nodes(equation.value)) <= _MOST
    )

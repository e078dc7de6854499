"""What was changed in a cell before it was compared, in words."""

from __future__ import annotations

from collections.abc import Iterator

from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.prepare import held
from gatec.equivalence.report.expressions import number
from gatec.equivalence.report.names import Names
from gatec.errors import printable
from gatec.ir import Cell, Equation
from gatec.show_ir import text


def _held(cell: Cell) -> set[str]:
    try:
        return set(held(cell))
    except TooLarge:
        return set()


def told(equation: Equation) -> str:
    """An equation as it was written; of a module, as it was read."""
    return printable(equation.text) or f"{equation.name} = {text(equation.value)}"


def remarks(name: str, written: Cell, compared: Names) -> Iterator[str]:
    """Sentences about a cell as written against the cell as compared."""
    cell = compared.cell
    own = Names(written, compared.mark)
    if written.constants:
        values = ", ".join(
            f"{own.bare('const', c.name)} = {number(c.value)[0]}" for c in written.constants
        )
        yield f"constants of {name} stand at their default values: {values}"
    held_inputs = _held(written)
    past = [state for state in written.states if state.name in held_inputs]
    kept = {equation.name for equation in cell.equations} | {state.update for state in past}
    dead = [own.of("var", e.name) for e in written.equations if e.name not in kept]
    if dead:
        yield f"no output of {name} depends on {', '.join(dead)}"
    if past:
        names = ", ".join(own.bare("state", state.name) for state in past)
        yield (
            f"{name} holds in {names} what inputs of steps before say: inputs of these are read "
            "instead, 0 before the first step"
        )
    states = {state.name for state in (*cell.states, *past)}
    gone = [own.bare("state", s.name) for s in written.states if s.name not in states]
    made = [state for state in cell.states if not state.symbol]
    if made:
        values = " and ".join(compared.bare("state", state.name) for state in made)
        yield (
            f"{name} reads {', '.join(gone) or 'its states'} of the step before only inside of one "
            f"expression, whose value is taken for the state ({values}): it starts where the cell "
            "says, and is not given"
        )
    elif gone and not dead:
        yield (
            f"states of {name} that are always equal, or multiples of each other, are one state: "
            f"without {', '.join(gone)}"
        )
    params = {param.name.rstrip("'") for param in cell.params}
    unused = [own.of("param", p.name) for p in written.params if p.name not in params]
    if unused:
        yield f"{name} has parameters that do nothing: {', '.join(unused)}"

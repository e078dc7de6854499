"""The IR: what a cell means, whatever notation it came in.

A `Cell` is inputs, states, parameters, constants, sizes and ordered equations; each equation is
one expression tree (`expr.py`). `verify` holds the invariants that construction cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from gatec.errors import Span
from gatec.expr import Expr, Ref, Shape, walk


class Phase(StrEnum):
    """When an equation is computed.

    The forward pass runs ONCE, SEQUENCE, STEP. A backward cell runs ONCE and SEQUENCE (values
    that are recomputed, not stored), STEP (in reverse time), AFTER and FINAL.
    """

    ONCE = "once"  # reads parameters only: before everything
    SEQUENCE = "sequence"  # reads no state: all T x B rows at once, before the loop
    STEP = "step"  # inside the time loop
    AFTER = "after"  # backward: all T x B rows at once, after the loop
    FINAL = "final"  # backward: unbatched, after everything


@dataclass(frozen=True)
class Input:
    """An input x_t; a scalar where the shape is empty."""

    name: str
    symbol: str
    shape: Shape
    rule: str = ""
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Initial:
    """A state's value before the first step: a number, or a learned parameter."""

    value: Fraction = Fraction(0)
    param: str | None = None


@dataclass(frozen=True)
class State:
    """A quantity that the next steps read.

    `update` names the equation whose value becomes the state. A `delay` state was made by a
    pass, to remember a state or an input for more than one step; it is part of the generated
    interface, so that a sequence can be cut anywhere.
    """

    name: str
    symbol: str
    shape: Shape
    update: str
    initial: Initial = Initial()
    rule: str = ""
    span: Span | None = field(default=None, compare=False)
    delay: bool = False


@dataclass(frozen=True)
class Param:
    """A parameter. `bias` marks a vector that is only ever added: `bias=False` removes it."""

    name: str
    symbol: str
    shape: Shape
    init: str = "uniform"  # uniform | zeros | ones | orthogonal | xavier | ... | a number
    bias: bool = False
    rule: str = ""
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Constant:
    """A number that the constructor takes as a keyword, with its default."""

    name: str
    symbol: str
    value: Fraction
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Size:
    """An extra dimension, a constructor keyword. `default` None means hidden_size."""

    name: str
    symbol: str
    default: int | None
    rule: str = ""
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Equation:
    """`name` = `value`. `text` is the equation as the user wrote it, `symbol` its left side."""

    name: str
    symbol: str
    value: Expr
    text: str = ""
    phase: Phase = Phase.STEP
    rule: str = ""
    span: Span | None = field(default=None, compare=False)

    @property
    def ref(self) -> Ref:
        return Ref("var", self.name, self.value.shape, 0, self.value.batched)


@dataclass(frozen=True)
class Cell:
    """A recurrent cell: the meaning of a spec.

    The first input is the sequence that layers pass on: layer k > 0 reads the output below
    instead. `output` names an equation.
    """

    name: str
    inputs: tuple[Input, ...]
    states: tuple[State, ...]
    params: tuple[Param, ...]
    equations: tuple[Equation, ...]
    output: str
    constants: tuple[Constant, ...] = ()
    sizes: tuple[Size, ...] = ()
    comments: tuple[str, ...] = ()

    def equation(self, name: str) -> Equation:
        return next(equation for equation in self.equations if equation.name == name)

    @property
    def output_shape(self) -> Shape:
        return self.equation(self.output).value.shape

    @property
    def size_names(self) -> tuple[str, ...]:
        """Every size the cell's shapes use, interface order."""
        shapes = [i.shape for i in self.inputs] + [s.shape for s in self.states]
        shapes += [p.shape for p in self.params] + [e.value.shape for e in self.equations]
        used = {name for shape in shapes for dim in shape for name, _ in dim.terms}
        order = ["input_size", "hidden_size", *(size.name for size in self.sizes)]
        return tuple(name for name in order if name in used)


def verify(cell: Cell) -> None:
    """Check the invariants that construction cannot hold; ValueError says which one failed."""
    defined: dict[str, Equation] = {}
    params = {p.name: p.shape for p in cell.params}
    constants = {c.name for c in cell.constants}
    inputs = {i.name: i.shape for i in cell.inputs}
    states = {s.name: s.shape for s in cell.states}
    tables: dict[str, Mapping[str, Shape]] = {"param": params, "input": inputs, "state": states}
    phases = list(Phase)
    for equation in cell.equations:
        if equation.name in defined:
            raise ValueError(f"{equation.name} is computed twice")
        for node in walk(equation.value):
            if not isinstance(node, Ref):
                continue
            if node.kind == "var":
                if node.name not in defined:
                    raise ValueError(f"{equation.name} reads {node.name} before it is computed")
                source = defined[node.name]
                if source.ref != node:
                    raise ValueError(f"{equation.name} reads {node.name} with another shape")
                if phases.index(source.phase) > phases.index(equation.phase):
                    raise ValueError(f"{equation.name} reads {node.name} of a later phase")
            elif node.kind == "const":
                if node.name not in constants:
                    raise ValueError(f"unknown constant {node.name}")
            elif tables.get(node.kind, {}).get(node.name) != node.shape:
                raise ValueError(f"{equation.name} reads unknown {node.kind} {node.name}")
            if node.kind == "state" and node.lag < 1:
                raise ValueError(f"{equation.name} reads state {node.name} at t itself")
            if equation.phase is Phase.ONCE and node.batched:
                raise ValueError(f"{equation.name} is no parameter-only value")
            if equation.phase is Phase.SEQUENCE and node.kind == "state":
                raise ValueError(f"{equation.name} reads a state outside the loop")
        defined[equation.name] = equation
    for state in cell.states:
        if state.update not in defined or defined[state.update].value.shape != state.shape:
            raise ValueError(f"state {state.name} is updated by {state.update}, which does not fit")
    if cell.output not in defined:
        raise ValueError(f"output {cell.output} is not computed")
    names = [i.name for i in cell.inputs] + [p.name for p in cell.params]
    names += [c.name for c in cell.constants]
    names += [size.name for size in cell.sizes]
    if len(set(names)) != len(names):
        raise ValueError("two things have one name")


# --- Programs -----------------------------------------------------------------------------------

# The name of the `Ref("grad", …)` that arrives from outside, the cotangent of the outputs.
GRAD_OUTPUTS = "grad_outputs"


@dataclass(frozen=True)
class Backward:
    """The backward cell, derived by `adjoint.py`: equations in execution order.

    Equations read forward values (states at t-1, inputs at t, `var`s that are stored or
    recomputed) and two kinds of `Ref("grad", …)`: `grad_outputs`, what arrives from outside for
    the outputs of all steps, and, in phase STEP alone, `carry_<state>`, the cotangent of the
    state's new value from step t+1 (from the caller's `grad_state` at the last step).
    `carries[state]` names the equation that computes the carry for step t-1.

    Steps run in reverse. Equations of phase SEQUENCE, before the loop, read no carry.
    """

    stored: tuple[str, ...]  # forward equations whose values over the sequence are read
    equations: tuple[Equation, ...]
    grad_output: str
    carries: tuple[tuple[str, str], ...]  # (state, equation)
    carry_names: tuple[tuple[str, str], ...]  # (state, name of the grad Ref)
    grad_params: tuple[tuple[str, str], ...]  # (param, equation), phases AFTER/FINAL
    grad_inputs: tuple[tuple[str, str], ...]  # (input, equation), phase STEP or AFTER


@dataclass(frozen=True)
class Program:
    """A cell ready for a backend: planned forward equations and the backward cell.

    `source` is the cell as the user wrote it; `plan` is the same function after the passes.
    """

    source: Cell
    plan: Cell
    backward: Backward | None = None

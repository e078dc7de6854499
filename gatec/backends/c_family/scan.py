"""Recurrences that threads can share along time, and what a part of the steps takes.

Where what a step passes on is affine in what it received, unit by unit, so is what a part of the
steps does: its end is the end from a start of 0, plus coefficients times the true start. So each
thread runs its steps from 0 and multiplies their coefficients; all then know how their parts begin,
and run their steps from there. A second run, rather than a correction of the first one, gives the
numbers of one loop but for what rounding does to starts. Cf. Blelloch, "Prefix Sums and Their
Applications", 1990.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatec.backends.c_family.interface import Interface
from gatec.backends.c_family.slopes import NotAffineError, slope
from gatec.backends.c_family.statements import Statement, Target
from gatec.expr import Concat, Dim, Expr, Ref, Shape
from gatec.ir import Equation, Phase, Program
from gatec.passes.common import refs, zeros
from gatec.passes.tidy import needs


@dataclass(frozen=True)
class Carried:
    """What a step receives, as its equations read it, and the equation that passes it on."""

    ref: Ref
    update: str


@dataclass(frozen=True)
class Names:
    """The arrays of a value that is carried: where a part starts, and where it ends from 0."""

    first: str
    from_0: str


@dataclass(frozen=True)
class Scan:
    """A recurrence that is affine in what it carries, unit by unit.

    `step` are the statements of a step from 0, with what multiplies coefficients; `join` are those
    that bring the start of a part to the start of the next one. `factors` are the arrays of
    coefficients, each with the number that it starts from.
    """

    shape: Shape
    carried: tuple[tuple[Carried, Names], ...]
    factors: tuple[tuple[str, int], ...]
    step: tuple[Statement, ...]
    join: tuple[Statement, ...]

    @property
    def size(self) -> Dim:
        """The units of a value that is carried."""
        return self.shape[0] if self.shape else Dim((), 1)


@dataclass(frozen=True)
class Scans:
    """Those of a cell's states, and of their gradients."""

    forward: Scan
    backward: Scan | None


def scans(program: Program, interface: Interface) -> Scans | None:
    """The scans of a cell, or None where its states, or their gradients, are not affine."""
    there = _forward(program, interface)
    back = _backward(program, interface) if there is not None else None
    if there is None or (back is None and program.backward is not None):
        return None
    return Scans(there, back)


def _forward(program: Program, interface: Interface) -> Scan | None:
    carried = [
        Carried(Ref("state", state.name, state.shape, 1), state.update)
        for state in program.plan.states
    ]
    return _scan(carried, program.plan.equations, interface)


def _backward(program: Program, interface: Interface) -> Scan | None:
    back = program.backward
    if back is None:
        return None
    shapes = {state.name: state.shape for state in program.plan.states}
    updates = dict(back.carries)
    carried = [
        Carried(Ref("grad", name, shapes[state]), updates[state])
        for state, name in back.carry_names
    ]
    return _scan(carried, back.equations, interface)


def _scan(
    carried: Sequence[Carried], equations: Iterable[Equation], interface: Interface
) -> Scan | None:
    steps = {e.name: e for e in equations if e.phase is Phase.STEP}
    shapes = {one.ref.shape for one in carried}
    if len(shapes) != 1 or any(one.update not in steps for one in carried):
        return None
    (shape,) = shapes
    needed = needs(steps.values(), [one.update for one in carried])
    run = [equation for name, equation in steps.items() if name in needed]
    # Arrays for all steps of a chunk would be too much for matrices.
    small = all(equation.value.rank < 2 for equation in steps.values())
    if not small or not all(_is_pointwise(equation, shape) for equation in run):
        return None
    names = [
        Names(*(interface.fresh(f"{one.ref.name}_{word}") for word in ("first", "from_0")))
        for one in carried
    ]
    try:
        return _Maker(carried, names, run, shape, interface).made()
    except NotAffineError:
        return None


def _is_pointwise(equation: Equation, shape: Shape) -> bool:
    value = equation.value
    loop = Statement(equation.name, value).is_loop and not isinstance(value, Concat)
    return loop and value.shape == shape and value.batched


class _Maker:
    """The statements of a scan, which pairs of carried values they need."""

    def __init__(
        self,
        carried: Sequence[Carried],
        names: Sequence[Names],
        run: Sequence[Equation],
        shape: Shape,
        interface: Interface,
    ) -> None:
        self.carried, self.names, self.run = carried, names, run
        self.shape, self.interface = shape, interface
        self.by: dict[tuple[int, int], str] = {}  # the coefficients of an end by a start
        self.locals: dict[str, str] = {}
        # What no coefficient may read.
        self.dependent = {one.ref for one in carried}
        for equation in run:
            if self.dependent.intersection(refs(equation.value)):
                self.dependent.add(equation.ref)

    def made(self) -> Scan:
        numbers = range(len(self.carried))
        for number in numbers:
            self._factor(number, number)
        # A step's coefficients may lead to pairs that the product has and no step alone.
        before = 0
        while before < len(self.by):
            before = len(self.by)
            for start in numbers:
                ends = self._along(start)[1]
                for end, found in enumerate(ends):
                    if found is not None:
                        self._factor(end, start)
        step = [Statement(e.name, e.value, (), e.text) for e in self.run]
        stores = [
            self._stored(self._update(end), names.from_0) for end, names in enumerate(self.names)
        ]
        for start in numbers:
            made, ends = self._along(start)
            step += made
            stores += [
                self._stored(ends[end] or zeros(self.shape), array)
                for (end, other), array in self.by.items()
                if other == start
            ]
        factors = tuple((array, int(end == start)) for (end, start), array in self.by.items())
        pairs = tuple(zip(self.carried, self.names, strict=True))
        return Scan(self.shape, pairs, factors, (*step, *stores), tuple(self._join()))

    def _factor(self, end: int, start: int) -> None:
        one, other = (self.carried[number].ref.name for number in (end, start))
        if (end, start) not in self.by:
            self.by[end, start] = self.interface.fresh(f"{one}_by_{other}")

    def _local(self, name: str, start: int) -> str:
        """The name of the slope of an equation by one start."""
        word = f"{name}_slope"
        if len(self.carried) > 1:
            word += f"_by_{self.carried[start].ref.name}"
        return self._fresh(word)

    def _fresh(self, word: str) -> str:
        if word not in self.locals:
            self.locals[word] = self.interface.fresh(word)
        return self.locals[word]

    def _update(self, number: int) -> Ref:
        return Ref("var", self.carried[number].update, self.shape)

    def _array(self, name: str) -> Ref:
        return Ref("state", name, self.shape, 1)

    def _stored(self, value: Expr, array: str) -> Statement:
        return Statement("", value, (Target(array, self.shape, True),))

    def _along(self, start: int) -> tuple[list[Statement], list[Expr | None]]:
        """The statements of the step's slopes by one start, and those of what is carried."""
        known: dict[Expr, Expr | None] = {
            one.ref: self._array(self.by[end, start])
            for end, one in enumerate(self.carried)
            if (end, start) in self.by
        }
        made: list[Statement] = []
        for equation in self.run:
            found = slope(equation.value, known)
            if found is None:
                continue
            if self.dependent.intersection(refs(found)):
                raise NotAffineError
            name = self._local(equation.name, start)
            made.append(Statement(name, found))
            known[equation.ref] = Ref("var", name, self.shape)
        return made, [known.get(self._update(end)) for end in range(len(self.carried))]

    def _join(self) -> Iterable[Statement]:
        """Where the next part starts, of all that is carried before any of it is written."""
        sums: list[Statement] = []
        stores: list[Statement] = []
        for end, names in enumerate(self.names):
            value: Expr = self._array(names.from_0)
            for (other, start), array in self.by.items():
                if other == end:
                    value = value + self._array(array) * self._array(self.names[start].first)
            name = self._fresh(f"{names.first}_next")
            sums.append(Statement(name, value))
            stores.append(self._stored(Ref("var", name, self.shape), names.first))
        if len(sums) == 1:
            return [self._stored(sums[0].value, self.names[0].first)]
        return [*sums, *stores]

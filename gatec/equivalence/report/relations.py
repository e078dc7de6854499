"""What a map means: which gate became which, what it fixes or ties, what saturates in a limit.

For the reader: nothing here takes part in a proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from gatec.equivalence.match import in_terms_of
from gatec.equivalence.normal import Normaliser
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.report.expressions import Printer, columns, is_diagonal
from gatec.equivalence.report.model import Line
from gatec.equivalence.report.names import Notation
from gatec.equivalence.sides import Side, with_params
from gatec.equivalence.steps import INFINITE, Proof
from gatec.equivalence.waists import cut
from gatec.expr import Apply, Broadcast, Concat, Const, Expr, Ref, Slice, replaced
from gatec.ir import Cell, Equation
from gatec.passes.common import refs

ONE = Const(Fraction(1))
_FORMS = dict[str, Expr]


class Relations:
    """What the map of a proof does to the gates of the general cell."""

    def __init__(self, proof: Proof, notation: Notation) -> None:
        self.proof, self.notation = proof, notation
        self.general, self.special = notation.names(proof.mine), notation.names(proof.theirs)
        self.made = _in_the_limit(with_params(proof.mine, proof.params), proof)
        # Only for laws about expressions without names of equations: either cell's would do.
        self._normal = Normaliser(())

    # --- Parameters and states --------------------------------------------------------------------

    def parameters(self) -> tuple[Line, ...]:
        """The map itself: every parameter of the general cell, in its order."""
        printer = Printer(self.notation, self.special)
        lines = []
        for param in self.proof.mine.params:
            value = self.proof.params[param.name]
            limit = any(ref.name == INFINITE for ref in refs(value, "param"))
            lines.append(
                Line(
                    self.general.of("param", param.name),
                    printer.text(value),
                    self._blocks(param.name, value),
                    "→" if limit else "=",
                )
            )
        return tuple(lines)

    def _blocks(self, param: str, value: Expr) -> str:
        """What the column blocks of a joined matrix multiply."""
        if not isinstance(value, Concat) or value.axis != 1 or _constant(value) is not None:
            return ""
        found = columns(self.proof.mine, param)
        printer = Printer(self.notation, self.general)
        return (
            "columns of " + ", ".join(printer.text(part) for _, _, part in found) if found else ""
        )

    def states(self) -> tuple[Line, ...]:
        """Inputs and states of the general cell in terms of the special one's."""
        proof, lines = self.proof, []
        for one, other in zip(proof.mine.inputs, proof.theirs.inputs, strict=True):
            names = self.general.bare("input", one.name), self.special.bare("input", other.name)
            lines.append(Line(*names, "input"))
        for name, (twin, scale) in proof.states.items():
            right = self.special.bare("state", twin)
            if scale != 1:
                right = f"-{right}" if scale == -1 else f"{scale} {right}"
            lines.append(Line(self.general.bare("state", name), right, "state"))
        for state in proof.mine.states:
            if state.name not in proof.states:
                name = self.general.bare("state", state.name)
                lines.append(Line(name, "anything", "state; it does nothing then"))
        return tuple(lines)

    # --- Gates ------------------------------------------------------------------------------------

    def gates(self) -> tuple[Line, ...]:
        """Equations of the general cell that have a counterpart, or a constant value.

        None where the map leaves states out: then nothing corresponds for sure.
        """
        mapped = {twin for twin, _ in self.proof.states.values()}
        if not all(state.name in mapped for state in self.proof.theirs.states):
            return ()
        waists = self.proof.waists
        theirs = in_terms_of(self.proof.theirs, self.proof.mine, self.proof.states)
        ours = normal_forms(cut(self.made, {waist.mine: waist.name for waist in waists}))
        others = normal_forms(cut(theirs, {waist.theirs: waist.name for waist in waists}))
        lines = []
        for name, value in ours.items():
            right = self._counterpart(name, value, others)
            if right is not None:
                lines.append(Line(self.general.of("var", name), right))
        return tuple(lines)

    def _counterpart(self, name: str, value: Expr, others: _FORMS) -> str | None:
        number = _constant(value)
        if number is not None:
            return Printer(self.notation, self.special).text(number)
        alike = sorted(others.items(), key=lambda item: item[0] != name)
        for pattern, form in self._variants(value):
            for other, candidate in alike:
                if candidate == form:
                    return pattern.format(self.special.of("var", other))
        return None

    def _variants(self, value: Expr) -> Iterator[tuple[str, Expr]]:
        """A value as itself, as 1 minus another, as another's negative."""
        yield "{}", value
        try:
            yield "1 - {}", self._normal.expr(ONE - value)
            yield "-{}", self._normal.expr(-value)
        except TooLarge:
            return

    # --- What a special case fixes ----------------------------------------------------------------

    def fixed(self) -> tuple[Line, ...]:
        """What holds in the general cell then: gates and parameters that are fixed or tied."""
        return (*self._tied_gates(), *self._fixed_parameters(), *self._tied_parameters())

    def _tied_gates(self) -> Iterator[Line]:
        """Relations between gates that hold with the map, and not without it."""
        waists = {waist.mine: waist.name for waist in self.proof.waists}
        before, after = (normal_forms(cut(cell, waists)) for cell in (self.proof.mine, self.made))
        names = [name for name in after if name in before]
        for index, name in enumerate(names):
            left = self.general.of("var", name)
            number = _constant(after[name])
            if number is not None:
                if _constant(before[name]) is None:
                    yield Line(left, Printer(self.notation, self.special).text(number), "gate")
                continue
            for earlier in names[:index]:
                if self._related(after, name, earlier) != self._related(before, name, earlier):
                    pattern = self._related(after, name, earlier)
                    if pattern is not None:
                        yield Line(left, pattern.format(self.general.of("var", earlier)), "gate")
                        break

    def _related(self, forms: _FORMS, name: str, earlier: str) -> str | None:
        return next(
            (p for p, form in self._variants(forms[name]) if form == forms[earlier]),
            None,
        )

    def _fixed_parameters(self) -> Iterator[Line]:
        for param in self.proof.mine.params:
            value = self.proof.params[param.name]
            left = self.general.of("param", param.name)
            number = _constant(value)
            if number is not None:
                if not (_is_zero(number) and self._is_choice(param.name)):
                    yield Line(left, Printer(self.notation, self.special).text(number), "parameter")
            elif is_diagonal(value):
                yield Line(left, Printer(self.notation, self.special).text(value), "diagonal")
            elif isinstance(value, Concat):
                yield from self._fixed_blocks(param.name, left, value)

    def _fixed_blocks(self, param: str, left: str, value: Concat) -> Iterator[Line]:
        printer = Printer(self.notation, self.special)
        whole = Ref("param", param, value.shape)
        start = value.shape[value.axis] - value.shape[value.axis]
        for part in value.args:
            stop = start + part.shape[value.axis]
            number = _constant(part)
            if number is not None:
                view = Slice(whole, value.axis, start, stop)
                yield Line(printer.text(view), printer.text(number), "parameter")
            start = stop

    def _tied_parameters(self) -> Iterator[Line]:
        """Parameters whose values are one value, or its negative."""
        printer = Printer(self.notation, self.special)
        earlier: dict[Expr, str] = {}
        for param in self.proof.mine.params:
            value = self.proof.params[param.name]
            if _constant(value) is not None or any(r.name == INFINITE for r in refs(value)):
                continue
            left = self.general.of("param", param.name)
            twin, sign = self._twin(value, earlier)
            if twin is not None:
                yield Line(
                    left, f"{sign}{printer.reference(Ref('param', twin, value.shape))}", "parameter"
                )
            else:
                earlier[self._value(value)] = param.name

    def _value(self, value: Expr) -> Expr:
        try:
            return self._normal.expr(value)
        except TooLarge:
            return value

    def _twin(self, value: Expr, earlier: dict[Expr, str]) -> tuple[str | None, str]:
        for sign, form in (("", self._value(value)), ("-", self._value(-value))):
            if form in earlier:
                return earlier[form], sign
        return None, ""

    def _is_choice(self, name: str) -> bool:
        """Whether a parameter is 0 only because another takes its part: two biases of one sum."""
        cell = self.proof.mine
        shapes = {param.name: param.shape for param in cell.params}
        mine = Ref("param", name, shapes[name])
        users = _users(cell, name)
        for other, shape in shapes.items():
            if other == name or shape != shapes[name] or _users(cell, other) != users:
                continue
            moved, shift = Ref("param", other, shape), Ref("param", "shift", shape)
            shifted = with_params(cell, {name: mine + shift, other: moved - shift})
            try:
                if Side.of(shifted).results() == Side.of(cell).results():
                    return True
            except TooLarge:
                return False
        return False

    # --- Limits -----------------------------------------------------------------------------------

    def limits(self) -> tuple[Line, ...]:
        """Which gates saturate, and at what."""
        mapped = with_params(self.proof.mine, self.proof.params)
        printer = Printer(self.notation, self.general)
        lines = []
        for node, value in self.proof.limits.items():
            owner = _owner(mapped.equations, node)
            left = printer.text(node) if owner is None else self.general.of("var", owner.name)
            lines.append(Line(left, printer.text(value), "as ∞ grows beyond all bounds", "→"))
        return tuple(lines)


def _in_the_limit(cell: Cell, proof: Proof) -> Cell:
    """The cell with the functions that a limit makes constant at their values."""
    if not proof.limits:
        return cell
    now: dict[Expr, Expr] = {}  # references to equations, which may be constants by now
    made = []
    for equation in cell.equations:
        value = replaced(equation.value, {**now, **proof.limits})
        made.append(replace(equation, value=value))
        now[equation.ref] = made[-1].ref
    return replace(cell, equations=tuple(made))


def _owner(equations: tuple[Equation, ...], node: Expr) -> Equation | None:
    """The equation whose right side a function is."""
    return next((equation for equation in equations if equation.value == node), None)


def _users(cell: Cell, param: str) -> list[str]:
    return [e.name for e in cell.equations if any(r.name == param for r in refs(e.value, "param"))]


@lru_cache(maxsize=16)
def normal_forms(cell: Cell) -> _FORMS:
    """The normal form of every equation; empty where it is too large."""
    try:
        normaliser = Side.of(cell).normaliser
        return {equation.name: normaliser.expr(equation.ref) for equation in cell.equations}
    except TooLarge:
        return {}


def _constant(value: Expr) -> Expr | None:
    """The number that a value has in every unit, or None."""
    if isinstance(value, Concat):
        found = {_constant(arg) for arg in value.args}
        return found.pop() if len(found) == 1 else None
    while isinstance(value, Broadcast):
        value = value.arg
    if isinstance(value, Apply) and value.op == "neg" and isinstance(value.args[0], Const):
        return Const(-value.args[0].value)
    return value if isinstance(value, Const) else None


def _is_zero(value: Expr) -> bool:
    return isinstance(value, Const) and not value.value

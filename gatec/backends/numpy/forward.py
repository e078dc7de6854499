"""`step`, from the equations as the user wrote them; `_run`, from the plan, for whole sequences."""

from __future__ import annotations

from gatec.backends.numpy.aliases import Returned
from gatec.backends.numpy.arguments import names_in
from gatec.backends.numpy.equations import (
    UNTIMED,
    Scope,
    arrays,
    indented,
    one,
    params_of,
    section,
)
from gatec.backends.numpy.private import Private
from gatec.backends.python import Printer
from gatec.backends.python.cell import Helpers, of_phase, references
from gatec.expr import Ref
from gatec.ir import Cell, Equation, Phase, Program


def param_lines(plan: Cell, names: set[str]) -> list[str]:
    return [f'{p.name} = params["{p.name}"]' for p in plan.params if p.name in names]


# --- step -----------------------------------------------------------------------------------------


def step(source: Cell, private: Private, helpers: Helpers) -> list[str]:
    """The lines of `step`. States of `source` are read at lag 1 and inputs at lag 0."""
    arguments, scope = private.arguments, Scope(helpers)

    def name(ref: Ref) -> str:
        return f"{ref.name}_prev" if ref.kind == "state" else ref.name

    printer = scope.printer(name, arguments.B)
    body = scope.statements(source.equations, printer)
    returned = Returned(source.equations)

    def result(equation: str) -> str:
        ref = source.equation(equation).ref
        return returned.code(ref, printer.whole(ref, batched=True))

    output = result(source.output)
    states = one([result(state.update) for state in source.states])
    used = names_in(body)
    prev = [f"{state.name}_prev" for state in source.states]
    left = ", ".join(name if name in used else "_" for name in prev)
    body = [
        *private.initial_lines(),
        f"{left} = {private.state_call('state', 'state')}",
        *param_lines(source, params_of(source.equations)),
        "",
        *body,
        f"return {output}, {states}",
    ]
    return [*arguments.opening([arguments.B], body), arguments.dtype_line(), *body]


# --- forward --------------------------------------------------------------------------------------


class Run:
    """The lines of `_run`: every value that the way back reads, over the sequence."""

    def __init__(self, program: Program, private: Private, helpers: Helpers) -> None:
        self.plan, self.private = program.plan, private
        self.arguments, self.scope = private.arguments, Scope(helpers)
        self.phases = {e.name: e.phase for e in self.plan.equations}
        self.stored_equations, self.stored_states = stored(program)
        steps = of_phase(self.plan.equations, Phase.STEP)
        kept = {self.plan.output, *self.stored_equations, *(s.update for s in self.plan.states)}
        self.steps, self.kept = steps, kept & {e.name for e in steps}

    def lines(self) -> list[str]:
        plan, scope, arguments = self.plan, self.scope, self.arguments
        T, B, t = arguments.T, arguments.B, arguments.t
        once = scope.printer(self._name)
        rows = scope.printer(self._name, T, B)
        step = scope.printer(self._name_at_step, B)
        before = section(
            "Parameters alone.", scope.statements(of_phase(plan.equations, Phase.ONCE), once)
        )
        before += section(
            f"Inputs alone: all {T} * {B} rows at once.",
            scope.statements(of_phase(plan.equations, Phase.SEQUENCE), rows),
        )
        states, aliases, late = self._states(rows)
        loop = scope.statements(self.steps, step, stored=self.kept, target=self._target) + late
        other = [e for e in self.steps if e.name in self.kept and e.name not in aliases]
        states += arrays([(e.name, e.value.shape) for e in other], rows, arguments.dtype)
        if loop:
            states += [f"for {t} in range({T}):", *indented(loop)]
        views = (e for e in plan.equations if e.name not in self.kept)
        output = plan.equation(plan.output).ref
        outputs = Returned(views).code(output, rows.whole(output, batched=True))
        last = one([f"{state.name}_prev[-1].copy()" for state in plan.states])
        saved = one(self.saved()) if self.saved() else "()"
        body = [
            *param_lines(plan, params_of(plan.equations)),
            *before,
            "",
            *states,
            f"return {outputs}, {last}, {saved}",
        ]
        return [*arguments.opening([T, B], body), arguments.dtype_line(), *body]

    def saved(self) -> list[str]:
        """What the way back reads, by name."""
        return [*self.stored_equations, *(f"{name}_prev" for name in self.stored_states)]

    def _target(self, equation: Equation) -> str:
        return (
            f"{equation.name}[{self.arguments.t}]" if equation.name in self.kept else equation.name
        )

    def _name(self, ref: Ref) -> str:
        return ref.name

    def _name_at_step(self, ref: Ref) -> str:
        at = f"[{self.arguments.t}]"
        if ref.kind == "state":
            return f"{ref.name}_prev{at}"
        phase = self.phases[ref.name] if ref.kind == "var" else None
        timed = ref.kind == "input" or phase is Phase.SEQUENCE or ref.name in self.kept
        return ref.name + at if timed and phase not in UNTIMED else ref.name

    def _states(self, rows: Printer) -> tuple[list[str], set[str], list[str]]:
        """The arrays of states: their lines, the equations that are views of them, and what the
        loop has to copy to them."""
        plan, T, t = self.plan, self.arguments.T, self.arguments.t
        names = [f"{state.name}_prev" for state in plan.states]
        lines = []
        for state, prev in zip(plan.states, names, strict=True):
            shape = rows.shape(state.shape, batched=True).replace(T, f"{T} + 1", 1)
            lines.append(f"{prev} = np.empty({shape}, {self.arguments.dtype})")
        lines += self.private.initial_lines()
        targets = ", ".join(f"{prev}[0]" for prev in names)
        lines.append(f"{targets} = {self.private.state_call('state', 'state')}")
        aliases: dict[str, str] = {}
        late: list[str] = []
        for state, prev in zip(plan.states, names, strict=True):
            if self.phases[state.update] is not Phase.STEP:
                value = rows.value(plan.equation(state.update).ref).code
                lines.append(f"{prev}[1:] = {value}")
            elif state.update in aliases:
                late.append(f"{prev}[{t} + 1] = {state.update}[{t}]")
            else:
                aliases[state.update] = prev
        if aliases:
            first = next(iter(aliases))
            about = (
                f"`{aliases[first]}[{t}]` is the value before step {t}, `{first}[{t}]` after it."
            )
            views = [f"{name} = {prev}[1:]" for name, prev in aliases.items()]
            lines = ["# " + about, *lines, *views]
        return lines, set(aliases), late


def stored(program: Program) -> tuple[list[str], list[str]]:
    """The forward equations and the states whose values the backward equations read."""
    if program.backward is None:
        return [], []
    own = {equation.name for equation in program.backward.equations}
    found = list(references(program.backward.equations))
    read = {ref.name for ref in found if ref.kind == "var" and ref.name not in own}
    states = {ref.name for ref in found if ref.kind == "state"}
    return (
        [equation.name for equation in program.plan.equations if equation.name in read],
        [state.name for state in program.plan.states if state.name in states],
    )

"""`backward`: the derivative's loop in reverse, then what is summed over all steps."""

from __future__ import annotations

from gatec.backends.numpy.aliases import Returned
from gatec.backends.numpy.arguments import names_in
from gatec.backends.numpy.equations import (
    UNTIMED,
    Scope,
    arrays,
    indented,
    one,
    section,
)
from gatec.backends.numpy.forward import param_lines
from gatec.backends.numpy.private import Private
from gatec.backends.python import Printer
from gatec.backends.python.cell import Helpers, of_phase, references
from gatec.expr import Ref
from gatec.ir import Backward, Cell, Equation, Phase

_GRADS = "grad_outputs"


class BackwardFunction:
    """The lines of `backward`, after what `_run` saved has its names."""

    def __init__(self, plan: Cell, backward: Backward, private: Private, helpers: Helpers) -> None:
        self.plan, self.back, self.private = plan, backward, private
        self.arguments, self.scope = private.arguments, Scope(helpers)
        self.forward = {e.name: e.phase for e in plan.equations}
        self.own = {e.name: e for e in backward.equations}
        self.carries = {name: state for state, name in backward.carry_names}
        self.steps = of_phase(backward.equations, Phase.STEP)
        # The values of the loop that are read after it.
        late = of_phase(backward.equations, Phase.AFTER, Phase.FINAL)
        read = {ref.name for ref in references(late) if ref.kind == "var"}
        read |= {equation for _, equation in backward.grad_inputs}
        self.kept = read & {e.name for e in self.steps}

    def lines(self) -> list[str]:
        back, scope, arguments = self.back, self.scope, self.arguments
        T, B, t = arguments.T, arguments.B, arguments.t
        once, rows = scope.printer(self._name), scope.printer(self._name, T, B)
        step = scope.printer(self._name_at_step, B)

        def phase(phase: Phase, printer: Printer) -> list[str]:
            return scope.statements(of_phase(back.equations, phase), printer)

        before = section("Before the loop.", phase(Phase.ONCE, once) + phase(Phase.SEQUENCE, rows))
        loop = self._loop(step)
        kept = [(e.name, e.value.shape) for e in self.steps if e.name in self.kept]
        after = section(
            f"All {T} * {B} rows at once.",
            phase(Phase.AFTER, rows) + phase(Phase.FINAL, once),
        )
        results = self._results(once, rows)
        body = [
            *before,
            "",
            *self._start(),
            *arrays(kept, rows, arguments.dtype),
            *([f"for {t} in reversed(range({T})):", *indented(loop)] if loop else []),
            *after,
            "",
            *results,
        ]
        return [*self._opening(body), *body]

    def _opening(self, body: list[str]) -> list[str]:
        arguments = self.arguments
        dims = [arguments.T, arguments.B, *map(str, self.plan.output_shape)]
        check = f'_check("{_GRADS}", {", ".join([_GRADS, *dims])})'
        return [
            *arguments.reopening([check, *body]),
            arguments.leading([arguments.T, arguments.B]),
            arguments.dtype_line(),
            check,
            f"{_GRADS} = np.asarray({_GRADS}, {arguments.dtype})",
            *param_lines(self.plan, names_in(body)),
        ]

    def _start(self) -> list[str]:
        carries = ", ".join(name for _, name in self.back.carry_names)
        return [f"{carries} = {self.private.state_call('grad_state', 'grad_state')}"]

    # --- The loop -------------------------------------------------------------------------------

    def _loop(self, step: Printer) -> list[str]:
        """The statements of one step, and what it sends to the step before."""
        new = dict(self.back.carries)
        direct = self._direct()

        def target(equation: Equation) -> str:
            if equation.name in self.kept:
                return f"{equation.name}[{self.arguments.t}]"
            return direct.get(equation.name, equation.name)

        lines = self.scope.statements(self.steps, step, stored=self.kept, target=target)
        pairs = []
        for state, carry in self.back.carry_names:
            if new[state] not in direct:
                equation = self.own[new[state]]
                pairs.append((carry, step.whole(equation.ref, batched=True)))
        pairs = [(carry, code) for carry, code in pairs if carry != code]
        if pairs:
            left, right = zip(*pairs, strict=True)
            lines.append(f"{', '.join(left)} = {', '.join(right)}")
        return lines

    def _direct(self) -> dict[str, str]:
        """Equations that can be written to the carry itself: nothing reads the old one later."""
        new = {equation: state for state, equation in self.back.carries}
        found: dict[str, str] = {}
        names = dict(self.back.carry_names)
        counts = [equation for _, equation in self.back.carries]
        read: set[str] = set()
        for equation in reversed(self.steps):
            state = new.get(equation.name)
            own = {ref.name for ref in references([equation])}
            if state is not None and counts.count(equation.name) == 1:
                carry = names[state]
                free = carry not in read and equation.name not in read
                if free and equation.name not in self.kept and equation.value.batched:
                    found[equation.name] = carry
            read |= own
        return found

    # --- Names ----------------------------------------------------------------------------------

    def _name(self, ref: Ref) -> str:
        if ref.kind == "state":
            return f"{ref.name}_prev[:-1]"
        if ref.kind == "grad" and ref.name not in self.carries:
            return _GRADS
        return ref.name

    def _name_at_step(self, ref: Ref) -> str:
        at = f"[{self.arguments.t}]"
        match ref.kind:
            case "state":
                return f"{ref.name}_prev{at}"
            case "grad":
                return ref.name if ref.name in self.carries else _GRADS + at
            case "input":
                return ref.name + at
            case "var":
                own = self.own.get(ref.name)
                phase = own.phase if own else self.forward[ref.name]
                local = own is not None and phase is Phase.STEP and ref.name not in self.kept
                return ref.name if local or phase in UNTIMED else ref.name + at
        return ref.name

    # --- Results --------------------------------------------------------------------------------

    def _results(self, once: Printer, rows: Printer) -> list[str]:
        plan, back = self.plan, self.back
        returned = Returned(e for e in back.equations if e.name not in self.kept)
        params, inputs = dict(back.grad_params), dict(back.grad_inputs)
        entries = []
        for param in plan.params:
            code = f"np.zeros_like({param.name})"
            if param.name in params:
                ref = self.own[params[param.name]].ref
                code = returned.code(ref, once.whole(ref))
                code = code if param.shape else f"np.asarray({code})"
            entries.append(f'"{param.name}": {code}')
        found = []
        for item in plan.inputs:
            code = f"np.zeros_like({item.name}, {self.arguments.dtype})"
            if item.name in inputs:
                ref = self.own[inputs[item.name]].ref
                code = returned.code(ref, rows.whole(ref, batched=True))
            found.append(code)
        new = dict(back.carries)
        last = [returned.code(self.own[new[state]].ref, name) for state, name in back.carry_names]
        carries = dict(back.carry_names)
        learned = [
            f'    grad_params["{s.initial.param}"] += np.sum({carries[s.name]}, axis=0)'
            for s in plan.states
            if s.initial.param is not None
        ]
        if learned:
            learned.insert(0, "if state is None:  # the initial state was the learned one")
        return [
            f"grad_params = {{{', '.join(entries)}}}",
            *learned,
            f"return grad_params, {', '.join(found)}, {one(last)}",
        ]

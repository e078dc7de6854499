"""The body of `backward`."""

from __future__ import annotations

from collections import Counter

from gatec.backends.c_family.function import (
    Body,
    Module,
    block,
    condition,
    section,
    state_of,
    store,
)
from gatec.backends.c_family.indices import count_text, product
from gatec.backends.c_family.statements import Statement, Target
from gatec.backends.c_family.storage import Slots
from gatec.expr import Ref, Shape
from gatec.ir import Backward as BackwardCell
from gatec.ir import Equation, Phase, State
from gatec.passes.common import refs

_LATE = (Phase.AFTER, Phase.FINAL)


class Backward(Body):
    """What is computed again, the loop in reverse, then all steps at once."""

    def __init__(self, module: Module, back: BackwardCell) -> None:
        super().__init__(module, back.equations)
        self.back = back
        self.forward = {equation.name: equation for equation in self.plan.equations}
        self.owner = state_of(self.plan.states, self.forward)
        self.states = {state.name: state for state in self.plan.states}
        self.carry_of = dict(back.carry_names)
        self.state_of_carry = {name: state for state, name in back.carry_names}
        self.sent_of = {
            state: module.interface.fresh(f"{carry}_sent") for state, carry in back.carry_names
        }
        # The equations whose values are carried on, by the first state that they are for.
        self.carried: dict[str, str] = {}
        for state, name in back.carries:
            if state in self.carry_of and self._in_loop(name):
                self.carried.setdefault(name, state)
        self.results = Counter(name for _, name in (*back.grad_params, *back.grad_inputs))
        self.loose = {name for _, name in back.carries} - set(self.carried)
        inputs = {name for _, name in back.grad_inputs}
        self.direct = {
            name
            for name, equation in self.equations.items()
            if self.results[name] == 1
            and not self.readers[name]
            and equation.phase in _LATE
            and equation.value.batched == (name in inputs)
        }
        for name in self.direct:
            self.read_outside |= {r.name for r in refs(self.equations[name].value, "var")}
        # `direct` values go straight to the caller, where they are wanted; `loose` ones are
        # carried but no values of the loop; `timed` ones are, and are read after it.
        self.timed = {
            name
            for name, equation in self.equations.items()
            if equation.phase is Phase.STEP
            and (set(_LATE) & self.reading_phases.get(name, set()) or name in inputs)
        }

    def _in_loop(self, name: str) -> bool:
        equation = self.equations[name]
        return equation.phase is Phase.STEP and equation.value.batched

    # --- Where values are -----------------------------------------------------------------------

    def array(self, ref: Ref, phase: Phase) -> str:
        step = "_t" if phase is Phase.STEP else ""
        match ref.kind:
            case "input":
                return ref.name + step
            case "state":
                return f"{ref.name}_prev{step}"
            case "grad":
                outside = ref.name == self.back.grad_output
                return (self.local["grad_outputs"] if outside else ref.name) + step
            case "var":
                return ref.name + (step if ref.batched else "")
        return ref.name

    def home(self, equation: Equation) -> Target:
        name, shape, batched = equation.name, equation.value.shape, equation.value.batched
        if equation.phase is Phase.STEP and name not in self.timed:
            self.storage.reserve(name, Slots.ONE, shape, batched, backward=True)
            place = f"{self.local['memory']} + {self.local['layout']}.{name}"
            self.outer.add(f"{name}_t", f"real *const {name}_t = {place};")
            return Target(f"{name}_t", shape, batched)
        slots = Slots.STEPS if batched else Slots.ONE
        self.storage.reserve(name, slots, shape, batched, backward=True)
        self.outer.add(name, self.storage.pointer(name))
        self._step(name, name, self.local["t"], shape, const=equation.phase is not Phase.STEP)
        return Target(f"{name}_t" if equation.phase is Phase.STEP else name, shape, batched)

    def fixed(self, equation: Equation) -> tuple[Target, ...]:
        """What is carried to the step before, and results."""
        name, shape = equation.name, equation.value.shape
        if name in self.direct:
            return (Target(name, shape, equation.value.batched),)
        found: list[Target] = []
        wanted = self.timed | self.loose | (self.results.keys() - self.carried.keys())
        if name in wanted:
            found.append(self.home(equation))
        for state, carry in self.back.carries:
            if carry == name and name in self.carried and state in self.carry_of:
                if found:
                    found.append(self._sent(state))
                else:
                    self._step(name, self.carry_of[state], f"{self.local['t']} % 2", shape)
                    found.append(Target(f"{name}_t", shape, True))
        return tuple(found)

    def _sent(self, state: str) -> Target:
        """What a step sends to the one before, where it is a copy of another value."""
        name, shape = self.sent_of[state], self.states[state].shape
        place = self.at(self.carry_of[state], f"{self.local['t']} % 2", shape)
        self.inner.add(name, f"real *const {name} = {place};")
        return Target(name, shape, True)

    def _step(self, name: str, base: str, slot: str, shape: Shape, const: bool = False) -> None:
        kind = "const real" if const else "real"
        self.inner.add(f"{name}_t", f"{kind} *const {name}_t = {self.at(base, slot, shape)};")

    def _stores(self) -> list[Statement]:
        """Carried values that no equation of the loop computes."""
        stores: list[Statement] = []
        for state, name in self.back.carries:
            if state in self.carry_of and name not in self.carried:
                equation = self.equations[name]
                stores.append(store(equation.ref, self._sent(state)))
        return stores

    # --- The body -------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The statements after the checks."""
        local = self.local
        self._declare()
        rows, batch = local["rows"], local["batch"]

        def phase(phase: Phase, number_of_rows: str, title: str, stores=()):  # type: ignore[no-untyped-def]
            chosen = [e for e in self.back.equations if e.phase is phase]
            chosen = [e for e in chosen if e.name not in self.direct]
            return self.phase(phase, chosen, number_of_rows, title, stores)

        body = section("Parameters alone.", phase(Phase.ONCE, "1", "Parameters alone"))
        again = phase(Phase.SEQUENCE, rows, "All rows, computed again")
        body += section("Computed again rather than kept.", again)
        start = [line for carry in self.back.carry_names for line in self._start(*carry)]
        body += section("What arrives from after the last step.", start)
        step = phase(Phase.STEP, batch, "One step back", self._stores())
        if step:
            head = f"for (size_t {local['t']} = {local['steps']}; {local['t']}-- > 0;)"
            body += ["", *block(head, [*self.inner.used(step), *step])]
        after = phase(Phase.AFTER, rows, "All rows") + phase(Phase.FINAL, "1", "Parameters")
        body += section("All steps and rows at once.", after)
        body += section("Gradients of the inputs.", self._grad_inputs())
        body += section("Gradients of the parameters.", self._grad_params())
        end = [line for state in self.plan.states for line in self._grad_initial(state)]
        body += section("Gradients of the states before the first step.", end)
        return [*self.outer.used(body), *body]

    def _declare(self) -> None:
        local, t = self.local, self.local["t"]
        self.param_pointers()
        rows, memory = local["rows"], local["memory"]
        self.outer.add(rows, f"const size_t {rows} = {local['steps']} * {local['batch']};")
        self.outer.add(memory, f"real *const {memory} = (real *){local['workspace']};")
        for item in self.plan.inputs:
            self._step(item.name, item.name, t, item.shape, const=True)
        for state in self.plan.states:
            name = f"{state.name}_prev"
            self.outer.add(name, self.storage.pointer(name))
            self._step(name, name, t, state.shape, const=True)
        for equation in self.plan.equations:
            self._declare_forward(equation)
        grads = local["grad_outputs"]
        self._step(grads, grads, t, self.plan.output_shape, const=True)
        for name, carry in self.back.carry_names:
            shape = self.states[name].shape
            self.storage.reserve(carry, Slots.PAIR, shape, True, backward=True)
            self.outer.add(carry, self.storage.pointer(carry))
            self._step(carry, carry, f"({t} + 1) % 2", shape, const=True)
        for found, group in (
            (self.back.grad_params, local["grad_params"]),
            (self.back.grad_inputs, local["grad_inputs"]),
        ):
            for member, name in found:
                if name in self.direct:
                    self.outer.add(name, f"real *const {name} = {group}->{member};")

    def _declare_forward(self, equation: Equation) -> None:
        """The pointers to values that `forward` left in the workspace."""
        name, shape = equation.name, equation.value.shape
        if name in self.owner:
            base = f"{self.owner[name].name}_prev"
            first = f"{base} + {self.units(shape)}"
            self.outer.add(name, f"const real *const {name} = {first};")
            self._step(name, base, f"({self.local['t']} + 1)", shape, const=True)
        elif name in self.module.kept:
            self.outer.add(name, self.storage.pointer(name))
            self._step(name, name, self.local["t"], shape, const=True)

    def _start(self, state: str, carry: str) -> list[str]:
        shape = self.states[state].shape
        target = self.at(carry, f"{self.local['steps']} % 2", shape)
        return self.copy(shape, target, f"{self.local['grad_last']}->{state}")

    # --- Results --------------------------------------------------------------------------------

    def _grad_inputs(self) -> list[str]:
        found, lines = dict(self.back.grad_inputs), list[str]()
        rows = self.local["rows"]
        for item in self.plan.inputs:
            target = f"{self.local['grad_inputs']}->{item.name}"
            count = count_text(item.shape)
            name = found.get(item.name)
            if name is None:
                lines += condition(f"{target} != NULL", self._zero(product(rows, count), target))
            elif name in self.direct:
                equation = self.equations[name]
                made = self.phase(equation.phase, [equation], rows, "All rows")
                lines += condition(f"{name} != NULL", made)
            else:
                self.home(self.equations[name])
                stride = count if self.equations[name].value.batched else "0"
                args = (rows, count, target, count, name, stride, "1")
                lines += condition(f"{target} != NULL", self.dialect.call("copy", args))
        return lines

    def _grad_params(self) -> list[str]:
        found, lines = dict(self.back.grad_params), list[str]()
        for param in self.plan.params:
            target = f"{self.local['grad_params']}->{param.name}"
            count = count_text(param.shape)
            name = found.get(param.name)
            made: list[str] = []
            if name is None:
                made = self._zero(count, target)
            elif name in self.direct:
                target, equation = name, self.equations[name]
                rows = self.local["rows"] if equation.phase is Phase.AFTER else "1"
                made = self.phase(equation.phase, [equation], rows, "Parameters")
            else:
                self.home(self.equations[name])
                made = self.dialect.call("copy", ("1", count, target, count, name, count, "1"))
            for state in self.plan.states:
                if state.initial.param == param.name and state.name in self.carry_of:
                    made += self._learned(state, target)
            lines += condition(f"{target} != NULL", made)
        return lines

    def _learned(self, state: State, target: str) -> list[str]:
        """A learned initial state: what reaches it from all rows that started with it."""
        count = count_text(state.shape)
        args = (self.local["batch"], count, target, self.carry_of[state.name], count, "1")
        given = f"{self.local['initial']}->{state.name}"
        return condition(f"{given} == NULL", self.dialect.call("sum_rows", args))

    def _grad_initial(self, state: State) -> list[str]:
        target = f"{self.local['grad_initial']}->{state.name}"
        carry = self.carry_of.get(state.name)
        if carry is None:
            made = self._zero(self.units(state.shape), target)
        else:
            made = self.copy(state.shape, target, carry)
        return condition(f"{target} != NULL", made)

    def _zero(self, count: str, target: str) -> list[str]:
        return self.dialect.call("fill", (count, target, "0"))

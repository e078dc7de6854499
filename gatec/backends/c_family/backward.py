"""The body of `backward`."""

from __future__ import annotations

from collections import Counter

from gatec.backends.c_family.function import (
    CHUNKED,
    Body,
    Module,
    block,
    condition,
    section,
    state_of,
    store,
)
from gatec.backends.c_family.indices import count_text, product
from gatec.backends.c_family.lines import words
from gatec.backends.c_family.parts import SHARED, Parts
from gatec.backends.c_family.statements import Statement, Target
from gatec.backends.c_family.storage import Slots
from gatec.expr import Apply, Ref
from gatec.ir import Backward as BackwardCell
from gatec.ir import Equation, Phase, State
from gatec.passes.common import refs

_LATE = (Phase.AFTER, Phase.FINAL)
_CHUNK = "All rows of a chunk"


class Backward(Body):
    """Chunk by chunk from the end: what is computed again, the loop in reverse, then all rows.

    Sums over rows grow from chunk to chunk, so that what the rows need takes no more memory than
    that of a chunk.
    """

    backward = True

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
        # The places of what a step receives and what it sends: two in turn.
        t = self.local["t"]
        self.receives, self.sends = f"({t} + 1) % 2", f"{t} % 2"
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
        step = phase is Phase.STEP
        match ref.kind:
            case "input":
                return self._chosen(ref.name, step)
            case "state":
                return self._chosen(f"{ref.name}_prev", step)
            case "grad":
                outside = ref.name == self.back.grad_output
                return self._chosen(self.local["grad_outputs"] if outside else ref.name, step)
            case "var" if ref.batched and ref.name in self.equations:
                return ref.name + ("_t" if step else "")  # an array of one chunk
            case "var" if ref.batched:
                return self._chosen(ref.name, step)
        return ref.name

    def _chosen(self, array: str, step: bool) -> str:
        """The rows of a step, or those of a chunk, of an array of all steps."""
        return f"{array}_t" if step else self.module.interface.chunk_of(array)

    def home(self, equation: Equation) -> Target:
        name, shape, batched = equation.name, equation.value.shape, equation.value.batched
        step = equation.phase is Phase.STEP
        if step and name not in self.timed and not self.parts:
            self.storage.reserve(name, Slots.ONE, shape, batched, backward=True)
            self.declare_local(name, shape, batched)
            return Target(f"{name}_t", shape, batched)
        slots = Slots.CHUNK if batched else Slots.ONE
        self.storage.reserve(name, slots, shape, batched, backward=True)
        self.outer.add(name, self.storage.pointer(name))
        if batched:
            since = f"({self.local['t']} - {self.local['first']})"
            self.declare_step(name, name, since, shape, const=not step)
        return Target(f"{name}_t" if step else name, shape, batched)

    def fixed(self, equation: Equation) -> tuple[Target, ...]:
        """What is carried to the step before, and results."""
        name, shape = equation.name, equation.value.shape
        if name in self.direct:
            batched = equation.value.batched
            array = self.module.interface.chunk_of(name) if batched else name
            return (Target(array, shape, batched),)
        found: list[Target] = []
        wanted = self.timed | self.loose | (self.results.keys() - self.carried.keys())
        if name in wanted:
            found.append(self.home(equation))
        for state, carry in self.back.carries:
            if carry == name and name in self.carried and state in self.carry_of:
                if found:
                    found.append(self._sent(state))
                else:
                    self.declare_step(name, self.carry_of[state], self.sends, shape)
                    found.append(Target(f"{name}_t", shape, True))
        return tuple(found)

    def _sent(self, state: str) -> Target:
        """What a step sends to the one before, where it is a copy of another value."""
        name, shape = self.sent_of[state], self.states[state].shape
        place = self.rows_at(self.carry_of[state], self.sends, shape)
        self.inner.add(name, f"real *const {name} = {place};")
        self.places[name] = self.place(self.carry_of[state], self.sends)
        return Target(name, shape, True)

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
        if self.module.scans is not None and self.module.scans.backward is not None:
            self.parts = Parts(self, self.module.scans.backward)
            self._declare_places()
        self._declare()
        if self.parts:
            self.parts.declare()
        chosen = [e for e in self.back.equations if e.name not in self.direct]
        of = {phase: [e for e in chosen if e.phase is phase] for phase in Phase}
        rows, own = self.local["rows"], self.dialect.own
        once = self.phase(Phase.ONCE, of[Phase.ONCE], "1", "Parameters alone")
        start = [line for carry in self.back.carry_names for line in self._start(*carry)]
        again = self.phase(
            Phase.SEQUENCE, of[Phase.SEQUENCE], rows, "All rows of a chunk, computed again"
        )
        step = self.phase(Phase.STEP, of[Phase.STEP], own, "One step back", self._stores())
        after = self.phase(Phase.AFTER, of[Phase.AFTER], rows, _CHUNK)
        after += self._direct_sums()
        chunk = self._chunk(again, step, after, self._grad_inputs())
        final = self.phase(Phase.FINAL, of[Phase.FINAL], "1", "Parameters")
        params = self._grad_params()

        body = section("Parameters alone.", [*once, *self.fill(), *self.pack()])
        body += section("What arrives from after the last step.", start)
        body += section("Sums over rows.", self._zeros())
        body += ["", *chunk] if chunk else []
        body += section("The sums in the shapes of parameters.", final)
        body += section("Gradients of the parameters.", params)
        end = [line for state in self.plan.states for line in self._grad_initial(state)]
        body += section("Gradients of the states before the first step.", end)
        return [*self.outer.used(body), *body]

    def _chunk(
        self, again: list[str], step: list[str], after: list[str], inputs: list[str]
    ) -> list[str]:
        """The loop over chunks of steps, the last one first."""
        local = self.local
        t, first, end = local["t"], local["first"], local["end"]
        chunk, rows = local["chunk"], local["rows"]
        lines = section("Computed again rather than kept.", again)
        if step:
            shared = self._shared()
            lines += section(SHARED, [*self.parts.bounds(), *shared] if self.parts else [])
            start, stop = (local["start"], local["stop"]) if self.parts else (first, end)
            head = f"for (size_t {t} = {stop}; {t}-- > {start};)"
            lines += ["", *block(head, [*self.inner.used(step), *step]), *self.dialect.waits()]
        lines += section("All steps and rows of the chunk at once.", after)
        lines += section("Gradients of the inputs.", inputs)
        if not lines:
            return []
        places = self.middle.used(lines)
        if rows in words([*places, *lines]):
            places.insert(0, f"const size_t {rows} = ({end} - {first}) * {local['batch']};")
        # The chunks are those of forward, so that a sequence may be computed in parts that are
        # whole chunks.
        start = f"const size_t {first} = ({end} - 1) / {chunk} * {chunk};"
        inside = [start, *places, *lines, f"{end} = {first};"]
        return block(f"for (size_t {end} = {local['steps']}; {end} > 0;)", inside)

    def _sums(self) -> list[Equation]:
        """The equations that grow from chunk to chunk."""
        return [
            equation
            for equation in self.back.equations
            if isinstance(equation.value, Apply)
            and equation.value.op == "batch_sum"
            and equation.phase in CHUNKED
        ]

    def _zeros(self) -> list[str]:
        """Sums over rows begin with 0; those that go to the caller, where they are wanted."""
        lines: list[str] = []
        for equation in self._sums():
            name = equation.name
            zero = self._zero(count_text(equation.value.shape), name)
            lines += condition(f"{name} != NULL", zero) if name in self.direct else zero
        return lines

    def _direct_sums(self) -> list[str]:
        """The sums that go straight to the caller, where they are wanted."""
        lines: list[str] = []
        for equation in self._sums():
            if equation.name in self.direct:
                made = self.phase(equation.phase, [equation], self.local["rows"], _CHUNK)
                lines += condition(f"{equation.name} != NULL", made)
        return lines

    def _declare(self) -> None:
        local, t, first = self.local, self.local["t"], self.local["first"]
        self.param_pointers()
        memory, chunk = local["memory"], local["chunk"]
        self.outer.add(chunk, f"const size_t {chunk} = {self.chunk_steps()};")
        self.outer.add(memory, f"real *const {memory} = (real *){local['workspace']};")
        for item in self.plan.inputs:
            self.declare_step(item.name, item.name, t, item.shape, const=True)
            self.declare_chunk(item.name, item.name, first, item.shape)
        for state in self.plan.states:
            name = f"{state.name}_prev"
            self.outer.add(name, self.storage.pointer(name))
            self.declare_step(name, name, t, state.shape, const=True)
            self.declare_chunk(name, name, first, state.shape)
        for equation in self.plan.equations:
            self._declare_forward(equation)
        grads = local["grad_outputs"]
        self.declare_step(grads, grads, t, self.plan.output_shape, const=True)
        self.declare_chunk(grads, grads, first, self.plan.output_shape)
        for name, carry in self.back.carry_names:
            shape = self.states[name].shape
            slots = Slots.CARRIES if self.parts else Slots.PAIR
            self.storage.reserve(carry, slots, shape, True, backward=True)
            self.outer.add(carry, self.storage.pointer(carry))
            unless = self.parts.unless(carry) if self.parts else ""
            self.declare_step(carry, carry, self.receives, shape, const=True, unless=unless)
        for found, group in (
            (self.back.grad_params, local["grad_params"]),
            (self.back.grad_inputs, local["grad_inputs"]),
        ):
            for member, name in found:
                if name in self.direct:
                    self.outer.add(name, f"real *const {name} = {group}->{member};")

    def _declare_places(self) -> None:
        """The places of what is carried where threads may share steps: then those of a chunk."""
        t, first, joined = (self.local[word] for word in ("t", "first", "joined"))
        for word, slot, shared in (
            ("before", self.receives, f"{t} + 1 - {first}"),
            ("after", self.sends, f"{t} - {first}"),
        ):
            name = self.local[word]
            self.inner.add(name, f"const size_t {name} = {joined} ? {shared} : {slot};")
            self.slots[name] = self.slots[slot]
        self.receives, self.sends = self.local["before"], self.local["after"]

    def _shared(self) -> list[str]:
        """Which steps are a thread's own, where threads share those of a chunk."""
        if self.parts is None:
            return []
        end, steps = self.local["end"], self.local["steps"]
        slot = f"({end} == {steps} ? {steps} % 2 : 0)"
        begins = {
            carry: self.at(carry, slot, self.states[name].shape)
            for name, carry in self.back.carry_names
        }
        return self.parts.lines(begins)

    def _declare_forward(self, equation: Equation) -> None:
        """The pointers to values that `forward` left in the workspace."""
        name, shape = equation.name, equation.value.shape
        t, first = self.local["t"], self.local["first"]
        if name in self.owner:
            base = f"{self.owner[name].name}_prev"
            self.declare_step(name, base, f"({t} + 1)", shape, const=True)
            self.declare_chunk(name, base, f"({first} + 1)", shape)
        elif name in self.module.kept:
            self.outer.add(name, self.storage.pointer(name))
            if equation.value.batched:
                self.declare_step(name, name, t, shape, const=True)
                self.declare_chunk(name, name, first, shape)

    def _start(self, state: str, carry: str) -> list[str]:
        shape = self.states[state].shape
        target = self.at(carry, f"{self.local['steps']} % 2", shape)
        return self.copy(shape, target, f"{self.local['grad_last']}->{state}")

    # --- Results --------------------------------------------------------------------------------

    def _grad_inputs(self) -> list[str]:
        """The gradients by the inputs of a chunk."""
        found, lines = dict(self.back.grad_inputs), list[str]()
        rows, first = self.local["rows"], self.local["first"]
        for item in self.plan.inputs:
            target = f"{self.local['grad_inputs']}->{item.name}"
            count = count_text(item.shape)
            name = found.get(item.name)
            place = self.at(target, first, item.shape)
            if name is None:
                made = self._zero(product(rows, count), place)
            elif name in self.direct:
                equation, target = self.equations[name], name
                made = self.phase(equation.phase, [equation], rows, _CHUNK)
                chunk = self.module.interface.chunk_of(name)
                made = [f"real *const {chunk} = {self.at(name, first, item.shape)};", *made]
            else:
                self.home(self.equations[name])
                stride = count if self.equations[name].value.batched else "0"
                made = self.dialect.call("copy", (rows, count, place, count, name, stride, "1"))
            lines += condition(f"{target} != NULL", made)
        return lines

    def _grad_params(self) -> list[str]:
        found, lines = dict(self.back.grad_params), list[str]()
        sums = {equation.name for equation in self._sums()}
        for param in self.plan.params:
            target = f"{self.local['grad_params']}->{param.name}"
            count = count_text(param.shape)
            name = found.get(param.name)
            made: list[str] = []
            if name is None:
                made = self._zero(count, target)
            elif name in self.direct:
                target, equation = name, self.equations[name]
                if name not in sums:
                    made = self.phase(equation.phase, [equation], "1", "Parameters")
            else:
                self.home(self.equations[name])
                made = self.dialect.call("copy", ("1", count, target, count, name, count, "1"))
            for state in self.plan.states:
                if state.initial.param == param.name and state.name in self.carry_of:
                    made += self._learned(state, target)
            if made:
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

"""The body of `forward`."""

from __future__ import annotations

from gatec.backends.c_family.expressions import number
from gatec.backends.c_family.function import (
    Body,
    Module,
    block,
    condition,
    otherwise,
    section,
    state_of,
    store,
)
from gatec.backends.c_family.indices import count_text, product
from gatec.backends.c_family.lines import words
from gatec.backends.c_family.parts import SHARED, Parts
from gatec.backends.c_family.statements import Statement, Target
from gatec.backends.c_family.storage import Slots
from gatec.expr import Ref, Shape
from gatec.ir import Equation, Phase, State


class Forward(Body):
    """Parameters alone; then, chunk by chunk, the inputs alone and the loop over time."""

    backward = False

    def __init__(self, module: Module) -> None:
        super().__init__(module, module.program.plan.equations)
        self.read_outside |= module.kept
        self.owner = state_of(self.plan.states, self.equations)
        self.roots = {self.plan.output, *(state.update for state in self.plan.states)}

    # --- Where values are -----------------------------------------------------------------------

    def array(self, ref: Ref, phase: Phase) -> str:
        step = phase is Phase.STEP
        match ref.kind:
            case "input":
                return f"{ref.name}_t" if step else self.module.interface.chunk_of(ref.name)
            case "state":
                return f"{ref.name}_prev_t"
            case "var" if ref.batched:
                kept = self.equations[ref.name].phase is not Phase.STEP and self._is_kept(ref.name)
                rows = kept or (self.parts and self.equations[ref.name].phase is Phase.SEQUENCE)
                return f"{ref.name}_t" if step else self._rows(ref.name) if rows else ref.name
        return ref.name

    def _is_kept(self, name: str) -> bool:
        return name in self.module.kept

    def _rows(self, name: str) -> str:
        return self.module.interface.chunk_of(name)

    def home(self, equation: Equation) -> Target:
        name, shape, batched = equation.name, equation.value.shape, equation.value.batched
        local = self.local
        if equation.phase is not Phase.STEP:
            kept = batched and self._is_kept(name)
            slots = Slots.KEPT_CHUNK if kept else Slots.CHUNK if batched else Slots.ONE
            self.storage.reserve(name, slots, shape, batched)
            self.outer.add(name, self.storage.pointer(name))
            if batched and self.parts:
                return Target(self._own_rows(name, shape, kept), shape, batched)
            rows = name
            if kept:
                slot = f"({local['train']} ? {local['first']} : 0)"
                rows = self.declare_chunk(name, name, slot, shape, const=False)
            if batched:
                since = f"({local['t']} - {local['first']})"
                self.declare_step(name, rows, since, shape, const=True)
            return Target(rows, shape, batched)
        if self._is_kept(name):
            slots = Slots.KEPT_CHUNK if self.parts else Slots.KEPT
            self.storage.reserve(name, slots, shape, batched)
            self.outer.add(name, self.storage.pointer(name))
            self.declare_step(name, name, local["slot"], shape)
        elif self.parts:
            self.storage.reserve(name, Slots.CHUNK, shape, batched)
            self.outer.add(name, self.storage.pointer(name))
            self.declare_step(name, name, f"({local['t']} - {local['first']})", shape)
        else:
            self.storage.reserve(name, Slots.ONE, shape, batched)
            self.declare_local(name, shape, batched)
        return Target(f"{name}_t", shape, batched)

    def _own_rows(self, name: str, shape: Shape, kept: bool) -> str:
        """The rows of a chunk that are a thread's own, where threads share its steps."""
        t, first, start, train = (self.local[word] for word in ("t", "first", "start", "train"))
        for slot, of in ((start, self.declare_chunk), (t, self.declare_step)):
            since = f"({slot} - {first})"
            place = f"({train} ? {slot} : {slot} - {first})" if kept else since
            of(name, name, place, shape, const=slot == t)
        return self._rows(name)

    def crew(self, phase: Phase) -> str:
        return "chunk_team" if self.parts and phase is Phase.SEQUENCE else "team"

    def fixed(self, equation: Equation) -> tuple[Target, ...]:
        """States' arrays and the outputs."""
        if equation.phase is not Phase.STEP:
            return (self.home(equation),) if equation.name in self.roots else ()
        name, shape = equation.name, equation.value.shape
        found: list[Target] = []
        if name in self.owner:
            base = f"{self.owner[name].name}_prev"
            self.declare_step(name, base, self.local["after"], shape)
            found.append(Target(f"{name}_t", shape, True))
            found += [
                self._next(state)
                for state in self.plan.states
                if state.update == name and state is not self.owner[name]
            ]
        elif name in self.module.kept:
            found.append(self.home(equation))
        if name == self.plan.output:
            if found:
                found.append(self._output(shape))
            else:
                self.declare_step(name, self.local["outputs"], self.local["t"], shape)
                found.append(Target(f"{name}_t", shape, True))
        return tuple(found)

    def _next(self, state: State) -> Target:
        """A state's new value, where it is a copy of another one."""
        name = self.module.interface.next_of[state.name]
        place = self.rows_at(f"{state.name}_prev", self.local["after"], state.shape)
        self.inner.add(name, f"real *const {name} = {place};")
        self.places[name] = self.place(f"{state.name}_prev", self.local["after"])
        return Target(name, state.shape, True)

    def _output(self, shape: Shape) -> Target:
        name = self.local["outputs"]
        self.declare_step(name, name, self.local["t"], shape)
        return Target(f"{name}_t", shape, True)

    def _stores(self) -> list[Statement]:
        """New states and outputs that no equation of the loop computes."""
        stores: list[Statement] = []
        for state in self.plan.states:
            equation = self.equations[state.update]
            if equation.phase is not Phase.STEP:
                stores.append(store(equation.ref, self._next(state)))
        output = self.equations[self.plan.output]
        if output.phase is not Phase.STEP:
            stores.append(store(output.ref, self._output(output.value.shape)))
        return stores

    # --- The body -------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The statements after the checks."""
        local = self.local
        if self.module.scans is not None:
            self.parts = Parts(self, self.module.scans.forward)
        self._declare()
        if self.parts:
            self.parts.declare()
        phases = {phase: [e for e in self.plan.equations if e.phase is phase] for phase in Phase}
        once = self.phase(Phase.ONCE, phases[Phase.ONCE], "1", "Parameters alone")
        before = self.phase(
            Phase.SEQUENCE, phases[Phase.SEQUENCE], local["rows"], "All rows of a chunk"
        )
        step = self.phase(
            Phase.STEP, phases[Phase.STEP], self.dialect.own, "One step", self._stores()
        )
        start = [line for state in self.plan.states for line in self._start(state)]
        end = [line for state in self.plan.states for line in self._finish(state)]
        body = section("Parameters alone.", [*once, *self.fill(), *self.pack()])
        body += section("The states before the first step.", start)
        body += ["", *self._loop(before, step)]
        body += section("The states after the last step.", end)
        return [*self.outer.used(body), *body]

    def _declare(self) -> None:
        local, plan = self.local, self.plan
        self.param_pointers()
        train, steps, t = (local[n] for n in ("train", "steps", "t"))
        chunk, newest, memory = (local[n] for n in ("chunk", "newest", "memory"))
        # The places of states without `train`: two in turn, or those of a chunk where it is shared.
        newest_of, slot_of, before, after = f"{steps} % 2", "0", f"{t} % 2", f"({t} + 1) % 2"
        if self.parts:
            first, joined = local["first"], local["joined"]
            newest_of = f"{joined} ? ({steps} - 1) % {chunk} + 1 : {newest_of}"
            slot_of = f"{joined} ? {t} - {first} : {slot_of}"
            before = f"{joined} ? {t} - {first} : {before}"
            after = f"{joined} ? {t} + 1 - {first} : {after}"
        self.outer.add(chunk, f"const size_t {chunk} = {self.chunk_steps()};")
        self.outer.add(newest, f"const size_t {newest} = {train} ? {steps} : {newest_of};")
        self.outer.add(memory, f"real *const {memory} = (real *){local['workspace']};")
        places = {
            "slot": f"{train} ? {t} : {slot_of}",
            "before": f"{train} ? {t} : {before}",
            "after": f"{train} ? {t} + 1 : {after}",
        }
        for word, value in places.items():
            self.inner.add(local[word], f"const size_t {local[word]} = {value};")
        for item in plan.inputs:
            self.declare_step(item.name, item.name, t, item.shape, const=True)
        for state in plan.states:
            name = f"{state.name}_prev"
            slots = Slots.STATES_CHUNK if self.parts else Slots.STATES
            self.storage.reserve(name, slots, state.shape, True)
            self.outer.add(name, self.storage.pointer(name))
            unless = self.parts.unless(state.name) if self.parts else ""
            self.declare_step(name, name, local["before"], state.shape, const=True, unless=unless)

    def _loop(self, before: list[str], step: list[str]) -> list[str]:
        """The loop over time, inside one over chunks where something comes before it."""
        local = self.local
        t, first, end = local["t"], local["first"], local["end"]
        steps, chunk, rows = local["steps"], local["chunk"], local["rows"]
        inside = [*self.inner.used(step), *step]
        shared = self._shared()
        if not before and not shared:
            loop = block(f"for (size_t {t} = 0; {t} < {steps}; {t}++)", inside)
            return [*loop, *(self.dialect.waits() if step else [])]
        lines = [f"const size_t {end} = {steps} - {first} < {chunk} ? {steps} : {first} + {chunk};"]
        begin, stop = (local["start"], local["stop"]) if self.parts else (first, end)
        lines += self.parts.bounds() if self.parts else []
        if rows in words(before):
            lines.append(f"const size_t {rows} = ({stop} - {begin}) * {local['batch']};")
        for item in self.plan.inputs:
            self.declare_chunk(item.name, item.name, begin, item.shape)
        lines += self.middle.used([*before, *shared, *inside])
        lines += section("Inputs alone: all steps and rows of a chunk at once.", before)
        lines += section(SHARED, shared)
        lines += ["", *block(f"for (size_t {t} = {begin}; {t} < {stop}; {t}++)", inside)]
        lines += self.dialect.waits()
        return block(f"for (size_t {first} = 0; {first} < {steps}; {first} += {chunk})", lines)

    def _shared(self) -> list[str]:
        """Which steps are a thread's own, where threads share those of a chunk."""
        if self.parts is None:
            return []
        first, train, chunk = (self.local[word] for word in ("first", "train", "chunk"))
        slot = f"({first} == 0 ? 0 : {train} ? {first} : {chunk})"
        begins = {
            state.name: self.at(f"{state.name}_prev", slot, state.shape)
            for state in self.plan.states
        }
        return self.parts.lines(begins)

    def _start(self, state: State) -> list[str]:
        """A state before the first step: the caller's, or the cell's own."""
        target, given = f"{state.name}_prev", f"{self.local['initial']}->{state.name}"
        copied = self.copy(state.shape, target, given)
        if state.initial.param is not None:
            own = self.copy(state.shape, target, state.initial.param, repeat=True)
        elif state.initial.value:
            count = product(self.local["batch"], count_text(state.shape))
            own = self.dialect.call("fill", (count, target, number(state.initial.value)))
        else:
            return copied  # what is not given is copied as zeros
        return otherwise(condition(f"{given} != NULL", copied), own)

    def _finish(self, state: State) -> list[str]:
        target = f"{self.local['last']}->{state.name}"
        source = self.at(f"{state.name}_prev", self.local["newest"], state.shape)
        return condition(f"{target} != NULL", self.copy(state.shape, target, source))

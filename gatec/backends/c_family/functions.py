"""The bodies of the generated functions: memory, forward and backward, as lines of C.

The workspace holds every array between and inside the calls. `train` keeps the values of all
steps for the backward pass; without it, what a step computes takes the place of the last one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from gatec.backends.c_family.expressions import count_text, dim_text, number
from gatec.backends.c_family.interface import Interface
from gatec.backends.c_family.tasks import Loop, Place, Task, copy, tasks
from gatec.expr import Ref, Shape
from gatec.ir import Equation, Phase, Program, State
from gatec.passes.common import nodes

_WORD = re.compile(r"[A-Za-z_]\w*")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class Emitter(ABC):
    """How a target runs a task."""

    @abstractmethod
    def emit(self, task: Task) -> list[str]:
        """The statements that run a task, in the host's function."""


@dataclass(frozen=True)
class Array:
    """An array of the workspace: `slots` values for a shape, with or without the batch."""

    name: str
    slots: str  # "1", "steps", "train ? steps : 1", ...
    shape: Shape
    batched: bool


def words(lines: Iterable[str]) -> set[str]:
    """The identifiers of code, comments left out."""
    return set(_WORD.findall(_COMMENT.sub("", "\n".join(lines))))


class Functions:
    """The lines of `forward` and `backward` of a program."""

    def __init__(self, program: Program, emitter: Emitter) -> None:
        self.program, self.plan, self.back = program, program.plan, program.backward
        self.emitter = emitter
        self.interface = Interface(program)
        self.local = self.interface.local
        self.forward_equations = {e.name: e for e in self.plan.equations}
        self.backward_equations = {e.name: e for e in self.back.equations} if self.back else {}
        self.kept = self._kept()
        self.owner = self._owners()
        self.arrays: dict[str, Array] = {}
        self.scalars: set[str] = set()  # equations that are local variables of one loop
        self.restrict = "restrict"
        self.zeros = {
            p.name: self.interface.fresh(f"{p.name}_zeros") for p in self.plan.params if p.bias
        }

    # --- What is kept -----------------------------------------------------------------------

    def _kept(self) -> set[str]:
        """The equations computed in a loop whose values of all steps are read."""
        if self.back is None:
            return set()
        kept: set[str] = set()
        for equation in self.back.equations:
            for ref in _vars(equation):
                own = self.backward_equations.get(ref.name)
                if own is None:
                    kept.add(ref.name)
                elif own.phase is Phase.STEP and equation.phase is not Phase.STEP:
                    kept.add(ref.name)
        kept |= {name for _, name in self.back.grad_inputs}
        return kept | set(self.back.stored)

    def _owners(self) -> dict[str, State]:
        """The equations whose values are written to a state's array, without a copy."""
        owners: dict[str, State] = {}
        for state in self.plan.states:
            equation = self.forward_equations[state.update]
            if equation.phase is Phase.STEP and equation.value.batched:
                owners.setdefault(state.update, state)
        return owners

    def _outside(self, equations: list[Equation], everything: Iterable[Equation]) -> set[str]:
        """What is read by other equations than these, or by the function around them."""
        own = {e.name for e in equations}
        read = {ref.name for e in everything if e.name not in own for ref in _vars(e)}
        read |= self.kept | {self.plan.output} | {s.update for s in self.plan.states}
        if self.back is not None:
            read |= {name for _, name in (*self.back.carries, *self.back.grad_params)}
            read |= {name for _, name in self.back.grad_inputs}
        return read

    # --- Names of arrays --------------------------------------------------------------------

    def _array(self, ref: Ref, step: bool) -> str:
        """The array of a reference, of all steps or of the step at hand."""
        suffix = "_t" if step else ""
        match ref.kind:
            case "param":
                return ref.name
            case "input":
                return ref.name + suffix
            case "state":
                return f"{ref.name}_prev{suffix}"
            case "grad":
                back = self.back
                assert back is not None
                carries = {name for _, name in back.carry_names}
                return ref.name if ref.name in carries else self.local["grad_outputs"] + suffix
        equation = self.forward_equations.get(ref.name) or self.backward_equations[ref.name]
        timed = equation.phase in (Phase.STEP, Phase.SEQUENCE, Phase.AFTER)
        return ref.name + (suffix if timed and equation.value.batched else "")

    def _place(self, step: bool, rows: str) -> Place:
        return Place(lambda ref: self._array(ref, step), self.local[rows], self.interface.names)

    def _tasks(
        self, equations: list[Equation], step: bool, everything: Iterable[Equation]
    ) -> list[str]:
        outside = self._outside(equations, everything)
        place = self._place(step, "batch" if step else "rows")
        made = tasks(equations, place, lambda name: name in outside)
        for task in made:
            if isinstance(task, Loop):
                self.scalars |= task.scalars
        return self.emit(made)

    def emit(self, made: Iterable[Task]) -> list[str]:
        return [line for task in made for line in self.emitter.emit(task)]

    def _copy(self, source: Ref, array: str, target: str, rows: str) -> list[str]:
        place = self._place(False, rows)
        return self.emit([copy(source, array, target, place)])

    # --- Memory -----------------------------------------------------------------------------

    def _reserve(self, name: str, slots: str, shape: Shape, batched: bool) -> None:
        self.arrays.setdefault(name, Array(name, slots, shape, batched))

    def _equation_array(self, equation: Equation, used: set[str]) -> None:
        """Memory for an equation's values, where the printed code uses them."""
        name, local = equation.name, self.local
        if name in self.owner and equation is self.forward_equations.get(name):
            return
        if name in self.scalars or not {name, name + "_t"} & used:
            return
        slots = "1"
        if equation.value.batched and equation.phase in (Phase.SEQUENCE, Phase.AFTER):
            slots = local["steps"]
        elif equation.value.batched and equation.phase is Phase.STEP and name in self.kept:
            forward = name in self.forward_equations
            slots = f"{local['train']} ? {local['steps']} : 1" if forward else local["steps"]
        self._reserve(name, slots, equation.value.shape, equation.value.batched)

    def _array_pointer(self, name: str) -> str:
        return f"real *const {name} = {self.local['memory']} + {self.local['at']}.{name};"

    def _block(self, shape: Shape) -> str:
        """The number of units of a step."""
        count = count_text(shape)
        return self.local["batch"] if count == "1" else f"({self.local['batch']} * {count})"

    def _step_pointers(self, used: set[str], backward: bool) -> list[str]:
        """The pointers of this step that the loop's lines use."""
        local, lines = self.local, []

        def pointer(name: str, base: str, slot: str, shape: Shape, const: bool) -> None:
            if f"{name}_t" in used:
                kind = "const real" if const else "real"
                at = f" + {slot} * {self._block(shape)}" if slot else ""
                lines.append(f"{kind} *{self.restrict} const {name}_t = {base}{at};")

        t = local["t"]
        for item in self.plan.inputs:
            pointer(item.name, item.name, t, item.shape, True)
        for state in self.plan.states:
            before, after = (t, f"({t} + 1)") if backward else (local["before"], local["after"])
            name = f"{state.name}_prev"
            pointer(name, name, before, state.shape, True)
            if self.owner.get(state.update) is state:
                pointer(state.update, name, after, state.shape, backward)
        equations = [*self.forward_equations.values()]
        equations += self.backward_equations.values() if backward else []
        for equation in equations:
            if equation.name in self.owner and equation.name in self.forward_equations:
                continue
            if not equation.value.batched:
                continue
            slot = ""
            if equation.phase in (Phase.SEQUENCE, Phase.AFTER):
                slot = t
            elif equation.name in self.kept:
                slot = t if backward else local["slot"]
            const = equation.phase is not Phase.STEP
            const |= backward and equation.name in self.forward_equations
            pointer(equation.name, equation.name, slot, equation.value.shape, const)
        if backward:
            shape = self.plan.output_shape
            pointer(local["grad_outputs"], local["grad_outputs"], t, shape, True)
        return lines

    def _declarations(self, body: list[str], backward: bool) -> list[str]:
        """The constants, parameters, inputs and arrays that the lines use."""
        local, used = self.local, words(body)
        lines: list[str] = []
        for constant in self.plan.constants:
            if constant.name in used:
                default = number(constant.value)
                given = local["constants"]
                lines.append(
                    f"const real {constant.name} ="
                    f" {given} != NULL ? (real){given}->{constant.name} : {default};"
                )
        for param in self.plan.params:
            if param.name in used:
                value = f"{local['params']}->{param.name}"
                if param.bias:
                    value += f" != NULL ? {value} : {self.zeros[param.name]}"
                    used.add(self.zeros[param.name])
                lines.append(f"const real *const {param.name} = {value};")
        for item in self.plan.inputs:
            if item.name in used:
                lines.append(f"const real *const {item.name} = {local['inputs']}->{item.name};")
        for name in self.arrays:
            if name in used:
                lines.append(self._array_pointer(name))
        lines.sort(key=lambda line: line.startswith("const"))
        return lines

    # --- Forward ----------------------------------------------------------------------------

    def forward(self) -> list[str]:
        """The body of `forward`, after the checks."""
        local, plan = self.local, self.plan
        everything = [*plan.equations]
        parts = {
            phase: self._tasks(
                [e for e in plan.equations if e.phase is phase], phase is Phase.STEP, everything
            )
            for phase in (Phase.ONCE, Phase.SEQUENCE, Phase.STEP)
        }
        for state in plan.states:
            slots = f"{local['train']} ? {local['steps']} + 1 : 2"
            self._reserve(f"{state.name}_prev", slots, state.shape, True)
        self._reserve_zeros()
        body = self._zeros()
        body += _section("Parameters alone.", parts[Phase.ONCE])
        body += _section("Inputs alone: all steps and rows at once.", parts[Phase.SEQUENCE])
        start: list[str] = []
        for state in plan.states:
            start += self._start(state)
        body += _section("The states before the first step.", start)
        loop = parts[Phase.STEP] + self._late_states() + self._output()
        every = set().union(words(body), words(loop), self.kept)
        for equation in plan.equations:
            self._equation_array(equation, every)
        loop = [*self._step_pointers(words(loop), False), *loop]
        t, train, steps = local["t"], local["train"], local["steps"]
        slots = {
            "slot": f"{train} ? {t} : 0",
            "before": f"{train} ? {t} : {t} % 2",
            "after": f"{train} ? {t} + 1 : ({t} + 1) % 2",
        }
        used = words(loop)
        head = [f"const size_t {local[n]} = {v};" for n, v in slots.items() if local[n] in used]
        body += ["", f"for (size_t {t} = 0; {t} < {steps}; {t}++) {{"]
        body += ["    " + line if line else "" for line in [*head, *loop]] + ["}"]
        end: list[str] = []
        for state in plan.states:
            base = f"{state.name}_prev"
            slot = f"({train} ? {steps} : {steps} % 2)"
            source = f"({base} + {slot} * {self._block(state.shape)})"
            target = f"{local['last']}->{state.name}"
            moved = self._moved(state.shape, source, target, "batch")
            end += _if(f"{local['last']} != NULL && {target} != NULL", moved)
        body += _section("The states after the last step.", end)
        return self._complete(body, False)

    def _moved(self, shape: Shape, source: str, target: str, rows: str) -> list[str]:
        """A copy between arrays whose places are expressions, through local pointers."""
        ref = Ref("var", "", shape, 0, True)
        made = self._copy(ref, "from", "to", rows)
        return [f"const real *const from = {source};", f"real *const to = {target};", *made]

    def _start(self, state: State) -> list[str]:
        local = self.local
        target = f"{state.name}_prev"
        given = f"{local['initial']}->{state.name}"
        if state.initial.param is not None:
            ref = Ref("param", state.initial.param, state.shape)
            otherwise = self._copy(ref, state.initial.param, target, "batch")
        else:
            place = self._place(False, "batch")
            made = copy(Ref("var", "", state.shape, 0, True), "from", target, place)
            (line,) = made.lines
            value = number(state.initial.value)
            made = Loop(made.rows, made.shape, [line.split(" = ")[0] + f" = {value};"])
            otherwise = self.emit([made])
        whole = self._moved(state.shape, given, target, "batch")
        condition = f"{local['initial']} != NULL && {given} != NULL"
        return [*_if(condition, whole)[:-1], "} else {", *_indented(otherwise), "}"]

    def _late_states(self) -> list[str]:
        """Copies of new states that are values of other arrays."""
        lines: list[str] = []
        for state in self.plan.states:
            if self.owner.get(state.update) is state:
                continue
            equation = self.forward_equations[state.update]
            source = self._array(equation.ref, True)
            block = f"{self.local['after']} * {self._block(state.shape)}"
            made = self._copy(equation.ref, source, "to", "batch")
            lines += ["{", f"    real *const to = {state.name}_prev + {block};"]
            lines += [*_indented(made), "}"]
        return lines

    def _output(self) -> list[str]:
        equation = self.forward_equations[self.plan.output]
        source = self._array(equation.ref, True)
        block = self._block(equation.value.shape)
        made = self._copy(equation.ref, source, "to", "batch")
        to = f"real *const to = {self.local['outputs']} + {self.local['t']} * {block};"
        return ["{", f"    {to}", *_indented(made), "}"]

    def _reserve_zeros(self) -> None:
        """Zeros, read where a bias is absent."""
        for param in self.plan.params:
            if param.bias:
                self._reserve(self.zeros[param.name], "1", param.shape, False)

    def _zeros(self) -> list[str]:
        lines: list[str] = []
        for param in self.plan.params:
            if param.bias:
                lines += self._zero(self.zeros[param.name], param.shape, None)
        return lines

    def _complete(self, body: list[str], backward: bool) -> list[str]:
        declared = self._declarations(body, backward)
        local = self.local
        used = words([*declared, *body])
        lines = [
            f"const size_t {name} = {local['sizes']}->{name};"
            for name in (local["steps"], local["batch"], *self.interface.size_names)
            if name in used
            or (name == local["steps"] or name == local["batch"])
            and local["rows"] in used
        ]
        if local["rows"] in used:
            lines.append(f"const size_t {local['rows']} = {local['steps']} * {local['batch']};")
        if local["memory"] in used:
            lines.append(f"real *const {local['memory']} = {local['workspace']};")
        return [*lines, *declared, "", *body]

    # --- Backward ---------------------------------------------------------------------------

    def backward(self) -> list[str]:
        """The body of `backward`, after the checks."""
        back, local, plan = self.back, self.local, self.plan
        assert back is not None
        everything = [*plan.equations, *back.equations]
        parts = {
            phase: self._tasks(
                [e for e in back.equations if e.phase is phase], phase is Phase.STEP, everything
            )
            for phase in Phase
        }
        body = _section("Parameters alone.", parts[Phase.ONCE])
        body += _section("Computed again rather than kept.", parts[Phase.SEQUENCE])
        carry_names, carries = dict(back.carry_names), dict(back.carries)
        states = {s.name: s for s in plan.states}
        start: list[str] = []
        for name, carry in carry_names.items():
            state = states[name]
            self._reserve(carry, "1", state.shape, True)
            start += self._start_carry(state, carry)
        body += _section("What arrives from after the last step.", start)
        loop = parts[Phase.STEP]
        for name, carry in carry_names.items():
            equation = self.backward_equations[carries[name]]
            loop += self._copy(equation.ref, self._array(equation.ref, True), carry, "batch")
        end: list[str] = []
        for state in plan.states:
            end += self._grad_state(state, carry_names.get(state.name))
        finish = _section("All steps and rows at once.", parts[Phase.AFTER] + parts[Phase.FINAL])
        finish += _section("Results.", [*self._grad_params(), *self._grad_inputs(), *end])
        every = words([*body, *loop, *finish]) | self.kept
        for equation in back.equations:
            self._equation_array(equation, every)
        # Forward values are where `forward` left them.
        for equation in plan.equations:
            self._equation_array(equation, every)
        loop = [*self._step_pointers(words(loop), True), *loop]
        t, steps = local["t"], local["steps"]
        body += ["", f"for (size_t {t} = {steps}; {t}-- > 0;) {{", *_indented(loop), "}"]
        return self._complete(body + finish, True)

    def _start_carry(self, state: State, carry: str) -> list[str]:
        local = self.local
        given = f"{local['grad_last']}->{state.name}"
        condition = f"{local['grad_last']} != NULL && {given} != NULL"
        whole = self._moved(state.shape, given, carry, "batch")
        return [
            *_if(condition, whole)[:-1],
            "} else {",
            *_indented(self._zero(carry, state.shape, "batch")),
            "}",
        ]

    def _zero(self, target: str, shape: Shape, rows: str | None) -> list[str]:
        if rows is None:
            line = self._flat(Ref("param", "", shape), target)
            return self.emit([Loop(None, shape, [f"{line} = 0;"])])
        made = copy(Ref("var", "", shape, 0, True), "from", target, self._place(False, rows))
        (line,) = made.lines
        return self.emit([Loop(made.rows, shape, [line.split(" = ")[0] + " = 0;"])])

    def _flat(self, ref: Ref, target: str) -> str:
        from gatec.backends.c_family.expressions import Units

        names = self.interface.names
        units = Units(lambda _: target, lambda _: None, names.row)
        return units.value(ref, names.index[: ref.rank]).text

    def _grad_state(self, state: State, carry: str | None) -> list[str]:
        local = self.local
        target = f"{local['grad_initial']}->{state.name}"
        pointer = [f"real *const to = {target};"]
        ref = Ref("var", "", state.shape, 0, True)
        made = (
            self._copy(ref, carry, "to", "batch")
            if carry
            else self._zero("to", state.shape, "batch")
        )
        return _if(f"{local['grad_initial']} != NULL && {target} != NULL", [*pointer, *made])

    def _grad_params(self) -> list[str]:
        local, back = self.local, self.back
        assert back is not None
        found, lines = dict(back.grad_params), list[str]()
        carries = dict(back.carry_names)
        for param in self.plan.params:
            target = f"{local['grad_params']}->{param.name}"
            pointer = f"real *const to = {target};"
            flat = Ref("param", param.name, param.shape)
            if param.name in found:
                source = self._flat(flat, found[param.name])
                line = f"{self._flat(flat, 'to')} = {source};"
                made = self.emit([Loop(None, param.shape, [line])])
            else:
                made = self._zero("to", param.shape, None)
            for state in self.plan.states:
                if state.initial.param == param.name and state.name in carries:
                    given = f"{local['initial']}->{state.name}"
                    made += _if(
                        f"{local['initial']} == NULL || {given} == NULL",
                        self._sum_rows(carries[state.name], param.shape),
                    )
            lines += _if(f"{target} != NULL", [pointer, *made])
        return _if(f"{local['grad_params']} != NULL", lines) if lines else []

    def _sum_rows(self, carry: str, shape: Shape) -> list[str]:
        """A learned initial state: its gradient over all rows, added."""
        names = self.interface.names
        value = self._flat(Ref("var", carry, shape, 0, True), carry)
        lines = [
            f"for (size_t {names.row} = 0; {names.row} < {self.local['batch']}; {names.row}++)",
            f"    {self._flat(Ref('param', '', shape), 'to')} += {value};",
        ]
        return self.emit([Loop(None, shape, lines)])

    def _grad_inputs(self) -> list[str]:
        local, back = self.local, self.back
        assert back is not None
        found, lines = dict(back.grad_inputs), list[str]()
        for item in self.plan.inputs:
            target = f"{local['grad_inputs']}->{item.name}"
            pointer = f"real *const to = {target};"
            if item.name in found:
                ref = self.backward_equations[found[item.name]].ref
                made = self._copy(ref, ref.name, "to", "rows")
            else:
                made = self._zero("to", item.shape, "rows")
            lines += _if(f"{target} != NULL", [pointer, *made])
        return _if(f"{local['grad_inputs']} != NULL", lines) if lines else []

    # --- Layout -----------------------------------------------------------------------------

    def layout(self) -> list[str]:
        """The lines that give every array its place; call after `forward` and `backward`."""
        local, lines = self.local, []
        for array in self.arrays.values():
            rows = local["batch"] if array.batched else "1"
            dims = [dim_text(dim) for dim in array.shape] + ["1", "1"]
            slots = f"({array.slots})" if "?" in array.slots else array.slots
            lines.append(
                f"{local['at']}->{array.name} = "
                f"gatec_take(&total, {slots}, {rows}, {dims[0]}, {dims[1]});"
            )
        return lines


def _vars(equation: Equation) -> list[Ref]:
    return [n for n in nodes(equation.value) if isinstance(n, Ref) and n.kind == "var"]


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"/* {title} */", *lines] if lines else []


def _indented(lines: Iterable[str]) -> list[str]:
    return ["    " + line if line else "" for line in lines]


def _if(condition: str, lines: list[str]) -> list[str]:
    return [f"if ({condition}) {{", *_indented(lines), "}"]

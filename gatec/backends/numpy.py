"""NumPy: `init`, `step`, `forward` and `backward` of a cell, in one file that needs NumPy only.

`step` is printed from the equations as the user wrote them; `forward` and `backward` from the
planned cell and its derivative, whose input-side products are one GEMM over all T * B rows.
"""

from __future__ import annotations

from gatec.backends import text
from gatec.backends.emitter import render
from gatec.backends.python import Library, Printer, Used, shape_tuple
from gatec.backends.python_cell import (
    Helpers,
    Locals,
    backward_reads,
    of_phase,
    references,
    solve_sizes,
)
from gatec.expr import Ref
from gatec.ir import Backward, Cell, Equation, Param, Phase, Program
from gatec.ops import OPS, Op
from gatec.passes.delay import delay

_HELPERS = {
    "sigmoid": '''\
def NAME(z):
    """1 / (1 + exp(-z)), exact in both tails and free of overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, np.ones_like(e), e) / (1 + e)
''',
    "erf": '''\
def NAME(z):
    """The error function, unit by unit (NumPy has none)."""
    return np.vectorize(math.erf, otypes=[np.float64])(z).astype(z.dtype)
''',
}
_OWN = frozenset({"tan", "sinh", "cosh", "mean"})  # composed operators that NumPy has


class _NumPy(Library):
    prefix = "np"
    axis = "axis"
    functions = {"sum": "np.sum", "amax": "np.max", "mean": "np.mean", "concat": "np.concatenate"}
    helpers = frozenset(
        name for name, op in OPS.items() if op.definition and name not in _OWN
    ) | frozenset(_HELPERS)

    def template(self, op: Op) -> str:
        return op.numpy

    def full(self, number: str, shape: str) -> str:
        return f"np.full({shape}, {number}, dtype)"

    def scalar(self, number: str) -> str:
        return f"dtype.type({number})"

    def broadcast(self, array: str, shape: str) -> str:
        return f"np.broadcast_to({array}, {shape})"

    def identity(self, size: str) -> str:
        return f"np.eye({size}, dtype=dtype)"

    def transposed(self, array: str, batched: bool) -> str:
        return f"np.swapaxes({array}, -1, -2)" if batched else f"{array}.T"

    def sequence_product(self, vectors: str, matrix: str, transposed: bool) -> str:
        return f"np.tensordot({vectors}, {matrix}, axes=(-1, {int(transposed)}))"

    def batch_product(self, u: str, v: str) -> str:
        return f"np.tensordot({u}, {v}, axes=((0, 1), (0, 1)))"


def generate(program: Program, stem: str) -> dict[str, str]:
    """`{stem}_numpy.py`."""
    return {f"{stem}_numpy.py": _Module(program).text()}


class _Module:
    def __init__(self, program: Program) -> None:
        self.program, self.source, self.plan = program, delay(program.source), program.plan
        self.local = Locals(program)
        self.library = _NumPy()
        self.helpers = Helpers(self.library, self.local, _HELPERS)
        local = self.local
        self.T, self.B, self.t, self.dtype = local("T"), local("B"), local("t"), local("dtype")

    def text(self) -> str:
        body = render(
            "numpy/module.py.jinja",
            name=self.source.name,
            header=text.header(self.program.source, text.docstring_line),
            init=self.init(),
            step=self.step(),
            run=self.run(),
            backward=self.backward(),
            helpers=list(self.helpers.texts.values()),
            inputs=[item.name for item in self.plan.inputs],
            shapes=self.interface(),
            state_type=self.state_type(),
            constants=[f"{c.name}: float = {float(c.value)!r}" for c in self.plan.constants],
            constant_names=[c.name for c in self.plan.constants],
        )
        math = "import math\n\n" if "math." in body else ""
        return body.replace("IMPORT_MATH\n", math)

    # --- Interface --------------------------------------------------------------------------

    def interface(self) -> dict[str, list[str]]:
        """Name and shape of inputs and states, for docstrings."""

        def shapes(items, lead: str) -> list[str]:  # type: ignore[no-untyped-def]
            return [f"{i.name} ({', '.join([lead, *map(str, i.shape)])})" for i in items]

        output = [Equation(self.plan.output, "", self.plan.equation(self.plan.output).value)]
        return {
            "step_inputs": shapes(self.plan.inputs, "B"),
            "inputs": shapes(self.plan.inputs, "T, B"),
            "states": shapes(self.plan.states, "B"),
            "output": [f"({', '.join(['T, B', *map(str, e.value.shape)])})" for e in output],
        }

    def state_type(self) -> str:
        if len(self.plan.states) == 1:
            return "np.ndarray"
        return f"tuple[{', '.join(['np.ndarray'] * len(self.plan.states))}]"

    def one(self, names: list[str]) -> str:
        """One thing bare, several as a tuple."""
        return names[0] if len(names) == 1 else f"({', '.join(names)})"

    # --- init -------------------------------------------------------------------------------

    def init(self) -> dict[str, object]:
        lines = []
        for size in self.plan.sizes:
            if size.default is None:
                lines.append(f"{size.name} = hidden_size if {size.name} is None else {size.name}")
        for item in self.plan.inputs[:1]:
            if item.shape and str(item.shape[0]) == "hidden_size":
                lines.append("if input_size != hidden_size:")
                lines.append('    raise ValueError("this cell needs input_size == hidden_size")')
        keywords = [
            f"{s.name}: int | None = None" if s.default is None else f"{s.name}: int = {s.default}"
            for s in self.plan.sizes
        ]
        params = [f'"{p.name}": {self._initial(p)},' for p in self.source.params]
        return {"lines": lines, "keywords": keywords, "params": params, **self._draws}

    _draws: dict[str, object] = {}

    def _initial(self, param: Param) -> str:
        shape = shape_tuple(str(dim) for dim in param.shape)
        kind = param.init
        if len(param.shape) < 2 and kind in ("orthogonal", "xavier", "xavier_normal", "kaiming"):
            kind = "uniform"
        match kind:
            case "uniform":
                return f"rng.uniform(-bound, bound, {shape}).astype(dtype)"
            case "normal":
                return f"rng.standard_normal({shape}).astype(dtype)"
            case "zeros" | "ones":
                return f"np.{kind}({shape}, dtype)"
            case "identity":
                return f"np.eye({', '.join(map(str, param.shape))}, dtype=dtype)"
            case "orthogonal" | "xavier" | "xavier_normal" | "kaiming":
                return f"{self.helpers(kind, 0)}(rng, {shape}).astype(dtype)"
        return f"np.full({shape}, {kind}, dtype)"

    # --- step -------------------------------------------------------------------------------

    def step(self) -> dict[str, object]:
        """The lines of `step`: the equations as they stand in the source."""
        cell, used = self.source, Used()

        def name(ref: Ref) -> str:
            return f"{ref.name}_prev" if ref.kind == "state" else ref.name

        printer = self._printer(name, (self.B,), used, set())
        lines = _equations(cell.equations, printer, lambda e, code: f"{e.name} = {code}")
        output = printer.whole(cell.equation(cell.output).ref, batched=True)
        state = [printer.whole(cell.equation(s.update).ref, batched=True) for s in cell.states]
        prev = {s.name: f"{s.name}_prev" for s in cell.states}
        top = self._params(cell.equations)
        read = {ref.name for ref in references(cell.equations) if ref.kind == "state"}
        if read:
            top.append(f"{', '.join(prev.values())} = state")
        x = cell.inputs[0].name
        top += [f"{self.B} = {x}.shape[0]"] if used.lead else []
        top += self._dtype(lines)
        sources = self._shapes(cell, 1)
        sources += [(s.shape, _dimension(prev[s.name], 1)) for s in cell.states if read]
        sizes, keywords = solve_sizes(sorted(used.sizes), sources)
        return {
            "lines": [*top, *sizes, "", *lines],
            "result": f"{output}, {self.one(state)}",
            "keywords": keywords,
        }

    # --- forward ----------------------------------------------------------------------------

    def run(self) -> dict[str, object]:
        """The lines of `_run`: the planned forward pass, every kept value over the sequence."""
        plan, used, T, B, t = self.plan, Used(), self.T, self.B, self.t
        kept = self._kept()
        phases = {e.name: e.phase for e in plan.equations}
        numbers: set[str] = set()

        def name(ref: Ref, step: bool) -> str:
            if ref.kind == "state":
                return f"{ref.name}_prev[{t}]"
            timed = ref.kind == "input" or (
                ref.kind == "var"
                and (phases[ref.name] is Phase.SEQUENCE or ref.name in kept)
                and phases[ref.name] is not Phase.ONCE
            )
            return f"{ref.name}[{t}]" if step and timed else ref.name

        once = self._printer(lambda r: name(r, False), (), used, numbers)
        rows = self._printer(lambda r: name(r, False), (T, B), used, numbers)
        step = self._printer(lambda r: name(r, True), (B,), used, numbers)

        def assign(equation: Equation, code: str) -> str:
            target = f"{equation.name}[{t}]" if equation.name in kept else equation.name
            return f"{target} = {code}"

        first = _section(
            "Parameters alone.",
            _equations(
                of_phase(plan.equations, Phase.ONCE), once, lambda e, c: f"{e.name} = {c}", numbers
            ),
        )
        before = _section(
            "Inputs alone: all T * B rows at once.",
            _equations(
                of_phase(plan.equations, Phase.SEQUENCE), rows, lambda e, c: f"{e.name} = {c}"
            ),
        )
        in_loop = of_phase(plan.equations, Phase.STEP)
        loop = _equations(in_loop, step, assign, stored=kept)
        states, aliases, late = self._states(rows, phases)
        loop += late
        arrays = [
            f"{e.name} = np.empty({rows.shape(e.value.shape, batched=True)}, {self.dtype})"
            for e in in_loop
            if e.name in kept and e.name not in aliases
        ]
        loop_lines = [f"for {t} in range({T}):", *_indented(loop)] if loop else []
        output = rows.whole(plan.equation(plan.output).ref, batched=True)
        last = self.one([f"{s.name}_prev[-1].copy()" for s in plan.states])
        top = self._params(plan.equations, [s.initial.param for s in plan.states])
        x = plan.inputs[0].name
        sizes, keywords = solve_sizes(sorted(used.sizes), self._shapes(plan, 2))
        top += [f"{T}, {B} = {x}.shape[:2]"]
        body = [*first, *before, "", *states, *arrays, *loop_lines]
        top += [f"{self.dtype} = {x}.dtype"]
        back = self._saved()
        return {
            "lines": [*top, *sizes, *body],
            "result": f"{output}, {last}, {shape_tuple(back) if back else '()'}",
            "keywords": keywords,
        }

    def _states(
        self, rows: Printer, phases: dict[str, Phase]
    ) -> tuple[list[str], set[str], list[str]]:
        """The arrays of previous values: their lines, the equations that are views of them,
        and what the loop still has to copy."""
        plan = self.plan
        lines: list[str] = []
        aliases: set[str] = set()
        late: list[str] = []
        lines.append(
            f"# `{plan.states[0].name}_prev[{self.t}]` is the value before step"
            f" {self.t}, the last one that after the sequence."
        )
        for s in plan.states:
            shape = rows.shape(s.shape, batched=True).replace(self.T, f"{self.T} + 1", 1)
            lines.append(f"{s.name}_prev = np.empty({shape}, {self.dtype})")
        for s in plan.states:
            value = plan.equation(s.update).ref
            if phases[s.update] is Phase.STEP and s.update not in aliases:
                aliases.add(s.update)
                lines.append(f"{s.update} = {s.name}_prev[1:]")
            elif phases[s.update] is Phase.STEP:
                late.append(f"{s.name}_prev[{self.t} + 1] = {s.update}[{self.t}]")
            else:
                lines.append(f"{s.name}_prev[1:] = {rows.value(value).code}")
        initial = [s.initial.param or repr(float(s.initial.value)) for s in plan.states]
        initial = [code.removesuffix(".0") if "e" not in code else code for code in initial]
        targets = [f"{s.name}_prev[0]" for s in plan.states]
        default = ", ".join(initial)
        if len(targets) > 1:
            default = f"({default})"
        lines.append(f"{', '.join(targets)} = {default} if state is None else state")
        return lines, aliases, late

    def _kept(self) -> set[str]:
        """The STEP equations whose values are kept over the sequence."""
        kept = {self.plan.output, *(s.update for s in self.plan.states)}
        if self.program.backward is not None:
            kept |= set(backward_reads(self.program.backward, self.plan)[0])
        steps = {e.name for e in of_phase(self.plan.equations, Phase.STEP)}
        return kept & steps

    def _saved(self) -> list[str]:
        if self.program.backward is None:
            return []
        equations, states = backward_reads(self.program.backward, self.plan)
        return [*equations, *(f"{name}_prev" for name in states)]

    # --- backward ---------------------------------------------------------------------------

    def backward(self) -> dict[str, object] | None:
        """The lines of `backward`: the derivative's loop in reverse, then the GEMMs."""
        backward = self.program.backward
        if backward is None:
            return None
        plan, used, T, B, t = self.plan, Used(), self.T, self.B, self.t
        forward = {e.name: e.phase for e in plan.equations}
        own = {e.name: e.phase for e in backward.equations}
        kept = self._kept_backward(backward)
        carries = {ref: state for state, ref in backward.carry_names}
        numbers: set[str] = set()

        def name(ref: Ref, step: bool) -> str:
            at = f"[{t}]" if step else ""
            match ref.kind:
                case "state":
                    return f"{ref.name}_prev{at or '[:-1]'}"
                case "grad":
                    return ref.name if ref.name in carries else f"grad_outputs{at}"
                case "input":
                    return ref.name + at
                case "var":
                    phase = own.get(ref.name) or forward[ref.name]
                    local = ref.name in own and phase is Phase.STEP and ref.name not in kept
                    return ref.name if local or phase in _UNTIMED else ref.name + at
            return ref.name

        once = self._printer(lambda r: name(r, False), (), used, numbers)
        rows = self._printer(lambda r: name(r, False), (T, B), used, numbers)
        step = self._printer(lambda r: name(r, True), (B,), used, numbers)

        def assign(equation: Equation, code: str) -> str:
            target = f"{equation.name}[{t}]" if equation.name in kept else equation.name
            return f"{target} = {code}"

        def phase_lines(phase: Phase, printer: Printer) -> list[str]:
            found = of_phase(backward.equations, phase)
            return _equations(found, printer, lambda e, c: f"{e.name} = {c}", numbers)

        before = _section(
            "Computed again rather than kept.",
            phase_lines(Phase.ONCE, once) + phase_lines(Phase.SEQUENCE, rows),
        )
        in_loop = of_phase(backward.equations, Phase.STEP)
        loop = _equations(in_loop, step, assign, stored=kept)
        arrays = [
            f"{e.name} = np.empty({rows.shape(e.value.shape, batched=True)}, {self.dtype})"
            for e in in_loop
            if e.name in kept
        ]
        values = {e.name: e for e in backward.equations}
        names = dict(backward.carry_names)
        states = [s for s in plan.states if s.name in names]
        updates = dict(backward.carries)
        carry = [names[s.name] for s in states]
        new = [step.value(values[updates[s.name]].ref).code for s in states]
        zeros = [f"np.zeros({step.shape(s.shape, batched=True)}, {self.dtype})" for s in states]
        start = [f"{', '.join(carry)} = {self.one(zeros)} if grad_state is None else grad_state"]
        if len(states) > 1:
            start = [
                "if grad_state is None:",
                *(f"    {c} = {z}" for c, z in zip(carry, zeros, strict=True)),
                "else:",
                f"    {', '.join(carry)} = grad_state",
            ]
        loop.append(f"{', '.join(carry)} = {', '.join(new)}")
        after = _section(
            "All T * B rows at once.",
            phase_lines(Phase.AFTER, rows) + phase_lines(Phase.FINAL, once),
        )
        found = dict(backward.grad_params)
        inputs = dict(backward.grad_inputs)
        grads = [
            f'"{p.name}": {once.whole(values[found[p.name]].ref) if p.name in found else f"np.zeros_like({p.name})"},'
            for p in plan.params
        ]
        learned = [
            (s.initial.param, names[s.name]) for s in plan.states if s.initial.param is not None
        ]
        grad_inputs = [
            rows.whole(values[inputs[i.name]].ref, batched=True)
            if i.name in inputs
            else f"np.zeros_like({i.name})"
            for i in plan.inputs
        ]
        extra = [p.name for p in plan.params if p.name not in found]
        top = self._params(backward.equations, extra)
        x = plan.inputs[0].name
        sizes, keywords = solve_sizes(sorted(used.sizes), self._shapes(plan, 2))
        end = [
            "grad_params = {",
            *_indented(grads),
            "}",
        ]
        if learned:
            end.append("if state is None:  # the initial state was the learned one")
            end += [
                f'    grad_params["{p}"] = grad_params["{p}"] + np.sum({c}, axis=0)'
                for p, c in learned
            ]
        return {
            "saved": self._saved(),
            "lines": [
                *top,
                f"{T}, {B} = {x}.shape[:2]",
                f"{self.dtype} = {x}.dtype",
                *sizes,
                *before,
                "",
                *start,
                *arrays,
                f"for {t} in reversed(range({T})):",
                *_indented(loop),
                *after,
                "",
                *end,
            ],
            "result": f"grad_params, {', '.join(grad_inputs)}, {self.one(carry)}",
            "keywords": keywords,
        }

    def _kept_backward(self, backward: Backward) -> set[str]:
        late = of_phase(backward.equations, Phase.AFTER, Phase.FINAL)
        read = {ref.name for ref in references(late) if ref.kind == "var"}
        read |= {equation for _, equation in backward.grad_inputs}
        return read & {e.name for e in of_phase(backward.equations, Phase.STEP)}

    # --- What the functions open with -------------------------------------------------------

    def _printer(self, name, lead, used, numbers) -> Printer:  # type: ignore[no-untyped-def]
        return Printer(self.library, name, lead, used, self.helpers, numbers)

    def _params(self, equations, more=()) -> list[str]:  # type: ignore[no-untyped-def]
        read = {ref.name for ref in references(equations) if ref.kind == "param"} | set(more)
        return [f'{p.name} = params["{p.name}"]' for p in self.plan.params if p.name in read]

    def _dtype(self, lines: list[str]) -> list[str]:
        x = self.plan.inputs[0].name
        return [f"{self.dtype} = {x}.dtype"] if any(self.dtype in line for line in lines) else []

    def _shapes(self, cell: Cell, lead: int):  # type: ignore[no-untyped-def]
        """Where sizes can be read: parameters, then inputs."""
        found = [(i.shape, _dimension(i.name, lead)) for i in cell.inputs]
        found += [(p.shape, _dimension(f'params["{p.name}"]', 0)) for p in cell.params]
        return found


_UNTIMED = (Phase.ONCE, Phase.FINAL)


def _dimension(array: str, lead: int):  # type: ignore[no-untyped-def]
    return lambda i: f"{array}.shape[{lead + i}]"


def _equations(equations, printer: Printer, assign, numbers=None, stored=()):  # type: ignore[no-untyped-def]
    """A line per equation under its comment."""
    lines: list[str] = []
    for equation in equations:
        if equation.text:
            lines += text.python_comment(equation.text, 4)
        value = printer.value(equation.value)
        if equation.name in stored or (value.number and numbers is not None):
            code = value.code
            if value.number and equation.name not in stored:
                if equation.value.shape:
                    code = printer.whole(equation.value)
                else:
                    numbers.add(equation.name)
        else:
            code = printer.whole(equation.value)
        lines.append(assign(equation, code))
    return lines


def _section(comment: str, lines: list[str]) -> list[str]:
    return ["", f"# {comment}", *lines] if lines else []


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]

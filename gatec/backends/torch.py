"""PyTorch: one `nn.Module` per cell, with the manners of `nn.LSTM`.

The eager path prints the planned cell: what reads parameters or inputs alone stands before the
loop, and autograd differentiates it, twice if need be. All sequences run as packed rows, the
rows of step 0 first, so that padded and packed input are one case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gatec.backends import text
from gatec.backends.emitter import render
from gatec.backends.python import Library, Printer, Used, shape_tuple
from gatec.backends.python_cell import Helpers, Locals, of_phase, references
from gatec.expr import HIDDEN, Ref, Shape
from gatec.ir import Equation, Param, Phase, Program
from gatec.ops import Op


class _Torch(Library):
    prefix = "torch"
    axis = "dim"
    functions = {
        "sum": "torch.sum",
        "amax": "torch.amax",
        "mean": "torch.mean",
        "concat": "torch.cat",
    }
    helpers = frozenset({"norm", "norm1", "rms_norm"})

    def __init__(self, like: str) -> None:
        self.like = like  # a tensor of the data type and device to use

    def template(self, op: Op) -> str:
        return op.torch

    def full(self, number: str, shape: str) -> str:
        return f"{self.like}.new_full({shape}, {number})"

    def scalar(self, number: str) -> str:
        return f"{self.like}.new_full((), {number})"

    def broadcast(self, array: str, shape: str) -> str:
        return f"{_receiver(array)}.expand{shape}"

    def identity(self, size: str) -> str:
        return f"torch.eye({size}, dtype={self.like}.dtype, device={self.like}.device)"

    def transposed(self, array: str, batched: bool) -> str:
        return f"{array}.mT" if batched else f"{array}.T"

    def sequence_product(self, vectors: str, matrix: str, transposed: bool) -> str:
        raise NotImplementedError("rows have one leading dimension")

    def batch_product(self, u: str, v: str) -> str:
        raise NotImplementedError("autograd differentiates the eager path")


def _receiver(code: str) -> str:
    """Code that a method can be called on."""
    depth = 0
    for char in code:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(char, 0)
        if char in " -" and depth == 0:
            return f"({code})"
    return code


def generate(program: Program, stem: str) -> dict[str, str]:
    """`{stem}.py`."""
    return {f"{stem}.py": _Module(program).text()}


class _Module:
    def __init__(self, program: Program) -> None:
        self.program, self.source, self.plan = program, program.source, program.plan
        self.local = Locals(program)
        self.x = self.plan.inputs[0].name
        self.library = _Torch(self.x)
        self.helpers = Helpers(self.library, self.local, {})
        self.used = Used()

    def text(self) -> str:
        plan = self.plan
        layer = self.layer()
        step_inputs = [i.name for i in plan.inputs]
        first = plan.inputs[0]
        body = render(
            "torch/module.py.jinja",
            name=plan.name,
            header=text.header(self.source, text.docstring_line),
            helpers=list(self.helpers.texts.values()),
            layer=layer,
            x=self.x,
            inputs=step_inputs,
            extra=[(i.name, self.tuple(i.shape), len(i.shape)) for i in plan.inputs[1:]],
            input_rank=len(first.shape),
            input_shape=self.tuple(first.shape),
            input_is_hidden=first.shape == (HIDDEN,),
            output_shape=self.tuple(plan.output_shape),
            output_rank=len(plan.output_shape),
            states=[
                {
                    "name": s.name,
                    "shape": self.tuple(s.shape),
                    "rank": len(s.shape),
                    "value": float(s.initial.value),
                    "param": s.initial.param,
                    "dims": ", ".join(map(str, s.shape)),
                }
                for s in plan.states
            ],
            params=[
                {
                    "name": p.name,
                    "shape": self.tuple(p.shape),
                    "bias": p.bias,
                    "init": self.initial(p),
                    "dims": ", ".join(map(str, p.shape)),
                }
                for p in plan.params
            ],
            sizes=[{"name": s.name, "default": s.default} for s in plan.sizes],
            constants=[{"name": c.name, "value": float(c.value)} for c in plan.constants],
        )
        math = "import math\n" if "math." in body else ""
        return body.replace("IMPORT_MATH\n", math)

    def tuple(self, shape: Shape) -> str:
        return shape_tuple(map(str, shape))

    def initial(self, param: Param) -> str:
        """The statement that initialises `weight`."""
        kind = param.init
        matrix = len(param.shape) > 1
        statements = {
            "uniform": "nn.init.uniform_(weight, -bound, bound)",
            "zeros": "nn.init.zeros_(weight)",
            "ones": "nn.init.ones_(weight)",
            "normal": "nn.init.normal_(weight)",
            "orthogonal": "nn.init.orthogonal_(weight)",
            "xavier": "nn.init.xavier_uniform_(weight)",
            "xavier_normal": "nn.init.xavier_normal_(weight)",
            "kaiming": "nn.init.kaiming_uniform_(weight)",
            "identity": "nn.init.eye_(weight)",
        }
        if not matrix and kind in ("orthogonal", "xavier", "xavier_normal", "kaiming", "identity"):
            kind = "uniform"
        return statements.get(kind, f"nn.init.constant_(weight, {kind})")

    # --- One layer in one direction ---------------------------------------------------------

    def layer(self) -> dict[str, object]:
        plan, used, numbers = self.plan, self.used, set[str]()
        phases = {e.name: e.phase for e in plan.equations}
        steps = of_phase(plan.equations, Phase.STEP)

        def outside(ref: Ref) -> str:
            return f"self.{ref.name}" if ref.kind == "const" else ref.name

        def inside(ref: Ref) -> str:
            if ref.kind == "state":
                return f"{ref.name}_prev"
            timed = ref.kind == "input" or (
                ref.kind == "var" and phases[ref.name] is Phase.SEQUENCE
            )
            return f"{ref.name}_t" if timed else outside(ref)

        rows = self.local("rows")
        once = self.printer(outside, (), used, numbers)
        before = Used()
        row = self.printer(outside, (rows,), before, numbers)
        during = Used()
        step = self.printer(inside, (rows,), during, numbers)
        once_lines = self.equations(of_phase(plan.equations, Phase.ONCE), once, numbers)
        row_lines = self.equations(of_phase(plan.equations, Phase.SEQUENCE), row, numbers)
        step_lines = self.equations(steps, step, numbers)
        refs = [plan.equation(s.update).ref for s in plan.states]
        output = plan.equation(plan.output).ref
        # What each step reads of the sequences, in the order of inputs and equations.
        read = {
            inside(ref)[:-2]
            for e in steps
            for ref in [*references([e])]
            if inside(ref) == f"{ref.name}_t" and ref.kind != "state"
        }
        read |= {ref.name for ref in (*refs, output) if phases[ref.name] is Phase.SEQUENCE}
        names = [i.name for i in plan.inputs] + [e.name for e in plan.equations]
        sequences = [name for name in names if name in read]
        new = [step.whole(ref, batched=True) for ref in refs]
        result = step.whole(output, batched=True)
        if before.lead:
            row_lines.insert(0, f"{rows} = {self.x}.shape[0]")
        if during.lead:
            step_lines.insert(0, f"{rows} = {plan.states[0].name}_prev.shape[0]")
        sizes = used.sizes | before.sizes | during.sizes
        size_lines = [
            f"{name} = self.{name}"
            for name in plan.size_names
            if name in sizes and name != "input_size"
        ]
        if "input_size" in sizes:
            size_lines.append(f"input_size = {self.x}.shape[-1]")
        params = {ref.name for ref in references(plan.equations) if ref.kind == "param"}
        weights = []
        for p in plan.params:
            if p.name in params:
                zero = f"{self.x}.new_zeros({self.tuple(p.shape)})"
                code = f'getattr(self, "{p.name}" + suffix)'
                weights.append(
                    f"{p.name} = {code} if self.bias else {zero}"
                    if p.bias
                    else f"{p.name} = {code}"
                )
        body = [*size_lines, *weights]
        if any(p.bias and p.name in params for p in plan.params):
            needed = {n for p in plan.params if p.bias for d in p.shape for n, _ in d.terms}
            body = [
                f"{n} = self.{n}"
                for n in plan.size_names
                if n in needed - sizes and n != "input_size"
            ] + body
        if once_lines:
            body += ["", "# Parameters alone.", *once_lines]
        if row_lines:
            body += ["", "# Inputs alone: the rows of all steps at once.", *row_lines]
        prev = [f"{s.name}_prev" for s in plan.states]
        return {
            "body": body,
            "prev": prev,
            "sequences": sequences,
            "step": step_lines,
            "new": new,
            "output": result,
        }

    def printer(
        self, name: Callable[[Ref], str], lead: tuple[str, ...], used: Used, numbers: set[str]
    ) -> Printer:
        return Printer(self.library, name, lead, used, self.helpers, numbers)

    def equations(
        self, equations: Sequence[Equation], printer: Printer, numbers: set[str]
    ) -> list[str]:
        lines: list[str] = []
        for equation in equations:
            if equation.text:
                lines += text.python_comment(equation.text, 12)
            value = printer.value(equation.value)
            if value.number and not equation.value.shape:
                numbers.add(equation.name)
                lines.append(f"{equation.name} = {value.code}")
            else:
                lines.append(f"{equation.name} = {printer.whole(equation.value)}")
        return lines

"""C: `{stem}.c` and `{stem}.h`, C11 with libm only, no allocation."""

from __future__ import annotations

from gatec.backends.c_family.functions import Emitter, Functions
from gatec.backends.c_family.render import header, module
from gatec.backends.c_family.tasks import Loop, Names, Product, Task
from gatec.ir import Program


class _Loops(Emitter):
    """Tasks as loops in place."""

    names: Names

    def emit(self, task: Task) -> list[str]:
        if isinstance(task, Product):
            return [*task.comments, *product_call(task, "")]
        bounds = [(self.names.row, task.rows)] if task.rows else []
        bounds += zip(self.names.index, map(str, task.shape), strict=False)
        lines = list(task.comments)
        for depth, (name, bound) in enumerate(bounds):
            head = f"for (size_t {name} = 0; {name} < {bound}; {name}++)"
            lines.append("    " * depth + head + (" {" if depth == len(bounds) - 1 else ""))
        indent = "    " * len(bounds)
        lines += [indent + line for line in task.lines]
        if bounds:
            return [*lines, "    " * (len(bounds) - 1) + "}"]
        return ["{", *("    " + line for line in lines), "}"]


def product_call(task: Product, more: str) -> list[str]:
    """The call of the GEMM, one operand a line."""
    return [
        f"gatec_gemm({', '.join(task.sizes)},",
        f"           {', '.join(task.a)},",
        f"           {', '.join(task.b)},",
        f"           {task.target}{more});",
    ]


def generate(program: Program, stem: str) -> dict[str, str]:
    """`{stem}.c` and `{stem}.h`."""
    emitter = _Loops()
    functions = Functions(program, emitter)
    emitter.names = functions.interface.names
    return {
        f"{stem}.c": module(program, functions, stem, "c/module.c.jinja"),
        f"{stem}.h": header(program, functions, stem),
    }

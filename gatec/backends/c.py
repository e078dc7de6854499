"""C: `{stem}.c` and `{stem}.h`, C11 with libm only, no allocation."""

from __future__ import annotations

from collections.abc import Sequence

from gatec.backends.c_family.dialect import Dialect, Parameter, body
from gatec.backends.c_family.indices import place
from gatec.backends.c_family.lines import indented
from gatec.backends.c_family.render import files
from gatec.backends.c_family.tasks import Kernel, Names
from gatec.ir import Program


class _C(Dialect):
    """Kernels are functions with loops."""

    restrict = "restrict"

    def function(self, kernel: Kernel, parameters: Sequence[Parameter], names: Names) -> list[str]:
        index = names.index(len(kernel.shape))
        bounds = [(names.row, kernel.rows)] if kernel.rows else []
        bounds += [(i.name, str(dim)) for i, dim in zip(index, kernel.shape, strict=True)]
        at = place(names.row if kernel.rows else None, index, kernel.shape)
        lines = body(kernel, names, at)
        if kernel.terms:
            lines = [*_total(kernel, names), *lines]
        depth = len(bounds)
        for name, bound in reversed(bounds):
            depth -= 1
            head = _for(name, bound)
            innermost = depth == len(bounds) - 1
            lines = [f"{head} {{", *indented(lines), "}"] if innermost else [head, *indented(lines)]
        head = f"static void {kernel.name}({', '.join(map(str, parameters))})"
        return [head, "{", *indented(lines), "}"]

    def start(self, kernel: Kernel, arguments: Sequence[str]) -> list[str]:
        return [f"{kernel.name}({', '.join(arguments)});"]

    def called(self, name: str, arguments: str) -> str:
        return f"{name}({arguments});"


def _total(kernel: Kernel, names: Names) -> list[str]:
    """The sum or the maximum of the terms."""
    total = names.total
    lines = [f"real {total} = {'-(real)INFINITY' if kernel.maximum else '0'};"]
    for depth, (name, bound) in enumerate(kernel.terms):
        lines.append("    " * depth + _for(name, bound))
    step = f"{total} = gatec_max({total}, {kernel.term});"
    step = step if kernel.maximum else f"{total} += {kernel.term};"
    return [*lines, "    " * len(kernel.terms) + step]


def _for(name: str, bound: str) -> str:
    return f"for (size_t {name} = 0; {name} < {bound}; {name}++)"


def generate(program: Program, stem: str) -> dict[str, str]:
    """`{stem}.c` and `{stem}.h`."""
    return files(program, stem, _C, "c/module.c.jinja", f"{stem}.c")

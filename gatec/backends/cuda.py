"""CUDA: `{stem}.cu` and `{stem}.h`, C++17 with the interface of C and a stream.

Products are cuBLAS's where the file is compiled with GATEC_CUBLAS, a tiled kernel of its own
otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatec.backends.c_family.dialect import Dialect, Parameter, body
from gatec.backends.c_family.indices import place
from gatec.backends.c_family.lines import indented
from gatec.backends.c_family.render import files
from gatec.backends.c_family.tasks import Kernel, Names
from gatec.ir import Program

_AXES = ("x", "y", "z")


class _Cuda(Dialect):
    """Kernels are queued: neighbouring units are neighbouring threads."""

    restrict = "__restrict__"

    def function(self, kernel: Kernel, parameters: Sequence[Parameter], names: Names) -> list[str]:
        index = names.index(len(kernel.shape))
        at = place(names.row if kernel.rows else None, index, kernel.shape)
        lines = body(kernel, names, at)
        # The last index first: neighbouring units are neighbouring threads.
        loops = [at.name for at in reversed(index)] + ([names.row] if kernel.rows else [])
        places = list(zip(loops, _bounds(kernel), _AXES, strict=False))
        if kernel.terms:
            lines = _total(kernel, names, lines, places)
        for name, bound, axis in places:
            head = _head(kernel, name, bound, axis)
            first = axis == "x"
            lines = [f"{head} {{", *indented(lines), "}"] if first else [head, *indented(lines)]
        head = f"static __global__ void {kernel.name}({', '.join(map(str, parameters))})"
        return [head, "{", *indented(lines), "}"]

    def start(self, kernel: Kernel, arguments: Sequence[str], team: str) -> list[str]:
        extents = [*_bounds(kernel), "1", "1", "1"][:3]
        how, more = "gatec_each", list[str]()
        if kernel.terms:
            how, more = "gatec_reduce", [kernel.terms[-1][1], str(int(kernel.along))]
        launch = ", ".join([kernel.name, self.local["queue"], *extents, *more])
        first = f"GATEC_TRY({how}({launch},"
        return [first, f"    {', '.join(arguments)}));"]

    def called(self, name: str, arguments: str, team: str) -> str:
        return f"GATEC_TRY({name}({self.local['queue']}, {arguments}));"


def _bounds(kernel: Kernel) -> list[str]:
    """The numbers of places along each axis of a launch: the last index first."""
    bounds = [str(dim) for dim in reversed(kernel.shape)]
    return [*bounds, kernel.rows] if kernel.rows else bounds


def _head(kernel: Kernel, name: str, bound: str, axis: str) -> str:
    """The loop over the places along an axis of a launch."""
    if not kernel.terms:
        return f"GATEC_EACH({name}, {bound}, {axis})"
    return (
        f"GATEC_TILES({name}, {bound})" if axis == "x" else f"GATEC_BLOCKS({name}, {bound}, {axis})"
    )


def _total(
    kernel: Kernel, names: Names, lines: list[str], places: list[tuple[str, str, str]]
) -> list[str]:
    """The threads of a block share the terms of a result; one of them writes it."""
    total = names.total
    start, step, helper = "0", f"{total} += {kernel.term};", "gatec_block_sum"
    if kernel.maximum:
        start, helper = "-(real)INFINITY", "gatec_block_max"
        step = f"{total} = gatec_max({total}, {kernel.term});"
    *outer, (name, bound) = kernel.terms
    heads = [f"for (size_t {other} = 0; {other} < {limit}; {other}++)" for other, limit in outer]
    heads.append(f"for (size_t {name} = threadIdx.y; {name} < {bound}; {name} += blockDim.y)")
    # Threads beyond the end have no terms.
    valid = [f"{name} < {bound}" for name, bound, _ in places[:1]]
    heads[:0] = [f"if ({test})" for test in valid]
    sums = [step]
    for head in reversed(heads):
        sums = [head, *indented(sums)]
    last = " && ".join([*valid, "threadIdx.y == 0"])
    return [
        f"real {total} = {start};",
        *sums,
        f"{total} = {helper}({total});",
        f"if ({last}) {{",
        *indented(lines),
        "}",
    ]


def generate(program: Program, stem: str) -> dict[str, str]:
    """`{stem}.cu` and `{stem}.h`."""
    return files(program, stem, _Cuda, "cuda/module.cu.jinja", f"{stem}.cu")

"""C: `{stem}.c` and `{stem}.h`, C11 with vectors and POSIX threads, no allocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatec.backends.c_family.dialect import Dialect, Parameter, body
from gatec.backends.c_family.indices import place
from gatec.backends.c_family.lines import indented, words
from gatec.backends.c_family.render import files
from gatec.backends.c_family.tasks import Kernel, Names
from gatec.ir import Program

# What vectors of units need: no branches, and functions of the template's own.
_OWN = ("exp", "expm1", "log", "log1p", "tanh", "erf")
# Those that leave some arguments to the C library, for which a kernel's loop runs once more.
_BOUNDED = ("sin", "cos")
_CALLS = {name: f"gatec_{name}({{0}})" for name in _OWN} | {
    **{name: f"gatec_{name}({{0}}, gatec_exact, &gatec_far)" for name in _BOUNDED},
    "arctan": "gatec_atan({0})",
    "pow": "gatec_pow({0}, {1})",
    "where": "gatec_choice({0}, {1}, {2})",
}
CHUNK_ROWS = 256  # rows of all steps that are computed at once where no state is waited for
_UNITS = "GATEC_UNITS"  # that a thread takes at once


class _C(Dialect):
    """Kernels are functions with loops.

    Threads share a call. In the loop over time each has rows of the batch for itself (`lead`, and
    as many as `own`) where there are enough of them, and its `mates` are nobody; otherwise all of
    them share the units of a step, and wait for each other where one needs what others computed.
    Where the recurrence is affine, each may have steps for itself, too (`scan`).
    """

    restrict = "restrict"
    calls = _CALLS
    fills = True  # a test inside of a loop would keep it from running in vectors
    packs = True
    scans = True
    chunk_rows = CHUNK_ROWS

    def __init__(self, local: Mapping[str, str]) -> None:
        super().__init__(local)
        self.lead, self.own = local["lead"], local["own"]

    def arguments(self, prefix: str) -> Mapping[str, str]:
        local, call = self.local, self.local["call"]
        lines = {local["layout"]: f"const struct gatec_layout {local['layout']} = {call}->layout;"}
        for word, kind in _GIVEN.items():
            name = local[word]
            lines[name] = f"{kind.format(prefix)}{name} = {call}->{word};"
        return lines

    def prelude(self, scan: bool = False) -> Mapping[str, str]:
        local = self.local
        team, batch, lead, own, mates, alone = (
            local[word] for word in ("team", "batch", "lead", "own", "mates", "alone")
        )
        whole = f"{mates} == {team}" + (f" || {local['joined']}" if scan else "")
        chunk_team = local["chunk_team"]
        joined = f"{local['joined']} ? &{alone} : {team}"
        return {
            alone: f"const struct gatec_team {alone} = {{0, 1, NULL}};",
            mates: f"const struct gatec_team *const {mates} = "
            f"{local['call']}->by_units ? {team} : &{alone};",
            chunk_team: f"const struct gatec_team *const {chunk_team} = {joined};",
            lead: f"const size_t {lead} = {whole} ? 0 : gatec_from({team}, {batch}, 1);",
            own: f"const size_t {own} = {whole} ? {batch} : gatec_to({team}, {batch}, 1) - {lead};",
        }

    def waits(self, team: str = "team") -> list[str]:
        return [f"gatec_wait({self.local[team]});"]

    def function(self, kernel: Kernel, parameters: Sequence[Parameter], names: Names) -> list[str]:
        index = names.index(len(kernel.shape))
        bounds = [(names.row, kernel.rows)] if kernel.rows else []
        bounds += [(i.name, str(dim)) for i, dim in zip(index, kernel.shape, strict=True)]
        at = place(names.row if kernel.rows else None, index, kernel.shape)
        lines = body(kernel, names, at)
        if kernel.terms:
            lines = [*_total(kernel, names), *lines]
        shared = 0 if kernel.by_rows or not kernel.shape or not kernel.rows else 1
        share = list[str]()
        wait = [] if kernel.step else [f"gatec_wait({names.team});"]
        if bounds:
            name, bound = bounds[shared]
            grain = _UNITS if shared == len(bounds) - 1 and name != names.row else "1"
            whole = f"{names.team}, {bound}, {grain}"
            share = [
                f"const size_t {names.first} = gatec_from({whole});",
                f"const size_t {names.end} = gatec_to({whole});",
            ]
            lines = _loops(bounds, shared, names, lines)
        else:
            lines = [f"if ({names.team}->part == 0) {{", *indented(lines), "}"]
        team = f"const struct gatec_team *{names.team}"
        head = f"static void {kernel.name}({', '.join([team, *map(str, parameters)])})"
        if "gatec_far" in words([*kernel.lines, kernel.term]):
            twice, lines = _twice(kernel, names, parameters, [*share, *lines])
            return [*twice, "", head, "{", *indented([*lines, *wait]), "}"]
        return [head, "{", *indented([*share, *lines, *wait]), "}"]

    def start(self, kernel: Kernel, arguments: Sequence[str], team: str) -> list[str]:
        return [self.called(kernel.name, ", ".join(arguments), team)]

    def called(self, name: str, arguments: str, team: str) -> str:
        return f"{name}({self.local[team]}, {arguments});"


# The members of `struct gatec_call`, with the types of pointers to them.
_GIVEN = {
    "sizes": "const struct {0}_sizes *const ",
    "constants": "const struct {0}_constants *const ",
    "params": "const struct {0}_params *const ",
    "inputs": "const struct {0}_inputs *const ",
    "initial": "const struct {0}_states *const ",
    "workspace": "void *const ",
    "train": "const int ",
    "joined": "const size_t ",
    "outputs": "real *const ",
    "last": "const struct {0}_states_out *const ",
    "grad_outputs": "const real *const ",
    "grad_last": "const struct {0}_states *const ",
    "grad_params": "const struct {0}_grad_params *const ",
    "grad_inputs": "const struct {0}_grad_inputs *const ",
    "grad_initial": "const struct {0}_states_out *const ",
}


def _loops(bounds: list[tuple[str, str]], shared: int, names: Names, lines: list[str]) -> list[str]:
    """Loops over rows and units, one of which runs over a thread's share."""
    for depth, (name, bound) in reversed(list(enumerate(bounds))):
        head = _for(name, bound)
        if depth == shared:
            head = f"for (size_t {name} = {names.first}; {name} < {names.end}; {name}++)"
        innermost = depth == len(bounds) - 1
        lines = [f"{head} {{", *indented(lines), "}"] if innermost else [head, *indented(lines)]
    return lines


def _twice(
    kernel: Kernel, names: Names, parameters: Sequence[Parameter], lines: list[str]
) -> tuple[list[str], list[str]]:
    """A function of a kernel's loops, and the lines that call it: once more, with functions of the
    C library, where some arguments need them.

    What kernels write they have not read before: the second run starts from what the first did.
    """
    once = f"{kernel.name}_once"
    taken = ["const int gatec_exact", f"const struct gatec_team *{names.team}"]
    function = [
        "static inline __attribute__((always_inline))",
        f"gatec_word {once}({', '.join([*taken, *map(str, parameters)])})",
        "{",
        *indented(["gatec_word gatec_far = 0;", *lines, "return gatec_far;"]),
        "}",
    ]
    given = ", ".join([names.team, *(parameter.name for parameter in parameters)])
    return function, [
        "/* Numbers that are too large for vectors are left to the C library. */",
        f"if ({once}(0, {given}))",
        f"    {once}(1, {given});",
    ]


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

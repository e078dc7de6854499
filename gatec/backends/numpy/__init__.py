"""NumPy: `init`, `step`, `forward` and `backward` of a cell, in one file that needs NumPy only.

`step` is printed from the equations as the user wrote them; `forward` and `backward` from the
planned cell and its derivative, whose input-side products are one GEMM over all rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatec.backends import text
from gatec.backends.emitter import render
from gatec.backends.numpy.arguments import Arguments, named_words, names_in, words
from gatec.backends.numpy.backward import BackwardFunction
from gatec.backends.numpy.forward import Run, step
from gatec.backends.numpy.init import Init
from gatec.backends.numpy.library import HELPERS, NumPy
from gatec.backends.numpy.private import Private
from gatec.backends.python.cell import Helpers, Locals
from gatec.backends.python.lines import statements
from gatec.ir import Cell, Program
from gatec.passes.common import Roots, kept
from gatec.passes.delay import delay
from gatec.passes.tidy import bound, live


def generate(program: Program, stem: str) -> dict[str, str]:
    """`{stem}_numpy.py`."""
    return {f"{stem}_numpy.py": _module(program)}


def _module(program: Program) -> str:
    plan, local = program.plan, Locals(program)
    arguments = Arguments(plan, local)
    private = Private(arguments)
    helpers = Helpers(NumPy(arguments.dtype), local, HELPERS)
    init = Init(private)
    run = Run(program, private, helpers)
    T, B = arguments.T, arguments.B
    values: dict[str, object] = {
        "header": text.header(program.source, text.docstring_line),
        "init": {
            "keywords": init.keywords,
            "words": text.wrap(init.words, text.WIDTH - 4),
            "lines": _lines(init.lines),
        },
        "keywords": text.wrap(arguments.keyword_words(), text.WIDTH - 4),
        "step": {
            "head": _lines([arguments.head("step", "state=None")], 0),
            "words": _words(plan, B),
            "output": words(plan.output_shape, B),
            "lines": _lines(step(_bounded(program.source), private, helpers)),
        },
        "forward": {
            "head": _lines([arguments.head("forward", "state=None")], 0),
            "words": _words(plan, T, B),
            "output": words(plan.output_shape, T, B),
            "lines": _lines([f"outputs, state, _ = {arguments.call('_run')}"]),
        },
        "run": {
            "head": _lines([f"def {arguments.call('_run')}:"], 0),
            "lines": _lines(run.lines()),
        },
        "backward": None,
        "private": [_lines(function, 0) for function in private.functions()],
    }
    if program.backward is not None:
        backward = BackwardFunction(plan, program.backward, private, helpers)
        call = arguments.call("_run")
        saved = [f"_, _, saved = {call}", f"{', '.join(run.saved())} = saved"]
        head = arguments.head("backward", "state", "grad_outputs", "grad_state=None")
        values["backward"] = {
            "head": _lines([head], 0),
            "inputs": ", ".join(arguments.inputs),
            "lines": _lines([*(saved if run.saved() else [call]), *backward.lines()]),
        }
    values["helpers"] = [*helpers.texts.values(), *init.functions.values()]
    code = [value for key, value in values.items() if key != "header"]
    values["math"] = "math" in names_in(_code(code))
    return render("numpy/module.py.jinja", **values)


def _code(values: object) -> list[str]:
    """All lines, wherever they stand in what the template is given."""
    if isinstance(values, str):
        return values.split("\n")
    parts = values.values() if isinstance(values, dict) else values or ()
    return [line for part in parts for line in _code(part)]  # type: ignore[attr-defined]


def _lines(codes: Iterable[str], indent: int = 4) -> list[str]:
    return statements(codes, indent)


def _bounded(source: Cell) -> Cell:
    """The cell as the user wrote it, without lags, long sums, deep nesting and dead code."""
    source = delay(source)
    names = frozenset(kept(source))
    roots = Roots(names, names)
    return bound(live(source, roots), roots)


def _words(plan: Cell, *lead: str) -> list[str]:
    """What the arguments are, for a docstring."""
    found = f"{named_words(plan.inputs, *lead)}; state: {named_words(plan.states, lead[-1])}."
    return text.wrap(found, text.WIDTH - 4)

"""The files of a C family target from its templates: header and module."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol

from gatec.backends import text
from gatec.backends.c_family.backward import Backward
from gatec.backends.c_family.dialect import Dialect
from gatec.backends.c_family.forward import Forward
from gatec.backends.c_family.function import Module
from gatec.backends.c_family.indices import count_text, dim_text, product
from gatec.backends.c_family.interface import (
    Interface,
    largest_factor,
    negative_dims,
    shape_words,
)
from gatec.backends.c_family.kernels import Kernels
from gatec.backends.c_family.lines import words, wrapped
from gatec.backends.c_family.scan import scans
from gatec.backends.c_family.storage import Storage
from gatec.backends.emitter import render
from gatec.expr import Ref, Shape
from gatec.ir import Initial, Program
from gatec.passes.common import refs

# Helpers of the templates, each with all that they call.
_NUMBERS = ("series", "clamp", "choice")
_SERIES = ("exp_series", "exp_rest", *_NUMBERS)
_HELPERS = {
    "gemm": ("gemm_add", "copy", "pack", "tile"),
    "gemm_add": ("pack", "tile"),
    "product": ("product_part", "tile"),
    "product_add": ("product_part", "tile"),
    "step_product": ("product_part", "tile"),
    "step_product_add": ("product_part", "tile"),
    "product_part": ("tile",),
    "pack": ("tile",),
    "sum_rows": ("block_sum",),
    "copy": (),
    "fill": (),
    "or_zero": (),
    "choice": (),
    "exp": _SERIES,
    "expm1": _SERIES,
    "sigmoid": _SERIES,
    "tanh": _SERIES,
    "softplus": ("exp", *_SERIES),
    "log": ("log_parts", *_NUMBERS),
    "log1p": ("log", "log_parts", *_NUMBERS),
    "pow": ("log_parts", "exp_rest", *_NUMBERS),
    "series": (),
    "atan": _NUMBERS,
    "angle": _NUMBERS,
    "sin": ("angle", *_NUMBERS),
    "cos": ("angle", *_NUMBERS),
    "erf": ("exp", *_SERIES),
    "sign": ("choice",),
    "max": ("choice",),
    "min": ("choice",),
    "bounded": (),
    "block_sum": (),
    "block_max": ("max",),
}


class _Item(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Shape: ...


def files(
    program: Program, stem: str, kind: type[Dialect], template: str, name: str
) -> dict[str, str]:
    """The module `name` of a target and `{stem}.h`, which is the same for C and CUDA."""
    interface = Interface(program)
    dialect = kind(interface.local)
    storage = Storage(interface.local)
    kernels = Kernels(program, interface, dialect)
    scan = scans(program, interface) if dialect.scans else None
    module = Module(program, interface, dialect, storage, kernels, _kept(program), scan)
    forward = wrapped(Forward(module).lines(), 1)
    backward = list[str]()
    if program.backward is not None:
        backward = wrapped(Backward(module, program.backward).lines(), 1)
    code = [line for function in kernels.functions for line in function.lines]
    layout = storage.layout()
    plan, local = program.plan, interface.local
    biases = {param.name for param in plan.params if param.bias}
    used = words([*forward, *backward, *layout])
    helpers = _helpers([*forward, *backward, *code])
    values: dict[str, object] = {
        "header": text.header(program.source, text.c_line),
        "stem": stem,
        "prefix": interface.prefix,
        "local": local,
        "size_names": interface.size_names,
        "arrays": list(storage.arrays),
        "layout": wrapped(layout, 1),
        "chunks": local["chunk"] in used,
        "chunk_rows": dialect.chunk_rows,
        "factor": largest_factor(_shapes(program, storage)),
        "negative": [dim_text(dim) for dim in negative_dims(_shapes(program, storage))],
        "extents": _extents(program, local["steps"], local["batch"]),
        "required": _any_null("params", (p.name for p in plan.params if p.name not in biases)),
        "required_inputs": _any_null("inputs", (item.name for item in plan.inputs)),
        "constants": [_double(constant.value) for constant in plan.constants],
        "params": bool(plan.params),
        "functions": kernels.functions,
        "forward": forward,
        "backward": backward,
        "helpers": helpers,
        "effort": _effort(program, module.products),
        "step_effort": _effort(program, module.step_products, "step"),
        "waits": any(f"gatec_wait({local['mates']})" in line for line in [*forward, *backward]),
        "scan_units": dim_text(scan.forward.size) if scan is not None else "",  # a factor
        "called": words([*forward, *backward]),
    }
    return {name: render(template, **values), f"{stem}.h": header(program, interface)}


def _effort(program: Program, products: Iterable[tuple[str, str]], name: str = "each") -> list[str]:
    """Multiplications for one row and step, as terms on lines; a unit counts for some tens."""
    made = [product(n, k) for n, k in products]
    units = [product("50", count_text(state.shape)) for state in program.plan.states]
    terms = list(dict.fromkeys([*made, *units])) or ["1"]
    return wrapped([f"const double {name} = {' + '.join(terms)};"], 1)


def _kept(program: Program) -> frozenset[str]:
    """The forward equations that the way back reads."""
    if program.backward is None:
        return frozenset()
    forward = {equation.name for equation in program.plan.equations}
    own = {equation.name for equation in program.backward.equations}
    read = {r.name for e in program.backward.equations for r in refs(e.value, "var")}
    return frozenset((read | set(program.backward.stored)) & forward - own)


def _helpers(lines: Iterable[str]) -> set[str]:
    """The helpers that lines call, and those that these call."""
    used = words(lines)
    found = {name for name in _HELPERS if f"gatec_{name}" in used}
    return found | {other for name in found for other in _HELPERS[name]}


def _shapes(program: Program, storage: Storage) -> list[Shape]:
    plan = program.plan
    items: list[_Item] = [*plan.inputs, *plan.states, *plan.params, *storage.arrays.values()]
    shapes = [item.shape for item in items] + [plan.output_shape]
    equations = [*plan.equations, *(program.backward.equations if program.backward else ())]
    shapes += [equation.value.shape for equation in equations]
    return shapes + [r.shape for e in equations for r in refs(e.value) if isinstance(r, Ref)]


def _extents(program: Program, steps: str, batch: str) -> list[tuple[str, str, str, str]]:
    """The arrays of the caller: what their numbers of units are products of."""
    plan = program.plan
    found = [(steps, batch, item.shape) for item in plan.inputs]
    found.append((steps, batch, plan.output_shape))
    found += [("1", batch, state.shape) for state in plan.states]
    found += [("1", "1", param.shape) for param in plan.params]
    extents = [(s, b, *[*map(str, shape), "1", "1"][:2]) for s, b, shape in found]
    return list(dict.fromkeys(extents))  # type: ignore[arg-type]


def _any_null(struct: str, members: Iterable[str]) -> list[str]:
    """The test whether a member of a structure is NULL, as lines; none without members."""
    tests = [f"{struct}->{member} == NULL" for member in members]
    lines = [""] if tests else []
    for test in tests:
        if len(lines[-1]) + len(test) > 76:
            lines.append("")
        lines[-1] += f" || {test}" if lines[-1] else test
    return [f"{line} ||" for line in lines[:-1]] + lines[-1:]


def _double(value: Fraction) -> str:
    return repr(float(value))


def header(program: Program, interface: Interface) -> str:
    """`{stem}.h`: the same bytes for C and CUDA."""
    plan, prefix = program.plan, interface.prefix

    def members(items: Iterable[_Item], *lead: str) -> list[tuple[str, str]]:
        return [(item.name, shape_words(lead, item.shape)) for item in items]

    biases = {param.name for param in plan.params if param.bias}
    return render(
        "c/header.h.jinja",
        header=text.header(program.source, text.c_line),
        guard=f"{prefix.upper()}_H",
        prefix=prefix,
        size_names=interface.size_names,
        constants=[(constant.name, _double(constant.value)) for constant in plan.constants],
        params=[
            (name, shape, "; NULL: absent" if name in biases else "")
            for name, shape in members(plan.params)
        ],
        inputs=members(plan.inputs, "T", "B"),
        states=members(plan.states, "B"),
        initial=[(state.name, _initial(state.initial)) for state in plan.states],
        learned=any(state.initial.param for state in plan.states),
        output=shape_words(("T", "B"), plan.output_shape),
        output_name=plan.output,
        backward=program.backward is not None,
    )


def _initial(initial: Initial) -> str:
    return f"the parameter {initial.param}" if initial.param else f"{float(initial.value):g}"

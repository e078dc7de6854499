"""The files of a C family target from its template: header and module."""

from __future__ import annotations

from gatec.backends import text
from gatec.backends.c_family.expressions import dim_text
from gatec.backends.c_family.functions import Functions
from gatec.backends.c_family.interface import negative_dims, shape_words
from gatec.backends.emitter import render
from gatec.ir import Program


def header(program: Program, functions: Functions, stem: str) -> str:
    """`{stem}.h`: the same bytes for C and CUDA."""
    plan, prefix = program.plan, functions.interface.prefix

    def members(items: object, lead: tuple[str, ...]) -> list[tuple[str, str]]:
        return [(i.name, shape_words(lead, i.shape)) for i in items]  # type: ignore[attr-defined]

    biases = {param.name for param in plan.params if param.bias}
    params = [
        (name, words + ("; NULL: absent" if name in biases else ""))
        for name, words in members(plan.params, ())
    ]
    return render(
        "c/header.h.jinja",
        header=text.header(program.source, text.c_line),
        guard=f"{prefix.upper()}_H",
        prefix=prefix,
        size_names=functions.interface.size_names,
        constants=[(c.name, float(c.value)) for c in plan.constants],
        params=params,
        inputs=members(plan.inputs, ("T", "B")),
        states=members(plan.states, ("B",)),
        initial=[(s.name, _initial(s.initial)) for s in plan.states],
        output=shape_words(("T", "B"), plan.output_shape),
        output_name=plan.output,
        backward=program.backward is not None,
    )


def _initial(initial: object) -> str:
    param = getattr(initial, "param", None)
    return f"the parameter {param}" if param else f"{float(getattr(initial, 'value', 0)):g}"


def module(program: Program, functions: Functions, stem: str, template: str, **more: object) -> str:
    """The module with the functions' bodies."""
    forward = functions.forward()
    backward = functions.backward() if program.backward is not None else []
    layout = functions.layout()
    interface = functions.interface
    shapes = [array.shape for array in functions.arrays.values()]
    if "kernels" in more:
        more["kernels"] = list(more["kernels"])  # type: ignore[call-overload]
    code = "\n".join([*forward, *backward, *map(str, more.get("kernels", ()))])  # type: ignore[call-overload]
    helpers = [
        name
        for name in ("sigmoid", "softplus", "sign", "max", "min", "gemm")
        if f"gatec_{name}(" in code
    ]
    used_sizes = [name for name in interface.size_names if any(name in line for line in layout)]
    biases = {p.name for p in program.plan.params if p.bias}
    return render(
        template,
        header=text.header(program.source, text.c_line),
        stem=stem,
        prefix=interface.prefix,
        local=interface.local,
        arrays=list(functions.arrays),
        layout=layout,
        used_sizes=used_sizes,
        size_names=interface.size_names,
        negative=[dim_text(d) for d in negative_dims(program.plan, shapes)],
        required=[p.name for p in program.plan.params if p.name not in biases],
        inputs=[item.name for item in program.plan.inputs],
        constants=bool(program.plan.constants),
        has_params=bool(program.plan.params),
        forward=forward,
        backward=backward,
        helpers=helpers,
        **more,
    )

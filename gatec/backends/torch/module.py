"""The module around the equations: its class, arguments, parameters and checks."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatec import cell_text
from gatec.backends import text
from gatec.backends.emitter import render
from gatec.backends.python import shape_tuple
from gatec.backends.python.cell import Locals
from gatec.backends.python.lines import statements
from gatec.backends.torch import describe
from gatec.backends.torch.layer import layer
from gatec.backends.torch.weights import weights
from gatec.expr import INPUT, Dim, Shape
from gatec.ir import Cell, Param, Program

_INITIALISATIONS = {
    "zeros": "nn.init.zeros_({})",
    "ones": "nn.init.ones_({})",
    "normal": "nn.init.normal_({})",
    "orthogonal": "nn.init.orthogonal_({})",
    "xavier": "nn.init.xavier_uniform_({})",
    "xavier_normal": "nn.init.xavier_normal_({})",
    "kaiming": "nn.init.kaiming_uniform_({})",
    "identity": "nn.init.eye_({})",
}
_OF_MATRICES = frozenset(["orthogonal", "xavier", "xavier_normal", "kaiming", "identity"])
_STATE_SHAPES = "state_shapes: list[tuple[int, ...]]"
# How deep the bodies of methods stand.
_BODY = 8


def module(program: Program) -> str:
    """The text of the generated module."""
    plan = program.plan
    local, written = Locals(program), layer(program)
    inputs = [item.name for item in plan.inputs]
    words = {word: local(word) for word in ("layer", "direction")}
    step = ", ".join([*words.values(), "state", *inputs])
    forward_doc, returns_doc = describe.forward(plan)
    body = render(
        "torch/module.py.jinja",
        name=plan.name,
        header=text.header(program.source, text.docstring_line),
        constructor_doc=describe.constructor(plan),
        parameters_doc=describe.parameters(plan),
        reset_doc=_reset_doc(plan),
        forward_doc=forward_doc,
        returns_doc=returns_doc,
        cell_doc=describe.cell(plan, **words),
        keywords=_keywords(plan),
        constants=shape_tuple(f"self.{constant.name}" for constant in plan.constants),
        inputs=inputs,
        state_type="Tensor" if len(plan.states) == 1 else "tuple[Tensor, ...]",
        single=len(plan.states) == 1,
        count=len(plan.states),
        hidden={1: "hx", 2: "hx and cx"}.get(len(plan.states), "all states"),
        rank=len(plan.inputs[0].shape),
        plain=all(len(s) == 1 for s in (plan.inputs[0].shape, *(i.shape for i in plan.states))),
        extra=len(inputs) > 1,
        extra_shapes=_dict(
            "shapes: dict[str, tuple[int, ...]]", ((i.name, _own(i.shape)) for i in plan.inputs[1:])
        ),
        state_shapes=_body(f"{_STATE_SHAPES} = [{', '.join(_own(s.shape) for s in plan.states)}]"),
        run=_body(f"return self._run({', '.join(['state', *inputs])})"),
        run_step=_body(f"return self._run_step({step})"),
        names=written.names | words,
        layer=written,
        join=_join(plan),
        input_size=_body(f"return {_input_size(plan)}"),
        step_size=_own_size(plan.inputs[0].shape[-1], "self._input_size(layer)")
        if plan.inputs[0].shape
        else "",
        params=_parameters(plan),
        wide=any(_reads_input_size(param.shape) for param in plan.params),
        biases=_biases(plan.params),
        cell_text=cell_text.verified(program.source),
        resets=_resets(plan.params),
        sizes=_dict("sizes", ((name, f"self.{name}") for name in _sizes(plan))),
        checks=_checks(plan),
        weights=weights(program),
    )
    # Whether `math` is needed shows in the text alone: constants print as Python numbers.
    return body if "math." in body else body.replace("import math\n", "", 1)


def _body(*codes: str) -> list[str]:
    return statements(codes, _BODY)


# --- Sizes and shapes -----------------------------------------------------------------------


def _own_size(dim: Dim, input_size: str = "self.input_size") -> str:
    """A size as the methods of the class know it."""
    named = re.sub(r"\b(?!input_size\b)[A-Za-z_]\w*", r"self.\g<0>", str(dim))
    return re.sub(r"\binput_size\b", input_size, named)


def _own(shape: Shape, input_size: str = "self.input_size") -> str:
    return shape_tuple(_own_size(dim, input_size) for dim in shape)


def _dict(name: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    """A dictionary, one entry on a line."""
    return [f"{name} = {{", *(f'    "{key}": {value},' for key, value in entries), "}"]


def _sizes(plan: Cell) -> list[str]:
    return ["input_size", "hidden_size", "num_layers", *(size.name for size in plan.sizes)]


def _times_directions(dim: Dim, input_size: str) -> str:
    size = _own_size(dim, input_size)
    alone = len(dim.terms) + bool(dim.const) == 1
    return f"self._directions * {size if alone else f'({size})'}"


def _input_size(plan: Cell) -> str:
    """The size of what a layer reads: the input, or the outputs of both directions below."""
    below = "self._directions"
    if plan.output_shape:
        below = _times_directions(plan.output_shape[-1], "self._input_size(layer - 1)")
    return f"self.input_size if layer == 0 else {below}"


def _join(plan: Cell) -> list[str]:
    """The statements that join the outputs of both directions."""
    if plan.output_shape:
        return ["x = torch.cat(outputs, dim=-1) if self.bidirectional else outputs[0]"]
    if not plan.inputs[0].shape:
        return ["x = torch.stack(outputs, dim=-1) if self.bidirectional else outputs[0]"]
    return [
        "# Scalars, of which the next layer reads a vector.",
        "x = torch.stack(outputs, dim=-1)",
        "if layer == self.num_layers - 1 and not self.bidirectional:",
        "    x = x.squeeze(-1)",
    ]


# --- Parameters -----------------------------------------------------------------------------


def _parameters(plan: Cell) -> list[str]:
    """The entries of the table of parameters, name to shape."""
    lines: list[str] = []
    for param in plan.params:
        entry = f'"{param.name}": {_own(param.shape, "input_size")},'
        if len(entry) + _BODY + 4 <= text.WIDTH:
            lines.append(entry)
        else:
            dims = [f"    {_own_size(dim, 'input_size')}," for dim in param.shape]
            lines += [f'"{param.name}": (', *dims, "),"]
    return lines


def _biases(params: Iterable[Param]) -> list[str]:
    names = [f'"{param.name}"' for param in params if param.bias]
    return statements([f"_biases = {shape_tuple(names)}"], 4) if names else []


def _reset_doc(plan: Cell) -> list[str]:
    if not plan.params:
        return ["This cell has no parameters."]
    usual = "Uniform between -1/sqrt(hidden_size) and 1/sqrt(hidden_size)"
    others = [f"{p.name}: {p.init}" for p in plan.params if _initialisation(p)]
    return text.wrap(f"{usual}{'; ' * bool(others)}{', '.join(others)}.", text.WIDTH - _BODY - 6)


def _initialisation(param: Param) -> str | None:
    """What makes a parameter's first values, where they are not the usual ones."""
    if param.init == "uniform" or (param.init in _OF_MATRICES and len(param.shape) < 2):
        return None
    if param.init in _INITIALISATIONS:
        return _INITIALISATIONS[param.init]
    return f"nn.init.constant_({{}}, {param.init})"


def _resets(params: Iterable[Param]) -> list[str]:
    codes: list[str] = []
    for param in params:
        template = _initialisation(param)
        if template is not None:
            code = template.format(f'getattr(self, "{param.name}" + suffix)')
            codes += ["if self.bias:", f"    {code}"] if param.bias else [code]
    return statements(codes, _BODY + 8)


def _keywords(plan: Cell) -> list[dict[str, str]]:
    """Sizes and constants as keywords of the constructor: default, value, what `print` omits."""
    found = []
    for size in plan.sizes:
        default = {"type": "int", "default": str(size.default), "value": size.name}
        default["usual"] = default["default"]
        if size.default is None:
            default["type"] = "int | None"
            default["value"] = f"hidden_size if {size.name} is None else {size.name}"
            default["usual"] = "self.hidden_size"
        found.append({"name": size.name, **default})
    for constant in plan.constants:
        usual = repr(float(constant.value))
        value = f"float({constant.name})"
        found.append(
            {"name": constant.name, "type": "float", "default": usual, "value": value}
            | {"usual": usual}
        )
    return found


# --- Checks ---------------------------------------------------------------------------------


def _checks(plan: Cell) -> list[str]:
    """Sizes that the equations tie together."""
    first, output = plan.inputs[0].shape, plan.output_shape
    lines: list[str] = []
    if not first:
        lines += _refusal("self.input_size != 1", "the input is a scalar: input_size must be 1")
    elif not _reads_input_size(first):
        size = _own_size(first[-1])
        words = f"input_size must be equal to {first[-1]}, "
        got = f"got {{self.input_size}} and {{{size}}}"
        lines += _refusal(f"self.input_size != {size}", words, got)
    several = "num_layers must be 1: "
    if first == (INPUT,) and len(output) < 2:
        if any(_reads_input_size(state.shape) for state in plan.states):
            lines += _refusal(
                "self.num_layers > 1 and self._input_size(1) != self.input_size",
                f"{several}a state holds inputs, ",
                "and outputs have another size",
            )
    elif len(first) != len(output):
        lines += _refusal("self.num_layers > 1", f"{several}the outputs are no inputs")
    elif first == output:
        # The outputs of both directions stand side by side.
        lines += _refusal(
            "self.num_layers > 1 and self.bidirectional", f"{several}the outputs are no inputs"
        )
    else:
        wide = _times_directions(output[-1], "self.input_size")
        given = shape_tuple([*map(_own_size, output[:-1]), wide])
        lines += _body(f"outputs, inputs = {given}, {_own(first)}")
        lines += _refusal(
            "self.num_layers > 1 and outputs != inputs", f"{several}the outputs are no inputs"
        )
    return lines


def _reads_input_size(shape: Shape) -> bool:
    return any(name == "input_size" for dim in shape for name, _ in dim.terms)


def _refusal(condition: str, *words: str) -> list[str]:
    """A ValueError where the condition holds; `words` follow each other."""
    whole = _string("".join(words))
    refusal = f"    raise ValueError({whole})"
    if _BODY + len(refusal) <= text.WIDTH:
        return [f"if {condition}:", refusal]
    strings = [whole] if _BODY + 8 + len(whole) <= text.WIDTH else map(_string, words)
    inner = [f"        {string}" for string in strings]
    return [f"if {condition}:", "    raise ValueError(", *inner, "    )"]


def _string(words: str) -> str:
    return f'f"{words}"' if "{" in words else f'"{words}"'

"""What the docstrings of the generated module say: arguments, shapes, parameters."""

from __future__ import annotations

from collections.abc import Iterable

from gatec.backends.python import shape_tuple
from gatec.backends.text import WIDTH, wrap
from gatec.expr import Dim, Shape
from gatec.ir import Cell, State

# How deep the lines below `Args:` stand in the docstrings of the class and of its methods.
_CLASS, _METHOD = 8, 12


def constructor(plan: Cell) -> list[str]:
    """The arguments of the constructor."""
    biases = names(param.name for param in plan.params if param.bias)
    made = {
        "input_size": f"the size of {plan.inputs[0].name}",
        "hidden_size": "the size of the hidden state",
        "num_layers": "how many layers; each reads the outputs of the one below",
        "bias": f"whether there are {biases}" if biases else "this cell has no biases",
        "batch_first": "whether batched sequences are (B, T, ...), not (T, B, ...)",
        "dropout": "the probability of dropout between layers",
        "bidirectional": "whether each layer also reads the sequence from its end",
        "device, dtype": "of the parameters",
        "checkpoint": "steps between the states that kernels keep in training, where the rest is "
        'computed again; "auto": as many as free memory, or `checkpoint_budget` bytes, allow',
        "kernel_weights": "torch.bfloat16: kernels multiply with weights rounded to it, for speed",
    }
    for size in plan.sizes:
        made[size.name] = "a size" + (", by default hidden_size" if size.default is None else "")
    for constant in plan.constants:
        made[constant.name] = "a constant"
    return [line for key, value in made.items() for line in _hanging(f"{key}: {value}", _CLASS)]


def parameters(plan: Cell) -> list[str]:
    """The parameters of one layer, those of one shape on one line."""
    groups: dict[Shape, list[str]] = {}
    for param in plan.params:
        groups.setdefault(param.shape, []).append(param.name)
    return [
        line
        for shape, found in groups.items()
        for line in _hanging(f"{', '.join(found)}: {shape_tuple(map(str, shape))}", _CLASS)
    ]


def forward(plan: Cell) -> tuple[list[str], list[str]]:
    """The arguments of `forward`, and what it returns."""
    first, *others = plan.inputs
    batched, single = (dims(lead, first.shape) for lead in (("T", "B"), ("T",)))
    lines = [f"{first.name}: {batched}, or {single} without a batch, or a `PackedSequence`"]
    lines += [f"{other.name}: {dims(('T', 'B'), other.shape)}" for other in others]
    lines.append(f"state: {_states(plan, ('num_layers * directions', 'B'))}")
    output = list(map(str, plan.output_shape))
    if output:
        output[-1] = f"directions * {_factor(plan.output_shape[-1])}"
    returned = f"the outputs {shape_tuple(['T', 'B', *output])}, in the form of {first.name}, "
    returned += "and the state after the last step"
    return (
        [line for item in lines for line in _hanging(item, _METHOD)],
        wrap(returned, WIDTH - _METHOD),
    )


def cell(plan: Cell, layer: str, direction: str) -> list[str]:
    """The arguments of `cell`."""
    lines = [f"{item.name}: {dims(('B',), item.shape)}" for item in plan.inputs]
    lines.append(f"state: {_states(plan, ('B',))}")
    lines += [f"{layer}: which layer, from 0", f"{direction}: 1 for the reverse direction"]
    return [line for item in lines for line in _hanging(item, _METHOD)]


def names(found: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = list(found) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def dims(lead: Iterable[str], shape: Shape) -> str:
    """The dimensions of a tensor."""
    return shape_tuple([*lead, *map(str, shape)])


def _states(plan: Cell, lead: tuple[str, ...]) -> str:
    """The states' shapes, and what they are by default."""
    groups: dict[Shape, list[str]] = {}
    for state in plan.states:
        groups.setdefault(state.shape, []).append(state.name)
    each = "each " if len(plan.states) > len(groups) else ""
    shapes = "; ".join(
        f"{names(found)}, {each if len(found) > 1 else ''}{dims(lead, shape)}"
        for shape, found in groups.items()
    )
    if all(state.initial.param is None and not state.initial.value for state in plan.states):
        return f"{shapes}; zeros by default"
    return f"{shapes}; by default {names(map(_default, plan.states))}"


def _default(state: State) -> str:
    value = state.initial.param or f"{float(state.initial.value):g}"
    return f"{state.name} = {value}"


def _factor(dim: Dim) -> str:
    return f"({dim})" if len(dim.terms) + bool(dim.const) > 1 else str(dim)


def _hanging(text: str, indent: int) -> list[str]:
    """An entry on lines, all but the first four columns deeper."""
    first, *rest = wrap(text, WIDTH - indent - 4)
    return [first, *("    " + line for line in rest)]

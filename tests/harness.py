"""Any cell through any backend, and through independent code, to one kind of result.

A `Case` is what a cell is run on; a result is a flat dictionary of float64 arrays: `output`,
`state h`, and the gradients `d W_f`, `d x`, `d state h` of

    loss = sum(output * weights) + sum over states (state after the last step * weights)

whose weights depend on shapes alone, so that every runner finds the same ones.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatec import compiler, interpret, source
from gatec.ir import Cell, Program

Values = dict[str, np.ndarray]
Run = Callable[[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]], Any]


@dataclass(frozen=True)
class Case:
    """Parameters; inputs (T, B, *shape); states before the first step (B, *shape).

    With no `states` the cell starts from its own initial values.
    """

    params: Values
    inputs: Values
    states: Values

    def rounded(self, dtype: str) -> Case:
        """The same case with every number representable in `dtype`."""

        def fit(values: Values) -> Values:
            return {name: np.asarray(v, dtype).astype("float64") for name, v in values.items()}

        return Case(fit(self.params), fit(self.inputs), fit(self.states))


def draw(
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]], steps: int, batch: int, seed: int = 0
) -> Case:
    """A random case; `shapes` maps params, inputs and states to name and shape."""
    rng = np.random.default_rng(seed)

    def parameter(shape: tuple[int, ...]) -> np.ndarray:
        # Scaled as usual initialisations are, so that no recurrence explodes.
        scale = np.sqrt(shape[-1] if len(shape) > 1 else 2.0)
        return np.asarray(rng.standard_normal(shape) / scale)

    return Case(
        {name: parameter(shape) for name, shape in shapes["params"].items()},
        {name: rng.standard_normal((steps, batch, *s)) for name, s in shapes["inputs"].items()},
        {name: rng.standard_normal((batch, *s)) * 0.5 for name, s in shapes["states"].items()},
    )


def cell_shapes(cell: Cell, sizes: Mapping[str, int]) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of a cell as numbers, for `draw`."""
    groups = {"params": cell.params, "inputs": cell.inputs, "states": cell.states}
    return {
        group: {item.name: tuple(dim.value(sizes) for dim in item.shape) for item in items}
        for group, items in groups.items()
    }


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """What the loss multiplies a result of this shape by."""
    return np.random.default_rng(sum(shape) + 1).standard_normal(shape)


# --- From texts to programs ---------------------------------------------------------------------


def compiled(spec: str | Path, cell: str | None = None) -> Program:
    """The program of a spec that holds one cell, or of the cell that is named."""
    (unit,) = compiler.units(str(spec), cell)
    return compiler.program(compiler.front(unit.document).cell)


def compiled_text(text: str, name: str) -> Program:
    """The program of a text that would stand in a file of this name."""
    (document,) = source.read_text(text, name)
    return compiler.program(compiler.front(document).cell)


# --- Runners by automatic differentiation -------------------------------------------------------


def differentiated(run: Run, case: Case) -> Values:
    """The result of `run(params, inputs, states) -> (outputs, states)` in torch, by autograd.

    States that the case does not give but the run returns count as results, not in the loss.
    """
    leaves = [
        {name: torch.tensor(v, requires_grad=True) for name, v in group.items()}
        for group in (case.params, case.inputs, case.states)
    ]
    params, inputs, states = leaves
    outputs, last = run(params, inputs, states)
    loss = (outputs * torch.tensor(weights(tuple(outputs.shape)))).sum()
    for name in case.states:
        loss = loss + (last[name] * torch.tensor(weights(tuple(last[name].shape)))).sum()
    loss.backward()
    result = {"output": outputs.detach().numpy()}
    result |= {f"state {name}": value.detach().numpy() for name, value in last.items()}
    for prefix, group in (("d ", params), ("d ", inputs), ("d state ", states)):
        for name, leaf in group.items():
            zero = torch.zeros_like(leaf)
            result[prefix + name] = (leaf.grad if leaf.grad is not None else zero).numpy()
    return result


def interpreted(cell: Cell, sizes: Mapping[str, int], case: Case) -> Values:
    """The result by the living definition, `gatec.interpret`."""
    import torch_numpy

    def run(params: Any, inputs: Any, states: Any) -> Any:
        done = interpret.run(cell, params, inputs, states, sizes=sizes, xp=torch_numpy)
        return done.outputs, done.state

    return differentiated(run, case)


# --- Runners of generated code ------------------------------------------------------------------


_modules = itertools.count()


def build(target: str, program: Program, folder: Path) -> Any:
    """The generated code of a target, ready to run: a Python module or a native library."""
    if target in ("c", "cuda"):
        import native

        return native.build(program, folder, cuda=target == "cuda")
    from gatec import backends

    (text,) = backends.load(target).generate(program, "cell").values()
    return load(text, folder)


def load(text: str, folder: Path) -> ModuleType:
    """A Python module from generated text, by an ordinary import."""
    name = f"generated_{next(_modules)}"
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def executed(
    target: str,
    built: Any,
    program: Program,
    sizes: Mapping[str, int],
    case: Case,
    dtype: str = "float64",
) -> Values:
    """The result of built code."""
    runner = {"numpy": _numpy, "torch": _torch, "c": _native, "cuda": _native}[target]
    return runner(built, program, sizes, case, dtype)


def _full_states(program: Program, sizes: Mapping[str, int], case: Case) -> Values:
    """The states a generated function takes: the case's, and delay states at their start, 0."""
    batch = next(iter(case.inputs.values())).shape[1]
    return {
        s.name: case.states[s.name]
        if s.name in case.states
        else np.zeros((batch, *(dim.value(sizes) for dim in s.shape)))
        for s in program.plan.states
    }


def _state_weights(program: Program, case: Case, last: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The loss's weights on the last states, 0 for those the case does not give."""
    pairs = zip(program.plan.states, last, strict=True)
    return [weights(value.shape) * (s.name in case.states) for s, value in pairs]


def _one(values: list[Any]) -> Any:
    """Generated functions take one state bare and several as a tuple."""
    return values[0] if len(values) == 1 else tuple(values)


def _many(value: Any, count: int) -> list[Any]:
    return [value] if count == 1 else list(value)


def _numpy(
    module: ModuleType, program: Program, sizes: Mapping[str, int], case: Case, dtype: str
) -> Values:
    params = {name: v.astype(dtype) for name, v in case.params.items()}
    inputs = [case.inputs[i.name].astype(dtype) for i in program.plan.inputs]
    count = len(program.plan.states)
    state = grad_state = None
    if case.states:
        state = _one([v.astype(dtype) for v in _full_states(program, sizes, case).values()])
    # Sizes that no shape tells are keywords.
    names = inspect.signature(module.forward).parameters
    more = {name: size for name, size in sizes.items() if name in names}
    outputs, last = module.forward(params, *inputs, state, **more)
    last = _many(last, count)
    if case.states:
        grad_state = _one([w.astype(dtype) for w in _state_weights(program, case, last)])
    grad_outputs = weights(outputs.shape).astype(dtype)
    grad_params, *grad_inputs, grad_last = module.backward(
        params, *inputs, state, grad_outputs, grad_state, **more
    )
    for value in (outputs, *last, *grad_params.values(), *grad_inputs):
        assert value.dtype == dtype
    return _collect(program, case, outputs, last, grad_params, grad_inputs, _many(grad_last, count))


def _torch(
    module: ModuleType, program: Program, sizes: Mapping[str, int], case: Case, dtype: str
) -> Values:
    kind = getattr(torch, dtype)
    made = torch_module(module, program, sizes, case, dtype)
    inputs = [
        torch.tensor(case.inputs[i.name], dtype=kind, requires_grad=True)
        for i in program.plan.inputs
    ]
    states = [
        torch.tensor(v[None], dtype=kind, requires_grad=True)
        for v in _full_states(program, sizes, case).values()
    ]
    outputs, last = made(*inputs, _one(states) if case.states else None)
    last = [value[0] for value in _many(last, len(states))]
    loss = (outputs * torch.tensor(weights(tuple(outputs.shape)), dtype=kind)).sum()
    if case.states:
        arrays = [value.detach().numpy() for value in last]
        for value, w in zip(last, _state_weights(program, case, arrays), strict=True):
            loss = loss + (value * torch.tensor(w, dtype=kind)).sum()
    loss.backward()

    def grad(leaf: Tensor) -> np.ndarray:
        return (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).numpy()

    named = dict(made.named_parameters())
    return _collect(
        program,
        case,
        outputs.detach().numpy(),
        [value.detach().numpy() for value in last],
        {name: grad(named[name]) for name in case.params},
        [grad(leaf) for leaf in inputs],
        [grad(leaf)[0] for leaf in states],
    )


def torch_module(
    module: ModuleType, program: Program, sizes: Mapping[str, int], case: Case, dtype: str
) -> torch.nn.Module:
    """The module's class, made with the sizes, holding the case's parameters."""
    extra = {size.name: sizes[size.name] for size in program.source.sizes}
    made = getattr(module, program.source.name)(
        sizes.get("input_size", 1),
        sizes.get("hidden_size", 1),
        dtype=getattr(torch, dtype),
        **extra,
    )
    with torch.no_grad():
        for name, value in case.params.items():
            getattr(made, name).copy_(torch.tensor(value))
    return made


def _native(
    library: Any, program: Program, sizes: Mapping[str, int], case: Case, dtype: str
) -> Values:
    import native

    def fit(values: Mapping[str, np.ndarray]) -> Values:
        return {name: value.astype(dtype) for name, value in values.items()}

    inputs = fit(case.inputs)
    states = fit(_full_states(program, sizes, case)) if case.states else None
    output = program.plan.output_shape
    steps, batch = next(iter(inputs.values())).shape[:2]
    grad_outputs = weights((steps, batch, *(dim.value(sizes) for dim in output))).astype(dtype)
    grad_last = None
    if states is not None:
        given = _state_weights(program, case, list(states.values()))
        grad_last = dict(zip(states, (w.astype(dtype) for w in given), strict=True))
    result = native.run(
        library, sizes, fit(case.params), inputs, states, grad_outputs, grad_last, dtype
    )
    return _collect(
        program,
        case,
        result.outputs,
        list(result.last.values()),
        result.grad_params,
        list(result.grad_inputs.values()),
        list(result.grad_initial.values()),
    )


def _collect(
    program: Program,
    case: Case,
    outputs: np.ndarray,
    last: list[np.ndarray],
    grad_params: Mapping[str, np.ndarray],
    grad_inputs: list[np.ndarray],
    grad_states: list[np.ndarray],
) -> Values:
    result = {"output": outputs}
    names = [s.name for s in program.plan.states]
    result |= {f"state {name}": v for name, v in zip(names, last, strict=True)}
    result |= {f"d {name}": np.asarray(v) for name, v in grad_params.items()}
    inputs = [i.name for i in program.plan.inputs]
    result |= {f"d {name}": v for name, v in zip(inputs, grad_inputs, strict=True)}
    if case.states:
        pairs = zip(names, grad_states, strict=True)
        result |= {f"d state {name}": v for name, v in pairs if name in case.states}
    return {name: np.asarray(value, "float64") for name, value in result.items()}


# --- Comparison ---------------------------------------------------------------------------------


def difference(got: np.ndarray, want: np.ndarray, scale: float | None = None) -> float:
    """The largest error, relative to `scale` (by default the largest wanted value)."""
    assert got.shape == want.shape, f"shape {got.shape}, not {want.shape}"
    if not want.size:
        return 0.0
    if scale is None:
        scale = float(np.max(np.abs(want)))
    error = float(np.max(np.abs(got - want)))
    # NaN or infinity anywhere is an error, whatever the other side says.
    return error / max(scale, 1e-8) if np.isfinite(error) else float("inf")


def assert_close(got: Values, want: Values, tolerance: float) -> None:
    """Every array of `want` is in `got`, equal within a relative tolerance.

    Errors are relative to the largest value of the kind, results or gradients: single gradients
    may be what is left of terms that cancel (those of a normalised key, say), and no arithmetic
    has more digits of the difference than of the terms. A wrong derivative stays far above it.
    """
    largest = {True: 0.0, False: 0.0}
    for name, value in want.items():
        if value.size:
            gradient = name.startswith("d ")
            largest[gradient] = max(largest[gradient], float(np.max(np.abs(value))))
    errors = {}
    for name, value in want.items():
        assert name in got, f"{name} is missing; there are {sorted(got)}"
        error = difference(got[name], value, largest[name.startswith("d ")])
        if not error <= tolerance:
            errors[name] = error
    assert not errors, f"relative errors above {tolerance}: {errors}"

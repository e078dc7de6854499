"""Derivatives against differences of values, for every spec: torch and NumPy modules."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from harness import build, cell_shapes, compiled, draw, executed, weights

from gatec import resources

SIZES = {"input_size": 2, "hidden_size": 3}


@pytest.mark.parametrize("name", resources.spec_names())
def test_gradcheck(name, tmp_path):
    """torch.autograd.gradcheck: the module's derivative against differences, every input."""
    made = compiled(resources.spec_path(name))
    cell = made.source
    case = draw(cell_shapes(cell, SIZES), 3, 2)
    module = getattr(build("torch", made, tmp_path), cell.name)(2, 3, dtype=torch.float64)
    names = [param.name for param in cell.params]

    def function(x, *values):
        states, params = values[: len(cell.states)], values[len(cell.states) :]
        state = states[0] if len(states) == 1 else tuple(states)
        named = dict(zip(names, params, strict=True))
        outputs, last = torch.func.functional_call(module, named, (x, state))
        return (outputs, *(last if isinstance(last, tuple) else (last,)))

    leaves = [
        case.inputs["x"],
        *(value[None] for value in case.states.values()),
        *(case.params[n] for n in names),
    ]
    leaves = [torch.tensor(value, requires_grad=True) for value in leaves]
    assert torch.autograd.gradcheck(function, leaves, fast_mode=False)


@pytest.mark.parametrize("name", resources.spec_names())
def test_numpy_differences(name, tmp_path):
    """The NumPy module's backward against central differences along random directions."""
    program = compiled(resources.spec_path(name))
    module = build("numpy", program, tmp_path)
    case = draw(cell_shapes(program.source, SIZES), 4, 2)
    gradients = executed("numpy", module, program, SIZES, case)
    rng, step = np.random.default_rng(7), 1e-6

    def loss(moved):
        result = executed("numpy", module, program, SIZES, moved)
        kept = [v for key, v in result.items() if key == "output" or key.startswith("state ")]
        return sum(float((value * weights(value.shape)).sum()) for value in kept)

    for group, prefix in (("params", "d "), ("inputs", "d "), ("states", "d state ")):
        values = getattr(case, group)
        for key, value in values.items():
            way = rng.standard_normal(value.shape)
            ends = [
                loss(replace(case, **{group: {**values, key: value + sign * step * way}}))
                for sign in (1, -1)
            ]
            wanted = (ends[0] - ends[1]) / (2 * step)
            found = float((gradients[prefix + key] * way).sum())
            assert found == pytest.approx(wanted, rel=1e-6, abs=1e-7), f"{group} {key}"

"""Modules of cells and calls of them, for the tests of kernels under generated modules."""

import os
from pathlib import Path

import native
import pytest
import torch
from native_cells import program

from gatec import backends, loader
from gatec.runtime import cells
from gatec.runtime.layer import NATIVE

needs_compilers = pytest.mark.skipif(not native.COMPILERS, reason="gcc and g++ are not there")
SIZES = {"scalar": (1, 7)}


FOLDER = Path(os.environ["GATEC_TESTS"])  # private, and one for all tests


@pytest.fixture(autouse=True)
def on(monkeypatch):
    """Kernels are on; what was compiled is kept for other tests, what failed is forgotten."""
    monkeypatch.setenv("GATEC_RUNTIME", "on")
    monkeypatch.setenv("GATEC_CACHE", str(FOLDER))
    monkeypatch.delenv("CC", raising=False)
    yield
    cells.forget()


def module(name):
    """The class of a cell of `native_cells`."""
    return module_of(program(name), name)


def module_of(made, stem="cell"):
    """The class of a program."""
    (text,) = backends.load("torch").generate(made, stem).values()
    return getattr(loader.module(text, stem), made.source.name)


def draw(name, steps=5, batch=3, dtype=torch.float64, **more):
    """A module and a call of it: inputs and a state that want gradients."""
    made = module(name)(*SIZES.get(name, (4, 6)), dtype=dtype, **more)
    return made, *values_of(made, program(name).plan, steps, batch)


def values_of(made, plan, steps, batch):
    """New parameters, inputs and a state for a module, that want gradients."""
    torch.manual_seed(7)
    made.reset_parameters()
    count = made.num_layers * made._directions
    sizes = {"input_size": made.input_size, "hidden_size": made.hidden_size}
    sizes |= {size.name: getattr(made, size.name) for size in plan.sizes}
    dtype = next((weight.dtype for weight in made.parameters()), torch.float64)

    def numbers(shape, *lead):
        dims = [dim.value(sizes) for dim in shape]
        return torch.randn(*lead, *dims, dtype=dtype, requires_grad=True)

    inputs = [numbers(item.shape, steps, batch) for item in plan.inputs]
    states = [numbers(state.shape, count, batch) for state in plan.states]
    return inputs, states


def call(made, inputs, states):
    given = None if not states else states[0] if len(states) == 1 else tuple(states)
    output, last = made(*inputs, given)
    return [output, *([last] if isinstance(last, torch.Tensor) else last)]


def both(monkeypatch, run, made=None):
    """What `run` gives on the kernels (those of a module, to be sure) and on the eager path."""
    fast = run()
    assert made is None or made.path == NATIVE, made.path
    monkeypatch.setenv("GATEC_RUNTIME", "off")
    slow = run()
    monkeypatch.setenv("GATEC_RUNTIME", "on")
    return fast, slow


def assert_same(fast, slow, tolerance=1e-12):
    assert len(fast) == len(slow)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def gradients(made, inputs, states, **more):
    leaves = [*made.parameters(), *inputs, *states]
    values = call(made, inputs, states)
    loss = sum(
        (value * torch.linspace(1, 2, value.numel()).view(value.shape)).sum() for value in values
    )
    return values + list(torch.autograd.grad(loss, leaves, materialize_grads=True, **more))

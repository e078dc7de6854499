"""`module.kernel_weights = torch.bfloat16`: kernels multiply with rounded weights.

Held against the equations with weights that PyTorch has rounded, and the real ones elsewhere.
"""

import copy
import math
import pickle

import pytest
import torch
from runtime_calls import (
    both,
    call,
    draw,
    gradients,
    module,
    needs_compilers,
    on,
    values_of,
)
from native_cells import program

from gatec.runtime import cells
from gatec.runtime.layer import NATIVE

__all__ = ["on"]  # a fixture
pytestmark = needs_compilers
HALF = {"dtype": torch.float32, "kernel_weights": torch.bfloat16}


def rounded(made):
    """A module with weight matrices that are rounded, and multiplied as they are."""
    other = copy.deepcopy(made)
    other.kernel_weights = None
    with torch.no_grad():
        for weight in other.parameters():
            if weight.dim() == 2:
                weight.copy_(weight.bfloat16().float())
    return other


def assert_near(got, wanted, tolerance=2e-5):
    for one, other in zip(got, wanted, strict=True):
        scale = max(1.0, float(other.detach().abs().max()))
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * scale)


def eager(made, inputs, states, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("GATEC_RUNTIME", "off")
        return gradients(made, inputs, states)


@pytest.mark.parametrize(
    ("name", "sizes", "steps", "batch"),
    [
        ("gru_v3", (3, 5), 7, 1),
        ("gru_v3", (33, 70), 9, 4),
        ("gru_v3", (64, 300), 3, 13),  # sums of several parts
        ("lstm", (4, 6), 5, 3),
        ("lstm", (17, 35), 300, 2),  # several chunks
        ("sru", (40, 40), 6, 3),  # no product in the step
        ("mingru", (5, 31), 40, 7),
        ("leaky", (7, 16), 5, 5),
        ("gru", (9, 48), 5, 6),
    ],
)
def test_outputs_and_gradients(name, sizes, steps, batch, monkeypatch):
    made = module(name)(*sizes, **HALF)
    inputs, states = values_of(made, program(name).plan, steps, batch)
    got = gradients(made, inputs, states)
    assert made.path == NATIVE
    assert_near(got, eager(rounded(made), inputs, states, monkeypatch))
    exact = eager(made, inputs, states, monkeypatch)
    assert (got[0] - exact[0]).abs().max() > 1e-4  # rounding shows

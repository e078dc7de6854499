"""Every cell on compiled kernels: the eager path's values and gradients."""

import pytest
import torch
from generator import cells
from harness import compiled_text
from hypothesis import HealthCheck, Phase, given, settings
from native_cells import NAMES
from runtime_calls import (
    assert_same,
    both,
    draw,
    gradients,
    module_of,
    needs_compilers,
    on,
    values_of,
)

__all__ = ["on"]  # a fixture
pytestmark = needs_compilers


@pytest.mark.parametrize("name", NAMES)
def test_double_precision(name, monkeypatch):
    made, inputs, states = draw(name, 4, 2)
    assert_same(*both(monkeypatch, lambda: gradients(made, inputs, states), made), 1e-9)


@pytest.mark.parametrize("name", ["lstm", "gru_v3", "slstm", "deltanet", "mingru"])
def test_single_precision(name, monkeypatch):
    made, inputs, states = draw(name, 4, 2, torch.float32)
    assert_same(*both(monkeypatch, lambda: gradients(made, inputs, states), made), 1e-4)


def test_random_cells(monkeypatch):
    @settings(
        max_examples=3,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cells())
    def agrees(cell):
        program = compiled_text(cell.text, "random.gate")
        input_size = 3 if cell.square else 4
        made = module_of(program)(input_size, 3, dtype=torch.float64)
        inputs, states = values_of(made, program.plan, 3, 2)
        run = both(monkeypatch, lambda: gradients(made, inputs, states), made)
        assert_same(*run, 1e-9)

    agrees()

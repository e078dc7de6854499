"""Factors that depend on sizes, in code and not in the equations."""

import pytest

import gatec
from gatec.equivalence import modules
from gatec.equivalence.verdict import Kind

CODE = """
import math
import torch
from torch import nn

class Scaled(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.a = nn.Linear(input_size, hidden_size)
        self.b = nn.Linear(hidden_size, hidden_size)
    def forward(self, x, h):
        return torch.tanh(self.a(x) + self.b(h) / math.sqrt(h.size(1)))

class ScaledInput(Scaled):
    def forward(self, x, h):
        return torch.tanh(self.a(x) / x.size(1) + self.b(h))

class ScaledState(Scaled):
    def forward(self, x, h):
        return torch.tanh(self.a(x) + self.b(h)) / math.sqrt(h.size(1))

class Pooled(Scaled):
    def forward(self, x, h):
        return torch.tanh(self.a(x) + self.b(h) - h.mean(1, keepdim=True))

class ScaledOtherwise(Scaled):
    def forward(self, x, h):
        return torch.tanh(self.a(x)) + self.b(h) / math.sqrt(h.size(1))
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    path = tmp_path_factory.mktemp("modules") / "scaled.py"
    path.write_text(CODE)

    def checked(name):
        return modules.compare(gatec.parse("rnn").cell, f"module:{path}:{name}")

    return checked


@pytest.mark.parametrize("name", ["Scaled", "ScaledInput"])
def test_weights_take_up_a_factor(check, name):
    verdict = check(name)
    assert verdict.kind is Kind.EQUAL_NUMERICALLY
    assert "other sizes were not tried" in verdict.extra["notes"][-1]


@pytest.mark.parametrize("name", ["ScaledState", "Pooled", "ScaledOtherwise"])
def test_what_no_weight_takes_up_is_different(check, name):
    assert check(name).kind is Kind.DIFFERENT

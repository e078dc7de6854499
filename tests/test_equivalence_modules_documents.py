"""Documents against modules: what a text leaves open, and what it says in words."""

import pytest

from gatec.equivalence import modules
from gatec.equivalence.modules.words import named
from gatec.equivalence.verdict import Kind
from gatec.errors import GatecError
from gatec.source import read_text

CODE = """
import torch
from torch import nn

class Unit(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.a = nn.Linear(input_size, 2 * hidden_size)
        self.b = nn.Linear(hidden_size, 2 * hidden_size, bias=False)

class Softened(Unit):
    def forward(self, x, h):
        c, g = (self.a(x) + self.b(h)).chunk(2, 1)
        g = torch.sigmoid(g)
        return g * h + (1 - g) * torch.nn.functional.softplus(c)

class Ungated(Unit):
    def forward(self, x, h):
        c, g = (self.a(x) + self.b(h)).chunk(2, 1)
        return torch.sigmoid(c) * torch.tanh(g)

class Step(Unit):
    def __init__(self, input_size, hidden_size, dt=0.5):
        super().__init__(input_size, hidden_size)
        self.dt = dt
    def forward(self, x, h):
        c, g = (self.a(x) + self.b(h)).chunk(2, 1)
        step = self.dt * torch.sigmoid(g)
        return (1 - step) * h + step * torch.tanh(c)

class WrongStep(Step):
    def forward(self, x, h):
        c, g = (self.a(x) + self.b(h)).chunk(2, 1)
        step = self.dt * torch.sigmoid(g)
        return (1 - self.dt) * h + step * torch.tanh(c)
"""

# A letter is applied; what it is, is said nowhere.
APPLIED = r"""
.. math::
    \mathbf{c}_t &= s\left( \mathbf{W} \, \mathbf{x}_t + \mathbf{U} \mathbf{h}_{t-1} + b \right) \\
    \mathbf{g}_t &= \sigma\left( \mathbf{W}_g \mathbf{x}_t + \mathbf{U}_g \mathbf{h}_{t-1} + b_g \right) \\
    \mathbf{h}_t &= \mathbf{g}_t \circ \mathbf{h}_{t-1} + \left( 1 - \mathbf{g}_t \right) \circ \mathbf{c}_t
"""  # noqa: E501
WORDS = r"""
.. math::
    h_t = \sigma(W x_t + U h_{t-1} + b) \circ \phi(W_g x_t + U_g h_{t-1} + b_g)
"""
FONTS = r"""
.. math::
    \boldsymbol{\Delta t}(t) &= \Delta t \, \sigma(W_g x(t) + U_g h(t-1) + b_g) \\
    \mathbf{h}(t) &= (1 - \boldsymbol{\Delta t}(t)) \circ \mathbf{h}(t-1)
        + \boldsymbol{\Delta t}(t) \circ \tanh(W x(t) + U h(t-1) + b)
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    path = tmp_path_factory.mktemp("modules") / "units.py"
    path.write_text(CODE)

    def checked(text, name):
        (document,) = read_text(text, "doc", "docstring")
        return modules.compare(document, f"module:{path}:{name}")

    return checked


def test_a_letter_before_brackets_is_a_function(check):
    verdict = check(APPLIED, "Softened")
    assert verdict.kind is Kind.EQUAL
    assert verdict.extra["notes"] == ("s is softplus, as in Softened",)
    assert check(APPLIED.replace("1 -", "2 -"), "Softened").kind is Kind.DIFFERENT


def test_a_letter_that_stands_alone_too_is_none(check):
    with pytest.raises(GatecError, match="E0301"):
        check(APPLIED.replace("+ b_g", "+ s"), "Softened")


def test_what_words_say_is_held_against_the_code(check):
    """A text whose words name another function than the code applies differs from it."""
    assert check(WORDS, "Ungated").kind is Kind.EQUAL
    assert (
        check(WORDS + r"where :math:`\phi` is the hyperbolic tangent", "Ungated").kind is Kind.EQUAL
    )
    sigmoid = r"where :math:`\phi` is the sigmoid function"
    tanh = r"where :math:`\sigma` is :math:`\tanh` and :math:`\phi` is :math:`\tanh`"
    for other in (sigmoid, tanh):
        assert check(WORDS + other, "Ungated").kind is Kind.DIFFERENT


def test_a_step_in_bold_is_another_than_the_plain_one(check):
    assert check(FONTS, "Step").kind is Kind.EQUAL
    assert check(FONTS, "WrongStep").kind is Kind.DIFFERENT


def test_a_formula_that_cannot_be_read_is_told(check):
    """A name that it defines is a parameter to what was read: the verdict may be due to that."""
    text = r"""
.. math::
    o_k(t) &= \begin{cases} \sigma(g_k), & k\in\{0,1\} \end{cases} \\
    h(t) &= o_0 \circ \tanh(W x(t) + U h(t-1) + b) + o_1 \circ h(t-1)
"""
    (note,) = check(text, "Ungated").extra["notes"]
    assert "could not be read" in note and "o_0, o_1" in note


@pytest.mark.parametrize(
    ("text", "symbol", "function"),
    [
        (r"where :math:`\hat{\sigma}` is the sigmoid function", r"\hat\sigma", "sigmoid"),
        (r"and $\phi$ denotes the element-wise hyperbolic tangent.", r"\phi", "tanh"),
        (r"where $f$ is ReLU", "f", "relu"),
        (r"where $\phi$ is a nonlinearity, such as tanh", r"\phi", None),
        (r"where $\phi$ is tanh or sigmoid", r"\phi", None),
        (r"where $\phi$ is tanh by default", r"\phi", None),
        (r"where :math:`\hat{\sigma}` is the sigmoid function", r"\sigma", None),
    ],
)
def test_functions_in_words(text, symbol, function):
    (document,) = read_text(f"$h_t = W x_t + h_{{t-1}}$, {text}", "doc", "markdown")
    assert named(document, symbol) == function

"""Forms of the literature that are easily misread, each as its source has it.

Compared with the mathematics by values (`meaning.py`); what stays ambiguous must say what to write.
"""

import numpy as np
import pytest
from meaning import cell, means, sigmoid

from gatec.errors import GatecError, render

tanh = np.tanh


def refused(text, name="spec.gate"):
    """The diagnostics of a text that is none."""
    with pytest.raises(GatecError) as caught:
        cell(text, name)
    for diagnostic in caught.value.diagnostics:
        assert render(diagnostic)
    return caught.value.diagnostics


# --- powers ---------------------------------------------------------------------------------------


def test_what_changes_with_time_above_a_name_is_a_power():
    """De et al., Griffin, 2024: no label has a time index of its own."""

    def step(p, x, s):
        r = sigmoid(p.W_a @ x.x + p.b_a)
        return {"h": sigmoid(p.Lambda) ** (8 * r) * s.h + x.x}

    square = {"hidden_size": 4, "input_size": 4}
    for power in ("a^{c r_t}", "a^{cr_t}", r"a^{c \odot r_t}", r"(a)^{c r_t}"):
        text = rf"""
        const c = 8
        a = \sigma(\Lambda)
        r_t = \sigma(W_a x_t + b_a)
        g_t = {power}
        h_t = g_t \odot h_{{t-1}} + x_t
        """
        means(text, step, sizes=square)


@pytest.mark.parametrize("name", ["spec.gate", "spec.md"])
def test_a_name_with_and_without_index(name):
    """`a_t = a^{c r_t}` where `a` has an equation of its own, also in the prose around."""

    def step(p, x, s):
        r = sigmoid(p.W_a @ x.x)
        return {"h": sigmoid(p.Lambda) ** (8 * r) * s.h + p.W @ x.x}

    lines = [
        r"r_t = \sigma(W_a x_t)",
        r"a_t = a^{8 r_t}",
        r"h_t = a_t \odot h_{t-1} + W x_t",
        r"a = \sigma(\Lambda)",
    ]
    if name == "spec.md":
        lines = [*(f"$${line}$$" for line in lines[:3]), f"where ${lines[3]}$."]
    means("\n".join(lines), step, {"W_a": "h,x", "W": "h,x", "Lambda": "h"}, name=name)


def test_a_name_without_index_that_nothing_defines():
    (found,) = refused("r_t = \\sigma(W_a x_t)\na_t = a^{r_t}\nh_t = a_t \\odot h_{t-1}")
    assert found.code == "E0207" and "param a" in found.hint


def test_a_factor_that_is_a_number_in_the_prose():
    found = refused("r_t = \\sigma(W x_t)\nh_t = c r_t + h_{t-1}")[0]
    assert found.code == "E0301" and "param c : scalar" in found.hint


# --- normalisation --------------------------------------------------------------------------------


def test_gain_and_bias_of_a_normalisation_are_vectors():
    """Ba et al., Layer Normalization, 2016."""

    def step(p, x, s):
        z = p.W @ x.x + p.U @ s.h
        normed = (z - z.mean()) / np.sqrt(z.var() + 1e-5)
        return {"h": tanh(p.alpha * normed + p.beta)}

    for separator in (",", ";"):
        text = (
            rf"h_t = \tanh(LN(W x_t + U h_{{t-1}}{separator} \boldsymbol\alpha, \boldsymbol\beta))"
        )
        means(text, step, {"W": "h,x", "U": "h,h", "alpha": "h", "beta": "h"})

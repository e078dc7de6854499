"""Cells that use what the shipped specs do not: constants, learned and other initial states, extra
sizes, delays, scalar and several inputs, matrix states, reductions."""

from __future__ import annotations

from functools import cache

import numpy as np
from harness import Case, cell_shapes, compiled, compiled_text, draw

from gatec import resources
from gatec.ir import Program

TEXTS = {
    "leaky": r"""
        cell Leaky
        const \gamma = 0.25
        h_t = h_{t-1} + \gamma \tanh(W x_t + U h_{t-1} + b)
    """,
    "learned": r"""
        cell Learned
        state h learned
        state c = 1.5
        c_t = c_{t-1} * sigmoid(V h_{t-1} + b)
        h_t = tanh(W x_t + U h_{t-1}) + c_t
    """,
    "wide": r"""
        cell Wide
        size k = 3
        param P : k x n_h
        param Q : n_h x k
        h_t = tanh(Q (P h_{t-1}) + W x_t)
    """,
    "delays": r"""
        cell Delays
        h_t = tanh(W x_{t-2} + u * h_{t-3} + v * h_{t-1} + b)
    """,
    "scalar": r"""
        cell Scalar
        input x : scalar
        h_t = tanh(w * x_t + U h_{t-1})
    """,
    "two": r"""
        cell Two
        input x, y
        h_t = tanh(W x_t + V y_t + U h_{t-1} + x_t^\top P x_t)
    """,
    "matrix": r"""
        cell Fast
        k_t = softmax(W_k x_t)
        v_t = W_v x_t
        q_t = W_q x_t
        M_t = 0.9 M_{t-1} + v_t k_t^\top
        n_t = 0.9 n_{t-1} + k_t
        h_t = LayerNorm(M_t q_t) / \max(|n_t^\top q_t|, 1)
        output h
    """,
    # Sizes that are products and sums, as numbers (Ba et al., 2016: gates normalised as one).
    "normed": r"""
        cell Normed
        \begin{pmatrix} f_t \\ i_t \\ g_t \end{pmatrix} = LayerNorm(W x_t + U h_{t-1})
        s_t = LayerNorm([h_{t-1}; x_t])
        h_t = \sigma(f_t) * h_{t-1} + \sigma(i_t) * tanh(g_t + V s_t)
    """,
    # A matrix that reads another of its shape at other units than its own.
    "swap": r"""
        cell Swap
        M_t = 0.5 M_{t-1} + (A x_t) (B x_t)^\top
        N_t = M_t - M_t^\top
        h_t = tanh(0.1 N_t h_{t-1} + C x_t)
        output h
    """,
    # A state and an output that no equation of the loop computes.
    "ahead": r"""
        cell Ahead
        s_t = tanh(W x_t)
        h_t = s_{t-1} * s_t + u * h_{t-1}
        o_t = V x_t
        output o
    """,
}
NAMES = [*resources.spec_names(), *TEXTS]


@cache
def program(name: str) -> Program:
    """The program of a spec or of one of the TEXTS."""
    if name not in TEXTS:
        return compiled(resources.spec_path(name))
    text = "\n".join(line.strip() for line in TEXTS[name].strip().splitlines())
    return compiled_text(text, f"{name}.gate")


def sizes_of(name: str, input_size: int, hidden_size: int) -> dict[str, int]:
    """Every size of a cell; extra ones keep their defaults or are odd."""
    found = {"input_size": input_size, "hidden_size": hidden_size}
    for size in program(name).source.sizes:
        found[size.name] = size.default or 3
    return found


def case_of(
    name: str, sizes: dict[str, int], steps: int, batch: int, *, states: bool = True
) -> Case:
    """A random case whose numbers every type of numbers has."""
    shapes = cell_shapes(program(name).source, sizes)
    if not states:
        shapes["states"] = {}
    return draw(shapes, steps, batch, seed=len(name)).rounded("float32")


def as_type(values: dict[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    return {name: value.astype(dtype) for name, value in values.items()}

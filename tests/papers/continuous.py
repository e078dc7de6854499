"""Cells from differential equations."""

# ruff: noqa: E501 (the formulas stand as in their sources)

import torch
from torch import sigmoid, tanh

from papers import gates, paper

H = {"h": "h"}


@paper("Chang et al., AntisymmetricRNN, 2019", {"W_h": "h,h", "V_h": "h,x", "b_h": "h"}, H)
def antisymmetric_rnn(p, x, s):
    r"""
    const \gamma = 0.01
    const \epsilon = 0.1
    \mathbf{h}_t = \mathbf{h}_{t-1} + \epsilon \tanh\left((\mathbf{W}_h - \mathbf{W}_h^T - \gamma \mathbf{I})\mathbf{h}_{t-1} + \mathbf{V}_h\mathbf{x}_t + \mathbf{b}_h\right)
    """
    mixing = p.W_h - p.W_h.T - 0.01 * torch.eye(len(p.b_h), dtype=p.b_h.dtype)
    h = s.h + 0.1 * tanh(s.h @ mixing.T + x @ p.V_h.T + p.b_h)
    return h, {"h": h}


@paper(
    "Chang et al., AntisymmetricRNN with gating, 2019",
    {"W_h": "h,h", "V_h": "h,x", "b_h": "h", "V_z": "h,x", "b_z": "h"},
    H,
)
def antisymmetric_rnn_gated(p, x, s):
    r"""
    const \gamma = 0.01
    const \epsilon = 0.1
    \begin{align}
    \mathbf{z}_t &= \sigma\big((\mathbf{W}_h - \mathbf{W}_h^T - \gamma \mathbf{I})\mathbf{h}_{t-1} + \mathbf{V}_z\mathbf{x}_t + \mathbf{b}_z\big), \\
    \mathbf{h}_t &= \mathbf{h}_{t-1} + \epsilon\, \mathbf{z}_t \circ \tanh\big((\mathbf{W}_h - \mathbf{W}_h^T - \gamma \mathbf{I})\mathbf{h}_{t-1} + \mathbf{V}_h\mathbf{x}_t + \mathbf{b}_h\big).
    \end{align}
    """
    mixing = p.W_h - p.W_h.T - 0.01 * torch.eye(len(p.b_h), dtype=p.b_h.dtype)
    z = sigmoid(s.h @ mixing.T + x @ p.V_z.T + p.b_z)
    h = s.h + 0.1 * z * tanh(s.h @ mixing.T + x @ p.V_h.T + p.b_h)
    return h, {"h": h}


@paper(
    "Rusch & Mishra, coRNN, 2021",
    {"W": "h,h", "W_hat": "h,h", "V": "h,x", "b": "h"},
    {"y": "h", "z": "h"},
    inputs={"u": "x"},
)
def coupled_oscillators(p, u, s):
    r"""
    const \Delta t = 0.1
    const \gamma = 1.5
    const \epsilon = 2
    function \sigma = tanh
    output y
    \begin{aligned}
    \mathbf{y}_n &= \mathbf{y}_{n-1} + \Delta t \mathbf{z}_n, \\
    \mathbf{z}_n &= \mathbf{z}_{n-1} + \Delta t \sigma\left(\mathbf{W} \mathbf{y}_{n-1} + \hat{\mathbf{W}} \mathbf{z}_{n-1} + \mathbf{V} \mathbf{u}_n + \mathbf{b}\right) - \Delta t \gamma \mathbf{y}_{n-1} - \Delta t \epsilon \mathbf{z}_{n-1}.
    \end{aligned}
    """
    force = tanh(s.y @ p.W.T + s.z @ p.W_hat.T + u @ p.V.T + p.b)
    z = s.z + 0.1 * force - 0.1 * 1.5 * s.y - 0.1 * 2 * s.z
    y = s.y + 0.1 * z
    return y, {"y": y, "z": z}


@paper(
    "Rusch & Mishra, UnICORNN, 2021",
    {"c": "h", "w": "h", "V": "h,x", "b": "h", "alpha": ""},
    {"y": "h", "z": "h"},
    inputs={"u": "x"},
)
def unicornn(p, u, s):
    r"""
    const \Delta t = 0.05
    output y
    \hat\sigma(v) = \frac12 + \frac12 \tanh(v/2)

    \mathbf{y}_n = \mathbf{y}_{n-1} + \Delta t\, \hat\sigma(\mathbf{c}) \odot \mathbf{z}_n,
    \mathbf{z}_n = \mathbf{z}_{n-1} - \Delta t\, \hat\sigma(\mathbf{c}) \odot \left[\tanh\left(\mathbf{w} \odot \mathbf{y}_{n-1} + \mathbf{V}\mathbf{u}_n + \mathbf{b}\right) + \alpha\mathbf{y}_{n-1}\right]
    """
    rate = 0.05 * sigmoid(p.c)
    z = s.z - rate * (tanh(p.w * s.y + u @ p.V.T + p.b) + p.alpha * s.y)
    y = s.y + rate * z
    return y, {"y": y, "z": z}


@paper(
    "Rusch et al., Long Expressive Memory, 2022",
    gates({"W_%": "h,h", "V_%": "h,x", "b_%": "h"}, "12zy"),
    {"y": "h", "z": "h"},
    inputs={"u": "x"},
)
def long_expressive_memory(p, u, s):
    r"""
    const \Delta t = 0.5
    \hat\sigma(v) = 0.5(1 + \tanh(v/2))
    function \sigma = tanh
    \begin{aligned}
    \boldsymbol{\Delta t}_n &= \Delta t \hat\sigma(\mathbf{W}_1 \mathbf{y}_{n-1} + \mathbf{V}_1 \mathbf{u}_n + \mathbf{b}_1), \\
    \overline{\boldsymbol{\Delta t}}_n &= \Delta t \hat\sigma(\mathbf{W}_2 \mathbf{y}_{n-1} + \mathbf{V}_2 \mathbf{u}_n + \mathbf{b}_2), \\
    \mathbf{z}_n &= (1 - \boldsymbol{\Delta t}_n) \odot \mathbf{z}_{n-1} + \boldsymbol{\Delta t}_n \odot \sigma(\mathbf{W}_z \mathbf{y}_{n-1} + \mathbf{V}_z \mathbf{u}_n + \mathbf{b}_z), \\
    \mathbf{y}_n &= (1 - \overline{\boldsymbol{\Delta t}}_n) \odot \mathbf{y}_{n-1} + \overline{\boldsymbol{\Delta t}}_n \odot \sigma(\mathbf{W}_y \mathbf{z}_n + \mathbf{V}_y \mathbf{u}_n + \mathbf{b}_y).
    \end{aligned}
    """
    first = 0.5 * sigmoid(s.y @ p.W_1.T + u @ p.V_1.T + p.b_1)
    second = 0.5 * sigmoid(s.y @ p.W_2.T + u @ p.V_2.T + p.b_2)
    z = (1 - first) * s.z + first * tanh(s.y @ p.W_z.T + u @ p.V_z.T + p.b_z)
    y = (1 - second) * s.y + second * tanh(z @ p.W_y.T + u @ p.V_y.T + p.b_y)
    return y, {"y": y, "z": z}


@paper(
    "Erichson et al., Lipschitz RNN, 2021", {"M_A": "h,h", "M_W": "h,h", "U": "h,x", "b": "h"}, H
)
def lipschitz_rnn(p, x, s):
    r"""
    const \beta = 0.75
    const \gamma = 0.001
    const \epsilon = 0.1

    A = (1 - \beta)(M_A + M_A^T) + \beta(M_A - M_A^T) - \gamma I
    W = (1 - \beta)(M_W + M_W^T) + \beta(M_W - M_W^T) - \gamma I
    z_t = W h_t + U x_t + b
    h_{t+1} = h_t + \epsilon A h_t + \epsilon \tanh(z_t)
    """

    def mixed(m):
        return 0.25 * (m + m.T) + 0.75 * (m - m.T) - 0.001 * torch.eye(len(m), dtype=m.dtype)

    z = s.h @ mixed(p.M_W).T + x @ p.U.T + p.b
    h = s.h + 0.1 * s.h @ mixed(p.M_A).T + 0.1 * tanh(z)
    return h, {"h": h}


@paper(
    "Hasani et al., Liquid Time-Constant Networks, 2021 (fused step)",
    {"W_r": "h,h", "W": "h,x", "mu": "h", "A": "h", "tau": "h"},
    {"x": "h"},
    inputs={"I_": "x"},
)
def liquid_time_constant(p, inputs, s):
    r"""
    const \Delta t = 0.2
    param \tau, \mu : vector
    f(t) = \sigma(W_r x(t-1) + W I(t) + \mu)
    x(t) = \frac{x(t-1) + \Delta t f(t) \odot A}{1 + \Delta t (1/\tau^2 + f(t))}
    """
    f = sigmoid(s.x @ p.W_r.T + inputs @ p.W.T + p.mu)
    x = (s.x + 0.2 * f * p.A) / (1 + 0.2 * (1 / p.tau**2 + f))
    return x, {"x": x}


@paper(
    "Hasani et al., Closed-form Continuous-time Networks, 2022",
    gates({"W_%": "h,h+x", "b_%": "h"}, "fgh"),
    {"x": "h"},
    inputs={"I_": "x"},
)
def closed_form_continuous(p, inputs, s):
    r"""
    const \Delta t = 1.5
    f_t = W_f [x_{t-1}; I_t] + b_f
    g_t = \tanh(W_g [x_{t-1}; I_t] + b_g)
    h_t = \tanh(W_h [x_{t-1}; I_t] + b_h)
    x_t = \underbrace{\sigma(-f_t \Delta t)}_{\text{time-continuous gating}} \odot g_t + \left[1 - \sigma(-f_t \Delta t)\right] \odot h_t
    """
    joined = torch.cat([s.x, inputs], 1)
    f = sigmoid(-1.5 * (joined @ p.W_f.T + p.b_f))
    x = f * tanh(joined @ p.W_g.T + p.b_g) + (1 - f) * tanh(joined @ p.W_h.T + p.b_h)
    return x, {"x": x}


@paper(
    "Voelker et al., Legendre Memory Units, 2019",
    {
        "e_x": "x",
        "e_h": "h",
        "e_m": "h",
        "A_bar": "h,h",
        "B_bar": "h",
        "W_x": "h,x",
        "W_h": "h,h",
        "W_m": "h,h",
    },
    {"h": "h", "m": "h"},
)
def legendre_memory(p, x, s):
    r"""
    u_t = \mathbf{e}_x^{\mathsf{T}} \mathbf{x}_t + \mathbf{e}_h^{\mathsf{T}} \mathbf{h}_{t-1} + \mathbf{e}_m^{\mathsf{T}} \mathbf{m}_{t-1}
    \mathbf{m}_t = \bar{\mathbf{A}} \mathbf{m}_{t-1} + \bar{\mathbf{B}} u_t
    \mathbf{h}_t = f\left( \mathbf{W}_x \mathbf{x}_t + \mathbf{W}_h \mathbf{h}_{t-1} + \mathbf{W}_m \mathbf{m}_t \right)
    function f = tanh
    """
    u = x @ p.e_x + s.h @ p.e_h + s.m @ p.e_m
    m = s.m @ p.A_bar.T + u[:, None] * p.B_bar
    h = tanh(x @ p.W_x.T + s.h @ p.W_h.T + m @ p.W_m.T)
    return h, {"h": h, "m": m}

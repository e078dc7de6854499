"""Networks without gates, and lagged ones."""

# ruff: noqa: E501 (the formulas stand as in their sources)

import torch
from torch import sigmoid, tanh

from papers import gates, paper


@paper(
    "NARX network (Siegelmann et al., 1997)",
    {**gates({"W_%": "h,x"}, "012"), **gates({"U_%": "h,h"}, "12"), "b": "h"},
    {"y": "h"},
    inputs={"u": "x"},
    memory={"u1": "x", "u2": "x", "y2": "h"},
)
def narx(p, u, s):
    r"""
    y(t) = \tanh\left( W_0 u(t) + W_1 u(t-1) + W_2 u(t-2) + U_1 y(t-1) + U_2 y(t-2) + b \right)
    """
    y = tanh(u @ p.W_0.T + s.u1 @ p.W_1.T + s.u2 @ p.W_2.T + s.y @ p.U_1.T + s.y2 @ p.U_2.T + p.b)
    return y, {"y": y, "y2": s.y, "u1": u, "u2": s.u1}


@paper(
    "Mikolov et al., Learning Longer Memory in RNNs (SCRN), 2014",
    {"B": "h,x", "P": "h,h", "A": "h,x", "R": "h,h", "U": "o,h", "V": "o,h"},
    {"s": "h", "h": "h"},
)
def structurally_constrained(p, x, s):
    r"""
    const \alpha = 0.95
    \begin{eqnarray}
    s_t &=& (1 - \alpha) B x_t + \alpha s_{t-1},\\
    h_t &=& \sigma\left( P s_t + A x_t + R h_{t-1} \right),\\
    y_t &=& f\left( U h_t + V s_t \right),
    \end{eqnarray}
    function f = softmax
    """
    context = 0.05 * (x @ p.B.T) + 0.95 * s.s
    h = sigmoid(context @ p.P.T + x @ p.A.T + s.h @ p.R.T)
    return torch.softmax(h @ p.U.T + context @ p.V.T, 1), {"s": context, "h": h}


@paper(
    "Lukoševičius, A Practical Guide to Echo State Networks, 2012",
    {"W_in": "h,1+x", "W": "h,h", "alpha": "", "W_out": "o,1+x+h"},
    {"x": "h"},
    inputs={"u": "x"},
)
def echo_state(p, u, s):
    r"""
    \tilde{\mathbf{x}}(n) = \tanh\left( \mathbf{W}^{\mathrm{in}} [1; \mathbf{u}(n)] + \mathbf{W} \mathbf{x}(n-1) \right),
    \mathbf{x}(n) = (1 - \alpha) \mathbf{x}(n-1) + \alpha \tilde{\mathbf{x}}(n),
    \mathbf{y}(n) = \mathbf{W}^{\mathrm{out}} [1; \mathbf{u}(n); \mathbf{x}(n)],
    """
    one = torch.ones_like(u[:, :1])
    candidate = tanh(torch.cat([one, u], 1) @ p.W_in.T + s.x @ p.W.T)
    new = (1 - p.alpha) * s.x + p.alpha * candidate
    return torch.cat([one, u, new], 1) @ p.W_out.T, {"x": new}


@paper(
    "Kusupati et al., FastRNN, 2018",
    {"W": "h,x", "U": "h,h", "b": "h", "alpha": "", "beta": ""},
    {"h": "h"},
)
def fast_rnn(p, x, s):
    r"""
    \tilde{\mathbf{h}}_t = \sigma(\mathbf{W} \mathbf{x}_t + \mathbf{U} \mathbf{h}_{t-1} + \mathbf{b}), \\
    \mathbf{h}_t = \alpha \tilde{\mathbf{h}}_t + \beta \mathbf{h}_{t-1},
    """
    h = p.alpha * sigmoid(x @ p.W.T + s.h @ p.U.T + p.b) + p.beta * s.h
    return h, {"h": h}


@paper(
    "Helfrich et al., scaled Cayley RNN, 2018 (modReLU over the reals)",
    {"U": "h,x", "W": "h,h", "b": "h"},
    {"h": "h"},
)
def mod_relu(p, x, s):
    r"""
    z_t = U x_t + W h_{t-1}
    h_t = \operatorname{sign}(z_t) \odot \mathrm{ReLU}(|z_t| + b)
    """
    z = x @ p.U.T + s.h @ p.W.T
    h = torch.sign(z) * torch.relu(z.abs() + p.b)
    return h, {"h": h}


@paper(
    "Le et al., IRNN, 2015, with a leak below zero (cases)",
    {"W": "h,x", "V": "h,h", "b": "h"},
    {"h": "h"},
)
def leaky_cases(p, x, s):
    r"""
    f(z) = \begin{cases} z & \text{if } z > 0 \\ 0.1 z & \text{otherwise} \end{cases}

    h_t = f(V h_{t-1} + W x_t + b)
    """
    h = torch.nn.functional.leaky_relu(s.h @ p.V.T + x @ p.W.T + p.b, 0.1)
    return h, {"h": h}


@paper(
    "A deep transition RNN (Pascanu et al., 2014, DT-RNN)",
    {"W": "h,h", "U": "h,x", "V": "h,h", "b_1": "h", "b_2": "h"},
    {"h": "h"},
)
def deep_transition(p, x, s):
    r"""
    \phi_1(v) = \tanh(v)
    \phi_2(v) = \mathrm{softplus}(v) - \log 2

    h_n = \phi_2\left(V \phi_1\left(W h_{n-1} + U x_n + b_1\right) + b_2\right)
    """
    inner = tanh(s.h @ p.W.T + x @ p.U.T + p.b_1)
    h = torch.nn.functional.softplus(inner @ p.V.T + p.b_2) - 0.6931471805599453
    return h, {"h": h}

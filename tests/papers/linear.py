"""Linear recurrences with gates, and state spaces."""

import torch
from torch import exp, sigmoid, sqrt, tanh
from torch.nn.functional import silu, softplus

from papers import gates, paper


@paper(
    "Qin et al., Hierarchically Gated Recurrent Network, 2023 (real part)",
    {**gates({"W_%": "h,x", "b_%": "h"}, "cg"), "W_mu": "h,x", "b_mu": "h", "gamma_": "h"},
    {"h": "h"},
)
def hierarchically_gated(p, x, s):
    r"""
    param \gamma : vector
    c_t = \operatorname{SiLU}(W_c x_t + b_c)
    g_t = \operatorname{Sigmoid}(W_g x_t + b_g)
    \mu_t = \operatorname{Sigmoid}(W_\mu x_t + b_\mu)
    \lambda_t = \gamma + (1 - \gamma) \odot \mu_t
    h_t = \lambda_t \odot h_{t-1} + (1 - \lambda_t) \odot c_t
    o_t = g_t \odot h_t
    """
    decay = p.gamma_ + (1 - p.gamma_) * sigmoid(x @ p.W_mu.T + p.b_mu)
    h = decay * s.h + (1 - decay) * silu(x @ p.W_c.T + p.b_c)
    return sigmoid(x @ p.W_g.T + p.b_g) * h, {"h": h}


@paper(
    "De et al., Griffin (RG-LRU), 2024",
    {"W_a": "h,h", "b_a": "h", "W_x": "h,h", "b_x": "h", "Lambda": "h"},
    {"h": "h"},
    square=True,
)
def real_gated_lru(p, x, s):
    r"""
    const c = 8
    \begin{align}
    r_t &= \sigma(W_a x_t + b_a), & \text{recurrence gate} \\
    i_t &= \sigma(W_x x_t + b_x), & \text{input gate} \\
    a_t &= \exp\left(-c\, \mathrm{softplus}(\Lambda) \odot r_t\right), \\
    h_t &= a_t \odot h_{t-1} + \sqrt{1 - a_t^2} \odot (i_t \odot x_t).
    \end{align}
    """
    r, i = sigmoid(x @ p.W_a.T + p.b_a), sigmoid(x @ p.W_x.T + p.b_x)
    a = exp(-8 * softplus(p.Lambda) * r)
    h = a * s.h + sqrt(1 - a**2) * (i * x)
    return h, {"h": h}


@paper(
    "De et al., Griffin (RG-LRU) in the power form, 2024",
    {"W_a": "h,h", "b_a": "h", "W_x": "h,h", "b_x": "h", "Lambda": "h"},
    {"h": "h"},
    square=True,
)
def real_gated_lru_power(p, x, s):
    r"""
    const c = 8
    r_t = \sigma(W_a x_t + b_a)
    i_t = \sigma(W_x x_t + b_x)
    a_t = \sigma(\Lambda)^{c r_t}
    h_t = a_t \odot h_{t-1} + \sqrt{1 - a_t^2} \odot (i_t \odot x_t)
    """
    r, i = sigmoid(x @ p.W_a.T + p.b_a), sigmoid(x @ p.W_x.T + p.b_x)
    a = sigmoid(p.Lambda) ** (8 * r)
    h = a * s.h + sqrt(1 - a**2) * (i * x)
    return h, {"h": h}


@paper(
    "Gu et al., structured state spaces (S4), 2021: the discrete recurrence",
    {"A_bar": "h,h", "B_bar": "h,x", "C_bar": "o,h", "D_bar": "o,x"},
    {"x": "h"},
    inputs={"u": "x"},
)
def state_space(p, u, s):
    r"""
    x_k = \overline{\boldsymbol{A}} x_{k-1} + \overline{\boldsymbol{B}} u_k \qquad
    y_k = \overline{\boldsymbol{C}} x_k + \overline{\boldsymbol{D}} u_k
    """
    x = s.x @ p.A_bar.T + u @ p.B_bar.T
    return x @ p.C_bar.T + u @ p.D_bar.T, {"x": x}


@paper(
    "Gu & Dao, Mamba, 2023 (diagonal, one state per channel)",
    {"W_Delta": "h,h", "b_Delta": "h", "A": "h", "W_B": "h,h", "W_C": "h,h", "D": "h"},
    {"h": "h"},
    square=True,
)
def selective_state_space(p, x, s):
    r"""
    \Delta_t = \operatorname{softplus}(W_\Delta x_t + b_\Delta)
    \bar{A}_t = \exp(\Delta_t \odot (-\exp(A)))
    \bar{B}_t = \Delta_t \odot (W_B x_t)
    h_t = \bar{A}_t \odot h_{t-1} + \bar{B}_t \odot x_t
    y_t = (W_C x_t) \odot h_t + D \odot x_t
    """
    delta = softplus(x @ p.W_Delta.T + p.b_Delta)
    h = exp(-delta * exp(p.A)) * s.h + delta * (x @ p.W_B.T) * x
    return (x @ p.W_C.T) * h + p.D * x, {"h": h}


@paper(
    "Li et al., IndRNN, 2018, two layers in one cell",
    {**gates({"b_%": "h", "u_%": "h"}, "12"), "W_1": "h,x", "W_2": "h,h"},
    {"h_1": "h", "h_2": "h"},
)
def two_layers(p, x, s):
    r"""
    h_{1,t} = \sigma(W_1 x_t + u_1 \odot h_{1,t-1} + b_1)
    h_{2,t} = \sigma(W_2 h_{1,t} + u_2 \odot h_{2,t-1} + b_2)
    """
    first = sigmoid(x @ p.W_1.T + p.u_1 * s.h_1 + p.b_1)
    second = sigmoid(first @ p.W_2.T + p.u_2 * s.h_2 + p.b_2)
    return second, {"h_1": first, "h_2": second}


@paper(
    "A leaky integrator with a second, external input",
    {"W": "h,x", "w": "h", "b": "h", "alpha": ""},
    {"h": "h"},
    inputs={"x": "x", "e": ""},
)
def external_input(p, inputs, s):
    r"""
    input x
    input e : scalar
    h_t = (1 - \sigma(\alpha)) h_{t-1} + \sigma(\alpha) \tanh(W x_t + w e_t + b)
    """
    rate = sigmoid(p.alpha)
    h = (1 - rate) * s.h + rate * tanh(inputs.x @ p.W.T + inputs.e[:, None] * p.w + p.b)
    return h, {"h": h}


@paper(
    "Oliva et al., Statistical Recurrent Unit, 2017 (two scales)",
    {
        "W_r": "h,2h",
        "b_r": "h",
        "W_varphi": "h,h",
        "W_varphi_x": "h,x",
        "b_varphi": "h",
        "W_o": "o,2h",
        "b_o": "o",
    },
    {"mu_1": "h", "mu_2": "h"},
)
def statistical_recurrent_unit(p, x, s):
    r"""
    r_t = \mathrm{ReLU}(W_r [\mu_{1,t-1}, \mu_{2,t-1}] + b_r)
    \varphi_t = \mathrm{ReLU}(W_\varphi r_t + W_{\varphi x} x_t + b_\varphi)
    \mu_{1,t} = 0.5\, \mu_{1,t-1} + (1 - 0.5) \varphi_t
    \mu_{2,t} = \frac{9}{10} \mu_{2,t-1} + \frac{1}{10} \varphi_t
    o_t = \mathrm{ReLU}(W_o [\mu_{1,t}, \mu_{2,t}] + b_o)
    """
    r = torch.relu(torch.cat([s.mu_1, s.mu_2], 1) @ p.W_r.T + p.b_r)
    phi = torch.relu(r @ p.W_varphi.T + x @ p.W_varphi_x.T + p.b_varphi)
    first, second = 0.5 * s.mu_1 + 0.5 * phi, 0.9 * s.mu_2 + 0.1 * phi
    return torch.relu(torch.cat([first, second], 1) @ p.W_o.T + p.b_o), {
        "mu_1": first,
        "mu_2": second,
    }

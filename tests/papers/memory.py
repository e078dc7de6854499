"""Matrix memories: fast weights, delta rules, linear attention, xLSTM."""

# ruff: noqa: E501 (the formulas stand as in their sources)

import torch
from torch import exp, sigmoid, tanh
from torch.nn.functional import elu, logsigmoid

from papers import gates, paper


def outer(u, v):
    return torch.einsum("bi,bj->bij", u, v)


def read(matrix, v):
    return torch.einsum("bij,bj->bi", matrix, v)


@paper(
    "Yang et al., DeltaNet, 2024 (the paper's product form)",
    {**gates({"W_%": "h,x"}, "qkv"), "w": "x"},
    {"S": "h,h"},
)
def delta_product(p, x, s):
    r"""
    q_t = \mathbf{W}_q x_t, \quad k_t = \mathbf{W}_k x_t, \quad v_t = \mathbf{W}_v x_t \\
    \beta_t = \sigma(w^\top x_t) \\
    \mathbf{S}_t = \mathbf{S}_{t-1} \left(\mathbf{I} - \beta_t k_t k_t^\top\right) + \beta_t v_t k_t^\top \\
    o_t = \mathbf{S}_t q_t
    """
    q, k, v = x @ p.W_q.T, x @ p.W_k.T, x @ p.W_v.T
    beta = sigmoid(x @ p.w)[:, None, None]
    eye = torch.eye(k.shape[1], dtype=k.dtype)
    memory = s.S @ (eye - beta * outer(k, k)) + beta * outer(v, k)
    return read(memory, q), {"S": memory}


@paper(
    "Katharopoulos et al., Transformers are RNNs, 2020 (linear attention)",
    gates({"W_%": "h,x"}, "QKV"),
    {"S": "h,h", "z": "h"},
)
def linear_attention(p, x, s):
    r"""
    \phi(u) = \operatorname{elu}(u) + 1

    S_t = S_{t-1} + \phi(W_K x_t) (W_V x_t)^T
    z_t = z_{t-1} + \phi(W_K x_t)
    y_t = \frac{S_t^T \phi(W_Q x_t)}{z_t^T \phi(W_Q x_t)}
    """
    key, query = elu(x @ p.W_K.T) + 1, elu(x @ p.W_Q.T) + 1
    memory = s.S + outer(key, x @ p.W_V.T)
    z = s.z + key
    y = torch.einsum("bij,bi->bj", memory, query) / (z * query).sum(1, keepdim=True)
    return y, {"S": memory, "z": z}


@paper(
    "Sun et al., Retentive Network, 2023 (recurrent form, row vectors)",
    gates({"W_%": "x,h"}, "QKV"),
    {"S": "h,h"},
    inputs={"X": "x"},
)
def retentive(p, x, s):
    r"""
    const \gamma = 0.96875
    Q_n = X_n W_Q, \quad K_n = X_n W_K, \quad V_n = X_n W_V
    S_n = \gamma S_{n-1} + K_n^\intercal V_n
    O_n = Q_n S_n
    """
    memory = 0.96875 * s.S + outer(x @ p.W_K, x @ p.W_V)
    return torch.einsum("bi,bij->bj", x @ p.W_Q, memory), {"S": memory}


@paper(
    "Yang et al., Gated Linear Attention, 2023",
    {**gates({"W_%": "h,x"}, "qkv"), "W_alpha": "h,x", "b_alpha": "h"},
    {"S": "h,h"},
)
def gated_linear_attention(p, x, s):
    r"""
    \boldsymbol{\alpha}_t = \sigma(\boldsymbol{W}_\alpha \boldsymbol{x}_t + \boldsymbol{b}_\alpha)
    \boldsymbol{S}_t = \operatorname{diag}(\boldsymbol{\alpha}_t) \boldsymbol{S}_{t-1}
        + (\boldsymbol{W}_k \boldsymbol{x}_t) (\boldsymbol{W}_v \boldsymbol{x}_t)^\top
    \boldsymbol{o}_t = \boldsymbol{S}_t^\top (\boldsymbol{W}_q \boldsymbol{x}_t)
    """
    alpha = sigmoid(x @ p.W_alpha.T + p.b_alpha)
    memory = alpha[:, :, None] * s.S + outer(x @ p.W_k.T, x @ p.W_v.T)
    return torch.einsum("bij,bi->bj", memory, x @ p.W_q.T), {"S": memory}


XLSTM = {**gates({"W_%": "h,x", "b_%": "h"}, "qkvo"), **gates({"w_%": "x", "b_%": ""}, "if")}


@paper("Beck et al., xLSTM, 2024 (mLSTM)", XLSTM, {"C": "h,h", "n": "h"})
def mlstm(p, x, s):
    r"""
    % xLSTM, equations 19 to 27
    \begin{align}
    \mathbf{C}_t &= f_t\, \mathbf{C}_{t-1} + i_t\, \mathbf{v}_t\, \mathbf{k}_t^\top && \text{cell state} \\
    \mathbf{n}_t &= f_t\, \mathbf{n}_{t-1} + i_t\, \mathbf{k}_t && \text{normalizer state} \\
    \mathbf{h}_t &= \mathbf{o}_t \odot \tilde{\mathbf{h}}_t, \qquad
      \tilde{\mathbf{h}}_t = \mathbf{C}_t \mathbf{q}_t / \max\left\{ \left| \mathbf{n}_t^\top \mathbf{q}_t \right|, 1 \right\} && \text{hidden state} \\
    \mathbf{q}_t &= \mathbf{W}_q\, \mathbf{x}_t + \mathbf{b}_q && \text{query input} \\
    \mathbf{k}_t &= \frac{1}{2} \mathbf{W}_k\, \mathbf{x}_t + \mathbf{b}_k && \text{key input} \\
    \mathbf{v}_t &= \mathbf{W}_v\, \mathbf{x}_t + \mathbf{b}_v && \text{value input} \\
    i_t &= \exp\left(\tilde{i}_t\right), & \tilde{i}_t &= \mathbf{w}_i^\top \mathbf{x}_t + b_i && \text{input gate} \\
    f_t &= \sigma\left(\tilde{f}_t\right), & \tilde{f}_t &= \mathbf{w}_f^\top \mathbf{x}_t + b_f && \text{forget gate} \\
    \mathbf{o}_t &= \sigma\left(\tilde{\mathbf{o}}_t\right), & \tilde{\mathbf{o}}_t &= \mathbf{W}_o\, \mathbf{x}_t + \mathbf{b}_o && \text{output gate}
    \end{align}
    output h
    """
    q, v = x @ p.W_q.T + p.b_q, x @ p.W_v.T + p.b_v
    k = 0.5 * (x @ p.W_k.T) + p.b_k
    i, f = exp(x @ p.w_i + p.b_i), sigmoid(x @ p.w_f + p.b_f)
    memory = f[:, None, None] * s.C + i[:, None, None] * outer(v, k)
    n = f[:, None] * s.n + i[:, None] * k
    scale = torch.maximum((n * q).sum(1).abs(), torch.ones_like(f))
    h = sigmoid(x @ p.W_o.T + p.b_o) * read(memory, q) / scale[:, None]
    return h, {"C": memory, "n": n}


@paper(
    "Beck et al., xLSTM, 2024 (mLSTM, stabilised: a scalar state)",
    {**gates({"W_%": "h,x"}, "qkv"), **gates({"w_%": "x", "b_%": ""}, "if")},
    {"m": "", "C": "h,h", "n": "h"},
)
def mlstm_stabilised(p, x, s):
    r"""
    \tilde i_t = w_i^\top x_t + b_i
    \tilde f_t = w_f^\top x_t + b_f
    m_t = \max(\log \sigma(\tilde f_t) + m_{t-1}, \tilde i_t)
    i'_t = \exp(\tilde i_t - m_t)
    f'_t = \exp(\log \sigma(\tilde f_t) + m_{t-1} - m_t)
    C_t = f'_t C_{t-1} + i'_t (W_v x_t) (W_k x_t)^\top
    n_t = f'_t n_{t-1} + i'_t W_k x_t
    h_t = \frac{C_t (W_q x_t)}{\max(|n_t^\top (W_q x_t)|, \exp(-m_t))}
    """
    q, k, v = x @ p.W_q.T, x @ p.W_k.T, x @ p.W_v.T
    i, f = x @ p.w_i + p.b_i, logsigmoid(x @ p.w_f + p.b_f)
    m = torch.maximum(f + s.m, i)
    i, f = exp(i - m), exp(f + s.m - m)
    memory = f[:, None, None] * s.C + i[:, None, None] * outer(v, k)
    n = f[:, None] * s.n + i[:, None] * k
    h = read(memory, q) / torch.maximum((n * q).sum(1).abs(), exp(-m))[:, None]
    return h, {"m": m, "C": memory, "n": n}


@paper(
    "Ba et al., Using Fast Weights, 2016 (one inner step)",
    {"W": "h,h", "C": "h,x"},
    {"A": "h,h", "h": "h"},
)
def fast_weights(p, x, s):
    r"""
    const \lambda = 0.9
    const \eta = 0.5
    A(t) = \lambda A(t-1) + \eta h(t-1) h(t-1)^T
    h_0(t) = \tanh(W h(t-1) + C x(t))
    h(t) = \tanh\left([W h(t-1) + C x(t)] + A(t) h_0(t)\right)
    """
    memory = 0.9 * s.A + 0.5 * outer(s.h, s.h)
    boundary = s.h @ p.W.T + x @ p.C.T
    h = tanh(boundary + read(memory, tanh(boundary)))
    return h, {"A": memory, "h": h}


@paper(
    "Peng et al., RWKV, 2023 (time mixing, version 4)",
    {**gates({"W_%": "h,x", "mu_%": "x"}, "rkv"), "w": "h", "u": "h", "W_o": "o,h"},
    {"a": "h", "b": "h"},
    memory={"x1": "x"},
)
def rwkv(p, x, s):
    r"""
    param \mu_r, \mu_k, \mu_v : vector
    r_t = W_r \cdot (\mu_r \odot x_t + (1 - \mu_r) \odot x_{t-1})
    k_t = W_k \cdot (\mu_k \odot x_t + (1 - \mu_k) \odot x_{t-1})
    v_t = W_v \cdot (\mu_v \odot x_t + (1 - \mu_v) \odot x_{t-1})
    wkv_t = \frac{a_{t-1} + e^{u + k_t} \odot v_t}{b_{t-1} + e^{u + k_t} + 1}
    a_t = e^{-w} \odot a_{t-1} + e^{k_t} \odot v_t
    b_t = e^{-w} \odot b_{t-1} + e^{k_t}
    o_t = W_o \cdot (\sigma(r_t) \odot wkv_t)
    """
    r, k, v = (
        (getattr(p, f"mu_{g}") * x + (1 - getattr(p, f"mu_{g}")) * s.x1) @ getattr(p, f"W_{g}").T
        for g in "rkv"
    )
    wkv = (s.a + exp(p.u + k) * v) / (s.b + exp(p.u + k) + 1)
    a, b = exp(-p.w) * s.a + exp(k) * v, exp(-p.w) * s.b + exp(k)
    return (sigmoid(r) * wkv) @ p.W_o.T, {"a": a, "b": b, "x1": x}


@paper(
    "Dao & Gu, Mamba-2 (state space duality), 2024",
    {"W_B": "k,x", "W_C": "k,x", "W_X": "h,x", "w_Delta": "x", "b_Delta": "", "alpha": ""},
    {"H": "h,k"},
    sizes={"k": 5},
)
def state_space_duality(p, x, s):
    r"""
    size k = 5
    param W_B : k x input_size
    param W_C : k x input_size

    \Delta_t = \operatorname{softplus}(w_\Delta^\top x_t + b_\Delta)
    a_t = \exp(-\Delta_t \exp(\alpha))
    B_t = W_B x_t
    C_t = W_C x_t
    H_t = a_t H_{t-1} + \Delta_t (W_X x_t) B_t^\top
    y_t = H_t C_t
    """
    delta = torch.nn.functional.softplus(x @ p.w_Delta + p.b_Delta)[:, None, None]
    memory = exp(-delta * exp(p.alpha)) * s.H + delta * outer(x @ p.W_X.T, x @ p.W_B.T)
    return read(memory, x @ p.W_C.T), {"H": memory}

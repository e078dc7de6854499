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


@paper(
    "Yang et al., Gated Linear Attention, 2023 (with the vector of ones, row vectors)",
    {"W_Q": "x,h", "W_K": "x,h", "W_V": "x,h", "W_alpha": "x,h"},
    {"S": "h,h"},
    suffix="tex",
)
def gla_ones(p, x, s):
    r"""
    % gate: output \boldsymbol{o}
    The gates are outer products:
    $$\mathbf{S}_t = \left(\boldsymbol{\alpha}_t^\intercal \mathbf{1}\right) \odot \mathbf{S}_{t-1} + \boldsymbol{k}_t^\intercal \boldsymbol{v}_t = \mathrm{Diag}(\boldsymbol{\alpha}_t) \mathbf{S}_{t-1} + \boldsymbol{k}_t^\intercal \boldsymbol{v}_t$$
    $$\boldsymbol{q}_t, \boldsymbol{k}_t, \boldsymbol{v}_t = \boldsymbol{x}_t \mathbf{W}_Q, \boldsymbol{x}_t \mathbf{W}_K, \boldsymbol{x}_t \mathbf{W}_V \in \mathbb{R}^{1 \times d}$$
    $$\boldsymbol{\alpha}_t = \sigma(\boldsymbol{x}_t \mathbf{W}_\alpha), \quad \boldsymbol{o}_t = \boldsymbol{q}_t \mathbf{S}_t \in \mathbb{R}^{1 \times d}$$
    """
    alpha = sigmoid(x @ p.W_alpha)
    memory = alpha[:, :, None] * s.S + outer(x @ p.W_K, x @ p.W_V)
    return torch.einsum("bi,bij->bj", x @ p.W_Q, memory), {"S": memory}


@paper(
    "Sun et al., Retentive Network, 2023 (the recurrence alone)",
    {"gamma_": ""},
    {"S": "h,h"},
    inputs={"K": "h", "V": "h", "Q": "h"},
    suffix="md",
    square=True,
)
def retention(p, x, s):
    r"""
    $$S_n = \gamma S_{n-1} + K_n^\intercal V_n, \quad O_n = Q_n S_n, \quad n = 1, \cdots, |x|$$
    """
    memory = p.gamma_ * s.S + outer(x.K, x.V)
    return torch.einsum("bi,bij->bj", x.Q, memory), {"S": memory}


@paper(
    "Qin et al., HGRN2, 2024 (the outer product as rows and columns)",
    gates({"W_%": "h,x"}, "fio"),
    {"H": "h,h"},
    suffix="tex",
)
def hgrn2(p, x, s):
    r"""
    % gate: output \mathbf{y}
    \begin{align}
    \mathbf{H}_t &= \mathrm{Diag}\{\mathbf{f}_t\} \mathbf{H}_{t-1} + (1 - \mathbf{f}_t)\, \mathbf{i}_t^\top, \\
    \mathbf{y}_t &= \mathbf{H}_t^\top \mathbf{o}_t,
    \end{align}
    where $\mathbf{f}_t = \sigma(\mathbf{W}_f \mathbf{x}_t)$, $\mathbf{i}_t = \mathbf{W}_i \mathbf{x}_t$ and $\mathbf{o}_t = \sigma(\mathbf{W}_o \mathbf{x}_t)$.
    """
    f, i, o = sigmoid(x @ p.W_f.T), x @ p.W_i.T, sigmoid(x @ p.W_o.T)
    memory = f[:, :, None] * s.H + outer(1 - f, i)
    return torch.einsum("bij,bi->bj", memory, o), {"H": memory}


@paper(
    "Beck et al., xLSTM, 2024 (mLSTM as printed, with the root of d)",
    {"W_q": "h,x", "b_q": "h", "W_k": "h,x", "b_k": "h", "W_v": "h,x", "b_v": "h", "w_i": "x",
     "b_i": "", "w_f": "x", "b_f": "", "W_o": "h,x", "b_o": "h"},
    {"C": "h,h", "n": "h"},
    suffix="tex",
)  # fmt: skip
def mlstm_printed(p, x, s):
    r"""
    % gate: output \bm{h}
    \begin{align}
    \bm{C}_t &= f_t\, \bm{C}_{t-1} + i_t\, \bm{v}_t \bm{k}_t^\top && \text{cell state} \\
    \bm{n}_t &= f_t\, \bm{n}_{t-1} + i_t\, \bm{k}_t && \text{normalizer state} \\
    \bm{h}_t &= \bm{o}_t \odot \tilde{\bm{h}}_t, & \tilde{\bm{h}}_t &= \bm{C}_t \bm{q}_t \Big/ \max\left\{ \left| \bm{n}_t^\top \bm{q}_t \right|, 1 \right\} \\
    \bm{q}_t &= \bm{W}_q \bm{x}_t + \bm{b}_q && \text{query input} \\
    \bm{k}_t &= \frac{1}{\sqrt{d}} \bm{W}_k \bm{x}_t + \bm{b}_k && \text{key input} \\
    \bm{v}_t &= \bm{W}_v \bm{x}_t + \bm{b}_v && \text{value input} \\
    i_t &= \exp\left(\tilde{i}_t\right), & \tilde{i}_t &= \bm{w}_i^\top \bm{x}_t + b_i && \text{input gate} \\
    f_t &= \sigma\left(\tilde{f}_t\right), & \tilde{f}_t &= \bm{w}_f^\top \bm{x}_t + b_f && \text{forget gate} \\
    \bm{o}_t &= \sigma\left(\tilde{\bm{o}}_t\right), & \tilde{\bm{o}}_t &= \bm{W}_o \bm{x}_t + \bm{b}_o && \text{output gate}
    \end{align}
    """
    q, v = x @ p.W_q.T + p.b_q, x @ p.W_v.T + p.b_v
    k = x @ p.W_k.T / len(p.b_k) ** 0.5 + p.b_k
    i, f = exp(x @ p.w_i + p.b_i)[:, None], sigmoid(x @ p.w_f + p.b_f)[:, None]
    memory = f[:, :, None] * s.C + i[:, :, None] * outer(v, k)
    n = f * s.n + i * k
    scale = (n * q).sum(1, keepdim=True).abs().clamp(min=1)
    return sigmoid(x @ p.W_o.T + p.b_o) * read(memory, q) / scale, {"C": memory, "n": n}


@paper(
    "Yang et al., Gated DeltaNet, 2025",
    {**gates({"W_%": "h,x"}, "qkv"), "w_alpha": "x", "w_beta": "x"},
    {"S": "h,h"},
    suffix="md",
)
def gated_deltanet(p, x, s):
    r"""
    $$\mathbf{S}_t = \mathbf{S}_{t-1} \left( \alpha_t (\mathbf{I} - \beta_t \boldsymbol{k}_t \boldsymbol{k}_t^\intercal) \right) + \beta_t \boldsymbol{v}_t \boldsymbol{k}_t^\intercal$$

    with $\boldsymbol{q}_t = \mathbf{W}_q \boldsymbol{x}_t \in \mathbb{R}^{d_k}$, $\boldsymbol{k}_t = \mathbf{W}_k \boldsymbol{x}_t \in \mathbb{R}^{d_k}$ and
    $\boldsymbol{v}_t = \mathbf{W}_v \boldsymbol{x}_t \in \mathbb{R}^{d_v}$,
    $\alpha_t = \sigma(\mathbf{w}_\alpha^\top \boldsymbol{x}_t) \in (0, 1)$, $\beta_t = \sigma(\mathbf{w}_\beta^\top \boldsymbol{x}_t) \in (0, 1)$;
    the output is

    $$\boldsymbol{o}_t = \mathbf{S}_t \boldsymbol{q}_t$$
    """
    q, k, v = x @ p.W_q.T, x @ p.W_k.T, x @ p.W_v.T
    alpha, beta = sigmoid(x @ p.w_alpha)[:, None, None], sigmoid(x @ p.w_beta)[:, None, None]
    eye = torch.eye(k.shape[1], dtype=k.dtype)
    memory = s.S @ (alpha * (eye - beta * outer(k, k))) + beta * outer(v, k)
    return read(memory, q), {"S": memory}


@paper(
    "Graves et al., Neural Turing Machines, 2014 (erase and add, one head without addressing)",
    gates({"W_%": "h,x"}, "wea"),
    {"M": "h,h"},
    suffix="tex",
)
def erase_and_add(p, x, s):
    r"""
    % gate: output \mathbf{r}
    \[ \mathbf{w}_t = \mathrm{softmax}(\mathbf{W}_w \mathbf{x}_t), \quad \mathbf{e}_t = \sigma(\mathbf{W}_e \mathbf{x}_t), \quad \mathbf{a}_t = \tanh(\mathbf{W}_a \mathbf{x}_t) \]
    \[ \mathbf{M}_t = \mathbf{M}_{t-1} \odot (\mathbf{1} - \mathbf{w}_t \mathbf{e}_t^\top) + \mathbf{w}_t \mathbf{a}_t^\top, \qquad \mathbf{r}_t = \mathbf{M}_t^\top \mathbf{w}_t \]
    """
    w = torch.softmax(x @ p.W_w.T, 1)
    memory = s.M * (1 - outer(w, sigmoid(x @ p.W_e.T))) + outer(w, tanh(x @ p.W_a.T))
    return torch.einsum("bij,bi->bj", memory, w), {"M": memory}


@paper(
    "Schlag et al., Fast Weight Programmers, 2021 (several names at once, time above)",
    gates({"W_%": "h,x"}, "kvq"),
    {"S": "h,h"},
    suffix="tex",
)
def fast_weights_at_once(p, x, s):
    r"""
    \begin{align}
    \boldsymbol{k}^{(i)}, \boldsymbol{v}^{(i)}, \boldsymbol{q}^{(i)} &= \boldsymbol{W}_k \boldsymbol{x}^{(i)}, \boldsymbol{W}_v \boldsymbol{x}^{(i)}, \boldsymbol{W}_q \boldsymbol{x}^{(i)} \\
    \boldsymbol{S}^{(i)} &= \boldsymbol{S}^{(i-1)} + \boldsymbol{v}^{(i)} {\boldsymbol{k}^{(i)}}^\top \\
    \boldsymbol{y}^{(i)} &= \boldsymbol{S}^{(i)} \boldsymbol{q}^{(i)}
    \end{align}
    """
    memory = s.S + outer(x @ p.W_v.T, x @ p.W_k.T)
    return read(memory, x @ p.W_q.T), {"S": memory}

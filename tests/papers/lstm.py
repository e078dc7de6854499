"""Long short-term memory, as many papers and pages write it."""

# ruff: noqa: E501 (the formulas stand as in their sources)

import torch
from torch import sigmoid, tanh

from papers import gates, paper

SPLIT = {"W_%": "h,x", "U_%": "h,h", "b_%": "h"}
GRAVES = {"W_x%": "h,x", "W_h%": "h,h", "b_%": "h"}
JOINED = {"W_%": "h,h+x", "b_%": "h"}
HC = {"h": "h", "c": "h"}


@paper(
    "Gers et al., Learning to Forget, 2000",
    {**gates({"W_%": "h,h+x"}, ["in", "out", "varphi", "c"])},
    {"y_c": "h", "s_c": "h"},
)
def gers_2000(p, x, s):
    r"""
    function f = sigmoid
    function g = tanh
    function h = tanh

    y^{in}(t) = f(W_{in} [x(t), y^c(t-1)])
    y^{out}(t) = f(W_{out} [x(t), y^c(t-1)])
    y^{\varphi}(t) = f(W_{\varphi} [x(t), y^c(t-1)])
    s_c(t) = y^{\varphi}(t) \odot s_c(t-1) + y^{in}(t) \odot g(W_c [x(t), y^c(t-1)])
    y^c(t) = y^{out}(t) \odot h(s_c(t))
    """
    joined = torch.cat([x, s.y_c], 1)
    keep, write = sigmoid(joined @ p.W_varphi.T), sigmoid(joined @ p.W_in.T)
    cell = keep * s.s_c + write * tanh(joined @ p.W_c.T)
    out = sigmoid(joined @ p.W_out.T) * tanh(cell)
    return out, {"y_c": out, "s_c": cell}


@paper(
    "Graves, Generating Sequences, 2013",
    {**gates(GRAVES, "ifco"), **gates({"W_c%": "h,h"}, "ifo")},
    HC,
)
def graves_2013(p, x, s):
    r"""
    \begin{align}
    i_t &= \sigma\left(W_{xi} x_t + W_{hi} h_{t-1} + W_{ci} c_{t-1} + b_i\right) \\
    f_t &= \sigma\left(W_{xf} x_t + W_{hf} h_{t-1} + W_{cf} c_{t-1} + b_f\right) \\
    c_t &= f_t \odot c_{t-1} + i_t \odot \tanh\left(W_{xc} x_t + W_{hc} h_{t-1} + b_c\right) \\
    o_t &= \sigma\left(W_{xo} x_t + W_{ho} h_{t-1} + W_{co} c_t + b_o\right) \\
    h_t &= o_t \odot \tanh(c_t)
    \end{align}
    """
    i = sigmoid(x @ p.W_xi.T + s.h @ p.W_hi.T + s.c @ p.W_ci.T + p.b_i)
    f = sigmoid(x @ p.W_xf.T + s.h @ p.W_hf.T + s.c @ p.W_cf.T + p.b_f)
    c = f * s.c + i * tanh(x @ p.W_xc.T + s.h @ p.W_hc.T + p.b_c)
    o = sigmoid(x @ p.W_xo.T + s.h @ p.W_ho.T + c @ p.W_co.T + p.b_o)
    h = o * tanh(c)
    return h, {"h": h, "c": c}


@paper(
    "Shi et al., Convolutional LSTM Network, 2015 (FC-LSTM)",
    {**gates(GRAVES, "ifco"), **gates({"W_c%": "h"}, "ifo")},
    HC,
)
def shi_2015(p, x, s):
    r"""
    \begin{equation}
    \begin{aligned}
    i_t &= \sigma(W_{xi}x_t + W_{hi}h_{t-1} + W_{ci} \circ c_{t-1} + b_i) \\
    f_t &= \sigma(W_{xf}x_t + W_{hf}h_{t-1} + W_{cf} \circ c_{t-1} + b_f) \\
    c_t &= f_t \circ c_{t-1} + i_t \circ \tanh(W_{xc}x_t + W_{hc}h_{t-1} + b_c) \\
    o_t &= \sigma(W_{xo}x_t + W_{ho}h_{t-1} + W_{co} \circ c_{t} + b_o) \\
    h_t &= o_t \circ \tanh(c_t)
    \end{aligned}
    \label{eq:fclstm}
    \end{equation}
    """
    i = sigmoid(x @ p.W_xi.T + s.h @ p.W_hi.T + p.W_ci * s.c + p.b_i)
    f = sigmoid(x @ p.W_xf.T + s.h @ p.W_hf.T + p.W_cf * s.c + p.b_f)
    c = f * s.c + i * tanh(x @ p.W_xc.T + s.h @ p.W_hc.T + p.b_c)
    o = sigmoid(x @ p.W_xo.T + s.h @ p.W_ho.T + p.W_co * c + p.b_o)
    h = o * tanh(c)
    return h, {"h": h, "c": c}


@paper("Xu et al., Show, Attend and Tell, 2015 (its LSTM)", {"T": "4h,h+x"}, HC)
def stacked_gates(p, x, s):
    r"""
    \begin{pmatrix} \mathbf{i}_t \\ \mathbf{f}_t \\ \mathbf{o}_t \\ \mathbf{g}_t \end{pmatrix} =
    \begin{pmatrix} \sigma \\ \sigma \\ \sigma \\ \tanh \end{pmatrix}
    T \begin{pmatrix} \mathbf{x}_t \\ \mathbf{h}_{t-1} \end{pmatrix}
    \\
    \mathbf{c}_t = \mathbf{f}_t \odot \mathbf{c}_{t-1} + \mathbf{i}_t \odot \mathbf{g}_t \\
    \mathbf{h}_t = \mathbf{o}_t \odot \tanh(\mathbf{c}_t).
    """
    i, f, o, g = (torch.cat([x, s.h], 1) @ p.T.T).chunk(4, dim=1)
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, {"h": h, "c": c}


@paper(
    "Zaremba et al., RNN Regularization, 2014",
    {"T_2n_4n": "4h,h+x"},
    {"h_l": "h", "c_l": "h"},
    inputs={"h_l_minus_1": "x"},
    suffix="tex",
)
def zaremba_2014(p, x, s):
    r"""
    The LSTM's equations are the following:
    \begin{align*}
    \text{LSTM} &: h_t^{l-1}, h_{t-1}^l, c_{t-1}^l \rightarrow h_t^l, c_t^l\\
    \left(\begin{array}{c} i \\ f \\ o \\ g \end{array}\right) &=
    \left(\begin{array}{c}
      \mathrm{sigm} \\ \mathrm{sigm} \\ \mathrm{sigm} \\ \tanh
    \end{array}\right)
    T_{2n,4n} \left(\begin{array}{c} h_t^{l-1} \\ h_{t-1}^l \end{array}\right)\\
    c_t^l &= f \odot c_{t-1}^l + i \odot g\\
    h_t^l &= o \odot \tanh(c_t^l)
    \end{align*}
    In these equations, $\mathrm{sigm}$ and $\tanh$ are applied element-wise.
    """
    i, f, o, g = (torch.cat([x, s.h_l], 1) @ p.T_2n_4n.T).chunk(4, dim=1)
    c = sigmoid(f) * s.c_l + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, {"h_l": h, "c_l": c}


@paper(
    "Greff et al., LSTM: A Search Space Odyssey, 2017 (vanilla LSTM)",
    {**gates({"W_%": "h,x", "R_%": "h,h", "b_%": "h"}, "zifo"), **gates({"p_%": "h"}, "ifo")},
    {"y": "h", "c": "h"},
)
def greff_2017(p, x, s):
    r"""
    function g = tanh
    function h = tanh
    \begin{align*}
    \bar{\mathbf{z}}^t &= \mathbf{W}_z \mathbf{x}^t + \mathbf{R}_z \mathbf{y}^{t-1} + \mathbf{b}_z \\
    \mathbf{z}^t &= g(\bar{\mathbf{z}}^t) & \textit{block input}\\
    \bar{\mathbf{i}}^t &= \mathbf{W}_i \mathbf{x}^t + \mathbf{R}_i \mathbf{y}^{t-1}
        + \mathbf{p}_i \odot \mathbf{c}^{t-1} + \mathbf{b}_i \\
    \mathbf{i}^t &= \sigma(\bar{\mathbf{i}}^t) & \textit{input gate}\\
    \bar{\mathbf{f}}^t &= \mathbf{W}_f \mathbf{x}^t + \mathbf{R}_f \mathbf{y}^{t-1}
        + \mathbf{p}_f \odot \mathbf{c}^{t-1} + \mathbf{b}_f \\
    \mathbf{f}^t &= \sigma(\bar{\mathbf{f}}^t) & \textit{forget gate}\\
    \mathbf{c}^t &= \mathbf{z}^t \odot \mathbf{i}^t + \mathbf{c}^{t-1} \odot \mathbf{f}^t \\
    \bar{\mathbf{o}}^t &= \mathbf{W}_o \mathbf{x}^t + \mathbf{R}_o \mathbf{y}^{t-1}
        + \mathbf{p}_o \odot \mathbf{c}^{t} + \mathbf{b}_o \\
    \mathbf{o}^t &= \sigma(\bar{\mathbf{o}}^t) & \textit{output gate}\\
    \mathbf{y}^t &= h(\mathbf{c}^t) \odot \mathbf{o}^t & \textit{block output}
    \end{align*}
    """
    z = tanh(x @ p.W_z.T + s.y @ p.R_z.T + p.b_z)
    i = sigmoid(x @ p.W_i.T + s.y @ p.R_i.T + p.p_i * s.c + p.b_i)
    f = sigmoid(x @ p.W_f.T + s.y @ p.R_f.T + p.p_f * s.c + p.b_f)
    c = z * i + s.c * f
    y = tanh(c) * sigmoid(x @ p.W_o.T + s.y @ p.R_o.T + p.p_o * c + p.b_o)
    return y, {"y": y, "c": c}


@paper("Jozefowicz et al., An Empirical Exploration, 2015 (its LSTM)", gates(GRAVES, "ijfo"), HC)
def jozefowicz_lstm(p, x, s):
    r"""
    i_t = \tanh(W_{\mathrm{xi}} x_t + W_{\mathrm{hi}} h_{t-1} + b_\mathrm{i})
    j_t = \mathrm{sigm}(W_{\mathrm{xj}} x_t + W_{\mathrm{hj}} h_{t-1} + b_\mathrm{j})
    f_t = \mathrm{sigm}(W_{\mathrm{xf}} x_t + W_{\mathrm{hf}} h_{t-1} + b_\mathrm{f})
    o_t = \tanh(W_{\mathrm{xo}} x_t + W_{\mathrm{ho}} h_{t-1} + b_\mathrm{o})
    c_t = c_{t-1} \odot f_t + i_t \odot j_t
    h_t = \tanh(c_t) \odot o_t
    """
    i, j, f, o = (
        x @ getattr(p, f"W_x{g}").T + s.h @ getattr(p, f"W_h{g}").T + getattr(p, f"b_{g}")
        for g in "ijfo"
    )
    c = s.c * sigmoid(f) + tanh(i) * sigmoid(j)
    h = tanh(c) * tanh(o)
    return h, {"h": h, "c": c}


@paper(
    "Ba et al., Layer Normalization, 2016",
    {
        **gates({"W_h%": "h,h", "W_x%": "h,x", "b_%": "h"}, "fiog"),
        **gates({"alpha_%": "h", "beta_%": "h"}, "c"),
    },
    HC,
)
def layer_norm_lstm(p, x, s):
    r"""
    param \alpha_c, \beta_c : vector

    f_t = \sigma(\mathrm{LayerNorm}(W_{hf} h_{t-1}) + \mathrm{LayerNorm}(W_{xf} x_t) + b_f)
    i_t = \sigma(\mathrm{LayerNorm}(W_{hi} h_{t-1}) + \mathrm{LayerNorm}(W_{xi} x_t) + b_i)
    o_t = \sigma(\mathrm{LayerNorm}(W_{ho} h_{t-1}) + \mathrm{LayerNorm}(W_{xo} x_t) + b_o)
    g_t = \tanh(\mathrm{LayerNorm}(W_{hg} h_{t-1}) + \mathrm{LayerNorm}(W_{xg} x_t) + b_g)
    c_t = f_t \odot c_{t-1} + i_t \odot g_t
    h_t = o_t \odot \tanh\left(\alpha_c \odot \mathrm{LayerNorm}(c_t) + \beta_c\right)
    """

    def norm(v):
        return torch.nn.functional.layer_norm(v, v.shape[-1:])

    f, i, o, g = (
        norm(s.h @ getattr(p, f"W_h{k}").T)
        + norm(x @ getattr(p, f"W_x{k}").T)
        + getattr(p, f"b_{k}")
        for k in "fiog"
    )
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(p.alpha_c * norm(c) + p.beta_c)
    return h, {"h": h, "c": c}


@paper(
    "van der Westhuizen & Lasenby, JANET, 2018",
    gates({"W_%": "h,x", "U_%": "h,h", "b_%": "h"}, "fc"),
    {"h": "h", "c": "h"},
)
def janet(p, x, s):
    r"""
    \begin{aligned}
    \mathbf{f}_t &= \sigma(\mathbf{U}_f \mathbf{h}_{t-1} + \mathbf{W}_f \mathbf{x}_t + \mathbf{b}_f) \\
    \mathbf{c}_t &= \mathbf{f}_t \odot \mathbf{c}_{t-1} + (1 - \mathbf{f}_t) \odot \tanh(\mathbf{U}_c \mathbf{h}_{t-1} + \mathbf{W}_c \mathbf{x}_t + \mathbf{b}_c) \\
    \mathbf{h}_t &= \mathbf{c}_t.
    \end{aligned}
    """
    f = sigmoid(s.h @ p.U_f.T + x @ p.W_f.T + p.b_f)
    c = f * s.c + (1 - f) * tanh(s.h @ p.U_c.T + x @ p.W_c.T + p.b_c)
    return c, {"h": c, "c": c}


@paper(
    "Krause et al., Multiplicative LSTM, 2016",
    {"W_mx": "h,x", "W_mh": "h,h", **gates({"W_%x": "h,x", "W_%m": "h,h"}, "hifo")},
    HC,
)
def multiplicative_lstm(p, x, s):
    r"""
    m_t = (W_{mx} x_t) \odot (W_{mh} h_{t-1})
    \hat{h}_t = W_{hx} x_t + W_{hm} m_t
    i_t = \sigma(W_{ix} x_t + W_{im} m_t)
    o_t = \sigma(W_{ox} x_t + W_{om} m_t)
    f_t = \sigma(W_{fx} x_t + W_{fm} m_t)
    c_t = f_t \odot c_{t-1} + i_t \odot \tanh(\hat h_t)
    h_t = o_t \odot \tanh(c_t)
    """
    m = (x @ p.W_mx.T) * (s.h @ p.W_mh.T)
    i, f, o, g = (x @ getattr(p, f"W_{k}x").T + m @ getattr(p, f"W_{k}m").T for k in "ifoh")
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, {"h": h, "c": c}


@paper(
    "NVIDIA, cuDNN documentation (plain text)",
    gates({"W_%": "h,x", "R_%": "h,h", "b_W%": "h", "b_R%": "h"}, "ifoc"),
    HC,
    suffix="txt",
)
def cudnn(p, x, s):
    r"""
    i_t = σ(W_i x_t + R_i h_t-1 + b_Wi + b_Ri)
    f_t = σ(W_f x_t + R_f h_t-1 + b_Wf + b_Rf)
    o_t = σ(W_o x_t + R_o h_t-1 + b_Wo + b_Ro)
    c'_t = tanh(W_c x_t + R_c h_t-1 + b_Wc + b_Rc)
    c_t = f_t ∘ c_t-1 + i_t ∘ c'_t
    h_t = o_t ∘ tanh(c_t)
    """
    i, f, o, g = (
        x @ getattr(p, f"W_{k}").T
        + s.h @ getattr(p, f"R_{k}").T
        + getattr(p, f"b_W{k}")
        + getattr(p, f"b_R{k}")
        for k in "ifoc"
    )
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), {"h": sigmoid(o) * tanh(c), "c": c}


@paper(
    "Cooijmans et al., Recurrent Batch Normalization, 2017 (its plain LSTM)",
    {"W_h": "4h,h", "W_x": "4h,x", "b": "4h"},
    HC,
    suffix="tex",
)
def batch_normalised_baseline(p, x, s):
    r"""
    \begin{eqnarray}
    \left(\begin{array}{ccc}\tilde{\mathbf{f}_t}\\ \tilde{\mathbf{i}_t}\\ \tilde{\mathbf{o}_t}\\ \tilde{\mathbf{g}_t}\end{array}\right)
    &=& \mathbf{W}_h \mathbf{h}_{t-1} + \mathbf{W}_x \mathbf{x}_t + \mathbf{b} \\
    \mathbf{c}_t &=& \sigma(\tilde{\mathbf{f}_t}) \odot \mathbf{c}_{t-1} + \sigma(\tilde{\mathbf{i}_t}) \odot \tanh(\tilde{\mathbf{g}_t}) \\
    \mathbf{h}_t &=& \sigma(\tilde{\mathbf{o}_t}) \odot \tanh(\mathbf{c}_t),
    \end{eqnarray}
    """
    f, i, o, g = (s.h @ p.W_h.T + x @ p.W_x.T + p.b).chunk(4, 1)
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), {"h": sigmoid(o) * tanh(c), "c": c}


@paper(
    "Moniz & Krueger, Nested LSTMs, 2017 (its baseline; functions named in the text)",
    gates({"W_x%": "x,h", "W_h%": "h,h", "b_%": "h"}, "ifco"),
    HC,
    suffix="tex",
)
def nested_baseline(p, x, s):
    r"""
    \begin{align}
    \mathbf{i}_t &= \sigma_i(\mathbf{x}_t \mathbf{W}_{xi} + \mathbf{h}_{t-1} \mathbf{W}_{hi} + \mathbf{b}_i) \\
    \mathbf{f}_t &= \sigma_f(\mathbf{x}_t \mathbf{W}_{xf} + \mathbf{h}_{t-1} \mathbf{W}_{hf} + \mathbf{b}_f) \\
    \mathbf{c}_t &= \mathbf{f}_t \odot \mathbf{c}_{t-1} + \mathbf{i}_t \odot \sigma_c(\mathbf{x}_t \mathbf{W}_{xc} + \mathbf{h}_{t-1} \mathbf{W}_{hc} + \mathbf{b}_c) \\
    \mathbf{o}_t &= \sigma_o(\mathbf{x}_t \mathbf{W}_{xo} + \mathbf{h}_{t-1} \mathbf{W}_{ho} + \mathbf{b}_o) \\
    \mathbf{h}_t &= \mathbf{o}_t \odot \sigma_h(\mathbf{c}_t)
    \end{align}
    where $\sigma_i = \sigma_f = \sigma_o = \sigma$ and $\sigma_c = \sigma_h = \tanh$.
    """
    i, f, g, o = (
        x @ getattr(p, f"W_x{k}") + s.h @ getattr(p, f"W_h{k}") + getattr(p, f"b_{k}")
        for k in "ifco"
    )
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), {"h": sigmoid(o) * tanh(c), "c": c}

"""Gated recurrent units and cells close to them."""

# ruff: noqa: E501 (the formulas stand as in their sources)

from torch import relu, sigmoid, tanh

from papers import gates, paper

SPLIT = {"W_%": "h,x", "U_%": "h,h", "b_%": "h"}
H = {"h": "h"}
MUT1 = {"W_xz": "h,h", "b_z": "h", "W_xr": "h,h", "W_hr": "h,h", "b_r": "h"}


@paper(
    "Cho et al., RNN Encoder-Decoder, 2014 (component notation)",
    {"W_r": "h,x", "U_r": "h,h", "W_z": "h,x", "U_z": "h,h", "W": "h,x", "U": "h,h"},
    H,
)
def cho_2014(p, x, s):
    r"""
    \begin{align}
    r_j &= \sigma\left(\left[\mathbf{W}_r \mathbf{x}\right]_j + \left[\mathbf{U}_r \mathbf{h}_{\langle t-1 \rangle}\right]_j\right), \\
    z_j &= \sigma\left(\left[\mathbf{W}_z \mathbf{x}\right]_j + \left[\mathbf{U}_z \mathbf{h}_{\langle t-1 \rangle}\right]_j\right), \\
    h_j^{\langle t \rangle} &= z_j h_j^{\langle t-1 \rangle} + (1 - z_j) \tilde{h}_j^{\langle t \rangle}, \\
    \tilde{h}_j^{\langle t \rangle} &= \phi\left(\left[\mathbf{W} \mathbf{x}\right]_j + \left[\mathbf{U} \left(\mathbf{r} \odot \mathbf{h}_{\langle t-1 \rangle}\right)\right]_j\right).
    \end{align}
    function \phi = tanh
    output h
    """
    r = sigmoid(x @ p.W_r.T + s.h @ p.U_r.T)
    z = sigmoid(x @ p.W_z.T + s.h @ p.U_z.T)
    h = z * s.h + (1 - z) * tanh(x @ p.W.T + (r * s.h) @ p.U.T)
    return h, {"h": h}


@paper(
    "Chung et al., Empirical Evaluation of Gated RNNs, 2014 (unit j as a superscript)",
    {"W_r": "h,x", "U_r": "h,h", "W_z": "h,x", "U_z": "h,h", "W": "h,x", "U": "h,h"},
    H,
)
def chung_2014(p, x, s):
    r"""
    z_t^j = \sigma\left( W_z \mathbf{x}_t + U_z \mathbf{h}_{t-1} \right)^j
    r_t^j = \sigma\left( W_r \mathbf{x}_t + U_r \mathbf{h}_{t-1} \right)^j
    \tilde{h}_t^j = \tanh\left( W \mathbf{x}_t + U \left( \mathbf{r}_t \odot \mathbf{h}_{t-1} \right) \right)^j
    h_t^j = (1 - z_t^j) h_{t-1}^j + z_t^j \tilde{h}_t^j
    """
    r = sigmoid(x @ p.W_r.T + s.h @ p.U_r.T)
    z = sigmoid(x @ p.W_z.T + s.h @ p.U_z.T)
    h = (1 - z) * s.h + z * tanh(x @ p.W.T + (r * s.h) @ p.U.T)
    return h, {"h": h}


@paper("Jozefowicz et al., MUT1, 2015", {**MUT1, "W_hh": "h,h", "b_h": "h"}, H, square=True)
def mut1(p, x, s):
    r"""
    \begin{eqnarray*}
    z &=& \mathrm{sigm}(W_{\mathrm{xz}} x_t + b_{\mathrm{z}}) \\
    r &=& \mathrm{sigm}(W_{\mathrm{xr}} x_t + W_{\mathrm{hr}} h_t + b_{\mathrm{r}}) \\
    h_{t+1} &=& \tanh(W_{\mathrm{hh}}(r \odot h_t) + \tanh(x_t) + b_{\mathrm{h}}) \odot z \\
            &+& h_t \odot (1 - z)
    \end{eqnarray*}
    """
    z = sigmoid(x @ p.W_xz.T + p.b_z)
    r = sigmoid(x @ p.W_xr.T + s.h @ p.W_hr.T + p.b_r)
    h = tanh((r * s.h) @ p.W_hh.T + tanh(x) + p.b_h) * z + s.h * (1 - z)
    return h, {"h": h}


@paper(
    "Jozefowicz et al., MUT2, 2015",
    {
        "W_xz": "h,h",
        "W_hz": "h,h",
        "b_z": "h",
        "W_hr": "h,h",
        "b_r": "h",
        "W_hh": "h,h",
        "W_xh": "h,h",
        "b_h": "h",
    },
    H,
    square=True,
)
def mut2(p, x, s):
    r"""
    z = \mathrm{sigm}(W_{\mathrm{xz}} x_t + W_{\mathrm{hz}} h_t + b_{\mathrm{z}})
    r = \mathrm{sigm}(x_t + W_{\mathrm{hr}} h_t + b_{\mathrm{r}})
    h_{t+1} = \tanh(W_{\mathrm{hh}}(r \odot h_t) + W_{xh} x_t + b_{\mathrm{h}}) \odot z + h_t \odot (1 - z)
    """
    z = sigmoid(x @ p.W_xz.T + s.h @ p.W_hz.T + p.b_z)
    r = sigmoid(x + s.h @ p.W_hr.T + p.b_r)
    h = tanh((r * s.h) @ p.W_hh.T + x @ p.W_xh.T + p.b_h) * z + s.h * (1 - z)
    return h, {"h": h}


@paper(
    "Jozefowicz et al., MUT3, 2015",
    {
        "W_xz": "h,x",
        "W_hz": "h,h",
        "b_z": "h",
        "W_xr": "h,x",
        "W_hr": "h,h",
        "b_r": "h",
        "W_hh": "h,h",
        "W_xh": "h,x",
        "b_h": "h",
    },
    H,
)
def mut3(p, x, s):
    r"""
    z = \mathrm{sigm}(W_{\mathrm{xz}} x_t + W_{\mathrm{hz}} \tanh(h_t) + b_{\mathrm{z}})
    r = \mathrm{sigm}(W_{\mathrm{xr}} x_t + W_{\mathrm{hr}} h_t + b_{\mathrm{r}})
    h_{t+1} = \tanh(W_{\mathrm{hh}}(r \odot h_t) + W_{xh} x_t + b_{\mathrm{h}}) \odot z + h_t \odot (1 - z)
    """
    z = sigmoid(x @ p.W_xz.T + tanh(s.h) @ p.W_hz.T + p.b_z)
    r = sigmoid(x @ p.W_xr.T + s.h @ p.W_hr.T + p.b_r)
    h = tanh((r * s.h) @ p.W_hh.T + x @ p.W_xh.T + p.b_h) * z + s.h * (1 - z)
    return h, {"h": h}


@paper(
    "Chen, MinimalRNN, 2017", {"W_x": "h,x", "b_z": "h", "U_h": "h,h", "U_z": "h,h", "b_u": "h"}, H
)
def minimal_rnn(p, x, s):
    r"""
    \mathbf{z}_t = \Phi(\mathbf{x}_t)
    \mathbf{u}_t = \sigma(\mathbf{U}_h \mathbf{h}_{t-1} + \mathbf{U}_z \mathbf{z}_t + \mathbf{b}_u)
    \mathbf{h}_t = \mathbf{u}_t \odot \mathbf{h}_{t-1} + (1 - \mathbf{u}_t) \odot \mathbf{z}_t
    function \Phi(v) = \tanh(\mathbf{W}_x v + \mathbf{b}_z)
    """
    z = tanh(x @ p.W_x.T + p.b_z)
    u = sigmoid(s.h @ p.U_h.T + z @ p.U_z.T + p.b_u)
    h = u * s.h + (1 - u) * z
    return h, {"h": h}


@paper(
    "Ravanelli et al., Light Gated Recurrent Units, 2018 (without batch normalisation)",
    gates(SPLIT, "zh"),
    H,
)
def light_gru(p, x, s):
    r"""
    z_{t} = \sigma(W_{z} x_{t} + U_{z} h_{t-1} + b_{z}),
    \widetilde{h}_{t} = \mathrm{ReLU}(W_{h} x_{t} + U_{h} h_{t-1} + b_{h}),
    h_{t} = z_{t} \odot h_{t-1} + (1 - z_{t}) \odot \widetilde{h}_{t}.
    """
    z = sigmoid(x @ p.W_z.T + s.h @ p.U_z.T + p.b_z)
    h = z * s.h + (1 - z) * relu(x @ p.W_h.T + s.h @ p.U_h.T + p.b_h)
    return h, {"h": h}


@paper(
    "Collins et al., Capacity and Trainability, 2017 (UGRNN)",
    gates({"W_%h": "h,h", "W_%x": "h,x", "b_%": "h"}, "cg"),
    H,
)
def ugrnn(p, x, s):
    r"""
    function \mathrm{s} = tanh
    \mathbf{c}_t = \mathrm{s}\left(\mathbf{W}^{\mathrm{ch}} \mathbf{h}_{t-1} + \mathbf{W}^{\mathrm{cx}} \mathbf{x}_t + \mathbf{b}^{\mathrm{c}}\right)
    \mathbf{g}_t = \sigma\left(\mathbf{W}^{\mathrm{gh}} \mathbf{h}_{t-1} + \mathbf{W}^{\mathrm{gx}} \mathbf{x}_t + \mathbf{b}^{\mathrm{g}}\right)
    \mathbf{h}_t = \mathbf{g}_t \odot \mathbf{h}_{t-1} + (1 - \mathbf{g}_t) \odot \mathbf{c}_t
    """
    c = tanh(s.h @ p.W_ch.T + x @ p.W_cx.T + p.b_c)
    g = sigmoid(s.h @ p.W_gh.T + x @ p.W_gx.T + p.b_g)
    h = g * s.h + (1 - g) * c
    return h, {"h": h}


@paper(
    "Lee et al., Recurrent Additive Networks, 2017",
    {"W_cx": "h,x", **gates({"W_%h": "h,h", "W_%x": "h,x", "b_%": "h"}, "if")},
    {"h": "h", "c": "h"},
)
def recurrent_additive(p, x, s):
    r"""
    \begin{align*}
    \widetilde{\mathbf{c}}_t &= \mathbf{W}_{cx} \mathbf{x}_t \\
    \mathbf{i}_t &= \sigma(\mathbf{W}_{ih} \mathbf{h}_{t-1} + \mathbf{W}_{ix} \mathbf{x}_t + \mathbf{b}_i) \\
    \mathbf{f}_t &= \sigma(\mathbf{W}_{fh} \mathbf{h}_{t-1} + \mathbf{W}_{fx} \mathbf{x}_t + \mathbf{b}_f) \\
    \mathbf{c}_t &= \mathbf{i}_t \circ \widetilde{\mathbf{c}}_t + \mathbf{f}_t \circ \mathbf{c}_{t-1} \\
    \mathbf{h}_t &= g(\mathbf{c}_t)
    \end{align*}
    function g = tanh
    """
    i = sigmoid(s.h @ p.W_ih.T + x @ p.W_ix.T + p.b_i)
    f = sigmoid(s.h @ p.W_fh.T + x @ p.W_fx.T + p.b_f)
    c = i * (x @ p.W_cx.T) + f * s.c
    return tanh(c), {"h": tanh(c), "c": c}


@paper(
    "Zhang et al., Addition-Subtraction Twin-Gated RNN (ATR), 2018", {"W_h": "h,h", "W_x": "h,x"}, H
)
def twin_gated(p, x, s):
    r"""
    \begin{aligned}
    \mathbf{p}_t &= \mathbf{W}_x \mathbf{x}_t, \quad \mathbf{q}_t = \mathbf{W}_h \mathbf{h}_{t-1} \\
    \mathbf{i}_t &= \sigma(\mathbf{p}_t + \mathbf{q}_t) \\
    \mathbf{f}_t &= \sigma(\mathbf{p}_t - \mathbf{q}_t) \\
    \mathbf{h}_t &= \mathbf{i}_t \odot \mathbf{p}_t + \mathbf{f}_t \odot \mathbf{h}_{t-1}
    \end{aligned}
    """
    write, read = x @ p.W_x.T, s.h @ p.W_h.T
    h = sigmoid(write + read) * write + sigmoid(write - read) * s.h
    return h, {"h": h}


@paper(
    "Lei et al., Simple Recurrent Units, 2018",
    {"W_f": "h,h", "v_f": "h", "b_f": "h", "W": "h,h", "W_r": "h,h", "v_r": "h", "b_r": "h"},
    {"c": "h"},
    square=True,
)
def simple_recurrent_unit(p, x, s):
    r"""
    f_t = \sigma(W_f x_t + v_f \odot c_{t-1} + b_f)
    c_t = f_t \odot c_{t-1} + (1 - f_t) \odot (W x_t)
    r_t = \sigma(W_r x_t + v_r \odot c_{t-1} + b_r)
    h_t = r_t \odot c_t + (1 - r_t) \odot x_t
    """
    f = sigmoid(x @ p.W_f.T + p.v_f * s.c + p.b_f)
    c = f * s.c + (1 - f) * (x @ p.W.T)
    r = sigmoid(x @ p.W_r.T + p.v_r * s.c + p.b_r)
    return r * c + (1 - r) * x, {"c": c}


@paper(
    "Bradbury et al., Quasi-RNNs, 2017 (fo-pooling, filter width 2)",
    gates({"W_%_1": "h,x", "W_%_2": "h,x"}, "zfo"),
    {"c": "h"},
    memory={"x1": "x"},
)
def quasi_rnn(p, x, s):
    r"""
    \begin{aligned}
    \mathbf{z}_t &= \tanh(\mathbf{W}_z^1 \mathbf{x}_{t-1} + \mathbf{W}_z^2 \mathbf{x}_t) \\
    \mathbf{f}_t &= \sigma(\mathbf{W}_f^1 \mathbf{x}_{t-1} + \mathbf{W}_f^2 \mathbf{x}_t) \\
    \mathbf{o}_t &= \sigma(\mathbf{W}_o^1 \mathbf{x}_{t-1} + \mathbf{W}_o^2 \mathbf{x}_t). \\
    \mathbf{c}_t &= \mathbf{f}_t \odot \mathbf{c}_{t-1} + (1 - \mathbf{f}_t) \odot \mathbf{z}_t \\
    \mathbf{h}_t &= \mathbf{o}_t \odot \mathbf{c}_t.
    \end{aligned}
    """
    z, f, o = (s.x1 @ getattr(p, f"W_{k}_1").T + x @ getattr(p, f"W_{k}_2").T for k in "zfo")
    c = sigmoid(f) * s.c + (1 - sigmoid(f)) * tanh(z)
    return sigmoid(o) * c, {"c": c, "x1": x}


@paper(
    "Zilly et al., Recurrent Highway Networks, 2017 (depth 2, coupled gates)",
    {
        "W_H": "h,x",
        "W_T": "h,x",
        **gates({"R_H%": "h,h", "R_T%": "h,h", "b_H%": "h", "b_T%": "h"}, "12"),
    },
    {"s_2": "h"},
)
def recurrent_highway(p, x, s):
    r"""
    h_{1,t} = \tanh(W_H x_t + R_{H1} s_{2,t-1} + b_{H1})
    t_{1,t} = \sigma(W_T x_t + R_{T1} s_{2,t-1} + b_{T1})
    s_{1,t} = h_{1,t} \odot t_{1,t} + s_{2,t-1} \odot (1 - t_{1,t})
    h_{2,t} = \tanh(R_{H2} s_{1,t} + b_{H2})
    t_{2,t} = \sigma(R_{T2} s_{1,t} + b_{T2})
    s_{2,t} = h_{2,t} \odot t_{2,t} + s_{1,t} \odot (1 - t_{2,t})
    """
    t = sigmoid(x @ p.W_T.T + s.s_2 @ p.R_T1.T + p.b_T1)
    first = tanh(x @ p.W_H.T + s.s_2 @ p.R_H1.T + p.b_H1) * t + s.s_2 * (1 - t)
    t = sigmoid(first @ p.R_T2.T + p.b_T2)
    second = tanh(first @ p.R_H2.T + p.b_H2) * t + first * (1 - t)
    return second, {"s_2": second}


@paper(
    "Kusupati et al., FastGRNN, 2018",
    {"W": "h,x", "U": "h,h", "b_z": "h", "b_h": "h", "zeta": "", "nu": ""},
    H,
)
def fast_grnn(p, x, s):
    r"""
    \mathbf{z}_t = \sigma(\mathbf{W} \mathbf{x}_t + \mathbf{U} \mathbf{h}_{t-1} + \mathbf{b}_z),
    \tilde{\mathbf{h}}_t = \tanh(\mathbf{W} \mathbf{x}_t + \mathbf{U} \mathbf{h}_{t-1} + \mathbf{b}_h),
    \mathbf{h}_t = (\zeta (\mathbf{1} - \mathbf{z}_t) + \nu) \odot \tilde{\mathbf{h}}_t + \mathbf{z}_t \odot \mathbf{h}_{t-1},
    param \zeta, \nu : scalar
    """
    shared = x @ p.W.T + s.h @ p.U.T
    z = sigmoid(shared + p.b_z)
    h = (p.zeta * (1 - z) + p.nu) * tanh(shared + p.b_h) + z * s.h
    return h, {"h": h}


@paper(
    "Turkoglu et al., Gating Revisited (STAR), 2021",
    {"W_z": "h,x", "b_z": "h", "W_x": "h,x", "W_h": "h,h", "b_k": "h"},
    H,
)
def star(p, x, s):
    r"""
    k_t = \sigma(W_x x_t + W_h h_{t-1} + b_k)
    z_t = \tanh(W_z x_t + b_z)
    h_t = \tanh\big((1 - k_t) \circ h_{t-1} + k_t \circ z_t\big)
    """
    k = sigmoid(x @ p.W_x.T + s.h @ p.W_h.T + p.b_k)
    h = tanh((1 - k) * s.h + k * tanh(x @ p.W_z.T + p.b_z))
    return h, {"h": h}


@paper(
    "Vecoven et al., A Bio-Inspired Bistable Recurrent Cell (nBRC), 2021",
    {**gates({"U_%": "h,x", "W_%": "h,h"}, "ac"), "U": "h,x"},
    H,
)
def bistable_recurrent_cell(p, x, s):
    r"""
    a_t = 1 + \tanh(U_a x_t + W_a h_{t-1})
    c_t = \sigma(U_c x_t + W_c h_{t-1})
    h_t = c_t \circ h_{t-1} + (1 - c_t) \circ \tanh(U x_t + a_t \circ h_{t-1})
    """
    a = 1 + tanh(x @ p.U_a.T + s.h @ p.W_a.T)
    c = sigmoid(x @ p.U_c.T + s.h @ p.W_c.T)
    h = c * s.h + (1 - c) * tanh(x @ p.U.T + a * s.h)
    return h, {"h": h}


@paper(
    "Melis et al., Mogrifier LSTM, 2020 (two rounds before a GRU-like update)",
    {"Q": "x,h", "R": "h,x", **gates({"W_%": "h,x", "U_%": "h,h", "b_%": "h"}, "zh")},
    H,
)
def mogrifier(p, x, s):
    r"""
    \hat{x}_t = 2 \sigma(Q h_{t-1}) \odot x_t
    \hat{h}_t = 2 \sigma(R \hat{x}_t) \odot h_{t-1}
    z_t = \sigma(W_z \hat{x}_t + U_z \hat{h}_t + b_z)
    \tilde{h}_t = \tanh(W_h \hat{x}_t + U_h \hat{h}_t + b_h)
    h_t = (1 - z_t) \odot \hat{h}_t + z_t \odot \tilde{h}_t
    """
    x = 2 * sigmoid(s.h @ p.Q.T) * x
    before = 2 * sigmoid(x @ p.R.T) * s.h
    z = sigmoid(x @ p.W_z.T + before @ p.U_z.T + p.b_z)
    h = (1 - z) * before + z * tanh(x @ p.W_h.T + before @ p.U_h.T + p.b_h)
    return h, {"h": h}


@paper(
    "Balduzzi & Ghifary, Strongly-Typed RNNs (T-RNN), 2016", {"W": "h,x", "V": "h,x", "b": "h"}, H
)
def strongly_typed(p, x, s):
    r"""
    \begin{align}
    \mathbf{z}_t & = \mathbf{W} \mathbf{x}_t \\
    \mathbf{f}_t & = \sigma(\mathbf{V} \mathbf{x}_t + \mathbf{b}) \\
    \mathbf{h}_t & = \mathbf{f}_t \odot \mathbf{h}_{t-1} + (1 - \mathbf{f}_t) \odot \mathbf{z}_t
    \end{align}
    """
    f = sigmoid(x @ p.V.T + p.b)
    h = f * s.h + (1 - f) * (x @ p.W.T)
    return h, {"h": h}


@paper(
    "Laurent & von Brecht, A Recurrent Neural Network without Chaos (CFN), 2017",
    {"W": "h,x", **gates({"U_%": "h,h", "V_%": "h,x", "b_%": "h"}, ("theta", "eta"))},
    H,
    suffix="md",
)
def chaos_free(p, x, s):
    r"""
    The gates are

    $$\theta_t := \sigma(U_\theta h_{t-1} + V_\theta x_t + b_\theta), \qquad \eta_t := \sigma(U_\eta h_{t-1} + V_\eta x_t + b_\eta)$$

    and

    $$h_t = \theta_t \odot \tanh(h_{t-1}) + \eta_t \odot \tanh(W x_t)$$
    """
    theta = sigmoid(s.h @ p.U_theta.T + x @ p.V_theta.T + p.b_theta)
    eta = sigmoid(s.h @ p.U_eta.T + x @ p.V_eta.T + p.b_eta)
    h = theta * tanh(s.h) + eta * tanh(x @ p.W.T)
    return h, {"h": h}


@paper(
    "Wu et al., On Multiplicative Integration, 2016 (bold Greek vectors)",
    {"alpha": "h", "W": "h,x", "U": "h,h", "beta_1": "h", "beta_2": "h", "b": "h"},
    H,
    suffix="tex",
)
def multiplicative_integration(p, x, s):
    r"""
    \begin{equation}
    \mathbf{h}_t = \tanh\left(\boldsymbol{\alpha} \odot \mathbf{W}\mathbf{x}_t \odot \mathbf{U}\mathbf{h}_{t-1} + \boldsymbol{\beta}_1 \odot \mathbf{U}\mathbf{h}_{t-1} + \boldsymbol{\beta}_2 \odot \mathbf{W}\mathbf{x}_t + \mathbf{b}\right)
    \end{equation}
    """
    w, u = x @ p.W.T, s.h @ p.U.T
    h = tanh(p.alpha * w * u + p.beta_1 * u + p.beta_2 * w + p.b)
    return h, {"h": h}


@paper(
    "Bahdanau et al., Neural Machine Translation, 2015 (the decoder, index i, given contexts)",
    {**gates({"W%": "h,h", "U%": "h,h", "C%": "h,m"}, ("", "_z", "_r")), "E": "h,x"},
    {"s": "h"},
    inputs={"y": "x", "c": "m"},
    memory={"y_before": "x"},
    sizes={"m": 2, "c_size": 2},
    suffix="tex",
)
def translation_decoder(p, x, s):
    r"""
    % gate: output s
    \begin{align}
    s_i &= (1 - z_i) \circ s_{i-1} + z_i \circ \tilde{s}_i, \\
    \tilde{s}_i &= \tanh\left(W E y_{i-1} + U [r_i \circ s_{i-1}] + C c_i\right), \\
    z_i &= \sigma\left(W_z E y_{i-1} + U_z s_{i-1} + C_z c_i\right), \\
    r_i &= \sigma\left(W_r E y_{i-1} + U_r s_{i-1} + C_r c_i\right),
    \end{align}
    """
    e = s.y_before @ p.E.T
    z = sigmoid(e @ p.W_z.T + s.s @ p.U_z.T + x.c @ p.C_z.T)
    r = sigmoid(e @ p.W_r.T + s.s @ p.U_r.T + x.c @ p.C_r.T)
    candidate = tanh(e @ p.W.T + (r * s.s) @ p.U.T + x.c @ p.C.T)
    new = (1 - z) * s.s + z * candidate
    return new, {"s": new, "y_before": x.y}

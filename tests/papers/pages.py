"""Cells from textbooks, courses, web pages and documentation."""

# ruff: noqa: E501 (the formulas stand as in their sources)

import torch
from torch import sigmoid, tanh

from papers import gates, paper

SPLIT = {"W_%": "h,x", "U_%": "h,h", "b_%": "h"}
JOINED = {"W_%": "h,h+x", "b_%": "h"}
HC = {"h": "h", "c": "h"}
H = {"h": "h"}


@paper(
    "Olah, Understanding LSTM Networks (blog), 2015",
    {**gates({"W_%": "h,h+x", "b_%": "h"}, "fiCo")},
    {"h": "h", "C": "h"},
    suffix="md",
)
def olah_blog(p, x, s):
    r"""
    ## Step-by-Step LSTM Walk Through

    It looks at \(h_{t-1}\) and \(x_t\), and outputs a number between \(0\) and \(1\) for each
    number in the cell state \(C_{t-1}\).

    \[f_t = \sigma\left(W_f \cdot [h_{t-1}, x_t]  +  b_f\right)\]

    Next, a tanh layer creates a vector of new candidate values, \(\tilde{C}_t\).

    \[i_t = \sigma \left( W_i \cdot [h_{t-1}, x_t]  +  b_i \right)\]
    \[\tilde{C}_t = \tanh(W_C \cdot [h_{t-1}, x_t]  +  b_C)\]

    We multiply the old state by \(f_t\). Then we add \(i_t*\tilde{C}_t\).

    \[C_t = f_t * C_{t-1} + i_t * \tilde{C}_t\]

    \[o_t = \sigma\left( W_o \, [ h_{t-1},x_t]  +  b_o\right)\]
    \[h_t = o_t * \tanh \left( C_t \right)\]
    """
    joined = torch.cat([s.h, x], 1)
    f, i = sigmoid(joined @ p.W_f.T + p.b_f), sigmoid(joined @ p.W_i.T + p.b_i)
    c = f * s.C + i * tanh(joined @ p.W_C.T + p.b_C)
    h = sigmoid(joined @ p.W_o.T + p.b_o) * tanh(c)
    return h, {"h": h, "C": c}


@paper("Wikipedia, Long short-term memory", gates(SPLIT, "fioc"), HC)
def wikipedia_lstm(p, x, s):
    r"""
    % \sigma_g: sigmoid function; \sigma_c, \sigma_h: hyperbolic tangent function.
    function \sigma_g = sigmoid
    function \sigma_c = tanh
    function \sigma_h = tanh
    \begin{align}
    f_t &= \sigma_g(W_{f} x_t + U_{f} h_{t-1} + b_f) \\
    i_t &= \sigma_g(W_{i} x_t + U_{i} h_{t-1} + b_i) \\
    o_t &= \sigma_g(W_{o} x_t + U_{o} h_{t-1} + b_o) \\
    \tilde{c}_t &= \sigma_c(W_{c} x_t + U_{c} h_{t-1} + b_c) \\
    c_t &= f_t \odot c_{t-1} + i_t \odot \tilde{c}_t \\
    h_t &= o_t \odot \sigma_h(c_t)
    \end{align}
    """
    f, i, o, g = (
        x @ getattr(p, f"W_{k}").T + s.h @ getattr(p, f"U_{k}").T + getattr(p, f"b_{k}")
        for k in "fioc"
    )
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, {"h": h, "c": c}


@paper(
    "Zhang et al., Dive into Deep Learning (row vectors)",
    gates({"W_x%": "x,h", "W_h%": "h,h", "b_%": "h"}, "ifoc"),
    {"H": "h", "C": "h"},
    inputs={"X": "x"},
    suffix="md",
)
def dive_into_deep_learning(p, x, s):
    r"""
    # Long Short-Term Memory
    :label:`sec_lstm`

    Thus, the input is $\mathbf{X}_t \in \mathbb{R}^{n \times d}$ and the hidden state of the
    previous time step is $\mathbf{H}_{t-1} \in \mathbb{R}^{n \times h}$.

    $$
    \begin{aligned}
    \mathbf{I}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{\textrm{xi}} + \mathbf{H}_{t-1} \mathbf{W}_{\textrm{hi}} + \mathbf{b}_\textrm{i}),\\
    \mathbf{F}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{\textrm{xf}} + \mathbf{H}_{t-1} \mathbf{W}_{\textrm{hf}} + \mathbf{b}_\textrm{f}),\\
    \mathbf{O}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{\textrm{xo}} + \mathbf{H}_{t-1} \mathbf{W}_{\textrm{ho}} + \mathbf{b}_\textrm{o}),
    \end{aligned}
    $$

    where $\mathbf{W}_{\textrm{xi}}, \mathbf{W}_{\textrm{xf}}, \mathbf{W}_{\textrm{xo}} \in \mathbb{R}^{d \times h}$
    are weight parameters and $\mathbf{b}_\textrm{i} \in \mathbb{R}^{1 \times h}$ is a bias.

    $$\tilde{\mathbf{C}}_t = \textrm{tanh}(\mathbf{X}_t \mathbf{W}_{\textrm{xc}} + \mathbf{H}_{t-1} \mathbf{W}_{\textrm{hc}} + \mathbf{b}_\textrm{c}),$$

    $$\mathbf{C}_t = \mathbf{F}_t \odot \mathbf{C}_{t-1} + \mathbf{I}_t \odot \tilde{\mathbf{C}}_t.$$

    $$\mathbf{H}_t = \mathbf{O}_t \odot \tanh(\mathbf{C}_t).$$

    Note that only the hidden state is passed to the output layer.
    """
    i, f, o, g = (
        x @ getattr(p, f"W_x{k}") + s.H @ getattr(p, f"W_h{k}") + getattr(p, f"b_{k}")
        for k in "ifoc"
    )
    c = sigmoid(f) * s.C + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, {"H": h, "C": c}


@paper(
    "Ng, Sequence Models (course notebook)",
    gates(JOINED, "fuco"),
    {"a": "h", "c": "h"},
    suffix="md",
)
def course_notebook(p, x, s):
    r"""
    #### - Forget gate

    In an LSTM, the forget gate lets us do this:

    $$\Gamma_f^{\langle t \rangle} = \sigma(W_f[a^{\langle t-1 \rangle}, x^{\langle t \rangle}] + b_f)\tag{1} $$

    Here, $W_f$ are weights that govern the forget gate's behavior. We concatenate
    $[a^{\langle t-1 \rangle}, x^{\langle t \rangle}]$ and multiply by $W_f$.

    $$\Gamma_u^{\langle t \rangle} = \sigma(W_u[a^{\langle t-1 \rangle}, x^{\langle t \rangle}] + b_u)\tag{2} $$

    $$ \tilde{c}^{\langle t \rangle} = \tanh(W_c[a^{\langle t-1 \rangle}, x^{\langle t \rangle}] + b_c)\tag{3} $$

    $$ c^{\langle t \rangle} = \Gamma_f^{\langle t \rangle}* c^{\langle t-1 \rangle} + \Gamma_u^{\langle t \rangle} *\tilde{c}^{\langle t \rangle} \tag{4} $$

    $$ \Gamma_o^{\langle t \rangle}=  \sigma(W_o[a^{\langle t-1 \rangle}, x^{\langle t \rangle}] + b_o)\tag{5}$$
    $$ a^{\langle t \rangle} = \Gamma_o^{\langle t \rangle}* \tanh(c^{\langle t \rangle})\tag{6} $$
    """
    f, u, g, o = (
        torch.cat([s.a, x], 1) @ getattr(p, f"W_{k}").T + getattr(p, f"b_{k}") for k in "fuco"
    )
    c = sigmoid(f) * s.c + sigmoid(u) * tanh(g)
    a = sigmoid(o) * tanh(c)
    return a, {"a": a, "c": c}


@paper(
    "Stanford CS224n, lecture on LSTMs",
    gates({"W_%": "h,h", "U_%": "h,x", "b_%": "h"}, "fioc"),
    HC,
    suffix="tex",
)
def cs224n(p, x, s):
    r"""
    \documentclass{article}
    \begin{document}
    We have a sequence of inputs $x^{(t)}$, and we will compute a sequence of hidden states
    $h^{(t)}$ and cell states $c^{(t)}$. On timestep $t$:
    \[
    \boldsymbol{f}^{(t)} = \sigma\left(\boldsymbol{W}_f \boldsymbol{h}^{(t-1)} + \boldsymbol{U}_f \boldsymbol{x}^{(t)} + \boldsymbol{b}_f\right)
    \]
    \[
    \boldsymbol{i}^{(t)} = \sigma\left(\boldsymbol{W}_i \boldsymbol{h}^{(t-1)} + \boldsymbol{U}_i \boldsymbol{x}^{(t)} + \boldsymbol{b}_i\right)
    \]
    \[
    \boldsymbol{o}^{(t)} = \sigma\left(\boldsymbol{W}_o \boldsymbol{h}^{(t-1)} + \boldsymbol{U}_o \boldsymbol{x}^{(t)} + \boldsymbol{b}_o\right)
    \]
    % the cell
    \begin{align}
    \tilde{\boldsymbol{c}}^{(t)} &= \tanh\left(\boldsymbol{W}_c \boldsymbol{h}^{(t-1)} + \boldsymbol{U}_c \boldsymbol{x}^{(t)} + \boldsymbol{b}_c\right) \nonumber \\
    \boldsymbol{c}^{(t)} &= \boldsymbol{f}^{(t)} \circ \boldsymbol{c}^{(t-1)} + \boldsymbol{i}^{(t)} \circ \tilde{\boldsymbol{c}}^{(t)} \\[4pt]
    \boldsymbol{h}^{(t)} &= \boldsymbol{o}^{(t)} \circ \tanh \boldsymbol{c}^{(t)}
    \end{align}
    \end{document}
    """
    f, i, o, g = (
        s.h @ getattr(p, f"W_{k}").T + x @ getattr(p, f"U_{k}").T + getattr(p, f"b_{k}")
        for k in "fioc"
    )
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, {"h": h, "c": c}


@paper(
    "Flax, LSTMCell (docstring, primes)",
    gates({"W_i%": "h,x", "W_h%": "h,h", "b_h%": "h"}, "ifgo"),
    HC,
    suffix="rst",
)
def flax_docstring(p, x, s):
    r"""
    LSTM cell.

    The mathematical definition of the cell is as follows

    .. math::
        \begin{array}{ll}
        i = \sigma(W_{ii} x + W_{hi} h + b_{hi}) \\
        f = \sigma(W_{if} x + W_{hf} h + b_{hf}) \\
        g = \tanh(W_{ig} x + W_{hg} h + b_{hg}) \\
        o = \sigma(W_{io} x + W_{ho} h + b_{ho}) \\
        c' = f * c + i * g \\
        h' = o * \tanh(c') \\
        \end{array}

    where x is the input, h is the output of the previous time step, and c is
    the memory.
    """
    i, f, g, o = (
        x @ getattr(p, f"W_i{k}").T + s.h @ getattr(p, f"W_h{k}").T + getattr(p, f"b_h{k}")
        for k in "ifgo"
    )
    c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, {"h": h, "c": c}


@paper("Wikipedia, Gated recurrent unit", gates(SPLIT, "zrh"), H)
def wikipedia_gru(p, x, s):
    r"""
    function \phi = tanh
    \begin{align}
    z_t &= \sigma(W_{z} x_t + U_{z} h_{t-1} + b_z) \\
    r_t &= \sigma(W_{r} x_t + U_{r} h_{t-1} + b_r) \\
    \hat{h}_t &= \phi(W_{h} x_t + U_{h} (r_t \odot h_{t-1}) + b_h) \\
    h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot \hat{h}_t
    \end{align}
    """
    z = sigmoid(x @ p.W_z.T + s.h @ p.U_z.T + p.b_z)
    r = sigmoid(x @ p.W_r.T + s.h @ p.U_r.T + p.b_r)
    h = (1 - z) * s.h + z * tanh(x @ p.W_h.T + (r * s.h) @ p.U_h.T + p.b_h)
    return h, {"h": h}


@paper("Ng, Sequence Models (GRU slide, Γ)", gates({"W_%": "h,h+x", "b_%": "h"}, "urc"), {"c": "h"})
def course_gru(p, x, s):
    r"""
    Γ_u^{⟨t⟩} = σ(W_u [c^{⟨t−1⟩}, x^{⟨t⟩}] + b_u)
    Γ_r^{⟨t⟩} = σ(W_r [c^{⟨t−1⟩}, x^{⟨t⟩}] + b_r)
    c̃^{⟨t⟩} = tanh(W_c [Γ_r^{⟨t⟩} * c^{⟨t−1⟩}, x^{⟨t⟩}] + b_c)
    c^{⟨t⟩} = Γ_u^{⟨t⟩} * c̃^{⟨t⟩} + (1 − Γ_u^{⟨t⟩}) * c^{⟨t−1⟩}
    """
    joined = torch.cat([s.c, x], 1)
    u, r = sigmoid(joined @ p.W_u.T + p.b_u), sigmoid(joined @ p.W_r.T + p.b_r)
    c = u * tanh(torch.cat([r * s.c, x], 1) @ p.W_c.T + p.b_c) + (1 - u) * s.c
    return c, {"c": c}


@paper(
    "Elman network (Wikipedia)",
    {"W_h": "h,x", "U_h": "h,h", "b_h": "h", "W_y": "o,h", "b_y": "o"},
    {"h": "h"},
)
def elman(p, x, s):
    r"""
    function \sigma_h = tanh
    function \sigma_y = sigmoid
    \begin{aligned}
    h_t &= \sigma_h(W_{h} x_t + U_{h} h_{t-1} + b_h) \\
    y_t &= \sigma_y(W_{y} h_t + b_y)
    \end{aligned}
    """
    h = tanh(x @ p.W_h.T + s.h @ p.U_h.T + p.b_h)
    return sigmoid(h @ p.W_y.T + p.b_y), {"h": h}


@paper(
    "Jordan network (Wikipedia)",
    {"W_h": "h,x", "U_h": "h,h", "b_h": "h", "W_y": "h,h", "b_y": "h"},
    {"y": "h"},
)
def jordan(p, x, s):
    r"""
    function \sigma_h = tanh
    function \sigma_y = sigmoid
    h_t = \sigma_h(W_{h} x_t + U_{h} y_{t-1} + b_h)
    y_t = \sigma_y(W_{y} h_t + b_y)
    """
    y = sigmoid(tanh(x @ p.W_h.T + s.y @ p.U_h.T + p.b_h) @ p.W_y.T + p.b_y)
    return y, {"y": y}


@paper(
    "Goodfellow et al., Deep Learning, 2016, equations 10.8 to 10.11",
    {"b": "h", "W": "h,h", "U": "h,x", "c": "o", "V": "o,h"},
    {"h": "h"},
    suffix="tex",
)
def deep_learning_book(p, x, s):
    r"""
    For each time step from $t = 1$ to $t = \tau$, we apply the following update equations:
    \begin{align}
    \boldsymbol{a}^{(t)} &= \boldsymbol{b} + \boldsymbol{W} \boldsymbol{h}^{(t-1)} + \boldsymbol{U} \boldsymbol{x}^{(t)}, \\
    \boldsymbol{h}^{(t)} &= \tanh(\boldsymbol{a}^{(t)}), \\
    \boldsymbol{o}^{(t)} &= \boldsymbol{c} + \boldsymbol{V} \boldsymbol{h}^{(t)}, \\
    \hat{\boldsymbol{y}}^{(t)} &= \mathrm{softmax}(\boldsymbol{o}^{(t)}),
    \end{align}
    where the parameters are the bias vectors $\boldsymbol{b}$ and $\boldsymbol{c}$ along with the
    weight matrices $\boldsymbol{U}$, $\boldsymbol{V}$ and $\boldsymbol{W}$.
    """
    h = tanh(p.b + s.h @ p.W.T + x @ p.U.T)
    return torch.softmax(p.c + h @ p.V.T, 1), {"h": h}

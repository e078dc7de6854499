"""Notation: every way to write a time index, a name, a product, a bracket or a function.

Each text is compared with the mathematics by values (`meaning.py`), never as a tree.
"""

# ruff: noqa: E501 (formulas stand as in their sources)

import numpy as np
import pytest
from meaning import cell, means, same_cell, sigmoid, softmax, softplus

from gatec.errors import GatecError

tanh = np.tanh


def elman(p, x, s):
    return {"h": tanh(p.W @ x.x + p.U @ s.h + p.b)}


ELMAN = {"W": "h,x", "U": "h,h", "b": "h"}


# --- time -----------------------------------------------------------------------------------------


TIMES = {
    "angles": r"h^{<t>} = \tanh(W x^{<t>} + U h^{<t-1>} + b)",
    "bare angles": "h^<t> = tanh(W x^<t> + U h^<t-1> + b)",
    "bare angles before =": "h^<t>= tanh(W x^<t> + U h^<t-1> + b)",
    "langle": r"h^{\langle t \rangle} = \tanh(W x^{\langle t \rangle} + U h^{\langle t-1 \rangle} + b)",
    "langle without space": r"h^{\langle t\rangle} = \tanh(Wx^{\langle t\rangle} + Uh^{\langle t-1\rangle} + b)",
    "left langle": r"h^{\left\langle t\right\rangle} = \tanh(W x^{\left\langle t\right\rangle} + U h^{\left\langle t - 1\right\rangle} + b)",
    "unicode angles": "h^{⟨t⟩} = tanh(W x^{⟨t⟩} + U h^{⟨t-1⟩} + b)",
    "unicode angles and minus": "h^⟨t⟩ = tanh(W x^⟨t⟩ + U h^⟨t−1⟩ + b)",
    "parentheses above": r"h^{(t)} = \tanh(W x^{(t)} + U h^{(t-1)} + b)",
    "bare parentheses above": "h^(t) = tanh(W x^(t) + U h^(t-1) + b)",
    "sub": r"h_t = \tanh(W x_t + U h_{t-1} + b)",
    "braced sub": r"h_{t} = \tanh(W x_{t} + U h_{t-1} + b)",
    "spaced sub": r"h _ { t } = \tanh ( W x _ { t } + U h _ { t - 1 } + b )",
    "call": "h(t) = tanh(W x(t) + U h(t-1) + b)",
    "spaced call": "h(t) = tanh(W x(t) + U h(t - 1) + b)",
    "square call": "h[t] = tanh(W x[t] + U h[t-1] + b)",
    "n": r"h_n = \tanh(W x_n + U h_{n-1} + b)",
    "k": r"h_k = \tanh(W x_k + U h_{k-1} + b)",
    "n called": "h(n) = tanh(W x(n) + U h(n-1) + b)",
    "k in angles": r"h^{\langle k \rangle} = \tanh(W x^{\langle k \rangle} + U h^{\langle k-1 \rangle} + b)",
    "tau": r"h_\tau = \tanh(W x_\tau + U h_{\tau-1} + b)",
    "shifted": r"h_{t+1} = \tanh(W x_{t+1} + U h_t + b)",
    "shifted n": r"h_{n+1} = \tanh(W x_{n+1} + U h_n + b)",
    "shifted, old input": r"h_{t+1} = \tanh(W x_t + U h_t + b)",
    "shifted call": "h(t+1) = tanh(W x(t+1) + U h(t) + b)",
    "shifted above": r"h^{(k+1)} = \tanh(W x^{(k+1)} + U h^{(k)} + b)",
    "unicode subscripts": "hₜ = tanh(W xₜ + U hₜ₋₁ + b)",
    "unicode superscripts": "h⁽ᵗ⁾ = tanh(W x⁽ᵗ⁾ + U h⁽ᵗ⁻¹⁾ + b)",
    "mixed": r"h_t = \tanh(W x^{(t)} + U h^{\langle t-1 \rangle} + b)",
    "minus in letters": "h_{t} = tanh(W x_{t} + U h_{t–1} + b)",
    "primes": "input x\nh' = tanh(W x + U h + b)",
    "prime macro": "input x\nh^\\prime = \\tanh(W x + U h + b)",
    "braced prime": "input x\nh^{\\prime} = \\tanh(W x + U h + b)",
    "primed input": "h' = tanh(W x' + U h + b)",
    "unicode prime": "input x\nh′ = tanh(W x + U h + b)",
    "primes without input": "h' = tanh(W x + U h + b)",
}


@pytest.mark.parametrize("text", TIMES.values(), ids=TIMES)
def test_time_index(text):
    means(text, elman, ELMAN)


@pytest.mark.parametrize(
    "index",
    [r"_{f,%}", r"_{%,f}", r"_{f, %}", r"_{f%}", r"_f^{(%)}", r"^{(%)}_f", r"_{f}^{<%>}",
     r"^{\langle % \rangle}_{f}", r"^{f}_{%}", r"_{%}^{f}", r"_{%}^{(f)}", r"_{f}(%)", r"_f(%)",
     r"_{\text{f},%}", r"_{\mathrm f}^{(%)}", r"_f[%]", r"_{f;%}"],
)  # fmt: skip
def test_index_beside_a_label(index):
    now, past = index.replace("%", "t"), index.replace("%", "t-1")
    text = f"z{now} = σ(W x_t + b)\nh_t = z{now} ⊙ h_{{t-1}} + z{past}"

    def step(p, x, s):
        z = sigmoid(p.W @ x.x + p.b)
        return {"z_f": z, "h": z * s.h + s.z_f}

    means(text, step, {"W": "h,x", "b": "h"})


def test_lags():
    text = r"""
    h_t = \tanh(W_0 x_t + W_1 x_{t-1} + W_3 x(t-3) + U_1 h_{t-1} + U_3 h_{t-3})
    """

    def step(p, x, s):
        value = p.W_0 @ x.x + p.W_1 @ x("x", 1) + p.W_3 @ x("x", 3)
        return {"h": tanh(value + p.U_1 @ s.h + p.U_3 @ s("h", 3))}

    means(text, step)


def test_lags_of_a_shifted_document():
    text = r"h_{n+2} = \tanh(W x_{n+2} + V x_n + U h_{n+1} + R h_{n})"

    def step(p, x, s):
        value = p.W @ x.x + p.V @ x("x", 2) + p.U @ s.h + p.R @ s("h", 2)
        return {"h": tanh(value)}

    means(text, step)


@pytest.mark.parametrize(
    "text",
    ["h_t = tanh(W x_t + U h_t-1 + b)", "h_t=tanh(W x_t+U h_t-1+b)",
     r"$$h_t = \tanh(W x_t + U h_t-1 + b)$$"],
)  # fmt: skip
def test_a_lag_in_plain_text(text):
    """As in NVIDIA's cuDNN documentation."""
    means(text, elman, ELMAN, name="a.md" if "$" in text else "a.gate")


def test_no_lag_beside_others():
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x + p.U @ s.h) - 1 + p.W @ x.x - 1}

    means("z_t = tanh(W x_t + U h_{t-1})\ny_t = W x_t\nh_t = z_t-1 + y_t-1", step)


def test_an_input_read_only_in_the_past():
    def step(p, x, s):
        return {"h": tanh(p.W @ x("x", 1) + p.U @ s.h + p.b)}

    means("h_t = tanh(W x_{t-1} + U h_{t-1} + b)", step, ELMAN)


# --- names ----------------------------------------------------------------------------------------


NAMES = {
    "W_f": [r"W_f", r"W_{f}", r"W_{\text{f}}", r"W_{\mathrm{f}}", r"\mathbf{W}_f", r"{\bf W}_f",
            r"\boldsymbol{W}_{f}", r"\mathbf W_f", r"\bm{W}_f", r"\mathrm{W}_f", r"W _ f",
            r"{W}_f", r"{W_f}", r"\mathcal{W}_f", r"W_{\mathit{f}}", r"\vec{W}_f", "𝐖_f", "𝑊_f",
            r"W_{\!f}", r"W_{f\,}", "W\u200b_f", r"\pmb{W}_f"],
    "W_xf": [r"W_{xf}", r"W_{\text{xf}}", r"W_{x f}", r"W_{\mathrm{xf}}", r"W_{x\,f}",
             r"\mathbf{W}_{\mathrm{x}\mathrm{f}}", r"\mathbf{W}_{xf}"],
    "W_x_f": [r"W_{x,f}", r"W_{x, f}", r"W_{x;f}", r"W_{x}{}_f"],
    "W_z": [r"W^{(z)}", r"W^{z}", r"W^z", r"\mathbf{W}^{(z)}", r"W^{\text{z}}", r"W^{<z>}",
            r"W^{[z]}"],
    "W_ih_f": [r"\mathbf{W}_{ih}^{f}", r"\mathbf{W}^{f}_{ih}", r"W_{ih}^{(f)}", r"W^{(f)}_{ih}",
               r"W^f_{ih}", r"W_{ih}^f"],
    "W_tilde": [r"\tilde W", r"\tilde{W}", r"\widetilde{W}", r"\tilde{\mathbf W}", "W̃", "W~",
                r"\mathbf{\tilde{W}}", r"{\tilde W}", r"\tilde{\mathbf{W}}"],
    "W_hat": [r"\hat W", r"\hat{\mathbf W}", r"\widehat{W}", "Ŵ", "W\u0302"],
    "W_bar": [r"\bar W", r"\overline{W}", r"\bar{\mathbf{W}}", "W̄"],
    "W_dot": [r"\dot W", "Ẇ"],
    "W_f_hat": [r"\hat W_f", r"\hat{W}_f", r"\hat{W_f}", r"\hat{W}_{f}", r"\hat{\mathbf W}_f"],
    "Gamma_f": [r"\Gamma_f", r"Γ_f", r"\mathbf{\Gamma}_f", r"\boldsymbol\Gamma_f", "Gamma_f",
                r"\Gamma _f", "𝚪_f"],
    "w": [r"\vw", r"\rvw", r"\bw", r"\bfw", r"\mathbf w", r"\vect{w}", r"\bm w", r"\vec w"],
    "V": [r"\mV", r"\rmV", r"\bV", r"\bfV", r"\mat{V}", r"\mathbb{V}", r"\mathscr V"],
    "theta": [r"\vtheta", r"\btheta", r"\boldsymbol\theta", "θ", r"\bm{\theta}"],
    "gate": [r"\text{gate}", r"\mathrm{gate}", r"\textit{gate}", r"\operatorname{gate}", "gate",
             r"\mathit{gate}"],
}  # fmt: skip


@pytest.mark.parametrize(
    "mangled, spelling", [(name, s) for name, spellings in NAMES.items() for s in spellings]
)
def test_name(mangled, spelling):
    text = f"param {spelling} : n_h x n_x\n" rf"h_t = \tanh({spelling} x_t + U h_{{t-1}} + b)"

    def step(p, x, s):
        return {"h": tanh(p[mangled] @ x.x + p.U @ s.h + p.b)}

    means(text, step, {mangled: "h,x", "U": "h,h", "b": "h"})


@pytest.mark.parametrize(
    "one, other",
    [("W_f", "W_g"), ("W_f", "W^g"), ("W", "W_f"), (r"\tilde W", "W"), (r"\hat W", r"\tilde W"),
     ("W'", "W"), ("W''", "W'"), ("W_1", "W_2"), ("w", "W"), ("W_{xf}", "W_{x,f}"),
     ("W_x^f", "W_f^x"), (r"\Gamma", "G"), ("W^{(1)}", "W^{(2)}"), (r"W_\text{in}", "W_i"),
     (r"\epsilon", r"\varepsilon"), ("W_*", "W"), ("W_+", "W_-")],
)  # fmt: skip
def test_different_names_are_two_parameters(one, other):
    text = f"param {one}, {other} : n_h x n_x\nh_t = {one} x_t + 2 ({other} x_t) + h_{{t-1}}"
    found = cell(text)
    assert len(found.params) == 2
    assert len({p.name for p in found.params}) == 2


def test_scripts_in_any_order_with_any_spaces():
    same_cell(
        r"""
        \Gamma_f^{<t>} = \sigma(W_f x^{<t>} + U_f c^{<t-1>} + b_f)
        c^{<t>} = \Gamma_f^{<t>} * c^{<t-1>}
        """,
        r"""
        \Gamma ^{<t>}_f = \sigma ( W _f  x ^{<t>} + U_{f}c^{<t-1>}+b_f )
        c^{<t>} =\Gamma^{ <t> } _{f} * c^{ <t-1> }
        """,
        "Γ_f^⟨t⟩ = σ(W_f x^⟨t⟩ + U_f c^⟨t−1⟩ + b_f)\nc^⟨t⟩ = Γ_f^⟨t⟩ ⊙ c^⟨t−1⟩",
    )


MEANINGLESS = [
    r"h_t = \tanh\left(W x_t + U h_{t-1} + b\right)",
    r"h_t = \tanh\bigl( W x_t + U h_{t-1} + b \bigr)",
    r"h_t = \tanh\Bigl[ W x_t + U h_{t-1} + b \Bigr]",
    r"h_t\, =\; \tanh\!\left( W\,x_t \;+\; U\: h_{t-1} \quad + b \right)",
    r"\mathbf{h}_t = \tanh(\mathbf{W}\mathbf{x}_t + \mathbf{U}\mathbf{h}_{t-1} + \mathbf{b})",
    r"\boldsymbol{h}_t &= \tanh(\boldsymbol{W} \boldsymbol{x}_t + \boldsymbol{U} \boldsymbol{h}_{t-1} + \boldsymbol{b}) \\[4pt]",
    r"h_t = \tanh(W x_t + U h_{t-1} + b), \label{eq:h} \tag{3}",
    r"h_t = \tanh(W x_t + U h_{t-1} + b). \nonumber",
    r"h_t &=& \tanh(W x_t + U h_{t-1} + b); \qquad (2.1)",
    r"\displaystyle h_t = \operatorname{tanh}({W x_t} + {U h_{t-1}} + b)",
    r"\begin{align} h_t &= \tanh(W x_t \\ & \quad + U h_{t-1} + b) \end{align}",
    "\\begin{equation}\nh_t = \\tanh(W x_t\n+ U h_{t-1} + b)\n\\end{equation}",
    "h_t = tanh(W x_t   # the input\n           + U h_{t-1}   % the state\n           + b)",
    "h_t = tanh(\n  W x_t + U h_{t-1} + b\n)",
    "h_t =\n  tanh(W x_t + U h_{t-1} + b)",
    r"h_t := \tanh(W x_t + U h_{t-1} + b)",
    r"h_t \leftarrow \tanh(W x_t + U h_{t-1} + b)",
    r"h_t \triangleq \tanh(W x_t + U h_{t-1} + b)",
    r"\color{red}{} h_t = \textcolor{blue}{} \tanh(\underbrace{W x_t}_{\text{input}} + \overbrace{U h_{t-1}}^{\text{state}} + b)",
    r"h_t = \tanh \Big( W x_t + U h_{t-1} + b \Big)",
    "h_t = \ttanh(W x_t\u00a0+ U h_{t-1} + b)\r\n",
    "\ufeffh_t = tanh(W x_t + U h_{t\u200b-1} + b)",
]


@pytest.mark.parametrize("text", MEANINGLESS)
def test_what_carries_no_meaning(text):
    means(text, elman, ELMAN)


@pytest.mark.parametrize(
    "text",
    ["forget_t = σ(W x_t)\nh_t = forget_t ⊙ h_{t-1} + V x_t",
     "forget_gate_t = σ(W x_t)\nh_t = forget_gate_t ⊙ h_{t-1} + V x_t",
     "f_gate_t = σ(W x_t)\nh_t = f_gate_t ⊙ h_{t-1} + V x_t",
     "(1) f_t = σ(W x_t)\n(2) h_t = f_t ⊙ h_{t-1} + V x_t",
     "- $f_t = \\sigma(W x_t)$\n- $h_t = f_t \\odot h_{t-1} + V x_t$",
     "f_t, v_t = σ(W x_t), V x_t\nh_t = f_t ⊙ h_{t-1} + v_t",
     "f_t = σ(W x_t), h_t = f_t ⊙ h_{t-1} + V x_t",
     "f_t = σ(Wx_t); h_t = f_t⊙h_{t-1}+Vx_t;"],
)  # fmt: skip
def test_words_and_lists(text):
    def step(p, x, s):
        return {"h": sigmoid(p.W @ x.x) * s.h + p.V @ x.x}

    means(text, step, {"W": "h,x", "V": "h,x"}, name="a.md" if "$" in text else "a.gate")


# --- products -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["*", r"\odot", r"\circ", "⊙", "∘", r"\ast", "∗", ".*"])
def test_element_wise(sign):
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x) * s.h * (1 - s.h)}

    means(rf"h_t = \tanh(W x_t) {sign} h_{{t-1}} {sign} (1 - h_{{t-1}})", step, {"W": "h,x"})


@pytest.mark.parametrize("sign", ["", r"\cdot", "·", r"\,", " ", r"\times", "⋅"])
def test_the_product_that_the_kinds_allow(sign):
    def step(p, x, s):
        return {"h": 2 * p.alpha * (p.W @ (p.V @ x.x)) + p.U @ s.h}

    means(
        rf"h_t = 2{sign} \alpha {sign} W {sign} V {sign} x_t + U {sign} h_{{t-1}}",
        step,
        {"alpha": "", "W": "h,h", "V": "h,x", "U": "h,h"},
    )


def test_juxtaposition_binds_tighter_than_element_wise():
    def step(p, x, s):
        return {"h": (p.W @ x.x) * (p.U @ s.h)}

    means(r"h_t = W x_t \odot U h_{t-1}", step, {"W": "h,x", "U": "h,h"})


def test_letters_without_spaces():
    means("h_t = tanh(Wx_t + Uh_{t-1} + b)", elman, ELMAN)


def test_outer_and_inner_products():
    text = r"""
    k_t = W_k x_t
    v_t = W_v x_t
    C_t = C_{t-1} + v_t k_t^\top
    n_t = n_{t-1} + k_t
    h_t = C_t k_t / (1 + (n_t^\top k_t)^2)
    """

    def step(p, x, s):
        k, v = p.W_k @ x.x, p.W_v @ x.x
        C, n = s.C + np.outer(v, k), s.n + k
        return {"C": C, "n": n, "h": C @ k / (1 + (n @ k) ** 2)}

    means(text, step, {"W_k": "h,x", "W_v": "h,x"})


@pytest.mark.parametrize(
    "mark",
    [
        r"^\top",
        r"^T",
        r"^{\top}",
        r"^\mathsf{T}",
        r"^{\mathsf T}",
        r"^\intercal",
        "ᵀ",
        r"^{\mathrm{T}}",
        "^⊤",
        r"^\mathrm{T}",
        r"^{\rm T}",
    ],
)
def test_transposed(mark):
    def step(p, x, s):
        return {"h": p.W.T @ s.h + (p.w @ x.x) * p.U.T @ x.x}

    text = rf"h_t = W{mark} h_{{t-1}} + (w{mark} x_t) U{mark} x_t"
    means(text, step, {"W": "h,h", "w": "x", "U": "x,h"})


def test_row_vectors():
    def step(p, x, s):
        return {"h": tanh(x.x @ p.W + s.h @ p.U + p.b)}

    means(r"h_t = \tanh(x_t W + h_{t-1} U + b)", step, {"W": "x,h", "U": "h,h", "b": "h"})


def test_vector_next_to_vector_is_an_error():
    with pytest.raises(GatecError) as caught:
        cell("z_t = W x_t\nh_t = z_t h_{t-1}")
    (found,) = caught.value.diagnostics
    assert found.code == "E0301"
    assert r"\odot" in found.hint and r"^\top" in found.hint


# --- brackets -------------------------------------------------------------------------------------


CONCATENATIONS = [
    "[h_{t-1}, x_t]", "[h_{t-1}; x_t]", r"[h_{t-1}, \; x_t]", r"\left[h_{t-1}, x_t\right]",
    r"\begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix}", r"\begin{pmatrix} h_{t-1} \\ x_t \end{pmatrix}",
    r"\left[\begin{array}{c} h_{t-1} \\ x_t \end{array}\right]", r"(h_{t-1}, x_t)",
    r"\left( \begin{matrix} h_{t-1} \\ x_t \\ \end{matrix} \right)",
    r"\operatorname{concat}(h_{t-1}, x_t)", r"\cdot [h_{t-1}, x_t]",
    r"\begin{bmatrix} h_{t-1}^\top & x_t^\top \end{bmatrix}^\top",
    r"[h_{t-1}^T, x_t^T]^T", r"\{h_{t-1}, x_t\}", r"[h_{t-1} ; x_t]", r"[h_{t-1}\, ;\, x_t]",
    r"\begin{smallmatrix} h_{t-1} \\ x_t \end{smallmatrix}", r"[h_{t-1} \,\|\, x_t]",
    r"[h_{t-1} \Vert x_t]", "[[h_{t-1}], [x_t]]",
]  # fmt: skip


@pytest.mark.parametrize("joined", CONCATENATIONS)
def test_concatenation(joined):
    def step(p, x, s):
        return {"h": tanh(p.W @ np.concatenate([s.h, x.x]) + p.b)}

    means(rf"h_t = \tanh(W {joined} + b)", step, {"W": "h,h+x", "b": "h"})


@pytest.mark.parametrize("pair", ["()", "[]", r"\{\}", r"\left(\right)", "{}"])
def test_one_expression_in_brackets_is_grouped(pair):
    middle = len(pair) // 2
    left, right = pair[:middle], pair[middle:]

    def step(p, x, s):
        return {"h": p.W @ (x.x * 2 + 1) + s.h}

    means(f"h_t = W {left}x_t * 2 + 1{right} + h_{{t-1}}", step, {"W": "h,x"})


def test_a_block_matrix_of_parameters():
    def step(p, x, s):
        return {"h": p.A @ s.h + p.B @ x.x}

    text = r"h_t = \begin{bmatrix} A & B \end{bmatrix} \begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix}"
    means(text, step, {"A": "h,h", "B": "h,x"})


def test_a_number_joins_a_vector():
    def step(p, x, s):
        return {"h": p.W @ np.concatenate([[1.0], x.x, s.h])}

    means("h_t = W [1; x_t; h_{t-1}]", step, {"W": "h,1+x+h"})


# --- functions ------------------------------------------------------------------------------------


def relu(v):
    return np.maximum(v, 0)


FUNCTIONS = [
    ("tanh", r"\tanh", r"\mathrm{tanh}", r"\operatorname{tanh}", r"\text{tanh}", "th", r"\textrm{tanh}"),
    ("sigmoid", r"\sigma", "σ", r"\mathrm{sigmoid}", r"\operatorname{sigm}", "sigm", "logistic", r"\sigmoid"),
    ("relu", "ReLU", r"\mathrm{ReLU}", r"\operatorname{relu}", r"\text{ReLU}", r"\ReLU"),
    ("softplus", r"\operatorname{softplus}", r"\mathrm{Softplus}", "softplus"),
    ("exp", r"\exp", "exp", r"\mathrm{exp}"),
    ("log", r"\log", r"\ln", "log"),
    ("silu", "SiLU", r"\mathrm{SiLU}", r"\operatorname{Swish}"),
    ("sin", r"\sin"), ("cos", r"\cos"), ("abs", r"\operatorname{abs}"),
    ("softmax", r"\mathrm{softmax}", r"\operatorname{Softmax}"),
    ("sign", r"\operatorname{sgn}", r"\mathrm{sign}"),
]  # fmt: skip
REFERENCES = {
    "tanh": np.tanh, "sigmoid": sigmoid, "relu": relu, "softplus": softplus, "exp": np.exp,
    "log": np.log, "silu": lambda v: v * sigmoid(v), "sin": np.sin, "cos": np.cos,
    "abs": np.abs, "softmax": softmax, "sign": np.sign,
}  # fmt: skip


@pytest.mark.parametrize(
    "name, spelling",
    [(group[0], spelling) for group in FUNCTIONS for spelling in group[int(" " in group[0]) :]],
)
@pytest.mark.parametrize(
    "form", ["(%)", r"\left(%\right)", "[%]", r"\bigl(%\bigr)", r"\{%\}", r"\!\left(%\right)"]
)
def test_function(name, spelling, form):
    def step(p, x, s):
        value = p.W @ x.x + p.U @ s.h
        return {"h": REFERENCES[name](value if name != "log" else value**2 + 1)}

    argument = "W x_t + U h_{t-1}" if name != "log" else "(W x_t + U h_{t-1})^2 + 1"
    means(f"h_t = {spelling}{form.replace('%', argument)}", step, {"W": "h,x", "U": "h,h"})


def test_functions_without_brackets():
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x) + np.exp(p.a) * tanh(s.h)}

    means(r"h_t = \tanh W x_t + \exp a \tanh h_{t-1}" "\nparam a : scalar", step)


def test_a_function_of_a_function():
    def step(p, x, s):
        return {"h": np.log(1 + np.exp(tanh(p.W @ x.x + s.h)))}

    means(r"h_t = \log(1 + \exp(\tanh(W x_t + h_{t-1})))", step)
    means(r"h_t = \log (1 + \exp \tanh (W x_t + h_{t-1}))", step)


POWERS = {
    r"h_{t-1}^2": lambda h: h**2,
    r"h_{t-1}^{2}": lambda h: h**2,
    r"h_{t-1} ** 2": lambda h: h**2,
    r"(h_{t-1})^3": lambda h: h**3,
    r"\tanh^2(h_{t-1})": lambda h: tanh(h) ** 2,
    r"\tanh(h_{t-1})^2": lambda h: tanh(h) ** 2,
    r"\sqrt{1 + h_{t-1}^2}": lambda h: np.sqrt(1 + h**2),
    r"(1 + h_{t-1}^2)^{1/2}": lambda h: np.sqrt(1 + h**2),
    r"(1 + h_{t-1}^2)^{-1}": lambda h: 1 / (1 + h**2),
    r"(1 + h_{t-1}^2)^{-\frac12}": lambda h: 1 / np.sqrt(1 + h**2),
    r"\frac{1}{1 + e^{-h_{t-1}}}": sigmoid,
    r"\frac{1}{1+\exp(-h_{t-1})}": sigmoid,
    r"e^{h_{t-1}}": np.exp,
    r"2^{h_{t-1}}": lambda h: 2**h,
    r"\frac12 h_{t-1}": lambda h: h / 2,
    r"\frac{h_{t-1}}{2}": lambda h: h / 2,
    r"\dfrac{1}{2} h_{t-1}": lambda h: h / 2,
    r"1/2 h_{t-1}": lambda h: h / 2,
    r"h_{t-1} / 2": lambda h: h / 2,
    r"0.5 h_{t-1}": lambda h: h / 2,
    r".5 h_{t-1}": lambda h: h / 2,
    r"5e-1 h_{t-1}": lambda h: h / 2,
    r"2 \cdot 10^{-1} h_{t-1}": lambda h: h / 5,
    r"\pi h_{t-1}": lambda h: np.pi * h,
    r"|h_{t-1}|": np.abs,
    r"\left| h_{t-1} \right|": np.abs,
    r"\lvert h_{t-1} \rvert": np.abs,
    r"\lVert h_{t-1} \rVert h_{t-1}": lambda h: np.linalg.norm(h) * h,
    r"\| h_{t-1} \|_2 h_{t-1}": lambda h: np.linalg.norm(h) * h,
    r"\left\| h_{t-1} \right\|^2 h_{t-1}": lambda h: (h @ h) * h,
    r"\lVert h_{t-1} \rVert_1 h_{t-1}": lambda h: np.abs(h).sum() * h,
    r"\lVert h_{t-1} \rVert_\infty h_{t-1}": lambda h: np.abs(h).max() * h,
    r"\Vert h_{t-1} \Vert_2^2 h_{t-1}": lambda h: (h @ h) * h,
    r"‖h_{t-1}‖ h_{t-1}": lambda h: np.linalg.norm(h) * h,
    r"\frac{h_{t-1}}{\lVert h_{t-1} \rVert}": lambda h: h / np.linalg.norm(h),
    r"\max(h_{t-1}, 0)": relu,
    r"[h_{t-1}]_+": relu,
    r"(h_{t-1})^+": relu,
    r"\left[h_{t-1}\right]_{+}": relu,
    r"\max(0, h_{t-1})": relu,
    r"\max\{h_{t-1}, 0\}": relu,
    r"\min\left(1, h_{t-1}\right)": lambda h: np.minimum(1, h),
    r"\max(h_{t-1})": lambda h: np.max(h) + 0 * h,
    r"\operatorname{clip}(h_{t-1}, -1, 1)": lambda h: np.clip(h, -1, 1),
    r"-h_{t-1}": lambda h: -h,
    r"-(-h_{t-1})": lambda h: h,
    r"- 2 h_{t-1} + 3": lambda h: 3 - 2 * h,
    r"h_{t-1} - (1 - h_{t-1})": lambda h: 2 * h - 1,
    r"1 - h_{t-1} - 2": lambda h: -1 - h,
    r"h_{t-1} / 2 / 3": lambda h: h / 6,
    r"h_{t-1} \oslash (1 + h_{t-1}^2)": lambda h: h / (1 + h**2),
    r"\mathbf{1} - h_{t-1}": lambda h: 1 - h,
    r"(\mathbf{1}^\top h_{t-1}) h_{t-1}": lambda h: h.sum() * h,
    r"\operatorname{LayerNorm}(h_{t-1})": lambda h: (h - h.mean()) / np.sqrt(h.var() + 1e-5),
    r"\mathrm{LN}(h_{t-1})": lambda h: (h - h.mean()) / np.sqrt(h.var() + 1e-5),
    r"\mathrm{RMSNorm}(h_{t-1})": lambda h: h / np.sqrt((h * h).mean() + 1e-5),
    r"\operatorname{mean}(h_{t-1}) h_{t-1}": lambda h: h.mean() * h,
}  # fmt: skip


@pytest.mark.parametrize("expression", POWERS)
def test_expression(expression):
    def step(p, x, s):
        return {"h": POWERS[expression](s.h) + p.W @ x.x}

    means(rf"h_t = {expression} + W x_t", step, {"W": "h,x"})

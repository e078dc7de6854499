"""Forms of the literature that are easily misread, each as its source has it.

Compared with the mathematics by values (`meaning.py`); what stays ambiguous must say what to write.
"""

import numpy as np
import pytest
from meaning import cell, means, sigmoid

from gatec import source
from gatec.errors import GatecError, render
from gatec.parse import parse
from gatec.resolve import resolve

tanh = np.tanh


def refused(text, name="spec.gate"):
    """The diagnostics of a text that is none."""
    with pytest.raises(GatecError) as caught:
        cell(text, name)
    for diagnostic in caught.value.diagnostics:
        assert render(diagnostic)
    return caught.value.diagnostics


# --- powers ---------------------------------------------------------------------------------------


def test_what_changes_with_time_above_a_name_is_a_power():
    """De et al., Griffin, 2024: no label has a time index of its own."""

    def step(p, x, s):
        r = sigmoid(p.W_a @ x.x + p.b_a)
        return {"h": sigmoid(p.Lambda) ** (8 * r) * s.h + x.x}

    square = {"hidden_size": 4, "input_size": 4}
    for power in ("a^{c r_t}", "a^{cr_t}", r"a^{c \odot r_t}", r"(a)^{c r_t}"):
        text = rf"""
        const c = 8
        a = \sigma(\Lambda)
        r_t = \sigma(W_a x_t + b_a)
        g_t = {power}
        h_t = g_t \odot h_{{t-1}} + x_t
        """
        means(text, step, sizes=square)


@pytest.mark.parametrize("name", ["spec.gate", "spec.md"])
def test_a_name_with_and_without_index(name):
    """`a_t = a^{c r_t}` where `a` has an equation of its own, also in the prose around."""

    def step(p, x, s):
        r = sigmoid(p.W_a @ x.x)
        return {"h": sigmoid(p.Lambda) ** (8 * r) * s.h + p.W @ x.x}

    lines = [
        r"r_t = \sigma(W_a x_t)",
        r"a_t = a^{8 r_t}",
        r"h_t = a_t \odot h_{t-1} + W x_t",
        r"a = \sigma(\Lambda)",
    ]
    if name == "spec.md":
        lines = [*(f"$${line}$$" for line in lines[:3]), f"where ${lines[3]}$."]
    means("\n".join(lines), step, {"W_a": "h,x", "W": "h,x", "Lambda": "h"}, name=name)


def test_a_name_without_index_that_nothing_defines():
    (found,) = refused("r_t = \\sigma(W_a x_t)\na_t = a^{r_t}\nh_t = a_t \\odot h_{t-1}")
    assert found.code == "E0207" and "param a" in found.hint


def test_a_factor_that_is_a_number_in_the_prose():
    found = refused("r_t = \\sigma(W x_t)\nh_t = c r_t + h_{t-1}")[0]
    assert found.code == "E0301" and "param c : scalar" in found.hint


# --- normalisation --------------------------------------------------------------------------------


def test_gain_and_bias_of_a_normalisation_are_vectors():
    """Ba et al., Layer Normalization, 2016."""

    def step(p, x, s):
        z = p.W @ x.x + p.U @ s.h
        normed = (z - z.mean()) / np.sqrt(z.var() + 1e-5)
        return {"h": tanh(p.alpha * normed + p.beta)}

    for separator in (",", ";"):
        text = (
            rf"h_t = \tanh(LN(W x_t + U h_{{t-1}}{separator} \boldsymbol\alpha, \boldsymbol\beta))"
        )
        means(text, step, {"W": "h,x", "U": "h,h", "alpha": "h", "beta": "h"})


# --- what documents say about themselves ----------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        r"\(\phi(z) = \tanh(z)\)",
        r"\(\phi = \tanh\)",
        r"\(\phi(\cdot) = \tanh(\cdot)\)",
        "% gate: function \\phi = tanh\n",
        "%%gate: function \\phi = tanh\n",
    ],
)
def test_a_function_defined_in_prose(said):
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x + p.U @ s.h)}

    text = rf"""Here
    {said} stands for it. \[ h_t = \phi(W x_t + U h_{{t-1}}) \]"""
    means(text, step, {"W": "h,x", "U": "h,h"}, name="spec.tex")


def test_a_function_that_is_not_defined_in_prose():
    (found,) = refused(r"$$h_t = \phi(W x_t + U h_{t-1})$$", "spec.md")
    assert found.code == "E0204" and r"$\phi(z) = \tanh(z)$" in found.hint


def test_declarations_in_comments_of_latex():
    text = r"""
    % cell Leaky
    % gate: const \gamma = 0.5
    % gate: output h
    % the output h of the layer
    \[ h_t = \gamma h_{t-1} + o_t \]  \[ o_t = V x_t \]
    """
    found = cell(text, "spec.tex")
    assert (found.name, found.output) == ("Leaky", "h")
    assert [c.name for c in found.constants] == ["gamma_"]


def test_a_marked_piece_of_latex():
    assert cell("% cell Elman\nh_t = \\tanh(W x_t + U h_{t-1})", "spec.tex").name == "Elman"


# --- the output -----------------------------------------------------------------------------------


def warned(text, name="spec.gate"):
    (document,) = source.read_text(text, name)
    return [(w.code, w.hint) for w in resolve(parse(document)).warnings]


GATE_LAST = r"h_t = o_t \odot \tanh(W x_t + U h_{t-1})", r"o_t = \sigma(V x_t)"


def test_a_last_equation_that_may_not_be_the_output():
    """Goodfellow et al., Deep Learning, 10.43 and 10.44: the output gate comes after its use."""
    ((code, hint),) = warned("\n".join(GATE_LAST))
    assert code == "E0216" and "`output h`" in hint
    ((code, hint),) = warned("\n".join(f"$${line}$$" for line in GATE_LAST), "spec.md")
    assert code == "E0216" and "gate block" in hint


@pytest.mark.parametrize(
    "lines", [(*GATE_LAST, "output h"), (*GATE_LAST, "output o"), GATE_LAST[::-1]]
)
def test_an_output_that_is_said_or_clear(lines):
    assert warned("\n".join(lines)) == []


# --- what of a document belongs to the cell -------------------------------------------------------


def test_every_formula_that_the_cell_is_made_of_is_in_it():
    """In whatever order they stand: Yang et al., Gated Delta Networks, 2025."""
    lines = [
        r"S_t = \alpha_t S_{t-1} + \beta_t (v_t - S_{t-1} k_t) k_t^\top",
        r"\alpha_t = \sigma(w_\alpha^\top x_t)",
        r"\beta_t = \sigma(w_\beta^\top x_t)",
        r"k_t = W_k x_t",
        r"v_t = W_v x_t",
        r"q_t = W_q x_t",
        r"o_t = S_t q_t",
    ]
    for turn in range(len(lines)):
        turned = lines[turn:] + lines[:turn]
        found = cell("\n".join(f"$${line}$$" for line in turned), "spec.md")
        assert len(found.equations) == len(lines) and len(found.inputs) == 1


# --- equations side by side -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        r"z_t &= \sigma(W_z x_t) & h_t &= z_t \odot h_{t-1} + W x_t",
        r"z_t &= \sigma(W_z x_t) & \mathbf{h}_t &= z_t \odot \mathbf{h}_{t-1} + W x_t",
        r"z_t &= \sigma(W_z x_t), & h_t &= z_t \odot h_{t-1} + W x_t",
        r"z_t &= \sigma(W_z x_t) && h_t &= z_t \odot h_{t-1} + W x_t",
        r"z_t &= \sigma(W_z x_t) &\qquad h_t = z_t &\odot h_{t-1} + W x_t",
        r"z_t &= \sigma & (W_z x_t) \quad h_t & = z_t \odot h_{t-1} & + W x_t",
        r"z_t & = & \sigma(W_z x_t) \\ h_t & = & z_t \odot h_{t-1} \\ & & + W x_t",
        r"z_t = {} & \sigma(W_z x_t) \\ h_t = {} & z_t \odot h_{t-1} \\ & {} + W x_t",
    ],
)
def test_columns_of_equations(row):
    def step(p, x, s):
        return {"h": sigmoid(p.W_z @ x.x) * s.h + p.W @ x.x}

    text = rf"\begin{{align}} {row} \end{{align}}"
    means(text, step, {"W_z": "h,x", "W": "h,x"}, name="spec.tex")


# --- transposed equations, layers without names ---------------------------------------------------


@pytest.mark.parametrize("name", ["spec.gate", "spec.md"])
def test_an_equation_of_row_vectors(name):
    def step(p, x, s):
        return {"h": tanh(x.x @ p.W + s.h @ p.U + p.b)}

    text = r"h_t^\top = \tanh(x_t^\top W + h_{t-1}^\top U + b^\top)"
    text = text if name == "spec.gate" else f"$${text}$$"
    means(text, step, {"W": "x,h", "U": "h,h", "b": "h"}, name=name)


def test_a_label_that_means_the_transpose():
    """Baytas et al., T-LSTM, 2017: `C^T` beside `C` is no second quantity, and nobody is misled."""
    found = refused("D_t = D_{t-1}\nC^T_t = C_{t-1} - D_t\nC_t = C^T_t + x_t")
    assert [d.code for d in found] == ["E0202"]


@pytest.mark.parametrize("layer", [r"\mathrm{Linear}", r"\mathrm{Linear}_{d_h}", "Linear", "MLP"])
def test_a_layer_without_names_for_its_parameters(layer):
    """Feng et al., "Were RNNs All We Needed?", 2024: it is no identity."""
    (found,) = refused(f"h_t = (1 - z_t) \\odot h_{{t-1}} + x_t\nz_t = \\sigma({layer}(x_t))")
    assert found.code == "E0204" and "W x_t + b" in found.hint


def test_the_linear_activation():
    means("function f = linear\nh_t = f(W x_t) + h_{t-1}", lambda p, x, s: {"h": p.W @ x.x + s.h})


# --- kinds ----------------------------------------------------------------------------------------


def test_a_greek_input_is_a_vector_where_a_matrix_multiplies_it():
    """Che et al., GRU-D, 2018: the decay of the states."""

    def step(p, x, s):
        decay = np.exp(-np.maximum(0, p.W_gamma @ x.delta + p.b_gamma))
        return {"h": decay * s.h + p.U @ x.x}

    text = r"""
    \gamma_t = \exp\{-\max(\mathbf{0}, W_\gamma \delta_t + b_\gamma)\}
    h_t = \gamma_t \odot h_{t-1} + U x_t
    """
    sizes = {"hidden_size": 4, "input_size": 3, "delta_size": 3}
    means(text, step, {"W_gamma": "h,x", "b_gamma": "h", "U": "h,x"}, sizes=sizes)


def test_a_greek_input_is_a_scalar_otherwise():
    found = cell("h_t = \\delta_t w \\odot h_{t-1} + U x_t")
    assert {i.name: len(i.shape) for i in found.inputs} == {"x": 1, "delta": 0}


def test_names_in_hints_can_be_typed():
    """What a hint says to declare is declared when one does so."""
    text = "input x\nh_t = x_t + U h_{t-1} + \\hat g_t^{in}"
    (found,) = refused(text)
    line = found.hint.split("`")[1]
    assert line.startswith("input ")
    assert [i.name for i in cell(f"{line}\n{text}").inputs] == ["g_in_hat", "x"]


# --- idioms of other notations --------------------------------------------------------------------

LEAKY = {"W": "h,x"}


@pytest.mark.parametrize(
    "text, name",
    [
        (r"\[ h_t = 0{,}25\, h_{t-1} + W x_t \]", "spec.tex"),
        (r"$$\boxed{h_t = 0.25 h_{t-1} + W x_t}$$", "spec.md"),
        (r"$$\boxed{\begin{aligned} h_t &= \tfrac14 h_{t-1} + W x_t \end{aligned}}$$", "spec.md"),
        (r"$$h_t \overset{\text{def}}{=} 0.25 h_{t-1} + W x_t$$", "spec.md"),
        (r"$$h_t \stackrel{\mathrm{def}}{=} 0.25 h_{t-1} + W x_t$$", "spec.md"),
        (r"$$\boxed{v_t=W x_t}\quad\text{and}\quad\boxed{h_t=0.25 h_{t-1} + v_t}$$", "spec.md"),
        (r"\[ h_t = {0.25 h_{t-1} + W x_t} \qedhere \]", "spec.tex"),
        ("h_t = ¼ h_{t-1} + W x_t", "spec.gate"),
        ("h_t = ½² h_{t-1} + W x_t", "spec.gate"),
        ("h[t] = 0.25 * h[t-1] + W @ x[t]", "spec.gate"),
        ("h[t] = h[t-1] * 0.25 + x[t] @ V\nV = W.T", "spec.gate"),
        (r"h_t = \sqrt[3]{0.015625} h_{t-1} + W x_t", "spec.gate"),
        (r"h_t = \sqrt [2] {0.0625} h_{t-1} + W x_t", "spec.gate"),
    ],
)
def test_a_leaky_unit(text, name):
    means(text, lambda p, x, s: {"h": 0.25 * s.h + p.W @ x.x}, LEAKY, name=name)


def test_functions_of_libraries():
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x) + sigmoid(s.h)}

    for prefix in ("np.", "torch.", "jnp.", "F.", ""):
        means(f"h_t = {prefix}tanh(W @ x_t) + torch.sigmoid(h_{{t-1}})", step, LEAKY)


@pytest.mark.parametrize(
    "product", [r"\langle w, x_t \rangle", "⟨w, x_t⟩", r"\left\langle w, x_t \right\rangle"]
)
def test_an_inner_product_in_angles(product):
    def step(p, x, s):
        return {"h": sigmoid(p.w @ x.x) * s.h + p.W @ x.x}

    means(rf"h_t = \sigma({product}) h_{{t-1}} + W x_t", step, {"w": "x", "W": "h,x"})


def test_digits_of_unicode_are_scripts():
    """A name ends before them: `f_t²` is a square, `W₁` is W_1."""

    def step(p, x, s):
        return {"h": (p.W_1 @ x.x) ** 2 + p.U_12 @ s.h}

    means("v_t = W₁ x_t\nh_t = v_t² + U₁₂ h_{t-1}", step, {"W_1": "h,x", "U_12": "h,h"})
    means("v₁ₜ = W_1 xₜ\nhₜ = v₁ₜ² + U_{12} hₜ₋₁", step, {"W_1": "h,x", "U_12": "h,h"})


@pytest.mark.parametrize(
    "text, code",
    [
        (r"h_t = \langle x_t \rangle + h_{t-1}", "E0106"),
        (r"h_t = \sqrt[n]{x_t} + h_{t-1}", "E0108"),
        (r"h_t = 10{,}000 x_t + h_{t-1}", "E0106"),
    ],
)
def test_idioms_that_are_none(text, code):
    assert [d.code for d in refused(text)] == [code]


# --- other mathematics in prose -------------------------------------------------------------------

ELMAN = r"$$h_t = \tanh(W x_t + U h_{t-1})$$"


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "other",
    [
        r"$$L_t = -\sum_i y_{t,i} \log \hat y_{t,i}$$",
        r"$$p(y_t \mid x_t) = \prod_i p_i$$",
        r"$$\delta_t = \partial L / \partial h_t$$",
        r"$$c_t = \lfloor h_t \rfloor$$",
    ],
)
def test_foreign_mathematics_that_nothing_reads(other, place):
    parts = [ELMAN]
    parts.insert(place, other)
    assert len(cell("\n\n".join(parts), "spec.md").equations) == 1


def test_foreign_mathematics_that_the_cell_reads():
    (found,) = refused("$$a_t = \\sum_i x_i$$\n\n$$h_t = a_t \\odot h_{t-1} + x_t$$", "spec.md")
    assert found.code == "E0112"


def test_a_display_that_is_damaged_is_an_error_however_it_starts():
    found = refused("$$o_t = $$\n\n$$h_t = o_t \\odot \\tanh(W x_t + U h_{t-1})$$", "spec.md")
    assert found[0].code in ("E0105", "E0106")
    found = refused(ELMAN + "\n\n$$y_t \\foo{= V} h_t$$ $$z_t {x = h_t$$", "spec.md")
    assert found

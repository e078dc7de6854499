"""Resolution: what follows, what is assumed and why, definitions and declarations."""

# ruff: noqa: E501 (formulas stand as in their sources)

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from meaning import cell, means, same_cell, shapes, sigmoid, softplus

from gatec import interpret
from gatec.parse import parse
from gatec.resolve import resolve
from gatec.source import read, read_text

tanh = np.tanh


def rules(text):
    """Why each parameter is what it is."""
    return {p.name: p.rule for p in cell(text).params}


# --- definitions ----------------------------------------------------------------------------------


def test_a_function_is_defined_in_the_text():
    def step(p, x, s):
        return {"h": 0.5 + 0.5 * tanh((p.W @ x.x + p.U @ s.h) / 2)}

    means(
        r"""
        \hat\sigma(z) = \frac12 + \frac12\tanh(z/2)
        h_t = \hat\sigma(W x_t + U h_{t-1})
        """,
        step,
        {"W": "h,x", "U": "h,h"},
    )


@pytest.mark.parametrize(
    "definition, use",
    [
        ("f(z) = 2 z", "f(%)"),
        ("function f(z) = 2 z", "f(%)"),
        (r"\phi(z) = 2 z", r"\phi(%)"),
        (r"\phi(z) = z + z", r"\phi\left(%\right)"),
        (r"\mathrm{dbl}(u) = 2 u", r"\mathrm{dbl}(%)"),
        (r"\tilde f(a, b) = a + b", r"\tilde f(%, %)"),
        (r"\sigma_g(z) = 2z", r"\sigma_g(%)"),
        ("f(z) = 2 z\nfunction g = f", "g(%)"),
        ("g(z) = z + z\nf(z) = g(z)", "f(%)"),
        (r"\phi(\mathbf{z}) = 2 \mathbf z", r"\phi(%)"),
        (r"\phi(x) = 2 x", r"\phi(%)"),
        (r"\sigma(z) = 2 z", r"\sigma(%)"),
        ("tanh(z) = 2 z", "tanh(%)"),
    ],
)
def test_definitions(definition, use):
    def step(p, x, s):
        return {"h": 2 * (p.W @ x.x) + s.h}

    means(f"{definition}\nh_t = {use.replace('%', 'W x_t')} + h_{{t-1}}", step, {"W": "h,x"})


@pytest.mark.parametrize(
    "line",
    [r"function \phi = tanh", r"function \phi = \tanh", r"function \phi(z) = \tanh z",
     r"\phi(z) = \tanh(z)", r"\phi = \tanh", r"function φ = tanh"],
)  # fmt: skip
def test_an_alias(line):
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x + p.U @ s.h)}

    means(f"{line}\n" r"h_t = \phi(W x_t + U h_{t-1})", step)


def test_a_function_that_holds_parameters():
    def step(p, x, s):
        z = tanh(p.W @ x.x + p.b)
        return {"h": z + s.h}

    means("Φ(v) = tanh(W v + b)\nh_t = Φ(x_t) + h_{t-1}", step, {"W": "h,x", "b": "h"})


def test_cases():
    def step(p, x, s):
        z = p.W @ x.x + s.h
        return {"h": np.where(z > 0, z, np.where(z <= -1, -1, z / 2))}

    means(
        r"""
        z_t = W x_t + h_{t-1}
        h_t = \begin{cases}
            z_t & \text{if } z_t > 0 \\
            -1 & \text{if } z_t \leq -1, \\
            z_t / 2 & \text{otherwise}
        \end{cases}
        """,
        step,
        {"W": "h,x"},
    )


@pytest.mark.parametrize(
    "condition",
    [r"0 < z_t < 1", r"z_t > 0 \text{ and } z_t < 1", r"\text{if } 1 > z_t > 0",
     r"\text{for } 0 < z_t \land z_t < 1", r"z_t \gt 0, z_t \lt 1"[:0] or r"z_t \gt 0 \wedge z_t \lt 1"],
)  # fmt: skip
def test_conditions(condition):
    def step(p, x, s):
        z = p.W @ x.x + s.h
        return {"h": np.where((z > 0) & (z < 1), z, 0.0)}

    means(
        rf"z_t = W x_t + h_{{t-1}}"
        "\n"
        rf"h_t = \begin{{cases}} z_t & {condition} \\ 0 & \text{{else}} \end{{cases}}",
        step,
    )


def test_stacked_gates_of_zaremba():
    text = r"""
    \begin{pmatrix} i \\ f \\ o \\ g \end{pmatrix} =
    \begin{pmatrix} \mathrm{sigm} \\ \mathrm{sigm} \\ \mathrm{sigm} \\ \tanh \end{pmatrix}
    T \begin{pmatrix} h_{t-1} \\ x_t \end{pmatrix}
    c_t = f \odot c_{t-1} + i \odot g
    h_t = o \odot \tanh(c_t)
    """

    def step(p, x, s):
        i, f, o, g = np.split(p.T @ np.concatenate([s.h, x.x]), 4)
        c = sigmoid(f) * s.c + sigmoid(i) * tanh(g)
        return {"c": c, "h": sigmoid(o) * tanh(c)}

    means(text, step, {"T": "4h,h+x"})


@pytest.mark.parametrize(
    "stack",
    [
        r"\begin{bmatrix} i_t \\ g_t \end{bmatrix} = \begin{bmatrix} \sigma \\ \tanh \end{bmatrix} (W x_t + U h_{t-1} + b)",
        r"\left[\begin{array}{c} i_t \\ g_t \end{array}\right] = \left[\begin{array}{c} \sigma \\ \tanh \end{array}\right] (W x_t + U h_{t-1} + b)",
        r"[i_t; g_t] = [\sigma; \tanh](W x_t + U h_{t-1} + b)",
        r"\begin{pmatrix} i_t \\ g_t \end{pmatrix} = \begin{pmatrix} \sigma \\ \tanh \end{pmatrix} \left( W x_t + U h_{t-1} + b \right)",
    ],
)  # fmt: skip
def test_stacked_gates(stack):
    def step(p, x, s):
        i, g = np.split(p.W @ x.x + p.U @ s.h + p.b, 2)
        return {"h": sigmoid(i) * tanh(g)}

    means(f"{stack}\nh_t = i_t \\odot g_t", step, {"W": "2h,x", "U": "2h,h", "b": "2h"})


def test_a_stack_without_functions_is_cut():
    def step(p, x, s):
        i, g = np.split(p.W @ x.x, 2)
        return {"h": sigmoid(i) * s.h + g}

    means(
        r"\begin{bmatrix} i_t \\ g_t \end{bmatrix} = W x_t" "\nh_t = σ(i_t) ⊙ h_{t-1} + g_t",
        step,
        {"W": "2h,x"},
    )


def test_a_stack_of_expressions():
    def step(p, x, s):
        i, g = p.W @ x.x, p.U @ s.h
        return {"h": sigmoid(i) * s.h + g}

    means(
        r"\begin{bmatrix} i_t \\ g_t \end{bmatrix} = \begin{bmatrix} W x_t \\ U h_{t-1} \end{bmatrix}"
        "\nh_t = σ(i_t) ⊙ h_{t-1} + g_t",
        step,
    )


def test_expressions_over_parameters_alone():
    def step(p, x, s):
        A = p.W - p.W.T - 0.1 * np.eye(4)
        return {"h": s.h + 0.5 * tanh(A @ s.h + p.V @ x.x)}

    for text in (
        r"h_t = h_{t-1} + \epsilon \tanh((W - W^\top - \gamma \mathbf I) h_{t-1} + V x_t)",
        "A = W - W^\\top - \\gamma I\n" r"h_t = h_{t-1} + \epsilon \tanh(A h_{t-1} + V x_t)",
        "A = W - W^T - \\gamma \\mathbf{I}_n\n"
        r"h_t = h_{t-1} + \epsilon \tanh(A h_{t-1} + V x_t)",
    ):
        means(f"const \\gamma = 0.1\nconst \\epsilon = 0.5\n{text}", step, {"W": "h,h", "V": "h,x"})


def test_diagonal_matrices():
    def step(p, x, s):
        return {"h": p.a * s.h + np.exp(-softplus(p.b)) * (p.W @ x.x)}

    means(
        r"h_t = \operatorname{diag}(a) h_{t-1} + \mathrm{diag}(\exp(-\operatorname{softplus}(b))) W x_t",
        step,
        {"a": "h", "b": "h", "W": "h,x"},
    )


# --- what is found --------------------------------------------------------------------------------


def test_bare_equations_need_no_declaration():
    found = cell(
        r"""
        i_t = \sigma(W_i x_t + U_i h_{t-1} + b_i)
        c_t = (1 - i_t) \odot c_{t-1} + i_t \odot \tanh(W_c x_t + U_c h_{t-1} + b_c)
        h_t = \tanh(c_t)
        """
    )
    assert [i.name for i in found.inputs] == ["x"]
    assert [s.name for s in found.states] == ["h", "c"]  # the output first
    assert found.output == "h"
    assert shapes(found) == {"W_i": (4, 3), "U_i": (4, 4), "b_i": (4,), "W_c": (4, 3),
                             "U_c": (4, 4), "b_c": (4,)}  # fmt: skip
    assert [p.name for p in found.params if p.bias] == ["b_i", "b_c"]


def test_why_each_parameter_is_what_it_is():
    said = rules("h_t = tanh(W x_t + u ⊙ h_{t-1} + β h_{t-1} + (v^⊤ x_t) b)")
    assert "matrix" in said["W"] and "capital" in said["W"]
    assert "vector" in said["u"] and "element-wise" in said["u"]
    assert "scalar" in said["beta"] and "Greek" in said["beta"]
    assert "vector" in said["v"] and "transposed" in said["v"]


@pytest.mark.parametrize(
    "lines, name, wanted",
    [
        ("h_t = h_{t-1} + W x_t", "W", (4, 3)),
        ("h_t = w ⊙ h_{t-1} + W x_t", "w", (4,)),
        ("h_t = α h_{t-1} + W x_t", "alpha", ()),
        ("h_t = α ⊙ h_{t-1} + W x_t", "alpha", (4,)),
        ("h_t = (1 - α) h_{t-1} + α W x_t", "alpha", ()),
        ("h_t = h_{t-1} + W x_t + B", "B", (4,)),
        ("h_t = h_{t-1} + W x_t + β", "beta", ()),
        ("h_t = P ⊙ h_{t-1} + W x_t", "P", (4,)),
        ("h_t = w^T x_t h_{t-1} + V x_t", "w", (3,)),
        ("s_t = w^T x_t + b\nh_t = s_t h_{t-1} + V x_t", "b", ()),
        ("h_t = W V x_t + h_{t-1}\nsize k = 5\nparam V : k x n_x", "W", (4, 5)),
        ("h_t = W V x_t + h_{t-1}", "W", (4, 4)),
        ("h_t = h_{t-1} + W x_t / (1 + τ)", "tau", ()),
        ("h_t = h_{t-1} / τ + W x_t\nparam τ : vector", "tau", (4,)),
        ("h_t = h_{t-1} + W x_t\ny_t = V h_t + c", "V", (5, 4)),
        ("h_t = h_{t-1} + W x_t\ny_t = V h_t + c", "c", (5,)),
    ],
)
def test_shapes(lines, name, wanted):
    assert shapes(cell(lines), {"k": 5, "hidden_size": 4, "input_size": 3,
                                "output_size": 5})[name] == wanted  # fmt: skip


def test_two_inputs():
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x + p.V @ x.u + s.h)}

    means("input x, u\nh_t = tanh(W x_t + V u_t + h_{t-1})", step,
          sizes={"hidden_size": 4, "input_size": 3, "u_size": 2})  # fmt: skip


def test_a_scalar_input():
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x + x.m * s.h)}

    means("input x\ninput m : scalar\nh_t = tanh(W x_t + m_t h_{t-1})", step)


# --- declarations ---------------------------------------------------------------------------------


def test_cell_names_the_class():
    assert cell("cell Tiny\nh_t = x_t + h_{t-1}").name == "Tiny"
    assert cell("h_t = x_t + h_{t-1}", "leaky.gate").name == "leaky"


def test_states_as_declared():
    found = cell("state c, h\nc_t = h_{t-1} + W x_t\nh_t = tanh(c_t) + c_{t-1}")
    assert [s.name for s in found.states] == ["c", "h"]


@pytest.mark.parametrize(
    "line, value",
    [("state h = 1", 1), ("state h = -0.5", Fraction(-1, 2)), ("state h = 1/4", Fraction(1, 4)),
     ("h_0 = 1", 1), ("h^{<0>} = 2", 2), ("h(0) = 3", 3), ("h_{0} = \\mathbf{0}", 0), ("", 0)],
)  # fmt: skip
def test_initial_values(line, value):
    (state,) = cell(f"{line}\nh_t = tanh(W x_t + h_{{t-1}})").states
    assert state.initial.value == value


def test_a_learned_initial_value():
    found = cell("state h learned\nh_t = tanh(W x_t + h_{t-1})")
    (state,) = found.states
    assert state.initial.param in {p.name for p in found.params}
    assert shapes(found)[state.initial.param] == (4,)


def test_output():
    text = "a_t = tanh(W x_t + U h_{t-1})\nh_t = 2 * a_t"
    assert cell(text).output == "h"
    assert cell(f"{text}\noutput a").output == "a"


def test_constants():
    found = cell("const \\kappa = 0.01\nh_t = \\kappa h_{t-1} + W x_t")
    (constant,) = found.constants
    assert (constant.name, constant.value) == ("kappa", Fraction(1, 100))


def test_sizes():
    found = cell("size k = 16\nparam U : n_h x k\nparam V : k x n_x\nh_t = U V x_t + h_{t-1}")
    (size,) = found.sizes
    assert (size.name, size.default) == ("k", 16)
    assert shapes(found, {"k": 7, "hidden_size": 4, "input_size": 3}) == {"U": (4, 7), "V": (7, 3)}


@pytest.mark.parametrize(
    "shape, wanted",
    [("matrix", (4, 3)), ("n_h x n_x", (4, 3)), ("hidden_size x input_size", (4, 3)),
     (r"n_h \times n_x", (4, 3)), ("n_h * n_x", (4, 3)), ("4 x n_x", (4, 3)), ("d_h x d_x", (4, 3))],
)  # fmt: skip
def test_declared_shapes(shape, wanted):
    found = cell(f"param U : {shape}\nh_t = tanh(U x_t) + h_{{t-1}}")
    assert shapes(found)["U"] == wanted


@pytest.mark.parametrize(
    "value", ["1", "0.5", "orthogonal", "zeros", "ones", "xavier", "normal", "kaiming", "identity"]
)
def test_init(value):
    found = cell(f"init U = {value}\nh_t = tanh(W x_t + U h_{{t-1}})")
    assert {p.name: p.init for p in found.params} == {"W": "uniform", "U": value}


def test_declarations_may_stand_anywhere():
    same_cell(
        "cell A\ninput x\nstate h\noutput h\nh_t = tanh(W x_t + h_{t-1})",
        "h_t = tanh(W x_t + h_{t-1})\noutput h\nstate h\ninput x\ncell A",
    )


def test_equations_in_any_order():
    same_cell(
        "z_t = σ(W x_t)\nh_t = z_t ⊙ h_{t-1} + x̂_t\nx̂_t = V x_t\noutput h",
        "x̂_t = V x_t\nz_t = σ(W x_t)\nh_t = z_t ⊙ h_{t-1} + x̂_t",
    )


def warnings(text, name="a.gate"):
    (document,) = read_text(text, name)
    return [(w.code, w.span.text) for w in resolve(parse(document)).warnings]


def test_capitals_in_products_with_stars_are_warned_of():
    assert warnings("h_t = tanh(W*x_t + U h_{t-1} + b)") == [("E0314", "W*x_t")]
    assert warnings("h_t = tanh(W ⊙ x_t + U h_{t-1} + b)") == []
    assert warnings("param W : vector\nh_t = tanh(W*x_t + U h_{t-1} + b)") == []
    assert warnings("F_t = σ(V x_t)\nh_t = tanh(F_t*h_{t-1} + w*h_{t-1})") == []


def test_inputs_that_nobody_declared_are_warned_of():
    assert warnings("h_t = tanh(W x_t + U h_{t-1} + q_t)") == [("E0205", "q_t")]
    assert warnings("input x, q\nh_t = tanh(W x_t + U h_{t-1} + q_t)") == []


def test_a_name_in_two_alphabets_is_warned_of():
    """Rusch & Mishra, coRNN, 2021, has W and another W."""
    text = r"h_t = \tanh(W x_t + \mathcal{W} h_{t-1}) + V h_{t-1} + \mathbf{V} h_{t-1}"
    (document,) = read_text(text.replace(r"W x_t", "W u_t"), "a.gate")
    (warning,) = resolve(parse(document)).warnings
    assert (warning.code, warning.severity, warning.span.text) == (
        "E0206",
        "warning",
        r"\mathcal{W}",
    )


# --- what the text says beside the equations ------------------------------------------------------


def test_spaces_say_what_parameters_are():
    text = r"""
    $$h_t = A \odot h_{t-1} + B x_t + s_t w, \quad s_t = c^\top h_{t-1}$$
    where $A, w \in \mathbb{R}^{N}$, $B \in \mathbb{R}^{N \times D}$, $c \in \mathbb R^N$.
    """

    def step(p, x, s):
        return {"h": p.A * s.h + p.B @ x.x + (p.c @ s.h) * p.w, "s": p.c @ s.h}

    means(text, step, {"A": "h", "B": "h,x", "w": "h", "c": "h"}, name="spec.md")
    assert "space" in {p.name: p.rule for p in cell(text, "spec.md").params}["A"]


@pytest.mark.parametrize(
    "space", [r"\mathbb{R}^{h}", r"\mathbb R^h", "ℝ^{1 × h}", r"(0, 1)^h", r"\R^h"]
)
def test_spaces_of_values_are_annotations(space):
    def step(p, x, s):
        return {"h": tanh(p.W @ x.x + s.h)}

    means(rf"h_t = \tanh(W x_t + h_{{t-1}}) \in {space}", step, {"W": "h,x"})
    means(rf"$$h_t = \tanh(W x_t + h_{{t-1}}) \in {space}.$$", step, {"W": "h,x"}, name="a.md")


def test_a_size_under_a_root():
    """Beck et al., xLSTM, 2024: d is the number of units of the key."""

    def step(p, x, s):
        k, q = p.W_k @ x.x / np.sqrt(4), p.W_q @ x.x
        return {"h": s.h + (q @ k / np.sqrt(4)) * k}

    text = r"""
    k_t = \frac{1}{\sqrt{d}} W_k x_t
    q_t = W_q x_t
    s_t = \frac{q_t^\top k_t}{\sqrt{d_k}}
    h_t = h_{t-1} + s_t k_t
    """
    means(text, step, {"W_k": "h,x", "W_q": "h,x"})


def test_a_declared_size_is_a_number():
    def step(p, x, s):
        return {"h": p.U @ (p.V @ x.x) / 7 + s.h}

    text = "size k = 7\nparam U : n_h x k\nparam V : k x n_x\nh_t = \\frac{1}{k} U V x_t + h_{t-1}"
    means(text, step, sizes={"hidden_size": 4, "input_size": 3, "k": 7})


def test_several_names_for_one_value():
    def step(p, x, s):
        return {"h": 2 * tanh(p.W @ x.x) + s.h}

    means("a_t = b_t = tanh(W x_t)\nh_t = a_t + b_t + h_{t-1}", step)
    text = (
        r"$$h_t = \sigma_f(W x_t) + \sigma_g(W x_t) + h_{t-1}$$ where $\sigma_f = \sigma_g = \tanh$"
    )
    means(text, step, {"W": "h,x"}, name="a.md")


# --- documents ------------------------------------------------------------------------------------

DATA = Path(__file__).parent / "data"
SPECS = Path(__file__).parents[1] / "specs"


def found_in(name):
    (document,) = read(str(DATA / name)) if "/" not in name else read(name)
    return resolve(parse(document)).cell


def test_the_notes_are_the_shipped_lstm():
    """Damaged characters and all: the same interface and the same values."""
    same_cell(found_in("rnn-notes.txt"), found_in(str(SPECS / "lstm.gate")))


@pytest.mark.parametrize(
    "name, states, output",
    [("lstm.md", ["h", "c"], "h"), ("gru.tex", ["h"], "h"), ("minimal.rst", ["h"], "h"),
     ("exercise.ipynb", ["a"], "a")],
)  # fmt: skip
def test_documents_of_every_kind(name, states, output):
    found = found_in(name)
    assert [s.name for s in found.states] == states
    assert found.output == output
    assert [i.name for i in found.inputs] == ["x"]


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
def test_documentation_of_torch_by_values(name):
    """What PyTorch's docstrings say is what PyTorch computes, parameter by parameter."""
    (document,) = read(f"doc:torch.nn:{name}")
    found = resolve(parse(document)).cell
    input_size, hidden_size, steps, batch = 3, 4, 5, 2
    kind = name.removesuffix("Cell")
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(input_size, hidden_size, dtype=torch.float64)
    gates = {"LSTM": "ifgo", "GRU": "rzn", "RNN": "h"}[kind]

    def theirs_of(ours):
        """W_ir is the gate r of weight_ih."""
        side, gate = ("i", "h")[ours[2] == "h"], ours[3] if kind != "RNN" else "h"
        name = f"{'weight' if ours[0] == 'W' else 'bias'}_{side}h_l0"
        return getattr(theirs, name).chunk(len(gates))[gates.index(gate)].detach().numpy()

    params = {p.name: theirs_of(p.name) for p in found.params}
    x = np.random.default_rng(0).standard_normal((steps, batch, input_size))
    got = interpret.run(
        found, params, {"x": x}, sizes={"input_size": input_size, "hidden_size": hidden_size}
    )
    wanted, _ = theirs(torch.as_tensor(x))
    outputs = np.stack([step["h"] for step in got.trace])
    np.testing.assert_allclose(outputs, wanted.detach().numpy(), rtol=1e-12, atol=1e-13)

"""The interface of generated NumPy modules, and how they read."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from harness import cell_shapes, compiled, compiled_text, draw, load, weights
from papers import PAPERS
from test_python_lines import ruff

from gatec import backends, compiler, resources

SPECS = resources.spec_names()
specs = pytest.mark.parametrize("name", SPECS)
papers = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
SIZES = {"input_size": 3, "hidden_size": 4, "output_size": 6}


@cache
def generated(program):
    (text,) = backends.load("numpy").generate(program, "cell").values()
    return text


@cache
def spec(name):
    return compiled(resources.spec_path(name))


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """Modules by their texts or specs' names."""
    folder = tmp_path_factory.mktemp("numpy")

    @cache
    def make(text):
        program = spec(text) if text in SPECS else compiled_text(text, "cell.gate")
        return load(generated(program), folder)

    return make


def arrays(value):
    """All arrays in results, however nested."""
    if isinstance(value, dict):
        value = list(value.values())
    return [a for v in value for a in arrays(v)] if isinstance(value, (tuple, list)) else [value]


def call(made, program, steps=3, batch=2, dtype="float64", sizes=SIZES):
    """Parameters, inputs, state and what forward and backward make of them."""
    case = draw(cell_shapes(program.plan, sizes), steps, batch)
    params = {k: v.astype(dtype) for k, v in case.params.items()}
    inputs = [v.astype(dtype) for v in case.inputs.values()]
    states = [v.astype(dtype) for v in case.states.values()]
    state = states[0] if len(states) == 1 else tuple(states)
    forward = made.forward(params, *inputs, state)
    grad_outputs = weights(forward[0].shape).astype(dtype)
    backward = made.backward(params, *inputs, state, grad_outputs)
    return params, inputs, state, forward, backward


# --- init -----------------------------------------------------------------------------------------


@specs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_init(name, dtype, module):
    params = module(name).init(3, 4, rng=7, dtype=dtype)
    wanted = cell_shapes(spec(name).source, {"input_size": 3, "hidden_size": 4})["params"]
    assert {key: value.shape for key, value in params.items()} == wanted
    assert list(params) == list(wanted)
    assert all(value.dtype == dtype for value in params.values())
    again = module(name).init(3, 4, rng=np.random.default_rng(7), dtype=dtype)
    assert all(np.array_equal(params[key], again[key]) for key in params)
    other = module(name).init(3, 4, rng=8, dtype=dtype)
    assert not all(np.array_equal(params[key], other[key]) for key in params)


def test_init_is_that_of_torch(module):
    """Uniform between ±1/√hidden_size, as `nn.LSTM` draws its weights."""
    weight = module("lstm").init(50, 100, rng=0)["W_f"]
    assert np.abs(weight).max() <= 0.1
    assert np.abs(weight).max() > 0.0999
    assert abs(weight.mean()) < 1e-3
    assert weight.std() == pytest.approx(0.1 / math.sqrt(3), rel=1e-2)


INIT = """
h_t = \\tanh(W x_t + U h_{t-1} + V h_{t-1} + A h_{t-1} + b + c + d) + \\alpha
init b = 1
init c = zeros
init d = 0.25
init U = orthogonal
init V = identity
init A = normal
init W = RULE
"""


def test_declared_initialisations(module):
    params = module(INIT.replace("RULE", "xavier")).init(3, 5, rng=0)
    assert (params["b"] == 1).all()
    assert (params["c"] == 0).all()
    assert (params["d"] == 0.25).all()
    np.testing.assert_allclose(params["U"] @ params["U"].T, np.eye(5), atol=1e-12)
    assert not np.allclose(np.abs(params["U"]), np.eye(5))
    np.testing.assert_array_equal(params["V"], np.eye(5))
    assert params["alpha"].shape == ()
    assert abs(params["alpha"]) <= 1 / math.sqrt(5)


@pytest.mark.parametrize(
    ("rule", "function"),
    [
        ("xavier", torch.nn.init.xavier_uniform_),
        ("xavier_normal", torch.nn.init.xavier_normal_),
        ("kaiming", torch.nn.init.kaiming_uniform_),
        ("normal", torch.nn.init.normal_),
        ("orthogonal", torch.nn.init.orthogonal_),
    ],
)
def test_rules_are_those_of_torch(rule, function, tmp_path):
    """The same distribution: spread and, where there is one, bound."""
    cell = compiled_text(INIT.replace("RULE", "uniform"), "cell.gate").source
    params = (replace(p, init=rule if p.name == "W" else p.init) for p in cell.params)
    program = compiler.program(replace(cell, params=tuple(params)))
    ours = load(generated(program), tmp_path).init(300, 200, rng=0)["W"]
    theirs = function(torch.empty(200, 300)).numpy()
    assert ours.shape == theirs.shape
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)
    if rule in ("xavier", "kaiming"):
        assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=1e-3)
    if rule == "orthogonal":
        np.testing.assert_allclose(ours @ ours.T, np.eye(200), atol=1e-12)


def test_orthogonal_matrices_of_every_shape(module):
    made = module(INIT.replace("RULE", "orthogonal"))
    for input_size, hidden_size in ((3, 5), (5, 3), (4, 4), (1, 1)):
        w = made.init(input_size, hidden_size, rng=1)["W"]
        small = w @ w.T if hidden_size <= input_size else w.T @ w
        np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-12)


# --- step, forward, backward ----------------------------------------------------------------------


@specs
def test_steps_are_the_sequence(name, module):
    made = module(name)
    params, (x,), state, (outputs, last), _ = call(made, spec(name))
    found = []
    for x_t in x:
        output, state = made.step(params, x_t, state)
        found.append(output)
    np.testing.assert_allclose(np.stack(found), outputs, rtol=1e-12, atol=1e-14)
    for one, other in zip(arrays(state), arrays(last), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@specs
def test_a_sequence_can_be_cut_anywhere(name, module):
    """Forward in two parts, and backward through them, is the whole."""
    made = module(name)
    params, (x,), state, (outputs, last), whole = call(made, spec(name), steps=5)
    grads = weights(outputs.shape)
    first, between = made.forward(params, x[:2], state)
    second, end = made.forward(params, x[2:], between)
    np.testing.assert_allclose(np.concatenate([first, second]), outputs, rtol=1e-12, atol=1e-14)
    late, grad_late, grad_between = made.backward(params, x[2:], between, grads[2:])
    early, grad_early, grad_state = made.backward(params, x[:2], state, grads[:2], grad_between)
    sums = {key: early[key] + late[key] for key in early}
    pairs = [*zip(arrays(end), arrays(last), strict=True)]
    pairs += zip(arrays(sums), arrays(whole[0]), strict=True)
    pairs += [(np.concatenate([grad_early, grad_late]), whole[1])]
    pairs += zip(arrays(grad_state), arrays(whole[2]), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


@specs
def test_no_state_is_the_state_at_the_start(name, module):
    made = module(name)
    params, (x,), state, _, _ = call(made, spec(name))
    zero = tuple(np.zeros_like(value) for value in arrays(state))
    zero = zero if isinstance(state, tuple) else zero[0]
    for one, other in (
        (made.step(params, x[0]), made.step(params, x[0], zero)),
        (made.forward(params, x), made.forward(params, x, zero)),
        (made.backward(params, x, None, x[..., :1] * 0 + np.ones(4)),
         made.backward(params, x, zero, np.ones((3, 2, 4)))),
    ):  # fmt: skip
        for a, b in zip(arrays(one), arrays(other), strict=True):
            np.testing.assert_array_equal(a, b)


@specs
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_data_types(name, dtype, module):
    made = module(name)
    params, (x,), state, forward, backward = call(made, spec(name), dtype=dtype)
    step = made.step(params, x[0], state)
    # The cotangents' type does not matter.
    mixed = made.backward(params, x, state, np.ones(forward[0].shape, "float64"))
    for value in arrays((step, forward, backward, mixed)):
        assert isinstance(value, np.ndarray)
        assert value.dtype == dtype


def test_whole_numbers_are_numbers(module):
    """One-hot inputs of integers are not a reason to compute with integers."""
    made = module("lstm")
    params = made.init(3, 4, rng=0)
    x = np.eye(3, dtype=int)[np.array([[0, 1], [2, 2], [1, 0]])]
    outputs, _ = made.forward(params, x)
    np.testing.assert_array_equal(outputs, made.forward(params, x.astype(float))[0])
    np.testing.assert_array_equal(
        made.step(params, x[0])[0], made.step(params, x[0].astype(float))[0]
    )


@specs
@pytest.mark.parametrize(("steps", "batch"), [(0, 2), (3, 0), (0, 0), (1, 1)])
def test_few_steps_and_rows(name, steps, batch, module):
    made = module(name)
    params, (x,), state, (outputs, last), (grads, grad_x, grad_state) = call(
        made, spec(name), steps, batch
    )
    assert outputs.shape == (steps, batch, 4)
    assert grad_x.shape == x.shape
    for one, other in zip(arrays(last), arrays(state), strict=True):
        assert one.shape == other.shape
        if not steps:
            np.testing.assert_array_equal(one, other)
    assert all(grads[key].shape == value.shape for key, value in params.items())
    if not steps or not batch:
        assert not any(value.any() for value in grads.values())
    assert [v.shape for v in arrays(grad_state)] == [v.shape for v in arrays(state)]


@papers
def test_nothing_shares_memory(paper, tmp_path):
    """Arguments stay as they are, and every result can be changed without changing another."""
    program = compiled_text(paper.text, f"{paper.name}.{paper.suffix}")
    made = load(generated(program), tmp_path)
    sizes = {**SIZES, **paper.sizes} | ({"input_size": 4} if paper.square else {})
    params, inputs, state, forward, backward = call(made, program, sizes=sizes)
    given = [*arrays(params), *inputs, *arrays(state)]
    copies = [value.copy() for value in given]
    step = made.step(params, *(x[0] for x in inputs), state)
    grads = weights(forward[0].shape)
    backward = made.backward(params, *inputs, state, grads, forward[1])
    for value, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(value, copy)
    given += [grads, *arrays(forward[1])]
    for results in (step, made.forward(params, *inputs, state), backward):
        found = arrays(results)
        for i, value in enumerate(found):
            assert value.flags.writeable
            for other in (*found[:i], *given):
                assert not np.shares_memory(value, other)


def test_values_that_are_handed_through_are_copies(module):
    made = module("input x\nstate h\ny_t = x_t + 0 h_{t-1}\nh_t = b\noutput y\nparam b : vector")
    x, params = np.ones((2, 1, 3)), {"b": np.ones(3)}
    outputs, last = made.forward(params, x)
    outputs += 1
    last += 1
    assert (x == 1).all()
    assert (params["b"] == 1).all()
    output, state = made.step(params, x[0])
    output += 1
    state += 1
    assert (x == 1).all()
    assert (params["b"] == 1).all()
    grads = np.ones((2, 1, 3))
    _, grad_x, _ = made.backward(params, x, None, grads)
    grad_x += 1
    assert (grads == 1).all()


# --- Constants, sizes, several inputs, initial states ---------------------------------------------


def test_constants_are_keywords(module):
    made = module("const \\alpha = 0.5\nh_t = \\alpha h_{t-1} + W x_t")
    params, x, h = {"W": np.ones((1, 1))}, np.ones((2, 1, 1)), np.full((1, 1), 4.0)
    assert made.forward(params, x, h)[1].item() == 2.5
    assert made.forward(params, x, h, alpha=2)[1].item() == 19
    assert made.step(params, x[0], h, alpha=2)[0].item() == 9
    grads = made.backward(params, x, h, np.ones((2, 1, 1)), alpha=2)
    assert grads[2].item() == 6
    assert inspect.signature(made.forward).parameters["alpha"].default == 0.5


def test_sizes_of_parameters_are_read_from_them(module):
    made = module("size k = 16\nparam U : k x hidden_size\nparam W : k x input_size\n"
                  "param V : hidden_size x k\nh_t = V \\tanh(W x_t + U h_{t-1})")  # fmt: skip
    assert made.init(3, 4)["U"].shape == (16, 4)
    params = made.init(3, 4, k=2)
    assert params["V"].shape == (4, 2)
    outputs, _ = made.forward(params, np.ones((5, 2, 3)))
    assert outputs.shape == (5, 2, 4)
    assert "k" not in inspect.signature(made.forward).parameters


def test_sizes_that_no_shape_tells_are_keywords(module):
    text = [
        "size k = 6",
        "state m : k",
        r"m_t = 0.5 m_{t-1} + \tanh(w^\top x_t)",
        r"h_t = W x_t + \operatorname{sum}(m_t)",
    ]
    made = module("\n".join(text))
    params, x = made.init(3, 4, rng=0), np.ones((2, 1, 3))
    six, two = made.forward(params, x), made.forward(params, x, k=2)
    assert (six[1].shape, two[1].shape) == ((1, 6), (1, 2))
    _, grad_x, grad_m = made.backward(params, x, None, np.ones((2, 1, 4)), k=2)
    assert (grad_x.shape, grad_m.shape) == (x.shape, (1, 2))
    with pytest.raises(ValueError, match=r"state should have shape \(1, 2\), not \(1, 6\)"):
        made.step(params, x[0], six[1], k=2)


def test_several_inputs(module):
    made = module("h_t = \\tanh(W x_t + V u_t + U h_{t-1})\ninput x, u")
    params = made.init(3, 4, rng=0)
    size = params["V"].shape[1]
    x, u = np.ones((5, 2, 3)), np.ones((5, 2, size))
    outputs, _ = made.forward(params, x, u)
    _, grad_x, grad_u, grad_h = made.backward(params, x, u, None, np.ones_like(outputs))
    assert (grad_x.shape, grad_u.shape, grad_h.shape) == (x.shape, u.shape, (2, 4))
    assert made.step(params, x[0], u[0])[0].shape == (2, 4)
    with pytest.raises(ValueError, match=rf"u should have shape \(5, 2, {size}\), not \(4, 2"):
        made.forward(params, x, u[:4])


def test_initial_values(module):
    made = module("state h = 1\nh_t = 0.5 h_{t-1} + W x_t")
    params, x = {"W": np.zeros((2, 3))}, np.zeros((2, 1, 3))
    np.testing.assert_array_equal(made.forward(params, x)[0][:, 0, 0], [0.5, 0.25])
    assert made.step(params, x[0])[1][0, 0] == 0.5
    # Gradients start from nothing all the same.
    _, _, grad_h = made.backward(params, x, None, np.zeros((2, 1, 2)))
    assert not grad_h.any()


def test_learned_initial_states(module):
    made = module("state h learned\nh_t = \\tanh(W x_t + u * h_{t-1})")
    params = made.init(3, 4, rng=0)
    (name,) = params.keys() - {"W", "u"}
    assert params[name].shape == (4,)
    x = np.random.default_rng(0).standard_normal((5, 2, 3))
    grads = made.backward(params, x, None, np.ones((5, 2, 4)))[0]
    step = 1e-6
    moved = [
        made.forward({**params, name: params[name] + sign * step * np.eye(4)[1]}, x)[0].sum()
        for sign in (1, -1)
    ]
    assert grads[name][1] == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-7)
    # With a state given, the parameter takes no part.
    params[name] = np.ones(4)
    h = np.zeros((2, 4))
    assert not made.backward(params, x, h, np.ones((5, 2, 4)))[0][name].any()
    assert not np.array_equal(made.forward(params, x, h)[0], made.forward(params, x)[0])


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": (5, 2, 4)}, r"x should have shape \(T, B, 3\), not \(5, 2, 4\)"),
        ({"x": (2, 3)}, r"x should have shape \(T, B, 3\), not \(2, 3\)"),
        ({"x": ()}, r"x should have shape \(T, B, 3\), not \(\)"),
        ({"a": (3, 4)}, r"state a should have shape \(2, 4\), not \(3, 4\)"),
        ({"c": (4,)}, r"state c should have shape \(2, 4\), not \(4,\)"),
        ({"W_f": (4, 6)}, r"(x|W_u) should have shape"),
        ({"W_f": (4,)}, r"W_f should have shape \(hidden_size, hidden_size \+ input_size\)"),
        ({"W_o": (4, 8)}, r"W_o should have shape \(4, 7\), not \(4, 8\)"),
        ({"b_c": (4, 1)}, r"b_c should have shape \(4\), not \(4, 1\)"),
        ({"grad": (5, 2, 3)}, r"grad_outputs should have shape \(5, 2, 4\), not \(5, 2, 3\)"),
        ({"grad_c": (2, 2)}, r"grad_state c should have shape \(2, 4\), not \(2, 2\)"),
    ],
)
def test_wrong_shapes(change, message, module):
    made = module("lstm")
    params = made.init(3, 4)
    shapes = {"x": (5, 2, 3), "a": (2, 4), "c": (2, 4), "grad": (5, 2, 4), "grad_c": (2, 4)}
    for name, shape in change.items():
        if name in params:
            params[name] = np.zeros(shape)
        else:
            shapes[name] = shape
    given = {name: np.zeros(shape) for name, shape in shapes.items()}
    state, grad_state = (given["a"], given["c"]), (given["a"], given["grad_c"])
    with pytest.raises(ValueError, match=message):
        made.backward(params, given["x"], state, given["grad"], grad_state)
    if not change.keys() & {"grad", "grad_c"}:
        with pytest.raises(ValueError, match=message):
            made.forward(params, given["x"], state)
    if change.keys() & {"a", "c", "W_o", "b_c"}:
        with pytest.raises(ValueError, match=message):
            made.step(params, given["x"][0], state)


def test_too_few_states(module):
    made = module("lstm")
    with pytest.raises(ValueError, match="unpack"):
        made.forward(made.init(3, 4), np.zeros((5, 2, 3)), (np.zeros((2, 4)),))


def test_a_missing_parameter(module):
    made = module("lstm")
    params = made.init(3, 4)
    del params["W_o"]
    with pytest.raises(KeyError, match="W_o"):
        made.forward(params, np.zeros((5, 2, 3)))


def test_input_size_where_it_has_to_be_hidden_size(module):
    made = module("h_t = x_t \\odot h_{t-1} + U h_{t-1} + x_t")
    assert made.init(4, 4)["U"].shape == (4, 4)
    with pytest.raises(ValueError, match="input_size == hidden_size"):
        made.init(3, 4)


# --- How it reads ---------------------------------------------------------------------------------


def check_style(text, tmp_path):
    path = tmp_path / "cell_numpy.py"
    path.write_text(text, encoding="utf-8")
    for command in (["check"], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [ruff(), *command, "--isolated", "--no-cache", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stdout + done.stderr


@specs
def test_style_of_specs(name, tmp_path):
    check_style(generated(spec(name)), tmp_path)


@papers
def test_style_of_papers(paper, tmp_path):
    program = compiled_text(paper.text, f"{paper.name}.{paper.suffix}")
    check_style(generated(program), tmp_path)


@specs
def test_equations_stand_above_their_lines(name):
    """In `step`, every equation of the source is a comment, and the next line assigns its name."""
    program, lines = spec(name), generated(spec(name)).split("\n")
    body = lines[next(i for i, line in enumerate(lines) if line.startswith("def step")) :]
    for equation in program.source.equations:
        words = equation.text.split()
        found = [
            i
            for i, line in enumerate(body)
            if line.startswith(f"    {equation.name} = ") and body[i - 1].startswith("    # ")
        ]
        assert found, equation.name
        first = found[0]
        comment = []
        while body[first - 1].startswith("    # "):
            first -= 1
            comment.insert(0, body[first].removeprefix("    # "))
        assert " ".join(comment).split() == words


def test_gradients_read_like_mathematics():
    text = generated(spec("lstm"))
    for line in (
        "c = Gamma_f * c_prev + Gamma_u * c_tilde",
        "a[t] = Gamma_o[t] * np.tanh(c[t])",
        "grad_a = grad_outputs[t] + carry_a",
        "grad_c = carry_c + grad_a * Gamma_o[t] * (1 - tanh_c * tanh_c)",
        "carry_c = grad_c * Gamma_f[t]",
        "carry_a = grad_a_products[t] @ a_weights",
    ):
        assert line in text
    text = generated(spec("gru_v3"))
    assert "grad_z = grad_h * (h_prev[t] - n[t])" in text
    assert "h[t] = (1 - z[t]) * n[t] + z[t] * h_prev[t]" in text


def test_only_what_is_used():
    rnn = generated(spec("rnn"))
    assert "def sigmoid" not in rnn
    assert "import math" not in rnn
    assert "_initial" not in rnn
    imports = [line for line in rnn.split("\n") if line.startswith(("import", "from"))]
    assert imports == ["from __future__ import annotations", "import numpy as np"]


def test_runs_where_gatec_is_not(tmp_path):
    (tmp_path / "cell_numpy.py").write_text(generated(spec("slstm")), encoding="utf-8")
    code = (
        "import sys, numpy as np; import cell_numpy as m\n"
        "p = m.init(3, 4); y, s = m.forward(p, np.ones((2, 1, 3)))\n"
        "m.backward(p, np.ones((2, 1, 3)), None, y)\n"
        "assert not {'gatec', 'torch'} & set(sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True)


def test_header_and_bytes():
    text = generated(spec("lstm"))
    assert text.startswith('r"""LSTM, generated by gatec ')
    assert "Edit the spec, not this file." in text
    assert r"c^{<t>} = \Gamma_f^{<t>} * c^{<t-1>} + \Gamma_u^{<t>} * \tilde{c}^{<t>}" in text
    fresh = compiled(resources.spec_path("lstm"))
    assert backends.load("numpy").generate(fresh, "cell")["cell_numpy.py"] == text
    assert list(backends.load("numpy").generate(fresh, "other")) == ["other_numpy.py"]


def test_names_that_the_module_has_itself(module):
    """Quantities called like the locals of generated code do not meet them."""
    text = "\n".join(
        [
            r"B_t = \tanh(W x_t + b)",
            r"T_t = \sigma(U h_{t-1} + B_t)",
            r"\text{saved}_t = T_t \odot B_t",
            r"\text{bound}_t = \text{saved}_t + 1",
            r"h_t = \tanh(\text{bound}_t + \text{silu}_t)",
            r"\text{silu}_t = \operatorname{SiLU}(B_t)",
            "output h",
        ]
    )
    made = module(text)
    params = made.init(3, 4, rng=0)
    x = np.random.default_rng(0).standard_normal((3, 2, 3))
    b = np.tanh(x @ params["W"].T + params["b"])
    h = np.zeros((2, 4))
    for b_t in b:
        gate = 1 / (1 + np.exp(-(h @ params["U"].T + b_t)))
        h = np.tanh(gate * b_t + 1 + b_t / (1 + np.exp(-b_t)))
    outputs, last = made.forward(params, x)
    np.testing.assert_allclose(last, h, rtol=1e-12)
    made.backward(params, x, None, np.ones_like(outputs))
    made.step(params, x[0])

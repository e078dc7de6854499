"""Threads that share the steps of an affine recurrence: the numbers of one loop."""

import random
from functools import cache

import native
import numpy as np
import pytest
import torch
from harness import (
    Case,
    assert_close,
    cell_shapes,
    compiled_text,
    draw,
    executed,
    interpreted,
    weights,
)
from runtime_calls import module_of, needs_compilers, on  # noqa: F401 (a fixture)
from torch.nn.utils.rnn import pack_padded_sequence

pytestmark = needs_compilers

# Every thread counts as worth its start, and every number of steps as enough to be shared.
FLAGS = ["-DGATEC_WORK=1e-9", "-DGATEC_STEPS=0"]
SIZES = {"input_size": 3, "hidden_size": 5}
# Steps and batch: fewer steps than threads, one chunk, several with one that is not full; more rows
# than steps are shared for.
SHAPES = [(1, 1), (5, 3), (700, 1), (130, 6), (20, 50)]

CELLS = {
    "mingru": r"""
        cell MinGRU
        z_t = \sigma(W_z x_t + b_z)
        h_t = (1 - z_t) * h_{t-1} + z_t * (W x_t + b)
    """,
    "minlstm": r"""
        cell MinLSTM
        f_t = \sigma(W_f x_t + b_f)
        i_t = \sigma(W_i x_t + b_i)
        h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * (W x_t)
    """,
    # Lei et al., 2018, without the state in its gates: a state that is not the output.
    "sru": r"""
        cell SRU
        f_t = \sigma(W_f x_t + b_f)
        r_t = \sigma(W_r x_t + b_r)
        c_t = f_t * c_{t-1} + (1 - f_t) * (W x_t)
        h_t = r_t * tanh(c_t) + (1 - r_t) * (W_s x_t)
        output h
    """,
    # Bradbury et al., 2017, with filters of one step and of two; those of two stay as they are.
    "qrnn": r"""
        cell QRNN
        f_t = \sigma(W_f x_t)
        o_t = \sigma(W_o x_t)
        c_t = f_t * c_{t-1} + (1 - f_t) * tanh(W_z x_t)
        h_t = o_t * c_t
        output h
    """,
    "qrnn2": r"""
        cell QRNNTwo
        f_t = \sigma(W_f x_t + V_f x_{t-1})
        c_t = f_t * c_{t-1} + (1 - f_t) * tanh(W_z x_t + V_z x_{t-1})
        h_t = c_t
        output h
    """,
    # Two states that turn into each other, and an output that is none of them.
    "rotation": r"""
        cell Rotation
        state a = 0.5
        g_t = \sigma(W_g x_t + d)
        k_t = \sigma(W_k x_t)
        a_t = g_t * (k_t * a_{t-1} - (1 - k_t) * s_{t-1}) + W x_t
        s_t = g_t * ((1 - k_t) * a_{t-1} + k_t * s_{t-1}) - W x_t
        h_t = tanh(a_t) + s_t
        output h
    """,
    # One state that feeds another, whose product of coefficients no step has; one that only takes.
    "cascade": r"""
        cell Cascade
        state a learned
        a_t = \sigma(w) * a_{t-1} + W x_t
        p_t = a_{t-1} / (1 + \sigma(V x_t))
        q_t = 0.5 q_{t-1} + p_{t-1} + |W x_t|
        h_t = q_t * a_t
        output h
    """,
    # A product of the state in every step, and a scalar beside it.
    "readout": r"""
        cell Readout
        s_t = \sigma(d) * s_{t-1} + W x_t
        h_t = U tanh(s_t) + |s_t^\top x_t|
        param W : n_x x n_x
        param U : n_h x n_x
        output h
    """,
    # Nothing is computed before the loop.
    "bare": r"""
        cell Bare
        h_t = a * h_{t-1} + x_t
    """,
    # A coefficient that is a state of the same group, so that nothing is affine.
    "product": r"""
        cell Product
        a_t = 0.5 a_{t-1} + tanh(W x_t)
        h_t = a_{t-1} * h_{t-1} + V x_t
        output h
    """,
}
SHARED = set(CELLS) - {"qrnn2", "product"}


@cache
def program(name):
    text = "\n".join(line.strip() for line in CELLS[name].strip().splitlines())
    return compiled_text(text, f"{name}.gate")


@cache
def library(name, folder):
    return native.build(program(name), folder, flags=FLAGS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cells")


@cache
def case_of(name, steps, batch):
    """A case with states of its own, and its result by the definition."""
    shapes = cell_shapes(program(name).source, SIZES)
    case = draw(shapes, steps, batch, seed=steps).rounded("float32")
    return case, interpreted(program(name).source, SIZES, case)


def run(cell, case, threads, *, train=True, dtype="float64"):
    """Outputs and last states, with `train` after gradients were computed, too."""
    cell.threads = threads
    made = cell.program
    states = {s.name: case.states[s.name].astype(dtype) for s in made.plan.states}
    inputs = {name: value.astype(dtype) for name, value in case.inputs.items()}
    params = {name: value.astype(dtype) for name, value in case.params.items()}
    steps, batch = next(iter(inputs.values())).shape[:2]
    output = (steps, batch, *(dim.value(SIZES) for dim in made.plan.output_shape))
    grads = weights(output).astype(dtype)
    return native.run(cell, SIZES, params, inputs, states, grads, None, dtype, train=train)


@pytest.mark.parametrize("name", CELLS)
def test_steps_are_shared(name, folder):
    """Where the recurrence is affine, and nowhere else."""
    source = library(name, folder).source.read_text()
    assert ("gatec_forward_scan" in source) == (name in SHARED)
    assert ("gatec_backward_scan" in source) == (name in SHARED)


@pytest.mark.parametrize(("steps", "batch"), SHAPES)
@pytest.mark.parametrize("name", CELLS)
def test_outputs_and_gradients(name, steps, batch, folder):
    """Those of the definition with any number of threads, and the same in every call."""
    cell = library(name, folder)
    case, wanted = case_of(name, steps, batch)
    for cell.threads in (1, 2, 3, 7):
        got = executed("c", cell, program(name), SIZES, case, "float64")
        assert_close(got, wanted, 1e-12)
        again = executed("c", cell, program(name), SIZES, case, "float64")
        assert_close(again, got, 0)


@pytest.mark.parametrize("name", sorted(SHARED))
def test_without_gradients(name, folder):
    """The same numbers, from memory that does not grow with the steps, nor with the threads."""
    cell = library(name, folder)
    case, _ = case_of(name, 700, 1)
    for threads in (1, 2, 7):
        trained = run(cell, case, threads)
        got = run(cell, case, threads, train=False)
        assert np.array_equal(got.outputs, trained.outputs)
        assert all(np.array_equal(got.last[state], trained.last[state]) for state in got.last)
    rooms = set()
    for cell.threads in (1, 64):
        rooms |= {cell.workspace_size(SIZES, n, 1, "float64", False) for n in (5000, 10_000)}
    assert len(rooms) == 1


def test_no_steps(folder):
    cell = library("mingru", folder)
    shapes = cell_shapes(program("mingru").source, SIZES)
    for steps, batch in ((0, 3), (4, 0)):
        case = draw(shapes, steps, batch)
        got = run(cell, case, 3)
        assert np.array_equal(got.last["h"], case.states["h"]) or batch == 0
        assert not any(value.any() for value in got.grad_params.values())


# --- Coefficients of any size ---------------------------------------------------------------------

GIVEN = r"""
cell Given
input x, y
h_t = x_t * h_{t-1} + y_t
"""


def given(x, y, first=0.0):
    """A case of one unit whose coefficients and terms are given, for every step."""
    rows = [np.asarray(values, "float64").reshape(-1, 1, 1) for values in (x, y)]
    return Case({}, dict(zip("xy", rows, strict=True)), {"h": np.full((1, 1), first)})


@pytest.fixture(scope="module")
def given_cell(folder):
    return native.build(compiled_text(GIVEN, "given.gate"), folder, flags=FLAGS)


def sequence(case):
    """The recurrence by hand, in float32."""
    h, found = np.float32(case.states["h"]), []
    with np.errstate(all="ignore"):
        for x, y in zip(*(case.inputs[name].astype("float32") for name in "xy"), strict=True):
            h = x * h + y
            found.append(h)
    return np.array(found)


ONES = np.ones(300)
SIZES_OF_ONE = {"input_size": 1, "hidden_size": 1}


@pytest.mark.parametrize(
    ("x", "y", "first"),
    [
        (ONES * 1e3, ONES * 0, 0.0),  # products overflow, and nothing is there that grows
        (np.r_[ONES[:80] * 1e3, 0.0, ONES[:219]], ONES, 0.0),  # and then meet a 0
        (ONES * 1e-3, ONES, 5.0),  # products underflow
        (ONES * 1e-3, ONES * 0, np.inf),  # and what starts does not
        (ONES * -1, ONES, 2.0),
        (ONES, np.r_[ONES[:30], np.inf, ONES[:269]], 0.0),
        (ONES, np.r_[ONES[:30], np.nan, ONES[:269]], 0.0),
        (np.r_[ONES[:30], np.nan, ONES[:10], 0, ONES[:258]], ONES, 0.0),
        (ONES * 1.5, ONES * 1e-30, 0.0),  # all of it grows out of bounds
    ],
)
def test_coefficients_of_any_size(x, y, first, given_cell):
    """Infinities and NaN are where one loop has them, and nowhere else."""
    case = given(x, y, first)
    wanted = sequence(case)
    for threads in (1, 2, 3, 7):
        given_cell.threads = threads
        inputs = {name: value.astype("float32") for name, value in case.inputs.items()}
        states = {"h": case.states["h"].astype("float32")}
        call = (given_cell, SIZES_OF_ONE, {}, inputs, states, np.ones((300, 1, 1), "float32"))
        for train in (True, False):
            got = native.run(*call, None, "float32", train=train).outputs
            np.testing.assert_allclose(got, wanted, rtol=1e-5)


@pytest.mark.parametrize("threads", [3, 7])
def test_ten_thousand_steps(threads, folder):
    """No more is lost in float32 than one loop loses."""
    cell = library("mingru", folder)
    case = draw(cell_shapes(program("mingru").source, SIZES), 10_000, 1).rounded("float32")
    exact = run(cell, case, 1)
    got = run(cell, case, threads, dtype="float32")
    assert np.abs(got.outputs - exact.outputs).max() <= 1e-6 * np.abs(exact.outputs).max()
    for name in ("grad_params", "grad_inputs", "grad_initial"):
        found, wanted = getattr(got, name), getattr(exact, name)
        scale = max(np.abs(value).max() for value in wanted.values())
        assert all(np.abs(found[key] - wanted[key]).max() <= 1e-6 * scale for key in wanted)


# --- Random cells -----------------------------------------------------------------------------

COEFFICIENTS = [
    r"\sigma(P_{n} x_t + d_{n})",
    r"(0.1 - \sigma(P_{n} x_t))",
    r"\sigma(w_{n})",
    "0.5",
    r"\exp(-|P_{n} x_t|)",
    r"\frac{{1}}{{1 + \exp(P_{n} x_t)}}",
]


def random_cell(seed):
    """The text of a cell whose states read each other, now and one step back."""
    chosen = random.Random(seed)
    states = "pqrs"[: chosen.randint(1, 4)]
    numbers = iter(range(1, 1000))

    def coefficient():
        # In braces, so that no two names are one.
        return chosen.choice(COEFFICIENTS).format(n=f"{{{next(numbers)}}}")

    lines = ["cell Random"]
    for place, state in enumerate(states):
        read = [f"{other}_{{t-1}}" for other in chosen.sample(states, chosen.randint(0, 1))]
        read += [f"{other}_t" for other in states[:place] if chosen.random() < 0.4]
        terms = [f"0.5 * {coefficient()} * {state}_{{t-1}}"]
        terms += [f"0.3 * {coefficient()} * {value}" for value in read]
        terms += [f"0.2 * ({value} - {coefficient()} * {state}_{{t-1}})" for value in read[:1]]
        terms += [f"V_{{{next(numbers)}}} x_t"] * (chosen.random() < 0.8)
        sign = [" + ", " - "]
        lines.append(f"{state}_t = {''.join(chosen.choice(sign) + term for term in terms)[3:]}")
    shown = [f"{coefficient()} * {value}_t" for value in states]
    lines += [f"h_t = {' + '.join(shown)} + tanh({states[0]}_t)", "output h"]
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(6))
def test_random_cells(seed, folder):
    made = compiled_text(random_cell(seed), "random.gate")
    cell = native.build(made, folder, flags=FLAGS)
    assert "gatec_backward_scan" in cell.source.read_text()
    steps, batch = random.Random(seed).choice([(7, 1), (90, 5), (600, 1)])
    case = draw(cell_shapes(made.source, SIZES), steps, batch, seed=seed).rounded("float32")
    wanted = interpreted(made.source, SIZES, case)
    for cell.threads in (1, 2, 3, 7):
        assert_close(executed("c", cell, made, SIZES, case, "float64"), wanted, 1e-12)


# --- Modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("checkpoint", [None, 700])
def test_modules(packed, checkpoint, on):  # noqa: F811 (a fixture)
    """Sequences long enough that threads share steps by themselves, packed and in segments."""
    made = module_of(program("mingru"), "shared")(8, 32, dtype=torch.float64)
    torch.manual_seed(5)
    x = torch.randn(6000, 3, 8, dtype=torch.float64, requires_grad=True)
    found, before = [], torch.get_num_threads()
    try:
        for threads, every in ((1, None), (3, checkpoint)):
            made.checkpoint = every
            torch.set_num_threads(threads)
            outputs, last = made(pack_padded_sequence(x, [6000, 4001, 17]) if packed else x)
            assert made.path == "native"
            values = outputs.data if packed else outputs
            loss = (values * values.detach().cos()).sum() + last.sum()
            grads = torch.autograd.grad(loss, [x, *made.parameters()])
            found.append([values.detach(), last.detach(), *grads])
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12 * float(one.abs().max()))

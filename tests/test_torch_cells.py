"""Cells unlike an LSTM in PyTorch: several inputs, other sizes, constants, matrices, scalars.

The references are loops written by hand over torch's own functions.
"""

import pytest
import torch
from torch import sigmoid, tanh
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch_modules import generated, tensors

from gatec.names import Mangler

STEPS, BATCH = 5, 3


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64)


def close(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def made(text, *arguments, **keywords):
    torch.manual_seed(0)
    return generated(text)(*arguments, dtype=torch.float64, **keywords)


# --- Several inputs -------------------------------------------------------------------------------

TWO = """
cell Two
input x, e
h_t = tanh(W x_t + V e_t + U h_{t-1} + b)
param V : n_h x k
size k = 4
"""


def two(p, x, e, h, suffix=""):
    W, V, U, b = (getattr(p, name + suffix) for name in ("W", "V", "U", "b"))
    outputs = []
    for x_t, e_t in zip(x, e, strict=True):
        h = tanh(x_t @ W.T + e_t @ V.T + h @ U.T + b)
        outputs.append(h)
    return torch.stack(outputs), h


def test_two_inputs_in_layers_and_directions():
    """Each layer reads the outputs below in place of the first input, the others as they are."""
    layer = made(TWO, 2, 3, 2, bidirectional=True)
    x, e = draw(STEPS, BATCH, 2), draw(STEPS, BATCH, 4)
    output, last = layer(x, e)
    below, ends = x, []
    for suffix in ("", "_l1"):
        start = torch.zeros(BATCH, 3, dtype=torch.float64)
        ahead, end = two(layer, below, e, start, suffix)
        back, reverse_end = two(layer, below.flip(0), e.flip(0), start, suffix + "_reverse")
        below = torch.cat([ahead, back.flip(0)], -1)
        ends += [end, reverse_end]
    close(output, below)
    close(last, torch.stack(ends))


def test_two_inputs_in_any_form():
    layer = made(TWO, 2, 3)
    x, e = draw(STEPS, BATCH, 2), draw(STEPS, BATCH, 4)
    wanted, last = layer(x, e)
    close(layer(x[:, 0], e[:, 0])[0], wanted[:, 0])
    close(layer.cell(x[0], e[0])[0], wanted[0])
    close(layer.cell(x[0, 0], e[0, 0])[0], wanted[0, 0])
    layer.batch_first = True
    close(layer(x.transpose(0, 1), e.transpose(0, 1))[0], wanted.transpose(0, 1))
    close(layer(x[:, 0], e[:, 0])[0], wanted[:, 0])
    layer.batch_first = False
    lengths = torch.tensor([2, 5, 3])
    packed = [pack_padded_sequence(v, lengths, enforce_sorted=False) for v in (x, e)]
    output, last = layer(*packed)
    padded, _ = pad_packed_sequence(output)
    for i, length in enumerate(lengths):
        close(padded[:length, i], wanted[:length, i])
        close(last[0, i], wanted[length - 1, i])


def test_inputs_that_do_not_fit_each_other():
    layer = made(TWO, 2, 3)
    x, e = draw(STEPS, BATCH, 2), draw(STEPS, BATCH, 4)
    for other in (e[:-1], e[:, :-1], e[:, 0]):
        with pytest.raises(RuntimeError, match="packed alike or of one size"):
            layer(x, other)
    with pytest.raises(RuntimeError, match=r"Expected e size \(15, 4\)"):
        layer(x, e[..., :3])

    def packed(value, lengths, in_order):
        return pack_padded_sequence(value, torch.tensor(lengths), enforce_sorted=in_order)

    one = packed(x, [5, 3, 2], True)
    for other in (e, packed(e, [5, 2, 2], True), packed(e, [3, 5, 2], False)):
        with pytest.raises(RuntimeError, match="packed alike"):
            layer(one, other)
    with pytest.raises(RuntimeError, match="packed alike"):
        layer(packed(x, [5, 3, 2], False), packed(e, [3, 5, 2], False))


# --- Sizes and constants --------------------------------------------------------------------------

SIZED = r"""
cell Sized
const \gamma = 0.25
const \lambda = 1e-6
size k = 4
param P : n_h x k
param V : k x n_h
s_t = sigmoid(V h_{t-1})
h_t = \gamma P s_t + tanh(W x_t) + \lambda
"""


def test_sizes_and_constants():
    x = draw(STEPS, BATCH, 2)
    for keywords in ({}, {"k": 3}, {"gamma_": -2, "lambda_": 0.5, "k": 1}):
        layer = made(SIZED, 2, 3, **keywords)
        k, gamma, small = ({"k": 4, "gamma_": 0.25, "lambda_": 1e-6} | keywords).values()
        assert layer.P.shape == (3, k)
        h, outputs = torch.zeros(BATCH, 3, dtype=torch.float64), []
        for x_t in x:
            s = sigmoid(h @ layer.V.T)
            h = gamma * s @ layer.P.T + tanh(x_t @ layer.W.T) + small
            outputs.append(h)
        close(layer(x)[0], torch.stack(outputs))
        assert all(f"{name}={value}" in repr(layer) for name, value in keywords.items())
    assert repr(made(SIZED, 2, 3)) == "Sized(2, 3)"


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"k": 0}, ValueError, "k must be greater than zero"),
        ({"k": 2.0}, TypeError, "k should be of type int"),
        ({"gamma_": "much"}, ValueError, "could not convert string to float"),
        ({"gamma_": None}, TypeError, "must be a string or a real number"),
        ({"kappa": 1}, TypeError, "unexpected keyword"),
    ],
)
def test_bad_sizes_and_constants(keywords, error, words):
    with pytest.raises(error, match=words):
        made(SIZED, 2, 3, **keywords)


def test_sizes_and_constants_are_keywords():
    with pytest.raises(TypeError, match="positional"):
        generated(SIZED)(2, 3, 1, True, False, 0.0, False, None, None, 4)


# --- What layers pass on --------------------------------------------------------------------------

WIDE = r"""
cell Wide
h_t = tanh(W x_t + U h_{t-1} + b)
y_t = V [h_t, x_t]
param V : k x n_h + n_x
size k = 4
"""


def wide(layer, x, suffix):
    W, U, b, V = (getattr(layer, name + suffix) for name in ("W", "U", "b", "V"))
    h, outputs = torch.zeros(x.shape[1], U.shape[0], dtype=torch.float64), []
    for x_t in x:
        h = tanh(x_t @ W.T + h @ U.T + b)
        outputs.append(torch.cat([h, x_t], -1) @ V.T)
    return torch.stack(outputs), h


@pytest.mark.parametrize("bidirectional", [False, True])
def test_outputs_of_another_size(bidirectional):
    """Layer k reads what layer k - 1 gives, whatever its size."""
    layer = made(WIDE, 2, 3, 3, bidirectional=bidirectional)
    x = below = draw(STEPS, BATCH, 2)
    for suffix in ("", "_l1", "_l2"):
        outputs = wide(layer, below, suffix)[0]
        if bidirectional:
            back = wide(layer, below.flip(0), suffix + "_reverse")[0].flip(0)
            outputs = torch.cat([outputs, back], -1)
        below = outputs
    output, last = layer(x)
    close(output, below)
    assert last.shape == (6 if bidirectional else 3, BATCH, 3)
    assert output.shape[-1] == (8 if bidirectional else 4)


SCALAR_OUTPUT = r"""
cell Scalar
h_t = tanh(W x_t + U h_{t-1} + b)
y_t = w^\top h_t
"""


@pytest.mark.parametrize("bidirectional", [False, True])
def test_scalar_outputs(bidirectional):
    layer = made(SCALAR_OUTPUT, 2, 3, 2, bidirectional=bidirectional)
    x = draw(STEPS, BATCH, 2)

    def run(x, suffix):
        W, U, b, w = (getattr(layer, name + suffix) for name in ("W", "U", "b", "w"))
        h, outputs = torch.zeros(BATCH, 3, dtype=torch.float64), []
        for x_t in x:
            h = tanh(x_t @ W.T + h @ U.T + b)
            outputs.append(h @ w)
        return torch.stack(outputs).unsqueeze(-1)

    below = x
    for suffix in ("", "_l1"):
        outputs = run(below, suffix)
        if bidirectional:
            back = run(below.flip(0), suffix + "_reverse").flip(0)
            outputs = torch.cat([outputs, back], -1)
        below = outputs
    close(layer(x)[0], below if bidirectional else below.squeeze(-1))


def test_scalar_inputs():
    text = "cell S\ninput x : scalar\nparam w : vector\nh_t = tanh(w x_t + U h_{t-1})"
    layer = made(text, 1, 3)
    x, h, outputs = draw(STEPS, BATCH), torch.zeros(BATCH, 3, dtype=torch.float64), []
    for x_t in x:
        h = tanh(x_t[:, None] * layer.w + h @ layer.U.T)
        outputs.append(h)
    close(layer(x)[0], torch.stack(outputs))
    close(layer(x[:, 0])[0], torch.stack(outputs)[:, 0])
    packed = pack_padded_sequence(x, [5, 2, 1])
    close(pad_packed_sequence(layer(packed)[0])[0][:, 0], torch.stack(outputs)[:, 0])
    close(layer.cell(x[0])[0], outputs[0])
    with pytest.raises(ValueError, match="Expected input to be 1D or 2D, got 3D"):
        layer(draw(STEPS, BATCH, 1))
    with pytest.raises(ValueError, match="input_size must be 1"):
        made(text, 2, 3)
    with pytest.raises(ValueError, match="num_layers must be 1"):
        made(text, 1, 3, 2)


SQUARE = "cell Square\nh_t = tanh(x_t + U h_{t-1} + b)"


def test_cells_that_tie_the_sizes():
    """x is added to h's products: input_size and hidden_size are one size."""
    with pytest.raises(ValueError, match="input_size must be equal to hidden_size, got 2 and 3"):
        made(SQUARE, 2, 3)
    with pytest.raises(ValueError, match="num_layers must be 1"):
        made(SQUARE, 3, 3, 2, bidirectional=True)
    layer = made(SQUARE, 3, 3, 2)
    x = draw(STEPS, BATCH, 3)
    below = x
    for suffix in ("", "_l1"):
        h, outputs = torch.zeros(BATCH, 3, dtype=torch.float64), []
        for x_t in below:
            h = tanh(x_t + h @ getattr(layer, "U" + suffix).T + getattr(layer, "b" + suffix))
            outputs.append(h)
        below = torch.stack(outputs)
    close(layer(x)[0], below)
    with pytest.raises(RuntimeError, match="Expected 3, got 2"):
        layer(x[..., :2])


LAGGED = "cell Lagged\nh_t = tanh(W x_t + V x_{t-1} + U h_{t-2} + b)"


def lagged(layer, x, suffix=""):
    W, V, U, b = (getattr(layer, name + suffix) for name in ("W", "V", "U", "b"))
    zero = torch.zeros(x.shape[1], U.shape[0], dtype=torch.float64)
    past, before = [zero, zero], torch.zeros_like(x[0])
    for x_t in x:
        past.append(tanh(x_t @ W.T + before @ V.T + past[-2] @ U.T + b))
        before = x_t
    return torch.stack(past[2:])


def test_lagged_inputs_and_states():
    """What is remembered for longer is part of the state, so that a sequence can be cut."""
    layer = made(LAGGED, 2, 3, bidirectional=True)
    x = draw(STEPS, BATCH, 2)
    output, last = layer(x)
    close(output[..., :3], lagged(layer, x))
    close(output[..., 3:], lagged(layer, x.flip(0), "_reverse").flip(0))
    one = made(LAGGED, 2, 3)
    first, state = one(x[:2])
    second, last = one(x[2:], state)
    close(torch.cat([first, second]), one(x)[0])
    for got, wanted in zip(tensors(last), tensors(one(x)[1]), strict=True):
        close(got, wanted)
    # Several layers have one state tensor: it must have one size.
    with pytest.raises(ValueError, match="num_layers must be 1: a state holds inputs"):
        made(LAGGED, 2, 3, 2)
    layer = made(LAGGED, 3, 3, 2)
    x = draw(STEPS, BATCH, 3)
    close(layer(x)[0], lagged(layer, lagged(layer, x), "_l1"))


# --- Initial states -------------------------------------------------------------------------------


def test_learned_initial_state():
    layer = made("cell L\nstate h learned\nh_t = tanh(W x_t + U h_{t-1})", 2, 3, 2)
    names = [key for key, _ in layer.named_parameters()]
    assert sum(key.startswith("h_0") for key in names) == 2
    with torch.no_grad():
        for key, weight in layer.named_parameters():
            if key.startswith("h_0"):
                assert not weight.any()
                weight.normal_()
    x = draw(STEPS, BATCH, 2)
    starts = torch.stack([layer.h_0, layer.h_0_l1]).unsqueeze(1).expand(-1, BATCH, -1)
    close(layer(x)[0], layer(x, starts)[0])
    lengths = torch.tensor([1, 5, 2])
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    close(layer(packed)[0].data, layer(packed, starts)[0].data)
    close(layer(x[:, 0])[0], layer(x)[0][:, 0])
    close(layer.cell(x[0])[0], layer.cell(x[0], starts[0])[0])
    layer(x)[0].sum().backward()
    assert layer.h_0.grad.abs().min() > 0
    # A given state leaves the learned one alone.
    layer.zero_grad()
    layer(x, starts.detach())[0].sum().backward()
    assert layer.h_0.grad is None or not layer.h_0.grad.any()


def test_initial_state_of_a_number():
    layer = made("cell L\nstate h = 0.5\nh_t = tanh(W x_t + U h_{t-1})", 2, 3, bidirectional=True)
    x = draw(STEPS, BATCH, 2)
    start = torch.full((2, BATCH, 3), 0.5, dtype=torch.float64)
    close(layer(x)[0], layer(x, start)[0])
    packed = pack_padded_sequence(x, [5, 4, 1])
    close(layer(packed)[0].data, layer(packed, start)[0].data)


# --- Parameters -----------------------------------------------------------------------------------

INITS = """
cell Inits
h_t = tanh(W x_t + U h_{t-1} + V h_{t-1} + b + c) * d
init U = orthogonal
init V = identity
init b = 1
init c = -2.5
init d = ones
"""


def test_initial_values_of_the_spec():
    layer = made(INITS, 2, 3, 2, bidirectional=True)
    for suffix in ("", "_reverse", "_l1", "_l1_reverse"):
        eye = torch.eye(3, dtype=torch.float64)
        found = {name: getattr(layer, name + suffix) for name in ("U", "V", "b", "c", "d")}
        close(found["U"] @ found["U"].T, eye)
        close(found["V"].detach(), eye)
        assert found["b"].eq(1).all()
        assert found["c"].eq(-2.5).all()
        assert found["d"].eq(1).all()
        assert getattr(layer, "W" + suffix).abs().max() <= 3**-0.5
    without = made(INITS, 2, 3, bias=False)
    assert without.b is None
    assert without.c is None
    assert without.d is not None


def test_no_parameters():
    layer = made("cell N\nh_t = tanh(x_t + h_{t-1})", 3, 3)
    assert not list(layer.parameters())
    x = draw(STEPS, BATCH, 3)
    h = torch.zeros(BATCH, 3, dtype=torch.float64)
    for x_t in x:
        h = tanh(x_t + h)
    close(layer(x)[1][0], h)


def test_an_input_that_the_step_does_not_read():
    layer = made("cell N\ninput x\nh_t = tanh(U h_{t-1} + b)\ny_t = V x_t + h_t", 2, 3)
    x, h, outputs = draw(STEPS, BATCH, 2), torch.zeros(BATCH, 3, dtype=torch.float64), []
    for x_t in x:
        h = tanh(h @ layer.U.T + layer.b)
        outputs.append(x_t @ layer.V.T + h)
    close(layer(x)[0], torch.stack(outputs))


def test_nothing_of_the_input_is_read():
    text = "cell N\ninput x : vector\nh_t = tanh(U h_{t-1} + b) + 0 x_t"
    layer = made(text, 3, 3)
    x, h = draw(STEPS, BATCH, 3), torch.zeros(BATCH, 3, dtype=torch.float64)
    for _ in range(STEPS):
        h = tanh(h @ layer.U.T + layer.b)
    output, last = layer(x)
    close(last[0], h)
    assert output.shape == (STEPS, BATCH, 3)


# --- Names ----------------------------------------------------------------------------------------

NAMES = """
cell State
input sizes
const layer = 2
param weights : matrix
param batch : matrix
param rows : matrix
h_t = tanh(weights sizes_t + rows h_{t-1} + reverse + direction) * layer + batch sizes_t
"""


def test_names_that_the_module_has_too():
    layer = made(NAMES, 2, 3, 2)
    x, h = draw(STEPS, BATCH, 2), torch.zeros(BATCH, 3, dtype=torch.float64)
    for x_t in x:
        summed = x_t @ layer.weights.T + h @ layer.rows.T + layer.reverse + layer.direction
        h = 2 * tanh(summed) + x_t @ layer.batch.T
    close(layer(x)[1][0], h)
    close(layer(sizes_=x)[1][0], h)
    close(layer.cell(x[0])[0], layer(x[:1], torch.zeros(2, BATCH, 3).double())[1][0])


def test_no_name_of_a_spec_is_one_of_nn_module():
    """A parameter or a constant hides no method and no attribute of its module."""
    layer = generated("lstm")(2, 3)
    own = set(dict(layer.named_parameters()))
    for name in set(dir(layer)) - own:
        if not name.startswith("_"):
            assert Mangler().name(name, name) != name
    for text in ("named_buffers", "training", "path", "cell", "get_buffer"):
        made(f"h_t = tanh(W x_t + \\text{{{text}}} ⊙ h_{{t-1}})", 2, 3)

"""`from_torch` and `to_torch` of generated modules: the same function before and after."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import gatec

INPUT, HIDDEN, STEPS, BATCH = 3, 4, 5, 2

# Cho's order of the gate on the past, and the reset after the product: another's letters.
FLIPPED = r"""
cell Flipped
z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z)
r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r)
n_t = \tanh(W_n x_t + b_n + r_t \odot (U_n h_{t-1} + c_n))
h_t = (1 - z_t) \odot h_{t-1} + z_t \odot n_t
"""
# tanh as a logistic function, gates in another order, weights for [x, h].
DISGUISED = r"""
cell Disguised
o_t = \sigma(A [x_t, y_{t-1}] + d)
s_t = 2 \sigma(2 (B [x_t, y_{t-1}] + e)) - 1
j_t = \sigma(C [x_t, y_{t-1}] + f)
k_t = \sigma(D [x_t, y_{t-1}] + g)
m_t = m_{t-1} \odot k_t + s_t \odot j_t
y_t = \tanh(m_t) \odot o_t
"""
RELU = r"""
cell Relu
h_t = \operatorname{ReLU}(W x_t + U h_{t-1} + b)
"""
CASES = {
    "lstm": ("lstm", nn.LSTM, {}),
    "documentation": ("doc:torch.nn:LSTM", nn.LSTM, {}),
    "disguised": (DISGUISED, nn.LSTM, {}),
    "gru": ("gru_v3", nn.GRU, {}),
    "flipped": (FLIPPED, nn.GRU, {}),
    "rnn": ("rnn", nn.RNN, {}),
    "relu": (RELU, nn.RNN, {"nonlinearity": "relu"}),
}
OPTIONS = [
    {"num_layers": layers, "bias": bias, "batch_first": first, "bidirectional": both}
    for layers, bias, first, both in itertools.product((1, 2), *[(True, False)] * 3)
]
CLASSES = {}


def generated(case):
    """The generated class of a case."""
    if case not in CLASSES:
        module = gatec.load(CASES[case][0])
        CLASSES[case] = next(v for v in vars(module).values() if hasattr(v, "from_torch"))
    return CLASSES[case]


def theirs(case, **options):
    _, kind, more = CASES[case]
    torch.manual_seed(1)
    made = kind(INPUT, HIDDEN, **options, **more).double()
    with torch.no_grad():  # biases that are no smaller than weights
        for param in made.parameters():
            param.uniform_(-1, 1)
    return made


def tensors(state):
    return [state] if isinstance(state, torch.Tensor) else list(state)


def computed(module, x, weights):
    """Outputs, last hidden states, and gradients of the input."""
    x = x.clone().requires_grad_()
    output, state = module(x)
    total = (output * weights).sum() + sum(value.pow(2).sum() for value in tensors(state))
    (slope,) = torch.autograd.grad(total, x, retain_graph=True)
    return output, slope, sorted(float(value.detach().sum()) for value in tensors(state))


def assert_same(one, other, **options):
    generator = torch.Generator().manual_seed(2)
    shape = (BATCH, STEPS) if options.get("batch_first") else (STEPS, BATCH)
    directions = 2 if options.get("bidirectional") else 1
    x = torch.randn(*shape, INPUT, generator=generator, dtype=torch.float64)
    weights = torch.randn(*shape, directions * HIDDEN, generator=generator, dtype=torch.float64)
    for a, b in zip(computed(one, x, weights), computed(other, x, weights), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case, options):
    given = theirs(case, **options)
    made = generated(case).from_torch(given)
    assert_same(made, given, **options)
    back = made.to_torch()
    assert type(back) is CASES[case][1]
    assert_same(back, given, **options)
    again = type(made).from_torch(back)
    for (name, one), (_, other) in zip(
        made.named_parameters(), again.named_parameters(), strict=True
    ):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_parameters(case):
    """A step of gradient descent there is the step here: both are the same function of weights."""
    given = theirs(case, num_layers=2, bidirectional=True)
    made = generated(case).from_torch(given)
    x = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64)
    (made(x)[0] ** 3).sum().backward()
    direction = {name: torch.randn_like(p) for name, p in made.named_parameters()}
    slope = sum((p.grad * direction[name]).sum() for name, p in made.named_parameters())
    values, step = [], 1e-6
    for sign in (1, -1):
        with torch.no_grad():
            for name, p in made.named_parameters():
                p += sign * step * direction[name]
            values.append((made.to_torch()(x)[0] ** 3).sum())
            for name, p in made.named_parameters():
                p -= sign * step * direction[name]
    torch.testing.assert_close(slope, (values[0] - values[1]) / (2 * step), rtol=1e-6, atol=1e-6)


def test_two_biases():
    """Where the equations have one bias, torch's two are summed; back, one of them is 0."""
    given = theirs("lstm")
    made = generated("lstm").from_torch(given)
    i, f, g, o = (given.bias_ih_l0 + given.bias_hh_l0).chunk(4)
    for name, value in {"b_u": i, "b_f": f, "b_c": g, "b_o": o}.items():
        assert torch.equal(getattr(made, name), value)
    back = made.to_torch()
    assert torch.equal(back.bias_ih_l0, given.bias_ih_l0 + given.bias_hh_l0)
    assert not back.bias_hh_l0.any()
    # Where they have two, each is itself.
    given = theirs("gru")
    back = generated("gru").from_torch(given).to_torch()
    for name, value in given.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name


def test_manners_are_kept():
    given = nn.LSTM(INPUT, HIDDEN, 2, dropout=0.25, batch_first=True).half().eval()
    made = generated("lstm").from_torch(given)
    assert (made.dropout, made.batch_first, made.training) == (0.25, True, False)
    assert {p.dtype for p in made.parameters()} == {torch.float16}
    assert all(p.requires_grad for p in made.parameters())
    back = made.train().to_torch()
    assert (back.dropout, back.batch_first, back.training) == (0.25, True, True)
    # The weights are copies.
    with torch.no_grad():
        given.weight_ih_l0.zero_()
    assert made.W_f.any()


def test_packed_sequences():
    given = theirs("lstm", bidirectional=True)
    made = generated("lstm").from_torch(given)
    x = torch.randn(STEPS, 3, INPUT, dtype=torch.float64)
    packed = pack_padded_sequence(x, [2, 5, 3], enforce_sorted=False)
    one, other = (pad_packed_sequence(module(packed)[0])[0] for module in (made, given))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_what_is_refused():
    cls = generated("lstm")
    with pytest.raises(TypeError, match=r"expected nn\.LSTM, got GRU"):
        cls.from_torch(nn.GRU(INPUT, HIDDEN))
    with pytest.raises(ValueError, match="proj_size"):
        cls.from_torch(nn.LSTM(INPUT, HIDDEN, proj_size=2))
    with pytest.raises(ValueError, match="nonlinearity 'tanh', got 'relu'"):
        generated("rnn").from_torch(nn.RNN(INPUT, HIDDEN, nonlinearity="relu"))


OTHERS = [
    "gru",  # the reset gate acts before the product
    "lstm_peephole",
    "cifg",
    "mgu",
    "minlstm",
    "deltanet",
    r"h_t = \tanh(W x_t + U h_{t-1})",  # no bias
    r"h_t = \tanh(W x_t + U h_{t-1} + b) + 0.5",
    r"h_t = \tanh(W x_t + h_{t-1} + b)",
    "state h = 1\n" + r"h_t = \tanh(W x_t + U h_{t-1} + b)",
    "state h learned\n" + r"h_t = \tanh(W x_t + U h_{t-1} + b)",
    r"h_t = \tanh(W x_t + U h_{t-2} + b)",
]


@pytest.mark.parametrize("spec", OTHERS, ids=range(len(OTHERS)))
def test_other_cells_have_neither(spec):
    text = gatec.compile(spec)
    assert "from_torch" not in text
    assert "to_torch" not in text


def test_the_same_text_with_and_without_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = gatec.compile(FLIPPED)
    assert list((tmp_path / "gatec").glob("weights-*"))
    assert gatec.compile(FLIPPED) == first
    monkeypatch.setenv("XDG_CACHE_HOME", "relative: nothing is remembered")
    assert gatec.compile(FLIPPED) == first

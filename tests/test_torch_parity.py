"""`lstm`, `gru_v3` and `rnn` against torch's own modules, weights copied; torch's own docstrings.

In double precision everything agrees to 1e-12: outputs, states, and the gradients of inputs,
initial states and every parameter.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
from harness import build, compiled, difference, weights
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatec import resources

TOLERANCE = 1e-12
INPUT, HIDDEN, STEPS, BATCH = 3, 5, 6, 4


@cache
def program(name):
    return compiled(resources.spec_path(name))


@cache
def module_class(name):
    return getattr(build("torch", program(name), _folder), program(name).source.name)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    global _folder
    _folder = tmp_path_factory.mktemp("generated")
    yield
    module_class.cache_clear()


# --- How torch's stacked weights stand in the specs ----------------------------------------------


def lstm_weights(w_ih, w_hh, b_ih, b_hh):
    """torch stacks i, f, g, o; the notes call them u, f, c, o and join [a, x]."""
    made = {}
    for index, gate in enumerate("ufco"):
        rows = slice(index * HIDDEN, (index + 1) * HIDDEN)
        made[f"W_{gate}"] = torch.cat([w_hh[rows], w_ih[rows]], 1)
        made[f"b_{gate}"] = b_ih[rows] + b_hh[rows]
    return made


def gru_weights(w_ih, w_hh, b_ih, b_hh):
    made = {}
    for index, gate in enumerate("rzn"):
        rows = slice(index * HIDDEN, (index + 1) * HIDDEN)
        made |= {f"W_i{gate}": w_ih[rows], f"W_h{gate}": w_hh[rows]}
        made |= {f"b_i{gate}": b_ih[rows], f"b_h{gate}": b_hh[rows]}
    return made


def rnn_weights(w_ih, w_hh, b_ih, b_hh):
    return {"W_ih": w_ih, "W_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}


WEIGHTS = {"lstm": lstm_weights, "gru_v3": gru_weights, "rnn": rnn_weights}
THEIRS = {"lstm": nn.LSTM, "gru_v3": nn.GRU, "rnn": nn.RNN}


def suffixes(module):
    for layer in range(module.num_layers):
        yield from [f"_l{layer}", f"_l{layer}_reverse"][: 1 + module.bidirectional]


def ours(suffix):
    """The suffix of our names for torch's: the first layer's names are the equations' own."""
    return suffix.replace("_l0", "")


def stacked(module, suffix):
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [getattr(module, name + suffix, None) for name in names]


def copy_weights(name, theirs, made):
    bias = theirs.bias
    with torch.no_grad():
        for suffix in suffixes(theirs):
            values = stacked(theirs, suffix)
            if not bias:
                values[2:] = [torch.zeros_like(values[0][:, 0])] * 2
            for key, value in WEIGHTS[name](*values).items():
                if bias or not key.startswith("b"):
                    getattr(made, key + ours(suffix)).copy_(value)


def check_weight_gradients(name, theirs, made):
    for suffix in suffixes(theirs):
        grads = [None if value is None else value.grad for value in stacked(theirs, suffix)]
        if name == "lstm":
            # Both of torch's biases have the gradient of their sum.
            grads[3] = torch.zeros_like(grads[2]) if theirs.bias else None
        if not theirs.bias:
            grads[2:] = [torch.zeros_like(grads[0][:, 0])] * 2
        for key, wanted in WEIGHTS[name](*grads).items():
            if theirs.bias or not key.startswith("b"):
                got = getattr(made, key + ours(suffix)).grad
                assert difference(got.numpy(), wanted.numpy()) <= TOLERANCE, key + suffix


def pair(name, **keywords):
    """torch's module and ours, with the same weights, in double precision."""
    torch.manual_seed(0)
    theirs = THEIRS[name](INPUT, HIDDEN, dtype=torch.float64, **keywords)
    made = module_class(name)(INPUT, HIDDEN, dtype=torch.float64, **keywords)
    copy_weights(name, theirs, made)
    return theirs, made


def states_of(name, module, batch):
    """An initial state as both modules take it, twice, so that each has its own gradients."""
    shape = (module.num_layers * (1 + module.bidirectional), batch, HIDDEN)
    values = [torch.randn(shape, dtype=torch.float64) for _ in range(1 + (name == "lstm"))]

    def leaves():
        made = [value.clone().requires_grad_() for value in values]
        return made[0] if len(made) == 1 else tuple(made)

    return leaves(), leaves()


def tensors(value):
    return list(value) if isinstance(value, tuple) else [value]


def close(got, wanted):
    assert difference(got.detach().numpy(), wanted.detach().numpy()) <= TOLERANCE


def loss_of(outputs, state):
    total = 0
    for value in [outputs, *tensors(state)]:
        total = total + (value * torch.tensor(weights(tuple(value.shape)))).sum()
    return total


def compare(name, theirs, made, make_input, with_state, read_output=lambda output: output):
    """Runs both on one input and compares everything, forward and backward."""
    batch = BATCH
    x_theirs, x_ours = make_input(), make_input()
    first, second = states_of(name, theirs, batch) if with_state else (None, None)
    results = []
    for module, x, state in ((theirs, x_theirs, first), (made, x_ours, second)):
        output, last = module(x["given"], state)
        output = read_output(output)
        loss_of(output, last).backward()
        results.append((output, last))
    (want, want_last), (got, got_last) = results
    close(got, want)
    for a, b in zip(tensors(got_last), tensors(want_last), strict=True):
        close(a, b)
    close(x_ours["leaf"].grad, x_theirs["leaf"].grad)
    if with_state:
        for a, b in zip(tensors(second), tensors(first), strict=True):
            close(a.grad, b.grad)
    check_weight_gradients(name, theirs, made)


def plain_input(shape):
    def make():
        torch.manual_seed(1)
        leaf = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        return {"leaf": leaf, "given": leaf}

    return make


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"num_layers": 2},
        {"bidirectional": True},
        {"num_layers": 3, "bidirectional": True},
        {"num_layers": 2, "batch_first": True},
        {"bias": False, "num_layers": 2, "bidirectional": True},
    ],
    ids=lambda keywords: " ".join(keywords) or "default",
)
@pytest.mark.parametrize("name", list(THEIRS))
def test_module(name, keywords, with_state):
    theirs, made = pair(name, dropout=0.0, **keywords)
    shape = (BATCH, STEPS, INPUT) if keywords.get("batch_first") else (STEPS, BATCH, INPUT)
    compare(name, theirs, made, plain_input(shape), with_state)


@pytest.mark.parametrize("lengths", [(6, 4, 4, 1), (2, 6, 1, 5)], ids=["sorted", "unsorted"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", list(THEIRS))
def test_packed(name, bidirectional, batch_first, lengths):
    theirs, made = pair(name, num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
    in_order = list(lengths) == sorted(lengths, reverse=True)
    make_plain = plain_input((BATCH, STEPS, INPUT) if batch_first else (STEPS, BATCH, INPUT))

    def make():
        leaf = make_plain()["leaf"]
        packed = pack_padded_sequence(
            leaf, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=in_order
        )
        return {"leaf": leaf, "given": packed}

    compare(name, theirs, made, make, True, lambda output: pad_packed_sequence(output)[0])


@pytest.mark.parametrize("name", list(THEIRS))
def test_unbatched(name):
    theirs, made = pair(name, num_layers=2)
    x = torch.randn(STEPS, INPUT, dtype=torch.float64)
    want, want_last = theirs(x)
    got, got_last = made(x)
    close(got, want)
    for a, b in zip(tensors(got_last), tensors(want_last), strict=True):
        close(a, b)


# --- The cells that torch's docstrings describe ---------------------------------------------------


def documented_weights(kind, module):
    """The parameters under the docstring's names, from torch's stacked ones."""
    gates = {"LSTM": "ifgo", "GRU": "rzn", "RNN": "h"}[kind.removesuffix("Cell")]
    suffix = "" if kind.endswith("Cell") else "_l0"
    w_ih, w_hh, b_ih, b_hh = stacked(module, suffix)
    if gates == "h":
        return rnn_weights(w_ih, w_hh, b_ih, b_hh)
    made = {}
    for index, gate in enumerate(gates):
        rows = slice(index * HIDDEN, (index + 1) * HIDDEN)
        made |= {f"W_i{gate}": w_ih[rows], f"W_h{gate}": w_hh[rows]}
        made |= {f"b_i{gate}": b_ih[rows], f"b_h{gate}": b_hh[rows]}
    return made


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_documentation(kind, tmp_path):
    """The formulas of torch's documentation compute what torch's code computes."""
    made = compiled(f"doc:torch.nn:{kind}")
    assert made.source.name == kind
    module = build("torch", made, tmp_path)
    torch.manual_seed(0)
    theirs = getattr(nn, kind)(INPUT, HIDDEN, dtype=torch.float64)
    cell = getattr(module, kind)(INPUT, HIDDEN, dtype=torch.float64)
    copied = documented_weights(kind, theirs)
    assert {name for name, _ in cell.named_parameters()} == set(copied)
    with torch.no_grad():
        for name, value in copied.items():
            getattr(cell, name).copy_(value)
    x = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64)
    got, got_last = cell(x)
    if not kind.endswith("Cell"):
        want, want_last = theirs(x)
    else:
        outputs, want_last = [], None
        for x_t in x:
            want_last = theirs(x_t, want_last)
            outputs.append(tensors(want_last)[0])
        want = torch.stack(outputs)
    close(got, want)
    for a, b in zip(tensors(got_last), tensors(want_last), strict=True):
        close(a.reshape(b.shape), b)


def test_notes():
    """The course notes, damaged characters and all, are the same cell as specs/lstm.gate."""
    notes = compiled(Path(__file__).parent / "data" / "rnn-notes.txt").source
    spec = program("lstm").source
    assert [(e.name, e.value) for e in notes.equations] == [
        (e.name, e.value) for e in spec.equations
    ]
    assert notes.output == spec.output
    for group in ("inputs", "states", "params"):
        ours = [(item.name, item.shape) for item in getattr(notes, group)]
        assert ours == [(item.name, item.shape) for item in getattr(spec, group)]

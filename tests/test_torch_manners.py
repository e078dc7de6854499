"""Generated modules behave as torch's own: arguments, errors and their words, warnings, text."""

import re
import warnings

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch_modules import CLASSES, PAIRS, generated, state, tensors

INPUT, HIDDEN, STEPS, BATCH = 3, 5, 4, 2
pairs = pytest.mark.parametrize("name", list(PAIRS))


def outcome(function):
    """What a call raises: its type and its words, without the module's name."""
    try:
        function()
    except Exception as error:
        words = re.sub(r"^(LSTM|GRUv3|GRU|RNN)\b", "NAME", str(error))
        # nn.RNN alone says "5D tensor instead".
        return type(error), words.replace("D tensor instead", "D instead")
    return None


def both(name, *arguments, **keywords):
    made = generated(name)(*arguments, **keywords)
    return PAIRS[name](*arguments, **keywords), made


# --- Arguments of the constructor -----------------------------------------------------------------


@pairs
@pytest.mark.parametrize(
    "keywords",
    [
        {"input_size": 0},
        {"hidden_size": 0},
        {"hidden_size": -1},
        {"input_size": 3.0},
        {"hidden_size": "5"},
        {"num_layers": 0},
        {"bias": 1},
        {"batch_first": "yes"},
        {"dropout": 1.5},
        {"dropout": -0.1},
        {"dropout": True},
        {"dropout": "much"},
        {"dropout": "0.5"},
    ],
    ids=str,
)
def test_bad_arguments(name, keywords):
    keywords = {"input_size": INPUT, "hidden_size": HIDDEN} | keywords
    wanted = outcome(lambda: PAIRS[name](**keywords))
    assert wanted is not None
    assert outcome(lambda: generated(name)(**keywords)) == wanted


@pairs
def test_dropout_in_one_layer_warns(name):
    """At the line of the user, in torch's words."""
    found = []
    for made in (PAIRS[name], generated(name)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made(INPUT, HIDDEN, dropout=0.5)
        (warning,) = caught
        found.append((warning.category, str(warning.message)))
        last = warning
    assert found[0] == found[1]
    assert last.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generated(name)(INPUT, HIDDEN, num_layers=2, dropout=0.5)


@pairs
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"num_layers": 2},
        {"bias": False, "batch_first": True},
        {"num_layers": 3, "dropout": 0.25, "bidirectional": True},
    ],
    ids=str,
)
def test_attributes_and_text(name, keywords):
    theirs, made = both(name, INPUT, HIDDEN, **keywords)
    for attribute in (
        *("input_size", "hidden_size", "num_layers", "bias", "batch_first"),
        *("dropout", "bidirectional"),
    ):
        assert getattr(made, attribute) == getattr(theirs, attribute)
    assert made.extra_repr() == theirs.extra_repr()
    assert repr(made) == repr(theirs).replace(PAIRS[name].__name__, CLASSES[name], 1)


# --- What forward refuses -------------------------------------------------------------------------

BAD_INPUTS = {
    "no steps": torch.zeros(0, BATCH, INPUT),
    "no steps, unbatched": torch.zeros(0, INPUT),
    "1D": torch.zeros(INPUT),
    "4D": torch.zeros(2, STEPS, BATCH, INPUT),
    "features": torch.zeros(STEPS, BATCH, INPUT + 1),
    "features, unbatched": torch.zeros(STEPS, INPUT + 1),
    "double": torch.zeros(STEPS, BATCH, INPUT, dtype=torch.float64),
    "integers": torch.zeros(STEPS, BATCH, INPUT, dtype=torch.int64),
}


@pairs
@pytest.mark.parametrize("case", list(BAD_INPUTS))
def test_bad_inputs(name, case):
    theirs, made = both(name, INPUT, HIDDEN, 2, bidirectional=True)
    wanted = outcome(lambda: theirs(BAD_INPUTS[case]))
    assert wanted is not None
    assert outcome(lambda: made(BAD_INPUTS[case])) == wanted


BAD_STATES = {
    "batch": (True, (4, BATCH + 1, HIDDEN)),
    "layers": (True, (2, BATCH, HIDDEN)),
    "size": (True, (4, BATCH, HIDDEN + 1)),
    "2-D with a batch": (True, (4, HIDDEN)),
    "3-D without a batch": (False, (4, 1, HIDDEN)),
    "layers, unbatched": (False, (2, HIDDEN)),
}


@pairs
@pytest.mark.parametrize("case", list(BAD_STATES))
def test_bad_states(name, case):
    theirs, made = both(name, INPUT, HIDDEN, 2, bidirectional=True)
    batched, shape = BAD_STATES[case]
    x = torch.zeros(STEPS, BATCH, INPUT) if batched else torch.zeros(STEPS, INPUT)
    wanted = outcome(lambda: theirs(x, state(name, *shape)))
    assert wanted is not None
    assert outcome(lambda: made(x, state(name, *shape))) == wanted


def test_two_states():
    theirs, made = both("lstm", INPUT, HIDDEN)
    x, good = torch.zeros(STEPS, BATCH, INPUT), torch.zeros(1, BATCH, HIDDEN)
    given = (good, torch.zeros(1, BATCH + 1, HIDDEN))
    wanted = outcome(lambda: theirs(x, given))
    assert wanted == outcome(lambda: made(x, given))
    for wrong in (good, (good,), (good, good, good)):
        with pytest.raises((RuntimeError, IndexError)):
            theirs(x, wrong)
        with pytest.raises(RuntimeError, match="2 hidden states"):
            made(x, wrong)


@pairs
def test_state_of_another_kind(name):
    theirs, made = both(name, INPUT, HIDDEN)
    x = torch.zeros(STEPS, BATCH, INPUT)
    double = state(name, 1, BATCH, HIDDEN, dtype=torch.float64)
    for module in (theirs, made):
        with pytest.raises(RuntimeError):
            module(x, double)
    if name != "lstm":
        with pytest.raises(TypeError, match="one hidden state"):
            made(x, (torch.zeros(1, BATCH, HIDDEN),))


@pairs
def test_packed_with_a_bad_state(name):
    theirs, made = both(name, INPUT, HIDDEN)
    packed = pack_padded_sequence(torch.zeros(STEPS, BATCH, INPUT), [4, 2])
    wide = pack_padded_sequence(torch.zeros(STEPS, BATCH, INPUT + 1), [4, 2])
    for module in (theirs, made):
        with pytest.raises(RuntimeError):
            module(packed, state(name, 1, BATCH + 1, HIDDEN))
        with pytest.raises(RuntimeError):
            module(wide)


# --- What forward returns -------------------------------------------------------------------------


@pairs
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("keywords", [{}, {"batch_first": True}, {"bidirectional": True}], ids=str)
def test_empty_batch(name, keywords, given):
    theirs, made = both(name, INPUT, HIDDEN, 2, **keywords)
    shape = (0, STEPS) if made.batch_first else (STEPS, 0)
    x = torch.zeros(*shape, INPUT, requires_grad=True)
    start = state(name, 4 if made.bidirectional else 2, 0, HIDDEN) if given else None
    want, want_last = theirs(x, start)
    got, got_last = made(x, start)
    assert got.shape == want.shape
    assert [v.shape for v in tensors(got_last)] == [v.shape for v in tensors(want_last)]
    got.sum().backward()
    assert x.grad.shape == x.shape


@pairs
def test_unbatched_ignores_batch_first(name):
    theirs, made = both(name, INPUT, HIDDEN, 2, bidirectional=True, batch_first=True)
    x = torch.randn(STEPS, INPUT)
    want, want_last = theirs(x, state(name, 4, HIDDEN))
    got, got_last = made(x, state(name, 4, HIDDEN))
    assert got.shape == want.shape
    assert [v.shape for v in tensors(got_last)] == [v.shape for v in tensors(want_last)]
    made.batch_first = False
    assert torch.equal(made(x)[0], got)


@pairs
def test_packed_sequences_keep_their_order(name):
    """The indices come back as they came, and so does a second pass over the output."""
    theirs, made = both(name, INPUT, INPUT)
    packed = pack_padded_sequence(torch.randn(STEPS, 3, INPUT), [2, 4, 3], enforce_sorted=False)
    want, got = theirs(packed)[0], made(packed)[0]
    assert isinstance(got, PackedSequence)
    for one, other in zip(got[1:], want[1:], strict=True):
        assert torch.equal(one, other)
    made(got)
    in_order = pack_padded_sequence(torch.randn(STEPS, 3, INPUT), [4, 3, 2])
    assert made(in_order)[0].sorted_indices is None


@pairs
@pytest.mark.parametrize("packed", [False, True])
def test_dropout_is_torchs(name, packed):
    """The same seed drops the same units between layers, in training alone."""
    keywords = {"num_layers": 3, "dropout": 0.5, "dtype": torch.float64}
    theirs, made = both(name, INPUT, HIDDEN, **keywords)
    with torch.no_grad():
        for parameter in (*theirs.parameters(), *made.parameters()):
            parameter.fill_(0.1)
    if name == "lstm":
        # torch adds two biases.
        with torch.no_grad():
            for key, value in made.named_parameters():
                if key.startswith("b"):
                    value.fill_(0.2)
    x = torch.randn(STEPS, BATCH, INPUT, dtype=torch.float64)
    x = pack_padded_sequence(x, [4, 3]) if packed else x
    outputs = []
    for module in (theirs, made):
        torch.manual_seed(7)
        output = module(x)[0]
        outputs.append(output.data if packed else output)
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=1e-12)
    made.eval()
    assert torch.equal(made(x)[0][0], made(x)[0][0])


@pairs
@pytest.mark.parametrize(
    "view",
    [
        lambda: torch.randn(BATCH, STEPS, INPUT).transpose(0, 1),
        lambda: torch.randn(INPUT, BATCH, STEPS).permute(2, 1, 0),
        lambda: torch.randn(STEPS, BATCH, 2 * INPUT)[:, :, ::2],
        lambda: torch.randn(1, 1, INPUT).expand(STEPS, BATCH, INPUT),
    ],
)
def test_non_contiguous(name, view):
    made = generated(name)(INPUT, HIDDEN, 2)
    x = view()
    assert torch.equal(made(x)[0], made(x.contiguous())[0])


@pytest.mark.parametrize("name", list(PAIRS))
def test_left_out_biases(name):
    """`bias=False` takes every additive bias vector away, from attributes that stay."""
    made = generated(name)(INPUT, HIDDEN, 2, bias=False, bidirectional=True)
    full = generated(name)(INPUT, HIDDEN, 2, bidirectional=True)
    left = {key for key, _ in made.named_parameters()}
    gone = {key for key, _ in full.named_parameters()} - left
    assert gone
    assert all(key.startswith("b") for key in gone)
    assert not any(key.startswith("b") for key in left)
    assert set(made.state_dict()) == left
    assert all(getattr(made, key) is None for key in gone)


def test_initial_values():
    """±1/sqrt(hidden_size), as torch."""
    torch.manual_seed(0)
    made = generated("lstm")(INPUT, 100)
    for weight in made.parameters():
        assert 0.08 < weight.abs().max() <= 0.1
    before = [weight.clone() for weight in made.parameters()]
    made.reset_parameters()
    assert not any(torch.equal(a, b) for a, b in zip(before, made.parameters(), strict=True))

"""Packed sequences of several lengths on compiled kernels: as each sequence by itself."""

import pytest
import torch
from runtime_calls import assert_same, both, draw, needs_compilers, on
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gatec.runtime.layer import NATIVE

__all__ = ["on"]  # a fixture
pytestmark = needs_compilers
LENGTHS = [3, 5, 1, 5, 2]


def outcome(made, packed, states):
    """Rows, last states, and all gradients."""
    given = None if not states else states[0] if len(states) == 1 else tuple(states)
    output, last = made(packed, given)
    last = [last] if isinstance(last, torch.Tensor) else list(last)
    values = [output.data, *last]
    loss = sum((v * torch.linspace(1, 2, v.numel()).view(v.shape)).sum() for v in values)
    leaves = [packed.data, *states, *made.parameters()]
    return values + list(torch.autograd.grad(loss, leaves, materialize_grads=True))


def pack(x, lengths=LENGTHS):
    packed = pack_padded_sequence(x.detach(), lengths, enforce_sorted=False)
    data = packed.data.clone().requires_grad_()
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["lstm", "learned", "matrix", "mingru", "delays"])
def test_values_and_gradients(name, bidirectional, monkeypatch):
    made, inputs, states = draw(name, 5, 5, bidirectional=bidirectional)
    packed = pack(inputs[0])
    for given in (states, []):
        fast, slow = both(monkeypatch, lambda given=given: outcome(made, packed, given), made)
        assert_same(fast, slow, 1e-10)


def test_each_sequence_by_itself():
    """Not against the eager path: every sequence alone, without padding."""
    made, inputs, _ = draw("gru", 5, 5, num_layers=2, bidirectional=True)
    output, last = made(pack(inputs[0]))
    assert made.path == NATIVE
    padded, _ = pad_packed_sequence(output)
    for place, length in enumerate(LENGTHS):
        alone, end = made(inputs[0][:length, place])
        torch.testing.assert_close(padded[:length, place], alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(last[:, place], end, rtol=1e-12, atol=1e-12)


def test_without_gradients(monkeypatch):
    made, inputs, states = draw("lstm", 5, 5)
    packed = pack(inputs[0])
    with torch.no_grad():

        def run():
            output, last = made(packed, tuple(states))
            return [output.data, *last]

        assert_same(*both(monkeypatch, run, made), 1e-12)

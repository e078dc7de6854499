"""Training in segments, as `module.checkpoint` asks for it."""

import pytest
import torch
from runtime_calls import call, draw, module, needs_compilers, on  # noqa: F401 (a fixture)

from gatec.runtime import segments
from gatec.runtime.kernels import Kernels
from gatec.runtime.layer import NATIVE

pytestmark = needs_compilers


def gradients(made, inputs, states):
    """Results and gradients of a call."""
    results = call(made, inputs, states)
    sum(
        (value * torch.linspace(-1, 1, value.numel()).view_as(value)).sum() for value in results
    ).backward()
    found = [*inputs, *states, *made.parameters()]
    grads = [tensor.grad for tensor in found]
    for tensor in found:
        tensor.grad = None
    return [value.detach() for value in results], grads


@pytest.mark.parametrize("more", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("name", ["lstm", "mingru", "deltanet"])
def test_results_and_gradients_are_those_of_the_whole_sequence(name, more):
    if name == "deltanet":
        more = {}
    made, inputs, states = draw(name, steps=700, batch=8, **more)  # a chunk has 32 steps
    whole = gradients(made, inputs, states)
    for checkpoint in (1, 300, 10_000):
        made.checkpoint = checkpoint
        parts = gradients(made, inputs, states)
        assert made.path == NATIVE
        for one, other in zip(whole[0], parts[0], strict=True):
            assert torch.equal(one, other)
        for one, other in zip(whole[1], parts[1], strict=True):
            assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_second_derivatives():
    made, inputs, states = draw("lstm", steps=300, batch=8)
    made.checkpoint = 128

    def penalty():
        output = call(made, inputs, states)[0]
        (grad,) = torch.autograd.grad(output.sum(), inputs, create_graph=True)
        return torch.autograd.grad((grad**2).sum(), made.W_f)[0]

    parts = penalty()
    made.checkpoint = None
    assert torch.allclose(parts, penalty(), rtol=1e-9, atol=1e-12)


def test_a_budget_in_bytes_says_how_long_segments_are():
    made, inputs, states = draw("lstm", steps=2000, batch=8, dtype=torch.float32)
    made.checkpoint, found, measured = "auto", [], []
    forward, room = segments.forward, Kernels.room

    def seen(*given):
        found.append(given[-1])
        return forward(*given)

    def measuring(kernels, extent, train):
        measured.append(extent.steps)
        return room(kernels, extent, train)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "forward", seen)
        for budget in (1 << 40, 2_000_000, 500_000):
            made.checkpoint_budget = budget
            gradients(made, inputs, states)
        assert len(found) == 2  # what fits is kept whole
        assert found[0] > found[1]
        patch.setattr(Kernels, "room", measuring)
        gradients(made, inputs, states)
    assert found[2] == found[1]
    assert set(measured) <= {found[1], 2000 % found[1]}  # it is known how long segments may be


@pytest.mark.parametrize("wrong", [0, -3, "often", 2.5, True])
def test_what_is_no_number_of_steps_is_refused(wrong):
    with pytest.raises(ValueError, match="checkpoint must be"):
        module("lstm")(3, 4, checkpoint=wrong)

"""Training in segments: the numbers of the whole sequence, and less memory."""

import pytest
import torch
from native_cells import TEXTS, program, sizes_of
from runtime_calls import needs_compilers, on  # noqa: F401 (a fixture)

from gatec.runtime import segments
from gatec.runtime.kernels import Kernels

pytestmark = needs_compilers


def case(name, steps, batch, dtype=torch.float64, given=True):
    """Kernels of a cell, and what its call takes."""
    torch.manual_seed(3)
    plan = program(name).plan
    sizes = sizes_of(name, 5, 6)

    def numbers(item, *lead):
        shape = (*lead, *(dim.value(sizes) for dim in item.shape))
        return torch.randn(shape, dtype=dtype) / 2

    inputs = [numbers(item, steps * batch) for item in plan.inputs]
    states = [numbers(state, batch) for state in plan.states] if given else []
    params = [numbers(param) for param in plan.params]
    kernels = Kernels(program(name), dtype)
    extent = kernels.extent(steps, batch, inputs, states, params, sizes["hidden_size"])
    constants = [float(constant.value) for constant in plan.constants]
    grads = [torch.randn(shape, dtype=dtype) for shape in extent.results]
    return kernels, extent, inputs, states, params, constants, grads


def both(made, every):
    """Results and gradients of a whole sequence, and those in segments."""
    kernels, extent, inputs, states, params, constants, grads = made
    given = inputs, states, params, constants
    wanted = [True] * len([*inputs, *states, *params])
    whole, workspace = kernels.forward(extent, *given, True)
    whole += kernels.backward(extent, grads, *given, workspace, wanted)
    parts, between = segments.forward(kernels, extent, *given, every)
    parts += segments.backward(kernels, extent, grads, *given, between, every, wanted)
    return whole, parts


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("name", ["lstm", "slstm", "deltanet", "mingru", *TEXTS])
def test_the_numbers_of_the_whole_sequence(name, given):
    """Outputs and gradients by inputs and states to the last bit, whatever carries over: lags of
    states and inputs, learned states; parameters but for the order of a sum."""
    torch.set_num_threads(1)
    made = case(name, steps=70, batch=16, given=given)  # chunks of 16 steps
    params = len(made[4])
    for every in (1, 20, 70, 1000):
        whole, parts = both(made, every)
        exact = len(whole) - params
        for one, other in zip(whole[:exact], parts[:exact], strict=True):
            assert torch.equal(one, other)
        for one, other in zip(whole[exact:], parts[exact:], strict=True):
            assert torch.allclose(one, other, rtol=1e-12, atol=1e-13 * float(one.abs().max() + 1))


@pytest.mark.parametrize("name", ["lstm", "gru", "mingru"])
def test_segments_of_a_chunk_are_exact(name):
    """Chunks of 16 steps are added in the order of the whole sequence."""
    torch.set_num_threads(1)
    whole, parts = both(case(name, steps=70, batch=16, dtype=torch.float32), 16)
    for one, other in zip(whole, parts, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["lstm", "two"])
def test_only_wanted_gradients(name):
    kernels, extent, inputs, states, params, constants, grads = case(name, 70, 16)
    given = inputs, states, params, constants
    count = len([*inputs, *states, *params])
    _, between = segments.forward(kernels, extent, *given, 16)
    full = segments.backward(kernels, extent, grads, *given, between, 16, [True] * count)
    for place in range(count):
        wanted = [place == other for other in range(count)]
        got = segments.backward(kernels, extent, grads, *given, between, 16, wanted)
        assert [grad is not None for grad in got] == wanted
        assert torch.equal(got[place], full[place])


def test_no_gradient_by_some_results():
    kernels, extent, *given, grads = case("lstm", 70, 16)
    wanted = [True] * sum(map(len, given[:3]))
    _, between = segments.forward(kernels, extent, *given, 16)
    for absent in range(3):
        some = [None if place == absent else grad for place, grad in enumerate(grads)]
        zeros = [torch.zeros_like(g) if place == absent else g for place, g in enumerate(grads)]
        got, same = (
            segments.backward(kernels, extent, given_grads, *given, between, 16, wanted)
            for given_grads in (some, zeros)
        )
        assert all(torch.equal(one, other) for one, other in zip(got, same, strict=True))


def test_no_steps():
    whole, parts = both(case("lstm", 0, 3), 5)
    assert all(torch.equal(one, other) for one, other in zip(whole, parts, strict=True))


def test_within_a_budget():
    kernels, extent, *_ = case("lstm", 5000, 4)
    room = kernels.room(extent, True)
    assert segments.within(kernels, extent, room) == 5000
    for budget in (room // 2, room // 10):
        steps = segments.within(kernels, extent, budget)
        assert steps < 5000
        assert segments._kept(kernels, extent, steps) <= budget
    least = segments.within(kernels, extent, 0)
    kept = segments._kept(kernels, extent, least)
    assert all(kept <= segments._kept(kernels, extent, n) for n in (64, 256, 1024, 5000))


def test_a_segment_has_a_step():
    with pytest.raises(ValueError, match="at least 1"):
        segments.steps_of(0, 3)
    assert segments.steps_of(1, 3) * 3 >= 256 and segments.steps_of(300, 1) == 512

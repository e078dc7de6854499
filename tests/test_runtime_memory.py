"""Workspaces that are lent again: nobody is disturbed, and what is not in use does not add up."""

import gc
import multiprocessing

import pytest
import torch
from runtime_calls import call, draw, gradients, needs_compilers, on

from gatec import runtime
from gatec.runtime import memory

__all__ = ["on"]  # a fixture
pytestmark = needs_compilers

STEPS, BATCH = 600, 40  # more than a thread keeps for itself


@pytest.fixture(autouse=True)
def nothing_idle(on):
    gc.collect()
    runtime.release()
    yield
    runtime.release()


def drawn(steps=STEPS):
    return draw("lstm", steps, BATCH)


def equal(got, wanted):
    return len(got) == len(wanted) and all(map(torch.equal, got, wanted))


def test_graphs_that_live_at_once():
    """Each has its own workspace, also when others ended before it."""
    made, inputs, states = drawn()
    alone = gradients(made, inputs, states)
    other = [value.detach().neg().requires_grad_() for value in inputs]
    first, *_ = call(made, inputs, states)
    second, *_ = call(made, other, states)
    torch.autograd.grad(second.sum(), other)
    del second
    third, *_ = call(made, other, states)
    got = torch.autograd.grad(first.square().sum(), inputs, retain_graph=True)
    torch.autograd.grad(third.sum(), other)
    again = torch.autograd.grad(first.square().sum(), inputs)
    wanted = torch.autograd.grad(call(made, inputs, states)[0].square().sum(), inputs)
    assert torch.equal(got[0], wanted[0]) and torch.equal(again[0], wanted[0])
    assert equal(gradients(made, inputs, states), alone)


def test_memory_is_lent_again():
    """Calls of one length, and shorter ones after it, take what the first one took."""
    made, inputs, states = drawn()
    gradients(made, inputs, states)
    (idle,) = memory._idle
    for steps in (STEPS, STEPS // 2, STEPS):
        gradients(made, [inputs[0][:steps].detach().requires_grad_()], states)
        assert memory._idle == [idle]


def test_what_is_idle_does_not_add_up():
    made, _, states = drawn()
    for steps in range(STEPS, 2 * STEPS, 100):
        gradients(made, drawn(steps)[1], states)
        assert len(memory._idle) == 1
    runtime.release()
    assert not memory._idle


def test_large_workspaces_go_back_at_once(monkeypatch):
    made, inputs, states = drawn()
    wanted = gradients(made, inputs, states)
    runtime.release()
    monkeypatch.setattr(memory, "KEPT", 1 << 20)
    assert equal(gradients(made, inputs, states), wanted)
    assert not memory._idle


def _in_child(made, inputs, states, results):
    for _ in range(3):
        got = gradients(made, inputs, states)
    results.put([value.detach().numpy().tobytes() for value in got])


def test_processes_that_fork_have_memory_of_their_own():
    """Both write to what was idle before, at once."""
    made, inputs, states = drawn()
    wanted = gradients(made, inputs, states)
    assert memory._idle
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    others = [value.detach().neg().requires_grad_() for value in inputs]
    child = context.Process(target=_in_child, args=(made, others, states, results), daemon=True)
    child.start()
    for _ in range(3):
        assert equal(gradients(made, inputs, states), wanted)
    theirs = results.get(timeout=60)
    child.join(60)
    ours = [value.detach().numpy().tobytes() for value in gradients(made, others, states)]
    assert theirs == ours

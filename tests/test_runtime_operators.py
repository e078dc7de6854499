"""`torch.ops.gatec.*` called directly: what PyTorch asks of operators, numbers, refusals."""

import pytest
import torch
from runtime_calls import assert_same, draw, needs_compilers, on
from torch.autograd import forward_ad
from torch.library import opcheck

__all__ = ["on"]  # a fixture
pytestmark = needs_compilers
FORWARD, BACKWARD = torch.ops.gatec.forward.default, torch.ops.gatec.backward.default


def arguments(name, *, own_states=False, train=True):
    """What `gatec::forward` takes, and the module whose layer that is."""
    made, inputs, states = draw(name, 4, 3)
    states = [] if own_states else [value[0].detach().requires_grad_() for value in states]
    weights = [weight.detach().clone().requires_grad_() for weight in made.parameters()]
    constants = list(made._constants)
    return made, (made._cell, inputs, states, weights, constants, made.hidden_size, None, train)


def detached(given):
    def one(value):
        return value.detach() if isinstance(value, torch.Tensor) else value

    return torch.utils._pytree.tree_map(one, given)


def of_backward(given):
    """What `gatec::backward` takes after a call of forward."""
    *most, _ = given = detached(given)
    *results, workspace = FORWARD(*given)
    grads = [torch.linspace(1, 2, v.numel(), dtype=v.dtype).view(v.shape) for v in results]
    wanted = [True] * sum(map(len, given[1:4]))
    return *most, grads, workspace, wanted


@pytest.mark.parametrize("name", ["lstm", "gru_v3", "mingru", "leaky", "matrix", "two"])
def test_opcheck(name):
    _, given = arguments(name)
    assert set(opcheck(FORWARD, given).values()) == {"SUCCESS"}
    assert set(opcheck(BACKWARD, of_backward(given)).values()) == {"SUCCESS"}


def test_opcheck_without_states_and_without_gradients():
    _, given = arguments("lstm", own_states=True)
    assert set(opcheck(FORWARD, given).values()) == {"SUCCESS"}
    assert set(opcheck(BACKWARD, of_backward(given)).values()) == {"SUCCESS"}
    _, given = arguments("lstm", train=False)
    assert set(opcheck(FORWARD, detached(given)).values()) == {"SUCCESS"}


@pytest.mark.parametrize("name", ["lstm", "learned", "matrix"])
def test_against_the_equations(name):
    made, given = arguments(name)
    _, inputs, states, weights, *_ = given
    rows = [value.flatten(0, 1) for value in inputs]
    output, last = made._layer(weights, tuple(states), 4, False, *rows)
    wanted = [output.unflatten(0, (4, 3)), *last]
    results = FORWARD(*given)[:-1]
    assert_same(results, wanted)
    leaves = [*inputs, *states, *weights]

    def gradients(values):
        loss = sum((v * torch.linspace(1, 2, v.numel()).view(v.shape)).sum() for v in values)
        return torch.autograd.grad(loss, leaves, materialize_grads=True)

    assert_same(gradients(results), gradients(wanted), 1e-10)


def test_gradients_by_finite_differences():
    _, (cell, inputs, states, weights, *rest) = arguments("gru_v3")

    def run(x, h, *weights):
        return tuple(FORWARD(cell, [x], [h], list(weights), *rest)[:-1])

    assert torch.autograd.gradcheck(run, (*inputs, *states, *weights))


def test_derivatives_of_derivatives_are_refused():
    _, given = arguments("lstm")
    x = given[1][0]
    (grad,) = torch.autograd.grad(FORWARD(*given)[0].square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="no derivatives"):
        grad.sum().backward()


@pytest.mark.parametrize("wanting", [False, True])
def test_tangents_are_refused(wanting):
    _, given = arguments("lstm")
    cell, (x,), *rest = given if wanting else detached(given)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(NotImplementedError, match="forward-mode"):
            FORWARD(cell, [dual], *rest)
    with pytest.raises(NotImplementedError, match="forward-mode"):
        torch.func.jvp(lambda x: FORWARD(cell, [x], *rest)[0], (x,), (torch.ones_like(x),))


def test_what_was_traced_without_gradients_has_none():
    _, given = arguments("lstm", train=False)
    outputs = FORWARD(*given)[0]
    with pytest.raises(RuntimeError, match="without gradients"):
        outputs.sum().backward()


def test_functional_gradients_are_refused():
    _, given = arguments("lstm")
    cell, (x,), *rest = detached(given)
    with pytest.raises(NotImplementedError, match=r"torch\.func"):
        torch.func.grad(lambda x: FORWARD(cell, [x], *rest)[0].square().sum())(x)


def test_vmap_is_right_or_refused():
    _, given = arguments("lstm")
    cell, (x,), *rest = detached(given)
    many = torch.stack([x, 2 * x])
    try:
        got = torch.func.vmap(lambda x: FORWARD(cell, [x], *rest)[0])(many)
    except RuntimeError as error:
        assert "vmap" in str(error) or "batching" in str(error).lower()
    else:
        assert_same(got, [FORWARD(cell, [each], *rest)[0] for each in many])


def test_what_does_not_fit_is_refused():
    """Kernels read memory by shapes: none is taken on trust."""
    _, given = arguments("lstm")
    cell, (x,), states, weights, *rest = detached(given)
    with pytest.raises(ValueError, match="W_f must be"):
        FORWARD(cell, [x], states, [weights[0][:, :-1], *weights[1:]], *rest)
    with pytest.raises(ValueError, match="a must be"):
        FORWARD(cell, [x], [states[0][:2], states[1]], weights, *rest)
    with pytest.raises(ValueError, match="states"):
        FORWARD(cell, [x], states[:1], weights, *rest)
    with pytest.raises(ValueError, match="float64"):
        FORWARD(cell, [x], states, [weights[0].float(), *weights[1:]], *rest)
    *most, grads, workspace, wanted = of_backward(given)
    with pytest.raises(ValueError, match="workspace"):
        BACKWARD(*most, grads, workspace[:-8], wanted)
    with pytest.raises(ValueError, match="gradient"):
        BACKWARD(*most, [grads[0][:-1], *grads[1:]], workspace, wanted)
    with pytest.raises(ValueError):
        BACKWARD(*most, grads, workspace, wanted[:-1])

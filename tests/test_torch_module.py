"""What PyTorch does to modules, done to generated ones: copies, types, compilers, transforms."""

import contextlib
import copy
import io
import pickle

import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.nn.utils.rnn import pack_padded_sequence
from torch_modules import generated, tensors

SPECS = ["lstm", "gru", "slstm", "deltanet"]
INPUT, HIDDEN, STEPS, BATCH = 3, 5, 4, 2
specs = pytest.mark.parametrize("name", SPECS)


def made(name, *layers, **keywords):
    torch.manual_seed(0)
    return generated(name)(INPUT, HIDDEN, *layers, **keywords)


def draw(*shape, **keywords):
    return torch.randn(*(shape or (STEPS, BATCH, INPUT)), **keywords)


def same(one, other, tolerance=0.0):
    """Outputs and states of two calls."""
    pairs = zip([one[0], *tensors(one[1])], [other[0], *tensors(other[1])], strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=tolerance) for a, b in pairs)


# --- Copies ---------------------------------------------------------------------------------------


@specs
def test_copies(name):
    layer, x = made(name, 2, bidirectional=True), draw()
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    copies.append(torch.load(buffer, weights_only=False))
    for other in copies:
        assert type(other) is type(layer)
        assert same(other(x), layer(x))
    with torch.no_grad():
        next(layer.parameters()).add_(1)
    assert not any(same(other(x), layer(x)) for other in copies)


@specs
def test_state_dict(name):
    layer, other = made(name, 2), generated(name)(INPUT, HIDDEN, 2)
    x = draw()
    assert not same(other(x), layer(x))
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer))
    assert same(other(x), layer(x))
    with pytest.raises(RuntimeError, match=r"Missing key|Unexpected key|size mismatch"):
        generated(name)(INPUT, HIDDEN + 1, 2).load_state_dict(layer.state_dict())


def test_names_of_parameters():
    names = [key for key, _ in made("gru", 2, bidirectional=True).named_parameters()]
    first = ["W_r", "U_r", "b_r", "W_z", "U_z", "b_z", "W_h", "U_h", "b_h"]
    suffixes = ("", "_reverse", "_l1", "_l1_reverse")
    assert names == [key + suffix for suffix in suffixes for key in first]


# --- Types and devices ----------------------------------------------------------------------------


@specs
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_types(name, dtype):
    layer = made(name, 2, bidirectional=True).to(dtype)
    x = draw(dtype=dtype, requires_grad=True)
    output, state = layer(x)
    assert {value.dtype for value in (output, *tensors(state))} == {dtype}
    output.sum().backward()
    assert {value.grad.dtype for value in (x, *layer.parameters())} == {dtype}
    wanted = made(name, 2, bidirectional=True)(x.float())[0]
    torch.testing.assert_close(output.float(), wanted, rtol=0.05, atol=0.05)
    assert {weight.dtype for weight in made(name, dtype=dtype).parameters()} == {dtype}


@specs
def test_meta_device(name):
    layer = made(name, 2, device="meta")
    output, state = layer(draw(device="meta"))
    wanted, wanted_state = made(name, 2)(draw())
    assert (output.device.type, output.shape) == ("meta", wanted.shape)
    shapes = [value.shape for value in tensors(wanted_state)]
    assert [value.shape for value in tensors(state)] == shapes
    layer = layer.to_empty(device="cpu")
    layer.reset_parameters()
    assert layer(draw())[0].isfinite().all()


@specs
@pytest.mark.parametrize("bias", [True, False])
def test_autocast(name, bias):
    """Results in the type of autocast, as nn.LSTM's; gradients in that of the parameters."""
    layer = made(name, 2, bias=bias)
    theirs = torch.nn.LSTM(INPUT, HIDDEN, 2, bias=bias)
    x = draw()
    with torch.autocast("cpu", torch.bfloat16):
        output, state = layer(x)
        assert output.dtype == torch.bfloat16
        with contextlib.suppress(RuntimeError):  # not every processor has nn.LSTM in this type
            assert theirs(x)[0].dtype == torch.bfloat16
        assert {value.dtype for value in tensors(state)} == {torch.bfloat16}
        # What is in the type already, states in either type, packed sequences, one step.
        assert layer(x.bfloat16(), state)[0].dtype == torch.bfloat16
        assert layer(x, state)[0].dtype == torch.bfloat16
        packed = pack_padded_sequence(x, [4, 2])
        assert layer(packed)[0].data.dtype == torch.bfloat16
        assert layer.cell(x[0])[0].dtype == torch.bfloat16
        double = made(name, dtype=torch.float64)
        assert double(x.double())[0].dtype == torch.float64
    output.float().sum().backward()
    assert {weight.grad.dtype for weight in layer.parameters()} == {torch.float32}
    torch.testing.assert_close(output.float(), layer(x)[0], rtol=0.05, atol=0.05)


# --- Gradients ------------------------------------------------------------------------------------


@specs
def test_gradcheck(name):
    """First and second derivatives, by every parameter, the input and the state."""
    layer = generated(name)(2, 2, bidirectional=True, dtype=torch.float64)
    weights = dict(layer.named_parameters())
    x = draw(2, 1, 2, dtype=torch.float64, requires_grad=True)
    starts = [torch.full_like(v, 0.3) for v in tensors(layer(x)[1])]
    starts = [value.detach().requires_grad_() for value in starts]

    def run(x, *values):
        given, values = values[: len(starts)], values[len(starts) :]
        state = given if len(given) > 1 else given[0]
        output, last = functional_call(layer, dict(zip(weights, values, strict=True)), (x, state))
        return output, *tensors(last)

    inputs = (x, *starts, *weights.values())
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@specs
def test_any_part_may_need_gradients(name):
    """Each gradient is the same whatever else needs one."""
    layer, x = made(name, 2), draw(requires_grad=True)
    layer(x)[0].sum().backward()
    wanted = {key: weight.grad for key, weight in layer.named_parameters()} | {"x": x.grad}
    for key in ("x", *list(wanted)[::5]):
        alone = copy.deepcopy(layer).requires_grad_(False)
        y = x.detach().requires_grad_(key == "x")
        leaf = y if key == "x" else getattr(alone, key).requires_grad_()
        leaf.grad = None
        alone(y)[0].sum().backward()
        torch.testing.assert_close(leaf.grad, wanted[key], rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        assert not layer(x)[0].requires_grad
    with torch.inference_mode():
        layer(x)


def test_long_sequences_in_eager_mode():
    """Ten thousand steps, forward and backward, without trouble from recursion."""
    layer = made("rnn")
    x = draw(10_000, 1, INPUT, requires_grad=True)
    layer(x)[0][-1].sum().backward()
    assert x.grad[-1].abs().sum() > 0


def test_training():
    """A cell learns to tell which of two units came first."""
    torch.manual_seed(0)
    layer, head = generated("lstm")(2, 16, batch_first=True), torch.nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], 0.05)
    first = torch.arange(16) % 2
    x = torch.zeros(16, 6, 2)
    x[torch.arange(16), 1, first] = 1
    x[torch.arange(16), 4, 1 - first] = 1
    for _ in range(40):
        optimizer.zero_grad()
        logits = head(layer(x)[0][:, -1]).squeeze(-1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, first.float())
        loss.backward()
        optimizer.step()
    assert loss < 0.1


# --- One step alone -------------------------------------------------------------------------------


@specs
def test_cell(name):
    """`cell` step by step is `forward`, layer by layer."""
    layer, x = made(name, 2), draw()
    wanted, wanted_state = layer(x)
    lower = upper = None
    outputs = []
    for x_t in x:
        output, lower = layer.cell(x_t, lower)
        output, upper = layer.cell(output, upper, layer=1)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs), wanted, rtol=0, atol=1e-6)
    for low, high, both in zip(tensors(lower), tensors(upper), tensors(wanted_state), strict=True):
        torch.testing.assert_close(torch.stack([low, high]), both, rtol=0, atol=1e-6)


@specs
def test_cell_without_a_batch_and_in_reverse(name):
    layer, x = made(name, bidirectional=True), draw(1, BATCH, INPUT)
    forward, _ = layer.cell(x[0])
    backward, state = layer.cell(x[0], direction=1)
    wanted = layer(x)[0][0]
    torch.testing.assert_close(torch.cat([forward, backward], -1), wanted, rtol=0, atol=1e-6)
    first = [value[0] for value in tensors(state)]
    single = first[0] if len(first) == 1 else tuple(first)
    output, last = layer.cell(x[0, 0], single)
    batched = layer.cell(x[0, :1], state[:1] if len(first) == 1 else tuple(v[:1] for v in state))
    torch.testing.assert_close(output, batched[0][0], rtol=0, atol=1e-6)
    assert [v.shape for v in tensors(last)] == [v.shape for v in first]


def test_cell_refuses_what_does_not_fit():
    layer = made("lstm", 2)
    with pytest.raises(ValueError, match="Expected input to be 1D or 2D, got 3D"):
        layer.cell(draw())
    with pytest.raises(RuntimeError, match="Expected 3, got 4"):
        layer.cell(draw(BATCH, 4))
    layer.cell(draw(BATCH, HIDDEN), layer=1)
    wrong = torch.zeros(BATCH + 1, HIDDEN)
    with pytest.raises(RuntimeError, match="size"):
        layer.cell(draw(BATCH, INPUT), (wrong, wrong))
    with pytest.raises(ValueError, match="dtype"):
        layer.cell(draw(BATCH, INPUT, dtype=torch.float64))


# --- Function transforms --------------------------------------------------------------------------


@specs
def test_transforms(name):
    layer = made(name)
    weights = dict(layer.named_parameters())
    many = draw(3, STEPS, BATCH, INPUT)

    def loss(weights, x):
        return functional_call(layer, weights, (x,))[0].square().sum()

    def close(got, wanted):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)

    close(vmap(lambda x: layer(x)[0])(many)[1], layer(many[1])[0])
    each = vmap(grad(loss), in_dims=(None, 0))(weights, many)
    loss(weights, many[2]).backward()
    for key, weight in weights.items():
        close(each[key][2], weight.grad)
    models = {key: torch.stack([weight, 2 * weight]) for key, weight in weights.items()}
    run = vmap(lambda w: functional_call(layer, w, (many[0],))[0])
    close(run(models)[0], layer(many[0])[0])


# --- Compilers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile(backend):
    """One graph, forward and backward."""
    torch._dynamo.reset()
    layer, x = made("gru", bidirectional=backend == "aot_eager"), draw(2, 2, INPUT)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    results = []
    for run in (layer, compiled):
        y = x.clone().requires_grad_()
        layer.zero_grad()
        output, state = run(y)
        (output.square().sum() + state.sum()).backward()
        results.append([output, state, y.grad, *(w.grad.clone() for w in layer.parameters())])
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_compile_other_sizes():
    """Another batch, another length and autocast are still one graph each."""
    torch._dynamo.reset()
    layer = made("lstm", 2)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for shape in ((3, 2), (3, 4), (3, 7), (5, 7)):
        x = draw(*shape, INPUT)
        assert same(compiled(x), layer(x), 1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert compiled(x)[0].dtype == torch.bfloat16


def test_compile_packed():
    torch._dynamo.reset()
    layer = made("lstm", 2, bidirectional=True)
    packed = pack_padded_sequence(draw(4, 3, INPUT), [2, 4, 1], enforce_sorted=False)
    compiled = torch.compile(layer, backend="eager")
    got, wanted = compiled(packed), layer(packed)
    assert same((got[0].data, got[1]), (wanted[0].data, wanted[1]), 1e-6)


def test_export():
    layer, x = made("lstm"), draw()
    batch = torch.export.Dim("batch")
    exported = torch.export.export(layer, (x,), dynamic_shapes=({1: batch},)).module()
    for other in (x, draw(STEPS, 7, INPUT)):
        assert same(exported(other), layer(other), 1e-6)

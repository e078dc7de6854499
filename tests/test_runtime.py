"""Generated modules on compiled kernels: the eager path's numbers, and its place where it serves."""

import concurrent.futures
import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading

import pytest
import torch
from native_cells import program
from runtime_calls import assert_same, both, call, draw, gradients, module, needs_compilers, on
from torch import nn

from gatec import backends
from gatec.runtime import build, cells
from gatec.runtime.layer import NATIVE

__all__ = ["on"]  # a fixture
pytestmark = needs_compilers

CELLS = ["lstm", "gru", "mingru", "slstm", "delays", "learned", "leaky", "wide", "two", "matrix"]


# --- The same numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_values_and_gradients(name, monkeypatch):
    made, inputs, states = draw(name)

    assert_same(*both(monkeypatch, lambda: gradients(made, inputs, states), made), 1e-10)


@pytest.mark.parametrize("form", ["lstm", "gru"])
def test_layers_directions_and_forms(form, monkeypatch):
    more = {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False}
    made, inputs, states = draw(form, **more)
    inputs = [value.detach().transpose(0, 1).requires_grad_() for value in inputs]  # not contiguous
    assert_same(*both(monkeypatch, lambda: gradients(made, inputs, states), made), 1e-10)
    made, inputs, _ = draw(form)
    assert_same(*both(monkeypatch, lambda: gradients(made, inputs, [])), 1e-10)
    one = [value[:, 0] for value in inputs]  # without a batch
    assert_same(*both(monkeypatch, lambda: call(made, one, [])), 1e-12)


def test_single_precision(monkeypatch):
    made, inputs, states = draw("lstm", 50, 8, torch.float32)
    assert_same(*both(monkeypatch, lambda: gradients(made, inputs, states), made), 1e-4)


def test_wants_gradients_of_some(monkeypatch):
    for chosen in ([], ["W_f"], ["b_c"], ["x"], ["state"]):
        made, inputs, states = draw("lstm")
        for name, parameter in made.named_parameters():
            parameter.requires_grad_(name in chosen)
        inputs[0].requires_grad_("x" in chosen)
        for value in states:
            value.requires_grad_("state" in chosen)
        leaves = [v for v in [*made.parameters(), *inputs, *states] if v.requires_grad]

        def run(made=made, inputs=inputs, states=states, leaves=leaves):
            values = call(made, inputs, states)
            if not leaves:
                assert not values[0].requires_grad
                return values
            return list(torch.autograd.grad(sum(v.sum() for v in values), leaves))

        assert_same(*both(monkeypatch, run), 1e-10)


def test_graphs_can_be_used_twice():
    made, inputs, states = draw("gru")
    one = call(made, inputs, states)[0].sum()
    two = call(made, inputs, states)[0].square().sum()
    first = torch.autograd.grad(one, inputs, retain_graph=True)
    again = torch.autograd.grad(one, inputs)
    assert_same(first, again, 0)
    assert torch.autograd.grad(two, inputs)[0].isfinite().all()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode, monkeypatch):
    made, inputs, states = draw("lstm")
    with mode():
        assert_same(*both(monkeypatch, lambda: call(made, inputs, states), made), 1e-12)


def test_empty_batch_and_sequence():
    made, inputs, states = draw("lstm", batch=0)
    output, *last = call(made, inputs, states)
    assert output.shape == (5, 0, 6) and last[0].shape == (1, 0, 6)
    output.sum().backward()
    assert all((p.grad == 0).all() for p in made.parameters())
    made, inputs, states = draw("lstm", steps=0)
    with pytest.raises(RuntimeError, match="sequence length"):
        call(made, inputs, states)


def test_copies_and_pickles():
    made, inputs, states = draw("lstm")
    wanted = call(made, inputs, states)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert_same(call(other, inputs, states), wanted, 0)
        assert other.path == NATIVE


# --- Where the eager path serves ------------------------------------------------------------------


def test_derivatives_of_derivatives(monkeypatch):
    made, inputs, states = draw("gru", 3, 2)

    def run():
        (first,) = torch.autograd.grad(
            call(made, inputs, states)[0].square().sum(), inputs, create_graph=True
        )
        return [first, *torch.autograd.grad(first.square().sum(), [*made.parameters(), *inputs])]

    assert_same(*both(monkeypatch, run), 1e-9)
    assert torch.autograd.gradgradcheck(lambda x: made(x)[0], inputs)


def test_tangents(monkeypatch):
    made, inputs, _ = draw("lstm", 3, 2)
    x = inputs[0].detach()
    tangent = torch.ones_like(x)

    def run():
        return list(torch.func.jvp(lambda x: made(x)[0], (x,), (tangent,)))

    fast, slow = both(monkeypatch, run)
    assert_same(fast, slow, 1e-12)
    assert fast[1].abs().max() > 0
    step = 1e-6
    with torch.no_grad():
        numbers = (made(x + step * tangent)[0] - made(x - step * tangent)[0]) / (2 * step)
    torch.testing.assert_close(fast[1], numbers, rtol=1e-5, atol=1e-7)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, tangent)
        got = torch.autograd.forward_ad.unpack_dual(made(dual)[0]).tangent
    torch.testing.assert_close(got, fast[1])
    assert "tangents" in made.path


def test_vmap(monkeypatch):
    made, inputs, _ = draw("gru", 3, 2)
    many = torch.stack([inputs[0].detach()] * 3)
    got = torch.func.vmap(lambda x: made(x)[0])(many)
    assert "torch.func" in made.path
    torch.testing.assert_close(got[1], made(inputs[0])[0])


def test_weights_that_change(monkeypatch):
    """Nothing of a module's weights is kept from call to call."""
    made, inputs, states = draw("lstm", dtype=torch.float64)
    call(made, inputs, states)
    other = module("lstm")(4, 6, dtype=torch.float64)
    made.load_state_dict(other.state_dict())
    assert_same(call(made, inputs, states), call(other, inputs, states), 0)
    made.W_f = nn.Parameter(torch.zeros_like(made.W_f))
    assert_same(*both(monkeypatch, lambda: gradients(made, inputs, states), made), 1e-10)
    with torch.no_grad():
        made.b_f.add_(1)
    assert_same(*both(monkeypatch, lambda: gradients(made, inputs, states), made), 1e-10)
    made.W_f.requires_grad_(False)
    weights = {key: torch.randn_like(value) for key, value in made.state_dict().items()}

    def replaced():
        return list(torch.func.functional_call(made, weights, (inputs[0], tuple(states)))[1])

    assert_same(*both(monkeypatch, replaced, made), 1e-12)
    made.float()
    inputs, states = [v.float() for v in inputs], [v.float() for v in states]
    assert_same(*both(monkeypatch, lambda: call(made, inputs, states), made), 1e-5)


def test_weights_of_another_shape_are_refused():
    """Kernels read memory by shapes, so a parameter that was replaced is looked at."""
    made, inputs, states = draw("lstm")
    made.W_f = nn.Parameter(torch.zeros(6, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"W_f must be \(6, 10\), got \(6, 3\)"):
        call(made, inputs, states)


def test_views(monkeypatch):
    made, _, states = draw("gru")
    wide = torch.randn(5, 6, 8, dtype=torch.float64)
    for x in (wide[:, ::2, ::2], wide[:, :1, :4].expand(5, 3, 4)):
        assert_same(*both(monkeypatch, lambda x=x: call(made, [x], states), made), 1e-12)
    complex_ = torch.randn(5, 3, 4, dtype=torch.complex128)
    negated = complex_.conj().imag
    assert negated.is_neg()
    assert_same(*both(monkeypatch, lambda: call(made, [negated], states)), 1e-12)


def test_many_gradients_at_once(monkeypatch):
    made, inputs, _ = draw("gru", 3, 2)
    outputs = made(inputs[0])[0]
    assert made.path == NATIVE
    many = torch.randn(3, *outputs.shape, dtype=torch.float64)
    (got,) = torch.autograd.grad(outputs, inputs, many, is_grads_batched=True, retain_graph=True)
    for grad, each in zip(many, got, strict=True):
        assert_same(torch.autograd.grad(outputs, inputs, grad, retain_graph=True), [each], 1e-10)


def test_gradients_of_last_states_alone(monkeypatch):
    made, inputs, states = draw("lstm")

    def run():
        _, last, _ = call(made, inputs, states)
        return list(torch.autograd.grad(last.square().sum(), [*inputs, *states]))

    assert_same(*both(monkeypatch, run, made), 1e-10)


def test_autocast(monkeypatch):
    """As `nn.LSTM`: the type that autocast asks for, which kernels do not have."""
    made, inputs, states = draw("lstm", dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output, *_ = call(made, inputs, states)
    assert output.dtype == torch.bfloat16
    assert made.path == "eager: there are no kernels for torch.bfloat16"


def test_functional_gradients(monkeypatch):
    made, inputs, _ = draw("gru", 3, 2)
    x = inputs[0]
    got = torch.func.grad(lambda x: made(x)[0].square().sum())(x.detach())
    assert_same([got], torch.autograd.grad(made(x)[0].square().sum(), x), 1e-10)
    jacobian = torch.func.jacfwd(lambda x: made(x)[0].sum((0, 1)))(x.detach())
    assert_same(
        [jacobian], [torch.func.jacrev(lambda x: made(x)[0].sum((0, 1)))(x.detach())], 1e-10
    )
    assert jacobian.abs().max() > 0


def test_other_types():
    made, inputs, states = draw("lstm", dtype=torch.float32)
    low = copy.deepcopy(made).to(torch.bfloat16)
    call(low, [inputs[0].bfloat16()], [value.bfloat16() for value in states])
    assert low.path == "eager: there are no kernels for torch.bfloat16"


# --- Building -------------------------------------------------------------------------------------


def test_no_compiler(monkeypatch):
    cells.forget()
    monkeypatch.setenv("CC", "/nonexistent/cc")
    made, inputs, states = draw("lstm")
    with pytest.warns(UserWarning, match=r"eager path: the C compiler /nonexistent/cc"):
        fast = call(made, inputs, states)
    assert made.path.startswith("eager: the C compiler /nonexistent/cc ($CC) is not there")
    monkeypatch.setenv("GATEC_RUNTIME", "off")
    assert_same(fast, call(made, inputs, states), 0)


def test_a_compiler_that_fails(monkeypatch):
    cells.forget()
    monkeypatch.setenv("CC", "false")
    made, inputs, states = draw("gru")
    with pytest.warns(UserWarning, match="the C compiler false"):
        call(made, inputs, states)
    assert made.path.startswith("eager: the C compiler false failed")


def files(name="rnn"):
    return backends.load("c").generate(program(name), "cell")


def test_a_library_is_made_once_and_again_when_damaged():
    place = build.library(files(), "float32")
    made = place.stat().st_mtime_ns
    assert build.library(files(), "float32").stat().st_mtime_ns == made
    assert build.library(files(), "float64") != place
    content = place.read_bytes()
    for damaged in (content[:100], b"", content[:-1] + b"?"):
        place.write_bytes(damaged)
        assert build.library(files(), "float32").read_bytes() == content or place.stat().st_size
        assert build._is_whole(place)


def test_a_folder_of_others_is_refused(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("GATEC_CACHE", str(shared))
    with pytest.raises(build.Unavailable, match="others may write"):
        build.library(files(), "float32")
    assert not list(shared.iterdir())


def test_a_new_folder_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEC_CACHE", str(tmp_path / "new"))
    place = build.library(files(), "float32")
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert {path.suffix for path in place.parent.iterdir()} == {place.suffix, ".sha256", ".lock"}


def test_a_home_that_cannot_be_written_to(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file, where a folder would have to be")
    monkeypatch.delenv("GATEC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert build.library(files(), "float32").exists()


def test_many_processes_at_once(tmp_path):
    """All of them compile the same cell into one new folder, and all of them compute with it."""
    code = (
        "import gatec, torch; m = gatec.load('rnn').RNN(3, 4); "
        "m(torch.zeros(2, 1, 3)); print(m.path)"
    )
    env = {**os.environ, "GATEC_CACHE": str(tmp_path / "new"), "GATEC_RUNTIME": "on"}
    command = [sys.executable, "-c", code]

    def run(_):
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done = list(pool.map(run, range(3)))
    assert [each.stdout.strip() for each in done] == [NATIVE] * 3, done[0].stderr
    assert len(list((tmp_path / "new").glob("cell-*.so"))) == 1


# --- Threads and processes ------------------------------------------------------------------------


def test_threads_share_a_module():
    made, inputs, states = draw("lstm", 20, 4)
    wanted = gradients(made, inputs, states)
    got = [None] * 4

    def run(place):
        got[place] = gradients(made, inputs, states)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in got:
        assert_same(found, wanted, 0)


def forked(queue, made, x):
    torch.set_num_threads(1)
    with torch.no_grad():
        queue.put((made(x)[0].tolist(), made.path))


def test_after_a_fork():
    made, inputs, _ = draw("lstm", 40, 8)
    x = inputs[0].detach()
    wanted = made(x)[0].detach()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=forked, args=(queue, made, x))
    process.start()
    values, path = queue.get(timeout=120)
    process.join()
    assert path == NATIVE
    torch.testing.assert_close(torch.tensor(values, dtype=x.dtype), wanted)


def test_numbers_of_threads_agree():
    made, inputs, states = draw("lstm", 100, 32, torch.float32)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            one, two = (gradients(made, inputs, states) for _ in range(2))
            assert_same(one, two, 0)
    finally:
        torch.set_num_threads(before)


def test_against_torch():
    """Not against the eager path: torch's own LSTM, with its weights."""
    made = module("lstm")(4, 6, num_layers=2, dtype=torch.float64)
    peer = nn.LSTM(4, 6, num_layers=2, dtype=torch.float64)
    mine = type(made).from_torch(peer)
    x = torch.randn(9, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(mine(x)[0], peer(x)[0], rtol=1e-10, atol=1e-10)
    assert mine.path == NATIVE

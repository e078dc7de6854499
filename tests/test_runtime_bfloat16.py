"""`module.kernel_weights = torch.bfloat16`: kernels multiply with rounded weights.

Held against the equations with weights that PyTorch has rounded, and the real ones elsewhere.
"""

import copy
import io
import math
import pickle
import platform
import subprocess

import pytest
import torch
from harness import compiled_text
from native_cells import program
from runtime_calls import gradients, module, module_of, needs_compilers, on, values_of

from gatec import backends
from gatec.native import FLAGS
from gatec.runtime import build, cells
from gatec.runtime.layer import NATIVE

__all__ = ["on"]  # a fixture
pytestmark = needs_compilers
HALF = {"dtype": torch.float32, "kernel_weights": torch.bfloat16}
SRU = r"""cell SRU
u_t = W x_t
f_t = \sigma(W_f x_t + v_f \odot c_{t-1} + b_f)
r_t = \sigma(W_r x_t + v_r \odot c_{t-1} + b_r)
c_t = f_t \odot c_{t-1} + (1 - f_t) \odot u_t
h_t = r_t \odot c_t + (1 - r_t) \odot (W_s x_t)
"""


def drawn(name, sizes, steps=5, batch=3, **more):
    """A module with rounded weights in its kernels, and a call of it."""
    found = compiled_text(SRU, "sru.gate") if name == "sru" else program(name)
    made = module_of(found, name)(*sizes, **HALF, **more)
    return made, *values_of(made, found.plan, steps, batch)


def rounded(made):
    """A module whose matrices PyTorch has rounded; its vectors are as they were."""
    other = copy.deepcopy(made)
    other.kernel_weights = None
    with torch.no_grad():
        for weight in other.parameters():
            if weight.dim() == 2:
                weight.copy_(weight.bfloat16().float())
    return other


def eager(monkeypatch, made, inputs, states):
    with monkeypatch.context() as patch:
        patch.setenv("GATEC_RUNTIME", "off")
        return gradients(made, inputs, states)


def assert_near(got, wanted):
    """Within 2e-5 of the largest number of each tensor."""
    for one, other in zip(got, wanted, strict=True):
        scale = max(1.0, other.detach().abs().max().item())
        torch.testing.assert_close(one, other, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize(
    ("name", "sizes", "steps", "batch"),
    [
        ("gru_v3", (3, 5), 7, 1),
        ("gru_v3", (33, 70), 9, 4),
        ("gru_v3", (64, 600), 3, 13),  # sums of several parts
        ("lstm", (4, 6), 5, 3),
        ("lstm", (17, 35), 300, 2),  # several chunks
        ("sru", (40, 23), 6, 3),  # no product in the step
        ("leaky", (7, 16), 5, 5),
        ("gru", (9, 48), 5, 6),
    ],
)
def test_outputs_and_gradients(name, sizes, steps, batch, monkeypatch):
    made, *given = drawn(name, sizes, steps, batch)
    got = gradients(made, *given)
    assert made.path == NATIVE
    assert_near(got, eager(monkeypatch, rounded(made), *given))
    exact = eager(monkeypatch, made, *given)
    assert (got[0] - exact[0]).abs().max() > 1e-4  # that weights are rounded shows


@pytest.mark.parametrize("name", ["gru_v3", "sru"])
def test_vectors_of_any_machine(name, monkeypatch):
    """Without what this processor has beyond others."""
    monkeypatch.setattr(
        build, "_flags", lambda compiler: [flag for flag in FLAGS if flag != "-march=native"]
    )
    cells.forget()
    made, *given = drawn(name, (33, 70), 5, 3)
    got = gradients(made, *given)
    assert made.path == NATIVE
    assert_near(got, eager(monkeypatch, rounded(made), *given))


@pytest.mark.parametrize("machine", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_no_warnings(machine, tmp_path):
    for name, text in backends.load("c").generate(program("gru_v3"), "cell").items():
        (tmp_path / name).write_text(text)
    command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1"]
    command += [f"-march={machine}", "-DGATEC_BFLOAT16", "-c", "cell.c", "-o", "cell.o"]
    if platform.machine() != "x86_64":
        pytest.skip("for another processor")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_layers_directions_packed_sequences_and_segments(monkeypatch):
    more = {"num_layers": 2, "bidirectional": True}
    made, (x,), states = drawn("gru_v3", (5, 9), 300, 2, **more)
    wanted = eager(monkeypatch, rounded(made), [x], states)
    made.checkpoint = 128
    assert_near(gradients(made, [x], states), wanted)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [300, 40])
    output, last = made(packed)
    assert made.path == NATIVE
    monkeypatch.setenv("GATEC_RUNTIME", "off")
    other, other_last = rounded(made)(packed)
    assert_near([output.data, last], [other.data, other_last])


def test_rounding_is_that_of_torch():
    """To the nearest, of two the even one; infinities and NaN stay; the signs of zeros, too."""
    made = module_of(compiled_text("cell Product\nh_t = W x_t + 0 * h_{t-1}", "product.gate"))
    layer = made(1, 4096, **HALF)
    torch.manual_seed(3)
    bits = torch.randint(-(2**31), 2**31, (4096,), dtype=torch.int32)
    ties = torch.arange(2048, dtype=torch.int32) * 0x8000 + 0x3F800000
    weights = torch.where(torch.arange(4096) % 2 == 0, bits, ties.repeat(2)).view(torch.float32)
    special = [0.0, -0.0, math.inf, -math.inf, math.nan, 3.4e38, -3.4e38, 1e-38, -1.0]
    weights[: len(special)] = torch.tensor(special)
    weights[len(special)] = torch.tensor(0x7F800001, dtype=torch.int32).view(torch.float32)
    wanted = weights.bfloat16().float()
    wanted[wanted.abs() < torch.finfo(torch.float32).tiny] = 0  # as kernels take such numbers
    with torch.no_grad():
        layer.W.copy_(weights.unsqueeze(1))
        output = layer(torch.ones(1, 1, 1))[0].flatten()
    assert layer.path == NATIVE
    torch.testing.assert_close(output, wanted, rtol=0, atol=0, equal_nan=True)
    assert output.isinf().any() and output.isnan().any()


def test_compiled_and_exported(monkeypatch):
    made, (x,), _ = drawn("gru_v3", (5, 9))
    weights = list(made.parameters())
    wanted = eager(monkeypatch, rounded(made), [x], [])
    file = io.BytesIO()
    torch.export.save(torch.export.export(made, (x.detach(),)), file)
    file.seek(0)
    exported = torch.export.load(file).module()
    own = dict(exported.named_parameters())
    compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
    for run, leaves in (
        (compiled, weights),
        (exported, [own[name] for name, _ in made.named_parameters()]),
    ):
        output, last = run(x)
        loss = sum(
            (v * torch.linspace(1, 2, v.numel()).view(v.shape)).sum() for v in (output, last)
        )
        assert_near([output, last, *torch.autograd.grad(loss, [*leaves, x])], wanted)


def test_it_may_change_at_any_time(monkeypatch):
    made, (x,), _ = drawn("lstm", (4, 6))
    halves = made(x)[0]
    made.kernel_weights = None
    exact = made(x)[0]
    assert not torch.equal(halves, exact)
    made.kernel_weights = torch.bfloat16
    assert torch.equal(made(x)[0], halves)
    monkeypatch.setenv("GATEC_RUNTIME", "off")
    torch.testing.assert_close(made(x)[0], exact)


def test_copies_keep_it_and_print_shows_it():
    made = module("lstm")(3, 4, **HALF)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert other.kernel_weights is torch.bfloat16
    assert "kernel_weights=torch.bfloat16" in repr(made)
    assert "kernel_weights" not in repr(module("lstm")(3, 4))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (torch.bfloat16, torch.float64),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        ("bfloat16", torch.float32),
        (True, None),
    ],
)
def test_what_does_not_go_together_is_refused(kind, dtype):
    with pytest.raises(ValueError, match="kernel_weights must be None"):
        module("lstm")(3, 4, dtype=dtype, kernel_weights=kind)
    made = module("lstm")(3, 4, dtype=dtype)
    made.kernel_weights = kind
    with pytest.raises(ValueError, match="kernel_weights must be None"):
        made(torch.zeros(2, 1, 3, dtype=dtype))

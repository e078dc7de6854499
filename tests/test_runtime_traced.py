"""Generated modules under `torch.compile` and `torch.export`, on kernels and without them.

Against the eager path called by hand; the number of steps and the batch stay open.
"""

import io
import subprocess
import sys

import pytest
import torch
import torch._dynamo.testing
from runtime_calls import FOLDER, assert_same, draw, needs_compilers, on

__all__ = ["on"]  # a fixture
pytestmark = needs_compilers
DEEP = {"num_layers": 2, "bidirectional": True}


def eager(made, inputs, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("GATEC_RUNTIME", "off")
        return outcome(made, inputs, list(made.parameters()))


def outcome(run, inputs, weights):
    """Outputs and states; the gradients, where there are any."""
    output, last = run(*inputs)
    values = [output, *([last] if isinstance(last, torch.Tensor) else last)]
    if not torch.is_grad_enabled():
        return values
    loss = sum((v * torch.linspace(1, 2, v.numel()).view(v.shape)).sum() for v in values)
    return values + list(torch.autograd.grad(loss, [*inputs, *weights], materialize_grads=True))


def lengths(name, more):
    """Calls of one module with several T and B."""
    made, inputs, _ = draw(name, **more)
    yield made, inputs
    for steps, batch in ((9, 3), (4, 2)):
        yield made, draw(name, steps, batch, **more)[1]


def compiled(made, backend):
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend(backend)
    return torch.compile(made, fullgraph=True, dynamic=True, backend=counter), counter


@pytest.mark.parametrize(
    ("name", "more", "backend"),
    [
        ("lstm", {}, "inductor"),
        ("lstm", DEEP, "aot_eager"),
        ("leaky", {"bidirectional": True}, "aot_eager"),
        ("matrix", {}, "aot_eager"),
    ],
)
def test_compiled(name, more, backend, monkeypatch):
    """One graph, with one node for each layer and direction, serves every length."""
    calls = list(lengths(name, more))
    made = calls[0][0]
    run, counter = compiled(made, backend)
    for _, inputs in calls:
        assert_same(
            outcome(run, inputs, list(made.parameters())), eager(made, inputs, monkeypatch), 1e-10
        )
        if inputs is calls[0][1]:
            frames = counter.frame_count
    assert counter.frame_count == frames
    nodes = [node for graph in counter.graphs for node in graph.graph.nodes]
    own = [node for node in nodes if node.target is torch.ops.gatec.forward]
    assert len(own) == made.num_layers * made._directions


def test_compiled_without_gradients(monkeypatch):
    made, inputs, _ = draw("gru_v3")
    run, _ = compiled(made, "aot_eager")
    with torch.no_grad():
        assert_same(outcome(run, inputs, []), eager(made, inputs, monkeypatch))


@pytest.mark.parametrize("name", ["learned", "delays", "mingru"])
def test_compiled_without_kernels(name, monkeypatch):
    """The loop is PyTorch's own operator: one graph serves every length."""
    calls = list(lengths(name, {}))
    monkeypatch.setenv("GATEC_RUNTIME", "off")
    made = calls[0][0]
    run, counter = compiled(made, "aot_eager")
    with torch.no_grad():
        for _, inputs in calls:
            assert_same(outcome(run, inputs, []), outcome(made, inputs, []))
            if inputs is calls[0][1]:
                frames = counter.frame_count
    assert counter.frame_count == frames
    targets = [node.target for graph in counter.graphs for node in graph.graph.nodes]
    assert torch.ops.higher_order.scan in targets


def test_gradients_compiled_without_kernels(monkeypatch):
    """Inductor's gradients of PyTorch's scan are wrong (pytorch#153679): the loop is unrolled."""
    monkeypatch.setenv("GATEC_RUNTIME", "off")
    made, inputs, _ = draw("gru", 2, 2)
    run, counter = compiled(made, "aot_eager")
    weights = list(made.parameters())
    assert_same(outcome(run, inputs, weights), outcome(made, inputs, weights), 1e-10)
    targets = [node.target for graph in counter.graphs for node in graph.graph.nodes]
    assert torch.ops.higher_order.scan not in targets


def exported(made, inputs, strict, grad=True):
    """A module exported with any T and B, saved and loaded."""
    steps, batch = torch.export.Dim("T", min=2), torch.export.Dim("B", min=2)
    given = tuple(value.detach() for value in inputs)
    shapes = tuple({0: steps, 1: batch} for _ in inputs)
    with torch.set_grad_enabled(grad):
        program = torch.export.export(made, given, dynamic_shapes=shapes, strict=strict)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file).module()


# PyTorch's scan has no gradients where a step reads the batch size: no `matrix` off and strict.
@pytest.mark.parametrize(
    ("name", "more", "kernels", "strict"),
    [
        ("gru", {}, "on", True),
        ("gru", {}, "off", False),
        ("leaky", DEEP, "on", False),
        ("leaky", DEEP, "off", True),
        ("matrix", {}, "on", True),
        ("matrix", {}, "off", False),
    ],
)
def test_exported(name, more, kernels, strict, monkeypatch):
    calls = list(lengths(name, more))
    made = calls[0][0]
    monkeypatch.setenv("GATEC_RUNTIME", kernels)
    run = exported(made, calls[0][1], strict)
    found = dict(run.named_parameters())
    weights = [found[key] for key, _ in made.named_parameters()]
    for _, inputs in calls:
        assert_same(outcome(run, inputs, weights), eager(made, inputs, monkeypatch), 1e-10)


def test_exported_for_inference():
    made, inputs, _ = draw("lstm")
    run = exported(made, inputs, strict=False, grad=False)
    with torch.no_grad():
        assert_same(outcome(run, inputs, []), outcome(made, inputs, []))
    with pytest.raises(RuntimeError, match="without gradients"):
        run(*inputs)[0].sum().backward()


def test_exported_program_in_another_process(tmp_path):
    """It needs `gatec.runtime` alone: the module is not imported there."""
    made, inputs, _ = draw("lstm")
    x = inputs[0].detach()
    program = torch.export.export(made, (x,))
    torch.export.save(program, tmp_path / "lstm.pt2")
    torch.save((x, made(x)[0].detach()), tmp_path / "values.pt")
    script = (
        "import torch, gatec.runtime; run = torch.export.load('lstm.pt2').module(); "
        "x, wanted = torch.load('values.pt'); torch.testing.assert_close(run(x)[0], wanted); "
        "print('the same')"
    )
    env = {"GATEC_CACHE": str(FOLDER), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.stdout.strip() == "the same", done.stderr

"""What `cpu.py` times: generated modules, torch's own, and loops that a person would write."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

import gatec
from gatec import compiler, resources

# T, B, input_size, hidden_size
SHAPES = {
    "S1": (100, 32, 128, 128),
    "S2": (512, 16, 256, 256),
    "S3": (128, 64, 512, 512),
    "S4": (1000, 1, 128, 128),
    "S5": (10_000, 1, 64, 64),
    "long": (10_000, 8, 256, 256),
    "longest": (10_000, 1, 64, 64),
}
MIXING = ("lstm", "gru_v3", "gru", "lstm_peephole", "cifg", "mgu", "rnn", "slstm")
PEERS = {"lstm": nn.LSTM, "gru_v3": nn.GRU, "rnn": nn.RNN}
# The recurrences of affine cells alone: what their input products give is the input.
ALONE = {
    "mingru alone": """
        cell MinGRUAlone
        input k, v : n_h
        z_t = \\sigma(k_t)
        h_t = (1 - z_t) * h_{t-1} + z_t * v_t
    """,
    "minlstm alone": """
        cell MinLSTMAlone
        input p, q, v : n_h
        f_t = \\sigma(p_t)
        i_t = \\sigma(q_t)
        h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * v_t
    """,
}


@dataclass
class Runner:
    """A module and a call of it. `path` is the value of GATEC_RUNTIME."""

    module: Callable[..., tuple[Tensor, object]]
    inputs: list[Tensor]
    path: str = "on"
    leaves: list[Tensor] = field(default_factory=list)

    def infer(self) -> None:
        os.environ["GATEC_RUNTIME"] = self.path
        with torch.no_grad():
            self.module(*self.inputs)

    def train(self) -> None:
        os.environ["GATEC_RUNTIME"] = self.path
        self.gradients()

    def gradients(self) -> list[Tensor]:
        """Forward and backward; the outputs and all gradients."""
        leaves = [*self.inputs, *self.leaves]
        for leaf in leaves:
            leaf.grad = None
        output, _ = self.module(*self.inputs)
        output.backward(torch.ones_like(output))
        return [output.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def of_module(module: nn.Module, inputs: list[Tensor], path: str = "on") -> Runner:
    """A module with inputs of its own, all of which want gradients."""
    own = [value.clone().requires_grad_() for value in inputs]
    return Runner(module, own, path, list(module.parameters()))


def generated(name: str) -> type[nn.Module]:
    """The class of a spec's generated module, or of one of the cells of this file."""
    text = "\n".join(line.strip() for line in ALONE.get(name, "").strip().splitlines())
    module = gatec.load(text or name)
    return next(v for v in vars(module).values() if isinstance(v, type) and hasattr(v, "_cell"))


def runners(name: str, shape: str, loops: bool) -> dict[str, Runner]:
    """All that is timed for a cell and a shape, by label; `loops`: and those step by step."""
    steps, batch, input_size, hidden_size = SHAPES[shape]
    torch.manual_seed(0)
    cell = generated(name)
    if name in ALONE:
        count = 2 + name.startswith("minlstm")
        inputs = [torch.randn(steps, batch, hidden_size) for _ in range(count)]
        module = cell(hidden_size, hidden_size)
    else:
        inputs = [torch.randn(steps, batch, input_size)]
        module = cell(input_size, hidden_size)
    made = {"gatec": of_module(module, inputs)}
    if name in PEERS:
        peer = PEERS[name](input_size, hidden_size)
        made[f"nn.{PEERS[name].__name__}"] = of_module(peer, inputs)
        run = onnx(peer, inputs[0]) if name != "rnn" and shape != "long" else None
        if run is not None:
            made["ONNX Runtime"] = Runner(run, inputs)
    if loops:
        made["eager"] = of_module(module, inputs, "off")
        if name in SCRIPTS:
            made["jit.script"] = scripted(name, PEERS[name](input_size, hidden_size), inputs)
    return made


def multiplications(name: str, shape: str) -> float:
    """Multiplications with weights of one forward pass."""
    if name in ALONE:
        return 0.0
    steps, batch, input_size, hidden_size = SHAPES[shape]
    unit = compiler.single(str(resources.spec_path(name)), None)
    cell = compiler.front(unit.document).cell
    sizes = {"input_size": input_size, "hidden_size": hidden_size}
    sizes |= {size.name: size.default or hidden_size for size in cell.sizes}
    weights = sum(
        param.shape[0].value(sizes) * param.shape[1].value(sizes)
        for param in cell.params
        if len(param.shape) == 2
    )
    return float(steps * batch * weights)


def error(runner: Runner) -> float:
    """The largest relative error of outputs and gradients against float64, by the largest value.

    Gradients that are 0 but for rounding (of a bias that a quotient cancels) are left out.
    """
    os.environ["GATEC_RUNTIME"] = runner.path
    got = runner.gradients()
    double = [value.detach().double() for value in runner.inputs]
    os.environ["GATEC_RUNTIME"] = "off"
    exact = of_module(copy.deepcopy(runner.module).double(), double, "off")  # type: ignore[attr-defined]
    wanted = exact.gradients()
    sizes = [float(value.abs().max()) for value in wanted]
    return max(
        float((one.double() - other).abs().max()) / size
        for one, other, size in zip(got, wanted, sizes, strict=True)
        if size > 1e-9 * max(sizes)
    )


# --- Peers ----------------------------------------------------------------------------------------


@torch.jit.script
def _lstm(x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    h = torch.zeros(x.size(1), w_hh.size(1))
    c = torch.zeros(x.size(1), w_hh.size(1))
    affine = torch.addmm(b_ih + b_hh, x.flatten(0, 1), w_ih.t()).view(x.size(0), x.size(1), -1)
    outputs: list[Tensor] = []
    for t in range(x.size(0)):
        i, f, g, o = (affine[t] + h @ w_hh.t()).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


@torch.jit.script
def _gru(x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    h = torch.zeros(x.size(1), w_hh.size(1))
    affine = torch.addmm(b_ih, x.flatten(0, 1), w_ih.t()).view(x.size(0), x.size(1), -1)
    outputs: list[Tensor] = []
    for t in range(x.size(0)):
        r_x, z_x, n_x = affine[t].chunk(3, 1)
        r_h, z_h, n_h = torch.addmm(b_hh, h, w_hh.t()).chunk(3, 1)
        z = torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h)
        h = n + z * (h - n)
        outputs.append(h)
    return torch.stack(outputs)


SCRIPTS = {"lstm": _lstm, "gru_v3": _gru}


def scripted(name: str, peer: nn.Module, inputs: list[Tensor]) -> Runner:
    """A loop that `torch.jit.script` has compiled, on the weights of torch's module."""
    weights = list(peer.parameters())

    def module(x: Tensor) -> tuple[Tensor, None]:
        return SCRIPTS[name](x, *weights), None

    return Runner(module, [value.clone().requires_grad_() for value in inputs], "on", weights)


def onnx(module: nn.Module, x: Tensor) -> Callable[..., tuple[Tensor, None]] | None:
    """ONNX Runtime on the weights of torch's module, as many threads as torch; None without it."""
    try:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    kind = type(module).__name__
    # The gates in ONNX's order: i o f c of torch's i f g o, z r h of its r z n.
    order = [0, 3, 1, 2] if kind == "LSTM" else [1, 0, 2]
    w_ih, w_hh, b_ih, b_hh = (
        torch.cat([value.detach().chunk(len(order))[gate] for gate in order])
        for value in module.parameters()
    )
    weights = {"W": w_ih, "R": w_hh, "B": torch.cat([b_ih, b_hh])}
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    node = helper.make_node(
        kind, ["X", *weights], ["Y"], hidden_size=w_hh.shape[1], name="cell", **more
    )
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v[None].numpy(), name) for name, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    written = io.BytesIO(model.SerializeToString())
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(written.getvalue(), options, providers=providers)

    def run(given: Tensor) -> tuple[Tensor, None]:
        (found,) = session.run(None, {"X": given.detach().numpy()})
        return torch.from_numpy(found)[:, 0], None

    return run

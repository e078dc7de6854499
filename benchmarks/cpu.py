"""Generated modules on the CPU against torch's own, their eager loop, and the arithmetic limit.

    python benchmarks/cpu.py [--cells lstm gru_v3] [--shapes S1 S2 S3 S4 S5] [--threads 1 2]
                             [--runs 7] [--eager]

Every figure is a median over runs in which all are timed in turn: the machine is noisy, the ratios
are less so. `of the limit` is the time over that of the same multiplications at the speed of a
large matrix product, measured in the same turns. Errors are relative to the largest value, against
the same module in float64. float32; training is forward and backward, by all parameters and the
input.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

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
}
PEERS = {"lstm": nn.LSTM, "gru_v3": nn.GRU, "rnn": nn.RNN}
SIDE = 1024  # of the matrices whose product is the limit


@dataclass
class Runner:
    """A module and a call of it. `path` is the value of GATEC_RUNTIME."""

    module: nn.Module
    x: Tensor
    path: str = "on"

    def infer(self) -> None:
        os.environ["GATEC_RUNTIME"] = self.path
        with torch.no_grad():
            self.module(self.x)

    def train(self) -> None:
        os.environ["GATEC_RUNTIME"] = self.path
        self.gradients()

    def gradients(self) -> list[Tensor]:
        """Forward and backward; the outputs and all gradients."""
        for leaf in (self.x, *self.module.parameters()):
            leaf.grad = None
        output, _ = self.module(self.x)
        output.backward(torch.ones_like(output))
        found = [output.detach(), self.x.grad, *(p.grad for p in self.module.parameters())]
        return [value for value in found if value is not None]


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def multiply() -> Callable[[], object]:
    """A large matrix product."""
    a, b, c = (torch.randn(SIDE, SIDE) for _ in range(3))
    return lambda: torch.mm(a, b, out=c)


def multiplications(name: str, shape: tuple[int, int, int, int]) -> float:
    """Multiplications with weights of one forward pass."""
    steps, batch, input_size, hidden_size = shape
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
    """The largest relative error of outputs and gradients against float64."""
    os.environ["GATEC_RUNTIME"] = runner.path
    exact = Runner(copy.deepcopy(runner.module).double(), runner.x.detach().double(), "off")
    exact.x.requires_grad_()
    got = runner.gradients()
    os.environ["GATEC_RUNTIME"] = "off"
    wanted = exact.gradients()
    return max(
        float((one.double() - other).abs().max() / other.abs().max().clamp(min=1e-30))
        for one, other in zip(got, wanted, strict=True)
    )


def compare(name: str, shape: str, runs: int, eager: bool) -> str:
    """A row of the table."""
    steps, batch, input_size, hidden_size = SHAPES[shape]
    torch.manual_seed(0)
    module = gatec.load(name)
    cell = next(v for v in vars(module).values() if isinstance(v, type) and hasattr(v, "_cell"))
    sizes = (input_size, hidden_size)
    x = torch.randn(steps, batch, input_size)
    runners = {"gatec": Runner(cell(*sizes), x.clone().requires_grad_())}
    peer = PEERS.get(name, nn.LSTM)
    runners[peer.__name__] = Runner(peer(*sizes), x.clone().requires_grad_())
    if eager:
        runners["eager"] = Runner(runners["gatec"].module, x.clone().requires_grad_(), "off")
    limit = multiply()
    cells = [f"{name} {shape}"]
    for kind, passes in (("infer", 1), ("train", 3)):
        work = {label: getattr(runner, kind) for label, runner in runners.items()}
        for each in (*work.values(), limit):
            each()
        times: dict[str, list[float]] = {label: [] for label in (*work, "limit")}
        for _ in range(runs):
            for label, each in (*work.items(), ("limit", limit)):
                times[label].append(timed(each))
        own = times["gatec"]
        cells.append(f"{1e3 * statistics.median(own):.1f} ms")
        for label in [*work][1:]:
            ratios = [other / mine for other, mine in zip(times[label], own, strict=True)]
            cells.append(f"{statistics.median(ratios):.2f}")
        speed = SIDE**3 / statistics.median(times["limit"])
        least = passes * multiplications(name, SHAPES[shape]) / speed
        cells.append(f"{statistics.median(own) / least:.2f}")
    cells += [f"{error(runners[label]):.1e}" for label in ("gatec", peer.__name__)]
    path = getattr(runners["gatec"].module, "path", "")
    if eager:
        runners["gatec"].infer()
        path = runners["gatec"].module.path  # type: ignore[union-attr]
    assert path == "native" or eager, path
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru_v3"])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--eager", action="store_true", help="also time the module's eager loop")
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores")
    heads = ["cell, shape"]
    for kind in ("inference", "training"):
        heads += [kind, "torch's ÷ gatec's", *(["eager ÷ gatec's"] if given.eager else [])]
        heads.append("of the limit")
    heads += ["error", "torch's error"]
    for threads in given.threads:
        torch.set_num_threads(threads)
        print(f"\n{threads} thread{'s' * (threads > 1)}:\n")
        print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
        for name in given.cells:
            for shape in given.shapes:
                print(compare(name, shape, given.runs, given.eager), flush=True)


if __name__ == "__main__":
    main()

"""Generated modules on the CPU against torch's own, ONNX Runtime, loops, and the arithmetic limit.

    python benchmarks/cpu.py [--only main specs affine] [--cells lstm ...] [--shapes S1 ...]
                             [--threads 1 2] [--seconds 3] [--write]

Every figure is a ratio of medians over rounds in which all are timed in turn: the machine is noisy,
the ratios are less so. `limit` is the time of the same multiplications at the speed of a large
matrix product, measured in the same rounds. Errors are the largest of outputs and gradients,
relative to the largest value of each, against float64. float32; training is forward and backward,
by all parameters and the input.

    main    lstm and gru_v3 at all shapes, with all peers
    specs   every spec that mixes, at S1 to S3, and at S5 in training
    affine  minGRU and minLSTM over 10,000 steps, with and without their input products

`--write` puts the tables into `cpu.md` and a drawing into `cpu.svg`, beside this file. ONNX Runtime
takes part where `onnx` and `onnxruntime` are installed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cpu_cases as cases
import torch
from cpu_plot import drawing

SIDE = 1024  # of the matrices whose product is the limit
SHORT, SLOW, VERY_SLOW = 0.1, 1.0, 6.0  # seconds of a call
LOOPS = ("eager", "jit.script")
ROUNDS = 25  # at most
REST = 0.05  # seconds
HERE = Path(__file__).parent


@dataclass
class Row:
    """A case: the medians of all that ran, in seconds; `limit` likewise, 0 where there is none."""

    name: str
    shape: str
    threads: int
    kind: str
    times: dict[str, float]
    limit: float
    errors: dict[str, float] = field(default_factory=dict)

    @property
    def of_limit(self) -> float:
        return self.times["gatec"] / self.limit if self.limit else 0.0


def timed(work: Callable[[], object], short: bool = False) -> float:
    """The seconds of a call, once the threads of the one before have come to rest.

    Threads of ONNX Runtime wait awake for a while, on a core that others want. What is short comes
    once before, not timed: the rest leaves caches to others, where a loop would find them full.
    """
    time.sleep(REST)
    if short:
        work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def multiply() -> Callable[[], object]:
    """A large matrix product."""
    a, b, c = (torch.randn(SIDE, SIDE) for _ in range(3))
    return lambda: torch.mm(a, b, out=c)


def measured(work: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Medians over rounds that take so long together.

    The first call of each is left out: it compiles, and it warms the memory. What is slow takes
    part in one round, and what is very slow in none: then it is the first call that counts.
    """
    work = {**work, "limit": multiply()}
    first = {label: timed(each) for label, each in work.items()}
    for label, each in work.items():
        if label not in LOOPS:  # what compiled was not slow for that
            first[label] = min(first[label], timed(each))
    rounds = {
        label: 0 if taken > VERY_SLOW else 1 if taken > SLOW and label in LOOPS else ROUNDS
        for label, taken in first.items()
    }
    rounds["gatec"] = ROUNDS
    times: dict[str, list[float]] = {label: [] for label in work}
    started = time.perf_counter()
    for number in range(ROUNDS):
        if number >= 2 and time.perf_counter() - started > seconds:
            break
        for label, each in work.items():
            if number < rounds[label]:
                times[label].append(timed(each, first[label] < SHORT))
    return {label: statistics.median(values or [first[label]]) for label, values in times.items()}


def compared(
    name: str, shape: str, threads: int, kinds: tuple[str, ...], loops: bool, seconds: float
) -> Iterator[Row]:
    """The rows of a cell at a shape."""
    torch.set_num_threads(threads)
    runners = cases.runners(name, shape, loops)
    multiplications = cases.multiplications(name, shape)
    for kind in kinds:
        work = {
            label: getattr(runner, kind)
            for label, runner in runners.items()
            if kind == "infer" or label != "ONNX Runtime"
        }
        times = measured(work, seconds)
        per_second = SIDE**3 / times.pop("limit")
        limit = multiplications * (1 if kind == "infer" else 3) / per_second
        yield Row(name, shape, threads, kind, times, limit, errors(kind, runners, shape, threads))


def errors(
    kind: str, runners: dict[str, cases.Runner], shape: str, threads: int
) -> dict[str, float]:
    """Of the generated module and of torch's, or of its own loop in float32 where torch has none.

    Once a shape: float64 takes its time.
    """
    if kind != "train" or threads > 1 or shape in ("S3", "long"):
        return {}
    other = next((label for label in runners if label.startswith("nn.")), "eager")
    return {label: cases.error(runners[label]) for label in ("gatec", other) if label in runners}


# --- Tables ---------------------------------------------------------------------------------------


def table(rows: list[Row]) -> str:
    """Rows as Markdown; ratios are the others' time by that of the generated module."""
    labels = list(dict.fromkeys(_plain(label) for row in rows for label in row.times))[1:]
    lstm = {(r.shape, r.threads, r.kind): r.of_limit for r in rows if r.name == "lstm"}
    heads = ["cell, shape", "threads", "", "gatec", "÷ limit", "÷ LSTM's"]
    heads += [f"{label} ÷ gatec" for label in labels] + ["error", "torch's error"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        times = {_plain(label): value for label, value in row.times.items()}
        own = times["gatec"]
        base = lstm.get((row.shape, row.threads, row.kind), 0.0)
        cells = [f"{row.name} {row.shape}", str(row.threads), row.kind, f"{1e3 * own:.1f} ms"]
        cells.append(f"{row.of_limit:.2f}" if row.limit else "")
        cells.append(f"{row.of_limit / base:.2f}" if base and row.limit else "")
        cells += [f"{times[label] / own:.2f}" if label in times else "" for label in labels]
        found = [f"{value:.1e}" for value in row.errors.values()]
        cells += [*found, "", ""][:2]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(label: str) -> str:
    return "torch" if label.startswith("nn.") else label


def drawn(rows: list[Row]) -> str:
    """Times over the limit, one thread."""
    chosen = [row for row in rows if row.limit and row.threads == min(r.threads for r in rows)]
    points = [
        (
            f"{row.name} {row.shape} {row.kind}",
            {_plain(label): value / row.limit for label, value in row.times.items()},
        )
        for row in chosen
    ]
    return drawing(points, "Time over that of the same multiplications in a large product")


def shown(row: Row) -> None:
    """A line as soon as it is there."""
    ratios = [f"{label} {value / row.times['gatec']:.2f}" for label, value in row.times.items()]
    limit = f"limit {row.of_limit:.2f}  " if row.limit else ""
    found = "  ".join(f"{label} {value:.1e}" for label, value in row.errors.items())
    head = f"{row.name} {row.shape} {row.threads} {row.kind}"
    print(f"{head:28} {1e3 * row.times['gatec']:8.1f} ms  {limit}{'  '.join(ratios[1:])}  {found}")


def chosen(given: argparse.Namespace) -> Iterator[tuple[str, str, int, tuple[str, ...], bool]]:
    """Cell, shape, threads, kinds, and whether loops are timed."""
    both = ("infer", "train")
    shapes = given.shapes or ["S1", "S2", "S3", "S4", "S5"]
    if "main" in given.only:
        for threads in given.threads:
            for name in given.cells or ["lstm", "gru_v3"]:
                for shape in shapes:
                    yield name, shape, threads, both, threads == given.threads[0]
    if "specs" in given.only:
        done = {"lstm", "gru_v3"} if "main" in given.only else set()
        for name in given.cells or cases.MIXING:
            if name not in done:
                for shape in shapes:
                    if shape != "S4":
                        kinds = ("train",) if shape == "S5" else both
                        yield name, shape, given.threads[0], kinds, True
    if "affine" in given.only:
        for name in ("mingru", "minlstm", *cases.ALONE):
            for shape in ("long", "longest"):
                yield name, shape, given.threads[0], both, True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = ["main", "specs", "affine"]
    parser.add_argument("--only", nargs="+", default=kinds, choices=kinds)
    parser.add_argument("--cells", nargs="+", help="of main and specs")
    parser.add_argument("--shapes", nargs="+", choices=["S1", "S2", "S3", "S4", "S5"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=3, help="a case, at least two rounds")
    parser.add_argument("--write", action="store_true", help="write cpu.md and cpu.svg")
    given = parser.parse_args()
    lead = f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores, float32"
    print(lead)
    rows: list[Row] = []
    for name, shape, threads, of, loops in chosen(given):
        for row in compared(name, shape, threads, of, loops, given.seconds):
            rows.append(row)
            shown(row)
    text = f"{lead}\n\n{table(rows)}\n"
    print(f"\n{text}")
    if given.write:
        head = "# Generated code on the CPU\n\nWritten by `python benchmarks/cpu.py --write`: "
        (HERE / "cpu.md").write_text(f"{head}{text}\n![](cpu.svg)\n", encoding="utf-8")
        (HERE / "cpu.svg").write_text(drawn(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

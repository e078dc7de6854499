"""How long the command line takes from a cold start, in a new process each time.

    python benchmarks/cold_start.py [--runs 20]

Prints the median and the fastest wall time of each command, with the grammar's tables remembered
from an earlier run (as usual) and without (the very first run), and what was imported.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = [
    ("--version",),
    ("list",),
    ("show", "lstm"),
    ("compile", "specs/lstm.gate"),
    ("compile", "specs/lstm.gate", "-t", "all"),
    ("compile", "specs/slstm.gate", "-t", "all"),
]
ROOT = Path(__file__).resolve().parents[1]


def measure(words: tuple[str, ...], runs: int, remembered: bool) -> tuple[float, float]:
    """Median and minimum of the wall time in seconds."""
    words = tuple(str(ROOT / word) if word.startswith("specs/") else word for word in words)
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(runs + 1):
            cache = Path(folder) / ("cache" if remembered else f"cache{run}")
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "gatec", *words],
                cwd=folder,
                env={**os.environ, "XDG_CACHE_HOME": str(cache)},
                check=True,
                capture_output=True,
            )
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:]), min(times[1:])  # the first run also reads the disk


def heavy() -> list[str]:
    """Which slow libraries a compilation imports."""
    script = (
        "import sys; from gatec.cli import main; main(['compile', 'lstm', '-o', '-']); "
        "print(*sorted({'torch', 'numpy', 'lark', 'jinja2'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return done.stderr.split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {runs} runs each\n")
    print(f"{'gatec …':<42}{'median':>9}{'fastest':>9}{'first run':>11}")
    for words in COMMANDS:
        median, fastest = measure(words, runs, remembered=True)
        first, _ = measure(words, max(3, runs // 4), remembered=False)
        print(f"{' '.join(words):<42}{median:>8.3f}s{fastest:>8.3f}s{first:>10.3f}s")
    print(f"\nlibraries that `gatec compile lstm` imports: {', '.join(heavy())}")


if __name__ == "__main__":
    main()

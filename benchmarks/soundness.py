"""Soundness of `gatec check`: pairs that must come out equal, mutants that must not.

    python benchmarks/soundness.py [--pairs 10000] [--mutants 10000] [--first 0] [--jobs 1]

A pair is a small gated cell and the same cell rewritten by laws that hold; gatec has to prove, in
both directions, that it is the same function. A mutant is a cell with one small change that makes
another function at equal parameters; where gatec claims equality all the same, the parameter map
of its proof is tried in float64, and has to hold. The generators and the trial share no code with
gatec's normal forms, search or proofs (tests/soundness.py). Everything follows from the seeds.

Exit 1 where a pair is not proved, or a mutant is called equal that is not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from soundness import claimed, equal_pair, holds, mutant_pair

from gatec.equivalence import checker

CHUNK = 100


@dataclass
class Tally:
    """What came of some seeds. `wrong` are seeds with what went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0  # of gatec's search, proofs and checks
    slowest: float = 0.0

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        self.wrong += other.wrong
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)


def pairs(seeds: Iterable[int]) -> Tally:
    tally = Tally()
    for seed in seeds:
        one, other, done = equal_pair(seed)
        verdict = _verdict(one, other, seed, tally)
        tally.counts[verdict] += 1
        if verdict != "equal":
            tally.wrong.append((seed, f"{verdict}: {one.name}, {', '.join(done)}"))
    return tally


def mutants(seeds: Iterable[int]) -> Tally:
    tally = Tally()
    for seed in seeds:
        one, other, change = mutant_pair(seed)
        verdict = _verdict(one, other, seed, tally)
        tally.counts["repaired by a map" if verdict == "equal" else verdict] += 1
        if verdict not in ("equal", "not proved"):
            tally.wrong.append((seed, f"{verdict}: {one.name}, {change}"))
    return tally


def _verdict(one, other, seed: int, tally: Tally) -> str:
    started = time.process_time()
    try:
        proofs = claimed(one, other)
    except checker.Refused as refusal:
        return f"refused by the checker ({refusal})"
    finally:
        spent = time.process_time() - started
        tally.seconds += spent
        tally.slowest = max(tally.slowest, spent)
    if proofs is None:
        return "not proved"
    return "equal" if all(holds(proof, seed) for proof in proofs) else "falsely equal"


def run(kind, first: int, count: int, jobs: int) -> Tally:
    chunks = [range(n, min(n + CHUNK, first + count)) for n in range(first, first + count, CHUNK)]
    total = Tally()
    with ProcessPoolExecutor(jobs) as pool:
        for done, tally in enumerate(pool.map(kind, chunks), 1):
            total.add(tally)
            if done % 10 == 0:
                found = f"{total.counts.total()} of {count}, {len(total.wrong)} wrong"
                print(found, file=sys.stderr, flush=True)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    bad = 0
    for name, kind, count in (("pairs", pairs, given.pairs), ("mutants", mutants, given.mutants)):
        if not count:
            continue
        tally = run(kind, given.first, count, given.jobs)
        counts = ", ".join(f"{n} {what}" for what, n in sorted(tally.counts.items()))
        print(f"{name}: {counts}")
        print(
            f"  {tally.seconds:.0f} s of one core, {1000 * tally.seconds / count:.0f} ms each,"
            f" the slowest {tally.slowest:.1f} s"
        )
        for seed, what in tally.wrong:
            print(f"  seed {seed}: {what}")
        bad += len(tally.wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())

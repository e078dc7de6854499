"""What every shipped cell is to every other, and how long `gatec check` takes to say so.

    python benchmarks/check.py            the table of all pairs, and the times
    python benchmarks/check.py --write    also puts the table into docs/equivalence.md

The table is the same on every run and every machine; the times are not, and stay out of it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import gatec
from gatec import resources
from gatec.equivalence.comparison import Comparison
from gatec.equivalence.laws import LAWS
from gatec.equivalence.verdict import Kind

DOCS = Path(__file__).resolve().parents[1] / "docs" / "equivalence.md"
BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"

SIGNS = {
    Kind.IDENTICAL: "=",
    Kind.EQUAL: "=",
    Kind.SPECIAL_CASE: "⊂",
    Kind.GENERALISATION: "⊃",
    Kind.EQUAL_NUMERICALLY: "≈",
    Kind.DIFFERENT: "≠",
    Kind.UNDECIDED: "?",
}
# A sign read from the other side.
BACK = {"⊂": "⊃", "⊃": "⊂", "⊂∞": "⊃∞", "⊃∞": "⊂∞"}


def sign(found: Comparison) -> str:
    """What the first cell is to the second, as one sign."""
    if found.kind is not Kind.LIMIT_CASE:
        return SIGNS[found.kind]
    covers, covered = found.verdict.covers is not None, found.verdict.covered is not None
    return "=∞" if covers and covered else "⊃∞" if covers else "⊂∞"


def table(signs: Mapping[tuple[str, str], str], names: list[str]) -> str:
    """The signs as a Markdown table: what the cell of the row is to that of the column."""
    lines = [f"| | {' | '.join(names)} |", f"|---|{':-:|' * len(names)}"]
    for row in names:
        cells = []
        for column in names:
            known = signs.get((row, column))
            if known is None:
                known = BACK.get(signs[column, row], signs[column, row])
            cells.append(known)
        lines.append(f"| **{row}** | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{DOCS.name}")
    write = parser.parse_args().write
    names = list(resources.spec_names())
    signs: dict[tuple[str, str], str] = {}
    times: dict[tuple[str, str], float] = {}
    for pair in itertools.combinations_with_replacement(names, 2):
        start = time.perf_counter()
        # A name alone would be torch's cell for some.
        one, other = (resources.folder("specs") / f"{name}.gate" for name in pair)
        signs[pair] = sign(gatec.check(one, other))
        times[pair] = time.perf_counter() - start
        print(f"{pair[0]:>14} {signs[pair]:^3} {pair[1]:<14}{times[pair]:7.2f} s", file=sys.stderr)
    made = table(signs, names)
    print(made)
    slowest = max(times, key=lambda pair: times[pair])
    print(
        f"\n{len(times)} pairs, Python {platform.python_version()}, {os.cpu_count()} cores: median "
        f"{statistics.median(times.values()):.2f} s, slowest {times[slowest]:.2f} s "
        f"({' against '.join(slowest)})",
        file=sys.stderr,
    )
    if write:
        text = DOCS.read_text(encoding="utf-8")
        text = put(put(text, "all pairs", made), "laws", laws())
        DOCS.write_text(text, encoding="utf-8")


def laws() -> str:
    """The laws of the normal form as a Markdown table."""
    rows = [f"| {name} | {said.replace('|', chr(92) + '|')} |" for name, said in LAWS.items()]
    return "\n".join(["| law | |", "|---|---|", *rows])


def put(text: str, part: str, made: str) -> str:
    """A document with one of its parts made anew."""
    begin, end = BEGIN.format(part), END.format(part)
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{made}\n\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    main()

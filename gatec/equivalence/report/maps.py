"""The maps that a verdict rests on, proved or not, and both cells as they were compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatec.equivalence.check import prepared
from gatec.equivalence.comparison import Comparison
from gatec.equivalence.match import Found
from gatec.equivalence.report.names import Notation
from gatec.equivalence.report.relations import Relations
from gatec.equivalence.steps import Proof
from gatec.equivalence.verdict import Replay, Verdict
from gatec.ir import Cell


@dataclass(frozen=True)
class Map:
    """With certain parameters, `general` is `special`: their titles, and what is known of it.

    proof    the map; a proof of it where `proved`
    forward  whether the first cell is the general one
    """

    general: str
    special: str
    proof: Proof
    proved: bool
    forward: bool
    replay: Replay | None = None


class Maps:
    """What is needed to speak about a comparison: cells, names, maps."""

    def __init__(self, comparison: Comparison) -> None:
        verdict = comparison.verdict
        self.comparison, self.verdict = comparison, verdict
        self.one, self.other = _cells(comparison)
        self.notation = Notation(self.one, self.other)
        self.all = tuple(self._all())

    def relations(self, made: Map) -> Relations:
        return Relations(made.proof, self.notation)

    def _all(self) -> list[Map]:
        verdict = self.verdict
        replays = list(verdict.replays)
        made = []
        for proof, forward in ((verdict.covers, True), (verdict.covered, False)):
            if proof is not None:
                replay = replays.pop(0) if replays and not proof.limits else None
                made.append(self._map(proof, True, forward, replay))
        for found in _unproved(verdict):
            made.append(self.under(found, replays.pop(0) if replays else None))
        return made

    def under(self, found: Found, replay: Replay | None = None) -> Map:
        """A map that is not proved."""
        forward = set(found.params) <= {param.name for param in self.one.params}
        cells = (self.one, self.other) if forward else (self.other, self.one)
        proof = Proof(*cells, found.params, found.states, (), {}, {})
        return self._map(proof, False, forward, replay)

    def _map(self, proof: Proof, proved: bool, forward: bool, replay: Replay | None) -> Map:
        names = self.comparison.mine.name, self.comparison.theirs.name
        general, special = names if forward else names[::-1]
        return Map(general, special, proof, proved, forward, replay)


def _unproved(verdict: Verdict) -> list[Found]:
    """Maps that a verdict states without a proof."""
    found = verdict.extra.get("found")
    if isinstance(found, Found):
        return [found]
    return [each for each in found if isinstance(each, Found)] if isinstance(found, tuple) else []


def _cells(comparison: Comparison) -> tuple[Cell, Cell]:
    """Both cells as they were compared."""
    verdict = comparison.verdict
    if verdict.covers is not None:
        return verdict.covers.mine, verdict.covers.theirs
    if verdict.covered is not None:
        return verdict.covered.theirs, verdict.covered.mine
    return prepared(comparison.mine.cell, comparison.theirs.cell)


def match_rows(extra: Mapping[str, object]) -> tuple[tuple[str, str, str], ...]:
    """What stands for what in a module: of the cell, of the module, how it is known."""
    rows = extra.get("match")
    return tuple((r.spec, r.module, r.how) for r in rows) if isinstance(rows, tuple) else ()

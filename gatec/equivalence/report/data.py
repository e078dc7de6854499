"""A comparison as data: the schema of `gatec check --json`, in docs/equivalence.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatec import __version__
from gatec.equivalence.comparison import Compared, Comparison
from gatec.equivalence.report.expressions import Printer
from gatec.equivalence.report.maps import Map, Maps, match_rows
from gatec.equivalence.report.model import Formulas, Line
from gatec.equivalence.report.preparation import told
from gatec.equivalence.report.proofs import Reading, laws_used
from gatec.equivalence.report.sentences import headline
from gatec.equivalence.verdict import Counterexample, Replay
from gatec.show_ir import text as code


def as_data(comparison: Comparison) -> dict[str, Any]:
    """Everything the report says."""
    verdict = comparison.verdict
    maps = None if verdict.reason else Maps(comparison)
    fingerprint = verdict.fingerprint
    return {
        "gatec": __version__,
        "ok": True,
        "verdict": str(verdict.kind),
        "same": comparison.same,
        "exit_code": comparison.exit_code,
        "basis": verdict.basis,
        "headline": headline(comparison),
        "mine": _compared(comparison.mine),
        "theirs": _compared(comparison.theirs),
        "reason": verdict.reason or None,
        "where": verdict.where or None,
        "maps": [_map(maps, made) for made in maps.all] if maps else [],
        "match": [
            {"spec": spec, "module": module, "how": how}
            for spec, module, how in match_rows(verdict.extra)
        ],
        "notes": list(_notes(verdict.extra)),
        "fingerprint": fingerprint
        and {
            "prime": str(fingerprint.prime),
            "trials": fingerprint.trials,
            "bound": fingerprint.bound,
        },
        "counterexample": verdict.counterexample
        and maps
        and _counterexample(maps, verdict.counterexample),
        "searched": list(verdict.searched),
        "other_forms": [
            {
                "theirs": _compared(other.theirs),
                "verdict": str(other.kind),
                "exit_code": other.exit_code,
            }
            for other in comparison.others
        ],
    }


def _compared(cell: Compared) -> dict[str, Any]:
    return {
        "name": cell.name,
        "spec": cell.spec,
        "note": cell.note or None,
        "equations": [told(equation) for equation in cell.cell.equations],
    }


def _notes(extra: Mapping[str, object]) -> tuple[str, ...]:
    notes = extra.get("notes")
    return tuple(map(str, notes)) if isinstance(notes, tuple) else ()


def _map(maps: Maps, made: Map) -> dict[str, Any]:
    """One map: `general` with these parameters is `special`."""
    relations = maps.relations(made)
    printer = Printer(maps.notation, relations.special)
    proof = made.proof
    return {
        "general": made.general,
        "special": made.special,
        "proved": made.proved,
        "parameters": [
            {
                "name": name.rstrip("'"),
                "symbol": relations.general.of("param", name),
                "value": printer.text(value),
                "code": code(value),
                "shape": [str(dim) for dim in value.shape],
            }
            for name, value in proof.params.items()
        ],
        "states": [
            {"name": name, "of": other, "scale": str(scale)}
            for name, (other, scale) in proof.states.items()
        ],
        "corresponding": _lines(relations.gates()),
        "fixed": _lines(relations.fixed()),
        "limits": _lines(relations.limits()),
        "replay": _replay(made.replay),
        "proof": _proof(maps, made) if made.proved else None,
    }


def _proof(maps: Maps, made: Map) -> dict[str, Any]:
    reading = Reading(made.proof, maps.notation)
    return {
        "steps": sum(
            len(steps)
            for steps in (made.proof.mine_steps, made.proof.theirs_steps, made.proof.limit_steps)
        ),
        "laws": [
            {"law": law, "says": says, "used": used} for law, says, used in laws_used([made.proof])
        ],
        "sections": [
            {
                "title": section.title,
                "steps": [
                    step
                    for block in section.blocks
                    if isinstance(block, Formulas)
                    for step in _lines(block.lines)
                ],
            }
            for section in reading.sections("proof")
        ],
    }


def _lines(lines: tuple[Line, ...]) -> list[dict[str, str]]:
    return [
        {"left": line.left, "relation": line.relation, "right": line.right, "note": line.note}
        for line in lines
    ]


def _replay(replay: Replay | None) -> dict[str, Any] | None:
    if replay is None:
        return None
    return {
        "instances": replay.instances,
        "outputs": replay.outputs,
        "gradients": replay.gradients,
        "ulps": replay.ulps,
    }


def _counterexample(maps: Maps, found: Counterexample) -> dict[str, Any]:
    return {
        "sizes": dict(found.sizes),
        "values": dict(found.values),
        "step": found.step,
        "unit": found.unit,
        "outputs": {"mine": list(found.outputs[0]), "theirs": list(found.outputs[1])},
        "equation": found.equation and {"mine": found.equation[0], "theirs": found.equation[1]},
        "map": _map(maps, maps.under(found.found)),
        "note": found.note or None,
    }

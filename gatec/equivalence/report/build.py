"""From a verdict to a report: what is said, in which order. How it looks is the renderers' part."""

from __future__ import annotations

from collections.abc import Iterator

from gatec.equivalence.comparison import Comparison
from gatec.equivalence.report import counterexamples
from gatec.equivalence.report.maps import Map, Maps, match_rows
from gatec.equivalence.report.model import (
    Block,
    Formulas,
    Listing,
    Report,
    Section,
    Source,
    Table,
    Text,
)
from gatec.equivalence.report.preparation import remarks, told
from gatec.equivalence.report.proofs import Reading, laws_used
from gatec.equivalence.report.sentences import headline
from gatec.equivalence.verdict import Kind, Replay


def report(comparison: Comparison, *, steps: bool = True) -> Report:
    """Everything that is known about two cells, the most important first.

    Without `steps` the folded sections of proofs are empty.
    """
    verdict = comparison.verdict
    sections = [*_forms(comparison), *_match(comparison)]
    legend = ""
    if not verdict.reason:
        maps = Maps(comparison)
        marked = "two primes" if maps.notation.theirs.mark == "''" else "a prime"
        legend = f"Names with {marked} are those of {comparison.theirs.name}."
        sections += _about_maps(maps)
        if verdict.counterexample is not None:
            sections += counterexamples.sections(maps, verdict.counterexample)
        sections += _compared_under(maps)
        sections += _grounds(maps)
        sections.append(_cells(comparison))
        for made in maps.all:
            if made.proved:
                title = f"proof that {made.special} is {made.general}"
                reading = Reading(made.proof, maps.notation)
                sections += reading.sections(title) if steps else [Section(title, (), folded=True)]
    else:
        sections.append(_cells(comparison))
    return Report(
        title=f"{comparison.mine.name} against {comparison.theirs.name}",
        kind=str(verdict.kind),
        headline=headline(comparison),
        same=comparison.same,
        legend=legend,
        sections=tuple(sections),
    )


# --- Which cells ----------------------------------------------------------------------------------


def _forms(comparison: Comparison) -> Iterator[Section]:
    """Which form of a reference the verdict is about, and what the cell is to the others."""
    if not comparison.others:
        return
    chosen = comparison.theirs
    items = [f"this report is about {chosen.name}: {chosen.note}"]
    for other in comparison.others:
        note = f" ({other.theirs.note})" if other.theirs.note else ""
        items.append(f"against {other.theirs.name}{note}: {other.kind}")
    yield Section("which form", (Listing(tuple(items)),))


def _match(comparison: Comparison) -> Iterator[Section]:
    """What stands for what in a module of PyTorch."""
    extra = comparison.verdict.extra
    rows = match_rows(extra)
    if rows:
        head = (comparison.mine.name, comparison.theirs.name, "how")
        yield Section("match of parameters", (Table(head, rows),))
    notes = extra.get("notes")
    if isinstance(notes, tuple) and notes:
        yield Section("about the module", (Listing(tuple(map(str, notes))),))


def _cells(comparison: Comparison) -> Section:
    """The equations of both as they were written."""
    blocks: list[Block] = []
    for each in (comparison.mine, comparison.theirs):
        where = f" ({each.spec})" if each.spec and each.spec != each.name else ""
        blocks.append(Text(f"{each.name}{where}:"))
        blocks.append(Source(tuple(("", told(equation)) for equation in each.cell.equations)))
    return Section("the two cells", tuple(blocks), paper=True)


# --- Maps -----------------------------------------------------------------------------------------


def _about_maps(maps: Maps) -> Iterator[Section]:
    """The maps, what they do to the gates, what they fix."""
    verdict = maps.verdict
    if verdict.kind is Kind.IDENTICAL:
        yield Section("what corresponds", _correspondences(maps, maps.all[0]))
        return
    for made in maps.all:
        relations = maps.relations(made)
        if not match_rows(verdict.extra):  # else the table of the match says it
            lines = relations.parameters()
            what = "with" if made.proved else "with (not proved)"
            title = f"map: {made.special} is {made.general} {what}"
            yield Section(title, (Formulas(lines) if lines else Text("no parameters"),))
        if made is maps.all[0]:  # the other way says the same
            yield Section("what corresponds to what", _correspondences(maps, made))
        if relations.limits():
            yield Section("what saturates", (Formulas(relations.limits()),))
        if verdict.kind in (Kind.SPECIAL_CASE, Kind.GENERALISATION, Kind.LIMIT_CASE):
            fixed = relations.fixed()
            if fixed:
                yield Section(f"what that fixes in {made.general}", (Formulas(fixed),))


def _correspondences(maps: Maps, made: Map) -> tuple[Block, ...]:
    relations = maps.relations(made)
    return (Formulas((*relations.states(), *relations.gates())),)


def _compared_under(maps: Maps) -> Iterator[Section]:
    """The map under which two cells that differ were compared."""
    found = maps.verdict.counterexample
    if found is None:
        return
    made = maps.under(found.found)
    relations = maps.relations(made)
    has_match = bool(match_rows(maps.verdict.extra))
    lines = (*(() if has_match else relations.parameters()), *relations.states())
    said = Text(f"Parameters of {made.general} in terms of those of {made.special}:")
    shown: list[Block] = [] if has_match else [said]
    shown.append(Formulas(lines) if lines else Text("no parameters"))
    yield Section("the map under which they were compared", tuple(shown))


# --- Grounds --------------------------------------------------------------------------------------

_TITLES = {
    "exact": "how it is proved",
    "limit": "how it is proved",
    "probabilistic": "what it rests on",
    "numerical": "what it rests on",
    "certified": "what that means",
    "none": "what was tried",
}


def _grounds(maps: Maps) -> Iterator[Section]:
    """What the verdict rests on, and what was searched."""
    verdict, items = maps.verdict, list[str]()
    proofs = [made.proof for made in maps.all if made.proved]
    blocks: list[Block] = []
    if proofs:
        count = sum(
            len(steps)
            for proof in proofs
            for steps in (proof.mine_steps, proof.theirs_steps, proof.limit_steps)
        )
        items.append(f"exact, over the reals and for all sizes: {count} steps by the laws below")
        items.append("a checker that shares no code with the prover replayed every step")
        laws = tuple((law, said, str(times)) for law, said, times in laws_used(proofs))
        blocks.append(Table(("law", "says", "used"), laws))
    if verdict.fingerprint is not None:
        print_ = verdict.fingerprint
        items.append(
            f"identity test in {print_.trials} trials over finite fields with primes of "
            f"{print_.prime.bit_length()} bits: unequal cells pass with probability at most "
            f"{print_.bound:.1e}"
        )
    items += [_replayed(made) for made in maps.all if made.replay is not None]
    if verdict.counterexample is not None:
        items.append(
            "the outputs at the point are enclosed in ball arithmetic: they differ whatever the "
            "roundings"
        )
        items.append(
            "they differ under the map that brings them closest; that no map makes them equal is "
            "not claimed beyond the family that was searched"
        )
    items += remarks(maps.comparison.mine.name, maps.comparison.mine.cell, maps.notation.mine)
    items += remarks(maps.comparison.theirs.name, maps.comparison.theirs.cell, maps.notation.theirs)
    blocks.insert(0, Listing(tuple(items)))
    if not items:
        blocks.pop(0)
    both = verdict.covers is not None and verdict.covered is not None
    if not both and verdict.kind in _SEARCHED and verdict.searched:
        blocks.append(Text(_SEARCHED[verdict.kind]))
        blocks.append(Listing(verdict.searched))
    if blocks:
        yield Section(_TITLES.get(verdict.basis, "what it rests on"), tuple(blocks))


_SEARCHED = {
    Kind.SPECIAL_CASE: "No map the other way was found among these:",
    Kind.GENERALISATION: "No map the other way was found among these:",
    Kind.LIMIT_CASE: "No map with finite parameters was found among these:",
    Kind.EQUAL_NUMERICALLY: "No map could be proved among these:",
    Kind.DIFFERENT: "The family of maps that was searched (no map in it is not: no map at all):",
    Kind.UNDECIDED: "These maps were searched:",
}


def _replayed(made: Map) -> str:
    assert made.replay is not None
    replay: Replay = made.replay
    return (
        f"{made.special} as {made.general}, in float64: outputs and gradients agree on "
        f"{replay.instances} random instances, to {ulps(replay)} of the largest value"
    )


def ulps(replay: Replay) -> str:
    """How far apart, in units of the last place."""
    count = replay.ulps
    return "less than 1 ulp" if count < 1 else f"{count:.0f} ulp{'s' if count >= 1.5 else ''}"

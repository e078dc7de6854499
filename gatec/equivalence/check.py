"""Whether two cells are the same function: the order in which the question is attacked.

Normal forms and a parameter map (a proof), then a finite field where the normal form is too
large, then a refutation at a certified point, then agreement in float64. Whatever is claimed on
the ground of a map has been checked by `checker.py` and replayed in float64 first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain

from gatec.equivalence import checker, fingerprint, numeric, refute
from gatec.equivalence.candidates import by_name, candidates
from gatec.equivalence.layers import is_deep, layered
from gatec.equivalence.match import Budget, Found, Matcher
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.prepare import prepared as simplified
from gatec.equivalence.proof import Proof, prove
from gatec.equivalence.resize import resized
from gatec.equivalence.sides import renamed
from gatec.equivalence.verdict import Fingerprint, Kind, Replay, Verdict
from gatec.equivalence.waists import FEWEST, waists
from gatec.expr import HIDDEN, INPUT, Ref, Shape, shape_text
from gatec.ir import Cell

TRIES = 3_000  # what a search in one direction may take (see match.Budget)
LIMITS = 1_000  # and one for limit cases
LAYERED = 100  # and one where no map was found layer by layer
TRUSTED = 1e-9  # a replay further off than this is no rounding


# Maps worth trying first that make one cell the other, both as `prepared` gives them.
Hints = Callable[[Cell, Cell], Iterable[Found]]


def check(
    mine: Cell,
    theirs: Cell,
    *,
    tries: int = TRIES,
    hints: Hints | None = None,
    refuted: bool = True,
) -> Verdict:
    """Compare two cells as functions of (inputs, initial states), up to a map of parameters.

    Constants stand at their default values. Without `refuted` no difference is looked for: the
    answer is undecided where no map is proved. A proof that the checker refuses, or that a replay
    contradicts, is none; `searched` says that there was one.
    """
    tied = _tied(mine, theirs)
    if tied is not None:
        verdict = check(*tied, tries=tries, hints=hints, refuted=refuted)
        return _where_tied(verdict, mine_is_free=tied[0] is not mine)
    names = mine.name, theirs.name
    one, other = prepared(mine, theirs)
    reason = unlike(one, other)
    if reason is not None:
        return Verdict(Kind.DIFFERENT, *names, basis="certified", reason=reason)
    forth, back = _covering(one, other, tries, hints), _covering(other, one, tries, hints)
    covers, covered = forth.proof, back.proof
    searched = _family(forth, back)
    if covers is None and covered is None:
        if not refuted:
            return Verdict(Kind.UNDECIDED, *names, basis="none", searched=searched)
        return _without_map(one, other, names, tries, (forth, back), hints)
    if covers is not None and covered is not None:
        kind = Kind.IDENTICAL if _is_identity(covers) else Kind.EQUAL
    else:
        kind = Kind.GENERALISATION if covers is not None else Kind.SPECIAL_CASE
    return Verdict(
        kind,
        *names,
        basis="exact",
        covers=covers,
        covered=covered,
        replays=tuple(each.replay for each in (forth, back) if each.replay is not None),
        searched=searched,
    )


def prepared(mine: Cell, theirs: Cell) -> tuple[Cell, Cell]:
    """Both cells as they are compared: live states, constants in place, names apart."""
    one, other = simplified(mine), simplified(theirs)
    return one, renamed(other, {param.name: f"{param.name}'" for param in other.params})


def unlike(one: Cell, other: Cell) -> str | None:
    """Why two cells cannot be the same function whatever their equations; None where they can."""
    if len(one.inputs) != len(other.inputs):
        return f"they read {len(one.inputs)} and {len(other.inputs)} inputs"
    pairs: list[tuple[str, Shape, Shape]] = [
        (f"input {a.name}", a.shape, b.shape) for a, b in zip(one.inputs, other.inputs, strict=True)
    ]
    pairs.append(("output", one.output_shape, other.output_shape))
    for what, a, b in pairs:
        if a != b:
            return f"the {what} is a {shape_text(a)} in one and a {shape_text(b)} in the other"
    return None


def _tied(mine: Cell, theirs: Cell) -> tuple[Cell, Cell] | None:
    """The cells where inputs are as large as the hidden state, if only one of them needs that."""
    if len(mine.inputs) != len(theirs.inputs):
        return None
    pairs = [(a.shape, b.shape) for a, b in zip(mine.inputs, theirs.inputs, strict=True)]
    free, tied, size = (INPUT,), (HIDDEN,), {"input_size": HIDDEN}
    if (free, tied) in pairs and (tied, free) not in pairs:
        return resized(mine, size), theirs
    if (tied, free) in pairs and (free, tied) not in pairs:
        return mine, resized(theirs, size)
    return None


def _where_tied(verdict: Verdict, *, mine_is_free: bool) -> Verdict:
    """What cells are that were compared where one of them has fewer sizes than it may have."""
    kind = verdict.kind
    if kind in (Kind.IDENTICAL, Kind.EQUAL, Kind.EQUAL_NUMERICALLY):
        kind = Kind.GENERALISATION if mine_is_free else Kind.SPECIAL_CASE
    return replace(verdict, kind=kind, where=f"{INPUT} = {HIDDEN}")


FAMILY = (
    "each gate taken for a gate of the other cell, its complement, 1/2, or 0 or 1 in the limit",
    "states permuted, turned around (-1), or rescaled by ratios of the numbers that drive them",
    "weights and biases solved from linear equations",
)
STOPPED = "the search stopped at its budget"
LAYERS = "layer by layer, each quantity that several others read taken for that of its place"
DOUBTED = "a map was left out whose proof gatec could not check; please report this pair of cells"


@dataclass(frozen=True)
class _Covering:
    """What came of the search for a proof that one cell is the other under some map.

    complete  whether the search came to its end
    doubted   whether there was a proof that its checker or a replay does not bear out
    """

    proof: Proof | None = None
    replay: Replay | None = None
    complete: bool = True
    doubted: bool = False


def _family(*searches: _Covering) -> tuple[str, ...]:
    """What was searched, in words."""
    stopped = () if all(each.complete for each in searches) else (STOPPED,)
    doubted = (DOUBTED,) if any(each.doubted for each in searches) else ()
    return (*FAMILY, *stopped, *doubted)


def _covering(
    mine: Cell, theirs: Cell, tries: int, hints: Hints | None = None, *, limits: bool = False
) -> _Covering:
    """A proof that `theirs` is `mine` under some map, checked and replayed."""
    budget = Budget(tries)
    given = hints(mine, theirs) if hints is not None else ()
    deep = is_deep(mine) or is_deep(theirs)
    waisted = min(len(waists(mine)), len(waists(theirs))) >= FEWEST
    if deep and limits:
        return _Covering(complete=False)
    layers = layered(mine, theirs)
    if layers is not None and layers.complete and not layers.whole:
        budget = Budget(min(tries, LAYERED))  # a map would have to mix layers
    plain = () if limits else by_name(mine, theirs)
    by_layers = () if layers is None or limits or not layers.whole else (layers.found,)
    likely = chain(given, by_layers, plain) if waisted else chain(given, plain, by_layers)
    first = (found for found in likely if _is_whole(found, theirs))
    doubted = False
    search = () if deep else Matcher(mine, theirs, budget).search(limits=limits)
    try:
        for found in chain(first, search):
            # Normal forms are small where waists are equal: under a wrong map they are not.
            known = not waisted or limits or found in by_layers
            if not known and not _is_close(numeric.compare(mine, theirs, found, enough=TRUSTED)):
                continue
            proof = prove(mine, theirs, found)
            if proof is None:
                continue
            try:
                checker.check(proof)
            except checker.OutOfScope:
                continue
            except checker.Refused:
                doubted = True
                continue
            replay = None if limits else numeric.replay(proof)
            if replay is None or _is_close(replay):
                return _Covering(proof, replay, doubted=doubted)
            doubted = True
    except TooLarge:
        return _Covering(complete=False, doubted=doubted)
    return _Covering(complete=budget.left >= 0 and not deep, doubted=doubted)


def _is_whole(found: Found, theirs: Cell) -> bool:
    """Whether a map gives every state of theirs one of mine, and no two the same."""
    others = [other for other, _ in found.states.values()]
    return sorted(others) == sorted(state.name for state in theirs.states)


def _without_map(
    one: Cell,
    other: Cell,
    names: tuple[str, str],
    tries: int,
    before: tuple[_Covering, ...],
    hints: Hints | None,
) -> Verdict:
    """No map makes one cell the other: a limit perhaps, or no proof at all."""
    few = min(tries, LIMITS)
    forth = _covering(one, other, few, limits=True)
    back = _Covering() if forth.proof else _covering(other, one, few, limits=True)
    searched = _family(*before, forth, back)
    if forth.proof is None and back.proof is None:
        # Cells are different if neither is the other: one search has to have come to its end.
        stopped = all(not each.complete for each in before) or DOUBTED in searched
        layers = layered(one, other)
        if layers is not None and layers.complete:
            stopped, searched = DOUBTED in searched, (*searched, LAYERS)
        return _without_proof(one, other, names, searched, hints, certified=not stopped)
    return Verdict(
        Kind.LIMIT_CASE,
        *names,
        basis="limit",
        covers=forth.proof,
        covered=back.proof,
        searched=searched,
    )


def _is_identity(proof: Proof | None) -> bool:
    """Whether a map leaves every parameter and state as it is called."""
    assert proof is not None
    plain = all(
        isinstance(value, Ref) and value.name == f"{name}'" for name, value in proof.params.items()
    )
    same = all(name == other and scale == 1 for name, (other, scale) in proof.states.items())
    return plain and same and len(proof.theirs.params) == len(proof.mine.params)


@dataclass(frozen=True)
class _Way:
    """One cell as the general one, with maps worth trying that make it the other."""

    mine: Cell
    theirs: Cell
    maps: tuple[Found, ...]

    @classmethod
    def of(cls, mine: Cell, theirs: Cell, hints: Hints | None) -> _Way:
        given = hints(mine, theirs) if hints is not None else ()
        layers = layered(mine, theirs)
        by_layers = () if layers is None else (layers.found,)
        deep = is_deep(mine) or is_deep(theirs)
        others = by_name(mine, theirs) if deep else candidates(mine, theirs)
        return cls(mine, theirs, (*given, *by_layers, *others))

    def fingerprint(self) -> _Agreement | None:
        """A map under which the cells agree over a finite field, and in float64."""
        for found in self.maps:
            made = fingerprint.agreement(self.mine, self.theirs, found)
            if made is not None:
                replay = numeric.compare(self.mine, self.theirs, found, enough=TRUSTED)
                if _is_close(replay):
                    return _Agreement(found, replay, made)
        return None

    def agreement(self) -> _Agreement | None:
        """A map under which the cells agree in float64, and that cannot be refuted."""
        for found in self.maps:
            replay = numeric.compare(self.mine, self.theirs, found, enough=TRUSTED)
            if _is_close(replay) and refute.refute(self.mine, self.theirs, found) is None:
                return _Agreement(found, replay)
        return None


@dataclass(frozen=True)
class _Agreement:
    """A map under which cells agree, as far as was tried."""

    found: Found
    replay: Replay
    print_: Fingerprint | None = None


def _is_close(replay: Replay) -> bool:
    return max(replay.outputs, replay.gradients) < TRUSTED


def _without_proof(
    one: Cell,
    other: Cell,
    names: tuple[str, str],
    searched: tuple[str, ...],
    hints: Hints | None,
    *,
    certified: bool,
) -> Verdict:
    """No proof: a fingerprint, agreement in float64, or, if `certified`, a difference.

    A point where cells differ under the best map found says nothing about other maps.
    """
    covers, covered = _Way.of(one, other, hints), _Way.of(other, one, hints)
    prints = covers.fingerprint(), covered.fingerprint()
    if any(prints):
        return _agreeing(prints, names, "probabilistic", searched)
    close = covers.agreement(), covered.agreement()
    if any(close):
        return _agreeing(close, names, "numerical", searched)
    best = refute.best(one, other, covers.maps)
    counterexample = None if best is None else refute.refute(one, other, best)
    if counterexample is None or not certified:
        return Verdict(Kind.UNDECIDED, *names, basis="none", searched=searched)
    return Verdict(
        Kind.DIFFERENT, *names, basis="certified", counterexample=counterexample, searched=searched
    )


def _agreeing(
    found: tuple[_Agreement | None, _Agreement | None],
    names: tuple[str, str],
    basis: str,
    searched: tuple[str, ...],
) -> Verdict:
    """A map one way says that one cell is a special case of the other; both ways, that it is it."""
    both = Kind.EQUAL if basis == "probabilistic" else Kind.EQUAL_NUMERICALLY
    one_way = Kind.GENERALISATION if found[0] else Kind.SPECIAL_CASE
    agreeing = [each for each in found if each is not None]
    prints = [each.print_ for each in agreeing if each.print_ is not None]
    return Verdict(
        both if all(found) else one_way,
        *names,
        basis=basis,
        fingerprint=max(prints, key=lambda made: made.bound, default=None),
        replays=tuple(each.replay for each in agreeing),
        searched=searched,
        extra={"found": tuple(each.found for each in agreeing)},
    )

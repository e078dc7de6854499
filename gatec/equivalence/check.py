"""Whether two cells are the same function: the order in which the question is attacked.

Normal forms and a parameter map (a proof), then a finite field where the normal form is too
large, then a refutation at a certified point, then agreement in float64. Whatever is claimed on
the ground of a map has been checked by `checker.py` and replayed in float64 first.
"""

from __future__ import annotations

from itertools import chain

from gatec.equivalence import checker, fingerprint, numeric, refute
from gatec.equivalence.candidates import by_name, candidates
from gatec.equivalence.match import Budget, Found, Matcher
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.prepare import prepared as simplified
from gatec.equivalence.proof import Proof, prove
from gatec.equivalence.sides import renamed
from gatec.equivalence.verdict import Fingerprint, Kind, Replay, Verdict
from gatec.expr import Ref, Shape, shape_text
from gatec.ir import Cell

TRIES = 3_000  # assignments of gates tried in each direction
TRUSTED = 1e-9  # a replay further off than this is no rounding


class Unsound(AssertionError):
    """A proof that its own checker or a replay refuses: a defect of gatec, never a verdict."""


def check(mine: Cell, theirs: Cell, *, tries: int = TRIES) -> Verdict:
    """Compare two cells as functions of (inputs, initial states), up to a map of parameters.

    Constants stand at their default values. Raises Unsound where gatec contradicts itself.
    """
    names = mine.name, theirs.name
    one, other = prepared(mine, theirs)
    reason = unlike(one, other)
    if reason is not None:
        return Verdict(Kind.DIFFERENT, *names, basis="certified", reason=reason)
    covers, tried = _covering(one, other, tries)
    covered, tried_back = _covering(other, one, tries)
    complete = tried and tried_back
    if covers is None and covered is None:
        return _without_map(one, other, names, tries, complete)
    if covers is not None and covered is not None:
        kind = Kind.IDENTICAL if _is_identity(covers) else Kind.EQUAL
    else:
        kind = Kind.GENERALISATION if covers is not None else Kind.SPECIAL_CASE
    replays = tuple(_replayed(proof) for proof in (covers, covered) if proof is not None)
    return Verdict(
        kind,
        *names,
        basis="exact",
        covers=covers,
        covered=covered,
        replays=replays,
        searched=_family(complete),
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


FAMILY = (
    "each gate taken for a gate of the other cell, its complement, 1/2, or 0 or 1 in the limit",
    "states permuted, and rescaled by 1, -1, 2, -2, 1/2, -1/2",
    "weights and biases solved from linear equations",
)


def _family(complete: bool) -> tuple[str, ...]:
    """What was searched, in words."""
    return FAMILY if complete else (*FAMILY, "the search stopped at its budget")


def _covering(
    mine: Cell, theirs: Cell, tries: int, *, limits: bool = False
) -> tuple[Proof | None, bool]:
    """A proof that `theirs` is `mine` under some map, and whether the search came to its end."""
    budget = Budget(tries)
    bijection = len(mine.states) == len(theirs.states)
    first = by_name(mine, theirs) if bijection and not limits else ()
    try:
        for found in chain(first, Matcher(mine, theirs, budget).search(limits=limits)):
            proof = prove(mine, theirs, found)
            if proof is not None:
                _checked(proof)
                return proof, True
    except TooLarge:
        return None, False
    return None, budget.left >= 0


def _without_map(
    one: Cell, other: Cell, names: tuple[str, str], tries: int, complete: bool
) -> Verdict:
    """No map makes one cell the other: a limit perhaps, or no proof at all."""
    covers, tried = _covering(one, other, tries, limits=True)
    covered, tried_back = (None, True) if covers else _covering(other, one, tries, limits=True)
    searched = _family(complete and tried and tried_back)
    if covers is None and covered is None:
        return _without_proof(one, other, names, searched)
    return Verdict(
        Kind.LIMIT_CASE,
        *names,
        basis="limit",
        covers=covers,
        covered=covered,
        searched=searched,
    )


def _checked(proof: Proof) -> bool:
    """Whether a proof shows all that it claims; one that is wrong is a defect."""
    try:
        checker.check(proof)
    except checker.OutOfScope:
        return False
    except checker.Refused as refusal:
        raise Unsound(f"the proof checker refuses a proof: {refusal}") from refusal
    return True


def _replayed(proof: Proof) -> Replay:
    replay = numeric.replay(proof)
    if not max(replay.outputs, replay.gradients) < TRUSTED:
        raise Unsound(f"a proved map differs by {replay.ulps:.0f} ulps in float64")
    return replay


def _is_identity(proof: Proof | None) -> bool:
    """Whether a map leaves every parameter and state as it is called."""
    assert proof is not None
    plain = all(
        isinstance(value, Ref) and value.name == f"{name}'" for name, value in proof.params.items()
    )
    same = all(name == other and scale == 1 for name, (other, scale) in proof.states.items())
    return plain and same and len(proof.theirs.params) == len(proof.mine.params)


def _without_proof(
    one: Cell, other: Cell, names: tuple[str, str], searched: tuple[str, ...]
) -> Verdict:
    """No proof: a fingerprint, a certified difference, or agreement in float64."""
    ways = ((one, other), (other, one))
    prints = [_fingerprint(*way) for way in ways]
    agreeing = [found for found in prints if found is not None]
    if agreeing:
        return Verdict(
            _kind(prints[0] is not None, prints[1] is not None, Kind.EQUAL),
            *names,
            basis="probabilistic",
            fingerprint=max((print_ for _, print_, _ in agreeing), key=lambda p: p.bound),
            replays=tuple(replay for _, _, replay in agreeing),
            searched=searched,
            extra={"found": agreeing[0][0]},
        )
    best = refute.best(one, other, candidates(one, other))
    if best is not None:
        counterexample = refute.refute(one, other, best)
        if counterexample is not None:
            return Verdict(
                Kind.DIFFERENT,
                *names,
                basis="certified",
                counterexample=counterexample,
                searched=searched,
            )
    replays = [_agreement(*way) for way in ways]
    close = [found for found in replays if found is not None]
    if close:
        return Verdict(
            _kind(replays[0] is not None, replays[1] is not None, Kind.EQUAL_NUMERICALLY),
            *names,
            basis="numerical",
            replays=tuple(replay for _, replay in close),
            searched=searched,
            extra={"found": close[0][0]},
        )
    return Verdict(Kind.UNDECIDED, *names, basis="none", searched=searched)


def _kind(covers: bool, covered: bool, both: Kind) -> Kind:
    """A map one way says that one cell is a special case of the other; both ways, that it is it."""
    if covers and covered:
        return both
    return Kind.GENERALISATION if covers else Kind.SPECIAL_CASE


def _fingerprint(mine: Cell, theirs: Cell) -> tuple[Found, Fingerprint, Replay] | None:
    """A map under which the cells agree over a finite field, and in float64."""
    for found in candidates(mine, theirs):
        made = fingerprint.agreement(mine, theirs, found)
        if made is not None:
            replay = numeric.compare(mine, theirs, found)
            if max(replay.outputs, replay.gradients) < TRUSTED:
                return found, made, replay
    return None


def _agreement(mine: Cell, theirs: Cell) -> tuple[Found, Replay] | None:
    """A map under which the cells agree in float64."""
    for found in candidates(mine, theirs):
        replay = numeric.compare(mine, theirs, found)
        if max(replay.outputs, replay.gradients) < TRUSTED:
            return found, replay
    return None

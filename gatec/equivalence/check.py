"""Whether two cells are the same function: the order in which the question is attacked.

Normal forms and a parameter map (a proof), then a finite field where the normal form is too
large, then a refutation at a certified point, then agreement in float64. Whatever is claimed on
the ground of a map has been checked by `checker.py` and replayed in float64 first.
"""

from __future__ import annotations

from gatec.equivalence import checker, fingerprint, numeric, refute
from gatec.equivalence.candidates import candidates
from gatec.equivalence.match import Budget, Matcher
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.prepare import prepared as simplified
from gatec.equivalence.proof import Proof, prove
from gatec.equivalence.sides import renamed
from gatec.equivalence.verdict import Counterexample, Kind, Replay, Verdict
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
    searched = _family(tried and tried_back)
    replays = tuple(
        _replayed(proof) for proof in (covers, covered) if proof is not None and not proof.limits
    )
    proofs = {"covers": covers, "covered": covered, "replays": replays, "searched": searched}
    exact = [proof is not None and not proof.limits for proof in (covers, covered)]
    if all(exact):
        kind = Kind.IDENTICAL if _is_identity(covers) else Kind.EQUAL
        return Verdict(kind, *names, basis="exact", **proofs)
    if any(exact):
        kind = Kind.GENERALISATION if exact[0] else Kind.SPECIAL_CASE
        return Verdict(kind, *names, basis="exact", **proofs)
    if covers is not None or covered is not None:
        return Verdict(Kind.LIMIT_CASE, *names, basis="limit", **proofs)
    return _without_proof(one, other, names, searched)


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


def _covering(mine: Cell, theirs: Cell, tries: int) -> tuple[Proof | None, bool]:
    """A proof that `theirs` is `mine` under some map, and whether the search came to its end."""
    complete = True
    for limits in (False, True):
        budget = Budget(tries)
        try:
            for found in Matcher(mine, theirs, budget).search(limits=limits):
                proof = prove(mine, theirs, found)
                if proof is not None and _checked(proof):
                    return proof, complete
        except TooLarge:
            return None, False
        complete = complete and budget.left >= 0
    return None, complete


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
    best: Counterexample | None = None
    for mine, theirs in ((one, other), (other, one)):
        for found in candidates(mine, theirs):
            print_ = fingerprint.agreement(mine, theirs, found)
            if print_ is not None:
                replay = numeric.compare(mine, theirs, found)
                if max(replay.outputs, replay.gradients) < TRUSTED:
                    return Verdict(
                        Kind.EQUAL,
                        *names,
                        basis="probabilistic",
                        fingerprint=print_,
                        replays=(replay,),
                        searched=searched,
                        extra={"found": found},
                    )
    found = refute.best(one, other, candidates(one, other))
    if found is not None:
        best = refute.refute(one, other, found)
        if best is not None:
            return Verdict(
                Kind.DIFFERENT, *names, basis="certified", counterexample=best, searched=searched
            )
        replay = numeric.compare(one, other, found)
        if max(replay.outputs, replay.gradients) < TRUSTED:
            return Verdict(
                Kind.EQUAL_NUMERICALLY,
                *names,
                basis="numerical",
                replays=(replay,),
                searched=searched,
                extra={"found": found},
            )
    return Verdict(Kind.UNDECIDED, *names, basis="none", searched=searched)

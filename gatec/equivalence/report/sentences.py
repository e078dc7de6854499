"""The verdict in one sentence, for a researcher who has never heard of gatec."""

from __future__ import annotations

from gatec.equivalence.check import STOPPED
from gatec.equivalence.comparison import Comparison
from gatec.equivalence.verdict import Kind, Verdict


def headline(comparison: Comparison) -> str:
    """What the verdict says."""
    where = comparison.verdict.where
    told = _headline(comparison)
    return (
        f"{told} They were compared where {where}: one of them has no other sizes."
        if where
        else told
    )


def _headline(comparison: Comparison) -> str:
    verdict = comparison.verdict
    a, b = comparison.mine.name, comparison.theirs.name
    match verdict.kind:
        case Kind.IDENTICAL:
            return (
                f"{a} and {b} are the same function, parameter by parameter: "
                "their normal forms are the same."
            )
        case Kind.EQUAL if verdict.basis == "probabilistic":
            return (
                f"{a} and {b} are the same function under the map of parameters below. That rests "
                f"on an identity test over a finite field, which is wrong with a probability "
                f"{_bound(verdict)}, not on a proof by rewriting."
            )
        case Kind.EQUAL:
            return (
                f"{a} and {b} are the same function under the map of parameters below, proved in "
                "both directions."
            )
        case Kind.SPECIAL_CASE:
            return f"{a} is {b} with some of its {_fixed(verdict)} fixed or tied{_basis(verdict)}."
        case Kind.GENERALISATION:
            return f"{b} is {a} with some of its {_fixed(verdict)} fixed or tied{_basis(verdict)}."
        case Kind.LIMIT_CASE:
            return _limit(comparison)
        case Kind.EQUAL_NUMERICALLY:
            return (
                f"{a} and {b} agree in float64 on random parameters, inputs and gradients. This is "
                "not a proof: none was found."
            )
        case Kind.DIFFERENT if verdict.reason:
            return f"{a} and {b} are different functions: {verdict.reason}."
        case Kind.DIFFERENT:
            return (
                f"{a} and {b} differ: at the point below their outputs are apart for certain, "
                f"under the map of parameters that brings them closest{_unless(verdict)}."
            )
        case Kind.UNDECIDED:
            return f"Neither a proof that {a} is {b} nor a certified difference was found."
    raise TypeError(f"no sentence for {verdict.kind}")


def _fixed(verdict: Verdict) -> str:
    return "sizes or parameters" if verdict.where else "parameters"


def _unless(verdict: Verdict) -> str:
    """What is known about other maps."""
    if STOPPED in verdict.searched:
        return "; but the search for maps stopped at its budget, and others may make them equal"
    return ", and no map in the family that was searched makes them equal"


def _basis(verdict: Verdict) -> str:
    if verdict.basis == "exact":
        return ", as is proved below"
    if verdict.basis == "probabilistic":
        return (
            ", by an identity test over a finite field that is wrong with a probability "
            f"{_bound(verdict)}; this is no proof by rewriting"
        )
    if verdict.basis == "numerical":
        return ", as far as float64 on random instances tells; this is not a proof"
    return ""


def _bound(verdict: Verdict) -> str:
    return f"below {verdict.fingerprint.bound:.0e}" if verdict.fingerprint else "that is tiny"


def _limit(comparison: Comparison) -> str:
    verdict = comparison.verdict
    a, b = comparison.mine.name, comparison.theirs.name
    covered = (
        f"{a} is what {b} comes to as parameters of {b} grow beyond all bounds"
        if verdict.covered is not None
        else ""
    )
    covers = (
        f"{b} is what {a} comes to as parameters of {a} grow beyond all bounds"
        if verdict.covers is not None
        else ""
    )
    both = ", and ".join(filter(None, (covered, covers)))
    return f"{both}, as is proved below; for finite parameters they only come close."

"""What `gatec check` answers: one verdict, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gatec.equivalence.match import Found
from gatec.equivalence.proof import Proof


class Kind(StrEnum):
    """The verdicts, from the strongest claim to the weakest."""

    IDENTICAL = "identical"
    EQUAL = "equal"
    SPECIAL_CASE = "special case"
    GENERALISATION = "generalisation"
    LIMIT_CASE = "limit case"
    EQUAL_NUMERICALLY = "equal (numerically)"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


_EXIT = {
    Kind.IDENTICAL: 0,
    Kind.EQUAL: 0,
    Kind.EQUAL_NUMERICALLY: 0,
    Kind.UNDECIDED: 3,
}


@dataclass(frozen=True)
class Replay:
    """A map tried in float64 on random instances: both cells run, outputs and gradients compared.

    `outputs` and `gradients` are the largest differences relative to the largest value, and
    `instances` how many (sizes, sequences, parameters) were tried. `ulps` is the larger of both
    in units of 2^-52.
    """

    instances: int
    outputs: float
    gradients: float

    @property
    def ulps(self) -> float:
        return max(self.outputs, self.gradients) / 2.0**-52


@dataclass(frozen=True)
class Fingerprint:
    """Agreement over finite fields, in `trials` that each have a prime; `prime` is the smallest.

    `bound` is the probability that cells agree although they differ (see `fingerprint.py`).
    """

    prime: int
    trials: int
    bound: float


@dataclass(frozen=True)
class Counterexample:
    """A certified point where two cells differ under the best map that was found.

    sizes          every size, as small as the difference allows
    values         parameters of both cells (those of the second with a prime), inputs (T values
                   each) and initial states (`h(0)`, `h'(0)`), as nested lists of exact decimals
                   (strings; a fraction where no decimal is exact)
    outputs        of both cells at `step` (counted from 1), as intervals "[low, high]" per unit
    unit           the unit of the output where the intervals are apart, counted from 0
    step           the last step of the point: the first at which the outputs differ plainly
    equation       the first equation (of the first cell) whose values part, and the other's
                   counterpart, as the user wrote them; or None where nothing corresponds
    note           why the sizes are no smaller, where they might be
    """

    sizes: Mapping[str, int]
    values: Mapping[str, object]
    outputs: tuple[list[str], list[str]]
    unit: int
    step: int
    equation: tuple[str, str] | None
    found: Found
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """The answer about two cells, `mine` against `theirs`.

    covers      proof that theirs is mine with certain parameters (mine generalises theirs)
    covered     proof that mine is theirs with certain parameters
    basis       exact | limit | probabilistic | numerical | certified | none
    searched    the family of maps that was searched, and what was tried, in words
    where       the sizes at which the cells were compared, if one of them has no others
    """

    kind: Kind
    mine: str
    theirs: str
    basis: str
    covers: Proof | None = None
    covered: Proof | None = None
    replays: tuple[Replay, ...] = ()
    fingerprint: Fingerprint | None = None
    counterexample: Counterexample | None = None
    searched: tuple[str, ...] = ()
    reason: str = ""
    where: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 the same function, 1 not, 3 undecided."""
        return _EXIT.get(self.kind, 1)

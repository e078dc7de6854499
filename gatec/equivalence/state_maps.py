"""Which states of two cells may be the same, and by which factors: what a search tries first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from gatec.equivalence.polynomials import Poly
from gatec.equivalence.sides import Side, is_gate
from gatec.expr import Ref
from gatec.ir import State

StateMap = dict[str, tuple[str, Fraction]]  # state of mine -> state of theirs, times a number
_SCALES = 16  # ways to rescale the states that are tried


def state_maps(one: Side, other: Side) -> Iterator[StateMap]:
    """Every state of theirs as one of mine of its shape, those in order and unscaled first.

    States of mine that are left over have to do nothing once the map is in place.
    """
    mine, theirs = one.cell.states, other.cell.states
    if len(mine) < len(theirs):
        return
    place = {state.name: index for index, state in enumerate(mine)}
    orders = [
        sorted(zip(chosen, theirs, strict=True), key=lambda pair: place[pair[0].name])
        for chosen in itertools.islice(itertools.permutations(mine, len(theirs)), 720)
        if all(m.shape == t.shape for m, t in zip(chosen, theirs, strict=True))
    ]
    names = {state.name for state in mine}

    def strange(order: list[tuple[State, State]]) -> int:
        return sum(m.name != t.name and t.name in names for m, t in order)

    orders.sort(key=strange)
    drives = _drives(one), _drives(other)
    tried: list[tuple[int, int, StateMap]] = []
    for rank, order in enumerate(orders):
        pairs = [(m.name, t.name) for m, t in order]
        choices = [_factors(drives[0][m], drives[1][t]) for m, t in pairs]
        # Further scales only for the likelier orders: there may be hundreds.
        found = itertools.product(*choices) if rank < 24 else [tuple(c[0] for c in choices)]
        scales = list(itertools.islice(found, 256))
        costs = [sum(map(list.index, choices, scale)) for scale in scales]
        for cost, scale in sorted(zip(costs, scales, strict=True))[:_SCALES]:
            states = {m: (t, c) for (m, t), c in zip(pairs, scale, strict=True)}
            tried.append((cost, rank, states))
    tried.sort(key=lambda item: item[:2])
    copies = _copies(one), _copies(other)
    yield from (states for _, _, states in tried if _follow(states, *copies))


@dataclass(frozen=True)
class _Drive:
    """What tells by how much a state could be scaled.

    `of_output` is c where the new value is c times the output; `numbers` are those of the terms
    that drive the state, without the state itself.
    """

    of_output: Fraction | None
    numbers: tuple[Fraction, ...]


def _copies(side: Side) -> dict[str, tuple[str, Fraction]]:
    """States that are a multiple of another state of the step before, as memories of it are."""
    found = {}
    for name, update in side.updates.items():
        (monomial, number), *rest = side.poly(update).terms.items() or [((), Fraction(0))]
        atom = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if not rest and isinstance(atom, Ref) and atom.kind == "state":
            found[name] = atom.name, number
    return found


def _follow(
    states: Mapping[str, tuple[str, Fraction]],
    mine: Mapping[str, tuple[str, Fraction]],
    theirs: Mapping[str, tuple[str, Fraction]],
) -> bool:
    """Whether a map of states keeps what is copied: no parameter could mend that."""
    for name, (source, number) in mine.items():
        if name not in states or source not in states:
            continue
        (other, scale), (origin, factor) = states[name], states[source]
        if other not in theirs:
            return False
        copied, count = theirs[other]
        if copied != origin or scale * count != number * factor:
            return False
    return True


def _drives(side: Side) -> dict[str, _Drive]:
    output = side.poly(side.output)
    found = {}
    for name, update in side.updates.items():
        value = side.poly(update)
        numbers = {
            abs(number)
            for monomial, number in value.terms.items()
            if not any(isinstance(atom, Ref) and atom.name == name for atom, _ in monomial)
            and any(is_gate(atom) for atom, _ in monomial)
        }
        found[name] = _Drive(_ratio(value, output), tuple(sorted(numbers)))
    return found


def _ratio(one: Poly, other: Poly) -> Fraction | None:
    """`c` of one = c * other, or None."""
    if not one or one.terms.keys() != other.terms.keys():
        return None
    ratios = {one.terms[monomial] / other.terms[monomial] for monomial in one.terms}
    return ratios.pop() if len(ratios) == 1 else None


def _factors(one: _Drive, other: _Drive) -> list[Fraction]:
    """What a state may be in terms of another, the likeliest first."""
    if one.of_output is not None and other.of_output is not None:
        return [one.of_output / other.of_output]
    found = [Fraction(1)]
    if one.numbers and other.numbers:
        found += [one.numbers[i] / other.numbers[i] for i in (-1, 0)]
    return list(dict.fromkeys([*found, *(-factor for factor in found)]))

"""Identity testing over finite fields, where normal forms are too large to be written down.

Both cells run one step over the integers modulo a random prime of 61 bits, from the same random
states, inputs and parameters. Functions are keyed hashes that obey the functions' laws (see
`field.py`). If output and new states agree, and the states start alike, then both cells are the
same function of sequences, by induction over t: a second step would add nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from gatec import show_ir
from gatec.equivalence.evaluate import Array, Evaluator, Unsupported, start
from gatec.equivalence.field import LOW, PRIMES, Extent, Extents, Field, Stuck, prime
from gatec.equivalence.instances import Pair, Setting, Values
from gatec.equivalence.libraries import numpy
from gatec.equivalence.match import Found
from gatec.equivalence.verdict import Fingerprint
from gatec.ir import Cell

_SIZES = ((3, 2, 4), (5, 4, 3))  # cycling over hidden_size, input_size and the others
_TRIALS = 2  # at each of these sizes
_TRIES = 3  # where a division by 0 stops one
_BITS_OF_A_PRIME = 60


def agreement(mine: Cell, theirs: Cell, found: Found) -> Fingerprint | None:
    """Whether `mine` under a map agrees with `theirs` in every trial; None where it does not.

    None, too, where a state is not mapped or an operator has no counterpart in a field.

    The bound. Take both cells as polynomials (quotients of them) with rational coefficients in
    parameters, inputs, states and the values of functions, where f(u) and f(v) are one unknown
    only if u = v (or u = -v, up to the law) as such polynomials. If an output differs, its
    agreement has one of these causes:

    - a polynomial that is not 0 has a value of 0: the difference of the outputs, or of two of the
      N arguments of functions, which then get one hash although they differ, or their sum, or
      an argument itself. These are at most N^2 + 1 polynomials of degree at most D. Unknowns are
      independent and uniform (the keyed hash BLAKE2b is taken for a random function), so each
      is 0 with probability at most D / p (Schwartz and Zippel);
    - or it is 0 as a polynomial modulo p, since p divides all its coefficients. One of them is
      an integer of at most L bits, which at most L / 60 primes of 61 bits divide; p is one of
      more than 2^60 / 45, all equally likely.

    So a trial is wrong with probability at most (N^2 + 1) (D / 2^60 + 45 (L / 60) / 2^60); D and L
    are computed along with the cells (`field.Extents`). Divisions by 0 begin a trial anew; they
    are as unlikely, and double the bound at most. Trials at the same sizes are independent. The
    bound is the larger one of those for the two choices of sizes that are tried; other sizes are
    not. Key and primes come from a hash of both cells and the map, so that the same cells give
    the same answer, and no cell can be made for a given key.

    Raises GatecError where NumPy is not installed.
    """
    pair = Pair(mine, theirs, found)
    others = {other for other, _ in found.states.values()}
    if not len(mine.states) == len(theirs.states) == len(found.states) == len(others):
        return None
    seed = _seed(mine, theirs, found)
    primes: list[int] = []
    bounds: list[float] = []
    try:
        for index, counts in enumerate(_SIZES):
            sizes = _sizes(pair, counts)
            for trial in range(_TRIALS):
                used = _trial(pair, sizes, seed + bytes([index, trial]))
                if used is None:
                    return None
                primes.append(used)
            bounds.append(min(1.0, _bound(pair, sizes)) ** _TRIALS)
    except (Unsupported, Stuck):
        return None
    return Fingerprint(min(primes), len(primes), max(bounds))


def _sizes(pair: Pair, counts: tuple[int, ...]) -> dict[str, int]:
    names = sorted(pair.size_names, key=lambda name: name != "hidden_size")
    return pair.fitted({name: counts[i % len(counts)] for i, name in enumerate(names)})


def _seed(mine: Cell, theirs: Cell, found: Found) -> bytes:
    """A digest of everything that is compared."""
    parts = [show_ir.cell_text(mine), show_ir.cell_text(theirs)]
    parts += [f"{name}={show_ir.text(value)}" for name, value in sorted(found.params.items())]
    parts += [f"{name}={other}*{scale}" for name, (other, scale) in sorted(found.states.items())]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=32).digest()


def _trial(pair: Pair, sizes: dict[str, int], seed: bytes) -> int | None:
    """The prime of one trial in which the cells agree; None where they do not. Raises Stuck."""
    for again in range(_TRIES):
        key = hashlib.blake2b(seed + bytes([again]), digest_size=32).digest()
        field = Field(prime(key), key)
        try:
            results = _results(pair, field, sizes, lambda *label, f=field: f.digest(*label))
        except Stuck:
            continue
        same = all((one == other).all() for one, other in results)
        return field.prime if same else None
    raise Stuck


def _results(
    pair: Pair, domain: Any, sizes: dict[str, int], unknown: Any
) -> list[tuple[Array, Array]]:
    """What must agree, one step after random states: (mine, theirs) pairs of arrays."""
    np = numpy()
    setting = Setting(sizes, 1, given=False)
    slots = pair.slots(setting)
    units = slots[-1].stop if slots else 0
    rows = np.empty((1, units), dtype=object)
    rows[0] = [unknown("slot", index) for index in range(units)]
    values = pair.values(domain, setting, rows)
    evaluator = Evaluator(domain, sizes)
    results = list(_starts(pair, evaluator, values))
    theirs, mine = {}, {}
    for name, (other, scale) in pair.found.states.items():
        shape = next(state.shape for state in pair.theirs.states if state.name == other)
        value = evaluator.full(scale, shape)
        made = np.empty(value.shape, dtype=object)
        for position in np.ndindex(value.shape):
            made[position] = unknown("state", other, *position)
        theirs[other] = made
        mine[name] = domain.pointwise("mul", [value, made])
    one, two = pair.run(domain, setting, replace(values, mine_states=mine, theirs_states=theirs))
    results.append((one.outputs[0], two.outputs[0]))
    for name, (other, scale) in pair.found.states.items():
        value = two.states[1][other]
        factor = evaluator.full(scale, ()).reshape((1,) * value.ndim)
        results.append((one.states[1][name], domain.pointwise("mul", [factor, value])))
    return results


def _starts(pair: Pair, evaluator: Evaluator, values: Values) -> list[tuple[Array, Array]]:
    """The states before the first step, where both cells say."""
    np = numpy()
    mine = {state.name: state for state in pair.mine.states}
    theirs = {state.name: state for state in pair.theirs.states}
    made = []
    for name, (other, scale) in pair.found.states.items():
        value = start(evaluator, theirs[other], values.theirs)
        factor = evaluator.full(scale, ()).reshape((1,) * np.ndim(value))
        one = start(evaluator, mine[name], values.mine)
        made.append((one, evaluator.domain.pointwise("mul", [factor, value])))
    return made


def _bound(pair: Pair, sizes: dict[str, int]) -> float:
    """How likely it is at most that a trial agrees although the cells do not."""
    extents = Extents()
    results = _results(pair, extents, sizes, lambda *label: Extent(1))
    largest = [value for pair_ in results for side in pair_ for value in side.flat]
    largest += extents.arguments
    # The numerator of a difference of two values.
    degree = max(v.degree for v in largest) + max(v.below for v in largest)
    bits = max(v.bits for v in largest) + max(v.bits_below for v in largest) + 1
    each = degree / LOW + (bits / _BITS_OF_A_PRIME) / PRIMES
    return float(2 * (len(extents.arguments) ** 2 + 1) * each)

"""Hundreds of pairs: what is the same function is proved to be, and nothing else ever is.

`benchmarks/soundness.py` runs 10,000 pairs and 10,000 mutants; 200 of each are run here.
"""

from fractions import Fraction

import numpy as np
import pytest
from smallcells import VECTOR, finished
from soundness import SIZES, claimed, equal_pair, holds, mutant_pair, run, sized

from gatec.equivalence.prepare import prepared
from gatec.expr import Ref
from gatec.ir import Equation, Initial, State

PARTS, SIZE = 4, 50


@pytest.mark.parametrize("part", range(PARTS))
def test_rewritten_cells_come_out_equal(part):
    for seed in range(part * SIZE, (part + 1) * SIZE):
        one, other, done = equal_pair(seed)
        proofs = claimed(one, other)
        assert proofs is not None, f"pair {seed} ({one.name}: {', '.join(done)}) is not proved"
        if seed % 10 == 0:
            assert all(holds(proof, seed) for proof in proofs), f"pair {seed}"


@pytest.mark.parametrize("part", range(PARTS))
def test_no_mutant_is_called_equal_that_is_not(part):
    equal = 0
    for seed in range(part * SIZE, (part + 1) * SIZE):
        one, other, change = mutant_pair(seed)
        proofs = claimed(one, other)
        if proofs is not None:  # a map may repair it: then it has to hold
            equal += 1
            assert all(holds(proof, seed) for proof in proofs), f"mutant {seed} ({change})"
    assert equal < SIZE / 4  # most mutants are beyond repair, or this tests nothing


def test_preparation_keeps_the_function():
    """What is compared computes, from its own initial states, what the cell does from its own."""
    changed = 0
    for seed in range(150):
        _, cell, _ = equal_pair(seed)
        made = prepared(cell)
        changed += {s.name for s in made.states} != {s.name for s in cell.states}
        rng = np.random.default_rng(seed)
        params = {p.name: rng.normal(size=sized(p.shape), scale=0.7) for p in cell.params}
        x = rng.normal(size=(4, 2, SIZES["input_size"]))
        with np.errstate(all="ignore"):
            one, other = (run(c, params, x, starts(c)) for c in (cell, made))
        both = np.isfinite(one) & np.isfinite(other)
        assert both[0].all()
        assert np.allclose(one[both], other[both], rtol=1e-6, atol=1e-9), seed
    assert changed > 40


@pytest.mark.parametrize(
    ("factor", "start", "kept"), [(2, 6, 1), (-1, -3, 1), (2, 3, 2), (2, 0, 2), (-1, 3, 2)]
)
def test_multiples_of_a_state_are_that_state_if_they_start_as_that(factor, start, kept):
    h, k = (Ref("state", name, VECTOR, 1) for name in "hk")
    gate = (Ref("param", "u", VECTOR) * k + Ref("param", "b", VECTOR)).apply("sigmoid")
    new = gate * h + (1 - gate)
    multiple = gate * k + factor * (1 - gate)
    states = [
        State("h", "h", VECTOR, "h", Initial(Fraction(3))),
        State("k", "k", VECTOR, "k", Initial(Fraction(start))),
    ]
    equations = [Equation("h", "", new), Equation("k", "", multiple)]
    cell = finished("twice", states, [*equations, Equation("y", "", h.apply("tanh"))], "y")
    assert len(prepared(cell).states) == kept


def starts(cell):
    return {s.name: np.full((2, *sized(s.shape)), float(s.initial.value)) for s in cell.states}

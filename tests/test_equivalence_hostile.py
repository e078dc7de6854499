"""Proofs made by a liar: honest steps under maps that do not hold, states that are not told of.

What the prover compares before it hands out a proof is left out here, so that only the checker
stands between a wrong map and the verdict `equal`.
"""

import contextlib
import random
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
from smallcells import VECTOR, finished
from soundness import covering, equal_pair, mutant_pair
from test_equivalence_proofs import CHANGED, proof, refused, with_equations

from gatec.equivalence import checker
from gatec.equivalence.check import prepared
from gatec.equivalence.checker import OutOfScope, Refused
from gatec.equivalence.checker.algebra import Algebra
from gatec.equivalence.checker.laws import Laws
from gatec.equivalence.laws import LAWS
from gatec.equivalence.match import in_terms_of
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.sides import Side, with_params
from gatec.equivalence.steps import Claim, Proof, Step
from gatec.expr import Apply, Const, Expr, Ref
from gatec.ir import Cell, Equation, Initial, State

MUTANTS = 300
E = Ref("state", "extra", VECTOR, 1)


def by_names(mine: Cell, theirs: Cell) -> tuple[dict, dict] | None:
    """The map that leaves all names as they are, if there is one."""
    params = {p.name: Ref("param", f"{p.name}'", p.shape) for p in mine.params}
    states = {s.name: (s.name, Fraction(1)) for s in mine.states}
    theirs_params = {p.name: p.shape for p in theirs.params}
    known = all(theirs_params.get(value.name) == value.shape for value in params.values())
    if not known or states.keys() != {s.name for s in theirs.states}:
        return None
    return params, states


def forced(mine: Cell, theirs: Cell, mine_is_right: bool) -> Proof | None:
    """A proof by true steps alone that nobody compared the ends of."""
    found = by_names(mine, theirs)
    if found is None:
        return None
    params, states = found
    left = Side.of(with_params(mine, params))
    right = Side.of(in_terms_of(theirs, mine, states))
    claims = []
    for name in (*states, ""):
        one, other = (
            side.cell.equation(side.cell.output if not name else _update(side.cell, name)).ref
            for side in (left, right)
        )
        side = left if mine_is_right else right
        claims.append(Claim(name, one, other, side.results()[name]))
    steps = left.normaliser.steps, right.normaliser.steps
    return Proof(mine, theirs, params, states, tuple(claims), *steps)


def _update(cell: Cell, state: str) -> str:
    return next(s.update for s in cell.states if s.name == state)


@cache
def lies() -> list[tuple[int, Proof, Proof]]:
    """Proofs that cells that differ at equal parameters are one, both normal forms as the goal."""
    found = []
    for seed in range(MUTANTS):
        one, other, _ = mutant_pair(seed)
        try:
            pair = prepared(one, other)
            made = [forced(*pair, mine_is_right) for mine_is_right in (True, False)]
        except TooLarge:
            continue
        if None not in made:
            found.append((seed, *made))
    return found


def test_maps_that_do_not_hold_are_refused():
    found = lies()
    assert len(found) > MUTANTS / 5
    for seed, *both in found:
        for made in both:
            with pytest.raises(Refused):
                checker.check(made)
            assert made.claims, seed


def test_the_same_construction_is_accepted_where_the_map_holds():
    """Or the test above would say nothing."""
    accepted = 0
    for seed in range(MUTANTS // 4):
        one, _, _ = equal_pair(seed)
        made = forced(*prepared(one, one), True)
        accepted += made is not None and checker.check(made) > 0
    assert accepted > MUTANTS / 5


def test_no_law_bridges_what_differs():
    """The step that is missing in a wrong proof, as an instance of whatever law."""
    tried = 0
    for _, made, other in lies()[:60]:
        for claim, wrong in zip(made.claims, other.claims, strict=True):
            if claim.common == wrong.common:
                continue
            laws = Laws(Algebra())
            pairs = [(claim.common, wrong.common), *_apart(claim.common, wrong.common)]
            for before, after in pairs:
                for law in LAWS:
                    tried += 1
                    with contextlib.suppress(Refused, ValueError):
                        assert not laws.holds(law, before, after), (law, before, after)
    assert tried > 5000


def _apart(one: Expr, other: Expr) -> list[tuple[Expr, Expr]]:
    """The first places, from the outside, where two expressions of one form differ."""
    found: list[tuple[Expr, Expr]] = []
    while one != other and isinstance(one, Apply) and isinstance(other, Apply):
        if one.op != other.op or len(one.args) != len(other.args):
            break
        different = [(a, b) for a, b in zip(one.args, other.args, strict=True) if a != b]
        if len(different) != 1 or different[0][0].shape != different[0][1].shape:
            break
        found += different
        ((one, other),) = different
    return [pair for pair in found if not _is_a_law(*pair)]


def _is_a_law(one: Expr, other: Expr) -> bool:
    """Whether two values are equal after all: where what differs is multiplied by 0."""
    algebra = Algebra()
    return algebra.same(algebra.value(one), algebra.value(other))


# --- States that the general cell has besides -----------------------------------------------------


def with_extra(
    cell: Cell, index: int, use: Expr | None, update: Expr, start: Fraction | str = Fraction(0)
) -> Cell:
    """The cell with a state more; the value of one equation becomes `use` of it."""
    initial = Initial(param=start) if isinstance(start, str) else Initial(start)
    equations = list(cell.equations)
    if use is not None:
        equations[index] = replace(equations[index], value=use)
    equations.append(Equation("extra_next", "", update))
    states = (*cell.states, State("extra", "", VECTOR, "extra_next", initial))
    return replace(cell, states=states, equations=tuple(equations))


def places(cell: Cell) -> list[int]:
    return [i for i, e in enumerate(cell.equations) if e.ref.shape == VECTOR and e.ref.batched]


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_states_besides_that_do_something_are_refused(mine, theirs):
    """Though they start at what does nothing, and stay there."""
    made = proof(mine, theirs)
    tried = 0
    for index in places(made.mine):
        value = made.mine.equations[index].value
        uses = (
            (value + E, 0),
            (value - E * E, 0),
            (value * E, 1),
            (value + E.apply("relu"), 0),
            (value + (E.apply("exp") - 1), 0),
            (E.apply("gt", 0).apply("where", 2 * value, value), 0),
        )
        updates = (E, 1 * E, E * E)
        for number, (use, start) in enumerate(uses):
            update = updates[(number + index) % 3]  # all of them at every place
            cell = with_extra(made.mine, index, use, update, Fraction(start))
            tried += 1
            lie = with_equations(replace(made, mine=cell))
            with pytest.raises(Refused):
                checker.check(lie)
    assert tried


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_states_besides_that_do_nothing_are_accepted(mine, theirs):
    made = proof(mine, theirs)
    for index in places(made.mine):
        value = made.mine.equations[index].value
        for use in (None, value + (E - E), value + 0 * E):
            cell = with_extra(made.mine, index, use, E + 1)
            assert checker.check(with_equations(replace(made, mine=cell))) > 0
        break


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_states_besides_have_to_be_defined(mine, theirs):
    """A state that nothing reads, of a cell that is undefined because of it."""
    made = proof(mine, theirs)
    for update in (E.apply("log"), 1 / E, E.apply("sqrt"), (E - 1).apply("log1p")):
        cell = with_extra(made.mine, 0, None, update, Fraction(1))
        with pytest.raises(OutOfScope):
            checker.check(with_equations(replace(made, mine=cell)))
    index = places(made.mine)[0]
    value = made.mine.equations[index].value
    for use in (value + 0 / E, value * (E / E), value + 0 * E.apply("log")):
        cell = with_extra(made.mine, index, use, E, Fraction(1))
        with pytest.raises(OutOfScope):
            checker.check(with_equations(replace(made, mine=cell)))


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_every_state_of_the_special_cell_is_told_of(mine, theirs):
    made = proof(mine, theirs)
    index = places(made.theirs)[0]
    value = made.theirs.equations[index].value
    for use in (None, value + (E - E), value + E):
        cell = with_extra(made.theirs, index, use, E)
        assert refused(with_equations(replace(made, theirs=cell)))
        some = next(iter(made.states))
        for states in (
            {**made.states, "extra": ("extra", Fraction(1))},  # no state of mine
            {**made.states, some: ("extra", Fraction(1))},
        ):
            assert refused(with_equations(replace(made, theirs=cell, states=states)))


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_two_states_are_not_one(mine, theirs):
    """A state more that stands for a state of the other cell, which has one already."""
    made = proof(mine, theirs)
    for name, (other, scale) in made.states.items():
        old = Ref("state", name, VECTOR, 1)
        if old not in {r for e in made.mine.equations for r in _states(e.value)}:
            continue
        cell = with_extra(made.mine, 0, None, E)
        claim = next(c for c in made.claims if c.about == name)
        states = {**made.states, "extra": (other, scale)}
        claims = (*made.claims, replace(claim, about="extra"))
        with pytest.raises(Refused):
            checker.check(with_equations(replace(made, mine=cell, states=states, claims=claims)))


def _states(value: Expr) -> set[Ref]:
    found, stack = set(), [value]
    while stack:
        node = stack.pop()
        stack.extend(node.children)
        if isinstance(node, Ref) and node.kind == "state":
            found.add(node)
    return found


# --- Starts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_starts_have_to_correspond(mine, theirs):
    made = proof(mine, theirs)
    for index, state in enumerate(made.theirs.states):
        shape = state.shape
        learned = Ref("param", "start'", shape)
        for start in (Initial(Fraction(1)), Initial(Fraction(-1, 10**9)), Initial(param="start'")):
            states = list(made.theirs.states)
            states[index] = replace(state, initial=start)
            params = made.theirs.params
            if start.param is not None:
                params = (*params, type(params[0])("start'", "", learned.shape))
            cell = replace(made.theirs, states=tuple(states), params=params)
            with pytest.raises(Refused):
                checker.check(with_equations(replace(made, theirs=cell)))


def leaky(start: Initial, scale: Fraction) -> Cell:
    """h = a h + W x, kept as a multiple of it."""
    h = Ref("state", "h", VECTOR, 1) * Const(1 / scale)
    value = Const(scale) * (Ref("param", "a", VECTOR) * h + Ref("param", "b", VECTOR))
    out = Equation("y", "", Ref("var", "k", VECTOR) * Const(1 / scale))
    cell = finished(
        "leaky", [State("h", "h", VECTOR, "k", start)], [Equation("k", "", value), out], "y"
    )
    return cell


def test_starts_are_scaled_with_their_states():
    two = Fraction(2)
    one = leaky(Initial(Fraction(1)), Fraction(1))
    made = covering(*prepared(leaky(Initial(two), two), one))
    assert made is not None
    assert made.states["h"] == ("h", two)
    for start in (1, -2, 0, Fraction(1, 2)):
        wrong = replace(made.mine.states[0], initial=Initial(Fraction(start)))
        with pytest.raises(Refused, match="start"):
            checker.check(replace(made, mine=replace(made.mine, states=(wrong,))))


# --- Steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_steps_between_what_is_not_equal_are_refused(mine, theirs):
    """Right sides exchanged between steps, and steps that say what they like of a gate."""
    made, draw = proof(mine, theirs), random.Random(5)
    for side in ("mine_steps", "theirs_steps"):
        steps = getattr(made, side)
        lies = [s for s in steps.values() if s.law not in ("arithmetic", "equation")]
        for step in lies:
            others = [s for s in lies if s.after.shape == step.after.shape]
            other = draw.choice(others).after
            for after in (other, step.after + 1, -step.after, 0 * step.after):
                algebra = Algebra()
                if algebra.same(algebra.value(after), algebra.value(step.after)):
                    continue
                false = {**steps, step.before: Step(step.law, step.before, after)}
                assert refused(replace(made, **{side: false})), (step, after)


def test_an_equation_is_not_about_another_cell():
    made = proof("CHO_GRU", "COURSERA_GRU")
    for step in [s for s in made.theirs_steps.values() if s.law == "equation"]:
        if step.before in made.mine_steps and made.mine_steps[step.before] != step:
            with pytest.raises(Refused):
                checker.check(replace(made, mine_steps={**made.mine_steps, step.before: step}))

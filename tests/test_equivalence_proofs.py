"""The proof checker: accepts the proofs that are found, and refuses what is wrong with them."""

import ast
import random
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import equivalence_texts as texts
import pytest
from smallcells import VECTOR, X, finished
from soundness import covering, holds

from gatec import compiler, resources
from gatec.equivalence import checker
from gatec.equivalence.check import prepared
from gatec.equivalence.checker import OutOfScope, Refused, statement
from gatec.equivalence.laws import LAWS
from gatec.equivalence.match import Budget, Matcher
from gatec.equivalence.proof import prove
from gatec.equivalence.steps import INFINITE, Claim, Proof, Step
from gatec.expr import HIDDEN, INPUT, Apply, Broadcast, Const, Expr, Ref, rewrite, walk
from gatec.ir import Cell, Equation, Initial, State

FOLDER = Path(checker.__file__).parent
H = Ref("state", "h", VECTOR, 1)


@cache
def cell(name: str) -> Cell:
    text = getattr(texts, name, name)
    return compiler.front(compiler.single(text).document).cell


@cache
def proof(mine: str, theirs: str) -> Proof:
    """The proof that `mine` covers `theirs`."""
    found = covering(*prepared(cell(mine), cell(theirs)))
    assert found is not None
    return found


@cache
def limit(mine: str, theirs: str) -> Proof:
    """The proof that `mine` covers `theirs` in the limit."""
    one, other = prepared(cell(mine), cell(theirs))
    for found in Matcher(one, other, Budget(3000)).search(limits=True):
        made = prove(one, other, found)
        if made is not None:
            return made
    raise AssertionError("no limit was found")


# --- Independence ---------------------------------------------------------------------------------


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name for name in found if name.startswith("gatec")}


def test_the_checker_shares_no_code_with_the_prover():
    shared = {"gatec.expr", "gatec.ir", "gatec.ops", "gatec.errors", "gatec.equivalence.steps"}
    for path in FOLDER.glob("*.py"):
        for name in imports(path):
            assert name in shared or name.startswith("gatec.equivalence.checker"), (path.name, name)


def test_what_both_share_is_data():
    path = FOLDER.parent / "steps.py"
    assert imports(path) <= {"gatec.expr", "gatec.ir"}
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    assert not any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))


# --- Proofs that hold -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", resources.spec_names())
def test_a_shipped_cell_is_itself(name):
    assert checker.check(proof(name, name)) > 0


COVERED = [
    ("NOTES_LSTM", "SPLIT_LSTM"),
    ("SPLIT_LSTM", "NOTES_LSTM"),
    ("SPLIT_LSTM", "LOGISTIC_LSTM"),
    ("FACTORED_LSTM", "SPLIT_LSTM"),
    ("DEAD_LSTM", "NOTES_LSTM"),
    ("CHO_GRU", "COURSERA_GRU"),
    ("COURSERA_GRU", "RESIDUAL_GRU"),
    ("PEEPHOLE", "CIFG"),
    ("MI_RNN", "RNN"),
    ("CHO_GRU", "MGU"),
]


@pytest.mark.parametrize(("mine", "theirs"), COVERED)
def test_proofs_of_known_pairs_are_accepted(mine, theirs):
    assert checker.check(proof(mine, theirs)) > 0


LIMITS = [("SPLIT_LSTM", "JANET_TANH"), ("MGU", "RNN"), ("gru", "rnn")]


@pytest.mark.parametrize(("mine", "theirs"), LIMITS)
def test_limits_are_accepted(mine, theirs):
    made = limit(mine, theirs)
    assert made.limits
    assert checker.check(made) > 0


# --- Proofs with something changed ----------------------------------------------------------------

CHANGED = [
    ("NOTES_LSTM", "SPLIT_LSTM"),
    ("CHO_GRU", "COURSERA_GRU"),
    ("MI_RNN", "RNN"),
    ("slstm", "slstm"),
    ("deltanet", "deltanet"),
    ("HIGHWAY", "HIGHWAY_TURNED"),
]


def refused(made: Proof) -> bool:
    """Whether a proof is refused. One that is accepted has to hold in numbers at least."""
    try:
        checker.check(made)
    except Refused:
        return True
    assert holds(made, 0), "a proof was accepted that does not hold"
    return False


def with_equations(made: Proof) -> Proof:
    """A proof whose steps name the equations of its cells under its map, as a liar would see to."""
    try:
        sides = statement.left(made), statement.right(made)
    except (Refused, KeyError, ValueError, StopIteration, ZeroDivisionError):
        return made
    both = []
    for side, steps in zip(sides, (made.mine_steps, made.theirs_steps), strict=True):
        kept = {before: step for before, step in steps.items() if step.law != "equation"}
        named = {e.ref: Step("equation", e.ref, e.value) for e in side.ordered if e.ref != e.value}
        both.append({**named, **kept})
    return replace(made, mine_steps=both[0], theirs_steps=both[1])


OTHERS = {"sigmoid": "tanh", "tanh": "sigmoid", "exp": "sigmoid", "add": "mul", "mul": "add"}


def changed(value: Expr, draw: random.Random) -> Expr | None:
    """The expression with one number or one function changed."""
    nodes = [
        node
        for node in walk(value)
        if isinstance(node, Const) or (isinstance(node, Apply) and node.op in OTHERS)
    ]
    if not nodes:
        return None
    old = draw.choice(nodes)
    if isinstance(old, Const):
        new: Expr = Const(old.value + Fraction(draw.choice(["1", "-1", "1/100"])))
    else:
        new = Apply(OTHERS[old.op], old.children)
    return rewrite(value, lambda node: new if node == old else node)


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_changed_steps_are_refused(mine, theirs):
    made, draw = proof(mine, theirs), random.Random(1)
    tried = kept = 0
    for side in ("mine_steps", "theirs_steps"):
        steps = getattr(made, side)
        for before, step in steps.items():
            for part in ("before", "after", "law", "both", "none"):
                if part == "law":
                    new = replace(step, law=draw.choice([law for law in LAWS if law != step.law]))
                elif part in ("none", "both") and step.law == "arithmetic":
                    continue  # for the reader alone
                elif part == "none":
                    new = None
                else:
                    sides = {
                        side: changed(getattr(step, side), draw)
                        for side in (("before", "after") if part == "both" else (part,))
                    }
                    if None in sides.values():
                        continue
                    new = replace(step, **sides)
                others = {b: s for b, s in steps.items() if b is not before}
                after = others if new is None else {**others, new.before: new}
                if part == "before":  # listed under what it no longer is about
                    after = {**others, before: new}
                tried += 1
                kept += not refused(replace(made, **{side: after}))
    assert tried > 10
    assert kept <= 0.03 * tried, f"{kept} of {tried} changes went unnoticed"


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_changed_maps_are_refused(mine, theirs):
    made = proof(mine, theirs)
    tried = kept = 0
    for name, value in made.params.items():
        zero = Broadcast(Const(Fraction(0)), value.shape) if value.shape else Const(Fraction(0))
        alike = [
            Ref("param", p.name, p.shape) for p in made.theirs.params if p.shape == value.shape
        ]
        for new in (zero, -value, 2 * value, *alike):
            if new == value:
                continue
            tried += 1
            kept += not refused(with_equations(replace(made, params={**made.params, name: new})))
        own = Ref("param", name, value.shape)
        for wrong in (own, Ref("state", "h", value.shape, 1), value.apply("sum")):
            assert refused(with_equations(replace(made, params={**made.params, name: wrong})))
        missing = {other: v for other, v in made.params.items() if other != name}
        assert refused(with_equations(replace(made, params=missing)))
        assert refused(with_equations(replace(made, params={**made.params, "more": value})))
    assert tried >= 2 * len(made.params)
    assert kept <= 0.1 * tried  # another map that is right, perhaps


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_changed_states_are_refused(mine, theirs):
    made = proof(mine, theirs)
    names = list(made.states)
    for name, (other, scale) in made.states.items():
        for factor in (2, -1, Fraction(1, 2), 0):
            states = {**made.states, name: (other, scale * factor)}
            assert refused(with_equations(replace(made, states=states)))
        missing = {n: s for n, s in made.states.items() if n != name}
        assert refused(with_equations(replace(made, states=missing)))
        for twice in names:
            if made.states[twice] != made.states[name]:
                states = {**made.states, name: made.states[twice]}
                assert refused(with_equations(replace(made, states=states)))
    if len(names) > 1:
        one, other, *_ = names
        states = {**made.states, one: made.states[other], other: made.states[one]}
        assert refused(with_equations(replace(made, states=states)))


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_changed_claims_are_refused(mine, theirs):
    made, draw = proof(mine, theirs), random.Random(2)
    for claim in made.claims:
        rest = tuple(other for other in made.claims if other is not claim)
        assert refused(replace(made, claims=rest))
        assert refused(replace(made, claims=(*made.claims, claim)))
        assert refused(replace(made, claims=(*rest, replace(claim, about="other"))))
        for part in ("left", "right"):
            easy = replace(claim, **{part: claim.common})
            assert refused(replace(made, claims=(*rest, easy)))
        trivial = Claim(claim.about, claim.common, claim.common, claim.common)
        assert refused(replace(made, claims=(*rest, trivial)))
        for _ in range(10):
            common = changed(claim.common, draw)
            if common is not None and common != claim.common:
                assert refused(replace(made, claims=(*rest, replace(claim, common=common))))


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_changed_cells_are_refused(mine, theirs):
    """Another number, function or start in one of the cells, with steps that name it."""
    made, draw = proof(mine, theirs), random.Random(3)
    tried = kept = 0
    for side in ("mine", "theirs"):
        whole = getattr(made, side)
        for index, equation in enumerate(whole.equations):
            for _ in range(6):
                value = changed(equation.value, draw)
                if value is None or value.shape != equation.value.shape:
                    continue
                if value.batched != equation.value.batched:
                    continue
                equations = list(whole.equations)
                equations[index] = replace(equation, value=value)
                other = replace(whole, equations=tuple(equations))
                tried += 1
                kept += not refused(with_equations(replace(made, **{side: other})))
        for index, state in enumerate(whole.states):
            states = list(whole.states)
            states[index] = replace(state, initial=Initial(Fraction(1)))
            assert refused(replace(made, **{side: replace(whole, states=tuple(states))}))
    assert tried > 10
    assert kept <= 0.05 * tried


@pytest.mark.parametrize(("mine", "theirs"), CHANGED)
def test_the_steps_of_another_proof_are_refused(mine, theirs):
    made = proof(mine, theirs)
    for one, other in CHANGED:
        if (one, other) == (mine, theirs):
            continue
        strange = proof(one, other)
        for side in ("mine_steps", "theirs_steps", "mine", "theirs", "params", "claims"):
            assert refused(with_equations(replace(made, **{side: getattr(strange, side)})))
    assert refused(replace(made, mine_steps={}, theirs_steps={}))


# --- Limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mine", "theirs"), LIMITS)
def test_changed_limits_are_refused(mine, theirs):
    made = limit(mine, theirs)
    for gate, value in made.limits.items():
        for number in ("0", "1", "1/2"):
            new = Broadcast(Const(Fraction(number)), gate.shape)
            if new != value:
                changed_limits = {**made.limits, gate: new}
                with pytest.raises(Refused):
                    checker.check(with_equations(replace(made, limits=changed_limits)))
        fewer = {other: v for other, v in made.limits.items() if other is not gate}
        with pytest.raises(Refused):
            checker.check(replace(made, limits=fewer))
    with pytest.raises(Refused):
        checker.check(replace(made, limit_steps={}))
    for name, value in made.params.items():
        turned = rewrite(value, lambda n: -n if isinstance(n, Ref) and n.name == INFINITE else n)
        if turned != value:
            with pytest.raises(Refused):
                checker.check(replace(made, params={**made.params, name: turned}))


def test_no_limit_passes_through_a_jump():
    """sign(1 - z) is 1 for every gate z, and 0 where z is 1."""
    z = (Ref("param", "W", (HIDDEN, INPUT)).apply("matvec", X) + Ref("param", "b", VECTOR)).apply(
        "sigmoid"
    )
    new = (Ref("param", "V", (HIDDEN, INPUT)).apply("matvec", X)).apply("tanh")
    states = [State("h", "h", VECTOR, "h")]
    jumps = finished("jumps", states, [Equation("h", "h", (1 - z).apply("sign") * new)], "h")
    still = finished("still", states, [Equation("h", "h", 0 * new)], "h")
    one, other = prepared(jumps, still)
    shape = one.params[0].shape
    gate = next(
        n for n in walk(one.equations[0].value) if isinstance(n, Apply) and n.op == "sigmoid"
    )
    zeros = Broadcast(Const(Fraction(0)), shape)
    params = {"W": zeros, "b": Ref("param", INFINITE, VECTOR), "V": zeros}
    placed = rewrite(
        gate, lambda n: params.get(n.name, n) if isinstance(n, Ref) and n.kind == "param" else n
    )
    made = Proof(
        one,
        other,
        params,
        {},
        (),
        {},
        {},
        {placed: Broadcast(Const(Fraction(1)), VECTOR)},
        {},
    )
    assert not one.states
    with pytest.raises(Refused):
        checker.check(made)


# --- Where cells are defined ----------------------------------------------------------------------


def one_state(value: Expr) -> Cell:
    return finished("cell", [State("h", "h", VECTOR, "h")], [Equation("h", "h", value)], "h")


U = Ref("param", "W", (HIDDEN, INPUT)).apply("matvec", X) + H
ZERO = Const(Fraction(0))
UNLIKE = {
    "u / u is not 1": ((U / U) * H + U, H + U),
    "1 / u - 1 / u is not 0": (1 / U - 1 / U + U, U),
    "exp(log(u)) is not u": (U.apply("log").apply("exp"), U),
    "sqrt(u)^2 is not u": (U.apply("sqrt").apply("pow", 2), U),
    "0 log(u) is not 0": (0 * U.apply("log") + U, U),
    "c / c where states start at 0": (H / H * U, U),
    "a choice shields what it does not choose": (
        U.apply("gt", 0).apply("where", U.apply("log"), 0),
        U.apply("gt", 0).apply("where", 1, 0) * U.apply("log"),
    ),
    "tan cos is not sin": (U.apply("tan") * U.apply("cos"), U.apply("sin")),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_cells_that_are_defined_for_other_values_are_not_equal(name):
    one, other = (one_state(value) for value in UNLIKE[name])
    for mine, theirs in ((one, other), (other, one)):
        assert covering(*prepared(mine, theirs)) is None
        first, second = prepared(mine, theirs)
        refusals = []
        for found in Matcher(first, second, Budget(300)).search():
            made = prove(first, second, found)
            if made is not None:
                with pytest.raises(OutOfScope) as caught:
                    checker.check(made)
                refusals.append(caught)
        assert refusals, "nothing was proved, so nothing was tested"


ALIKE = {
    "never zero": (H * U / (1 + U.apply("exp")), H * U * (-U).apply("sigmoid")),
    "both divide": (U / H + H / H, (U + H) / H),
    "squares": (U / (1 + U * U) * (1 + U * U), U),
    "absolute values": (U / (1 + U.apply("abs")) * (1 + U.apply("abs")), U),
    "a gate's complement": (
        H * (1 - U.apply("sigmoid")) / (1 - U.apply("sigmoid")),
        H,
    ),
    "at least one": (U / U.apply("abs").apply("max", 1) * U.apply("abs").apply("max", 1), U),
    "logarithms of both": (2 * U.apply("log"), U.apply("log") + U.apply("log")),
    "softmax": (H.apply("softmax"), H.apply("exp") / H.apply("exp").apply("sum")),
    "roots": (
        (1 + H * H).apply("sqrt") * (1 + H * H).apply("sqrt") + U.apply("tanh"),
        1 + H * H + U.apply("tanh"),
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_cells_that_are_defined_for_the_same_values_are_equal(name):
    one, other = (one_state(value) for value in ALIKE[name])
    for mine, theirs in ((one, other), (other, one)):
        assert covering(*prepared(mine, theirs)) is not None


# --- Hostile proofs -------------------------------------------------------------------------------


def test_steps_in_a_circle_come_to_an_end():
    made = proof("CHO_GRU", "COURSERA_GRU")
    nodes = walk(made.claims[0].common)
    one = next(node for node in nodes if isinstance(node, Apply) and node.op == "sigmoid")
    other = Apply("sigmoid", (-one.children[0],))
    # sigmoid(u) = 1 - sigmoid(-u) is a law, for every u.
    there, back = Step("complement", one, 1 - other), Step("complement", other, 1 - one)
    with pytest.raises(Refused, match="circle"):
        checker.check(replace(made, mine_steps={**made.mine_steps, one: there, other: back}))


def test_quantities_need_their_equations():
    """One name may mean different things in both cells: left as it is, it means nothing."""
    made = proof("lstm", "lstm")
    assert {e.name for e in made.mine.equations} & {e.name for e in made.theirs.equations}
    claims = tuple(Claim(claim.about, claim.left, claim.right, claim.left) for claim in made.claims)
    with pytest.raises(Refused):
        checker.check(replace(made, claims=claims, mine_steps={}, theirs_steps={}))


# --- Waists --------------------------------------------------------------------------------------


def test_deep_cells_are_proved_by_their_waists():
    made = proof("HIGHWAY", "HIGHWAY_TURNED")
    assert [(waist.mine, waist.theirs) for waist in made.waists] == [
        ("u", "w"),
        ("v", "v"),
        ("w", "u"),
    ]
    checker.check(made)


def test_changed_waists_are_refused():
    made = proof("HIGHWAY", "HIGHWAY_TURNED")
    first, second, third = made.waists
    others = [
        (first, second),
        (second, third),
        (first, second, third, third),
        (replace(first, name="x"), second, third),
        (replace(first, name="h"), second, third),
        (replace(first, name=second.name), second, third),
        (replace(first, theirs="v"), replace(second, theirs="w"), third),
        (replace(first, mine="h"), second, third),
        (replace(first, theirs="none"), second, third),
        (replace(first, mine="a"), second, third),
    ]
    for waists in others:
        assert refused(with_equations(replace(made, waists=waists)))
        names = {waist.name for waist in waists} | {"", "h"}
        kept = tuple(claim for claim in made.claims if claim.about in names)
        assert refused(with_equations(replace(made, waists=waists, claims=kept)))


def test_no_waist_rests_on_itself():
    """Quantities that differ, each taken for the input that stands for both of them."""
    made = proof("HIGHWAY", "HIGHWAY_TURNED")
    first = made.waists[0]
    atom = Ref("input", first.name, VECTOR)
    claims = tuple(
        replace(claim, common=atom) if claim.about == first.name else claim for claim in made.claims
    )
    steps = Step("equation", made.mine.equation("u").ref, atom)
    mine = {**with_equations(made).mine_steps, steps.before: steps}
    with pytest.raises(Refused, match="rests on one that comes later"):
        checker.check(replace(made, claims=claims, mine_steps=mine))


def test_an_unknown_law_is_refused():
    made = proof("rnn", "rnn")
    before, step = next(iter(made.mine_steps.items()))
    steps = {**made.mine_steps, before: replace(step, law="inspiration")}
    with pytest.raises(Refused, match="no law"):
        checker.check(replace(made, mine_steps=steps))

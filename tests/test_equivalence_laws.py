"""Every law on random expressions: true in float64, ties and zeros included, and checked.

The expressions are normalised; each step on the way is computed on both sides by gatec's
interpreter, and put before the checker. Steps made false are refused.
"""

import random
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from expressions import MATRIX, REFS, VECTOR, Expressions

from gatec import interpret
from gatec.equivalence.checker import NAMES, OutOfScope, Refused
from gatec.equivalence.checker.algebra import Algebra
from gatec.equivalence.checker.laws import Laws
from gatec.equivalence.laws import LAWS
from gatec.equivalence.normal import Normaliser
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.steps import Step
from gatec.expr import HIDDEN, Apply, Const, Dim, Expr, Ref, Slice, rewrite
from gatec.ir import Cell, Equation, Input, Param, State

COUNT = 1_500
SIZES = [{"hidden_size": 2, "input_size": 3}, {"hidden_size": 3, "input_size": 1}]
ROUND = (-2, -1, -0.5, 0, 0.5, 1, 2)  # exact in float64: ties are ties, zeros are zeros


@dataclass(frozen=True)
class Sample:
    seed: int
    value: Expr
    steps: tuple[Step, ...]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    found = []
    for seed in range(COUNT):
        draw = random.Random(seed)
        shape = draw.choice([VECTOR, VECTOR, (), MATRIX])
        value = Expressions(draw)(shape, draw.choice([1, 2, 3]))
        normaliser = Normaliser((), budget=3000)
        try:
            normaliser.poly(value)
        except TooLarge:
            continue
        found.append(Sample(seed, value, tuple(normaliser.steps.values())))
    assert len(found) > 0.98 * COUNT
    return found


def evaluated(
    values: list[Expr], sizes: dict[str, int], seed: int, ties: bool, dtype: type = float
) -> list[np.ndarray]:
    """Values of expressions at one random point (a batch of them), by the interpreter."""
    rng = np.random.default_rng(seed)

    def draw(shape, *leading):
        size = (*leading, *(dim.value(sizes) for dim in shape))
        return (rng.choice(ROUND, size) if ties else rng.normal(size=size)).astype(dtype)

    equations = [Equation(f"value_{i}", "", value) for i, value in enumerate(values)]
    equations += [Equation(name, "", REFS[name]) for name in "hc"]
    cell = Cell(
        "values",
        (Input("x", "x", REFS["x"].shape),),
        tuple(State(name, name, VECTOR, name) for name in "hc"),
        tuple(Param(r.name, r.name, r.shape) for r in REFS.values() if r.kind == "param"),
        tuple(equations),
        "h",
    )
    params = {param.name: draw(param.shape) for param in cell.params}
    states = {name: draw(VECTOR, 4) for name in "hc"}
    with np.errstate(all="ignore"):
        run = interpret.run(cell, params, {"x": draw(REFS["x"].shape, 1, 4)}, states, sizes=sizes)
    return [np.asarray(run.trace[0][f"value_{i}"], dtype) for i in range(len(values))]


def agree(one: np.ndarray, other: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):  # infinities are equal to themselves
        size = np.maximum(1, np.maximum(abs(one), abs(other)))
        near = (abs(one - other) <= 1e-8 * size) | (size > 1e6) | (one == other)
    return bool(near.all())


def defined_everywhere(values: list[np.ndarray]) -> bool:
    return all(np.isfinite(value).all() for value in values)


def partial_operands(value: Expr) -> list[Expr]:
    """What quotients, roots and logarithms in an expression come to."""
    found: list[Expr] = []
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, Apply) and node.op in ("div", "sqrt", "log", "log1p", "pow"):
            found.append(node)
        stack.extend(node.children)
    return found


def test_laws_hold_in_numbers(samples):
    used: Counter[str] = Counter()
    for sample in samples:
        sides = [side for step in sample.steps for side in (step.before, step.after)]
        partial = list(dict.fromkeys(node for side in sides for node in partial_operands(side)))
        for sizes in SIZES:
            for ties in (True, False):
                values = evaluated([*sides, *partial], sizes, sample.seed, ties)
                if not defined_everywhere(values[len(sides) :]):
                    continue  # laws hold where both sides are defined
                for i, step in enumerate(sample.steps):
                    used[step.law] += 1
                    if not agree(*values[2 * i : 2 * i + 2]):
                        # A comparison on the edge may fall to either side by rounding alone.
                        both = [step.before, step.after]
                        exact = evaluated(both, sizes, sample.seed, ties, np.longdouble)
                        assert agree(*exact), (sample.seed, step)
    assert min(used[law] for law in LAWS if law not in ("equation", "arithmetic")) >= 12, used


def test_the_checker_knows_every_law_and_accepts_every_use(samples):
    assert set(LAWS) == NAMES
    for sample in samples:
        laws = Laws(Algebra())
        for step in sample.steps:
            try:
                assert laws.holds(step.law, step.before, step.after), (sample.seed, step)
            except OutOfScope as refusal:
                assert "division by 0" in str(refusal)  # an expression that divides by the number 0
            assert step.before.shape == step.after.shape


OTHERS = {"sigmoid": "tanh", "exp": "sigmoid", "tanh": "sin", "add": "mul", "relu": "abs"}
TURNED = ("matmul", "outer", "max", "div", "where")


def other(node: Expr, draw: random.Random) -> Expr | None:
    """A node that is nearly the same: another number, function, name, order or range."""
    if isinstance(node, Const):
        return Const(node.value + Fraction(draw.choice(["1", "-1", "1/1000"])))
    if isinstance(node, Ref):
        alike = [r for r in REFS.values() if r.shape == node.shape and r != node]
        return draw.choice(alike) if alike else None
    if isinstance(node, Slice):
        return (
            replace(
                node,
                start=node.arg.shape[node.axis] - node.shape[node.axis],
                stop=(node.arg.shape[node.axis]),
            )
            if node.start == Dim()
            else replace(node, start=Dim(), stop=node.shape[node.axis])
        )
    if isinstance(node, Apply):
        if node.op in OTHERS:
            return Apply(OTHERS[node.op], node.args)
        if node.op in TURNED:
            return Apply(node.op, (*node.args[:-2], *node.args[:-3:-1]))
        if node.op == "transpose":
            return node.args[0]
        if node.op == "matvec":
            return Apply("matvec", (node.args[0].apply("transpose"), node.args[1]))
    return None


def changed(value: Expr, draw: random.Random) -> Expr | None:
    """The expression with one node changed; None where that gives none of its shape."""
    nodes: list[Expr] = []
    stack = [value]
    while stack:
        node = stack.pop()
        nodes.append(node)
        stack.extend(node.children)
    old = draw.choice(nodes)
    try:
        new = other(old, draw)
        if new is None or new.shape != old.shape:
            return None
        made = rewrite(value, lambda node: new if node == old else node)
    except ValueError:  # shapes that do not fit
        return None
    return made if made.shape == value.shape and made != value else None


def test_the_checker_refuses_steps_that_are_false(samples):
    """A step with one thing changed: refused, or true in numbers after all."""
    draw = random.Random(0)
    tried = refused = 0
    for sample in samples:
        laws = Laws(Algebra())
        for step in sample.steps:
            after = changed(step.after, draw)
            if after is None or draw.random() < 0.5:
                continue
            tried += 1
            try:
                accepted = laws.holds(step.law, step.before, after)
            except (Refused, ValueError):
                accepted = False
            if not accepted:
                refused += 1
                continue
            for ties in (True, False):
                values = evaluated([step.before, after], SIZES[0], sample.seed, ties)
                one, two = np.broadcast_arrays(*values)
                both = np.isfinite(one) & np.isfinite(two)
                assert np.allclose(one[both], two[both], rtol=1e-8), (sample.seed, step, after)
    assert tried > 0.8 * COUNT
    assert refused > 0.9 * tried


A, S = (Ref("param", name, (HIDDEN, HIDDEN)) for name in "AS")
U, W = (Ref("param", name, (HIDDEN,)) for name in "uw")
TURNED_FUNCTIONS = [
    A.apply("sigmoid"),
    (-S).apply("exp"),
    S * A.apply("tanh"),
    A.apply("transpose").apply("sin") * S,
    A / (1 + S.apply("exp")),
    Apply("matmul", (A, S)).apply("tanh"),
    (A + S.apply("transpose")).apply("sigmoid"),
]


@pytest.mark.parametrize("matrix", TURNED_FUNCTIONS)
def test_products_with_functions_of_matrices_are_turned(matrix):
    """(u w^T) f(A) = u (f(A)^T w)^T, and f(A)^T = f(A^T)."""
    laws = Laws(Algebra())
    product = Apply("matmul", (Apply("outer", (U, W)), matrix))
    normaliser = Normaliser(())
    normaliser.poly(product)
    for step in normaliser.steps.values():
        assert laws.holds(step.law, step.before, step.after), step
    untouched = Apply("outer", (U, Apply("matvec", (matrix, W))))
    assert not laws.holds("outer product", product, untouched)


def test_an_unknown_law_is_no_law():
    one = Const(Fraction(1))
    assert Laws(Algebra()).holds("magic", one, one) is None

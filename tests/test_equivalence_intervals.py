"""Ball arithmetic holds what it encloses: every operator, every spec, every printed interval."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from harness import cell_shapes, compiled, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from gatec import interpret, resources
from gatec.equivalence.evaluate import Evaluator, Runner
from gatec.equivalence.intervals import Balls, apart, ball, bounds, decimal, distance, precision
from gatec.equivalence.libraries import flint
from gatec.expr import HIDDEN, INPUT, Apply, Ref
from gatec.ops import OPS, Kind

SIZES = {"hidden_size": 3, "input_size": 2}
ROUNDING = 1e-12  # of the float64 values that the balls are held against
VECTOR, MATRIX, WIDE = (HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN, INPUT)
SHAPES = {
    "matvec": (WIDE, (INPUT,)),
    "matmul": (MATRIX, WIDE),
    "outer": (VECTOR, (INPUT,)),
    "dot": (VECTOR, VECTOR),
    "transpose": (WIDE,),
}
TESTED = [name for name, op in OPS.items() if op.kind is not Kind.BATCH]
BOOLEAN = {"lt", "le", "gt", "ge", "eq"}


def around(values, radius):
    """Balls with these midpoints."""
    arb = flint().arb
    return np.frompyfunc(lambda v, r: arb(float(v), float(r)), 2, 1)(values, radius).astype(object)


def holds(enclosure, value):
    """Whether a ball holds a number, up to the number's own rounding; the unknown holds all."""
    if not enclosure.is_finite():
        return True
    slack = ROUNDING * max(1.0, abs(value))
    return enclosure.lower() - slack <= value <= enclosure.upper() + slack


def operands(name, rng, scale):
    """References of fitting shapes, and a midpoint for each."""
    shapes = SHAPES.get(name, (VECTOR,) * (OPS[name].arity or 3))
    made = []
    for index, shape in enumerate(shapes):
        value = rng.standard_normal([1, *(d.value(SIZES) for d in shape)]) * scale
        made.append((Ref("param", f"p{index}", shape), value))
    return made


@pytest.mark.parametrize("name", [n for n in TESTED if n not in BOOLEAN | {"where"}])
def test_every_operator_encloses_its_values(name):
    """Random balls, narrow and wide, around 0 and away: random points inside of them."""
    rng = np.random.default_rng(sum(map(ord, name)))
    finite = 0
    for scale, radius in ((1, 1e-9), (1, 0.3), (0.2, 0.5), (5, 1), (30, 0.1), (1, 0)):
        made = operands(name, rng, scale)
        refs = tuple(ref for ref, _ in made)
        radii = [np.full(value.shape, radius) for _, value in made]
        balls = {ref.name: around(value, r) for (ref, value), r in zip(made, radii, strict=True)}
        with precision(80):
            expr = Apply(name, refs)
            found = Evaluator(Balls(), SIZES).value(expr, lambda ref, b=balls: b[ref.name])
        for _ in range(20):
            points = [
                v + rng.uniform(-1, 1, v.shape) * r for (_, v), r in zip(made, radii, strict=True)
            ]
            value = reference(name, refs, points)
            for enclosure, number in zip(found.reshape(-1), value.reshape(-1), strict=True):
                if np.isfinite(number):
                    assert holds(enclosure, number), f"{name}: {enclosure} misses {number}"
        finite += sum(enclosure.is_finite() for enclosure in found.reshape(-1))
    assert finite > 0, "unknown everywhere encloses everything"


def reference(name, refs, points):
    """The operator's own reference, in float64."""
    op = OPS[name]
    with np.errstate(all="ignore"):
        if op.kind in (Kind.REDUCTION, Kind.NORMALISATION):
            return np.asarray(op.reference(np, points[0], refs[0].rank))
        return np.asarray(op.reference(np, *points))


@pytest.mark.parametrize("name", sorted(BOOLEAN))
def test_comparisons_are_sure_or_say_nothing(name):
    rng = np.random.default_rng(5)
    arb = flint().arb
    seen = set()
    for _ in range(300):
        a, b = rng.integers(-2, 3, 2) / 2
        r, s = rng.choice([0, 0, 0.3, 1], 2)
        (found,) = Balls().pointwise(
            name, [np.asarray([arb(a, r)], object), np.asarray([arb(b, s)], object)]
        )
        seen.add(found)
        truths = {
            bool(OPS[name].reference(np, a + t * r, b + u * s))
            for t in (-1, -0.5, 0, 0.5, 1)
            for u in (-1, -0.5, 0, 0.5, 1)
        }
        if found is not None:
            assert truths == {found}
    assert seen == {True, False, None}


def test_a_choice_without_a_sure_condition_is_the_hull():
    arb = flint().arb
    condition = np.asarray([True, False, None, None], object)
    one = np.asarray([arb(1), arb(1), arb(1), arb("nan")], object)
    other = np.asarray([arb(-3)] * 4, object)
    first, second, hull, unknown = Balls().pointwise("where", [condition, one, other])
    assert first == 1 and second == -3
    assert hull.contains(arb(1)) and hull.contains(arb(-3)) and hull.upper() < 1.001
    assert not unknown.is_finite()


def test_what_may_be_undefined_is_unknown():
    arb = flint().arb
    zero = np.asarray([arb(0, 0.1)], object)
    one = np.asarray([arb(1)], object)
    for op, args in (("div", [one, zero]), ("log", [zero]), ("sqrt", [zero])):
        assert not Balls().pointwise(op, args)[0].is_finite()
    unknown = Balls().pointwise("div", [one, zero])
    for op in ("relu", "abs", "sigmoid", "tanh", "exp", "sign", "softplus"):
        assert not Balls().pointwise(op, [unknown])[0].is_finite(), op
    for op in ("max", "min"):
        assert not Balls().pointwise(op, [unknown, one])[0].is_finite()
    assert Balls().pointwise("gt", [unknown, one])[0] is None


@pytest.mark.parametrize("size", [1e3, 1e20, 1e300])
def test_saturation_is_exact_far_out(size):
    arb = flint().arb
    far = np.asarray([arb(size), arb(-size)], object)
    for op, high, low in (("sigmoid", 1, 0), ("tanh", 1, -1), ("softplus", size, 0)):
        one, other = Balls().pointwise(op, [far])
        assert abs(one - high) < 1e-9 * abs(high) and abs(other - low) < 1e-9, op


@pytest.mark.parametrize("name", resources.spec_names())
def test_specs_in_balls_enclose_the_interpreter(name):
    """Around a random point: the point itself, and others in the balls."""
    cell = compiled(resources.spec_path(name)).source
    radius = 1e-5
    case = draw(cell_shapes(cell, SIZES), steps=3, batch=1, seed=1)

    def balls(values):
        return around(values, np.full(values.shape, radius))

    with precision(100):
        run = Runner(cell).run(
            Balls(),
            SIZES,
            {k: balls(v[None]) for k, v in case.params.items()},
            {k: list(balls(v)) for k, v in case.inputs.items()},
            {k: balls(v) for k, v in case.states.items()},
            steps=3,
        )
    rng = np.random.default_rng(2)

    def inside(values, amount):
        return {k: v + rng.uniform(-amount, amount, v.shape) for k, v in values.items()}

    enclosures = np.stack(run.outputs).reshape(-1)
    assert all(enclosure.is_finite() for enclosure in enclosures)
    assert max(float(e.rad()) for e in enclosures) < 1, "too wide to say anything"
    for amount in (0, radius, radius, radius):
        params, inputs, states = (
            inside(v, amount) for v in (case.params, case.inputs, case.states)
        )
        made = interpret.run(cell, params, inputs, states, sizes=SIZES)
        for enclosure, value in zip(enclosures, made.outputs.reshape(-1), strict=True):
            assert holds(enclosure, value)
        for state, values in made.state.items():
            for enclosure, value in zip(
                run.states[-1][state].reshape(-1), values.reshape(-1), strict=True
            ):
                assert holds(enclosure, value)


@pytest.mark.parametrize("name", resources.spec_names())
def test_specs_at_a_point_are_known_to_many_digits(name):
    cell = compiled(resources.spec_path(name)).source
    case = draw(cell_shapes(cell, SIZES), steps=3, batch=1, seed=1)

    def exact(values):
        return np.frompyfunc(lambda v: ball(Fraction(v)), 1, 1)(values).astype(object)

    with precision(200):
        run = Runner(cell).run(
            Balls(),
            SIZES,
            {k: exact(v[None]) for k, v in case.params.items()},
            {k: list(exact(v)) for k, v in case.inputs.items()},
            {k: exact(v) for k, v in case.states.items()},
            steps=3,
        )
        radii = [float(e.rad()) for e in np.stack(run.outputs).reshape(-1)]
    assert max(radii) < 1e-50
    made = interpret.run(cell, case.params, case.inputs, case.states, sizes=SIZES)
    mids = np.stack(run.outputs).astype(float)
    assert np.allclose(mids, made.outputs, rtol=1e-12, atol=1e-12)


# --- Numbers to read ------------------------------------------------------------------------------


@cache
def read(text):
    low, high = text.strip("[]").split(", ")
    return Fraction(low), Fraction(high)


@settings(max_examples=200, deadline=None)
@given(
    st.fractions(-1000, 1000, max_denominator=10**6),
    st.fractions(0, 1, max_denominator=10**6),
    st.integers(1, 12),
)
def test_printed_intervals_are_rounded_outwards(middle, radius, places):
    arb = flint().arb
    with precision(100):
        enclosure = ball(middle) + arb(0, float(radius))
        low, high = read(bounds(enclosure, places))
        assert low <= middle - Fraction(float(radius)) and middle + Fraction(float(radius)) <= high
        assert high - low <= 2 * Fraction(float(radius)) * 2 + Fraction(3, 10**places)


def test_printed_intervals():
    arb = flint().arb
    with precision(100):
        assert bounds(arb(0), 6) == "[0, 0]"
        assert bounds(arb(-0.25), 6) == "[-0.25, -0.25]"
        assert bounds(arb(1) / 3, 4) == "[0.3333, 0.3334]"
        assert bounds(-arb(1) / 3, 4) == "[-0.3334, -0.3333]"
        assert bounds(arb("nan"), 4) == "[-inf, inf]"
        assert bounds((-arb("1e40")).exp(), 3) == "[0.000, 0.001]"


@given(st.fractions(max_denominator=10**9))
def test_decimals_are_exact(value):
    assert Fraction(decimal(value)) == value
    assert ("/" in decimal(value)) == bool(set(_factors(value.denominator)) - {2, 5})


def _factors(number):
    factor = 2
    while number > 1:
        while number % factor == 0:
            yield factor
            number //= factor
        factor += 1
        if factor * factor > number > 1:
            yield number
            return


def test_apart_is_never_wrong():
    arb = flint().arb
    assert apart(arb(1, 0.4), arb(2, 0.4)) and not apart(arb(1, 0.6), arb(2, 0.6))
    assert not apart(arb("nan"), arb(1)) and not apart(arb("inf"), arb(1))
    assert distance(arb(1, 0.25), arb(2, 0.25)) <= 0.5
    assert distance(arb(1, 1), arb(2, 1)) == 0 and distance(arb("nan"), arb(1)) == 0

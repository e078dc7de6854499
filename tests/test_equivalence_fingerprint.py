"""Identity tests over finite fields: what agrees, what must not, and the bound."""

import random
import re
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from gatec import compiler, interpret, resources, source
from gatec.equivalence import fingerprint
from gatec.equivalence.evaluate import Floats
from gatec.equivalence.field import HIGH, LOW, Extent, Extents, Field, prime
from gatec.equivalence.match import Found
from gatec.equivalence.sides import renamed
from gatec.errors import GatecError
from gatec.expr import Concat, Const, Ref
from gatec.passes.delay import delay


@cache
def cell(text, name="A"):
    (document,) = source.read_text(f"cell {name}\n{text}", "spec.gate")
    return compiler.front(document).cell


def pair(mine, theirs):
    """Two cells as they are compared: parameters of the second with a prime."""
    one, other = delay(cell(mine, "A")), delay(cell(theirs, "B"))
    return one, renamed(other, {param.name: f"{param.name}'" for param in other.params})


def by_name(mine, theirs, **changed):
    """The map between parameters and states of one name."""
    params = {p.name.rstrip("'"): Ref("param", p.name, p.shape) for p in theirs.params}
    params.update(changed)
    states = {s.name: (s.name, Fraction(1)) for s in mine.states}
    return Found(states, {p.name: params[p.name] for p in mine.params})


def agree(mine, theirs):
    one, other = pair(mine, theirs)
    return fingerprint.agreement(one, other, by_name(one, other))


RNN = "h_t = tanh(W x_t + U h_{t-1} + b)"
GATES = "z_t = σ(W x_t + U h_{t-1} + b)\ng_t = tanh(V x_t)\n"

EQUAL = {
    "itself": (RNN, RNN),
    "order": (RNN, "h_t = tanh(b + U h_{t-1} + W x_t)"),
    "tanh by sigmoid": (RNN, "u_t = W x_t + U h_{t-1} + b\nh_t = 2 σ(2 u_t) - 1"),
    "tanh is odd": (RNN, "h_t = -tanh(-(W x_t) - U h_{t-1} - b)"),
    "sigmoid's complement": (
        GATES + "h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ g_t",
        "y_t = σ(-(W x_t + U h_{t-1} + b))\ng_t = tanh(V x_t)\n"
        "h_t = h_{t-1} + y_t ⊙ (g_t - h_{t-1})",
    ),
    "factors": (
        GATES + "h_t = z_t ⊙ (h_{t-1} + g_t)",
        GATES + "h_t = z_t ⊙ h_{t-1} + z_t ⊙ g_t",
    ),
    "distributed products": (
        "h_t = tanh(W (x_t + h_{t-1}))",
        "h_t = tanh(W x_t + W h_{t-1})",
    ),
    "a product associated": (
        "h_t = tanh(U (V h_{t-1}) + W x_t)",
        "h_t = tanh((U V) h_{t-1} + W x_t)",
    ),
    "rectifier": (
        "h_t = ReLU(W x_t + U h_{t-1})",
        "u_t = W x_t + U h_{t-1}\nh_t = ReLU(-u_t) + u_t",
    ),
    "absolute value": (
        "h_t = tanh(|W x_t + U h_{t-1}|)",
        "u_t = W x_t + U h_{t-1}\nh_t = tanh(ReLU(u_t) + ReLU(-u_t))",
    ),
    "maximum": (
        "h_t = max(W x_t, U h_{t-1})",
        "h_t = -min(-(U h_{t-1}), -(W x_t))",
    ),
    "softplus": (
        "h_t = softplus(W x_t + U h_{t-1})",
        "u_t = W x_t + U h_{t-1}\nh_t = softplus(-u_t) + u_t",
    ),
    "exp": ("h_t = exp(U h_{t-1} - W x_t)", "h_t = 1 / exp(W x_t - U h_{t-1})"),
    "even and odd": (
        "h_t = cos(W x_t - U h_{t-1}) + sin(W x_t - U h_{t-1})",
        "h_t = cos(U h_{t-1} - W x_t) - sin(U h_{t-1} - W x_t)",
    ),
    "quotients": (
        "i_t = exp(W x_t)\nf_t = exp(U h_{t-1})\nh_t = (f_t ⊙ h_{t-1} + i_t) / (f_t + i_t)",
        "i_t = exp(W x_t)\nf_t = exp(U h_{t-1})\nn_t = f_t + i_t\n"
        "h_t = (f_t / n_t) ⊙ h_{t-1} + i_t / n_t",
    ),
    "normalisation": (
        "h_t = tanh(LayerNorm(W x_t + U h_{t-1}))",
        "u_t = W x_t + U h_{t-1}\nd_t = u_t - mean(u_t)\n"
        "h_t = tanh(d_t / \\sqrt{mean(d_t * d_t) + 0.00001})",
    ),
    "a matrix for a state": (
        "S_t = S_{t-1} + (v_t - S_{t-1} k_t) k_t^\\top\n"
        "k_t = tanh(K x_t)\nv_t = V x_t\ny_t = S_t k_t",
        "S_t = S_{t-1} (\\mathbf I - k_t k_t^\\top) + v_t k_t^\\top\n"
        "k_t = tanh(K x_t)\nv_t = V x_t\ny_t = S_t k_t",
    ),
}


@pytest.mark.parametrize("name", sorted(EQUAL))
def test_equal_cells_agree(name):
    for one, other in (EQUAL[name], EQUAL[name][::-1]):
        made = agree(one, other)
        assert made is not None
        assert LOW <= made.prime < HIGH and made.trials == 4
        assert 0 < made.bound < 1e-18


# Equal, by laws that no field of one prime has: no agreement, which claims nothing.
NOT_SEEN = {
    "choices": (
        "u_t = W x_t + U h_{t-1}\nh_t = tanh(leakyrelu(u_t))",
        "u_t = W x_t + U h_{t-1}\n"
        "h_t = \\begin{cases} tanh(u_t) & u_t > 0 \\\\ tanh(0.01 u_t) & u_t \\le 0 \\end{cases}",
    ),
    "a sum in an exponent": ("h_t = exp(W x_t + U h_{t-1})", "h_t = exp(W x_t) ⊙ exp(U h_{t-1})"),
    "scale of a rectifier": (
        "h_t = ReLU(2 W x_t + 2 U h_{t-1})",
        "h_t = 2 ReLU(W x_t + U h_{t-1})",
    ),
}


@pytest.mark.parametrize("name", sorted(NOT_SEEN))
def test_laws_that_are_not_known(name):
    assert agree(*NOT_SEEN[name]) is None


UNEQUAL = {
    "a bias": (RNN, "h_t = tanh(W x_t + U h_{t-1} + 2 b)"),
    "1e-9": (RNN, "h_t = 1.000000001 * tanh(W x_t + U h_{t-1} + b)"),
    "1e-60": (RNN, "h_t = tanh(W x_t + U h_{t-1} + b) + 10^{-60} b"),
    # Modulo 2^61 - 1 these are equal: the prime must not be known beforehand.
    "2^61": ("h_t = tanh(W x_t + U h_{t-1} + b)", "h_t = tanh(W x_t + 2^{61} U h_{t-1} + b)"),
    "2^61 - 1": (RNN, "h_t = tanh(W x_t + U h_{t-1} + b) + 2305843009213693951 b"),
    "sign": (RNN, "h_t = tanh(W x_t - U h_{t-1} + b)"),
    "relu is not odd": (
        "h_t = ReLU(W x_t + U h_{t-1})",
        "h_t = -ReLU(-(W x_t) - U h_{t-1})",
    ),
    "sigmoid is not odd": (
        "h_t = σ(W x_t + U h_{t-1})",
        "h_t = -σ(-(W x_t) - U h_{t-1})",
    ),
    "order of matrices": ("h_t = tanh(U (V h_{t-1}) + x_t)", "h_t = tanh(V (U h_{t-1}) + x_t)"),
    "reset": (
        GATES + "h_t = z_t ⊙ h_{t-1} + tanh(g_t + R (z_t ⊙ h_{t-1}))",
        GATES + "h_t = z_t ⊙ h_{t-1} + tanh(g_t + z_t ⊙ (R h_{t-1}))",
    ),
    "start": (RNN, "state h = 1\n" + RNN),
    "learned start": (RNN, "state h learned\n" + RNN),
    # Equal at one hidden_size only.
    "a mean of three": (
        "h_t = tanh(W x_t + mean(h_{t-1}))",
        "h_t = tanh(W x_t + sum(h_{t-1}) / 3)",
    ),
    "a mean of five": ("h_t = tanh(W x_t + mean(h_{t-1}))", "h_t = tanh(W x_t + sum(h_{t-1}) / 5)"),
    # Equal but where u is 0: no law of comparisons may forget that.
    "at 0": (
        "u_t = W x_t + U h_{t-1}\n"
        "h_t = \\begin{cases} b & u_t > 0 \\\\ 0 & u_t \\le 0 \\end{cases}",
        "u_t = W x_t + U h_{t-1}\n"
        "h_t = \\begin{cases} b & u_t \\ge 0 \\\\ 0 & u_t < 0 \\end{cases}",
    ),
    "only the state": (
        "c_t = tanh(W x_t) + c_{t-1}\ny_t = tanh(W x_t) + c_{t-1}",
        "c_t = tanh(W x_t) + 2 c_{t-1}\ny_t = tanh(W x_t) + c_{t-1}",
    ),
}


@pytest.mark.parametrize("name", sorted(UNEQUAL))
def test_unequal_cells_do_not_agree(name):
    for one, other in (UNEQUAL[name], UNEQUAL[name][::-1]):
        try:
            mine, theirs = pair(one, other)
            found = by_name(mine, theirs)
        except KeyError:  # a learned start has a parameter that the other cell lacks
            continue
        assert fingerprint.agreement(mine, theirs, found) is None


def test_a_map_with_everything_in_it():
    mine, theirs = pair(
        "h_t = tanh(W [h_{t-1}, x_t] + b) + V x_t",
        "h_t = tanh(A x_t + U h_{t-1} + b_1 + b_2) + V x_t",
    )
    t = {p.name.rstrip("'"): Ref("param", p.name, p.shape) for p in theirs.params}
    joined = Concat((t["U"], t["A"]), 1)
    right = by_name(mine, theirs, W=joined, b=t["b_1"] + t["b_2"])
    assert fingerprint.agreement(mine, theirs, right)
    wrong = by_name(mine, theirs, W=joined, b=t["b_1"] + Const(Fraction(1, 3)) * t["b_2"])
    assert fingerprint.agreement(mine, theirs, wrong) is None


def test_scaled_and_swapped_states():
    mine, theirs = pair(
        "c_t = tanh(W x_t) + d_{t-1} + c_{t-1}\nd_t = σ(c_t)\ny_t = c_t + d_t",
        "p_t = tanh(W x_t) / 2 + q_{t-1} / 2 + p_{t-1}\nq_t = σ(2 p_t)\ny_t = 2 p_t + q_t",
    )
    names = {p.name.rstrip("'"): Ref("param", p.name, p.shape) for p in theirs.params}
    right = Found({"c": ("p", Fraction(2)), "d": ("q", Fraction(1))}, names)
    assert fingerprint.agreement(mine, theirs, right)
    for states in (
        {"c": ("p", Fraction(1)), "d": ("q", Fraction(1))},
        {"c": ("q", Fraction(2)), "d": ("p", Fraction(1))},
    ):
        assert fingerprint.agreement(mine, theirs, Found(states, names)) is None


def test_states_without_counterpart_prove_nothing():
    mine, theirs = pair(RNN, RNN)
    assert fingerprint.agreement(mine, theirs, Found({}, by_name(mine, theirs).params)) is None


# --- Depth ----------------------------------------------------------------------------------------


def highway(depth, form):
    """A recurrent highway network: its polynomial doubles with every layer."""
    lines, previous = [], "h_{t-1}"
    for layer in range(1, depth + 1):
        affine = f"R_{{{layer}}} {previous} + b_{{{layer}}}" + (" + W x_t" if layer == 1 else "")
        gate = f"Q_{{{layer}}} {previous} + c_{{{layer}}}"
        name = "h_t" if layer == depth else f"s_{{{layer},t}}"
        lines += [f"p_{{{layer},t}} = tanh({affine})", f"g_{{{layer},t}} = σ({gate})"]
        p, g = f"p_{{{layer},t}}", f"g_{{{layer},t}}"
        lines.append(f"{name} = " + form.format(p=p, g=g, s=previous))
        previous = f"s_{{{layer},t}}"
    return "\n".join(lines)


def test_deep_highways():
    one = highway(8, "{g} ⊙ {p} + (1 - {g}) ⊙ {s}")
    other = highway(8, "{s} - {g} ⊙ ({s} - {p})")
    made = agree(one, other)
    assert made is not None and made.bound < 1e-18
    wrong = highway(8, "{s} - {g} ⊙ ({s} - {p})").replace("R_{5} s", "-R_{5} s")
    assert agree(one, wrong) is None


def test_the_bound_grows_with_the_cell():
    bounds = [
        agree(text, text).bound
        for text in (RNN, *(highway(n, "{s} + {g} ⊙ {p}") for n in (2, 4, 8)))
    ]
    assert bounds == sorted(bounds) and bounds[0] < bounds[-1]


# --- No mutant agrees -----------------------------------------------------------------------------

SWAPS = [
    (r"\+", "-"),
    (r"-(?!\d?\\?1?[}>)⟩])", "+"),
    (r"tanh", "sin"),
    (r"sigmoid|σ|\\sigma", "tanh"),
    (r"1 - ", "2 - "),
    (r"_\{t-1\}", "_{t-2}"),
]


def mutants(text, rng):
    """Texts with one place changed."""
    for pattern, new in SWAPS:
        places = list(re.finditer(pattern, text))
        for place in rng.sample(places, min(2, len(places))):
            yield text[: place.start()] + new.replace("\\", "\\\\") + text[place.end() :]


@pytest.mark.parametrize("name", resources.spec_names())
def test_mutants_do_not_agree_unless_they_are_equal(name):
    text = resources.spec_path(name).read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("#", "cell")))
    tried = 0
    for mutant in mutants(text, random.Random(name)):
        try:
            mine, theirs = pair(text, mutant)
            found = by_name(mine, theirs)
        except (GatecError, KeyError):
            continue
        if [s.shape for s in mine.states] != [s.shape for s in theirs.states]:
            continue
        tried += 1
        if fingerprint.agreement(mine, theirs, found) is not None:
            assert _same_function(mine, theirs), mutant
    assert tried >= 1


def _same_function(mine, theirs):
    """Both cells by the interpreter, at one random place."""
    sizes = {"input_size": 3, "hidden_size": 4}
    rng = np.random.default_rng(0)
    params = {p.name: rng.standard_normal([d.value(sizes) for d in p.shape]) for p in mine.params}
    x = {"x": rng.standard_normal((3, 2, 3))}
    one = interpret.run(mine, params, x, sizes=sizes).outputs
    primed = {f"{name}'": value for name, value in params.items()}
    return np.allclose(one, interpret.run(theirs, primed, x, sizes=sizes).outputs)


# --- The field ------------------------------------------------------------------------------------

# Laws that the field obeys: they must hold for real numbers, too, at every place.
LAWS = {
    "sigmoid": lambda f, u: (f("sigmoid", -u), 1 - f("sigmoid", u)),
    "tanh": lambda f, u: (f("tanh", u), 2 * f("sigmoid", 2 * u) - 1),
    "relu": lambda f, u: (f("relu", -u), f("relu", u) - u),
    "abs": lambda f, u: (f("abs", u), f("abs", -u)),
    "abs by relu": lambda f, u: (f("abs", u), f("relu", u) + f("relu", -u)),
    "max": lambda f, u: (f("max", u, 3 * u + 1), f("max", 3 * u + 1, u)),
    "max and min": lambda f, u: (f("max", u, 2 - u), -f("min", -u, u - 2)),
    "softplus": lambda f, u: (f("softplus", -u), f("softplus", u) - u),
    "exp": lambda f, u: (f("exp", -u) * f("exp", u), 1 + 0 * u),
    "expm1": lambda f, u: (f("expm1", u), f("exp", u) - 1),
    "log1p": lambda f, u: (f("log1p", u * u), f("log", 1 + u * u)),
    "sin": lambda f, u: (f("sin", -u), -f("sin", u)),
    "cos": lambda f, u: (f("cos", -u), f("cos", u)),
    "arctan": lambda f, u: (f("arctan", -u), -f("arctan", u)),
    "erf": lambda f, u: (f("erf", -u), -f("erf", u)),
    "sign": lambda f, u: (f("sign", -u), -f("sign", u)),
    "order": lambda f, u: (f("gt", u, 1 - u), f("lt", 1 - u, u)),
    "or equal": lambda f, u: (1 - f("ge", u, 1 - u), f("lt", u, 1 - u)),
    "equal": lambda f, u: (f("eq", u, 1 - u), f("eq", 1 - u, u)),
    "zero": lambda f, u: (
        f("sigmoid", 0 * u) * 2 + f("exp", 0 * u) + f("cos", 0 * u) + f("eq", u, u),
        4 + f("relu", 0 * u) + f("sin", 0 * u) + f("sqrt", 0 * u) + f("gt", u, u),
    ),
}


@pytest.mark.parametrize("name", sorted(LAWS))
def test_laws_hold_in_the_field_and_for_real_numbers(name):
    reals = np.concatenate([np.linspace(-3, 3, 25), [0.5, 1.0]])

    def real(op, *args):
        return Floats().pointwise(op, [np.asarray(arg, float) for arg in args]) * 1.0

    one, other = LAWS[name](real, reals)
    assert np.allclose(one, other, atol=1e-14)

    key = b"a key"
    field = Field(prime(key), key)
    elements = np.asarray(
        [field.digest("u", i) for i in range(20)] + [0, 1, field.prime - 1], object
    )

    def residue(op, *args):
        return field.pointwise(op, [np.asarray(arg % field.prime, object) for arg in args])

    one, other = LAWS[name](residue, elements)
    assert ((one - other) % field.prime == 0).all()


def test_functions_obey_no_other_law():
    """What is not a law of the reals is none of the field: f(2u) = 2 f(u), f(u) = g(u), …"""
    key = b"another key"
    field = Field(prime(key), key)
    u = np.asarray([field.digest("u", i) for i in range(50)], object)
    double = 2 * u % field.prime
    names = ["sigmoid", "relu", "exp", "log", "sqrt", "sin", "cos", "erf", "softplus", "sign"]
    values = {name: field.pointwise(name, [u]) for name in names}
    for name in names:
        assert (field.pointwise(name, [double]) != 2 * values[name] % field.prime).all()
        for other in names:
            assert name == other or (values[name] != values[other]).all()


def test_primes():
    primes = {prime(bytes([i])) for i in range(20)}
    assert len(primes) == 20
    for p in primes:
        assert LOW <= p < HIGH
        assert all(pow(base, p - 1, p) == 1 for base in (2, 3, 5, 7, 11, 13, 101))
        assert all(p % small for small in range(2, 10_000))


def test_extents_bound_a_polynomial():
    """(x/2 + 3y)(x - y)/(x + 1): degrees and coefficients, against the expansion by hand."""
    ring = Extents()
    x = y = Extent(1)
    half, three, one = (ring.number(Fraction(n)) for n in ("1/2", 3, 1))
    value = (half * x + three * y) * (x - y) * ring.inverse(x + one)
    # (x + 6y)(x - y) = x^2 + 5xy - 6y^2 over 2x + 2
    assert value.degree == 2 and value.below == 1
    assert 2**value.bits >= 12 and 2**value.bits_below >= 4


def test_the_same_answer_every_time():
    one, other = EQUAL["factors"]
    assert agree(one, other) == agree(one, other)
    assert agree(one, other).prime != agree(other, one).prime

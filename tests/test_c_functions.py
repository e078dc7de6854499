"""Functions of generated C: close to exact in both types, and infinities and NaN are passed on."""

import flint
import native
import numpy as np
import pytest
import torch
from harness import compiled_text

pytestmark = pytest.mark.skipif(not native.COMPILERS, reason="gcc and g++ are not there")

# By the spelling in a text: PyTorch's function, and the largest argument that is asked about.
FUNCTIONS = {
    r"\exp": (torch.exp, 80),
    "expm1": (torch.expm1, 80),
    r"\log": (torch.log, 1e30),
    "log1p": (torch.log1p, 1e30),
    r"\tanh": (torch.tanh, 1e30),
    r"\sigma": (torch.sigmoid, 1e30),
    # PyTorch's own is z itself above 20.
    "softplus": (lambda z: torch.logaddexp(z, torch.zeros_like(z)), 1e30),
    r"\arctan": (torch.arctan, 1e30),
    "erf": (torch.erf, 1e30),
    r"\sin": (torch.sin, 9e3),
    r"\cos": (torch.cos, 9e3),
    r"\sqrt": (torch.sqrt, 1e30),
}
ULPS = 4


def of(spelling, values, folder):
    """A function of values, by a cell that is nothing else."""
    return computed(f"{spelling}(x_t)", folder, x=values)


def computed(formula, folder, **values):
    """A formula of vectors, by a cell that is nothing else."""
    inputs = "".join(f"input {name} : n_h\n" for name in values)
    made = compiled_text(f"cell F\n{inputs}h_t = {formula} + 0 * h_{{t-1}}\n", "f.gate")
    cell = native.build(made, folder, flags=["-O3", "-march=native", "-ffp-contract=fast"])
    (size,), (dtype,) = {len(v) for v in values.values()}, {str(v.dtype) for v in values.values()}
    sizes = {"input_size": 1, "hidden_size": size}
    given = {name: value[None, None] for name, value in values.items()}
    call = native.Call(cell, sizes, {}, given, None, dtype)
    assert call.forward() == native.OK
    return call.outputs[0, 0]


def arguments(most, dtype):
    """Numbers of every size and sign, most of them where functions turn."""
    rng = np.random.default_rng(5)
    sizes = np.exp(rng.uniform(np.log(1e-30), np.log(most), 3000))
    values = np.concatenate([sizes, rng.uniform(0, min(most, 8), 5000), [0.0, 1.0, 0.4142135]])
    return np.concatenate([values, -values]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spelling", FUNCTIONS)
def test_close_to_exact(spelling, dtype, tmp_path):
    """Within some units in the last place; what is below the normal numbers may be 0."""
    function, most = FUNCTIONS[spelling]
    values = arguments(most, dtype)
    got = of(spelling, values, tmp_path).astype("float64")
    wanted = function(torch.from_numpy(values).double()).numpy()
    usual = np.isfinite(wanted)
    assert (np.isnan(got) == np.isnan(wanted)).all()
    assert (got[~usual & ~np.isnan(wanted)] == wanted[~usual & ~np.isnan(wanted)]).all()
    values, got, wanted = values[usual], got[usual], wanted[usual]
    kind = np.finfo(dtype)
    ulps = np.abs(got - wanted) / (kind.eps * np.maximum(np.abs(wanted), kind.tiny / kind.eps))
    assert ulps.max() <= ULPS, (ulps.max(), values[ulps.argmax()])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spelling", FUNCTIONS)
def test_ends(spelling, dtype, tmp_path):
    function, _ = FUNCTIONS[spelling]
    values = np.array([np.inf, -np.inf, np.nan, 0.0] * 9, dtype)
    got, wanted = of(spelling, values, tmp_path), function(torch.from_numpy(values)).numpy()
    assert np.array_equal(got, wanted, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("spelling", "least"), [(r"\tanh", -1), (r"\sigma", 0)])
def test_gates_keep_to_their_range(spelling, least, dtype, tmp_path):
    """No rounding makes a gate larger than open: 1 - y and 1 - y^2 are never negative."""
    values = np.concatenate([np.linspace(-50, 50, 200_001), np.linspace(7, 11, 200_001)])
    got = of(spelling, values.astype(dtype), tmp_path)
    assert got.min() >= least and got.max() == 1


# --- Angles ---------------------------------------------------------------------------------------

# The bounds beyond which angles are left to the C library.
BOUNDS = {"float32": 1e4, "float64": 1e6}


def exact(function, values):
    """A function in ball arithmetic, rounded once."""
    flint.ctx.prec = 250
    return np.array([float(getattr(flint.arb(float(z)), function)()) for z in values])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_next_to_multiples_of_a_right_angle(name, dtype, tmp_path):
    """Where little is left of an angle, all digits of pi matter; and so they do beyond the bound."""
    count = np.unique(np.geomspace(1, 3 * BOUNDS[dtype], 700).astype(int))
    near = (count * (np.pi / 2)).astype(dtype)
    inside = near <= BOUNDS[dtype]
    assert inside.any() and not inside.all()
    for values in (near[inside], near):
        values = np.concatenate([values, -values, np.nextafter(values, np.array(0, dtype))])
        got, wanted = of(rf"\{name}", values, tmp_path), exact(name, values)
        error = np.abs(got - wanted) / np.abs(wanted)
        assert error.max() <= ULPS * np.finfo(dtype).eps, values[error.argmax()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_large_angle_among_small_ones(dtype, tmp_path):
    """A loop that runs again has the same small angles, and all large ones."""
    values = np.linspace(-20, 20, 1000).astype(dtype)
    values[[3, 500, 999]] = [1e20, -3e30, np.inf]
    got = of(r"\sin", values, tmp_path)
    with np.errstate(invalid="ignore"):
        wanted = np.sin(values.astype("float64"))
    close = np.isclose(got, wanted, rtol=ULPS * np.finfo(dtype).eps, atol=0, equal_nan=True)
    assert close.all(), values[~close]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_angles_inside_of_sums(dtype, tmp_path):
    values = np.linspace(-20, 20, 64).astype(dtype)
    values[5] = 1e20
    got = computed(r"\operatorname{sum}(\cos(x_t)) * x_t", tmp_path, x=values)
    total = np.cos(values.astype("float64")).sum()
    assert np.allclose(got / values, total, rtol=1e3 * np.finfo(dtype).eps, atol=0)


# --- Powers ---------------------------------------------------------------------------------------


def power(base, exponent, folder):
    return computed("x_t^{y_t}", folder, x=base, y=exponent)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers(dtype, tmp_path):
    """Bases on both sides of 1, near it and far from it; results from 1e-30 to 1e30."""
    rng = np.random.default_rng(7)
    base = np.exp(rng.uniform(-1, 1, 4000) * np.repeat([30, 3, 0.3, 0.003], 1000)).astype(dtype)
    logarithm = np.log2(base.astype("float64"))
    exponent = np.clip(rng.uniform(-100, 100, 4000) / logarithm, -1e30, 1e30).astype(dtype)
    got = power(base, exponent, tmp_path)
    flint.ctx.prec = 250
    pairs = zip(base.astype("float64"), exponent.astype("float64"), strict=True)
    wanted = np.array([float(flint.arb(float(a)) ** flint.arb(float(b))) for a, b in pairs])
    error = np.abs(got - wanted) / (np.finfo(dtype).eps * wanted)
    assert error.max() <= ULPS, (base[error.argmax()], exponent[error.argmax()])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_ends_and_of_negative_numbers(dtype, tmp_path):
    """All cases that C tells apart: 0, 1, infinity and NaN, whole exponents, even and odd."""
    inf, nan = np.inf, np.nan
    ones = [0.0, 1.0, 0.5, 2.0, 3.0, 1.5, 7.0, 1e30, 2.0**23, 2.0**24 + 2, 2.0**53, 1e-30, inf]
    cases = np.array([*ones, *(-z for z in ones), nan, 0.999, 1.001, -127.0], dtype)
    base, exponent = (grid.ravel() for grid in np.meshgrid(cases, cases))
    got = power(base, exponent, tmp_path).astype("float64")
    with np.errstate(all="ignore"):
        wanted = np.power(base, exponent)
        # What is below the normal numbers may be 0.
        wanted = np.where(np.abs(wanted) < 2 * np.finfo(dtype).tiny, wanted * 0, wanted)
    same = np.isclose(got, wanted, rtol=ULPS * np.finfo(dtype).eps, atol=0, equal_nan=True)
    assert same.all(), np.stack([base, exponent, got, wanted])[:, ~same]

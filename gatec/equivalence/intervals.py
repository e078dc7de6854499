"""Ball arithmetic over the operators: numbers known to lie between bounds, whatever the rounding.

A number is an `arb` of python-flint, a midpoint with a radius; the true value lies in it for
certain. A ball that is not finite says nothing, and stands wherever a value may be undefined
(a quotient by a ball around 0, the logarithm of one). A comparison that its operands do not
settle is None, and a choice that rests on it is the hull of both branches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from gatec.equivalence.evaluate import Array, Unsupported
from gatec.equivalence.libraries import flint, numpy
from gatec.ops import OPS

Ball = Any


@contextlib.contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute with midpoints of so many bits. Raises GatecError without python-flint."""
    context = flint().ctx
    before = context.prec
    context.prec = bits
    try:
        yield
    finally:
        context.prec = before


def ball(value: Fraction) -> Ball:
    """The smallest ball around a rational number."""
    library = flint()
    return library.arb(library.fmpq(value.numerator, value.denominator))


class Balls:
    """Ball arithmetic, as a domain of `evaluate.Evaluator`."""

    dtype = "object"

    def number(self, value: Fraction) -> Ball:
        return ball(value)

    def pointwise(self, op: str, operands: Sequence[Array]) -> Array:
        if op in ("add", "mul", "div", "neg", "detach"):
            return OPS[op].reference(numpy(), *operands)
        function = _FUNCTIONS.get(op)
        if function is None:
            raise Unsupported(op)
        np = numpy()
        result = np.frompyfunc(function, len(operands), 1)(*operands)
        return np.asarray(result, dtype=object)

    def settled(self, value: Array) -> Array:
        return value


def apart(one: Ball, other: Ball) -> bool:
    """Whether two balls have no number in common."""
    difference = one - other
    return bool(difference.is_finite() and (difference > 0 or difference < 0))


def distance(one: Ball, other: Ball) -> Ball:
    """How far apart the numbers are for certain: 0 where the balls meet."""
    difference = abs(one - other)
    return difference.abs_lower() if difference.is_finite() else flint().arb(0)


# --- Functions ------------------------------------------------------------------------------------


def _sigmoid(x: Ball) -> Ball:
    if x < 0:  # no exponential of a large number
        e = x.exp()
        return e / (1 + e)
    return 1 / (1 + (-x).exp())


def _softplus(x: Ball) -> Ball:
    if x > 0:
        return x + (-x).exp().log1p()
    return x.exp().log1p()


def _relu(x: Ball) -> Ball:
    return x.max(flint().arb(0))


def _sign(x: Ball) -> Ball:
    return x if x.is_nan() else x.sgn()


def _less(a: Ball, b: Ball) -> bool | None:
    return True if a < b else False if a >= b else None


def _at_most(a: Ball, b: Ball) -> bool | None:
    return True if a <= b else False if a > b else None


def _equal(a: Ball, b: Ball) -> bool | None:
    return True if a == b else False if apart(a, b) else None


def _chosen(condition: bool | None, one: Ball, other: Ball) -> Ball:
    if condition is None:
        # The hull of a ball and one that says nothing says nothing.
        return one.union(other)
    return one if condition else other


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "pow": lambda a, b: a**b,
    "sqrt": lambda x: x.sqrt(),
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "log1p": lambda x: x.log1p(),
    "expm1": lambda x: x.expm1(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "relu": _relu,
    "abs": abs,
    "sign": _sign,
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "arctan": lambda x: x.atan(),
    "erf": lambda x: x.erf(),
    "max": lambda a, b: a.max(b),
    "min": lambda a, b: a.min(b),
    "lt": _less,
    "le": _at_most,
    "gt": lambda a, b: _less(b, a),
    "ge": lambda a, b: _at_most(b, a),
    "eq": _equal,
    "where": _chosen,
}


# --- Numbers to read ------------------------------------------------------------------------------


def bounds(value: Ball, places: int) -> str:
    """`[low, high]` in decimals of so many places, rounded outwards; one number if it is exact."""
    if not value.is_finite():
        return "[-inf, inf]"
    scale = 10**places
    low = (value.lower() * scale).lower().floor().unique_fmpz()
    high = (value.upper() * scale).upper().ceil().unique_fmpz()
    if low == high:
        exact = decimal(Fraction(int(low), scale))
        return f"[{exact}, {exact}]"
    return f"[{_fixed(int(low), places)}, {_fixed(int(high), places)}]"


def _fixed(scaled: int, places: int) -> str:
    digits = str(abs(scaled)).rjust(places + 1, "0")
    sign = "-" if scaled < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def decimal(value: Fraction) -> str:
    """A rational number in full: `-0.25`, `3`, and `1/3` where no decimal is exact."""
    places, rest = 0, value.denominator
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        places = max(places, count)
    if rest != 1:
        return str(value)
    return _fixed(int(value * 10**places), places)

"""Arithmetic over a prime field, where every function is a keyed hash that obeys its laws.

sigmoid(u) is a hash of u or, for the other one of u and -u, 1 minus that hash, so that
sigmoid(-u) = 1 - sigmoid(u) holds; the other functions likewise. What follows from the laws of
commutative rings and these laws holds here, too. What does not follow holds only by accident,
and `Extents`, the same arithmetic on sizes of polynomials, bounds how likely that is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gatec.equivalence.evaluate import Array, Unsupported
from gatec.equivalence.libraries import numpy

# Primes are drawn between these: all have 61 bits.
LOW, HIGH = 2**60, 2**61
# x / (ln x - 1) < number of primes up to x < x / (ln x - 1.1) (Dusart, 2010): there are more.
PRIMES = 2**60 / 45
_POWERS = 64  # whole exponents up to here are powers, as in the language


class Stuck(Exception):
    """A division by an element that is 0."""


class _Ring:
    """What both kinds of numbers have in common: how functions are made of a few of them."""

    dtype = "object"

    def pointwise(self, op: str, operands: Sequence[Array]) -> Array:
        np = numpy()
        function = _FUNCTIONS.get(op)
        if function is None:
            raise Unsupported(op)
        made = np.frompyfunc(lambda *args: self.element(function(self, *args)), len(operands), 1)
        return np.asarray(made(*operands), dtype=object)

    def settled(self, value: Array) -> Array:
        np = numpy()
        return np.asarray(np.frompyfunc(self.element, 1, 1)(value), dtype=object)

    def element(self, value: Any) -> Any:
        """A result of sums and products, as an element again."""
        return value

    def number(self, value: Fraction) -> Any:
        raise NotImplementedError

    def inverse(self, value: Any) -> Any:
        """Raises Stuck."""
        raise NotImplementedError

    def power(self, base: Any, exponent: Any) -> Any:
        raise NotImplementedError

    def free(self, name: str, arg: Any, zero: Fraction | None = None) -> Any:
        """A function that has no law, but for its value at 0."""
        raise NotImplementedError

    def sided(self, name: str, arg: Any, zero: Fraction | None, other: Callable[..., Any]) -> Any:
        """A function f where f(-u) is `other(f(u), u)`; without `zero` f(0) is like the rest."""
        raise NotImplementedError


class Field(_Ring):
    """The integers modulo a prime. The key decides every hash."""

    def __init__(self, prime: int, key: bytes) -> None:
        self.prime, self.key = prime, key

    def element(self, value: Any) -> int:
        return int(value) % self.prime

    def number(self, value: Fraction) -> int:
        return value.numerator * self.inverse(value.denominator) % self.prime

    def inverse(self, value: int) -> int:
        if value % self.prime == 0:
            raise Stuck
        return pow(value, -1, self.prime)

    def digest(self, *parts: object) -> int:
        """An element that depends on the key and these parts alone."""
        text = ":".join(map(str, parts)).encode()
        made = hashlib.blake2b(text, key=self.key, digest_size=24).digest()
        return int.from_bytes(made, "big") % self.prime

    def power(self, base: int, exponent: int) -> int:
        if exponent <= _POWERS:
            return pow(base, exponent, self.prime)
        if self.prime - exponent <= _POWERS:
            return pow(self.inverse(base), self.prime - exponent, self.prime)
        if 2 * exponent % self.prime == 1:
            return self.free("sqrt", base, Fraction(0))
        return self.digest("pow", base, exponent)

    def free(self, name: str, arg: int, zero: Fraction | None = None) -> int:
        if zero is not None and arg % self.prime == 0:
            return self.number(zero)
        return self.digest(name, arg % self.prime)

    def sided(self, name: str, arg: int, zero: Fraction | None, other: Callable[..., Any]) -> int:
        arg %= self.prime
        opposite = -arg % self.prime
        if arg <= opposite:
            return self.free(name, arg, zero)
        return self.element(other(self, self.free(name, opposite), opposite))


@dataclass(frozen=True)
class Extent:
    """How large the numerator and the denominator of a value are, as integer polynomials.

    degree, below      their total degrees in parameters, inputs, states and values of functions
    bits, bits_below   logarithms (base 2) of the sums of their coefficients' absolute values
    """

    degree: int = 0
    below: int = 0
    bits: float = 0.0
    bits_below: float = 0.0
    value: Fraction | None = None  # of a constant

    def __add__(self, other: Extent | int) -> Extent:
        other = _extent(other)
        return Extent(
            max(self.degree + other.below, other.degree + self.below),
            self.below + other.below,
            _sum(self.bits + other.bits_below, other.bits + self.bits_below),
            self.bits_below + other.bits_below,
        )

    def __mul__(self, other: Extent | int) -> Extent:
        other = _extent(other)
        return Extent(
            self.degree + other.degree,
            self.below + other.below,
            self.bits + other.bits,
            self.bits_below + other.bits_below,
        )

    def __neg__(self) -> Extent:
        return Extent(self.degree, self.below, self.bits, self.bits_below)

    __radd__ = __sub__ = __rsub__ = __add__
    __rmul__ = __mul__


def _extent(value: Extent | int) -> Extent:
    return value if isinstance(value, Extent) else Extent(bits=math.log2(max(1, abs(value))))


def _sum(one: float, other: float) -> float:
    """The logarithm of a sum, from those of its terms."""
    high, low = max(one, other), min(one, other)
    return high + math.log2(1 + 2.0 ** (low - high))


class Extents(_Ring):
    """Sizes in place of elements. `arguments` holds those of everything that was hashed."""

    def __init__(self) -> None:
        self.arguments: list[Extent] = []

    def number(self, value: Fraction) -> Extent:
        above, below = max(1, abs(value.numerator)), value.denominator
        return Extent(bits=math.log2(above), bits_below=math.log2(below), value=value)

    def inverse(self, value: Extent) -> Extent:
        return Extent(value.below, value.degree, value.bits_below, value.bits)

    def power(self, base: Extent, exponent: Extent) -> Extent:
        count = exponent.value
        if count is not None and count.denominator == 1 and abs(count) <= _POWERS:
            made = Extent()
            for _ in range(abs(int(count))):
                made = made * base
            return made if count >= 0 else self.inverse(made)
        # That an exponent is no such number by accident counts as so many arguments.
        self.arguments += [base, exponent, *[exponent] * (2 * _POWERS + 2)]
        return Extent(1)

    def free(self, name: str, arg: Extent, zero: Fraction | None = None) -> Extent:
        self.arguments.append(_extent(arg))
        return Extent(1)

    def sided(
        self, name: str, arg: Extent, zero: Fraction | None, other: Callable[..., Any]
    ) -> Extent:
        one = self.free(name, arg)
        made: Extent = other(self, one, arg)
        return Extent(
            max(one.degree, made.degree),
            max(one.below, made.below),
            max(one.bits, made.bits, 1.0),
            max(one.bits_below, made.bits_below),
        )


# --- Functions ------------------------------------------------------------------------------------

ZERO, ONE, HALF = Fraction(0), Fraction(1), Fraction(1, 2)


def _sigmoid(ring: _Ring, u: Any) -> Any:
    return ring.sided("sigmoid", u, HALF, lambda ring, f, _: 1 - f)


def _relu(ring: _Ring, u: Any) -> Any:
    return ring.sided("relu", u, ZERO, lambda ring, f, v: f - v)


def _exp(ring: _Ring, u: Any) -> Any:
    # exp(u + v) = exp(u) exp(v) has no counterpart in a field of one prime.
    return ring.sided("exp", u, ONE, lambda ring, f, _: ring.inverse(f))


def _odd(name: str) -> Callable[..., Any]:
    return lambda ring, u: ring.sided(name, u, ZERO, lambda ring, f, _: -f)


def _even(name: str, zero: Fraction) -> Callable[..., Any]:
    return lambda ring, u: ring.sided(name, u, zero, lambda ring, f, _: f)


def _positive(ring: _Ring, u: Any) -> Any:
    """[u > 0]. That it is 0 or 1 has no counterpart."""
    return ring.free("positive", u, ZERO)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda ring, *args: sum(args[1:], args[0]),
    "mul": lambda ring, *args: math.prod(args[1:], start=args[0]),
    "neg": lambda ring, u: -u,
    "div": lambda ring, u, v: u * ring.inverse(v),
    "pow": lambda ring, u, v: ring.power(u, v),
    "detach": lambda ring, u: u,
    "sigmoid": _sigmoid,
    "tanh": lambda ring, u: 2 * _sigmoid(ring, 2 * u) - 1,
    "relu": _relu,
    "abs": lambda ring, u: 2 * _relu(ring, u) - u,
    "max": lambda ring, u, v: v + _relu(ring, u - v),
    "min": lambda ring, u, v: u - _relu(ring, u - v),
    "softplus": lambda ring, u: ring.sided("softplus", u, None, lambda ring, f, v: f - v),
    "exp": _exp,
    "expm1": lambda ring, u: _exp(ring, u) - 1,
    "log": lambda ring, u: ring.free("log", u),
    "log1p": lambda ring, u: ring.free("log", 1 + u),
    "sqrt": lambda ring, u: ring.free("sqrt", u, ZERO),
    "sin": _odd("sin"),
    "arctan": _odd("arctan"),
    "erf": _odd("erf"),
    "sign": _odd("sign"),
    "cos": _even("cos", ONE),
    "gt": lambda ring, u, v: _positive(ring, u - v),
    "lt": lambda ring, u, v: _positive(ring, v - u),
    "ge": lambda ring, u, v: 1 - _positive(ring, v - u),
    "le": lambda ring, u, v: 1 - _positive(ring, u - v),
    "eq": lambda ring, u, v: _even("zero", ONE)(ring, u - v),
    "where": lambda ring, c, u, v: v + c * (u - v),
}


# --- Primes ---------------------------------------------------------------------------------------

# Enough for every number below 3 * 10^24 (Sorenson & Webster, 2015).
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)


def prime(key: bytes) -> int:
    """A prime between LOW and HIGH that the key decides, each as likely as the others."""
    for count in range(10**6):
        text = f"prime:{count}".encode()
        digest = hashlib.blake2b(text, key=key, digest_size=24).digest()
        candidate = LOW + int.from_bytes(digest, "big") % (HIGH - LOW)
        if _is_prime(candidate):
            return candidate
    raise AssertionError("no prime among a million numbers of 61 bits")


def _is_prime(number: int) -> bool:
    """Miller and Rabin's test, exact in this range."""
    if any(number % witness == 0 for witness in _WITNESSES):
        return number in _WITNESSES
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in _WITNESSES:
        value = pow(witness, odd, number)
        if value in (1, number - 1):
            continue
        for _ in range(twos - 1):
            value = value * value % number
            if value == number - 1:
                break
        else:
            return False
    return True

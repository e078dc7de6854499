"""Polynomials over the rationals whose unknowns are expressions of the IR.

A value of any shape is a sum of monomials; a monomial is a number times a product, unit by unit,
of atoms: names, products with matrices, functions, reductions. Scalars stand in every unit. Two
values with the same polynomial are the same function, for all sizes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from gatec import show_ir
from gatec.expr import Apply, Broadcast, Const, Expr, Shape, call
from gatec.passes.common import bottom_up

Monomial = tuple[tuple[Expr, int], ...]  # atoms with their powers, in the order of `key`
ONE: Monomial = ()

LARGEST = 4000  # monomials of one polynomial


class TooLarge(Exception):
    """A polynomial outgrew what is worth computing: the normal form is given up."""


_ATOMS: dict[Expr, Expr] = {}


def interned(expr: Expr) -> Expr:
    """One object for equal expressions: dictionaries find it at once."""
    if len(_ATOMS) > 1 << 17:
        _ATOMS.clear()
    return _ATOMS.setdefault(expr, expr)


_READABLE = 80  # nodes of an expression that is ordered by its text

_marks: dict[Expr, tuple[int, str]] = {}


def key(atom: Expr) -> tuple[int, int, str]:
    """The order of atoms: by rank, then small before large, then by their text.

    The text of nested normal forms may be exponentially long; that of large ones is told apart by
    a digest instead. Neither depends on the run.
    """
    size, mark = _mark(atom)
    return (atom.rank, size, mark)


def _mark(expr: Expr) -> tuple[int, str]:
    """The number of nodes of an expression as it is written, and its text or digest."""
    known = _marks.get(expr)
    if known is not None:
        return known
    if len(_marks) > 1 << 17:
        _marks.clear()
    node: Any
    for node in bottom_up(expr):
        if node in _marks:
            continue
        below = [_marks[child] for child in node.children]
        size = 1 + sum(count for count, _ in below)
        if size <= _READABLE:
            _marks[node] = size, show_ir.text(node)
        else:
            own = [type(node).__name__, *(repr(getattr(node, name)) for name in node._own)]
            parts = "\0".join([*own, *(mark for _, mark in below)])
            _marks[node] = size, hashlib.sha256(parts.encode()).hexdigest()
    return _marks[expr]


def times(one: Monomial, other: Monomial) -> Monomial:
    """The product of two monomials."""
    if not one or not other:
        return one or other
    powers = dict(one)
    for atom, power in other:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(((a, p) for a, p in powers.items() if p), key=lambda item: key(item[0])))


def degree(monomial: Monomial) -> tuple[int, tuple[tuple[tuple[int, int, str], int], ...]]:
    """The order of monomials: by degree, then by their atoms."""
    total = sum(abs(power) for _, power in monomial)
    return total, tuple((key(atom), power) for atom, power in monomial)


class Poly:
    """A polynomial; immutable, equal where the monomials and their numbers are."""

    __slots__ = ("_exprs", "_hash", "_ordered", "terms")

    def __init__(self, terms: Mapping[Monomial, Fraction] | None = None) -> None:
        self.terms = {m: c for m, c in (terms or {}).items() if c}
        if len(self.terms) > LARGEST:
            raise TooLarge
        self._hash: int | None = None
        self._ordered: list[tuple[Monomial, Fraction]] | None = None
        self._exprs: dict[Shape, Expr] = {}

    @classmethod
    def number(cls, value: Fraction | int) -> Poly:
        return cls({ONE: Fraction(value)})

    @classmethod
    def atom(cls, expr: Expr, power: int = 1) -> Poly:
        return cls({((expr, power),): Fraction(1)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Poly) and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __add__(self, other: Poly) -> Poly:
        return total((self, other))

    def __sub__(self, other: Poly) -> Poly:
        return self + other.scaled(Fraction(-1))

    def __neg__(self) -> Poly:
        return self.scaled(Fraction(-1))

    def scaled(self, number: Fraction) -> Poly:
        return Poly({m: c * number for m, c in self.terms.items()})

    def __mul__(self, other: Poly) -> Poly:
        if len(self.terms) * len(other.terms) > LARGEST * 4:
            raise TooLarge
        found: dict[Monomial, Fraction] = {}
        for one, c in self.terms.items():
            for two, d in other.terms.items():
                product = times(one, two)
                number = c * d
                known = found.get(product)
                found[product] = number if known is None else known + number
        return Poly(found)

    @property
    def leading(self) -> Monomial:
        """The first monomial in the order of printing; of a polynomial that is not zero."""
        return max(self.terms, key=degree)

    @property
    def constant(self) -> Fraction | None:
        """The number that this is, or None."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(ONE) if len(self.terms) == 1 else None

    def ordered(self) -> list[tuple[Monomial, Fraction]]:
        """The monomials with their numbers, in the order of printing."""
        if self._ordered is None:
            items = list(self.terms.items())
            if len(items) > 1:
                items.sort(key=lambda item: degree(item[0]), reverse=True)
            self._ordered = items
        return self._ordered

    def expr(self, shape: Shape) -> Expr:
        """The polynomial as an expression of the given shape, one way for equal polynomials."""
        found = self._exprs.get(shape)
        if found is None:
            found = self._exprs[shape] = interned(self._expr(shape))
        return found

    def whole(self) -> Expr:
        """The polynomial as an expression of its own shape: that of its atoms."""
        return self.expr(max((atom.shape for atom in self.atoms()), key=len, default=()))

    def _expr(self, shape: Shape) -> Expr:
        terms = [_term(monomial, c) for monomial, c in self.ordered()]
        made = Const(Fraction(0)) if not terms else call("add", *terms) if terms[1:] else terms[0]
        return made if made.shape == shape else Broadcast(made, shape)

    def put(self, values: Mapping[Expr, Poly]) -> Poly:
        """The polynomial with others in place of atoms that have whole positive powers."""
        made = Poly()
        for monomial, c in self.terms.items():
            rest = tuple(item for item in monomial if item[0] not in values or item[1] < 0)
            term = Poly({rest: c})
            for atom, power in monomial:
                if atom in values and power > 0:
                    for _ in range(power):
                        term = term * values[atom]
            made = made + term
        return made

    def atoms(self) -> dict[Expr, None]:
        return dict.fromkeys(atom for monomial in self.terms for atom, _ in monomial)


def total(parts: Iterable[Poly]) -> Poly:
    """The sum of polynomials."""
    found: dict[Monomial, Fraction] = {}
    for part in parts:
        for monomial, c in part.terms.items():
            known = found.get(monomial)
            found[monomial] = c if known is None else known + c
    return Poly(found)


@lru_cache(maxsize=1 << 16)
def product(monomial: Monomial) -> Expr | None:
    """The atoms of a monomial as one expression; None where there are none."""
    factors = [power_of(atom, power) for atom, power in monomial]
    if not factors:
        return None
    return call("mul", *factors) if len(factors) > 1 else factors[0]


def power_of(atom: Expr, power: int) -> Expr:
    if power == 1:
        return atom
    if power == -1:
        return Apply("div", (Const(Fraction(1)), atom))
    return Apply("pow", (atom, Const(Fraction(power))))


@lru_cache(maxsize=1 << 16)
def _term(monomial: Monomial, number: Fraction) -> Expr:
    factors = product(monomial)
    if factors is None:
        return Const(number)
    if number == 1:
        return factors
    if number == -1:
        return Apply("neg", (factors,))
    return call("mul", Const(number), factors)


def split(monomial: Monomial, rank: int) -> tuple[Monomial, Monomial]:
    """The scalar atoms of a monomial, and those of the value's own rank."""
    scalars = tuple(item for item in monomial if item[0].rank < rank)
    return scalars, tuple(item for item in monomial if item[0].rank == rank)

"""Polynomials in sizes with whole coefficients: costs as formulas."""

from __future__ import annotations

from collections.abc import Mapping

from gatec.expr import Dim

_Monomial = tuple[tuple[str, int], ...]  # names with their exponents, in alphabetical order


class Polynomial:
    """A sum of products of sizes, e.g. `4*hidden_size**2 + 4*hidden_size`."""

    __slots__ = ("_terms",)

    def __init__(self, terms: Mapping[_Monomial, int] | None = None) -> None:
        self._terms = {m: count for m, count in (terms or {}).items() if count}

    @classmethod
    def of(cls, dim: Dim) -> Polynomial:
        terms: dict[_Monomial, int] = {((name, 1),): count for name, count in dim.terms}
        return cls({**terms, (): dim.const})

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self._terms)
        for monomial, count in other._terms.items():
            terms[monomial] = terms.get(monomial, 0) + count
        return Polynomial(terms)

    def __mul__(self, other: Polynomial | int) -> Polynomial:
        if isinstance(other, int):
            return Polynomial({m: count * other for m, count in self._terms.items()})
        terms: dict[_Monomial, int] = {}
        for one, count in self._terms.items():
            for two, times in other._terms.items():
                powers = dict(one)
                for name, power in two:
                    powers[name] = powers.get(name, 0) + power
                key = tuple(sorted(powers.items()))
                terms[key] = terms.get(key, 0) + count * times
        return Polynomial(terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self._terms == other._terms

    def __hash__(self) -> int:
        return hash(frozenset(self._terms.items()))

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number for given sizes."""
        total = 0
        for monomial, count in self._terms.items():
            for name, power in monomial:
                count *= sizes[name] ** power
            total += count
        return total

    def __str__(self) -> str:
        """The formula as Python reads it, highest degree first."""
        parts = []
        for monomial, count in sorted(self._terms.items(), key=_degree):
            factors = [n if p == 1 else f"{n}**{p}" for n, p in monomial]
            if abs(count) != 1 or not factors:
                factors.insert(0, str(abs(count)))
            sign = "-" if count < 0 else "+"
            parts.append(f"{sign} {'*'.join(factors)}")
        text = " ".join(parts) or "+ 0"
        return text[2:] if text[0] == "+" else "-" + text[2:]


def _degree(item: tuple[_Monomial, int]) -> tuple[int, list[str]]:
    monomial, _ = item
    factors = [name for name, power in monomial for _ in range(power)]
    return -len(factors), factors

"""Linear algebra of the checker: products written out over indices.

`(A v)_i` is the sum over k of `A_ik v_k`, `(u w^T)_ij` is `u_i w_j`, and so on. A value is a sum
of terms, each a number times scalars times factors with indices; the indices that are summed over
are numbered in an order that depends on the term alone, so that equal terms look the same. What
is no product, sum or transposition is a factor as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from gatec.equivalence.checker import layout
from gatec.equivalence.checker.algebra import (
    Algebra,
    Sum,
    Term,
    joined,
    whole_number,
)
from gatec.equivalence.checker.indices import (
    COLUMN,
    ROW,
    SWAPPED,
    Factor,
    Product,
    Tensor,
    numbered,
    renamed,
    shifted,
)
from gatec.equivalence.checker.refusal import Refused
from gatec.expr import Apply, Broadcast, Dim, Expr
from gatec.ops import OPS, Kind

LARGEST = 20_000


class Tensors:
    """Values of expressions as sums of indexed products."""

    def __init__(self, algebra: Algebra) -> None:
        self.algebra = algebra
        self._values: dict[Expr, Tensor] = {}

    def value(self, expr: Expr) -> Tensor:
        stack = [(expr, False)]
        while stack:
            node, ready = stack.pop()
            if node in self._values:
                continue
            if ready or not _is_open(node):
                self._values[node] = self._node(node)
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in node.children)
        return self._values[expr]

    def _node(self, node: Expr) -> Tensor:
        if not _is_open(node):
            return self._plain(node)
        if isinstance(node, Broadcast):
            return self._values[node.arg]
        assert isinstance(node, Apply)
        parts = [self._values[child] for child in node.args]
        shapes = [child.shape for child in node.args]
        match node.op:
            case "add":
                return _plus(parts)
            case "neg":
                return {product: -count for product, count in parts[0].items()}
            case "mul":
                made = parts[0]
                for part in parts[1:]:
                    made = self._contracted(made, part)
                return made
            case "div":
                return self._contracted(parts[0], self._oriented(node.args[1], -1))
            case "pow":
                return self._power(node, parts[0])
            case "matvec":
                return self._contracted(
                    renamed(parts[0], {COLUMN: 0}), renamed(parts[1], {ROW: 0}), shapes[1][:1]
                )
            case "matmul":
                return self._contracted(
                    renamed(parts[0], {COLUMN: 0}), renamed(parts[1], {ROW: 0}), shapes[1][:1]
                )
            case "outer":
                return self._contracted(parts[0], renamed(parts[1], {ROW: COLUMN}))
            case "dot":
                return self._contracted(
                    renamed(parts[0], {ROW: 0}), renamed(parts[1], {ROW: 0}), shapes[0]
                )
            case "sum":
                names = dict(zip((ROW, COLUMN), range(len(shapes[0])), strict=False))
                return self._contracted(renamed(parts[0], names), _ONE, shapes[0])
            case _:
                return self._contracted(renamed(parts[0], SWAPPED), _ONE)

    def _power(self, node: Apply, base: Tensor) -> Tensor:
        exponent = whole_number(self.algebra.value(node.args[1]))
        if exponent is None:
            return self._oriented(node)
        if exponent < 0:
            base = self._oriented(node.args[0], -1)
        made = _ONE
        for _ in range(abs(exponent)):
            made = self._contracted(made, base)
        return made

    def _plain(self, node: Expr) -> Tensor:
        pointwise = isinstance(node, Apply) and OPS[node.op].kind is Kind.POINTWISE
        return self._oriented(node) if pointwise else self._indexed(self.algebra.value(node))

    def _oriented(self, node: Expr, exponent: int = 1) -> Tensor:
        """A function of a matrix, or one over a value, as a factor.

        f(A)^T is f(A^T): one of the two stands for both, the one with the lower numbers.
        """

        def made(expr: Expr) -> Sum:
            value = self.algebra.value(expr)
            return value if exponent > 0 else self.algebra.inverse(value)

        own = made(node)
        if node.rank < 2:
            return self._indexed(own)
        turned = made(layout.turned(node))
        if sorted(turned) >= sorted(own):
            return self._indexed(own)
        return self._contracted(renamed(self._indexed(turned), SWAPPED), _ONE)

    def _indexed(self, value: Sum) -> Tensor:
        """A sum of atoms, with the indices of the result at those that differ from unit to unit."""
        parts: list[Tensor] = []
        for term, count in value.items():
            scalars, factors = [], []
            for atom, power in term:
                rank = self.algebra.atoms[atom].rank
                if rank:
                    factors.append((atom, power, (ROW, COLUMN)[:rank]))
                else:
                    scalars.append((atom, power))
            parts.append(self._canonical({(tuple(scalars), tuple(factors), ()): count}))
        return _plus(parts)

    def _contracted(self, one: Tensor, other: Tensor, summed: tuple[Dim, ...] = ()) -> Tensor:
        """Products of terms, summed over the indices 0, 1, … that both share."""
        if len(one) * len(other) > LARGEST:
            raise Refused("a product has too many terms to be checked")
        shared = len(summed)
        raw: dict[tuple[Term, tuple[Factor, ...], tuple[Dim, ...]], Fraction] = {}
        for left, a in one.items():
            for right, b in other.items():
                # Both number their own indices after the shared ones.
                moved = shifted(right.factors, shared, len(left.ranges))
                key = (
                    joined(left.scalars, right.scalars),
                    (*left.factors, *moved),
                    (*summed, *left.ranges[shared:], *right.ranges[shared:])
                    if shared
                    else (*left.ranges, *right.ranges),
                )
                raw[key] = raw.get(key, Fraction(0)) + a * b
        return self._canonical(raw)

    def _canonical(
        self, raw: dict[tuple[Term, tuple[Factor, ...], tuple[Dim, ...]], Fraction]
    ) -> Tensor:
        parts: list[Tensor] = []
        for (scalars, factors, ranges), count in raw.items():
            made = self._merged(factors)
            made, used = self._without_identities(made, ranges)
            outside: Sum = {scalars: count}
            for index, dim in enumerate(ranges):
                if index not in used and not any(index in where for _, _, where in made):
                    outside = {
                        joined(term, more): c * d
                        for term, c in outside.items()
                        for more, d in self.algebra.size(dim).items()
                    }
            ordered, kept = numbered(made, ranges)
            parts.append({Product(term, ordered, kept): c for term, c in outside.items()})
        return _plus(parts)

    def _merged(self, factors: Iterable[Factor]) -> list[Factor]:
        """Equal factors with equal indices as powers."""
        powers: dict[tuple[int, tuple[int, ...]], int] = {}
        for atom, power, where in factors:
            powers[atom, where] = powers.get((atom, where), 0) + power
        return [(atom, power, where) for (atom, where), power in powers.items() if power]

    def _without_identities(
        self, factors: list[Factor], ranges: tuple[Dim, ...]
    ) -> tuple[list[Factor], set[int]]:
        """Identity matrices taken out: both of their indices are one. And the indices spent."""
        spent: set[int] = set()
        while True:
            for factor in factors:
                atom, power, where = factor
                if self.algebra.atoms[atom].op != "identity" or power < 0:
                    continue
                one, other = where
                rest = [f for f in factors if f is not factor]
                if one != other and max(where) < 0:  # both are the result's: it stays, once
                    named = {COLUMN: ROW}
                    made = [(a, p, tuple(named.get(i, i) for i in w)) for a, p, w in rest]
                    if power == 1 and made == rest:
                        continue
                    factors = [*self._merged(made), (atom, 1, where)]
                elif one == other:
                    factors = rest
                else:
                    gone, left = max(where), min(where)
                    spent.add(gone)
                    named = {gone: left}
                    factors = self._merged(
                        (a, p, tuple(named.get(i, i) for i in w)) for a, p, w in rest
                    )
                break
            else:
                return factors, spent

    def same(self, one: Expr, other: Expr) -> bool:
        return self.value(one) == self.value(other)


_OPEN = frozenset(
    {"add", "neg", "mul", "div", "pow", "matvec", "matmul", "outer", "dot", "sum", "transpose"}
)
_ONE: Tensor = {Product((), (), ()): Fraction(1)}


def _is_open(node: Expr) -> bool:
    """A node whose operands are looked into."""
    return isinstance(node, Broadcast) or (isinstance(node, Apply) and node.op in _OPEN)


def _plus(parts: Iterable[Tensor]) -> Tensor:
    total: Tensor = {}
    for part in parts:
        for product, count in part.items():
            total[product] = total.get(product, Fraction(0)) + count
    if len(total) > LARGEST:
        raise Refused("a sum has too many terms to be checked")
    return {product: count for product, count in total.items() if count}

"""Arithmetic of the checker: sums of products of atoms, with rational numbers, exact.

A value of any shape is a sum; each term is a number times atoms with whole powers, unit by unit
(scalars stand in every unit). Atoms are numbered; `Atom` says what each stands for. One over a
sum of several terms is an atom that remembers the sum, and two values are compared by
multiplying such denominators away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from gatec.equivalence.checker.refusal import OutOfScope, Refused
from gatec.expr import (
    Apply,
    Broadcast,
    Concat,
    Const,
    Dim,
    Expr,
    Identity,
    Shape,
    SizeValue,
    Slice,
)
from gatec.ops import OPS, Kind

Term = tuple[tuple[int, int], ...]  # atoms with their powers, by the atoms' numbers
Sum = dict[Term, Fraction]
Frozen = frozenset[tuple[Term, Fraction]]

ONE: Sum = {(): Fraction(1)}
LARGEST = 20_000  # terms of one sum
ARITHMETIC = frozenset({"add", "neg", "mul", "div", "pow"})


@dataclass(frozen=True)
class Atom:
    """What an atom stands for.

    op      an operator, or "leaf", "slice", "concat", "identity", "size", "whole"
    args    its operands as sums ("whole": the sum that it is)
    detail  what else makes it what it is: the leaf, shapes, axes
    rank    0 where it is the same in every unit
    """

    op: str
    args: tuple[Frozen, ...]
    detail: tuple[object, ...]
    rank: int


def frozen(value: Sum) -> Frozen:
    return frozenset(value.items())


def thawed(value: Frozen) -> Sum:
    return dict(value)


def number(value: Fraction | int) -> Sum:
    return {(): Fraction(value)} if value else {}


def constant(value: Sum) -> Fraction | None:
    """The number that a sum is, or None."""
    if not value:
        return Fraction(0)
    return value.get(()) if len(value) == 1 else None


def plus(*values: Sum) -> Sum:
    total: Sum = {}
    for value in values:
        for term, count in value.items():
            total[term] = total.get(term, Fraction(0)) + count
    return {term: count for term, count in total.items() if count}


def scaled(value: Sum, factor: Fraction) -> Sum:
    return {term: count * factor for term, count in value.items()} if factor else {}


def minus(one: Sum, other: Sum) -> Sum:
    return plus(one, scaled(other, Fraction(-1)))


def joined(one: Term, other: Term) -> Term:
    """The product of two terms."""
    if not one or not other:
        return one or other
    powers = dict(one)
    for atom, power in other:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted((atom, power) for atom, power in powers.items() if power))


def times(one: Sum, other: Sum) -> Sum:
    if len(one) * len(other) > LARGEST * 4:
        raise Refused("a product has too many terms to be checked")
    total: Sum = {}
    for left, a in one.items():
        for right, b in other.items():
            term = joined(left, right)
            total[term] = total.get(term, Fraction(0)) + a * b
    made = {term: count for term, count in total.items() if count}
    if len(made) > LARGEST:
        raise Refused("a sum has too many terms to be checked")
    return made


def power(base: Sum, count: int) -> Sum:
    made = ONE
    for _ in range(count):
        made = times(made, base)
    return made


def proportional(one: Sum, other: Sum) -> Fraction | None:
    """`c` of one = c * other, not 0; or None."""
    if not one or one.keys() != other.keys():
        return None
    ratios = {one[term] / other[term] for term in one}
    return ratios.pop() if len(ratios) == 1 else None


def postorder(roots: Iterable[Expr], known: set[Expr] | None = None) -> list[Expr]:
    """Every distinct node below the roots, children first; `known` nodes are left out."""
    done = set() if known is None else known
    order: list[Expr] = []
    stack = [(root, False) for root in roots]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready or not node.children:
            done.add(node)
            order.append(node)
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in node.children)
    return order


class Algebra:
    """Values of expressions as sums. Products with matrices, functions and slices are atoms."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._numbers: dict[Atom, int] = {}
        self._values: dict[Expr, Sum] = {}

    def value(self, expr: Expr) -> Sum:
        """An expression as a sum."""
        found = self._values.get(expr)
        if found is not None:
            return found
        stack = [(expr, False)]
        while stack:
            node, ready = stack.pop()
            if node in self._values:
                continue
            if ready or not node.children:
                self._values[node] = self.made(node, [self._values[c] for c in node.children])
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in node.children)
        return self._values[expr]

    def atom(self, op: str, args: Iterable[Sum], detail: tuple[object, ...], rank: int) -> int:
        """The number of an atom."""
        made = Atom(op, tuple(frozen(arg) for arg in args), detail, rank)
        found = self._numbers.get(made)
        if found is None:
            found = self._numbers[made] = len(self.atoms)
            self.atoms.append(made)
        return found

    def function(self, op: str, *args: Sum) -> Sum:
        """A function of values, unit by unit, as an atom."""
        return {((self.atom(op, args, (), self.rank(args)), 1),): Fraction(1)}

    def rank(self, values: Iterable[Sum]) -> int:
        """The largest rank among the atoms of sums: 0 where all units are the same."""
        return max(
            (self.atoms[atom].rank for value in values for term in value for atom, _ in term),
            default=0,
        )

    def inverse(self, value: Sum) -> Sum:
        """One over a value."""
        if not value:
            raise OutOfScope("a division by 0")
        if len(value) == 1:
            ((term, count),) = value.items()
            made: Sum = {(): 1 / count}
            for atom, exponent in term:
                base: Sum = {((atom, -exponent),): Fraction(1)}
                if exponent < 0 and self.atoms[atom].op == "whole":
                    base = power(thawed(self.atoms[atom].args[0]), -exponent)
                made = times(made, base)
            return made
        lead = value[max(value)]
        whole = self.atom("whole", (scaled(value, 1 / lead),), (), self.rank((value,)))
        return {((whole, -1),): 1 / lead}

    def same(self, one: Sum, other: Sum) -> bool:
        """Whether two values are equal, denominators multiplied away."""
        return one == other or not self.cleared(minus(one, other))

    def cleared(self, value: Sum) -> Sum:
        """A value times the sums that it is divided by, sums written out: 0 only where it is."""
        for _ in range(64):
            lowest: dict[int, int] = {}
            for term in value:
                for atom, exponent in term:
                    if self.atoms[atom].op == "whole":
                        lowest[atom] = min(exponent, lowest.get(atom, 0))
            if not lowest:
                return value
            whole, exponent = max(lowest.items())
            (inner,) = self.atoms[whole].args
            powers = [ONE]
            parts: list[Sum] = []
            for term, count in value.items():
                rest = tuple(item for item in term if item[0] != whole)
                left = dict(term).get(whole, 0) - exponent
                while len(powers) <= left:
                    powers.append(times(powers[-1], thawed(inner)))
                parts.append(times({rest: count}, powers[left]))
            value = plus(*parts)
        raise Refused("denominators are nested too deep to be checked")

    def size(self, dim: Dim) -> Sum:
        """A size as a value."""
        parts = [number(dim.const)]
        parts += [{((self.atom("size", (), (name,), 0), 1),): Fraction(n)} for name, n in dim.terms]
        return plus(*parts)

    # --- One node ---------------------------------------------------------------------------

    def made(self, node: Expr, parts: list[Sum]) -> Sum:
        """A node over values of its operands."""
        if isinstance(node, Const):
            return number(node.value)
        if isinstance(node, SizeValue):
            return self.size(node.dim)
        if isinstance(node, Broadcast):
            return parts[0]
        if isinstance(node, Apply):
            value = self._arithmetic(node.op, parts)
            if value is not None:
                return value
            if OPS[node.op].kind is Kind.POINTWISE:
                return self.function(node.op, *parts)
            return self._single(node.op, parts, _shapes(node), node.rank)
        if isinstance(node, Slice):
            detail = (node.arg.shape, node.axis, node.start, node.stop)
            return self._single("slice", parts, detail, node.rank)
        if isinstance(node, Concat):
            return self._single("concat", parts, (node.axis, *_shapes(node)), node.rank)
        if isinstance(node, Identity):
            return self._single("identity", (), (node.dim,), 2)
        return self._single("leaf", (), (node,), node.rank)

    def _single(self, op: str, parts: Iterable[Sum], detail: tuple[object, ...], rank: int) -> Sum:
        return {((self.atom(op, parts, detail, rank), 1),): Fraction(1)}

    def _arithmetic(self, op: str, parts: list[Sum]) -> Sum | None:
        match op:
            case "add":
                return plus(*parts)
            case "neg":
                return scaled(parts[0], Fraction(-1))
            case "mul":
                made = parts[0]
                for part in parts[1:]:
                    made = times(made, part)
                return made
            case "div":
                return times(parts[0], self.inverse(parts[1]))
            case "pow":
                exponent = whole_number(parts[1])
                if exponent is not None:
                    base = parts[0] if exponent >= 0 else self.inverse(parts[0])
                    return power(base, abs(exponent))
        return None


def whole_number(value: Sum) -> int | None:
    """A whole exponent that is multiplied out, or None."""
    count = constant(value)
    if count is None or count.denominator != 1 or abs(count) > 64:
        return None
    return int(count)


def _shapes(node: Expr) -> tuple[Shape, ...]:
    return tuple(child.shape for child in node.children)

"""Linear equations between sizes, solved as they come.

An unknown size is a name that starts with `?`. An equation with one unknown is solved at once;
one that several share waits until all but one of them are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gatec.errors import Diagnostic
from gatec.expr import Dim

# Says what is wrong where two sizes turn out to differ.
Report = Callable[[Dim, Dim], Diagnostic]


@dataclass(frozen=True)
class Waiting:
    """`left` equals `right`."""

    left: Dim
    right: Dim
    report: Report | None

    def diagnostic(self) -> Diagnostic:
        if self.report is not None:
            return self.report(self.left, self.right)
        return Diagnostic("E0304", f"sizes do not fit: {self.left} and {self.right}")


class Sizes:
    """The sizes of one cell."""

    def __init__(self) -> None:
        self._known: dict[str, Dim] = {}
        self._count = 0
        self._waiting: dict[int, Waiting] = {}
        self._mentions: dict[str, set[int]] = {}  # unknown size -> the equations it is in
        self._number = 0
        self.conflicts: list[Waiting] = []  # equations that waited and do not hold

    @property
    def version(self) -> int:
        """Another number whenever something became known."""
        return self._count + len(self._known)

    def fresh(self) -> Dim:
        self._count += 1
        return Dim.of(f"?{self._count}")

    def resolve(self, dim: Dim) -> Dim:
        """The size with everything that is known put in."""
        known = self._known
        if not any(name in known for name, _ in dim.terms):
            return dim
        result = Dim((), dim.const)
        for name, count in dim.terms:
            result += (self._value(name) if name in known else Dim.of(name)) * count
        return result

    def _value(self, name: str) -> Dim:
        """What a known name stands for; remembered, so that no chain is walked twice."""
        known = self._known
        stack = [name]
        while stack:
            current = stack[-1]
            value = known[current]
            inner = [n for n, _ in value.terms if n in known]
            deeper = [n for n in inner if any(m in known for m, _ in known[n].terms)]
            if deeper:
                stack += deeper
                continue
            stack.pop()
            if inner:
                result = Dim((), value.const)
                for n, count in value.terms:
                    result += known.get(n, Dim.of(n)) * count
                known[current] = result
        return known[name]

    def unify(self, left: Dim, right: Dim, report: Report | None = None) -> bool:
        """Make two sizes equal; False where they cannot be.

        An equation that must wait and then does not hold is kept in `conflicts` with its report.
        """
        difference = self.resolve(left) - self.resolve(right)
        if not difference.terms:
            return difference.const == 0
        unknowns = [(name, count) for name, count in difference.terms if is_unknown(name)]
        if not unknowns:
            return False
        alike = len(unknowns) == 2 and len(difference.terms) == 2 and difference.const == 0
        if len(unknowns) == 1 or (alike and unknowns[0][1] == -unknowns[1][1]):
            name, count = unknowns[0]
            rest = difference - Dim(((name, count),))
            if all(c % count == 0 for _, c in rest.terms) and rest.const % count == 0:
                solved = Dim(tuple((n, -c // count) for n, c in rest.terms), -rest.const // count)
                if any(c < 0 for _, c in solved.terms) or (not solved.terms and solved.const <= 0):
                    return False
                self._learn(name, solved)
                return True
            return len(unknowns) != 1
        self._wait(Waiting(left, right, report), (name for name, _ in unknowns))
        return True

    def _wait(self, equation: Waiting, names: Iterable[str]) -> None:
        self._number += 1
        self._waiting[self._number] = equation
        for name in names:
            self._mentions.setdefault(name, set()).add(self._number)

    def _learn(self, name: str, value: Dim) -> None:
        """A size became known: try the equations that waited for it."""
        self._known[name] = value
        for number in sorted(self._mentions.pop(name, ())):
            equation = self._waiting.pop(number, None)
            if equation is not None and not self.unify(
                equation.left, equation.right, equation.report
            ):
                self.conflicts.append(equation)

    def assign(self, dim: Dim, name: str, *, totals: bool = True) -> bool:
        """Name an unknown size; True where it was one.

        `totals` False: not one that is a sum of other unknown sizes, as the width of W in W[a, x].
        """
        dim = self.resolve(dim)
        if len(dim.terms) != 1 or dim.const != 0 or not is_unknown(dim.terms[0][0]):
            return False
        unknown = dim.terms[0][0]
        if not totals and self._is_total(unknown):
            return False
        self._learn(unknown, Dim.of(name))
        return True

    def _is_total(self, name: str) -> bool:
        for number in self._mentions.get(name, ()):
            equation = self._waiting.get(number)
            if equation is None:
                continue
            terms = (self.resolve(equation.left) - self.resolve(equation.right)).terms
            own = next((count for n, count in terms if n == name), 0)
            if abs(own) == 1 and sum(count * own > 0 for _, count in terms) == 1:
                return True
        return False

    def force(self) -> bool:
        """Decide a waiting equation: unknowns on both sides pair up in order. True if one did."""
        for equation in self._waiting.values():
            difference = self.resolve(equation.left) - self.resolve(equation.right)
            positive = [n for n, c in difference.terms if c > 0 and is_unknown(n)]
            negative = [n for n, c in difference.terms if c < 0 and is_unknown(n)]
            if positive and negative:
                self._learn(positive[0], Dim.of(negative[0]))
                return True
        return False


def is_unknown(name: str) -> bool:
    return name.startswith("?")

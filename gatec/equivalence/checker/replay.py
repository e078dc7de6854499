"""The steps of a proof, replayed: all are checked, then used to rewrite from the inside out.

A step is about one node (a function, a product with a matrix, a slice, a quantity) or about one
product of such. Arithmetic needs no steps: values are sums of products of atoms (`algebra.py`),
so that a step is found by what it is about, however that is written.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from fractions import Fraction

from gatec.equivalence.checker.algebra import (
    Sum,
    Term,
    plus,
    scaled,
)
from gatec.equivalence.checker.laws import Laws
from gatec.equivalence.checker.refusal import Refused
from gatec.equivalence.checker.statement import Equations
from gatec.equivalence.steps import Step
from gatec.expr import Apply, Broadcast, Const, Expr, Ref

LARGEST = 200_000  # expressions that one proof may lead through
_SUMS = frozenset({"add", "neg", "mul"})

# What is left to do for a value: it asks for those of other expressions on its way.
_Work = Generator[Expr, Sum, Sum]


class Replay:
    """The values of expressions once the steps have rewritten them.

    Raises Refused for a step that is no instance of its law, and for steps that lead back to where
    they began.
    """

    def __init__(self, steps: Mapping[Expr, Step], equations: Equations, laws: Laws) -> None:
        self.laws, self.algebra = laws, laws.algebra
        self.equations: dict[Expr, Expr] = {e.ref: e.value for e in equations.ordered}
        self.count = len(steps)
        # What each step is about, how often that is in its left side, and its right side.
        self._rules: dict[Term, tuple[Fraction, Expr]] = {}
        self._values: dict[Expr, Sum] = {}
        self._rewriting: set[Term] = set()
        self._rewritten: dict[Term, Sum] = {}
        self._open: dict[int, bool] = {}
        for before, step in steps.items():
            self._check(before, step)
            self._add(step)

    @property
    def seen(self) -> list[Expr]:
        """All expressions that the steps led through."""
        return list(self._values)

    def closed(self, expr: Expr) -> Sum:
        """The value of an expression, with no quantity left whose equation was not put in."""
        found = self.value(expr)
        for term in found:
            for atom, _ in term:
                if self._is_open(atom):
                    raise Refused("a quantity is left, and nothing says what it is")
        return found

    def value(self, expr: Expr) -> Sum:
        """The value of an expression, rewritten by the steps."""
        result: Sum | None = self._values.get(expr)
        if result is not None:
            return result
        # A stack of work instead of recursion: expressions may be deep.
        working = [(expr, self._work(expr))]
        answer: Sum = {}
        started = False
        while working:
            current, work = working[-1]
            try:
                wanted = work.send(answer) if started else next(work)
            except StopIteration as done:
                answer = self._values[current] = done.value
                working.pop()
                started = True
                continue
            known = self._values.get(wanted)
            if known is not None:
                answer, started = known, True
                continue
            if len(self._values) + len(working) > LARGEST:
                raise Refused("the proof leads through too many expressions")
            working.append((wanted, self._work(wanted)))
            started = False
        return self._values[expr]

    # --- One expression ---------------------------------------------------------------------------

    def _work(self, expr: Expr) -> _Work:
        parts: dict[Expr, Sum] = {}
        for operand in _operands(expr):
            parts[operand] = yield operand
        if _is_sum(expr):
            value = self._sum(expr, parts)
        else:
            value = self.algebra.made(expr, [parts[child] for child in expr.children])
        changed: list[Sum] = []
        for term in [term for term in value if term in self._rules]:
            made = yield from self._by_rule(term)
            changed.append(scaled(made, value[term]))
            value = {other: count for other, count in value.items() if other != term}
        return plus(value, *changed) if changed else value

    def _by_rule(self, term: Term) -> Generator[Expr, Sum, Sum]:
        """What the step about an atom, or a product of atoms, makes of it."""
        found = self._rewritten.get(term)
        if found is None:
            if term in self._rewriting:
                raise Refused("the steps go round in a circle")
            self._rewriting.add(term)
            count, after = self._rules[term]
            made = yield after
            self._rewriting.discard(term)
            found = self._rewritten[term] = scaled(made, 1 / count)
        return found

    def _sum(self, expr: Expr, parts: dict[Expr, Sum]) -> Sum:
        """Sums and products, down to what is neither."""
        stack = [(expr, False)]
        while stack:
            node, ready = stack.pop()
            if node in parts:
                continue
            if ready or not node.children:
                parts[node] = self.algebra.made(node, [parts[child] for child in node.children])
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in node.children)
        return parts[expr]

    def _is_open(self, atom: int) -> bool:
        """Whether a quantity of the cell occurs in an atom."""
        stack = [atom]
        while stack:
            current = stack[-1]
            if current in self._open:
                stack.pop()
                continue
            made = self.algebra.atoms[current]
            below = {inner for arg in made.args for term, _ in arg for inner, _ in term}
            missing = [inner for inner in below if inner not in self._open]
            if missing:
                stack += missing
                continue
            leaf = made.detail[0] if made.op == "leaf" else None
            own = isinstance(leaf, Ref) and leaf.kind == "var"
            self._open[current] = own or any(self._open[inner] for inner in below)
        return self._open[atom]

    # --- Steps ------------------------------------------------------------------------------------

    def _check(self, before: Expr, step: Step) -> None:
        if step.before != before or step.after.shape != before.shape:
            raise Refused("a step is not about the expression that it stands for")
        if step.law == "equation":
            holds: bool | None = self.equations.get(before) == step.after
        else:
            try:
                holds = self.laws.holds(step.law, before, step.after)
            except (ValueError, RecursionError) as problem:  # shapes that do not fit; no end
                raise Refused(f"a step of {step.law!r} cannot be checked: {problem}") from problem
        if holds is None:
            raise Refused(f"there is no law {step.law!r}")
        if not holds:
            raise Refused(f"a step is no instance of {step.law!r}")

    def _add(self, step: Step) -> None:
        value = self.algebra.value(step.before)
        if value == self.algebra.value(step.after):
            return  # arithmetic, for the reader
        ((term, count),) = value.items() if len(value) == 1 else (((), Fraction(0)),)
        if not term:
            raise Refused("a step is about more than one product")
        self._rules.setdefault(term, (count, step.after))


def _is_sum(node: Expr) -> bool:
    """What is computed as one value with the sums and products inside."""
    return node.op in _SUMS if isinstance(node, Apply) else isinstance(node, Const | Broadcast)


def _operands(node: Expr) -> list[Expr]:
    """The expressions whose values a node is computed from."""
    if not _is_sum(node):
        return list(node.children)
    found: dict[Expr, None] = {}
    seen: set[Expr] = set()
    stack = list(node.children)
    while stack:
        inner = stack.pop()
        if inner in seen:
            continue
        seen.add(inner)
        if _is_sum(inner):
            stack.extend(inner.children)
        else:
            found[inner] = None
    return list(found)

"""Recurrences found in a sequence of outputs, where a module keeps its state to itself.

The outputs of some steps are expressions over the inputs of those steps. A value of one step that
a later step reads is a state; two consecutive steps must read alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatec.equivalence.modules.record import Untraceable
from gatec.expr import Apply, Broadcast, Concat, Expr, Ref, Slice, bottom_up
from gatec.ops import OPS

STEPS = 6  # enough that the last two read no step that is special

# Through these a state is looked at, where all other operands are parameters.
_LINEAR = frozenset({"matvec", "matmul", "dot", "outer", "transpose", "mul", "neg", "add", "div"})


def step_input(name: str, step: int) -> str:
    """The name of an input at one step."""
    return f"{name}@{step}"


@dataclass(frozen=True)
class Recurrence:
    """One step: the output and the states' new values, over states at t - lag and the input.

    `shown` gives for a node of the last steps what it is in the recurrence.
    """

    output: Expr
    states: dict[str, Expr]
    shown: dict[Expr, Expr]


class _Levels:
    """For every expression the last step whose input it reads; -1 for none."""

    def __init__(self, name: str, steps: int) -> None:
        self.steps = {step_input(name, t): t for t in range(steps)}
        self.known: dict[Expr, int] = {}

    def __call__(self, expr: Expr) -> int:
        if expr not in self.known:
            for node in bottom_up(expr):
                if node in self.known:
                    continue
                if isinstance(node, Ref) and node.kind == "input":
                    self.known[node] = self.steps[node.name]
                else:
                    self.known[node] = max((self.known[c] for c in node.children), default=-1)
        return self.known[expr]


class _Search:
    def __init__(self, name: str, steps: int) -> None:
        self.name = name
        self.level = _Levels(name, steps)
        self.families: dict[tuple[int, Expr], str] = {}
        self.pairs: dict[str, tuple[Expr, Expr]] = {}
        self.made: dict[tuple[Expr, Expr, int], Expr] = {}

    def step(self, later: Expr, earlier: Expr, t: int) -> Expr:
        """`later` of step t as an expression over states and x_t; `earlier` is that of t - 1.

        Raises Untraceable where both differ.
        """
        stack = [(later, earlier, False)]
        while stack:
            one, other, ready = stack.pop()
            if (one, other, t) in self.made:
                continue
            if not self._alike(one, other, t):
                raise Untraceable("its steps differ from each other")
            level = self.level(one)
            if level == -1:
                self.made[one, other, t] = one
            elif isinstance(one, Ref):
                self.made[one, other, t] = Ref("input", self.name, one.shape)
                if level < t:
                    self.made[one, other, t] = Ref("input", self.name, one.shape, t - level)
            elif level < t and not self._looked_at(one):
                family = self._family(one, other, level)
                self.made[one, other, t] = Ref("state", family, one.shape, t - level)
            elif ready:
                children = tuple(
                    self.made[a, b, t] for a, b in zip(one.children, other.children, strict=True)
                )
                self.made[one, other, t] = one.with_children(children)
            else:
                stack.append((one, other, True))
                stack += [(a, b, False) for a, b in zip(one.children, other.children, strict=True)]
        return self.made[later, earlier, t]

    def _alike(self, one: Expr, other: Expr, t: int) -> bool:
        level, before = self.level(one), self.level(other)
        if level == -1 or before == -1:
            return one == other
        if level != before + 1 or one.shape != other.shape:
            return False
        if level < t and not self._looked_at(one):
            return True
        if isinstance(one, Ref):
            return isinstance(other, Ref)
        if type(one) is not type(other) or len(one.children) != len(other.children):
            return False
        return all(getattr(one, f) == getattr(other, f) for f in one._own)  # type: ignore[attr-defined]

    def _looked_at(self, node: Expr) -> bool:
        """Whether a value is but a linear function of another one, with parameters."""
        if isinstance(node, (Slice, Broadcast)):
            return True
        varying = [child for child in node.children if self.level(child) >= 0]
        if isinstance(node, Apply) and node.op in _LINEAR:
            return len(varying) == 1 and (node.op != "div" or varying[0] is node.args[0])
        return isinstance(node, Concat) or (
            isinstance(node, Apply) and OPS[node.op].name == "detach"
        )

    def _family(self, one: Expr, other: Expr, level: int) -> str:
        """The state that two values of consecutive steps belong to."""
        name = self.families.get((level, one)) or self.families.get((level - 1, other))
        if name is None:
            name = f"s{len(self.pairs)}" if self.pairs else "s"
            self.pairs[name] = (one, other)
        self.families[level, one] = self.families[level - 1, other] = name
        return name


def recurrence(name: str, outputs: Sequence[Expr]) -> Recurrence:
    """The step that gives these outputs. Raises Untraceable where there is none."""
    steps = len(outputs)
    search = _Search(name, steps)
    output = search.step(outputs[-1], outputs[-2], steps - 1)
    states: dict[str, Expr] = {}
    while len(states) < len(search.pairs):
        state = next(found for found in search.pairs if found not in states)
        later, earlier = search.pairs[state]
        states[state] = search.step(later, earlier, search.level(later))
        if len(states) > 64:
            raise Untraceable("its steps read ever more of the past")
    shown = {one: value for (one, _, _), value in search.made.items()}
    return Recurrence(output, states, shown)

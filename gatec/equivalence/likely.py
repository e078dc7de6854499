"""The most sensible map between two cells that differ: what is alike is laid over each other.

A difference is only worth reading under a map that explains it: if one equation differs, the
parameters of all others must stand where they belong. No map found here is claimed to be right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache

from gatec.equivalence.align import (
    DEEPEST,
    Laid,
    as_written,
    biases,
    is_view,
    of_parameters,
    parted,
    signature,
    whole,
)
from gatec.equivalence.match import Found
from gatec.expr import Apply, Expr, Ref, bottom_up
from gatec.ir import Cell
from gatec.passes.common import refs, zeros


def likely(mine: Cell, theirs: Cell) -> Iterator[Found]:
    """A map from `theirs` to `mine`; cells as `check.prepared` gives them."""
    if len(mine.states) != len(theirs.states):
        return
    one, other = as_written(mine), as_written(theirs)
    if max(one.depth, other.depth) > DEEPEST:
        return
    laying = _Laying()
    laying.over(one.output, other.output)
    done: set[str] = set()
    while waiting := [name for name in laying.laid.states if name not in done]:
        name = waiting[0]
        done.add(name)
        laying.over(one.updates[name], other.updates[laying.laid.states[name]])
    states = _states(mine, theirs, laying.laid)
    if states is not None:
        yield Found(states, _params(mine, theirs, laying.laid))


class _Laying:
    """One expression laid over another, greedily: what is most alike first."""

    def __init__(self) -> None:
        self.laid = Laid()
        self.seen: set[tuple[Expr, Expr]] = set()

    def over(self, a: Expr, b: Expr) -> None:
        stack = [(a, b)]
        while stack:
            one, other = stack.pop()
            if (one, other) in self.seen or one.batched != other.batched:
                continue
            self.seen.add((one, other))
            stack.extend(reversed(self._pairs(one, other)))

    def _pairs(self, a: Expr, b: Expr) -> list[tuple[Expr, Expr]]:
        """What to lay over each other next."""
        if is_view(a):
            if of_parameters(b) and a.shape == b.shape:
                self.laid = self.laid.with_param(a, b) or self.laid
            return []
        if isinstance(a, Ref) and isinstance(b, Ref):
            if a.kind == b.kind == "state" and a.shape == b.shape:
                self.laid = self.laid.with_state(a.name, b.name) or self.laid
            return []
        if isinstance(a, Apply) and isinstance(b, Apply) and a.op == b.op:
            if a.op == "add":
                own, others = parted(a), parted(b)
                if own[1] and others[1]:
                    self.laid = biases(own[1], others[1], self.laid) or self.laid
                return _alike(own[0], others[0])
            if a.op == "mul":
                return _alike(a.args, b.args)
        if type(a) is type(b) and len(a.children) == len(b.children) and _own(a) == _own(b):
            return list(zip(a.children, b.children, strict=True))
        # One of both has a function, a factor or a term more.
        inside = [(child, b) for child in a.children] + [(a, child) for child in b.children]
        found = max(inside, key=lambda pair: likeness(*pair), default=None)
        return [found] if found is not None and likeness(*found) > 0.5 else []


def _own(node: Expr) -> tuple[object, ...]:
    return tuple(getattr(node, name) for name in node._own)  # type: ignore[attr-defined]


def _alike(one: Sequence[Expr], other: Sequence[Expr]) -> list[tuple[Expr, Expr]]:
    """Each operand and the one that is most like it, the most alike first."""
    pairs = sorted(
        ((likeness(a, b), -i, -j) for i, a in enumerate(one) for j, b in enumerate(other)),
        reverse=True,
    )
    made, left, right = [], set(range(len(one))), set(range(len(other)))
    for alike, i, j in pairs:
        if alike > 0 and -i in left and -j in right:
            left.remove(-i)
            right.remove(-j)
            made.append((one[-i], other[-j]))
    return made


@lru_cache(maxsize=1 << 14)
def likeness(a: Expr, b: Expr) -> float:
    """How much two expressions have in common, 0 to 1; more where their heads are the same."""
    if a.shape != b.shape:
        return 0.0
    if signature(a) == signature(b):
        return 1.0
    one, other = _parts(a), _parts(b)
    count = max(sum(one.values()), sum(other.values()))
    common = sum((one & other).values()) / count if count else 0.0
    same = isinstance(a, Apply) and isinstance(b, Apply) and a.op == b.op
    return 0.25 + 0.7 * common if same else 0.7 * common


@lru_cache(maxsize=1 << 14)
def _parts(node: Expr) -> Counter[int]:
    return Counter(signature(part) for part in bottom_up(node) if part.batched)


# --- What is left ---------------------------------------------------------------------------------


def _states(mine: Cell, theirs: Cell, laid: Laid) -> dict[str, tuple[str, Fraction]] | None:
    left = [s for s in theirs.states if s.name not in laid.states.values()]
    made: dict[str, tuple[str, Fraction]] = {}
    for state in mine.states:
        other = laid.states.get(state.name)
        if other is None:
            fitting = [s for s in left if s.shape == state.shape]
            if not fitting:
                return None
            left.remove(fitting[0])
            other = fitting[0].name
        made[state.name] = (other, Fraction(1))
    return made


def _params(mine: Cell, theirs: Cell, laid: Laid) -> dict[str, Expr]:
    """The map; what nothing was laid over becomes a parameter that nothing stands for, or 0."""
    used = {ref.name for value in laid.params.values() for ref in refs(value, "param")}
    left = [param for param in theirs.params if param.name not in used]
    made: dict[str, Expr] = {}
    for param in mine.params:
        own = Ref("param", param.name, param.shape)
        touched = any(ref == own for view in laid.params for ref in refs(view, "param"))
        value = whole(own, laid.params) if touched else None
        if value is None:
            fitting = [p for p in left if p.shape == param.shape]
            if fitting:
                left.remove(fitting[0])
                value = Ref("param", fitting[0].name, param.shape)
        made[param.name] = value if value is not None else zeros(param.shape)
    return made


__all__ = ["likely"]

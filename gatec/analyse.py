"""What a cell's equations imply: stages, the class of its recurrence, what a step costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from gatec.expr import Apply, Concat, Const, Dim, Expr, Ref, Shape, Slice
from gatec.ir import Cell, Phase
from gatec.ops import OPS, Kind
from gatec.passes.common import bottom_up, nodes, refs
from gatec.polynomial import Polynomial

FLOAT = 4  # bytes of a number; costs are those of float32


# --- Stages ---------------------------------------------------------------------------------------


def stages(cell: Cell) -> int:
    """The longest chain of cross-unit operations (products, reductions) on the state in a step.

    LSTM 1; GRU with the reset gate inside the product 2; a recurrent highway network its depth.
    """
    depth: dict[str, int | None] = {}

    def of(expr: Expr) -> int | None:
        known: dict[Expr, int | None] = {}
        for node in bottom_up(expr):
            if isinstance(node, Ref):
                known[node] = depth[node.name] if node.kind == "var" else _start(node)
                continue
            below = [d for child in node.children if (d := known[child]) is not None]
            known[node] = max(below) + _crosses(node) if below else None
        return known[expr]

    for equation in cell.equations:
        depth[equation.name] = of(equation.value)
    return max((d for d in depth.values() if d is not None), default=0)


def _start(ref: Ref) -> int | None:
    return 0 if ref.kind == "state" else None


def _crosses(node: Expr) -> bool:
    """Whether a unit of the result reads several units of an operand."""
    if not isinstance(node, Apply) or node.op == "outer":
        return False
    return OPS[node.op].kind in (Kind.CONTRACTION, Kind.REDUCTION, Kind.NORMALISATION)


# --- Recurrence -----------------------------------------------------------------------------------


class Recurrence(StrEnum):
    """How a group of states reads itself one step back, from the easiest to the hardest."""

    NONE = "none"  # it does not: all steps at once
    AFFINE = "affine"  # elementwise, coefficients free of the group: a scan along time is exact
    ELEMENTWISE = "elementwise"  # diagonal but nonlinear: channels are independent
    MIXING = "mixing"  # matrix products or reductions: units read each other


_MOVED = "a change of places"
_RANK = {kind: rank for rank, kind in enumerate(Recurrence)}


@dataclass(frozen=True)
class Group:
    """States that read each other, directly or through other states of the group."""

    states: tuple[str, ...]
    kind: Recurrence
    reason: str


@dataclass(frozen=True)
class Recurrences:
    """All groups of a cell, in an order in which each reads earlier ones only."""

    groups: tuple[Group, ...]

    @property
    def kind(self) -> Recurrence:
        """The hardest kind among the groups."""
        return max((g.kind for g in self.groups), key=_RANK.__getitem__, default=Recurrence.NONE)

    @property
    def reason(self) -> str:
        """Why, in words: of the hardest group, or of each where there are several."""
        if len(self.groups) == 1:
            return self.groups[0].reason
        return "; ".join(f"{g.kind}: {g.reason}" for g in self.groups)


def recurrence(cell: Cell) -> Recurrences:
    """The recurrence class of each strongly connected group of states."""
    reads = _state_reads(cell)
    groups = []
    for states in _components([s.name for s in cell.states], reads):
        cyclic = len(states) > 1 or states[0] in reads[states[0]]
        groups.append(_classified(cell, states) if cyclic else _plain(states))
    return Recurrences(tuple(groups))


def _state_reads(cell: Cell) -> dict[str, set[str]]:
    """The states that each state's update reads, directly or through equations."""
    through: dict[str, set[str]] = {}
    for equation in cell.equations:
        found: set[str] = set()
        for ref in refs(equation.value):
            if ref.kind == "state":
                found.add(ref.name)
            elif ref.kind == "var":
                found |= through[ref.name]
        through[equation.name] = found
    return {state.name: through[state.update] for state in cell.states}


def _components(names: list[str], reads: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """Strongly connected components, each after those that it reads; members in given order."""
    reach = {name: _reachable(name, reads) for name in names}
    found: list[tuple[str, ...]] = []
    for name in names:
        if any(name in group for group in found):
            continue
        found.append(
            tuple(n for n in names if n == name or (n in reach[name] and name in reach[n]))
        )
    # What is read comes first; equal otherwise stays in the order of the states.
    ordered: list[tuple[str, ...]] = []
    while found:
        ready = next(
            group
            for group in found
            if not any(other[0] in reach[group[0]] for other in found if other != group)
        )
        found.remove(ready)
        ordered.append(ready)
    return ordered


def _reachable(start: str, reads: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    stack = [start]
    while stack:
        for other in reads[stack.pop()] - seen:
            seen.add(other)
            stack.append(other)
    return seen


def _plain(states: tuple[str, ...]) -> Group:
    return Group(states, Recurrence.NONE, f"{states[0]} never reads itself: all steps at once")


@dataclass
class _Through:
    """How a value depends on a group, and by what."""

    kind: Recurrence
    causes: dict[str, None] = field(default_factory=dict)

    def raised(self, kind: Recurrence, cause: str) -> _Through:
        if _RANK[kind] < _RANK[self.kind]:
            return self
        causes = self.causes if kind is self.kind else {}
        return _Through(kind, {**causes, cause: None})


def _classified(cell: Cell, states: tuple[str, ...]) -> Group:
    """The kind of a group of states that read each other."""
    members, through = set(states), dict[str, _Through]()
    for equation in cell.equations:
        through[equation.name] = _dependence(equation.value, members, through)
    updates = {state.update for state in cell.states if state.name in members}
    worst = _joined(
        [through[equation.name] for equation in cell.equations if equation.name in updates]
    )
    who = " and ".join([", ".join(states[:-1]), states[-1]] if len(states) > 1 else states)
    # Where units change places only to meet a product, the product says it all.
    causes = [cause for cause in worst.causes if cause != _MOVED] or [_MOVED]
    by = _listed(causes)
    several = len(states) > 1
    reason = {
        Recurrence.AFFINE: f"{who} {'enter' if several else 'enters'} the next step unit by unit, "
        "times coefficients free of the state: a scan along time is exact",
        Recurrence.ELEMENTWISE: f"unit i of {who} reads unit i alone, through {by}",
        Recurrence.MIXING: f"{who} {'read' if several else 'reads'} other units through {by}",
    }
    return Group(states, worst.kind, reason[worst.kind])


def _listed(causes: list[str]) -> str:
    shown = causes[:6] + ([f"{len(causes) - 6} more"] if len(causes) > 6 else [])
    return ", ".join(shown)


def _joined(parts: Iterable[_Through]) -> _Through:
    worst = _Through(Recurrence.NONE)
    for part in parts:
        if _RANK[part.kind] > _RANK[worst.kind]:
            worst = part
        elif part.kind is worst.kind:
            worst = _Through(worst.kind, {**worst.causes, **part.causes})
    return worst


def _dependence(expr: Expr, members: set[str], through: dict[str, _Through]) -> _Through:
    known: dict[Expr, _Through] = {}
    for node in bottom_up(expr):
        if isinstance(node, Ref):
            inside = node.kind == "state" and node.name in members
            start = _Through(Recurrence.AFFINE if inside else Recurrence.NONE)
            known[node] = through[node.name] if node.kind == "var" else start
            continue
        children = [known[child] for child in node.children]
        below = _joined(children)
        known[node] = below if below.kind is Recurrence.NONE else _raised(node, children, below)
    return known[expr]


def _raised(node: Expr, children: list[_Through], below: _Through) -> _Through:
    """How a node depends on the group, where at least one of its children does."""
    if isinstance(node, Slice | Concat):
        return below.raised(Recurrence.MIXING, _MOVED)
    if not isinstance(node, Apply):
        return below
    op = OPS[node.op]
    if op.kind is not Kind.POINTWISE:
        return below.raised(Recurrence.MIXING, _cause(node, children))
    depends = [child.kind is not Recurrence.NONE for child in children]
    affine = (
        node.op in ("add", "neg", "detach")
        or (node.op == "mul" and sum(depends) == 1)
        or (node.op == "div" and not depends[1])
        or (node.op == "where" and not depends[0])
    )
    if affine:
        return below
    word = {"mul": "a product of states", "div": "a quotient", "where": "a case"}
    return below.raised(Recurrence.ELEMENTWISE, word.get(node.op, node.op))


def _cause(node: Apply, children: list[_Through]) -> str:
    """The parameters that a product of the state goes through, or what it is."""
    if OPS[node.op].kind is Kind.CONTRACTION:
        free = [a for a, c in zip(node.args, children, strict=True) if c.kind is Recurrence.NONE]
        names = [ref.name for arg in free for ref in refs(arg)]
        if names:
            return ", ".join(dict.fromkeys(names))
    return {"outer": "an outer product", "transpose": "a transposition"}.get(node.op, node.op)


# --- Cost -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What a cell costs, as formulas in its sizes.

    parameters      how many numbers there are to learn
    flops_per_step  additions, multiplications and functions for one step of one sequence
    bytes_per_step  float32 bytes that such a step must move: the parameters it reads, the
                    inputs, and the states read and written
    """

    parameters: Polynomial
    flops_per_step: Polynomial
    bytes_per_step: Polynomial


def cost(plan: Cell) -> Cost:
    """The cost of a planned cell; what is computed once for all steps is not counted."""
    flops, moved = Polynomial(), Polynomial()
    read: dict[str, Shape] = {}
    once = {e.name: e for e in plan.equations if e.phase is Phase.ONCE}
    for equation in plan.equations:
        if equation.phase is Phase.ONCE:
            continue
        for node in nodes(equation.value):
            flops += _flops(node)
            if isinstance(node, Ref) and (node.kind == "param" or node.name in once):
                read[node.name] = node.shape
    for shape in read.values():
        moved += units(shape)
    for item in plan.inputs:
        moved += units(item.shape)
    for state in plan.states:
        moved += units(state.shape) * 2
    if plan.output not in {state.update for state in plan.states}:
        moved += units(plan.output_shape)
    parameters = sum((units(param.shape) for param in plan.params), Polynomial())
    return Cost(parameters, flops, moved * FLOAT)


def units(shape: Shape) -> Polynomial:
    """The number of units of a shape."""
    product = Polynomial.of(Dim((), 1))
    for dim in shape:
        product = product * Polynomial.of(dim)
    return product


def _flops(node: Expr) -> Polynomial:
    if not isinstance(node, Apply):
        return Polynomial()
    op = OPS[node.op]
    if op.kind is Kind.CONTRACTION and op.signature is not None:
        inputs, _ = op.signature.split("->")
        letters = dict(
            zip(inputs.replace(",", ""), (d for a in node.args for d in a.shape), strict=True)
        )
        return units(tuple(letters.values())) * op.flops
    if op.kind is Kind.REDUCTION:
        return units(node.args[0].shape)
    count = len(node.args) - 1 if op.arity is None else op.flops
    trivial = node.op == "neg" or all(isinstance(arg, Const) for arg in node.args)
    return units(node.shape) * (0 if trivial else count)

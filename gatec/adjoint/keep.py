"""What the forward loop keeps for the way back, and what the way back computes again.

A value that the backward equations read is either kept for all T x B rows or computed again from
values that are. The choice is a minimum cut: the fewest bytes to keep such that everything else
follows unit by unit (no product and no reduction is ever computed twice). Parameters, inputs and
states are there anyway and cost nothing. Among equal choices the values nearest to their use are
kept, which is the least to compute again. Cf. Chen et al., "Training Deep Nets with Sublinear
Memory Cost", 2016; the cut is that of PyTorch's partitioner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gatec.adjoint.cut import Network
from gatec.expr import Apply, Broadcast, Const, Expr, Identity, Ref, SizeValue, Slice, replaced
from gatec.ir import Cell, Equation
from gatec.ops import Kind
from gatec.passes.common import (
    COMPARISONS,
    RANK,
    Fresh,
    Phases,
    bottom_up,
    is_pointwise,
    is_transpose,
    kind_of,
    nodes,
    refs,
)

# Sizes to compare costs by: what a cell of ordinary size has; no value costs more than _MOST, so
# that no sum of costs is endless (see `cut.py`).
_ORDINARY = 256
_MOST = 1 << 40


def keep(plan: Cell, backward: tuple[Equation, ...]) -> tuple[Cell, tuple[Equation, ...]]:
    """The plan with names for what is kept, and the backward equations reading only that.

    What is computed again comes first among the backward equations.
    """
    choice = _Choice(plan, backward)
    if not choice.needed:
        return plan, backward
    stored = choice.stored()
    named, names = _named(plan, stored)
    again = _Again(named, names)
    changed = [replace(e, value=again.value(e.value)) for e in backward]
    return named, (*again.equations, *changed)


class _Choice:
    """The minimum cut between what cannot be computed again and what is read."""

    def __init__(self, plan: Cell, backward: Iterable[Equation]) -> None:
        self.plan = plan
        self.sizes = dict.fromkeys(plan.size_names, _ORDINARY)
        self.sizes |= {s.name: s.default for s in plan.sizes if s.default is not None}
        self.values = {equation.name: equation.value for equation in plan.equations}
        states = {state.update for state in plan.states}
        self.free = {name for name in states if plan.equation(name).value.batched}
        self._forward: dict[Expr, bool] = {}
        # What the forward pass computes anyway; only that can be kept.
        self.computed = {node for e in plan.equations for node in nodes(e.value)}
        self.computed |= {e.ref for e in plan.equations}
        self.needed = self._needed(backward)

    def _needed(self, backward: Iterable[Equation]) -> list[Expr]:
        """The largest parts of backward equations that are values of the forward pass."""
        found: dict[Expr, None] = {}
        for equation in backward:
            order = bottom_up(equation.value)
            own = {node for node in order if self._is_forward(node)}
            largest = [child for node in order if node not in own for child in node.children]
            largest.append(equation.value)
            found.update((node, None) for node in largest if node in own and node.batched)
        return list(found)

    def _is_forward(self, node: Expr) -> bool:
        """A value that the backward pass could read or compute: pointwise over forward names.

        Children are asked before their parents, so that no call goes deeper than one.
        """
        known = self._forward.get(node)
        if known is None:
            if isinstance(node, Ref):
                known = node.kind != "grad" and (node.kind != "var" or node.name in self.values)
            elif isinstance(node, Apply) and not (is_pointwise(node) or is_transpose(node)):
                known = False
            else:
                known = all(self._is_forward(child) for child in node.children)
            self._forward[node] = known
        return known

    def stored(self) -> set[Expr]:
        """The batched expressions to keep."""
        network = Network[Expr]()
        seen: set[Expr] = set()
        stack = list(self.needed)
        for node in self.needed:
            network.sink(node)
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            network.vertex(node, self._cost(node))
            sources = self._from(node)
            if sources is None:
                network.source(node)
                continue
            for source in sources:
                network.edge(source, node)
                stack.append(source)
        return network.cut()

    def _from(self, node: Expr) -> list[Expr] | None:
        """What a value is computed from, unit by unit; None where it has to be kept."""
        if isinstance(node, Ref):
            if node.kind != "var" or node.name in self.free:
                return []
            value = self.values[node.name]
            return [value] if value.batched else []
        if isinstance(node, Apply) and not (is_pointwise(node) or is_transpose(node)):
            return None
        return [child for child in node.children if child.batched]

    def _cost(self, node: Expr) -> int | None:
        """Units per row; None where keeping it makes no sense."""
        boolean = isinstance(node, Apply) and node.op in COMPARISONS
        if boolean or is_transpose(node) or isinstance(node, Broadcast | Const | SizeValue):
            return None
        if isinstance(node, Identity) or node not in self.computed:
            return None
        units = 1
        for dim in node.shape:
            units *= max(dim.value(self.sizes), 1)
        return min(units, _MOST)


def _named(plan: Cell, stored: set[Expr]) -> tuple[Cell, dict[Expr, Ref]]:
    """The plan with an equation for every stored value, and where each is found."""
    names = {e.value: e.ref for e in plan.equations if e.value in stored}
    names |= {ref: ref for ref in stored if isinstance(ref, Ref)}
    inner = {node for node in stored if node not in names}
    if not inner:
        return plan, names
    fresh, phases = Fresh.of(plan), Phases()
    equations: list[Equation] = []
    for equation in plan.equations:
        for node in bottom_up(equation.value):
            if node in inner and node not in names and node is not equation.value:
                value = _inside(node, names)
                made = Equation(fresh(_name(node, equation)), "", value, phase=phases(value))
                phases.equations[made.name] = made.phase
                equations.append(made)
                names[node] = made.ref
        value = _inside(equation.value, names)
        phases.equations[equation.name] = equation.phase
        equations.append(replace(equation, value=value))
    equations.sort(key=lambda equation: RANK[equation.phase])
    return replace(plan, equations=tuple(equations)), names


def _name(node: Expr, equation: Equation) -> str:
    if isinstance(node, Slice):
        return f"{equation.name}_product"
    argument = any(
        isinstance(parent, Apply)
        and node in parent.children
        and kind_of(parent) is Kind.POINTWISE
        and len(parent.children) == 1
        for parent in bottom_up(equation.value)
    )
    return f"{equation.name}_argument" if argument else f"{equation.name}_term"


def _inside(expr: Expr, names: Mapping[Expr, Ref]) -> Expr:
    """`expr` with names for what has one, but for itself."""
    return expr.with_children(tuple(replaced(child, names) for child in expr.children))


class _Again:
    """Reads values that are not kept through equations that compute them again."""

    def __init__(self, plan: Cell, names: Mapping[Expr, Ref]) -> None:
        self.plan, self.names = plan, names
        self.values = {equation.name: equation for equation in plan.equations}
        self.there = {ref.name for ref in names.values()}
        self.there |= {state.update for state in plan.states}
        self.fresh = Fresh.of(plan)
        self.equations: list[Equation] = []
        self.again: dict[Expr, Ref] = {}

    def value(self, expr: Expr) -> Expr:
        """The expression over what is kept or computed again."""
        expr = replaced(expr, self.names)
        for ref in refs(expr, "var"):
            self._compute(ref)
        return replaced(expr, self.again)

    def _compute(self, start: Ref) -> None:
        """Equations for a value that is not kept, after those for what it reads."""
        stack = [(start, False)]
        while stack:
            ref, ready = stack.pop()
            equation = self.values.get(ref.name)
            if ref in self.again or equation is None or not ref.batched or ref.name in self.there:
                continue
            if not ready:
                stack.append((ref, True))
                stack.extend((inner, False) for inner in refs(equation.value, "var"))
                continue
            value = replaced(equation.value, self.again)
            made = Equation(self.fresh(f"{equation.name}_again"), "", value, equation.text)
            self.equations.append(made)
            self.again[ref] = made.ref

"""What passes share: fresh names, phases of expressions, simple operands, rebuilt cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from gatec.expr import (
    Apply,
    Broadcast,
    Const,
    Expr,
    Identity,
    Ref,
    Shape,
    SizeValue,
    Slice,
    rewrite,
    walk,
)
from gatec.expr import bottom_up as bottom_up
from gatec.ir import GRAD_OUTPUTS, Cell, Equation, Phase
from gatec.ops import OPS, Kind


@dataclass(frozen=True)
class Roots:
    """The equations that are read from outside; `loop` are those that every step needs.

    `taken` are names that no new equation may have.
    """

    all: frozenset[str]
    loop: frozenset[str]
    taken: frozenset[str] = frozenset()


# In the order of computation; `max` of phases is by this rank.
RANK = {phase: rank for rank, phase in enumerate(Phase)}

# What generated code appends to names or puts before them (see `names.py`), so that no
# temporary ends up as another quantity's previous value or gradient.
_AFFIX = re.compile(r"(_prev|_l\d+|_reverse|_size|_t)$|^(grad|carry)_")
_GRADIENT = re.compile(r"^((grad|carry)_)+")
_LONGEST = 60


class Fresh:
    """Hands out names that nothing in a cell has, made of a readable base."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    @classmethod
    def of(cls, cell: Cell, roots: Roots | None = None) -> Fresh:
        return cls(all_names(cell) | (roots.taken if roots else set()))

    def __call__(self, base: str) -> str:
        base = base[:_LONGEST].rstrip("_") if len(base) > _LONGEST else base
        base = _GRADIENT.sub("", base) or base
        if _AFFIX.search(base):
            base = f"the_{base}_" if _AFFIX.search(base + "_") else base + "_"
        name, count = base, self._next.get(base, 2)
        while name in self._taken:
            name, count = f"{base}_{count}", count + 1
        self._next[base] = count
        self._taken.add(name)
        return name


def all_names(cell: Cell) -> set[str]:
    """Every name that a cell uses for anything."""
    groups = (cell.inputs, cell.states, cell.params, cell.equations, cell.constants, cell.sizes)
    names = {item.name for group in groups for item in group}
    return names | {"input_size", "hidden_size", *cell.size_names}


def kept(cell: Cell) -> set[str]:
    """The equations that something outside the equations reads."""
    return {cell.output, *(state.update for state in cell.states)}


nodes = walk  # every distinct node of an expression


def refs(expr: Expr, kind: str | None = None) -> Iterator[Ref]:
    """The distinct references in an expression, all or those of one kind."""
    for node in nodes(expr):
        if isinstance(node, Ref) and (kind is None or node.kind == kind):
            yield node


# --- What an expression is ----------------------------------------------------------------------


def kind_of(expr: Expr) -> Kind | None:
    """The kind of an operator's row; None for the other nodes."""
    return OPS[expr.op].kind if isinstance(expr, Apply) else None


def is_transpose(expr: Expr) -> bool:
    return isinstance(expr, Apply) and expr.op == "transpose"


def is_simple(expr: Expr) -> bool:
    """`Ref | Slice(simple) | transpose(simple)`: a view of a value that is stored somewhere."""
    while isinstance(expr, Slice) or is_transpose(expr):
        expr = expr.children[0]
    return isinstance(expr, Ref)


def is_leaf(expr: Expr) -> bool:
    """A simple operand or a number: what a pointwise tree may end in."""
    if isinstance(expr, Broadcast):
        expr = expr.arg
    return isinstance(expr, Const | SizeValue | Identity) or is_simple(expr)


def is_pointwise(expr: Expr) -> bool:
    """An operator that stays inside a pointwise tree (`outer` is pointwise over i and j)."""
    return isinstance(expr, Apply) and (kind_of(expr) is Kind.POINTWISE or expr.op == "outer")


COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq"})

# Pointwise operators that cost no more than an addition or two.
CHEAP = COMPARISONS | {"add", "mul", "neg", "div", "max", "min", "where", "abs", "sign", "relu"}
CHEAP |= {"detach", "outer"}


def is_work(node: Expr) -> bool:
    """A node worth computing once rather than twice: a contraction, reduction, or function."""
    return isinstance(node, Apply) and node.op not in CHEAP and kind_of(node) is not Kind.LAYOUT


def zeros(shape: Shape) -> Expr:
    zero = Const(Fraction(0))
    return Broadcast(zero, shape) if shape else zero


def is_zero(expr: Expr) -> bool:
    value = expr.arg if isinstance(expr, Broadcast) else expr
    return isinstance(value, Const) and value.value == 0


def is_carry(node: Expr) -> bool:
    """A cotangent that step t+1 sends back; the outputs' are there for all steps."""
    return isinstance(node, Ref) and node.kind == "grad" and node.name != GRAD_OUTPUTS


# --- Phases -------------------------------------------------------------------------------------

_LEAF_PHASE = {"input": Phase.SEQUENCE, "state": Phase.STEP}


def later(one: Phase, other: Phase) -> Phase:
    return one if RANK[one] >= RANK[other] else other


class Phases:
    """The earliest phase in which an expression can be computed, given those of equations."""

    def __init__(self, equations: Mapping[str, Phase] | None = None) -> None:
        self.equations = dict(equations or {})
        self._known: dict[Expr, Phase] = {}

    def __call__(self, expr: Expr) -> Phase:
        if expr not in self._known:
            for node in bottom_up(expr):
                self._known[node] = self._own(node)
        return self._known[expr]

    def _own(self, node: Expr) -> Phase:
        if isinstance(node, Ref):
            if node.kind == "var":
                # A value that the equations do not compute is one of the forward loop.
                known = self.equations.get(node.name)
                return known or (Phase.STEP if node.batched else Phase.ONCE)
            if node.kind == "grad":
                return Phase.STEP if is_carry(node) else Phase.SEQUENCE
            return _LEAF_PHASE.get(node.kind, Phase.ONCE)
        # Sums over the batch stand after the loop: over time, too.
        sums = isinstance(node, Apply) and node.op == "batch_sum"
        phase = Phase.AFTER if sums else Phase.ONCE
        for child in node.children:
            phase = later(phase, self._known[child])
        return phase


# --- Rebuilding ---------------------------------------------------------------------------------


def with_equations(cell: Cell, equations: Iterable[Equation]) -> Cell:
    return replace(cell, equations=tuple(equations))


def temporary(name: str, value: Expr, phase: Phase = Phase.STEP) -> Equation:
    """An equation that a pass made."""
    return Equation(name, "", value, phase=phase)


def each(cell: Cell, rule: Callable[[Expr], Expr]) -> Cell:
    """The cell with `rule` applied to every node, children first, and variables kept in step.

    A rule may change whether an equation is batched; every later reference then follows.
    """
    done: dict[str, Ref] = {}

    def step(node: Expr) -> Expr:
        if isinstance(node, Ref) and node.kind == "var":
            node = done[node.name]
        return rule(node)

    equations = []
    for equation in cell.equations:
        value = rewrite(equation.value, step)
        if value is not equation.value:
            equation = replace(equation, value=value)
        done[equation.name] = equation.ref
        equations.append(equation)
    return with_equations(cell, equations)

"""Normal form: products and reductions stand alone, and everything is computed once, early.

Every contraction, reduction and join becomes the root of its own equation, over views of values
that are stored. Equal values are computed once. What a step does not need to compute leaves the
step: terms of a sum that read parameters or inputs only are added before the loop, and so are
functions of them. Cheap arithmetic stays where it is: reading an operand costs as much as
computing the result again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from gatec.expr import Apply, Broadcast, Concat, Const, Expr, Ref, Slice, call
from gatec.ir import Cell, Equation, Phase
from gatec.passes.algebra import make
from gatec.passes.common import (
    COMPARISONS,
    RANK,
    Fresh,
    Phases,
    Roots,
    bottom_up,
    is_carry,
    is_leaf,
    is_pointwise,
    is_simple,
    is_transpose,
    is_work,
    is_zero,
    temporary,
    with_equations,
)
from gatec.passes.layout import slice_, transpose

_ROOTS = frozenset({"matvec", "matmul", "dot", "sum", "amax", "batch_sum"})
_LATE = (Phase.AFTER, Phase.FINAL)


def normal(cell: Cell, roots: Roots) -> Cell:
    """Bring every equation into normal form and give it its phase.

    `roots` are equations that keep their names whatever they compute.
    """
    builder = _Normal(cell, roots)
    for equation in cell.equations:
        builder.add(equation)
    return with_equations(cell, builder.equations)


def repeated(equations: Iterable[Equation]) -> set[Expr]:
    """The pointwise subtrees worth a name: those that cost something and are used twice."""
    uses: Counter[Expr] = Counter()
    costly: set[Expr] = set()
    seen: set[Expr] = set()
    for equation in equations:
        uses[equation.value] += 1
        if equation.value in seen:
            continue
        for node in bottom_up(equation.value):
            if node in seen:
                continue
            seen.add(node)
            if is_work(node) or any(child in costly for child in node.children):
                costly.add(node)
            uses.update(set(node.children))
    return {
        node
        for node, count in uses.items()
        if count > 1 and node in costly and is_pointwise(node) and not _is_comparison(node)
    }


def _is_comparison(node: Expr) -> bool:
    return isinstance(node, Apply) and node.op in COMPARISONS


class _Normal:
    def __init__(self, cell: Cell, roots: Roots) -> None:
        self.roots = roots.all
        self.fresh = Fresh.of(cell, roots)
        self.repeated = repeated(cell.equations)
        self.phases = Phases()
        self.equations: list[Equation] = []
        self.refs: dict[str, Ref] = {}  # equation of the cell → where its value now stands
        self.computed: dict[Expr, Ref] = {}
        self.costly: dict[Expr, bool] = {}

    # --- Equations --------------------------------------------------------------------------

    def add(self, equation: Equation) -> None:
        value = self.tree(equation.value, equation.name)
        known = self.computed.get(value)
        if known is not None and equation.name not in self.roots:
            self.refs[equation.name] = known
            return
        phase = self.phase(known or value)
        if equation.phase in _LATE and RANK[phase] < RANK[Phase.AFTER] and phase is not Phase.STEP:
            phase = Phase.AFTER if value.batched else Phase.FINAL
        self.emit(replace(equation, value=known or value, phase=phase), value)

    def emit(self, equation: Equation, value: Expr) -> Ref:
        self.equations.append(equation)
        self.phases.equations[equation.name] = equation.phase
        ref = equation.ref
        self.refs[equation.name] = ref
        if not is_leaf(value):
            self.computed.setdefault(value, ref)
        return ref

    def phase(self, value: Expr) -> Phase:
        phase = self.phases(value)
        sums = isinstance(value, Apply) and value.op == "batch_sum"
        return Phase.FINAL if phase is Phase.AFTER and not value.batched and not sums else phase

    def named(self, value: Expr, base: str) -> Ref:
        """The value as a name: the equation that computes it, or a new one."""
        known = self.computed.get(value)
        if known is not None:
            return known
        equation = temporary(self.fresh(_name(value, base)), value, self.phase(value))
        return self.emit(equation, value)

    # --- Trees ------------------------------------------------------------------------------

    def tree(self, expr: Expr, base: str) -> Expr:
        """An expression in normal form; what stands alone becomes equations."""
        done: dict[Expr, Expr] = {}
        for node in bottom_up(expr):
            made = self._node(node, [done[child] for child in node.children], base)
            if node is not expr and node in self.repeated:
                made = self.named(made, base)
            done[node] = made
        return done[expr]

    def _node(self, node: Expr, children: list[Expr], base: str) -> Expr:
        if isinstance(node, Ref):
            return self.refs.get(node.name, node) if node.kind == "var" else node
        if isinstance(node, Slice):
            return slice_(self.simple(children[0], base), node.axis, node.start, node.stop)
        if is_transpose(node):
            return transpose(self.simple(children[0], base))
        if isinstance(node, Concat):
            return Concat(tuple(self.simple(child, base) for child in children), node.axis)
        if isinstance(node, Broadcast):
            made = node.with_children(tuple(children))
            return made if is_leaf(made) else Broadcast(self.named(children[0], base), node.target)
        if isinstance(node, Apply) and node.op == "batch_sum":
            return call("batch_sum", self._summed(children[0], base))
        if isinstance(node, Apply) and node.op in _ROOTS:
            return Apply(node.op, tuple(self.simple(child, base) for child in children))
        if isinstance(node, Apply):
            return self._pointwise(node, [self._inside(child, base) for child in children], base)
        return node

    def simple(self, value: Expr, base: str) -> Expr:
        return value if is_simple(value) else self.named(value, base)

    def _summed(self, value: Expr, base: str) -> Expr:
        """What is summed over batch and time: values of the loop that are kept over it."""

        def stored(part: Expr) -> Expr:
            simple = self.simple(part, base)
            return self.named(simple, base) if any(map(is_carry, bottom_up(simple))) else simple

        if isinstance(value, Apply) and value.op == "outer":
            return Apply("outer", tuple(stored(part) for part in value.args))
        return stored(value)

    def _inside(self, value: Expr, base: str) -> Expr:
        """A value that may stand inside a pointwise tree."""
        return value if is_leaf(value) or is_pointwise(value) else self.named(value, base)

    def _pointwise(self, node: Apply, children: list[Expr], base: str) -> Expr:
        phases = [self.phases(child) for child in children]
        last = max(phases, key=RANK.__getitem__)
        if node.op == "add":
            return self._sum(children, phases, last, base)
        made = [
            self._early(child, phase, last, base)
            for child, phase in zip(children, phases, strict=True)
        ]
        return Apply(node.op, tuple(made))

    def _early(self, child: Expr, phase: Phase, last: Phase, base: str) -> Expr:
        """An operand, computed beforehand where it is of an earlier phase and costs something."""
        if phase is last or is_leaf(child) or _is_comparison(child):
            return child
        reads = any(isinstance(node, Ref) for node in bottom_up(child))
        if reads and (phase is Phase.ONCE or self._costs(child)):
            return self.named(child, base)
        return child

    def _sum(self, terms: list[Expr], phases: list[Phase], last: Phase, base: str) -> Expr:
        """A sum in which the terms of each earlier phase are one term."""
        for phase in (Phase.ONCE, Phase.SEQUENCE):
            if phase is last:
                break
            early = [term for term, its in zip(terms, phases, strict=True) if its is phase]
            late = [(t, its) for t, its in zip(terms, phases, strict=True) if its is not phase]
            if not early:
                continue
            # One loose number or parameter goes with the terms of the next phase.
            alone = len(early) == 1 and (phase is Phase.ONCE or is_leaf(early[0]))
            if alone and (is_leaf(early[0]) or not self._worth(early[0])):
                moved = early[0]
            elif all(not term.shape for term in early) and not any(self._worth(t) for t in early):
                moved = make("add", *early) if len(early) > 1 else early[0]
            else:
                moved = self._partial(early, base)
            joins = phase is Phase.ONCE and Phase.SEQUENCE in (its for _, its in late)
            # It stands where the first of its terms stood: `1 - z` stays `1 - z`.
            late.insert(phases.index(phase), (moved, Phase.SEQUENCE if joins else phase))
            terms, phases = [t for t, _ in late], [its for _, its in late]
        if len(terms) == 1:
            return terms[0]
        return call("add", *terms)

    def _worth(self, term: Expr) -> bool:
        return any(isinstance(node, Ref) for node in bottom_up(term))

    def _partial(self, terms: list[Expr], base: str) -> Expr:
        value = call("add", *terms) if len(terms) > 1 else terms[0]
        return value if is_leaf(value) else self.named(value, base)

    def _costs(self, value: Expr) -> bool:
        for node in bottom_up(value):
            if node not in self.costly:
                self.costly[node] = is_work(node) or any(self.costly[c] for c in node.children)
        return self.costly[value]


def _name(value: Expr, base: str) -> str:
    """A readable name for a temporary: `W_f_x`, `W_f_transposed`, `h_argument`."""
    if isinstance(value, Apply) and value.op in ("matvec", "matmul", "dot"):
        names = [_base(arg) for arg in value.args]
        if all(names):
            return "_".join(name for name in names if name)
    if isinstance(value, Apply) and value.op in ("sum", "amax", "batch_sum"):
        summed = _base(value.args[0]) or base
        return f"{summed}_{'max' if value.op == 'amax' else 'sum'}"
    if isinstance(value, Concat):
        return f"{base}_joined"
    if isinstance(value, Const | Broadcast) and is_zero(value):
        return "zeros"
    if is_pointwise(value) and len(value.children) == 1:
        name = _base(value.children[0])
        if name and isinstance(value, Apply):
            return f"{value.op}_{name}"
    if isinstance(value, Apply) and value.op == "add":
        return f"{base}_sum"
    return f"{base}_part"


def _base(view: Expr) -> str | None:
    while isinstance(view, Slice) or is_transpose(view):
        view = view.children[0]
    return view.name if isinstance(view, Ref) else None

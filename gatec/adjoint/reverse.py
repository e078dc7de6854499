"""Reverse-mode differentiation of one step, symbolically.

Cotangents flow from the output (`grad_outputs`) and from the states' new values (`carry_…`, what
step t+1 sends back) through the planned equations in reverse order, to the parameters, the inputs
and the states' previous values. A value that does not depend on the batch collects its cotangent
over all rows and steps (`batch_sum`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gatec.expr import Apply, Broadcast, Concat, Dim, Expr, Ref, Slice, call
from gatec.ir import GRAD_OUTPUTS, Cell, Equation, Phase
from gatec.ops import OPS, Kind
from gatec.passes.common import Fresh, bottom_up, is_leaf, temporary, zeros


@dataclass(frozen=True)
class Cotangents:
    """The backward equations as derived, and what each of the results is called.

    `carries`, `grad_params` and `grad_inputs` map a state, parameter or input to its equation;
    parameters and inputs that nothing differentiable reads are left out.
    """

    equations: tuple[Equation, ...]
    carries: tuple[tuple[str, str], ...]
    carry_names: tuple[tuple[str, str], ...]
    grad_params: tuple[tuple[str, str], ...]
    grad_inputs: tuple[tuple[str, str], ...]
    grad_output: str = GRAD_OUTPUTS

    @property
    def roots(self) -> frozenset[str]:
        results = (*self.carries, *self.grad_params, *self.grad_inputs)
        return frozenset(equation for _, equation in results)


def reverse(plan: Cell) -> Cotangents:
    """Differentiate a plan (states at lag 1, inputs at lag 0, primitive operators only)."""
    return _Reverse(plan).run()


class _Reverse:
    def __init__(self, plan: Cell) -> None:
        self.plan = plan
        self.fresh = Fresh.of(plan)
        self.equations: list[Equation] = []
        # What reaches a name: its contributions so far, in the order they are found.
        self.reaching: dict[tuple[str, str], list[Expr]] = {}

    def run(self) -> Cotangents:
        plan = self.plan
        carry_names = tuple((state.name, f"carry_{state.name}") for state in plan.states)
        self._seed(carry_names)
        for equation in reversed(plan.equations):
            self._through(equation)
        carries = []
        for state in plan.states:
            name = f"grad_{state.name}_prev"
            value = self._total(("state", state.name)) or zeros(state.shape)
            self.equations.append(Equation(name, "", value))
            carries.append((state.name, name))
        params = self._results("param", (p.name for p in plan.params), Phase.FINAL)
        inputs = self._results("input", (i.name for i in plan.inputs), Phase.AFTER)
        return Cotangents(tuple(self.equations), tuple(carries), carry_names, params, inputs)

    def _seed(self, carry_names: tuple[tuple[str, str], ...]) -> None:
        """What arrives from outside and from the next step."""
        plan = self.plan
        arriving = [(plan.output, GRAD_OUTPUTS)]
        updates = {state.name: state.update for state in plan.states}
        arriving += [(updates[state], name) for state, name in carry_names]
        for equation, name in arriving:
            ref = plan.equation(equation).ref
            self._add(ref, Ref("grad", name, ref.shape))

    def _results(
        self, kind: str, names: Iterable[str], phase: Phase
    ) -> tuple[tuple[str, str], ...]:
        found = []
        for name in names:
            value = self._total((kind, name))
            if value is not None:
                self.equations.append(Equation(f"grad_{name}", "", value, phase=phase))
                found.append((name, f"grad_{name}"))
        return tuple(found)

    def _total(self, key: tuple[str, str]) -> Expr | None:
        terms = self.reaching.get(key)
        return _sum(terms) if terms else None

    # --- Through one equation ---------------------------------------------------------------

    def _through(self, equation: Equation) -> None:
        """Send an equation's cotangent to what its right side reads."""
        cotangent = self._total(("var", equation.name))
        if cotangent is None or not _differentiable(equation.value):
            return
        made = Equation(f"grad_{equation.name}", "", cotangent)
        self.equations.append(made)
        reaching: dict[Expr, list[Expr]] = {equation.value: [made.ref]}
        matters = _matters(equation.value)
        order = bottom_up(equation.value)
        arguments = {node.children[0] for node in order if _is_function(node)}
        for node in reversed(order):
            if node not in matters or node not in reaching:
                continue
            total = _sum(reaching[node])
            if isinstance(node, Ref):
                self._add(node, total)
                continue
            value = equation.ref if node is equation.value else node
            children = [child for child in set(node.children) if child in matters]
            if len(children) > 1 and not is_leaf(total):
                role = "argument" if node in arguments else "term"
                part = temporary(self.fresh(f"{equation.name}_{role}_grad"), total)
                self.equations.append(part)
                total = part.ref
            for child, sent in zip(node.children, _rule(node, value, total), strict=True):
                if sent is not None and child in matters:
                    reaching.setdefault(child, []).append(_fitted(sent, child))

    def _add(self, ref: Ref, cotangent: Expr) -> None:
        found = self.reaching.setdefault((ref.kind, ref.name), [])
        found.append(_fitted(cotangent, ref))


def _rule(node: Expr, value: Expr, g: Expr) -> tuple[Expr | None, ...]:
    """One cotangent per child of a node whose own is `g`, or None where the derivative is 0."""
    match node:
        case Apply():
            adjoint = OPS[node.op].adjoint
            assert adjoint is not None, f"{node.op} has no derivative"
            sent: tuple[Expr | None, ...] = adjoint(g, value, *node.args)
            return sent
        case Broadcast():
            return (g,)  # summed over the units where it arrives
        case Slice():
            return (_padded(node, g),)
        case Concat():
            return _parts(node, g)
    raise TypeError(f"no derivative through {type(node).__name__}")


def _padded(node: Slice, g: Expr) -> Expr:
    """The cotangent of a slice in its place among zeros."""
    whole, axis = node.arg.shape, node.axis

    def gap(size: Dim) -> list[Expr]:
        shape = (*whole[:axis], size, *whole[axis + 1 :])
        return [zeros(shape)] if size != Dim() else []

    parts = [*gap(node.start), g, *gap(whole[axis] - node.stop)]
    return Concat(tuple(parts), axis) if len(parts) > 1 else g


def _parts(node: Concat, g: Expr) -> tuple[Expr, ...]:
    sent, start = list[Expr](), Dim()
    for part in node.args:
        stop = start + (part.shape[node.axis] if part.shape else 1)
        piece: Expr = Slice(g, node.axis, start, stop)
        sent.append(piece if part.shape else call("sum", piece))
        start = stop
    return tuple(sent)


def _fitted(cotangent: Expr, like: Expr) -> Expr:
    """A cotangent summed over what `like` was repeated over: units, rows of the batch."""
    if cotangent.shape and not like.shape:
        cotangent = call("sum", cotangent)
    if cotangent.batched and not like.batched:
        cotangent = call("batch_sum", cotangent)
    return cotangent


def _sum(terms: list[Expr]) -> Expr:
    return call("add", *terms) if len(terms) > 1 else terms[0]


def _is_function(node: Expr) -> bool:
    """A function of one operand, such as a gate's sigmoid."""
    function = isinstance(node, Apply) and OPS[node.op].kind is Kind.POINTWISE
    return function and len(node.children) == 1


def _differentiable(value: Expr) -> bool:
    return value in _matters(value)


def _matters(value: Expr) -> set[Expr]:
    """The nodes through which a derivative flows to a name."""
    found: set[Expr] = set()
    for node in bottom_up(value):
        if isinstance(node, Ref):
            flows = node.kind != "const"
        elif isinstance(node, Apply):
            row = OPS[node.op]
            stops = node.op == "detach" or (row.kind is Kind.POINTWISE and not row.continuous)
            flows = not stops and any(child in found for child in node.children)
        else:
            flows = any(child in found for child in node.children)
        if flows:
            found.add(node)
    return found

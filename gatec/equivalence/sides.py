"""A cell prepared for comparison: dead states gone, names of its own, normal forms, gates.

Two cells are compared over one set of inputs and states: those of the first. The parameters of
the second carry a prime, so that the names of both never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from gatec.equivalence.normal import Normaliser
from gatec.equivalence.polynomials import Poly
from gatec.equivalence.reductions import indicated
from gatec.expr import Apply, Const, Expr, Ref, Slice, rewrite
from gatec.ir import Cell, Equation, State
from gatec.ops import OPS, Kind
from gatec.passes.common import bottom_up, is_transpose, refs

# Through these a value depends on each operand linearly.
_LINEAR = frozenset({"matvec", "matmul", "outer", "dot", "sum", "transpose", "mul", "neg"})
_ARITHMETIC = frozenset({"add", "mul", "neg", "div", "pow", "detach"})


def mapped(cell: Cell, rule: Callable[[Ref], Expr]) -> Cell:
    """The cell with its references replaced; variables follow their equations."""
    made: list[Equation] = []
    now: dict[str, Ref] = {}

    def node(expr: Expr) -> Expr:
        if not isinstance(expr, Ref):
            return expr
        return now[expr.name] if expr.kind == "var" else rule(expr)

    for equation in cell.equations:
        made.append(replace(equation, value=rewrite(equation.value, node)))
        now[equation.name] = made[-1].ref
    return replace(cell, equations=tuple(made))


def renamed(cell: Cell, params: Mapping[str, str]) -> Cell:
    """The cell with other names for its parameters."""

    def rule(ref: Ref) -> Ref:
        return replace(ref, name=params.get(ref.name, ref.name)) if ref.kind == "param" else ref

    def initial(state: State) -> State:
        name = state.initial.param
        if name is None:
            return state
        return replace(state, initial=replace(state.initial, param=params.get(name, name)))

    made = mapped(cell, rule)
    return replace(
        made,
        params=tuple(replace(p, name=params.get(p.name, p.name)) for p in cell.params),
        states=tuple(map(initial, made.states)),
    )


def over(cell: Cell, inputs: Mapping[str, Ref], states: Mapping[str, tuple[Ref, Fraction]]) -> Cell:
    """The cell reading other inputs, and states that are a multiple of other states."""

    def rule(ref: Ref) -> Expr:
        if ref.kind == "input":
            return inputs[ref.name]
        if ref.kind == "state":
            state, scale = states[ref.name]
            return state if scale == 1 else Const(scale) * state
        return ref

    return mapped(cell, rule)


def with_params(cell: Cell, values: Mapping[str, Expr]) -> Cell:
    """The cell with expressions in place of parameters."""
    return mapped(cell, lambda ref: values.get(ref.name, ref) if ref.kind == "param" else ref)


@dataclass
class Side:
    """A cell's normal forms: of each state's new value and of the output."""

    cell: Cell
    normaliser: Normaliser
    updates: dict[str, Expr]
    output: Expr

    @classmethod
    def of(cls, cell: Cell) -> Side:
        """Raises TooLarge where the normal form is."""
        normaliser = Normaliser(cell.equations)
        updates = {
            state.name: normaliser.expr(cell.equation(state.update).ref) for state in cell.states
        }
        output = normaliser.expr(cell.equation(cell.output).ref)
        return cls(cell, normaliser, updates, output)

    def poly(self, expr: Expr) -> Poly:
        return self.normaliser.poly(expr)

    def results(self) -> dict[str, Expr]:
        """What must agree, by name: the states' new values, and the output under ''."""
        return {**self.updates, "": self.output}

    def gates(self, mine: frozenset[str]) -> list[Expr]:
        """Functions of values with parameters of their own, inner ones first."""
        return [node for node in self.functions() if self._has_parameters(argument(node), mine)]

    def functions(self) -> list[Expr]:
        """Functions of values, unit by unit, inner ones first."""
        found: dict[Expr, None] = {}
        for result in self.results().values():
            for node in bottom_up(result):
                if is_gate(node):
                    found.setdefault(node)
        return list(found)

    def _has_parameters(self, expr: Expr, mine: frozenset[str]) -> bool:
        """Whether an argument depends on a parameter other than through inner functions."""
        return any(
            linear for atom in self.poly(expr).atoms() for _, linear in occurrences(atom, mine)
        )


def is_gate(node: Expr) -> bool:
    """A function, unit by unit, that is no arithmetic."""
    if not isinstance(node, Apply) or OPS[node.op].kind is not Kind.POINTWISE:
        return False
    if node.op == "gt":  # stands inside of an indicator, which is the gate
        return False
    return node.op not in _ARITHMETIC and (node.op != "where" or indicated(node) is not None)


def argument(gate: Expr) -> Expr:
    """What a gate is a function of."""
    value = indicated(gate)
    return gate.children[0] if value is None else value


def parameter(node: Expr, mine: Collection[str] | None) -> Expr | None:
    """A parameter or a view of one, if it is among `mine` (None: any)."""
    base = node
    while isinstance(base, Slice) or is_transpose(base):
        base = base.children[0]
    if not isinstance(base, Ref) or base.kind != "param":
        return None
    return node if mine is None or base.name in mine else None


def occurrences(node: Expr, names: Collection[str] | None) -> Iterator[tuple[Expr, bool]]:
    """Every place of a parameter, and whether the value is linear there. None: any parameter.

    What is nonlinear is told as a whole, without a look inside: nested functions are large.
    """
    if names is not None and not mentions(node, names):
        return
    own = parameter(node, names)
    if own is not None:
        yield own, True
        return
    if not (isinstance(node, Apply) and node.op in _LINEAR):
        if names is not None or parameters(node):
            yield node, False
        return
    for child in node.children:
        yield from occurrences(child, names)


def matrix_product(node: Expr, mine: frozenset[str]) -> tuple[Expr, Expr] | None:
    """`(matrix, vector)` of a product with a parameter among `mine`."""
    if isinstance(node, Apply) and node.op == "matvec":
        matrix, vector = node.args
        if parameter(matrix, mine) is not None:
            return matrix, vector
    return None


def mentions(expr: Expr, names: Collection[str]) -> bool:
    """Whether any parameter of these names occurs anywhere in an expression."""
    return not parameters(expr).isdisjoint(names)


@lru_cache(maxsize=1 << 16)
def parameters(expr: Expr) -> frozenset[str]:
    """The names of the parameters in an expression."""
    return frozenset(ref.name for ref in refs(expr, "param"))

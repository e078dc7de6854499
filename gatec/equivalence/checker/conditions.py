"""What a cell has to be given to be defined, and that a proof never asks for more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from gatec.equivalence.checker.algebra import (
    ONE,
    Algebra,
    Frozen,
    Sum,
    constant,
    frozen,
    plus,
    postorder,
    scaled,
    whole_number,
)
from gatec.equivalence.checker.domains import Bounds
from gatec.expr import Apply, Expr, Ref
from gatec.ops import OPS

# What is asked of a value: ("not zero" | "not negative" | "positive", value), or a real power.
Condition = tuple[str, Frozen] | tuple[str, Frozen, Frozen]

_NEVER_ZERO = frozenset({"exp", "sigmoid", "softplus", "size"})  # but positive


class Conditions:
    """The conditions of one side of a proof. `normal` gives values, rewritten by its steps."""

    def __init__(self, algebra: Algebra, bounds: Bounds, normal: Callable[[Expr], Sum]) -> None:
        self.algebra, self.bounds, self.normal = algebra, bounds, normal
        # Conditions that always hold, by what the values looked like when that was seen.
        self.proved: set[Condition] = set()

    def asked(self, nodes: Iterable[Expr]) -> set[Condition]:
        """What partial operations among nodes ask for; what always holds is remembered."""
        found: set[Condition] = set()
        for node in nodes:
            for kind, value in _partial(node):
                holds = _holds(kind, value, self.bounds) or self._is_positive(kind, value)
                conditions = self._conditions(kind, value)
                if holds:
                    self.proved |= conditions
                else:
                    found |= conditions
        return found

    def _is_positive(self, kind: str, value: Expr) -> bool:
        """Whether a value is a sum of positive terms once it is multiplied out and collected."""
        if kind not in ("not zero", "positive", "not negative"):
            return False
        made = self.algebra.value(value)
        return bool(made) and all(
            count > 0 and all(self.algebra.atoms[atom].op in _NEVER_ZERO for atom, _ in term)
            for term, count in made.items()
        )

    def _conditions(self, kind: str, value: Expr) -> set[Condition]:
        if kind == "power":
            assert isinstance(value, Apply)
            base, exponent = (self.normal(arg) for arg in value.args)
            return {("power", frozen(base), frozen(exponent))}
        made = self.normal(value)
        if kind == "above -1":
            kind, made = "positive", plus(made, ONE)
        if kind == "not zero":
            return not_zero(made, self.algebra)
        return {(kind, frozen(_unit(made)))}


def not_zero(value: Sum, algebra: Algebra) -> set[Condition]:
    """A product is not zero where none of its factors is."""
    if len(value) == 1:
        ((term, _),) = value.items()
        return {
            ("not zero", frozenset({(((atom, 1),), ONE[()])}))
            for atom, _ in term
            if algebra.atoms[atom].op not in _NEVER_ZERO
        }
    if not value:
        return {("not zero", frozen(value))}
    return {("not zero", frozen(scaled(value, 1 / value[max(value)])))}


def _unit(value: Sum) -> Sum:
    """A value up to a positive factor."""
    return scaled(value, 1 / abs(value[max(value)])) if value else value


def implied(conditions: set[Condition], algebra: Algebra) -> set[Condition]:
    """Conditions, and those that follow: what is positive is not zero."""
    made = set(conditions)
    for condition in conditions:
        if condition[0] == "positive":
            made |= not_zero(dict(condition[1]), algebra) | {("not negative", condition[1])}
    for condition in list(made):
        if condition[0] == "not zero":
            made |= _inside_roots(dict(condition[1]), algebra)
    return made


def _inside_roots(value: Sum, algebra: Algebra) -> set[Condition]:
    """Where a root is not zero, what it is the root of is not."""
    if len(value) != 1:
        return set()
    ((term, _),) = value.items()
    made: set[Condition] = set()
    for atom, _ in term:
        if algebra.atoms[atom].op == "sqrt":
            made |= not_zero(dict(algebra.atoms[atom].args[0]), algebra)
    return made


def unguarded(
    roots: Iterable[Expr], quantities: Mapping[str, Expr], behind: Mapping[Expr, Expr]
) -> list[Expr]:
    """The nodes that are computed in any case: outside of the branches of choices."""
    found: list[Expr] = []
    seen: set[Expr] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        found.append(node)
        if isinstance(node, Ref) and node.kind == "var":
            stack.append(quantities[node.name])
        elif node in behind:
            stack.append(behind[node])
        chooses = isinstance(node, Apply) and node.op == "where"
        stack.extend(node.children[:1] if chooses else _below(node))
    return found


def all_nodes(roots: Iterable[Expr]) -> list[Expr]:
    """Every node of expressions, composed functions as what they are composed of."""
    found: list[Expr] = []
    seen: set[Expr] = set()
    pending = list(roots)
    while pending:
        new = postorder(pending, seen)
        found += new
        pending = [inner for node in new for inner in _below(node) if inner not in seen]
    return found


def _below(node: Expr) -> tuple[Expr, ...]:
    if isinstance(node, Apply):
        definition = OPS[node.op].definition
        if definition is not None:
            return (definition(*node.args),)
    return node.children


def _partial(node: Expr) -> list[tuple[str, Expr]]:
    """What a node asks of its operands."""
    if not isinstance(node, Apply):
        return []
    match node.op:
        case "div":
            return [("not zero", node.args[1])]
        case "log":
            return [("positive", node.args[0])]
        case "log1p":
            return [("above -1", node.args[0])]
        case "sqrt":
            return [("not negative", node.args[0])]
        case "pow":
            count = whole_number(Algebra().value(node.args[1]))
            if constant(Algebra().value(node.args[1])) == Fraction(1, 2):
                return [("not negative", node.args[0])]
            if count is None:
                return [("power", node)]
            return [("not zero", node.args[0])] if count < 0 else []
    return []


def _holds(kind: str, value: Expr, bounds: Bounds) -> bool:
    """Whether a condition holds whatever the values."""
    if kind == "power":
        assert isinstance(value, Apply)
        return bounds(value.args[0]).positive
    found = bounds(value)
    match kind:
        case "not zero":
            return found.not_zero
        case "positive":
            return found.positive
        case "not negative":
            return found.not_negative
    return found.low > -1 or (found.low == -1 and found.low_open)

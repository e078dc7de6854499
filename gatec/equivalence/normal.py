"""The normal form of expressions, with every step that leads to it.

An expression is rewritten from the inside out. Arithmetic is done in one go, as polynomials
(`polynomials.py`); everything else by laws (`laws.py`), each an equation between two expressions
that holds for all real values (where both sides are defined). Each use of a law is recorded as a
`Step`, so that a proof can be read, and checked by code that shares nothing with this
(`checker.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from gatec.equivalence import laws
from gatec.equivalence.polynomials import Monomial, Poly, TooLarge
from gatec.equivalence.reductions import reduced
from gatec.equivalence.steps import Step
from gatec.expr import Apply, Broadcast, Const, Expr, Ref
from gatec.ir import Equation
from gatec.passes.common import bottom_up

ARITHMETIC = "arithmetic"
EQUATION = "equation"


class Normaliser:
    """Normal forms over the equations of one cell; `steps` grows with every law that is used.

    Raises TooLarge where a polynomial outgrows its bound or the laws do not come to an end.
    """

    def __init__(self, equations: Iterable[Equation], budget: int = 20_000) -> None:
        self.steps: dict[Expr, Step] = {}
        self.budget = budget
        self._known: dict[Expr, Poly] = {}
        self._values: dict[str, Poly] = {}
        for equation in equations:
            value = self.poly(equation.value)
            self._values[equation.name] = value
            self._record(EQUATION, equation.ref, equation.value)
            self._known[equation.ref] = value

    def expr(self, expr: Expr) -> Expr:
        """The normal form of an expression, as an expression."""
        return self.poly(expr).expr(expr.shape)

    def poly(self, expr: Expr) -> Poly:
        """The normal form of an expression, as a polynomial over atoms."""
        for node in bottom_up(expr):
            if node in self._known:
                continue
            children = tuple(self._known[child].expr(child.shape) for child in node.children)
            made = node.with_children(children) if children else node
            found = self._known.get(made)
            if found is None:
                found = self._node(made)
                self._known[made] = found
            self._known[node] = found
        return self._known[expr]

    # --- One node over children in normal form ----------------------------------------------

    def _node(self, node: Expr) -> Poly:
        self.budget -= 1
        if self.budget < 0:
            raise TooLarge
        if isinstance(node, Ref) and node.kind == "var":
            raise ValueError(f"{node.name} is read before it is computed")
        arithmetic = self._arithmetic(node)
        if arithmetic is not None:
            return self._finished(node, arithmetic)
        found = laws.rewritten(node, self.poly)
        if found is None:
            return self._finished(node, Poly.atom(node))
        law, after = found
        self._record(law, node, after)
        return self.poly(after)

    def _arithmetic(self, node: Expr) -> Poly | None:
        """Sums, products, whole powers and quotients, as polynomials."""
        if isinstance(node, Const):
            return Poly.number(node.value)
        if isinstance(node, Broadcast):
            return self._known[node.arg]
        if not isinstance(node, Apply):
            return None
        parts = [self._known[child] for child in node.args]
        match node.op:
            case "add":
                result = parts[0]
                for part in parts[1:]:
                    result = result + part
                return result
            case "neg":
                return -parts[0]
            case "mul":
                result = parts[0]
                for part in parts[1:]:
                    result = result * part
                return result
            case "div":
                below = inverse(parts[1], node.args[1])
                return None if below is None else parts[0] * below
            case "pow":
                return self._power(parts[0], parts[1], node)
        return None

    def _power(self, base: Poly, exponent: Poly, node: Apply) -> Poly | None:
        number = exponent.constant
        if number is None or number.denominator != 1 or abs(number) > 64:
            return None
        count = abs(int(number))
        if count > 4 and len(base.terms) > 2:
            return None
        factor: Poly | None = base if number >= 0 else inverse(base, node.args[0])
        if factor is None:
            return None
        result = Poly.number(1)
        for _ in range(count):
            result = result * factor
        return result

    def _finished(self, node: Expr, result: Poly) -> Poly:
        """Record the arithmetic, then apply the laws that hold inside of monomials."""
        after = result.expr(node.shape)
        self._record(ARITHMETIC, node, after)
        while True:
            self._known.setdefault(after, result)
            found = reduced(result, node.shape)
            if found is None:
                return result
            self.budget -= 1
            if self.budget < 0:
                raise TooLarge
            law, changed = found
            self._record(law, after, changed)
            again = self.poly(changed)
            self._known[after] = again
            return again

    def _record(self, law: str, before: Expr, after: Expr) -> None:
        if before != after:
            self.steps.setdefault(before, Step(law, before, after))


def inverse(value: Poly, expr: Expr) -> Poly | None:
    """One over a polynomial: of a single monomial its powers turned, else of the sum as an atom.

    The sum is scaled so that its first number is 1. None for zero.
    """
    if not value:
        return None
    (monomial, number), *rest = value.ordered()
    if not rest:
        turned: Monomial = tuple((atom, -power) for atom, power in monomial)
        return Poly({turned: 1 / number})
    shape = expr.shape if any(a.rank == expr.rank for a in value.atoms()) else ()
    whole = value.scaled(1 / number).expr(shape)
    return Poly({((whole, -1),): 1 / number})

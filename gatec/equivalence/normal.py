"""The normal form of expressions, with every step that leads to it.

An expression is rewritten from the inside out. Sums and products are computed in one go, as
polynomials (`polynomials.py`), over values in normal form; everything else is rewritten by laws:
of single nodes (`laws.py`) and of products (`reductions.py`). Each law is an equation between two
expressions that holds for all real values (where both sides are defined), and each use of one is
recorded as a `Step`, so that a proof can be read, and checked by code that shares nothing with
this (`checker/`).
"""

from __future__ import annotations

from collections.abc import Iterable

from gatec.equivalence import laws
from gatec.equivalence.polynomials import Monomial, Poly, TooLarge, interned, total
from gatec.equivalence.reductions import reduced
from gatec.equivalence.steps import Step
from gatec.expr import Apply, Broadcast, Const, Expr, Ref
from gatec.ir import Equation

ARITHMETIC = "arithmetic"
EQUATION = "equation"
_SUMS = frozenset({"add", "neg", "mul"})


class Normaliser:
    """Normal forms over the equations of one cell; `steps` grows with every law that is used.

    Raises TooLarge where a polynomial outgrows its bound or the laws do not come to an end.
    """

    def __init__(self, equations: Iterable[Equation], budget: int = 20_000) -> None:
        self.steps: dict[Expr, Step] = {}
        self.budget = budget
        self._known: dict[Expr, Poly] = {}
        # Sums and products before laws about products are applied.
        self._raw: dict[Expr, Poly] = {}
        # Products of atoms that a law rewrites, and what they are then; None where none does.
        self._products: dict[Monomial, Poly | None] = {}
        for equation in equations:
            value = self.poly(equation.value)
            self._record(EQUATION, equation.ref, equation.value)
            self._known[equation.ref] = value
            if _is_sum(equation.value):  # no law is needed for it; it is there to be read
                before, after = self._over_normal(equation.value), self._raw[equation.value]
                self._record(ARITHMETIC, before, after.expr(before.shape))

    def expr(self, expr: Expr) -> Expr:
        """The normal form of an expression, as an expression."""
        return self.poly(expr).expr(expr.shape)

    def poly(self, expr: Expr) -> Poly:
        """The normal form of an expression, as a polynomial over atoms."""
        known = self._known
        found = known.get(expr)
        if found is not None:
            return found
        stack = [(expr, False)]
        while stack:
            node, ready = stack.pop()
            if node in known:
                continue
            below = _operands(node)
            if ready or not below:
                known[node] = self._node(node)
            else:
                stack.append((node, True))
                stack.extend((child, False) for child in below)
        return known[expr]

    # --- One node over normal forms ---------------------------------------------------------------

    def _node(self, node: Expr) -> Poly:
        self._spend()
        if _is_sum(node):
            return self._finished(self._sum(node))
        if isinstance(node, Ref) and node.kind == "var":
            raise ValueError(f"{node.name} is read before it is computed")
        if isinstance(node, Apply) and node.op in ("div", "pow"):
            value = self._quotient(node)
            if value is not None:
                return self._finished(value)
        made = self._over_normal(node)
        found = self._known.get(made)
        if found is None:
            rewritten = laws.rewritten(made, self.poly)
            if rewritten is None:
                found = Poly.atom(interned(made))
            else:
                law, after = rewritten
                self._record(law, made, after)
                found = self.poly(after)
            self._known[made] = found
        return found

    def _over_normal(self, node: Expr) -> Expr:
        """A node with normal forms in place of its operands."""
        if not _is_sum(node):
            return node.with_children(tuple(self._normal(child) for child in node.children))
        done: dict[Expr, Expr] = {}
        stack = [(node, False)]
        while stack:
            inner, ready = stack.pop()
            if inner in done:
                continue
            if not _is_sum(inner):
                done[inner] = self._normal(inner)
            elif ready or not inner.children:
                done[inner] = inner.with_children(tuple(done[child] for child in inner.children))
            else:
                stack.append((inner, True))
                stack.extend((child, False) for child in inner.children)
        return done[node]

    def _normal(self, expr: Expr) -> Expr:
        value = self._known[expr]
        made = value.expr(expr.shape)
        self._known.setdefault(made, value)
        return made

    def _sum(self, node: Expr) -> Poly:
        """Sums and products, all the way down to what is neither, as a polynomial."""
        raw = self._raw
        stack = [(node, False)]
        while stack:
            inner, ready = stack.pop()
            if inner in raw:
                continue
            if not _is_sum(inner):
                raw[inner] = self._known[inner]
            elif ready or not inner.children:
                raw[inner] = _arithmetic(inner, [raw[child] for child in inner.children])
            else:
                stack.append((inner, True))
                stack.extend((child, False) for child in inner.children)
        return raw[node]

    def _quotient(self, node: Apply) -> Poly | None:
        """A quotient or a whole power as a polynomial; None for others."""
        base, other = (self._known[child] for child in node.args)
        if node.op == "div":
            below = self._inverse(other)
            return None if below is None else base * below
        number = other.constant
        if number is None or number.denominator != 1 or abs(number) > 64:
            return None
        count = abs(int(number))
        if count > 4 and len(base.terms) > 2:
            return None
        factor: Poly | None = base if number >= 0 else self._inverse(base)
        if factor is None:
            return None
        result = Poly.number(1)
        for _ in range(count):
            result = result * factor
        return result

    def _inverse(self, value: Poly) -> Poly | None:
        """One over a polynomial; None for zero.

        Of a single monomial its powers turned, else of the sum as an atom, scaled so that its
        first number is 1.
        """
        if not value:
            return None
        (monomial, number), *rest = value.ordered()
        if rest:
            scaled = value.scaled(1 / number)
            whole = scaled.whole()
            self._known.setdefault(whole, scaled)
            return Poly({((whole, -1),): 1 / number})
        sums = [item for item in monomial if isinstance(item[0], Apply) and item[0].op == "add"]
        left: Monomial = tuple(
            (atom, -power) for atom, power in monomial if (atom, power) not in sums
        )
        result = Poly({left: 1 / number})
        for atom, power in sums:
            for _ in range(-power):
                result = result * self.poly(atom)
        return result

    # --- Laws about products ----------------------------------------------------------------------

    def _finished(self, value: Poly) -> Poly:
        """A polynomial once every product in it is rewritten by the laws about products."""
        changed = {m: made for m in value.terms if (made := self._rewritten(m)) is not None}
        if not changed:
            return value
        parts = [Poly({m: c for m, c in value.terms.items() if m not in changed})]
        parts += [made.scaled(value.terms[monomial]) for monomial, made in changed.items()]
        return total(parts)

    def _rewritten(self, monomial: Monomial) -> Poly | None:
        """What a product of atoms is by a law about them; None where there is none."""
        if monomial not in self._products:
            self._products[monomial] = None
            found = reduced(monomial)
            if found is not None:
                self._spend()
                law, before, after = found
                self._record(law, before, after)
                self._products[monomial] = self.poly(after)
        return self._products[monomial]

    def _spend(self) -> None:
        self.budget -= 1
        if self.budget < 0:
            raise TooLarge

    def _record(self, law: str, before: Expr, after: Expr) -> None:
        if before != after:
            self.steps.setdefault(before, Step(law, before, after))


def _is_sum(node: Expr) -> bool:
    """What is computed as one polynomial with the sums and products inside."""
    return node.op in _SUMS if isinstance(node, Apply) else isinstance(node, Const | Broadcast)


def _operands(node: Expr) -> list[Expr]:
    """What has to be in normal form before a node: what its sums and products are over."""
    if not _is_sum(node):
        return list(node.children)
    found: list[Expr] = []
    seen: set[Expr] = set()
    stack = list(node.children)
    while stack:
        inner = stack.pop()
        if inner in seen:
            continue
        seen.add(inner)
        if _is_sum(inner):
            stack.extend(inner.children)
        else:
            found.append(inner)
    return found


def _arithmetic(node: Expr, parts: list[Poly]) -> Poly:
    if isinstance(node, Const):
        return Poly.number(node.value)
    if isinstance(node, Broadcast):
        return parts[0]
    assert isinstance(node, Apply)
    if node.op == "add":
        return total(parts)
    if node.op == "neg":
        return -parts[0]
    result = parts[0]
    for part in parts[1:]:
        result = result * part
    return result

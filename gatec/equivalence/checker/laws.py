"""What each law says, and whether a step is an instance of it.

Every check is made from the step's two sides alone: what the law makes of the left side is worked
out anew, or both sides are reduced to one form in which the law is arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import permutations

from gatec.equivalence.checker import layout
from gatec.equivalence.checker.algebra import (
    ARITHMETIC,
    ONE,
    Algebra,
    Sum,
    Term,
    constant,
    minus,
    number,
    plus,
    scaled,
    thawed,
    times,
)
from gatec.equivalence.checker.exponentials import Exponentials
from gatec.equivalence.checker.pieces import Cases, is_condition, signs_in
from gatec.equivalence.checker.tensors import Tensors
from gatec.expr import Apply, Broadcast, Concat, Const, Expr, Identity, SizeValue, Slice
from gatec.ops import OPS, Kind

_AT_ZERO = {
    "sigmoid": number(Fraction(1, 2)),
    "exp": ONE,
    "cos": ONE,
    **dict.fromkeys(("sin", "arctan", "erf", "sqrt", "relu", "tanh", "abs"), number(0)),
}
_ODD = frozenset({"sin", "arctan", "erf", "tanh"})
_EVEN = frozenset({"cos", "abs"})


class Laws:
    """The laws, over one set of atoms. `holds` says whether a step is an instance of its law."""

    def __init__(self, algebra: Algebra) -> None:
        self.algebra = algebra
        self.tensors = Tensors(algebra)
        self._inwards: dict[Expr, Expr] = {}

    def holds(self, law: str, before: Expr, after: Expr) -> bool | None:
        """None where there is no such law (or none about expressions alone)."""
        check = _CHECKS.get(law)
        return None if check is None else check(self, before, after)

    # --- Arithmetic and definitions -----------------------------------------------------------

    def arithmetic(self, before: Expr, after: Expr) -> bool:
        plain = isinstance(before, Const | Broadcast | SizeValue)
        if not plain and not (isinstance(before, Apply) and before.op in ARITHMETIC):
            return False
        return self._equal(before, after)

    def broadcast(self, before: Expr, after: Expr) -> bool:
        spread = any(isinstance(arg, Broadcast) for arg in before.children)
        return spread and isinstance(after, Broadcast) and self._equal(before, after)

    def definition(self, before: Expr, after: Expr) -> bool:
        if not isinstance(before, Apply):
            return False
        meaning = OPS[before.op].definition
        return meaning is not None and self._equal(meaning(*before.args), after)

    def share_of_a_sum(self, before: Expr, after: Expr) -> bool:
        return self._divided(before) and self._equal(before, after)

    def root(self, before: Expr, after: Expr) -> bool:
        """sqrt(u^2) = |u|, u^(1/2) = sqrt(u)."""
        if _is_op(before, "sqrt") and _is_op(after, "abs"):
            inner = self._value(after.children[0])
            return self._is(before.children[0], times(inner, inner))
        if _is_op(before, "pow") and constant(self._value(before.children[1])) == Fraction(1, 2):
            return self._is(after, self.algebra.function("sqrt", self._value(before.children[0])))
        return False

    def square_of_a_root(self, before: Expr, after: Expr) -> bool:
        left = self._value(before)
        return self._squared(left) != left and self.algebra.same(
            self._squared(left), self._squared(self._value(after))
        )

    def _squared(self, value: Sum) -> Sum:
        """Squares of roots replaced by what the roots are of."""
        parts: list[Sum] = []
        for term, count in value.items():
            made: Sum = {(): count}
            for atom, exponent in term:
                meaning = self.algebra.atoms[atom]
                if meaning.op == "sqrt" and abs(exponent) > 1:
                    inner = thawed(meaning.args[0])
                    base = inner if exponent > 0 else self.algebra.inverse(inner)
                    for _ in range(abs(exponent) // 2):
                        made = times(made, base)
                    exponent = (abs(exponent) % 2) * (1 if exponent > 0 else -1)
                if exponent:
                    made = times(made, {((atom, exponent),): Fraction(1)})
            parts.append(made)
        return plus(*parts)

    # --- Functions ------------------------------------------------------------------------------

    def tanh(self, before: Expr, after: Expr) -> bool:
        arg = self._argument(before, "tanh")
        if arg is None:
            return False
        gate = self.algebra.function("sigmoid", scaled(arg, Fraction(2)))
        return self._is(after, minus(scaled(gate, Fraction(2)), ONE))

    def complement(self, before: Expr, after: Expr) -> bool:
        arg = self._argument(before, "sigmoid")
        if arg is None:
            return False
        return self._is(after, minus(ONE, self.algebra.function("sigmoid", _negative(arg))))

    def value_at_zero(self, before: Expr, after: Expr) -> bool:
        if not isinstance(before, Apply):
            return False
        if before.op == "where":
            return self._constant_choice(before, after)
        arg = self._argument(before, before.op)
        if before.op == "sign":
            fixed = constant(self._value(before.args[0]))
            return fixed is not None and self._is(after, number((fixed > 0) - (fixed < 0)))
        return before.op in _AT_ZERO and arg == {} and self._is(after, _AT_ZERO[before.op])

    def _constant_choice(self, before: Apply, after: Expr) -> bool:
        condition = before.args[0]
        if not isinstance(condition, Apply) or len(condition.args) != 2:
            return False
        about = minus(*(self._value(arg) for arg in condition.args))
        return constant(about) is not None and self._by_cases(about, before, after)

    def odd_function(self, before: Expr, after: Expr) -> bool:
        return self._mirrored(before, after, _ODD, -1)

    def even_function(self, before: Expr, after: Expr) -> bool:
        return self._mirrored(before, after, _EVEN, 1)

    def _mirrored(self, before: Expr, after: Expr, ops: frozenset[str], sign: int) -> bool:
        if not isinstance(before, Apply) or before.op not in ops:
            return False
        made = self.algebra.function(before.op, _negative(self._value(before.args[0])))
        return self._is(after, scaled(made, Fraction(sign)))

    def softplus(self, before: Expr, after: Expr) -> bool:
        arg = self._argument(before, "softplus")
        if arg is None:
            return False
        return self._is(after, plus(self.algebra.function("softplus", _negative(arg)), arg))

    def logarithm(self, before: Expr, after: Expr) -> bool:
        """log(u) = v where exp(v) is u; log1p(u) = log(1 + u)."""
        if not isinstance(before, Apply) or before.op not in ("log", "log1p"):
            return False
        arg = self._value(before.args[0])
        if before.op == "log1p":
            return self._is(after, self.algebra.function("log", plus(arg, ONE)))
        back = self.algebra.function("exp", self._value(after))
        return Exponentials(self.algebra, logistic=True).same(back, arg)

    def exponential(self, before: Expr, after: Expr) -> bool:
        if not isinstance(before, Apply):
            return False
        if before.op == "expm1":
            made = self.algebra.function("exp", self._value(before.args[0]))
            return self._is(after, minus(made, ONE))
        return before.op == "exp" and self._as_exponentials(before, after, logistic=True)

    def exponential_of_a_sum(self, before: Expr, after: Expr) -> bool:
        held = any(self.algebra.atoms[atom].op == "exp" for atom, _ in self._powers(before))
        return held and self._as_exponentials(before, after, logistic=False)

    def gate_and_exponential(self, before: Expr, after: Expr) -> bool:
        held = any(self.algebra.atoms[atom].op == "sigmoid" for atom, _ in self._powers(before))
        return held and self._as_exponentials(before, after, logistic=True)

    def logistic_function(self, before: Expr, after: Expr) -> bool:
        divided = any(exponent < 0 for _, exponent in self._powers(before))
        return divided and self._as_exponentials(before, after, logistic=True)

    def _as_exponentials(self, before: Expr, after: Expr, *, logistic: bool) -> bool:
        made = Exponentials(self.algebra, logistic=logistic)
        return made.same(self._value(before), self._value(after))

    # --- Signs ----------------------------------------------------------------------------------

    def rectifier(self, before: Expr, after: Expr) -> bool:
        return not self._holds_relu(after) and self._about_argument(before, after, "relu")

    def rectifier_of_a_negative(self, before: Expr, after: Expr) -> bool:
        return self._holds_relu(after) and self._about_argument(before, after, "relu")

    def _holds_relu(self, expr: Expr) -> bool:
        return any(self.algebra.atoms[atom].op == "relu" for atom, _ in self._powers(expr))

    def _powers(self, expr: Expr) -> set[tuple[int, int]]:
        """The atoms of a value with their powers."""
        return {power for term in self._value(expr) for power in term}

    def absolute_value(self, before: Expr, after: Expr) -> bool:
        return self._about_argument(before, after, "abs")

    def _about_argument(self, before: Expr, after: Expr, op: str) -> bool:
        arg = self._argument(before, op)
        return arg is not None and self._by_cases(arg, before, after)

    def maximum(self, before: Expr, after: Expr) -> bool:
        return self._about_difference(before, after, {"max"})

    def minimum(self, before: Expr, after: Expr) -> bool:
        return self._about_difference(before, after, {"min"})

    def comparison(self, before: Expr, after: Expr) -> bool:
        return self._about_difference(before, after, {"gt", "ge", "lt", "le", "eq"})

    def _about_difference(self, before: Expr, after: Expr, ops: set[str]) -> bool:
        if not isinstance(before, Apply) or before.op not in ops:
            return False
        about = minus(*(self._value(arg) for arg in before.args))
        return self._by_cases(about, before, after)

    def sign(self, before: Expr, after: Expr) -> bool:
        return self._about_argument(before, after, "sign")

    def scale_of_a_sign(self, before: Expr, after: Expr) -> bool:
        return _is_op(after, "where") and self._is_about_a_choice(before, after)

    def sign_of_a_negative(self, before: Expr, after: Expr) -> bool:
        return not _is_op(after, "where") and self._is_about_a_choice(before, after)

    def _is_about_a_choice(self, before: Expr, after: Expr) -> bool:
        return _is_op(before, "where") and self._by_indicators(before, after)

    def sign_of_exponentials(self, before: Expr, after: Expr) -> bool:
        """[exp(u) - exp(v) > 0] = [u - v > 0], exp(u) = exp(v) where u - v = 0."""
        one, other = before, after
        if _is_op(before, "where") and _is_op(after, "where"):
            if before.children[1:] != after.children[1:]:
                return False
            one, other = before.children[0], after.children[0]
        if not isinstance(one, Apply) or not isinstance(other, Apply):
            return False
        if one.op != other.op or one.op not in ("gt", "eq"):
            return False
        exponents = self._compared(minus(*map(self._value, one.args)))
        made = minus(*map(self._value, other.args))
        if exponents is None:
            return False
        return made == exponents or (one.op == "eq" and made == _negative(exponents))

    def _compared(self, value: Sum) -> Sum | None:
        """`u - v` of c exp(u) - c exp(v) for c > 0; exp(0) is 1."""
        if len(value) != 2:
            return None
        (one, count), (other, opposite) = value.items()
        if count + opposite:
            return None
        above, below = (one, other) if count > 0 else (other, one)
        first, second = self._exponent(above), self._exponent(below)
        return None if first is None or second is None else minus(first, second)

    def _exponent(self, term: Term) -> Sum | None:
        """`u` of exp(u), or None."""
        if not term:
            return {}
        if len(term) != 1 or term[0][1] != 1:
            return None
        meaning = self.algebra.atoms[term[0][0]]
        return thawed(meaning.args[0]) if meaning.op == "exp" else None

    def choice_inside(self, before: Expr, after: Expr) -> bool:
        known = _is_op(before, "exp", "sigmoid", "softplus", "where")
        return (known or self._divided(before)) and self._by_indicators(before, after)

    def _divided(self, expr: Expr) -> bool:
        """Whether a value is divided by a sum."""
        return any(
            self.algebra.atoms[atom].op == "whole" and exponent < 0
            for atom, exponent in self._powers(expr)
        )

    def indicator_squared(self, before: Expr, after: Expr) -> bool:
        squared = any(
            exponent > 1 and self.algebra.atoms[atom].op == "where"
            for atom, exponent in self._powers(before)
        )
        return squared and self._by_indicators(before, after)

    def signs_of_one_value(self, before: Expr, after: Expr) -> bool:
        return self._choices(before) > 1 and self._by_indicators(before, after)

    def signs_of_a_sum(self, before: Expr, after: Expr) -> bool:
        """[v > 0] [u + v > 0] = [u + v > 0] + [u > 0] [v > 0] - [u > 0] [u + v > 0]."""
        value = self._value(before)
        if len(value) != 1:
            return False
        ((term, count),) = value.items()
        signs = {atom: self._positive(atom) for atom, exponent in term if exponent == 1}
        for one, other in permutations([atom for atom, v in signs.items() if v is not None], 2):
            whole, part = signs[one], signs[other]
            assert whole is not None
            assert part is not None
            rest = {tuple(item for item in term if item[0] not in (one, other)): count}
            both: Sum = {((one, 1),): Fraction(1)}
            second: Sum = {((other, 1),): Fraction(1)}
            third = self._indicator(minus(whole, part))
            made = plus(both, times(third, minus(second, both)))
            if self._is(after, times(rest, made)):
                return True
        return False

    def _indicator(self, value: Sum) -> Sum:
        """1 where a value is positive, else 0."""
        return self.algebra.function("where", self.algebra.function("gt", value, {}), ONE, {})

    def _positive(self, atom: int) -> Sum | None:
        """`u` of an atom that is 1 where u > 0, else 0; None of others."""
        for inner, _ in (
            item for arg in self.algebra.atoms[atom].args for t, _ in arg for item in t
        ):
            compared = self.algebra.atoms[inner]
            if compared.op == "gt" and not compared.args[1]:
                about = thawed(compared.args[0])
                return about if self._indicator(about) == {((atom, 1),): Fraction(1)} else None
        return None

    def at_zero(self, before: Expr, after: Expr) -> bool:
        return self._choices(before) > 0 and self._by_indicators(before, after)

    def _choices(self, expr: Expr) -> int:
        """How many choices are factors in a product; 0 for a choice alone."""
        if _is_op(expr, "where"):
            return 0
        return sum(self.algebra.atoms[atom].op == "where" for atom, _ in self._powers(expr))

    def _by_indicators(self, before: Expr, after: Expr) -> bool:
        """Whether both sides agree in all cases of the sign of one of the indicators."""
        return any(
            self._by_cases(about, before, after)
            for about in signs_in(self.algebra, self._value(before))
        )

    def choice(self, before: Expr, after: Expr) -> bool:
        """where(c, u, v) = v + c (u - v), where c is 0 or 1."""
        if not isinstance(before, Apply) or before.op != "where":
            return False
        condition, one, other = (self._value(arg) for arg in before.args)
        if not is_condition(self.algebra, condition):
            return False
        as_number = self.algebra.function("where", condition, ONE, {})
        difference = minus(one, other)
        return any(
            self._is(after, plus(other, times(chosen, difference)))
            for chosen in (condition, as_number)
        )

    def _by_cases(self, about: Sum, before: Expr, after: Expr) -> bool:
        return Cases(self.algebra, about).agree(self._value(before), self._value(after))

    # --- Linear algebra -------------------------------------------------------------------------

    def linearity(self, before: Expr, after: Expr) -> bool:
        if not isinstance(before, Apply) or before.op not in (
            "matvec",
            "matmul",
            "outer",
            "sum",
            "transpose",
        ):
            return False
        return self._distributes(before) and self.tensors.same(before, after)

    def _distributes(self, node: Apply) -> bool:
        """Whether an operand is a sum, a multiple, or has a scalar in it."""
        inner = node.args[0]
        if node.op == "sum" and isinstance(inner, Apply) and inner.op == "outer":
            return True
        return any(not self._is_single(self._value(arg)) for arg in node.args)

    def _is_single(self, value: Sum) -> bool:
        if len(value) != 1:
            return False
        ((term, count),) = value.items()
        return bool(term) and count == 1 and all(self.algebra.atoms[a].rank for a, _ in term)

    def inner_product(self, before: Expr, after: Expr) -> bool:
        return _is_op(before, "dot") and self.tensors.same(before, after)

    def association(self, before: Expr, after: Expr) -> bool:
        if not _is_op(before, "matvec", "matmul") or not _is_op(before.children[0], "matmul"):
            return False
        return self.tensors.same(before, after)

    def outer_product(self, before: Expr, after: Expr) -> bool:
        if not _is_op(before, "matvec", "matmul"):
            return False
        if not any(_is_op(arg, "outer") for arg in before.children):
            return False
        return self._equal_as_tensors(before, after)

    def identity(self, before: Expr, after: Expr) -> bool:
        if not _is_op(before, "matvec", "matmul"):
            return False
        if not any(isinstance(arg, Identity) for arg in before.children):
            return False
        return self.tensors.same(before, after)

    def scaled_rows_and_columns(self, before: Expr, after: Expr) -> bool:
        if not _is_op(before, "matvec") or not _is_op(before.children[0], "mul"):
            return False
        if not any(_is_op(factor, "outer") for factor in before.children[0].children):
            return False
        return self.tensors.same(before, after)

    def transposition(self, before: Expr, after: Expr) -> bool:
        return _is_op(before, "transpose") and self._equal_as_tensors(before, after)

    def slice(self, before: Expr, after: Expr) -> bool:
        return isinstance(before, Slice) and self._equal_inwards(before, after)

    def join(self, before: Expr, after: Expr) -> bool:
        """f([u; v]) = [f(u); f(v)], sum([u; v]) = sum(u) + sum(v)."""
        if not isinstance(before, Apply):
            return False
        if before.op == "sum" and isinstance(before.args[0], Concat):
            return self._equal_as_tensors(_total(before.args[0]), after)
        if OPS[before.op].kind is not Kind.POINTWISE or not isinstance(after, Concat):
            return False
        made: list[Expr] = []
        start = layout.NONE
        for part in after.args:
            stop = start + layout.length(part, after.axis)
            made.append(layout.cut(before, after.axis, start, stop))
            start = stop
        return self._equal_inwards(Concat(tuple(made), after.axis), after)

    def blocks(self, before: Expr, after: Expr) -> bool:
        """M [u; v] = M_1 u + M_2 v, and the same for a join times other vectors."""
        if not isinstance(before, Apply) or before.op != "matvec":
            return False
        matrix, vector = before.args
        join = next((factor for factor in _factors(vector) if isinstance(factor, Concat)), None)
        if join is None:
            return False
        terms: list[Expr] = []
        start = layout.NONE
        for part in join.args:
            stop = start + layout.length(part, 0)
            columns = layout.cut(matrix, 1, start, stop)
            terms.append(Apply("matvec", (columns, layout.cut(vector, 0, start, stop))))
            start = stop
        whole = Apply("add", tuple(terms)) if len(terms) > 1 else terms[0]
        return self._equal_inwards(whole, after)

    # --- Comparing ------------------------------------------------------------------------------

    def _value(self, expr: Expr) -> Sum:
        return self.algebra.value(expr)

    def _argument(self, expr: Expr, op: str) -> Sum | None:
        return self._value(expr.args[0]) if isinstance(expr, Apply) and expr.op == op else None

    def _is(self, expr: Expr, value: Sum) -> bool:
        return self.algebra.same(self._value(expr), value)

    def _equal(self, one: Expr, other: Expr) -> bool:
        return self.algebra.same(self._value(one), self._value(other))

    def _equal_inwards(self, one: Expr, other: Expr) -> bool:
        return self._equal(*(layout.inwards(side, self._inwards) for side in (one, other)))

    def _equal_as_tensors(self, one: Expr, other: Expr) -> bool:
        return self.tensors.same(*(layout.inwards(side, self._inwards) for side in (one, other)))


def _total(join: Concat) -> Expr:
    sums = tuple(Apply("sum", (part,)) if part.shape else part for part in join.args)
    return Apply("add", sums) if len(sums) > 1 else sums[0]


def _negative(value: Sum) -> Sum:
    return scaled(value, Fraction(-1))


def _is_op(expr: Expr, *ops: str) -> bool:
    return isinstance(expr, Apply) and expr.op in ops


def _factors(expr: Expr) -> tuple[Expr, ...]:
    return expr.children if _is_op(expr, "mul") else (expr,)


_CHECKS: dict[str, Callable[[Laws, Expr, Expr], bool]] = {
    "arithmetic": Laws.arithmetic,
    "broadcast": Laws.broadcast,
    "definition": Laws.definition,
    "tanh": Laws.tanh,
    "complement": Laws.complement,
    "value at zero": Laws.value_at_zero,
    "odd function": Laws.odd_function,
    "even function": Laws.even_function,
    "rectifier": Laws.rectifier,
    "rectifier of a negative": Laws.rectifier_of_a_negative,
    "absolute value": Laws.absolute_value,
    "maximum": Laws.maximum,
    "minimum": Laws.minimum,
    "comparison": Laws.comparison,
    "scale of a sign": Laws.scale_of_a_sign,
    "choice": Laws.choice,
    "softplus": Laws.softplus,
    "logarithm": Laws.logarithm,
    "exponential": Laws.exponential,
    "exponential of a sum": Laws.exponential_of_a_sum,
    "indicator squared": Laws.indicator_squared,
    "square of a root": Laws.square_of_a_root,
    "gate and exponential": Laws.gate_and_exponential,
    "logistic function": Laws.logistic_function,
    "share of a sum": Laws.share_of_a_sum,
    "signs of one value": Laws.signs_of_one_value,
    "signs of a sum": Laws.signs_of_a_sum,
    "at zero": Laws.at_zero,
    "sign": Laws.sign,
    "sign of a negative": Laws.sign_of_a_negative,
    "sign of exponentials": Laws.sign_of_exponentials,
    "choice inside": Laws.choice_inside,
    "root": Laws.root,
    "join": Laws.join,
    "linearity": Laws.linearity,
    "inner product": Laws.inner_product,
    "blocks": Laws.blocks,
    "slice": Laws.slice,
    "transposition": Laws.transposition,
    "association": Laws.association,
    "outer product": Laws.outer_product,
    "identity": Laws.identity,
    "scaled rows and columns": Laws.scaled_rows_and_columns,
}
NAMES = frozenset({*_CHECKS, "equation"})

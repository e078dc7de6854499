"""Laws inside of monomials: what products of certain atoms are.

    exp(u) exp(v) = exp(u + v)            a square root times itself
    [u > 0] [u > 0] = [u > 0]             u / (u + v) = 1 - v / (u + v)
    u [u = 0] = 0                         1 / (exp(u) + exp(v)) = exp(-u) sigmoid(u - v)
    exp(u) sigmoid(u) = exp(u) - sigmoid(u)    [u > 0] [u - 1 > 0] = [u - 1 > 0]
    [v > 0] [u + v > 0] = [u + v > 0] + [u > 0] ([v > 0] - [u + v > 0])

`reduced` finds the first that applies to a product; `[u > 0]` is written `where(u > 0, 1, 0)`.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

from gatec.equivalence.polynomials import Monomial, degree, power_of, product, times
from gatec.expr import Apply, Broadcast, Const, Expr, Shape, call
from gatec.ops import OPS, Kind

ONE, ZERO = Const(Fraction(1)), Const(Fraction(0))


def indicator(value: Expr) -> Expr:
    """1 where a value is positive, else 0."""
    return Apply("where", (Apply("gt", (value, ZERO)), ONE, ZERO))


def indicated(atom: Expr) -> Expr | None:
    """`u` of `[u > 0]`, or None where an atom is no such indicator."""
    if isinstance(atom, Apply) and atom.op == "where" and atom.args[1:] == (ONE, ZERO):
        condition = atom.args[0]
        if isinstance(condition, Apply) and condition.op == "gt" and condition.args[1] == ZERO:
            return condition.args[0]
    return None


def equated(atom: Expr) -> Expr | None:
    """`u` of [u = 0], or None where an atom is no such choice."""
    if is_choice(atom):
        condition = atom.children[0]
        if isinstance(condition, Apply) and condition.op == "eq" and condition.args[1] == ZERO:
            return condition.args[0]
    return None


def is_zero(value: Expr) -> Expr:
    """1 where a value is 0, else 0."""
    return Apply("where", (Apply("eq", (value, ZERO)), ONE, ZERO))


def is_choice(atom: Expr) -> bool:
    """An atom that is 1 where a comparison holds, else 0."""
    if not isinstance(atom, Apply) or atom.op != "where" or atom.args[1:] != (ONE, ZERO):
        return False
    return _is(atom.args[0], "gt") or _is(atom.args[0], "eq")


def reduced(monomial: Monomial) -> tuple[str, Expr, Expr] | None:
    """The law about a product of atoms, the product, and what it is by the law; or None."""
    if not monomial or (len(monomial) == 1 and monomial[0][1] == 1):
        return None
    for law in _LAWS:
        found = law(monomial)
        if found is not None:
            name, after = found
            before = product(monomial)
            assert before is not None
            return name, before, _spread(after, before.shape)
    return None


def _spread(value: Expr, shape: Shape) -> Expr:
    return value if value.shape == shape else Broadcast(value, shape)


def _is(atom: Expr, op: str) -> bool:
    return isinstance(atom, Apply) and atom.op == op


def _product(parts: list[Expr]) -> Expr:
    return ONE if not parts else call("mul", *parts) if parts[1:] else parts[0]


def _factors(monomial: Monomial) -> list[Expr]:
    """A monomial's atoms, each as an expression with its power."""
    return [power_of(atom, power) for atom, power in monomial]


def _exponentials(monomial: Monomial) -> tuple[str, Expr] | None:
    """All exponentials of one rank in a monomial are one, to the first power."""
    found = [(atom, power) for atom, power in monomial if _is(atom, "exp")]
    for rank in {atom.rank for atom, _ in found}:
        same = [(atom, power) for atom, power in found if atom.rank == rank]
        if len(same) == 1 and same[0][1] == 1:
            continue
        rest = tuple(item for item in monomial if item not in same)
        terms = [
            call("mul", Const(Fraction(power)), atom.children[0])
            if power != 1
            else atom.children[0]
            for atom, power in same
        ]
        joined = Apply("exp", (call("add", *terms) if terms[1:] else terms[0],))
        return "exponential of a sum", _product([*_factors(rest), joined])
    return None


def _idempotent(monomial: Monomial) -> tuple[str, Expr] | None:
    for index, (atom, power) in enumerate(monomial):
        if power > 1 and is_choice(atom):
            rest = monomial[:index] + monomial[index + 1 :]
            return "indicator squared", _product([*_factors(rest), atom])
    return None


def _signs(monomial: Monomial) -> tuple[str, Expr] | None:
    """Two comparisons with 0 of values that differ by a number: one decides, or none can hold."""
    found = [
        (atom, value)
        for atom, power in monomial
        if power > 0 and (value := indicated(atom) or equated(atom)) is not None
    ]
    for index, (one, value) in enumerate(found):
        number, line = _line(value)
        for other, second in found[index + 1 :]:
            shift, direction = _line(second)
            if direction != line:
                continue
            kept = _both(one, number, other, shift)
            rest = tuple(item for item in monomial if item[0] not in (one, other))
            return "signs of one value", _product([*_factors(rest), kept])
    return None


def _both(one: Expr, number: Fraction, other: Expr, shift: Fraction) -> Expr:
    """What is left of two comparisons of u + number and u + shift with 0."""
    if equated(one) is not None and equated(other) is not None:
        return one if number == shift else ZERO
    if equated(one) is not None:  # u is -number
        return one if shift - number > 0 else ZERO
    if equated(other) is not None:
        return other if number - shift > 0 else ZERO
    return one if number < shift else other


def _line(value: Expr) -> tuple[Fraction, dict[Expr, Fraction]]:
    """A sum as its number and the rest."""
    terms: dict[Expr, Fraction] = {}
    for term in _terms(value) or (value,):
        number, rest = _number_times(term)
        terms[rest] = number
    return terms.pop(ONE, Fraction(0)), terms


def _sums(monomial: Monomial) -> tuple[str, Expr] | None:
    """Two comparisons with 0 of values with the same first term, by what the values differ by.

    So no product is left of two of these: nested maxima come to one form.
    """
    found = [
        (atom, value)
        for atom, power in monomial
        if power == 1 and (value := indicated(atom)) is not None
    ]
    for (one, value), (other, second) in combinations(found, 2):
        first = _number_times((_terms(value) or (value,))[0])
        if first != _number_times((_terms(second) or (second,))[0]) or one.rank != other.rank:
            continue
        if _is_larger(second, value):
            one, value, other, second = other, second, one, value
        third = indicator(value - second)
        rest = tuple(item for item in monomial if item[0] not in (one, other))
        return "signs of a sum", _product([*_factors(rest), one + third * (other - one)])
    return None


def _is_larger(one: Expr, other: Expr) -> bool:
    """Whether the first term of a difference has a positive number."""
    number, difference = _line(one)
    less, subtracted = _line(other)
    for term, count in subtracted.items():
        difference[term] = difference.get(term, Fraction(0)) - count
    difference[ONE] = number - less
    left = {_monomial(term): count for term, count in difference.items() if count}
    return left[max(left, key=degree)] > 0


def _monomial(term: Expr) -> Monomial:
    """A term of a normal form, without its number, as atoms with their powers."""
    found: Monomial = ()
    for factor in term.children if _is(term, "mul") else (term,):
        if _is(factor, "pow") and isinstance(factor.children[1], Const):
            found = times(found, ((factor.children[0], int(factor.children[1].value)),))
        elif _is(factor, "div"):
            found = times(found, ((factor.children[1], -1),))
        elif factor != ONE:
            found = times(found, ((factor, 1),))
    return found


def _root(monomial: Monomial) -> tuple[str, Expr] | None:
    for index, (atom, power) in enumerate(monomial):
        if _is(atom, "sqrt") and abs(power) >= 2:
            rest = monomial[:index] + monomial[index + 1 :]
            left = power - 2 if power > 0 else power + 2
            if left:
                rest = times(rest, ((atom, left),))
            inner = atom.children[0]
            square = inner if power > 0 else Apply("div", (ONE, inner))
            return "square of a root", _product([*_factors(rest), square])
    return None


def _terms(atom: Expr) -> tuple[Expr, ...]:
    return atom.children if _is(atom, "add") else ()


def _number_times(term: Expr) -> tuple[Fraction, Expr]:
    """A term of a normal form as a number times the rest."""
    if isinstance(term, Const):
        return term.value, ONE
    if _is(term, "neg"):
        return Fraction(-1), term.children[0]
    if _is(term, "mul") and isinstance(term.children[0], Const):
        return term.children[0].value, _product(list(term.children[1:]))
    return Fraction(1), term


_POSITIVE = frozenset({"exp", "sigmoid", "softplus"})


def _chosen(monomial: Monomial) -> tuple[str, Expr] | None:
    """One over a sum with a choice in it, as a choice between two quotients.

    Only where neither can be a division by 0: one over a sum is 1 / (1 + [u > 0] u), too.
    """
    for index, (atom, power) in enumerate(monomial):
        if power >= 0:
            continue
        for choice in dict.fromkeys(f for term in _terms(atom) for f in _factors_of(term)):
            if not is_choice(choice):
                continue
            on, off = (_where(atom, choice, holds) for holds in (True, False))
            if not (_is_positive(on) and _is_positive(off)):
                continue
            rest = monomial[:index] + monomial[index + 1 :]
            one, other = (_product([_one_over(value, atom.shape)] * -power) for value in (on, off))
            value = choice * one + (ONE - choice) * other
            return "choice inside", _product([*_factors(rest), value])
    return None


def _factors_of(term: Expr) -> tuple[Expr, ...]:
    """The factors of a term of a normal form, its number left out."""
    _, rest = _number_times(term)
    return rest.children if _is(rest, "mul") else (rest,)


def _where(atom: Expr, choice: Expr, holds: bool) -> dict[Expr, Fraction]:
    """The terms of a sum, each with its number, where a choice holds or does not."""
    made: dict[Expr, Fraction] = {}
    for term in _terms(atom):
        number, _ = _number_times(term)
        factors = _factors_of(term)
        if choice in factors and not holds:
            continue
        rest = _product([factor for factor in factors if factor != choice])
        made[rest] = made.get(rest, Fraction(0)) + number
    return {rest: number for rest, number in made.items() if number}


def _is_positive(terms: dict[Expr, Fraction]) -> bool:
    """Whether a sum is made of positive numbers and functions that are positive everywhere."""
    return bool(terms) and all(
        number > 0
        and all(f == ONE or (isinstance(f, Apply) and f.op in _POSITIVE) for f in _factors_of(term))
        for term, number in terms.items()
    )


def _one_over(terms: dict[Expr, Fraction], shape: Shape) -> Expr:
    parts = [
        term if number == 1 else call("mul", Const(number), term) for term, number in terms.items()
    ]
    whole = call("add", *parts) if parts[1:] else parts[0]
    return Apply("div", (ONE, _spread(whole, shape)))


def _logistic(monomial: Monomial) -> tuple[str, Expr] | None:
    """One over a sum of two exponentials (or 1 and an exponential)."""
    for index, (atom, power) in enumerate(monomial):
        terms = [_number_times(term) for term in _terms(atom)]
        if power >= 0 or len(terms) != 2 or terms[0][0] != terms[1][0]:
            continue
        inner = [
            part.children[0] if _is(part, "exp") else ZERO if part == ONE else None
            for _, part in terms
        ]
        one, other = inner
        if one is None or other is None:
            continue
        rest = monomial[:index] + monomial[index + 1 :]
        if power < -1:
            rest = times(rest, ((atom, power + 1),))
        gate = Apply("sigmoid", (one - other,))
        size = [Const(1 / terms[0][0])] if terms[0][0] != 1 else []
        parts = [*_factors(rest), *size, Apply("exp", (-one,)), gate]
        return "logistic function", _product(parts)
    return None


def _gate(monomial: Monomial) -> tuple[str, Expr] | None:
    """Exponentials of a gate's argument beside the gate, until none of it is left.

    With t = exp(w) and sigmoid(w) = t / (1 + t) these are partial fractions in t.
    """
    law = "gate and exponential"
    exponentials = [item for item in monomial if _is(item[0], "exp") and item[1] == 1]
    for gate, power in monomial:
        if not _is(gate, "sigmoid"):
            continue
        inner = gate.children[0]
        left = times(monomial, ((gate, -1 if power > 0 else 1),))
        if power < 0:
            return law, _product([*_factors(left), ONE + Apply("exp", (-inner,))])
        for exponential in exponentials:
            exponent = exponential[0].children[0]
            count = _contained(inner, exponent)
            if count is None or 0 <= count < 1 or exponential[0].rank != gate.rank:
                continue
            rest = _factors(times(left, ((exponential[0], -1),)))
            if count < 0:
                return law, _product([*rest, Apply("exp", (exponent + inner,)), ONE - gate])
            once = exponential[0] - Apply("exp", (exponent - inner,)) * gate
            return law, _product([*rest, once])
    return None


def _contained(part: Expr, whole: Expr) -> Fraction | None:
    """How often the first term of a sum is in another sum; None where it is not."""
    number, first = _number_times((_terms(part) or (part,))[0])
    for term in _terms(whole) or (whole,):
        count, rest = _number_times(term)
        if rest == first:
            return count / number
    return None


def _fraction(monomial: Monomial) -> tuple[str, Expr] | None:
    """The first term of a sum over the sum: 1 minus the other terms over the sum."""
    for atom, power in monomial:
        terms = _terms(atom)
        if power >= 0 or not terms:
            continue
        number, first = _number_times(terms[0])
        needed = _powers(first)
        if needed is None or number != 1 or not _divides(needed, monomial):
            continue
        rest = times(times(monomial, tuple((a, -p) for a, p in needed)), ((atom, 1),))
        others = call("add", *terms[1:]) if terms[2:] else terms[1]
        # first / whole = 1 - others / whole
        share = ONE - others / atom
        if power < -1:  # the other powers of the sum stay
            rest = times(rest, ())
        return "share of a sum", _product([*_factors(rest), share])
    return None


def _powers(expr: Expr) -> Monomial | None:
    """The atoms of a term of a normal form, or None where it is a bare number."""
    found: Monomial = ()
    for factor in expr.children if _is(expr, "mul") else (expr,):
        if isinstance(factor, Const):
            return None
        if _is(factor, "pow") and isinstance(factor.children[1], Const):
            found = times(found, ((factor.children[0], int(factor.children[1].value)),))
        elif _is(factor, "div"):
            return None
        else:
            found = times(found, ((factor, 1),))
    return found if all(power > 0 for _, power in found) else None


def _divides(part: Monomial, whole: Monomial) -> bool:
    powers = dict(whole)
    return all(powers.get(atom, 0) >= power for atom, power in part)


def _zero(monomial: Monomial) -> tuple[str, Expr] | None:
    """A factor beside [u = 0], with the first term of u by the others."""
    for index, (atom, power) in enumerate(monomial):
        value = equated(atom)
        if value is None or power < 0:
            continue
        terms = _terms(value) or (value,)
        number, first = _number_times(terms[0])
        others = [call("mul", Const(-1 / number), term) for term in terms[1:]]
        instead = ZERO if not others else call("add", *others) if others[1:] else others[0]
        rest = monomial[:index] + monomial[index + 1 :]
        needed = _powers(first)
        if needed is not None and _divides(needed, rest):
            left = times(rest, tuple((a, -p) for a, p in needed))
            return "at zero", _product([*_factors(left), instead, atom])
        for item in rest:
            if item[1] < 0:  # where a value is defined stays as it is
                continue
            made = _with_term(item[0], first, instead)
            if made is not None:
                left = tuple(other for other in rest if other is not item)
                return "at zero", _product([*_factors(left), power_of(made, item[1]), atom])
    return None


def _with_term(atom: Expr, term: Expr, instead: Expr) -> Expr | None:
    """A function with another term in place of one in its argument; None where it has none."""
    if not isinstance(atom, Apply) or OPS[atom.op].kind is not Kind.POINTWISE:
        return None
    if atom.op in ("add", "sqrt", "log", "pow"):
        return None
    changed = False
    args: list[Expr] = []
    for arg in atom.args:
        terms = list(_terms(arg) or (arg,))
        for index, (number, rest) in enumerate(map(_number_times, terms)):
            if rest == term:
                terms[index] = call("mul", Const(number), instead)
                changed = True
        made = call("add", *terms) if terms[1:] else terms[0]
        args.append(_spread(made, arg.shape))
    if atom.op == "where" and not changed:  # the argument is inside of the comparison
        inner = _with_term(atom.args[0], term, instead)
        return None if inner is None else Apply("where", (inner, *atom.args[1:]))
    return Apply(atom.op, tuple(args)) if changed else None


_LAWS = (
    _exponentials,
    _idempotent,
    _signs,
    _sums,
    _root,
    _chosen,
    _logistic,
    _gate,
    _fraction,
    _zero,
)

__all__ = ["indicated", "indicator", "is_choice", "is_zero", "reduced"]

"""How a value changes with what is carried from step to step, where it is affine in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gatec.expr import Apply, Expr, call
from gatec.passes.common import bottom_up

_Slope = Expr | None  # None: it does not change


class NotAffineError(Exception):
    """A value with a coefficient that changes with what is carried, or one of another unit."""


def slope(expr: Expr, known: Mapping[Expr, _Slope]) -> _Slope:
    """The derivative of a value along one direction, the same at every unit; None where it is 0.

    `known` are those of the names that it reads. Raises NotAffineError. `detach` passes them on:
    they tell what values become, not which gradients flow.
    """
    found = dict(known)
    for node in bottom_up(expr):
        below = [found.get(child) for child in node.children]
        if all(one is None for one in below):
            found.setdefault(node, None)
            continue
        rule = _RULES.get(node.op) if isinstance(node, Apply) else None
        if rule is None:
            raise NotAffineError
        found[node] = rule(node.children, below)
    return found[expr]


def _sum(_: Sequence[Expr], slopes: list[_Slope]) -> Expr:
    terms = [one for one in slopes if one is not None]
    return call("add", *terms) if len(terms) > 1 else terms[0]


def _product(args: Sequence[Expr], slopes: list[_Slope]) -> Expr:
    if sum(one is not None for one in slopes) > 1:
        raise NotAffineError
    factors = [arg if one is None else one for arg, one in zip(args, slopes, strict=True)]
    return call("mul", *factors)


def _quotient(args: Sequence[Expr], slopes: list[_Slope]) -> Expr:
    above, below = slopes
    if above is None or below is not None:
        raise NotAffineError
    return above / args[1]


def _choice(args: Sequence[Expr], slopes: list[_Slope]) -> Expr:
    condition, *values = slopes
    if condition is not None:
        raise NotAffineError
    return call("where", args[0], *(0 if one is None else one for one in values))


_RULES: dict[str, Callable[[Sequence[Expr], list[_Slope]], Expr]] = {
    "add": _sum,
    "mul": _product,
    "div": _quotient,
    "where": _choice,
    "neg": lambda args, slopes: -_sum(args, slopes),
    "detach": _sum,
}

"""What functions return never shares memory: not with their arguments, not with each other."""

from __future__ import annotations

from collections.abc import Iterable

from gatec.expr import Expr, Ref, rewrite
from gatec.ir import GRAD_OUTPUTS, Equation
from gatec.passes.common import is_simple
from gatec.passes.layout import View, never_negative

# A copy is always right; where an array has so many parts, none is compared with all others.
_MANY = 64


class Returned:
    """The arrays that a function has returned so far.

    `views` are the equations whose values are not stored; some of them only name another value
    or a part of one.
    """

    def __init__(self, views: Iterable[Equation]) -> None:
        self._values: dict[str, Expr] = {}
        self._seen: dict[Expr, list[View]] = {}
        for equation in views:
            if is_simple(equation.value):
                self._values[equation.name] = rewrite(equation.value, self._behind)

    def code(self, value: Expr, code: str) -> str:
        """The code of a value that is returned, as a copy where it would share memory."""
        view = View.of(rewrite(value, self._behind))
        seen = self._seen.setdefault(view.base, []) if isinstance(view.base, Ref) else []
        shared = _is_given(view.base) or len(seen) > _MANY
        shared = shared or any(_overlap(view, other) for other in seen)
        if shared or code.startswith("np.broadcast_to("):
            return f"{code}.copy()"
        seen.append(view)
        return code

    def _behind(self, node: Expr) -> Expr:
        return self._values.get(node.name, node) if isinstance(node, Ref) else node


def _is_given(base: Expr) -> bool:
    """An array of the caller's."""
    if not isinstance(base, Ref):
        return False
    return base.kind in ("input", "state", "param") or base.name == GRAD_OUTPUTS


def _overlap(one: View, other: View) -> bool:
    """Whether two views of one array may have units in common."""
    apart = (
        never_negative(mine[0] - its[1]) or never_negative(its[0] - mine[1])
        for mine, its in zip(one.ranges, other.ranges, strict=True)
    )
    return not any(apart)

"""What multiplies a parameter: monomials as a parameter in its surroundings.

In `matvec(W, x)` the surroundings of W are `matvec(*, x)`, in `u * h` those of u are `* h`. Two
sums agree, whatever the variables are, where the parameters in the same surroundings do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from gatec.equivalence.linear import Row
from gatec.equivalence.polynomials import Monomial, Poly, key, times
from gatec.equivalence.sides import mentions, occurrences, parameter, parameters
from gatec.expr import Apply, Broadcast, Const, Dim, Expr, Identity, Ref, Shape, call

ONE = Const(Fraction(1))


def marker(shape: Shape) -> Ref:
    """Stands where a parameter stood."""
    return Ref("param", "*", shape)


def equations(value: Poly, wanted: Poly, unknown: Collection[str]) -> list[Row] | None:
    """The linear equations in the unknown parameters under which `value` is `wanted`.

    None where `value` is not linear in them, or hides one in a function.
    """
    rows: dict[Monomial, Row] = {}
    names = frozenset(unknown)
    known: list[tuple[Monomial, Fraction]] = [(m, -c) for m, c in wanted.terms.items()]
    for monomial, number in value.terms.items():
        if not any(mentions(atom, unknown) for atom, _ in monomial):
            known.append((monomial, number))
            continue
        place = _place(monomial, names)
        if place is None:
            return None
        around, param = place
        row = rows.setdefault(around, Row())
        row.left[param] = row.left.get(param, Fraction(0)) + number
    shapes = tuple(sorted({view.shape for row in rows.values() for view in row.left}, key=str))
    for monomial, number in known:
        around, coefficient = next(
            ((a, c) for a, c in _all_places(monomial, shapes) if a in rows), (monomial, ONE)
        )
        row = rows.setdefault(around, Row())
        row.right[coefficient] = row.right.get(coefficient, Fraction(0)) - number
    for row in rows.values():
        row.left = {name: number for name, number in row.left.items() if number}
        row.right = {name: number for name, number in row.right.items() if number}
    return list(rows.values())


@lru_cache(maxsize=1 << 14)
def _place(monomial: Monomial, names: frozenset[str]) -> tuple[Monomial, Expr] | None:
    """The one parameter among `names` in a monomial, and its surroundings; None if it is not
    one, or stands where the monomial is not linear in it."""
    found: list[tuple[int, Expr]] = []
    for index, (atom, power) in enumerate(monomial):
        for view, linear in occurrences(atom, names):
            if not linear or power != 1:
                return None
            found.append((index, view))
    if len(found) != 1:
        return None
    index, view = found[0]
    return _around(monomial, index, view), view


def _around(monomial: Monomial, index: int, view: Expr) -> Monomial:
    atom = monomial[index][0]
    rest = monomial[:index] + monomial[index + 1 :]
    return times(rest, ((_marked(atom, view), 1),))


def _marked(atom: Expr, view: Expr) -> Expr:
    """An atom with the marker in place of a parameter that it has once."""
    if atom == view:
        return marker(view.shape)
    names = parameters(view)
    children = tuple(
        _marked(child, view) if mentions(child, names) else child for child in atom.children
    )
    if isinstance(atom, Apply) and atom.op == "mul":
        children = tuple(sorted(children, key=key))  # the order came from the parameter's name
    return atom.with_children(children)


@lru_cache(maxsize=1 << 14)
def _all_places(monomial: Monomial, shapes: tuple[Shape, ...]) -> tuple[tuple[Monomial, Expr], ...]:
    return tuple(_places(monomial, shapes))


def _places(monomial: Monomial, shapes: tuple[Shape, ...]) -> Iterator[tuple[Monomial, Expr]]:
    """Ways to see a known monomial as surroundings and a coefficient of one of the shapes.

    Those with one parameter as the coefficient come first: it stands where another one stood.
    """
    found: list[tuple[Monomial, Expr]] = []
    for index, (atom, power) in enumerate(monomial):
        if power != 1:
            continue
        views = [view for view, linear in occurrences(atom, None) if linear]
        found += [(_around(monomial, index, v), v) for v in views if views.count(v) == 1]
    yield from found
    for around, view in found:
        yield from _absorbed(around, view)
    yield from _diagonal(monomial)
    yield from _without_parameter(monomial, shapes)


def _absorbed(around: Monomial, view: Expr) -> Iterator[tuple[Monomial, Expr]]:
    """Other known parameters drawn into the coefficient of a marked one.

    `u * matvec(*, x)` is `matvec(*, x)` with diag(u) before the matrix; `matvec(M, matvec(*, x))`
    is `matvec(*, x)` with M before it; a scalar goes anywhere.
    """
    factors = [
        atom for atom, power in around if power == 1 and _is_param(atom) and not _is_mark(atom)
    ]
    coefficient, rest = view, around
    if view.rank == 2:
        chained = next((atom for atom, power in rest if power == 1 and _chain(atom)), None)
        while chained is not None:
            shorter, coefficient = _drawn_in(chained, coefficient)
            rest = times(tuple(i for i in rest if i[0] != chained), ((shorter, 1),))
            yield rest, coefficient
            chained = shorter if _chain(shorter) else None
    for factor in factors:
        rest = tuple(item for item in rest if item[0] != factor)
        if factor.rank and coefficient.rank == 2:
            ones = Broadcast(ONE, coefficient.shape[1:])
            coefficient = call("mul", Apply("outer", (factor, ones)), coefficient)
        else:
            coefficient = call("mul", factor, coefficient)
        yield rest, coefficient


def _chain(atom: Expr) -> bool:
    """A product of known matrices with a product of the marked one."""
    if not (isinstance(atom, Apply) and atom.op == "matvec"):
        return False
    matrix, inner = atom.args
    if not _is_param(matrix) or _is_mark(matrix) or not isinstance(inner, Apply):
        return False
    return (inner.op == "matvec" and _is_mark(inner.args[0])) or _chain(inner)


def _drawn_in(chain: Expr, coefficient: Expr) -> tuple[Expr, Expr]:
    """A chain without the matrix next to the marked one, and the coefficient with it."""
    matrix, inner = chain.children
    if _is_mark(inner.children[0]):
        taken = Apply("matmul", (matrix, coefficient))
        return Apply("matvec", (marker(taken.shape), inner.children[1])), taken
    rest, drawn = _drawn_in(inner, coefficient)
    return Apply("matvec", (matrix, rest)), drawn


def _diagonal(monomial: Monomial) -> Iterator[tuple[Monomial, Expr]]:
    """Known vectors times a vector as a product with the matrix that has them as its diagonal."""
    known = [atom for atom, power in monomial if power == 1 and _is_param(atom) and atom.rank == 1]
    rest = tuple(item for item in monomial if item[0] not in known)
    if not known or not any(atom.rank == 1 for atom, _ in rest):
        return
    (size,) = known[0].shape
    ones = Broadcast(ONE, (size,))
    scale = Apply("outer", (call("mul", *known) if known[1:] else known[0], ones))
    for around in _as_product(rest, size):
        yield around, call("mul", Identity(size), scale)


def _as_product(monomial: Monomial, size: Dim) -> Iterator[Monomial]:
    """A vector as the product of a marked matrix with it, or with one of its factors."""
    inner = [monomial, *(((atom, power),) for atom, power in monomial if atom.rank == 1)]
    for part in dict.fromkeys(inner):
        vector = Poly({part: Fraction(1)}).expr((size,))
        product = Apply("matvec", (marker((size, size)), vector))
        yield times(tuple(item for item in monomial if item not in part), ((product, 1),))


def _without_parameter(
    monomial: Monomial, others: tuple[Shape, ...]
) -> Iterator[tuple[Monomial, Expr]]:
    """A monomial as itself times a coefficient of ones, or as the identity times a vector.

    A number, or a scalar, stands in every unit of a bias of any of the `others` shapes.
    """
    shape = max((atom.shape for atom, _ in monomial), key=len, default=())
    shapes: tuple[Shape, ...] = (shape,) if shape else others
    for each in (*shapes, ()):
        ones: Expr = Broadcast(ONE, each) if each else ONE
        yield times(monomial, ((marker(each), 1),)), ones
    if len(shape) == 1:
        for around in _as_product(monomial, shape[0]):
            yield around, Identity(shape[0])


def _is_param(expr: Expr) -> bool:
    return parameter(expr, None) is not None


def _is_mark(expr: Expr) -> bool:
    return isinstance(expr, Ref) and expr == replace(expr, kind="param", name="*")

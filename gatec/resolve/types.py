"""Kinds by unification.

A `Type` is a rank (scalar 0, vector 1, matrix 2) that may still be unknown, and one `Dim` per
axis. Types that must be equal share one root (union-find); their sizes are `sizes.py`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable

from gatec.errors import Diagnostic, Span
from gatec.expr import Dim, Shape
from gatec.resolve.sizes import Report, Sizes, is_unknown

RANKS = ("scalar", "vector", "matrix")


class Type:
    """A kind and its sizes, perhaps not yet known. Compare roots, not objects."""

    __slots__ = ("_parent", "dims", "origin", "rank", "users")

    def __init__(
        self, rank: int | None = None, dims: Shape = (), origin: Span | None = None
    ) -> None:
        self._parent: Type | None = None
        # What is to be looked at again once the rank is known.
        self.users: list[object] = []
        self.rank, self.dims, self.origin = rank, dims, origin

    def root(self) -> Type:
        node = self
        while node._parent is not None:
            node = node._parent
        while self is not node and self._parent is not node:
            following = self._parent
            assert following is not None
            self._parent = node
            self = following
        return node


class Solver:
    """The unification of one cell."""

    def __init__(self) -> None:
        self.sizes = Sizes()
        self.awake: list[object] = []  # the users of the types whose rank became known
        # What messages call the unknown sizes; filled when there is something to report.
        self.owners: Callable[[], dict[str, str]] = dict

    def known(self, type_: Type) -> int | None:
        return type_.root().rank

    def of_rank(self, rank: int, origin: Span | None = None) -> Type:
        return Type(rank, tuple(self.sizes.fresh() for _ in range(rank)), origin)

    def square(self, origin: Span | None = None) -> Type:
        """A matrix with as many rows as columns."""
        type_ = self.of_rank(2, origin)
        self.sizes.unify(type_.dims[0], type_.dims[1])
        return type_

    def set_rank(self, type_: Type, rank: int, origin: Span | None = None) -> bool:
        root = type_.root()
        if root.rank is None:
            root.rank = rank
            root.dims = tuple(self.sizes.fresh() for _ in range(rank))
            root.origin = root.origin or origin
            self._wake(root)
        return root.rank == rank

    def unify(self, left: Type, right: Type, report: Report | None = None) -> bool:
        """Make two types one; False where ranks or sizes cannot be equal.

        `report` says what is wrong where that turns out only later.
        """
        a, b = left.root(), right.root()
        if a is b:
            return True
        if a.rank is not None and b.rank is not None:
            if a.rank != b.rank:
                return False
            # Every size, also after one that differs.
            fits = [self.sizes.unify(x, y, report) for x, y in zip(a.dims, b.dims, strict=True)]
            if not all(fits):
                return False
        keep, merge = a, b
        if a.rank is None and (b.rank is not None or len(b.users) > len(a.users)):
            keep, merge = b, a
        if merge.rank is None:
            # Also where both are unknown: that they are one kind may decide an operation.
            self._wake(merge)
            keep.users += merge.users
        merge._parent = keep
        keep.origin = keep.origin or merge.origin
        return True

    def _wake(self, type_: Type) -> None:
        self.awake += type_.users

    def shape(self, type_: Type) -> Shape:
        return tuple(self.sizes.resolve(dim) for dim in type_.root().dims)

    def differing(self, span: Span) -> Report:
        """The report of two sizes that must be equal because of what stands at a span."""

        def report(left: Dim, right: Dim) -> Diagnostic:
            return Diagnostic(
                "E0304",
                f"sizes do not fit here: {self.size_text(left)} and {self.size_text(right)}",
                span,
                "the two must be equal; declare the shape that is meant, `param W : n_h x n_x`",
            )

        return report

    def size_text(self, dim: Dim) -> str:
        """A size in words, for messages."""
        return self._size_text(self.sizes.resolve(dim), self.owners())

    def text(self, type_: Type) -> str:
        """A type in words, for messages."""
        root = type_.root()
        if root.rank is None:
            return "value of unknown kind"
        owners = self.owners()
        dims = [self._size_text(self.sizes.resolve(dim), owners) for dim in root.dims]
        words = RANKS[root.rank]
        return f"{words} ({' x '.join(dims)})" if any(dim != "?" for dim in dims) else words

    def _size_text(self, dim: Dim, owners: dict[str, str]) -> str:
        unknown = [name for name, _ in dim.terms if is_unknown(name)]
        if any(name not in owners for name in unknown):
            return "?"
        if len(dim.terms) == 1 and unknown and dim.const == 0 and dim.terms[0][1] == 1:
            return owners[unknown[0]]
        named = Dim((), dim.const)
        for name, count in dim.terms:
            named += Dim.of(owners.get(name, name)) * count
        return str(named)

"""Kinds and sizes by unification.

A `Type` is a rank (scalar 0, vector 1, matrix 2) that may still be unknown, and one `Dim` per
axis, over size names and unknowns (`?1`). Types that must be equal share one root (union-find);
a size equation that two unknowns share waits until one of them is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from gatec.errors import Span
from gatec.expr import Dim, Shape

RANKS = ("scalar", "vector", "matrix")


class Sizes:
    """Solves linear equations between sizes."""

    def __init__(self) -> None:
        self._known: dict[str, Dim] = {}
        self._count = 0
        self._waiting: list[tuple[Dim, Dim]] = []

    def fresh(self) -> Dim:
        self._count += 1
        return Dim.of(f"?{self._count}")

    def resolve(self, dim: Dim) -> Dim:
        """The size with everything that is known put in."""
        while any(name in self._known for name, _ in dim.terms):
            result = Dim((), dim.const)
            for name, count in dim.terms:
                result += self._known.get(name, Dim.of(name)) * count
            dim = result
        return dim

    def unify(self, left: Dim, right: Dim) -> bool:
        """Make two sizes equal; False where they cannot be."""
        difference = self.resolve(left) - self.resolve(right)
        unknowns = [(name, count) for name, count in difference.terms if name.startswith("?")]
        if not difference.terms:
            return difference.const == 0
        if not unknowns:
            return False
        alike = len(unknowns) == 2 and len(difference.terms) == 2 and difference.const == 0
        if len(unknowns) == 1 or (alike and unknowns[0][1] == -unknowns[1][1]):
            name, count = unknowns[0]
            rest = difference - Dim(((name, count),))
            if all(c % count == 0 for _, c in rest.terms) and rest.const % count == 0:
                solved = Dim(tuple((n, -c // count) for n, c in rest.terms), -rest.const // count)
                if any(c < 0 for _, c in solved.terms) or (not solved.terms and solved.const <= 0):
                    return False
                self._known[name] = solved
                return True
            return len(unknowns) != 1
        self._waiting.append((left, right))
        return True

    def retry(self) -> bool:
        """Try the equations that wait; False where one cannot hold."""
        waiting, self._waiting = self._waiting, []
        return all([self.unify(left, right) for left, right in waiting])

    def force(self) -> bool:
        """Decide a waiting equation: unknowns on both sides pair up in order. True if one did."""
        self.retry()
        if not self._waiting:
            return False
        left, right = self._waiting[0]
        difference = self.resolve(left) - self.resolve(right)
        positive = [n for n, c in difference.terms if c > 0 and n.startswith("?")]
        negative = [n for n, c in difference.terms if c < 0 and n.startswith("?")]
        if positive and negative:
            self._known[positive[0]] = Dim.of(negative[0])
            return True
        return False

    def totals(self) -> set[str]:
        """The unknown sizes that are sums of other unknown ones: the width of W in W[a, x]."""
        self.retry()
        found = set()
        for left, right in self._waiting:
            terms = (self.resolve(left) - self.resolve(right)).terms
            for sign in (1, -1):
                alone = [name for name, count in terms if count == sign]
                if len(alone) == 1 and sum(1 for _, count in terms if count * sign > 0) == 1:
                    found.add(alone[0])
        return found

    def assign(self, dim: Dim, name: str, skip: Collection[str] = ()) -> bool:
        """Name an unknown size, unless it is one of `skip`; True where it was one."""
        dim = self.resolve(dim)
        if dim.terms and dim.terms[0][0] in skip:
            return False
        if len(dim.terms) == 1 and dim.const == 0 and dim.terms[0][0].startswith("?"):
            self._known[dim.terms[0][0]] = Dim.of(name)
            self.retry()
            return True
        return False


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

    def set_rank(self, type_: Type, rank: int, origin: Span | None = None) -> bool:
        root = type_.root()
        if root.rank is None:
            root.rank = rank
            root.dims = tuple(self.sizes.fresh() for _ in range(rank))
            root.origin = root.origin or origin
            self._wake(root)
        return root.rank == rank

    def unify(self, left: Type, right: Type) -> bool:
        """Make two types one; False where ranks or sizes cannot be equal."""
        a, b = left.root(), right.root()
        if a is b:
            return True
        if a.rank is not None and b.rank is not None:
            if a.rank != b.rank:
                return False
            if not all([self.sizes.unify(x, y) for x, y in zip(a.dims, b.dims, strict=True)]):
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
        unknown = [name for name, _ in dim.terms if name.startswith("?")]
        if any(name not in owners for name in unknown):
            return "?"
        if len(dim.terms) == 1 and unknown and dim.const == 0 and dim.terms[0][1] == 1:
            return owners[unknown[0]]
        named = Dim((), dim.const)
        for name, count in dim.terms:
            named += Dim.of(owners.get(name, name)) * count
        return str(named)

"""Equations as statements: values and the arrays that they go to, grouped for one loop each.

A statement computes one value for every row and unit. Statements of one shape that read each
other at their own unit only share a loop (a kernel, on a device). A join is one statement per
part, so that the parts go straight to their place in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from gatec.expr import Apply, Broadcast, Concat, Dim, Expr, Ref, Shape, Slice, call
from gatec.ir import Equation
from gatec.ops import OPS, Kind
from gatec.passes.common import refs

_MOVES = ("outer", "transpose")
# What a loop may name: a kernel of CUDA before 12.1 takes 4 KB of parameters, 512 pointers.
_MOST_NAMES = 400
_ZERO = Dim()


@dataclass(frozen=True)
class Target:
    """An array that a value is written to; `start` along `axis` where it is a part of a join."""

    array: str
    shape: Shape
    batched: bool
    axis: int = 0
    start: Dim = _ZERO


@dataclass(frozen=True)
class Statement:
    """`value`, to be known as `name` ("" where nothing reads it by name), written to `targets`.

    Without targets it is a local variable of its loop. `bias` is added to every row of a product.
    A product that comes `after` a statement is added to what that one wrote; all that make up the
    value of an equation in this way are a `sum_of` it.
    """

    name: str
    value: Expr
    targets: tuple[Target, ...] = ()
    text: str = ""
    whole: bool = True  # whether it alone makes the value that `name` stands for
    bias: Expr | None = None
    after: str = ""
    sum_of: str = ""

    @property
    def is_loop(self) -> bool:
        """Computed unit by unit; the rest are products and reductions."""
        value = self.value
        alone = isinstance(value, Apply) and OPS[value.op].kind is not Kind.POINTWISE
        return not alone or value.op in _MOVES  # type: ignore[attr-defined]

    @property
    def batched(self) -> bool:
        """Whether it is computed for every row."""
        return self.value.batched or any(target.batched for target in self.targets)

    def reads(self) -> set[str]:
        found = {ref.name for ref in refs(self.value, "var")}
        if self.bias is not None:
            found |= {ref.name for ref in refs(self.bias, "var")}
        return found | {self.after} - {""}


def statements(equation: Equation, targets: tuple[Target, ...]) -> list[Statement]:
    """The statements of an equation that is written to `targets`."""
    value = equation.value
    if not isinstance(value, Concat):
        return [Statement(equation.name, value, targets, equation.text)]
    made, start = list[Statement](), Dim()
    for arg in value.args:
        places = tuple(Target(t.array, t.shape, t.batched, value.axis, start) for t in targets)
        made.append(Statement(equation.name, arg, places, whole=False))
        start = start + (arg.shape[value.axis] if arg.shape else 1)
    return made


def grouped(statements: Iterable[Statement]) -> list[list[Statement]]:
    """The statements in an order of computation, those of one loop together.

    Everything that is no loop goes first where it is ready, then all of a shape that can share
    a loop with the first statement that is ready.
    """
    return _Order(list(statements)).groups()


_Key = tuple[Shape, bool]


class _Order:
    """Statements by what they wait for. `waits` counts the statements that each still waits for;
    `ready` holds those that wait for none, per loop (None: no loop), in their given order."""

    def __init__(self, given: list[Statement]) -> None:
        self.given = given
        self.reads = [statement.reads() for statement in given]
        makers: dict[str, list[int]] = {}
        for number, statement in enumerate(given):
            if statement.name:
                makers.setdefault(statement.name, []).append(number)
        self.readers: list[list[int]] = [[] for _ in given]
        self.waits = [0] * len(given)
        self.ready: dict[_Key | None, list[int]] = {}
        for number in range(len(given)):
            for name in self.reads[number]:
                for maker in makers.get(name, ()):
                    self.readers[maker].append(number)
                    self.waits[number] += 1
            if not self.waits[number]:
                self._push(number)

    def _key(self, number: int) -> _Key | None:
        statement = self.given[number]
        return (statement.value.shape, statement.batched) if statement.is_loop else None

    def _push(self, number: int) -> None:
        heapq.heappush(self.ready.setdefault(self._key(number), []), number)

    def _done(self, number: int) -> list[int]:
        """The statements that waited only for this one."""
        freed = []
        for reader in self.readers[number]:
            self.waits[reader] -= 1
            if not self.waits[reader]:
                freed.append(reader)
        return freed

    def groups(self) -> list[list[Statement]]:
        groups: list[list[Statement]] = []
        while True:
            while self.ready.get(None):
                number = heapq.heappop(self.ready[None])
                groups.append([self.given[number]])
                for freed in self._done(number):
                    self._push(freed)
            loops = [(heap[0], key) for key, heap in self.ready.items() if heap]
            if not loops:
                return groups
            groups.append(self._loop(min(loops, key=lambda loop: loop[0])[1]))

    def _loop(self, key: _Key | None) -> list[Statement]:
        """All that is ready for a loop, and what then is and reads it at its own unit."""
        members: list[int] = []
        inside, partial, names = set[str](), set[str](), set[str]()
        held: list[int] = []
        heap = self.ready[key]
        while heap and len(names) < _MOST_NAMES:
            number = heapq.heappop(heap)
            statement = self.given[number]
            known = self.reads[number]
            if known & partial or (known & inside and _elsewhere(statement.value, inside)):
                held.append(number)
                continue
            members.append(number)
            names |= {statement.name, *(ref.name for ref in refs(statement.value))}
            (inside if statement.whole else partial).add(statement.name)
            for freed in self._done(number):
                if self._key(freed) == key:
                    heapq.heappush(heap, freed)
                else:
                    held.append(freed)
        for number in held:
            self._push(number)
        return [self.given[number] for number in members]


def _elsewhere(expr: Expr, names: set[str]) -> bool:
    """Whether an expression reads one of the names at another unit than its own."""
    stack: list[tuple[Expr, bool]] = [(expr, False)]
    while stack:
        node, moved = stack.pop()
        if isinstance(node, Ref) and node.kind == "var" and node.name in names and moved:
            return True
        moves = isinstance(node, Slice) or (isinstance(node, Apply) and node.op in _MOVES)
        stack += [(child, moved or moves) for child in node.children]
    return False


# --- Sums with products ---------------------------------------------------------------------------


def folded(
    given: list[Statement], readers: Mapping[str, int], free: Collection[str]
) -> list[Statement]:
    """Sums of products and other terms, with products that start from the other terms.

    `W x + b` is a product whose rows start from `b`. Of any other sum, the terms that are no
    products are written to its array, and the products are added to what is there: neither takes
    an array for the product or a loop after it. `readers` counts the equations that read a name;
    `free` are the names that need no array of their own.
    """
    products = {
        s.name: s
        for s in given
        if isinstance(s.value, Apply)
        and s.value.op == "matvec"
        and s.value.batched
        and not s.value.args[0].batched
        and s.name in free
        and readers.get(s.name) == 1
    }
    made: list[Statement] = []
    used: set[str] = set()
    for statement in given:
        value = statement.value
        terms = value.args if isinstance(value, Apply) and value.op == "add" else ()
        found = [products[t.name] for t in terms if isinstance(t, Ref) and t.name in products]
        rest = [t for t in terms if not (isinstance(t, Ref) and t.name in products)]
        if not found or not rest or not statement.whole:
            made.append(statement)
            continue
        used |= {product.name for product in found}
        if len(found) == 1 and len(rest) == 1 and _is_bias(rest[0], value.shape):
            made.append(replace(statement, value=found[0].value, bias=rest[0]))
        else:
            made += _added(statement, found, rest)
    return [s for s in made if s.name not in used]


def _is_bias(term: Expr, shape: Shape) -> bool:
    """A vector in memory, the same for all rows."""
    if term.batched or term.shape != shape:
        return False
    if isinstance(term, Slice):  # of a parameter that may be absent, a part has no place
        return isinstance(term.arg, Ref) and term.arg.kind == "var"
    return isinstance(term, Ref) and term.kind in ("param", "var")


def _added(statement: Statement, products: list[Statement], rest: list[Expr]) -> list[Statement]:
    """A sum as its terms that are no products, and then products that are added to them."""
    value = call("add", *rest) if len(rest) > 1 else rest[0]
    value = value if value.shape else Broadcast(value, statement.value.shape)
    name = f"+{statement.name}"
    made = [Statement(name, value, text=statement.text, whole=False, sum_of=statement.name)]
    for product in products:
        after, name = name, f"+{name}"
        made.append(Statement(name, product.value, after=after, sum_of=statement.name))
    made[-1] = replace(made[-1], name=statement.name, targets=statement.targets)
    return made

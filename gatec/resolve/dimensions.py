"""Sizes as values: the d of `\\frac{1}{\\sqrt{d}} W_k x_t`, and declared sizes in expressions.

No paper learns the d under a root: where a name stands under square roots alone, it is the
number of units of what the root scales (Vaswani et al., "Attention Is All You Need", 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gatec.errors import Diagnostic
from gatec.expr import Dim
from gatec.resolve.declarations import DeclaredSize
from gatec.resolve.quantities import Table
from gatec.resolve.typed import Typed, nodes
from gatec.resolve.types import Solver, Type
from gatec.syntax import Bracket, Call, Key, Node, Symbol, children

_LETTERS = frozenset(["d", "D", "n", "N"])


class Dimensions:
    """The sizes that the right sides of a table read as values."""

    def __init__(self, table: Table, declared: Mapping[str, DeclaredSize]) -> None:
        self.table, self.declared = table, declared
        self._rooted = _rooted(table)
        self._unbound: list[Typed] = []

    def find(self, symbol: Symbol) -> Typed | None:
        """The value of a name that is a size."""
        if symbol.time is not None:
            return None
        declared = self.declared.get(str(symbol.key))
        if declared is not None:
            declared.used = True
            return self._made(symbol, Dim.of(declared.name))
        if symbol.key not in self._rooted:
            return None
        self._unbound.append(self._made(symbol, None))
        return self._unbound[-1]

    def _made(self, symbol: Symbol, data: Dim | None) -> Typed:
        return Typed("size", Type(0, (), symbol.span), symbol.span, data=data)

    @property
    def open(self) -> int:
        """How many sizes wait for what they scale."""
        return len(self._unbound)

    def bind(self, node: Typed, before: int) -> None:
        """The sizes found since `before` scale what this product or quotient computes."""
        if len(self._unbound) > before and any(each.kind == "ref" for each in nodes(node)):
            for size in self._unbound[before:]:
                size.data = node
            del self._unbound[before:]

    def check(self, report: Callable[[Diagnostic], None]) -> None:
        """Report the sizes that scale nothing."""
        for size in self._unbound:
            report(_unknown(size))


def dim(size: Typed, solver: Solver) -> Dim | Diagnostic:
    """The size that a node stands for, once all kinds are known."""
    if isinstance(size.data, Dim):
        return size.data
    scaled: Typed = size.data
    shape = solver.shape(scaled.type)
    if not shape:  # q^T k / sqrt(d): the vectors of the inner product
        dots = (each for each in nodes(scaled) if each.kind == "dot")
        shape = next((solver.shape(dot.args[0].type) for dot in dots), ())
    return shape[-1] if shape else _unknown(size)


def _unknown(size: Typed) -> Diagnostic:
    name = size.span.text.strip("{} ")
    return Diagnostic(
        "E0217",
        f"'{name}' seems to be a size, but nothing says of what",
        size.span,
        f"give its value, `const {name} = 64`, or say that it is learned, `param {name} : scalar`",
    )


def _rooted(table: Table) -> set[Key]:
    """The names of sizes that stand under square roots and nowhere else."""
    under: set[Key] = set()
    elsewhere: set[Key] = set()
    for definition in table.definitions:
        stack: list[tuple[Node, bool]] = [(definition.right, False)]
        while stack:
            node, root = stack.pop()
            if isinstance(node, Symbol):
                is_size = root and node.time is None and node.key.base in _LETTERS
                (under if is_size else elsewhere).add(node.key)
                continue
            is_root = isinstance(node, Call) and node.name == "sqrt"
            grouped = root and isinstance(node, Bracket) and len(node.items) == 1
            stack += [(child, is_root or grouped) for child in children(node)]
    return {key for key in under - elsewhere if key not in table.quantities}

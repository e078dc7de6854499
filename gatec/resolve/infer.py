"""Find the kind of everything: what follows from the operators, then what is assumed.

Operators pass kinds and sizes on until nothing changes; where nothing follows, `conventions.py`
assumes something. Conflicts are reported where two uses meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from gatec.errors import Diagnostic, Note
from gatec.expr import Dim
from gatec.resolve.conflicts import Conflicts
from gatec.resolve.conventions import Conventions
from gatec.resolve.products import fold
from gatec.resolve.quantities import Quantity
from gatec.resolve.typed import (
    POINTWISE,
    Typed,
    is_own,
    is_parameter,
    is_vector,
    is_weight,
    parameter,
    strip,
)
from gatec.resolve.types import Solver, Type

_OF_VECTORS = frozenset(["softmax", "layer_norm", "rms_norm"])


class Inference:
    """The kinds of one cell; `run` finds them, `diagnostics` says what does not fit."""

    def __init__(
        self,
        solver: Solver,
        equations: list[tuple[Quantity, Typed]],
        quantities: Iterable[Quantity],
    ) -> None:
        self.solver = solver
        self.equations = equations
        self.quantities = list(quantities)
        self.diagnostics: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self._failed: set[int] = set()
        self._said: set[int] = set()
        self._nodes = _collect(equations)
        self._equation_of = {
            id(node): number for number, nodes in enumerate(self._nodes) for node in nodes
        }
        self._conventions = Conventions(solver, self._nodes, self.quantities)
        self._rows = self._writes_rows()
        for node in itertools.chain.from_iterable(self._nodes):
            for type_ in _decided_by(node):
                type_.root().users.append(node)
            solver.awake.append(node)
        self.conflicts = Conflicts(solver, self.quantities)

    def _writes_rows(self) -> bool:
        """Whether the document writes vectors as rows: `x_t W`, and nowhere `W x_t`."""
        rows = columns = 0
        for node in itertools.chain.from_iterable(self._nodes):
            if node.kind == "product":
                for left, right in itertools.pairwise(node.args):
                    rows += is_vector(left) and is_weight(right)
                    columns += is_weight(left) and is_vector(right)
        if not rows and not columns:
            # S_t = S_{t-1} + k_t^T v_t: a capital that gathers products is a matrix.
            return any(_gathers_outer(quantity, value) for quantity, value in self.equations)
        return rows > 0 and not columns

    def run(self) -> None:
        self._settle()
        for quantity, value in self.equations:
            self._equate(quantity, value)
        self._settle()
        while self._conventions.assume():
            self._settle()
        self.report_sizes()
        self._warn_of_stars()

    def _warn_of_stars(self) -> None:
        """`W * x_t` makes a vector of W; who writes capitals for matrices may not mean it."""
        seen: set[int] = set()
        for node in itertools.chain.from_iterable(self._nodes):
            if node.kind != "mul" or node.data:
                continue
            for arg in node.args:
                quantity = parameter(arg) if is_weight(arg) else None
                if quantity is None or quantity.declared or id(quantity) in seen:
                    continue
                seen.add(id(quantity))
                if self.solver.known(quantity.type) == 1 and quantity.said is None:
                    self.warnings.append(self.conflicts.star(node, quantity))

    def report_sizes(self) -> None:
        """Report the sizes that turned out to differ."""
        conflicts, self.solver.sizes.conflicts = self.solver.sizes.conflicts, []
        self.diagnostics += [conflict.diagnostic() for conflict in conflicts]

    def _other_use(self, quantity: Quantity, product: Typed) -> Note | None:
        """Where else a parameter is a factor."""
        for node, arg in self._conventions.products(quantity):
            if node is not product and arg.kind == "ref":
                kind = self.solver.text(arg.type)
                return Note(f"'{quantity.key}' is a {kind} here", node.span)
        return None

    # --- what follows -----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Infer until nothing follows any more, looking only at what may have changed."""
        awake = self.solver.awake
        changed: dict[int, None] = {}
        while awake:
            batch = dict.fromkeys(awake)  # each once, in order
            awake.clear()
            for node in batch:
                assert isinstance(node, Typed)
                self._infer(node)
                number = self._equation_of.get(id(node))
                if number is not None:
                    changed[number] = None
        self._conventions.changed(changed)

    def _equate(self, quantity: Quantity, value: Typed) -> None:
        """A name has the kind of its right side."""
        self._make_one(
            quantity.type, value.type, value, lambda: self.conflicts.equation(quantity, value)
        )

    def _make_one(
        self, left: Type, right: Type, node: Typed, report: Callable[[], Diagnostic]
    ) -> None:
        """Unify two types; where they cannot be one, report it and leave the node alone."""
        if not self.solver.unify(left, right, self.solver.differing(node.span)):
            self._fail(node, report())

    def _fail(self, node: Typed, diagnostic: Diagnostic) -> None:
        """Report an error, and leave the node alone from now on."""
        self._failed.add(id(node))
        self.diagnostics.append(diagnostic)

    def _infer(self, node: Typed) -> None:
        if id(node) in self._failed:
            return
        kind = node.kind
        if kind in POINTWISE:
            self._pointwise(node)
        elif kind == "product":
            self._product(node)
        elif kind == "transpose":
            self._transpose(node)
        elif kind == "concat":
            self._concat(node)
        elif kind == "diag":
            self._diag(node)
        elif kind == "part":
            self._part(node)

    def _pointwise(self, node: Typed) -> None:
        known = self.solver.known
        if node.kind == "call" and node.data in _OF_VECTORS and known(node.args[0].type) is None:
            self.solver.set_rank(node.args[0].type, 1, node.span)
        full = [arg for arg in node.args if (known(arg.type) or 0) > 0]
        if full:
            for arg in full:
                self._match(node, full[0], arg)
            for arg in node.args:
                if arg.kind == "product" and known(arg.type) is None and self._is_shaped(arg):
                    self._match(node, full[0], arg)
            self._same_result(node, full[0].type)
            return
        unknown = [arg for arg in node.args if known(arg.type) is None]
        if not unknown:
            self.solver.set_rank(node.type, 0, node.span)
            if known(node.type) != 0:
                self._fail(node, self.conflicts.scalar(node))
            return
        rank = known(node.type)
        if rank == 0:
            for arg in unknown:
                self.solver.set_rank(arg.type, 0, node.span)
        elif len({id(arg.type.root()) for arg in unknown}) == 1 and (
            rank is not None or len(node.args) == len(unknown) or not is_own(unknown[0])
        ):
            # All others are scalars: the result is what the last one is.
            self.solver.unify(unknown[0].type, node.type)

    def _is_shaped(self, product: Typed) -> bool:
        """Whether a product of unknown kind is no scalar: it starts with a matrix."""
        factors = [arg for arg in product.args if self.solver.known(arg.type) != 0]
        return not self._rows and self.solver.known(factors[0].type) == 2

    def _same_result(self, node: Typed, type_: Type) -> None:
        self._make_one(node.type, type_, node, lambda: self.conflicts.result(node, type_))

    def _match(self, node: Typed, first: Typed, other: Typed) -> None:
        if first is other or first.type.root() is other.type.root() or id(node) in self._failed:
            return

        self._make_one(
            first.type, other.type, node, lambda: self.conflicts.operands(node, first, other)
        )

    def _first_time(self, node: Typed) -> bool:
        """Whether what a node says about sizes is still to be said; it is said once."""
        new = id(node) not in self._said
        self._said.add(id(node))
        return new

    def _transpose(self, node: Typed) -> None:
        arg = node.args[0]
        rank = self.solver.known(arg.type)
        if rank is None:
            outer = self.solver.known(node.type)
            if outer == 2:
                self.solver.set_rank(arg.type, 2, node.span)
            elif outer is not None:
                self.solver.unify(arg.type, node.type)
            return
        if rank < 2:
            self.solver.unify(node.type, arg.type)
            return
        if self._first_time(node):
            dims = arg.type.root().dims
            self._same_result(node, Type(2, (dims[1], dims[0]), node.span))

    def _concat(self, node: Typed) -> None:
        ranks = [self.solver.known(arg.type) for arg in node.args]
        if None in ranks or not self._first_time(node):
            return
        sizes = self.solver.sizes
        if 2 in ranks:
            axis = node.data
            rows = [arg.type.root().dims for arg in node.args]
            if any(rank != 2 for rank in ranks):
                self._fail(node, self.conflicts.joined(node))
                return
            for dims in rows[1:]:
                if not sizes.unify(
                    dims[1 - axis], rows[0][1 - axis], self.solver.differing(node.span)
                ):
                    self._fail(node, self.conflicts.joined(node))
                    return
            total = sum((dims[axis] for dims in rows), Dim())
            shape = (total, rows[0][1]) if axis == 0 else (rows[0][0], total)
            self._same_result(node, Type(2, shape, node.span))
            return
        lengths = [
            arg.type.root().dims[0] if rank else Dim((), 1)
            for arg, rank in zip(node.args, ranks, strict=True)
        ]
        self._same_result(node, Type(1, (sum(lengths, Dim()),), node.span))

    def _diag(self, node: Typed) -> None:
        root = node.args[0].type.root()
        if not self.solver.set_rank(root, 1, node.span):
            self._fail(node, self.conflicts.diagonal(node))
        elif self._first_time(node):
            sizes = node.type.root().dims[0], root.dims[0]
            report = self.solver.differing(node.span)
            if not self.solver.sizes.unify(*sizes, report):
                self._fail(node, report(*sizes))

    def _part(self, node: Typed) -> None:
        if not self._first_time(node):
            return
        whole, part = node.args[0].type.root(), node.type.root()
        vectors = [self.solver.set_rank(type_, 1, node.span) for type_ in (whole, part)]
        if not all(vectors) or not self.solver.sizes.unify(
            whole.dims[0], part.dims[0] * node.data[1], lambda *_: self.conflicts.cut(node)
        ):
            self._fail(node, self.conflicts.cut(node))

    def _product(self, node: Typed) -> None:
        if node.settled is not None:
            self.solver.unify(node.type, node.settled.type)
            return
        known = self.solver.known
        unknown = [arg for arg in node.args if known(arg.type) is None]
        if not unknown:
            node.settled = fold(
                node, self.solver, self.diagnostics, self._other_use, rows=self._rows
            )
            if node.settled is None:
                self._failed.add(id(node))
                return
            for made in _inner(node.settled):
                if made.kind == "scaled":
                    self._pointwise(made)
            self._same_result(node, node.settled.type)
            return
        others = [arg for arg in node.args if known(arg.type) is not None]
        if len(unknown) == 1 and all(known(arg.type) == 0 for arg in others):
            self.solver.unify(node.type, unknown[0].type)
        elif (
            len(unknown) == 1
            and known(node.type) == 1
            and unknown[0] is node.args[-1]
            and (others and all(known(arg.type) == 2 for arg in others))
        ):
            self.solver.set_rank(unknown[0].type, 1, node.span)
        elif (
            len(unknown) == 1
            and known(node.type) == 0
            and unknown[0] is node.args[0]
            and (len(node.args) == 2 and known(others[0].type) == 1 and is_parameter(unknown[0]))
        ):
            # W_β x with a scalar result: W_β is a row.
            self.solver.set_rank(unknown[0].type, 1, node.span)
            unknown[0].row = True
            parameter(unknown[0]).rule = "vector: its product with a vector is a scalar"


def _collect(equations: Iterable[tuple[Quantity, Typed]]) -> list[list[Typed]]:
    """The nodes of each equation, every node once, operands before their operations."""
    found: list[list[Typed]] = []
    seen: set[int] = set()
    for _, root in equations:
        order: list[Typed] = []
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack.extend((arg, False) for arg in reversed(node.args))
        found.append(order)
    return found


def _gathers_outer(quantity: Quantity, value: Typed) -> bool:
    """Whether a capital quantity is its own past and a product `k^\\top v` of changing vectors."""
    if not quantity.capital or value.kind != "add" or not max(quantity.lags, default=0):
        return False
    for term in value.args:
        if term.kind == "product":
            vectors = [arg for arg in term.args if is_vector(strip(arg))]
            if len(vectors) == 2 and [arg.kind for arg in vectors] == ["transpose", "ref"]:
                return True
    return False


def _decided_by(node: Typed) -> list[Type]:
    """The types that what an operation infers depends on, each once."""
    parts = [node, *node.args]
    if node.kind in POINTWISE:
        # Whether a product is no scalar shows in its factors (`_is_shaped`).
        parts += [factor for arg in node.args if arg.kind == "product" for factor in arg.args]
    return list({id(part.type.root()): part.type for part in parts}.values())


def _inner(node: Typed) -> list[Typed]:
    found = [node]
    for made in found:
        if made.kind in ("scaled", "matvec", "matmul", "outer", "dot", "rows"):
            found += made.args
    return found[::-1]

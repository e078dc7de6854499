"""Find the kind of everything: what follows first, then use, then convention.

1. What follows: operators pass kinds on until nothing changes.
2. Use: a parameter that is added to or multiplied element-wise with a vector is one.
3. Convention, one step at a time: inputs are vectors; a capital in a product is a matrix, a small
   Greek letter a scalar, another small letter a vector.
The rule that decided is kept with the name. Conflicts are reported where two uses meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from gatec.errors import Diagnostic, Note, Span
from gatec.expr import Dim
from gatec.resolve.elaborate import Typed
from gatec.resolve.products import fold, is_parameter
from gatec.resolve.quantities import Quantity
from gatec.resolve.types import Solver, Type
from gatec.syntax import Key

_OF_VECTORS = frozenset(["softmax", "layer_norm", "rms_norm"])
_POINTWISE = frozenset(["add", "mul", "div", "pow", "call", "where", "compare"])


class Inference:
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
        self._failed: set[int] = set()
        self._said: set[int] = set()
        self._nodes = self._collect()
        self._rows = self._writes_rows()
        # Equations whose sides are not yet known to be of one kind.
        self._unequal = list(equations)
        for node in self._nodes:
            for type_ in _decided_by(node):
                type_.root().users.append(node)
        solver.awake += self._nodes
        solver.owners = self._owners

    def _collect(self) -> list[Typed]:
        """Every node once, operands before their operations."""
        order: list[Typed] = []
        seen: set[int] = set()
        for _, root in self.equations:
            stack = [(root, False)]
            while stack:
                node, ready = stack.pop()
                if ready:
                    order.append(node)
                elif id(node) not in seen:
                    seen.add(id(node))
                    stack.append((node, True))
                    stack.extend((arg, False) for arg in reversed(node.args))
        return order

    def _owners(self) -> dict[str, str]:
        """Whose size each unknown size is: 'size of x'."""
        owners: dict[str, str] = {}
        order = {"input": 0, "var": 1}
        for quantity in sorted(self.quantities, key=lambda q: order.get(q.kind, 2)):
            dims = [self.solver.sizes.resolve(dim) for dim in quantity.type.root().dims]
            words = ("size",) if len(dims) == 1 else ("rows", "columns")
            for word, dim in zip(words, dims, strict=False):
                if len(dim.terms) == 1 and dim.const == 0 and dim.terms[0][1] == 1:
                    owners.setdefault(dim.terms[0][0], f"{word} of {quantity.key}")
        return owners

    def _other_use(self, quantity: Quantity, product: Typed) -> Note | None:
        """Where else a parameter is a factor."""
        for node in self._nodes:
            if node.kind == "product" and node is not product:
                for arg in node.args:
                    if arg.kind == "ref" and arg.data[0] is quantity:
                        return Note(
                            f"'{quantity.key}' is a {self.solver.text(arg.type)} here", node.span
                        )
        return None

    def _writes_rows(self) -> bool:
        """Whether the document writes vectors as rows: `x_t W`, and nowhere `W x_t`."""
        rows = columns = 0
        for node in self._nodes:
            if node.kind == "product":
                for left, right in itertools.pairwise(node.args):
                    rows += _is_vector(left) and _is_weight(right)
                    columns += _is_weight(left) and _is_vector(right)
        return rows > 0 and not columns

    def run(self) -> None:
        self._settle()
        steps: tuple[Callable[[], bool], ...] = (
            self._inputs, self._scalar_factors, self._use, self._transposed, self._capitals, self._greek,
            self._inner_products, self._scalar_use, self._circled, self._variables,
            self._rest,
        )  # fmt: skip
        progress = True
        while progress:
            progress = False
            for step in steps:
                if step():
                    self._settle()
                    progress = True
                    break
        self.solver.sizes.retry()

    # --- what follows -----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Infer until nothing follows any more, looking only at what may have changed."""
        awake = self.solver.awake
        while awake or self._unequal:
            while awake:
                batch = dict.fromkeys(awake)  # each once, in order
                awake.clear()
                for node in batch:
                    self._infer(node)  # type: ignore[arg-type]
            unequal, self._unequal = self._unequal, []
            for quantity, value in unequal:
                self._equate(quantity, value)

    def _equate(self, quantity: Quantity, value: Typed) -> None:
        """A name has the kind of its right side."""
        left, right = quantity.type, value.type
        if self.solver.unify(left, right):
            return
        self._failed.add(id(value))
        words = self.solver.text(left), self.solver.text(right)
        self.diagnostics.append(
            Diagnostic(
                "E0302",
                f"'{quantity.key}' is a {words[0]}, but this is a {words[1]}",
                value.span,
                "the two must have one kind and one size",
                (
                    Note(
                        f"'{quantity.key}' is a {words[0]} here", self._origin(left, quantity.span)
                    ),
                ),
            )
        )

    def _origin(self, type_: Type, fallback: Span) -> Span:
        return type_.root().origin or fallback

    def _infer(self, node: Typed) -> None:
        if id(node) in self._failed:
            return
        kind = node.kind
        if kind in _POINTWISE:
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
                self._report_scalar(node)
            return
        rank = known(node.type)
        if rank == 0:
            for arg in unknown:
                self.solver.set_rank(arg.type, 0, node.span)
        elif len({id(arg.type.root()) for arg in unknown}) == 1 and (
            rank is not None or len(node.args) == len(unknown) or not _assumable(unknown[0])
        ):
            # All others are scalars: the result is what the last one is.
            self.solver.unify(unknown[0].type, node.type)

    def _is_shaped(self, product: Typed) -> bool:
        """Whether a product of unknown kind is no scalar: it starts with a matrix."""
        factors = [arg for arg in product.args if self.solver.known(arg.type) != 0]
        return not self._rows and self.solver.known(factors[0].type) == 2

    def _report_scalar(self, node: Typed) -> None:
        self._failed.add(id(node))
        self.diagnostics.append(
            Diagnostic(
                "E0302",
                f"this is a scalar, but a {self.solver.text(node.type)} is needed here",
                node.span,
                "the two must have one kind",
                (Note("what it must fit", self._origin(node.type, node.span)),),
            )
        )

    def _same_result(self, node: Typed, type_: Type) -> None:
        if not self.solver.unify(node.type, type_):
            self._failed.add(id(node))
            self.diagnostics.append(
                Diagnostic(
                    "E0302",
                    f"this is a {self.solver.text(type_)}, but a "
                    f"{self.solver.text(node.type)} is needed here",
                    node.span,
                    "the two must have one kind and one size",
                    (Note("what it must fit", self._origin(node.type, node.span)),),
                )
            )

    def _match(self, node: Typed, first: Typed, other: Typed) -> None:
        if first is other or first.type.root() is other.type.root() or id(node) in self._failed:
            return
        if self.solver.unify(first.type, other.type):
            return
        self._failed.add(id(node))
        texts = self.solver.text(first.type), self.solver.text(other.type)
        verb = {"add": "added to", "div": "divided by", "compare": "compared with"}.get(
            node.kind, "combined element by element with"
        )
        self.diagnostics.append(
            Diagnostic(
                "E0303",
                f"a {texts[0]} is {verb} a {texts[1]}",
                other.span,
                "element-wise operations need operands of one shape, or a scalar",
                (Note(f"this is a {texts[0]}", first.span), *self._why(first), *self._why(other)),
            )
        )

    def _why(self, node: Typed) -> tuple[Note, ...]:
        if node.kind != "ref":
            return ()
        quantity: Quantity = node.data[0]
        if quantity.rule and quantity.kind == "param":
            return (Note(f"'{quantity.key}': {quantity.rule}", quantity.span),)
        return ()

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
                self._fail_concat(node)
                return
            for dims in rows[1:]:
                if not sizes.unify(dims[1 - axis], rows[0][1 - axis]):
                    self._fail_concat(node)
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

    def _fail_concat(self, node: Typed) -> None:
        self._failed.add(id(node))
        kinds = ", ".join(self.solver.text(arg.type) for arg in node.args)
        self.diagnostics.append(
            Diagnostic(
                "E0304",
                f"these cannot be joined: {kinds}",
                node.span,
                "join vectors with vectors, and matrices of one height (or one width)",
            )
        )

    def _diag(self, node: Typed) -> None:
        self.solver.set_rank(node.args[0].type, 1, node.span)
        root = node.args[0].type.root()
        if root.rank == 1 and self._first_time(node):
            self.solver.sizes.unify(node.type.root().dims[0], root.dims[0])

    def _part(self, node: Typed) -> None:
        count = node.data[1]
        if not self._first_time(node):
            return
        self.solver.set_rank(node.args[0].type, 1, node.span)
        self.solver.set_rank(node.type, 1, node.span)
        whole, part = node.args[0].type.root(), node.type.root()
        if whole.rank == 1 and part.rank == 1:
            if not self.solver.sizes.unify(whole.dims[0], part.dims[0] * count):
                self._failed.add(id(node))
                self.diagnostics.append(
                    Diagnostic(
                        "E0305",
                        f"a {self.solver.text(whole)} cannot be cut into {count} parts of "
                        f"size {self.solver.sizes.resolve(part.dims[0])}",
                        node.span,
                    )
                )
        else:
            self._failed.add(id(node))
            self.diagnostics.append(
                Diagnostic(
                    "E0305",
                    f"a {self.solver.text(whole)} cannot be cut into {count} gates",
                    node.span,
                    "the right side of a stack must be a vector",
                )
            )

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
            _parameter(unknown[0]).rule = "vector: its product with a vector is a scalar"

    # --- assumptions ------------------------------------------------------------------------------

    def _assume(self, quantity: Quantity, rank: int, rule: str) -> bool:
        if self.solver.known(quantity.type) is not None:
            return False
        self.solver.set_rank(quantity.type, rank, quantity.span)
        quantity.rule = f"{quantity.rule}; {rule}" if quantity.kind == "input" else rule
        return True

    def _inputs(self) -> bool:
        done = False
        for quantity in self.quantities:
            if quantity.kind == "input" and self.solver.known(quantity.type) is None:
                if quantity.key.base.startswith("Delta_") or (
                    quantity.greek and quantity.juxtaposed
                ):
                    done |= self._assume(quantity, 0, "scalar: a small Greek letter as a factor")
                else:
                    done |= self._assume(quantity, 1, "vector: an input by convention")
        return done

    def _scalar_factors(self) -> bool:
        """`\\beta_t k_t k_t^\\top`: a small Greek factor of a matrix is a scalar."""
        done = False
        for node in self._nodes:
            if node.kind == "product" and node.settled is None and len(node.args) > 1:
                shaped = any(a.kind in ("transpose", "identity", "add") for a in node.args)
                for arg in node.args:
                    if arg.kind != "ref" or not shaped or len(node.args) < 3:
                        continue
                    quantity: Quantity = arg.data[0]
                    if quantity.kind == "var" and quantity.greek:
                        done |= self._assume(quantity, 0, "scalar: a Greek factor of a matrix")
        return done

    def _use(self) -> bool:
        """A parameter takes the shape that it is added to or multiplied with element by element."""
        done = False
        for node in self._nodes:
            if node.kind not in _POINTWISE:
                continue
            rank = self.solver.known(node.type)
            if not rank:
                continue
            for arg in node.args:
                quantity = self._deciding(arg)
                if quantity is None:
                    continue
                plain = node.kind in ("add", "div", "pow") or not (node.kind == "mul" and node.data)
                if quantity.greek and plain:
                    continue
                if quantity.kind == "param":
                    verb = "added to" if node.kind == "add" else "combined element-wise with"
                    word = ("scalar", "vector", "matrix")[rank]
                    quantity.rule = f"{word}: {verb} a {word}"
                self.solver.unify(arg.type, node.type)
                done = True
        return done

    def _deciding(self, node: Typed) -> Quantity | None:
        """The parameter whose kind alone decides the unknown kind of an expression."""
        while self.solver.known(node.type) is None:
            if node.kind == "ref":
                quantity: Quantity = node.data[0]
                return quantity if quantity.kind in ("param", "const") else None
            if node.kind not in _POINTWISE and node.kind not in ("neg", "product"):
                return None
            unknown = [arg for arg in node.args if self.solver.known(arg.type) is None]
            if len({id(arg.type.root()) for arg in unknown}) != 1 or any(
                self.solver.known(arg.type) for arg in node.args
            ):
                return None
            node = unknown[0]
        return None

    def _transposed(self) -> bool:
        """`w^\\top x`: a small letter that is transposed is a vector."""
        done = False
        for node in self._nodes:
            if node.kind == "transpose" and node.args[0].kind == "ref":
                quantity: Quantity = node.args[0].data[0]
                if quantity.kind in ("param", "var") and not quantity.capital:
                    done |= self._assume(quantity, 1, "vector: a small letter, transposed")
        return done

    def _capitals(self) -> bool:
        """Capitals in products are matrices; those that multiply known vectors or states first."""
        scaled = self._only_scaled()
        candidates: dict[Key, tuple[int, Quantity]] = {}
        for node in self._nodes:
            if node.kind not in ("product", "transpose"):
                continue
            for position, arg in enumerate(node.args):
                if self.solver.known(arg.type) is not None:
                    continue
                tier = self._tier(node, position)
                for quantity in _weights(arg):
                    if quantity.key not in scaled:
                        found = candidates.get(quantity.key, (tier, quantity))
                        candidates[quantity.key] = (min(tier, found[0]), quantity)
        first = min((tier for tier, _ in candidates.values()), default=0)
        done = False
        for tier, quantity in candidates.values():
            if tier == first and quantity.kind == "param":
                done |= self._assume(quantity, 2, "matrix: a capital letter in a product")
        return done

    def _tier(self, node: Typed, position: int) -> int:
        """How sure it is that a capital in a product is a matrix: 0 is surest."""
        neighbours = node.args[max(0, position - 1) : position] + node.args[position + 1 :][:1]
        if any((self.solver.known(other.type) or 0) > 0 for other in neighbours):
            return 0
        states = (o for o in neighbours if o.kind == "ref" and o.data[0].kind == "var")
        return 1 if any(max(o.data[0].lags, default=0) > 0 for o in states) else 2

    def _only_scaled(self) -> set[Key]:
        """Parameters that no product takes but with scalars: their kind comes from elsewhere."""
        scaled: set[Key] = set()
        others: set[Key] = set()
        for node in self._nodes:
            if node.kind != "product":
                continue
            for arg in node.args:
                if is_parameter(arg):
                    rest = [other for other in node.args if other is not arg]
                    known = all(self.solver.known(other.type) == 0 for other in rest)
                    (scaled if known else others).add(_parameter(arg).key)
        return scaled - others

    def _greek(self) -> bool:
        done = False
        for quantity in self.quantities:
            if quantity.kind in ("param", "const") and quantity.greek:
                done |= self._assume(quantity, 0, "scalar: a small Greek letter")
        return done

    def _inner_products(self) -> bool:
        done = False
        for quantity in self.quantities:
            if quantity.kind == "param" and quantity.juxtaposed and not quantity.capital:
                done |= self._assume(quantity, 1, "vector: a small letter")
        return done

    def _scalar_use(self) -> bool:
        """A parameter that only meets scalars is one: the bias of `w^\\top x + b`."""
        for node in self._nodes:
            if node.kind not in _POINTWISE or self.solver.known(node.type):
                continue
            unknown = [arg for arg in node.args if self.solver.known(arg.type) is None]
            if (
                not unknown
                or not all(map(_assumable, unknown))
                or all(arg in unknown or _is_number(arg) for arg in node.args)
            ):
                continue
            for arg in unknown:
                quantity = _parameter(arg)
                verb = "added to" if node.kind == "add" else "combined with"
                if quantity.kind == "param":
                    quantity.rule = f"scalar: {verb} a scalar"
                self.solver.set_rank(arg.type, 0, node.span)
            return True
        return False

    def _circled(self) -> bool:
        """No paper writes `\\odot` for a scalar factor: what stands beside it is as its partner."""
        for node in self._nodes:
            if node.kind == "mul" and node.data and self.solver.known(node.type):
                for arg in node.args:
                    if self.solver.known(arg.type) is None:
                        self.solver.unify(arg.type, node.type)
                        return True
        return False

    def _variables(self) -> bool:
        """A quantity that only its own past decides is a scalar among scalars, else a vector."""
        unknown = [
            q for q in self.quantities if q.kind == "var" and self.solver.known(q.type) is None
        ]
        if not unknown:
            return False
        for node in self._nodes:
            if node.kind == "product":
                for left, right in itertools.pairwise(node.args):
                    if (
                        self.solver.known(left.type) == 2
                        and right.kind == "ref"
                        and (right.data[0].kind == "var")
                        and self._assume(right.data[0], 1, "vector: a matrix multiplies it")
                    ):
                        return True
        among_scalars = self._among_scalars()
        for quantity in unknown:
            if id(quantity.type.root()) in among_scalars:
                return self._assume(quantity, 0, "scalar: it meets scalars only")
        # A capital may yet turn out to be a matrix, by what small letters are.
        unknown.sort(key=lambda quantity: quantity.capital)
        return self._assume(unknown[0], 1, "vector: nothing says otherwise")

    def _among_scalars(self) -> set[int]:
        """The kinds (by root) that are combined with scalars and with themselves only."""
        found: set[int] = set()
        others: set[int] = set()
        for node in self._nodes:
            own = id(node.type.root())
            if node.kind not in _POINTWISE or self.solver.known(node.type) is not None:
                continue
            for arg in node.args:
                rank = self.solver.known(arg.type)
                if rank == 0 and not _is_number(arg):
                    found.add(own)
                elif rank is None and id(arg.type.root()) != own:
                    others.add(own)
        return found - others

    def _rest(self) -> bool:
        for quantity in self.quantities:
            rank = 2 if quantity.capital else 1
            word = "matrix: a capital letter" if rank == 2 else "vector: a small letter"
            if quantity.kind == "param" and self._assume(quantity, rank, word):
                return True
        for node in self._nodes:
            if self.solver.known(node.type) is None and node.kind != "product":
                return self.solver.set_rank(node.type, 1, node.span)
        return False


def _decided_by(node: Typed) -> list[Type]:
    """The types that what an operation infers depends on, each once."""
    parts = [node, *node.args]
    if node.kind in _POINTWISE:
        # Whether a product is no scalar shows in its factors (`_is_shaped`).
        parts += [factor for arg in node.args if arg.kind == "product" for factor in arg.args]
    return list({id(part.type.root()): part.type for part in parts}.values())


def _inner(node: Typed) -> list[Typed]:
    found = [node]
    for made in found:
        if made.kind in ("scaled", "matvec", "matmul", "outer", "dot", "rows"):
            found += made.args
    return found[::-1]


def _strip(node: Typed) -> Typed:
    while node.kind in ("neg",):
        node = node.args[0]
    return node


def _is_number(node: Typed) -> bool:
    """Whether a value is made of numbers and constants alone."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.kind == "ref" and node.data[0].kind != "const":
            return False
        stack.extend(node.args)
    return True


def _is_weight(node: Typed) -> bool:
    """A capital parameter, transposed or not."""
    return is_parameter(node) and _parameter(node).capital


def _weights(node: Typed) -> list[Quantity]:
    """The capital parameters that make up a factor: `W`, `W^\\top`, `(W - W^\\top - \\gamma I)`."""
    found, stack = [], [node]
    while stack:
        node = stack.pop()
        if node.kind in ("neg", "transpose", "add", "mul"):
            stack.extend(reversed(node.args))
        elif _is_weight(node):
            found.append(_parameter(node))
    return found


def _is_vector(node: Typed) -> bool:
    """What a matrix may multiply, as far as its form tells."""
    if node.kind == "ref":
        return node.data[0].kind in ("var", "input")
    return node.kind in ("concat", "mul", "add", "call")


def _parameter(node: Typed) -> Quantity:
    inner = node
    while inner.kind in ("neg", "transpose"):
        inner = inner.args[0]
    quantity: Quantity = inner.data[0]
    return quantity


def _assumable(node: Typed) -> bool:
    """Whether a node's kind is a parameter's own."""
    inner = _strip(node)
    return inner.kind == "ref" and inner.data[0].kind in ("param", "const")

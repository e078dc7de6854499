"""What is assumed where nothing follows: use first, then the conventions of the literature.

One rule at a time, the surest first; after each, everything that follows is inferred before the
next is tried. The rule that decided is kept with the name: `gatec show` prints it.

A rule looks only at the equations in which something became known since it last looked, so that
a file of thousands of equations takes time in proportion to its length.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from gatec.resolve.quantities import Quantity
from gatec.resolve.typed import (
    POINTWISE,
    Typed,
    is_number,
    is_own,
    is_parameter,
    is_weight,
    parameter,
    weights,
)
from gatec.resolve.types import Solver
from gatec.syntax import Key


class Conventions:
    """The rules over one cell. `equations` holds the nodes of each equation."""

    def __init__(
        self,
        solver: Solver,
        equations: Sequence[Sequence[Typed]],
        quantities: Sequence[Quantity],
    ) -> None:
        self.solver, self.equations, self.quantities = solver, equations, quantities
        self._rules: tuple[Callable[[], bool], ...] = (
            self._said,
            self._inputs,
            self._scalar_factors,
            self._use,
            self._transposed,
            self._capitals,
            self._greek,
            self._inner_products,
            self._scalar_use,
            self._circled,
            self._multiplied,
            self._variables,
            self._rest,
        )
        numbers = range(len(equations))
        self._changed = {
            rule: Changes(numbers)
            for rule in ("use", "capitals", "scalar use", "circled", "multiplied")
        }
        self._once: set[str] = set()
        self._products = _products(equations)
        # Capitals that may be matrices, by how sure that is.
        self._candidates: tuple[dict[Key, Quantity], ...] = ({}, {}, {})
        self._variables_left = [q for q in quantities if q.kind == "var"]
        self._params_left = deque(q for q in quantities if q.kind == "param")

    def changed(self, equations: Iterable[int]) -> None:
        """Say that something became known in these equations."""
        for number in equations:
            for changes in self._changed.values():
                changes.add(number)

    def products(self, quantity: Quantity) -> Sequence[tuple[Typed, Typed]]:
        """The products that a parameter is a factor of, and the factor itself."""
        return self._products.get(quantity.key, ())

    def assume(self) -> bool:
        """Apply the first rule that says something; False where none does."""
        return any(rule() for rule in self._rules)

    # --- helpers --------------------------------------------------------------------------------

    def _look(self, rule: str) -> Iterator[Typed]:
        """The nodes that a rule must look at (again)."""
        for number in self._changed[rule]:
            yield from self.equations[number]

    def _first_time(self, rule: str) -> bool:
        """Whether a rule that depends on the text alone has not been applied yet."""
        if rule in self._once:
            return False
        self._once.add(rule)
        return True

    def _nodes(self) -> Iterator[Typed]:
        return itertools.chain.from_iterable(self.equations)

    def _known(self, node: Typed) -> int | None:
        return self.solver.known(node.type)

    def _is_open(self, quantity: Quantity) -> bool:
        return self.solver.known(quantity.type) is None

    def _assume(self, quantity: Quantity, rank: int, rule: str) -> bool:
        if not self._is_open(quantity):
            return False
        self.solver.set_rank(quantity.type, rank, quantity.span)
        quantity.rule = f"{quantity.rule}; {rule}" if quantity.kind == "input" else rule
        return True

    # --- what the text, the letters and the form say ----------------------------------------------

    def _said(self) -> bool:
        if not self._first_time("said"):
            return False
        done = False
        for quantity in self.quantities:
            if quantity.said is not None:
                word = ("scalar", "vector", "matrix")[quantity.said]
                done |= self._assume(quantity, quantity.said, f"{word}: the text says its space")
        return done

    def _inputs(self) -> bool:
        if not self._first_time("inputs"):
            return False
        done = False
        weighted = self._weighted()
        for quantity in self.quantities:
            if quantity.kind == "input":
                if quantity.is_step:
                    done |= self._assume(quantity, 0, "scalar: the length of a time step")
                elif quantity.greek and quantity.juxtaposed and quantity.key not in weighted:
                    done |= self._assume(quantity, 0, "scalar: a small Greek letter as a factor")
                else:
                    done |= self._assume(quantity, 1, "vector: an input by convention")
        return done

    def _weighted(self) -> set[Key]:
        """The names that a capital parameter stands right before: `W \\delta_t`."""
        return {
            right.data[0].key
            for node in self._nodes()
            if node.kind == "product"
            for left, right in itertools.pairwise(node.args)
            if right.kind == "ref" and is_weight(left)
        }

    def _scalar_factors(self) -> bool:
        """`\\beta_t k_t k_t^\\top`: a small Greek factor of a matrix is a scalar."""
        if not self._first_time("scalar factors"):
            return False
        done = False
        for node in self._nodes():
            if node.kind != "product" or node.settled is not None or len(node.args) < 3:
                continue
            if any(arg.kind in ("transpose", "identity", "add") for arg in node.args):
                for arg in node.args:
                    if arg.kind == "ref" and arg.data[0].kind == "var" and arg.data[0].greek:
                        done |= self._assume(arg.data[0], 0, "scalar: a Greek factor of a matrix")
        return done

    def _transposed(self) -> bool:
        """`w^\\top x`: a small letter that is transposed is a vector."""
        if not self._first_time("transposed"):
            return False
        done = False
        for node in self._nodes():
            if node.kind == "transpose" and node.args[0].kind == "ref":
                quantity: Quantity = node.args[0].data[0]
                if quantity.kind in ("param", "var") and not quantity.capital:
                    done |= self._assume(quantity, 1, "vector: a small letter, transposed")
        return done

    def _greek(self) -> bool:
        if not self._first_time("greek"):
            return False
        done = False
        for quantity in self.quantities:
            if quantity.kind in ("param", "const") and quantity.greek:
                done |= self._assume(quantity, 0, "scalar: a small Greek letter")
        return done

    def _inner_products(self) -> bool:
        if not self._first_time("inner products"):
            return False
        done = False
        for quantity in self.quantities:
            if quantity.kind == "param" and quantity.juxtaposed and not quantity.capital:
                done |= self._assume(quantity, 1, "vector: a small letter")
        return done

    # --- what the use says ------------------------------------------------------------------------

    def _use(self) -> bool:
        """A parameter takes the shape that it is added to or multiplied with element by element."""
        done = False
        for node in self._look("use"):
            rank = self._known(node) if node.kind in POINTWISE else None
            if not rank:
                continue
            for arg in node.args:
                quantity = self._deciding(arg)
                if quantity is None:
                    continue
                plain = not (node.kind in ("add", "mul") and node.data)
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
        while self._known(node) is None:
            if node.kind == "ref":
                quantity: Quantity = node.data[0]
                return quantity if quantity.kind in ("param", "const") else None
            if node.kind not in POINTWISE and node.kind not in ("neg", "product"):
                return None
            unknown = [arg for arg in node.args if self._known(arg) is None]
            if len({id(arg.type.root()) for arg in unknown}) != 1 or any(
                self._known(arg) for arg in node.args
            ):
                return None
            node = unknown[0]
        return None

    def _scalar_use(self) -> bool:
        """A parameter that only meets scalars is one: the bias of `w^\\top x + b`."""
        for node in self._look("scalar use"):
            if node.kind not in POINTWISE or self._known(node):
                continue
            unknown = [arg for arg in node.args if self._known(arg) is None]
            if not unknown or not all(is_own(arg) for arg in unknown):
                continue
            met = {id(arg) for arg in unknown}
            if all(id(arg) in met or is_number(arg) for arg in node.args):
                continue
            for arg in unknown:
                quantity = parameter(arg)
                if quantity.kind == "param":
                    verb = "added to" if node.kind == "add" else "combined with"
                    quantity.rule = f"scalar: {verb} a scalar"
                self.solver.set_rank(arg.type, 0, node.span)
            return True
        return False

    def _circled(self) -> bool:
        """No paper writes `\\odot` for a scalar factor: what stands beside it is as its partner."""
        for node in self._look("circled"):
            if node.kind == "mul" and node.data and self._known(node):
                for arg in node.args:
                    if self._known(arg) is None:
                        self.solver.unify(arg.type, node.type)
                        return True
        return False

    # --- capitals ---------------------------------------------------------------------------------

    def _capitals(self) -> bool:
        """Capitals in products are matrices; those that multiply known vectors or states first."""
        for node in self._look("capitals"):
            if node.kind in ("product", "transpose"):
                for position, arg in enumerate(node.args):
                    if self._known(arg) is None:
                        tier = self._tier(node, position)
                        for quantity in weights(arg):
                            self._candidates[tier][quantity.key] = quantity
        for candidates in self._candidates:
            done = False
            for quantity in candidates.values():
                if quantity.kind == "param" and not self._is_only_scaled(quantity):
                    done |= self._assume(quantity, 2, "matrix: a capital letter in a product")
            candidates.clear()
            if done:
                return True
        return False

    def _tier(self, node: Typed, position: int) -> int:
        """How sure it is that a capital in a product is a matrix: 0 is surest."""
        neighbours = node.args[max(0, position - 1) : position] + node.args[position + 1 :][:1]
        if any((self._known(other) or 0) > 0 for other in neighbours):
            return 0
        states = (o for o in neighbours if o.kind == "ref" and o.data[0].kind == "var")
        return 1 if any(max(o.data[0].lags, default=0) > 0 for o in states) else 2

    def _is_only_scaled(self, quantity: Quantity) -> bool:
        """Whether a parameter is multiplied by scalars alone: its kind comes from elsewhere."""
        products = self.products(quantity)
        return bool(products) and all(
            all(self._known(arg) == 0 for arg in node.args if arg is not own)
            for node, own in products
        )

    # --- quantities -------------------------------------------------------------------------------

    def _multiplied(self) -> bool:
        for node in self._look("multiplied"):
            if node.kind == "product":
                for left, right in itertools.pairwise(node.args):
                    if (
                        self._known(left) == 2
                        and right.kind == "ref"
                        and (right.data[0].kind == "var")
                        and self._assume(right.data[0], 1, "vector: a matrix multiplies it")
                    ):
                        return True
        return False

    def _variables(self) -> bool:
        """A quantity that only its own past decides is a scalar among scalars, else a vector."""
        unknown = self._variables_left = [q for q in self._variables_left if self._is_open(q)]
        if not unknown:
            return False
        done = False
        scalars = self._among_scalars()
        for quantity in unknown:
            if id(quantity.type.root()) in scalars:
                done |= self._assume(quantity, 0, "scalar: it meets scalars only")
        if done:
            return True
        # A capital may yet turn out to be a matrix, by what small letters are.
        unknown = sorted(unknown, key=lambda quantity: quantity.capital)
        together = self._connected()
        seen: set[int] = set()
        for quantity in unknown:
            part = together.find(id(quantity.type.root()))
            if part not in seen:
                seen.add(part)
                self._assume(quantity, 1, "vector: nothing says otherwise")
        return True

    def _open_nodes(self) -> Iterator[Typed]:
        return (node for node in self._nodes() if self._known(node) is None)

    def _among_scalars(self) -> set[int]:
        """The kinds (by root) that are combined with scalars and with themselves only."""
        found: set[int] = set()
        others: set[int] = set()
        for node in self._open_nodes():
            if node.kind not in POINTWISE:
                continue
            own = id(node.type.root())
            for arg in node.args:
                rank = self._known(arg)
                if rank == 0 and not is_number(arg):
                    found.add(own)
                elif rank is None and id(arg.type.root()) != own:
                    others.add(own)
        return found - others

    def _connected(self) -> Groups:
        """Which unknown kinds (by root) have to do with each other: one may decide the other."""
        groups = Groups()
        for node in self._open_nodes():
            for arg in node.args:
                if self._known(arg) is None:
                    groups.join(id(node.type.root()), id(arg.type.root()))
        return groups

    def _rest(self) -> bool:
        while self._params_left:
            quantity = self._params_left.popleft()
            rank = 2 if quantity.capital else 1
            word = "matrix: a capital letter" if rank == 2 else "vector: a small letter"
            if self._assume(quantity, rank, word):
                return True
        for node in self._open_nodes():
            if node.kind != "product":
                return self.solver.set_rank(node.type, 1, node.span)
        return False


class Changes:
    """Numbers of equations to look at again, in the order of the text."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._heap = sorted(numbers)
        self._waiting = set(self._heap)

    def add(self, number: int) -> None:
        if number not in self._waiting:
            self._waiting.add(number)
            heapq.heappush(self._heap, number)

    def __iter__(self) -> Iterator[int]:
        """Each number; one is forgotten only when the next is asked for."""
        while self._heap:
            yield self._heap[0]
            self._waiting.remove(heapq.heappop(self._heap))


class Groups:
    """Which things belong together (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def find(self, item: int) -> int:
        root = item
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while item != root:
            self._parents[item], item = root, self._parents[item]
        return root

    def join(self, one: int, other: int) -> None:
        self._parents[self.find(one)] = self.find(other)


def _products(equations: Sequence[Sequence[Typed]]) -> dict[Key, list[tuple[Typed, Typed]]]:
    """The products that each parameter is a factor of, and the factor itself."""
    found: dict[Key, list[tuple[Typed, Typed]]] = {}
    for node in itertools.chain.from_iterable(equations):
        if node.kind == "product":
            for arg in node.args:
                if is_parameter(arg):
                    found.setdefault(parameter(arg).key, []).append((node, arg))
    return found

"""The search for a parameter map: parameters of one cell in terms of the other's.

Each gate of `mine` (a function with parameters of its own) is taken for a gate of `theirs`, for
its complement, for a constant, or for a limit; states are permuted and rescaled. Then everything
that has to agree is linear in the parameters of `mine`, and is solved exactly. The search is not
trusted: `prove.py` proves what it finds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, lru_cache

from gatec.equivalence.assemble import assembled
from gatec.equivalence.coefficients import equations
from gatec.equivalence.linear import System
from gatec.equivalence.normal import Normaliser
from gatec.equivalence.pieces import Piece, pieces
from gatec.equivalence.polynomials import Poly, TooLarge
from gatec.equivalence.reductions import indicated
from gatec.equivalence.sides import (
    Side,
    argument,
    matrix_product,
    mentions,
    over,
    parameter,
    renamed,
    with_params,
)
from gatec.equivalence.state_maps import StateMap, state_maps
from gatec.expr import Apply, Broadcast, Const, Expr, Identity, Ref, Shape, replaced
from gatec.ir import Cell
from gatec.passes.common import bottom_up, nodes, zeros

ONE = Const(Fraction(1))
HALF = Const(Fraction(1, 2))
_COMPARISONS = 4  # that a try is worth
_SMALL = 8  # terms of two polynomials that are compared for one of these
# What functions are of a negative argument, given the function of the positive one.
_MIRRORED: dict[str, Callable[[Expr], Expr]] = {
    **dict.fromkeys(("sin", "arctan", "erf", "sign"), lambda value: -value),
    "cos": lambda value: value,
    "softplus": lambda value: value - value.children[0],
}
# A bias on its way to infinity; `sigmoid` of it is 1 in the limit.
INFINITE = "infinity"


@dataclass(frozen=True)
class Target:
    """What a gate of `mine` is taken for: an expression over `theirs`.

    `argument` is what the gate's argument then has to be, None where that is left open. `limit`
    marks a constant that is reached only as a bias goes to infinity; the argument is that bias
    alone.
    """

    value: Expr
    argument: Expr | None
    limit: bool = False


@dataclass(frozen=True)
class Found:
    """A map: with `params` in place of its own, `mine` is `theirs`.

    states  state of mine -> (state of theirs, scale): mine = scale * theirs
    params  parameter of mine -> an expression in parameters of theirs
    gates   gate of mine -> what it became, for the reader
    limits  gates that are constant only in the limit
    """

    states: StateMap
    params: dict[str, Expr]
    gates: dict[Expr, Target] = field(default_factory=dict)
    limits: tuple[Expr, ...] = ()


class Budget:
    """A number of tries, so that a search comes as far on every machine.

    A try is worth a few comparisons of small polynomials; larger ones cost more.
    """

    def __init__(self, tries: int) -> None:
        self.left = _COMPARISONS * tries

    def spend(self, work: int = 1) -> bool:
        """Whether the work is still within the budget."""
        self.left -= work
        return self.left >= 0


class Matcher:
    """Searches maps from the parameters of `theirs` to those of `mine`."""

    def __init__(self, mine: Cell, theirs: Cell, budget: Budget) -> None:
        """Both cells `alive`, with constants in place and parameters of different names."""
        self.mine, self.theirs, self.budget = mine, theirs, budget
        self.unknown = _own(mine)
        # How far the search got where it failed: gates and results settled, and the map so far.
        self.furthest: Found | None = None
        self._reached = (-1, -1)

    def further(self, gates: int, results: int) -> bool:
        """Whether an attempt settled more than any before it."""
        return (gates, results) > self._reached

    def reached(self, gates: int, results: int, found: Found) -> None:
        """Remember the map of the attempt that settled the most."""
        self._reached, self.furthest = (gates, results), found

    def search(self, *, limits: bool = False) -> Iterator[Found]:
        """Maps, the simplest first. With `limits`, those that need a limit."""
        for states in state_maps(_side(self.mine), _side(self.theirs)):
            for fixed in self._fixings():
                mine = with_params(self.mine, fixed) if fixed else self.mine
                try:
                    attempt = _Attempt(self, mine, states, limits)
                    for found in attempt.search():
                        params = {**found.params, **fixed}
                        yield replace(found, params=params)
                except TooLarge:
                    continue
                if self.budget.left < 0:
                    return

    def _fixings(self) -> Iterator[dict[str, Expr]]:
        """Parameters that stand in products with others are tried at 1 and 0 (vectors), or at
        the identity (square matrices): the rest is linear, then."""
        yield {}
        names = sorted(self._multiplied)
        if not names or len(names) > 5:
            return
        shapes = {param.name: param.shape for param in self.mine.params}
        for values in itertools.product(*(_special(shapes[name]) for name in names)):
            fixed = {n: v for n, v in zip(names, values, strict=True) if v is not None}
            if fixed:
                yield fixed

    @cached_property
    def _multiplied(self) -> frozenset[str]:
        """The parameters that multiply others: all but the last of each product."""
        found: set[str] = set()
        for result in _side(self.mine).results().values():
            for node in nodes(result):
                if not isinstance(node, Apply):
                    continue
                if node.op == "mul":
                    factors = [f for f in node.args if self._has_own(f)]
                    if len(factors) > 1:
                        found |= {f.name for f in factors if isinstance(f, Ref)}
                elif node.op == "matvec":
                    matrix, vector = node.args
                    if isinstance(matrix, Ref) and matrix_product(vector, self.unknown):
                        found |= {matrix.name} & self.unknown
        return frozenset(found)

    def _has_own(self, factor: Expr) -> bool:
        own = parameter(factor, self.unknown) is not None
        return own or matrix_product(factor, self.unknown) is not None


def _special(shape: Shape) -> list[Expr | None]:
    """The values that a parameter in products is tried at; None leaves it open."""
    if len(shape) == 2:
        return [None, Identity(shape[0])] if shape[0] == shape[1] else [None]
    return [None, _full(ONE, shape), zeros(shape)]


def _full(value: Expr, shape: Shape) -> Expr:
    return value if value.shape == shape else Broadcast(value, shape)


class _Layout:
    """What an attempt at one state map starts from: normal forms, gates, and what has to agree.

    Without a part in the search: several searches of the same cells share it.
    """

    def __init__(self, mine: Cell, theirs: Cell, states: StateMap) -> None:
        """Raises TooLarge where a normal form is."""
        self.mine = _side(mine)
        self.theirs = Side.of(in_terms_of(theirs, mine, states))
        unknown, known = _own(mine), _own(theirs) | {INFINITE}
        gates = self.mine.gates(unknown)
        self.pieces = self._pieces(states, set(gates))
        gates = [gate for gate in gates if any(gate in piece.gates for piece in self.pieces)]
        self.places = {gate: place for place, gate in enumerate(gates)}
        self.gates = _soonest(self.pieces, gates)
        # A gate may be one without parameters, too, as tanh(c) is: those come last.
        self.targets = list(dict.fromkeys([*self.theirs.gates(known), *self.theirs.functions()]))
        self._gates_inside: dict[Expr, frozenset[Expr]] = {}

    def _pieces(self, states: StateMap, gates: set[Expr]) -> list[Piece]:
        """What has to agree: the output and the new values of mapped states, in pieces."""
        wanted = {"": self.theirs.output}
        for name, (other, scale) in states.items():
            value = self.theirs.updates[other]
            wanted[name] = value if scale == 1 else Const(scale) * value
        found: list[Piece] = []
        for name, goal in sorted(wanted.items()):
            result = self.mine.results()[name]
            found += pieces(result, self.mine.poly(result), goal, self.theirs.poly(goal), gates)
        return found

    def gates_inside(self, atom: Expr) -> frozenset[Expr]:
        """The gates inside of an atom."""
        if atom not in self._gates_inside:
            self._gates_inside[atom] = frozenset(
                node
                for node in nodes(atom)
                if node in self.places and node is not atom and node != atom
            )
        return self._gates_inside[atom]


@lru_cache(maxsize=32)
def _side(cell: Cell) -> Side:
    """The normal forms of a cell as it stands, which most attempts share."""
    return Side.of(cell)


@lru_cache(maxsize=256)
def _layout(
    mine: Cell, theirs: Cell, states: tuple[tuple[str, tuple[str, Fraction]], ...]
) -> _Layout:
    return _Layout(mine, theirs, dict(states))


def _own(cell: Cell) -> frozenset[str]:
    return frozenset(param.name for param in cell.params)


class _Attempt:
    """One state map: the gates are assigned one after the other, inner ones first."""

    def __init__(self, matcher: Matcher, mine: Cell, states: StateMap, limits: bool) -> None:
        self.matcher, self.states, self.limits = matcher, states, limits
        layout = _layout(mine, matcher.theirs, tuple(states.items()))
        self.layout, self.mine, self.theirs = layout, layout.mine, layout.theirs
        self.pieces, self.gates = layout.pieces, layout.gates

    def search(self) -> Iterator[Found]:
        yield from self._assign(0, {}, System(), frozenset())

    def _assign(
        self, index: int, chosen: dict[Expr, Target], system: System, settled: frozenset[int]
    ) -> Iterator[Found]:
        if self.matcher.budget.left < 0:
            return
        agreed = self._settle(settled, chosen, system)
        self._reached(index, len(settled if agreed is None else agreed), chosen, system)
        if agreed is None:
            return
        settled = agreed
        if index == len(self.gates):
            if len(settled) == len(self.pieces):
                found = self._found(chosen, system)
                if found is not None:
                    yield found
            return
        gate = self.gates[index]
        for target in self._targets(gate):
            made = system.copy()
            if self._argument_agrees(gate, target, chosen, made):
                yield from self._assign(index + 1, {**chosen, gate: target}, made, settled)

    def _settle(
        self, settled: frozenset[int], chosen: dict[Expr, Target], system: System
    ) -> frozenset[int] | None:
        """The pieces that agree now that more gates are chosen; None where one cannot.

        A piece that is not linear in the parameters waits for others to settle some of them.
        """
        waiting = [
            index
            for index, piece in enumerate(self.pieces)
            if index not in settled and all(gate in chosen for gate in piece.gates)
        ]
        while waiting:
            left = []
            for index in waiting:
                piece = self.pieces[index]
                agrees = self._agree(piece.value, piece.wanted, chosen, system)
                if agrees is False:
                    return None
                if agrees is None:
                    left.append(index)
                else:
                    settled = settled | {index}
            if len(left) == len(waiting):
                break
            waiting = left
        return settled

    def _targets(self, gate: Expr) -> Iterator[Target]:
        """What a gate may be taken for, the likeliest first: what stands where it stands."""
        assert isinstance(gate, Apply)
        place = self.layout.places[gate]
        alike = [
            other
            for _, other in sorted(
                enumerate(self.layout.targets), key=lambda at: abs(at[0] - place)
            )
            if isinstance(other, Apply) and other.op == gate.op and other.shape == gate.shape
        ]
        for other in alike:
            yield Target(other, argument(other))
            if gate.op == "sigmoid":
                yield Target(ONE - other, -argument(other))
            elif gate.op in _MIRRORED:
                yield Target(_MIRRORED[gate.op](other), -argument(other))
        if indicated(gate) is not None:
            # Signs do not see how large a value is: what they are multiplied by may tell. And
            # `u [u > 0]` is `u (1 - [-u > 0])`, though at 0 the indicators differ.
            for other in alike:
                yield Target(other, None)
            for other in alike:
                yield Target(ONE - other, None)
        if gate.op != "sigmoid":
            return
        yield Target(_full(HALF, gate.shape), zeros(gate.shape))
        if self.limits:
            infinite = Ref("param", INFINITE, gate.shape)
            yield Target(_full(ONE, gate.shape), infinite, limit=True)
            yield Target(zeros(gate.shape), -infinite, limit=True)

    def _argument_agrees(
        self, gate: Expr, target: Target, chosen: dict[Expr, Target], system: System
    ) -> bool:
        if target.argument is None:
            return True
        return bool(self._agree(argument(gate), target.argument, chosen, system))

    def _agree(
        self, value: Expr, wanted: Expr, chosen: dict[Expr, Target], system: System
    ) -> bool | None:
        """Add the equations of `value = wanted`; False where they have no solution.

        None where they are not linear in the parameters.
        """
        goal = self.theirs.poly(wanted)
        made = self._chosen(value, chosen)
        if not self.matcher.budget.spend(1 + (len(made.terms) + len(goal.terms)) // _SMALL):
            return False
        rows = equations(made, goal, self.matcher.unknown)
        if rows is None:
            # Not linear: but perhaps with the parameters that are settled already.
            value = replaced(made.expr(value.shape), system.settled())
            rows = equations(self.mine.poly(value), goal, self.matcher.unknown)
        return None if rows is None else system.add(rows)

    def _chosen(self, value: Expr, chosen: dict[Expr, Target]) -> Poly:
        """The normal form of an expression with gates put in for what they are taken for."""
        poly = self.mine.poly(value)
        atoms = poly.atoms()
        inner = {
            gate for atom in atoms for gate in self.layout.gates_inside(atom) if gate in chosen
        }
        if inner:
            values = {gate: target.value for gate, target in chosen.items()}
            return self.mine.poly(replaced(value, values))
        # Gates stand in products only: polynomials are enough.
        outer = {atom: self.mine.poly(chosen[atom].value) for atom in atoms if atom in chosen}
        return poly.put(outer) if outer else poly

    def _reached(
        self, gates: int, results: int, chosen: dict[Expr, Target], system: System
    ) -> None:
        """What is known so far, in case nothing better comes."""
        if any(target.limit for target in chosen.values()):
            return
        if not self.matcher.further(gates, results):
            return
        solution, params = system.solution(), dict[str, Expr]()
        for param in self.mine.cell.params:
            if any(mentions(view, [param.name]) for view in solution):
                value = assembled(param.name, param.shape, solution)
                if value is not None:
                    params[param.name] = value
        self.matcher.reached(gates, results, Found(self.states, params, chosen))

    def _found(self, chosen: dict[Expr, Target], system: System) -> Found | None:
        solution = system.solution()
        params: dict[str, Expr] = {}
        for param in self.mine.cell.params:
            value = assembled(param.name, param.shape, solution)
            if value is None:
                return None
            params[param.name] = value
        limits = tuple(gate for gate, target in chosen.items() if target.limit)
        return Found(self.states, params, chosen, limits)


def _soonest(pieces: list[Piece], gates: list[Expr]) -> list[Expr]:
    """Gates in an order that completes a piece as soon as can be, inner ones first."""
    left = dict.fromkeys(gates)
    ordered: list[Expr] = []
    waiting = [[gate for gate in bottom_up(piece.value) if gate in left] for piece in pieces]
    while left:
        waiting = [[gate for gate in gates if gate in left] for gates in waiting]
        for gate in min(filter(None, waiting), key=len):
            ordered.append(gate)
            del left[gate]
    return ordered


def in_terms_of(theirs: Cell, mine: Cell, states: Mapping[str, tuple[str, Fraction]]) -> Cell:
    """`theirs` reading the inputs and states of `mine`, where mine = scale * theirs."""
    shapes = {state.name: state.shape for state in mine.states}
    inputs = {
        theirs_in.name: Ref("input", mine_in.name, mine_in.shape)
        for theirs_in, mine_in in zip(theirs.inputs, mine.inputs, strict=True)
    }
    back = {
        other: (Ref("state", name, shapes[name], 1), 1 / scale)
        for name, (other, scale) in states.items()
    }
    return over(theirs, inputs, back)


__all__ = ["Budget", "Found", "Matcher", "Normaliser", "in_terms_of", "renamed"]

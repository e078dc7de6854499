"""Parameter maps read off two cells that are written alike.

Code most often follows the formula that it implements, and documentation the code: then both
are the same but for the names of parameters, the order of terms, and biases that are summed in
one of them; if not as they are written, then in normal form. The map is found by laying one over
the other; it is proved as any other map is.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

from gatec.equivalence.match import Found
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.sides import Side
from gatec.expr import Apply, Concat, Const, Dim, Expr, Ref, Slice, bottom_up, call, rewrite
from gatec.ir import Cell
from gatec.passes.common import is_zero, zeros
from gatec.passes.layout import concat
from gatec.passes.products import product

_TRIES = 5_000  # pairs of expressions that are laid over each other
DEEPEST = 100  # nesting of expressions that are searched
_ORDERS = 24  # orders of terms that look alike
_AC = frozenset({"add", "mul"})  # their operands have no order


def aligned(mine: Cell, theirs: Cell) -> Iterator[Found]:
    """Maps that make `mine` what `theirs` is written like; cells as `check.prepared` gives them."""
    if len(mine.states) != len(theirs.states):
        return
    for values in (as_written, _normalised):
        try:
            one, other = values(mine), values(theirs)
            if one.depth > DEEPEST or other.depth > DEEPEST:
                continue
            search = _Search(one, other, _places(mine), _places(theirs))
            found = (laid.found(mine, theirs) for laid in search.results())
            yield from itertools.islice(filter(None, found), 1)
        except (TooLarge, _OutOfTries):
            continue


def _places(cell: Cell) -> dict[str, int]:
    return {item.name: place for place, item in enumerate(cell.inputs)}


@dataclass(frozen=True)
class Values:
    """The output and the new values of states, over inputs, states and parameters."""

    output: Expr
    updates: Mapping[str, Expr]

    @property
    def depth(self) -> int:
        """How deep the expressions nest: the search follows them down."""
        depths: dict[Expr, int] = {}
        for root in (self.output, *self.updates.values()):
            for node in bottom_up(root):
                depths[node] = 1 + max((depths[child] for child in node.children), default=0)
        return max(depths.values())


def _normalised(cell: Cell) -> Values:
    """Raises TooLarge."""
    side = Side.of(cell)
    return Values(side.output, side.updates)


def as_written(cell: Cell) -> Values:
    values: dict[str, Expr] = {}

    def node(expr: Expr) -> Expr:
        if isinstance(expr, Ref) and expr.kind == "var":
            return values[expr.name]
        if isinstance(expr, Apply) and expr.op in _AC:
            return call(expr.op, *expr.args)  # flat again, with values in place
        if isinstance(expr, Apply) and expr.op == "matvec" and isinstance(expr.args[1], Concat):
            return product("matvec", *expr.args)
        return expr

    for equation in cell.equations:
        values[equation.name] = rewrite(equation.value, node)
    updates = {state.name: values[state.update] for state in cell.states}
    return Values(values[cell.output], updates)


class _OutOfTries(Exception):
    """The search has gone on for long enough."""


@dataclass(frozen=True)
class Laid:
    """What stands for what so far: views of parameters of mine, and states."""

    params: Mapping[Expr, Expr] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)

    def with_param(self, view: Expr, value: Expr) -> Laid | None:
        known = self.params.get(view)
        if known is not None:
            return self if known == value else None
        if view.shape != value.shape:
            return None
        return replace(self, params={**self.params, view: value})

    def with_state(self, one: str, other: str) -> Laid | None:
        known = self.states.get(one)
        if known is not None:
            return self if known == other else None
        if other in self.states.values():
            return None
        return replace(self, states={**self.states, one: other})

    def found(self, mine: Cell, theirs: Cell) -> Found | None:
        """The map; None where views of one parameter do not make up the whole."""
        params: dict[str, Expr] = {}
        others = {state.name: state for state in theirs.states}
        for state in mine.states:
            start, other = state.initial.param, others[self.states[state.name]].initial.param
            if start is not None and other is not None:
                first = Ref("param", other, state.shape)
                known = self.with_param(Ref("param", start, state.shape), first)
                if known is None:
                    return None
                self = known
        for param in mine.params:
            value = whole(Ref("param", param.name, param.shape), self.params)
            if value is None:
                return None
            params[param.name] = value
        states = {state.name: (self.states[state.name], Fraction(1)) for state in mine.states}
        return Found(states, params)


def whole(param: Ref, values: Mapping[Expr, Expr]) -> Expr | None:
    """A parameter's value from those of its views; zeros where it is never read."""
    if param in values:
        return values[param]
    views = [v for v in values if isinstance(v, Slice) and _base(v) == param]
    if not views:
        return zeros(param.dims)
    if any(view.arg != param for view in views) or len({view.axis for view in views}) > 1:
        return None
    axis, position, parts = views[0].axis, Dim(), []
    left = {view.start: view for view in views}
    while position in left:
        view = left.pop(position)
        parts.append(values[view])
        position = view.stop
    if left or position != param.dims[axis]:
        return None
    return concat(parts, axis) if len(parts) > 1 else parts[0]


def _base(view: Expr) -> Expr:
    while isinstance(view, Slice):
        view = view.arg
    return view


class _Search:
    def __init__(
        self, one: Values, other: Values, mine: Mapping[str, int], theirs: Mapping[str, int]
    ) -> None:
        self.one, self.other = one, other
        self.inputs = mine, theirs
        self.left = _TRIES

    def results(self) -> Iterator[Laid]:
        """The outputs laid over each other, and the new values of states that stand for others."""
        yield from self._states(Laid(), self.one.output, self.other.output, frozenset())

    def _states(self, laid: Laid, a: Expr, b: Expr, done: frozenset[str]) -> Iterator[Laid]:
        for made in self.pair(a, b, laid):
            waiting = [name for name in made.states if name not in done]
            if not waiting:
                yield made
                continue
            name = waiting[0]
            updates = self.one.updates[name], self.other.updates[made.states[name]]
            yield from self._states(made, *updates, done | {name})

    # --- Two expressions ------------------------------------------------------------------------

    def pair(self, a: Expr, b: Expr, laid: Laid) -> Iterator[Laid]:
        """All ways to lay `a` of mine over `b` of theirs."""
        self.left -= 1
        if self.left < 0:
            raise _OutOfTries
        if a.shape != b.shape or a.batched != b.batched:
            return
        if is_view(a):
            if of_parameters(b):
                made = laid.with_param(a, b)
                if made is not None:
                    yield made
            return
        if signature(a) != signature(b):
            return
        if isinstance(a, Ref) and isinstance(b, Ref):
            yield from self._refs(a, b, laid)
        elif isinstance(a, Apply) and isinstance(b, Apply) and a.op in _AC:
            yield from self._unordered(a, b, laid)
        else:
            yield from self._each(list(zip(a.children, b.children, strict=True)), laid)

    def _refs(self, a: Ref, b: Ref, laid: Laid) -> Iterator[Laid]:
        if a.kind == "input":
            if self.inputs[0][a.name] == self.inputs[1].get(b.name):
                yield laid
            return
        made = laid.with_state(a.name, b.name)
        if made is not None:
            yield made

    def _each(self, pairs: Sequence[tuple[Expr, Expr]], laid: Laid) -> Iterator[Laid]:
        if not pairs:
            yield laid
            return
        (a, b), *rest = pairs
        for made in self.pair(a, b, laid):
            yield from self._each(rest, made)

    def _unordered(self, a: Apply, b: Apply, laid: Laid) -> Iterator[Laid]:
        """Sums and products: operands of one kind in every order, biases as their sum."""
        own, added = parted(a)
        others, sums = parted(b)
        classes: dict[object, tuple[list[Expr], list[Expr]]] = {}
        for place, terms in ((0, own), (1, others)):
            for term in terms:
                classes.setdefault(signature(term), ([], []))[place].append(term)
        if any(len(one) != len(other) for one, other in classes.values()):
            return
        for made in self._classes(list(classes.values()), laid):
            end = biases(added, sums, made) if added or sums else made
            if end is not None:
                yield end

    def _classes(
        self, classes: Sequence[tuple[list[Expr], list[Expr]]], laid: Laid
    ) -> Iterator[Laid]:
        if not classes:
            yield laid
            return
        (own, others), *rest = classes
        for order in itertools.islice(itertools.permutations(others), _ORDERS):
            for made in self._each(list(zip(own, order, strict=True)), laid):
                yield from self._classes(rest, made)


_Scaled = tuple[Fraction, Expr]  # a number times a view of a parameter


def biases(own: Sequence[_Scaled], others: Sequence[_Scaled], laid: Laid) -> Laid | None:
    """A sum of parameters laid over another: in pairs, or all in the first that is free."""
    if not own:
        return None
    free = [(scale, view) for scale, view in own if view not in laid.params]
    left: dict[Expr, Fraction] = {}
    for number, view in others:
        left[view] = left.get(view, Fraction(0)) + number
    for scale, view in own:
        if view in laid.params:
            for number, term in _terms(laid.params[view]):
                left[term] = left.get(term, Fraction(0)) - scale * number
    rest = [(number, view) for view, number in left.items() if number]
    if not free:
        return None if rest else laid
    # A number may stand among vectors: what takes the sum is one of these.
    free.sort(key=lambda bias: -len(bias[1].shape))
    values = [zeros(view.shape) for _, view in free]
    shapes = sorted((view.shape for _, view in free), key=len, reverse=True)
    if shapes == sorted((view.shape for _, view in rest), key=len, reverse=True):
        for place, (number, view) in enumerate(_paired(free, rest)):
            values[place] = _times(number / free[place][0], view)
    else:
        terms = [_times(number / free[0][0], view) for number, view in rest]
        if terms:
            values[0] = call("add", *terms) if terms[1:] else terms[0]
    made: Laid | None = laid
    for (_, view), value in zip(free, values, strict=True):
        made = made.with_param(view, value) if made is not None else None
    return made


def _times(number: Fraction, view: Expr) -> Expr:
    return view if number == 1 else Const(number) * view


def _terms(value: Expr) -> list[_Scaled]:
    """A sum that was laid over a parameter: what is added, each with its number."""
    parts = value.args if isinstance(value, Apply) and value.op == "add" else (value,)
    return [_scaled(part) or (Fraction(1), part) for part in parts if not is_zero(part)]


def _paired(own: Sequence[_Scaled], others: Sequence[_Scaled]) -> Sequence[_Scaled]:
    """The others in the order in which their names are most like one's own."""
    orders = itertools.islice(itertools.permutations(others), _ORDERS)
    fitting = [
        o for o in orders if all(a[1].shape == b[1].shape for a, b in zip(own, o, strict=True))
    ]
    return max(fitting or [tuple(others)], key=lambda order: sum(map(_alike_names, own, order)))


def _alike_names(one: _Scaled, other: _Scaled) -> float:
    mine, theirs = (str(getattr(_base(view), "name", "")).lower() for _, view in (one, other))
    return float(difflib.SequenceMatcher(None, mine, theirs).ratio())


def parted(node: Apply) -> tuple[list[Expr], list[_Scaled]]:
    """The operands of a sum that vary, and those that are parameters times a number.

    What else is made of parameters alone, as the mean of a bias, follows from these or is wrong:
    the proof will see.
    """
    if node.op != "add":
        return list(node.args), []
    biases = [_scaled(arg) for arg in node.args]
    varying = [arg for arg in node.args if not of_parameters(arg)]
    return varying, [bias for bias in biases if bias is not None]


def _scaled(arg: Expr) -> _Scaled | None:
    if is_view(arg):
        return Fraction(1), arg
    if isinstance(arg, Apply) and arg.op == "mul" and len(arg.args) == 2:
        number, view = arg.args
        if isinstance(number, Const) and is_view(view):
            return number.value, view
    if isinstance(arg, Apply) and arg.op == "neg" and is_view(arg.args[0]):
        return Fraction(-1), arg.args[0]
    return None


def is_view(node: Expr) -> bool:
    """A parameter, or a slice of one."""
    base = _base(node)
    return isinstance(base, Ref) and base.kind == "param"


@lru_cache(maxsize=1 << 14)
def of_parameters(node: Expr) -> bool:
    """Whether a value is made of parameters alone (and of some)."""
    if isinstance(node, Ref):
        return node.kind == "param"
    parts = [child for child in node.children if not _is_number(child)]
    return bool(parts) and all(map(of_parameters, parts))


def _is_number(node: Expr) -> bool:
    return not node.batched and not any(isinstance(n, Ref) for n in _nodes(node))


def _nodes(node: Expr) -> Iterator[Expr]:
    stack = [node]
    while stack:
        found = stack.pop()
        yield found
        stack.extend(found.children)


_NUMBERS: dict[object, int] = {}


@lru_cache(maxsize=1 << 14)
def signature(node: Expr) -> int:
    """A number that expressions share which are the same but for names and biases."""
    key: object
    if isinstance(node, Ref):
        key = node.kind, node.dims, node.lag
    elif is_view(node):
        key = "param", node.shape, 0
    else:
        if isinstance(node, Apply) and node.op in _AC:
            parts = sorted(map(signature, parted(node)[0]))
        else:
            parts = list(map(signature, node.children))
        fields = tuple(getattr(node, name) for name in node._own)  # type: ignore[attr-defined]
        key = type(node).__name__, fields, tuple(parts)
    return _NUMBERS.setdefault(key, len(_NUMBERS))


__all__ = ["DEEPEST", "Laid", "Values", "aligned", "as_written", "signature"]

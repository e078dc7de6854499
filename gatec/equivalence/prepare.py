"""Cells as they are compared: what no output sees is gone, and equal states are one state.

Each step keeps the function from input sequences to outputs, from the cell's own initial states:

- a state that holds a value of inputs and parameters alone is that value of inputs of steps before;
- states are read one step back only, constants stand at their default values;
- states and equations that no output depends on are dropped;
- states that start equal and stay equal are one state, and so are two of which one is always a
  multiple of the other;
- a state that is only ever read inside one expression of states, as o and c in
  `U (o_{t-1} * tanh(c_{t-1}))`, gives way to the value of that expression.

They are tested against the cells that they came from, not proved step by step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

from gatec.equivalence.normal import Normaliser
from gatec.equivalence.polynomials import Poly, TooLarge
from gatec.equivalence.sides import mapped
from gatec.expr import Apply, Broadcast, Concat, Const, Expr, Ref, Shape, call, replaced, rewrite
from gatec.ir import Cell, Initial, State
from gatec.ops import OPS, Kind
from gatec.passes.common import Fresh, bottom_up, refs, temporary, zeros
from gatec.passes.delay import delay
from gatec.passes.layout import ZERO as START
from gatec.passes.layout import slice_, units
from gatec.passes.tidy import needs


def prepared(cell: Cell) -> Cell:
    """A cell as it is compared."""
    cell = _with_constants(cell)
    with contextlib.suppress(TooLarge):  # compared as it is
        cell = _with_past_inputs(alive(cell))
    cell = alive(delay(cell))
    with contextlib.suppress(TooLarge):
        cell = _without_multiples(alive(_merged(cell)))
        cell = _folded(alive(_with_sums_apart(cell)))
    return cell


def alive(cell: Cell) -> Cell:
    """The cell without the states and equations that no output ever depends on."""
    updates = {state.name: state.update for state in cell.states}
    wanted, before = {cell.output}, 0
    while len(wanted) != before:
        before = len(wanted)
        needed = needs(cell.equations, wanted)
        for equation in cell.equations:
            if equation.name in needed:
                wanted |= {updates[ref.name] for ref in refs(equation.value, "state")}
    needed = needs(cell.equations, wanted)
    equations = tuple(equation for equation in cell.equations if equation.name in needed)
    read = {ref.name for equation in equations for ref in refs(equation.value, "state")}
    states = tuple(state for state in cell.states if state.name in read)
    return replace(cell, states=states, equations=equations)


def _with_constants(cell: Cell) -> Cell:
    values = {constant.name: Const(constant.value) for constant in cell.constants}
    return mapped(cell, lambda ref: values[ref.name] if ref.kind == "const" else ref)


# --- States that hold inputs ----------------------------------------------------------------------


def held(cell: Cell) -> dict[str, Expr]:
    """States that hold a value of inputs and parameters, and start at that of inputs of 0.

    Inputs before the first step are 0, so a state of these is the same value of inputs of steps
    before. Raises TooLarge.
    """
    values: dict[str, Expr] = {}
    for equation in cell.equations:
        value = _put(equation.value, "var", values)
        if all(ref.kind in ("input", "param") for ref in refs(value)):
            values[equation.name] = value
    found = {}
    for state in cell.states:
        if state.update not in values or state.initial.param is not None:
            continue
        value = values[state.update]
        zero: dict[Expr, Expr] = {ref: zeros(ref.shape) for ref in refs(value, "input")}
        if Normaliser(()).poly(replaced(value, zero)).constant == state.initial.value:
            found[state.name] = value
    return found


def _with_past_inputs(cell: Cell) -> Cell:
    """The cell with values of inputs of steps before in place of states that hold these."""
    for _ in range(len(cell.states)):
        values = held(cell)
        if not values:
            break

        def rule(ref: Ref, values: Mapping[str, Expr] = values) -> Expr:
            held_here = ref.kind == "state" and ref.name in values
            return _earlier(values[ref.name], ref.lag) if held_here else ref

        cell = alive(mapped(cell, rule))
    return cell


def _earlier(value: Expr, steps: int) -> Expr:
    """A value of inputs some steps before."""
    inputs: dict[Expr, Expr] = {
        ref: replace(ref, lag=ref.lag + steps) for ref in refs(value, "input")
    }
    return replaced(value, inputs)


# --- Equal states ---------------------------------------------------------------------------------


def _merged(cell: Cell) -> Cell:
    """One state for those that start equal and stay equal.

    All that could be equal is taken for equal, then parted where the new values differ, until
    nothing is parted any more.
    """
    classes: dict[str, int] = {}
    starts: dict[tuple[Shape, Initial], int] = {}
    for state in cell.states:
        classes[state.name] = starts.setdefault((state.shape, state.initial), len(starts))
    while len(set(classes.values())) < len(cell.states):
        first: dict[int, str] = {}
        for state in cell.states:
            first.setdefault(classes[state.name], state.name)
        reading = {name: (first[c], Fraction(1)) for name, c in classes.items()}
        made = mapped(cell, _reading(reading))
        normaliser = Normaliser(made.equations)
        finer: dict[tuple[int, Expr], int] = {}
        parted = {}
        for state in cell.states:
            value = normaliser.expr(made.equation(state.update).ref)
            parted[state.name] = finer.setdefault((classes[state.name], value), len(finer))
        if len(finer) == len(first):
            return made
        classes = parted
    return cell


def _reading(states: Mapping[str, tuple[str, Fraction]]) -> Callable[[Ref], Expr]:
    """Multiples of states in place of states."""

    def rule(ref: Ref) -> Expr:
        if ref.kind != "state" or ref.name not in states:
            return ref
        name, factor = states[ref.name]
        read = replace(ref, name=name)
        return read if factor == 1 else Const(factor) * read

    return rule


def _without_multiples(cell: Cell) -> Cell:
    """One state for two of which one is always the same multiple of the other."""
    while len(cell.states) > 1:
        made = _without_multiple(cell)
        if made is None:
            break
        cell = alive(made)
    return cell


def _without_multiple(cell: Cell) -> Cell | None:
    """The cell without a state that is a multiple of an earlier one, by induction over the steps:
    it starts as that, and is it after a step if it is before."""
    normaliser = Normaliser(cell.equations)
    values = {s.name: normaliser.poly(cell.equation(s.update).ref) for s in cell.states}
    for kept, gone in combinations(cell.states, 2):
        for factor in _factors(kept, gone, values):
            made = mapped(cell, _reading({gone.name: (kept.name, factor)}))
            normaliser = Normaliser(made.equations)
            after, other = (
                normaliser.poly(made.equation(state.update).ref) for state in (gone, kept)
            )
            if after == other.scaled(factor):
                return made
    return None


def _factors(kept: State, gone: State, values: Mapping[str, Poly]) -> tuple[Fraction, ...]:
    """What a state could be a multiple of another by: the ratio of what drives them."""
    if kept.shape != gone.shape or (kept.initial.param, gone.initial.param) != (None, None):
        return ()
    own = {kept.name, gone.name}
    one, other = (
        sorted(
            {
                abs(number)
                for monomial, number in values[state.name].terms.items()
                if not any(_passes_on(atom, own) for atom, _ in monomial)
            }
        )
        for state in (kept, gone)
    )
    ratios = {b / a for a, b in zip(one, other, strict=False)} or {Fraction(1)}
    if len(one) != len(other) or len(ratios) > 1:
        return ()
    ratio = ratios.pop()
    start, begun = kept.initial.value, gone.initial.value
    return tuple(factor for factor in (ratio, -ratio) if begun == factor * start)


def _passes_on(atom: Expr, names: set[str]) -> bool:
    """Whether an atom is a state of these names, or a product of a matrix with one."""
    plain = isinstance(atom, Ref) or (isinstance(atom, Apply) and atom.op == "matvec")
    return plain and any(ref.name in names for ref in refs(atom, "state"))


# --- Values of states -----------------------------------------------------------------------------


def _with_sums_apart(cell: Cell) -> Cell:
    """The cell with sum(f([u; v])) as sum(f(u)) + sum(f(v)): u may be a state, and v none."""
    joins: dict[str, Expr] = {}  # quantities that are joins, or functions of them

    def rule(node: Expr) -> Expr:
        if not isinstance(node, Apply) or node.op != "sum":
            return node
        value = _put(node.args[0], "var", joins)
        join = _joined_inside(value)
        if join is None:
            return node
        terms, start = [], START
        for part in join.args:
            stop = start + units(part, 0)
            piece = slice_(value, 0, start, stop)
            terms.append(Apply("sum", (piece,)) if piece.shape else piece)
            start = stop
        return call("add", *terms)

    equations = []
    for equation in cell.equations:
        equations.append(replace(equation, value=rewrite(equation.value, rule)))
        value = _put(equations[-1].value, "var", joins)
        if _joined_inside(value) is not None:
            joins[equation.name] = value
    return replace(cell, equations=tuple(equations))


def _joined_inside(value: Expr) -> Concat | None:
    """A join of vectors that a value is a function of, unit by unit."""
    stack = [value]
    while stack:
        node = stack.pop()
        if node.rank != 1:
            continue
        if isinstance(node, Concat):
            return node
        if isinstance(node, Apply) and OPS[node.op].kind is Kind.POINTWISE:
            stack.extend(node.args)
    return None


def _folded(cell: Cell) -> Cell:
    """States that are only read inside one expression of states give way to its value."""
    for _ in range(len(cell.states)):
        found = _foldable(cell)
        if found is None:
            return cell
        cell = alive(_with_state(cell, *found))
    return cell


def _foldable(cell: Cell) -> tuple[Expr, Fraction] | None:
    """An expression of states alone that hides a state, and its value at the start."""
    cell = _inlined(cell)
    largest: dict[str, set[Expr]] = {}
    for equation in cell.equations:
        for node in _largest(equation.value):
            for ref in refs(node, "state"):
                largest.setdefault(ref.name, set()).add(node)
    for state in cell.states:
        found = largest.get(state.name, set())
        if len(found) != 1:
            continue
        (expr,) = found
        if isinstance(expr, Ref):
            continue
        start = _start(cell, expr)
        if start is not None:
            return expr, start
    return None


def _inlined(cell: Cell) -> Cell:
    """Equations over states alone put in where they are read."""
    values: dict[str, Expr] = {}
    equations = []
    for equation in cell.equations:
        value = _put(equation.value, "var", values)
        equations.append(replace(equation, value=value))
        if _of_states(value):
            values[equation.name] = value
    return replace(cell, equations=tuple(equations))


def _of_states(expr: Expr) -> bool:
    """Whether an expression reads states, and nothing else that has a name."""
    found = list(refs(expr))
    plain = all(OPS[n.op].continuous for n in bottom_up(expr) if isinstance(n, Apply))
    return bool(found) and plain and all(ref.kind == "state" for ref in found)


def _largest(expr: Expr) -> list[Expr]:
    """The largest parts of an expression that are over states alone."""
    found: list[Expr] = []
    stack = [expr]
    while stack:
        node = stack.pop()
        if _of_states(node):
            found.append(node)
        else:
            stack += node.children
    return found


def _start(cell: Cell, expr: Expr) -> Fraction | None:
    """The value of an expression of states before the first step, where it is one number."""
    initial: dict[str, Expr] = {}
    for state in cell.states:
        if state.initial.param is not None:
            return None
        value = Const(state.initial.value)
        initial[state.name] = Broadcast(value, state.shape) if state.shape else value
    return Normaliser(()).poly(_put(expr, "state", initial)).constant


def _with_state(cell: Cell, expr: Expr, start: Fraction) -> Cell:
    """The cell with a state that holds the value of an expression of states."""
    cell = _inlined(cell)
    now = _put(expr, "state", {s.name: cell.equation(s.update).ref for s in cell.states})
    fresh = Fresh.of(cell)
    known = next((e for e in cell.equations if e.value == now), None)
    name = known.name if known is not None else fresh("folded")
    made = [] if known is not None else [temporary(name, now)]
    label = name if name not in {state.name for state in cell.states} else fresh(f"{name}_value")
    state = State(label, "", expr.shape, name, Initial(start))
    ref = Ref("state", label, expr.shape, 1)
    equations = [replace(e, value=replaced(e.value, {expr: ref})) for e in cell.equations]
    order = (*equations, *made)
    return replace(cell, states=(*cell.states, state), equations=order)


def _put(expr: Expr, kind: str, values: Mapping[str, Expr]) -> Expr:
    """The expression with values in place of names of a kind."""
    found: dict[Expr, Expr] = {
        ref: values[ref.name] for ref in refs(expr, kind) if ref.name in values
    }
    return replaced(expr, found) if found else expr

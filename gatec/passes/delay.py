"""Delays: a value from further back becomes a state of its own.

Afterwards states are read at lag 1 and inputs at lag 0 only. A delay state starts where the
state that it remembers starts (learned or not); a delayed input starts at 0. The new states
come after the cell's own, and are part of the generated interface: a sequence can be cut
anywhere. A state read n steps back costs n - 1 delay states; no pass shares them further.
"""

from __future__ import annotations

from dataclasses import replace

from gatec.expr import Expr, Ref
from gatec.ir import Cell, Equation, Initial, Input, State
from gatec.passes.common import Fresh, each, refs, with_equations


def delay(cell: Cell) -> Cell:
    """Turn lags of states over 1, and of inputs over 0, into delay states."""
    longest: dict[tuple[str, str], int] = {}
    for equation in cell.equations:
        for ref in refs(equation.value):
            if ref.kind in ("state", "input"):
                key = (ref.kind, ref.name)
                longest[key] = max(longest.get(key, 0), ref.lag)
    fresh = Fresh.of(cell)
    names: dict[tuple[str, str, int], str] = {}
    states: list[State] = []
    updates: list[Equation] = []
    items: list[tuple[State | Input, str, int]] = [(state, "state", 1) for state in cell.states]
    items += [(x, "input", 0) for x in cell.inputs]
    for item, kind, nearest in items:
        value = Ref(kind, item.name, item.shape, nearest)
        initial = item.initial if isinstance(item, State) else Initial()
        for lag in range(nearest + 1, longest.get((kind, item.name), 0) + 1):
            name = fresh(f"{item.name}_lag_{lag}")
            names[kind, item.name, lag] = name
            why = f"{item.name} is read {lag} step{'s' if lag > 1 else ''} back"
            states.append(State(name, item.symbol, item.shape, name, initial, why, delay=True))
            updates.append(Equation(name, "", value))
            value = Ref("state", name, item.shape, 1)
    if not states:
        return cell

    def nearer(node: Expr) -> Expr:
        if isinstance(node, Ref) and (node.kind, node.name, node.lag) in names:
            return Ref("state", names[node.kind, node.name, node.lag], node.shape, 1)
        return node

    changed = each(cell, nearer)
    changed = with_equations(changed, (*changed.equations, *updates))
    return replace(changed, states=(*cell.states, *states))

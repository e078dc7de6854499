"""The order of computation, and the quantities that would need themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatec.errors import Diagnostic, Note
from gatec.resolve.quantities import Definition, Quantity
from gatec.resolve.typed import Typed, nodes
from gatec.syntax import symbols

_MAX_SHOWN = 8  # names of a loop


@dataclass(frozen=True, eq=False)
class Entry:
    """An equation on the way: what it computes, how, and where it stands."""

    quantity: Quantity
    value: Typed
    definition: Definition


def in_order(
    entries: Sequence[Entry], index: str, report: Callable[[Diagnostic], None]
) -> list[Entry]:
    """Equations sorted so that each comes after what it reads; every loop is reported once."""
    by_id = {id(entry.quantity): entry for entry in entries}
    reads = {
        key: [
            id(node.data[0])
            for node in nodes(entry.value)
            if node.kind == "ref" and node.data[1] == 0 and id(node.data[0]) in by_id
        ]
        for key, entry in by_id.items()
    }
    done: dict[int, bool] = {}  # False while it is on the path
    looped: set[int] = set()
    order = []
    for start in by_id:
        path: list[int] = []
        stack: list[tuple[int, bool]] = [(start, False)]
        while stack:
            key, ready = stack.pop()
            if ready:
                done[key] = True
                order.append(by_id[path.pop()])
            elif key not in done:
                done[key] = False
                path.append(key)
                stack.append((key, True))
                stack.extend((k, False) for k in reversed(reads[key]) if not done.get(k))
            elif not done[key] and key not in looped:
                loop = path[path.index(key) :]
                if looped.isdisjoint(loop):
                    report(_loop([by_id[each] for each in loop], index))
                looped.update(loop)
    return order


def _loop(entries: Sequence[Entry], index: str) -> Diagnostic:
    names = [entry.quantity.key for entry in entries]
    hint = f"one of them must read the past, as in {names[0]}_{{{index}-1}}"
    if len(entries) == 1:
        hint = f"write {names[0]}_{{{index}-1}} where the past is meant"
        if _reads_bare(entries[0]):
            hint += (
                f"; '{names[0]}' without an index, if it is another quantity, needs an equation or "
                f"a declaration: param {names[0]}"
            )
    shown = " -> ".join([*map(str, names[:_MAX_SHOWN]), *["…"] * (len(names) > _MAX_SHOWN),
                         str(names[0])])  # fmt: skip
    return Diagnostic(
        "E0207",
        f"'{names[0]}' is defined through itself at the same time: {shown}",
        entries[0].definition.equation.span,
        hint,
        tuple(
            Note(f"'{entry.quantity.key}' is defined here", entry.definition.equation.span)
            for entry in entries[1:_MAX_SHOWN]
        ),
    )


def _reads_bare(entry: Entry) -> bool:
    """Whether an equation with a time index reads its own name without one."""
    own = {symbol.key for symbol in entry.definition.names if symbol.time is not None}
    return any(s.time is None and s.key in own for s in symbols(entry.definition.right))

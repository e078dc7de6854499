"""The order of computation, and the quantities that would need themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatec.errors import Diagnostic, Note
from gatec.resolve.quantities import Definition, Quantity
from gatec.resolve.typed import Typed, nodes

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
    shown = " -> ".join([*map(str, names[:_MAX_SHOWN]), *["…"] * (len(names) > _MAX_SHOWN),
                         str(names[0])])  # fmt: skip
    return Diagnostic(
        "E0207",
        f"'{names[0]}' is defined through itself at the same time: {shown}",
        entries[0].definition.equation.span,
        f"one of them must read the past, as in {names[0]}_{{{index}-1}}",
        tuple(
            Note(f"'{entry.quantity.key}' is defined here", entry.definition.equation.span)
            for entry in entries[1:_MAX_SHOWN]
        ),
    )

"""Which equations of a prose document make its cell: what timed quantities need.

Everything else is a mention: the size of a layer, a formula of the loss, an example beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gatec.syntax import Key, symbols

if TYPE_CHECKING:
    from gatec.resolve.quantities import Definition, Table


def connected(table: Table, definitions: Sequence[Definition]) -> list[Definition]:
    """The definitions of the cell; the others are noted in `table.passed_over`."""
    by_key = {table.defined_key(s)[0]: d for d in definitions for s in d.names}
    reads = {id(d): {table.reference_key(s)[0] for s in symbols(d.right)} for d in definitions}
    stack = [d for d in definitions if any(table.is_timed(s) for s in d.names)]
    needed = {id(d) for d in stack}
    while stack:
        for key in reads[id(stack.pop())]:
            other = by_key.get(key)
            if other is not None and id(other) not in needed:
                needed.add(id(other))
                stack.append(other)
    # The part that holds a state, where there is one: other formulas are examples.
    parts = _parts(table, [d for d in definitions if id(d) in needed], reads)
    recurrent = [part for part in parts if any(_recurs(table, d, by_key) for d in part)]
    kept = {id(d) for part in (recurrent or parts) for d in part}
    table.passed_over += [
        (d.equation, "the cell does not need it") for d in definitions if id(d) not in kept
    ]
    return [d for d in definitions if id(d) in kept]


def _recurs(table: Table, definition: Definition, by_key: Mapping[Key, Definition]) -> bool:
    """Whether a definition reads the past of a defined quantity."""
    for symbol in symbols(definition.right):
        key, offset = table.reference_key(symbol)
        other = by_key.get(key)
        if other is None or not (symbol.time is not None or table.primed):
            continue
        own = next(made for made in map(table.defined_key, other.names) if made[0] == key)
        if offset < own[1]:
            return True
    return False


def _parts(
    table: Table, definitions: Sequence[Definition], reads: Mapping[int, set[Key]]
) -> list[list[Definition]]:
    """Groups of definitions that read each other, however indirectly."""
    owners = {table.defined_key(s)[0]: d for d in definitions for s in d.names}
    parts = {id(definition): [definition] for definition in definitions}
    for definition in definitions:
        for key in reads[id(definition)] & owners.keys():
            one, other = parts[id(definition)], parts[id(owners[key])]
            if one is not other:
                small, large = sorted((one, other), key=len)
                large += small
                parts.update((id(each), large) for each in small)
    return list({id(part): part for part in parts.values()}.values())

"""Sizes read from the shapes of arrays: `hidden_size = params["W_f"].shape[0]`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatec.expr import Dim, Shape


@dataclass(frozen=True)
class Source:
    """An array as text, the shape of its units, and how many dimensions come before them."""

    array: str
    shape: Shape
    lead: int = 0


@dataclass(frozen=True)
class Solved:
    """A size and the code that reads it from an array."""

    name: str
    code: str
    source: Source


def solve(
    wanted: Iterable[str], sources: Sequence[Source], known: Iterable[str] = ()
) -> list[Solved]:
    """The sizes that the shapes tell, in an order in which each can be computed.

    A size is read where it is the one unknown of a dimension; plain dimensions first, then the
    first array. What no shape tells is left out.
    """
    dims = [
        (dim, f"{source.array}.shape[{source.lead + axis}]", source)
        for source in sources
        for axis, dim in enumerate(source.shape)
    ]
    dims.sort(key=lambda item: (len(item[0].terms), bool(item[0].const)))
    left, done, found = list(wanted), set(known), list[Solved]()
    while left:
        for dim, text, source in dims:
            unknown = [name for name, _ in dim.terms if name not in done]
            if len(unknown) == 1 and unknown[0] in left:
                (name,) = unknown
                found.append(Solved(name, _rearranged(dim, name, text), source))
                done.add(name)
                left.remove(name)
                break
        else:
            return found
    return found


def _rearranged(dim: Dim, name: str, text: str) -> str:
    """`text` is `dim`; the code of `name`."""
    count = dict(dim.terms)[name]
    rest = dim - Dim(((name, count),), 0)
    code = text
    if rest != Dim():
        several = len(rest.terms) + bool(rest.const) > 1
        negative = str(rest).startswith("-")
        if several:
            code = f"{text} - ({rest})"
        else:
            code = f"{text} + {str(rest)[1:]}" if negative else f"{text} - {rest}"
    if count == 1:
        return code
    return f"({code}) // {count}" if code != text else f"{code} // {count}"


def quoted(dim: Dim, known: Iterable[str]) -> str:
    """A dimension for `_check`: code where its sizes are known, else a string in their words."""
    names = {name for name, _ in dim.terms}
    return str(dim) if names <= set(known) else f'"{dim}"'

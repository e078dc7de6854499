"""Where a unit lies in an array: sizes and indices as C.

Arrays are row-major and contiguous: the batch row first, then the axes of the shape.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatec.expr import Dim, Shape

ZERO = Dim()


@dataclass(frozen=True)
class Index:
    """One axis of a unit's place: `offset + name`."""

    name: str
    offset: Dim = ZERO

    def moved(self, start: Dim) -> Index:
        return Index(self.name, self.offset + start)


def factor(text: str) -> str:
    """A text as a factor of a product: sums in brackets."""
    return f"({text})" if " + " in text or " - " in text else text


def dim_text(dim: Dim) -> str:
    """A size as a factor."""
    return factor(str(dim))


def count_text(shape: Shape) -> str:
    """The number of units of a shape, as a factor; `1` for a scalar."""
    return " * ".join(dim_text(dim) for dim in shape if dim != Dim((), 1)) or "1"


def product(*factors: str) -> str:
    """A product of texts that are factors, without ones; zero where one is."""
    if "0" in factors:
        return "0"
    return " * ".join(text for text in factors if text != "1") or "1"


def place(row: str | None, index: tuple[Index, ...], shape: Shape) -> str:
    """The number of a unit in an array: `(4 * row + 2) * hidden_size + unit`.

    `row` is the batch row, None where the array has no batch.
    """
    text = row
    for at, dim in zip(index, shape, strict=True):
        terms = _scaled(text, dim, at.offset)
        text = " + ".join([*terms, at.name])
    return text or "0"


def _scaled(lead: str | None, dim: Dim, offset: Dim) -> list[str]:
    """`lead * dim + offset` as terms of a sum, a common size taken out."""
    if lead is None:
        return [str(offset)] if offset != ZERO else []
    common = len(dim.terms) == 1 and not dim.const
    if common and offset != ZERO and len(offset.terms) == 1 and not offset.const:
        ((size, count),), ((other, units),) = dim.terms, offset.terms
        if size == other and count > 0 and units > 0:
            scaled = product(*([str(count)] if count > 1 else []), factor(lead))
            return [f"({scaled} + {units}) * {size}"]
    terms = [product(factor(lead), dim_text(dim))]
    return [*terms, str(offset)] if offset != ZERO else terms

"""What generated functions do: kernels over rows and units, products, copies.

A kernel is a function of the generated code, on the host or on a device; products, copies and
sums over rows are calls of the helpers that each target's template holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gatec.backends.c_family.indices import Index
from gatec.expr import Ref, Shape


@dataclass(frozen=True)
class Names:
    """The indices of loops, none of which is a name of the cell."""

    row: str
    unit: str
    column: str
    at: str
    term: str
    term_2: str
    total: str
    first: str
    end: str
    team: str

    def index(self, rank: int) -> tuple[Index, ...]:
        return tuple(map(Index, (self.unit, self.column)[:rank]))


@dataclass(frozen=True)
class Access:
    """An array that a task touches, and which part of it a thread touches: None for any of it.

    Parts that are equal are those of the same units, or rows, for each thread.
    """

    array: str
    written: bool
    part: tuple[object, ...] | None


@dataclass
class Kernel:
    """`lines` of code for every row and unit of a shape.

    Where there are `terms`, `total` is first the sum (or the maximum) of `term` over them.
    """

    rows: str | None  # the number of rows; None where the value has no batch
    shape: Shape
    lines: list[str]
    written: list[str]  # the arrays that the lines write to
    shapes: dict[str, str]  # arrays and their shapes in words
    terms: list[tuple[str, str]] = field(default_factory=list)  # index and number
    term: str = ""
    maximum: bool = False
    # Whether neighbouring terms lie beside each other in memory (and not neighbouring units).
    along: bool = False
    # Whether threads that share the work share the rows, rather than the units.
    by_rows: bool = False
    # Inside of the loop over time nobody waits at the end of a kernel.
    step: bool = False
    accesses: tuple[Access, ...] | None = ()
    name: str = ""


@dataclass(frozen=True)
class Call:
    """A helper of the template, called with arguments.

    `fixed` says of a product that its right operand is the same for all rows of a sequence, and
    `columns` how many blocks of how many columns that has. `accesses` are None where they are not
    known.
    """

    helper: str
    args: tuple[str, ...]
    fixed: bool = False
    columns: tuple[str, str] = ("", "")
    accesses: tuple[Access, ...] | None = None


Task = Kernel | Call


@dataclass(frozen=True)
class Place:
    """Where statements are computed: what arrays are called there and how many rows there are.

    `optional` says which parameters may be absent; `lead` is the batch of arrays in words;
    `calls` are the target's own spellings of operators.
    """

    array: Callable[[Ref], str]
    optional: Callable[[Ref], bool]
    rows: str
    lead: str
    names: Names
    # Whether this is inside of the loop over time.
    step: bool = False
    # Whether sums over rows are added to what is there: those of a chunk of all rows.
    accumulate: bool = False
    calls: Mapping[str, str] = field(default_factory=dict)

"""Whether a cell is one of torch's, parameter by parameter: what weights can be exchanged through.

Decided while a cell is compiled, so with few tries, and remembered between runs. A map counts
only if it is proved both ways, its states are torch's states, and biases come from biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from gatec.equivalence import checker
from gatec.equivalence.align import aligned
from gatec.equivalence.match import Budget, Matcher
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.prepare import prepared
from gatec.equivalence.proof import prove
from gatec.equivalence.references import Reference, forms
from gatec.equivalence.sides import renamed
from gatec.equivalence.steps import Proof
from gatec.equivalence.torch_form import has_the_form
from gatec.expr import Expr, Ref, rewrite
from gatec.ir import Cell
from gatec.passes.common import refs

_TRIES = 40  # assignments of gates in each direction


@dataclass(frozen=True)
class Exchange:
    """How the parameters of a cell and those of a torch module make each other.

    reference   torch's cell: `title` names its class, `chunks` where its parameters are
    from_torch  parameter of the cell -> an expression in those of the reference
    to_torch    parameter of the reference -> an expression in those of the cell
    """

    reference: Reference
    from_torch: Mapping[str, Expr]
    to_torch: Mapping[str, Expr]


def exchange(cell: Cell) -> Exchange | None:
    """How weights are exchanged with torch; None for a cell that is none of torch's."""
    if not has_the_form(cell):
        return None
    names = ("lstm",) if len(cell.states) == 2 else ("gru", "rnn")
    for reference in chain.from_iterable(map(forms, names)):
        if reference.chunks:
            found = _exchange(cell, reference)
            if found is not None:
                return found
    return None


def _exchange(cell: Cell, reference: Reference) -> Exchange | None:
    one, other = prepared(cell), prepared(reference.cell)
    if len(one.params) != len(cell.params) or len(one.states) != len(cell.states):
        return None  # some of it has no effect: nothing of torch's stands for that
    other = renamed(other, {param.name: f"{param.name}'" for param in other.params})
    found = _proved(one, other)
    back = _proved(other, one) if found is not None else None
    if found is None or back is None:
        return None
    made = Exchange(
        reference,
        {name: _plain(value) for name, value in found.params.items()},
        {name.removesuffix("'"): value for name, value in back.params.items()},
    )
    return made if _keeps_biases(cell, made) else None


def _plain(value: Expr) -> Expr:
    """An expression in the reference's parameters, by their own names."""

    def node(expr: Expr) -> Expr:
        if isinstance(expr, Ref):
            return Ref(expr.kind, expr.name.removesuffix("'"), expr.dims)
        return expr

    return rewrite(value, node)


def _proved(mine: Cell, theirs: Cell) -> Proof | None:
    """A checked proof that `theirs` is `mine` with certain parameters and the same states."""
    try:
        for found in chain(aligned(mine, theirs), Matcher(mine, theirs, Budget(_TRIES)).search()):
            if any(scale != 1 for _, scale in found.states.values()):
                continue
            proof = prove(mine, theirs, found)
            if proof is not None:
                checker.check(proof)
                return proof
    except (TooLarge, checker.Refused):
        pass
    return None


def _keeps_biases(cell: Cell, made: Exchange) -> bool:
    """Whether `bias=False` means the same in both: biases are made of biases alone."""
    own = {param.name for param in cell.params if param.bias}
    theirs = {name for name, (chunk, _) in made.reference.chunks.items() if chunk[0] == "b"}
    return all(
        (name in mine) == (ref.name in other)
        for table, mine, other in (
            (made.from_torch, own, theirs),
            (made.to_torch, theirs, own),
        )
        for name, value in table.items()
        for ref in refs(value, "param")
    )

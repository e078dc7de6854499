"""Equations whose functions are named in words only: `φ` is what the module applies.

Documentation writes `\\phi(…)` and says in a sentence that φ is a nonlinearity, tanh by default.
What is applied like a function and is none is taken for one of the functions that the module
applies, the likeliest first.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gatec.equivalence.modules.loaded import LoadedModule
from gatec.errors import GatecError, Source
from gatec.expr import Apply
from gatec.ir import Cell
from gatec.ops import FUNCTIONS, OPS, Kind
from gatec.parse import parse
from gatec.passes.common import nodes
from gatec.resolve import resolve
from gatec.source.document import Document, Formula, Style

_UNKNOWN = "E0204"  # a symbol is applied like a function, and is none
_USUAL = ("tanh", "sigmoid", "relu")
_MOST = 3  # unknown functions in one text


def cells(document: Document, module: LoadedModule) -> Iterator[tuple[Cell, str]]:
    """What a document may mean, with a sentence about what was assumed; the likeliest first.

    Raises GatecError where it cannot be read whatever its unknown functions are.
    """
    try:
        yield resolve(parse(document)).cell, ""
        return
    except GatecError as error:
        if any(diagnostic.code != _UNKNOWN for diagnostic in error.diagnostics):
            raise
        found = [d.span.text for d in error.diagnostics if d.span is not None]
        names = list(dict.fromkeys(found))
        if not names or len(names) > _MOST:
            raise
        options = _functions(module)
        read, failures = [], []
        for chosen in itertools.product(options, repeat=len(names)):
            made = _with_functions(document, names, chosen)
            try:
                read.append((resolve(parse(made)).cell, names, chosen))
            except GatecError as failure:
                failures.append(failure)
        if not read:
            raise failures[0] from None  # what is wrong but for the unknown functions
    applied = _applied(module.traced.cell) if module.traced else Counter()
    read.sort(key=lambda entry: _distance(_applied(entry[0]), applied))  # a stable order
    for cell, names, chosen in read:
        told = " and ".join(f"{n} is {f}" for n, f in zip(names, chosen, strict=True))
        yield cell, f"{told}, as in {module.name}"


def _with_functions(document: Document, names: Sequence[str], chosen: Sequence[str]) -> Document:
    """The document with a declaration of every unknown function."""
    text = "".join(f"function {n} = {f}\n" for n, f in zip(names, chosen, strict=True))
    source = Source("<functions of the module>", text)
    formula = Formula(source.span(0, len(text)), Style.GATE)
    return replace(document, formulas=(*document.formulas, formula))


def _functions(module: LoadedModule) -> list[str]:
    """The functions that a module applies, as equations spell them; then the usual ones."""
    spelled = {op: name for name, op in reversed(FUNCTIONS.items())}
    found = [spelled[op] for op in _applied(module.traced.cell)] if module.traced else []
    return list(dict.fromkeys((*found, *_USUAL, "identity")))[:8]


def _applied(cell: Cell) -> Counter[str]:
    """How often each function is applied, unit by unit."""
    spelled = set(FUNCTIONS.values())
    return Counter(
        node.op
        for equation in cell.equations
        for node in nodes(equation.value)
        if isinstance(node, Apply)
        and OPS[node.op].kind is Kind.POINTWISE
        and OPS[node.op].arity == 1
        and node.op in spelled
    )


def _distance(one: Counter[str], other: Counter[str]) -> int:
    return sum(((one - other) + (other - one)).values())


def distance(cell: Cell, module: LoadedModule) -> int:
    """How many functions one applies and the other does not."""
    return _distance(_applied(cell), _applied(module.traced.cell)) if module.traced else 0

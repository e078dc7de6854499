"""Stacked gates: a column of names on the left, one affine map on the right.

    \\begin{pmatrix} i \\\\ f \\\\ o \\\\ g \\end{pmatrix} =
    \\begin{pmatrix} \\sigma \\\\ \\sigma \\\\ \\sigma \\\\ \\tanh \\end{pmatrix} W [h_{t-1}, x_t]

(Zaremba and Sutskever, 2014.) The right side becomes one quantity, the names its equal parts.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatec.errors import Diagnostic
from gatec.parse.known import Names
from gatec.resolve.elaborate import Elaborator
from gatec.resolve.quantities import Definition, Quantity, Table
from gatec.resolve.typed import Typed
from gatec.resolve.types import Solver
from gatec.syntax import Bracket, Call, Key, Matrix, Node, Product, Sum, Symbol


def unstack(
    definition: Definition, table: Table, elaborator: Elaborator, solver: Solver
) -> Iterator[tuple[Quantity, Typed]]:
    """The equations of a definition: one, or one per name of a stack."""
    quantities = [table.quantities[table.defined_key(symbol)[0]] for symbol in definition.names]
    if len(quantities) == 1:
        yield quantities[0], elaborator.node(definition.right)
        return
    functions, rest = _functions(definition.right, table, len(quantities))
    items = _column(rest)
    if functions is None and items is not None and len(items) == len(quantities):
        for quantity, item in zip(quantities, items, strict=True):
            yield quantity, elaborator.node(item)
        return
    if functions is None and isinstance(rest, Sum) and len(rest.terms) > 1:
        first, _ = _functions(rest.terms[0][1], table, len(quantities))
        if first is not None:
            elaborator.diagnostics.append(
                Diagnostic(
                    "E0313",
                    "the column of functions is applied to the first term only",
                    definition.right.span,
                    "put what they apply to in parentheses: (W [h; x] + b)",
                )
            )
            return
    if functions is not None and len(functions) != len(quantities):
        elaborator.diagnostics.append(
            Diagnostic(
                "E0313",
                f"{len(quantities)} names, but {len(functions)} functions",
                definition.right.span,
                "give each name of the stack its function",
            )
        )
        return
    for quantity in quantities[1:]:
        solver.unify(quantities[0].type, quantity.type)
    solver.set_rank(quantities[0].type, 1, definition.right.span)
    name = "stack " + " ".join(str(quantity.key) for quantity in quantities)
    whole = Quantity(
        Key("".join(q.key.base for q in quantities), sub=("stack",)),
        "var",
        definition.right.span,
        rule=name,
        used=True,
        timed=True,
        made=True,
    )
    table.quantities[whole.key] = whole
    yield whole, elaborator.node(rest)
    for position, quantity in enumerate(quantities):
        ref = Typed("ref", whole.type, definition.right.span, data=(whole, 0))
        part = Typed(
            "part", quantity.type, definition.right.span, [ref], data=(position, len(quantities))
        )
        if functions is None:
            yield quantity, part
        else:
            yield quantity, _applied(functions[position], part, elaborator)


def _applied(name: str | Key, part: Typed, elaborator: Elaborator) -> Typed:
    placeholder = Key("stacked part")
    call = Call(name, (Symbol(placeholder, span=part.span),), part.span, part.span)
    return elaborator.node(call, {placeholder: part})


def _functions(right: Node, table: Table, count: int) -> tuple[list[str | Key] | None, Node]:
    """The column of bare functions that a right side starts with, and what they apply to."""
    if not isinstance(right, Product):
        return None, right
    names = Names(table.module.index, frozenset(table.functions), set(table.quantities))
    cells = _column(right.factors[0])
    if cells is None:
        return None, right
    found: list[str | Key] = []
    for cell in cells:
        if not isinstance(cell, Symbol) or not names.is_function(cell):
            return None, right
        found.append(names.builtin(cell.key) or cell.key)
    rest = right.factors[1:]
    if len(rest) == 1:
        return found, rest[0]
    return found, Product(rest, False, rest[0].span.to(rest[-1].span))


def _column(node: Node) -> list[Node] | None:
    """The cells of a column (or a bracket with several items)."""
    while isinstance(node, Bracket) and len(node.items) == 1:
        node = node.items[0]
    if isinstance(node, Bracket):
        return list(node.items)
    if isinstance(node, Matrix) and all(len(row) == 1 for row in node.rows):
        return [row[0] for row in node.rows]
    if isinstance(node, Sum) and len(node.terms) == 1 and node.terms[0][0] == 1:
        return _column(node.terms[0][1])
    return None

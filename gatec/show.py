"""What gatec understood of a spec: as text, LaTeX and JSON (`gatec show`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gatec import analyse, passes
from gatec.errors import Span, printable
from gatec.expr import shape_text
from gatec.ir import Cell, Initial
from gatec.resolve import Resolution
from gatec.show_latex import align
from gatec.syntax import Mention

# --- Text -----------------------------------------------------------------------------------------


def text(resolution: Resolution) -> str:
    """Equations, states, shapes, parameters with the rule that decided each, class and costs."""
    cell = resolution.cell
    return "\n".join(
        [
            f"cell {cell.name}",
            *(f"  {printable(comment)}" for comment in cell.comments),
            "",
            *_section("equations", [(printable(e.text),) for e in cell.equations if e.text]),
            *_section("inputs", [(i.name, shape_text(i.shape), i.rule) for i in cell.inputs]),
            *_section(
                "states",
                [(s.name, shape_text(s.shape), _initial(s.initial), s.rule) for s in cell.states],
            ),
            *_section("output", [(cell.output, shape_text(cell.output_shape))]),
            *_section(
                "parameters",
                [(p.name, shape_text(p.shape), _init(p.init, p.bias), p.rule) for p in cell.params],
            ),
            *_section(
                "constants", [(c.name, f"= {_decimal(c.value)} by default") for c in cell.constants]
            ),
            *_section("sizes", [(s.name, _size(s.default), s.rule) for s in cell.sizes]),
            *_analysis(cell),
            *_passed_over(resolution.mentions),
        ]
    )


def _section(title: str, rows: Sequence[Iterable[str]]) -> list[str]:
    """A heading and its rows in columns; nothing where there is no row."""
    if not rows:
        return []
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  " + "  ".join(f"{part:<{width}}" for part, width in zip(row, widths, strict=True))
        for row in table
    ]
    return [title, *(line.rstrip() for line in lines), ""]


def _initial(initial: Initial) -> str:
    return f"starts at {initial.param or _decimal(initial.value)}"


def _init(init: str, bias: bool) -> str:
    return f"{init}, gone with bias=False" if bias else init


def _size(default: int | None) -> str:
    return f"= {'hidden_size' if default is None else default} by default"


def _decimal(value: Any) -> str:
    """A fraction as the shortest decimal that reads as the same double."""
    return f"{float(value):g}" if float(f"{float(value):g}") == float(value) else repr(float(value))


def _analysis(cell: Cell) -> list[str]:
    recurrence = analyse.recurrence(cell)
    cost = analyse.cost(passes.plan(cell))
    rows = [
        ("stages", str(analyse.stages(cell))),
        ("recurrence", f"{recurrence.kind}: {recurrence.reason}"),
        ("parameters", str(cost.parameters)),
        ("FLOPs", f"{cost.flops_per_step} per step and sequence"),
        ("bytes", f"{cost.bytes_per_step} per step and sequence"),
    ]
    return _section("analysis", rows)


def _passed_over(found: Sequence[Mention]) -> list[str]:
    if not found:
        return []
    what = "1 formula was" if len(found) == 1 else f"{len(found)} formulas were"
    return [f"{what} passed over (gatec show --mentions says why)", ""]


def mentions(resolution: Resolution) -> str:
    """The mathematics that was passed over: place, text and reason, a line each."""
    lines = [
        f"{m.span.location}: {printable(m.text)}\n    {printable(m.reason)}\n"
        for m in resolution.mentions
    ]
    return "".join(lines) or f"{resolution.cell.name}: no formula was passed over\n"


def latex(resolution: Resolution) -> str:
    """The equations as one `align*` environment."""
    return align(resolution.cell)


# --- JSON -----------------------------------------------------------------------------------------


def as_json(resolution: Resolution) -> dict[str, Any]:
    """Everything `text` says, as data."""
    cell = resolution.cell
    recurrence = analyse.recurrence(cell)
    cost = analyse.cost(passes.plan(cell))
    return {
        "name": cell.name,
        "comments": list(cell.comments),
        "inputs": [_item(i) for i in cell.inputs],
        "states": [
            {**_item(s), "update": s.update, "initial": s.initial.param or float(s.initial.value)}
            for s in cell.states
        ],
        "output": {"name": cell.output, "shape": [str(dim) for dim in cell.output_shape]},
        "parameters": [{**_item(p), "init": p.init, "bias": p.bias} for p in cell.params],
        "constants": [
            {"name": c.name, "symbol": c.symbol, "default": float(c.value)} for c in cell.constants
        ],
        "sizes": [
            {"name": s.name, "symbol": s.symbol, "default": s.default, "rule": s.rule}
            for s in cell.sizes
        ],
        "equations": [
            {
                "name": e.name,
                "symbol": e.symbol,
                "shape": [str(dim) for dim in e.value.shape],
                "text": e.text,
                "rule": e.rule,
                **_place(e.span),
            }
            for e in cell.equations
        ],
        "stages": analyse.stages(cell),
        "recurrence": {
            "kind": str(recurrence.kind),
            "groups": [
                {"states": list(g.states), "kind": str(g.kind), "reason": g.reason}
                for g in recurrence.groups
            ],
            "reason": recurrence.reason,
        },
        "cost": {
            "parameters": str(cost.parameters),
            "flops_per_step": str(cost.flops_per_step),
            "bytes_per_step": str(cost.bytes_per_step),
        },
        "mentions": [
            {"text": m.text, "reason": m.reason, **_place(m.span)} for m in resolution.mentions
        ],
        "warnings": [warning.as_json() for warning in resolution.warnings],
    }


def _item(item: Any) -> dict[str, Any]:
    return {
        "name": item.name,
        "symbol": item.symbol,
        "shape": [str(dim) for dim in item.shape],
        "rule": item.rule,
    }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None}
    return {"file": span.source.name, "line": span.line, "column": span.column}

"""A drawing of a cell: what each quantity of a step reads, as plain SVG.

Quantities stand in columns, each to the right of everything it reads; the inputs and the
previous state on the left, the new state and the output on the right.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from html import escape

from gatec.expr import Apply, Expr, Ref, Shape, walk
from gatec.ir import Cell
from gatec.ops import OPS
from gatec.show_text import rich

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 148, 58, 72, 20, 28
_TITLE = 34
_COLOURS = {
    "input": ("#e8f1fb", "#3b78b5"),
    "state": ("#fdf1dd", "#b97a1a"),
    "equation": ("#ffffff", "#6b7280"),
    "new": ("#fdf1dd", "#b97a1a"),
    "output": ("#e6f5ea", "#2f8a4c"),
}


@dataclass
class _Box:
    """A quantity: its title, what computes it, its shape; `reads` are keys of other boxes."""

    kind: str
    title: str
    detail: str = ""
    shape: str = ""
    reads: list[str] = field(default_factory=list)
    column: int = 0
    row: float = 0.0

    @property
    def x(self) -> float:
        return _MARGIN + self.column * (_WIDTH + _GAP_X)

    @property
    def y(self) -> float:
        return _MARGIN + _TITLE + self.row * (_HEIGHT + _GAP_Y)


def svg(cell: Cell) -> str:
    """The drawing as the text of an SVG file."""
    boxes = _boxes(cell)
    _set_columns(boxes)
    boxes = _routed(boxes)
    _set_rows(boxes)
    columns = max(box.column for box in boxes.values()) + 1
    rows = max(box.row for box in boxes.values()) + 1
    width = 2 * _MARGIN + columns * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + _TITLE + rows * (_HEIGHT + _GAP_Y) - _GAP_Y
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" '
        f'font-family="Helvetica, Arial, sans-serif">',
        f"<title>One step of {escape(cell.name)}</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="#fafafa"/>',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#9ca3af"/>'
        "</marker></defs>",
        f'<text x="{_MARGIN}" y="{_MARGIN + 8}" font-size="17" font-weight="bold" '
        f'fill="#111827">{escape(cell.name)}</text>',
    ]
    for box in boxes.values():
        lines += [_edge(boxes[name], box) for name in box.reads]
    for box in boxes.values():
        lines += _drawn(box) if box.kind else []
    return "\n".join([*lines, "</svg>\n"])


def _boxes(cell: Cell) -> dict[str, _Box]:
    """The boxes by key: `input x 0`, `state h 1` and `var c` for what is read, by kind and lag."""
    symbols = {("input", i.name): i.symbol for i in cell.inputs}
    symbols |= {("state", s.name): s.symbol for s in cell.states}
    updates = {state.update for state in cell.states}
    boxes: dict[str, _Box] = {}
    for equation in cell.equations:
        reads = list(dict.fromkeys(_read(equation.value)))
        for kind, name, lag, shape in reads:
            if kind != "var":
                time = f"t−{lag}" if lag else "t"
                title = rich(symbols[kind, name] or name, time)
                boxes.setdefault(f"{kind} {name} {lag}", _Box(kind, title, "", shape))
        time = "t" if equation.value.batched else ""
        kind = "output" if equation.name == cell.output else "equation"
        if equation.name in updates and kind == "equation":
            kind = "new"
        boxes[f"var {equation.name} 0"] = _Box(
            kind,
            rich(equation.symbol or equation.name, time),
            _detail(equation.value),
            _shape(equation.value.shape),
            [f"{kind} {name} {lag}" for kind, name, lag, _ in reads],
        )
    return boxes


def _read(expr: Expr) -> list[tuple[str, str, int, str]]:
    return [
        (node.kind, node.name, node.lag, _shape(node.shape))
        for node in walk(expr)
        if isinstance(node, Ref) and node.kind in ("input", "state", "var")
    ]


def _shape(shape: Shape) -> str:
    return " × ".join(map(str, shape)) or "scalar"


_SIGNS = {"add": "sum", "mul": "⊙", "div": "÷", "matvec": "W·", "neg": "−", "pow": "power"}


def _detail(expr: Expr) -> str:
    """The outermost operator in a word, and the parameters."""
    params = list(
        dict.fromkeys(
            node.name for node in walk(expr) if isinstance(node, Ref) and node.kind == "param"
        )
    )
    listed = ", ".join(params[:4]) + (", …" if len(params) > 4 else "")
    if not isinstance(expr, Apply):
        return listed
    word = _SIGNS.get(expr.op, "σ" if expr.op == "sigmoid" else OPS[expr.op].name)
    return f"{word} : {listed}" if listed else word


def _set_columns(boxes: dict[str, _Box]) -> None:
    """Each box right of everything it reads; `boxes` is in the order of computation."""
    for box in boxes.values():
        box.column = max((boxes[name].column + 1 for name in box.reads), default=0)
    # An input that is read late stands next to where it is read: shorter lines, fewer crossings.
    readers: dict[str, list[int]] = defaultdict(list)
    for box in boxes.values():
        for name in box.reads:
            readers[name].append(box.column)
    for name, box in boxes.items():
        if not box.reads and box.kind == "state" and readers[name]:
            box.column = max(0, min(readers[name]) - 1)


def _routed(boxes: dict[str, _Box]) -> dict[str, _Box]:
    """The boxes, and in every column that a line crosses a place for it (a box of kind "")."""
    found = dict(boxes)
    for box in boxes.values():
        for position, name in enumerate(box.reads):
            for column in range(boxes[name].column + 1, box.column):
                place = f"{name} in {column}"
                found.setdefault(place, _Box("", "", reads=[box.reads[position]], column=column))
                box.reads[position] = place
    return found


def _set_rows(boxes: dict[str, _Box]) -> None:
    """Order each column by where its neighbours stand, a few times over; then centre it."""
    columns: dict[int, list[str]] = defaultdict(list)
    for name, box in boxes.items():
        columns[box.column].append(name)
    near: dict[str, list[str]] = defaultdict(list)
    for name, box in boxes.items():
        for other in box.reads:
            near[name].append(other)
            near[other].append(name)
    tallest = max(map(len, columns.values()))
    for names in columns.values():
        _place(boxes, names, tallest)
    for sweep in range(8):
        for column in sorted(columns, reverse=bool(sweep % 2)):
            names = columns[column]
            wanted = {
                name: sum(boxes[other].row for other in near[name]) / len(near[name])
                if near[name]
                else boxes[name].row
                for name in names
            }
            names.sort(key=lambda name: wanted[name])
            _place(boxes, names, tallest)


def _place(boxes: dict[str, _Box], names: list[str], tallest: int) -> None:
    start = (tallest - len(names)) / 2
    for row, name in enumerate(names):
        boxes[name].row = start + row


def _edge(start: _Box, end: _Box) -> str:
    x1, y1 = start.x + _WIDTH, start.y + _HEIGHT / 2
    x2, y2 = end.x - (2 if end.kind else 0), end.y + _HEIGHT / 2
    bend = max(_GAP_X * 0.6, (x2 - x1) * 0.4)
    path = f"M{x1:g} {y1:g} C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    if not end.kind:  # through the column, and on
        path += f" H{x2 + _WIDTH:g}"
    arrow = ' marker-end="url(#arrow)"' if end.kind else ""
    return f'<path d="{path}" fill="none" stroke="#9ca3af" stroke-width="1.3"{arrow}/>'


def _drawn(box: _Box) -> list[str]:
    fill, stroke = _COLOURS[box.kind]
    middle = box.x + _WIDTH / 2
    lines = [
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="1.4"/>',
        f'<text x="{middle:g}" y="{box.y + (22 if box.detail else 28):g}" text-anchor="middle" '
        f'font-size="15" fill="#111827">{box.title}</text>',
    ]
    if box.detail:
        lines.append(_small(middle, box.y + 38, box.detail, "#374151"))
    lines.append(_small(middle, box.y + 51, box.shape, "#9ca3af"))
    return lines


def _small(x: float, y: float, text: str, colour: str) -> str:
    shown = text if len(text) <= 26 else text[:25] + "…"
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="middle" font-size="10" '
        f'fill="{colour}">{escape(shown)}</text>'
    )

"""The figures of `cpu.py` as a drawing: every time over the arithmetic limit of its case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

COLOURS = {
    "gatec": "#0b6e4f",
    "torch": "#c8553d",
    "ONNX Runtime": "#6c5b7b",
    "jit.script": "#b08900",
    "eager": "#888888",
}
_ROW, _LEFT, _WIDTH, _TOP = 20, 170, 420, 56
_DECADES = 3.0  # from 1 to 1000 times the limit


def drawing(rows: Sequence[tuple[str, dict[str, float]]], title: str) -> str:
    """An SVG with a line per case: its name, and the times of each label over the limit."""
    height = _TOP + _ROW * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 30}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="18" font-size="14">{escape(title)}</text>',
    ]
    at = _LEFT
    for label, colour in COLOURS.items():
        parts.append(f'<circle cx="{at}" cy="34" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{at + 8}" y="38">{escape(label)}</text>')
        at += 30 + 7 * len(label)
    bottom = _TOP + _ROW * len(rows)
    for times in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        x = _place(times)
        parts.append(f'<line x1="{x}" y1="{_TOP - 6}" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{times}</text>')
    for number, (name, times_of) in enumerate(rows):
        y = _TOP + _ROW * number + 8
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        for label, times in reversed(times_of.items()):
            colour = COLOURS.get(label, COLOURS["torch"])
            parts.append(f'<circle cx="{_place(times)}" cy="{y}" r="4" fill="{colour}"/>')
    return "\n".join([*parts, "</svg>", ""])


def _place(times: float) -> float:
    """Where a ratio lies on the axis."""
    part = math.log10(min(max(times, 0.8), 1000.0)) / _DECADES
    return round(_LEFT + _WIDTH * part, 1)

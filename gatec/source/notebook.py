"""Jupyter notebooks: the Markdown cells, and code cells that start with `%%gate`."""

from __future__ import annotations

import re
from typing import Any

from gatec.errors import Diagnostic, GatecError, Source
from gatec.source.document import Marker, Reading
from gatec.source.files import sound
from gatec.source.pieces import gate_items
from gatec.source.scan import read_math

_MAGIC = re.compile(r"\s*%%gate\b[ \t]*([A-Za-z_]\w*)?[^\n]*\n?")


def read_notebook(source: Source, limit: int) -> list[Reading]:
    """One reading for each cell that holds text. Raises GatecError for a damaged notebook."""
    import json

    try:
        data: Any = json.loads(source.text)
    except (ValueError, RecursionError) as error:
        start = getattr(error, "pos", 0)
        reason = getattr(error, "msg", "it nests too deep")
        raise GatecError(
            Diagnostic(
                "E0008",
                f"this notebook is damaged: {reason}",
                source.span(start, start + 1),
                "open it in Jupyter and save it again",
            )
        ) from None
    cells = _cells(data)
    if cells is None:
        raise GatecError(
            Diagnostic(
                "E0008",
                "this file is no Jupyter notebook: it has no cells",
                source.span(0, 1),
                "a notebook is the .ipynb file that Jupyter saves",
            )
        )
    readings = []
    total = 0
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict):
            continue
        text = cell.get("source", cell.get("input", ""))
        if isinstance(text, list):
            text = "".join(part for part in text if isinstance(part, str))
        if not isinstance(text, str) or cell.get("cell_type") not in ("markdown", "code"):
            continue
        inner = Source(f"{source.name}[cell {number}]", sound(text))
        magic = _MAGIC.match(inner.text)
        if cell["cell_type"] == "code" and magic is None:
            continue
        total += len(inner.text)
        if total > limit:
            raise GatecError(
                Diagnostic(
                    "E0003",
                    "the text of this notebook is larger than 1 MB",
                    file=source.name,
                    hint="put the cell's equations in a file of their own",
                )
            )
        if cell["cell_type"] == "code" and magic is not None:
            items = gate_items(inner, magic.end(), len(inner.text))
            if magic.group(1):
                span = inner.span(magic.start(1), magic.end(1))
                items.insert(0, Marker(magic.group(1), span, 0))
            readings.append(Reading(tuple(items)))
        else:
            readings.append(read_math(inner, "markdown"))
    return readings


def _cells(data: Any) -> list[Any] | None:
    if not isinstance(data, dict):
        return None
    cells = data.get("cells")
    if cells is None and isinstance(data.get("worksheets"), list):  # before version 4
        cells = [
            cell
            for sheet in data["worksheets"]
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
        ]
    return cells if isinstance(cells, list) else None

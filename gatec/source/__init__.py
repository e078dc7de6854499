"""Reading: from what the user names to the mathematics in it, one `Document` for each cell.

`read` takes what the command line takes; `read_text` takes a text. Where a text is no `.gate`
file, its formulas are found and its prose is ignored.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from gatec import resources
from gatec.errors import Source
from gatec.source import files
from gatec.source.cells import documents
from gatec.source.document import Document, Formula, Reading, Style
from gatec.source.files import MAX_BYTES, fail
from gatec.source.pieces import gate_items

__all__ = ["Document", "Formula", "Style", "read", "read_text"]


def read(
    spec: str, cell: str | None = None, *, stdin: IO[bytes] | IO[str] | None = None
) -> tuple[Document, ...]:
    """The documents that a spec names, in the order of the text.

    `spec` is a file, `-` for standard input, `file.md#NAME`, `doc:package.module:Object` or the
    name of a shipped spec; `cell` picks one of several cells. Raises GatecError for a spec that
    cannot be read or holds no mathematics.
    """
    if spec == "-":
        data = files.read_stream(sys.stdin if stdin is None else stdin, "<stdin>")
        return _from_bytes(data, "<stdin>", "cell", None, cell)
    if spec.startswith("doc:"):
        from gatec.source.python import docstring
        from gatec.source.scan import read_math

        address, _, fragment = spec.partition("#")
        source, name = docstring(address)
        if len(source.text) > MAX_BYTES:
            raise files.too_large(spec)
        readings = [read_math(source, "docstring")]
        return documents(readings, source, name, name.lower(), cell or fragment or None)
    path, label = _locate(spec)
    kind = files.KINDS.get(path.suffix.lower())
    return _from_bytes(files.read_bytes(path), str(path), path.stem, kind, cell or label)


def read_text(
    text: str, name: str = "<string>", kind: str | None = None, cell: str | None = None
) -> tuple[Document, ...]:
    """The documents of a text.

    `kind` is one of gate, markdown, text, rst, tex, notebook, python, docstring; by default the
    suffix of `name` decides, then the text itself.
    """
    path = Path(name)
    kind = kind or files.KINDS.get(path.suffix.lower())
    stem = path.stem if path.suffix else "cell"
    return _from_bytes(text.encode("utf-8", "replace"), name, stem, kind, cell)


def _locate(spec: str) -> tuple[Path, str | None]:
    """The file of a spec and the cell after `#`; a shipped spec where no file has the name."""
    address, mark, fragment = spec.rpartition("#")
    if not mark or _is_file(spec):
        address, fragment = spec, ""
    if not _is_file(address):
        shipped = resources.spec_path(address)
        if shipped is not None:
            return shipped, fragment or None
    return Path(address), fragment or None


def _is_file(name: str) -> bool:
    try:
        path = Path(name)
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def _from_bytes(
    data: bytes, name: str, stem: str, kind: str | None, cell: str | None
) -> tuple[Document, ...]:
    if kind is None:
        kind = _kind(data[:MAX_BYTES].decode("utf-8", "replace"))
    limit = files.MAX_NOTEBOOK_BYTES if kind == "notebook" else MAX_BYTES
    if len(data) > limit:
        raise files.too_large(name, limit)
    source = files.decode(data, name, kind)
    if not source.text.strip():
        raise fail(
            "E0006",
            "this is empty",
            name,
            "write an equation, as in h_t = \\tanh(W x_t + U h_{t-1})",
        )
    return documents(_readings(source, kind), source, stem, stem, cell)


def _readings(source: Source, kind: str) -> Sequence[Reading]:
    if kind == "notebook":
        from gatec.source.notebook import read_notebook

        return read_notebook(source, MAX_BYTES)
    if kind == "python":
        from gatec.source.python import read_module

        return read_module(source)
    if kind == "gate":
        return [Reading(tuple(gate_items(source, 0, len(source.text))))]
    from gatec.source.scan import read_math

    return [read_math(source, kind)]


_TEX = re.compile(r"\\documentclass|\\begin\{document\}|\\(?:sub)*section\*?\{|\\usepackage")
_TEXT = re.compile(
    r"\$[^$\n]{1,2000}\$|\$\$|(?<!\\)\\\(|(?<!\\)\\\[|^[ \t]*\.\. +math::|:math:`"
    r"|^[ \t]*(?:```|~~~)|<!--",
    re.MULTILINE,
)


def _kind(text: str) -> str:
    """What a text without a telling name is."""
    if text.lstrip("\ufeff \t\r\n").startswith("{") and re.search(r'"(?:cells|worksheets)"', text):
        return "notebook"
    if _TEX.search(text):
        return "tex"
    return "text" if _TEXT.search(text) else "gate"

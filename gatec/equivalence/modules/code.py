"""Lines of Python: what a statement assigns to, and how an expression reads."""

from __future__ import annotations

import ast
import linecache
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gatec.equivalence.modules.record import Place
from gatec.errors import printable


@dataclass(frozen=True)
class Statement:
    """The innermost simple statement at a place.

    target  the one variable that it assigns to; "result" for a return; None for anything else
    text    `file.py:12: h = torch.tanh(a)`
    """

    file: str
    line: int
    target: str | None
    text: str


_SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)


@lru_cache(maxsize=1024)
def statement(place: Place) -> Statement:
    """The statement at a place; of no target where the code cannot be read."""
    tree = _tree(place.file)
    found: ast.stmt | None = None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, _SIMPLE) and node.lineno <= place.line <= (node.end_lineno or 0):
            found = node
    if found is None:
        return Statement(place.file, place.line, None, "")
    lines = linecache.getlines(place.file)[found.lineno - 1 : found.end_lineno]
    text = _shown(place.file, found.lineno, " ".join(line.strip() for line in lines))
    return Statement(place.file, found.lineno, _target(found), text)


def _target(found: ast.stmt) -> str | None:
    if isinstance(found, ast.Return):
        return "result"
    targets = found.targets if isinstance(found, ast.Assign) else [getattr(found, "target", None)]
    if len(targets) != 1:
        return None
    (target,) = targets
    if isinstance(target, ast.Name):
        return target.id
    return target.attr if isinstance(target, ast.Attribute) else None


def call(place: Place, op: str) -> tuple[str, str]:
    """What to call the value of an expression that calls a function, and its text.

    `torch.sigmoid(f)` is called f; any other is called by the function.
    """
    lines = linecache.getlines(place.file)[place.line - 1 : place.end_line]
    if not lines:
        return op, ""
    pieces = [line.encode() for line in lines]
    pieces[-1] = pieces[-1][: place.end_column]
    pieces[0] = pieces[0][place.column :]
    source = " ".join(piece.decode(errors="replace").strip() for piece in pieces)
    text = _shown(place.file, place.line, source)
    try:
        node = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return op, text
    if isinstance(node, ast.Call):
        inner: list[ast.expr] = [*node.args]
        if isinstance(node.func, ast.Attribute) and not inner:
            inner = [node.func.value]  # f.sigmoid()
        if len(inner) == 1 and isinstance(inner[0], ast.Name):
            return inner[0].id, text
    return op, text


def _shown(file: str, line: int, text: str) -> str:
    return f"{Path(file).name}:{line}: {printable(text)}"


@lru_cache(maxsize=32)
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return None

"""The parser of `grammars/gate.lark`. Its LALR tables are remembered: to build them is slow."""

from __future__ import annotations

import io
import pickle
import sys
from functools import cache as once
from typing import Any

import lark
from lark import Lark

from gatec import cache, resources

_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "basic",
    "start": ["start", "sum"],
    "maybe_placeholders": False,
}


@once
def parser() -> Lark:
    """The parser, made or read once in a run."""
    return load((resources.folder("grammars") / "gate.lark").read_text(encoding="utf-8"))


def load(grammar: str) -> Lark:
    """The parser of a grammar's text."""
    key = repr((grammar, _OPTIONS, lark.__version__, sys.version_info[:3])).encode()
    known = cache.read("grammar", key)
    if known is not None:
        try:
            return Lark.load(_Plain(io.BytesIO(known)).load())
        except Exception:  # whatever stands there: the grammar itself is at hand
            pass
    made = Lark(grammar, **_OPTIONS)
    buffer = io.BytesIO()
    made.save(buffer)
    cache.write("grammar", key, buffer.getvalue())
    return made


class _Plain(pickle.Unpickler):
    """Reads plain data only: dictionaries, lists, texts, numbers."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain data")

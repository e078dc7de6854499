"""The parser of a grammar. Its LALR tables are remembered: to build them is slow."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any

import lark
from lark import Lark

from gatec import cache

_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "basic",
    "start": ["start", "sum"],
    "maybe_placeholders": False,
}


def load(grammar: str) -> Lark:
    """The parser of a grammar's text."""
    key = repr((grammar, _OPTIONS, lark.__version__, sys.version_info[:3])).encode()
    known = cache.read("grammar", key)
    if known is not None:
        try:
            return Lark.load(_Plain(io.BytesIO(known)).load())
        except Exception:  # whatever stands there: the grammar itself is at hand
            pass
    parser = Lark(grammar, **_OPTIONS)
    buffer = io.BytesIO()
    parser.save(buffer)
    cache.write("grammar", key, buffer.getvalue())
    return parser


class _Plain(pickle.Unpickler):
    """Reads plain data only: dictionaries, lists, texts, numbers."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain data")

"""Room for recursion: trees nest up to 200 deep, and each level takes several calls."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

_CALLS = 20_000


@contextlib.contextmanager
def room() -> Iterator[None]:
    """A higher recursion limit, put back afterwards: the limit is the whole process's."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _CALLS))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)

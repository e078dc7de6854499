"""Cells by the text that a generated module carries of them: their programs and kernels."""

from __future__ import annotations

import os
import sys
import threading
from functools import lru_cache
from pathlib import Path

import torch

from gatec import adjoint, cell_text, native, passes
from gatec.ir import Program
from gatec.runtime.build import Unavailable
from gatec.runtime.kernels import DTYPES, Kernels

_lock = threading.Lock()
_made: dict[tuple[str, torch.dtype], Kernels | Unavailable] = {}


@lru_cache(maxsize=1024)
def program(text: str) -> Program:
    """A cell by its text. Raises Unavailable."""
    if not text.strip():
        raise Unavailable("the module carries no text of its cell that leads back to it")
    try:
        cell = cell_text.read(text)
        return adjoint.differentiate(cell, passes.plan(cell))
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError) as error:
        raise Unavailable(f"this version of gatec cannot read the cell: {error}") from error


def kernels(text: str, dtype: torch.dtype, module: type | None = None) -> Kernels:
    """The kernels of a cell, compiled when first asked for. Raises Unavailable, each time.

    A library that was built beside the file of the `module` is taken where it fits.
    """
    found = _made.get((text, dtype))
    if found is None:
        with _lock:  # one thread compiles, the others wait
            found = _made.get((text, dtype))
            if found is None:
                try:
                    made = program(text)
                    beside = None if module is None else _beside(module, made, dtype)
                    found = Kernels(made, dtype, beside)
                except Unavailable as error:
                    found = error
                _made[text, dtype] = found
    if isinstance(found, Unavailable):
        raise Unavailable(str(found))
    return found


def _beside(module: type, made: Program, dtype: torch.dtype) -> Path | None:
    place = getattr(sys.modules.get(module.__module__), "__file__", None)
    return native.beside(Path(place), made, DTYPES[dtype]) if place else None


def forget() -> None:
    """Forget all kernels: they are looked for anew. For tests, and after a compiler came."""
    with _lock:
        _made.clear()


def _after_fork() -> None:
    """Another thread may have held the lock, and does not exist in the child."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""Cells by the text that a generated module carries of them: their programs and kernels."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from gatec import adjoint, cell_text, native, passes
from gatec.ir import Program
from gatec.runtime.build import Unavailable
from gatec.runtime.kernels import DTYPES, WEIGHTS, Kernels

_lock = threading.Lock()
_Key = tuple[str, torch.dtype, torch.dtype | None]
_made: dict[_Key, Kernels | Unavailable] = {}
_files: dict[str, list[Path]] = {}  # of the modules that carry a text


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


def announce(module: Any) -> None:
    """Say that a generated module is there: the library beside its file serves all who ask for its
    cell, exported programs among them. Nothing is read yet."""
    # Where its equations stand: a class that is derived from it stands elsewhere.
    file = module._layer.__globals__.get("__file__")
    if file is None or not os.path.isabs(file):  # from memory: a notebook, `gatec.load`
        return
    text, path = module._cell, Path(file)
    with _lock:
        known = _files.setdefault(text, [])
        if path not in known:
            known.append(path)
        for key, made in list(_made.items()):  # what was not there before may be there now
            if key[0] == text and isinstance(made, Unavailable):
                del _made[key]


def kernels(text: str, dtype: torch.dtype, weights: torch.dtype | None = None) -> Kernels:
    """The kernels of a cell, compiled when first asked for. Raises Unavailable, each time.

    `dtype` is the type of all numbers, `weights` that of the weights of products where it is
    another one: bfloat16 goes with float32, anything else raises ValueError. A library that was
    built beside a module with this text is taken where it fits.
    """
    key = text, dtype, weights
    found = _made.get(key)
    if found is None:
        if weights not in WEIGHTS or (weights is not None and dtype != torch.float32):
            raise ValueError(
                f"kernel_weights must be None, or torch.bfloat16 where parameters are "
                f"torch.float32; got {weights} where they are {dtype}"
            )
        with _lock:  # one thread compiles, the others wait
            found = _made.get(key)
            if found is None:
                try:
                    made = program(text)
                    beside = None if weights is not None else _beside(text, made, dtype)
                    found = Kernels(made, dtype, beside, weights)
                except Unavailable as error:
                    found = error
                _made[key] = found
    if isinstance(found, Unavailable):
        raise Unavailable(str(found))
    return found


def _beside(text: str, made: Program, dtype: torch.dtype) -> Path | None:
    found = (native.beside(file, made, DTYPES[dtype]) for file in _files.get(text, ()))
    return next((library for library in found if library is not None), None)


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

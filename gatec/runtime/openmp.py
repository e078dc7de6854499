"""The threads of PyTorch's own OpenMP runtime, for kernels to run on.

Idle threads of an OpenMP runtime wait awake for a while. Kernels that started threads of their own
beside them would share the processors with these.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import torch

_NAMES = ("GOMP_parallel", "omp_get_num_threads", "omp_get_thread_num")
_served: list[Any] = []  # the functions that libraries were told by
_forked = False


def serve(use_openmp: Any) -> None:
    """Let a library run on PyTorch's threads, by its function `gatec_..._use_openmp`."""
    functions = () if _forked else _functions()
    if functions:
        use_openmp.argtypes = [ctypes.c_void_p] * len(_NAMES)
        use_openmp.restype = None
        use_openmp(*functions)
        _served.append(use_openmp)


@cache
def _functions() -> tuple[int, ...]:
    """The addresses of the runtime's functions; none where PyTorch has no such runtime."""
    if not torch.backends.openmp.is_available():  # type: ignore[no-untyped-call]
        return ()
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        # Found among what the library was linked to: the very runtime that PyTorch runs on.
        found = ctypes.CDLL(str(library))
        return tuple(_address(found, name) for name in _NAMES)
    except (OSError, AttributeError):
        return ()


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


def _after_fork() -> None:
    """The threads of the runtime do not exist in the child, and it does not know that."""
    global _forked
    _forked = True
    for use_openmp in _served:
        use_openmp(*[None] * len(_NAMES))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""Memory for kernels: small workspaces stay from call to call, what is large has large pages."""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

_SMALL = 1 << 22  # bytes of workspace that a thread keeps
_LARGE = 1 << 22  # bytes for which large pages are worth asking


def scratch(room: int) -> Tensor:
    """A workspace that nobody reads after the call: the same for all calls of a thread.

    The system gives new memory page by page, which takes as long as a step of a small cell.
    """
    found: Tensor | None = getattr(_thread, "scratch", None)
    if found is None or found.numel() < room:
        found = torch.empty(room, dtype=torch.uint8)
        if room <= _SMALL:
            _thread.scratch = found
    return found


_thread = threading.local()


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor whose values are not set; in large pages where it is large and the system has them.

    What a long sequence keeps and gives is written once: with pages of 4 KiB the system takes up
    to a tenth of the time of training to hand them out one by one.
    """
    made = torch.empty(shape, dtype=dtype)
    room = made.numel() * made.element_size()
    advise = _advise() if room >= _LARGE else None
    if advise is not None:
        page = mmap.PAGESIZE
        start = -(-made.data_ptr() // page) * page
        end = (made.data_ptr() + room) // page * page
        # An advice: where it is not taken, nothing is lost.
        advise(start, end - start, mmap.MADV_HUGEPAGE)
    return made


@cache
def _advise() -> Any:
    """The system's `madvise`; None where there is none that knows of large pages."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    try:
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return advise

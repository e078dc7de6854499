"""Memory for kernels: workspaces are lent again, and what is large has large pages."""

from __future__ import annotations

import ctypes
import mmap
import threading
import weakref
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

KEPT = 256 << 20  # bytes of workspaces that stay while nobody uses them
_LARGE = 1 << 22  # bytes for which large pages are worth asking; a thread keeps less


def workspace(room: int) -> Tensor:
    """Memory of so many bytes, whose values are not set, for as long as the tensor lives.

    The system gives new memory page by page, and clears it: for what training keeps of a sequence
    that takes up to a quarter of the time of forward. So memory that was a workspace before is
    lent again.
    """
    if room < _LARGE or room > KEPT or not hasattr(mmap, "MAP_PRIVATE"):
        return empty((room,), torch.uint8)
    return _lent(_taken(room))[:room]


def scratch(room: int) -> Tensor:
    """A workspace that nobody reads after the call: a small one is the same for all of a thread."""
    if room >= _LARGE:
        return workspace(room)
    found: Tensor | None = getattr(_thread, "scratch", None)
    if found is None or found.numel() < room:
        found = _thread.scratch = torch.empty(room, dtype=torch.uint8)
    return found


_thread = threading.local()


def release() -> None:
    """Gives the memory of workspaces that are not in use back to the system."""
    _idle.clear()


# Single operations on a list are safe between threads, and where a collection of garbage gives
# memory back in the middle of another. A lock would not be: the collection may be its owner's.
_idle: list[mmap.mmap] = []


def _taken(room: int) -> mmap.mmap:
    """The smallest idle memory of at least `room` bytes, or new memory instead of what is idle.

    What is too small would add up where sequences grow from call to call.
    """
    for found in sorted(_idle.copy(), key=len):
        if len(found) >= room:
            try:
                _idle.remove(found)
            except ValueError:  # another thread was faster
                continue
            return found
    release()
    # Private: what is shared would be one memory with processes that fork.
    made = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        made.madvise(mmap.MADV_HUGEPAGE)
    return made


def _lent(memory: mmap.mmap) -> Tensor:
    """The memory as a tensor, which is idle when no tensor, view or graph holds it any more."""
    held = (ctypes.c_char * len(memory)).from_buffer(memory)
    weakref.finalize(held, _back, memory).atexit = False
    return torch.frombuffer(held, dtype=torch.uint8)


def _back(memory: mmap.mmap) -> None:
    if sum(map(len, _idle.copy())) + len(memory) <= KEPT:
        _idle.append(memory)


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor whose values are not set; in large pages where it is large and the system has them.

    What a long sequence gives is written once: with pages of 4 KiB the system takes up to a tenth
    of the time of training to hand them out one by one.
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

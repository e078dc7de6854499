"""`module.checkpoint`: training that keeps states every so many steps, and computes the rest again.

None    all that backward reads is kept
k       the states every k steps are, rounded up to whole chunks of the kernels
"auto"  the longest segments for which a call keeps at most `module.checkpoint_budget` bytes,
        by default a quarter of the memory that is free
"""

from __future__ import annotations

import os
from typing import Any

from gatec.runtime import segments
from gatec.runtime.kernels import Kernels, Measured

_SHARE = 4  # "auto" takes one part in so many of the free memory
_UNKNOWN = 1 << 30  # bytes, where a system does not say what is free


def steps_of(module: Any, kernels: Kernels, extent: Measured) -> int | None:
    """The steps of a segment, None for the whole sequence at once. Raises ValueError."""
    wanted = getattr(module, "checkpoint", None)
    if wanted is None:
        return None
    if wanted == "auto":
        budget = getattr(module, "checkpoint_budget", None)
        steps = segments.within(kernels, extent, _free() // _SHARE if budget is None else budget)
    elif isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
        steps = segments.steps_of(wanted, extent.batch)
    else:
        raise ValueError(f'checkpoint must be a number of steps, "auto" or None, got {wanted!r}')
    return steps if steps < extent.steps else None


def _free() -> int:
    """The bytes of memory that are free."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return _UNKNOWN

"""Did you mean: the most similar of a set of words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, among: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The most similar word, one of the same letters first (tahn is tanh, not tan)."""
    near = difflib.get_close_matches(word, list(among), 3, cutoff)
    near.sort(key=lambda other: sorted(other) != sorted(word))
    return near[0] if near else None

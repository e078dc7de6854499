"""Where the threads that share the units of a step have to wait for each other.

Most tasks of a step read and write each thread's own units only: nobody waits between them. A task
waits where it touches what another thread may have written since they last met, or may still read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gatec.backends.c_family.tasks import Access, Task

_STEPS = 4  # places in memory repeat after two steps
_LATE = 8  # a step that has some before and after it

# The number of the place that an array has at step t; `train` as in the call.
Slot = Callable[[int, bool], int]


@dataclass(frozen=True)
class Place:
    """A pointer of a step: the array that it points into, and at which of its places."""

    base: str
    slot: Slot = lambda t, train: 0


def waits(tasks: Sequence[Task], places: dict[str, Place], *, backward: bool) -> set[int]:
    """The numbers of the tasks of a step before which all have to wait.

    `places` are those of the pointers that change with the step. Other arrays that are read do not
    change while steps are computed.
    """
    needed: set[int] = set()
    while True:
        found = {_first(tasks, places, needed, backward, train) for train in (True, False)}
        found.discard(None)
        if not found:
            return needed
        needed |= {number for number in found if number is not None}


def _first(
    tasks: Sequence[Task], places: dict[str, Place], needed: set[int], backward: bool, train: bool
) -> int | None:
    """The first task that waits too late for what came before, over some steps."""
    open_: set[tuple[tuple[str, int], object, bool]] = set()
    for step in range(_STEPS):
        t = _LATE - step if backward else _LATE + step
        for number, task in enumerate(tasks):
            if number in needed:
                open_.clear()
            if task.accesses is None:  # whatever it is, it waits at its end
                if open_:
                    return number
                continue
            touched = {_touched(access, places, t, train) for access in task.accesses}
            if _conflict(touched, open_):
                return number
            open_ |= touched
    return None


def _touched(
    access: Access, places: dict[str, Place], t: int, train: bool
) -> tuple[tuple[str, int], object, bool]:
    place = places.get(access.array)
    if place is None:
        assert not access.written, access.array
        return (access.array, 0), access.part, False
    return (place.base, place.slot(t, train)), access.part, access.written


def _conflict(
    new: Iterable[tuple[tuple[str, int], object, bool]],
    old: Iterable[tuple[tuple[str, int], object, bool]],
) -> bool:
    """Whether different threads touch one place, and one of them writes there."""
    return any(
        place == other and (written or before) and (part is None or part != past)
        for place, part, written in new
        for other, past, before in old
    )

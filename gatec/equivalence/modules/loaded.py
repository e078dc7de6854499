"""A module that is ready to be compared: built, called, and read as a cell where that can be."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gatec.equivalence.modules import probing, replay, trace
from gatec.equivalence.modules.address import Address, fail
from gatec.equivalence.modules.calling import Calling
from gatec.equivalence.modules.construct import Constructor, constructor, example
from gatec.equivalence.modules.probing import NotCalled
from gatec.equivalence.modules.record import Interleaved, Untraceable
from gatec.equivalence.modules.trace import Traced


@dataclass(frozen=True)
class LoadedModule:
    """A class of modules.

    traced       what it computes, as a cell; None where that could not be read
    reason       why not
    interleaved  whether that is because it takes every n-th unit
    notes        what a user should know of how it was read
    """

    address: Address
    constructor: Constructor
    calling: Calling
    traced: Traced | None
    reason: str = ""
    interleaved: bool = False
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.constructor.cls.__name__


def load(address: Address) -> LoadedModule:
    """Find, build, call and read a module. Raises GatecError (E0802 to E0805)."""
    made = constructor(address)
    values = example(made)
    try:
        calling = probing.find(made.build(values), dict(values.sizes))
    except NotCalled as error:
        raise fail(
            "E0805",
            f"{made.cls.__name__} cannot be called as a recurrent cell: {error}",
            address.text,
            "its forward takes an input (batch, units) or a sequence of these, and a state",
        ) from None
    found = LoadedModule(address, made, calling, None)
    try:
        return _read(found)
    except Untraceable as error:
        fixed = _without_constants(found)
        if fixed is not None:
            return fixed
        return replace(found, reason=str(error), interleaved=isinstance(error, Interleaved))


def _without_constants(found: LoadedModule) -> LoadedModule | None:
    """The module read with its constants at their defaults, where that is what it takes."""
    if not found.constructor.constants:
        return None
    constants = dict(found.constructor.constants)
    fixed = {**(found.constructor.fixed or {}), **constants}
    made = replace(found.constructor, constants={}, fixed=fixed)
    try:
        return _read(replace(found, constructor=made))
    except Untraceable:
        return None


def _read(found: LoadedModule) -> LoadedModule:
    """The module with the cell that it computes. Raises Untraceable."""
    traced = trace.traced(found.constructor, found.calling)
    notes = []
    sample = replay.sample(found.constructor, found.calling, seed=3)
    started = replay.started(traced, sample)
    sample = replay.sample(found.constructor, found.calling, seed=4, anywhere=True)
    if started is None or not replay.outputs_agree(started, sample):
        raise Untraceable("it computes something else than what was read from it")
    if not replay.gradients_agree(started, sample):
        notes.append(
            "its gradients are not the derivatives of what it computes: it stops or changes them"
        )
    return replace(found, traced=started, notes=tuple(notes))

"""A module that is ready to be compared: built, called, and read as a cell where that can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gatec.equivalence.modules import probing, replay, trace, wired
from gatec.equivalence.modules.address import Address, fail
from gatec.equivalence.modules.calling import Calling
from gatec.equivalence.modules.construct import HIDDEN, INPUT, Constructor, constructor, example
from gatec.equivalence.modules.probing import NotCalled
from gatec.equivalence.modules.record import Interleaved, Untraceable
from gatec.equivalence.modules.trace import Traced
from gatec.ir import Cell

_FORWARD = "its forward takes an input (batch, units) or a sequence of these, and a state"


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
    failure: NotCalled | None = None
    try:
        found = _called(address, made)
    except NotCalled as error:
        found, failure = None, error
    lengths = found is not None and found.traced is not None and _has_lengths(found.traced.cell)
    if found is None or found.traced is None or lengths:
        fixed = next(_with_fixed_sizes(address, made), None)
        found = fixed or found
        if lengths and fixed is None and HIDDEN not in made.size_names:
            raise fail(
                "E0805",
                f"{made.cls.__name__} computes with a number of units that stands in its forward",
                address.text,
                "let the constructor take the sizes, or take them from the shapes of the weights",
            )
    if found is None:
        raise fail(
            "E0805",
            f"{made.cls.__name__} cannot be called as a recurrent cell: {failure}",
            address.text,
            failure.hint if failure and failure.hint else _FORWARD,
        ) from None
    return found


def _has_lengths(cell: Cell) -> bool:
    """Whether the units of a cell's output are a number, not a size."""
    shape = cell.equation(cell.output).value.shape
    return any(dim.const > 1 and not dim.terms for dim in shape)


def _called(address: Address, made: Constructor) -> LoadedModule:
    """The module as it is built and called. Raises NotCalled."""
    values = example(made)
    calling = probing.find(made.build(values), dict(values.sizes))
    found = LoadedModule(address, made, calling, None)
    try:
        return _read(found)
    except Untraceable as error:
        without = _without_constants(found)
        if without is not None:
            return without
        told = made.told
        return replace(
            found, notes=told, reason=str(error), interleaved=isinstance(error, Interleaved)
        )


def _with_fixed_sizes(address: Address, made: Constructor) -> Iterator[LoadedModule]:
    """The module with sizes that are fixed in its code, where it can be read so."""
    missing = [name for name in (INPUT, HIDDEN) if name not in made.size_names]
    if not missing or (made.size_names and missing == [INPUT]):
        return  # a cell of one size
    values = example(made)
    for sizes in wired.candidates(made.build(values), values.sizes, missing):
        told = " and ".join(f"{name} = {n}" for name, n in sizes.items())
        note = f"its code fixes {told}; it was read at other sizes too, by changing its parameters"
        try:
            found = _called(address, replace(made, wired=sizes))
        except Exception:  # whatever code does at sizes that it was not written for
            continue
        if found.traced is not None:
            yield replace(found, notes=(*found.notes, note))


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
    notes = list(found.constructor.told)
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

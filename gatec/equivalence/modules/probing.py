"""Conventions of calling found out, by trying them on a small instance of a module.

Nothing is declared in a module. A convention is right where rows of the batch do not meet, the
future does not reach the past, and a sequence cut in two gives what the whole gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gatec.equivalence.modules.calling import (
    Calling,
    Layout,
    Passing,
    Returned,
    Structure,
    SymbolicShape,
    state_of,
    structure,
    tensors,
)
from gatec.equivalence.modules.construct import BATCH, HIDDEN, INPUT, quiet
from gatec.equivalence.modules.forward import Keys, close, is_no_state, kept, parameters

_X_NAMES = re.compile(r"(x|inp|inputs?|input_?(t|seq|sequence|tensor)?|x_?t|seq|data)", re.I)
_STEPS, _ROWS = 4, 6  # of the sequences that conventions are tried on


class NotCalled(Exception):
    """No convention fits; the message says what the likeliest of them came to.

    `hint` says what to do, where that is known.
    """

    hint = ""


def find(module: nn.Module, sizes: dict[str, int]) -> Calling:
    """The convention of a module built at `sizes`. Raises NotCalled."""
    failures: list[Exception] = []
    if names := kept(module, sizes):
        error = NotCalled(f"it keeps its state between calls, in {names}")
        error.hint = "let forward take the state and return the new one"
        raise error
    with quiet():
        for size in [name for name in (INPUT, HIDDEN) if name in sizes] or list(sizes):
            took_batches = False
            for layout, by_row in _layouts(module):
                if by_row and layout is Layout.STEP and took_batches:
                    continue  # a batch whose rows meet is not to be handed over in rows
                probe = _Probe(module, sizes, size, layout, by_row)
                try:
                    return next(iter(probe.conventions()))
                except StopIteration:
                    failures += probe.failures
                    took_batches |= any(isinstance(error, _Unfit) for error in probe.failures)
    # What ran and was wrong says more than what did not run at all.
    told = [error for error in failures if isinstance(error, _Unfit)] or failures
    told.sort(key=lambda error: not isinstance(error, _ReadsAhead))
    if not sizes:
        raise NotCalled("its sizes are fixed in its code; its constructor must take them")
    kind = "" if told and isinstance(told[0], _Unfit) else f"{type(told[0]).__name__}: "
    detail = f"{kind}{told[0]}" if told else "it takes no tensor"
    failure = NotCalled(detail.strip().splitlines()[0])
    failure.hint = getattr(told[0], "hint", "") if told else ""
    raise failure


def _layouts(module: nn.Module) -> list[tuple[Layout, bool]]:
    """Layouts as the module says, if it says; a step first, and rows one by one last."""
    flag = getattr(module, "batch_first", None)
    sequences = [Layout.TIME_FIRST, Layout.BATCH_FIRST]
    batched = [Layout.STEP, *(sequences[::-1] if flag else sequences)]
    rows = [Layout.STEP, Layout.TIME_FIRST]
    return [*((layout, False) for layout in batched), *((layout, True) for layout in rows)]


class _Unfit(Exception):
    """A convention that runs, and is not right."""


class _ReadsAhead(_Unfit):
    hint = "compare one direction alone: name the class of its cell"


@dataclass
class _Probe:
    """The conventions of one layout, tried on a module."""

    module: nn.Module
    sizes: dict[str, int]
    size: str
    layout: Layout
    by_row: bool = False

    def __post_init__(self) -> None:
        self.failures: list[Exception] = []
        generator = torch.Generator().manual_seed(1)
        shape = (_STEPS, _ROWS, self.sizes[self.size])
        self.x = torch.randn(shape, generator=generator, dtype=torch.float64)
        self.moved = self.x + torch.randn(shape, generator=generator, dtype=torch.float64)
        params = parameters(self.module)
        names = [p.name for p in params if p.kind is not p.KEYWORD_ONLY]
        self.input = next((i for i, n in enumerate(names) if _X_NAMES.fullmatch(n)), 0)
        others = [p for i, p in enumerate(params) if i != self.input and not is_no_state(p)]
        self.by_keyword = {p.name for p in others if p.kind is p.KEYWORD_ONLY}
        self.required = [p.name for p in others if p.default is p.empty]
        self.names = tuple(p.name for p in others)

    def conventions(self) -> Iterator[Calling]:
        """Those that are right, the likeliest first."""
        for calling in self._candidates():
            try:
                yield self._verified(calling)
            except Exception as error:
                self.failures.append(error)

    def _candidates(self) -> Iterator[Calling]:
        for form, shapes, passing in self._starts():
            start = Calling(
                self.layout,
                passing,
                Returned.NOWHERE,
                self.input,
                self.size,
                form,
                bool(shapes),
                by_row=self.by_row,
                keywords=self._keywords(self.required),
                shapes=shapes,
            )
            try:
                returned = self._returned(start, self._start(start))
            except Exception as error:
                self.failures.append(error)
                continue
            yield from self._passings(start, returned)
            if not start.required and self.layout is not Layout.STEP:
                yield start  # the states are its own affair

    def _returned(self, start: Calling, states: list[Any] | None) -> Any:
        """What a first step returns, of one row where these are handed over one by one."""
        x = start.arranged(self.x[:1])
        if start.by_row:
            x, states = start.row(x, states, 0)
        return start.returns(self.module, x, states)

    def _starts(self) -> Iterator[tuple[Structure, tuple[SymbolicShape, ...], Passing]]:
        """States for a first call: none; else zeros, as the signature has them."""
        if not self.required:
            yield None, (), Passing.NOT
        count = len(self.required)
        for shape in self._shapes():
            if count > 1:
                yield (tuple, ("tensor",) * count), (shape,) * count, Passing.EACH
            elif count == 1:
                yield "tensor", (shape,), Passing.ONE
                for several in (2, 3, 4):
                    form = (tuple, ("tensor",) * several)
                    yield form, (shape,) * several, Passing.ONE
                if keys := self._keys(shape):
                    named = (keys, ("tensor",) * len(keys))
                    yield named, (shape,) * len(keys), Passing.ONE

    def _keys(self, shape: SymbolicShape) -> tuple[str, ...]:
        """The keys that are read of a state which is a dictionary."""
        sizes = {**self.sizes, BATCH: _ROWS}
        zeros = torch.zeros([sizes[n] if isinstance(n, str) else n for n in shape])
        zeros = zeros[0] if self.by_row else zeros
        start = Calling(self.layout, Passing.ONE, Returned.NOWHERE, self.input, self.size)
        start = replace(start, structure="tensor", keywords=self._keywords(self.required))
        start = replace(start, by_row=self.by_row)
        state: Any = Keys(zeros)
        try:  # whatever it returns: a dictionary in place of a tensor is no state yet
            x = start.arranged(self.x[:1])
            x = start.row(x, None, 0)[0] if self.by_row else x
            start.returns(self.module, x, [state])
        except Exception as error:
            self.failures.append(error)
        return tuple(state)

    def _keywords(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name if name in self.by_keyword else "" for name in names)

    def _shapes(self) -> Iterator[SymbolicShape]:
        """Shapes that a state may have."""
        names = list(dict.fromkeys(n for n in (HIDDEN, *self.sizes) if n in self.sizes))
        for name in names:
            if self.layout is not Layout.STEP and not self.by_row:
                yield 1, BATCH, name
            yield BATCH, name
        for name in names:
            for other in names:
                yield BATCH, name, other

    def _start(self, calling: Calling) -> list[Tensor] | None:
        return calling.zeros(self.sizes, _ROWS)

    def _passings(self, start: Calling, returned: Any) -> Iterator[Calling]:
        """Ways to hand back a state that was returned."""
        for where in self._places(returned):
            state = state_of(where, returned)
            form = structure(state)
            if form is None or (start.required and _kinds(form) != _kinds(start.structure)):
                continue
            ways = [start.passing] if start.required else [Passing.ONE, Passing.EACH]
            for way in ways:
                if way is Passing.EACH and not isinstance(state, (tuple, list)):
                    continue
                names = self._names(way, len(tensors(state)))
                made = replace(start, passing=way, returned=where, structure=form, names=names)
                if not start.required:
                    handed = len(state) if way is Passing.EACH else 1
                    made = replace(made, keywords=self._keywords(self.names[:handed]))
                yield made

    def _places(self, returned: Any) -> list[Returned]:
        if isinstance(returned, Tensor):
            return [Returned.ALL]
        several = isinstance(returned, (tuple, list)) and len(returned) > 1
        rest = [Returned.SECOND, Returned.REST] if several else []
        if self.layout is Layout.STEP:
            return [Returned.ALL, *rest, Returned.FIRST]
        return [*rest, Returned.ALL, Returned.FIRST]

    def _names(self, way: Passing, count: int) -> tuple[str, ...]:
        if way is Passing.EACH and len(self.names) >= count:
            return self.names[:count]
        base = self.names[0] if self.names else "state"
        return (base,) if count == 1 else tuple(f"{base}_{i}" for i in range(count))

    # --- Whether a convention is right ---------------------------------------------------------

    def _verified(self, calling: Calling) -> Calling:
        """The convention, where it is right. Raises what speaks against it."""
        module, x = self.module, self.x
        calling.run(module, x, self._start(calling))
        output, states = calling.run(module, x, self._drawn(calling))
        if self.layout is not Layout.STEP and output.shape[:2] != x.shape[:2]:
            output, calling = self._last(calling, x)
        if output.shape[:2] != x.shape[:2]:
            raise _Unfit(f"its output is of shape {tuple(output.shape)}")
        if calling.recurrent:
            self._continues(calling, output, states)
        for t in range(_STEPS):
            self._confined(calling, output, t)
        return calling

    def _drawn(self, calling: Calling) -> list[Tensor] | None:
        """States that are not special, where states can be given: from 0 some cells never move."""
        if not calling.recurrent:
            return None
        start = self._start(calling)
        found = calling(self.module, calling.arranged(self.x[:1]), start)[1]
        generator = torch.Generator().manual_seed(7)
        return [torch.randn(s.shape, generator=generator, dtype=s.dtype) for s in found]

    def _last(self, calling: Calling, x: Tensor) -> tuple[Tensor, Calling]:
        """A module that gives its last output alone, run on ever longer sequences."""
        calling = replace(calling, last_only=True)
        outputs = [
            calling.run(self.module, x[: t + 1], self._drawn(calling))[0] for t in range(_STEPS)
        ]
        return torch.cat(outputs), calling

    def _continues(self, calling: Calling, output: Tensor, states: list[Tensor]) -> None:
        """A sequence cut in two gives what the whole gives, and its state has a part in that."""
        module, x = self.module, self.x
        _, middle = calling.run(module, x[:2], self._drawn(calling))
        two, last = calling.run(module, x[2:], middle)
        whole = output if not calling.last_only else output[-1:]
        if not close(two, whole[-len(two) :]):
            raise _Unfit("a sequence cut in two gives something else")
        if [s.shape for s in middle] != [s.shape for s in last]:
            raise _Unfit("its state changes shape")
        if not all(close(a, b) for a, b in zip(last, states, strict=True)):
            raise _Unfit("a sequence cut in two ends in another state")
        moved = [s + torch.linspace(0.1, 0.9, s.numel(), dtype=s.dtype).view_as(s) for s in middle]
        if close(calling.run(module, x[2:], moved)[0], two):
            raise _Unfit("its state has no effect")

    def _confined(self, calling: Calling, output: Tensor, t: int) -> None:
        """A change at one step of one row reaches that row alone, from that step on."""
        x = self.x.clone()
        x[t, 1] = self.moved[t, 1]
        start = self._drawn(calling)
        if calling.last_only:
            changed = torch.cat(
                [calling.run(self.module, x[: s + 1], start)[0] for s in range(_STEPS)]
            )
        else:
            changed = calling.run(self.module, x, start)[0]
        past = changed.clone()
        past[t:, 1] = output[t:, 1]
        if not close(past, output):
            past[:, 1] = output[:, 1]
            if not close(past, output):
                raise _Unfit("rows of its batch meet, or its past reads the future")
            raise _ReadsAhead("its outputs read later inputs, as if it ran both ways")
        if t == 0 and close(changed, output):
            raise _Unfit("its input has no effect")


def _kinds(form: Structure) -> Structure:
    """A structure without regard to lists and tuples."""
    return form if isinstance(form, str) or form is None else tuple(map(_kinds, form[1]))

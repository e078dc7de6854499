"""A module that cannot be read as equations, compared by numbers.

Parameters are matched by name, shape and the order of gates; what is matched otherwise is
exchanged as long as the outputs of both come closer. Agreement in outputs and gradients at
random parameters is no proof, and is said not to be one.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gatec.equivalence.evaluate import Floats, Run, Runner, Unsupported
from gatec.equivalence.modules.loaded import LoadedModule
from gatec.equivalence.modules.matching import Row
from gatec.equivalence.modules.pieces import Piece, Split, arrangements, shapes, split
from gatec.equivalence.modules.replay import Sample, distance, sample
from gatec.equivalence.modules.trace import runs
from gatec.equivalence.tape import gradients
from gatec.equivalence.verdict import Kind, Replay, Verdict
from gatec.ir import Cell
from gatec.passes.delay import delay

Array = Any
_ROWS = 16  # instances that matches are tried on
_TRUSTED = 1e-9  # a relative difference above this is no rounding
_CHECKS = 4  # further draws of parameters that a match has to stand
_STARTS, _ROUNDS, _PERMUTED = 4, 12, 5


@dataclass(frozen=True)
class Match:
    """Which pieces of the module's parameters make up each parameter of the cell.

    parts  name in the cell -> numbers of pieces (summed), and whether each is transposed
    """

    parts: Mapping[str, tuple[tuple[int, bool], ...]]


def compare(cell: Cell, module: LoadedModule) -> Verdict:
    """The verdict of a comparison by numbers, with the best match."""
    sizes, found = shapes(module.constructor, runs(module.constructor))
    best: tuple[float, Match, _Fit] | None = None
    given = sample(module.constructor, module.calling, 3, rows=_ROWS)
    made = split(cell, sizes)
    for pieces in arrangements(found):
        fit = _Fit(made, pieces, given)
        try:
            residual, match = fit.best()
        except Unsupported:
            continue
        if best is None or residual < best[0]:
            best = residual, match, fit
        if residual < _TRUSTED:
            break
    return _verdict(cell, module, best)


def _verdict(cell: Cell, module: LoadedModule, best: tuple[float, Match, _Fit] | None) -> Verdict:
    names = cell.name, module.name
    notes = [*module.notes, f"{module.name} was compared by numbers: {module.reason}"]
    searched = ("parameters matched by name, by shape, by the order of gates, and by fit",)
    if best is None:
        verdict = Verdict(Kind.UNDECIDED, *names, basis="none", searched=searched)
    else:
        residual, match, fit = best
        verdict = _judged(names, module, residual, match, fit, searched)
    told = replace(cell, name=module.name, equations=_untold(cell))
    rows = best[2].rows(best[1]) if best else ()
    extra = {"cell": told, "mine": cell, "match": rows, "notes": tuple(notes)}
    return replace(verdict, extra=extra)


def _untold(cell: Cell) -> Any:
    """Equations without a text: those of a module that was not read are not known."""
    return tuple(replace(equation, text="") for equation in cell.equations)


def _judged(
    names: tuple[str, str],
    module: LoadedModule,
    residual: float,
    match: Match,
    fit: _Fit,
    searched: tuple[str, ...],
) -> Verdict:
    if residual < _TRUSTED:
        replay = _checked(module, match, fit)
        if replay.outputs < _TRUSTED and replay.gradients < 1e-7:
            return Verdict(
                Kind.EQUAL_NUMERICALLY,
                *names,
                basis="numerical",
                replays=(replay,),
                searched=searched,
                reason=f"{replay.instances} instances agree",
            )
        if replay.outputs < _TRUSTED:
            reason = "their outputs agree, their gradients do not"
            return Verdict(
                Kind.DIFFERENT, *names, basis="numerical", reason=reason, replays=(replay,)
            )
    # Gates that lie in each other are in no order that was tried.
    complete = fit.complete and not module.interleaved
    kind = Kind.DIFFERENT if complete else Kind.UNDECIDED
    return Verdict(
        kind,
        *names,
        basis="numerical" if complete else "none",
        searched=searched,
        reason=f"under the best match of parameters {fit.told(match)}",
    )


def _checked(module: LoadedModule, match: Match, fit: _Fit) -> Replay:
    """The match at other parameters and sequences: outputs and gradients."""
    outputs = slopes = 0.0
    count = 0
    for seed in range(11, 11 + _CHECKS):
        given = sample(module.constructor, module.calling, seed, rows=_ROWS)
        other = _Fit(fit.split, fit.pieces, given)
        runner, run, own = other.run(match, keep=True)
        outputs = max(outputs, distance(own, given.outputs.numpy()))
        slopes = max(slopes, other.slopes(match, runner, run))
        count += _ROWS
    return Replay(count, outputs, slopes)


class _Fit:
    """The search for a match of given pieces on one sample."""

    def __init__(self, made: Split, pieces: Sequence[Piece], given: Sample) -> None:
        self.split, self.pieces, self.given = made, pieces, given
        self.runner = Runner(delay(made.cell))
        sizes = given.values.sizes
        tensors = dict(given.module.named_parameters())
        self.values = [piece.block.of(tensors, sizes).detach().numpy() for piece in pieces]
        self.wanted = given.outputs.numpy()
        self.params = {param.name: param.shape for param in made.cell.params}
        self.gates = made.gates()
        self.fitting = [self._fitting(piece) for piece in pieces]
        self.x = [step.numpy() for step in given.x]
        packed = {piece.gates for piece in pieces if piece.gates > 1}
        # All orders of the gates are tried where they are few.
        self.complete = len(packed) == 1 and max(packed) <= _PERMUTED

    def _fitting(self, piece: Piece) -> list[tuple[str, bool]]:
        """The parameters of the cell that a piece may be (part of), and how it lies."""
        shape = piece.block.shape
        made = [(name, False) for name, own in self.params.items() if own == shape]
        if len(shape) == 2:
            made += [(name, True) for name, own in self.params.items() if own == shape[::-1]]
        return made

    # --- Values ---------------------------------------------------------------------------------

    def value(self, match: Match, name: str) -> Array:
        shape = tuple(dim.value(self.given.values.sizes) for dim in self.params[name])
        made = np.zeros(shape)
        for number, transposed in match.parts.get(name, ()):
            made = made + (self.values[number].T if transposed else self.values[number])
        return made[None]

    def run(self, match: Match, *, keep: bool = False) -> tuple[Runner, Run, Array]:
        cell = self.runner.cell
        found = self.runner.run(
            Floats(),
            self.given.values.sizes,
            {name: self.value(match, name) for name in self.params},
            {cell.inputs[0].name: self.x},
            {},
            steps=len(self.x),
            keep=keep,
        )
        rows = self.given.x.shape[1]
        outputs = [
            np.broadcast_to(o, (rows, *o.shape[1:])).reshape(rows, -1) for o in found.outputs
        ]
        return self.runner, found, np.asarray(outputs)

    def residual(self, match: Match) -> float:
        """How far the outputs are apart, where they are of one shape."""
        with np.errstate(all="ignore"):
            outputs = self.run(match)[2]
            if outputs.shape != self.wanted.shape:
                return float("inf")
            size = np.maximum(1, np.maximum(np.abs(outputs), np.abs(self.wanted)))
            error = np.abs(outputs - self.wanted) / size
        return float(np.where(np.isfinite(error), error, 1.0).mean())

    def told(self, match: Match) -> str:
        """Where and by how much the outputs differ."""
        outputs = self.run(match)[2]
        if outputs.shape != self.wanted.shape:
            return "their outputs have different sizes"
        error = np.abs(outputs - self.wanted)
        step = int((error.reshape(len(error), -1).max(axis=1) > _TRUSTED).argmax())
        _, row, unit = np.unravel_index(int(error[step].argmax()), (1, *error[step].shape))
        one, other = outputs[step, row, unit], self.wanted[step, row, unit]
        return (
            f"their outputs differ from step {step + 1} on, by up to {error.max():.2g} "
            f"(as {one:.6f} against {other:.6f})"
        )

    def slopes(self, match: Match, runner: Runner, run: Run) -> float:
        """How far the gradients are apart, of the inputs and of what each piece stands for."""
        rows = self.given.x.shape[1]
        weights = [
            w.numpy().reshape(rows, *o.shape[1:])
            for w, o in zip(self.given.weights, run.outputs, strict=True)
        ]
        sizes = self.given.values.sizes
        made = gradients(runner, run, sizes, weights, {}, learned=True)
        found = distance(
            np.stack(made.inputs[runner.cell.inputs[0].name]), self.given.grad_x.numpy()
        )
        for name, parts in match.parts.items():
            own = made.params[name].sum(axis=0) if name in made.params else np.zeros(1)
            for number, transposed in parts:
                block = self.pieces[number].block
                wanted = block.of(self.given.grads, sizes).numpy()
                found = max(found, distance(own.T if transposed else own, wanted))
        return found

    # --- The search -----------------------------------------------------------------------------

    def best(self) -> tuple[float, Match]:
        """The best match that was found, and its residual. Raises Unsupported.

        Where none is right, the best that keeps gates together: exchanges make up for a little
        of a difference that they have nothing to do with.
        """
        starts = sorted(
            ((self.residual(match), k, match) for k, match in enumerate(self._starts())),
            key=lambda entry: entry[:2],
        )
        found = [self._improved(match, residual) for residual, _, match in starts[:_STARTS]]
        residual, match = min(found, key=lambda entry: entry[0])
        return (residual, match) if residual < _TRUSTED else (starts[0][0], starts[0][2])

    def _starts(self) -> Iterator[Match]:
        """Matches by name, and for every order of the gates."""
        yield self._assigned(self._likeness)
        count = max((piece.gates for piece in self.pieces), default=1)
        orders = itertools.permutations(range(len(self.gates)), min(count, len(self.gates)))
        for order in itertools.islice(orders, 200):
            yield self._assigned(lambda p, n, order=order: self._in_order(p, n, order))

    def _likeness(self, piece: Piece, name: str) -> float:
        """How alike the names of a piece and of a parameter are."""
        one, other = (re.sub(r"[^a-z0-9]+", "", text.lower()) for text in (piece.block.text, name))
        return difflib.SequenceMatcher(None, one, other).ratio()

    def _in_order(self, piece: Piece, name: str, order: Sequence[int]) -> float:
        gate = next(i for i, names in enumerate(self.gates) if name in names)
        own = order[piece.gate % len(order)] if piece.gates > 1 else None
        return (2.0 if own == gate else 0.0) + self._likeness(piece, name) / 4

    def _assigned(self, score: Any) -> Match:
        """Each piece for the parameter it scores best with; matrices one for one."""
        known = {name for names in self.gates for name in names}
        options = [
            (score(piece, name), -number, name, transposed)
            for number, piece in enumerate(self.pieces)
            for name, transposed in self.fitting[number]
            if name in known
        ]
        made: dict[str, list[tuple[int, bool]]] = {}
        done: set[int] = set()
        for _, negative, name, transposed in sorted(options, key=lambda o: (-o[0], -o[1])):
            number = -negative
            full = name in made and len(self.params[name]) == 2
            if number not in done and not full:
                made.setdefault(name, []).append((number, transposed))
                done.add(number)
        return Match({name: tuple(sorted(parts)) for name, parts in made.items()})

    def _improved(self, match: Match, residual: float) -> tuple[float, Match]:
        """The match after all exchanges that help."""
        for _ in range(_ROUNDS):
            if residual < _TRUSTED:
                break
            moves = [(self.residual(m), k, m) for k, m in enumerate(self._moves(match))]
            best = min(moves, key=lambda entry: entry[:2], default=None)
            if best is None or best[0] >= residual:
                break
            residual, _, match = best
        return residual, match

    def _moves(self, match: Match) -> Iterator[Match]:
        """Two parameters exchanged, a piece turned over, a vector taken elsewhere."""
        for one, other in itertools.combinations(self.params, 2):
            if self.params[one] == self.params[other]:
                swapped = dict(match.parts)
                swapped[one], swapped[other] = (
                    match.parts.get(other, ()),
                    match.parts.get(one, ()),
                )
                yield Match(swapped)
        for name, parts in match.parts.items():
            shape = self.params[name]
            for entry in parts:
                rest = tuple(part for part in parts if part != entry)
                if len(shape) == 2 and shape[0] == shape[1]:
                    yield Match({**match.parts, name: (*rest, (entry[0], not entry[1]))})
                if len(shape) < 2:
                    for other, own in self.params.items():
                        if own == shape and other != name:
                            more = (*match.parts.get(other, ()), entry)
                            yield Match({**match.parts, name: rest, other: more})

    # --- What is told ---------------------------------------------------------------------------

    def rows(self, match: Match) -> tuple[Row, ...]:
        """The match as a table."""
        made = []
        for block in self.split.blocks:
            parts = match.parts.get(block.name, ())
            texts = [
                self.pieces[number].block.text + (".T" if transposed else "")
                for number, transposed in parts
            ]
            made.append(Row(block.text, " + ".join(texts) or "0", self._how(block.name, parts)))
        return tuple(made)

    def _how(self, name: str, parts: Sequence[tuple[int, bool]]) -> str:
        """What a match of one parameter goes by."""
        if len(parts) == 1:
            number = parts[0][0]
            only = sum((name, t) in fits for fits in self.fitting for t in (False, True))
            if only == 1:
                return "shape"
            names = {n for n, _ in self.fitting[number]}
            scores = {n: self._likeness(self.pieces[number], n) for n in names}
            if max(scores, key=lambda n: scores[n]) == name and scores[name] > 0.6:
                return "name"
        packed = all(self.pieces[number].gates > 1 for number, _ in parts)
        return "order" if parts and packed else "fit"

"""The first equation whose values part: which equation of one cell answers to which of the other.

Outputs and new values of states correspond by the map. Other equations correspond where they
have the same values almost everywhere (or 1 minus them, or their negatives). What is left is
paired by the parameters that the map gives it, or by name, but only where it explains something:
with the other's value in its place, the results of the step agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gatec import show_ir
from gatec.equivalence.evaluate import Array, Floats, Run, primitive
from gatec.equivalence.instances import Pair, Setting, Values
from gatec.equivalence.intervals import apart, ball
from gatec.equivalence.libraries import numpy
from gatec.expr import Apply
from gatec.ir import Equation
from gatec.ops import OPS, Kind
from gatec.passes.common import nodes, refs

_ROWS, _STEPS = 16, 3
_CLOSE = 1e-9


@dataclass(frozen=True)
class Match:
    """`mine` = scale * `theirs` + shift, by the names of the equations."""

    mine: str
    theirs: str
    scale: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)

    def of(self, theirs: Array, number: Callable[[Fraction], object]) -> Array:
        """What the value of mine has to be."""
        if self.scale == 1 and not self.shift:
            return theirs
        return theirs * number(self.scale) + number(self.shift)


_RELATIONS = ((Fraction(1), Fraction(0)), (Fraction(-1), Fraction(1)), (Fraction(-1), Fraction(0)))


def parting(pair: Pair, setting: Setting, runs: tuple[Run, Run]) -> tuple[str, str] | None:
    """The texts of the first equation of mine whose value is apart, and of its counterpart.

    `runs` are both cells in balls at a point of this setting. None where nothing that has a
    name corresponds.
    """
    matches = {match.mine: match for match in _matches(pair, setting)}
    one, other = runs
    for step in range(setting.steps):
        for equation in pair.mine.equations:
            match = matches.get(equation.name)
            if match is None:
                continue
            counterpart = pair.theirs.equation(match.theirs)
            mine = one.equations[step][match.mine].reshape(-1)
            theirs = match.of(other.equations[step][match.theirs], ball).reshape(-1)
            named = equation.symbol and counterpart.symbol  # others were made for the comparison
            if named and any(apart(a, b) for a, b in zip(mine, theirs, strict=True)):
                return _told(equation), _told(counterpart)
    return None


def _told(equation: Equation) -> str:
    """An equation as the user wrote it; of a module, as it was read."""
    return equation.text or f"{equation.name} = {show_ir.text(equation.value)}"


def _matches(pair: Pair, setting: Setting) -> list[Match]:
    """Which equations answer to each other."""
    sample = _Sample.of(pair, setting)
    found = list(_results(pair))
    found += _by_value(pair, sample, found)
    likely = list(_by_map(pair, found))
    if sample.mended_by(likely):
        return found + likely
    return found + [match for match in likely if sample.mended_by([match])]


def _results(pair: Pair) -> Iterator[Match]:
    """The output, and the new values of states under the map."""
    updates = {state.name: state.update for state in pair.theirs.states}
    taken: set[str] = set()
    for state in pair.mine.states:
        if state.name in pair.found.states and state.update not in taken:
            other, scale = pair.found.states[state.name]
            taken.add(state.update)
            yield Match(state.update, updates[other], scale)
    if pair.mine.output not in taken:
        yield Match(pair.mine.output, pair.theirs.output)


def _free(pair: Pair, found: list[Match]) -> tuple[list[Equation], list[Equation]]:
    """The equations of both cells that have no counterpart yet."""
    mine, theirs = {match.mine for match in found}, {match.theirs for match in found}
    return (
        [equation for equation in pair.mine.equations if equation.name not in mine],
        [equation for equation in pair.theirs.equations if equation.name not in theirs],
    )


def _by_value(pair: Pair, sample: _Sample, found: list[Match]) -> list[Match]:
    own, others = _free(pair, found)
    made: list[Match] = []
    for equation in own:
        likely = sorted(others, key=lambda other: other.name != equation.name)
        choices = (
            Match(equation.name, other.name, *relation)
            for relation in _RELATIONS
            for other in likely
            if other.value.shape == equation.value.shape
        )
        match = next((match for match in choices if sample.agrees(match)), None)
        if match is not None:
            made.append(match)
            others = [other for other in others if other.name != match.theirs]
    return made


def _by_map(pair: Pair, found: list[Match]) -> Iterator[Match]:
    """Pairs that the map gives the same parameters, each equation at most once; then by name and
    by functions."""
    own, others = _free(pair, found)
    likeness = {
        (one.name, other.name): _likeness(pair, one, other)
        for one in own
        for other in others
        if one.value.shape == other.value.shape
    }
    for names in sorted(likeness, key=lambda names: likeness[names], reverse=True):
        free = {one.name for one in own}, {other.name for other in others}
        if any(likeness[names]) and names[0] in free[0] and names[1] in free[1]:
            own = [one for one in own if one.name != names[0]]
            others = [other for other in others if other.name != names[1]]
            yield Match(*names)


def _likeness(pair: Pair, one: Equation, other: Equation) -> tuple[float, bool, bool]:
    mapped = {
        ref.name
        for param in refs(one.value, "param")
        for ref in refs(pair.found.params[param.name], "param")
    }
    read = {ref.name for ref in refs(other.value, "param")}
    shared = len(mapped & read) / len(mapped | read) if mapped else 0.0
    return shared, one.name == other.name, _functions(one) == _functions(other)


def _functions(equation: Equation) -> tuple[str, ...]:
    """The functions in an equation that are no arithmetic."""
    return tuple(
        sorted(
            node.op
            for node in nodes(primitive(equation.value))
            if isinstance(node, Apply)
            and OPS[node.op].kind is not Kind.CONTRACTION
            and not OPS[node.op].infix
            and node.op != "neg"
        )
    )


@dataclass(frozen=True)
class _Sample:
    """The equations of both cells at the first steps of random instances, in float64."""

    pair: Pair
    setting: Setting
    values: Values
    mine: Sequence[Mapping[str, Array]]
    theirs: Sequence[Mapping[str, Array]]

    @classmethod
    def of(cls, pair: Pair, setting: Setting) -> _Sample:
        np = numpy()
        setting = Setting(setting.sizes, _STEPS, setting.given)
        slots = pair.slots(setting)
        units = slots[-1].stop if slots else 0
        rows = np.random.default_rng(2).standard_normal((_ROWS, units))
        values = pair.values(Floats(), setting, rows)
        one, other = pair.run(Floats(), setting, values)
        return cls(pair, setting, values, one.equations, other.equations)

    def agrees(self, match: Match) -> bool:
        """Whether the values of the first step correspond at half of the instances or more."""
        return self._share(self.mine[0], match, 0) >= 0.5

    def _share(self, mine: Mapping[str, Array], match: Match, step: int) -> float:
        """At how many of the instances the values correspond."""
        np = numpy()
        wanted = match.of(self.theirs[step][match.theirs], float)
        shape = (_ROWS, *wanted.shape[1:])
        one, other = np.broadcast_to(mine[match.mine], shape), np.broadcast_to(wanted, shape)
        close = np.isclose(one, other, rtol=_CLOSE, atol=_CLOSE).reshape(_ROWS, -1)
        return float(close.all(axis=1).mean())

    def mended_by(self, matches: list[Match]) -> bool:
        """Whether all results agree once mine has the other's values in these equations."""
        if not matches:
            return False
        made = self.pair.runners[0].run(
            Floats(),
            self.setting.sizes,
            self.values.mine,
            self.values.inputs,
            self.values.mine_states,
            steps=_STEPS,
            instead={m.mine: [m.of(t[m.theirs], float) for t in self.theirs] for m in matches},
        )
        return all(
            self._share(mended, result, step) >= 0.5
            for step, mended in enumerate(made.equations)
            for result in _results(self.pair)
        )

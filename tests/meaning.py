"""What a text means, as values: a cell run by the interpreter against a step written by hand.

Nothing is compared as a tree or as text: two notations mean the same where they compute the
same. The step is plain NumPy over single vectors, written in the test from the mathematics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from references import shape

from gatec import interpret, source
from gatec.ir import Cell
from gatec.parse import parse
from gatec.resolve import resolve

SIZES = {"hidden_size": 4, "input_size": 3, "output_size": 5}
LETTERS = {"h": 4, "x": 3, "o": 5}
STEPS, BATCH = 4, 2

Array = np.ndarray
Step = Callable[[Any, Any, Any], Mapping[str, Any]]


def cells(text: str, name: str = "spec.gate") -> list[Cell]:
    """The cells of a text; the name's suffix says what kind of text it is."""
    return [resolve(parse(document)).cell for document in source.read_text(text, name)]


def cell(text: str, name: str = "spec.gate") -> Cell:
    """The one cell of a text."""
    (found,) = cells(text, name)
    return found


def shapes(found: Cell, sizes: Mapping[str, int] = SIZES) -> dict[str, tuple[int, ...]]:
    """The shapes of a cell's parameters as numbers."""
    return {p.name: tuple(dim.value(sizes) for dim in p.shape) for p in found.params}


class Past:
    """Values by name: `s.h` is the newest, `s("h", 2)` one step before that.

    A state's newest value is that of t-1, an input's that of t. `back` gives the first lag.
    """

    def __init__(self, values: Mapping[str, Sequence[Array]], first: int) -> None:
        self._values, self._first = values, first

    def __getattr__(self, name: str) -> Array:
        return self(name, self._first)

    def __call__(self, name: str, lag: int) -> Array:
        series = self._values[name]
        place = len(series) - 1 - (lag - self._first)
        return series[place] if place >= 0 else self._before(name)

    def _before(self, name: str) -> Array:
        return np.zeros_like(self._values[name][0])  # inputs and states start at 0


class Values:
    """Parameters by name."""

    def __init__(self, values: Mapping[str, Array]) -> None:
        self.__dict__.update(values)

    def __getitem__(self, name: str) -> Array:
        return self.__dict__[name]


def means(
    text: str | Cell,
    step: Step,
    params: Mapping[str, str] | None = None,
    *,
    name: str = "spec.gate",
    sizes: Mapping[str, int] = SIZES,
    seed: int = 0,
) -> Cell:
    """Assert that a text is the cell whose step is given: outputs and states over a few steps.

    `step(p, x, s)` takes parameters, inputs and states as single vectors and returns the new
    value of every state, and of the output where it is none, by name. `params` gives the
    parameters that must be found, with their shapes in letters (h, x, o).
    """
    found = cell(text, name) if isinstance(text, str) else text
    numbers = shapes(found, sizes)
    if params is not None:
        letters = LETTERS | dict(sizes)
        assert numbers == {key: shape(value, **letters) for key, value in params.items()}
    rng = np.random.default_rng(seed)
    drawn = {key: rng.standard_normal(size) * 0.5 for key, size in numbers.items()}

    def values(items: Any, *leading: int) -> dict[str, Array]:
        return {
            item.name: rng.standard_normal((*leading, *(d.value(sizes) for d in item.shape)))
            for item in items
        }

    inputs, states = values(found.inputs, STEPS, BATCH), values(found.states, BATCH)
    got = interpret.run(found, drawn, inputs, states, sizes=sizes)
    for row in range(BATCH):
        past = {key: [value[row]] for key, value in states.items()}
        present: dict[str, list[Array]] = {key: [] for key in inputs}
        for t in range(STEPS):
            for key, value in inputs.items():
                present[key].append(value[t, row])
            made = step(Values(drawn), Past(present, 0), Past(past, 1))
            assert set(past) <= set(made), f"the step must return {set(past)}"
            close(got.outputs[t, row], made[found.output], f"output at step {t}")
            for key in past:
                past[key].append(np.asarray(made[key]))
        for key, series in past.items():
            close(got.state[key][row], series[-1], f"state {key}")
    return found


def close(got: Any, wanted: Any, what: str) -> None:
    np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-12, err_msg=what)


def same_cell(*texts: str | Cell) -> None:
    """Assert that texts (or cells) are one cell: the same interface and the same values."""
    made = [text if isinstance(text, Cell) else cell(text) for text in texts]
    first = made[0]
    for other in made[1:]:
        assert interface(other) == interface(first)
        results = [_run(each) for each in (first, other)]
        for key in results[0]:
            close(results[1][key], results[0][key], key)


def interface(found: Cell) -> Any:
    return (
        [(i.name, i.shape) for i in found.inputs],
        [(s.name, s.shape) for s in found.states],
        sorted((p.name, p.shape) for p in found.params),
        found.output,
    )


def _run(found: Cell) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    sizes = {**SIZES, **{size.name: 5 for size in found.sizes}}

    def drawn(item: Any, *leading: int) -> Array:
        return rng.standard_normal((*leading, *(d.value(sizes) for d in item.shape))) * 0.5

    params = {p.name: drawn(p) for p in sorted(found.params, key=lambda p: p.name)}
    inputs = {i.name: drawn(i, STEPS, BATCH) for i in found.inputs}
    states = {s.name: drawn(s, BATCH) for s in found.states}
    run = interpret.run(found, params, inputs, states, sizes=sizes)
    return {"output": run.outputs, **run.state}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x)))


def softplus(x: Any) -> Any:
    return np.log1p(np.exp(x))


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x))
    return e / e.sum()

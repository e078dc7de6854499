"""Random cells: the front end and every backend against the generator's own evaluation."""

import os
import tempfile
import traceback
from pathlib import Path

import pytest
from generator import cells
from harness import assert_close, build, compiled_text, differentiated, draw, executed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import shape

from gatec import backends

sizes_strategy = st.tuples(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)
)


def agrees(cell, numbers, targets):
    """The text compiles to the shapes it was written with, and every target computes it."""
    input_size, hidden_size, steps, batch = numbers
    if cell.square:
        input_size = hidden_size
    letters = {"h": hidden_size, "x": input_size, "u": 2, "k": 3}
    program = compiled_text(cell.text, "random.gate")
    sizes = {"input_size": input_size, "hidden_size": hidden_size, "u_size": 2, "k": 3}
    found = {p.name: tuple(d.value(sizes) for d in p.shape) for p in program.source.params}
    params = {name: shape(text, **letters) for name, text in cell.params.items()}
    assert found == params
    assert {s.name for s in program.source.states} == set(cell.states)
    states = {name: shape(text, **letters) for name, text in cell.states.items()}
    inputs = {name: (letters[name],) for name in cell.inputs}
    case = draw({"params": params, "inputs": inputs, "states": states}, steps, batch)
    wanted = differentiated(cell.run, case)
    with tempfile.TemporaryDirectory() as folder:
        for target in targets:
            error = ""
            try:
                built = build(target, program, Path(folder))
                got = executed(target, built, program, sizes, case)
            except Exception:
                error = traceback.format_exc()
            # One place of failure: Hypothesis takes every generated file for another.
            assert not error, f"{target}: {error}"
            assert_close(got, wanted, 1e-10)


def runs(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@runs(80)
@given(cells(), sizes_strategy)
def test_python_backends(cell, numbers):
    agrees(cell, numbers, ["numpy", "torch"])


@pytest.mark.parametrize("target", [t for t in backends.targets() if t not in ("numpy", "torch")])
@runs(6)
@given(cell=cells(), numbers=sizes_strategy)
def test_native_backends(target, cell, numbers):
    agrees(cell, numbers, [target])

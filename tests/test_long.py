"""Sequences of 10,000 steps: nothing drifts, overflows or runs out of stack."""

from functools import cache

import pytest
from harness import assert_close, build, cell_shapes, compiled, differentiated, draw, executed
from references import REFERENCES

from gatec import backends, resources

STEPS = 10_000
SIZES = {"input_size": 2, "hidden_size": 3}
TOLERANCE = {"float64": 1e-12, "float32": 2e-6}

# Once per backend, and what may drift: single precision, a stabiliser, a matrix state.
CASES = [("lstm", target, "float64") for target in backends.targets()]
CASES += [("lstm", "numpy", "float32"), ("lstm", "c", "float32")]
CASES += [("slstm", "numpy", "float32"), ("deltanet", "c", "float32")]


@cache
def case_of(name):
    """A case of a spec whose numbers every type has, and its result by the hand-written reference."""
    program = compiled(resources.spec_path(name))
    case = draw(cell_shapes(program.source, SIZES), STEPS, 1).rounded("float32")

    def run(params, inputs, states):
        return REFERENCES[name](params, inputs["x"], states)

    return program, case, differentiated(run, case)


@pytest.mark.parametrize(("name", "target", "dtype"), CASES)
def test_ten_thousand_steps(name, target, dtype, tmp_path):
    program, case, wanted = case_of(name)
    got = executed(target, build(target, program, tmp_path), program, SIZES, case, dtype)
    assert_close(got, wanted, TOLERANCE[dtype])

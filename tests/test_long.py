"""Sequences of 10,000 steps: nothing drifts, overflows or runs out of stack."""

import pytest
from harness import assert_close, build, cell_shapes, compiled, differentiated, draw, executed
from references import REFERENCES

from gatec import backends, resources

STEPS = 10_000
CASES = [("lstm", target) for target in backends.targets()]
CASES += [(name, t) for name in ("gru", "slstm", "deltanet") for t in ("numpy", "c")]


@pytest.mark.parametrize(("name", "target"), CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_ten_thousand_steps(name, target, dtype, tmp_path):
    if target == "torch" and dtype == "float32":
        pytest.skip("once is enough where ten thousand eager steps take seconds")
    program = compiled(resources.spec_path(name))
    sizes = {"input_size": 2, "hidden_size": 3}
    case = draw(cell_shapes(program.source, sizes), STEPS, 1).rounded(dtype)

    def run(params, inputs, states):
        return REFERENCES[name](params, inputs["x"], states)

    got = executed(target, build(target, program, tmp_path), program, sizes, case, dtype)
    assert_close(got, differentiated(run, case), {"float64": 1e-12, "float32": 2e-6}[dtype])

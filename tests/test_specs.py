"""Every shipped spec, in every backend: values and all gradients.

Three independent computations meet here: the hand-written references, the interpreter, and the
generated code of each backend, forward and backward.
"""

from functools import cache

import pytest
from harness import assert_close, build, cell_shapes, compiled, differentiated, draw, executed
from harness import interpreted as interpret
from references import REFERENCES, SHAPES, shape

from gatec import backends, resources

SPECS = resources.spec_names()
# input_size, hidden_size, steps, batch: odd, one, unequal either way, and a longer one.
SIZES = [(3, 5, 7, 2), (1, 1, 1, 1), (5, 1, 4, 3), (1, 4, 2, 1), (7, 3, 50, 3)]
TOLERANCE = {"float64": 1e-12, "float32": 2e-6}


@cache
def program(name):
    return compiled(resources.spec_path(name))


@cache
def built(name, target):
    return build(target, program(name), _folder)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    global _folder
    _folder = tmp_path_factory.mktemp("generated")
    yield
    built.cache_clear()


@cache
def case_of(name, sizes):
    """A case of a spec whose numbers every type has, and its result by the interpreter."""
    input_size, hidden_size, steps, batch = sizes
    cell = program(name).source
    numbers = {"input_size": input_size, "hidden_size": hidden_size}
    case = draw(cell_shapes(cell, numbers), steps, batch).rounded("float32")
    return numbers, case, interpret(cell, numbers, case)


def test_every_spec_has_a_reference():
    assert sorted(REFERENCES) == sorted(SHAPES) == SPECS


@pytest.mark.parametrize("name", SPECS)
def test_what_the_front_end_found(name):
    """Parameters, states and shapes, all inferred."""
    cell = program(name).source
    found = cell_shapes(cell, {"input_size": 3, "hidden_size": 5})
    wanted = SHAPES[name]
    assert found["params"] == {k: shape(v, h=5, x=3) for k, v in wanted.params.items()}
    assert list(found["states"]) == list(wanted.states)
    assert found["states"] == {k: shape(v, h=5, x=3) for k, v in wanted.states.items()}
    assert found["inputs"] == {"x": (3,)}
    assert cell.comments


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_interpreter(name, sizes):
    _, case, result = case_of(name, sizes)

    def run(params, inputs, states):
        return REFERENCES[name](params, inputs["x"], states)

    assert_close(result, differentiated(run, case), 1e-12)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("target", backends.targets())
@pytest.mark.parametrize("name", SPECS)
def test_backend(name, target, dtype, sizes):
    numbers, case, wanted = case_of(name, sizes)
    got = executed(target, built(name, target), program(name), numbers, case, dtype)
    assert_close(got, wanted, TOLERANCE[dtype])


@pytest.mark.parametrize("target", backends.targets())
@pytest.mark.parametrize("name", SPECS)
def test_no_initial_state(name, target):
    """Without a state a sequence starts from the cell's own initial values."""
    sizes = {"input_size": 3, "hidden_size": 4}
    cell = program(name).source
    case = draw(cell_shapes(cell, sizes) | {"states": {}}, 5, 2)
    got = executed(target, built(name, target), program(name), sizes, case)
    assert_close(got, interpret(cell, sizes, case), 1e-12)

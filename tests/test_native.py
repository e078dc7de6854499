"""Generated C and CUDA (through the shim): every feature of cells, and the manners of the calls."""

from dataclasses import replace
from fractions import Fraction
from functools import cache

import native
import numpy as np
import pytest
from harness import assert_close, executed, interpreted, weights
from native_cells import NAMES, TEXTS, as_type, case_of, program, sizes_of

pytestmark = pytest.mark.skipif(not native.COMPILERS, reason="gcc and g++ are not there")

TARGETS = ["c", "cuda"]
SIZES = {"input_size": 3, "hidden_size": 5}


@cache
def built(name, target):
    return native.build(program(name), _folder, cuda=target == "cuda")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    global _folder
    _folder = tmp_path_factory.mktemp("native")
    yield
    built.cache_clear()


def call(name, target, steps=4, batch=2, dtype="float64", states=True, without=(), **more):
    """A call of a cell with random numbers; `without` parameters are NULL."""
    sizes = sizes_of(name, SIZES["input_size"], SIZES["hidden_size"])
    case = case_of(name, sizes, steps, batch)
    params = {key: value for key, value in case.params.items() if key not in without}
    given = as_type(case.states, dtype) if states else None
    groups = as_type(params, dtype), as_type(case.inputs, dtype), given
    return native.Call(built(name, target), sizes, *groups, dtype, **more)


def gradients(made):
    grads = {**made.grad_params, **made.grad_inputs}
    return grads | {f"state {name}": value for name, value in made.grad_initial.items()}


# --- Every feature of cells ---------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(3, 5, 7, 2), (2, 6, 3, 3)], ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", TEXTS)
def test_values_and_gradients(name, target, dtype, tolerance, sizes):
    numbers = sizes_of(name, *sizes[:2])
    case = case_of(name, numbers, *sizes[2:])
    wanted = interpreted(program(name).source, numbers, case)
    got = executed(target, built(name, target), program(name), numbers, case, dtype)
    assert_close(got, wanted, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["lstm", "gru", "deltanet", "matrix"])
def test_beyond_tiles_and_blocks(name, target, dtype, tolerance):
    """Rows, units and terms of sums beyond every tile and block, and none a multiple of one."""
    sizes = sizes_of(name, 33, 70)
    case = case_of(name, sizes, 9, 67 if name in ("lstm", "gru") else 5)
    wanted = interpreted(program(name).source, sizes, case)
    got = executed(target, built(name, target), program(name), sizes, case, dtype)
    assert_close(got, wanted, tolerance)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", TEXTS)
def test_initial_states_of_the_cell(name, target):
    """Nothing given: numbers, zeros, or learned, whose gradient then counts."""
    sizes = sizes_of(name, 3, 4)
    case = case_of(name, sizes, 5, 2, states=False)
    wanted = interpreted(program(name).source, sizes, case)
    got = executed(target, built(name, target), program(name), sizes, case)
    assert_close(got, wanted, 1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_learned_state_where_another_is_given(target):
    """The learned state counts where it was used; `learned` has two states."""
    sizes = sizes_of("learned", 3, 4)
    case = case_of("learned", sizes, 3, 2)
    native_cell = built("learned", target)
    given = {"c": case.states["c"]}
    made = native.Call(native_cell, sizes, case.params, case.inputs, given, "float64")
    assert made.forward() == native.OK
    assert made.backward(weights(made.outputs.shape), None) == native.OK
    # The same run, its initial state spelled out; the reference sums over the rows by hand.
    spelled = {"c": case.states["c"], "h": np.tile(case.params["h_0"], (2, 1))}
    other = native.Call(native_cell, sizes, case.params, case.inputs, spelled, "float64")
    assert other.forward() == native.OK
    assert other.backward(weights(other.outputs.shape), None) == native.OK
    assert (other.outputs == made.outputs).all()
    assert (other.grad_params["h_0"] == 0).all()
    assert np.allclose(made.grad_params["h_0"], other.grad_initial["h"].sum(0), rtol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
def test_constants_of_a_call(target):
    sizes = sizes_of("leaky", 3, 5)
    case = case_of("leaky", sizes, 4, 2)
    made = call("leaky", target, constants=[0.75])
    assert made.forward() == native.OK
    assert made.backward(weights(made.outputs.shape), None) == native.OK
    source = program("leaky").source
    other = replace(source, constants=(replace(source.constants[0], value=Fraction(3, 4)),))
    case = replace(case, states={})
    made = native.Call(
        built("leaky", target), sizes, case.params, case.inputs, None, "float64", constants=[0.75]
    )
    assert made.forward() == native.OK
    assert made.backward(weights(made.outputs.shape), None) == native.OK
    wanted = interpreted(other, sizes, case)
    got = {"output": made.outputs} | {f"d {k}": v for k, v in made.grad_params.items()}
    got |= {f"d {k}": v for k, v in made.grad_inputs.items()}
    got |= {f"state {k}": v for k, v in made.last.items()}
    assert_close(got, wanted, 1e-12)
    # The default is another function.
    default = interpreted(source, sizes, case)
    assert np.abs(default["output"] - made.outputs).max() > 0.01


# --- Manners of the calls -----------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["lstm", "learned", "matrix", "delays"])
def test_no_steps(name, target):
    """The state stays; its gradient goes through; parameters have none."""
    made = call(name, target, steps=0)
    assert made.forward() == native.OK
    given = case_of(name, made.sizes, 0, 2).states
    for key, value in given.items():
        assert (made.last[key] == value).all()
    grad_last = {key: weights(value.shape) for key, value in made.last.items()}
    assert made.backward(made.outputs, grad_last) == native.OK
    for key, value in grad_last.items():
        assert (made.grad_initial[key] == value).all()
    assert all((value == 0).all() for value in made.grad_params.values())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["lstm", "learned", "matrix", "delays"])
def test_no_rows(name, target):
    made = call(name, target, batch=0)
    assert made.forward() == native.OK
    assert made.backward(made.outputs, None) == native.OK
    assert all((value == 0).all() for value in made.grad_params.values())


@pytest.mark.parametrize("target", TARGETS)
def test_absent_biases(target):
    """A bias that is NULL is 0."""
    biases = [param.name for param in program("lstm").plan.params if param.bias]
    assert len(biases) == 4
    absent = call("lstm", target, without=biases)
    sizes = sizes_of("lstm", 3, 5)
    case = case_of("lstm", sizes, 4, 2)
    zeros = {key: v * 0 if key in biases else v for key, v in case.params.items()}
    groups = zeros, case.inputs, case.states
    present = native.Call(built("lstm", target), sizes, *groups, "float64")
    grad = weights(present.outputs.shape)
    for made in (absent, present):
        assert made.forward() == native.OK
        assert made.backward(grad, None) == native.OK
    assert (absent.outputs == present.outputs).all()
    for key, value in gradients(present).items():
        assert (gradients(absent)[key] == value).all(), key


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["lstm", "gru_v3", "minlstm", "leaky", "two"])
def test_absent_biases_everywhere(name, target):
    """Wherever a bias is read: stacked, added in the loop, in a sum of biases."""
    biases = [param.name for param in program(name).plan.params if param.bias]
    sizes = sizes_of(name, 3, 5)
    case = case_of(name, sizes, 4, 2)
    zeros = {key: v * 0 if key in biases else v for key, v in case.params.items()}
    wanted = interpreted(program(name).source, sizes, replace(case, params=zeros))
    case = replace(case, params={k: v for k, v in case.params.items() if k not in biases})
    got = executed(target, built(name, target), program(name), sizes, case)
    assert_close(got, wanted, 1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["lstm", "deltanet", "learned", "delays", "two"])
def test_only_wanted_gradients(name, target):
    """Every gradient alone is what it is among all."""
    made = call(name, target)
    grad = weights(made.outputs.shape)
    assert made.forward() == native.OK
    assert made.backward(grad, None) == native.OK
    wanted = gradients(made)
    plan = program(name).plan
    for item in (*plan.params, *plan.inputs, *plan.states):
        assert made.backward(grad, None, wanted={item.name}) == native.OK
        got = gradients(made)
        assert got
        for key, value in got.items():
            assert (value == wanted[key]).all(), key
    assert made.backward(grad, None, wanted=set()) == native.OK


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NAMES)
def test_same_bits_again(name, target):
    """Runs repeat bit for bit, and a second backward pass reads what forward left."""
    made, again = call(name, target), call(name, target)
    grad = weights(made.outputs.shape)
    last = {key: weights(value.shape) for key, value in made.last.items()}
    for one in (made, again):
        assert one.forward() == native.OK
        assert one.backward(grad, last) == native.OK
    first = gradients(made)
    assert all(np.isfinite(value).all() for value in first.values())
    assert (made.outputs == again.outputs).all()
    assert made.backward(grad, last) == native.OK
    for other in (gradients(made), gradients(again)):
        assert all((other[key] == value).all() for key, value in first.items())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NAMES)
def test_inference_is_training_without_memory(name, target):
    """The same outputs, in a workspace that does not grow with the sequence."""
    made = call(name, target, steps=7)
    short = call(name, target, steps=7, train=False)
    assert made.forward() == short.forward() == native.OK
    assert (made.outputs == short.outputs).all()
    assert all((short.last[key] == value).all() for key, value in made.last.items())

    def room(steps, train):
        cell = built(name, target)
        return cell.workspace_size(made.sizes, steps, 2, "float64", train)

    assert room(10_000, False) == room(1_000_000_000, False)
    assert room(10_000, True) > room(5_000, True) > room(10_000, False) > 0


@pytest.mark.parametrize(("target", "steps"), [("c", 2100), ("cuda", 8200)])
@pytest.mark.parametrize("name", ["lstm", "mingru"])
def test_inference_in_chunks(name, target, steps):
    """More rows than are computed at once: nothing shows where a chunk ends."""
    sizes = sizes_of(name, 2, 1)
    case = case_of(name, sizes, steps, 1)
    calls = [
        native.Call(
            built(name, target), sizes, case.params, case.inputs, case.states, "float64", train=t
        )
        for t in (True, False)
    ]
    assert [made.forward() for made in calls] == [native.OK, native.OK]
    assert (calls[0].outputs == calls[1].outputs).all()


@pytest.mark.parametrize("target", TARGETS)
def test_structures_that_are_not_given(target):
    """NULL instead of a structure: no results are wanted, states are the cell's own."""
    made = call("lstm", target, states=False)
    made.last = {}
    assert made.forward() == native.OK
    grad = weights(made.outputs.shape)
    assert made.backward(grad, None) == native.OK
    wanted = made.grad_params["W_f"].copy()
    sizes, params, inputs, states, workspace, room = made.shared()
    assert states is None
    shared = [sizes, params, inputs, states, workspace, room]
    queue = made.queue()
    forward = made.native.function("forward", "float64")
    backward = made.native.function("backward", "float64")
    outputs = made.outputs.copy()
    assert forward(native.pointer(made.outputs), None, *shared, 1, *queue) == native.OK
    assert (made.outputs == outputs).all()
    grads = native.structure([made.grad_params["W_f"], *[None] * 7])
    made.grad_params["W_f"][...] = np.nan
    weights_ = native.pointer(grad)
    assert backward(grads, None, None, weights_, None, *shared, *queue) == native.OK
    assert (made.grad_params["W_f"] == wanted).all()
    assert backward(None, None, None, weights_, None, *shared, *queue) == native.OK
    made.check()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("steps", "batch"), [(0, 2), (3, 0)])
def test_empty_arrays_have_no_place(steps, batch, target):
    made = call("two", target, steps=steps, batch=batch)
    made.inputs = native.structure([None, None])
    sizes, params, inputs, states, workspace, room = made.shared()
    shared = [sizes, params, inputs, states, workspace, room]
    forward = made.native.function("forward", "float64")
    assert forward(None, None, *shared, 1, *made.queue()) == native.OK
    backward = made.native.function("backward", "float64")
    assert backward(None, None, None, None, None, *shared, *made.queue()) == native.OK


# --- Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_missing_pointers(target):
    for name in ("W_f", "W_o"):
        made = call("lstm", target, without=[name])
        assert made.forward() == native.MISSING
        assert made.backward(made.outputs, None) == native.MISSING
        assert np.isnan(made.outputs).all()
    made = call("two", target)
    made.inputs[1] = None
    assert made.forward() == native.MISSING
    assert call("two", target).forward() == native.OK


@pytest.mark.parametrize("target", TARGETS)
def test_small_workspace(target):
    needed = call("lstm", target).room
    assert call("lstm", target, room=needed).forward() == native.OK
    made = call("lstm", target, room=needed - 8)
    assert made.forward() == native.WORKSPACE
    assert np.isnan(made.outputs).all()
    # What is enough for inference is not for training.
    made = call("lstm", target, train=False)
    made.train = True
    assert made.forward() == native.WORKSPACE
    assert made.backward(made.outputs, None) == native.WORKSPACE


TOO_BIG = [
    ({"hidden_size": 0}, 1, 1),
    ({"input_size": 0}, 1, 1),
    ({"hidden_size": 2**31}, 1, 1),
    ({"hidden_size": 2**62}, 1, 1),
    ({}, 2**31, 1),
    ({}, 1, 2**64 - 1),
    ({"hidden_size": 2**31 - 1}, 2**31 - 1, 2**31 - 1),
    ({"hidden_size": 2**31 - 1}, 4, 2**31 - 1),
    ({"input_size": 2**31 - 1}, 2**31 - 1, 2),
    # Products that are 0 where they wrap around: the inputs' and, to train, the workspace's.
    ({"input_size": 2**20}, 2**22, 2**22),
    ({"hidden_size": 2**20}, 2**22, 2**22),
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("changed", "steps", "batch"), TOO_BIG, ids=str)
def test_impossible_sizes(changed, steps, batch, target):
    """Sizes of 0 or beyond any memory are refused before anything is computed with them."""
    cell = built("lstm", target)
    sizes = {**SIZES, **changed}
    for train in (True, False):
        assert cell.workspace_size(sizes, steps, batch, "float64", train) == 0
    made = call("lstm", target)
    made.c_sizes = cell.sizes(sizes, steps, batch)
    assert made.forward() == native.SIZES
    assert made.backward(made.outputs, None) == native.SIZES


@pytest.mark.parametrize("target", TARGETS)
def test_status_in_words(target):
    import ctypes

    text = built("lstm", target).function("status_text", "float64")
    text.restype = ctypes.c_char_p
    words = [text(status) for status in range(6)]
    assert len(set(words)) == 6
    assert words[native.WORKSPACE] == b"the workspace is too small or misaligned"

"""What is CUDA's own: launches, errors, cuBLAS, and nvcc.

Kernels run on the host through the shim; nvcc compiles for an H100 where it is there.
"""

import ctypes
import shutil
from functools import cache

import native
import numpy as np
import pytest
from harness import assert_close, executed, interpreted, weights
from native_cells import NAMES, case_of, program, sizes_of

from gatec import backends

pytestmark = pytest.mark.skipif(not native.COMPILERS, reason="gcc and g++ are not there")


@cache
def built(name, *flags):
    return native.build(program(name), _folder, cuda=True, flags=flags)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    global _folder
    _folder = tmp_path_factory.mktemp("cuda")
    yield
    built.cache_clear()


def hook(name, variable, dtype="float64", kind=ctypes.c_long):
    """A variable of the shim that a library was compiled with."""
    return kind.in_dll(built(name).library(dtype), f"gatec_shim_{variable}")


def call(name, steps=4, batch=2, input_size=3, hidden_size=5, flags=()):
    sizes = sizes_of(name, input_size, hidden_size)
    case = case_of(name, sizes, steps, batch)
    return native.Call(built(name, *flags), sizes, case.params, case.inputs, case.states, "float64")


def results(made):
    grads = {**made.grad_params, **made.grad_inputs}
    grads |= {f"d {name}": value for name, value in made.grad_initial.items()}
    return {"outputs": made.outputs, **made.last, **grads}


# --- Kernels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_order_of_threads_does_not_matter(name):
    """A missing barrier, or two threads that write to one place, would show."""
    order = hook(name, "order", kind=ctypes.c_int)
    # More than a tile, a warp and a block of threads in each direction.
    sizes = {"steps": 3, "batch": 5, "input_size": 33, "hidden_size": 70}
    found = []
    for order.value in (0, 1):
        made = call(name, **sizes)
        assert made.forward() == native.OK
        assert made.backward(weights(made.outputs.shape), None) == native.OK
        found.append(results(made))
    order.value = 0
    for key, value in found[0].items():
        assert np.isfinite(value).all(), key
        assert (found[1][key] == value).all(), key


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru_v3", "cifg", "slstm", "gru", "mgu"])
def test_launches_of_a_step(name):
    """A step is one product and one fused kernel, forth and back; a GRU whose reset acts before
    the product has two stages."""
    stages = 2 if name in ("gru", "mgu") else 1
    launches = hook(name, "launches")

    def count(steps, back):
        made = call(name, steps=steps)
        launches.value = 0
        assert made.forward() == native.OK
        if back:
            launches.value = 0
            assert made.backward(weights(made.outputs.shape), None) == native.OK
        return launches.value

    assert count(6, False) - count(5, False) == 2 * stages
    assert count(6, True) - count(5, True) == 2 * stages


def test_input_side_is_one_product():
    """Of all that is launched before the loop, one product has all T x B rows."""
    lines = backends.load("cuda").generate(program("lstm"), "lstm")["lstm.cu"].splitlines()
    products = [line.strip() for line in lines if "GATEC_TRY(gatec_gemm(" in line]
    assert products[0].startswith(
        "GATEC_TRY(gatec_gemm(queue, rows, 4 * hidden_size, input_size, x_affine, x_biases,"
    )
    assert products[1].startswith("GATEC_TRY(gatec_gemm(queue, batch, 4 * hidden_size, hidden_size")


@pytest.mark.parametrize("name", ["lstm", "deltanet", "learned"])
def test_errors_of_launches(name):
    """Whichever launch fails: its function says so, and launches nothing more."""
    until, launches = hook(name, "until_failure"), hook(name, "launches")
    for run in ("forward", "backward"):
        made = call(name)

        def start(made=made, run=run):
            if run == "forward":
                return made.forward()
            return made.backward(weights(made.outputs.shape), None)

        assert made.forward() == native.OK
        launches.value = 0
        assert start() == native.OK
        total = launches.value
        assert total > 5
        for number in range(total):
            until.value, launches.value = number, 0
            assert start() == native.DEVICE
            assert launches.value == number
        until.value = -1
        assert start() == native.OK


# --- cuBLAS -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(3, 5, 4, 2), (1, 1, 2, 1), (5, 1, 3, 2)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["lstm", "gru_v3", "deltanet", "two", "wide"])
def test_cublas(name, dtype, sizes):
    """The same through cuBLAS's interface, whose host version checks leading dimensions."""
    cell = built(name, "-DGATEC_CUBLAS")
    numbers = sizes_of(name, *sizes[:2])
    case = case_of(name, numbers, *sizes[2:])
    got = executed("cuda", cell, program(name), numbers, case, dtype)
    wanted = interpreted(program(name).source, numbers, case)
    assert_close(got, wanted, {"float64": 1e-12, "float32": 2e-6}[dtype])


def test_cublas_is_used():
    cell = built("lstm", "-DGATEC_CUBLAS")

    class Handle(ctypes.Structure):
        _fields_ = [("stream", ctypes.c_void_p), ("products", ctypes.c_long)]

    handle = Handle.in_dll(cell.library("float64"), "gatec_shim_handle")
    handle.products = 0
    made = call("lstm", steps=4, flags=("-DGATEC_CUBLAS",))
    assert made.forward() == native.OK
    assert handle.products == 1 + 4


# --- nvcc ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("nvcc"), reason="nvcc is not there")
@pytest.mark.parametrize(
    ("name", "real"),
    [("lstm", "float"), ("deltanet", "float"), ("slstm", "double")],
)
def test_nvcc(name, real, tmp_path):
    """Compiled for an H100, warnings as errors, those of the host's compiler, too."""
    for file, content in backends.load("cuda").generate(program(name), "cell").items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    flags = ["-std=c++17", "-arch=sm_90", "-Werror", "all-warnings"]
    host = ["-Xcompiler", "-Wall,-Wextra,-Werror"]
    source, target = tmp_path / "cell.cu", tmp_path / "cell.o"
    native.compiled(["nvcc", *flags, *host, f"-DGATEC_REAL={real}", "-c", source, "-o", target])


@pytest.mark.skipif(not shutil.which("nvcc"), reason="nvcc is not there")
def test_header_from_c_and_cpp(tmp_path):
    """Callers in C and in C++ include the header with CUDA's own."""
    files = backends.load("cuda").generate(program("lstm"), "lstm")
    (tmp_path / "lstm.h").write_text(files["lstm.h"], encoding="utf-8")
    caller = '#define GATEC_CUDA\n#include "lstm.h"\nint main(void)\n{\n    return %s;\n}\n'
    test = "gatec_lstm_forward(0, 0, 0, 0, 0, 0, 0, 0, 0, 0) == GATEC_LSTM_OK"
    (tmp_path / "call.cu").write_text(caller % test)
    native.compiled(["nvcc", "-c", tmp_path / "call.cu", "-o", tmp_path / "call.o"])

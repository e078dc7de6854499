"""Generated C and CUDA, compiled for this machine and called through ctypes with NumPy arrays.

CUDA is compiled by g++ with a shim (`cuda_shim/`) that runs blocks and threads on the host.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gatec import backends
from gatec.ir import Program

SHIM = Path(__file__).parent / "cuda_shim"
GUARD = 64  # numbers around every array that nobody may write to
COMPILERS = shutil.which("gcc") and shutil.which("g++")

_C = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
_CUDA = ["g++", "-std=c++17", "-x", "c++", "-Wall", "-Wextra", "-Werror", f"-I{SHIM}"]


@dataclass
class Native:
    """The generated files of a program and its libraries, compiled when first asked for."""

    program: Program
    folder: Path
    cuda: bool
    flags: tuple[str, ...] = ()
    libraries: dict[str, ctypes.CDLL] = field(default_factory=dict)

    def library(self, dtype: str) -> ctypes.CDLL:
        if dtype not in self.libraries:
            real = {"float32": "float", "float64": "double"}[dtype]
            source = self.folder / ("cell.cu" if self.cuda else "cell.c")
            target = self.folder / f"cell_{dtype}_{'cuda' if self.cuda else 'c'}.so"
            command = [*(_CUDA if self.cuda else _C), "-O2", f"-DGATEC_REAL={real}", *self.flags]
            command += ["-fPIC", "-shared", "-o", str(target), str(source)]
            done = subprocess.run([*command, "-lm"], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[:4000]
            self.libraries[dtype] = ctypes.CDLL(str(target))
        return self.libraries[dtype]


def build(
    program: Program, folder: Path, *, cuda: bool = False, flags: Sequence[str] = ()
) -> Native:
    """The generated C or CUDA of a program, ready to be compiled for a type of numbers."""
    files = backends.load("cuda" if cuda else "c").generate(program, "cell")
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return Native(program, folder, cuda, tuple(flags))


@dataclass
class Result:
    """What forward and backward wrote, by the names of the plan."""

    outputs: np.ndarray
    last: dict[str, np.ndarray]
    grad_params: dict[str, np.ndarray]
    grad_inputs: dict[str, np.ndarray]
    grad_initial: dict[str, np.ndarray]


class _Call:
    """Arrays of one call, each between guards."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.guarded: list[np.ndarray] = []

    def array(self, shape: Sequence[int], fill: np.ndarray | None = None) -> np.ndarray:
        count = int(np.prod(shape, dtype=np.int64))
        whole = np.full(count + 2 * GUARD, 12345.0, self.dtype)
        self.guarded.append(whole)
        inner = whole[GUARD : GUARD + count].reshape(tuple(shape))
        inner[...] = np.nan if fill is None else fill
        return inner

    def check(self) -> None:
        for whole in self.guarded:
            edges = np.concatenate((whole[:GUARD], whole[-GUARD:]))
            assert (edges == 12345.0).all(), "written outside of an array"


def _struct(pointers: Sequence[np.ndarray | None]) -> ctypes.Array[ctypes.c_void_p]:
    values = [None if array is None else array.ctypes.data for array in pointers]
    return (ctypes.c_void_p * max(len(values), 1))(*values)


def run(
    native: Native,
    sizes: Mapping[str, int],
    params: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    states: Mapping[str, np.ndarray] | None,
    grad_outputs: np.ndarray | None,
    grad_last: Mapping[str, np.ndarray] | None,
    dtype: str,
    *,
    train: bool = True,
) -> Result:
    """Forward and, with `train`, backward. A parameter that is not given is NULL."""
    program, plan = native.program, native.program.plan
    library = native.library(dtype)
    prefix = f"gatec_{program.source.name.lower()}"
    call = _Call(dtype)

    def given(items, values):  # type: ignore[no-untyped-def]
        found = [values.get(item.name) for item in items] if values is not None else []
        return [None if v is None else call.array(v.shape, v) for v in found]

    def fresh(items, lead):  # type: ignore[no-untyped-def]
        shapes = [tuple(dim.value(sizes) for dim in item.shape) for item in items]
        return {i.name: call.array(lead + s) for i, s in zip(items, shapes, strict=True)}

    steps, batch = next(iter(inputs.values())).shape[:2]
    order = ["input_size", "hidden_size", *(size.name for size in program.source.sizes)]
    used = {*plan.size_names, *program.source.size_names}
    numbers = [steps, batch, *(sizes[name] for name in order if name in used)]
    c_sizes = (ctypes.c_size_t * len(numbers))(*numbers)
    measure = getattr(library, f"{prefix}_workspace_size")
    measure.restype, measure.argtypes = ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_int]
    room = measure(c_sizes, int(train))
    assert room > 0, "sizes refused"
    workspace = call.array((room // np.dtype(dtype).itemsize,))
    c_params = _struct(given(plan.params, params))
    c_inputs = _struct(given(plan.inputs, inputs))
    c_states = None if states is None else _struct(given(plan.states, states))
    outputs = call.array((steps, batch, *(dim.value(sizes) for dim in plan.output_shape)))
    last = fresh(plan.states, (batch,))
    shared: list[object] = [ctypes.byref(c_sizes)]
    shared += [None] if plan.constants else []
    shared += [c_params] if plan.params else []
    shared += [c_inputs, c_states, ctypes.c_void_p(workspace.ctypes.data), ctypes.c_size_t(room)]
    stream = [None] if native.cuda else []
    forward = getattr(library, f"{prefix}_forward")
    code = forward(
        ctypes.c_void_p(outputs.ctypes.data),
        _struct([*last.values()]),
        *shared,
        int(train),
        *stream,
    )
    assert code == 0, f"forward returned {code}"
    grads = [
        fresh(plan.params, ()),
        fresh(plan.inputs, (steps, batch)),
        fresh(plan.states, (batch,)),
    ]
    if train:
        assert grad_outputs is not None
        weights = call.array(grad_outputs.shape, grad_outputs)
        backward = getattr(library, f"{prefix}_backward")
        wanted = [_struct([*g.values()]) for g in (grads if plan.params else grads[1:])]
        code = backward(
            *wanted,
            ctypes.c_void_p(weights.ctypes.data),
            None if grad_last is None else _struct(given(plan.states, grad_last)),
            *shared,
            *stream,
        )
        assert code == 0, f"backward returned {code}"
    call.check()
    return Result(outputs, last, *grads)

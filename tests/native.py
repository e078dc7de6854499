"""Generated C and CUDA, compiled for this machine and called through ctypes with NumPy arrays.

CUDA is compiled by g++ with a shim (`cuda_shim/`) that runs blocks and threads on the host. Every
array that a call gets lies between guards; what it writes to is full of NaN before.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gatec import backends
from gatec.ir import Program

SHIM = Path(__file__).parent / "cuda_shim"
GUARD = 64  # numbers around every array that nobody may write to
COMPILERS = shutil.which("gcc") and shutil.which("g++")
OK, MISSING, SIZES, WORKSPACE, DEVICE = range(5)

WARNINGS = ["-Wall", "-Wextra", "-Werror"]
C = ["gcc", "-std=c11", *WARNINGS, "-pedantic"]
# Without unique symbols, every library has a shim of its own.
CUDA = ["g++", "-std=c++17", "-fno-gnu-unique", "-U_FORTIFY_SOURCE", *WARNINGS, f"-I{SHIM}"]

Values = Mapping[str, np.ndarray]


def compiled(command: Sequence[str | Path]) -> None:
    """Run a compiler, which must have nothing to say."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr[:4000]}"
    assert not done.stderr, done.stderr[:4000]


def write(files: Mapping[str, str], folder: Path) -> None:
    """Generated files, by their names."""
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def library(command: Sequence[str], source: Path) -> Path:
    """The library of a source, compiled once for all tests and processes that have its like."""
    texts = [path.read_bytes() for path in sorted(source.parent.glob("cell.*"))]
    key = hashlib.sha256(repr((command, source.name, texts)).encode()).hexdigest()
    target = Path(os.environ["GATEC_TESTS"]) / f"{key}.so"
    if not target.exists():
        made = target.with_suffix(f".{os.getpid()}")
        compiled([*command, "-o", made, source, "-lm"])
        made.replace(target)
    return target


@dataclass
class Native:
    """The generated files of a program and its libraries, compiled when first asked for."""

    program: Program
    folder: Path
    cuda: bool
    flags: tuple[str, ...] = ()
    threads: int = 0
    libraries: dict[str, ctypes.CDLL] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return f"gatec_{self.program.source.name.lower()}"

    @property
    def source(self) -> Path:
        return self.folder / ("cell.cu" if self.cuda else "cell.c")

    def library(self, dtype: str) -> ctypes.CDLL:
        if dtype not in self.libraries:
            real = {"float32": "float", "float64": "double"}[dtype]
            # Compilers warn of most where they optimise; once is enough.
            level = "-O0" if dtype == "float64" and not self.cuda else "-O1"
            command = [*(CUDA if self.cuda else C), level, f"-DGATEC_REAL={real}", *self.flags]
            language = ["-x", "c++"] if self.cuda else []
            command += ["-fPIC", "-shared", "-pthread", *language]
            self.libraries[dtype] = ctypes.CDLL(str(library(command, self.source)))
        return self.libraries[dtype]

    def function(self, name: str, dtype: str) -> ctypes._NamedFuncPointer:
        return getattr(self.library(dtype), f"{self.prefix}_{name}")

    def sizes(self, sizes: Mapping[str, int], steps: int, batch: int) -> ctypes.Array:
        """The structure of sizes."""
        source = self.program.source
        order = ["input_size", "hidden_size", *(size.name for size in source.sizes)]
        used = {*self.program.plan.size_names, *source.size_names}
        numbers = [steps, batch, *(sizes[name] for name in order if name in used), self.threads]
        return (ctypes.c_size_t * len(numbers))(*numbers)

    def workspace_size(
        self, sizes: Mapping[str, int], steps: int, batch: int, dtype: str, train: bool
    ) -> int:
        measure = self.function("workspace_size", dtype)
        measure.restype, measure.argtypes = ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_int]
        return measure(self.sizes(sizes, steps, batch), int(train))


def build(
    program: Program, folder: Path, *, cuda: bool = False, flags: Sequence[str] = ()
) -> Native:
    """The generated C or CUDA of a program, ready to be compiled for a type of numbers.

    Everything goes to a new folder inside of `folder`.
    """
    folder = Path(tempfile.mkdtemp(dir=folder))
    files = backends.load("cuda" if cuda else "c").generate(program, "cell")
    write(files, folder)
    return Native(program, folder, cuda, tuple(flags))


@dataclass
class Result:
    """What forward and backward wrote, by the names of the plan."""

    outputs: np.ndarray
    last: dict[str, np.ndarray]
    grad_params: dict[str, np.ndarray]
    grad_inputs: dict[str, np.ndarray]
    grad_initial: dict[str, np.ndarray]


class Call:
    """A sequence with the memory of its calls. What is not given is NULL."""

    def __init__(
        self,
        native: Native,
        sizes: Mapping[str, int],
        params: Values,
        inputs: Values,
        states: Values | None,
        dtype: str,
        *,
        train: bool = True,
        constants: Sequence[float] | None = None,
        room: int | None = None,
    ) -> None:
        self.native, self.sizes, self.dtype = native, sizes, dtype
        self.plan, self.train = native.program.plan, train
        self.guarded: list[np.ndarray] = []
        self.steps, self.batch = next(iter(inputs.values())).shape[:2]
        self.c_sizes = native.sizes(sizes, self.steps, self.batch)
        size = np.dtype(dtype).itemsize
        needed = native.workspace_size(sizes, self.steps, self.batch, dtype, train)
        self.room = needed if room is None else room
        self.workspace = self.array((self.room // size,))
        self.params = self._given(self.plan.params, params)
        self.inputs = self._given(self.plan.inputs, inputs)
        self.states = None if states is None else self._given(self.plan.states, states)
        self.constants = (ctypes.c_double * len(constants))(*constants) if constants else None
        self.outputs = self.array((self.steps, self.batch, *self._shape(self.plan.output_shape)))
        self.last = self._fresh(self.plan.states, (self.batch,))

    # --- Memory -----------------------------------------------------------------------------

    def array(self, shape: Sequence[int], fill: np.ndarray | None = None) -> np.ndarray:
        count = int(np.prod(shape, dtype=np.int64))
        whole = np.full(count + 2 * GUARD, 12345.0, self.dtype)
        self.guarded.append(whole)
        inner = whole[GUARD : GUARD + count].reshape(tuple(shape))
        inner[...] = np.nan if fill is None else fill
        return inner

    def check(self) -> None:
        """Nothing was written outside of an array."""
        for whole in self.guarded:
            edges = np.concatenate((whole[:GUARD], whole[-GUARD:]))
            assert (edges == 12345.0).all(), "written outside of an array"

    def _shape(self, shape):  # type: ignore[no-untyped-def]
        return tuple(dim.value(self.sizes) for dim in shape)

    def _fresh(self, items, lead, wanted=None):  # type: ignore[no-untyped-def]
        names = [i for i in items if wanted is None or i.name in wanted]
        return {i.name: self.array((*lead, *self._shape(i.shape))) for i in names}

    def _given(self, items, values):  # type: ignore[no-untyped-def]
        found = [values.get(item.name) for item in items]
        return structure([None if v is None else self.array(v.shape, v) for v in found])

    # --- Calls ------------------------------------------------------------------------------

    def shared(self) -> list[object]:
        """The arguments that forward and backward have in common."""
        shared: list[object] = [ctypes.byref(self.c_sizes)]
        shared += [self.constants] if self.plan.constants else []
        shared += [self.params] if self.plan.params else []
        room = ctypes.c_size_t(self.room)
        return [*shared, self.inputs, self.states, pointer(self.workspace), room]

    def queue(self) -> list[object]:
        """The stream and, with cuBLAS, its handle."""
        if not self.native.cuda:
            return []
        library = self.native.library(self.dtype)
        blas = "-DGATEC_CUBLAS" in self.native.flags
        handle = ctypes.c_char.in_dll(library, "gatec_shim_handle") if blas else None
        return [None, ctypes.byref(handle)] if handle is not None else [None]

    def forward(self) -> int:
        """Forward's status; `outputs` and `last` are written."""
        status = self.native.function("forward", self.dtype)(
            pointer(self.outputs),
            structure(list(self.last.values())),
            *self.shared(),
            int(self.train),
            *self.queue(),
        )
        self.check()
        return status

    def backward(
        self,
        grad_outputs: np.ndarray,
        grad_last: Values | None,
        wanted: Collection[str] | None = None,
    ) -> int:
        """Backward's status; the gradients are written, of all or of those that are wanted."""
        plan = self.plan
        self.grad_params = self._fresh(plan.params, (), wanted)
        self.grad_inputs = self._fresh(plan.inputs, (self.steps, self.batch), wanted)
        self.grad_initial = self._fresh(plan.states, (self.batch,), wanted)

        def struct(items, grads):  # type: ignore[no-untyped-def]
            return structure([grads.get(item.name) for item in items])

        groups = [struct(plan.params, self.grad_params)] if plan.params else []
        groups.append(struct(plan.inputs, self.grad_inputs))
        groups.append(struct(plan.states, self.grad_initial))
        given = None if grad_last is None else self._given(plan.states, grad_last)
        status = self.native.function("backward", self.dtype)(
            *groups,
            pointer(self.array(grad_outputs.shape, grad_outputs)),
            given,
            *self.shared(),
            *self.queue(),
        )
        self.check()
        return status


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def structure(pointers: Sequence[np.ndarray | None]) -> ctypes.Array[ctypes.c_void_p]:
    values = [None if array is None else array.ctypes.data for array in pointers]
    return (ctypes.c_void_p * max(len(values), 1))(*values)


def run(
    native: Native,
    sizes: Mapping[str, int],
    params: Values,
    inputs: Values,
    states: Values | None,
    grad_outputs: np.ndarray | None,
    grad_last: Values | None,
    dtype: str,
    *,
    train: bool = True,
) -> Result:
    """Forward and, with `train`, backward. A parameter that is not given is NULL."""
    call = Call(native, sizes, params, inputs, states, dtype, train=train)
    assert call.room > 0, "sizes refused"
    status = call.forward()
    assert status == OK, f"forward returned {status}"
    if not train:
        return Result(call.outputs, call.last, {}, {}, {})
    assert grad_outputs is not None
    status = call.backward(grad_outputs, grad_last)
    assert status == OK, f"backward returned {status}"
    return Result(call.outputs, call.last, call.grad_params, call.grad_inputs, call.grad_initial)

"""`--native`: generated C compiled to a shared library by the host's own compiler.

Beside a library lies what it is: of which cell, for which processor, and the hash of its bytes.
`gatec.runtime` takes it for a generated module that lies there, too, where all of that fits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from gatec import backends
from gatec.errors import Diagnostic, GatecError
from gatec.ir import Program

# As fast as the equations allow: no mathematics is changed but that a product and a sum round once.
FLAGS = (
    "-std=gnu11",
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
    "-pthread",
)


SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
_REAL = "float32"  # what `real` is in generated C, unless it is told otherwise


def shared_library(files: Mapping[str, bytes], program: Program | None) -> dict[str, bytes]:
    """The shared library of each `.c` file, `liblstm.so` (`.dylib` on macOS) from `lstm.c`, and
    what it is, `liblstm.so.json`. Python would take an `lstm.so` for the module `lstm`.

    `program` is the cell's, as its module carries it; where there is none, no module runs on it.

    Compiled in a folder of its own, so that nothing is left where it fails. Raises GatecError
    where there is no compiler, or where it refuses the code.
    """
    compiler = host_compiler()
    libraries = {}
    with tempfile.TemporaryDirectory(prefix="gatec-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        for name in files:
            if name.endswith(".c"):
                library = f"lib{name.removesuffix('.c')}{SUFFIX}"
                _compile(compiler, name, library, folder)
                content = libraries[library] = (Path(folder) / library).read_bytes()
                if program is not None:
                    about = json.dumps(_about(program, content), indent=1)
                    libraries[f"{library}.json"] = f"{about}\n".encode()
    return libraries


def beside(module: Path, program: Program, real: str) -> Path | None:
    """The library that was built beside a generated module, if it is of this cell, as this version
    of gatec would build it for this processor; else None."""
    if real != _REAL:
        return None
    library = module.with_name(f"lib{module.stem}{SUFFIX}")
    with contextlib.suppress(OSError, ValueError):
        about = json.loads(library.with_name(f"{library.name}.json").read_bytes())
        if about == _about(program, library.read_bytes()):
            return library
    return None


def _about(program: Program, content: bytes) -> dict[str, str]:
    """What a library is. Its cell is told by the C for it, the same for every name of a file."""
    files = backends.load("c").generate(program, "cell")
    return {
        "cell": _hash(repr(sorted(files.items()))),
        "real": _REAL,
        "machine": _hash(machine()),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def machine() -> str:
    """What this processor can do: programs compiled for another one may crash on it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return line
    import platform

    return f"{platform.machine()} {platform.processor()} {platform.node()}"


def host_compiler() -> list[str]:
    """The command of the C compiler: `$CC`, else cc, gcc or clang. Raises GatecError."""
    named = shlex.split(os.environ.get("CC", ""))
    for candidate in [named] if named else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(candidate[0]):
            return candidate
    missing = f"the C compiler {named[0]} ($CC) is not there" if named else "there is no C compiler"
    hint = "install gcc or clang, or name a compiler in the variable CC"
    raise GatecError(Diagnostic("E0709", missing, hint=hint))


def _compile(compiler: list[str], source: str, library: str, folder: str) -> None:
    command = [*compiler, *FLAGS, "-o", library, source, "-lm"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    except OSError as error:
        message = f"the C compiler {compiler[0]} does not run: {error.strerror}"
        raise GatecError(Diagnostic("E0709", message)) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()[:5]
        message = "\n  ".join([f"{compiler[0]} refused the generated code:", *lines])
        hint = "the generated code itself (without --native) is not affected; check $CC"
        raise GatecError(Diagnostic("E0710", message, file=source, hint=hint))

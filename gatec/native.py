"""`--native`: generated C compiled to a shared library by the host's own compiler."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gatec.errors import Diagnostic, GatecError

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


def shared_library(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The shared library of each `.c` file, `lstm.so` (`.dylib` on macOS) from `lstm.c`.

    Compiled in a folder of its own, so that nothing is left where it fails. Raises GatecError
    where there is no compiler, or where it refuses the code.
    """
    compiler = host_compiler()
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    libraries = {}
    with tempfile.TemporaryDirectory(prefix="gatec-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        for name in files:
            if name.endswith(".c"):
                library = name.removesuffix(".c") + suffix
                _compile(compiler, name, library, folder)
                libraries[library] = (Path(folder) / library).read_bytes()
    return libraries


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

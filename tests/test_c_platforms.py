"""Other compilers and processors give the numbers of gcc here, where they are to be had."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

import native
import numpy as np
import pytest
from native_caller import caller
from native_cells import program

from gatec import backends
from gatec.native import FLAGS

pytestmark = pytest.mark.skipif(not native.COMPILERS, reason="gcc and g++ are not there")

# Those of libraries, for a program; all threads and all ways to share are at work.
OPTIMISED = [flag for flag in FLAGS if flag not in ("-O3", "-march=native", "-shared")]
SHARED = ["-DGATEC_WORK=1e-9", "-DGATEC_STEPS=0"]


@dataclass
class Platform:
    """A compiler, and what runs its programs here."""

    compiler: list[str]
    runs: list[str]


PLATFORMS = {
    "clang": Platform(["clang", "-march=native"], []),
    "aarch64": Platform(["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
    "i386": Platform(["gcc", "-m32", "-msse2", "-mfpmath=sse"], []),
    "sse2": Platform(["gcc", "-march=x86-64"], []),
}


def numbers(platform, real, folder):
    """What the program in a folder computes."""
    binary, text = folder / "main", folder / "numbers.txt"
    sources = [folder / "main.c", folder / "cell.c"]
    flags = [*native.WARNINGS, "-O2", *OPTIMISED, *SHARED, f"-DGATEC_REAL={real}"]
    native.compiled([*platform.compiler, *flags, *sources, "-o", binary, "-lm"])
    done = subprocess.run([*platform.runs, binary, text], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0 failed\n"), done.stderr[:3000]
    return np.loadtxt(text)


def missing(platform, folder):
    """Why there are no programs for a platform; None where there are."""
    for command in (platform.compiler, platform.runs):
        if command and not shutil.which(command[0]):
            return f"{command[0]} is not there"
    (folder / "a.c").write_text("#include <pthread.h>\nint main(void) { return 0; }\n")
    command = [*platform.compiler, "-pthread", folder / "a.c", "-o", folder / "a"]
    if subprocess.run(command, capture_output=True).returncode:
        return f"{' '.join(platform.compiler)} makes no programs here"
    if subprocess.run([*platform.runs, folder / "a"], capture_output=True).returncode:
        return f"programs of {' '.join(platform.compiler)} do not run here"
    return None


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What gcc's programs for this processor compute."""

    @cache
    def computed(name, real):
        folder = tmp_path_factory.mktemp(name)
        write(name, folder)
        return numbers(Platform(["gcc", "-march=native"], []), real, folder)

    return computed


def write(name, folder):
    for file, content in backends.load("c").generate(program(name), "cell").items():
        (folder / file).write_text(content, encoding="utf-8")
    (folder / "main.c").write_text(caller(name, (3, 7)))


@pytest.mark.parametrize(("name", "real"), [("slstm", "float"), ("mingru", "double")])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_same_numbers(platform, name, real, here, tmp_path):
    """Forth and back: odd sizes, threads that share rows, units and steps."""
    reason = missing(PLATFORMS[platform], tmp_path)
    if reason:
        pytest.skip(reason)
    write(name, tmp_path)
    found = numbers(PLATFORMS[platform], real, tmp_path)
    few = 2e-5 if real == "float" else 1e-13
    np.testing.assert_allclose(found, here(name, real), rtol=few, atol=few)


def test_numbers_wider_than_their_type_are_refused(tmp_path):
    """The x87 unit of 32-bit processors rounds later, and functions that count on it are wrong."""
    write("lstm", tmp_path)
    command = ["gcc", "-fsyntax-only", "-D__FLT_EVAL_METHOD__=2", "-w", tmp_path / "cell.c"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode and "-msse2 -mfpmath=sse" in done.stderr

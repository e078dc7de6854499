"""Other compilers and processors give the numbers of gcc here, where they are to be had."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import native
import numpy as np
import pytest
from harness import compiled_text
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


HERE = Platform(["gcc", "-march=native"], [])
PLATFORMS = {
    "clang": Platform(["clang", "-march=native"], []),
    "aarch64": Platform(["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
    "i386": Platform(["gcc", "-m32", "-msse2", "-mfpmath=sse"], []),
    "sse2": Platform(["gcc", "-march=x86-64"], []),
    "musl": Platform(["musl-gcc", "-static", "-march=native"], []),
}


def numbers(platform, real, folder, *more):
    """What the program in a folder computes, with more flags or files of C."""
    binary, text = folder / "main", folder / "numbers.txt"
    sources = [folder / "main.c", folder / "cell.c", *more]
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
        return numbers(HERE, real, folder)

    return computed


def write(name, folder):
    written(program(name), folder)
    (folder / "main.c").write_text(caller(name, (3, 7)))


def written(made, folder):
    native.write(backends.load("c").generate(made, "cell"), folder)


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


# Its status is 0 where numbers below the smallest normal one count as 0, those that a call is given
# and those that it computes, by any thread, and where the caller's mode is as it was.
FADING = r"""
#include "cell.h"
#include <fenv.h>
#include <float.h>

int main(void)
{
    const struct gatec_fading_sizes sizes = {1, 12, 5, 3};
    GATEC_REAL workspace[4096], x[12] = {0}, h[60], u[5], output[60], last[60];
    volatile GATEC_REAL smallest = sizeof(GATEC_REAL) == sizeof(float) ? FLT_MIN : DBL_MIN;
    const struct gatec_fading_params params = {u};
    const struct gatec_fading_inputs inputs = {x};
    const struct gatec_fading_states initial = {h};
    const struct gatec_fading_states_out states = {last};
    int wrong = fesetround(FE_UPWARD);
    for (size_t i = 0; i < 60; i++) {
        u[i % 5] = i % 5 < 2 ? 0.5 : 8;
        h[i] = i % 5 < 2 ? smallest : smallest / 2;
        output[i] = 1;
    }
    wrong |= gatec_fading_workspace_size(&sizes, 0) > sizeof workspace;
    wrong |= gatec_fading_forward(output, &states, &sizes, &params, &inputs, &initial, workspace,
        sizeof workspace, 0);
    for (size_t i = 0; i < 60; i++)
        wrong |= output[i] != 0;
    return wrong || smallest / 2 == 0 || fegetround() != FE_UPWARD;
}
"""


@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("platform", [*PLATFORMS, "gcc"])
def test_numbers_that_are_not_normal_are_0(platform, real, tmp_path):
    chosen = PLATFORMS.get(platform, HERE)
    reason = missing(chosen, tmp_path)
    if reason:
        pytest.skip(reason)
    text = "cell Fading\ninput x : scalar\nh_t = u * h_{t-1} + x_t\n"
    written(compiled_text(text, "fading.gate"), tmp_path)
    (tmp_path / "main.c").write_text(FADING)
    flags = ["-std=gnu11", "-O2", "-pthread", *native.WARNINGS, *SHARED, f"-DGATEC_REAL={real}"]
    files = [tmp_path / "main.c", tmp_path / "cell.c", "-o", tmp_path / "main", "-lm"]
    native.compiled([*chosen.compiler, *flags, *files])
    assert subprocess.run([*chosen.runs, tmp_path / "main"]).returncode == 0


SMALL = """
#define _GNU_SOURCE
#include <pthread.h>

__attribute__((constructor)) static void small(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 17);
    pthread_setattr_default_np(&attributes);
}
"""


def test_systems_whose_threads_have_small_stacks(here, tmp_path):
    """Tiles of any height, and parts of matrices, where threads have 128 KiB unless they ask."""
    if sys.platform != "linux":
        pytest.skip("the C library may not know pthread_setattr_default_np")
    write("lstm", tmp_path)
    (tmp_path / "small.c").write_text(SMALL)
    more = ["-DGATEC_BYTES=64", "-Wno-psabi", tmp_path / "small.c"]
    found = numbers(HERE, "double", tmp_path, *more)
    np.testing.assert_allclose(found, here("lstm", "double"), rtol=1e-13, atol=1e-13)


def test_numbers_wider_than_their_type_are_refused(tmp_path):
    """The x87 unit of 32-bit processors rounds later, and functions that count on it are wrong."""
    write("lstm", tmp_path)
    command = ["gcc", "-fsyntax-only", "-D__FLT_EVAL_METHOD__=2", "-w", tmp_path / "cell.c"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode and "-msse2 -mfpmath=sse" in done.stderr

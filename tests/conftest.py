"""Options and fixtures for all tests."""

import atexit
import difflib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

GOLDENS = Path(__file__).parent / "goldens"
# Modules run their own equations, as they do without gatec; tests/test_runtime*.py are about kernels.
os.environ["GATEC_RUNTIME"] = "off"
# Tests run side by side: each takes one core, where it does not ask for more.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# What is compiled is kept for all tests of a run, whichever process they are in.
if "GATEC_TESTS" not in os.environ:
    os.environ["GATEC_TESTS"] = tempfile.mkdtemp(prefix="gatec-tests-")
    atexit.register(shutil.rmtree, os.environ["GATEC_TESTS"], ignore_errors=True)


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the files in tests/goldens with what is generated now",
    )


@pytest.fixture
def golden(request):
    """Compares a text with a golden file byte for byte, or rewrites the file."""

    def check(name, text):
        path = GOLDENS / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
            return
        assert path.exists(), f"no golden {name}; run pytest --update-golden"
        wanted = path.read_bytes().decode()
        if text != wanted:
            changes = difflib.unified_diff(
                wanted.splitlines(), text.splitlines(), name, "generated", lineterm="", n=1
            )
            pytest.fail("\n".join(changes), pytrace=False)

    return check

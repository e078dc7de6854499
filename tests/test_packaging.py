"""The wheel holds what it must and works alone; the version and the dependencies are one."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import gatec
from gatec import resources

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_version():
    assert PROJECT["version"] == gatec.__version__


def test_resources_are_found():
    for name, pattern in (("grammars", "*.lark"), ("templates", "*/*"), ("specs", "*.gate")):
        assert list(resources.folder(name).glob(pattern)), name


def test_runtime_dependencies_are_the_imported_ones():
    """What gatec needs at run time is what it imports, and nothing else."""
    imported = set()
    for path in (ROOT / "gatec").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    foreign = imported - sys.stdlib_module_names - {"gatec"}
    required = {re.match(r"[\w-]+", line).group() for line in PROJECT["dependencies"]}
    optional = {"torch", "numpy"}
    assert required <= foreign <= required | optional


def test_constraints_pin_the_cpu_build_of_torch():
    assert (ROOT / "constraints.txt").read_text().count("torch==") == 1


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is missing")
def test_wheel(tmp_path):
    """A wheel unpacked elsewhere compiles every spec, from another directory."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    alone = tmp_path / "alone"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(alone)
    for folder in ("grammars", "templates", "specs"):
        for path in resources.folder(folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                inside = f"gatec/{folder}/{path.relative_to(resources.folder(folder)).as_posix()}"
                assert inside in names
    assert "gatec/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # PYTHONPATH goes before the editable install of this environment.
    done = subprocess.run(
        [sys.executable, "-m", "gatec", "compile", *resources.spec_names(), "-t", "all"],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(alone)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(elsewhere.glob("*.py"))) == 2 * len(resources.spec_names())

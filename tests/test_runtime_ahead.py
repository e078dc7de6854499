"""`gatec compile --native`: a module runs on the library that was built beside it, if it fits."""

import importlib.util
import json
import sys

import pytest
import torch
from runtime_calls import needs_compilers, on  # noqa: F401 (a fixture)

from gatec import cli
from gatec.runtime import cells
from gatec.runtime.layer import NATIVE

pytestmark = needs_compilers


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ahead")
    assert cli.main(["compile", "gru", "-t", "torch", "--native", "-o", str(folder)]) == 0
    return folder


def path_of(folder, monkeypatch, **more):
    """What a module in a folder runs on, where there is no compiler."""
    monkeypatch.setenv("CC", "no-such-compiler")
    cells.forget()
    spec = importlib.util.spec_from_file_location("ahead_gru", folder / "gru.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ahead_gru", module)
    spec.loader.exec_module(module)
    made = module.GRU(3, 4, **more)
    x = torch.randn(5, 2, 3, dtype=more.get("dtype"))
    output, _ = made(x)
    path = made.path
    monkeypatch.setenv("GATEC_RUNTIME", "off")
    torch.testing.assert_close(output, made(x)[0])
    return path


def test_without_a_compiler(built, monkeypatch):
    assert path_of(built, monkeypatch) == NATIVE


@pytest.mark.filterwarnings("ignore:gatec runs the slower")
def test_float64_is_not_built_ahead(built, monkeypatch):
    assert path_of(built, monkeypatch, dtype=torch.float64).startswith("eager")


@pytest.mark.filterwarnings("ignore:gatec runs the slower")
@pytest.mark.parametrize("key", ["cell", "machine", "sha256", "file", "json"])
def test_what_does_not_fit_is_not_loaded(built, monkeypatch, tmp_path, key):
    for file in built.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (about,) = tmp_path.glob("*.json")
    if key == "file":
        library = about.with_name(about.name.removesuffix(".json"))
        library.write_bytes(library.read_bytes() + b"x")
    elif key == "json":
        about.write_text("{")
    else:
        about.write_text(json.dumps(json.loads(about.read_text()) | {key: "0" * 64}))
    assert path_of(tmp_path, monkeypatch).startswith("eager")

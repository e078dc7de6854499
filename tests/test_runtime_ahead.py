"""`gatec compile --native`: a module runs on the library that was built beside it, if it fits."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

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
    """What a module in a folder runs on, where there is no compiler and no other module."""
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(cells, "_files", {})
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


# --- All who ask for a cell, in any order, each in a process of its own without a compiler ---------

OPENING = """
import sys, warnings
import torch
warnings.simplefilter("error")
x = torch.linspace(-1, 1, 30).view(5, 2, 3)

def of(name):
    sys.path.insert(0, name)
    from gru import GRU
    torch.manual_seed(0)
    return GRU(3, 4)
"""
CLOSING = """
import os
os.environ["GATEC_RUNTIME"] = "off"
for value in values:
    torch.testing.assert_close(value, made(x)[0])
print("done")
"""
EAGER = "values.append(made(x)[0]); assert made.path == 'native', made.path\n"
EXPORT = """
run = torch.export.export(made, (x,)).module()
assert any("gatec.forward" in str(node.target) for node in run.graph.nodes), run.graph
values.append(run(x)[0])
"""
COMPILE = "values.append(torch.compile(made, backend='eager', fullgraph=True)(x)[0])\n"
STEPS = {"eager": EAGER, "export": EXPORT, "compile": COMPILE}


def run_without_compiler(folder, script):
    (folder / "bin").mkdir(exist_ok=True)
    root = Path(__file__).parents[1]
    env = {
        "PATH": str(folder / "bin"),
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", OPENING + script + CLOSING]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env)
    assert done.stdout.strip() == "done", done.stderr


@pytest.mark.parametrize("order", ["export compile eager", "eager export compile"])
def test_operators_find_it_too(built, order):
    steps = "".join(STEPS[step] for step in order.split())
    run_without_compiler(built, f"made, values = of({str(built)!r}), []\n{steps}")


def test_a_class_that_is_derived_from_it(built):
    script = f"made, values = type('Own', (type(of({str(built)!r})),), {{}})(3, 4), []\n{EAGER}"
    run_without_compiler(built, script)


def test_an_exported_program_where_the_module_is_imported(built, tmp_path):
    """Loaded and refused before the module is there, it runs once it is."""
    save = f"made = of({str(built)!r})\nvalues = []\nprogram = torch.export.export(made, (x,))\n"
    save += f"torch.export.save(program, {str(tmp_path / 'gru.pt2')!r})\n"
    run_without_compiler(built, save)
    load = f"""
import gatec.runtime
run = torch.export.load({str(tmp_path / "gru.pt2")!r}).module()
try:
    run(x)
except Exception as error:
    assert "there is no C compiler" in str(error), error
else:
    raise AssertionError("there is a compiler")
made = of({str(built)!r})
made.load_state_dict(run.state_dict())
values = [run(x)[0]]
"""
    run_without_compiler(built, load)

"""Imports go down only, and what is slow to import is imported where it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gatec

PACKAGE = Path(gatec.__file__).parent

# From the bottom to the top; a module imports from its own layer and those below.
LAYERS = [
    ["gatec", "errors", "resources", "cache"],
    ["ops"],
    ["syntax", "expr", "ir", "cell_text", "names", "polynomial"],
    ["source", "parse", "resolve", "interpret", "adjoint", "passes", "analyse", "show_ir"],
    ["backends", "equivalence", "runtime", "native", "loader", "files", "outputs"],
    ["compiler"],
    ["show", "show_latex", "show_svg", "show_text", "api", "checking"],
    ["console", "commands", "notebook"],
    ["cli", "__main__"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

# Which modules may import a library.
ALLOWED = {
    "lark": {"parse", "syntax"},
    "jinja2": {"backends.emitter"},
    "torch": {"runtime", "equivalence"},
    "numpy": {"runtime", "equivalence", "interpret"},
    "flint": {"equivalence"},
    "IPython": {"notebook"},
}


def modules():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] in ("grammars", "templates", "specs"):
            continue
        found.append((".".join(parts).removesuffix(".__init__"), path))
    return found


def imports(path):
    """(module, names) of every import of a file, wherever it stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}: write imports in full"
            yield node.module, tuple(alias.name for alias in node.names)


def parts_of_gatec(module, names):
    """The top-level parts of gatec that an import reaches."""
    first, _, rest = module.partition(".")
    if first != "gatec":
        return
    if rest:
        yield rest.split(".")[0]
    else:
        yield from (name if name in RANK else "gatec" for name in names)


def test_every_module_has_a_layer():
    assert {name.split(".")[0] for name, _ in modules()} - {"__init__"} <= set(RANK)


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda x: x if isinstance(x, str) else "")
def test_imports_go_down(name, path):
    own = name.split(".")[0]
    if own == "__init__":
        return  # the public interface: every import waits until it is used (tested below)
    for module, names in imports(path):
        for part in parts_of_gatec(module, names):
            assert RANK[part] <= RANK[own], f"{name} imports {part}, which is above it"


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda x: x if isinstance(x, str) else "")
def test_libraries_stay_where_they_belong(name, path):
    for module, _ in imports(path):
        allowed = ALLOWED.get(module.split(".")[0])
        if allowed is not None:
            assert any(name == a or name.startswith(a + ".") for a in allowed), (
                f"{name} imports {module}"
            )


def loaded(code):
    """The modules that stand in sys.modules after some code, in a new process."""
    script = f"import sys; {code}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\n"))


def test_import_gatec_is_light():
    found = loaded("import gatec")
    assert not found & {"torch", "numpy", "lark", "jinja2", "argparse", "dataclasses"}
    assert {name for name in found if name.startswith("gatec")} == {"gatec"}


def test_compiling_imports_neither_torch_nor_numpy(tmp_path):
    words = ["compile", "lstm", "-t", "all", "-o", str(tmp_path)]
    code = f"from gatec.cli import main; assert main({words}) == 0"
    assert not loaded(code) & {"torch", "numpy"}

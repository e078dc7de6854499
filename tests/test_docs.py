"""The documentation is true: every error code is listed, every example does what it says."""

import ast
import re
from pathlib import Path

import pytest

import gatec
from gatec.errors import GatecError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gatec"
ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def used_codes():
    """Every error code in the source, where a string is one."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"^[EW]\d{4}$", node.value))
    return found


def sections():
    """(code, error example or None, right example or None)"""
    found = []
    for section in re.split(r"(?m)^### ", ERRORS)[1:]:
        bad = re.search(r"```gate error\n(.*?)```", section, re.S)
        good = re.search(r"```gate\n(.*?)```", section, re.S)
        found.append((section[:5], bad and bad.group(1), good and good.group(1)))
    return found


def test_every_code_is_listed_once():
    listed = [code for code, _, _ in sections()]
    assert len(listed) == len(set(listed))
    assert set(listed) == used_codes()


EXAMPLES = [section for section in sections() if section[1]]


@pytest.mark.parametrize(("code", "bad", "good"), EXAMPLES, ids=lambda x: str(x)[:5])
def test_examples(code, bad, good):
    with pytest.raises(GatecError) as error:
        gatec.parse(bad)
    assert [diagnostic.code for diagnostic in error.value.diagnostics] == [code]
    if good:
        gatec.parse(good)


def test_the_map_has_every_module():
    """The architecture's map names every module and folder of the package."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in PACKAGE.iterdir():
        name = path.name if path.suffix == ".py" else f"{path.name}/"
        if name.startswith(("_", "show")) or name in ("py.typed/", "resources.py"):
            continue
        assert name in text, f"docs/architecture.md does not name {name}"


DOCUMENTS = [
    "README.md",
    *(f"docs/{n}.md" for n in ("architecture", "equivalence", "errors", "modules")),
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links(name):
    path = ROOT / name
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{name} links to {target}"

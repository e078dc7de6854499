"""The README's tour: every command is run, and its output is what stands there.

`console` blocks hold `$ command` lines, each followed by its output; a line `…` stands for any
number of lines. They run one after the other in one folder. `pycon` blocks are doctests.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?m)^```(console|pycon|gate|markdown)(.*)\n((?:.*\n)*?)^```$", README)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the tour takes place; the specs it shows are files there."""
    path = tmp_path_factory.mktemp("tour")
    for _, title, text in BLOCKS:
        named = re.search(r"title=(\S+)", title)
        if named:
            (path / named.group(1)).write_text(text, encoding="utf-8")
    return path


def commands():
    """(command, expected output) in the order of the README."""
    for kind, _, text in BLOCKS:
        if kind == "console":
            for part in re.split(r"(?m)^\$ ", text)[1:]:
                command, _, output = part.partition("\n")
                yield command, output


def matches(wanted, got):
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…\n" else re.escape(line)
        for line in wanted.splitlines(keepends=True)
    )
    return re.fullmatch(pattern, got)


def test_console(folder):
    """The commands share one folder, so they are one test."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    env.pop("NO_COLOR", None)
    tried = list(commands())
    assert len(tried) >= 5
    for command, wanted in tried:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert matches(wanted, done.stdout), f"$ {command}\n{done.stdout}"


def test_python(folder, monkeypatch):
    monkeypatch.chdir(folder)
    session = "\n".join(text for kind, _, text in BLOCKS if kind == "pycon")
    test = doctest.DocTestParser().get_doctest(session, {}, "README", "README.md", 0)
    assert test.examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    report = []
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


def test_set_up_commands():
    """`.ci/run` runs these two as they stand."""
    for name in ("run", "test"):
        found = re.search(rf"(?m)^<!-- {name} -->\n\n?```sh\n(.+\n)```$", README)
        assert found, f"the README has no one-line command marked {name}"
        assert "constraints.txt" in found.group(1)

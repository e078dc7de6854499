"""The Python interface: load, compile, parse, and the notebook's magic."""

import copy
import io
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

import gatec
from gatec import backends, notebook
from gatec.cli import main

RNN = "cell Plain\nh_t = \\tanh(W x_t + U h_{t-1} + b)\n"
TWO = f"<!-- cell A -->\n```gate\n{RNN[11:]}```\n<!-- cell B -->\n```gate\n{RNN[11:]}```\n"


# --- compile --------------------------------------------------------------------------------------


def test_compile_is_what_the_command_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compile", "lstm", "-t", "all"]) == 0
    texts = gatec.compile("lstm", "all")
    assert texts == {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert gatec.compile("lstm") == texts["lstm.py"]
    assert gatec.compile("lstm", "numpy") == texts["lstm_numpy.py"]
    assert gatec.compile("lstm", target="c") == {name: texts[name] for name in ("lstm.c", "lstm.h")}


def test_specs_are_names_paths_or_texts(tmp_path):
    path = tmp_path / "plain.gate"
    path.write_text(RNN)
    made = [gatec.compile(spec) for spec in (str(path), path, RNN)]
    assert made[0] == made[1] == made[2]


def test_one_line_is_a_text():
    assert gatec.parse("h_t = tanh(W x_t + U h_{t-1} + b)").cell.output == "h"


def test_errors():
    with pytest.raises(gatec.GatecError) as error:
        gatec.parse("h_t = foo(h_{t-1}) + x_t\n")
    (diagnostic, *_) = error.value.diagnostics
    assert diagnostic.span.line == 1
    assert "foo" in str(error.value)
    with pytest.raises(gatec.GatecError):
        gatec.compile("no-such-spec")
    with pytest.raises(ValueError, match="fortran"):
        gatec.compile("lstm", "fortran")
    with pytest.raises(ValueError, match="torch and numpy"):
        gatec.load("lstm", "c")


def test_one_of_several_cells(tmp_path):
    path = tmp_path / "two.md"
    path.write_text(TWO)
    with pytest.raises(gatec.GatecError, match="2 cells"):
        gatec.parse(path)
    assert gatec.parse(path, cell="B").cell.name == "B"
    assert gatec.parse(f"{path}#A").cell.name == "A"
    assert gatec.parse(TWO, cell="A").cell.name == "A"


# --- parse ----------------------------------------------------------------------------------------


def test_parse_shows_what_it_understood(capsys):
    parsed = gatec.parse("lstm")
    assert main(["show", "lstm"]) == 0
    assert str(parsed) == capsys.readouterr().out
    assert repr(parsed) == "<gatec cell LSTM: 6 equations>"
    assert r"\begin{align*}" in parsed.latex
    assert parsed._repr_latex_().startswith("$$\\begin{aligned}")


# --- load -----------------------------------------------------------------------------------------


def test_load_torch():
    module = gatec.load("lstm")
    layer = module.LSTM(3, 5, num_layers=2, dtype=torch.float64)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    output, state = layer(x)
    assert output.shape == (7, 2, 5)
    assert len(state) == 2
    output.sum().backward()
    assert gatec.load("lstm") is module


def test_load_numpy():
    module = gatec.load(RNN, "numpy")
    params = module.init(3, 5, rng=np.random.default_rng(0))
    output, _ = module.forward(params, np.ones((4, 2, 3), np.float32))
    assert output.shape == (4, 2, 5)


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return gatec.load(RNN).Plain(3, 5)


def same(one, other):
    x = torch.ones(4, 2, 3)
    return torch.equal(one(x)[0], other(x)[0])


def test_pickle(layer):
    assert same(pickle.loads(pickle.dumps(layer)), layer)
    assert same(copy.deepcopy(layer), layer)
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    assert same(torch.load(buffer, weights_only=False), layer)


def test_pickle_into_another_process(layer, tmp_path):
    """The pickle carries the generated code: no file, and no spec, is needed to read it."""
    path = tmp_path / "layer.pickle"
    path.write_bytes(pickle.dumps(layer))
    script = (
        "import pickle, sys, torch; layer = pickle.load(open(sys.argv[1], 'rb')); "
        "print(type(layer).__name__, float(layer(torch.ones(4, 2, 3))[0].sum()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    name, total = done.stdout.split()
    assert name == "Plain"
    assert float(total) == float(layer(torch.ones(4, 2, 3))[0].sum())


def test_subclasses_pickle_as_usual(layer):
    made = Subclass(3, 5)
    assert type(pickle.loads(pickle.dumps(made))) is Subclass


class Subclass(gatec.load(RNN).Plain):
    """A user's own class over a generated one."""


def test_tracebacks_show_generated_lines(layer):
    with pytest.raises((ValueError, RuntimeError)) as error:
        layer(torch.ones(4, 2, 7))
    frames = traceback.extract_tb(error.value.__traceback__)
    generated = [frame for frame in frames if frame.filename.startswith("<gatec ")]
    assert generated
    assert all(frame.line for frame in generated)


def test_source_can_be_inspected(layer):
    import inspect

    assert "class Plain" in inspect.getsource(type(layer))


# --- the notebook ---------------------------------------------------------------------------------


class Shell:
    """The two methods of IPython's shell that gatec uses."""

    def __init__(self):
        self.magics = {}
        self.variables = {}

    def register_magic_function(self, func, magic_kind, magic_name):
        self.magics[magic_kind, magic_name] = func

    def push(self, variables):
        self.variables |= variables


@pytest.fixture
def shell():
    made = Shell()
    gatec.load_ipython_extension(made)
    return made


def test_magic(shell):
    gate = shell.magics["cell", "gate"]
    shown = gate("Mine", "h_t = \\tanh(W x_t + U h_{t-1} + b)\n")
    assert shown.cell.name == "Mine"
    assert shell.variables["Mine"](3, 5)(torch.ones(4, 2, 3))[0].shape == (4, 2, 5)
    gate("", RNN)
    assert "Plain" in shell.variables
    gate("-t numpy", RNN)
    assert hasattr(shell.variables["Plain"], "backward")


def test_magic_errors(shell):
    gate = shell.magics["cell", "gate"]
    with pytest.raises(gatec.GatecError, match="<notebook>:1:"):
        gate("", "h_t = \\tanh(W x_t\n")
    with pytest.raises(ValueError, match="usage"):
        gate("one two", RNN)


def test_magic_errors_in_ipython(shell, monkeypatch):
    """IPython shows its UsageError without a traceback."""

    class UsageError(Exception):
        pass

    fake = type(sys)("IPython.core.error")
    fake.UsageError = UsageError
    monkeypatch.setitem(sys.modules, notebook._IN_IPYTHON, fake)
    with pytest.raises(UsageError, match="E0101"):
        shell.magics["cell", "gate"]("", "h_t = \\tanh(W x_t\n")


# --- the package ----------------------------------------------------------------------------------


def test_public_names():
    assert set(gatec.__all__) <= set(dir(gatec))
    for name in gatec.__all__:
        assert getattr(gatec, name)
    with pytest.raises(AttributeError):
        gatec.nothing  # noqa: B018


def test_targets_are_documented():
    assert backends.targets() == ["c", "cuda", "numpy", "torch"]
    text = Path(gatec.__file__).with_name("api.py").read_text(encoding="utf-8")
    assert all(target in text for target in backends.targets())

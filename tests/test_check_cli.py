"""`gatec check` and `gatec.check`: what is answered, printed, written and refused."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import equivalence_texts as texts
import pytest

import gatec
from gatec.cli import main

RNN = texts.RNN + "\n"
RENAMED = "cell Mine\ns_t = tanh(A u_t + B s_{t-1} + c)\ninput u\n"
BAD = "h_t = tanh(W x_t + U h_{t-1}\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEC_DEBUG", raising=False)
    return tmp_path


@pytest.fixture
def run(capfd):
    """Runs a command line; its exit code, standard output and standard error."""

    def call(*words):
        code = main([str(word) for word in words])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


def write(name, text):
    Path(name).write_text(text, encoding="utf-8")
    return name


# --- Answers --------------------------------------------------------------------------------------


def test_exit_codes(run):
    write("a.gate", RNN)
    write("b.gate", RENAMED)
    write("c.gate", texts.RELU_RNN)
    assert run("check", "a.gate", "--against", "b.gate")[0] == 0
    assert run("check", "a.gate", "--against", "c.gate")[0] == 1
    assert run("check", "mingru", "--against", "minlstm")[0] == 1
    assert run("check", "minlstm", "--against", "mingru")[0] == 1


def test_what_is_said(run):
    write("a.gate", RNN)
    write("b.gate", RENAMED)
    code, out, err = run("check", "a.gate", "--against", "b.gate")
    assert (code, err) == (0, "")
    first, *_ = out.splitlines()
    assert first == "equal: a against Mine"
    assert "W = A'" in out
    assert "h   = s'" in out
    assert "random instances" in out


def test_reading_of_specs(run):
    write("notes.md", f"```gate\n{RNN}```\n")
    two = f"<!-- cell One -->\n```gate\n{RNN}```\n<!-- cell Two -->\n```gate\n{RENAMED[10:]}```"
    write("two.md", two)
    assert run("check", "notes.md", "--against", "rnn")[0] == 0
    assert run("check", "two.md#One", "--against", "two.md#Two")[0] == 0
    assert run("check", "two.md", "--cell", "Two", "--against", "notes.md")[0] == 0
    code, _, err = run("check", "two.md", "--against", "notes.md")
    assert code == 2
    assert "E0712" in err
    assert "two.md#One" in err


def test_standard_input():
    done = subprocess.run(
        [sys.executable, "-m", "gatec", "check", "-", "--against", "rnn"],
        input=RNN.encode(),
        capture_output=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"equal: ")


def test_same_name_twice(run):
    write("a.gate", "cell X\n" + RNN)
    write("b.gate", "cell X\n" + texts.RELU_RNN)
    _, out, _ = run("check", "a.gate", "--against", "b.gate")
    assert out.startswith("different: X (a.gate) against X (b.gate)\n")


# --- References -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "name", "form"),
    [
        ("lstm", "lstm", "torch.nn.LSTM"),
        ("gru_v3", "gru", "torch.nn.GRU"),
        ("gru", "gru", "the GRU of Cho et al., 2014"),
        ("rnn", "rnn", "torch.nn.RNN"),
    ],
)
def test_references(run, spec, name, form):
    code, out, _ = run("check", spec, "--against", name, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["verdict"] in ("identical", "equal")
    assert found["theirs"]["name"] == form


def test_other_form_of_a_reference(run):
    write("mine.gate", texts.COURSERA_GRU)
    code, out, _ = run("check", "mine.gate", "--against", "gru")
    assert code == 0
    assert "which form" in out
    assert "this report is about the GRU of Cho et al., 2014" in out
    assert "against torch.nn.GRU (the reset gate acts after the product): different" in out
    _, out, _ = run("check", "mine.gate", "--against", "gru", "--json")
    (other,) = json.loads(out)["other_forms"]
    assert other["theirs"]["name"] == "torch.nn.GRU"
    assert (other["verdict"], other["exit_code"]) == ("different", 1)


def test_rnn_with_relu(run):
    write("mine.gate", texts.RELU_RNN)
    code, out, _ = run("check", "mine.gate", "--against", "rnn")
    assert code == 0
    assert "torch.nn.RNN(nonlinearity='relu')" in out


def test_references_are_what_torch_documents():
    for name in ("LSTM", "GRU", "RNN"):
        assert gatec.check(f"doc:torch.nn:{name}", name.lower()).same


# --- Modules --------------------------------------------------------------------------------------

MODULE = """
import torch
from torch import nn


class Hand(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.into = nn.Linear(input_size, hidden_size)
        self.back = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, h):
        return torch.{function}(self.into(x) + self.back(h))
"""


def test_modules(run):
    write("hands.py", MODULE.format(function="tanh"))
    write("sigmoids.py", MODULE.format(function="sigmoid"))
    code, out, _ = run("check", "rnn", "--against", "module:hands:Hand")
    assert code == 0
    assert "match of parameters" in out
    assert re.search(r"W_ih +into\.weight +proved", out)
    code, out, _ = run("check", "rnn", "--against", "module:sigmoids:Hand", "--json")
    assert code == 1
    found = json.loads(out)
    assert found["verdict"] == "different"
    assert found["counterexample"]["equation"]["mine"].startswith("h_t = ")


def test_a_module_comes_second(run):
    code, _, err = run("check", "module:hands:Hand", "--against", "rnn")
    assert code == 2
    assert "E0711" in err
    assert "--against module:hands:Hand" in err


# --- Refusals -------------------------------------------------------------------------------------


def test_usage(run):
    code, _, err = run("check", "lstm")
    assert code == 2
    assert "--against is missing" in err
    code, _, err = run("check", "lstm", "--against", "gru", "--jsn")
    assert code == 2
    assert "did you mean --json?" in err
    code, _, err = run("check", "-", "--against", "-")
    assert code == 2
    assert "E0711" in err


def test_errors_of_both_specs(run):
    write("a.gate", BAD)
    write("b.gate", BAD)
    code, out, err = run("check", "a.gate", "--against", "b.gate")
    assert (code, out) == (2, "")
    assert "a.gate:1" in err
    assert "b.gate:1" in err
    code, out, err = run("check", "a.gate", "--against", "b.gate", "--json")
    assert (code, err) == (2, "")
    assert {d["file"] for d in json.loads(out)["diagnostics"]} == {"a.gate", "b.gate"}
    assert run("check", "lstm", "--against", "no-such-cell")[0] == 2


@pytest.mark.parametrize("library", ["numpy", "flint"])
def test_a_missing_library_is_told_before_anything_else(library):
    words = ["check", "lstm", "--against", "no-such-cell"]
    code = f"import sys; sys.modules[{library!r}] = None; from gatec.cli import main; "
    done = subprocess.run(
        [sys.executable, "-c", f"{code}sys.exit(main({words}))"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "error[E0715]" in done.stderr
    assert "pip install 'gatec[check]'" in done.stderr


# --- Reports in files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("report.html", "<!DOCTYPE html>"),
        ("report.md", "# a against Mine"),
        ("report.txt", "equal: a against Mine"),
        ("report.json", "{"),
    ],
)
def test_report_files(run, name, start):
    write("a.gate", RNN)
    write("b.gate", RENAMED)
    code, out, _ = run("check", "a.gate", "--against", "b.gate", "-o", name)
    assert code == 0
    assert out.startswith("equal: ")
    assert out.endswith(f"-> {name}\n")
    assert Path(name).read_text(encoding="utf-8").startswith(start)
    assert sorted(os.listdir()) == sorted(["a.gate", "b.gate", name])


def test_report_files_that_are_refused(run):
    write("a.gate", RNN)
    write("b.md", f"```gate\n{RENAMED}```\n")
    for name, error in [
        ("report.pdf", "E0716"),
        ("report", "E0716"),
        ("nowhere/report.md", "E0703"),
        ("b.md", "E0704"),
    ]:
        code, out, err = run("check", "a.gate", "--against", "b.md", "-o", name)
        assert (code, out) == (2, ""), name
        assert error in err
    assert sorted(os.listdir()) == ["a.gate", "b.md"]


# --- Manners --------------------------------------------------------------------------------------


def test_the_same_text_on_every_run(run):
    write("a.gate", texts.CIFG)
    write("b.gate", texts.SPLIT_LSTM)
    outputs = set()
    for seed in "1", "2":
        done = subprocess.run(
            [sys.executable, "-m", "gatec", "check", "a.gate", "--against", "b.gate", "--proof"],
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            timeout=120,
        )
        assert done.returncode == 1
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_colours_on_a_terminal_only(run):
    write("a.gate", RNN)
    _, out, _ = run("check", "a.gate", "--against", "a.gate")
    assert "\033" not in out
    leader, follower = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "gatec", "check", "a.gate", "--against", "a.gate"],
        stdout=follower,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": ""},
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert done.wait(timeout=120) == 0
    assert b"\033[1;32midentical\033[0m" in shown


def test_proof_prints_every_step(run):
    write("a.gate", texts.CIFG)
    write("b.gate", texts.SPLIT_LSTM)
    _, short, _ = run("check", "a.gate", "--against", "b.gate")
    _, out, _ = run("check", "a.gate", "--against", "b.gate", "--proof")
    assert "# complement" not in short
    assert re.search(r"1 - σ\(.*\) +# complement", out)
    assert "by induction over t" in " ".join(out.split())


# --- Python ---------------------------------------------------------------------------------------


def test_python_interface(tmp_path):
    path = tmp_path / "a.gate"
    path.write_text(RNN)
    found = gatec.check(path, RENAMED)
    assert (str(found.kind), found.same, found.exit_code) == ("equal", True, 0)
    assert str(found) == found.text()
    assert repr(found) == "<a against Mine: equal>"
    assert found._repr_html_().startswith("<style>")
    assert found.verdict.covers is not None
    assert not gatec.check(RNN, texts.RELU_RNN).same
    with pytest.raises(gatec.GatecError):
        gatec.check(RNN, BAD)

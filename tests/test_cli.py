"""The command line: what it writes, prints and refuses, and with which exit code."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import gatec
from gatec import backends, cli, resources
from gatec.cli import main

RNN = "h_t = tanh(W x_t + U h_{t-1} + b)\n"
GRU = "z_t = \\sigma(W x_t + U h_{t-1})\nh_t = (1 - z_t) \\odot h_{t-1} + z_t \\odot x_t\n"
BAD = "h_t = tanh(W x_t + U h_{t-1}\n"
NOTES = f"""# Two cells

<!-- cell Plain -->
```gate
{RNN}```

<!-- cell Gated -->
```gate
{GRU}```
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own."""
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


def process(*words, stdin=None, env=None, **more):
    """A command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "gatec", *map(str, words)],
        input=stdin,
        capture_output=True,
        env={**os.environ, **(env or {})},
        timeout=60,
        **more,
    )


def write(name, text=RNN):
    Path(name).write_text(text, encoding="utf-8")
    return name


def files():
    return sorted(path.name for path in Path().iterdir())


# --- compile: what is written where ---------------------------------------------------------------


def test_compile_a_shipped_spec(run):
    code, out, err = run("compile", "lstm")
    assert (code, out, err) == (0, "LSTM -> lstm.py\n", "")
    assert files() == ["lstm.py"]
    compile(Path("lstm.py").read_text(), "lstm.py", "exec")


def test_compile_is_deterministic_and_overwrites_its_own_files(run):
    run("compile", "lstm", "-t", "all")
    first = {name: Path(name).read_bytes() for name in files()}
    assert run("compile", "lstm", "-t", "all")[0] == 0
    assert {name: Path(name).read_bytes() for name in files()} == first
    # In another process, with another order of hashing.
    done = process("compile", "lstm", "-t", "all", env={"PYTHONHASHSEED": "77"})
    assert done.returncode == 0
    assert {name: Path(name).read_bytes() for name in files()} == first


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("torch", ["my_cell.py"]),
        ("numpy", ["my_cell_numpy.py"]),
        ("c", ["my_cell.c", "my_cell.h"]),
        ("cuda", ["my_cell.cu", "my_cell.h"]),
        ("all", ["my_cell.c", "my_cell.cu", "my_cell.h", "my_cell.py", "my_cell_numpy.py"]),
    ],
)
def test_targets(run, target, names):
    write("my cell.gate")
    assert run("compile", "my cell.gate", "-t", target)[0] == 0
    assert files() == sorted(["my cell.gate", *names])


def test_every_backend_is_a_target(run):
    _, out, _ = run("compile", "lstm", "--json", "-t", "all", "-o", "-")
    names = set(json.loads(out)["cells"][0]["texts"])
    for target in backends.targets():
        _, out, _ = run("compile", "lstm", "--json", "-t", target, "-o", "-")
        assert set(json.loads(out)["cells"][0]["texts"]) <= names


def test_output_file(run):
    assert run("compile", "lstm", "-o", "Some Name.py")[:2] == (0, "LSTM -> Some Name.py\n")
    assert files() == ["Some Name.py"]


def test_output_file_of_c(run):
    Path("src").mkdir()
    assert run("compile", "lstm", "-t", "c", "-o", "src/cell.c")[0] == 0
    assert sorted(os.listdir("src")) == ["cell.c", "cell.h"]
    assert '#include "cell.h"' in Path("src/cell.c").read_text()


def test_output_directory(run):
    Path("out").mkdir()
    assert run("compile", "lstm", "gru", "-o", "out")[0] == 0
    assert sorted(os.listdir("out")) == ["gru.py", "lstm.py"]
    assert run("compile", "rnn", "-o", "out/")[0] == 0
    assert "rnn.py" in os.listdir("out")


def test_output_to_the_terminal(run):
    code, out, _ = run("compile", "lstm", "-o", "-")
    assert code == 0
    assert files() == []
    compile(out, "lstm.py", "exec")
    run("compile", "lstm")
    assert Path("lstm.py").read_text(encoding="utf-8") == out


def test_several_files_to_the_terminal(run):
    _, out, _ = run("compile", "lstm", "-t", "c", "-o", "-")
    assert re.findall(r"^==> (.*) <==$", out, re.M) == ["lstm.c", "lstm.h"] or re.findall(
        r"^==> (.*) <==$", out, re.M
    ) == ["lstm.h", "lstm.c"]


def test_output_is_utf8_on_every_terminal():
    spec = write("c.gate", "Γ_t = σ(W x_t + U Γ_{t-1})\n")
    done = process("compile", spec, "-o", "-", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "Γ" in done.stdout.decode("utf-8")
    shown = process("show", spec, env={"PYTHONIOENCODING": "ascii"})
    assert shown.returncode == 0
    assert b"\\u0393" in shown.stdout


def test_standard_input(here):
    done = process("compile", "-", "-o", "-", stdin=RNN.encode())
    assert done.returncode == 0
    assert b"class" in done.stdout
    assert process("compile", "-", stdin=RNN.encode()).returncode == 0
    assert files() == ["cell.py"]


def test_cells_of_a_document(run):
    write("notes.md", NOTES)
    assert run("compile", "notes.md")[1] == "Plain -> plain.py\nGated -> gated.py\n"
    assert run("compile", "notes.md#Gated", "-o", "a.py")[1] == "Gated -> a.py\n"
    assert run("compile", "notes.md", "--cell", "Plain", "-o", "b.py")[1] == "Plain -> b.py\n"


def test_unknown_cell(run):
    write("notes.md", NOTES)
    for words in (["notes.md#Gatd"], ["notes.md", "--cell", "Gatd"]):
        code, _, err = run("compile", *words)
        assert code == 2
        assert "Gated" in err


@pytest.mark.parametrize(
    "name", ["torch", "numpy", "math", "lambda", "import", "2nd", "stdio", "a-b", "Zelle_ä"]
)
def test_file_names_can_be_imported_and_hide_nothing(run, name):
    write(f"{name}.gate")
    assert run("compile", f"{name}.gate", "-t", "all")[0] == 0
    made = [file for file in files() if not file.endswith(".gate")]
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\.(py|c|h|cu)", file) for file in made)
    assert not {"torch.py", "numpy.py", "math.py", "lambda.py", "import.py", "stdio.h"} & set(made)
    assert process("compile", "lstm").returncode == 0


def test_json(run):
    code, out, err = run("compile", "lstm", "gru", "--json")
    result = json.loads(out)
    assert code == 0
    assert err == ""
    assert result["ok"] is True
    assert result["gatec"] == gatec.__version__
    assert [cell["files"] for cell in result["cells"]] == [["lstm.py"], ["gru.py"]]


# --- compile: refusals ----------------------------------------------------------------------------


def test_all_or_nothing(run):
    """One bad spec: every error of every spec is shown, and no file is written."""
    write("good.gate"), write("bad.gate", BAD), write("worse.gate", "h_t = foo(h_{t-1})\n")
    code, out, err = run("compile", "good.gate", "bad.gate", "worse.gate", "missing.gate")
    assert code == 2
    assert out == ""
    for name in ("bad.gate:1:", "worse.gate:1:", "missing.gate"):
        assert name in err
    assert files() == ["bad.gate", "good.gate", "worse.gate"]


def test_errors_as_json(run):
    write("bad.gate", BAD)
    code, out, err = run("compile", "bad.gate", "--json")
    (diagnostic, *_) = json.loads(out)["diagnostics"]
    assert code == 2
    assert err == ""
    assert diagnostic["file"] == "bad.gate"
    assert diagnostic["line"] == 1
    assert re.fullmatch(r"E\d{4}", diagnostic["code"])


REFUSALS = [
    (["-o", "missing/a.py"], "E0703", "does not exist"),
    (["-o", "missing/"], "E0703", "does not exist"),
    (["-o", "file/a.py"], "E0703", "no directory"),
    (["-o", "spec.gate"], "E0704", "the spec itself"),
    (["-o", "./linked.gate"], "E0704", "the spec itself"),
    (["-t", "all", "-o", "one.py"], "E0707", "one file"),
    (["rnn", "-o", "one.py"], "E0707", "2 cells"),
    (["-t", "c", "-o", "one.py"], "E0708", "-o one.c"),
    (["-t", "c", "-o", "a-b.c"], "E0708", "-o a_b.c"),
    (["--native", "-t", "numpy"], "E0711", "-t c"),
    (["--native", "-t", "c", "-o", "-"], "E0711", "files only"),
    (["--stop-after", "parse", "-o", "a.txt"], "E0711", "-o"),
]


@pytest.mark.parametrize(("words", "code", "text"), REFUSALS, ids=lambda x: str(x))
def test_refusals(run, words, code, text):
    write("spec.gate"), write("file")
    Path("linked.gate").symlink_to("spec.gate")
    before = {name: Path(name).read_bytes() for name in files()}
    status, out, err = run("compile", "spec.gate", *words)
    assert status == 2
    assert out == ""
    assert f"error[{code}]" in err
    assert text in err
    assert {name: Path(name).read_bytes() for name in files()} == before


def test_directory_in_the_way(run):
    Path("lstm.py").mkdir()
    code, _, err = run("compile", "lstm")
    assert code == 2
    assert "error[E0702]" in err


def test_two_cells_for_one_file(run):
    Path("a").mkdir(), Path("b").mkdir()
    write("a/cell.gate"), write("b/cell.gate", GRU)
    code, _, err = run("compile", "a/cell.gate", "b/cell.gate")
    assert code == 2
    assert "error[E0706]" in err
    assert "a/cell.gate" in err
    assert "b/cell.gate" in err
    assert files() == ["a", "b"]


def test_files_of_others_are_kept(run):
    """A file that gatec did not write is overwritten only when it is named."""
    write("lstm.py", "print('my own work')\n")
    code, _, err = run("compile", "lstm")
    assert code == 2
    assert "error[E0705]" in err
    assert "-o lstm.py" in err
    assert Path("lstm.py").read_text() == "print('my own work')\n"
    assert run("compile", "lstm", "-o", "lstm.py")[0] == 0


def test_a_python_spec_is_not_its_own_output(run):
    write("lstm.py", f'r"""A cell.\n\n.. math::\n\n    {RNN}"""\n')
    code, _, err = run("compile", "lstm.py")
    assert code == 2
    assert "error[E0704]" in err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable(run, here):
    write("out.py").chmod(0o444)
    assert "error[E0701]" in run("compile", "lstm", "-o", "out.py")[2]
    here.chmod(0o555)
    try:
        assert "error[E0701]" in run("compile", "lstm")[2]
    finally:
        here.chmod(0o755)


def test_bad_inputs(run):
    Path("folder").mkdir()
    write("empty.gate", ""), write("nul.gate", "h_t = \0\n"), write("prose.md", "no mathematics")
    Path("latin.gate").write_bytes("h_t = tanh(Ü x_t)".encode("latin-1"))
    Path("big.gate").write_bytes(b"#" * 5_000_000)
    write("deep.gate", "h_t = " + "(" * 100_000 + "h_{t-1}" + ")" * 100_000)
    for spec in ("folder", "missing.gate", "empty.gate", "nul.gate", "prose.md", "latin.gate",
                 "big.gate", "deep.gate", "doc:no.such:Thing", ""):  # fmt: skip
        code, out, err = run("compile", spec)
        assert (code, out) == (2, ""), spec
        assert "error[E" in err, spec


# --- native ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
def test_native(run):
    import ctypes

    code, out, _ = run("compile", "lstm", "-t", "c", "--native", "-o", ".")
    assert code == 0
    (library,) = [name for name in files() if name.endswith((".so", ".dylib"))]
    assert library in out
    assert library.startswith("lib")  # Python takes an lstm.so for the module lstm
    ctypes.CDLL(str(Path(library).resolve()))


def test_native_without_compiler(run, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(Path().resolve()))
    code, _, err = run("compile", "lstm", "-t", "c", "--native")
    assert code == 2
    assert "error[E0709]" in err
    assert "install gcc or clang" in err
    assert files() == []


@pytest.mark.parametrize(("cc", "code"), [("no-such-compiler", "E0709"), ("false", "E0710")])
def test_native_with_a_bad_compiler(run, monkeypatch, cc, code):
    monkeypatch.setenv("CC", cc)
    assert f"error[{code}]" in run("compile", "lstm", "-t", "c", "--native")[2]
    assert files() == []


# --- stages and show ------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["parse", "resolve", "passes", "adjoint"])
@pytest.mark.parametrize("name", resources.spec_names())
def test_stop_after(run, name, stage):
    code, out, err = run("compile", name, "--stop-after", stage)
    assert (code, err) == (0, "")
    assert out.strip()
    assert files() == []
    assert json.loads(run("compile", name, "--stop-after", stage, "--json")[1])["stage"] == stage


@pytest.mark.parametrize("name", resources.spec_names())
def test_show(run, name):
    code, out, err = run("show", name)
    assert (code, err) == (0, "")
    spec = resources.spec_path(name).read_text(encoding="utf-8")
    for line in spec.splitlines():
        if "=" in line and not line.startswith(("#", "init", "state")):
            assert line.strip().removesuffix("\\\\").strip() in out
    shown = json.loads(run("show", name, "--json")[1])["cells"][0]
    for item in shown["inputs"] + shown["states"] + shown["parameters"]:
        assert re.search(rf"^  {item['name']}\b.*{re.escape(item['rule'])}$", out, re.M)
        assert item["rule"]
    assert f"recurrence  {shown['recurrence']['kind']}: {shown['recurrence']['reason']}" in out


def test_show_lstm(run):
    shown = json.loads(run("show", "lstm", "--json")[1])["cells"][0]
    assert shown["name"] == "LSTM"
    assert [state["name"] for state in shown["states"]] == ["a", "c"]
    assert shown["stages"] == 1
    assert shown["recurrence"]["kind"] == "mixing"
    assert shown["mentions"] == []


@pytest.mark.parametrize("name", resources.spec_names())
def test_latex_reads_back_as_the_same_cell(run, name):
    """What `--latex` prints, compiled again, is the same function of the same parameters."""
    latex = run("show", name, "--latex")[1]
    before = json.loads(run("show", name, "--json")[1])["cells"][0]
    write(f"{name}.tex", f"\\begin{{document}}\n{latex}\\end{{document}}\n")
    after = json.loads(run("show", f"{name}.tex", "--json")[1])["cells"][0]
    for key in ("states", "parameters", "inputs"):
        strip = lambda items: [(i["name"], i["shape"]) for i in items]  # noqa: E731
        assert sorted(strip(after[key])) == sorted(strip(before[key]))
    assert after["stages"] == before["stages"]


@pytest.mark.parametrize("name", resources.spec_names())
def test_svg(run, name):
    out = run("show", name, "--svg")[1]
    root = ElementTree.fromstring(out)
    assert root.tag.endswith("svg")
    shown = json.loads(run("show", name, "--json")[1])["cells"][0]
    assert shown["name"] in out


def test_mentions(run):
    write("notes.md", "The size is $n = 5$, of $x$.\n\n$$h_t = \\tanh(W x_t + U h_{t-1})$$\n")
    out = run("show", "notes.md", "--mentions")[1]
    assert "notes.md:1:" in out
    assert "n = 5" in out
    assert run("show", "lstm", "--mentions")[1] == "LSTM: no formula was passed over\n"


def test_show_of_several_cells(run):
    write("notes.md", NOTES)
    out = run("show", "notes.md")[1]
    assert "cell Plain" in out
    assert "cell Gated" in out
    assert "error[E0712]" in run("show", "notes.md", "--svg")[2]
    assert run("show", "notes.md#Plain", "--svg")[0] == 0


def test_control_characters_never_reach_the_terminal(run):
    write("evil.gate", "# paper \x1b[31mred\x1b[0m \u202e\n" + RNN)
    assert "\x1b" not in run("show", "evil.gate")[1]
    write("evil.gate", "h_t = \x1b[31m + h_{t-1}\n")
    code, _, err = run("show", "evil.gate")
    assert code == 2
    assert "\x1b" not in err


# --- list and new ---------------------------------------------------------------------------------


def test_list(run):
    code, out, _ = run("list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == resources.spec_names()
    assert re.search(r"^lstm  +Hochreiter", out, re.M)
    specs = json.loads(run("list", "--json")[1])["specs"]
    assert [spec["name"] for spec in specs] == resources.spec_names()
    assert all(spec["paper"] for spec in specs)


@pytest.mark.parametrize("origin", resources.spec_names())
def test_new(run, origin):
    code, out, _ = run("new", "Mine", "--from", origin)
    assert (code, out) == (0, "Mine.gate\n")
    assert json.loads(run("show", "Mine.gate", "--json")[1])["cells"][0]["name"] == "Mine"
    assert run("compile", "Mine.gate")[0] == 0


def test_new_refuses(run):
    run("new", "Mine")
    code, _, err = run("new", "Mine.gate")
    assert code == 2
    assert "error[E0705]" in err
    assert "error[E0713]" in run("new", "Other", "--from", "lsmt")[2]
    assert "lstm" in run("new", "Other", "--from", "lsmt")[2]
    assert "error[E0714]" in run("new", "my cell")[2]
    assert "error[E0703]" in run("new", "missing/Cell")[2]
    assert files() == ["Mine.gate"]


# --- usage ----------------------------------------------------------------------------------------


def test_help(run):
    for words in (["--help"], ["-h"], ["help"]):
        code, out, _ = run(*words)
        assert code == 0
        assert all(command in out for command in ("compile", "show", "list", "new"))
    for command in ("compile", "show", "list", "new"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0


def test_version(run):
    assert run("--version") == (0, f"gatec {gatec.__version__}\n", "")


WRONG = [
    ([], "usage: gatec COMMAND"),
    (["complie", "lstm"], "did you mean compile?"),
    (["lstm"], "gatec compile lstm"),
    (["cell.gate"], "gatec compile cell.gate"),
    (["--verbose"], "unknown option --verbose"),
    (["compile"], "SPEC is missing"),
    (["compile", "lstm", "--taget", "c"], "did you mean --target?"),
    (["compile", "lstm", "-t", "nump"], "did you mean numpy?"),
    (["compile", "lstm", "--stop-after", "link"], "parse, resolve, passes or adjoint"),
    (["show"], "SPEC is missing"),
    (["show", "lstm", "gru"], "one argument too many"),
    (["show", "lstm", "--svg", "--latex"], "not allowed with"),
    (["new"], "NAME is missing"),
    (["check", "lstm"], "--against is missing"),
]


@pytest.mark.parametrize(("words", "text"), WRONG, ids=lambda x: str(x))
def test_wrong_usage(run, words, text):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert text in err


def test_options_anywhere(run):
    write("a.gate"), write("b.gate", GRU)
    assert run("compile", "a.gate", "-t", "numpy", "b.gate")[0] == 0
    assert "b_numpy.py" in files()


# --- manners --------------------------------------------------------------------------------------


def test_an_internal_error_is_no_traceback(run, monkeypatch):
    def broken(words):
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr(cli, "_run", broken)
    code, out, err = run("list")
    assert (code, out) == (70, "")
    assert "ZeroDivisionError: one" in err
    assert "bug in gatec" in err
    monkeypatch.setenv("GATEC_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_broken_pipe():
    """Whoever reads may leave: no complaint."""
    command = [sys.executable, "-m", "gatec", "show", "lstm"]
    for words in (["show", "lstm"], ["list"], ["compile", "lstm", "-t", "all", "-o", "-"]):
        command[3:] = words
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.stdout.close()
        assert started.wait(timeout=60) in (141, 0)
        assert started.stderr.read() == b""
        started.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_full_disk():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gatec", "list"], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.returncode == 2
    assert b"no space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_closed_output():
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m gatec list >&-"], capture_output=True, timeout=60
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_interrupt():
    """Ctrl-C while gatec waits for its input: one line, the usual exit code, no file."""
    started = subprocess.Popen(
        [sys.executable, "-m", "gatec", "compile", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Where the tests run in the background, children inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(1.5)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert err == b"gatec: interrupted\n"
    assert files() == []


def terminal(env):
    """What an error looks like on a terminal."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "gatec", "show", "bad.gate"],
        stderr=follower,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", **env},
    )
    assert child.wait(timeout=60) == 2
    os.close(follower)
    text = os.read(leader, 65536).decode()
    os.close(leader)
    return text


def test_colour_only_on_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    write("bad.gate", BAD)
    assert "\x1b[" in terminal({})
    assert "\x1b[" not in terminal({"NO_COLOR": "1"})
    assert "\x1b[" not in terminal({"TERM": "dumb"})
    assert b"\x1b[" not in process("show", "bad.gate").stderr


def test_command_is_installed():
    """`gatec` and `python -m gatec` are one program."""
    script = Path(sys.executable).with_name("gatec")
    if not script.exists():
        pytest.skip("gatec is not installed here")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"gatec {gatec.__version__}\n"

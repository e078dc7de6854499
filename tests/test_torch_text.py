"""The text of generated PyTorch modules: as a person would write it, and nothing but itself."""

import ast
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch
from harness import compiled, compiled_text, load
from papers import PAPERS
from torch.utils._python_dispatch import TorchDispatchMode

from gatec import backends, resources

SPECS = resources.spec_names()
ODD = {
    "inputs": "input x, e\nh_t = tanh(W x_t + V e_t + U h_{t-1} + b)",
    "lags": "h_t = tanh(W x_t + V x_{t-2} + U h_{t-1} + u ⊙ h_{t-3} + b)",
    "unread": "x'_t = x_{t-3}\nh_t = tanh(W x'_t + U h_{t-1})",
    "sizes": "const \\gamma = 0.3\nsize k = 4\nparam P : n_h x k\nparam V : k x n_h\n"
    "s_t = sigmoid(V h_{t-1})\nh_t = \\gamma P s_t + W x_t",
    "scalars": "input x : scalar\nstate h : scalar\nparam u : scalar\nh_t = tanh(x_t + u h_{t-1})",
    "squares": "h_t = tanh(x_t + U h_{t-1})",
    "matrices": "S_t = S_{t-1} + (V x_t) (K x_t)^\\top\noutput S",
    "learned": "state h learned\nstate c = 1\nc_t = W x_t + c_{t-1}\nh_t = tanh(c_t + h_{t-1})",
    "inits": "h_t = tanh(W x_t + U h_{t-1} + b)\ninit U = orthogonal\ninit b = 1",
    "idle": "input x\nstate h learned\nh_t = tanh(U h_{t-1} + b)\ny_t = x_t",
    "none": "h_t = tanh(x_t + h_{t-1})",
    "quotes": '# a """ quoted """ comment, and one that ends in \\\nh_t = tanh(W x_t + h_{t-1})',
    "long": "h_t = tanh(" + " + ".join(f"W_{{{i}}} x_t" for i in range(40)) + " + U h_{t-1})",
    "cases": "z_t = W x_t + U h_{t-1}\n"
    "h_t = \\begin{cases} z_t & z_t > 0 \\\\ 0.5 z_t & z_t \\le 0 \\end{cases}",
}


@cache
def text_of(name):
    if name in SPECS:
        program = compiled(resources.spec_path(name))
    elif name in ODD:
        program = compiled_text(f"cell Odd\n{ODD[name]}", f"{name}.gate")
    else:
        paper = next(paper for paper in PAPERS if paper.name == name)
        program = compiled_text(paper.text, f"{name}.{paper.suffix}")
    (text,) = backends.load("torch").generate(program, name).values()
    return text


def test_linter_and_formatter_change_nothing(tmp_path):
    """With ruff's default settings, for every spec, every paper and unusual cells."""
    beside = Path(sys.executable).with_name("ruff")
    ruff = str(beside) if beside.exists() else shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for name in (*SPECS, *ODD, *(paper.name for paper in PAPERS)):
        (tmp_path / f"{name}_cell.py").write_text(text_of(name), encoding="utf-8")
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [ruff, *command, "--isolated", "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[:5000] + done.stderr[:1000]


def test_deterministic():
    """The same bytes from processes that hash differently."""
    script = (
        "from gatec import backends, compiler\n"
        "for name in ('lstm', 'gru_v3', 'slstm'):\n"
        "    (unit,) = compiler.units(name)\n"
        "    program = compiler.program(compiler.front(unit.document).cell)\n"
        "    print(*backends.load('torch').generate(program, name).values())\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert text_of("lstm").encode() in texts.pop()


@pytest.mark.parametrize("name", [*SPECS, *ODD])
def test_needs_torch_alone(name):
    """gatec is tried once, for its kernels."""
    imported = set()
    tree = ast.parse(text_of(name))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.Try)]
    assert {node.module for node in guarded.body} == {"gatec.runtime"}
    tree.body.remove(guarded)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported - {"torch"} <= {"__future__", "collections", "math", "warnings"}


def test_runs_without_gatec(tmp_path):
    (tmp_path / "lstm.py").write_text(text_of("lstm"))
    script = (
        "import sys; sys.modules['gatec'] = None; import torch, lstm; m = lstm.LSTM(3, 4); "
        "m(torch.zeros(2, 1, 3)); print(m.path)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "eager: gatec is not installed", done.stderr


@pytest.mark.parametrize("name", SPECS)
def test_equations_stand_above_their_lines(name):
    """Every equation of the spec is in the header and above the statement for it."""
    text = text_of(name)
    code = text.partition("def _layer(")[2].partition("return _scan(")[0]
    comments = " ".join(line.strip(" #") for line in code.split("\n") if "#" in line)
    for equation in compiled(resources.spec_path(name)).source.equations:
        assert equation.text in text
        assert equation.text in comments
        assert f" {equation.name} = " in code


def test_documentation():
    """Shapes of everything, by the names of the equations."""
    made = load_text("lstm").LSTM
    for line in (
        "W_f, W_u, W_c, W_o: (hidden_size, hidden_size + input_size)",
        "b_f, b_u, b_c, b_o: (hidden_size,)",
    ):
        assert line in made.__doc__
    assert "(T, B, input_size)" in made.forward.__doc__
    assert "(num_layers * directions, B, hidden_size)" in made.forward.__doc__
    assert "(B, hidden_size)" in made.cell.__doc__


def load_text(name):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return load(text_of(name), Path(folder))


def test_text_of_a_spec_stays_text():
    module = load_text("quotes")
    assert "quoted" in module.__doc__


@pytest.mark.parametrize("stem", ["tuple", "super", "range", "Sequence", "warnings", "torch"])
def test_files_named_like_python(stem, tmp_path):
    """The class hides nothing that its module needs."""
    program = compiled_text("h_t = tanh(W x_t + U h_{t-1})", f"{stem}.gate")
    (text,) = backends.load("torch").generate(program, stem).values()
    layer = getattr(load(text, tmp_path), program.source.name)(2, 3)
    assert layer(torch.zeros(4, 1, 2))[0].shape == (4, 1, 3)


# --- What is computed how often -------------------------------------------------------------------


class Products(TorchDispatchMode):
    """Counts the matrix products that run, by their rows."""

    def __init__(self):
        super().__init__()
        self.rows = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.partition(".")[0]
        if name in ("mm", "addmm"):
            self.rows[args[name == "addmm"].shape[0]] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("name", "each_step"), [("lstm", 1), ("gru_v3", 1), ("gru", 2)])
def test_products_are_grouped(name, each_step):
    """One product for the inputs of all steps and gates; those of the state once per step."""
    steps, batch = 7, 3
    module = load_text(name)
    layer = next(
        v for v in vars(module).values() if getattr(v, "__module__", "") == module.__name__
    )
    with torch.no_grad(), Products() as products:
        layer(4, 5)(torch.zeros(steps, batch, 4))
    assert products.rows == {steps * batch: 1, batch: each_step * steps}


# --- Size -----------------------------------------------------------------------------------------


def test_sums_of_thousands_of_terms(tmp_path):
    terms = " + ".join(f"b_{{{i}}}" for i in range(3000))
    program = compiled_text(f"cell Sum\nh_t = tanh(W x_t + U h_{{t-1}} + {terms})", "sum.gate")
    (text,) = backends.load("torch").generate(program, "sum").values()
    layer = load(text, tmp_path).Sum(2, 3, dtype=torch.float64)
    x = torch.randn(2, 1, 2, dtype=torch.float64)
    bias = sum(getattr(layer, f"b_{i}") for i in range(3000))
    first = torch.tanh(x[0] @ layer.W.T + bias)
    second = torch.tanh(x[1] @ layer.W.T + first @ layer.U.T + bias)
    torch.testing.assert_close(layer(x)[1][0], second, rtol=0, atol=1e-10)


@pytest.mark.parametrize("function", ["tanh", "relu6", "softplus", "mish"])
def test_deep_nesting(function, tmp_path):
    """Functions 150 deep, more brackets than Python reads in one expression."""
    nested = f"{function}(" * 150 + "W x_t + h_{t-1}" + ")" * 150
    program = compiled_text(f"cell Deep\nh_t = {nested}", "deep.gate")
    (text,) = backends.load("torch").generate(program, "deep").values()
    layer = load(text, tmp_path).Deep(2, 3, dtype=torch.float64)
    x = torch.randn(1, 1, 2, dtype=torch.float64)
    wanted = x[0] @ layer.W.T
    for _ in range(150):
        wanted = getattr(torch, function, getattr(torch.nn.functional, function, None))(wanted)
    torch.testing.assert_close(layer(x)[0][0], wanted, rtol=1e-10, atol=1e-12)

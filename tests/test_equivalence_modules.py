"""`module:`: hand-written modules of PyTorch against equations.

What is claimed is checked from outside: where two are said to be equal, the module runs with
random weights, the table of the match is evaluated as the Python it reads like, and the equations
are interpreted with what it gives.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import gatec
from gatec import interpret
from gatec.cli import main
from gatec.equivalence import modules
from gatec.equivalence.modules import construct
from gatec.equivalence.modules.address import SizeName, parse
from gatec.equivalence.verdict import Kind
from gatec.errors import GatecError
from gatec.source import read_text

FILE = Path(__file__).parent / "data" / "modules.py"
SIZES = {"input_size": 3, "hidden_size": 5}
STEPS, ROWS = 4, 3

LEAKY = r"h_t = (1 - \alpha) h_{t-1} + \alpha \tanh(W x_t + U h_{t-1} + b)"
GATED = r"""
z_t = \sigma(W_z x_t + b_z)
h_t = z_t \odot \tanh(W x_t + U h_{t-1} + b)
"""
NORMALISED = r"""
h_t = \tanh(LayerNorm(W x_t + U h_{t-1} + b) \odot g + d)
"""
MEMORY = r"""
q_t = W_q x_t
k_t = W_k x_t
v_t = W_v x_t
S_t = \lambda S_{t-1} + v_t k_t^\top
o_t = S_t q_t
"""


def address(name):
    return f"module:{FILE}:{name}"


def compared(spec, name):
    return modules.compare(gatec.parse(spec).cell, name if ":" in name else address(name))


def instance(name):
    """A module in float64 with random weights."""
    if name.startswith("torch.nn:"):
        cls = getattr(nn, name.partition(":")[2])
    else:
        spec = importlib.util.spec_from_file_location("modules_under_test", FILE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        cls = getattr(module, name)
    generator = torch.Generator().manual_seed(5)
    made = cls(3, 5).double().eval()
    with torch.no_grad():
        for param in made.parameters():
            param.copy_(torch.randn(param.shape, generator=generator, dtype=torch.float64) / 2)
    return made


class Names(dict):
    """What a text of the match may mean: parameters by their dotted names, sizes, constants."""

    def __init__(self, module):
        super().__init__({name: getattr(module, name) for name in dir(module) if name[0] != "_"})
        self |= SIZES


def evaluated(text, module, shape):
    """The value of a text of the match, for a parameter of a shape."""
    value = eval(text, {"__builtins__": {}}, Names(module))
    if isinstance(value, list):
        value = torch.cat(value, dim=1)
    if not isinstance(value, torch.Tensor):
        value = torch.full(shape, float(value), dtype=torch.float64)
    return value.detach().reshape(shape).numpy()


def outputs(module, x):
    """What a module gives for a sequence (T, B, units) from zero states, however it is called."""
    name = type(module).__name__
    zero = torch.zeros(ROWS, 5, dtype=torch.float64)
    with torch.no_grad():
        if name in ("OwnLoop", "StoppedRNN", "LSTM", "GRU", "RNN", "ColumnsLSTM"):
            found = module(x)
            return found[0] if isinstance(found, tuple) else found
        if name == "LastState":
            return torch.stack([module(x[: t + 1]) for t in range(STEPS)])
        if name == "SequenceGRU":
            return module(x.transpose(0, 1))[0].transpose(0, 1)
        if name == "AttentiveMemory":
            state, found = None, []
            for step in x:
                out, state = module(step, state)
                found.append(out)
            return torch.stack(found)
        found, states = [], (zero, zero)
        for step in x:
            if name in ("JoinedLSTM", "GuardedLSTM", "ForgetBiasLSTM"):
                out, states = module(step, states)
            elif name == "SplitLSTM":
                states = module(step, *states)
                out = states[0]
            elif name in ("PeepholeLSTM", "LSTMCell"):
                states = module(step, states)
                out = states[0]
            else:
                out = module(step, states[0])
                states = (out, zero)
            found.append(out)
        return torch.stack(found)


def agrees(spec, name, rows):
    """Whether the equations compute what a module does, with the parameters of the match."""
    cell = gatec.parse(spec).cell
    module = instance(name)
    texts = {row.spec: row.module for row in rows}
    params = {}
    for param in cell.params:
        shape = tuple(dim.value(SIZES) for dim in param.shape)
        params[param.name] = evaluated(texts[param.name], module, shape)
    x = torch.randn(STEPS, ROWS, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    made = interpret.run(cell, params, {cell.inputs[0].name: x.numpy()}, sizes=SIZES)
    wanted = outputs(module, x).numpy()
    return np.allclose(made.outputs, wanted, rtol=1e-10, atol=1e-12)


# --- Equal ----------------------------------------------------------------------------------------

EQUAL = [
    ("lstm", "JoinedLSTM"),
    ("lstm", "SplitLSTM"),
    ("lstm", "LastState"),
    ("lstm_peephole", "PeepholeLSTM"),
    ("gru", "SequenceGRU"),
    ("gru", "EinsumGRU"),
    ("mgu", "MGU"),
    ("rnn", "OwnLoop"),
    (LEAKY, "LeakyRNN"),
    (NORMALISED, "NormalisedRNN"),
    (MEMORY, "AttentiveMemory"),
    ("lstm", "ForgetBiasLSTM"),
    ("lstm", "ColumnsLSTM"),
]


@pytest.mark.parametrize(("spec", "name"), EQUAL, ids=[name for _, name in EQUAL])
def test_equal(spec, name):
    verdict = compared(spec, name)
    assert verdict.kind is Kind.EQUAL
    assert verdict.basis == "exact"
    assert all(row.how == "proved" for row in verdict.extra["match"])
    assert not verdict.extra["notes"]
    # Gates are flipped in one of them: then the rows are negated, which Python reads as well.
    assert agrees(spec, name, verdict.extra["match"])


def test_the_table_is_what_python_reads():
    """A wrong row is seen by the check above."""
    rows = compared("lstm", "JoinedLSTM").extra["match"]
    texts = {row.spec: row.module for row in rows}
    assert texts["b_f"] == "gates.bias[hidden_size:2 * hidden_size]"
    assert texts["b_o"] == "gates.bias[:hidden_size]"
    swapped = [
        type(row)(row.spec, texts["b_o" if row.spec == "b_f" else row.spec], row.how)
        for row in rows
    ]
    assert not agrees("lstm", "JoinedLSTM", swapped)


DOCUMENTED = ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_torch_computes_what_it_documents(name):
    spec = f"doc:torch.nn:{name}"
    verdict = compared(spec, f"torch.nn:{name}")
    assert verdict.kind is Kind.EQUAL
    assert agrees(spec, f"torch.nn:{name}", verdict.extra["match"])


def test_arguments_of_the_constructor():
    relu = r"h_t = \operatorname{ReLU}(W x_t + U h_{t-1} + b)"
    assert compared(relu, "torch.nn:RNN(nonlinearity='relu')").kind is Kind.EQUAL
    assert compared(relu, "torch.nn:RNN").kind is Kind.DIFFERENT
    assert compared("lstm", "torch.nn:LSTM(batch_first=True, num_layers=1)").kind is Kind.EQUAL
    without = compared("lstm", "torch.nn:LSTM(bias=False)")
    assert without.kind is Kind.GENERALISATION
    assert {row.module for row in without.extra["match"] if row.spec.startswith("b_")} == {"0"}


def test_constants_of_the_constructor():
    """A constant follows the constructor's argument, and is not taken for its default."""
    fixed = compared("const \\alpha = 0.1\n" + LEAKY, "LeakyRNN")
    assert fixed.kind is Kind.EQUAL
    assert {row.spec: row.module for row in fixed.extra["match"]}["alpha"] == "alpha"
    # The equations may also hold the number itself: the module takes any.
    number = LEAKY.replace(r"\alpha", "0.1").replace("1 - 0.1", "0.9")
    assert compared(number, "LeakyRNN").kind is Kind.SPECIAL_CASE


def test_a_learned_start():
    learned = "state h learned\n" + r"h_t = \tanh(W x_t + U h_{t-1} + b)"
    verdict = compared(learned, "LearnedStart")
    assert verdict.kind is Kind.EQUAL
    assert not verdict.extra["notes"]
    # From zero it is a special case: the start is a parameter.
    assert compared("rnn", "LearnedStart").kind is Kind.SPECIAL_CASE


# --- Wrong in the ways people are wrong -----------------------------------------------------------

DIFFERENT = [
    # spec, module, what the first equation that differs defines, the line of the module
    ("lstm", "NoTanh", r"a^{<t>} =", "h = torch.sigmoid(o) * c"),
    ("lstm", "ForgetOnInput", r"c^{<t>} =", "c = torch.sigmoid(f) * (c + "),
    ("lstm_peephole", "EarlyPeephole", "o(t) =", "o = torch.sigmoid(o + self.peep[2] * c)"),
    (GATED, "SigmoidOfProduct", "h_t =", "return torch.sigmoid(self.z(x) * candidate)"),
    ("gru", "ResetAfter", "h̃_t =", "candidate = torch.tanh(a[:, 2 * n :] + r * u[:, 2 * n :])"),
]


@pytest.mark.parametrize(
    ("spec", "name", "equation", "line"), DIFFERENT, ids=[case[1] for case in DIFFERENT]
)
def test_different(spec, name, equation, line):
    verdict = compared(spec, name)
    assert verdict.kind is Kind.DIFFERENT
    assert verdict.basis == "certified"
    mine, theirs = verdict.counterexample.equation
    assert mine.startswith(equation)
    assert re.match(r"modules\.py:\d+: ", theirs)
    assert line in theirs


def test_off_by_one():
    verdict = compared("rnn", "OffByOne")
    assert verdict.kind is Kind.DIFFERENT
    assert verdict.basis == "certified"


def test_a_bias_is_missing():
    verdict = compared("lstm", "BiaslessCandidate")
    assert verdict.kind is Kind.GENERALISATION
    zero = [row.spec for row in verdict.extra["match"] if row.module == "0"]
    assert zero == ["b_c"]


def test_gradients_that_stop():
    verdict = compared("rnn", "StoppedRNN")
    assert verdict.kind is Kind.EQUAL
    (note,) = verdict.extra["notes"]
    assert "gradients" in note
    assert agrees("rnn", "StoppedRNN", verdict.extra["match"])


def test_documentation_with_functions_in_words():
    text = instance("Documented").__doc__
    (document,) = read_text(text, "doc", "docstring")
    with pytest.raises(GatecError, match="E0204"):
        gatec.parse(text)
    verdict = modules.compare(document, address("Documented"))
    assert verdict.kind is Kind.EQUAL
    (note,) = verdict.extra["notes"]
    assert r"\psi is sigmoid and \phi is softplus" in note


def test_a_greek_letter_is_a_number():
    """`\\alpha \\odot h` may be a vector; where the module has a number, it is that."""
    verdict = compared(
        r"h_t = \alpha \odot \tanh(W x_t + U h_{t-1} + b) + (1 - \alpha) \odot h_{t-1}", "LeakyRNN"
    )
    assert verdict.kind is Kind.EQUAL
    assert "alpha" in verdict.extra["notes"][0]


# --- By numbers -----------------------------------------------------------------------------------


def test_what_cannot_be_read_is_compared_by_numbers():
    verdict = compared("lstm", "GuardedLSTM")
    assert verdict.kind is Kind.EQUAL_NUMERICALLY
    assert verdict.basis == "numerical"
    assert verdict.replays[0].outputs < 1e-12
    assert verdict.replays[0].gradients < 1e-9
    texts = {row.spec: row.module for row in verdict.extra["match"]}
    assert texts["b_f"] == "gates.bias[hidden_size:2 * hidden_size]"
    assert texts["b_u"] == "gates.bias[3 * hidden_size:4 * hidden_size]"
    assert any("values of its tensors" in note for note in verdict.extra["notes"])


def test_a_scan_in_parallel():
    """Steps that are computed all at once hide their recurrence: numbers tell."""
    assert compared("mingru", "ParallelScan").kind is Kind.EQUAL_NUMERICALLY


def test_what_cannot_be_read_may_be_different():
    verdict = compared("lstm", "GuardedNoTanh")
    assert verdict.kind is Kind.DIFFERENT
    assert verdict.basis == "numerical"
    assert "from step 1 on" in verdict.reason


# --- Operations -----------------------------------------------------------------------------------

F = nn.functional
STEP = {
    "linear of a join": lambda m, x, h: torch.tanh(F.linear(torch.cat([x, h], 1), m.both, m.b)),
    "addmm": lambda m, x, h: torch.addmm(m.b, x, m.W.t(), beta=0.5, alpha=2) + h,
    "einsum": lambda m, x, h: torch.einsum("oi,bi->bo", m.W, x) + h * m.b,
    "matvec per row": lambda m, x, h: torch.matmul(m.U, h.unsqueeze(-1)).squeeze(-1) + x @ m.W.t(),
    "chunks of a view": lambda m, x, h: (
        (x @ m.packed.t()).view(-1, 3, h.shape[1]).unbind(1)[1].sigmoid() * h
    ),
    "reshape and transpose": lambda m, x, h: (
        (x @ m.packed.t()).reshape(x.shape[0], 3, -1).transpose(0, 1)[2] + h
    ),
    "softmax over gates": lambda m, x, h: (
        torch.stack((x @ m.packed.t()).chunk(3, 1)).softmax(0) * torch.stack([h, h * 2, m.b * h])
    ).sum(0),
    "softmax over units": lambda m, x, h: torch.softmax(x @ m.W.t() + h, -1) + h,
    "log_softmax": lambda m, x, h: torch.log_softmax(x @ m.W.t() + h, -1),
    "clamp": lambda m, x, h: (x @ m.W.t() + h).clamp(-0.3, 0.4),
    "hard functions": lambda m, x, h: F.hardsigmoid(x @ m.W.t()) * F.hardtanh(h) + F.relu6(h),
    "leaky": lambda m, x, h: F.leaky_relu(x @ m.W.t() + h, 0.2) + F.leaky_relu(h),
    "elu": lambda m, x, h: F.elu(x @ m.W.t(), 0.7) + F.selu(h) + F.celu(h),
    "softplus": lambda m, x, h: F.softplus(x @ m.W.t(), beta=2) + F.softplus(h),
    "gelu": lambda m, x, h: F.gelu(x @ m.W.t()) + F.gelu(h, approximate="tanh"),
    "silu and mish": lambda m, x, h: F.silu(x @ m.W.t()) + F.mish(h) + F.logsigmoid(h),
    "prelu": lambda m, x, h: F.prelu(x @ m.W.t() + h, m.slope),
    "where": lambda m, x, h: torch.where(h > 0.1, x @ m.W.t(), -h),
    "conditions as numbers": lambda m, x, h: (h > 0).to(h.dtype) * h + x @ m.W.t(),
    "maximum": lambda m, x, h: torch.maximum(x @ m.W.t(), h) + torch.minimum(h, m.b),
    "powers": lambda m, x, h: (x @ m.W.t()).square() + h.pow(3) + (h.pow(2) + 1).rsqrt() + 2**h,
    "trigonometry": lambda m, x, h: (x @ m.W.t()).sin() + h.cos() + torch.atan(h),
    "exponentials": lambda m, x, h: (x @ m.W.t()).exp() + h.expm1() + h.square().log1p() + h.erf(),
    "lerp": lambda m, x, h: (
        torch.lerp(h, x @ m.W.t(), torch.sigmoid(m.b)) + torch.lerp(h, m.b, 0.3)
    ),
    "addcmul": lambda m, x, h: torch.addcmul(h, m.b, x @ m.W.t(), value=0.5),
    "rsub": lambda m, x, h: 1 - torch.sub(h, x @ m.W.t(), alpha=2) + torch.rsub(h, 3),
    "layer_norm": lambda m, x, h: F.layer_norm(x @ m.W.t() + h, (h.shape[1],), m.b, m.b),
    "layer_norm of its own": lambda m, x, h: F.layer_norm(x @ m.W.t() + h, (h.shape[1],), eps=1e-3),
    "rms_norm": lambda m, x, h: F.rms_norm(x @ m.W.t() + h, (h.shape[1],), m.b, eps=1e-6),
    "means": lambda m, x, h: h - h.mean(-1, keepdim=True) + x @ m.W.t() * h.std(1, keepdim=True),
    "norms": lambda m, x, h: (
        F.normalize(x @ m.W.t() + h, dim=-1) + h.norm(p=1, dim=1, keepdim=True)
    ),
    "largest": lambda m, x, h: x @ m.W.t() + h.amax(-1, keepdim=True) - h.amin(-1, keepdim=True),
    "in place": lambda m, x, h: (x @ m.W.t()).add_(h).mul_(0.5).sigmoid_(),
    "written parts": lambda m, x, h: written(m, x, h),
    "one unit": lambda m, x, h: x @ m.W.t() * h[:, :1] + h[:, 2:3],
    "stacked in front": lambda m, x, h: torch.stack([x @ m.W.t(), h]).sum(0),
    "expanded": lambda m, x, h: x @ m.W.t() + m.b.expand_as(h) * h + m.b.repeat(x.shape[0], 1),
    "flip": lambda m, x, h: torch.stack([x @ m.W.t(), h], 1).flip(1)[:, 1] - h,
    "zeros and ones": lambda m, x, h: (
        torch.ones_like(h) - h + x.new_full(h.shape, 2.0) * (x @ m.W.t())
    ),
    "sizes as numbers": lambda m, x, h: (x @ m.W.t() + h) / h.shape[1] ** 0.5,
    "weights of weights": lambda m, x, h: (
        x @ m.W.t() + h @ (m.U - m.U.t() - 0.1 * torch.eye(len(m.U)))
    ),
    "row vectors": lambda m, x, h: x @ m.W.t() + h @ m.U,
    "diagonal": lambda m, x, h: x @ m.W.t() + (h.unsqueeze(1) * m.U).sum(-1),
}


def written(m, x, h):
    out = torch.empty_like(h)
    half = torch.zeros(2, *h.shape, dtype=h.dtype)
    half[0] = x @ m.W.t()
    half[1] += h
    out.copy_(half[0])
    out[:, 1:] += half[1][:, 1:]
    return out


class Step(nn.Module):
    """One expression of `STEP`."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.W = nn.Parameter(torch.randn(hidden_size, input_size))
        self.U = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.both = nn.Parameter(torch.randn(hidden_size, input_size + hidden_size))
        self.packed = nn.Parameter(torch.randn(3 * hidden_size, input_size))
        self.b = nn.Parameter(torch.randn(hidden_size))
        self.slope = nn.Parameter(torch.randn(1))

    def forward(self, x, h):
        return self.expression(x, h)


@pytest.mark.parametrize("name", STEP)
def test_operations(name, monkeypatch):
    """What is read of an operation is what PyTorch computes, at values not seen before."""
    cls = type("Step", (Step,), {"expression": STEP[name]})
    monkeypatch.setattr(sys.modules[__name__], "Current", cls, raising=False)
    found = modules.load(f"module:{__name__}:Current")
    assert found.traced is not None, found.reason
    assert not found.notes
    traced = found.traced
    module = cls(3, 5).double().eval()
    tensors = dict(module.named_parameters())
    params = {
        block.name: block.of(tensors, SIZES).detach().numpy() for block in traced.blocks.values()
    }
    x = torch.randn(STEPS, ROWS, 3, dtype=torch.float64)
    h = torch.randn(ROWS, 5, dtype=torch.float64)
    state = {traced.states[0]: h.numpy()}
    wanted = []
    with torch.no_grad(), construct.quiet():
        for step in x:
            h = module(step, h)
            wanted.append(h)
    with np.errstate(all="ignore"):
        made = interpret.run(traced.cell, params, {"x": x.numpy()}, state, sizes=SIZES)
    np.testing.assert_allclose(made.outputs, torch.stack(wanted).numpy(), rtol=1e-9, atol=1e-9)


# --- Errors ---------------------------------------------------------------------------------------

ERRORS = [
    ("module:torch.nn:LSTM(3)", "E0801"),
    ("module:torch.nn:LSTM(bias=print())", "E0801"),
    ("module:no such thing", "E0801"),
    ("module:nosuchmodule:LSTM", "E0802"),
    ("module:nosuchfile.py:LSTM", "E0802"),
    ("module:torch.nn:LSTN", "E0802"),
    (address("function"), "E0803"),
    (address("Needy"), "E0804"),
    (address("BatchMixer"), "E0805"),
    ("module:torch.nn:Bilinear(in1_features=3, in2_features=3, out_features=4)", "E0805"),
    ("module:torch.nn:LSTM(bidirectional=True)", "E0805"),
]


@pytest.mark.parametrize(
    ("name", "code"), ERRORS, ids=[name.split(":", 1)[1] for name, _ in ERRORS]
)
def test_errors(name, code):
    with pytest.raises(GatecError) as error:
        modules.load(name)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == code
    assert diagnostic.file == name.removeprefix("module:") or diagnostic.file == name
    assert diagnostic.hint


def test_a_module_that_does_not_import(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import sys\nsys.exit('no')\n")
    with pytest.raises(GatecError, match=r"E0802.*SystemExit"):
        modules.load(f"module:{path}:Cell")


def test_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from gatec.errors import GatecError\n"
        "from gatec.equivalence import modules\n"
        "try: modules.load('module:torch.nn:LSTM')\n"
        "except GatecError as error: print(error.diagnostics[0].code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "E0806", done.stderr


def test_addresses():
    found = parse("module:pkg.mod:Outer.Cell(units=hidden_size, bias=False, slope=-0.5, kind='a')")
    assert (found.place, found.names) == ("pkg.mod", ("Outer", "Cell"))
    assert found.keywords == {
        "units": SizeName("hidden_size"),
        "bias": False,
        "slope": -0.5,
        "kind": "a",
    }
    assert parse("a/b c.py:Cell").place == "a/b c.py"
    assert parse("pkg.mod.Cell").names == ("Cell",)


def test_the_command(capsys):
    """`gatec check`, end to end: the answer, the exit code, the same text in another process."""
    words = ["check", "lstm", "--against", address("NoTanh")]
    assert main(words) == 1
    text = capsys.readouterr().out
    assert "h = torch.sigmoid(o) * c" in text
    again = subprocess.run([sys.executable, "-m", "gatec", *words], capture_output=True, text=True)
    assert again.returncode == 1, again.stderr
    assert again.stdout == text


INTERLEAVED = """
import torch
from torch import nn


class Interleaved(nn.Module):
    \"\"\"A GRU whose gates lie in each other: r_0, z_0, r_1, z_1, ...\"\"\"

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.gates = nn.Linear(input_size + hidden_size, 2 * hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, h):
        gates = torch.sigmoid(self.gates(torch.cat([x, h], 1))).view(len(x), self.hidden_size, 2)
        r, z = gates[..., 0], gates[..., 1]
        n = torch.tanh(self.candidate(torch.cat([x, r * h], 1)))
        return (1 - z) * n + z * h
"""


def test_gates_that_lie_in_each_other_are_not_called_different(tmp_path):
    """It is the GRU, in an order of rows that no search tries: anything but `different`."""
    place = tmp_path / "interleaved.py"
    place.write_text(INTERLEAVED)
    found = gatec.check("gru", f"module:{place}:Interleaved")
    assert found.kind is not Kind.DIFFERENT

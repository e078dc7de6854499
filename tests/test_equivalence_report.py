"""Reports on comparisons: what they say, against numbers computed by hand; how they look."""

import html.parser
import importlib.util
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import equivalence_texts as texts
import numpy as np
import pytest

import gatec
from gatec import compiler
from gatec.equivalence.check import check
from gatec.equivalence.comparison import Compared, Comparison
from gatec.equivalence.laws import LAWS
from gatec.equivalence.match import Found
from gatec.equivalence.report.names import plain, timed
from gatec.equivalence.verdict import Fingerprint, Kind, Replay, Verdict
from gatec.expr import Ref

ROOT = Path(__file__).parents[1]


@cache
def compared(name, title):
    text = getattr(texts, name, name)
    return Compared(title, name, compiler.front(compiler.single(text).document).cell)


@cache
def comparison(one, other):
    mine, theirs = compared(one, "Mine"), compared(other, "Theirs")
    return Comparison(mine, theirs, check(mine.cell, theirs.cell))


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "name", "now", "before"),
    [
        (r"\Gamma_{f}", "Γ_f", "Γ_{f,t}", "Γ_{f,t-1}"),
        (r"\tilde{c}", "c̃", "c̃_t", "c̃_{t-1}"),
        (r"W_{ih}", "W_ih", None, None),
        (r"\mathbf{W}_{ih}^{f}", "W_ih^f", None, None),
        (r"W_{x,f}", "W_{x,f}", None, None),
        (r"W^{(z)}", "W^{(z)}", None, None),
        (r"f'", "f'", "f'_t", "f'_{t-1}"),
        (r"\Delta t", "Δt", None, None),
    ],
)
def test_names(symbol, name, now, before):
    assert plain(symbol) == name
    if now:
        assert (timed(name, 0), timed(name, 1)) == (now, before)


def test_names_of_both_cells_never_meet():
    found = check(compared("indrnn", "A").cell, compared("RELU_RNN", "B").cell)
    report = Comparison(compared("indrnn", "A"), compared("RELU_RNN", "B"), found)
    assert "h'" in str(report)  # the second cell's h


# --- Maps -----------------------------------------------------------------------------------------


def test_map_of_joined_weights_and_two_biases():
    shown = lines(comparison("NOTES_LSTM", "TORCH_LSTM").text())
    assert "W_f = [W_hf', W_if'] # columns of a_{t-1}, x_t" in shown
    assert {"b_f = b_if' + b_hf'", "b_f = b_hf' + b_if'"} & set(shown)
    assert "W_hf' = W_f[columns of a_{t-1}]" in shown
    assert "Γ_{u,t} = i_t'" in shown
    assert "a = h' # state" in shown


def test_map_with_a_complement():
    shown = lines(comparison("CHO_GRU", "COURSERA_GRU").text())
    assert "z_t = 1 - Γ_{u,t}'" in shown
    assert "b_z = -b_u'" in shown


def test_what_a_special_case_fixes():
    shown = comparison("CIFG", "SPLIT_LSTM").text()
    fixed = lines(shown[shown.index("what that fixes in Theirs") :])
    assert "f_t' = 1 - i_t' # gate" in fixed or "i_t' = 1 - f_t' # gate" in fixed
    assert "W_f' = -W_i' # parameter" in fixed or "W_i' = -W_f' # parameter" in fixed
    shown = comparison("SPLIT_LSTM", "PEEPHOLE").text()
    fixed = lines(shown[shown.index("what that fixes in Theirs") : shown.index("how it is proved")])
    assert [line for line in fixed if "=" in line] == [
        f"p_{gate}' = 0 # parameter" for gate in ("i", "f", "o")
    ]


def test_a_bias_that_another_makes_up_for_is_not_fixed():
    shown = comparison("CIFG", "TORCH_LSTM").text()
    fixed = shown[shown.index("what that fixes in Theirs") : shown.index("how it is proved")]
    assert "= 0" not in fixed
    assert re.search(r"[fi]_t' += 1 - [fi]_t'", fixed)


def test_a_mixed_constant_is_named():
    fixed = comparison("JANET_HALF", "SPLIT_LSTM").text()
    assert "o_t' = 0.5 # gate" in lines(fixed)


def test_a_diagonal_is_called_that():
    shown = comparison("DIAGONAL_RNN", "RNN").text()
    assert "U' = diag(u)" in lines(shown)
    assert "U' = diag(u) # diagonal" in lines(shown)


def test_states_that_do_nothing_are_told():
    shown = lines(comparison("RNN", "MEMORY_RNN").text())
    assert "V' = 0 # parameter" in shown
    assert "m' = anything # state; it does nothing then" in shown


def test_generalisation_reads_the_same_map_from_the_other_side():
    found = comparison("PEEPHOLE", "SPLIT_LSTM")
    assert found.headline.startswith("Theirs is Mine with some of its parameters fixed or tied")
    assert "p_i = 0 # parameter" in lines(found.text())


def test_limit_case():
    found = comparison("RNN", "MGU")
    assert found.headline.startswith("Mine is what Theirs comes to")
    shown = lines(found.text())
    assert "b_f' → ∞" in shown
    assert "f_t' → 1 # as ∞ grows beyond all bounds" in shown


# --- Counterexamples ------------------------------------------------------------------------------


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


def test_the_counterexample_of_the_two_grus_computed_by_hand():
    found = comparison("CHO_GRU", "GRU_V3").as_json()["counterexample"]
    assert found["sizes"]["hidden_size"] == 2
    values = {name: np.array(value, dtype=float) for name, value in found["values"].items()}
    x, h, k = values["x"], values["h(0)"], values["h'(0)"]
    p = {name.rstrip("'"): value for name, value in values.items()}
    for step in range(found["step"]):
        r = sigmoid(p["W_r"] @ x[step] + p["U_r"] @ h + p["b_r"])
        z = sigmoid(p["W_z"] @ x[step] + p["U_z"] @ h + p["b_z"])
        h = z * h + (1 - z) * np.tanh(p["W_h"] @ x[step] + p["U_h"] @ (r * h) + p["b_h"])
        r = sigmoid(p["W_ir"] @ x[step] + p["b_ir"] + p["W_hr"] @ k + p["b_hr"])
        z = sigmoid(p["W_iz"] @ x[step] + p["b_iz"] + p["W_hz"] @ k + p["b_hz"])
        n = np.tanh(p["W_in"] @ x[step] + p["b_in"] + r * (p["W_hn"] @ k + p["b_hn"]))
        k = (1 - z) * n + z * k
    unit = found["unit"]
    for value, side in ((h, "mine"), (k, "theirs")):
        low, high = json.loads(found["outputs"][side][unit])
        assert low - 1e-12 <= value[unit] <= high + 1e-12
    # Plain to see: round numbers, outputs far apart, the candidate is where they part.
    assert abs(h[unit] - k[unit]) > 0.1
    assert all(abs(v) <= 4 and v == round(v) for value in values.values() for v in value.flat)
    assert found["equation"]["mine"].startswith("h̃_t = ")
    assert found["equation"]["theirs"].startswith("n_t = ")


def test_a_difference_is_told_in_full():
    found = comparison("CHO_GRU", "GRU_V3")
    shown = found.text()
    for part in (
        "where they differ",
        "the first equation where they part",
        "all quantities in step 1",
        "the map under which they were compared",
        "no map in it is not: no map at all",
        "states permuted",
    ):
        assert part in shown
    # The values of every equation, of both.
    quantities = shown[shown.index("all quantities") :]
    assert {"h̃_t", "n_t'"} <= set(re.findall(r"(\S+) = \[", quantities))


# --- Verdicts that are rare -----------------------------------------------------------------------


def rnn_pair(kind, **more):
    mine, theirs = compared("RNN", "Mine"), compared("RNN", "Theirs")
    verdict = Verdict(kind, "Mine", "Theirs", **more)
    return Comparison(mine, theirs, verdict)


def rnn_map():
    cell = compared("RNN", "Mine").cell
    params = {p.name: Ref("param", f"{p.name}'", p.shape) for p in cell.params}
    return Found({"h": ("h", 1)}, params)


def test_probabilistic():
    found = rnn_pair(
        Kind.EQUAL,
        basis="probabilistic",
        fingerprint=Fingerprint(2**61 - 1, 4, 1e-40),
        replays=(Replay(80, 1e-15, 2e-15),),
        extra={"found": (rnn_map(),)},
    )
    assert "wrong with a probability below 1e-40" in found.headline
    assert "not on a proof" in found.headline
    assert "(not proved)" in found.text()
    assert "primes of 61 bits" in found.text()
    assert found.as_json()["maps"][0]["proof"] is None
    assert found.exit_code == 0


def test_numerical():
    found = rnn_pair(
        Kind.EQUAL_NUMERICALLY,
        basis="numerical",
        replays=(Replay(80, 0.0, 3 * 2.0**-52),),
        extra={"found": rnn_map()},
    )
    assert "not a proof" in found.headline
    assert "80 random instances, to 3 ulps" in " ".join(found.text().split())
    assert "W = W'" in lines(found.text())


def test_undecided():
    found = rnn_pair(Kind.UNDECIDED, basis="none", searched=("a family of maps",))
    assert found.same is None
    assert "what was tried" in found.text()
    assert "- a family of maps" in lines(found.text())
    assert found.as_json()["exit_code"] == 3


def test_a_search_that_stopped_is_told():
    found = comparison("CHO_GRU", "GRU_V3").verdict
    assert "no map in the family that was searched" in comparison("CHO_GRU", "GRU_V3").headline
    stopped = replace(found, searched=(*found.searched, "the search stopped at its budget"))
    mine, theirs = compared("CHO_GRU", "Mine"), compared("GRU_V3", "Theirs")
    headline = Comparison(mine, theirs, stopped).headline
    assert "no map in the family" not in headline
    assert "others may make them equal" in headline


def test_unlike_cells():
    found = comparison("RNN", "h_t = tanh(W x_t + U h_{t-1} + V u_t + b)")
    assert found.kind is Kind.DIFFERENT
    assert found.headline == "Mine and Theirs are different functions: they read 1 and 2 inputs."
    assert found.as_json()["counterexample"] is None
    for text in (found.text(), found.markdown(), found.html()):
        assert "Mine" in text


# --- Proofs ---------------------------------------------------------------------------------------


def test_every_step_is_counted_and_has_its_law():
    found = comparison("CIFG", "SPLIT_LSTM")
    proof = found.as_json()["maps"][0]["proof"]
    made = found.verdict.covered
    assert proof["steps"] == len(made.mine_steps) + len(made.theirs_steps)
    assert sum(law["used"] for law in proof["laws"]) == proof["steps"]
    notes = [s["note"] for section in proof["sections"][:-1] for s in section["steps"]]
    steps = [note for note in notes if note != "for short"]
    assert len(steps) == proof["steps"]
    assert set(steps) <= set(LAWS)


def test_gates_go_by_their_names_in_proofs():
    shown = comparison("CIFG", "SPLIT_LSTM").text(proof=True)
    assert "f_t' = σ(W_f x_t' + U_f h_{t-1}' + b_f)" in shown or "i_t' = σ(" in shown
    assert max(map(len, shown.splitlines())) <= 110
    assert re.search(r"^  s_1 := σ\(", shown, re.M)


# --- Forms ----------------------------------------------------------------------------------------

VOID = {"meta", "br", "link", "img"}


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onclick", "onload"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


PAIRS = [
    ("NOTES_LSTM", "TORCH_LSTM"),
    ("CIFG", "SPLIT_LSTM"),
    ("RNN", "MGU"),
    ("CHO_GRU", "GRU_V3"),
    ("RNN", "deltanet"),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_html(pair):
    found = comparison(*pair)
    text = found.html()
    page = Tags()
    page.feed(text)
    assert page.open == []
    assert {"html", "head", "style", "main", "h1", "h2"} <= set(page.seen)
    assert "script" not in page.seen
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text
    said = " ".join("".join(page.text).split())
    assert found.headline.split(":")[0] in said
    assert str(found.kind) in said


def test_html_lowers_indices():
    text = comparison("NOTES_LSTM", "TORCH_LSTM").html()
    assert "<i>W</i><sub>f</sub>" in text
    assert "<i>W</i><sub>hf</sub>′" in text
    assert "<details>" in text


def test_markup_in_a_spec_stays_text():
    evil = "h_t = \\begin{cases} x_t & x_t < 0 \\\\ h_{t-1} & \\text{otherwise} \\end{cases}\n"
    found = gatec.check(evil, "h_t = x_t + h_{t-1}")
    assert "x_t &lt; 0" in found.html()
    assert "<script" not in found.html()
    named = Comparison(
        Compared("<b>|`A`", "a|b.gate", found.mine.cell), found.theirs, found.verdict
    )
    assert "<b>|" not in named.html()
    assert "\\<b\\>\\|\\`A\\`" in named.markdown()


@pytest.mark.parametrize("pair", PAIRS)
def test_markdown(pair):
    text = comparison(*pair).markdown()
    assert text.startswith("# Mine against Theirs\n\n**")
    assert text.count("<details>") == text.count("</details>")
    fences = re.findall(r"^```.*$", text, re.M)
    assert fences[0::2] == ["```text"] * (len(fences) // 2)
    assert fences[1::2] == ["```"] * (len(fences) // 2)
    # A row of a table has as many cells as its head.
    outside = re.sub(r"^```text\n.*?^```$", "", text, flags=re.M | re.S)
    for table in re.findall(r"(?:^\|.*\n)+", outside, re.M):
        counts = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(counts) == 1


KEYS = [
    "gatec", "ok", "verdict", "same", "exit_code", "basis", "headline", "mine", "theirs", "reason", "where",
    "maps", "match", "notes", "fingerprint", "counterexample", "searched", "other_forms",
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS)
def test_json(pair):
    found = comparison(*pair)
    data = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert list(data) == KEYS
    documented = (ROOT / "docs" / "equivalence.md").read_text(encoding="utf-8")
    for key in KEYS[2:]:
        assert f"`{key}`" in documented
    assert data["verdict"] == str(found.kind)
    for made in data["maps"]:
        for key in made:
            assert f"`{key}`" in documented
        general = found.mine if made["general"] == "Mine" else found.theirs
        assert [p["name"] for p in made["parameters"]] == [p.name for p in general.cell.params]
    for key in data["counterexample"] or ():
        assert f"`{key}`" in documented


def test_text_fits_a_terminal():
    for pair in PAIRS:
        for line in comparison(*pair).text().splitlines():
            assert len(line) <= 110


# --- The documentation ----------------------------------------------------------------------------


def benchmark():
    spec = importlib.util.spec_from_file_location("check", ROOT / "benchmarks" / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SAMPLE = [
    ("cifg", "lstm_peephole"),
    ("lstm_peephole", "lstm"),
    ("gru", "gru_v3"),
    ("mgu", "gru"),
    ("mingru", "minlstm"),
    ("rnn", "gru"),
    ("mgu", "rnn"),
    ("slstm", "slstm"),
    ("deltanet", "lstm"),
    ("indrnn", "rnn"),
]


@pytest.mark.parametrize(("row", "column"), SAMPLE)
def test_the_table_of_all_pairs(row, column):
    text = (ROOT / "docs" / "equivalence.md").read_text(encoding="utf-8")
    head, _, *rows = (
        text.partition("all pairs: begin -->")[2].split("<!--")[0].split("\n\n")[1].splitlines()
    )
    names = [cell.strip() for cell in head.strip("|").split("|")]
    signs = {
        line.split("|")[1].strip(" *"): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in rows
    }
    assert set(signs) == set(names[1:]) == set(gatec.resources.spec_names())
    pair = (ROOT / "specs" / f"{name}.gate" for name in (row, column))
    assert signs[row][names.index(column) - 1] == benchmark().sign(gatec.check(*pair))


def test_the_table_of_laws():
    text = (ROOT / "docs" / "equivalence.md").read_text(encoding="utf-8")
    made = benchmark()
    assert made.put(text, "laws", made.laws()) == text, "python benchmarks/check.py --write"

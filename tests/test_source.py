"""Reading: what is mathematics in a text and what is not, and what is said of bad files."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatec.errors import GatecError, render
from gatec.parse import parse
from gatec.source import Style, read, read_text
from gatec.syntax import text as shown

DATA = Path(__file__).parent / "data"


def formulas(text, kind="markdown"):
    """The formulas of a text with one cell, as they stand."""
    (document,) = read_text(text, kind=kind)
    return [formula.span.text for formula in document.formulas]


def none(text, kind="markdown"):
    with pytest.raises(GatecError) as caught:
        read_text(text, kind=kind)
    return [d.code for d in caught.value.diagnostics] == ["E0007"]


def equations(document, asides=False):
    """What the parser makes of a document."""
    module = parse(document)
    assert not module.diagnostics
    return [f"{shown(e.left)} = {shown(e.right)}" for e in module.equations if e.aside <= asides]


def failure(spec, cell=None, **more):
    with pytest.raises(GatecError) as caught:
        read(str(spec), cell, **more)
    (diagnostic,) = caught.value.diagnostics
    assert render(diagnostic)
    return diagnostic


# --- delimiters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "see $h_t$ there",
        "see \\(h_t\\) there",
        "see \\\\(h_t\\\\) there",
        "see :math:`h_t` there",
        "see {math}`h_t` there",
        "see $`h_t`$ there",
        "$$h_t$$",
        "$$\nh_t\n$$",
        "\\[h_t\\]",
        "\\\\[h_t\\\\]",
        ".. math:: h_t",
        ".. math::\n\n   h_t\n\nand so on",
        ".. math::\n   :label: one\n\n   h_t",
        "```math\nh_t\n```",
        "~~~math\nh_t\n~~~",
        "```{math}\n:label: one\nh_t\n```",
        "- item\n\n  ```math\n  h_t\n  ```",
        "1. $$h_t$$",
        "> $$h_t$$",
        "> $$\n> h_t\n> $$",
        "(**$h_t$**)",
        "price\\$ $h_t$",
    ],
)
def test_delimiters(text):
    assert formulas(text) == ["h_t"]


@pytest.mark.parametrize(
    "name",
    ["equation", "align", "gather", "multline", "eqnarray", "array", "cases", "flalign", "split"],
)
@pytest.mark.parametrize("star", ["", "*"])
@pytest.mark.parametrize("kind", ["markdown", "tex", "rst", "text"])
def test_environments(name, star, kind):
    block = f"\\begin{{{name}{star}}}\nh_t &= x_t \\\\\nc_t &= h_t\n\\end{{{name}{star}}}"
    assert formulas(f"Before.\n{block}\nAfter.", kind) == [block]


def test_environment_inside_environment_is_one_formula():
    text = (
        "\\begin{equation}\\begin{cases}\\begin{array}{l}a\\end{array}\\end{cases}\\end{equation}"
    )
    assert formulas(f"{text} $b$") == [text, "b"]


def test_blank_lines_part_equations():
    assert formulas("$$\na = 1\n\nb = 2\n$$") == ["a = 1", "b = 2"]
    assert formulas(".. math::\n\n  a = 1\n\n  b = 2\n\nText.", "rst") == ["a = 1", "b = 2"]
    whole = "\\begin{align}a &= 1\n\n\\\\ b &= 2\\end{align}"
    assert formulas(f"$${whole}$$") == [whole]


def test_a_formula_alone_on_its_line_is_displayed():
    text = "Text $a = 1$ text.\n\n$b = 2$\n\n- $c = 3$,\nβ$d = 4$β\n$e$"
    (document,) = read_text(text, kind="markdown")
    assert [f.display for f in document.formulas] == [False, True, True, True, False]


def test_spans_tell_file_line_and_column():
    (document,) = read_text("one\r\ntwo $a_t$ three\r\n", "notes.md")
    assert document.formulas[0].span.location == "notes.md:2:6"


# --- what is no mathematics -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10, or 20$.",
        "From US$5 to $7: $3 less than $ 10 and $ 12.",
        "A \\$5 note and \\$10.",
        "`$h_t = 1$` and ``$h_t = `1`$``",
        "```\n$h_t = 1$\n```",
        "```python\n$h_t = 1$\n~~~\n$c_t = 1$\n```",
        "~~~\n$h_t = 1$",
        "<!-- $h_t = 1$ -->",
        "<!--\n$$h_t = 1$$\n-->",
        "echo $HOME and $PATH here",
        "a $ b",
        "$\n\n$",
        "$$ $$",
        "one $x\n\ny$ two",
        "C:\\(temp",
        "h_t = x_t, said in prose",
    ],
)
def test_no_mathematics(text):
    assert none(text)


@pytest.mark.parametrize(
    "text",
    [
        "% $h_t = 1$",
        "50\\% \\\\% $h_t = 1$",
        "\\verb|$h_t = 1$|",
        "\\begin{verbatim}\n$h_t = 1$\n\\end{verbatim}",
        "\\begin{comment}$h_t = 1$\\end{comment}",
        "\\iffalse $h_t = 1$ \\fi",
        "\\begin{document}a\\end{document}\n$h_t = 1$",
        "\\section{\\$5 \\[4pt}",
    ],
)
def test_no_mathematics_in_tex(text):
    assert none("\\documentclass{article}" + text, "tex")


@pytest.mark.parametrize(
    "text",
    [
        "Code::\n\n  $h_t = 1$\n",
        ".. code-block:: python\n\n   $h_t = 1$",
        ".. a comment $h_t = 1$\n   $c_t = 1$",
        "``:math:`h_t = 1```",
        ">>> $h_t = 1$",
    ],
)
def test_no_mathematics_in_rst(text):
    assert none(text, "rst")


def test_prices_beside_mathematics():
    assert formulas("At $5 each, $x_t$ costs $10, and $h_t$ nothing.") == ["x_t", "h_t"]


def test_quotation_marks_of_tex_are_no_code():
    assert formulas("``the gate'' is $f_t$ and ``the state'' is $c_t$") == ["f_t", "c_t"]


def test_html_entities():
    (document,) = read_text("$a^{&lt;t&gt;} = x^{&lt;t&gt;}$ &amp; so", kind="markdown")
    assert equations(document) == ["a[t] = x[t]"]


def test_spaces_inside_dollars():
    assert formulas("Here $ h_t = x_t $ holds.") == [" h_t = x_t "]


# --- whole files ----------------------------------------------------------------------------------

LSTM = [
    "f[t] = sigmoid(((W_f . x[t]) + (U_f . h[t-1]) + b_f))",
    "i[t] = sigmoid(((W_i . x[t]) + (U_i . h[t-1]) + b_i))",
    "o[t] = sigmoid(((W_o . x[t]) + (U_o . h[t-1]) + b_o))",
    "\\tilde{c}[t] = tanh(((W_c . x[t]) + (U_c . h[t-1]) + b_c))",
    "c[t] = ((f[t] * c[t-1]) + (i[t] * \\tilde{c}[t]))",
    "h[t] = (o[t] * tanh(c[t]))",
]


def test_markdown():
    (document,) = read(str(DATA / "lstm.md"))
    assert (document.name, document.declared, document.stem) == ("lstm", False, "lstm")
    assert equations(document) == LSTM
    # The quoted remark and the footnote give way.
    assert equations(document, asides=True)[6:] == ["h[t] = (o[t] * c[t])"] * 2 + [
        "f[t] = (1 - i[t])"
    ]


def test_tex():
    (document,) = read(str(DATA / "gru.tex"))
    assert document.macros == (
        ("\\vect", 1, "\\mathbf{#1}"),
        ("\\hx", 0, "\\vect{h}_{t-1}"),
        ("\\affine", 1, "W_{#1} \\vect{x}_t + U_{#1}"),
        ("\\sig", 0, "\\sigma"),
        ("\\act", 0, "\\operatorname{tanh}"),
    )
    assert equations(document) == [
        "z[t] = sigmoid(((W_z . x[t]) + (U_z . h[t-1]) + b_z))",
        "r[t] = sigmoid(((W_r . x[t]) + (U_r . h[t-1]) + b_r))",
        "\\tilde{h}[t] = tanh(((W_h . x[t]) + (U_h . ((r[t] * h[t-1]))) + b_h))",
        "h[t] = ((((1 - z[t])) * \\tilde{h}[t]) + (z[t] * h[t-1]))",
    ]
    assert len(equations(document, asides=True)) == 6


def test_rst():
    (document,) = read(str(DATA / "minimal.rst"))
    assert equations(document) == [
        "f[t] = sigmoid(((W_f . x[t]) + (U_f . h[t-1]) + b_f))",
        "\\tilde{h}[t] = tanh(((W_h . x[t]) + (U_h . ((f[t] * h[t-1]))) + b_h))",
        "h[t] = ((((1 - f[t])) * h[t-1]) + (f[t] * \\tilde{h}[t]))",
    ]
    assert len(equations(document, asides=True)) == 5


def test_notebook():
    (document,) = read(str(DATA / "exercise.ipynb"))
    assert document.name == "exercise"
    assert equations(document) == [
        "Gamma_u[t] = sigmoid(((W_u . [a[t-1], x[t]]) + b_u))",
        "a[t] = ((Gamma_u[t] * tanh(((W_a . x[t]) + b_a))) + (((1 - Gamma_u[t])) * a[t-1]))",
    ]
    assert document.formulas[0].span.location.endswith("exercise.ipynb[cell 3]:3:3")
    (declaration,) = parse(document).declarations
    assert declaration.kind == "init"


def test_notebook_cells_may_be_marked():
    def cell(kind, source):
        return {"cell_type": kind, "source": source}

    cells = [
        cell("markdown", ["<!-- cell A -->\n", "$$h_t = x_t$$"]),
        cell("code", "%%gate B\nh_t = 2 x_t"),
    ]
    text = json.dumps({"cells": cells, "nbformat": 4})
    one, two = read_text(text, "x.ipynb")
    assert (one.name, two.name) == ("A", "B")
    assert two.formulas[0].span.location == "x.ipynb[cell 2]:2:1"
    old = json.dumps({"worksheets": [{"cells": [cell("markdown", "$h_t$")]}], "nbformat": 3})
    assert len(read_text(old, "x.ipynb")[0].formulas) == 1


def test_python_file():
    leaky, gate = read(str(DATA / "documented.py"))
    assert (leaky.name, gate.name) == ("Leaky", "Gate")
    assert leaky.formulas[0].span.location.endswith("documented.py:8:9")
    assert equations(gate) == ["g[t] = sigmoid(((W . x[t]) + (U . g[t-1])))"]
    assert [f.aside for f in leaky.formulas] == [False, True]
    assert [d.name for d in read(str(DATA / "documented.py") + "#Gate")] == ["Gate"]


def test_course_notes_with_damaged_characters():
    (document,) = read(str(DATA / "rnn-notes.txt"))
    assert equations(document) == [
        "Gamma_f[t] = sigmoid(((W_f . [a[t-1], x[t]]) + b_f))",
        "Gamma_u[t] = sigmoid(((W_u . [a[t-1], x[t]]) + b_u))",
        "\\tilde{c}[t] = tanh(((W_c . [a[t-1], x[t]]) + b_c))",
        "c[t] = ((Gamma_f[t] * c[t-1]) + (Gamma_u[t] * \\tilde{c}[t]))",
        "Gamma_o[t] = sigmoid(((W_o . [a[t-1], x[t]]) + b_o))",
        "a[t] = (Gamma_o[t] * tanh(c[t]))",
    ]


@pytest.mark.parametrize(
    ("name", "last", "count"),
    [
        ("LSTM", "h[t] = (o[t] * tanh(c[t]))", 6),
        ("GRU", "h[t] = ((((1 - z[t])) * n[t]) + (z[t] * h[t-1]))", 4),
        ("RNN", "h[t] = tanh(((x[t] . W_{ih}^T) + b_{ih} + (h[t-1] . W_{hh}^T) + b_{hh}))", 1),
        ("LSTMCell", "h' = (o * tanh(c'))", 6),
        ("GRUCell", "h' = ((((1 - z)) * n) + (z * h))", 4),
        ("RNNCell", "h' = tanh(((W_{ih} . x) + b_{ih} + (W_{hh} . h) + b_{hh}))", 1),
    ],
)
def test_docstrings_of_torch(name, last, count):
    (document,) = read(f"doc:torch.nn:{name}")
    assert (document.name, document.stem) == (name, name.lower())
    found = equations(document)
    assert found[count - 1] == last
    # What else is said in the main text (k = 1/hidden_size) has no time index.
    assert not [e for e in found[count:] if "[t" in e or "'" in e]


def test_a_docstring_by_its_dotted_name():
    assert read("doc:torch.nn.GRU")[0].name == "GRU"


def test_sections_of_a_docstring_are_asides():
    google = "Args:\n    a: is $a = 1$\n\nMore: $b = 2$\n\nShape: $c = 3$"
    numpy = "Parameters\n----------\na : is $a = 1$\n\nNotes\n-----\nThat $b = 2$."
    for text in (google, numpy):
        (document,) = read_text(text, kind="docstring")
        asides = {f.span.text: f.aside for f in document.formulas}
        assert asides["a = 1"] and not asides["b = 2"]


# --- cells ----------------------------------------------------------------------------------------


def test_two_cells_in_one_document():
    elman, jordan = read(str(DATA / "two-cells.md"))
    assert (elman.name, elman.declared, elman.stem) == ("Elman", True, "elman")
    assert equations(elman) == ["h[t] = phi(((W . x[t]) + (U . h[t-1]) + b))"]
    assert equations(jordan)[1] == "y[t] = sigmoid(((V . h[t]) + d))"
    assert jordan.comments == ('Jordan, "Serial Order", 1986.',)
    # The function of the first gate block is for both; the prose before the markers for none.
    assert [len(parse(d).functions) for d in (elman, jordan)] == [1, 1]
    assert [d.stem for d in read(str(DATA / "two-cells.md") + "#Jordan")] == ["jordan"]
    assert [d.stem for d in read(str(DATA / "two-cells.md"), "Elman")] == ["elman"]


def test_several_cells_in_a_gate_file():
    text = (
        "function f = tanh\n\n# One.\ncell One\na_t = 1\n\n# Two.\n% 2.\ncell Two # here\na_t = 2\n"
    )
    one, two = read_text(text, "both.gate")
    assert (one.name, one.comments) == ("One", ("One.",))
    assert (two.name, two.comments) == ("Two", ("Two.", "2."))
    assert [f.span.text.strip().split("\n")[-1] for f in one.formulas] == [
        "function f = tanh", "a_t = 1"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<!-- cell One -->\n$$a_t = 1$$", "markdown"),
        ("<!--cell One-->$$a_t = 1$$", "text"),
        ("% cell One\n$$a_t = 1$$", "markdown"),
        ("% cell One\n\\[a_t = 1\\]", "tex"),
        (".. cell One\n\n.. math:: a_t = 1", "rst"),
        ("```gate\ncell One\n```\n$$a_t = 1$$", "markdown"),
        ("$$a_t = 1$$\n```gate\ncell One\n```", "markdown"),
        ("a_t = 1\ncell One", "gate"),
    ],
)
def test_markers(text, kind):
    (document,) = read_text(text, "file", kind)
    assert (document.name, document.declared) == ("One", True)
    assert len(equations(document)) == 1


def test_what_stands_before_the_only_marker_is_not_the_cell():
    (document,) = read_text("$$a_t = 1$$\n<!-- cell B -->\n$$b_t = 2$$", kind="markdown")
    assert equations(document) == ["b[t] = 2"]


def test_a_marker_in_code_is_none():
    assert not read_text("`<!-- cell A -->` $a_t$", kind="markdown")[0].declared
    assert not read_text("```\n<!-- cell A -->\n```\n$a_t$", kind="markdown")[0].declared


def test_equations_with_cell_on_the_left_are_no_markers():
    (document,) = read_text("cell = 1\ncell_t = 2\ncell (1) = 3", kind="gate")
    assert not document.declared


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("my-cell.gate", "my_cell"),
        ("2nd.gate", "cell_2nd"),
        ("Grü.gate", "Gru"),
        ("Γ.gate", "cell"),
        ("class.gate", "class_cell"),
        ("torch.gate", "torch_cell"),
        ("lstm.v2.gate", "lstm_v2"),
        ("a'b;c.gate", "a_b_c"),
    ],
)
def test_names_from_files(name, wanted):
    (document,) = read_text("h_t = x_t", name)
    assert (document.name, document.stem) == (wanted, wanted)


@pytest.mark.parametrize(
    ("name", "code"), [("my-cell", "E0403"), ("a;b", "E0403"), ("class", "E0406")]
)
@pytest.mark.parametrize("form", ["cell {}\na_t = 1", "<!-- cell {} -->\n$$a_t = 1$$"])
def test_bad_names(name, code, form):
    with pytest.raises(GatecError) as caught:
        read_text(form.format(name))
    assert caught.value.diagnostics[0].code == code
    assert caught.value.diagnostics[0].span.text == name


# --- weight ---------------------------------------------------------------------------------------


def asides(text, kind="markdown"):
    (document,) = read_text(text, kind=kind)
    return {f.span.text: f.aside for f in document.formulas}


@pytest.mark.parametrize(
    "block",
    [
        "> $$a = 1$$",
        "!!! note\n\n    $$a = 1$$\n",
        "```{note}\n$$a = 1$$\n```",
        ":::{warning}\n$$a = 1$$\n:::",
        "[^1]: So\n    $$a = 1$$\n",
    ],
)
def test_asides(block):
    assert asides(f"{block}\n\n$$b = 2$$") == {"a = 1": True, "b = 2": False}


def test_a_sentence_gives_way_to_a_display():
    assert asides("Some say $a = 1$.\n\n$$a = 2$$") == {"a = 1": True, "a = 2": False}
    assert asides("Some say $a = 1$.") == {"a = 1": False}


def test_prose_gives_way_to_a_gate_block():
    (document,) = read_text("$$a_t = 1$$\n```gate\na_t = 2\n```", kind="markdown")
    assert [f.aside for f in document.formulas] == [True, False]
    (document,) = read_text("$$a_t = 1$$\n```gate\ninput x\nconst k = 1\n```", kind="markdown")
    assert [f.aside for f in document.formulas] == [False, False]


# --- macros ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\\newcommand{\\h}{\\mathbf{h}}", ("\\h", 0, "\\mathbf{h}")),
        ("\\renewcommand\\h{a}", ("\\h", 0, "a")),
        ("\\providecommand*{\\h}[2]{#1+#2}", ("\\h", 2, "#1+#2")),
        ("\\newcommand{\\h}[2][W]{#1_#2}", ("\\h", 1, "W_#1")),
        ("\\def\\h#1{a#1}", ("\\h", 1, "a#1")),
        ("\\let\\h\\sigma", ("\\h", 0, "\\sigma")),
        ("\\DeclareMathOperator*{\\h}{relu}", ("\\h", 0, "\\operatorname{relu}")),
        ("\\newcommand{\\h}{\\newcommand{\\b}{c}}", ("\\h", 0, "\\newcommand{\\b}{c}")),
    ],
)
def test_macros(text, wanted):
    (document,) = read_text(f"{text} $a_t = \\h$", kind="tex")
    assert document.macros == (wanted,)
    assert [f.span.text for f in document.formulas] == ["a_t = \\h"]


def test_macros_inside_a_formula_are_cut_out():
    (document,) = read_text("$$\\newcommand{\\s}{\\sigma} a_t = \\s(x_t)$$", kind="markdown")
    assert equations(document) == ["a[t] = sigmoid(x[t])"]


# --- kinds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("h_t = x_t", Style.GATE),
        ("\\begin{aligned}h_t &= x_t\\end{aligned}", Style.GATE),
        ("# a comment\ncell A\nh_t = x_t \\\\[4pt]", Style.GATE),
        ("We have $h_t = x_t$.", Style.TEX),
        ("We have \\(h_t = x_t\\).", Style.TEX),
        (".. math:: h_t = x_t", Style.TEX),
        ("\\documentclass{article}\\begin{equation}h_t = x_t\\end{equation}", Style.TEX),
        ('{"cells": [{"cell_type": "markdown", "source": "$h_t = x_t$"}]}', Style.TEX),
    ],
)
@pytest.mark.parametrize("way", ["stdin", "file"])
def test_the_text_tells_its_kind(text, style, way, tmp_path):
    if way == "stdin":
        (document,) = read("-", stdin=io.BytesIO(text.encode()))
        assert document.stem == "cell"
        (again,) = read("-", stdin=io.StringIO(text))
        assert len(again.formulas) == len(document.formulas)
    else:
        (tmp_path / "notes.unknown").write_text(text)
        (document,) = read(str(tmp_path / "notes.unknown"))
        assert document.stem == "notes"
    assert {formula.style for formula in document.formulas} == {style}


def test_bare_equations_in_other_files():
    (document,) = read_text("h_t = x_t\nc_t = h_t", "notes.txt")
    assert document.formulas[0].style is Style.GATE
    (document,) = read_text("h_t &= x_t \\\\\nc_t &= h_t", "part.tex")
    assert equations(document) == ["h[t] = x[t]", "c[t] = h[t]"]


def test_latex_fences():
    assert formulas("```latex\nh_t = x_t\n```") == ["h_t = x_t"]
    text = (
        "```latex\nWe have $a$.\n\\begin{align}b\\end{align} % $c$\n```\n$d$\n```tex\n\\[e\\]\n```"
    )
    assert formulas(text) == ["a", "\\begin{align}b\\end{align}", "d", "e"]


def test_shipped_specs_by_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (document,) = read("lstm")
    assert (document.name, document.stem, len(document.formulas)) == ("LSTM", "lstm", 1)
    assert document.comments[0].startswith("Hochreiter")
    (tmp_path / "lstm").write_text("h_t = x_t")  # a file comes first
    assert not read("lstm")[0].declared


def test_a_file_with_a_hash_in_its_name(tmp_path):
    (tmp_path / "a#b.gate").write_text("h_t = x_t")
    assert read(str(tmp_path / "a#b.gate"))[0].stem == "a_b"


# --- damage ---------------------------------------------------------------------------------------


def test_damage_in_prose_does_no_harm(tmp_path):
    path = tmp_path / "notes.md"
    path.write_bytes(
        b"\xef\xbb\xbf# Caf\xe9 \x93quoted\x94 \xff\xfe\r\n\r\n"
        b"\xe2\x80\x8b$h_t = W x_t\xe2\x80\x8b + U h_{t-1}$\xef\xbf\xbd\xa0\r\n"
    )
    (document,) = read(str(path))
    assert equations(document) == ["h[t] = ((W . x[t]) + (U . h[t-1]))"]
    assert document.formulas[0].span.line == 3


def test_wrong_bytes_in_a_gate_file(tmp_path):
    path = tmp_path / "cell.gate"
    path.write_bytes("Γ_t = x_t\nh_t = ".encode() + b"\xe9 x_t\n")
    found = failure(path)
    assert (found.code, found.span.line, found.span.column) == ("E0005", 2, 7)
    assert "e9" in found.message


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "E0006", "empty"),
        (b" \n\t\n", "E0006", "empty"),
        (b"\xef\xbb\xbf", "E0006", "empty"),
        (b"h_t = \0x_t", "E0004", "NUL"),
        ("h_t = x_t".encode("utf-16"), "E0005", "UTF-16"),
        ("h_t = x_t".encode("utf-16-be"), "E0004", "NUL"),
        ("h_t = x_t".encode("utf-32"), "E0005", "UTF-32"),
        (b"%PDF-1.4 ...", "E0005", "PDF"),
        (b"PK\x03\x04...", "E0005", "office"),
        (b"a" * 1_000_001, "E0003", "1 MB"),
    ],
)
@pytest.mark.parametrize("suffix", ["gate", "md", "tex", "unknown"])
def test_bad_files(data, code, words, suffix, tmp_path):
    path = tmp_path / f"cell.{suffix}"
    path.write_bytes(data)
    found = failure(path)
    assert found.code == code and words in found.message
    assert found.file == str(path) or found.span.source.name == str(path)
    assert failure("-", stdin=io.BytesIO(data)).code == code


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": 3}', "[" * 100_000, "1" * 10_000])
def test_damaged_notebooks(text, tmp_path):
    path = tmp_path / "book.ipynb"
    path.write_text(text)
    assert failure(path).code == ("E0008" if text else "E0006")


def test_a_notebook_may_carry_pictures(tmp_path):
    cells = [
        {"cell_type": "code", "source": "plot()", "outputs": ["A" * 3_000_000]},
        {"cell_type": "markdown", "source": "$h_t = x_t$"},
    ]
    (tmp_path / "book.ipynb").write_text(json.dumps({"cells": cells}))
    assert len(read(str(tmp_path / "book.ipynb"))[0].formulas) == 1
    cells[1]["source"] = "$h_t = x_t$" * 100_000
    (tmp_path / "book.ipynb").write_text(json.dumps({"cells": cells}))
    assert failure(tmp_path / "book.ipynb").code == "E0003"


def test_odd_notebook_cells_do_no_harm():
    cells = [3, {}, {"cell_type": "markdown"}, {"cell_type": "markdown", "source": [1, "$a_t$"]}]
    cells += [{"cell_type": "markdown", "source": "\ud800 \0 $b_t$"}]
    (document,) = read_text(json.dumps({"cells": cells}), "x.ipynb")
    assert [f.span.text for f in document.formulas] == ["a_t", "b_t"]


def test_missing_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_cell.gate").write_text("h_t = x_t")
    assert "my_cell.gate" in failure("my_cel.gate").hint
    assert "my_cell.gate" in failure("my_cell").hint
    assert "my_cell.gate" in failure(tmp_path / "mycell.gate").hint
    assert "lstm" in failure("lstn").hint
    assert failure("lstm.gate").hint.endswith("lstm")
    assert "gru" in failure("nothing/of/the/kind").hint
    for spec in ("", "a\0b", "x" * 5000, "\ud800"):
        assert failure(spec).code in ("E0001", "E0002")


def test_directories(tmp_path):
    (tmp_path / "cell.gate").write_text("h_t = x_t")
    found = failure(tmp_path)
    assert found.code == "E0002" and "cell.gate" in found.hint
    (tmp_path / "empty").mkdir()
    assert failure(tmp_path / "empty").code == "E0002"


def test_devices_and_pipes(tmp_path):
    assert failure("/dev/zero").code == "E0003"
    assert failure("/dev/null").code == "E0006"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = "import sys; open(sys.argv[1], 'w').write('h_t = x_t')"
    with subprocess.Popen([sys.executable, "-c", script, str(pipe)]):
        assert len(read(str(pipe))) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path):
    (tmp_path / "cell.gate").write_text("h_t = x_t")
    (tmp_path / "cell.gate").chmod(0)
    assert failure(tmp_path / "cell.gate").code == "E0002"


def test_closed_standard_input():
    stream = io.BytesIO()
    stream.close()
    assert failure("-", stdin=stream).code == "E0002"


def test_unknown_cells():
    path = str(DATA / "two-cells.md")
    found = failure(f"{path}#jordan")
    assert found.code == "E0009" and "Jordan" in found.hint and "Elman" in found.hint
    assert failure(path, "Nothing").code == "E0009"
    assert "marks no cells" in failure(f"{DATA / 'lstm.md'}#LSTM2").hint


def test_a_cell_without_equations():
    with pytest.raises(GatecError) as caught:
        read_text("<!-- cell A -->\n$h_t$\n<!-- cell B -->\n$$h_t = x_t$$", kind="markdown")
    (found,) = caught.value.diagnostics
    assert found.code == "E0013" and found.span.text == "A"


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("Text.\n\n```math\nh_t = x_t", "```"),
        ("Text.\n\n~~~~gate\nh_t = x_t\n```", "~~~~"),
        ("$$ h_t = \\tanh(x_t)\n\nand so on", "$$"),
        ("$$ h_t = x_t\n\nand then we have\n\n$$ c_t = x_t $$", "$$"),
        ("\\[ h_t = x_t", "\\["),
        ("\\begin{align} h_t = x_t", "\\begin{align}"),
        ("\\begin{align} h_t \\begin{array} \\end{align}", "\\begin{array}"),
    ],
)
def test_never_closed(text, mark):
    with pytest.raises(GatecError) as caught:
        read_text(text, kind="markdown")
    found = caught.value.diagnostics[0]
    assert found.code == "E0010" and found.span.text == mark and found.hint


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("doc:", "names no Python object"),
        ("doc:torch", "names no Python object"),
        ("doc:a b:c", "names no Python object"),
        ("doc:..:c", "names no Python object"),
        ("doc:no_such_module:C", "no module"),
        ("doc:json:JSONDecodr", "has no 'JSONDecodr'"),
        ("doc:json.tool:main", "no docstring"),
        ("doc:json:loads", "no mathematics"),
        ("doc:failing:C", "ZeroDivisionError"),
        ("doc:leaving:C", "SystemExit"),
        ("doc:needing:C", "not_there"),
    ],
)
def test_bad_objects(spec, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failing.py").write_text("1 / 0")
    (tmp_path / "leaving.py").write_text("import sys; sys.exit()")
    (tmp_path / "needing.py").write_text("import not_there")
    before = list(sys.path)
    found = failure(spec)
    assert words in f"{found.message} {found.hint}"
    assert found.code == ("E0007" if "mathematics" in words else "E0011")
    assert sys.path == before


def test_a_python_file_that_is_none():
    with pytest.raises(GatecError) as caught:
        read_text("x = 1\ndef (", "bad.py")
    assert caught.value.diagnostics[0].span.line == 2


# --- cost -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unit",
    ["$", "$a ", "$$a=b\n\nc ", "\\begin{align}", "\\[", "`", "```\n", "```{note}\n", "<!--",
     "..\n", ".. note::\n .. math:: a=b\n", "\\newcommand{\\a}{", "\\def\\a{\\def", "> $a$\n",
     "Args:\n", "```latex\na=b\n```\n", "cell A\n", "\\verb|", "{", "% cell B\n"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["markdown", "tex", "docstring"])
def test_a_quarter_of_a_megabyte_of_anything(unit, kind):
    """Each takes a quarter of a second; were anything quadratic, the suite would never end."""
    text = unit * (240_000 // len(unit))
    try:
        read_text(text, kind=kind)
    except GatecError as error:
        assert str(error)


def test_a_gate_file_imports_no_more_than_it_needs():
    code = (
        "import sys; from gatec.source import read; read('lstm'); "
        "print(*{'torch', 'numpy', 'lark', 'json', 'difflib', 'gatec.source.scan'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

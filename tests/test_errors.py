"""Errors: the code, the place, what is underlined, and a hint that helps, for every kind of error.

An example is a text in which what must be underlined stands between « and ».
"""

# ruff: noqa: E501 (formulas stand as in their sources)

import json

import pytest

from gatec.errors import Diagnostic, GatecError, Note, Source, render
from gatec.parse import parse
from gatec.resolve import resolve
from gatec.source import read_text


def problems(text, name="spec.gate"):
    """Every diagnostic of a text, in order."""
    try:
        for document in read_text(text, name):
            resolve(parse(document))
    except GatecError as error:
        return list(error.diagnostics)
    return []


def check(marked, code, hint=None, *, notes=(), name="spec.gate"):
    """The text's one error stands at the mark."""
    start = marked.index("«")
    text = marked.replace("«", "", 1)
    end = text.index("»")
    text = text.replace("»", "", 1)
    found = problems(text, name)
    assert [d.code for d in found] == [code], [render(d) for d in found]
    (diagnostic,) = found
    assert diagnostic.span.text == text[start:end]
    line = text.count("\n", 0, start) + 1
    assert (diagnostic.span.line, diagnostic.span.column) == (
        line,
        start - text.rfind("\n", 0, start),
    )
    shown = render(diagnostic)
    assert shown.startswith(f"{name}:{line}:{diagnostic.span.column}: error[{code}]: ")
    assert f"{line:>5} | {text.splitlines()[line - 1]}" in shown
    assert "^" * len(text[start:end].split("\n")[0]) in shown
    if hint:
        assert hint in (diagnostic.hint or ""), diagnostic.hint
    assert [note.span.text for note in diagnostic.notes] == list(notes)
    return diagnostic


SYNTAX = [
    ("h_t = tanh«(»W x_t + h_{t-1}", "E0101", "closing"),
    ("h_t = W x_t + h_«{»t-1", "E0101", "closing"),
    (r"h_t = «\begin{bmatrix}» x_t \\ h_{t-1}", "E0101", r"\end"),
    ("h_t = W «[»x_t + h_{t-1}", "E0101", "closing"),
    ("h_t = W x_t «)» + h_{t-1}", "E0102", "remove"),
    ("h_t = tanh(W x_t«]» + h_{t-1}", "E0102", "one kind"),
    ("«h_t»\nx_t = h_{t-1}", "E0103", "name = expression"),
    ("«inptu x»\nh_t = x_t + h_{t-1}", "E0103", "did you mean 'input'"),
    ("h_t = W x_t + h_{t-1}«^»", "E0104", "x_t"),
    ("h_t = W x_t «+ +» h_{t-1}", "E0105", "between"),
    ("h_t = W x_t + h_{t-1} «+»", "E0105", "write what it applies to"),
    ("h_t = tanh(W x_t «*» ) + h_{t-1}", "E0105", "write what it applies to"),
    ("h_t «=» * W x_t + h_{t-1}", "E0105", None),
    ("h_t = tanh«(», x_t) + h_{t-1}", "E0105", None),
    ("h_t = \\frac{x_t}«{»} + h_{t-1}", "E0105", None),
    ("h_t = W x_t + h_{t-1} «,» 3", "E0106", "expected"),
    ("h_t = W x_t «♥» h_{t-1}", "E0107", "remove"),
    ("h_t = W x_t «?» h_{t-1}", "E0107", None),
    ("h_t = (W x + U h)«_{t-1}»", "E0108", "names inside"),
    (r"h_t = «\tilde{W x_t}» + h_{t-1}", "E0109", r"\tilde{c}"),
    ("h_t = W x_t «=» W h_{t-1} = 3", "E0110", "a line of its own"),
    ("«2 h_t» = W x_t + h_{t-1}", "E0111", "name = expression"),
    ("«tanh(h_t)» = W x_t + h_{t-1}", "E0111", "name = expression"),
    (r"h_t = W (x_t «\oplus» h_{t-1})", "E0112", "[a; b]"),
    (r"h_t = «\sum»_i W x_t + h_{t-1}", "E0112", "products"),
    (r"h_t = x_t «\otimes» h_{t-1}", "E0112", r"\odot"),
    (r"h_t = «\tanh^{-1}»(x_t) + h_{t-1}", "E0113", "1 / "),
]


@pytest.mark.parametrize("marked, code, hint", SYNTAX)
def test_syntax(marked, code, hint):
    check(marked, code, hint)


NAMES = [
    ("h_t = tanh(W x_t + U «a_{t-1}»)", "E0201", "input a"),
    ("input x\nh_t = tanh(W x_t + U h_{t-1} + «y_t»)", "E0201", "input y"),
    ("h̃_t = W x_t\nh_t = U h_{t-1} + «ĥ_t» + x_t", "E0201", "\\tilde{h}"),
    ("«z_t» = W x_t\nh_t = W x_t + h_{t-1}", "E0203", "output z"),
    ("param «W_g» : matrix\nh_t = W_f x_t + h_{t-1}", "E0203", "did you mean 'W_f'"),
    ("const «\\gamma» = 1\nh_t = W x_t + h_{t-1}", "E0203", "remove"),
    ("size «k» = 3\nh_t = W x_t + h_{t-1}", "E0203", "param U"),
    ("init «W_x» = 1\nh_t = W_{xh} x_t + h_{t-1}", "E0203", "did you mean 'W_{xh}'"),
    ("input x, «v»\nh_t = W x_t + h_{t-1}", "E0203", "remove"),
    ("h_t = «foo»(W x_t) + h_{t-1}", "E0204", "function foo = tanh"),
    ("h_t = «tahn»(W x_t) + h_{t-1}", "E0204", "did you mean 'tanh'"),
    ("h_t = «\\phi»(W x_t) + h_{t-1}", "E0204", r"function \phi = tanh"),
    ("function f = «tahn»\nh_t = f(W x_t) + h_{t-1}", "E0204", "did you mean 'tanh'"),
    ("«h_t = W x_t + h_t»", "E0207", "h_{t-1}"),
    ("h_t = W «x_t^{(t-1)}» + h_{t-1}", "E0208", "one time"),
    ("h_t = h_{t-1} + x_t + «g_{t+1}»\ng_t = h_{t-1}", "E0209", "shift"),
    ("param W : matrix\nh_t = «W_t» x_t + h_{t-1}", "E0210", "without the index"),
    ("h_t = h_{t-1} / «t» + x_t", "E0211", "counts the steps"),
    ("«f(z) = 1 + f(z)»\nh_t = f(W x_t) + h_{t-1}", "E0212", None),
    ("«h_t = tanh(W x_t)»", "E0214", "h_{t-1}"),
    ("«h_t = tanh(U h_{t-1})»", "E0215", "input x"),
]


@pytest.mark.parametrize("marked, code, hint", NAMES)
def test_names_and_time(marked, code, hint):
    notes = {"E0210": ("W",)}.get(code, ())
    check(marked, code, hint, notes=notes)


def test_a_name_defined_twice_shows_both_places():
    check("h_t = W x_t + h_{t-1}\n«h_t = W x_t - h_{t-1}»", "E0202", "keep one",
          notes=["h_t = W x_t + h_{t-1}"])  # fmt: skip
    check("f(z) = z\n«f(z) = 2 z»\nh_t = f(x_t) + h_{t-1}", "E0202", "keep one", notes=["f(z) = z"])


@pytest.mark.parametrize(
    "line, what",
    [("input h", "an input"), ("param h", "a parameter"), ("const h = 2", "a constant")],
)
def test_what_is_given_is_not_computed(line, what):
    found = problems(f"{line}\nh = W x_t\ny_t = h + y_{{t-1}}")
    assert [d.code for d in found] == ["E0402"] and what in found[0].message
    assert found[0].span.text == found[0].notes[0].span.text == "h"


def test_a_loop_is_shown():
    found = check(
        "«z_t = σ(W x_t + r_t)»\nr_t = σ(z_t + h_t)\nh_t = r_t ⊙ h_{t-1} + x_t",
        "E0207",
        "must read the past",
        notes=["r_t = σ(z_t + h_t)"],
    )
    assert "z -> r -> z" in found.message


KINDS = [
    ("z_t = W x_t\nh_t = «z_t h_{t-1}»", "E0301", r"z_t \odot h_{t-1}", ("z_t", "h_{t-1}")),
    ("h_t = «[h_{t-1}, x_t]»", "E0302", "one size", ("h_t",)),
    ("param W : matrix\nh_t = W \\odot «x_t» + h_{t-1}", "E0303", "one shape", ("W", "W")),
    ("param W : k x k\nsize k = 3\nparam U : n_h x n_x\nh_t = «W U x_t» + h_{t-1}", "E0304",
     "inner sizes", ("W", "U x_t")),
    ("h_t = tanh(W x_t + «()») + h_{t-1}", "E0306", "what they hold", ()),
    ("h_t = W x_t + «tanh(h_{t-1}, 2)»", "E0307", None, ()),
    ("f(a, b) = a + b\nh_t = W x_t + «f(h_{t-1})»", "E0307", None, ("f(a, b) = a + b",)),
    (r"h_t = h_{t-1} + x_t / «\lVert x_t \rVert_3»", "E0308", r"\infty", ()),
    (r"h_t = \begin{cases} «x_t» \\ h_{t-1} & h_{t-1} > 0 \end{cases}", "E0309", "if", ()),
    ("param U : matrix\nh_t = «U^2» h_{t-1} + x_t", "E0311", "products", ()),
    ("param U : matrix\nh_t = «U^{-1}» h_{t-1} + x_t", "E0311", "linear systems", ()),
    ("h_t = h_{t-1} + (W x_t «>» 0)", "E0310", "cases", ()),
    ("h_t = h_{t-1} + «BN»(W x_t)", "E0204", "BN", ()),
    (r"param s : scalar" "\n" r"h_t = h_{t-1} + «\mathrm{softmax}(s)» x_t", "E0312", "vectors", ()),
    (r"\begin{pmatrix} i_t \\ g_t \end{pmatrix} = «\begin{pmatrix} \sigma \\ \sigma \\ \tanh \end{pmatrix} T x_t»" "\nc_t = g_t ⊙ c_{t-1} + i_t",
     "E0313", "its function", ()),
    (r"\begin{pmatrix} i_t \\ g_t \end{pmatrix} = «\begin{pmatrix} \sigma \\ \tanh \end{pmatrix} T x_t + b»" "\nc_t = g_t ⊙ c_{t-1} + i_t",
     "E0313", "parentheses", ()),
]  # fmt: skip


@pytest.mark.parametrize("marked, code, hint, notes", KINDS)
def test_kinds_and_shapes(marked, code, hint, notes):
    check(marked, code, hint, notes=notes)


def test_a_shape_conflict_shows_both_places():
    found = check(
        "param U : n_h x n_h\nparam V : n_h x n_x\nh_t = U h_{t-1} + «V h_{t-1}» + W x_t",
        "E0304",
        "inner sizes",
        notes=["V", "h_{t-1}"],
    )
    assert "(hidden_size x input_size)" in found.message and "(hidden_size)" in found.message
    check(
        "size k = 2\nparam U : k x n_h\nh_t = tanh(W x_t + h_{t-1})\ny_t = U h_t + «h_t»",
        "E0303",
        "one shape",
        notes=["U h_t"],
    )


def test_a_stack_that_cannot_be_cut():
    text = (
        r"\begin{pmatrix} i_t \\ f_t \\ g_t \end{pmatrix} = "
        r"\begin{pmatrix} \sigma \\ \sigma \\ \tanh \end{pmatrix} T x_t"
        "\nparam T : 4 x n_x\nc_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t"
    )
    (found,) = problems(text)
    assert found.code == "E0305" and "3 equal gates" in found.message


DECLARATIONS = [
    ("function f «+» 1\nh_t = x_t + h_{t-1}", "E0401", "function f(z)"),
    ("state h «=»\nh_t = x_t + h_{t-1}", "E0401", "state h = 0"),
    ("size k = «x»\nh_t = x_t + h_{t-1}", "E0401", "size k = 16"),
    ("param U «;» n_h\nh_t = U x_t + h_{t-1}", "E0401", "param U : "),
    ("«function 2 = tanh»\nh_t = x_t + h_{t-1}", "E0401", "function f"),
    ("input x\nparam «x»\nh_t = x_t + h_{t-1}", "E0402", "keep one"),
    ("output h\noutput «g»\nh_t = x_t + h_{t-1}\ng_t = h_t", "E0402", "y_t = [a_t, b_t]"),
    ("cell «my-cell»\nh_t = x_t + h_{t-1}", "E0403", "letters"),
    ("cell «import»\nh_t = x_t + h_{t-1}", "E0406", "another name"),
    ("state «c»\nh_t = x_t + h_{t-1}", "E0404", "c_t = "),
    ("state «hh»\nh_t = x_t + h_{t-1}", "E0404", "did you mean 'h'"),
    ("output «y»\nh_t = x_t + h_{t-1}", "E0405", "equation for y"),
    ("const \\gamma = «x»\nh_t = x_t + \\gamma h_{t-1}", "E0407", "const gamma = 0.01"),
    ("size k = «0»\nparam U : k x n_x\nparam V : n_h x k\nh_t = V U x_t + h_{t-1}", "E0408", "size k = 16"),
    ("size k = «2.5»\nparam U : k x n_x\nparam V : n_h x k\nh_t = V U x_t + h_{t-1}", "E0408", None),
    ("init b = «often»\nh_t = x_t + h_{t-1} + b", "E0409", "orthogonal"),
    ("init U = «orthogonl»\nh_t = x_t + U h_{t-1}", "E0409", "did you mean 'orthogonal'"),
    ("param U : 2 x 3 x «4»\nh_t = U x_t + h_{t-1}", "E0410", "vector"),
    ("param U : «W^2» x 3\nh_t = U x_t + h_{t-1}", "E0410", "names, whole numbers"),
    ("param U : «k» x n_x\nh_t = V U x_t + h_{t-1}", "E0411", "size k = 16"),
    ("state «h» = x\nh_t = x_t + h_{t-1}", "E0412", "learned"),
]  # fmt: skip


@pytest.mark.parametrize("marked, code, hint", DECLARATIONS)
def test_declarations(marked, code, hint):
    start, text = marked.index("«"), marked.replace("«", "").replace("»", "")
    found = [d for d in problems(text) if d.code == code]
    assert len(found) == 1
    assert found[0].span.start == start
    assert found[0].span.text == marked[start + 1 : marked.index("»")]
    assert hint is None or hint in found[0].hint


# --- all at once ----------------------------------------------------------------------------------


def test_all_semantic_errors_of_a_file_at_once():
    text = """input x
z_t = x_t h_{t-1} + q_t
a_t = b_t
b_t = a_t
c_t = tanh(c_{t-1}, x_t) + z_t + a_t
state nowhere
h_t = c_t + h_{t-1}
"""
    found = [(d.code, d.span.line) for d in problems(text)]
    assert found == sorted(found, key=lambda pair: pair[1])  # in the order of the text
    assert found == [("E0301", 2), ("E0201", 2), ("E0207", 3), ("E0307", 5), ("E0404", 6)]


def test_all_syntax_errors_of_a_file_at_once():
    text = "a_t = (x_t\nb_t = x_t +\nc_t = x_t ♥ 2\nd_t x_t\ne_t = ^ 2\nh_t = x_t + h_{t-1}"
    assert [(d.code, d.span.line) for d in problems(text)] == [
        ("E0101", 1), ("E0105", 2), ("E0107", 3), ("E0103", 4), ("E0105", 5)
    ]  # fmt: skip


def test_a_broken_equation_is_not_missed():
    """A name whose equation does not parse is defined all the same: one error, not three."""
    assert [d.code for d in problems("z_t = σ(W x_t\nh_t = z_t ⊙ h_{t-1} + x_t")] == ["E0101"]
    assert [d.code for d in problems("h_t = σ(W x_t + h_{t-1}")] == ["E0101"]
    assert [d.code for d in problems("state h = \nh_t = W x_t + h_{t-1}")] == ["E0401"]


def test_kinds_are_checked_beside_names():
    text = "input x\nz_t = W x_t\nh_t = z_t h_{t-1} + w_t"
    assert [d.code for d in problems(text)] == ["E0301", "E0201"]


# --- rendering ------------------------------------------------------------------------------------


def test_carets_stand_under_wide_and_combining_characters():
    text = Source("a.gate", "h̃_t = 日本 ♥ x")
    start = text.text.index("♥")
    lines = render(Diagnostic("E0107", "message", text.span(start, start + 1))).splitlines()
    # 日本 are two columns each, the combining tilde none.
    assert lines[2].index("^") - lines[1].index("| ") - 2 == len("h_t = ") + 4 + 1


def test_long_lines_are_cut_around_the_place():
    text = Source("a.gate", "x" * 500 + "?" + "y" * 500)
    shown = render(Diagnostic("E0107", "m", text.span(500, 501))).splitlines()
    assert len(shown[1]) < 140 and "?" in shown[1]
    assert shown[1][shown[2].index("^")] == "?"


def test_control_and_bidirectional_characters_are_shown_as_escapes():
    text = Source("a\x1b[31m.gate", "h_t = \x1b[2J \u202e x")
    diagnostic = Diagnostic(
        "E0107", "\x07 m", text.span(6, 7), "\x1b]0;", (Note("\x9b", text.span(0, 1)),)
    )
    assert all(char.isprintable() or char == "\n" for char in render(diagnostic))


def test_colour():
    text = Source("a.gate", "h_t = ?")
    diagnostic = Diagnostic("E0107", "m", text.span(6, 7), "do")
    assert "\033[" in render(diagnostic, colour=True)
    assert "\033[" not in render(diagnostic)


def test_json():
    (found,) = problems("h_t = tanh(W x_t + h_{t-1}")
    data = json.loads(json.dumps(found.as_json()))
    assert (data["code"], data["line"], data["column"], data["end_column"]) == ("E0101", 1, 11, 12)
    assert data["severity"] == "error" and data["message"] and data["hint"]


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "opening, closing",
    [("(", ")"), (r"\tanh(", ")"), ("-", ""), ("{", "}"), ("[", "]"), (r"\sqrt{", "}"), ("2^{", "}"),
     ("|", "|")],
)  # fmt: skip
def test_nested_twenty_thousand_deep(opening, closing):
    text = f"h_t = {opening * 20_000}x_t{closing * 20_000} + h_{{t-1}}"
    (found,) = problems(text)
    assert found.code == "E0501" and "200" in found.message and "name" in found.hint


@pytest.mark.parametrize("opening", ["(", "{", "x^{", "x_(", r"\frac{1}{", r"\begin{bmatrix}"])
def test_opened_a_thousand_times_and_never_closed(opening):
    codes = {d.code for d in problems(f"h_t = {opening * 1000}x_t + h_{{t-1}}")}
    assert codes and codes <= {"E0101", "E0501"}


def test_deep_but_allowed():
    assert problems(f"h_t = {'(' * 190}x_t{')' * 190} + h_{{t-1}}") == []


LIMITS = [
    ("\n".join(f"z_{{{i},t}} = x_t" for i in range(10_001)), "E0502"),
    (f"h_t = {'1' * 65} x_t + h_{{t-1}}", "E0503"),
    ("h_t = 1e401 x_t + h_{t-1}", "E0503"),
    ("h_t = x_t^{65} + h_{t-1}", "E0504"),
    ("h_t = x_t^{9^{9^9}} + h_{t-1}", "E0504"),
    ("\n".join(f"f_{{{i}}}(z) = f_{{{i + 1}}}(z) + f_{{{i + 1}}}(z)" for i in range(60))
     + "\nf_{60}(z) = z\nh_t = f_{0}(x_t) + h_{t-1}", "E0505"),
    (f"h_t = {'W ' * 300} x_t + h_{{t-1}}", "E0506"),
    (f"h_t = x{'_a' * 20}_t + h_{{t-1}}", "E0507"),
    ("h_t = x_{t-5000} + h_{t-1}", "E0508"),
    (f"h_t = x_t{' / 2' * 300} + h_{{t-1}}", "E0501"),
]  # fmt: skip


@pytest.mark.parametrize("text, code", LIMITS, ids=[code for _, code in LIMITS])
def test_limits(text, code):
    found = problems(text)
    assert code in {d.code for d in found}
    assert len(found) <= 2


def test_macros_that_expand_without_end():
    levels = "".join(
        rf"\newcommand{{\m{chr(97 + i)}}}{{\m{chr(98 + i)}\m{chr(98 + i)}}}" for i in range(20)
    )
    found = problems(rf"{levels}$$h_t = \ma x_t + h_{{t-1}}$$", "bomb.tex")
    assert {d.code for d in found} <= {"E0505", "E0213"} and found


def test_large_but_allowed():
    terms = " + ".join(f"W_{{{i}}} x_t" for i in range(2000))
    assert problems(f"h_t = tanh({terms} + h_{{t-1}})") == []
    chain = "\n".join(f"z_{{{i + 1},t}} = tanh(W_{{{i}}} z_{{{i},t}})" for i in range(1000))
    assert problems(f"z_{{0,t}} = x_t\n{chain}\nh_t = z_{{1000,t}} + h_{{t-1}}") == []


def test_thousands_of_errors():
    text = "\n".join(f"z_{{{i},t}} = x_t x_t" for i in range(2000))
    assert sum(d.code == "E0301" for d in problems(text)) == 2000


HOSTILE = ["\0", "\x1b[2J", "\u202e", "\ufeff", "\ud800", "￼", "\x7f", "💥", "ﬁ", "½", "①", "ℝ", "​"]


@pytest.mark.parametrize("char", HOSTILE)
@pytest.mark.parametrize(
    "place", ["h_t = x_t%h_{t-1}", "%h_t = x_t + h_{t-1}", "h_t%= x_t + h_{t-1}"]
)
def test_strange_characters(place, char):
    for found in problems(place.replace("%", char)):
        assert all(c.isprintable() or c == "\n" for c in render(found))

"""Properties of the front end: a cell is the same however it is written, and no text breaks it."""

# ruff: noqa: E501 (a list of pieces)

import io
import json
import os
import random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from meaning import same_cell
from papers import PAPERS
from spellings import document

from gatec import show_ir
from gatec.errors import GatecError, render
from gatec.parse import parse
from gatec.resolve import resolve
from gatec.source import read, read_text
from gatec.syntax import show

KINDS = ["gate", "markdown", "text", "rst", "tex", "docstring", "python", "notebook"]


def runs(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def outcome(make):
    """What becomes of a text: cells, or diagnostics that can be shown; anything else is a bug."""
    try:
        documents = make()
    except GatecError as error:
        return check(error)
    for each in documents:
        module = parse(each)
        show(module)
        try:
            found = resolve(module)
        except GatecError as error:
            check(error)
        else:
            show_ir.cell_text(found.cell)
            for warning in found.warnings:
                render(warning)
    return documents


def check(error):
    assert error.diagnostics
    for diagnostic in error.diagnostics:
        assert all(char.isprintable() or char == "\n" for char in render(diagnostic))
        json.dumps(diagnostic.as_json())
        if diagnostic.span is not None:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end
    return error.diagnostics


# --- one cell, two spellings ----------------------------------------------------------------------


@runs(60)
@given(st.data())
def test_a_cell_written_twice_is_one_cell(data):
    """Fonts, spaces, brackets, signs, scripts and forms of time make no difference."""
    cell = data.draw(document())
    texts = cell.spelled(data.draw), cell.spelled(data.draw)
    for text in texts:
        note(text)
    same_cell(*texts)


# --- no text breaks it ----------------------------------------------------------------------------

PIECES = [
    "h_t", "h_{t-1}", "x_t", "x_{t}", "W", "U_f", "b", r"\sigma", r"\tanh", "(", ")", "[", "]", "{", "}",
    "=", "+", "-", "*", "/", r"\odot", r"\frac", r"\sqrt", r"\tilde", "^", "_", "'", "|", r"\|", ",", ";",
    ":", "&", r"\\", "\n", " ", "1", "0.5", r"\begin{pmatrix}", r"\end{pmatrix}", r"\begin{cases}",
    r"\end{cases}", r"\begin{align}", r"\end{align}", "$", "$$", r"\left(", r"\right)", r"^\top", "<t>",
    "cell", "input", "state", "param", "const", "size", "function", "init", "output", "learned", "x", "t",
    "t-1", r"\text{if}", r"\mathbf", r"\in", r"\mathbb{R}^{n \times m}", "I", r"\underbrace", "#", "%",
    "…", "₋₁", "ᵀ", "⊙", "h̃", "\u0303", "→", r"\newcommand{\a}[1]{#1_t}", r"\a", "```", "~~~gate", "<!--",
    "-->", ".. math::", r"\[", r"\]", r"\(", r"\)", r"\max", r"\min", ">", "<", "h'", "e^", "10^{-3}",
    r"\operatorname{diag}", r"\mathrm{softmax}", r"\lVert", r"\rVert_2", r"\Delta t", r"\verb|", "\t", ".",
]  # fmt: skip


@runs(400)
@given(st.lists(st.sampled_from(PIECES), max_size=40), st.sampled_from(KINDS), st.booleans())
def test_any_pieces(pieces, kind, spaced):
    text = (" " if spaced else "").join(pieces)
    outcome(lambda: read_text(text, "a", kind))


@runs(200)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=25))
def test_any_right_side(pieces):
    outcome(lambda: read_text("h_t = W x_t + h_{t-1} + " + " ".join(pieces), "a.gate"))


@runs(200)
@given(st.text(max_size=200), st.sampled_from(KINDS))
def test_any_text(text, kind):
    outcome(lambda: read_text(text, "a", kind))


@runs(150)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    outcome(lambda: read("-", stdin=io.BytesIO(data)))


@runs(150)
@given(st.sampled_from(PAPERS), st.randoms(use_true_random=False))
def test_any_damage(paper, dice):
    """The texts of papers with pieces lost, doubled, swapped or put in."""
    outcome(lambda: read_text(damaged(paper.text, dice), f"a.{paper.suffix}"))


def damaged(text, dice: random.Random):
    for _ in range(dice.randrange(1, 4)):
        start = dice.randrange(len(text) + 1)
        stop = min(len(text), start + dice.choice([1, 1, 2, 5, 20]))
        piece = text[start:stop]
        other = dice.choice(
            ["", piece * 2, piece[::-1], dice.choice(PIECES), dice.choice(PIECES) + piece]
        )
        text = text[:start] + other + text[stop:]
    return text


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_prefix_of_a_paper(paper):
    for stop in range(1, len(paper.text), max(7, len(paper.text) // 12)):
        outcome(lambda stop=stop: read_text(paper.text[:stop], f"a.{paper.suffix}"))

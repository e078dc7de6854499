"""Cells as they stand in the literature, against references written by hand."""

from functools import cache

import pytest
from harness import assert_close, build, cell_shapes, compiled_text, differentiated, draw, executed
from papers import PAPERS
from references import shape

# Sizes that no two meanings share, so that no shape is right by accident.
STEPS, BATCH, HIDDEN, INPUT, OUTPUT = 5, 2, 4, 3, 6

papers = pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)


@cache
def program(name):
    paper = next(paper for paper in PAPERS if paper.name == name)
    return compiled_text(paper.text, f"{paper.name}.{paper.suffix}")


def letters(paper):
    return {"h": HIDDEN, "x": HIDDEN if paper.square else INPUT, "o": OUTPUT, **paper.sizes}


def sizes(paper):
    names = {"h": "hidden_size", "x": "input_size", "o": "output_size"}
    return {names.get(letter, letter): number for letter, number in letters(paper).items()}


def test_how_many():
    assert len(PAPERS) >= 40


@papers
def test_what_the_front_end_found(paper):
    cell = program(paper.name).source
    found = cell_shapes(cell, sizes(paper))
    for group, wanted in (
        ("params", paper.params),
        ("inputs", paper.inputs),
        ("states", paper.states),
    ):
        assert found[group] == {k: shape(v, **letters(paper)) for k, v in wanted.items()}


@papers
@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_paper(paper, target, tmp_path):
    made = program(paper.name)
    case = draw(cell_shapes(made.source, sizes(paper)), STEPS, BATCH)

    def run(params, inputs, states):
        import torch

        memory = {
            name: torch.zeros(BATCH, *shape(v, **letters(paper)), dtype=torch.float64)
            for name, v in paper.memory.items()
        }
        outputs, last = paper.run(params, inputs, {**states, **memory})
        return outputs, {name: last[name] for name in states}

    got = executed(target, build(target, made, tmp_path), made, sizes(paper), case)
    assert_close(got, differentiated(run, case), 1e-12)

"""A cell as text, and back."""

import pytest
from native_cells import NAMES, program

from gatec import cell_text


def meaning(cell):
    """All of a cell that is not only for readers."""
    return (
        cell.name,
        [(item.name, item.shape) for item in cell.inputs],
        [(s.name, s.shape, s.update, s.initial) for s in cell.states],
        [(p.name, p.shape, p.bias) for p in cell.params],
        [(c.name, c.value) for c in cell.constants],
        [(s.name, s.default) for s in cell.sizes],
        [(e.name, e.value) for e in cell.equations],
        cell.output,
    )


@pytest.mark.parametrize("name", NAMES)
def test_read_is_the_way_back(name):
    source = program(name).source
    text = cell_text.text(source)
    assert meaning(cell_text.read(text)) == meaning(source)
    assert cell_text.verified(source) == text
    assert max(map(len, text.splitlines())) <= 88


def test_text():
    """What a generated module carries can be read by a person."""
    text = cell_text.text(program("leaky").source)
    assert text.splitlines()[0] == "cell Leaky"
    assert "const gamma_ = 1/4" in text and "h[1]" in text and text.endswith("output h")


@pytest.mark.parametrize(
    "word", ["cell", "input", "state", "param", "bias", "const", "size", "output"]
)
def test_quantities_may_have_the_names_of_declarations(word):
    given = f"input x: input_size\n{word} = tanh(x)\nh = neg({word})\noutput h"
    cell = cell_text.read(given)
    assert [equation.name for equation in cell.equations] == [word, "h"]
    assert cell.equations[1].value.children[0].name == word


@pytest.mark.parametrize("text", ["h = nosuch(x)", "input x: input_size\nh = add(x, y)\noutput h"])
def test_other_texts_are_refused(text):
    with pytest.raises((ValueError, KeyError, TypeError)):
        cell_text.read(text)

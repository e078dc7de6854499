"""What the forward pass keeps: as few bytes as can be, and no product is ever computed again."""

import pytest
from harness import compiled, compiled_text
from papers import PAPERS

from gatec import resources
from gatec.expr import Apply
from gatec.ops import OPS, Kind

PROGRAMS = [
    (name, lambda name=name: compiled(resources.spec_path(name))) for name in resources.spec_names()
]
PROGRAMS += [(p.name, lambda p=p: compiled_text(p.text, f"{p.name}.{p.suffix}")) for p in PAPERS]


@pytest.mark.parametrize(("name", "program"), PROGRAMS, ids=[name for name, _ in PROGRAMS])
def test_no_product_is_computed_again(name, program):
    made = program()
    products = {
        equation.name
        for equation in made.plan.equations
        if isinstance(equation.value, Apply)
        and OPS[equation.value.op].kind in (Kind.CONTRACTION, Kind.REDUCTION)
    }
    again = {e.name.removesuffix("_again") for e in made.backward.equations if "_again" in e.name}
    assert not products & again


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        # Activations, and not what they are functions of; states are there anyway.
        ("lstm", ["Gamma_f", "Gamma_u", "c_tilde", "c", "Gamma_o"]),
        ("gru", ["r", "z", "h_tilde"]),
        # Of the state's product only the slice inside the candidate, not all three gates.
        ("gru_v3", ["r", "z", "n_term", "n"]),
        # 1 - n^2 follows from the new state.
        ("rnn", ["h"]),
        ("indrnn", ["h_argument"]),
    ],
)
def test_what_is_kept(name, kept):
    assert list(compiled(resources.spec_path(name)).backward.stored) == kept


def test_a_function_of_the_state_alone_is_computed_again():
    """tanh(c) costs an array of the sequence to keep, and nothing but time to compute."""
    backward = compiled(resources.spec_path("lstm")).backward
    assert any(e.name == "tanh_c" for e in backward.equations)

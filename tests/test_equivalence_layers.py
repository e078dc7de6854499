"""Cells that are deep within a step: maps found layer by layer."""

import pytest

import gatec
from gatec.equivalence.prepare import prepared
from gatec.equivalence.verdict import Kind
from gatec.equivalence.waists import waists


def highway(depth, turned=(), broken=None):
    """A recurrent highway network (Zilly et al., 2017); in `turned` layers the gate means the
    opposite; a `broken` layer adds what it should mix."""
    lines, previous = [f"cell Highway{depth}"], "h_{t-1}"
    for i in range(1, depth + 1):
        x = ["W_{h1} x_t + ", "W_{t1} x_t + "] if i == 1 else ["", ""]
        name = "h_t" if i == depth else f"z_{{{i},t}}"
        a, g = f"a_{{{i},t}}", f"g_{{{i},t}}"
        lines.append(rf"{a} = \tanh({x[0]}R_{{h{i}}} {previous} + b_{{h{i}}})")
        lines.append(rf"{g} = \sigma({x[1]}R_{{t{i}}} {previous} + b_{{t{i}}})")
        new, old = (f"(1 - {g})", g) if i in turned else (g, f"(1 - {g})")
        if i == broken:
            new, old = g, g
        lines.append(rf"{name} = {new} \odot {a} + {old} \odot {previous}")
        previous = f"z_{{{i},t}}"
    return "\n".join(lines)


def verdict(one, other):
    found = gatec.check(one, other).verdict
    return found.kind, found.basis


@pytest.mark.parametrize("depth", [3, 6])
def test_turned_gates_are_proved(depth):
    assert verdict(highway(depth), highway(depth, range(1, depth + 1))) == (Kind.EQUAL, "exact")


@pytest.mark.parametrize(("depth", "turned"), [(11, range(1, 12, 2)), (20, [7])])
def test_beyond_normal_forms_of_the_whole_waists_prove(depth, turned):
    found = gatec.check(highway(depth), highway(depth, turned))
    assert (found.kind, found.verdict.basis) == (Kind.EQUAL, "exact")
    for proof in (found.verdict.covers, found.verdict.covered):
        assert len(proof.waists) == depth - 1
    assert f"from here on both are z_{{{depth - 1},t}}" in found.text(proof=True)


@pytest.mark.parametrize("depth", [4, 6])
def test_one_layer_that_differs(depth):
    """All others turned: the point is one where only the broken layer can be the reason."""
    other = highway(depth, range(1, depth + 1), broken=depth // 2)
    found = gatec.check(highway(depth), other)
    assert (found.kind, found.verdict.basis) == (Kind.DIFFERENT, "certified")
    assert "layer by layer" in " ".join(found.verdict.searched)


def test_waists_are_what_layers_hand_on():
    cell = prepared(gatec.parse(highway(4)).cell)
    assert len(waists(cell)) == 3

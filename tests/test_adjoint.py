"""The backward cell: gradients against torch's autograd, what is kept, the minimum cut."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import handmade
import numpy as np
import pytest
from harness import assert_close, build, cell_shapes, compiled, draw, executed, interpreted
from papers import PAPERS
from test_passes import SIZES, _Writer, calls, one_state

from gatec import adjoint, backends, passes, resources
from gatec.adjoint.cut import Network
from gatec.expr import HIDDEN, INPUT, Apply, Concat, Expr, Ref, call, number
from gatec.ir import Cell, Equation, Initial, Phase, Program, State, verify
from gatec.ops import OPS, Kind
from gatec.passes import check_equations
from gatec.passes.common import bottom_up, is_transpose, refs

X, H = handmade.X, Ref("state", "h", (HIDDEN,), 1)


def program(cell: Cell) -> Program:
    return adjoint.differentiate(cell, passes.plan(cell))


def roots(made: Program) -> list[str]:
    back = made.backward
    pairs = (*back.carries, *back.grad_params, *back.grad_inputs)
    return list(dict.fromkeys(name for _, name in pairs))


def assert_gradients(cell: Cell, folder, tolerance: float = 1e-11) -> Program:
    """The NumPy code of a cell and its derived backward cell against autograd."""
    verify(cell)
    made = program(cell)
    check(made)
    sizes = {**SIZES, **{size.name: size.default or 4 for size in cell.sizes}}
    case = draw(cell_shapes(cell, sizes), 4, 2, seed=3)
    got = executed("numpy", build("numpy", made, folder), made, sizes, case)
    assert_close(got, interpreted(cell, sizes, case), tolerance)
    return made


def check(made: Program) -> None:
    """What backends rely on."""
    plan, back = made.plan, made.backward
    passes.check_plan(plan)
    check_equations(back.equations, roots(made))
    assert {state for state, _ in back.carries} == {state.name for state in plan.states}
    by_name = {equation.name: equation for equation in back.equations}
    forward = {equation.name: equation for equation in plan.equations}
    assert not by_name.keys() & forward.keys()
    carries = {name for _, name in back.carry_names}
    phases = list(Phase)
    for equation in back.equations:
        for ref in refs(equation.value):
            if ref.kind == "grad":
                assert ref.name in carries | {back.grad_output}
                assert ref.name not in carries or equation.phase is Phase.STEP
            if ref.kind == "var" and ref.name in by_name:
                before = by_name[ref.name]
                assert before.ref == ref
                assert phases.index(before.phase) <= phases.index(equation.phase)
            elif ref.kind == "var":
                assert forward[ref.name].ref == ref
                assert not ref.batched or ref.name in back.stored
    for name in back.stored:
        assert forward[name].value.batched
    for group, found in ((plan.params, back.grad_params), (plan.inputs, back.grad_inputs)):
        shapes = {item.name: item.shape for item in group}
        for item, name in found:
            assert by_name[name].value.shape == shapes[item]
    for _, name in back.grad_params:
        assert not by_name[name].value.batched
    # The forward pass has done every product and reduction; none is done again.
    again = [e for e in back.equations if e.name.removesuffix("_again") in forward]
    for equation in again:
        for node in bottom_up(equation.value):
            work = isinstance(node, Apply) and OPS[node.op].kind is not Kind.POINTWISE
            assert not work or node.op == "outer" or is_transpose(node), equation.name


# --- Gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", handmade.ALL.values(), ids=handmade.ALL)
def test_hand_made_cells(cell, tmp_path):
    assert_gradients(cell(), tmp_path)


@pytest.mark.parametrize("seed", range(60))
def test_random_cells(seed, tmp_path):
    assert_gradients(_Writer(seed).cell(), tmp_path)


@pytest.mark.parametrize("name", resources.spec_names())
def test_specs_keep_their_promises(name):
    check(compiled(resources.spec_path(name)))


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_papers_keep_their_promises(paper):
    from harness import compiled_text

    check(compiled_text(paper.text, f"{paper.name}.{paper.suffix}"))


def two_roles() -> Cell:
    """One parameter as initial state, as bias, and as a factor."""
    b = Ref("param", "b", (HIDDEN,))
    new = (H * b + call("matvec", Ref("param", "W", (HIDDEN, INPUT)), X) + b).apply("tanh")
    cell = one_state(Equation("h", "h", new))
    return replace(cell, states=(replace(cell.states[0], initial=Initial(param="b")),))


def test_a_parameter_in_several_roles(tmp_path):
    cell = two_roles()
    made = assert_gradients(cell, tmp_path)
    case = draw(cell_shapes(cell, SIZES) | {"states": {}}, 4, 2)
    got = executed("numpy", build("numpy", made, tmp_path), made, SIZES, case)
    assert_close(got, interpreted(cell, SIZES, case), 1e-12)


def test_parameters_that_nothing_reaches_have_no_gradient(tmp_path):
    p, q = Ref("param", "p", (HIDDEN,)), Ref("param", "q", (HIDDEN,))
    new = H.apply("tanh") + p.apply("detach") + p.apply("sign") + (q * 0)
    made = assert_gradients(one_state(Equation("h", "h", new + X.apply("sum"))), tmp_path)
    assert made.backward.grad_params == ()


def test_what_no_state_reads_needs_no_loop():
    """The readout of an affine state: its products are done for all steps at once."""
    w, v = Ref("param", "W", (HIDDEN, INPUT)), Ref("param", "V", (INPUT, HIDDEN))
    h = Equation("h", "h", H * 0.5 + call("matvec", w, X))
    y = Equation("y", "y", call("matvec", v, h.ref).apply("tanh"))
    cell = handmade._cell("Readout", (State("h", "h", (HIDDEN,), "h"),), [h, y], "y")
    back = program(cell).backward
    inside = [e for e in back.equations if e.phase is Phase.STEP]
    products = {"matvec", "matmul", "batch_sum"}
    assert not [e for e in inside if isinstance(e.value, Apply) and e.value.op in products]
    before = [e for e in back.equations if e.phase is Phase.SEQUENCE]
    assert [e.value.op for e in before if isinstance(e.value, Apply)].count("matvec") == 1


def test_values_of_the_forward_pass_that_all_steps_need_are_computed_at_once():
    """What is computed again and read after the loop is not computed step by step."""
    back = compiled(resources.spec_path("deltanet")).backward
    phases = {e.name: e.phase for e in back.equations}
    assert phases["k_again"] is phases["k_tilde_again"] is Phase.SEQUENCE
    # What the loop alone reads is not kept for the whole sequence.
    back = compiled(resources.spec_path("lstm")).backward
    assert {e.name: e.phase for e in back.equations}["tanh_c"] is Phase.STEP


def test_derivation_is_deterministic():
    first = program(handmade.lagged())
    assert program(handmade.lagged()) == first


# --- What is kept ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        # tanh' and sigmoid' follow from the values themselves; states are there anyway.
        ("rnn", {"h"}),
        ("lstm", {"Gamma_f", "Gamma_u", "c_tilde", "Gamma_o", "c"}),
        ("gru", {"r", "z", "h_tilde"}),
        ("mgu", {"f", "h_tilde"}),
        ("mingru", {"z", "h_tilde"}),
    ],
)
def test_what_known_cells_keep(name, kept):
    assert set(compiled(resources.spec_path(name)).backward.stored) == kept


def test_the_cheaper_side_is_kept():
    """A scalar rather than the vector that it scales, and what functions of one value share."""
    s = Equation("s", "s", call("dot", Ref("param", "w", (INPUT,)), X).apply("sigmoid"))
    wide = Equation("wide", "wide", s.ref * Ref("param", "v", (HIDDEN,)))
    new = Equation("h", "h", (wide.ref * H).apply("sin"))
    back = program(one_state(s, wide, new)).backward
    assert back.stored == ("s",)


# --- The cut --------------------------------------------------------------------------------------


def _cheapest(count, edges, costs, sources, sinks):
    """By trying every set of vertices."""
    following = {v: [b for a, b in edges if a == v] for v in range(count)}

    def parts(chosen):
        stack = [v for v in sources if v not in chosen]
        seen = set(stack)
        while stack:
            v = stack.pop()
            if v in sinks:
                return False
            for w in following[v]:
                if w not in seen and w not in chosen:
                    seen.add(w)
                    stack.append(w)
        return True

    allowed = [v for v in range(count) if costs[v] is not None]
    sets = itertools.chain.from_iterable(
        itertools.combinations(allowed, size) for size in range(len(allowed) + 1)
    )
    totals = [sum(costs[v] for v in chosen) for chosen in map(set, sets) if parts(chosen)]
    return min(totals, default=None), parts


@pytest.mark.parametrize("seed", range(150))
def test_minimum_cut(seed):
    rng = random.Random(seed)
    count = rng.randint(2, 9)
    density = rng.choice([0.2, 0.35, 0.6])
    pairs = (
        itertools.combinations(range(count), 2)
        if seed % 2
        else itertools.permutations(range(count), 2)
    )
    edges = [pair for pair in pairs if rng.random() < density]
    costs = [rng.choice([None, 1, 1, 2, 3, 5, 8]) for _ in range(count)]
    sources = rng.sample(range(count), rng.randint(1, 2))
    sinks = set(rng.sample(range(count), rng.randint(1, 2)))
    wanted, parts = _cheapest(count, edges, costs, sources, sinks)
    network = Network[int]()
    for v in range(count):
        network.vertex(v, costs[v])
    for edge in edges:
        network.edge(*edge)
    for v in sources:
        network.source(v)
    for v in sinks:
        network.sink(v)
    if wanted is None:
        with pytest.raises(ValueError, match="no vertex that can be cut"):
            network.cut()
        return
    found = network.cut()
    assert parts(found)
    assert sum(costs[v] for v in found) == wanted


def test_the_cut_nearest_to_the_sinks():
    network = Network[str]()
    for name in "abc":
        network.vertex(name, 7)
    network.edge("a", "b")
    network.edge("b", "c")
    network.source("a")
    network.sink("c")
    assert network.cut() == {"c"}


# --- Size -----------------------------------------------------------------------------------------


def _chain(count: int) -> Cell:
    """Every equation reads the one before; a product in every tenth."""
    value: Expr = H
    equations = []
    for i in range(count):
        p = Ref("param", f"p_{i}", (HIDDEN,))
        new = (value * p + 0.5).apply("tanh")
        if i % 10 == 0:
            new = call("matvec", Ref("param", f"W_{i}", (HIDDEN, HIDDEN)), new) + X.apply("sum")
        equations.append(Equation(f"g_{i}", f"g_{i}", new))
        value = equations[-1].ref
    return one_state(*equations, Equation("h", "h", value + H * 0.5))


def _sum(count: int) -> Cell:
    """One sum of many terms, each with a parameter of its own."""
    terms = [(H * Ref("param", f"p_{i}", (HIDDEN,))).apply("tanh") for i in range(count)]
    return one_state(Equation("h", "h", call("add", *terms, X.apply("sum")).apply("tanh")))


def _product(count: int) -> Cell:
    p = Ref("param", "p", (HIDDEN,))
    factors = [p + H * number(1 / (i + 2)) for i in range(count)]
    return one_state(Equation("h", "h", call("mul", *factors, X.apply("sum")).apply("tanh")))


def _wide(count: int) -> Cell:
    """Many values of one product, joined again."""
    parts = []
    for i in range(count):
        gate = call("matvec", Ref("param", f"W_{i}", (HIDDEN, INPUT)), X) + H
        parts.append(Equation(f"g_{i}", f"g_{i}", gate.apply("sigmoid")))
    joined = Equation("joined", "joined", Concat(tuple(p.ref for p in parts)))
    total = call("matvec", Ref("param", "V", (HIDDEN, HIDDEN * count)), joined.ref)
    return one_state(*parts, joined, Equation("h", "h", total.apply("tanh")))


SHAPES = {"equations": _chain, "terms": _sum, "factors": _product, "gates": _wide}


@pytest.mark.parametrize("cell", SHAPES.values(), ids=SHAPES)
def test_cost_is_linear(cell):
    def cost(count: int) -> int:
        source = cell(count)
        return calls(lambda: backends.load("numpy").generate(program(source), "cell"))

    small, large = cost(20), cost(80)
    assert large < 6 * small


@pytest.mark.parametrize(
    ("cell", "count"),
    [(_chain, 1200), (_sum, 1200), (_product, 500), (_wide, 300)],
    ids=SHAPES,
)
def test_large_cells(cell, count, tmp_path):
    """Planned, derived, printed and run, without recursion."""
    made = program(cell(count))
    module = build("numpy", made, tmp_path)
    rng = np.random.default_rng(0)
    params = module.init(2, 2, rng)
    x = rng.standard_normal((2, 1, 2))
    outputs, _ = module.forward(params, x)
    grads, grad_x, _ = module.backward(params, x, None, np.ones_like(outputs))
    assert all(np.isfinite(value).all() for value in (outputs, grad_x, *grads.values()))

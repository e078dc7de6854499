"""Passes: plans keep the meaning of a cell, and their promises to backends."""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import replace

import handmade
import numpy as np
import pytest

from gatec import interpret, resources
from gatec.expr import (
    HIDDEN,
    INPUT,
    Apply,
    Concat,
    Const,
    Dim,
    Expr,
    Identity,
    Ref,
    Slice,
    call,
    number,
)
from gatec.ir import Cell, Constant, Equation, Input, Param, Phase, State, verify
from gatec.passes import check_equations, check_plan, normalise, plan
from gatec.passes.delay import delay
from gatec.passes.expand import expand

SIZES = {"input_size": 3, "hidden_size": 4}
X, H = handmade.X, Ref("state", "h", (HIDDEN,), 1)


def matrix(name: str, *shape) -> Ref:
    return Ref("param", name, shape or (HIDDEN, HIDDEN))


def one_state(*equations: Equation) -> Cell:
    """A cell with one state h, the last equation its update."""
    return handmade._cell("Cell", (State("h", "h", (HIDDEN,), "h"),), equations, "h")


def products(cell: Cell, phase: Phase) -> list[Equation]:
    found = ("matvec", "matmul")
    return [
        e
        for e in cell.equations
        if e.phase is phase and isinstance(e.value, Apply) and e.value.op in found
    ]


def assert_same(source: Cell, planned: Cell, sizes: dict[str, int]) -> None:
    """Both cells compute the same outputs and states, to rounding, in float64."""
    rng = np.random.default_rng(0)
    steps, batch = 5, 2

    def draw(shape, *lead: int):
        return rng.uniform(0.1, 0.9, (*lead, *(dim.value(sizes) for dim in shape)))

    params = {p.name: draw(p.shape) for p in source.params}
    inputs = {i.name: draw(i.shape, steps, batch) for i in source.inputs}
    expected = interpret.run(source, params, inputs, sizes=sizes)
    assert np.isfinite(expected.outputs).all()
    found = interpret.run(planned, params, inputs, sizes=sizes)
    np.testing.assert_allclose(found.outputs, expected.outputs, rtol=1e-12, atol=1e-12)
    for state in source.states:
        np.testing.assert_allclose(
            found.state[state.name], expected.state[state.name], rtol=1e-12, atol=1e-12
        )


def assert_plan(source: Cell) -> Cell:
    sizes = {**SIZES, **{s.name: s.default or 4 for s in source.sizes}}
    if source.inputs[0].shape == (HIDDEN,):
        sizes["input_size"] = sizes["hidden_size"]
    planned = plan(source)
    verify(planned)
    check_plan(planned)
    assert_same(source, planned, sizes)
    return planned


@pytest.mark.parametrize("cell", handmade.ALL.values(), ids=handmade.ALL)
def test_plan_of_hand_made_cells(cell):
    planned = assert_plan(cell())
    assert plan(cell()) == planned


@pytest.mark.parametrize("name", resources.spec_names())
def test_plan_of_specs(name):
    from gatec import source
    from gatec.parse import parse
    from gatec.resolve import resolve

    (document,) = source.read(str(resources.spec_path(name)))
    assert_plan(resolve(parse(document)).cell)


def test_lstm_has_one_product_per_phase():
    planned = plan(handmade.lstm())
    assert len(products(planned, Phase.STEP)) == 1
    assert len(products(planned, Phase.SEQUENCE)) == 1
    stack = [e.value for e in planned.equations if isinstance(e.value, Concat)]
    assert [len(value.args) for value in stack] == [4, 4, 4]
    # The biases are added before the loop.
    biases = {
        node.name
        for e in planned.equations
        if e.phase is Phase.STEP
        for node in _refs(e.value)
        if node.kind == "param"
    }
    assert not biases


def _refs(expr: Expr) -> list[Ref]:
    from gatec.expr import walk

    return [node for node in walk(expr) if isinstance(node, Ref)]


def test_gru_products():
    assert len(products(plan(handmade.gru_reset_after()), Phase.STEP)) == 1
    assert len(products(plan(handmade.gru_reset_before()), Phase.STEP)) == 2


def test_parameter_expressions_are_computed_once():
    planned = plan(handmade.antisymmetric())
    assert [e.phase for e in planned.equations if e.value.shape == (HIDDEN, HIDDEN)] == [Phase.ONCE]


def test_delays_become_states():
    planned = plan(handmade.lagged())
    assert [(s.name, s.delay) for s in planned.states[2:]] == [("h_lag_2", True), ("x_lag_1", True)]


def test_source_names_and_texts_survive():
    source, planned = handmade.lstm(), plan(handmade.lstm())
    texts = {e.name: e.text for e in planned.equations if e.text}
    assert texts == {e.name: e.text for e in source.equations}


def test_equal_values_are_computed_once():
    inside = call("matvec", matrix("W"), H).apply("tanh")
    cell = one_state(
        Equation("a", "a", inside + 1),
        Equation("h", "h", inside * Ref("var", "a", (HIDDEN,))),
    )
    planned = assert_plan(cell)
    used = Counter(n.op for e in planned.equations for n in _nodes(e.value))
    assert used["tanh"] == used["matvec"] == 1


def _nodes(expr: Expr) -> list[Apply]:
    """The operators of a tree, shared ones as often as they are used."""
    found, stack = list[Apply](), [expr]
    while stack:
        node = stack.pop()
        found += [node] if isinstance(node, Apply) else []
        stack += node.children
    return found


def test_sum_of_products_is_one_product():
    c = Ref("var", "c", (HIDDEN,))
    cell = one_state(
        Equation("c", "c", H.apply("tanh")),
        Equation(
            "h",
            "h",
            (call("matvec", matrix("U"), c) + call("matvec", matrix("V"), H)).apply("tanh"),
        ),
    )
    assert len(products(assert_plan(cell), Phase.STEP)) == 1


def test_dead_code_is_gone():
    cell = one_state(Equation("unused", "u", H.apply("exp")), Equation("h", "h", H.apply("tanh")))
    assert [e.name for e in assert_plan(cell).equations] == ["h"]


def test_constants_fold_exactly():
    third = number(1) / number(3)
    cell = one_state(Equation("h", "h", H * (third + third + third) + H * 0 - 0))
    assert assert_plan(cell).equation("h").value == H


def test_low_rank_updates_need_no_matrix_product():
    s = Ref("state", "S", (HIDDEN, HIDDEN), 1)
    k = Ref("var", "k", (HIDDEN,))
    cell = handmade._cell(
        "Delta",
        (State("S", "S", (HIDDEN, HIDDEN), "S"),),
        [
            Equation("k", "k", call("matvec", matrix("W_k", HIDDEN, INPUT), X).apply("tanh")),
            Equation(
                "S",
                "S",
                call("matmul", s, Identity(HIDDEN) - 0.5 * call("outer", k, k))
                + call("outer", k, k),
            ),
            Equation("y", "y", call("matvec", Ref("var", "S", (HIDDEN, HIDDEN)), k)),
        ],
        "y",
    )
    assert not any(n.op == "matmul" for e in assert_plan(cell).equations for n in _nodes(e.value))


def test_long_sums_and_deep_trees_are_bounded():
    terms = [H * number(1 / (i + 2)) for i in range(2000)]
    cell = one_state(
        Equation("s", "s", Apply("add", tuple(t.apply("tanh") for t in terms))),
        Equation("h", "h", Ref("var", "s", (HIDDEN,)).apply("tanh")),
    )
    check_plan(plan(cell))
    deep: Expr = H
    for _ in range(1000):
        deep = (deep * 0.5).apply("tanh")
    assert_plan(one_state(Equation("h", "h", deep)))


def calls(function) -> int:
    """How many Python functions a call runs: its cost without a clock."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_cost_of_planning_is_linear():
    def chain(count: int) -> Cell:
        value: Expr = H
        equations = []
        for i in range(count):
            new = (call("matvec", matrix(f"W_{i}"), value) + matrix(f"b_{i}", HIDDEN)).apply("tanh")
            equations.append(Equation(f"g_{i}", f"g_{i}", new))
            value = equations[-1].ref
        return one_state(*equations, Equation("h", "h", value + H))

    def cost(count: int) -> int:
        cell = chain(count)
        return calls(lambda: check_plan(plan(cell)))

    small, large = cost(50), cost(200)
    assert large < 5 * small


# --- Random cells in the IR -----------------------------------------------------------------------

UNARY = ("tanh", "sigmoid", "neg", "softsign", "sin", "silu", "hard_tanh", "softplus", "abs")


class _Writer:
    """Draws one well-shaped cell: values stay bounded, every kind of node appears."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.params: dict[str, Param] = {}
        self.known: list[Expr] = [
            X,
            Ref("input", "x", (INPUT,), 1),
            H,
            Ref("state", "h", (HIDDEN,), 3),
            Ref("state", "m", (), 1),
            Ref("state", "S", (HIDDEN, INPUT), 1),
            Ref("const", "gamma", ()),
        ]

    def param(self, shape) -> Expr:
        reused = [p for p in self.params.values() if p.shape == shape]
        if reused and self.random.random() < 0.3:
            name = self.random.choice(reused).name
        else:
            name = f"p{len(self.params)}"
            self.params[name] = Param(name, name, shape)
        return Ref("param", name, shape)

    def leaf(self, shape) -> Expr:
        fitting = [value for value in self.known if value.shape == shape]
        if fitting and self.random.random() < 0.7:
            return self.random.choice(fitting)
        if self.random.random() < 0.15:
            constant = number(self.random.choice([0, 1, -1, 0.5, 2]))
            return constant.broadcast_like(Ref("param", "", shape))
        return self.param(shape)

    def value(self, shape, depth: int) -> Expr:
        if depth == 0:
            return self.leaf(shape)
        rules = [self.unary, self.unary, self.total, self.product, self.choice, self.view]
        rules += {
            0: [self.dot, self.reduced],
            1: [self.matvec] * 3 + [self.joined, self.softmax],
        }.get(len(shape), [self.outer, self.matmul, self.transposed, self.low_rank])
        return self.random.choice(rules)(shape, depth - 1)

    def scalar(self, shape):
        """The shape, or that of a scalar that is broadcast."""
        return () if self.random.random() < 0.2 else shape

    def size(self) -> Dim:
        return self.random.choice([HIDDEN, INPUT, HIDDEN + INPUT, Dim((), 2)])

    def unary(self, shape, depth: int) -> Expr:
        return self.value(shape, depth).apply(self.random.choice(UNARY))

    def total(self, shape, depth: int) -> Expr:
        terms = [self.value(self.scalar(shape), depth) for _ in range(self.random.randint(1, 3))]
        return call("add", self.value(shape, depth), *terms)

    def product(self, shape, depth: int) -> Expr:
        one = self.value(shape, depth).apply("tanh")
        return call("mul", one, self.value(self.scalar(shape), depth))

    def choice(self, shape, depth: int) -> Expr:
        one = self.value(shape, depth)
        if self.random.random() < 0.5:
            return call("max", one, self.value(self.scalar(shape), depth))
        condition = call("gt", self.value(self.scalar(shape), depth), 0.1)
        return call("where", condition, one, self.value(shape, depth))

    def view(self, shape, depth: int) -> Expr:
        if not shape:
            return self.value(shape, depth)
        axis = self.random.randrange(len(shape))
        before, after = self.size(), self.size()
        longer = (*shape[:axis], before + shape[axis] + after, *shape[axis + 1 :])
        return Slice(self.value(longer, depth), axis, before, before + shape[axis])

    def joined(self, shape, depth: int) -> Expr:
        half = Dim((), 1)
        if self.random.random() < 0.5:
            parts = [self.value((), depth), self.value((shape[0] - half,), depth)]
        else:
            parts = [self.value((shape[0] - half,), depth), self.value((half,), depth)]
        return Concat(tuple(parts))

    def dot(self, shape, depth: int) -> Expr:
        size = self.size()
        one = self.value((size,), depth).apply("tanh")
        return call("dot", one, self.value((size,), depth)).apply("tanh")

    def reduced(self, shape, depth: int) -> Expr:
        over = (self.size(),) if self.random.random() < 0.7 else (self.size(), HIDDEN)
        op = self.random.choice(["sum", "mean", "amax", "norm1"])
        return self.value(over, depth).apply(op).apply("tanh")

    def softmax(self, shape, depth: int) -> Expr:
        return self.value(shape, depth).apply(self.random.choice(["softmax", "layer_norm"]))

    def matvec(self, shape, depth: int) -> Expr:
        size = self.size()
        if self.random.random() < 0.3:
            vector: Expr = Concat((self.value((size,), depth), self.value((HIDDEN,), depth)))
        else:
            vector = self.value((size,), depth)
        weight = self.value((shape[0], *vector.shape), self.random.choice([0, 0, 0, depth]))
        return call("matvec", weight, vector).apply("tanh")

    def matmul(self, shape, depth: int) -> Expr:
        size = self.size()
        one = self.value((shape[0], size), depth).apply("tanh")
        return call("matmul", one, self.value((size, shape[1]), depth)).apply("tanh")

    def outer(self, shape, depth: int) -> Expr:
        return call("outer", self.value(shape[:1], depth), self.value(shape[1:], depth))

    def transposed(self, shape, depth: int) -> Expr:
        return self.value(shape[::-1], depth).apply("transpose")

    def low_rank(self, shape, depth: int) -> Expr:
        factor = Identity(shape[1]) - call(
            "outer", self.value(shape[1:], depth), self.value(shape[1:], depth)
        )
        return call("matmul", self.value(shape, depth), factor).apply("tanh")

    def cell(self) -> Cell:
        shapes = [(), (HIDDEN,), (INPUT,), (HIDDEN,), (HIDDEN, INPUT), (HIDDEN, HIDDEN)]
        targets = [*((f"e{i}", self.random.choice(shapes)) for i in range(4))]
        targets += [("m", ()), ("S", (HIDDEN, INPUT)), ("h", (HIDDEN,))]
        equations = []
        for name, shape in targets:
            value = self.value(shape, self.random.randint(1, 3)).apply("tanh")
            equations.append(Equation(name, name, value))
            self.known.append(equations[-1].ref)
        states = tuple(State(name, name, shape, name) for name, shape in targets[4:])
        inputs = (Input("x", "x", (INPUT,)),)
        constants = (Constant("gamma", "gamma", number(0.25).value),)
        params = tuple(self.params.values())
        return Cell("Random", inputs, states, params, tuple(equations), "h", constants)


@pytest.mark.parametrize("seed", range(60))
def test_random_cells(seed):
    cell = _Writer(seed).cell()
    verify(cell)
    assert_plan(cell)


# --- Any equations ------------------------------------------------------------------------------


def _backward(*equations: Equation) -> Cell:
    params = tuple(Param(n, n, (HIDDEN, HIDDEN)) for n in "UV")
    return Cell("back", (Input("x", "x", (INPUT,)),), (), params, equations, equations[-1].name)


def test_normalise_of_backward_equations():
    g = Ref("grad", "grad_h", (HIDDEN,))
    f = Ref("var", "f", (HIDDEN,))  # a value of the forward loop
    back = _backward(
        Equation("g_a", "", g * f * (1 - f)),
        Equation("g_b", "", g * (1 - f)),
        Equation(
            "carry",
            "",
            call("matvec", matrix("U").apply("transpose"), Ref("var", "g_a", (HIDDEN,)))
            + call("matvec", matrix("V").apply("transpose"), Ref("var", "g_b", (HIDDEN,))),
        ),
        *(
            Equation(
                f"grad_{name}",
                "",
                call("batch_sum", call("outer", Ref("var", of, (HIDDEN,)), H)),
                phase=Phase.AFTER,
            )
            for name, of in (("U", "g_a"), ("V", "g_b"))
        ),
    )
    roots = ("carry", "grad_U", "grad_V")
    made = normalise(back, roots)
    check_equations(made.equations, roots)
    assert len(products(made, Phase.STEP)) == 1
    sums = [e for e in made.equations if isinstance(e.value, Apply) and e.value.op == "batch_sum"]
    assert [e.phase for e in sums] == [Phase.AFTER]
    assert made.equation("carry").phase is Phase.STEP
    assert made.equation("grad_V").phase is Phase.FINAL
    assert isinstance(made.equation("grad_V").value, Slice)


def test_values_that_arrive_are_kept_before_they_are_summed():
    g = Ref("grad", "grad_h", (HIDDEN,))
    back = _backward(
        Equation("grad_b", "", call("batch_sum", g), phase=Phase.AFTER),
    )
    made = normalise(back, ["grad_b"])
    kept, summed = made.equations
    assert (kept.value, kept.phase) == (g, Phase.STEP)
    assert (summed.value, summed.phase) == (call("batch_sum", kept.ref), Phase.AFTER)


def test_padded_slices_of_one_value_join():
    zero = Const(number(0).value).broadcast_like(H)
    one, other = (Ref("grad", name, (HIDDEN,)) for name in ("grad_a", "grad_b"))
    back = _backward(
        Equation("carry", "", Concat((one, zero, zero)) + Concat((zero, zero, other))),
    )
    made = normalise(back, ["carry"])
    assert made.equation("carry").value.children == (
        one,
        Ref("var", "zeros", (HIDDEN,), 0, False),
        other,
    )


def test_check_plan_says_what_is_wrong():
    good = plan(handmade.lstm())
    for equations, reason in (
        (good.equations[::-1], "before it is computed"),
        (handmade.lstm().equations, "no view|inside"),
        ((*good.equations, Equation("dead", "", H.apply("tanh"))), "unknown state|nothing reads"),
    ):
        with pytest.raises(ValueError, match=reason):
            check_plan(replace(good, equations=tuple(equations)))


@pytest.mark.parametrize("seed", range(40))
def test_random_sums_over_the_batch(seed):
    """After one step, a sum over batch and time is a sum over the batch."""
    writer = _Writer(seed)
    cell = writer.cell()
    sums = []
    for i in range(6):
        one = writer.value((HIDDEN,), 2) * writer.random.choice([H, H.apply("neg"), X.apply("sum")])
        other = writer.random.choice([X, writer.value((INPUT,), 2)])
        value = writer.random.choice([one, call("outer", one, other), -call("outer", one, other)])
        if i > 2:
            value = value + call("outer", H, X) if value.shape[1:] else value * 0.5 + H
        sums.append(Equation(f"sum_{i}", "", call("batch_sum", value), phase=Phase.AFTER))
    cell = replace(
        cell,
        params=tuple(writer.params.values()),
        equations=(*cell.equations, *sums),
    )
    cell = expand(delay(cell))
    roots = {f"sum_{i}" for i in range(6)} | {"h", "m", "S", "h_lag_2", "h_lag_3", "x_lag_1"}
    roots &= {e.name for e in cell.equations}
    made = normalise(cell, roots)
    check_equations(made.equations, roots)
    rng = np.random.default_rng(seed)
    params = {
        p.name: rng.uniform(0.1, 0.9, [dim.value(SIZES) for dim in p.shape]) for p in cell.params
    }
    x = {"x": rng.uniform(0.1, 0.9, (1, 3, SIZES["input_size"]))}
    wanted = interpret.run(cell, params, x, sizes=SIZES).trace[0]
    found = interpret.run(made, params, x, sizes=SIZES).trace[0]
    phases = {e.name: e.phase for e in made.equations}
    for name in roots:
        value = np.broadcast_to(found[name], wanted[name].shape)
        np.testing.assert_allclose(value, wanted[name], rtol=1e-12, atol=1e-12)
        if name.startswith("sum"):
            assert phases[name] in (Phase.AFTER, Phase.FINAL)

"""The operator table: every row against independent computations."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import handmade
import numpy as np
import pytest
import torch
import torch_numpy
from harness import Case, assert_close, build, cell_shapes, draw, executed, interpreted
from test_passes import SIZES

from gatec import adjoint, interpret, passes
from gatec.expr import HIDDEN, INPUT, Expr, Ref, call
from gatec.ir import Cell, Constant, Equation, State, verify
from gatec.ops import FUNCTIONS, OPS, Kind

F = torch.nn.functional
# What each function of one operand means, by PyTorch.
FUNCTION = {
    "neg": torch.neg,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "log": torch.log,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": F.softplus,
    "abs": torch.abs,
    "sign": torch.sign,
    "sin": torch.sin,
    "cos": torch.cos,
    "arctan": torch.arctan,
    "erf": torch.erf,
    "logsigmoid": F.logsigmoid,
    "silu": F.silu,
    "gelu": F.gelu,
    "elu": F.elu,
    "selu": F.selu,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "hard_sigmoid": F.hardsigmoid,
    "hard_tanh": F.hardtanh,
    "softsign": F.softsign,
    "mish": F.mish,
    "tan": torch.tan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "detach": lambda x: x.detach(),
    "sum": lambda x: x.sum(-1),
    "amax": lambda x: x.amax(-1),
    "mean": lambda x: x.mean(-1),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=-1),
    "norm1": lambda x: torch.linalg.vector_norm(x, 1, dim=-1),
    "softmax": lambda x: torch.softmax(x, -1),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[-1:]),
    "rms_norm": lambda x: F.rms_norm(x, x.shape[-1:], eps=1e-5),
}
OPERATION = {
    "add": torch.add,
    "mul": torch.mul,
    "div": torch.div,
    "pow": torch.pow,
    "max": torch.maximum,
    "min": torch.minimum,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
    "eq": torch.eq,
}
POSITIVE = ("sqrt", "log", "log1p")
# Far out on both sides, at the kinks, and around 0.
POINTS = [
    -800.0,
    -40.0,
    -7.3,
    -6.0,
    -3.0,
    -1.0,
    -0.4,
    -1e-9,
    0.0,
    1e-9,
    0.3,
    1.0,
    2.9,
    3.0,
    6.0,
    7.1,
]
POINTS += [40.0, 800.0]
unary = pytest.mark.parametrize("name", FUNCTION)


def test_every_row_is_tested():
    other = {"where", "matvec", "matmul", "outer", "dot", "transpose", "batch_sum"}
    assert FUNCTION.keys() | OPERATION.keys() | other == OPS.keys()


def values(name):
    x = np.array(POINTS)
    x = np.abs(x) + 0.1 if name in POSITIVE else x
    return x[np.abs(x) < 700] if name in ("exp", "expm1", "sinh", "cosh") else x


@unary
def test_reference(name):
    row, x = OPS[name], values(name)
    args = (x,) if row.kind is Kind.POINTWISE else (x, 1)
    if row.kind is Kind.NORMALISATION:
        x = x[np.abs(x) < 50]
        args = (x, 1)
    with np.errstate(under="ignore"):
        got = np.asarray(row.reference(np, *args))
    wanted = FUNCTION[name](torch.tensor(x)).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("name", OPERATION)
def test_reference_of_two(name):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.2, 2, 20), rng.uniform(-2, 2, 20)
    a[:3], b[:3] = [1, 2, 0.5], [1, 2, 0.5]
    wanted = OPERATION[name](torch.tensor(a), torch.tensor(b)).numpy()
    np.testing.assert_allclose(OPS[name].reference(np, a, b), wanted, rtol=1e-14)


def test_references_of_products():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 4, 5))
    u, v = rng.standard_normal((2, 3)), rng.standard_normal((2, 4))
    for name, args, wanted in (
        ("matvec", (a, v), (a @ v[..., None])[..., 0]),
        ("matmul", (a, b), a @ b),
        ("outer", (u, v), u[:, :, None] * v[:, None, :]),
        ("dot", (v, v), (v * v).sum(-1)),
        ("transpose", (a,), a.transpose(0, 2, 1)),
        ("where", (u > 0, u, -u), np.abs(u)),
        ("batch_sum", (a, 2), a.sum(0)),
    ):
        np.testing.assert_allclose(OPS[name].reference(np, *args), wanted, rtol=1e-14)


# --- In cells -------------------------------------------------------------------------------------


def cell_of(name: str, positive: bool) -> Cell:
    """The operator applied to an input, to a state and to a parameter, in every shape it takes."""
    row = OPS[name]
    h, x = Ref("state", "h", (HIDDEN,), 1), handmade.X
    p, q = Ref("param", "p", (HIDDEN,)), Ref("param", "q", ())
    w = call("matvec", Ref("param", "W", (HIDDEN, INPUT)), x)

    def ready(value: Expr) -> Expr:
        return value * value + 0.3 if positive else value * 1.7

    if row.arity == 1:
        made = [ready(value).apply(name) for value in (h, w, p, h + w)]
        if row.kind is not Kind.NORMALISATION:
            made += [ready(value).apply(name) for value in (q, x.apply("sum"), h.apply("sum"))]
    elif name == "where":
        made = [
            call("gt", h, w).apply("where", h, p),
            call("lt", q, x.apply("sum")).apply("where", p, h),
        ]
    else:
        pairs = [(h, w), (w, h), (h, p), (p, w), (h, q), (q, h), (x.apply("sum"), h), (h, h)]
        made = [ready(a).apply(name, ready(b)) for a, b in pairs]
    if not row.continuous:
        made = [value.apply("where", h, w) if name != "sign" else value * h for value in made]
    total = call("add", h * 0.5, p + q, *(value.apply("tanh") * 0.2 for value in made))
    return handmade._cell(
        "Cell", (State("h", "h", (HIDDEN,), "h"),), [Equation("h", "h", total)], "h"
    )


ELEMENTS = [
    name for name, op in OPS.items() if op.kind not in (Kind.CONTRACTION, Kind.LAYOUT, Kind.BATCH)
]


@pytest.mark.parametrize("target", ["numpy", "torch"])
@pytest.mark.parametrize("name", ELEMENTS)
def test_in_generated_code(name, target, tmp_path):
    """Values and derivatives of the row's spelling, and of its definition, against autograd."""
    cell = cell_of(name, positive=name in (*POSITIVE, "pow"))
    verify(cell)
    made = adjoint.differentiate(cell, passes.plan(cell))
    case = draw(cell_shapes(cell, SIZES), 3, 2, seed=1)
    got = executed(target, build(target, made, tmp_path), made, SIZES, case)
    assert_close(got, interpreted(cell, SIZES, case), 1e-12)


@pytest.mark.parametrize("name", [name for name in FUNCTION if OPS[name].kind is Kind.POINTWISE])
def test_derivatives_at_the_ends(name, tmp_path):
    """Far out and at kinks a derivative is what PyTorch says, and never not a number."""
    x = values(name)
    if name == "tan":
        x = x[np.abs(x) < 7]
    value = Ref("input", "x", (INPUT,)).apply(name)
    total = value + Ref("state", "h", (INPUT,), 1) * 0
    cell = handmade._cell(
        "Cell", (State("h", "h", (INPUT,), "h"),), [Equation("h", "h", total)], "h"
    )
    module = build("numpy", adjoint.differentiate(cell, passes.plan(cell)), tmp_path)
    with np.errstate(under="ignore"):
        outputs, _ = module.forward({}, x[None, None])
        step, _ = module.step({}, x[None])
        _, grad_x, _ = module.backward({}, x[None, None], None, np.ones((1, 1, len(x))))
    leaf = torch.tensor(x, requires_grad=True)
    wanted = FUNCTION[name](leaf)
    np.testing.assert_allclose(outputs[0, 0], wanted.detach().numpy(), rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(step[0], wanted.detach().numpy(), rtol=1e-13, atol=1e-300)
    wanted_grad = np.zeros_like(x)
    if name != "detach":
        wanted.sum().backward()
        wanted_grad = leaf.grad.numpy()
    # PyTorch has 1/6 in single precision.
    tolerance = 1e-7 if name == "hard_sigmoid" else 1e-11
    np.testing.assert_allclose(grad_x[0, 0], wanted_grad, rtol=tolerance, atol=1e-15)


def test_constants_are_python_numbers(tmp_path):
    """Functions of constants alone are computed by Python, at any size of the number."""
    names = [n for n in FUNCTION if OPS[n].kind is Kind.POINTWISE]
    h = Ref("state", "h", (HIDDEN,), 1)
    c = Ref("const", "c", ())
    for value in (0.7, -0.7, 900.0, -900.0):
        ready = [n for n in names if value > 0 or n not in POSITIVE]
        ready = [n for n in ready if abs(value) < 10 or n not in ("exp", "expm1", "sinh", "cosh")]
        total = call(
            "add", *((c.apply(name) * h).apply("tanh") for name in ready), handmade.X.apply("sum")
        )
        cell = handmade._cell(
            "Cell", (State("h", "h", (HIDDEN,), "h"),), [Equation("h", "h", total)], "h"
        )
        cell = replace(cell, constants=(Constant("c", "c", Fraction(value)),))
        made = adjoint.differentiate(cell, passes.plan(cell))
        case = draw(cell_shapes(cell, SIZES), 2, 2, seed=1)
        module = build("numpy", made, tmp_path)
        got = executed("numpy", module, made, SIZES, case)
        assert_close(got, interpreted(cell, SIZES, case), 1e-12)
        if abs(value) < 10:
            single = executed("numpy", module, made, SIZES, case.rounded("float32"), "float32")
            assert_close(single, interpreted(cell, SIZES, case.rounded("float32")), 2e-6)


def test_definitions_are_what_their_rows_say():
    """A composed operator's definition, step by step, gives the row's own reference."""
    x = Ref("input", "x", (INPUT,))
    rng = np.random.default_rng(0)
    for name, row in OPS.items():
        if row.definition is None:
            continue
        value, direct = row.definition(x), x.apply(name)
        spread = [v.broadcast_like(x) if not v.shape else v for v in (value, direct)]
        runs = []
        for body in spread:
            equations = [Equation("h", "h", body + Ref("state", "h", (INPUT,), 1) * 0)]
            cell = handmade._cell("Cell", (State("h", "h", (INPUT,), "h"),), equations, "h")
            inputs = {
                "x": rng.standard_normal((1, 4, 5)) * 0 + np.linspace(-8, 8, 20).reshape(4, 5)
            }
            runs.append(interpret.run(cell, {}, inputs, sizes={"input_size": 5}).outputs)
        np.testing.assert_allclose(runs[0], runs[1], rtol=1e-12, atol=1e-14, err_msg=name)


# --- The table ------------------------------------------------------------------------------------


def test_rows_are_complete():
    for name, row in OPS.items():
        assert row.name == name
        assert row.latex, name
        assert (row.adjoint is None) == (row.definition is not None or name == "batch_sum"), name
        if row.kind is Kind.POINTWISE:
            assert row.numpy and row.torch and row.c, name
        if row.signature is not None:
            inputs, output = row.signature.split("->")
            assert len(inputs.split(",")) == row.arity
            assert set(output) <= set(inputs)


def test_templates_take_the_operands():
    for name, row in OPS.items():
        count = row.arity or 2
        words = [f"operand{i}" for i in range(count)]
        for template in (row.numpy, row.torch, row.c, row.latex):
            if row.arity is not None and template:
                filled = template.format(*words)
                assert all(word in filled for word in words), (name, template)


def test_functions_name_operators():
    special = {"identity", "diag", "concat", "clip", "hadamard"}
    for spelling, name in FUNCTIONS.items():
        assert spelling.islower()
        assert name in OPS or name in special, spelling


def test_torch_numpy_is_numpy():
    """What stands in for NumPy in the interpreter computes what NumPy computes."""
    rng = np.random.default_rng(0)
    for name, row in OPS.items():
        if name == "batch_sum" or row.kind in (Kind.CONTRACTION, Kind.LAYOUT):
            continue
        args = [rng.uniform(0.1, 2, (2, 3)) for _ in range(row.arity or 3)]
        if name == "where":
            args[0] = args[0] > 1
        more = (1,) if row.kind in (Kind.REDUCTION, Kind.NORMALISATION) else ()
        wanted = row.reference(np, *args, *more)
        found = row.reference(torch_numpy, *map(torch.tensor, args), *more)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-14, err_msg=name)


def test_ties_are_shared(tmp_path):
    """At a tie, max, min and the largest unit share the cotangent equally, as in PyTorch."""
    x = handmade.X
    h = Ref("state", "h", (INPUT,), 1)
    for total in (x.apply("max", h) + x.apply("min", h) * 2, h + x.apply("amax")):
        cell = handmade._cell(
            "Cell", (State("h", "h", (INPUT,), "h"),), [Equation("h", "h", total)], "h"
        )
        made = adjoint.differentiate(cell, passes.plan(cell))
        ties = {"x": np.array([[[1.0, 2, 2, 3, 3], [0, 0, 0, 0, 0]]])}
        states = {"h": np.array([[2.0, 2, 1, 3, 3], [0, 0, 0, 0, 0]])}
        case = Case({}, ties, states)
        sizes = {"input_size": 5}
        got = executed("numpy", build("numpy", made, tmp_path), made, sizes, case)
        assert_close(got, interpreted(cell, sizes, case), 1e-15)

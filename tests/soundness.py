"""Pairs of cells whose relation is known, and maps tried without gatec's own search or proofs.

equal_pair(seed)    a small cell, and the same rewritten by laws that hold
mutant_pair(seed)   a small cell, and one that is another function at equal parameters
claimed(one, other) the proofs both ways that gatec finds, if it finds them
holds(proof, seed)  whether the map of a proof makes both cells one function, in float64
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
from rewriting import Mutator, Rewriter
from smallcells import Cells

from gatec import interpret
from gatec.equivalence import checker
from gatec.equivalence.check import TRIES, prepared
from gatec.equivalence.match import Budget, Matcher
from gatec.equivalence.polynomials import TooLarge
from gatec.equivalence.proof import prove
from gatec.equivalence.steps import Proof
from gatec.expr import Expr, Ref, Shape
from gatec.ir import Cell, Equation, Input, Param, State

SIZES = {"hidden_size": 3, "input_size": 2}


def equal_pair(seed: int) -> tuple[Cell, Cell, list[str]]:
    draw = random.Random(seed)
    cell = Cells(draw)()
    other, done = Rewriter(draw).disguised(cell, draw.randrange(1, 6))
    return cell, other, done


def mutant_pair(seed: int) -> tuple[Cell, Cell, str]:
    """The change that was made last; half of the mutants are rewritten afterwards."""
    draw = random.Random(seed)
    while True:
        cell = Cells(draw)()
        found = Mutator(draw).mutant(cell)
        if found is None or not differs(cell, found[0], seed):
            continue
        mutant, change = found
        if draw.random() < 0.5:
            mutant, _ = Rewriter(draw).disguised(mutant, draw.randrange(1, 4))
        return cell, mutant, change


def claimed(one: Cell, other: Cell) -> tuple[Proof, Proof] | None:
    """Checked proofs that each cell covers the other; None where one is not found."""
    mine, theirs = prepared(one, other)
    there = covering(mine, theirs)
    back = covering(theirs, mine) if there is not None else None
    return None if there is None or back is None else (there, back)


def covering(mine: Cell, theirs: Cell) -> Proof | None:
    """A checked proof that `theirs` is `mine` with certain parameters. Raises checker.Refused."""
    try:
        for found in Matcher(mine, theirs, Budget(TRIES)).search():
            proof = prove(mine, theirs, found)
            if proof is None:
                continue
            try:
                checker.check(proof)
            except checker.OutOfScope:
                continue
            return proof
    except TooLarge:
        pass
    return None


# --- Numbers --------------------------------------------------------------------------------------


def sized(shape: Shape) -> tuple[int, ...]:
    return tuple(dim.value(SIZES) for dim in shape)


def run(cell: Cell, params: Mapping[str, np.ndarray], x: np.ndarray, states: Mapping) -> np.ndarray:
    """Outputs (T, B, hidden_size) of a cell with one input."""
    own = {state.name: states[state.name] for state in cell.states}
    found = interpret.run(cell, params, {cell.inputs[0].name: x}, own, sizes=SIZES)
    return found.outputs


def differs(one: Cell, other: Cell, seed: int) -> bool:
    """Whether two cells give different outputs where what has one name has one value."""
    rng = np.random.default_rng(seed)
    params = {p.name: rng.normal(size=sized(p.shape)) for p in (*one.params, *other.params)}
    states = {s.name: rng.normal(size=(2, *sized(s.shape))) for s in (*one.states, *other.states)}
    x = rng.normal(size=(3, 2, SIZES["input_size"]))
    with np.errstate(all="ignore"):
        results = [
            run(cell, {p.name: params[p.name] for p in cell.params}, x, states)
            for cell in (one, other)
        ]
    return not np.allclose(*results, rtol=1e-12, atol=1e-13, equal_nan=True)


def holds(proof: Proof, seed: int, steps: int = 4) -> bool:
    """Whether mine, with the map in place, gives what theirs does, from corresponding states."""
    rng = np.random.default_rng(seed)
    theirs = {p.name: rng.normal(size=sized(p.shape), scale=0.7) for p in proof.theirs.params}
    mine = mapped(proof, theirs)
    x = rng.normal(size=(steps, 2, SIZES["input_size"]))
    own = {s.name: rng.normal(size=(2, *sized(s.shape))) for s in proof.mine.states}
    other = {name: own[state] / float(scale) for state, (name, scale) in proof.states.items()}
    with np.errstate(all="ignore"):
        one, two = run(proof.mine, mine, x, own), run(proof.theirs, theirs, x, other)
    finite = np.isfinite(one) & np.isfinite(two)  # exponentials may overflow in one form alone
    return finite[0].all() and np.allclose(one[finite], two[finite], rtol=1e-6, atol=1e-9)


def mapped(proof: Proof, theirs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters of mine that a map gives."""
    values = evaluated(list(proof.params.values()), theirs)
    made = {}
    for (name, expr), value in zip(proof.params.items(), values, strict=True):
        made[name] = np.broadcast_to(value, sized(expr.shape)).astype(float)
    return made


def evaluated(values: list[Expr], params: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The values of expressions over parameters."""
    refs = {node.name: node for value in values for node in _walk(value) if isinstance(node, Ref)}
    h = Ref("state", "h", (), 1)
    equations = [Equation(f"value_{i}", "", value) for i, value in enumerate(values)]
    cell = Cell(
        "map",
        (Input("x", "x", ()),),
        (State("h", "h", (), "h_next"),),
        tuple(Param(name, name, ref.shape) for name, ref in refs.items()),
        (*equations, Equation("h_next", "", h)),
        "h_next",
    )
    x = {"x": np.zeros((1, 1))}
    trace = interpret.run(cell, params, x, sizes=SIZES).trace[0]
    return [np.asarray(trace[equation.name]) for equation in equations]


def _walk(value: Expr) -> list[Expr]:
    found, stack = [], [value]
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend(node.children)
    return found

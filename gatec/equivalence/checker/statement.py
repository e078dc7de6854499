"""What a proof has to show, rebuilt from its two cells and its map alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from gatec.equivalence.checker.algebra import Algebra, postorder
from gatec.equivalence.checker.refusal import Refused
from gatec.equivalence.steps import INFINITE, Claim, Proof, Waist
from gatec.expr import Apply, Const, Expr, Ref, call, rewrite
from gatec.ir import Cell, Equation, State, verify


@dataclass(frozen=True)
class Equations:
    """A side of the proof: quantities over the inputs and states of mine, parameters of theirs.

    `behind` are the names that waists go by, and the quantities that they stand for.
    """

    ordered: tuple[Equation, ...]
    behind: Mapping[Expr, Expr] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Expr]:
        return {equation.name: equation.value for equation in self.ordered}

    def ref(self, name: str) -> Ref:
        return next(equation.ref for equation in self.ordered if equation.name == name)


def cells_fit(proof: Proof) -> None:
    """The cells can be compared at all."""
    for cell in (proof.mine, proof.theirs):
        _plain(cell)
    mine, theirs = proof.mine, proof.theirs
    if [i.shape for i in mine.inputs] != [i.shape for i in theirs.inputs]:
        raise Refused("the cells read different inputs")
    if mine.output_shape != theirs.output_shape:
        raise Refused("the cells have outputs of different shapes")
    if INFINITE in {param.name for param in theirs.params}:
        raise Refused(f"a parameter is called {INFINITE}")


def _plain(cell: Cell) -> None:
    """States one step back, inputs of this step, constants at their values, nothing of training."""
    try:
        verify(cell)
    except ValueError as problem:
        raise Refused(f"{cell.name}: {problem}") from problem
    if len({state.name for state in cell.states}) != len(cell.states):
        raise Refused(f"{cell.name} has two states of one name")
    for node in postorder(equation.value for equation in cell.equations):
        if isinstance(node, Ref):
            wanted = {"state": 1, "input": 0, "param": 0, "var": 0}.get(node.kind)
            if node.lag != wanted:
                raise Refused(f"{cell.name} reads {node.kind} {node.name} at another step")
        if isinstance(node, Apply) and node.op == "batch_sum":
            raise Refused(f"{cell.name} sums over the batch")


def map_fits(proof: Proof) -> None:
    """Every parameter of mine has a value of its shape, in parameters of theirs alone."""
    shapes = {param.name: param.shape for param in proof.mine.params}
    if proof.params.keys() != shapes.keys():
        raise Refused("the map is not of the parameters")
    known = {param.name: param.shape for param in proof.theirs.params}
    for name, value in proof.params.items():
        if value.shape != shapes[name]:
            raise Refused(f"{name} is given a value of another shape")
        for node in postorder([value]):
            if not isinstance(node, Ref):
                continue
            infinite = bool(proof.limits) and node.name == INFINITE
            if node.kind != "param" or not (infinite or known.get(node.name) == node.shape):
                raise Refused(
                    f"{name} is given a value that is no parameter of {proof.theirs.name}"
                )


def states_fit(proof: Proof) -> None:
    """States in pairs of equal shapes, which start at corresponding values.

    Every state of theirs has one of mine. What mine has besides may have any value: the claims
    are about mine whatever it is.
    """
    mine = {state.name: state for state in proof.mine.states}
    theirs = {state.name: state for state in proof.theirs.states}
    if not proof.states.keys() <= mine.keys():
        raise Refused("the states of mine are not those of the proof")
    others = [other for other, _ in proof.states.values()]
    if sorted(others) != sorted(theirs):
        raise Refused("the states are not in pairs")
    for name, (other, scale) in proof.states.items():
        if not scale:
            raise Refused(f"state {name} is scaled by 0")
        if mine[name].shape != theirs[other].shape:
            raise Refused(f"states {name} and {other} have different shapes")
        _starts(mine[name], theirs[other], scale, proof.params)


def waists_fit(proof: Proof) -> None:
    """Waists are in pairs of one shape, go by names of their own, and rest on what is before them.

    With the claim about a waist, both of its quantities have the value `common` at any step. If
    that names no waist but earlier ones, which are equal in both cells, then these two are.
    """
    if not proof.waists:
        return
    if proof.limits:
        raise Refused("a limit with waists")
    names = [waist.name for waist in proof.waists]
    taken = {item.name for item in proof.mine.inputs} | proof.states.keys() | {""}
    if taken & set(names) or len(set(names)) != len(names):
        raise Refused("a waist goes by a name that is taken")
    sides = [waist.mine for waist in proof.waists], [waist.theirs for waist in proof.waists]
    for cell, quantities in zip((proof.mine, proof.theirs), sides, strict=True):
        if not set(quantities) <= {equation.name for equation in cell.equations}:
            raise Refused("a waist is no quantity of its cell")
        if len(set(quantities)) != len(quantities):
            raise Refused("a quantity is two waists")
    found = by_name(proof)
    for place, waist in enumerate(proof.waists):
        refs = proof.mine.equation(waist.mine).ref, proof.theirs.equation(waist.theirs).ref
        if refs[0].shape != refs[1].shape or not all(ref.batched for ref in refs):
            raise Refused("the quantities of a waist are of different kinds")
        later = set(names[place:])
        for node in postorder([found[waist.name].common]):
            if isinstance(node, Ref) and node.name in later:
                raise Refused("a waist rests on one that comes later")


def _starts(mine: State, theirs: State, scale: Fraction, params: Mapping[str, Expr]) -> None:
    """mine starts at scale * theirs."""

    def value(state: State, of: Callable[[str], Expr]) -> Expr:
        return (
            Const(state.initial.value) if state.initial.param is None else of(state.initial.param)
        )

    one = value(mine, lambda name: params[name])
    other = value(theirs, lambda name: Ref("param", name, theirs.shape))
    algebra = Algebra()
    if not algebra.same(algebra.value(one), algebra.value(call("mul", Const(scale), other))):
        raise Refused(f"states {mine.name} and {theirs.name} start at different values")


def left(proof: Proof) -> Equations:
    """mine with the map in place."""

    def rule(ref: Ref) -> Expr:
        return proof.params[ref.name] if ref.kind == "param" else ref

    made = substituted(proof.mine.equations, rule)
    return _cut(made, {waist.mine: waist for waist in proof.waists})


def right(proof: Proof) -> Equations:
    """theirs over the inputs and states of mine."""
    inputs = {
        theirs.name: Ref("input", mine.name, mine.shape)
        for mine, theirs in zip(proof.mine.inputs, proof.theirs.inputs, strict=True)
    }
    shapes = {state.name: state.shape for state in proof.mine.states}
    states: dict[str, Expr] = {}
    for name, (other, scale) in proof.states.items():
        state = Ref("state", name, shapes[name], 1)
        states[other] = state if scale == 1 else call("mul", Const(1 / scale), state)

    def rule(ref: Ref) -> Expr:
        if ref.kind == "input":
            return inputs[ref.name]
        return states[ref.name] if ref.kind == "state" else ref

    made = substituted(proof.theirs.equations, rule)
    return _cut(made, {waist.theirs: waist for waist in proof.waists})


def _cut(equations: Equations, waists: Mapping[str, Waist]) -> Equations:
    """The equations reading inputs in the place of waists, which are given by quantity."""
    now: dict[str, Ref] = {}
    behind: dict[Expr, Expr] = {}
    for equation in equations.ordered:
        if equation.name in waists:
            name = waists[equation.name].name
            now[equation.name] = atom = Ref("input", name, equation.value.shape, 0, True)
            behind[atom] = equation.ref
    made: list[Equation] = []

    def step(node: Expr) -> Expr:
        return now.get(node.name, node) if isinstance(node, Ref) and node.kind == "var" else node

    for equation in equations.ordered:
        made.append(replace(equation, value=rewrite(equation.value, step)))
        now.setdefault(equation.name, made[-1].ref)
    return Equations(tuple(made), behind)


def substituted(
    equations: tuple[Equation, ...],
    rule: Callable[[Ref], Expr],
    nodes: Mapping[Expr, Expr] | None = None,
) -> Equations:
    """Equations with names replaced by a rule, and whole `nodes` before that."""
    made: list[Equation] = []
    now: dict[str, Ref] = {}

    def step(node: Expr) -> Expr:
        if not isinstance(node, Ref):
            return node
        return now[node.name] if node.kind == "var" else rule(node)

    for equation in equations:
        value = equation.value if not nodes else _cut_out(equation.value, nodes)
        made.append(replace(equation, value=rewrite(value, step)))
        now[equation.name] = made[-1].ref
    return Equations(tuple(made))


def _cut_out(value: Expr, nodes: Mapping[Expr, Expr]) -> Expr:
    """A value with nodes replaced as they stand in it, outer ones first."""
    done: dict[Expr, Expr] = dict(nodes)
    stack = [(value, False)]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready or not node.children:
            done[node] = node.with_children(tuple(done[child] for child in node.children))
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in node.children)
    return done[value]


def claims(proof: Proof, mine: Equations, theirs: Equations) -> dict[str, tuple[Expr, Expr]]:
    """The two sides that have to be equal: of each mapped state, of the output under '', and of
    each waist."""
    updates = {state.name: state.update for state in proof.theirs.states}
    wanted: dict[str, tuple[Expr, Expr]] = {
        "": (mine.ref(proof.mine.output), theirs.ref(proof.theirs.output))
    }
    for state in proof.mine.states:
        if state.name not in proof.states:
            continue
        other, scale = proof.states[state.name]
        value: Expr = theirs.ref(updates[other])
        wanted[state.name] = (
            mine.ref(state.update),
            value if scale == 1 else call("mul", Const(scale), value),
        )
    for waist in proof.waists:
        wanted[waist.name] = mine.ref(waist.mine), theirs.ref(waist.theirs)
    return wanted


def by_name(proof: Proof) -> dict[str, Claim]:
    """The claims by what they are about; refused where one is missing or made twice."""
    found = {claim.about: claim for claim in proof.claims}
    wanted = [*proof.states, "", *(waist.name for waist in proof.waists)]
    if found.keys() != set(wanted) or len(proof.claims) != len(wanted):
        raise Refused("there is not one claim for each mapped state, waist, and for the output")
    return found

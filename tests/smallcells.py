"""Small gated cells in the IR, drawn from a seed: the kinds that people write, and mixtures."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from gatec.expr import HIDDEN, INPUT, Apply, Concat, Const, Expr, Ref, call, rewrite, walk
from gatec.ir import Cell, Equation, Input, Param, State, verify

X = Ref("input", "x", (INPUT,))
VECTOR = (HIDDEN,)


def state(name: str) -> Ref:
    return Ref("state", name, VECTOR, 1)


def finished(
    name: str, states: Iterable[State], equations: Iterable[Equation], output: str
) -> Cell:
    """A cell whose parameters are those that its equations read.

    References to quantities follow them, should one no longer depend on the batch.
    """
    now: dict[str, Ref] = {}

    def follow(node: Expr) -> Expr:
        return now[node.name] if isinstance(node, Ref) and node.kind == "var" else node

    made = []
    for equation in equations:
        made.append(replace(equation, value=rewrite(equation.value, follow)))
        now[equation.name] = made[-1].ref
    equations = tuple(made)
    params: dict[str, Param] = {}
    for equation in equations:
        for node in walk(equation.value):
            if isinstance(node, Ref) and node.kind == "param":
                params[node.name] = Param(node.name, node.name, node.shape)
    cell = Cell(
        name, (Input("x", "x", (INPUT,)),), tuple(states), tuple(params.values()), equations, output
    )
    verify(cell)
    return cell


class Cells:
    """Draws cells. Every value is a function of affine maps with parameters of their own."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.equations: list[Equation] = []

    def __call__(self) -> Cell:
        self.equations = []
        families = [self.plain, self.plain, self.gated, self.gated, self.gated, self.leaky]
        families += [self.leaky, self.mixture, self.mixture, self.reset, self.coupled]
        families += self.draw.choice([[self.lstm], [self.normalised]])
        family = self.draw.choice(families)
        states, output = family()
        return finished(family.__name__, states, self.equations, output)

    # --- parts ----------------------------------------------------------------------------------

    def chance(self, percent: int) -> bool:
        return self.draw.random() * 100 < percent

    def add(self, name: str, value: Expr) -> Ref:
        self.equations.append(Equation(name, name, value))
        return self.equations[-1].ref

    def affine(self, gate: str, *vectors: Expr, bias: bool = True) -> Expr:
        """`W x + U h + b`, with one matrix for both or one for each."""
        operands = [X, *vectors]
        if len(operands) > 1 and self.chance(30):
            width = sum((v.shape[0] for v in operands), start=HIDDEN * 0)
            joined = Concat(tuple(reversed(operands)))
            terms: list[Expr] = [call("matvec", Ref("param", f"W_{gate}", (HIDDEN, width)), joined)]
        else:
            names = ["W", "U", "V"]
            terms = [
                call("matvec", Ref("param", f"{n}_{gate}", (HIDDEN, v.shape[0])), v)
                for n, v in zip(names, operands, strict=False)
            ]
        if bias and self.chance(85):
            terms.append(Ref("param", f"b_{gate}", VECTOR))
        return call("add", *terms) if terms[1:] else terms[0]

    def gate(self, name: str, *vectors: Expr) -> Ref:
        return self.add(name, self.affine(name, *vectors).apply("sigmoid"))

    def candidate(self, name: str, *vectors: Expr) -> Ref:
        function = self.draw.choice(["tanh"] * 5 + ["relu", "softplus", "sin", "silu"])
        return self.add(name, self.affine(name, *vectors).apply(function))

    def one_state(self, value: Expr) -> tuple[list[State], str]:
        self.add("h", value)
        return [State("h", "h", VECTOR, "h")], "h"

    # --- families -------------------------------------------------------------------------------

    def plain(self) -> tuple[list[State], str]:
        h = state("h")
        if self.chance(40):
            recurrent = Ref("param", "u", VECTOR) * h
            inner = self.affine("h") + recurrent
        else:
            inner = self.affine("h", h)
        return self.one_state(inner.apply(self.draw.choice(["tanh", "relu", "sigmoid"])))

    def gated(self) -> tuple[list[State], str]:
        h = state("h")
        z = self.gate("z", h)
        n = self.candidate("n", *([h] if self.chance(60) else []))
        if self.chance(30):
            return self.one_state(z * h + n * self.gate("i", h))
        mixed = [(1 - z) * h + z * n, z * h + (1 - z) * n, h + z * (n - h)]
        return self.one_state(self.draw.choice(mixed))

    def reset(self) -> tuple[list[State], str]:
        h = state("h")
        r, z = self.gate("r", h), self.gate("z", h)
        if self.chance(50):
            n = self.candidate("n", r * h)
        else:
            recurrent = call("matvec", Ref("param", "U_n", (HIDDEN, HIDDEN)), h)
            if self.chance(50):
                recurrent = recurrent + Ref("param", "c_n", VECTOR)
            n = self.add("n", (self.affine("n") + r * recurrent).apply("tanh"))
        return self.one_state(z * h + (1 - z) * n)

    def lstm(self) -> tuple[list[State], str]:
        h, c = state("h"), state("c")
        f, i = self.gate("f", h), self.gate("i", h)
        g = self.candidate("g", h)
        new = self.add("c", f * c + i * g)
        inner = self.affine("o", h)
        if self.chance(25):
            inner = inner + Ref("param", "p_o", VECTOR) * self.draw.choice([c, new])
        o = self.add("o", inner.apply("sigmoid"))
        self.add("h", o * new.apply(self.draw.choice(["tanh", "tanh", "relu", "sigmoid"])))
        return [State("h", "h", VECTOR, "h"), State("c", "c", VECTOR, "c")], "h"

    def coupled(self) -> tuple[list[State], str]:
        h, c = state("h"), state("c")
        f = self.gate("f", h)
        g = self.candidate("g", h)
        new = self.add("c", f * c + (1 - f) * g)
        o = self.gate("o", h)
        self.add("h", o * new.apply("tanh"))
        return [State("c", "c", VECTOR, "c"), State("h", "h", VECTOR, "h")], "h"

    def leaky(self) -> tuple[list[State], str]:
        h = state("h")
        rate = Const(Fraction(self.draw.choice(["1/10", "1/4", "1/2"])))
        n = self.candidate("n", h)
        if self.chance(40):
            n = self.gate("g", h) * n
        return self.one_state(h + rate * (n - h))

    def normalised(self) -> tuple[list[State], str]:
        """An exponential gate with its normaliser."""
        n, c, h = state("n"), state("c"), state("h")
        i = self.add("i", self.affine("i", h).apply("exp"))
        f = self.gate("f", h)
        new_n = self.add("n", f * n + i)
        new_c = self.add("c", f * c + i * self.candidate("z", h))
        below = self.draw.choice([1 + new_n.apply("abs"), new_n.apply("max", 1), 2 + new_n * new_n])
        self.add("h", self.gate("o", h) * new_c / below)
        names = ["n", "c", "h"]
        return [State(name, name, VECTOR, name) for name in names], "h"

    def mixture(self) -> tuple[list[State], str]:
        """A sum of products of gates with what there is."""
        names = self.draw.sample(["a", "s", "m"], self.draw.choice([1, 2]))
        states = [state(name) for name in names]
        gates = [self.gate(f"g{k}", *states[:1]) for k in range(self.draw.choice([1, 2]))]
        for name in names:
            n = self.candidate(f"n_{name}", self.draw.choice(states))
            factors: list[Expr] = [n, *states]
            terms = [
                self.draw.choice(gates) * self.draw.choice(factors),
                self.draw.choice([n, (1 - gates[0]) * n]),
            ]
            self.add(name, call("add", *terms))
        output = names[0]
        if self.chance(40):
            self.add("y", gates[0] * self.equations[-1].ref.apply("tanh"))
            output = "y"
        return [State(name, name, VECTOR, name) for name in names], output


def nodes_of(cell: Cell) -> list[tuple[int, Expr]]:
    """Every distinct node of every equation, with the equation's position."""
    found: dict[tuple[int, Expr], None] = {}
    for index, equation in enumerate(cell.equations):
        for node in walk(equation.value):
            found[index, node] = None
    return list(found)


def uses(cell: Cell, name: str) -> list[Expr]:
    """The nodes right above each place where a parameter is read."""
    found = []
    for equation in cell.equations:
        for node in walk(equation.value):
            found += [
                node
                for child in node.children
                if isinstance(child, Ref) and (child.kind, child.name) == ("param", name)
            ]
    return found


def count(cell: Cell, node: Expr) -> int:
    """How often a node stands in the equations, as they are written out."""
    stack = [equation.value for equation in cell.equations]
    found = 0
    while stack:
        inner = stack.pop()
        found += inner == node
        stack.extend(inner.children)
    return found


def is_op(expr: Expr, *ops: str) -> bool:
    return isinstance(expr, Apply) and expr.op in ops

"""Random cells: a text in a random notation, and what it means, computed without gatec.

`cells()` is a Hypothesis strategy. It builds well-typed equations out of its own little trees
(`Term`: how it is written, its shape in letters, how torch computes it), so that the front end
is under test as much as the backends. Every value is kept bounded: gates end in a bounded
function, and a state is a convex mixture, a bounded value or a small step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from hypothesis import strategies as st
from notation import ELEMENTWISE, FUNCTIONS, Name, Notation
from torch import Tensor

Value = Callable[["Env"], Tensor]
SUM, PRODUCT, ATOM = 1, 2, 3


@dataclass(frozen=True)
class Term:
    """An expression: its text, how strongly the text binds, its shape, its value.

    Values carry the batch in front: (B or 1, *shape). Shapes are in letters: `""` a scalar,
    `"h"` and `"x"` vectors, `"hh"` a matrix.
    """

    text: str
    level: int
    shape: str
    value: Value
    # A name, a number or a call: what stands beside it cannot be read as its argument.
    closed: bool = True


@dataclass
class Env:
    """One step of the evaluation."""

    params: dict[str, Tensor]
    inputs: dict[str, list[Tensor]]
    history: dict[str, list[Tensor]]
    now: dict[str, Tensor] = field(default_factory=dict)
    t: int = 0

    def input(self, name: str, lag: int) -> Tensor:
        values = self.inputs[name]
        return values[self.t - lag] if self.t >= lag else torch.zeros_like(values[0])

    def past(self, name: str, lag: int) -> Tensor:
        values = self.history[name]
        return values[-lag] if len(values) >= lag else torch.zeros_like(values[0])


@dataclass(frozen=True)
class RandomCell:
    """A generated text with its meaning. Shapes are in the letters of `references.shape`."""

    text: str
    params: dict[str, str]
    states: dict[str, str]
    output: str
    square: bool
    equations: list[tuple[str, Value]]
    inputs: tuple[str, ...] = ("x",)

    def __repr__(self) -> str:
        return f"RandomCell(\n{self.text})"

    def run(self, params: Any, inputs: Any, states: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Outputs and last states; inputs are (T, B, *shape), states (B, *shape)."""
        history = {name: [value] for name, value in states.items()}
        split = {name: list(values) for name, values in inputs.items()}
        batched = {name: value[None] for name, value in params.items()}
        env = Env(batched, split, history)
        batch = len(split["x"][0])
        outputs = []
        for t in range(len(split["x"])):
            env.t, env.now = t, {}
            for name, value in self.equations:
                made = value(env)
                env.now[name] = made.expand(batch, *made.shape[1:])
            for name in history:
                history[name].append(env.now[name])
            outputs.append(env.now[self.output])
        return torch.stack(outputs), {name: values[-1] for name, values in history.items()}


def lift(value: Tensor, rank: int) -> Tensor:
    """A scalar per batch row, aligned with the units of a vector or matrix."""
    return value.reshape(value.shape + (1,) * rank) if value.dim() == 1 else value


def pointwise(function: Callable[..., Tensor], *terms: Term) -> Value:
    """The value of a pointwise operation on terms, scalars broadcast."""
    rank = max(len(term.shape) for term in terms)
    return lambda env: function(*(lift(term.value(env), rank) for term in terms))


class Writer:
    """Draws one cell. Methods named after what they return: terms of a shape."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.notation = Notation(draw)
        self.params: dict[str, str] = {}
        self.names: dict[str, Name] = {}
        self.shapes: dict[str, str] = {}
        self.defined: list[str] = []
        self.used: set[str] = set()
        self.lagged: set[str] = set()
        self.primed: list[str] = []  # the states, where primes mark their new values
        self.square = False
        self.reads_input = False
        # What a matrix says to be a vector; without one, a text may as well mean scalars.
        self.certain: set[str] = set()
        self.is_certain = False
        self.second = self.chance(20)  # a second input, u
        self.declarations: list[str] = []

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def chance(self, percent: int) -> bool:
        return self.draw(st.integers(0, 99)) < percent

    # --- names ----------------------------------------------------------------------------------

    def param(self, shape: str, dims: str = "") -> Term:
        """A new parameter: capitals are matrices, small letters vectors, Greek scalars.

        `dims` are its dimensions where the letters of the shape do not say them.
        """
        bases = {2: "WUVR", 1: "bpw", 0: ("alpha", "lambda", "eta")}[len(shape)]
        name = self.notation.parameter(self.pick(*bases), len(self.params))
        self.params[name.mangled] = dims or ",".join(shape)
        self.is_certain |= len(shape) == 2
        text = self.notation.spell(name)
        return Term(text, ATOM, shape, lambda env: env.params[name.mangled], False)

    def input(self, lag: int = 0, name: str = "x") -> Term:
        self.reads_input |= lag == 0 and name == "x"
        text = self.notation.timed(self.names[name], lag)
        return Term(text, ATOM, name, lambda env: env.input(name, lag))

    def declare(self, line: str) -> None:
        if line not in self.declarations:
            self.declarations.append(line)

    def variable(self, name: str) -> Term:
        """A quantity computed earlier at this step."""
        self.used.add(name)
        self.is_certain |= name in self.certain
        text = self.notation.current(self.names[name], name in self.primed)
        return Term(text, ATOM, self.shapes[name], lambda env: env.now[name], False)

    def state(self, name: str, lag: int = 1) -> Term:
        self.used.add(name)
        self.lagged.add(name)
        text = self.notation.timed(self.names[name], lag)
        return Term(text, ATOM, self.shapes[name], lambda env: env.past(name, lag), False)

    def lag(self) -> int:
        return self.pick(1, 1, 1, 2, 3) if self.notation.has_lags else 1

    # --- brackets, sums, products ---------------------------------------------------------------

    def bracket(self, term: Term, level: int = ATOM) -> Term:
        if term.level >= level:
            return term
        return Term(self.notation.bracket(term.text), ATOM, term.shape, term.value, False)

    def add(self, *terms: Term) -> Term:
        text, signs = terms[0].text, [1.0]
        for term in terms[1:]:
            minus = self.chance(25)
            right = self.bracket(term, PRODUCT) if minus else term
            text += (self.notation.minus() if minus else " + ") + right.text
            signs.append(-1.0 if minus else 1.0)

        def total(*values: Tensor) -> Tensor:
            return sum(sign * value for sign, value in zip(signs, values, strict=True))

        return Term(text, SUM, max((t.shape for t in terms), key=len), pointwise(total, *terms))

    def times(self, a: Term, b: Term) -> Term:
        """The element-wise product, scalars broadcast."""
        a, b = self.bracket(a), self.bracket(b)
        shape = a.shape or b.shape
        if (
            not a.shape
            and b.shape
            and (a.closed or not b.text.startswith(("(", r"\left", r"\big")))
        ):
            symbol = self.pick(" ", " ", r" \cdot ", " * ")
        else:
            symbol = f" {self.pick(*ELEMENTWISE)} "
        return Term(a.text + symbol + b.text, PRODUCT, shape, pointwise(torch.mul, a, b))

    def matvec(self, matrix: Term, vector: Term) -> Term:
        matrix, vector = self.bracket(matrix), self.bracket(vector)
        symbol = self.pick(" ", " ", r" \cdot ", r" \, ")

        def value(env: Env) -> Tensor:
            return torch.matmul(matrix.value(env), vector.value(env)[..., None])[..., 0]

        return Term(matrix.text + symbol + vector.text, PRODUCT, matrix.shape[0], value)

    def number(self) -> Term:
        text, value = self.pick(
            ("0.5", 0.5), ("2", 2.0), (".25", 0.25), (r"\frac{1}{3}", 1 / 3), (r"\frac12", 0.5),
            (r"\kappa", 0.3),
        )  # fmt: skip
        if text == r"\kappa":
            self.declare(rf"const \kappa = {value}")
        closed = not text.startswith(r"\k")
        return Term(text, ATOM, "", lambda env: torch.tensor([value], dtype=torch.float64), closed)

    def apply(self, function: str, term: Term) -> Term:
        spellings, compute = FUNCTIONS[function]
        text = self.notation.call(self.pick(*spellings), term.text)
        return Term(text, ATOM, term.shape, lambda env: compute(term.value(env)))

    # --- scalars --------------------------------------------------------------------------------

    def transposed(self, vector: Term) -> str:
        text = vector.text
        if vector.level < ATOM or "^" in text or "(" in text or "'" in text:
            text = f"({text})"
        return text + self.pick(r"^\top", "^T", r"^{\top}", r"^\mathsf{T}")

    def dot(self, a: Term, b: Term) -> Term:
        right = self.bracket(b)
        text = f"{self.transposed(a)} {right.text}"
        return Term(text, PRODUCT, "", lambda env: (a.value(env) * b.value(env)).sum(-1))

    def scalar(self) -> Term:
        """A bounded scalar."""
        kind = self.pick("input", "state", "parameter", "mean", "norm")
        if "m" in self.names and self.chance(40):
            now = "m" in self.defined and self.chance(50)
            inner = self.variable("m") if now else self.state("m", self.lag())
        elif kind == "input":
            inner = self.dot(self.param("x"), self.input())
        elif kind == "state":
            inner = self.dot(self.param("h"), self.vector(0))
        elif kind == "parameter":
            inner = self.param("")
        else:
            vector = self.vector(0)
            if kind == "mean":
                inner = self.apply_reduction(r"\operatorname{mean}", vector, lambda v: v.mean(-1))
            else:
                bars = self.pick((r"\lVert ", r" \rVert"), (r"\left\| ", r" \right\|"), ("‖", "‖"))
                text = bars[0] + vector.text + bars[1]
                # A bare norm has no derivative at 0, where every first step would stand.
                square = Term(text + "^2", ATOM, "", lambda env: (vector.value(env) ** 2).sum(-1))
                inner = square
        return self.apply(self.pick("sigmoid", "tanh"), inner)

    def apply_reduction(self, name: str, term: Term, compute: Callable[[Tensor], Tensor]) -> Term:
        text = self.notation.call(name, term.text)
        return Term(text, ATOM, "", lambda env: compute(term.value(env)))

    # --- vectors --------------------------------------------------------------------------------

    def known_vector(self) -> Term:
        """A vector that is there already: a state, or a quantity of this step."""
        readable = self.primed if self.notation.primed else self.shapes
        states = [n for n in readable if self.shapes[n] == "h"]
        now = [n for n in self.defined if self.shapes[n] == "h"]
        if now and self.chance(40):
            return self.variable(self.pick(*now))
        return self.state(self.pick(*states), self.lag())

    def vector(self, depth: int) -> Term:
        if depth <= 0:
            return self.known_vector()
        kind = self.pick(
            "affine", "affine", "affine", "known", "product", "sum", "scaled", "function",
            "quotient", "complement", "extremum", "power", "mixed", "diagonal", "split", "narrow",
        )  # fmt: skip
        return getattr(self, f"vector_{kind}")(depth - 1)

    def vector_known(self, depth: int) -> Term:
        return self.known_vector()

    def vector_product(self, depth: int) -> Term:
        return self.times(self.vector(depth), self.known_vector())

    def vector_sum(self, depth: int) -> Term:
        return self.add(self.vector(depth), self.known_vector())

    def vector_scaled(self, depth: int) -> Term:
        factor = self.number() if self.chance(50) else self.scalar()
        return self.times(factor, self.vector(depth))

    def vector_function(self, depth: int) -> Term:
        name = self.pick(
            "tanh", "sigmoid", "softplus", "sin", "softmax", "layer_norm", "silu", "relu"
        )
        return self.apply(name, self.vector(depth))

    def vector_quotient(self, depth: int) -> Term:
        top, bottom = self.vector(depth), self.known_vector()
        if self.chance(50):
            square = self.times(bottom, bottom)
            bottom_text, compute = f"1 + {square.text}", lambda b: 1 + b * b
        else:
            bars = self.pick(("|", "|"), (r"\lvert ", r" \rvert"), (r"\left|", r"\right|"))
            bottom_text, compute = f"2 + {bars[0]}{bottom.text}{bars[1]}", lambda b: 2 + b.abs()
        if self.chance(50):
            text = rf"\frac{{{top.text}}}{{{bottom_text}}}"
            return Term(text, ATOM, "h", pointwise(lambda a, b: a / compute(b), top, bottom))
        text = f"{self.bracket(top).text} / ({bottom_text})"
        return Term(text, PRODUCT, "h", pointwise(lambda a, b: a / compute(b), top, bottom))

    def vector_complement(self, depth: int) -> Term:
        gate = self.known_vector()
        text = f"1{self.notation.minus()}{gate.text}"
        rest = Term(text, SUM, "h", lambda env: 1 - gate.value(env), False)
        return self.times(rest, self.vector(depth))

    def vector_extremum(self, depth: int) -> Term:
        name, compute = self.pick(("max", torch.maximum), ("min", torch.minimum))
        a, b = self.vector(depth), self.known_vector()
        text = self.notation.call("\\" + name, f"{a.text}, {b.text}")
        return Term(text, ATOM, "h", pointwise(compute, a, b))

    def vector_power(self, depth: int) -> Term:
        inner, exponent = self.vector(depth), self.pick(2, 3)
        text = f"({inner.text})^{self.pick(str(exponent), '{' + str(exponent) + '}')}"
        return Term(text, ATOM, "h", lambda env: inner.value(env) ** exponent)

    def vector_diagonal(self, depth: int) -> Term:
        return self.times(self.param("h"), self.known_vector())

    def vector_split(self, depth: int) -> Term:
        """`W[h, x]` in its spellings: one parameter, a concatenation, a bias."""
        parts = [self.vector(min(depth, 1)), self.input(self.input_lag())]
        if self.chance(30):
            parts.append(self.known_vector())
        weight = self.param("hc", "h," + "+".join(part.shape for part in parts))

        def joined(env: Env) -> Tensor:
            values = [part.value(env) for part in parts]
            batch = max(len(value) for value in values)
            return torch.cat([value.expand(batch, -1) for value in values], -1)

        column = Term(self.notation.concatenation([p.text for p in parts]), ATOM, "c", joined)
        return self.add(self.matvec(weight, column), self.param("h"))

    def vector_mixed(self, depth: int) -> Term:
        """An expression over parameters alone, times a vector."""
        a = self.param("hh")
        if self.chance(60):
            minus, identity = self.notation.minus(), self.pick("I", r"\mathbf{I}")
            text = f"{a.text}{minus}{self.transposed(a)}{minus}0.1 {identity}"

            def matrix(env: Env) -> Tensor:
                w = a.value(env)
                return w - w.transpose(-1, -2) - 0.1 * torch.eye(w.shape[-1], dtype=w.dtype)

            whole = Term(text, SUM, "hh", matrix, False)
        else:
            whole = self.times(a, self.param("hh"))
        return self.matvec(whole, self.vector(depth))

    def vector_narrow(self, depth: int) -> Term:
        """Through a smaller size and back: a matrix of a declared shape."""
        narrow = self.param("kh")
        self.declare("size k = 3")
        self.declare(f"param {narrow.text} : k x n_h")
        vector = self.vector(depth)
        inner = self.apply("tanh", self.matvec(narrow, vector))

        def value(env: Env) -> Tensor:
            back = narrow.value(env).transpose(-1, -2)
            return torch.matmul(back, inner.value(env)[..., None])[..., 0]

        return Term(f"{self.transposed(narrow)} {inner.text}", PRODUCT, "h", value)

    def input_lag(self) -> int:
        lagged = self.notation.has_lags and self.reads_input
        return self.pick(0, 0, 0, 1, 2) if lagged else 0

    def vector_affine(self, depth: int) -> Term:
        terms = [self.matvec(self.param("hx"), self.input(self.input_lag()))]
        if self.chance(85):
            terms.append(self.matvec(self.param("hh"), self.vector(min(depth, 1))))
        if self.chance(20):
            terms.append(self.matvec(self.param("hx"), self.input(self.input_lag())))
        if self.chance(70):
            terms.append(self.param("h"))
        if self.second and self.chance(40):
            terms.append(self.matvec(self.param("hu"), self.input(self.input_lag(), "u")))
        if self.chance(5):
            self.square = True
            terms.append(replace(self.input(), shape="h"))
        order = self.draw(st.permutations(terms))
        return self.add(*order)

    # --- equations ------------------------------------------------------------------------------

    def gate(self, depth: int) -> Term:
        return self.apply(self.pick("sigmoid", "tanh", "softmax", "sin"), self.vector(depth))

    def update(self, name: str, depth: int) -> Term:
        """The new value of a vector state."""
        before, kind = self.state(name), self.pick("mix", "bounded", "step")
        if kind == "bounded":
            return self.apply("tanh", self.add(self.vector(depth), before))
        if kind == "step":
            step = self.apply("tanh", self.vector(depth))
            return self.add(before, self.times(self.number(), step))
        gate = self.apply("sigmoid", self.vector(1))
        rest = Term(f"1{self.notation.minus()}{gate.text}", SUM, "h",
                    lambda env: 1 - gate.value(env), False)  # fmt: skip
        value = self.apply("tanh", self.vector(depth))
        first, second = self.times(gate, before), self.times(rest, value)
        return Term(f"{first.text} + {second.text}", SUM, "h", pointwise(torch.add, first, second))

    def outer(self, a: Term, b: Term) -> Term:
        text = f"{self.bracket(a).text} {self.transposed(b)}"

        def value(env: Env) -> Tensor:
            return a.value(env)[..., :, None] * b.value(env)[..., None, :]

        return Term(text, PRODUCT, "hh", value)

    def matrix_update(self, name: str) -> Term:
        before = self.state(name)
        key = self.known_vector()
        written = self.outer(self.apply("tanh", self.vector(1)), key)
        if self.chance(30):
            written = self.apply("tanh", written)
        decay = self.times(self.apply("sigmoid", self.scalar()), before)
        return Term(
            f"{decay.text} + {written.text}", SUM, "hh", pointwise(torch.add, decay, written)
        )

    def scalar_update(self, name: str) -> Term:
        """The new value of a scalar state: a running maximum, or a decaying sum."""
        before = self.state(name)
        decay = Term(f"0.9 {before.text}", PRODUCT, "", lambda env: 0.9 * before.value(env))
        new = self.scalar()
        if self.chance(50):
            return self.add(decay, new)
        text = self.notation.call(r"\max", f"{decay.text}, {new.text}")
        return Term(text, ATOM, "", pointwise(torch.maximum, decay, new))

    def define(self, name: str, term: Term) -> tuple[str, Value, str]:
        if not self.is_certain and term.shape == "h":
            term = self.add(term, self.matvec(self.param("hx"), self.input()))
        self.certain.add(name)
        self.is_certain = False
        self.defined.append(name)
        left = self.notation.current(self.names[name], name in self.primed)
        return name, term.value, f"{left} = {term.text}"

    def cell(self) -> RandomCell:
        self.names["x"] = self.notation.name("x")
        self.names["u"] = self.notation.name("u")
        scalars = ["m"] if self.chance(25) else []
        vectors = self.pick(["h"], ["h"], ["h", "c"], ["a", "s", "c"])
        gates = [self.pick(*pair) for pair in (("r", "Gamma_f"), ("z", "h_tilde"), ("g", "c_hat"))]
        gates = gates[: self.pick(0, 1, 2, 3)]
        matrix = ["S"] if self.chance(25) else []
        readout = ["y"] if matrix or self.chance(30) else []
        for name in scalars + gates + vectors + matrix + readout:
            self.names[name] = self.notation.name(name)
            self.shapes[name] = "hh" if name in matrix else "" if name in scalars else "h"
        if self.notation.primed:
            self.primed = scalars + vectors + matrix
        equations = []
        for name in scalars:
            self.declare(f"state {self.notation.spell(self.names[name])} : scalar")
            equations.append(self.define(name, self.scalar_update(name)))
        for name in gates:
            equations.append(self.define(name, self.gate(2)))
        for name in matrix:
            equations.append(self.define(name, self.matrix_update(name)))
        for name in vectors:
            equations.append(self.define(name, self.update(name, 2)))
        output = equations[-1][0]
        unused = [n for n in gates + vectors if n not in self.used or n in vectors]
        # Whatever nothing reads yet, and an input that nothing reads, become part of the output.
        if readout or unused != [output] or not self.reads_input or scalars or self.second:
            terms = [self.variable(n) for n in unused]
            terms += [self.times(self.variable(n), self.known_vector()) for n in scalars]
            if self.second:
                terms.append(self.matvec(self.param("hu"), self.input(name="u")))
            if not self.reads_input:
                terms.append(self.matvec(self.param("hx"), self.input()))
            if matrix:
                terms.append(self.matvec(self.variable("S"), self.known_vector()))
            if readout:
                terms.append(self.vector(1))
            output = "y"
            self.names["y"] = self.notation.name("y")
            self.shapes["y"] = "h"
            equations.append(self.define("y", self.add(*terms)))
        return self.document(equations, output)

    def document(self, equations: list[tuple[str, Value, str]], output: str) -> RandomCell:
        """The equations as a text, with or without the declarations that it could do without."""
        lines = [text for _, _, text in equations]
        declare_output = self.chance(20)
        if self.chance(20):
            lines = self.draw(st.permutations(lines))
            declare_output = True
        head = ["cell Random", *self.declarations]
        if self.second or self.notation.primed or self.chance(15):
            head.append("input x, u" if self.second else "input x")
        if declare_output:
            head.append(f"output {self.notation.spell(self.names[output])}")
        return RandomCell(
            "\n".join([*head, "", *self.notation.layout(lines), ""]),
            self.params,
            {n: ",".join(self.shapes[n]) for n in self.defined if n in self.lagged},
            output,
            self.square,
            [(name, value) for name, value, _ in equations],
            ("x", "u") if self.second else ("x",),
        )


@st.composite
def cells(draw: Callable[[st.SearchStrategy[Any]], Any]) -> RandomCell:
    """A random cell, well-typed by construction."""
    return Writer(draw).cell()

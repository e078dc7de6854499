"""Random expressions of the IR, drawn from a seed: small, and of the kind that laws apply to."""

from __future__ import annotations

import random
from fractions import Fraction

from gatec.expr import (
    HIDDEN,
    INPUT,
    Apply,
    Broadcast,
    Concat,
    Const,
    Dim,
    Expr,
    Identity,
    Ref,
    Shape,
    SizeValue,
    Slice,
    call,
)

WIDE = HIDDEN + INPUT
VECTOR, JOINED, MATRIX = (HIDDEN,), (WIDE,), (HIDDEN, HIDDEN)
REFS: dict[str, Ref] = {
    ref.name: ref
    for ref in (
        Ref("state", "h", VECTOR, 1),
        Ref("state", "c", VECTOR, 1),
        Ref("input", "x", (INPUT,)),
        Ref("param", "b", VECTOR),
        Ref("param", "s", ()),
        Ref("param", "A", MATRIX),
        Ref("param", "B", MATRIX),
        Ref("param", "W", (HIDDEN, WIDE)),
        Ref("param", "V", (HIDDEN, INPUT)),
        Ref("param", "P", (WIDE, HIDDEN)),
    )
}
ONE = Const(Fraction(1))
NUMBERS = [Fraction(n) for n in (-2, -1, 0, 1, 2)] + [Fraction(1, 2), Fraction(-1, 2)]
_ANYWHERE = ("tanh", "sigmoid", "relu", "abs", "softplus", "sin", "cos", "arctan", "erf", "sign")
_COMPOSED = ("silu", "hard_tanh", "leaky_relu", "softsign", "logsigmoid", "elu", "relu6", "mish")
_COMPARED = ("gt", "lt", "ge", "le", "eq")


class Expressions:
    """Draws expressions of a shape. `depth` bounds how deep they are nested."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    def __call__(self, shape: Shape, depth: int) -> Expr:
        if depth <= 0:
            return self.leaf(shape)
        kinds = [self.sum, self.sum, self.product, self.product, self.function, self.function]
        kinds += [self.piecewise, self.piecewise, self.exponential, self.quotient, self.root]
        kinds += [self.composed, self.power]
        kinds += {0: [self.reduction] * 3, 1: [self.linear] * 6, 2: [self.matrix] * 8}[len(shape)]
        return self.draw.choice(kinds)(shape, depth - 1)

    def leaf(self, shape: Shape) -> Expr:
        options: list[Expr] = [ref for ref in REFS.values() if ref.shape == shape]
        if not shape:
            options += [self.number(), self.number(), SizeValue(HIDDEN)]
        else:
            options.append(Broadcast(self.draw.choice([self.number(), REFS["s"]]), shape))
        if shape == MATRIX:
            options.append(Identity(HIDDEN))
            options.append(Apply("transpose", (REFS["A"],)))
            options.append(Slice(REFS["W"], 1, Dim(), HIDDEN))
        if shape == (INPUT,):
            options.append(Slice(Concat((REFS["h"], REFS["x"])), 0, HIDDEN, WIDE))
        return self.draw.choice(options)

    def number(self) -> Const:
        return Const(self.draw.choice(NUMBERS))

    def either(self, shape: Shape, depth: int) -> Expr:
        """Of a shape, or a scalar that stands in every unit."""
        return self(shape if self.draw.random() < 0.8 else (), depth)

    def sum(self, shape: Shape, depth: int) -> Expr:
        other = self.either(shape, depth)
        other = -other if self.draw.random() < 0.4 else other
        terms = [self(shape, depth), other]
        self.draw.shuffle(terms)
        return call("add", *terms)

    def product(self, shape: Shape, depth: int) -> Expr:
        terms = [self(shape, depth), self.either(shape, depth - 1)]
        self.draw.shuffle(terms)
        return call("mul", *terms)

    def function(self, shape: Shape, depth: int) -> Expr:
        arg = self(shape, depth)
        return Apply(self.draw.choice(_ANYWHERE), (-arg if self.draw.random() < 0.4 else arg,))

    def composed(self, shape: Shape, depth: int) -> Expr:
        return Apply(self.draw.choice(_COMPOSED), (self(shape, depth),))

    def power(self, shape: Shape, depth: int) -> Expr:
        return Apply("pow", (self(shape, depth), Const(Fraction(self.draw.choice([0, 2, 3])))))

    def piecewise(self, shape: Shape, depth: int) -> Expr:
        one, other = self(shape, depth), self.either(shape, depth - 1)
        kind = self.draw.choice(["max", "min", "where", "where", "times", "squared"])
        if kind in ("max", "min"):
            return Apply(kind, (one, other))
        if self.draw.random() < 0.1:
            one, other = Apply("exp", (one,)), self.draw.choice([ONE, Apply("exp", (other,))])
        condition = Apply(self.draw.choice(_COMPARED), (one, other))
        if kind == "where":
            return Apply("where", (condition, self(shape, depth - 1), self.either(shape, 0)))
        chosen = Apply("where", (condition, Const(Fraction(1)), Const(Fraction(0))))
        return call("mul", chosen, one - other if kind == "times" else chosen)

    def exponential(self, shape: Shape, depth: int) -> Expr:
        u, v = self(shape, depth - 1), self.either(shape, 0)
        exp_u, exp_v = Apply("exp", (u,)), Apply("exp", (v,))
        options = [
            exp_u,
            exp_u * exp_v,
            exp_u / exp_v,
            Apply("log", (exp_u,)),
            Apply("log", (1 + exp_u,)),
            Apply("log1p", (exp_u,)),
            Apply("expm1", (u,)),
            Apply("exp", (Apply("softplus", (u,)) + v,)),
            Apply("exp", (v - Apply("softplus", (u,)),)),
            Apply("exp", (Apply("log", (1 + exp_u,)) + v,)),
            Apply("exp", (v - Apply("log", (2 + u * u,)),)),
            v / (1 + exp_u),
            exp_u / (exp_u + exp_v),
            2 / (3 * exp_u + 3 * exp_v),
            exp_v / (exp_u + exp_v) / (exp_u + exp_v),
        ]
        return self._of(shape, self.draw.choice(options))

    def quotient(self, shape: Shape, depth: int) -> Expr:
        u, v = self(shape, depth), self(shape, 0)
        below = self.draw.choice(
            [
                2 + v * v,
                1 + Apply("abs", (v,)),
                Const(Fraction(3)),
                1 + Apply("exp", (v,)),
                v,
                u + v,
            ]
        )
        return self._of(shape, self.draw.choice([u, v, v * v, v * u]) / below)

    def root(self, shape: Shape, depth: int) -> Expr:
        u = self(shape, depth)
        inner = Apply("sqrt", (u * u + 1,))
        options = [inner, inner * inner, inner * inner * inner, 1 / (inner * inner), 1 / inner]
        options += [Apply("sqrt", (u * u,)), Apply("pow", (u * u + 1, Const(Fraction(1, 2))))]
        return self._of(shape, self.draw.choice(options))

    def reduction(self, shape: Shape, depth: int) -> Expr:
        kind = self.draw.choice(["sum", "mean", "dot", "norm", "amax", "outer"])
        if kind == "dot":
            return Apply("dot", (self(VECTOR, depth), self(VECTOR, depth - 1)))
        if kind == "outer":
            return Apply("sum", (Apply("outer", (self(VECTOR, 0), self(VECTOR, depth - 1))),))
        return Apply(kind, (self(self.draw.choice([VECTOR, VECTOR, MATRIX]), depth),))

    def linear(self, shape: Shape, depth: int) -> Expr:
        if shape != VECTOR:
            return self.sum(shape, depth)
        kind = self.draw.choice(["matvec", "joined", "input", "cut", "softmax", "norm", "scaled"])
        if kind == "matvec":
            return Apply("matvec", (self(MATRIX, depth), self(VECTOR, depth)))
        if kind == "scaled":
            scale = Apply("outer", (self(VECTOR, 0), self(VECTOR, 0)))
            return Apply("matvec", (scale * self(MATRIX, depth), self(VECTOR, depth - 1)))
        if kind == "joined":
            return Apply("matvec", (REFS["W"], self.joined(depth)))
        if kind == "input":
            return Apply("matvec", (REFS["V"], self((INPUT,), depth)))
        if kind == "cut":
            start, stop = self.draw.choice([(Dim(), HIDDEN), (INPUT, WIDE)])
            long = self.draw.choice(
                [self.joined(depth), Apply("matvec", (REFS["P"], self(VECTOR, depth)))]
            )
            return Slice(long, 0, start, stop)
        name = "softmax" if kind == "softmax" else self.draw.choice(["layer_norm", "rms_norm"])
        return Apply(name, (self(VECTOR, depth - 1),))

    def joined(self, depth: int) -> Expr:
        made: Expr = Concat((self(VECTOR, depth), self((INPUT,), depth - 1)))
        if self.draw.random() < 0.3:
            made = Apply("tanh", (made,)) * self.number()
        return made

    def matrix(self, shape: Shape, depth: int) -> Expr:
        kind = self.draw.choice(["outer", "matmul", "matmul", "transpose", "transpose"])
        if kind == "outer":
            return Apply("outer", (self(VECTOR, depth - 1), self(VECTOR, depth - 1)))
        if kind == "matmul":
            return Apply("matmul", (self(MATRIX, depth - 1), self(MATRIX, depth - 1)))
        return Apply("transpose", (self(MATRIX, depth),))

    def _of(self, shape: Shape, value: Expr) -> Expr:
        return value if value.shape == shape else Broadcast(value, shape)

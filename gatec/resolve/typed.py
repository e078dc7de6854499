"""Typed nodes: what an expression computes, once its operands' kinds are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from gatec.errors import Span
from gatec.resolve.quantities import Quantity
from gatec.resolve.types import Type

# Operations that work unit by unit: their operands and results have one shape, or are scalars.
POINTWISE = frozenset(["add", "mul", "div", "pow", "call", "where", "compare"])


@dataclass(eq=False)
class Typed:
    """An operation over typed operands.

    kind: number, ref, neg, add, mul, div, pow, call, transpose, product, concat, norm, where,
    compare, identity, ones, size, diag, part; after folding also scaled, matvec, matmul, outer,
    dot, rows.
    """

    kind: str
    type: Type
    span: Span
    args: list[Typed] = field(default_factory=list)
    data: Any = None
    row: bool = False  # the result of a product is a transposed vector
    settled: Typed | None = None  # what a product is, once its factors' kinds are known


def nodes(root: Typed) -> list[Typed]:
    """Every node under a typed node once, in reading order; settled products included."""
    found: list[Typed] = []
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        found.append(node)
        if node.settled is not None:
            stack.append(node.settled)
        stack.extend(reversed(node.args))
    return found


def constant(typed: Typed) -> Fraction | None:
    """The number that a typed node is, if it is one."""
    match typed.kind:
        case "number":
            value: Fraction = typed.data
            return value
        case "neg":
            inner = constant(typed.args[0])
            return None if inner is None else -inner
        case "div":
            top, bottom = (constant(arg) for arg in typed.args)
            return None if top is None or not bottom else top / bottom
    return None


def mark_juxtaposed(node: Typed) -> None:
    """Note that a name is a factor by juxtaposition."""
    inner = strip(node)
    if inner.kind == "ref":
        inner.data[0].juxtaposed = True


# --- What a node is as far as its form tells ------------------------------------------------------


def strip_sign(node: Typed) -> Typed:
    while node.kind == "neg":
        node = node.args[0]
    return node


def strip(node: Typed) -> Typed:
    """A node without signs and transpositions."""
    while node.kind in ("neg", "transpose"):
        node = node.args[0]
    return node


def is_parameter(node: Typed) -> bool:
    """A parameter or constant, negated or transposed or as it is."""
    inner = strip(node)
    return inner.kind == "ref" and inner.data[0].kind in ("param", "const")


def parameter(node: Typed) -> Quantity:
    """The parameter of a node that is one."""
    quantity: Quantity = strip(node).data[0]
    return quantity


def is_own(node: Typed) -> bool:
    """Whether a node's kind is a parameter's own."""
    inner = strip_sign(node)
    return inner.kind == "ref" and inner.data[0].kind in ("param", "const")


def is_literal(node: Typed) -> bool:
    """Whether a value is made of the numbers of the text alone."""
    return all(each.kind != "ref" for each in nodes(node))


def is_number(node: Typed) -> bool:
    """Whether a value is made of numbers and constants alone."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.kind == "ref" and node.data[0].kind != "const":
            return False
        stack.extend(node.args)
    return True


def is_weight(node: Typed) -> bool:
    """A capital parameter, transposed or not."""
    return is_parameter(node) and parameter(node).capital


def weights(node: Typed) -> list[Quantity]:
    """The capital parameters that make up a factor: `W`, `W^\\top`, `(W - W^\\top - \\gamma I)`."""
    found: list[Quantity] = []
    stack = [node]
    while stack:
        node = stack.pop()
        if node.kind in ("neg", "transpose", "add", "mul"):
            stack.extend(reversed(node.args))
        elif is_weight(node):
            found.append(parameter(node))
    return found


def is_vector(node: Typed) -> bool:
    """What a matrix may multiply, as far as its form tells."""
    if node.kind == "ref":
        return node.data[0].kind in ("var", "input")
    return node.kind in ("concat", "mul", "add", "call")

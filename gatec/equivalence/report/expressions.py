"""Expressions of two compared cells in plain text.

Products of units are written ⊙, other products side by side: `2 σ(2 u) - 1` is what tanh becomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from gatec.equivalence.reductions import indicated
from gatec.equivalence.report.names import Names, Notation
from gatec.equivalence.steps import INFINITE
from gatec.expr import (
    Apply,
    Broadcast,
    Concat,
    Const,
    Dim,
    Expr,
    Identity,
    Ref,
    SizeValue,
    Slice,
    bottom_up,
)
from gatec.ir import Cell
from gatec.passes.common import nodes

_FUNCTIONS = {"sigmoid": "σ"}
# No line of a report is longer than a page.
_LONGEST = 2_000

# How strongly a text binds.
_SUM, _PRODUCT, _POWER, _ATOM = range(4)


class Printer:
    """Prints expressions; parameters are told apart by their names."""

    def __init__(self, notation: Notation, values: Names, variables: Names | None = None) -> None:
        """`values` names states and inputs, `variables` equations (None: the same)."""
        self.notation, self.values, self.variables = notation, values, variables or values

    def reference(self, ref: Ref) -> str:
        if ref.kind == "param":
            if ref.name == INFINITE:
                return "∞"
            known = self.notation.theirs.knows("param", ref.name)
            return (self.notation.theirs if known else self.notation.mine).of("param", ref.name)
        names = self.variables if ref.kind == "var" else self.values
        return names.of(ref.kind, ref.name, ref.lag)

    def text(self, expr: Expr, short: Mapping[Expr, str] | None = None) -> str:
        """An expression on one line, with `short` names for whole parts of it."""
        return self._parts(expr, short or {})[expr][0]

    def _parts(self, expr: Expr, short: Mapping[Expr, str]) -> dict[Expr, tuple[str, int]]:
        done: dict[Expr, tuple[str, int]] = {}
        for node in bottom_up(expr):
            if node in short:
                done[node] = short[node], _ATOM
            else:
                text, binding = self._node(node, [done[child] for child in node.children])
                done[node] = (text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"), binding
        return done

    def _node(self, node: Expr, parts: list[tuple[str, int]]) -> tuple[str, int]:
        match node:
            case Const():
                return number(node.value)
            case Ref():
                return self.reference(node), _ATOM
            case Identity():
                return "I", _ATOM
            case SizeValue():
                return str(node.dim), _ATOM if not node.dim.const else _SUM
            case Broadcast():
                return parts[0]
            case Slice():
                return f"{_least(parts[0], _ATOM)}[{self._window(node)}]", _ATOM
            case Concat():
                if all(_is_zero(arg) for arg in node.args):
                    return "0", _ATOM
                return f"[{', '.join(text for text, _ in parts)}]", _ATOM
            case Apply():
                return self._apply(node, parts)
        raise TypeError(f"no text for {type(node).__name__}")

    def _window(self, node: Slice) -> str:
        """The index of a slice: by what its columns multiply, where that is one block."""
        if node.axis == 1 and isinstance(node.arg, Ref) and node.arg.kind == "param":
            known = self.notation.theirs.knows("param", node.arg.name)
            names = self.notation.theirs if known else self.notation.mine
            block = columns(names.cell, node.arg.name)
            for start, stop, part in block:
                if (start, stop) == (node.start, node.stop):
                    return f"columns of {Printer(self.notation, names).text(part)}"
        first = "" if node.start == Dim() else str(node.start)
        last = "" if node.stop == node.arg.shape[node.axis] else str(node.stop)
        return f"{':, ' * node.axis}{first}:{last}"

    def _apply(self, node: Apply, parts: list[tuple[str, int]]) -> tuple[str, int]:
        if indicated(node) is not None:  # where(u > 0, 1, 0)
            return f"[{parts[0][0]}]", _ATOM
        match node.op:
            case "add":
                return _sum(node, parts), _SUM
            case "mul":
                return self._diagonal(node, parts) or _product(node, parts)
            case "neg":
                return f"-{_least(parts[0], _PRODUCT)}", _SUM
            case "matvec" | "matmul":
                return f"{_least(parts[0], _PRODUCT)} {_least(parts[1], _POWER)}", _PRODUCT
            case "div":
                return f"{_least(parts[0], _PRODUCT)} / {_least(parts[1], _POWER)}", _PRODUCT
            case "pow":
                return f"{_least(parts[0], _ATOM)}^{_least(parts[1], _ATOM)}", _POWER
            case "transpose":
                return f"{_least(parts[0], _ATOM)}^T", _POWER
            case "outer":
                return f"{_least(parts[0], _POWER)} {_least(parts[1], _ATOM)}^T", _PRODUCT
            case "dot":
                return f"{_least(parts[0], _ATOM)}^T {_least(parts[1], _POWER)}", _PRODUCT
            case "abs":
                return f"|{parts[0][0]}|", _ATOM
            case "gt" | "ge" | "lt" | "le":
                sign = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}[node.op]
                return f"{parts[0][0]} {sign} {parts[1][0]}", _SUM
        name = _FUNCTIONS.get(node.op, node.op)
        return f"{name}({', '.join(text for text, _ in parts)})", _ATOM

    def _diagonal(self, node: Apply, parts: list[tuple[str, int]]) -> tuple[str, int] | None:
        """diag(u) for I * u 1^T, and diag(u) M for u 1^T * M."""
        scales = [arg for arg in node.args if is_scale(arg)]
        if node.rank != 2 or len(scales) != 1:
            return None
        assert isinstance(scales[0], Apply)
        made = f"diag({self.text(scales[0].args[0])})"
        pairs = zip(parts, node.args, strict=True)
        rest = [(part, arg) for part, arg in pairs if arg is not scales[0]]
        if len(rest) != 1:
            return None
        ((part, arg),) = rest
        if isinstance(arg, Identity):
            return made, _ATOM
        return f"{made} {_least(part, _POWER)}", _PRODUCT


def is_scale(expr: Expr) -> bool:
    """Whether an expression is u 1^T: row i is the i-th unit throughout."""
    if not (isinstance(expr, Apply) and expr.op == "outer"):
        return False
    row = expr.args[1]
    return isinstance(row, Broadcast) and row.arg == Const(Fraction(1))


def is_diagonal(expr: Expr) -> bool:
    """Whether an expression is diag(u), as the comparison writes it."""
    if not (isinstance(expr, Apply) and expr.op == "mul"):
        return False
    has_identity = any(isinstance(arg, Identity) for arg in expr.args)
    return len(expr.args) == 2 and has_identity and any(map(is_scale, expr.args))


def _least(part: tuple[str, int], least: int) -> str:
    """A part, in brackets where it binds less than `least`."""
    return part[0] if part[1] >= least else f"({part[0]})"


def _sum(node: Apply, parts: list[tuple[str, int]]) -> str:
    text = ""
    for (term, _), arg in zip(parts, node.args, strict=True):
        if isinstance(arg, Apply) and arg.op in ("add", "gt", "ge", "lt", "le"):
            term = f"({term})"
        if not text:
            text = term
        else:
            text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


def _product(node: Apply, parts: list[tuple[str, int]]) -> tuple[str, int]:
    """Numbers and scalars first, side by side; then the units, with ⊙ between."""
    first = ""
    scalars: list[str] = []
    units: list[str] = []
    for part, arg in zip(parts, node.args, strict=True):
        inner = arg.arg if isinstance(arg, Broadcast) else arg
        if isinstance(inner, Const) and not first:
            first = part[0]
        else:
            (units if inner.shape else scalars).append(_least(part, _PRODUCT))
    joined = " ".join(filter(None, (" ".join(scalars), " ⊙ ".join(units))))
    if first == "-1" and joined:
        return f"-{joined}", _SUM
    text = " ".join(filter(None, (first, joined)))
    return text, _SUM if text.startswith("-") else _PRODUCT


def _is_zero(expr: Expr) -> bool:
    while isinstance(expr, Broadcast):
        expr = expr.arg
    return isinstance(expr, Const) and not expr.value


def number(value: Fraction) -> tuple[str, int]:
    """A rational number: exactly, as a decimal where that is short, else as a quotient."""
    if value.denominator == 1:
        return str(value.numerator), _ATOM if value >= 0 else _SUM
    exact = repr(float(value))
    if Fraction(exact) == value and len(exact) <= 12:
        return exact, _ATOM if value >= 0 else _SUM
    return f"{value.numerator}/{value.denominator}", _PRODUCT if value >= 0 else _SUM


def columns(cell: Cell, param: str) -> list[tuple[Dim, Dim, Expr]]:
    """What the column blocks of a matrix multiply, where it meets a join: (start, stop, part)."""
    for equation in cell.equations:
        for node in nodes(equation.value):
            if not (isinstance(node, Apply) and node.op == "matvec"):
                continue
            matrix, vector = node.args
            if isinstance(matrix, Ref) and matrix.name == param and isinstance(vector, Concat):
                found, start = [], Dim()
                for part in vector.args:
                    stop = start + (part.shape[0] if part.shape else Dim((), 1))
                    found.append((start, stop, part))
                    start = stop
                return found
    return []

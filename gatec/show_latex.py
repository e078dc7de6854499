"""Equations of the IR as LaTeX: what gatec understood, every product and grouping explicit."""

from __future__ import annotations

from fractions import Fraction

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
    rewrite,
)
from gatec.ir import Cell, Constant, Equation, Input, Param, State
from gatec.ops import ADDITIVE, ATOM, MULTIPLICATIVE, OPS, POWER, UNARY


def align(cell: Cell) -> str:
    """All equations of a cell as one `align*` environment."""
    printer = _Printer(cell)
    rows = [
        rf"  {printer.name('var', e.name, 0, e.value.batched)} &= {printer.text(e.value)}"
        for e in cell.equations
    ]
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}\n"


_Named = Input | State | Param | Constant | Equation


class _Printer:
    """Prints expressions of one cell by the symbols of its names."""

    def __init__(self, cell: Cell) -> None:
        tables: dict[str, tuple[_Named, ...]] = {
            "input": cell.inputs,
            "state": cell.states,
            "param": cell.params,
            "const": cell.constants,
            "var": cell.equations,
        }
        self.symbols = {
            (kind, item.name): item.symbol or rf"\mathrm{{{_escaped(item.name)}}}"
            for kind, items in tables.items()
            for item in items
        }
        self.sizes = {size.name: size.symbol for size in cell.sizes}

    def name(self, kind: str, name: str, lag: int, batched: bool) -> str:
        symbol = self.symbols[kind, name]
        timed = kind in ("input", "state") or (kind == "var" and batched)
        return with_time(symbol, lag) if timed else symbol

    def text(self, expr: Expr) -> str:
        """An expression, without recursion: sums of thousands of terms are common."""
        done: dict[Expr, tuple[str, int]] = {}

        def note(node: Expr) -> Expr:
            done[node] = self._node(node, [done[child] for child in node.children])
            return node

        rewrite(expr, note)
        return done[expr][0]

    def _node(self, node: Expr, parts: list[tuple[str, int]]) -> tuple[str, int]:
        """The text of a node and how strongly it binds, given those of its children."""
        match node:
            case Const():
                return _number(node.value)
            case Ref():
                return self.name(node.kind, node.name, node.lag, node.batched), ATOM
            case Identity():
                return r"\mathbf{I}", ATOM
            case SizeValue():
                return self._dim(node.dim), ATOM if len(node.dim.terms) < 2 else ADDITIVE
            case Broadcast():
                return parts[0]
            case Slice():
                rows = f"{self._dim(node.start)}:{self._dim(node.stop)}"
                where = rows if node.axis == 0 else f":,\\,{rows}"
                return rf"{_operand(*parts[0], POWER)}{{[{where}]}}", ATOM
            case Concat():
                joined = ", " if node.axis == 0 else r" \mid "
                return rf"\left[{joined.join(text for text, _ in parts)}\right]", ATOM
            case Apply():
                return _apply(node, parts)
        raise TypeError(f"no LaTeX for {type(node).__name__}")

    def _dim(self, dim: Dim) -> str:
        return " + ".join(
            [("" if count == 1 else f"{count}\\,") + self._size(name) for name, count in dim.terms]
            + ([str(dim.const)] if dim.const or not dim.terms else [])
        ).replace("+ -", "- ")

    def _size(self, name: str) -> str:
        return self.sizes.get(name) or rf"\mathrm{{{_escaped(name)}}}"


def _apply(node: Apply, parts: list[tuple[str, int]]) -> tuple[str, int]:
    row = OPS[node.op]
    if node.op == "add":
        return _sum(parts), ADDITIVE
    if node.op == "mul":
        # `x^T y z` would read as a product of three: an inner product beside others has brackets.
        scalars = [
            (part[0], ADDITIVE) if part[1] == MULTIPLICATIVE else part
            for part, arg in zip(parts, node.args, strict=True)
            if not arg.shape
        ]
        others = [part for part, arg in zip(parts, node.args, strict=True) if arg.shape]
        text = " \\, ".join(map(_factor, scalars))
        units = rf" {row.latex} ".join(map(_factor, others))
        return rf"{text} \, {units}" if text and units else text or units, MULTIPLICATIVE
    if node.op == "neg":
        text, binding = parts[0]
        bare = binding in (MULTIPLICATIVE, POWER, ATOM)
        return f"-{text if bare else _bracketed(text)}", UNARY
    inner = [
        text if _encloses(row.latex, i) else _operand(text, binding, row.precedence)
        for i, (text, binding) in enumerate(parts)
    ]
    # A fraction needs no brackets but under a power.
    return row.latex.format(*inner), POWER if row.latex.startswith(r"\frac") else row.precedence


def _sum(parts: list[tuple[str, int]]) -> str:
    text = parts[0][0]
    for term, binding in parts[1:]:
        text += f" - {term[1:]}" if binding == UNARY else f" + {term}"
    return text


def _factor(part: tuple[str, int]) -> str:
    text, binding = part
    return text if binding in (MULTIPLICATIVE, POWER, ATOM) else _bracketed(text)


def _operand(text: str, binding: int, outer: int) -> str:
    if binding <= outer and binding != ATOM:
        return _bracketed(text)
    # A second superscript or prime on one symbol is an error in TeX.
    return f"{{{text}}}" if outer == POWER and ("^" in text or "'" in text) else text


def _bracketed(text: str) -> str:
    return rf"\left({text}\right)"


def _encloses(template: str, index: int) -> bool:
    """Whether the template brackets operand `index`: `\\tanh({0})`, `\\frac{{{0}}}{{{1}}}`."""
    before, found, after = template.partition(f"{{{index}}}")
    if not found:
        return True
    opened = before.rstrip(" ")[-1:] in ("(", "{", ",", "&") or before.endswith(
        (r"\lvert ", r"\lVert ", "\\\\ ")
    )
    return opened and after[:1] not in ("^",)


def _number(value: Fraction) -> tuple[str, int]:
    if value.denominator == 1:
        return str(value.numerator), ATOM if value >= 0 else UNARY
    exact = f"{float(value):.17g}" if len(str(float(value))) > 12 else str(float(value))
    if Fraction(exact) == value and "e" not in exact:
        return exact, ATOM if value >= 0 else UNARY
    if value.numerator == 1 and set(str(value.denominator)) <= {"1", "0"}:
        return f"10^{{-{len(str(value.denominator)) - 1}}}", ATOM
    sign = "-" if value < 0 else ""
    return (
        rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}",
        ATOM if not sign else UNARY,
    )


def with_time(symbol: str, lag: int) -> str:
    """A symbol at t - lag: `h_{t-1}`, `\\Gamma_{f, t}`, `\\tilde{c}_{t}`."""
    time = f"t-{lag}" if lag else "t"
    depth = 0
    for position, char in enumerate(symbol):
        if char == "_" and depth == 0 and symbol[position + 1 : position + 2] == "{":
            end = _closing(symbol, position + 1)
            return f"{symbol[:end]}, {time}{symbol[end:]}"
        if char == "_" and depth == 0 and symbol[position - 1 : position] != "\\":
            rest = symbol[position + 1 :]
            return f"{symbol[:position]}_{{{rest[:1]}, {time}}}{rest[1:]}"
        depth += {"{": 1, "}": -1}.get(char, 0)
    return f"{symbol}_{{{time}}}"


def _closing(text: str, start: int) -> int:
    """Where the brace that opens at `start` closes."""
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return len(text)


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")

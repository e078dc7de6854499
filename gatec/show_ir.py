"""The IR to be read by a person: what `gatec compile --stop-after` prints after the front end.

One line per equation, with the names of generated code: `h_prev` is the state h at t-1, `x_t` an
input at t. A line's right column is the value's shape, where it is not that of the hidden state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from gatec.errors import printable
from gatec.expr import (
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
    rewrite,
)
from gatec.ir import Backward, Cell, Equation, Phase
from gatec.ops import ADDITIVE, ATOM, MULTIPLICATIVE, OPS, POWER, UNARY

_TITLES = {
    Phase.ONCE: "once: parameters alone",
    Phase.SEQUENCE: "sequence: inputs alone, the rows of all steps at once",
    Phase.STEP: "step: inside the loop over time",
    Phase.AFTER: "after: the rows of all steps at once",
    Phase.FINAL: "final: parameters' shapes, once",
}


def cell_text(cell: Cell) -> str:
    """A cell as it was resolved: names, shapes, equations in order."""
    return "\n".join([*_head(cell), *_equations(cell.equations), ""])


def plan_text(plan: Cell) -> str:
    """A planned cell: its equations by the phase in which they are computed."""
    return "\n".join([*_head(plan), *_by_phase(plan.equations), ""])


def backward_text(plan: Cell, backward: Backward) -> str:
    """The backward cell: what arrives, what was kept, equations by phase, results."""
    shapes = {e.name: e.value for e in (*plan.equations, *backward.equations)}
    carried = dict(backward.carries)

    def results(pairs: Iterable[tuple[str, str]]) -> list[str]:
        return [f"  d {of} = {name}" for of, name in pairs]

    kept = [f"  {name} : {_shape(shapes[name].shape)}" for name in backward.stored]
    carries = [
        f"  {name} : d {state} from step t+1; to step t-1: {carried[state]}"
        for state, name in backward.carry_names
    ]
    return "\n".join(
        [
            f"backward of {plan.name}, in reverse time",
            "",
            "arrives",
            f"  {backward.grad_output} : {_shape(plan.output_shape)}",
            *carries,
            "",
            "kept by the forward pass, for every step",
            *(kept or ["  nothing but inputs and states"]),
            "",
            *_by_phase(backward.equations),
            "",
            "results",
            *results(backward.grad_params),
            *results(backward.grad_inputs),
            "",
        ]
    )


def _head(cell: Cell) -> list[str]:
    lines = [f"cell {cell.name}"]
    for item in cell.inputs:
        lines.append(f"input {item.name} : {_shape(item.shape)}")
    for state in cell.states:
        start = state.initial.param or _number(state.initial.value)[0]
        lines.append(f"state {state.name} : {_shape(state.shape)} = {start}, next {state.update}")
    for param in cell.params:
        lines.append(f"param {param.name} : {_shape(param.shape)}")
    for constant in cell.constants:
        lines.append(f"const {constant.name} = {_number(constant.value)[0]}")
    for size in cell.sizes:
        default = "hidden_size" if size.default is None else size.default
        lines.append(f"size {size.name} = {default}")
    return [*lines, f"output {cell.output}", ""]


def _shape(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "scalar"


def _by_phase(equations: Sequence[Equation]) -> list[str]:
    lines: list[str] = []
    for phase, title in _TITLES.items():
        found = [equation for equation in equations if equation.phase is phase]
        if found:
            lines += ["", title] if lines else [title]
            lines += _equations(found)
    return lines


def _equations(equations: Sequence[Equation]) -> list[str]:
    lines = []
    for equation in equations:
        if equation.text:
            lines.append(f"  # {printable(equation.text)}")
        shape = _shape(equation.value.shape)
        lines.append(f"  {equation.name} : {shape} = {text(equation.value)}")
    return lines


# --- Expressions ----------------------------------------------------------------------------------


def text(expr: Expr) -> str:
    """An expression on one line, by the names of generated code; without recursion."""
    done: dict[Expr, tuple[str, int]] = {}

    def note(node: Expr) -> Expr:
        done[node] = _node(node, [done[child] for child in node.children])
        return node

    rewrite(expr, note)
    return done[expr][0]


def _node(node: Expr, parts: list[tuple[str, int]]) -> tuple[str, int]:
    match node:
        case Const():
            return _number(node.value)
        case Ref():
            return _reference(node), ATOM
        case Identity():
            return f"identity({node.dim})", ATOM
        case SizeValue():
            return str(node.dim), ATOM if not node.dim.const else ADDITIVE
        case Broadcast():
            return f"broadcast({parts[0][0]})", ATOM
        case Slice():
            window = f"{_bound(node.start)}:{node.stop}"
            index = ", ".join([":"] * node.axis + [window])
            return f"{_least(parts[0], ATOM)}[{index}]", ATOM
        case Concat():
            joiner = "; " if node.axis == 0 else ", "
            return f"[{joiner.join(part for part, _ in parts)}]", ATOM
        case Apply():
            return _apply(node, parts)
    raise TypeError(f"no text for {type(node).__name__}")


def _bound(dim: Dim) -> str:
    return "" if dim == Dim() else str(dim)


def _reference(ref: Ref) -> str:
    if ref.kind == "state":
        return f"{ref.name}_prev" if ref.lag == 1 else f"{ref.name}(t-{ref.lag})"
    if ref.kind == "input" and ref.lag:
        return f"{ref.name}(t-{ref.lag})"
    return ref.name


def _apply(node: Apply, parts: list[tuple[str, int]]) -> tuple[str, int]:
    op = OPS[node.op]
    match node.op:
        case "add":
            return _sum(parts), ADDITIVE
        case "mul":
            first, *rest = parts
            factors = [_least(first, MULTIPLICATIVE)]
            factors += [_least(part, MULTIPLICATIVE + 1) for part in rest]
            return " * ".join(factors), MULTIPLICATIVE
        case "matvec" | "matmul":
            matrix, other = parts
            left, right = _least(matrix, MULTIPLICATIVE), _least(other, MULTIPLICATIVE + 1)
            return f"{left} @ {right}", MULTIPLICATIVE
        case "transpose":
            return f"{_least(parts[0], ATOM)}^T", POWER
        case "neg":
            return f"-{_least(parts[0], MULTIPLICATIVE)}", MULTIPLICATIVE
    if op.infix:
        first, second = parts
        tight = op.precedence + (node.op == "pow")
        symbol = op.numpy.split()[1]
        return (
            f"{_least(first, tight)} {symbol} {_least(second, op.precedence + 1)}",
            op.precedence,
        )
    return f"{node.op}({', '.join(part for part, _ in parts)})", ATOM


def _sum(parts: list[tuple[str, int]]) -> str:
    terms = [_least(parts[0], ADDITIVE)]
    for part in parts[1:]:
        term = _least(part, MULTIPLICATIVE)
        minus = term.startswith("-")
        terms.append(f"- {term[1:]}" if minus else f"+ {term}")
    return " ".join(terms)


def _least(part: tuple[str, int], least: int) -> str:
    return part[0] if part[1] >= least else f"({part[0]})"


def _number(value: Fraction) -> tuple[str, int]:
    shown = str(value.numerator) if value.denominator == 1 else repr(float(value))
    return shown, UNARY if value < 0 else ATOM

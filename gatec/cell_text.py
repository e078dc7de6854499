"""A cell's meaning as text, and back: what a generated module carries for its fast path.

    cell LSTM
    input x: input_size
    state c: hidden_size = c
    param W_f: hidden_size, hidden_size + input_size
    bias b_f: hidden_size
    Gamma_f = sigmoid(add(matvec(W_f, cat(0, a[1], x)), b_f))
    output a

Expressions are written like calls of Python, and read by its parser: names of operators are those
of `ops.py`, `a[1]` is a state or an input one step back, a bare name a quantity of the same step.
Lines that begin with spaces go on with the one before.
`read(text(cell))` is the cell again, without what is only for readers: texts, symbols, places.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
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
    Shape,
    SizeValue,
    Slice,
    bottom_up,
)
from gatec.ir import Cell, Constant, Equation, Initial, Input, Param, Size, State

_WIDTH = 88


def text(cell: Cell) -> str:
    """The text of a cell, one line for each item and equation."""
    lines = [f"cell {cell.name}"]
    lines += [f"input {item.name}: {_dims(item.shape)}" for item in cell.inputs]
    for state in cell.states:
        start = state.initial.param or (str(state.initial.value) if state.initial.value else "")
        lines.append(
            f"state {state.name}: {_dims(state.shape)} = {state.update}{', ' * bool(start)}{start}"
        )
    for param in cell.params:
        lines.append(f"{'bias' if param.bias else 'param'} {param.name}: {_dims(param.shape)}")
    lines += [f"const {constant.name} = {constant.value}" for constant in cell.constants]
    lines += [f"size {size.name} = {size.default or 'hidden_size'}" for size in cell.sizes]
    lines += [f"{equation.name} = {_expr(equation.value)}" for equation in cell.equations]
    return "\n".join(part for line in [*lines, f"output {cell.output}"] for part in _wrapped(line))


def _wrapped(line: str) -> Iterator[str]:
    """A line as lines of at most _WIDTH columns where it has a space; the others are indented."""
    words = line.split(" ")
    made = words[0]
    for word in words[1:]:
        if len(made) + 1 + len(word) > _WIDTH:
            yield made
            made = f"   {' ' + word}"
        else:
            made += f" {word}"
    yield made


def _dims(shape: Iterable[Dim]) -> str:
    return ", ".join(map(str, shape))


def _expr(expr: Expr) -> str:
    made: dict[Expr, str] = {}
    for node in bottom_up(expr):
        made[node] = _node(node, [made[child] for child in node.children])
    return made[expr]


def _node(node: Expr, args: list[str]) -> str:
    match node:
        case Const():
            return str(node.value)
        case Ref(kind="state"):
            return f"{node.name}[{node.lag}]"
        case Ref():
            return f"{node.name}[{node.lag}]" if node.lag else node.name
        case Slice():
            return f"cut({args[0]}, {node.axis}, {node.start}, {node.stop})"
        case Concat():
            return f"cat({node.axis}, {', '.join(args)})"
        case Broadcast():
            return f"spread({args[0]}, {_dims(node.target)})"
        case Identity():
            return f"identity({node.dim})"
        case SizeValue():
            return f"size({node.dim})"
        case Apply():
            return f"{node.op}({', '.join(args)})"
    raise TypeError(f"no text for {type(node).__name__}")


# --- Back -----------------------------------------------------------------------------------------


def read(given: str) -> Cell:
    """The cell of a text. Raises ValueError where it is none."""
    return _Reader().cell(given)


def verified(cell: Cell) -> str:
    """The text of a cell; nothing where it does not lead back to the cell."""
    made = text(cell)
    try:
        again = text(read(made))
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError):
        return ""
    return made if again == made else ""


class _Reader:
    def __init__(self) -> None:
        self.known: dict[str, Ref] = {}  # inputs, parameters, constants, quantities by now
        self.states: dict[str, Ref] = {}

    def cell(self, given: str) -> Cell:
        name = output = ""
        inputs: list[Input] = []
        states: list[State] = []
        params: list[Param] = []
        constants: list[Constant] = []
        sizes: list[Size] = []
        equations: list[Equation] = []
        for line in given.strip().replace("\n    ", " ").splitlines():
            word, _, rest = line.partition(" ")
            if rest.startswith("= "):  # also of what is called `input`, `output` or the like
                value = self._value(ast.parse(rest[2:], mode="eval").body)
                made = Equation(word, word, value)
                equations.append(made)
                self.known[word] = made.ref
            elif word == "cell":
                name = rest
            elif word == "output":
                output = rest
            elif word == "input":
                item, shape = self._item(rest)
                inputs.append(Input(item, item, shape))
                self.known[item] = Ref("input", item, shape)
            elif word == "state":
                head, _, tail = rest.partition(" = ")
                item, shape = self._item(head)
                update, _, start = tail.partition(", ")
                states.append(State(item, item, shape, update, _initial(start)))
                self.states[item] = Ref("state", item, shape, 1)
            elif word in ("param", "bias"):
                item, shape = self._item(rest)
                params.append(Param(item, item, shape, bias=word == "bias"))
                self.known[item] = Ref("param", item, shape, 0, False)
            elif word == "const":
                item, _, number = rest.partition(" = ")
                constants.append(Constant(item, item, Fraction(number)))
                self.known[item] = Ref("const", item, (), 0, False)
            elif word == "size":
                item, _, default = rest.partition(" = ")
                sizes.append(Size(item, item, int(default) if default.isdigit() else None))
            else:
                raise ValueError(f"no line of a cell: {line}")
        return Cell(
            name,
            tuple(inputs),
            tuple(states),
            tuple(params),
            tuple(equations),
            output,
            tuple(constants),
            tuple(sizes),
        )

    def _item(self, given: str) -> tuple[str, Shape]:
        name, _, dims = given.partition(":")
        parsed = ast.parse(f"({dims},)" if dims.strip() else "()", mode="eval").body
        assert isinstance(parsed, ast.Tuple)
        return name, tuple(map(_dim, parsed.elts))

    def _value(self, root: ast.expr) -> Expr:
        """An expression, without recursion: sums have thousands of terms, and nest."""
        made: dict[ast.expr, Expr] = {}
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            parts = _parts(node)
            if ready or not parts:
                made[node] = self._node(node, [made[part] for part in parts])
            else:
                stack.append((node, True))
                stack.extend((part, False) for part in parts)
        return made[root]

    def _node(self, node: ast.expr, parts: list[Expr]) -> Expr:
        match node:
            case ast.Name():
                return self.known[node.id]
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int(lag))):
                found = self.states.get(name) or self.known[name]
                return Ref(found.kind, name, found.dims, lag)
            case ast.Call(func=ast.Name(id=op), args=args):
                return _call(op, args, parts)
        return Const(_number(node))


def _parts(node: ast.expr) -> list[ast.expr]:
    """The operands of a call that are expressions themselves."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return []
    match node.func.id:
        case "cat":
            return node.args[1:]
        case "cut" | "spread":
            return node.args[:1]
        case "identity" | "size":
            return []
    return node.args


def _call(op: str, args: list[ast.expr], parts: list[Expr]) -> Expr:
    match op:
        case "cat":
            return Concat(tuple(parts), int(_number(args[0])))
        case "cut":
            return Slice(parts[0], int(_number(args[1])), _dim(args[2]), _dim(args[3]))
        case "spread":
            return Broadcast(parts[0], tuple(map(_dim, args[1:])))
        case "identity":
            return Identity(_dim(args[0]))
        case "size":
            return SizeValue(_dim(args[0]))
    return Apply(op, tuple(parts))


def _number(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int(value)):
            return Fraction(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _number(left) / _number(right)
    raise ValueError(f"no number: {ast.unparse(node)}")


def _dim(node: ast.expr) -> Dim:
    match node:
        case ast.Name(id=name):
            return Dim.of(name)
        case ast.Constant(value=int(value)):
            return Dim.of(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _dim(operand) * -1
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _dim(right) * int(_number(left))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _dim(left) + _dim(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _dim(left) - _dim(right)
    raise ValueError(f"no size: {ast.unparse(node)}")


def _initial(start: str) -> Initial:
    if not start:
        return Initial()
    plain = start.lstrip("-")[:1].isdigit()
    return Initial(Fraction(start)) if plain else Initial(param=start)

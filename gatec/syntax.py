"""The syntax tree: what the user wrote, with the place of everything.

Nodes are frozen and compare without their spans, so reformatted text parses to equal trees.
`Symbol.key` is a name without its time index: scripts in any order give the same key.
"""

# ruff: noqa: RUF009 (every node has the same last field)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from gatec.errors import Diagnostic, Span


def _span() -> Span:
    return field(compare=False, repr=False, default=None)  # type: ignore[return-value]


@dataclass(frozen=True)
class Number:
    value: Fraction
    text: str = field(compare=False, default="")
    span: Span = _span()


@dataclass(frozen=True)
class Key:
    """A name without its time: base, accents, sub- and superscript labels, primes."""

    base: str
    accents: tuple[str, ...] = ()
    sub: tuple[str, ...] = ()
    sup: tuple[str, ...] = ()
    primes: int = 0

    @property
    def plain(self) -> bool:
        """Whether the name is a base alone."""
        return not (self.accents or self.sub or self.sup or self.primes)

    def __str__(self) -> str:
        """The name as it may be typed in a spec."""
        text = self.base
        for accent in self.accents:
            text = f"\\{'mathring' if accent == 'ring' else accent}{{{text}}}"
        if self.sub:
            text += "_" + (
                self.sub[0]
                if len(self.sub) == 1 and len(self.sub[0]) == 1
                else "{" + ",".join(self.sub) + "}"
            )
        if self.sup:
            text += "^{" + ",".join(self.sup) + "}"
        return text + "'" * self.primes


@dataclass(frozen=True)
class Symbol:
    """A name; `time` is the offset of its index (0 for t, -1 for t-1), None without an index.

    `whole` is False where the letters may turn out to be a product (`Wx`). `component` marks
    an index over units (`[W x]_j`), which has no meaning here.
    """

    key: Key
    time: int | None = None
    whole: bool = True
    component: bool = False
    span: Span = _span()


@dataclass(frozen=True)
class Run:
    """Items side by side; only between the grammar and juxtapose.py."""

    items: tuple[Node, ...]
    dots: frozenset[int] = frozenset()  # positions before which a \cdot stands
    span: Span = _span()


@dataclass(frozen=True)
class Bracket:
    """Brackets: `kind` is the opening one; `separators` one of , and ; between the items."""

    kind: str
    items: tuple[Node, ...]
    separators: tuple[str, ...] = ()
    span: Span = _span()


@dataclass(frozen=True)
class Sum:
    """Terms with their signs (+1, -1)."""

    terms: tuple[tuple[int, Node], ...]
    span: Span = _span()


@dataclass(frozen=True)
class Product:
    """Factors; `elementwise` where an element-wise sign stands, else the kinds decide.

    `circled`: the sign was \\odot or \\circ, which no paper writes for a scalar factor.
    """

    factors: tuple[Node, ...]
    elementwise: bool
    span: Span = _span()
    circled: bool = field(compare=False, default=False)


@dataclass(frozen=True)
class Quotient:
    numerator: Node
    denominator: Node
    span: Span = _span()


@dataclass(frozen=True)
class Power:
    base: Node
    exponent: Node
    span: Span = _span()


@dataclass(frozen=True)
class Transpose:
    arg: Node
    span: Span = _span()


@dataclass(frozen=True)
class Call:
    """A function applied. `name` is an operator of ops.py or a key of a defined function."""

    name: str | Key
    args: tuple[Node, ...]
    span: Span = _span()
    # Where the function's own name stands.
    place: Span = _span()


@dataclass(frozen=True)
class Norm:
    """`|x|` (kind '|') or `‖x‖`, perhaps with an index: `‖x‖_1`."""

    kind: str
    arg: Node
    index: str = ""
    span: Span = _span()


@dataclass(frozen=True)
class Matrix:
    """A column (or matrix) of expressions: rows of cells."""

    rows: tuple[tuple[Node, ...], ...]
    span: Span = _span()


@dataclass(frozen=True)
class Comparison:
    """`a < b <= c`."""

    operands: tuple[Node, ...]
    operators: tuple[str, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Cases:
    """Values with their conditions, all of which must hold; the last may have none."""

    branches: tuple[tuple[Node, tuple[Comparison, ...]], ...]
    span: Span = _span()


Node: TypeAlias = (
    Number | Symbol | Run | Bracket | Sum | Product | Quotient | Power | Transpose | Call | Norm
    | Matrix | Comparison | Cases
)  # fmt: skip


# --- Statements -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Equation:
    left: Node
    right: Node
    text: str = field(compare=False, default="")
    aside: bool = False
    span: Span = _span()


@dataclass(frozen=True)
class Declaration:
    """`kind` is the keyword; the fields that a keyword does not use are empty."""

    kind: str
    names: tuple[Symbol, ...]
    shape: tuple[Node, ...] | None = None
    value: Node | None = None
    learned: bool = False
    span: Span = _span()


@dataclass(frozen=True)
class Function:
    """A function that the text defines: `name(parameters) = body`."""

    name: Symbol
    parameters: tuple[Key, ...]
    body: Node
    span: Span = _span()


@dataclass(frozen=True)
class Mention:
    """Mathematics that was passed over, and why."""

    text: str
    reason: str
    span: Span = _span()
    # What would be reported if the mention turns out to be needed.
    diagnostic: Diagnostic | None = field(default=None, compare=False)
    # The name that it would define, if it is an equation after all.
    defines: Key | None = None


@dataclass(frozen=True)
class Module:
    """A document after parsing. `strict` is False for prose documents (mentions are fine)."""

    name: str
    declared: bool
    equations: tuple[Equation, ...]
    declarations: tuple[Declaration, ...]
    functions: tuple[Function, ...]
    mentions: tuple[Mention, ...]
    diagnostics: tuple[Diagnostic, ...]
    index: str | None
    strict: bool
    comments: tuple[str, ...] = ()
    # Names whose equations do not parse: nobody should miss them.
    broken: frozenset[Key] = frozenset()
    # What the text says of names by their spaces: (name, how many sizes).
    ranks: tuple[tuple[Key, int], ...] = ()


def single(node: Node) -> Node:
    """What a run of one item holds."""
    while isinstance(node, Run) and len(node.items) == 1:
        node = node.items[0]
    return node


def children(node: Node) -> tuple[Node, ...]:
    """The direct subexpressions of a node."""
    match node:
        case Number() | Symbol():
            return ()
        case Run() | Bracket():
            return node.items
        case Sum():
            return tuple(term for _, term in node.terms)
        case Product():
            return node.factors
        case Quotient():
            return (node.numerator, node.denominator)
        case Power():
            return (node.base, node.exponent)
        case Transpose() | Norm():
            return (node.arg,)
        case Call():
            return node.args
        case Matrix():
            return tuple(cell for row in node.rows for cell in row)
        case Comparison():
            return node.operands
        case Cases():
            return tuple(
                part for value, conditions in node.branches for part in (value, *conditions)
            )


def walk(node: Node) -> Iterator[Node]:
    """Every node of a tree, in reading order, without recursion."""
    stack: list[Node] = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(children(current)))


def symbols(node: Node) -> list[Symbol]:
    """Every symbol of a tree, in reading order."""
    return [each for each in walk(node) if isinstance(each, Symbol)]


# --- Printing (gatec compile --stop-after parse) --------------------------------------------------


def text(node: Node) -> str:
    """The tree as one line, every grouping shown."""
    match node:
        case Number():
            return node.text or str(node.value)
        case Symbol():
            time = "" if node.time is None else f"[t{node.time:+d}]" if node.time else "[t]"
            return f"{node.key}{time}"
        case Run():
            return "<" + " ".join(text(item) for item in node.items) + ">"
        case Bracket():
            inner = text(node.items[0]) if node.items else ""
            for separator, item in zip(node.separators, node.items[1:], strict=False):
                inner += f"{separator} {text(item)}"
            return {"(": f"({inner})", "[": f"[{inner}]"}.get(node.kind, f"{{{inner}}}")
        case Sum():
            parts = [f"{'-' if sign < 0 else '+'} {text(term)}" for sign, term in node.terms]
            return "(" + " ".join(parts).removeprefix("+ ") + ")"
        case Product():
            return "(" + (" * " if node.elementwise else " . ").join(map(text, node.factors)) + ")"
        case Quotient():
            return f"({text(node.numerator)} / {text(node.denominator)})"
        case Power():
            return f"{text(node.base)}^{text(node.exponent)}"
        case Transpose():
            return f"{text(node.arg)}^T"
        case Call():
            return f"{node.name}({', '.join(map(text, node.args))})"
        case Norm():
            return f"{node.kind}{text(node.arg)}{node.kind}{node.index}"
        case Matrix():
            return "[" + "; ".join(", ".join(map(text, row)) for row in node.rows) + "]"
        case Comparison():
            out = text(node.operands[0])
            for sign, operand in zip(node.operators, node.operands[1:], strict=True):
                out += f" {sign} {text(operand)}"
            return out
        case Cases():
            return (
                "cases("
                + "; ".join(
                    text(value)
                    + (" if " + " and ".join(map(text, conditions)) if conditions else "")
                    for value, conditions in node.branches
                )
                + ")"
            )


def show(module: Module) -> str:
    """The whole module, one statement a line, as `--stop-after parse` prints it."""
    lines = [f"cell {module.name}", f"time index {module.index or 'none (primes)'}"]
    for declaration in module.declarations:
        names = ", ".join(text(name) for name in declaration.names)
        shape = (
            "" if declaration.shape is None else " : " + " x ".join(map(text, declaration.shape))
        )
        value = "" if declaration.value is None else f" = {text(declaration.value)}"
        learned = " learned" if declaration.learned else ""
        lines.append(f"{declaration.kind} {names}{shape}{value}{learned}")
    for function in module.functions:
        parameters = ", ".join(map(str, function.parameters))
        lines.append(f"function {text(function.name)}({parameters}) = {text(function.body)}")
    for equation in module.equations:
        lines.append(f"{text(equation.left)} = {text(equation.right)}")
    return "\n".join(lines) + "\n"

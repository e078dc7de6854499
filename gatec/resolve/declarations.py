"""Declarations: what the user says of a name, checked and put in the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from gatec.errors import Diagnostic, Note, Span
from gatec.expr import Dim
from gatec.names import NO_CLASS, RESERVED, ascii_word
from gatec.parse.suggest import nearest
from gatec.resolve.constants import number
from gatec.resolve.quantities import Quantity, Table
from gatec.resolve.types import Solver
from gatec.syntax import Declaration, Key, Node, Number, Product, Run, Sum, Symbol, text

INITS = (
    "uniform", "zeros", "ones", "orthogonal", "xavier", "xavier_normal", "kaiming", "normal",
    "identity",
)  # fmt: skip

# The usual letters of the sizes.
_HIDDEN = frozenset(["hidden_size", "hidden", "n_h", "d_h", "H", "n_hidden", "d_hidden", "n_{hid}"])
_INPUT = frozenset(["input_size", "n_x", "d_x", "n_in", "d_in", "n_i", "d_i", "D", "n_input"])


@dataclass
class DeclaredState:
    key: Key
    span: Span
    value: Node | None = None
    learned: bool = False


@dataclass
class DeclaredSize:
    key: Key
    name: str
    default: int | None
    span: Span
    used: bool = False


@dataclass
class Declared:
    """What the declarations of a module say."""

    states: list[DeclaredState] = field(default_factory=list)
    output: tuple[Key, Span] | None = None
    sizes: dict[str, DeclaredSize] = field(default_factory=dict)
    constants: dict[Key, Fraction] = field(default_factory=dict)
    inits: dict[Key, tuple[str, Span]] = field(default_factory=dict)
    shapes: list[tuple[Key, tuple[Node, ...], Span]] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)


class DeclarationReader:
    def __init__(self, table: Table, solver: Solver) -> None:
        self.table, self.solver = table, solver
        self.declared = Declared()
        self._first: dict[tuple[str, Key], Span] = {}

    def read(self) -> Declared:
        declarations = self.table.module.declarations
        # Sizes first: shapes may use one that is declared below.
        for declaration in sorted(declarations, key=lambda d: d.kind != "size"):
            handler = getattr(self, f"_{declaration.kind}", None)
            if handler is None:
                continue
            for symbol in declaration.names:
                if self._fresh(declaration, symbol):
                    handler(declaration, symbol)
        return self.declared

    def _fresh(self, declaration: Declaration, symbol: Symbol) -> bool:
        kind = declaration.kind
        role = "init" if kind == "init" else "shape" if kind == "output" else "name"
        if kind == "cell":
            return True
        earlier = self._first.get((role, symbol.key))
        if earlier is not None:
            self._error(
                "E0402",
                f"'{symbol.key}' is declared twice",
                symbol.span,
                "keep one of the declarations",
                (Note("it is declared here first", earlier),),
            )
            return False
        self._first[role, symbol.key] = symbol.span
        return True

    def _cell(self, declaration: Declaration, symbol: Symbol) -> None:
        name = symbol.span.text.strip()
        if not name.isidentifier() or not name.isascii():
            self._error(
                "E0403",
                f"'{name}' cannot name a class",
                symbol.span,
                "a cell's name is letters, digits and _, as in `cell LSTM`",
            )
        elif name in NO_CLASS:
            self._error(
                "E0406",
                f"'{name}' is a reserved word of the generated code",
                symbol.span,
                "choose another name for the cell",
            )

    def _input(self, declaration: Declaration, symbol: Symbol) -> None:
        quantity = Quantity(
            symbol.key, "input", symbol.span, declared=True, rule="declared", timed=True
        )
        self.table.quantities[symbol.key] = quantity
        self._shape(declaration, symbol)

    def _state(self, declaration: Declaration, symbol: Symbol) -> None:
        self.declared.states.append(
            DeclaredState(symbol.key, symbol.span, declaration.value, declaration.learned)
        )
        self._shape(declaration, symbol)

    def _output(self, declaration: Declaration, symbol: Symbol) -> None:
        if self.declared.output is not None:
            self._error(
                "E0402",
                "a cell has one output",
                symbol.span,
                "join two quantities in one: y_t = [a_t, b_t]",
                (Note("the first is declared here", self.declared.output[1]),),
            )
            return
        self.declared.output = (symbol.key, symbol.span)
        self._shape(declaration, symbol)

    def _param(self, declaration: Declaration, symbol: Symbol) -> None:
        self.table.quantities[symbol.key] = Quantity(
            symbol.key, "param", symbol.span, declared=True, rule="declared"
        )
        self._shape(declaration, symbol)

    def _const(self, declaration: Declaration, symbol: Symbol) -> None:
        value = number(declaration.value)
        if value is None:
            span = declaration.value.span if declaration.value is not None else symbol.span
            self._error(
                "E0407",
                f"the value of '{symbol.key}' is no number",
                span,
                f"write `const {symbol.key} = 0.01`",
            )
            value = Fraction(1)
        quantity = Quantity(symbol.key, "const", symbol.span, declared=True, rule="declared")
        self.solver.set_rank(quantity.type, 0, symbol.span)
        self.table.quantities[symbol.key] = quantity
        self.declared.constants[symbol.key] = value

    def _size(self, declaration: Declaration, symbol: Symbol) -> None:
        value = number(declaration.value)
        if declaration.value is not None and (value is None or value.denominator != 1 or value < 1):
            self._error(
                "E0408",
                f"the size '{symbol.key}' must be a whole number above 0",
                declaration.value.span,
                f"write `size {symbol.key} = 16`",
            )
            value = None
        name = str(symbol.key)
        mangled = ascii_word(name) or "size"
        if mangled in ("hidden_size", "input_size"):
            self._error(
                "E0406",
                f"every cell has the size {mangled}",
                symbol.span,
                "use it without declaring it, or choose another name",
            )
            return
        taken = {size.name for size in self.declared.sizes.values()}
        while mangled in RESERVED or mangled in taken or mangled[0].isdigit():
            mangled = f"n{mangled}" if mangled[0].isdigit() else f"{mangled}_"
        default = None if value is None else int(value)
        self.declared.sizes[name] = DeclaredSize(symbol.key, mangled, default, symbol.span)

    def _init(self, declaration: Declaration, symbol: Symbol) -> None:
        value = number(declaration.value)
        node = declaration.value
        word = str(node.key) if isinstance(node, Symbol) else ""
        if value is not None:
            word = str(float(value)) if value.denominator != 1 else str(value)
        elif word not in INITS:
            self._error(
                "E0409",
                f"gatec does not know the initialisation '{text(node)}'"
                if node is not None
                else "an initialisation is missing",
                node.span if node is not None else symbol.span,
                _suggested(word, INITS),
            )
            return
        self.declared.inits[symbol.key] = (word, symbol.span)

    # --- shapes ---------------------------------------------------------------------------------

    def _shape(self, declaration: Declaration, symbol: Symbol) -> None:
        if declaration.shape is not None:
            self.declared.shapes.append((symbol.key, declaration.shape, symbol.span))

    def apply_shapes(self) -> None:
        """Give declared shapes to the quantities, once all are in the table."""
        for key, shape, span in self.declared.shapes:
            quantity = self.table.quantities.get(key)
            if quantity is None:
                continue
            self._apply(quantity, shape, span)

    def _apply(self, quantity: Quantity, shape: tuple[Node, ...], span: Span) -> None:
        words = {"scalar": 0, "vector": 1, "matrix": 2}
        first = _single(shape[0])
        if len(shape) == 1 and isinstance(first, Symbol) and str(first.key) in words:
            self.solver.set_rank(quantity.type, words[str(first.key)], span)
            return
        if len(shape) > 2:
            self._error(
                "E0410",
                "a shape has at most two sizes",
                shape[2].span,
                "write `n x m`, `vector`, `matrix` or `scalar`",
            )
            return
        dims = [self._dim(node) for node in shape]
        if any(dim is None for dim in dims):
            return
        if len(dims) == 1 and dims[0] == Dim((), 1):
            self.solver.set_rank(quantity.type, 0, span)
            return
        self.solver.set_rank(quantity.type, len(dims), span)
        root = quantity.type.root()
        for known, dim in zip(root.dims, dims, strict=False):
            assert dim is not None
            self.solver.sizes.unify(known, dim)

    def _dim(self, node: Node) -> Dim | None:
        node = _single(node)
        match node:
            case Number() if node.value.denominator == 1 and node.value > 0:
                return Dim((), int(node.value))
            case Symbol():
                return self._named_size(node)
            case Sum():
                total = Dim()
                for sign, term in node.terms:
                    dim = self._dim(term)
                    if dim is None:
                        return None
                    total += dim * sign
                return total
            case Product() if len(node.factors) == 2:
                left, right = (self._dim(_single(factor)) for factor in node.factors)
                if left is not None and right is not None and not left.terms:
                    return right * left.const
                if left is not None and right is not None and not right.terms:
                    return left * right.const
        self._error(
            "E0410",
            f"'{text(node)}' is no size",
            node.span,
            "sizes are names, whole numbers and their sums, as in `n_h x k`, or one of "
            "the words vector, matrix, scalar",
        )
        return None

    def _named_size(self, symbol: Symbol) -> Dim | None:
        name = str(symbol.key)
        declared = self.declared.sizes.get(name)
        if declared is None and not symbol.key.sup:  # input_size, read as LaTeX
            name = "_".join((symbol.key.base, *symbol.key.sub))
            declared = self.declared.sizes.get(name)
        if declared is not None:
            declared.used = True
            return Dim.of(declared.name)
        if name in _HIDDEN:
            return Dim.of("hidden_size")
        if name in _INPUT:
            return Dim.of("input_size")
        self._error(
            "E0411",
            f"the size '{name}' is not declared",
            symbol.span,
            f"add `size {name} = 16`, or use hidden_size (n_h) or input_size (n_x)",
        )
        return None

    def _error(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        notes: tuple[Note, ...] = (),
    ) -> None:
        self.declared.diagnostics.append(Diagnostic(code, message, span, hint, notes))


def _single(node: Node) -> Node:
    if isinstance(node, Run) and len(node.items) == 1:
        return node.items[0]
    return node


def _suggested(word: str, among: Sequence[str]) -> str:
    near = nearest(word, among)
    return f"did you mean '{near}'?" if near else f"a number, or one of {', '.join(among)}"

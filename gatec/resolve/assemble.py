"""The cell at the end: sizes and names given, equations written in the IR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from gatec.errors import Diagnostic, Note, Span
from gatec.expr import Ref, Shape, walk
from gatec.ir import Cell, Constant, Equation, Initial, Input, Param, Size, State
from gatec.names import Mangler
from gatec.resolve.build import Builder
from gatec.resolve.constants import number
from gatec.resolve.declarations import Declared, DeclaredState
from gatec.resolve.interface import Interface
from gatec.resolve.latex import latex
from gatec.resolve.order import Entry
from gatec.resolve.quantities import Quantity, Table
from gatec.resolve.typed import nodes
from gatec.resolve.types import Solver
from gatec.syntax import Key, Node, Symbol


class Assembler:
    """Makes the cell of entries in order, once all kinds are known."""

    def __init__(
        self,
        table: Table,
        declared: Declared,
        solver: Solver,
        interface: Interface,
        report: Callable[[Diagnostic], None],
    ) -> None:
        self.table, self.declared, self.solver = table, declared, solver
        self.interface, self.report = interface, report
        self.mangler = Mangler()
        self.extra_sizes: list[Size] = []
        self.params: dict[str, Param] = {}

    def name(self, quantity: Quantity) -> str:
        """A quantity's name in generated code."""
        return self._key_name(quantity.key)

    def _key_name(self, key: Key) -> str:
        primes = ["prime"] * min(key.primes, 1) + [str(key.primes)] * (key.primes > 1)
        pieces = (key.base, "_".join(key.sub), "_".join(key.sup), *key.accents, *primes)
        return self.mangler.name(key, *pieces)

    # --- sizes ------------------------------------------------------------------------------------

    def name_sizes(self, entries: Sequence[Entry], output: Quantity) -> None:
        """States have hidden_size, the first input input_size; what nothing decides follows."""
        for quantity in self.interface.states:
            self._assign(quantity, "hidden_size")
        for position, quantity in enumerate(self.interface.inputs):
            if position == 0:
                self._assign(quantity, "input_size")
                continue
            self._add_size(quantity, f"{self.name(quantity)}_size", "the size of an input")
        self._add_size(output, "output_size", "the output is no state")
        self._default_sizes(entries)

    def _add_size(self, quantity: Quantity, name: str, rule: str) -> None:
        """A size of its own for a quantity whose size nothing decides."""
        taken = {size.name for size in self.declared.sizes.values()}
        while name in taken:
            name += "_"
        if self._assign(quantity, name):
            self.extra_sizes.append(Size(name, name, None, rule))

    def _assign(self, quantity: Quantity, name: str) -> bool:
        dims = quantity.type.root().dims
        named = [self.solver.sizes.assign(dim, name) for dim in dims]
        return any(named)

    def _default_sizes(self, entries: Sequence[Entry]) -> None:
        """Every size that nothing decides is hidden_size; sums of sizes follow from their parts."""
        sizes = self.solver.sizes
        types = [quantity.type for quantity in self.table.quantities.values()]
        types += [node.type for entry in entries for node in nodes(entry.value)]
        progress = True
        while progress:
            for type_ in types:
                for dim in type_.root().dims:
                    sizes.assign(dim, "hidden_size", totals=False)
            progress = sizes.force()

    # --- the cell ---------------------------------------------------------------------------------

    def cell(self, entries: Sequence[Entry], output: Quantity) -> Cell:
        """The cell; what is wrong with it is reported."""
        sizes = self.declared.sizes.values()
        for size in sizes:
            self.mangler.reserve(size.name)
        for quantity in [*self.interface.inputs, *self.table.quantities.values()]:
            self.name(quantity)
        builder = Builder(self.solver, self.name)
        equations = [self._equation(entry, builder) for entry in entries]
        for diagnostic in builder.diagnostics:
            self.report(diagnostic)
        self._find_params(entries, equations, builder)
        states = tuple(map(self._state, self.interface.states))
        return Cell(
            self.table.module.name,
            tuple(map(self._input, self.interface.inputs)),
            states,
            tuple(self.params.values()),
            tuple(equations),
            self.name(output),
            tuple(map(self._constant, self.declared.constants)),
            (
                *self.extra_sizes,
                *(Size(s.name, str(s.key), s.default, "declared", s.span) for s in sizes),
            ),
            self.table.module.comments,
        )

    def _equation(self, entry: Entry, builder: Builder) -> Equation:
        quantity, equation = entry.quantity, entry.definition.equation
        value = builder.expr(entry.value)
        name = self.name(quantity)
        builder.batched[name] = value.batched
        shown = latex(quantity.key)
        return Equation(name, shown, value, equation.text, rule=quantity.rule, span=equation.span)

    def _input(self, quantity: Quantity) -> Input:
        shape = self._shape(quantity)
        return Input(self.name(quantity), latex(quantity.key), shape, quantity.rule, quantity.span)

    def _constant(self, key: Key) -> Constant:
        quantity = self.table.quantities[key]
        return Constant(
            self.name(quantity), latex(key), self.declared.constants[key], quantity.span
        )

    def _shape(self, quantity: Quantity) -> Shape:
        return self.solver.shape(quantity.type)

    def _find_params(
        self, entries: Sequence[Entry], equations: Sequence[Equation], builder: Builder
    ) -> None:
        """Parameters in the order in which the text first reads them."""
        by_name = {self.name(q): q for q in self.table.quantities.values() if q.kind == "param"}
        places = {id(e): number for number, e in enumerate(self.table.module.equations)}
        written = sorted(
            zip(entries, equations, strict=True),
            key=lambda pair: places[id(pair[0].definition.equation)],
        )
        for _, equation in written:
            for node in walk(equation.value):
                if not isinstance(node, Ref) or node.kind != "param" or node.name in self.params:
                    continue
                quantity = by_name[node.name]
                bias = len(node.shape) == 1 and builder.additive.get(node.name, False)
                init, _ = self.declared.inits.get(quantity.key, ("uniform", None))
                self.params[node.name] = Param(
                    node.name,
                    latex(quantity.key),
                    node.shape,
                    init,
                    bias,
                    quantity.rule,
                    quantity.span,
                )

    # --- states and their first values ------------------------------------------------------------

    def _state(self, quantity: Quantity) -> State:
        declared = {state.key: state for state in self.declared.states}.get(quantity.key)
        name, shown = self.name(quantity), latex(quantity.key)
        initial = self._initial(quantity, declared)
        return State(
            name, shown, self._shape(quantity), name, initial, quantity.rule, quantity.span
        )

    def _initial(self, quantity: Quantity, declared: DeclaredState | None) -> Initial:
        if declared is not None and declared.learned:
            key = quantity.key
            return self._learned(quantity, Key(key.base, key.accents, (*key.sub, "0"), key.sup,
                                               key.primes), declared.span)  # fmt: skip
        value: Node | None = None
        span = quantity.span
        if declared is not None and declared.value is not None:
            value, span = declared.value, declared.span
        elif quantity.key in self.table.initials:
            value, span = self.table.initials[quantity.key]
        if value is None:
            return Initial()
        found = number(value)
        if found is not None:
            return Initial(Fraction(found))
        if isinstance(value, Symbol) and value.time is None:
            if value.key in self.declared.constants:
                return Initial(self.declared.constants[value.key])
            known = self.table.quantities.get(value.key)
            if known is None or known.kind == "param":
                return self._learned(quantity, value.key, span)
        self.report(
            Diagnostic(
                "E0412",
                f"the initial value of '{quantity.key}' is no number",
                span,
                f"write `state {quantity.key} = 0`, or `state {quantity.key} learned`",
            )
        )
        return Initial()

    def _learned(self, quantity: Quantity, key: Key, span: Span) -> Initial:
        """The initial value is a parameter, of its own or one that the equations read."""
        name, shape = self._key_name(key), self._shape(quantity)
        rule = f"the learned initial value of {quantity.key}"
        made = Param(name, latex(key), shape, "zeros", False, rule, quantity.span)
        known = self.params.setdefault(name, made)
        if known.shape != shape:
            notes = () if known.span is None else (Note("it is used here", known.span),)
            self.report(
                Diagnostic(
                    "E0302",
                    f"'{key}' is another shape than '{quantity.key}', whose initial value it is",
                    span,
                    "the two must have one kind and one size",
                    notes,
                )
            )
        return Initial(Fraction(0), name)

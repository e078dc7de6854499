"""The stages of resolution, one after the other, and the cell at the end."""

from __future__ import annotations

import sys
from fractions import Fraction

from gatec.errors import Diagnostic, Note, Span
from gatec.expr import Expr, Ref, walk
from gatec.ir import Cell, Constant, Equation, Initial, Input, Param, Size, State, verify
from gatec.names import Mangler
from gatec.resolve.build import Builder
from gatec.resolve.declarations import DeclarationReader, Declared, DeclaredState, number
from gatec.resolve.elaborate import INPUT_LETTERS, Elaborator, Typed
from gatec.resolve.infer import Inference
from gatec.resolve.latex import latex
from gatec.resolve.quantities import Definition, Quantity, Table
from gatec.resolve.stacks import unstack
from gatec.resolve.typed import nodes
from gatec.resolve.types import Solver
from gatec.syntax import Key, Mention, Module, Node, Symbol


class Resolver:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.diagnostics: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self.solver = Solver()
        self.table = Table(module)
        self.mangler = Mangler()
        self.equations: list[tuple[Quantity, Typed, Definition]] = []

    def cell(self) -> Cell | None:
        """The cell, or None where an error was found."""
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
        reader = DeclarationReader(self.table, self.solver)
        self.declared = reader.read()
        self.table.collect()
        reader.apply_shapes()
        self._elaborate()
        self._report(self.table.diagnostics, self.declared.diagnostics)
        if not self.table.definitions:
            self._nothing()
            return None
        states = self._states()
        self._check_interface(states)
        inference = Inference(
            self.solver,
            [(q, value) for q, value, _ in self.equations],
            self.table.quantities.values(),
        )
        if not self.diagnostics:
            inference.run()
            self._report(inference.diagnostics)
        order = self._order()
        if order is None or self.diagnostics or self.module.diagnostics:
            return None
        output = self._output()
        if output is None:
            return None
        self._check_used(states, output)
        if self.diagnostics:
            return None
        self._name_sizes(states, output, inference)
        if self.diagnostics:
            return None
        return self._build(order, states, output)

    def mentions(self) -> tuple[Mention, ...]:
        passed = [
            Mention(equation.text, reason, equation.span)
            for equation, reason in self.table.passed_over
        ]
        found = [*self.module.mentions, *passed]
        return tuple(sorted(found, key=lambda m: (m.span.source.name, m.span.start)))

    # --- stages ---------------------------------------------------------------------------------

    def _elaborate(self) -> None:
        elaborator = Elaborator(self.table, self.solver)
        elaborator.survey()
        for definition in list(self.table.definitions):
            for quantity, value in unstack(definition, self.table, elaborator, self.solver):
                self.equations.append((quantity, value, definition))
        self._report(elaborator.diagnostics)

    def _nothing(self) -> None:
        if self.module.diagnostics or self.diagnostics:
            return
        broken = [m.diagnostic for m in self.module.mentions if m.diagnostic is not None]
        if broken and any(m.defines for m in self.module.mentions):
            self._report(broken)
            return
        mention = self.module.mentions[0] if self.module.mentions else None
        self.diagnostics.append(
            Diagnostic(
                "E0213",
                "there is no equation here",
                mention.span if mention else None,
                "a cell is at least one equation of a timed quantity, as in h_t = \\tanh(W x_t + U "
                "h_{t-1})",
                file=None if mention else self.module.name,
            )
        )

    def _states(self) -> list[Quantity]:
        """States in interface order: as declared, or the output first."""
        read = [
            q
            for q in self.table.quantities.values()
            if q.kind == "var" and max(q.lags, default=0) > 0
        ]
        declared = []
        for state in self.declared.states:
            quantity = self.table.quantities.get(state.key)
            if quantity is None or quantity.kind != "var":
                near = self.table.suggestion(
                    state.key, [q.key for q in self.table.quantities.values() if q.kind == "var"]
                )
                self._error(
                    "E0404",
                    f"no equation computes the state '{state.key}'",
                    state.span,
                    f"did you mean '{near}'?"
                    if near
                    else f"add an equation for it, {state.key}_t = …",
                )
                continue
            quantity.rule = "declared"
            declared.append(quantity)
        for quantity in read:
            if quantity not in declared:
                back = max(quantity.lags)
                quantity.rule = f"read at t-{back}"
        output = self._output(report=False)
        rest = [q for q in read if q not in declared]
        rest.sort(key=lambda q: q is not output)
        return declared + rest

    def _output(self, *, report: bool = True) -> Quantity | None:
        if self.declared.output is not None:
            key, span = self.declared.output
            quantity = self.table.quantities.get(key)
            if quantity is not None and quantity.kind == "var":
                return quantity
            if report:
                near = self.table.suggestion(
                    key, [q.key for q in self.table.quantities.values() if q.kind == "var"]
                )
                self._error(
                    "E0405",
                    f"the output '{key}' is never computed",
                    span,
                    f"did you mean '{near}'?" if near else f"add an equation for {key}",
                )
            return None
        moving = self._moving()
        for definition in reversed(self.table.definitions):
            quantity = self.table.quantities[self.table.defined_key(definition.names[-1])[0]]
            if quantity.timed or id(quantity) in moving:
                return quantity
        return None

    def _moving(self) -> set[int]:
        """The quantities that change from step to step: not made of parameters alone."""
        readers: dict[int, set[int]] = {}
        found: set[int] = set()
        for quantity, value, _ in self.equations:
            for node in nodes(value):
                if node.kind == "ref":
                    read, lag = node.data
                    readers.setdefault(id(read), set()).add(id(quantity))
                    if read.kind == "input" or lag > 0:
                        found.add(id(quantity))
        moving = list(found)
        while moving:
            for reader in readers.get(moving.pop(), ()):
                if reader not in found:
                    found.add(reader)
                    moving.append(reader)
        return found

    def _check_interface(self, states: list[Quantity]) -> None:
        first = self.table.definitions[0].equation.span
        # Where an equation was not understood, a state or an input may only seem to be missing.
        complete = not (self.module.diagnostics or self.diagnostics)
        if not states and complete:
            self._error(
                "E0214",
                "the cell has no state: nothing is read at an earlier time",
                first,
                "a recurrent cell reads its past, as in h_t = … h_{t-1} …",
            )
        inputs = [q for q in self.table.quantities.values() if q.kind == "input"]
        if not inputs and complete:
            self._error(
                "E0215",
                "the cell has no input",
                first,
                "an input is a timed name that no equation defines, as in x_t; "
                "`input x` declares one",
            )
        for quantity in inputs:
            if quantity.declared and not quantity.used:
                self._unused(quantity, "the input")
        self._warn_inputs(inputs)
        if self.declared.output is not None:
            self._output()

    def _warn_inputs(self, inputs: list[Quantity]) -> None:
        """An equation that was forgotten looks like a second input: say what was understood."""
        usual = [q for q in inputs if q.key.base in INPUT_LETTERS]
        if len(inputs) < 2 or not usual or not self.module.strict:
            return
        for quantity in inputs:
            if quantity not in usual and not quantity.declared:
                names = ", ".join(str(q.key) for q in inputs)
                self.warnings.append(
                    Diagnostic(
                        "E0205",
                        f"nothing defines '{quantity.key}', so it is taken as an input",
                        quantity.span,
                        f"write its equation, or confirm it: `input {names}`",
                        severity="warning",
                    )
                )

    def _check_used(self, states: list[Quantity], output: Quantity) -> None:
        """In a spec, every name must serve; in a document, what does not is passed over."""
        if not self.module.strict:
            return
        needed = {id(output), *map(id, states)}
        reads = {
            id(quantity): {id(node.data[0]) for node in nodes(value) if node.kind == "ref"}
            for quantity, value, _ in self.equations
        }
        stack = list(needed)
        while stack:
            for other in reads.get(stack.pop(), ()):
                if other not in needed:
                    needed.add(other)
                    stack.append(other)
        unread = [q for q, _, _ in self.equations if id(q) not in needed]
        for quantity in unread:
            if quantity.span is not None and not quantity.key.base.startswith("stack "):
                self._error(
                    "E0203",
                    f"'{quantity.key}' is computed, but nothing uses it",
                    quantity.span,
                    "remove the equation, use the name, or make it the output: "
                    f"`output {quantity.key}`",
                )
        for quantity in self.table.quantities.values():
            if quantity.declared and not quantity.used and quantity.kind in ("param", "const"):
                self._unused(
                    quantity, "the parameter" if quantity.kind == "param" else "the constant"
                )
        for size in self.declared.sizes.values():
            if not size.used:
                self._error(
                    "E0203",
                    f"the size '{size.key}' is never used",
                    size.span,
                    "use it in a shape, as in `param U : n_h x k`, or remove it",
                )
        params = {q.key for q in self.table.quantities.values() if q.kind == "param"}
        for key, (_, span) in self.declared.inits.items():
            if key not in params:
                near = self.table.suggestion(key, params)
                self._error(
                    "E0203",
                    f"there is no parameter '{key}' to initialise",
                    span,
                    f"did you mean '{near}'?" if near else "remove the line",
                )

    def _unused(self, quantity: Quantity, what: str) -> None:
        used = [q.key for q in self.table.quantities.values() if q.used and not q.declared]
        near = self.table.suggestion(quantity.key, used)
        self._error(
            "E0203",
            f"{what} '{quantity.key}' is declared, but nothing uses it",
            quantity.span,
            f"did you mean '{near}'?" if near else "remove the declaration",
        )

    def _order(self) -> list[tuple[Quantity, Typed, Definition]] | None:
        """Equations sorted so that each comes after what it reads; None where there is a loop."""
        by_id = {id(entry[0]): entry for entry in self.equations}
        reads = {
            key: [
                id(node.data[0])
                for node in nodes(entry[1])
                if node.kind == "ref" and node.data[1] == 0 and id(node.data[0]) in by_id
            ]
            for key, entry in by_id.items()
        }
        done: dict[int, bool] = {}
        order = []
        for start in by_id:
            path: list[int] = []
            stack: list[tuple[int, bool]] = [(start, False)]
            while stack:
                key, ready = stack.pop()
                if ready:
                    done[key] = True
                    path.pop()
                    order.append(by_id[key])
                    continue
                if done.get(key):
                    continue
                if key in done:
                    self._loop([*path[path.index(key) :], key])
                    return None
                done[key] = False
                path.append(key)
                stack.append((key, True))
                stack.extend((k, False) for k in reversed(reads[key]) if not done.get(k))
        return order

    def _loop(self, path: list[int]) -> None:
        by_id = {id(q): (q, d) for q, _, d in self.equations}
        names = [by_id[key][0].key for key in path]
        quantity, definition = by_id[path[0]]
        shown = " -> ".join(map(str, names))
        notes = tuple(
            Note(f"'{by_id[key][0].key}' is defined here", by_id[key][1].equation.span)
            for key in path[1:-1]
        )
        past = f"{quantity.key}_{{{self.module.index or 't'}-1}}"
        self._error(
            "E0207",
            f"'{quantity.key}' is defined through itself at the same time: {shown}",
            definition.equation.span,
            f"one of them must read the past, as in {past}",
            notes,
        )

    # --- the cell -------------------------------------------------------------------------------

    def _name_sizes(self, states: list[Quantity], output: Quantity, inference: Inference) -> None:
        sizes = self.solver.sizes
        self.extra_sizes: list[Size] = []
        inputs = [q for q in self.table.quantities.values() if q.kind == "input"]
        inputs.sort(key=_input_rank)
        self.inputs = inputs

        def assign(quantity: Quantity, name: str) -> bool:
            used = [sizes.assign(dim, name) for dim in quantity.type.root().dims]
            return any(used)

        for quantity in states:
            assign(quantity, "hidden_size")
        for position, quantity in enumerate(inputs):
            if position == 0:
                assign(quantity, "input_size")
            else:
                name = f"{self._name(quantity)}_size"
                if assign(quantity, name):
                    self.extra_sizes.append(Size(name, name, None, "the size of an input"))
        if assign(output, "output_size"):
            self.extra_sizes.append(
                Size("output_size", "output_size", None, "the output is no state")
            )
        self._default_sizes()
        inference.report_sizes()
        self._report(inference.diagnostics)

    def _default_sizes(self) -> None:
        """Every size that nothing decides is hidden_size; sums of sizes follow from their parts."""
        sizes = self.solver.sizes
        types = [quantity.type for quantity in self.table.quantities.values()]
        types += [node.type for _, value, _ in self.equations for node in nodes(value)]
        progress = True
        while progress:
            for type_ in types:
                for dim in type_.root().dims:
                    sizes.assign(dim, "hidden_size", totals=False)
            progress = sizes.force()

    def _name(self, quantity: Quantity) -> str:
        key = quantity.key
        return self.mangler.name(
            key,
            key.base,
            "_".join(key.sub),
            "_".join(key.sup),
            *key.accents,
            *["prime"] * min(key.primes, 1),
            *([str(key.primes)] if key.primes > 1 else []),
        )

    def _build(
        self,
        order: list[tuple[Quantity, Typed, Definition]],
        states: list[Quantity],
        output: Quantity,
    ) -> Cell | None:
        for size in self.declared.sizes.values():
            self.mangler.reserve(size.name)
        for quantity in self.inputs:
            self._name(quantity)
        for quantity in self.table.quantities.values():
            self._name(quantity)
        builder = Builder(self.solver, self._name)
        equations = []
        for quantity, value, definition in order:
            expr = builder.expr(value)
            name = self._name(quantity)
            builder.batched[name] = expr.batched
            equations.append(
                Equation(
                    name,
                    latex(quantity.key),
                    expr,
                    definition.equation.text,
                    rule=quantity.rule,
                    span=definition.equation.span,
                )
            )
        self._report(builder.diagnostics)
        if self.diagnostics:
            return None
        params = self._params(equations, builder)
        cell_states = self._cell_states(states, params, builder)
        cell = Cell(
            self.module.name,
            tuple(
                Input(self._name(q), latex(q.key), self.solver.shape(q.type), q.rule, q.span)
                for q in self.inputs
            ),
            tuple(cell_states),
            tuple(params.values()),
            tuple(equations),
            self._name(output),
            tuple(
                Constant(
                    self._name(self.table.quantities[key]),
                    latex(key),
                    value,
                    self.table.quantities[key].span,
                )
                for key, value in self.declared.constants.items()
            ),
            (
                *self.extra_sizes,
                *(
                    Size(s.name, str(s.key), s.default, "declared", s.span)
                    for s in self.declared.sizes.values()
                ),
            ),
            self.module.comments,
        )
        if self.diagnostics:
            return None
        verify(cell)
        return cell

    def _params(self, equations: list[Equation], builder: Builder) -> dict[str, Param]:
        """Parameters in the order in which the text first reads them."""
        used: dict[str, Ref] = {}
        written = sorted(
            equations, key=lambda e: (e.span.source.name, e.span.start) if e.span else ("", 0)
        )
        for equation in written:
            for node in walk(equation.value):
                if isinstance(node, Ref) and node.kind == "param":
                    used.setdefault(node.name, node)
        by_name = {self._name(q): q for q in self.table.quantities.values() if q.kind == "param"}
        params = {}
        for name, ref in used.items():
            quantity = by_name[name]
            bias = len(ref.shape) == 1 and builder.additive.get(name, False)
            init, _ = self.declared.inits.get(quantity.key, ("uniform", None))
            params[name] = Param(
                name, latex(quantity.key), ref.shape, init, bias, quantity.rule, quantity.span
            )
        return params

    def _cell_states(
        self, states: list[Quantity], params: dict[str, Param], builder: Builder
    ) -> list[State]:
        declared = {state.key: state for state in self.declared.states}
        result = []
        for quantity in states:
            name, shape = self._name(quantity), self.solver.shape(quantity.type)
            initial = self._initial(quantity, declared.get(quantity.key), params)
            result.append(
                State(name, latex(quantity.key), shape, name, initial, quantity.rule, quantity.span)
            )
        return result

    def _initial(
        self, quantity: Quantity, declared: DeclaredState | None, params: dict[str, Param]
    ) -> Initial:
        value: Node | None = None
        span: Span = quantity.span
        if declared is not None and declared.learned:
            return self._learned(quantity, params, None)
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
            return self._learned(quantity, params, value.key)
        self._error(
            "E0412",
            f"the initial value of '{quantity.key}' is no number",
            span,
            f"write `state {quantity.key} = 0`, or `state {quantity.key} learned`",
        )
        return Initial()

    def _learned(self, quantity: Quantity, params: dict[str, Param], key: Key | None) -> Initial:
        shape = self.solver.shape(quantity.type)
        if key is None:
            key = Key(
                quantity.key.base,
                quantity.key.accents,
                (*quantity.key.sub, "0"),
                quantity.key.sup,
                quantity.key.primes,
            )
        name = self.mangler.name(key, key.base, "_".join(key.sub), "_".join(key.sup), *key.accents)
        params.setdefault(
            name,
            Param(
                name,
                latex(key),
                shape,
                "zeros",
                False,
                f"the learned initial value of {quantity.key}",
                quantity.span,
            ),
        )
        return Initial(Fraction(0), name)

    def _report(self, *groups: list[Diagnostic]) -> None:
        for group in groups:
            self.diagnostics += group

    def _error(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        notes: tuple[Note, ...] = (),
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, hint, notes))


def _input_rank(quantity: Quantity) -> tuple[bool, int]:
    usual = ("x", "X", "u", "U")
    base = quantity.key.base
    return (quantity.declared is False and False, usual.index(base) if base in usual else 9)


__all__ = ["Declared", "Expr", "Resolver"]

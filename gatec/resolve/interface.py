"""Inputs, states and output of a cell: which they are, and what is missing or serves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from gatec.errors import Diagnostic, Span
from gatec.resolve.declarations import Declared
from gatec.resolve.order import Entry
from gatec.resolve.quantities import INPUT_LETTERS, Quantity, Table
from gatec.resolve.typed import nodes
from gatec.syntax import Key

_WHERE = "; such a line stands in a fenced gate block, in LaTeX in a comment: % gate: output h"

_PAST = frozenset(["prev", "previous", "old", "last", "before"])


class Interface:
    """What a cell shows outside. `report` is told every error and warning."""

    def __init__(
        self,
        table: Table,
        declared: Declared,
        entries: Sequence[Entry],
        report: Callable[[Diagnostic], None],
    ) -> None:
        self.table, self.declared, self.entries, self.report = table, declared, entries, report
        self.inputs = [q for q in table.quantities.values() if q.kind == "input"]
        self.inputs.sort(key=_input_rank)
        self.output = self._output()
        self.states = self._states()

    def _error(self, code: str, message: str, span: Span, hint: str | None) -> None:
        self.report(Diagnostic(code, message, span, hint))

    def _known(self, key: Key) -> Quantity | None:
        quantity = self.table.quantities.get(key)
        return quantity if quantity is not None and quantity.kind == "var" else None

    def _near(self, key: Key, kind: str) -> str | None:
        return self.table.suggestion(
            key, [q.key for q in self.table.quantities.values() if q.kind == kind]
        )

    # --- states and output ----------------------------------------------------------------------

    def _states(self) -> list[Quantity]:
        """States in interface order: as declared, or the output first."""
        declared = []
        for state in self.declared.states:
            quantity = self._known(state.key)
            if quantity is not None:
                quantity.rule = "declared"
                declared.append(quantity)
        chosen = set(map(id, declared))
        rest = []
        for quantity in self.table.quantities.values():
            back = max(quantity.lags, default=0)
            if quantity.kind == "var" and back > 0 and id(quantity) not in chosen:
                quantity.rule = f"read at t-{back}"
                rest.append(quantity)
        rest.sort(key=lambda quantity: quantity is not self.output)
        return declared + rest

    def _output(self) -> Quantity | None:
        """The declared output, or what the last equation of a changing quantity defines."""
        if self.declared.output is not None:
            return self._known(self.declared.output[0])
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
        for entry in self.entries:
            for node in nodes(entry.value):
                if node.kind == "ref":
                    read, lag = node.data
                    readers.setdefault(id(read), set()).add(id(entry.quantity))
                    if read.kind == "input" or lag > 0:
                        found.add(id(entry.quantity))
        moving = list(found)
        while moving:
            for reader in readers.get(moving.pop(), ()):
                if reader not in found:
                    found.add(reader)
                    moving.append(reader)
        return found

    # --- what is missing ------------------------------------------------------------------------

    def check(self, *, complete: bool) -> None:
        """Report what the declarations promise and no equation keeps.

        `complete`: every equation was understood, so that what seems to be missing is missing.
        """
        for state in self.declared.states:
            if self._known(state.key) is None and state.key not in self.table.module.broken:
                near = self._near(state.key, "var")
                hint = f"did you mean '{near}'?" if near else f"add an equation, {state.key}_t = …"
                message = f"no equation computes the state '{state.key}'"
                self._error("E0404", message, state.span, hint)
        if self.declared.output is not None:
            key, span = self.declared.output
            if self._known(key) is None and key not in self.table.module.broken:
                near = self._near(key, "var")
                hint = f"did you mean '{near}'?" if near else f"add an equation for {key}"
                self._error("E0405", f"the output '{key}' is never computed", span, hint)
        for quantity in self.inputs:
            if quantity.declared and not quantity.used and complete:
                self._unused(quantity, "the input")
        if complete:
            self._check_recurrent()
            self._warn_output()
        self._warn_inputs()

    def _check_recurrent(self) -> None:
        first = self.table.definitions[0].equation.span
        if not self.states:
            self._error(
                "E0214",
                "the cell has no state: nothing is read at an earlier time",
                first,
                self._past_hint() or "a recurrent cell reads its past, as in h_t = … h_{t-1} …",
            )
        if not self.inputs:
            self._error(
                "E0215",
                "the cell has no input",
                first,
                "an input is a timed name that no equation defines, as in x_t; "
                "`input x` declares one",
            )

    def _past_hint(self) -> str | None:
        """What to write for `h_prev`."""
        for quantity in self.table.quantities.values():
            key = quantity.key
            if quantity.kind == "param" and key.sub and key.sub[-1] in _PAST:
                return f"the past has an index: write {key.base}_{{t-1}} for {key}"
        return None

    def _warn_inputs(self) -> None:
        """An equation that was forgotten looks like a second input: say what was understood."""
        usual = any(quantity.key.base in INPUT_LETTERS for quantity in self.inputs)
        if len(self.inputs) < 2 or not usual:
            return
        names = ", ".join(str(q.key) for q in self.inputs[:8])
        for quantity in self.inputs:
            if quantity.key.base not in INPUT_LETTERS and not quantity.declared:
                self.report(
                    Diagnostic(
                        "E0205",
                        f"nothing defines '{quantity.key}', so it is taken as an input",
                        quantity.span,
                        f"write its equation, or confirm it: `input {names}`",
                        severity="warning",
                    )
                )

    def _warn_output(self) -> None:
        """The last equation may be a gate's: say so where the rest of the cell is made of it."""
        output = self.output
        if output is None or self.declared.output is not None:
            return
        read = {
            id(node.data[0])
            for entry in self.entries
            if entry.quantity is not output
            for node in nodes(entry.value)
            if node.kind == "ref" and node.data[1] == 0
        }
        if id(output) not in read:
            return
        ends = [e.quantity for e in self.entries if e.quantity.timed and id(e.quantity) not in read]
        if ends:
            self.report(
                Diagnostic(
                    "E0216",
                    f"the output is '{output.key}', which the last equation computes",
                    output.span,
                    f"`output {ends[-1].key}` makes it '{ends[-1].key}'; `output {output.key}` "
                    "confirms it" + ("" if self.table.module.strict else _WHERE),
                    severity="warning",
                )
            )

    # --- what serves nothing ----------------------------------------------------------------------

    def check_used(self) -> None:
        """In a spec, every name must serve; in a document, what does not is passed over."""
        if not self.table.module.strict or self.output is None:
            return
        needed = self._needed([self.output, *self.states])
        for entry in self.entries:
            quantity = entry.quantity
            if id(quantity) not in needed and not quantity.made:
                self._error(
                    "E0203",
                    f"'{quantity.key}' is computed, but nothing uses it",
                    quantity.span,
                    "remove the equation, use the name, or make it the output: "
                    f"`output {quantity.key}`",
                )
        for quantity in self.table.quantities.values():
            if quantity.declared and not quantity.used and quantity.kind in ("param", "const"):
                what = "the parameter" if quantity.kind == "param" else "the constant"
                self._unused(quantity, what)
        for size in self.declared.sizes.values():
            if not size.used:
                self._error(
                    "E0203",
                    f"the size '{size.key}' is never used",
                    size.span,
                    "use it in a shape, as in `param U : n_h x k`, or remove it",
                )
        self._check_inits()

    def _needed(self, roots: Iterable[Quantity]) -> set[int]:
        reads = {
            id(entry.quantity): {
                id(node.data[0]) for node in nodes(entry.value) if node.kind == "ref"
            }
            for entry in self.entries
        }
        stack = list(map(id, roots))
        needed = set(stack)
        while stack:
            for other in reads.get(stack.pop(), ()):
                if other not in needed:
                    needed.add(other)
                    stack.append(other)
        return needed

    def _check_inits(self) -> None:
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

    @cached_property
    def _used(self) -> list[Key]:
        return [q.key for q in self.table.quantities.values() if q.used and not q.declared]

    def _unused(self, quantity: Quantity, what: str) -> None:
        near = self.table.suggestion(quantity.key, self._used)
        self._error(
            "E0203",
            f"{what} '{quantity.key}' is declared, but nothing uses it",
            quantity.span,
            f"did you mean '{near}'?" if near else "remove the declaration",
        )


def _input_rank(quantity: Quantity) -> int:
    """Inputs as declared, then by their letters: what is usually x comes first."""
    usual = ("x", "X", "u", "U")
    base = quantity.key.base
    return -1 if quantity.declared else usual.index(base) if base in usual else len(usual)

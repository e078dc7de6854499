"""The stages of resolution, one after the other, and the cell at the end."""

from __future__ import annotations

from gatec.errors import Diagnostic
from gatec.ir import Cell, verify
from gatec.resolve import fonts
from gatec.resolve.assemble import Assembler
from gatec.resolve.declarations import DeclarationReader, Declared
from gatec.resolve.elaborate import Elaborator
from gatec.resolve.infer import Inference
from gatec.resolve.interface import Interface
from gatec.resolve.order import Entry, in_order
from gatec.resolve.quantities import Table
from gatec.resolve.stacks import unstack
from gatec.resolve.types import Solver
from gatec.syntax import Mention, Module


class Resolver:
    """Resolves one module: `cell`, then `diagnostics`, `warnings` and `mentions`."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.diagnostics: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = list(fonts.warnings(module))
        self.solver = Solver()
        self.table = Table(module)

    def cell(self) -> Cell | None:
        """The cell, or None where an error was found.

        A stage goes on after the errors of an earlier one where its own would still be true, so
        that one run finds every error; but a text with syntax errors is only searched for names.
        """
        declared = self._collect()
        entries, undefined = self._elaborate(declared)
        if not self.table.definitions:
            self._nothing()
            return None
        interface = Interface(self.table, declared, entries, self._report)
        ordered = in_order(entries, self.module.index or "t", self._report)
        interface.check(complete=not (self.module.diagnostics or self.diagnostics))
        if self.module.diagnostics:
            return None
        inference = self._infer(entries)
        if not undefined:
            interface.check_used()
        if self.diagnostics or interface.output is None:
            return None
        assembler = Assembler(self.table, declared, self.solver, interface, self._report)
        assembler.name_sizes(entries, interface.output)
        inference.report_sizes()
        self.diagnostics += inference.diagnostics
        if self.diagnostics:
            return None
        cell = assembler.cell(ordered, interface.output)
        if self.diagnostics:
            return None
        verify(cell)
        return cell

    def mentions(self) -> tuple[Mention, ...]:
        """The mathematics that was passed over, in the order of the text."""
        passed = [
            Mention(equation.text, reason, equation.span)
            for equation, reason in self.table.passed_over
        ]
        found = [*self.module.mentions, *passed]
        return tuple(sorted(found, key=lambda m: (m.span.source.name, m.span.start)))

    # --- stages ---------------------------------------------------------------------------------

    def _collect(self) -> Declared:
        """Names: what is declared, and what equations define."""
        reader = DeclarationReader(self.table, self.solver)
        declared = reader.read()
        self.table.collect()
        reader.apply_shapes()
        self.diagnostics += [*self.table.diagnostics, *declared.diagnostics]
        return declared

    def _elaborate(self, declared: Declared) -> tuple[list[Entry], bool]:
        """The typed right sides, and whether a name in them is not defined."""
        elaborator = Elaborator(self.table, self.solver, declared.sizes)
        entries = [
            Entry(quantity, value, definition)
            for definition in list(self.table.definitions)
            for quantity, value in unstack(definition, self.table, elaborator, self.solver)
        ]
        elaborator.dimensions.check(elaborator.diagnostics.append)
        self.diagnostics += elaborator.diagnostics
        return entries, bool(elaborator.references.undefined)

    def _infer(self, entries: list[Entry]) -> Inference:
        inference = Inference(
            self.solver,
            [(entry.quantity, entry.value) for entry in entries],
            self.table.quantities.values(),
        )
        inference.run()
        self.diagnostics += inference.diagnostics
        self.warnings += inference.warnings
        return inference

    def _nothing(self) -> None:
        """Say why there is no equation at all."""
        if self.module.diagnostics or self.diagnostics:
            return
        broken = [m.diagnostic for m in self.module.mentions if m.diagnostic is not None]
        if broken and any(m.defines for m in self.module.mentions):
            self.diagnostics += broken
            return
        mention = self.module.mentions[0] if self.module.mentions else None
        self._report(
            Diagnostic(
                "E0213",
                "there is no equation here",
                mention.span if mention else None,
                "a cell is at least one equation of a timed quantity, as in h_t = \\tanh(W x_t + U "
                "h_{t-1})",
                file=None if mention else self.module.name,
            )
        )

    def _report(self, diagnostic: Diagnostic) -> None:
        (self.warnings if diagnostic.severity == "warning" else self.diagnostics).append(diagnostic)

"""From the syntax tree to the cell: names, times, kinds and sizes; all errors at once."""

from __future__ import annotations

from dataclasses import dataclass

from gatec.errors import Diagnostic, GatecError
from gatec.ir import Cell
from gatec.parse.depth import room
from gatec.resolve.resolver import Resolver
from gatec.syntax import Mention, Module


@dataclass(frozen=True)
class Resolution:
    """A resolved module: its cell, and the mathematics that was passed over."""

    cell: Cell
    mentions: tuple[Mention, ...]
    warnings: tuple[Diagnostic, ...] = ()


def resolve(module: Module) -> Resolution:
    """Resolve a parsed module. Raises GatecError with every error of the text, in its order."""
    resolver = Resolver(module)
    with room():
        cell = resolver.cell()
    diagnostics = [*module.diagnostics, *resolver.diagnostics]
    if diagnostics or cell is None:
        raise GatecError(_in_order(diagnostics))
    return Resolution(cell, resolver.mentions(), tuple(resolver.warnings))


def _in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    unique: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        place = (span.source.name, span.start) if span else ("", -1)
        unique.setdefault((place, diagnostic.code, diagnostic.message), diagnostic)
    return sorted(
        unique.values(),
        key=lambda d: (d.span.source.name, d.span.start) if d.span else ("", -1),
    )


__all__ = ["Resolution", "resolve"]

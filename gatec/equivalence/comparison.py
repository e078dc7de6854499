"""Two cells, the verdict about them, and how it is told: text, Markdown, HTML, JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatec.equivalence.verdict import Kind, Verdict
from gatec.ir import Cell


@dataclass(frozen=True)
class Compared:
    """One of two cells.

    name  what it is called in a sentence
    spec  where it comes from, as the user named it
    cell  as it was written
    note  what sets a reference apart from others of its name
    """

    name: str
    spec: str
    cell: Cell
    note: str = ""


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `gatec check` answers. Printed, it is the report that the command prints.

    others  the same cell against other forms of the reference: the verdict is about the form
            that comes closest
    """

    mine: Compared
    theirs: Compared
    verdict: Verdict
    others: tuple[Comparison, ...] = ()

    @property
    def kind(self) -> Kind:
        """The verdict: `equal`, `special case`, `different`, …"""
        return self.verdict.kind

    @property
    def same(self) -> bool | None:
        """Whether both are the same function; None where that is undecided."""
        return {0: True, 1: False}.get(self.exit_code)

    @property
    def exit_code(self) -> int:
        """0 the same function, 1 not, 3 undecided."""
        return self.verdict.exit_code

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        from gatec.equivalence.report.sentences import headline

        return headline(self)

    def text(self, *, proof: bool = False, colour: bool = False) -> str:
        """The report for a terminal, with all steps of a proof where they are asked for."""
        from gatec.equivalence.report import as_text

        return as_text(self, proof=proof, colour=colour)

    def markdown(self) -> str:
        """The report as Markdown, the proof folded."""
        from gatec.equivalence.report import as_markdown

        return as_markdown(self)

    def html(self) -> str:
        """The report as one HTML file that needs nothing else, the proof folded."""
        from gatec.equivalence.report import as_html

        return as_html(self)

    def as_json(self) -> dict[str, Any]:
        """Everything the report says, as data (docs/equivalence.md has the schema)."""
        from gatec.equivalence.report import as_data

        return as_data(self)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<{self.mine.name} against {self.theirs.name}: {self.kind}>"

    def _repr_html_(self) -> str:  # what a notebook shows
        from gatec.equivalence.report import as_html

        return as_html(self, whole=False)

"""A proof to be read: every step with its law, long expressions by the names of the gates.

A step rewrites one expression whose parts are in normal form already. Printed in full it would
repeat each gate wherever it occurs, so that the normal forms of equations that are one function
(`σ(…)`) go by the equations' names, and other functions that come again by `s_1`, `s_2`, …
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from gatec.equivalence.laws import LAWS
from gatec.equivalence.match import in_terms_of
from gatec.equivalence.normal import ARITHMETIC, EQUATION
from gatec.equivalence.report.expressions import Printer
from gatec.equivalence.report.model import Block, Formulas, Line, Section, Text
from gatec.equivalence.report.names import Names, Notation
from gatec.equivalence.report.relations import normal_forms
from gatec.equivalence.sides import is_gate, with_params
from gatec.equivalence.steps import Proof, Step
from gatec.equivalence.waists import cut
from gatec.expr import Expr
from gatec.ir import Cell
from gatec.passes.common import nodes

_SMALL = 6  # nodes: what is no longer than its name would be
_MOST = 400  # steps of one side that are printed


class Reading:
    """The proof that `general` with certain parameters is `special`, ready to be printed."""

    def __init__(self, proof: Proof, notation: Notation) -> None:
        self.proof = proof
        general, special = notation.names(proof.mine), notation.names(proof.theirs)
        self.general, self.special = general, special
        for waist in proof.waists:
            general.call(waist.name, waist.mine)
        # Both are computed over the states and inputs of `general`.
        self.printers = Printer(notation, general), Printer(notation, general, special)

    def sections(self, title: str) -> tuple[Section, ...]:
        """All steps, those of each side apart, then what they come to."""
        proof = self.proof
        cells = self._cells()
        steps = proof.mine_steps, proof.theirs_steps
        made = []
        if proof.limit_steps:
            blocks = _blocks(proof.limit_steps, cells[0], self.printers[0], self.general)
            made.append(Section(f"{title}: what the limit is taken of", blocks, folded=True))
        for side, cell, printer, names in zip(
            steps, cells, self.printers, (self.general, self.special), strict=True
        ):
            count = f"{len(side)} step{'s' if len(side) != 1 else ''}"
            blocks = _blocks(side, cell, printer, names)
            made.append(Section(f"{title}: {cell.name}, {count}", blocks, folded=True))
        made.append(Section(f"{title}: what follows", self._conclusion(), folded=True))
        return tuple(made)

    def _cells(self) -> tuple[Cell, Cell]:
        """The cells whose equations the steps are about."""
        proof = self.proof
        mine = with_params(proof.mine, proof.params)
        theirs = in_terms_of(proof.theirs, proof.mine, proof.states)
        return (
            cut(mine, {waist.mine: waist.name for waist in proof.waists}),
            cut(theirs, {waist.theirs: waist.name for waist in proof.waists}),
        )

    def _conclusion(self) -> tuple[Block, ...]:
        """The claims: what is equal to what, and why that is enough."""
        left, right = self.printers
        short = _Short.of(self.proof.mine_steps, self._cells()[0], self.general)
        lines = []
        waists = {waist.name: self.general.of("var", waist.mine) for waist in self.proof.waists}
        first = [claim for claim in self.proof.claims if claim.about in waists]
        rest = [claim for claim in self.proof.claims if claim.about not in waists]
        for claim in (*first, *rest):
            about = "the output"
            if claim.about in waists:
                about = f"from here on both are {waists[claim.about]}"
            elif claim.about:
                about = f"the new value of {self.general.bare('state', claim.about)}"
            lines.append(Line(left.text(claim.left), right.text(claim.right), about))
            lines.append(Line("", left.text(claim.common, short.names), "the normal form of both"))
        text = (
            "Before the first step the states correspond. Where they correspond before a step, the "
            "output of the step is the same and they correspond after it, by the lines above. So, "
            "by induction over t, both are one function of input sequences and initial states, for "
            "all sizes."
        )
        return Formulas(tuple(lines)), Text(text)


def laws_used(proofs: Iterable[Proof]) -> list[tuple[str, str, int]]:
    """The laws that proofs use: name, the law, how often; in the order of LAWS."""
    counts: Counter[str] = Counter()
    for proof in proofs:
        for steps in (proof.mine_steps, proof.theirs_steps, proof.limit_steps):
            counts.update(step.law for step in steps.values())
    return [(law, text, counts[law]) for law, text in LAWS.items() if counts[law]]


# --- Steps ----------------------------------------------------------------------------------------


def _blocks(
    steps: Mapping[Expr, Step], cell: Cell, printer: Printer, names: Names
) -> tuple[Block, ...]:
    """The steps of one cell, below the equation that each is about."""
    short = _Short.of(steps, cell, names)
    made: list[Block] = []
    shown = 0
    for head, group in _by_equation(steps.values()):
        if shown >= _MOST:
            made.append(Text(f"… and {len(steps) - shown} more steps"))
            break
        lines = [] if head is None else [_line(head, printer, {})]
        for step in group:
            lines += short.introduced(step, printer)
            lines.append(_line(step, printer, short.names))
        shown += len(lines)
        made.append(Formulas(tuple(lines)))
    return tuple(made)


def _by_equation(steps: Iterable[Step]) -> Iterator[tuple[Step | None, list[Step]]]:
    """Each equation with the steps that bring its right side into normal form.

    They are recorded before it, but for its own sums, which come right after.
    """
    head: Step | None = None
    group: list[Step] = []
    waiting: list[Step] = []
    for step in steps:
        if step.law == EQUATION:
            if head is not None:
                yield head, group
            head, group, waiting = step, waiting, []
        elif head is not None and not waiting and step.law == ARITHMETIC:
            group.append(step)
        else:
            waiting.append(step)
    if head is not None:
        yield head, group
    if waiting:
        yield None, waiting


def _line(step: Step, printer: Printer, short: Mapping[Expr, str]) -> Line:
    """A step as `before = after`, by its law."""
    left, right = (printer.text(side, short) for side in (step.before, step.after))
    if left == right:  # one of them goes by the name of the other: say what it is
        rest = {expr: name for expr, name in short.items() if expr != step.after}
        right = printer.text(step.after, rest)
    if left == right:
        rest = {expr: name for expr, name in short.items() if expr != step.before}
        left = printer.text(step.before, rest)
    return Line(left, right, step.law)


class _Short:
    """Names for expressions that come again and again."""

    def __init__(self) -> None:
        self.names: dict[Expr, str] = {}
        self._waiting: dict[Expr, str] = {}

    @classmethod
    def of(cls, steps: Mapping[Expr, Step], cell: Cell, names: Names) -> _Short:
        made = cls()
        for equation, value in normal_forms(cell).items():
            if is_gate(value) and value not in made.names:
                made.names[value] = names.of("var", equation)
        counts: Counter[Expr] = Counter()
        for step in steps.values():
            if step.law == EQUATION:  # shown as it stands
                continue
            inside = {*nodes(step.before), *nodes(step.after)} - {step.before}
            counts.update(node for node in inside if is_gate(node))
        again = [
            node
            for node, count in counts.items()
            if count > 1 and node not in made.names and sum(1 for _ in nodes(node)) > _SMALL
        ]
        # In the order in which the steps meet them, inner ones first.
        place = {node: index for index, node in enumerate(_met(steps))}
        for index, node in enumerate(sorted(again, key=lambda n: place[n]), 1):
            made.names[node] = made._waiting[node] = f"s_{index}"
        return made

    def introduced(self, step: Step, printer: Printer) -> list[Line]:
        """Lines that say what names stand for that this step is the first to use."""
        inside = {*nodes(step.before), *nodes(step.after)}
        made = []
        for node, name in list(self._waiting.items()):
            if node in inside:
                rest = {expr: n for expr, n in self.names.items() if expr != node}
                made.append(Line(name, printer.text(node, rest), "for short", ":="))
                del self._waiting[node]
        return made


def _met(steps: Mapping[Expr, Step]) -> dict[Expr, None]:
    found: dict[Expr, None] = {}
    for step in steps.values():
        for side in (step.before, step.after):
            for node in reversed(list(nodes(side))):
                if is_gate(node):
                    found.setdefault(node)
    return found

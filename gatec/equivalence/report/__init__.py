"""Reports on comparisons: for a terminal, as Markdown, as HTML, as data.

`build.py` decides what is said, the renderers how it looks.
"""

from __future__ import annotations

from gatec.equivalence.comparison import Comparison
from gatec.equivalence.report.build import report
from gatec.equivalence.report.data import as_data
from gatec.equivalence.report.html import render as render_html
from gatec.equivalence.report.markdown import render as render_markdown
from gatec.equivalence.report.text import render as render_text


def as_text(comparison: Comparison, *, proof: bool = False, colour: bool = False) -> str:
    """For a terminal, at most 100 columns."""
    return render_text(report(comparison, steps=proof), proof=proof, colour=colour)


def as_markdown(comparison: Comparison) -> str:
    """As GitHub shows it."""
    return render_markdown(report(comparison))


def as_html(comparison: Comparison, *, whole: bool = True) -> str:
    """One file; without `whole` a part for another page."""
    return render_html(report(comparison), whole=whole)


__all__ = ["as_data", "as_html", "as_markdown", "as_text", "report"]

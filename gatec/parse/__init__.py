"""From a document's formulas to its syntax tree; every syntax error of the document at once."""

from __future__ import annotations

from gatec.parse.depth import room
from gatec.parse.parser import Parser
from gatec.source import Document
from gatec.syntax import Module


def parse(document: Document) -> Module:
    """Parse a document. The module holds the diagnostics; nothing is raised for a bad text."""
    with room():
        return Parser(document).module()


__all__ = ["parse"]

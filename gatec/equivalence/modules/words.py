"""Functions that a text explains in words: "where \\hat{\\sigma} is the sigmoid function"."""

from __future__ import annotations

import re

from gatec.ops import FUNCTIONS
from gatec.source.document import Document

# What stands between a symbol of a text and the words about it: the end of its formula.
_END = r"[`$\s]*(?:\\\))?[`$\s]*"
_IS = r"(?:is|denotes|denote|stands\s+for|represents|=)"
_WORDS = {
    "sigmoid": r"(?:logistic\s+)?sigmoid|logistic\s+function",
    "tanh": r"tanh|hyperbolic\s+tangent",
    "relu": r"relu|rectified\s+linear(?:\s+unit)?|rectifier",
    "softplus": r"softplus",
    "softsign": r"softsign",
    "identity": r"identity",
    "sin": r"sine",
    "cos": r"cosine",
}


def named(document: Document, symbol: str) -> str | None:
    """The function that a text says a symbol is; None where it does not say, or leaves a choice.

    "is a nonlinearity, such as tanh" and "is the sigmoid or tanh" leave one.
    """
    for text in {formula.span.source.text for formula in document.formulas}:
        said = re.compile(
            rf"(?<![\\A-Za-z{{]){_loose(symbol)}{_END}{_IS}\s+(?:the\s+|a\s+|an\s+)?"
            r"(?:element-?wise\s+|point-?wise\s+|standard\s+|usual\s+)?"
            rf"[`$\s]*(?::\w+:`)?\\?(?:{'|'.join(f'(?P<{k}>{v})' for k, v in _WORDS.items())})"
            r"(?![A-Za-z])(?!\s*(?:function|activation)?s?\s*(?:or|/|by\s+default|by-default))",
            re.IGNORECASE,
        )
        for match in said.finditer(text):
            name = match.lastgroup
            if name is not None and name in FUNCTIONS:
                return name
    return None


def _loose(symbol: str) -> str:
    """A pattern for a symbol, whatever the spaces and braces around its parts."""
    parts = re.findall(r"\\[A-Za-z]+|[^\s{}]", symbol)
    return r"[\s{]*".join(map(re.escape, parts)) + r"[\s}]*"

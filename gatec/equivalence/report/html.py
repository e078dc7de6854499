"""A report as one HTML file: no scripts, nothing fetched, light and dark, printable."""

from __future__ import annotations

import re
from html import escape

from gatec.equivalence.report.model import (
    Block,
    Formulas,
    Listing,
    Report,
    Section,
    Source,
    Table,
    Text,
)
from gatec.equivalence.report.style import STYLE
from gatec.errors import printable


def render(report: Report, *, whole: bool = True) -> str:
    """The file; without `whole` the part that goes into another page."""
    kind = {True: "yes", False: "no", None: "open"}[report.same]
    body = "\n".join(
        [
            '<main class="gatec">',
            f"<header>\n<h1>{_text(report.title)}</h1>",
            f'<p><span class="verdict {kind}">{_text(report.kind)}</span>'
            f"{_text(report.headline)}</p>",
            f'<p class="legend">{_text(report.legend)}</p>\n</header>',
            *(_section(section) for section in report.sections),
            "<footer>Made by gatec check.</footer>",
            "</main>",
        ]
    )
    style = f"<style>\n{STYLE}</style>"
    if not whole:
        return f"{style}\n{body}\n"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(report.title)}: {_text(report.kind)}</title>\n{style}\n"
        "<style>body { margin: 0; background: #ffffff; }\n"
        "@media (prefers-color-scheme: dark) { body { background: #0d1117; } }</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _section(section: Section) -> str:
    blocks = "\n".join(_block(block, section.folded) for block in section.blocks)
    title = _text(section.title[:1].upper() + section.title[1:])
    if section.folded:
        return f"<details>\n<summary>{title}</summary>\n{blocks}\n</details>"
    return f"<section>\n<h2>{title}</h2>\n{blocks}\n</section>"


def _block(block: Block, folded: bool) -> str:
    match block:
        case Text():
            return f"<p>{_text(block.text)}</p>"
        case Listing():
            items = "\n".join(f"<li>{_text(item)}</li>" for item in block.items)
            return f"<ul>\n{items}\n</ul>"
        case Formulas():
            return _steps(block) if folded else _aligned(block)
        case Table():
            head = "".join(f"<th>{_text(cell)}</th>" for cell in block.head)
            rows = "\n".join(
                f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>"
                for row in block.rows
            )
            return (
                f'<div class="scroll"><table class="data">\n<tr>{head}</tr>\n{rows}\n</table></div>'
            )
        case Source():
            lines = "\n".join(
                (f"<b>{_text(whose)}</b>  " if whose else "") + _text(line.strip())
                for whose, line in block.lines
            )
            return f"<pre>{lines}</pre>"


def _aligned(block: Formulas) -> str:
    rows = "\n".join(
        f'<tr><td class="left">{typeset(line.left)}</td><td>{escape(line.relation)}</td>'
        f'<td>{typeset(line.right)}</td><td class="note">{_note(line.note)}</td></tr>'
        for line in block.lines
    )
    return f'<div class="scroll"><table class="math">\n{rows}\n</table></div>'


def _steps(block: Formulas) -> str:
    rows = "\n".join(
        f"<div>{typeset(line.left)} {escape(line.relation)} {typeset(line.right)}"
        f'<span class="note">{_note(line.note)}</span></div>'
        for line in block.lines
    )
    return f'<div class="math steps">\n{rows}\n</div>'


def _note(text: str) -> str:
    """A remark: prose, or what the columns of a matrix are."""
    prose, found, rest = text.partition("columns of ")
    return _text(prose) + found + typeset(rest) if found else _text(text)


# --- Formulas -------------------------------------------------------------------------------------

_SYMBOL = re.compile(
    r"(?P<base>[^\W\d_][^\W_]*[\u0300-\u036f\u20d7]*)"
    r"(?P<scripts>(?:[_^](?:\{[^{}]*\}|\w[\w,]*))*)(?P<primes>'*)"
)
_SCRIPT = re.compile(r"([_^])(?:\{([^{}]*)\}|(\w[\w,]*))")
_WORDS = frozenset(
    {"columns", "of", "rows", "exp", "tanh", "relu", "log", "max", "min", "sum", "sqrt"}
)


def typeset(text: str) -> str:
    """A formula with its indices lowered and raised, letters in italics."""
    made, place = [], 0
    for found in _SYMBOL.finditer(printable(text)):
        made.append(escape(text[place : found.start()]))
        made.append(_symbol(found))
        place = found.end()
    made.append(escape(text[place:]))
    return "".join(made).replace("^T", "<sup>T</sup>").replace("-", "\u2212")


def _symbol(found: re.Match[str]) -> str:
    base = escape(found["base"])
    upright = len(found["base"]) > 2 and not found["scripts"]
    made = base if upright or found["base"] in _WORDS else f"<i>{base}</i>"
    for sign, braced, bare in _SCRIPT.findall(found["scripts"]):
        tag = "sub" if sign == "_" else "sup"
        made += f"<{tag}>{escape(braced or bare)}</{tag}>"
    return made + "\u2032" * len(found["primes"])

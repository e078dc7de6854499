"""Put the formulas of the readings together to one document for each cell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from gatec.errors import Diagnostic, GatecError, Source
from gatec.names import NO_CLASS
from gatec.source.document import Document, Formula, Marker, Reading, Style
from gatec.source.files import fail

Macros = tuple[tuple[str, int, str], ...]


def documents(
    readings: Sequence[Reading], source: Source, name: str, stem: str, cell: str | None
) -> tuple[Document, ...]:
    """One document for each marked cell, or one for the whole where nothing is marked.

    What is written in gatec's own notation before the first of several markers belongs to every
    cell, formulas of the prose there to none. A name that is marked again goes on.
    """
    macros = tuple({macro[0]: macro for reading in readings for macro in reading.macros}.values())
    before: list[Formula] = []
    groups: dict[str, list[Formula]] = {}
    markers: dict[str, Marker] = {}
    current = before
    for reading in readings:
        for item in reading.items:
            if isinstance(item, Marker):
                _check_name(item)
                markers.setdefault(item.name, item)
                current = groups.setdefault(item.name, [])
            else:
                current.append(item)
    if not groups:
        own = identifier(name)
        if cell is not None and cell not in (own, name):
            raise _unknown(cell, [], source.name)
        if not before:
            raise _nothing(source)
        return (_document(own, False, identifier(stem), before, macros),)
    if cell is not None and cell not in groups:
        raise _unknown(cell, list(groups), source.name)
    shared = [formula for formula in before if formula.style is Style.GATE]
    if len(groups) == 1:
        ((only, formulas),) = groups.items()
        # A marker below all equations names the whole text.
        first = shared if any(map(_has_equation, formulas)) else before
        if not first and not formulas:
            raise _nothing(source)
        return (_document(only, True, identifier(stem), first + formulas, macros),)
    made = []
    stems: set[str] = set()
    for own, formulas in groups.items():
        file = identifier(own.lower())
        while file in stems:
            file += "_"
        stems.add(file)
        if cell not in (None, own):
            continue
        if not any(map(_has_equation, formulas)):
            raise GatecError(
                Diagnostic(
                    "E0013",
                    f"the cell '{own}' has no equations",
                    markers[own].span,
                    "the mathematics of a cell follows its marker",
                )
            )
        made.append(_document(own, True, file, shared + formulas, macros))
    return tuple(made)


def _document(
    name: str, declared: bool, stem: str, formulas: list[Formula], macros: Macros
) -> Document:
    return Document(name, declared, stem, tuple(_ranked(formulas)), _comments(formulas), macros)


_DECLARATION = re.compile(
    r"[ \t]*(?:cell|inputs?|states?|outputs?|param(?:eter)?s?|const(?:ant)?|sizes?|function|init)"
    r"[ \t]+(?![=_^])",
    re.IGNORECASE,
)


def _ranked(formulas: list[Formula]) -> list[Formula]:
    """Less formal places give way to more formal ones.

    A fenced `gate` block with equations goes before all prose, a displayed equation before one
    inside a sentence.
    """
    gate = any(formula.style is Style.GATE and _has_equation(formula) for formula in formulas)
    shown = any(
        formula.style is Style.TEX
        and formula.display
        and not formula.aside
        and "=" in formula.span.text
        for formula in formulas
    )
    return [
        replace(formula, aside=True)
        if formula.style is Style.TEX and (gate or (shown and not formula.display))
        else formula
        for formula in formulas
    ]


def _has_equation(formula: Formula) -> bool:
    if formula.style is Style.TEX:
        return "=" in formula.span.text
    return any(
        "=" in line and not _DECLARATION.match(line) and line.lstrip()[:1] not in ("#", "%")
        for line in formula.span.text.split("\n")
    )


def _comments(formulas: list[Formula]) -> tuple[str, ...]:
    """The comment lines at the head of the cell's own notation: they name the paper."""
    for formula in formulas:
        if formula.style is not Style.GATE:
            continue
        found: list[str] = []
        for line in formula.span.text.split("\n"):
            stripped = line.strip()
            if stripped and stripped[0] not in "#%":
                if stripped.lower().startswith("cell ") and not found:
                    continue
                break
            found.append(stripped.lstrip("#% ").rstrip())
        while found and not found[-1]:
            found.pop()
        while found and not found[0]:
            found.pop(0)
        if found:
            return tuple(found[:20])
    return ()


# --- names ----------------------------------------------------------------------------------------


def identifier(stem: str) -> str:
    """A file's stem as a name for a class and for files: letters, digits and _."""
    plain = unicodedata.normalize("NFKD", stem)
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:80] or "cell"
    if name[0].isdigit():
        name = f"cell_{name}"
    return f"{name}_cell" if name in NO_CLASS else name


def _check_name(marker: Marker) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", marker.name):
        raise GatecError(
            Diagnostic(
                "E0403",
                f"'{marker.name}' cannot name a class",
                marker.span,
                "a cell's name is letters, digits and _, as in `cell LSTM`",
            )
        )
    if marker.name in NO_CLASS:
        raise GatecError(
            Diagnostic(
                "E0406",
                f"'{marker.name}' is a reserved word of the generated code",
                marker.span,
                "choose another name for the cell",
            )
        )


def _unknown(cell: str, names: list[str], file: str) -> GatecError:
    import difflib

    if not names:
        hint = "it marks no cells; add <!-- cell NAME --> or leave the name out"
    else:
        near = difflib.get_close_matches(cell, names, n=1, cutoff=0.5)
        near += [name for name in names if name.lower() == cell.lower() and name not in near]
        listed = ", ".join(names[:10])
        hint = f"did you mean {near[-1]}? " if near else ""
        hint += f"its cells are {listed}"
    return fail("E0009", f"there is no cell '{cell}' in it", file, hint)


def _nothing(source: Source) -> GatecError:
    return GatecError(
        Diagnostic(
            "E0007",
            "there is no mathematics in it",
            file=source.name,
            hint="formulas stand between $…$, $$…$$, \\(…\\), \\[…\\], in an equation or align "
            "environment, a `.. math::` block or a ```math block",
        )
    )

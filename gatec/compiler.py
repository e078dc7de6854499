"""The driver: one line per stage, from a spec to generated files; it can stop after any stage.

spec -> source.read -> parse -> resolve -> passes.plan -> adjoint.derive -> a backend's generate
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gatec import adjoint, backends, passes, show_ir, source, syntax
from gatec.errors import Diagnostic, GatecError
from gatec.ir import Cell, Program
from gatec.parse import parse
from gatec.resolve import Resolution, resolve
from gatec.source import Document
from gatec.syntax import Module

STAGES = ("parse", "resolve", "passes", "adjoint")


@dataclass(frozen=True)
class Unit:
    """One cell of one spec. `stem` is what the names of its generated files start with."""

    spec: str
    document: Document
    stem: str


def units(spec: str, cell: str | None = None) -> list[Unit]:
    """The cells of a spec, or the one named `cell`.

    Raises GatecError where the spec cannot be read or has no such cell.
    """
    documents = source.read(spec, cell)
    return [Unit(spec, document, safe_stem(document.stem)) for document in documents]


def single(spec: str | os.PathLike[str], cell: str | None = None) -> Unit:
    """The one cell that a spec, a path or the equations themselves mean.

    Raises GatecError, with the cells to choose from where there are several.
    """
    text = os.fspath(spec)
    if isinstance(spec, str) and re.search(r"[\n=]", text):
        documents = source.read_text(text, cell=cell)
        found = [Unit("<text>", document, safe_stem(document.stem)) for document in documents]
    else:
        found = units(text, cell)
    if len(found) > 1:
        first, *_ = names = [unit.document.name for unit in found]
        is_file = found[0].spec not in ("-", "<text>")
        hint = f"name one: {found[0].spec}#{first}" if is_file else f"name one: cell={first!r}"
        message = f"there are {len(found)} cells here: {', '.join(names)}"
        raise GatecError(Diagnostic("E0712", message, file=found[0].spec, hint=hint))
    return found[0]


# --- Stages ---------------------------------------------------------------------------------------


def tree(document: Document) -> Module:
    """The syntax tree of a document. Raises GatecError with every syntax error."""
    module = parse(document)
    if module.diagnostics:
        raise GatecError(module.diagnostics)
    return module


def front(document: Document) -> Resolution:
    """The meaning of a document. Raises GatecError with every error of the text."""
    return resolve(parse(document))


def program(cell: Cell) -> Program:
    """A cell planned and differentiated, ready for every backend."""
    return adjoint.differentiate(cell, passes.plan(cell))


def generate(made: Program, targets: Iterable[str], stem: str) -> dict[str, str]:
    """The files of all targets, name to text. The C and CUDA headers are one file."""
    files: dict[str, str] = {}
    for target in targets:
        for name, text in backends.load(target).generate(made, stem).items():
            if files.setdefault(name, text) != text:
                raise ValueError(f"two targets generate different files {name}")
    return files


def stage_text(document: Document, stage: str) -> str:
    """What stands after a stage (one of STAGES), to be read by a person."""
    if stage == "parse":
        return syntax.show(tree(document))
    cell = front(document).cell
    if stage == "resolve":
        return show_ir.cell_text(cell)
    plan = passes.plan(cell)
    if stage == "passes":
        return show_ir.plan_text(plan)
    return show_ir.backward_text(*adjoint.derive(plan))


# --- Names of files -------------------------------------------------------------------------------

_C_HEADERS = """
assert complex ctype errno fenv float inttypes limits locale setjmp signal stdarg stdbool stddef
stdint stdio stdlib string tgmath threads time uchar wchar wctype cuda cuda_runtime cublas_v2
"""


def safe_stem(text: str) -> str:
    """A name for generated files that can be imported and included, and hides no library."""
    stem = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "cell"
    if stem[0].isdigit():
        stem = f"cell_{stem}"
    hides = stem in sys.stdlib_module_names or stem in ("torch", "numpy", "gatec")
    return f"{stem}_cell" if hides or stem in _C_HEADERS.split() or _is_keyword(stem) else stem


def _is_keyword(text: str) -> bool:
    import keyword

    return keyword.iskeyword(text)


# --- Everything at once ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Compiled:
    """A cell and its generated files, name to text."""

    unit: Unit
    resolution: Resolution
    files: Mapping[str, str]

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return self.resolution.warnings


def compile_unit(unit: Unit, targets: Iterable[str], stem: str | None = None) -> Compiled:
    """One cell through all stages. Raises GatecError."""
    resolution = front(unit.document)
    files = generate(program(resolution.cell), targets, stem or unit.stem)
    return Compiled(unit, resolution, files)

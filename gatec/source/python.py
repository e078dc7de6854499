"""Docstrings: of an object that is imported (`doc:torch.nn:LSTM`), or in a `.py` file."""

from __future__ import annotations

import re
from typing import Any

from gatec.errors import Diagnostic, GatecError, Source
from gatec.source.document import Formula, Marker, Reading
from gatec.source.files import fail, sound
from gatec.source.scan import read_math


def docstring(spec: str) -> tuple[Source, str]:
    """The docstring that `doc:package.module:Object` names, and the object's own name.

    Importing is running: this is the only place where gatec imports what a user names.
    """
    target = spec.removeprefix("doc:")
    module_name, colon, attributes = target.partition(":")
    if not colon:
        module_name, _, attributes = target.rpartition(".")
    parts = [*module_name.split("."), *attributes.split(".")]
    if not module_name or not all(part.isidentifier() for part in parts):
        raise fail(
            "E0011",
            "this names no Python object",
            spec,
            "write doc:package.module:Object, as in doc:torch.nn:LSTM",
        )
    found: Any = _import(module_name, spec)
    place = module_name
    for part in attributes.split("."):
        try:
            found = getattr(found, part)
        except Exception:
            raise _no_object(found, part, place, spec) from None
        place += f".{part}"
    text = _text(found)
    if not text:
        raise fail(
            "E0011",
            f"{place} has no docstring",
            spec,
            "name the object whose documentation states the equations",
        )
    return Source(spec, text), parts[-1]


def _import(name: str, spec: str) -> Any:
    import importlib
    import sys

    # A module beside the user is found too, after everything that is installed.
    added = "" not in sys.path
    if added:
        sys.path.append("")
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        hint = "install it where gatec runs, or mend the name"
        if error.name is not None and not (name == error.name or name.startswith(f"{error.name}.")):
            hint = f"it needs {error.name}, which is not installed here"
        raise fail(
            "E0011",
            f"there is no module '{name}' to import" if error.name == name else str(error),
            spec,
            hint,
        ) from None
    except BaseException as error:
        # Whatever the user's module does, even sys.exit(), is its failure and not ours.
        raise fail(
            "E0011",
            f"importing '{name}' failed: {type(error).__name__}: {error}",
            spec,
            "the module must import without error where gatec runs",
        ) from None
    finally:
        if added and "" in sys.path:
            sys.path.remove("")


def _no_object(owner: Any, part: str, place: str, spec: str) -> GatecError:
    import difflib

    names = [name for name in dir(owner) if not name.startswith("_")]
    near = difflib.get_close_matches(part, names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"look into dir({place})"
    return fail("E0011", f"{place} has no '{part}'", spec, hint)


def _text(found: Any) -> str:
    import inspect

    try:
        text = inspect.getdoc(found)
    except Exception:
        text = None
    return sound(text) if isinstance(text, str) else ""


def read_module(source: Source) -> list[Reading]:
    """The docstrings of a `.py` file that hold mathematics; each is a cell named by its object."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes like "\sigma", which we read all the same
            tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        start = sum(len(text) + 1 for text in source.text.split("\n")[: line - 1])
        raise GatecError(
            Diagnostic(
                "E0008",
                f"this is not Python: {getattr(error, 'msg', error)}",
                source.span(start, start + 1),
                "gatec reads the docstrings of a .py file",
            )
        ) from None
    readings = []
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        first = node.body[0] if node.body else None
        if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
            continue
        text = first.value.value
        if not isinstance(text, str) or "=" not in text:
            continue
        reading = _reading(source, first.value, text)
        if not any(isinstance(i, Formula) and "=" in i.span.text for i in reading.items):
            continue
        name = getattr(node, "name", None)
        if name is not None:
            place = reading.items[0].span
            span = place.source.span(place.start, place.start)
            marker = Marker(name, span, place.start)
            reading = Reading((marker, *reading.items), reading.macros)
        readings.append((first.lineno, reading))
    return [reading for _, reading in sorted(readings, key=lambda pair: pair[0])]


def _reading(source: Source, constant: Any, text: str) -> Reading:
    """The mathematics of a docstring, at its place in the file where the text stands there."""
    lines = source.text.split("\n")
    start = sum(len(line) + 1 for line in lines[: constant.lineno - 1])
    place = source.text.find(text, start)
    within = sum(len(line) + 1 for line in lines[: constant.end_lineno])
    if place < 0 or place > within:
        return read_math(Source(f"{source.name}[line {constant.lineno}]", text), "docstring")
    before = re.sub(r"[^\n]", " ", source.text[:place])
    return read_math(Source(source.name, before + text), "docstring")

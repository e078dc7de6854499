"""Addresses of modules: `module:pkg.mod:Class`, `module:path/to/file.py:Class(units=hidden_size)`.

Importing is running: a module's code is run because a user named it, never otherwise.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from gatec.errors import Diagnostic, GatecError


@dataclass(frozen=True)
class Address:
    """Where a class is, and keywords for its constructor.

    place     a dotted module name, or the path of a `.py` file
    names     attributes from the module to the class
    keywords  what the user wrote: numbers, strings, booleans, or the name of a size
    """

    text: str
    place: str
    names: tuple[str, ...]
    keywords: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SizeName:
    """A keyword's value that names a size: `units=hidden_size`."""

    name: str


def fail(code: str, message: str, address: str, hint: str | None = None) -> GatecError:
    return GatecError(Diagnostic(code, message, hint=hint, file=address))


_FORM = re.compile(
    r"(?:module:)?(?P<place>.+?\.py|[\w.]+)(?::(?P<names>[\w.]+))?(?P<call>\(.*\))?", re.DOTALL
)


def parse(text: str) -> Address:
    """Read an address. Raises GatecError (E0801) where it is none."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise _malformed(text)
    place, names = match["place"], match["names"]
    if names is None and not place.endswith(".py"):
        place, _, names = place.rpartition(".")
    parts = tuple((names or "").split("."))
    if not place or not all(part.isidentifier() for part in parts):
        raise _malformed(text)
    return Address(text, place, parts, _keywords(match["call"] or "()", text))


def _malformed(text: str) -> GatecError:
    return fail(
        "E0801",
        "this names no class of modules",
        text,
        "write module:package.module:Class or module:path/to/file.py:Class",
    )


def _keywords(call: str, text: str) -> dict[str, Any]:
    """The keywords of `(hidden_size=8, bias=False)`: literals and names of sizes only."""
    hint = "constructor arguments are keywords with plain values: Class(bias=False, units=8)"
    try:
        node = ast.parse(f"f{call}", mode="eval").body
    except (SyntaxError, ValueError):
        raise fail("E0801", f"{call} is no list of arguments", text, hint) from None
    if not isinstance(node, ast.Call) or node.args or any(k.arg is None for k in node.keywords):
        raise fail("E0801", f"{call} is no list of keywords", text, hint)
    made: dict[str, Any] = {}
    for keyword in node.keywords:
        assert keyword.arg is not None
        if isinstance(keyword.value, ast.Name):
            made[keyword.arg] = SizeName(keyword.value.id)
            continue
        try:
            made[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            shown = ast.unparse(keyword.value)
            raise fail("E0801", f"{keyword.arg}={shown} is no plain value", text, hint) from None
    return made


def find(address: Address) -> Any:
    """The object at an address. Raises GatecError (E0802) where there is none."""
    found: Any = _imported(address)
    place = address.place
    for name in address.names:
        try:
            found = getattr(found, name)
        except Exception:
            raise _no_object(found, name, place, address) from None
        place += f".{name}"
    return found


def _no_object(owner: Any, name: str, place: str, address: Address) -> GatecError:
    import difflib

    names = [n for n in dir(owner) if not n.startswith("_")]
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "check the name"
    return fail("E0802", f"{place} has no '{name}'", address.text, hint)


def _imported(address: Address) -> ModuleType:
    try:
        if address.place.endswith(".py"):
            return _from_file(address)
        return _by_name(address)
    except (KeyboardInterrupt, GatecError):
        raise
    except ModuleNotFoundError as error:
        own = error.name == address.place or address.place.startswith(f"{error.name}.")
        message = f"there is no module '{error.name}' to import" if own else str(error)
        hint = "install it where gatec runs, or mend the name"
        raise fail("E0802", message, address.text, hint) from None
    except BaseException as error:
        # Whatever the user's module does, even sys.exit(), is its failure and not ours.
        message = f"importing {address.place} failed: {type(error).__name__}: {error}"
        hint = "the module must import without error where gatec runs"
        raise fail("E0802", message, address.text, hint) from None


def _by_name(address: Address) -> ModuleType:
    import importlib
    import sys

    # A module beside the user is found too, after everything that is installed.
    added = "" not in sys.path
    if added:
        sys.path.append("")
    try:
        return importlib.import_module(address.place)
    finally:
        if added and "" in sys.path:
            sys.path.remove("")


def _from_file(address: Address) -> ModuleType:
    import importlib.util
    import sys

    path = Path(address.place)
    if not path.is_file():
        raise fail("E0802", f"there is no file {address.place}", address.text, "check the path")
    name = f"gatec_checked_{re.sub(r'[^A-Za-z0-9]', '_', path.stem)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the file look it up
    folder = str(path.parent.resolve())
    sys.path.append(folder)  # what stands beside the file can be imported by it
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module

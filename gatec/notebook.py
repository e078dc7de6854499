"""The notebook's cell magic: `%load_ext gatec`, then a cell that starts with `%%gate`.

    %%gate MyCell -t torch
    h_t = \\tanh(W x_t + U h_{t-1} + b)

The cell's class (with `-t numpy`: the module) is then a variable of that name.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Protocol

from gatec.errors import GatecError

_IN_IPYTHON = "IPython.core.error"


class Shell(Protocol):
    """What gatec needs of IPython's InteractiveShell."""

    def register_magic_function(self, func: Any, magic_kind: str, magic_name: str) -> None: ...

    def push(self, variables: dict[str, Any]) -> None: ...


def register(shell: Shell) -> None:
    """Add the magic to an IPython shell."""

    def gate(line: str, body: str) -> Any:
        """Compile the equations of this cell: `%%gate [NAME] [-t torch|numpy]`."""
        return _gate(shell, line, body)

    shell.register_magic_function(gate, "cell", "gate")


def _gate(shell: Shell, line: str, body: str) -> Any:
    from gatec import compiler, loader, source
    from gatec.api import Parsed

    name, target = _options(line)

    def named(document: source.Document) -> source.Document:
        return document if document.declared or not name else replace(document, name=name)

    try:
        units = [
            compiler.Unit("<notebook>", document, compiler.safe_stem(document.stem))
            for document in map(named, source.read_text(body, "<notebook>"))
        ]
        made = [(unit, compiler.compile_unit(unit, [target])) for unit in units]
    except GatecError as error:
        raise _refusal(error) from None
    shown = []
    for unit, compiled in made:
        found = compiled.resolution
        (text,) = compiled.files.values()
        module = loader.module(text, unit.stem)
        called = found.cell.name
        shell.push({called: module if target == "numpy" else getattr(module, called)})
        shown.append(Parsed.of(found))
    return shown[0] if len(shown) == 1 else shown


def _options(line: str) -> tuple[str | None, str]:
    words = line.split()
    target = "torch"
    if "-t" in words:
        at = words.index("-t")
        target = words[at + 1] if at + 1 < len(words) else ""
        del words[at : at + 2]
    if target not in ("torch", "numpy") or len(words) > 1:
        raise _usage("usage: %%gate [NAME] [-t torch|numpy]")
    return (words[0] if words else None), target


def _refusal(error: GatecError) -> Exception:
    return _usage(str(error)) if _IN_IPYTHON in sys.modules else error


def _usage(message: str) -> Exception:
    """An error that a notebook shows without a traceback."""
    if _IN_IPYTHON not in sys.modules:
        return ValueError(message)
    error: type[Exception] = sys.modules[_IN_IPYTHON].UsageError
    return error(message)

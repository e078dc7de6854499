"""Modules of PyTorch compared with equations: `module:package.module:Class`.

A module's own code is run at several sizes, what it computes is read as equations (`trace.py`),
and these are compared as any cell is. What cannot be read is compared by numbers (`fit.py`).

Loading a module imports it and runs its code: nothing here does so unless a user named it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatec.equivalence.verdict import Verdict
from gatec.ir import Cell
from gatec.source.document import Document

if TYPE_CHECKING:
    from gatec.equivalence.modules.loaded import LoadedModule

__all__ = ["compare", "load"]


def load(address: str) -> LoadedModule:
    """The module at an address, ready to be compared.

    Raises GatecError: E0801 for a bad address, E0802 where nothing is there, E0803 for what is no
    class of modules, E0804 where it cannot be built, E0805 where it cannot be called, E0806
    without PyTorch.
    """
    from gatec.equivalence.libraries import numpy
    from gatec.equivalence.modules import address as addresses

    parsed = addresses.parse(address)
    numpy()
    _torch(address)
    from gatec.equivalence.modules import loaded

    return loaded.load(parsed)


def compare(cell: Cell | Document, address: str) -> Verdict:
    """Whether a module computes a cell, or what a document states.

    In a document, a symbol that is applied like a function and is explained in words only is
    taken for a function that the module applies. `extra` of the verdict has

    cell    what the module computes, as a cell (as far as it was read)
    mine    the cell as it was compared: constants that the module takes are parameters
    match   rows (`matching.Row`): parameter of the cell, rows of the module's parameters
    notes   sentences about the comparison

    Raises GatecError as `load` does, and for a document that cannot be read.
    """
    module = load(address)
    from gatec.equivalence.modules import comparing

    if isinstance(cell, Cell):
        return comparing.compare(cell, module)
    return comparing.compare_document(cell, module)


def _torch(address: str) -> None:
    """Raises GatecError where PyTorch is not installed."""
    import importlib

    from gatec.equivalence.modules.address import fail

    try:
        importlib.import_module("torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        message = "comparing with a module needs PyTorch, which is not installed here"
        hint = "pip install 'gatec[torch]' installs it"
        raise fail("E0806", message, address, hint) from None

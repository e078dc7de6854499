"""The libraries that a comparison computes with, imported when one is made."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from gatec.errors import Diagnostic, GatecError


@cache
def numpy() -> Any:
    """NumPy. Raises GatecError where it is not installed."""
    return _needed("numpy", "NumPy")


@cache
def flint() -> Any:
    """python-flint, for ball arithmetic. Raises GatecError where it is not installed."""
    return _needed("flint", "python-flint")


def _needed(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        hint = "pip install 'gatec[check]' installs what comparisons need"
        message = f"comparing cells needs {name}, which is not installed here"
        raise GatecError(Diagnostic("E0715", message, hint=hint)) from None

"""Generated modules imported from memory: readable tracebacks, instances that pickle."""

from __future__ import annotations

import copyreg
import hashlib
import importlib.util
import linecache
import sys
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any


class _Loader(InspectLoader):
    """Loads one module from its text, and shows the text to tracebacks and debuggers."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file

    def get_source(self, fullname: str) -> str:
        return self.text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, self.file, "exec")


def module(text: str, stem: str) -> ModuleType:
    """The module of a generated text. The same text gives the same module."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    name = f"gatec_{stem}_{digest}"
    known = sys.modules.get(name)
    if known is not None:
        return known
    file = f"<gatec {stem} {digest}>"
    loader = _Loader(text, file)
    spec = ModuleSpec(name, loader, origin=file)
    made = importlib.util.module_from_spec(spec)
    made.__file__ = file
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[name] = made
    try:
        loader.exec_module(made)
    except BaseException:
        del sys.modules[name]
        raise
    for value in list(vars(made).values()):
        if isinstance(value, type) and value.__module__ == name:
            copyreg.pickle(value, _Pickler(text, stem))
    return made


class _Pickler:
    """Pickles instances with the text of their module: no process finds it on a disk."""

    def __init__(self, text: str, stem: str) -> None:
        self.text = text
        self.stem = stem

    def __call__(self, instance: Any) -> Any:
        made = instance.__reduce_ex__(4)
        if made[0] is not copyreg.__newobj__:  # type: ignore[attr-defined]
            return made
        names = (self.text, self.stem, type(instance).__qualname__)
        return (restore, (*names, *made[1][1:]), *made[2:])


def restore(text: str, stem: str, name: str, *arguments: Any) -> Any:
    """An empty instance of a class of a generated module; pickle fills it."""
    found: Any = module(text, stem)
    for part in name.split("."):
        found = getattr(found, part)
    return found.__new__(found, *arguments)

"""Backends: each a module of this package and a folder of `templates/`, found by its name.

Adding a backend is adding both; nothing else lists them.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from gatec import resources
from gatec.ir import Program


class Backend(Protocol):
    """What a backend module offers."""

    def generate(self, program: Program, stem: str) -> dict[str, str]:
        """The generated files, name to text; `stem` is what their names start with.

        The same program gives the same bytes.
        """
        ...


@cache
def targets() -> list[str]:
    """The names of all backends, in alphabetical order."""
    here = Path(__file__).parent
    return sorted(
        path.name
        for path in resources.folder("templates").iterdir()
        if (here / f"{path.name}.py").is_file() or (here / path.name / "__init__.py").is_file()
    )


def load(target: str) -> Backend:
    """The backend of a target; ValueError where there is none."""
    if target not in targets():
        raise ValueError(f"no target {target!r}; there are {', '.join(targets())}")
    return cast(Backend, importlib.import_module(f"{__name__}.{target}"))

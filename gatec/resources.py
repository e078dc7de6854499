"""Where `grammars/`, `templates/` and `specs/` lie: inside the wheel, or beside the package.

A wheel carries the three folders inside `gatec/`; an editable install leaves them at the top
of the repository.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def folder(name: str) -> Path:
    """The directory of a resource folder (`grammars`, `templates` or `specs`)."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def spec_names() -> list[str]:
    """The names of the shipped specs, in alphabetical order."""
    return sorted(path.stem for path in folder("specs").glob("*.gate"))


def spec_path(name: str) -> Path | None:
    """The file of a shipped spec, or None where no spec has that name."""
    return folder("specs") / f"{name}.gate" if name in spec_names() else None

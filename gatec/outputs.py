"""Where generated files go: what `-o FILE|DIR|-` means for the cells of a command."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatec.errors import Diagnostic, GatecError

_SUFFIXES = {"c": (".c", ".h"), "cuda": (".cu", ".h")}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Destination:
    """A folder, and what the names in it start with (None: each cell's own name).

    file       the one file's name, where `-o FILE` gave it and the target makes one file.
    chosen     whether the user named the file: then it may be overwritten.
    """

    folder: Path = Path()
    stem: str | None = None
    file: str | None = None
    chosen: bool = False

    def paths(self, names: Iterable[str]) -> dict[str, Path]:
        """The path of each generated file."""
        return {name: self.folder / (self.file or name) for name in names}


def destination(output: str | None, targets: Sequence[str], cells: int) -> Destination:
    """What `-o` says for so many cells and these targets. Raises GatecError."""
    if output in (None, "-"):
        return Destination()
    assert output is not None
    path = Path(output)
    slashed = output.endswith(("/", os.sep)) or path.name in ("", ".", "..")
    if path.is_dir():
        return Destination(path)
    if slashed:
        raise _error("E0703", output, "this folder does not exist", f"mkdir -p {output}")
    if cells > 1 or len(targets) > 1:
        what = f"{cells} cells" if cells > 1 else f"{len(targets)} targets"
        hint = "give an existing directory with -o"
        raise _error("E0707", output, f"the files of {what} cannot go into one file", hint)
    (target,) = targets
    if target not in _SUFFIXES:
        return Destination(path.parent, None, path.name, chosen=True)
    suffixes = _SUFFIXES[target]
    if path.suffix not in suffixes or not _NAME.fullmatch(path.stem):
        example = f"{re.sub(r'[^A-Za-z0-9_]', '_', path.stem).lstrip('0123456789') or 'cell'}"
        raise _error(
            "E0708",
            output,
            f"target {target} makes a {suffixes[0]} and a {suffixes[1]} file of one plain name",
            f"write -o {path.with_name(example + suffixes[0])}, or give a directory",
        )
    return Destination(path.parent, path.stem, chosen=True)


def _error(code: str, output: str, message: str, hint: str) -> GatecError:
    return GatecError(Diagnostic(code, message, file=output, hint=hint))


def clashes(places: Iterable[tuple[str, Path]]) -> list[Diagnostic]:
    """An error for every two cells (each with what it is called) that would write one file."""
    taken: dict[str, str] = {}
    found = []
    for owner, path in places:
        key = os.path.abspath(path).casefold()  # one file also where case does not count
        other = taken.setdefault(key, owner)
        if other != owner:
            message = f"{other} and {owner} would both be written to this file"
            hint = "compile them one at a time, each with its own -o"
            found.append(Diagnostic("E0706", message, file=str(path), hint=hint))
    return found

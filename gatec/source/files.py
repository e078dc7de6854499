"""From a file's bytes to its text, or an error that says what the file is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from gatec import resources
from gatec.errors import Diagnostic, GatecError, Source

MAX_BYTES = 1_000_000
# A notebook carries pictures; the limit above holds for its text.
MAX_NOTEBOOK_BYTES = 64_000_000

KINDS = {
    ".gate": "gate",
    **dict.fromkeys([".md", ".markdown", ".mdx", ".qmd", ".rmd", ".mkd"], "markdown"),
    ".txt": "text",
    **dict.fromkeys([".rst", ".rest"], "rst"),
    **dict.fromkeys([".tex", ".latex", ".ltx"], "tex"),
    ".ipynb": "notebook",
    ".py": "python",
}
_MAGIC = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x7fELF": "a program",
    b"\x1f\x8b": "a compressed file",
}


def fail(code: str, message: str, name: str, hint: str | None = None) -> GatecError:
    return GatecError(Diagnostic(code, message, hint=hint, file=name))


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises GatecError for one that is missing, unreadable or too large."""
    name = str(path)
    limit = MAX_NOTEBOOK_BYTES if KINDS.get(path.suffix.lower()) == "notebook" else MAX_BYTES
    try:
        if path.is_dir():
            raise fail("E0002", "this is a directory", name, _inside(path))
        with path.open("rb") as file:
            # Asked first, so that a huge file costs nothing; read bounded, since a pipe or a
            # device tells no size.
            if os.fstat(file.fileno()).st_size > limit:
                raise too_large(name, limit)
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise missing(name) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fail("E0002", f"this file cannot be read: {reason}", name) from None
    if len(data) > limit:
        raise too_large(name, limit)
    return data


def too_large(name: str, limit: int = MAX_BYTES) -> GatecError:
    return fail(
        "E0003",
        f"the input is larger than {limit // 1_000_000} MB",
        name,
        "a cell is a few lines; put its equations in a file of their own",
    )


def decode(data: bytes, name: str, kind: str) -> Source:
    """The text of some bytes, its lines ended by newlines.

    Damaged characters do no harm in prose; in a `.gate` text they are an error.
    """
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise fail(
                "E0005",
                f"this is {what}, not a text",
                name,
                "copy the equations into a text file (.gate, .md, .tex)",
            )
    if data[:4] in (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"):
        raise fail("E0005", "this text is in UTF-32", name, "save it as UTF-8")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise fail("E0005", "this text is in UTF-16", name, "save it as UTF-8")
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    source = Source(name, lines.decode("utf-8", "replace").removeprefix("\ufeff"))
    place = source.text.find("\0")
    if place >= 0:
        raise GatecError(
            Diagnostic(
                "E0004",
                "there is a NUL byte here: this is no text, or it is damaged",
                source.span(place, place + 1),
                "save it as plain text in UTF-8",
            )
        )
    try:
        lines.decode("utf-8")
    except UnicodeDecodeError as error:
        if kind == "gate":
            start = len(lines[: error.start].decode("utf-8").removeprefix("\ufeff"))
            shown = " ".join(f"{byte:02x}" for byte in lines[error.start : error.end])
            raise GatecError(
                Diagnostic(
                    "E0005",
                    f"this is not UTF-8 (byte {shown})",
                    source.span(start, start + 1),
                    "save the file as UTF-8, or write Greek letters in LaTeX (\\Gamma)",
                )
            ) from None
    return source


def sound(text: str) -> str:
    """Text that comes from no file: its line endings as in a file, no half characters, no NUL."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def read_stream(stream: IO[bytes] | IO[str] | None, name: str) -> bytes:
    """What standard input holds, up to the limit for its kind."""
    try:
        if stream is None:
            raise OSError("there is none")
        inner = getattr(stream, "buffer", stream)
        data: Any = inner.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES and data[:1] in (b"{", "{"):  # a notebook, with its pictures
            data += inner.read(MAX_NOTEBOOK_BYTES)
    except (OSError, ValueError) as error:
        raise fail("E0002", f"standard input cannot be read: {error}", name) from None
    return data.encode("utf-8", "replace") if isinstance(data, str) else bytes(data)


def missing(name: str) -> GatecError:
    """The error for a spec that is no file: with what was probably meant."""
    import difflib

    path = Path(name)
    shipped = resources.spec_names()
    stem = path.name.removesuffix(".gate")
    if stem in shipped:
        return fail(
            "E0001",
            "there is no such file",
            name,
            f"the shipped spec is named without path and suffix: {stem}",
        )
    here: Sequence[str] = ()
    if path.parent.is_dir():
        try:
            here = [entry.name for entry, _ in zip(os.scandir(path.parent), range(5000))]  # noqa: B905
        except OSError:
            here = ()
    near = difflib.get_close_matches(path.name, here, n=3, cutoff=0.6)
    near += [entry for entry in here if entry not in near and Path(entry).stem == path.name][:3]
    guesses = [str(path.parent / entry) for entry in near]
    if path.parent == Path("."):
        guesses += difflib.get_close_matches(name.lower(), shipped, n=2, cutoff=0.6)
    if guesses:
        return fail("E0001", "there is no such file", name, f"did you mean {_either(guesses)}?")
    return fail(
        "E0001",
        "there is no such file, and no shipped spec of that name",
        name,
        f"shipped specs are {', '.join(shipped)}",
    )


def _either(options: Sequence[str]) -> str:
    unique = list(dict.fromkeys(options))
    return " or ".join(unique) if len(unique) < 3 else f"{', '.join(unique[:-1])} or {unique[-1]}"


def _inside(path: Path) -> str:
    """Some files of a directory that gatec could read."""
    try:
        found = sorted(
            entry.name
            for entry, _ in zip(os.scandir(path), range(5000))  # noqa: B905
            if Path(entry.name).suffix.lower() in KINDS
        )
    except OSError:
        found = []
    if not found:
        return "name a file: a .gate, .md, .tex, .rst, .txt, .ipynb or .py"
    return f"name a file in it: {_either([str(path / name) for name in found[:3]])}"

"""What gatec remembers between runs, in a folder of the user's own; never needed, only faster.

Entries are named by the hash of what they were made from, written whole or not at all, and
checked when they are read. Where there is no such folder, or others could write to it, nothing
is remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

_SUM = hashlib.sha256().digest_size


def read(kind: str, made_from: bytes) -> bytes | None:
    """What was remembered under these bytes, or None."""
    folder = _folder(make=False)
    if folder is None:
        return None
    try:
        data = (folder / _name(kind, made_from)).read_bytes()
    except OSError:
        return None
    content = data[_SUM:]
    return content if hashlib.sha256(content).digest() == data[:_SUM] else None


def write(kind: str, made_from: bytes, content: bytes) -> None:
    """Remember something, if possible. Several processes may do it at the same time."""
    folder = _folder(make=True)
    if folder is None:
        return
    temporary = folder / f".{secrets.token_hex(8)}.tmp"
    try:
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(temporary, folder / _name(kind, made_from))
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _name(kind: str, made_from: bytes) -> str:
    return f"{kind}-{hashlib.sha256(made_from).hexdigest()[:32]}"


def _folder(*, make: bool) -> Path | None:
    """`$XDG_CACHE_HOME/gatec` or `~/.cache/gatec`, if it is ours alone to write to."""
    try:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        folder = Path(base) / "gatec"
        if not folder.is_absolute():
            return None
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except (OSError, RuntimeError):  # RuntimeError: the user has no home
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
        return None
    return folder

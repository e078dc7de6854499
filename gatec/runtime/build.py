"""Generated C, compiled for this machine once and kept in a folder of the user's own.

A library is named by the hash of all that it comes from: the C text, the type of numbers, the
compiler and its version, the flags, and what `-march=native` means on this processor. It is
written beside its place and moved there in one step, under a lock, so that any number of processes
may ask for it at once; next to it lies the hash of its bytes, so that a damaged file is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from gatec.errors import GatecError
from gatec.native import FLAGS, SUFFIX, host_compiler, machine

_WIDE = "-mprefer-vector-width=512"  # compilers are shy of the widest vectors
REALS = {"float32": "float", "float64": "double"}
_LONGEST = 300  # seconds that a compiler may take


class Unavailable(Exception):
    """There is no library, and why, in words for a user."""


def library(files: Mapping[str, str], real: str, *more: str) -> Path:
    """The shared library of a cell's C files for a type of numbers ("float32", "float64"), with
    more flags of the compiler.

    Compiled where there is none yet. Raises Unavailable.
    """
    compiler = _compiler()
    source = next(name for name in files if name.endswith(".c"))
    command = [*compiler, *_flags(tuple(compiler)), f"-DGATEC_REAL={REALS[real]}", *more]
    made_from = [*files.items(), ("command", " ".join(command)), ("machine", machine())]
    made_from.append(("compiler", _version(tuple(compiler))))
    digest = hashlib.sha256(repr(made_from).encode()).hexdigest()[:32]
    folder = _folder()
    place = folder / f"{source.removesuffix('.c')}-{real}-{digest}{SUFFIX}"
    if not _is_whole(place):
        with _locked(folder / f"{digest}.lock"):
            if not _is_whole(place):  # or made by another process meanwhile
                _compile(command, files, source, place)
    return place


# --- The compiler ---------------------------------------------------------------------------------


def _compiler() -> list[str]:
    """The command of the host's C compiler. Raises Unavailable."""
    try:
        return host_compiler()
    except GatecError as error:
        (found,) = error.diagnostics
        raise Unavailable(f"{found.message}; {found.hint}") from error


@cache
def _version(compiler: tuple[str, ...]) -> str:
    """What a compiler is, by its own words and the place where it lies."""
    found = shutil.which(compiler[0]) or compiler[0]
    done = _run([*compiler, "--version"])
    return f"{os.path.realpath(found)}\n{done.stdout}"


@cache
def _flags(compiler: tuple[str, ...]) -> tuple[str, ...]:
    """The flags that a compiler takes on this machine."""
    flags: tuple[str, ...] = FLAGS
    if not _takes(compiler, "-march=native"):  # as on some ARM
        flags = tuple(flag for flag in flags if flag != "-march=native")
    if "avx512f" in machine() and _takes(compiler, _WIDE):
        flags = (*flags, _WIDE)
    return flags


def _takes(compiler: tuple[str, ...], flag: str) -> bool:
    command = [*compiler, flag, "-Werror", "-E", "-x", "c", os.devnull, "-o", os.devnull]
    return _run(command).returncode == 0


def _run(command: list[str], folder: str | None = None) -> subprocess.CompletedProcess[str]:
    """A finished program. Raises Unavailable where it does not run, or runs on."""
    try:
        return subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_LONGEST,
        )
    except OSError as error:
        raise Unavailable(f"the C compiler {command[0]} does not run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"the C compiler {command[0]} took longer than {_LONGEST} s") from error


def _compile(command: list[str], files: Mapping[str, str], source: str, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gatec-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        made = Path(folder) / f"library{SUFFIX}"
        done = _run([*command, "-o", str(made), source, "-lm"], folder)
        if done.returncode or not made.exists():
            first = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
            raise Unavailable(f"the C compiler {command[0]} failed: {first}")
        content = made.read_bytes()
    temporary = place.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.chmod(0o700)
        # The sum first: a library without one counts as damaged.
        _sum_of(place).write_text(hashlib.sha256(content).hexdigest(), encoding="ascii")
        os.replace(temporary, place)
    except OSError as error:
        raise Unavailable(f"the library cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sum_of(place: Path) -> Path:
    return place.with_suffix(".sha256")


def _is_whole(place: Path) -> bool:
    """Whether a library is there, ours, and as it was written."""
    try:
        content = place.read_bytes()
        wanted = _sum_of(place).read_text(encoding="ascii")
        ours = not hasattr(os, "geteuid") or place.stat().st_uid == os.geteuid()
    except (OSError, UnicodeDecodeError):
        return False
    return ours and hashlib.sha256(content).hexdigest() == wanted.strip()


# --- The folder -----------------------------------------------------------------------------------


def _folder() -> Path:
    """Where libraries are kept: `$GATEC_CACHE`, else the user's cache, else for this process.

    Raises Unavailable for a folder that others may write to: a library is run as it lies there.
    """
    named = os.environ.get("GATEC_CACHE")
    if named:
        try:
            return _private(Path(named).absolute())
        except OSError as error:
            raise Unavailable(f"the folder {named} ($GATEC_CACHE): {error}") from error
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    except RuntimeError:  # the user has no home
        return _passing()
    folder = home / "gatec" / "kernels"
    try:
        return _private(folder)
    except OSError:  # it cannot be written to
        return _passing()


def _private(folder: Path) -> Path:
    """The folder, made if need be, that nobody else can write to or read.

    Raises OSError where it cannot be made or written to, Unavailable where it is not private.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if hasattr(os, "geteuid"):
        mine = found.st_uid == os.geteuid()
        if not mine or stat.S_IMODE(found.st_mode) & 0o077:
            whose = "others may write to or read" if mine else "belongs to another user"
            raise Unavailable(
                f"the folder {folder} {whose}; make it private (chmod 700) or set GATEC_CACHE"
            )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"{folder} cannot be written to")
    return folder


@cache
def _passing() -> Path:
    """A folder that lasts as long as this process."""
    holder = tempfile.TemporaryDirectory(prefix="gatec-")
    _HELD.append(holder)
    return Path(holder.name)


_HELD: list[tempfile.TemporaryDirectory[str]] = []


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """One process at a time; where the system has no such locks, all at once."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        held = place.open("a")
    except OSError as error:
        raise Unavailable(f"the library cannot be written: {error}") from error
    with held:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield

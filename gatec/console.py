"""The terminal: what goes to standard output and standard error, and how."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from gatec.errors import Diagnostic, GatecError, render

# One bad line can make thousands of errors; nobody reads past the first few.
_MOST = 50


def out(text: str, *, raw: bool = False) -> None:
    """Text to standard output, at once. `raw` text (generated code) is UTF-8 on every terminal.

    Raises BrokenPipeError where nobody reads, GatecError where it cannot be written.
    """
    stream = sys.stdout
    if stream is None or stream.closed:
        raise GatecError(Diagnostic("E0701", "standard output is closed"))
    encoding = "utf-8" if raw else (getattr(stream, "encoding", None) or "utf-8")
    data = text.encode(encoding, "backslashreplace")
    try:
        stream.flush()
        buffer = getattr(stream, "buffer", None)
        if buffer is None:  # a notebook's, or a test's
            stream.write(data.decode(encoding))
        else:
            buffer.write(data)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "the text was not written in full"
        raise GatecError(
            Diagnostic("E0701", f"standard output cannot be written: {reason}", hint=hint)
        ) from error


def out_json(value: Any) -> None:
    """A value as JSON on standard output."""
    out(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """A line to standard error; lost where there is none."""
    if sys.stderr is not None:
        print(text, file=sys.stderr)


def report(diagnostics: Sequence[Diagnostic]) -> None:
    """Diagnostics on standard error, coloured on a terminal."""
    colour = has_colour(sys.stderr)
    for diagnostic in diagnostics[:_MOST]:
        say(render(diagnostic, colour=colour))
    if len(diagnostics) > _MOST:
        say(f"… and {len(diagnostics) - _MOST} more")


def has_colour(stream: TextIO | None) -> bool:
    """Whether to colour: a terminal, and neither NO_COLOR nor a terminal without colours."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()

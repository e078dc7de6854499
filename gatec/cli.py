"""The command line: arguments, exit codes, manners. What a command does is in `commands.py`.

Exit codes: 0 done, 1 the answer is no, 2 bad input or usage, 3 undecided, 70 a bug in gatec.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from gatec import __version__, console
from gatec.errors import GatecError

BAD, BUG, INTERRUPTED, PIPE = 2, 70, 130, 141

_USAGE = """\
usage: gatec COMMAND …

  compile SPEC…   write NumPy, PyTorch, C or CUDA-C code for the cells of a spec
  check SPEC      whether a cell is the same function as another, with proof or counterexample
  show SPEC       what gatec understood: equations, states, shapes, costs
  list            the specs that come with gatec
  new NAME        start a spec of your own

SPEC is a file (.gate, .md, .tex, .ipynb, .rst, .txt), - for standard input, FILE#CELL,
doc:MODULE:OBJECT for a Python docstring, or the name of a shipped spec (gatec list).

`gatec COMMAND --help` lists a command's options; `gatec --version` says which gatec this is.
"""


class UsageError(Exception):
    """A command line that gatec does not understand."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, and knows no abbreviated options."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(f"gatec {name}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("the following arguments are required: ")
        if message in ("SPEC", "NAME", "--against", "SPEC, --against"):
            message = f"{message} is missing"
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is None or value in action.choices:
            return
        *most, last = action.choices
        message = f"{action.option_strings[-1]} takes {', '.join(most)} or {last}, not {value!r}"
        hint = _nearest(str(value), action.choices)
        raise UsageError("\n  ".join(filter(None, (message, hint))))


_CELL = "the cell, where a spec holds several"


def _compile() -> _Parser:
    from gatec.backends import targets

    parser = _Parser(
        "compile", "Write code for the cells of a spec. All files are written, or none."
    )
    parser.add_argument(
        "specs", metavar="SPEC", nargs="+", help="a file, -, FILE#CELL, doc:… or name"
    )
    parser.add_argument(
        "-t",
        "--target",
        choices=[*targets(), "all"],
        default="torch",
        help="what to generate (default: torch)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE|DIR|-",
        help="where to write (default: the current directory; -: standard output)",
    )
    parser.add_argument(
        "--stop-after",
        metavar="STAGE",
        choices=("parse", "resolve", "passes", "adjoint"),
        help="print what stands after a stage: parse, resolve, passes or adjoint",
    )
    parser.add_argument(
        "--native",
        action="store_true",
        help="also build a shared library, which a PyTorch module beside it runs on",
    )
    parser.add_argument("--cell", metavar="NAME", help=_CELL)
    parser.add_argument("--json", action="store_true", help="results and errors as JSON")
    return parser


def _check() -> _Parser:
    parser = _Parser(
        "check",
        "Say whether two cells are the same function, up to a map of parameters: prove it, or show "
        "where they part. Exit code: 0 the same, 1 not, 3 undecided.",
    )
    parser.add_argument("spec", metavar="SPEC", help="a file, -, FILE#CELL, doc:… or name")
    parser.add_argument(
        "--against",
        metavar="OTHER",
        required=True,
        help="another SPEC; lstm, gru or rnn as torch computes them; or module:pkg.mod:Class",
    )
    parser.add_argument("--cell", metavar="NAME", help=_CELL)
    parser.add_argument("--proof", action="store_true", help="print every step of the proofs")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.add_argument(
        "-o", "--output", metavar="REPORT", help="write the report: a .html, .md, .txt or .json"
    )
    return parser


def _show() -> _Parser:
    parser = _Parser("show", "Print what gatec understood of a spec.")
    parser.add_argument("spec", metavar="SPEC", help="a file, -, FILE#CELL, doc:… or name")
    parser.add_argument("--cell", metavar="NAME", help=_CELL)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="the equations as LaTeX")
    form.add_argument("--svg", action="store_true", help="a drawing of the cell")
    form.add_argument("--json", action="store_true", help="everything as JSON")
    form.add_argument(
        "--mentions", action="store_true", help="the mathematics that was passed over, and why"
    )
    return parser


def _list() -> _Parser:
    parser = _Parser("list", "List the specs that come with gatec.")
    parser.add_argument("--json", action="store_true", help="the list as JSON")
    return parser


def _new() -> _Parser:
    parser = _Parser("new", "Write NAME.gate, to start a spec from a shipped one.")
    parser.add_argument("name", metavar="NAME", help="the cell's name; NAME.gate must not exist")
    parser.add_argument(
        "--from", dest="origin", metavar="SPEC", default="lstm", help="which (default: lstm)"
    )
    return parser


_COMMANDS: dict[str, Callable[[], _Parser]] = {
    "compile": _compile,
    "check": _check,
    "show": _show,
    "list": _list,
    "new": _new,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except UsageError as error:
        console.say(f"gatec: error: {error}")
        return BAD
    except GatecError as error:
        return _refuse(error, as_json="--json" in words)
    except BrokenPipeError:
        _forget_output()
        return PIPE
    except KeyboardInterrupt:
        console.say("gatec: interrupted")
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("GATEC_DEBUG"):
            raise
        console.say(_bug(error))
        return BUG


def _run(words: list[str]) -> int:
    if not words:
        console.say(_USAGE.rstrip())
        return BAD
    first, *rest = words
    if first in ("-h", "--help", "help"):
        console.out(_USAGE)
        return 0
    if first in ("-V", "--version"):
        console.out(f"gatec {__version__}\n")
        return 0
    if first not in _COMMANDS:
        raise UsageError(_unknown_command(first))
    parser = _COMMANDS[first]()
    options, unknown = parser.parse_known_intermixed_args(rest)
    if unknown:
        raise UsageError(_unknown_option(unknown[0], parser))
    from gatec import commands

    command: Callable[[argparse.Namespace], int] = getattr(commands, f"{first}_")
    return command(options)


def _unknown_command(word: str) -> str:
    from gatec.resources import spec_names

    hint = _nearest(word, _COMMANDS)
    if word.startswith("-"):
        message = f"unknown option {word}"
    elif os.path.exists(word) or word in spec_names() or "." in word:
        message, hint = f"{word!r} is no command", f"to compile it: gatec compile {word}"
    else:
        message = f"{word!r} is no command"
    commands = f"the commands are {', '.join(_COMMANDS)}; see gatec --help"
    return "\n  ".join(filter(None, (message, hint, commands)))


def _unknown_option(word: str, parser: argparse.ArgumentParser) -> str:
    option = word.split("=")[0]
    known = [name for action in parser._actions for name in action.option_strings]
    what = "unknown option" if word.startswith("-") else "one argument too many:"
    lines = [f"{what} {option}", _nearest(option, known), parser.format_usage().rstrip()]
    return "\n  ".join(filter(None, lines))


def _nearest(word: str, known: Iterable[str]) -> str:
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {found[0]}?" if found else ""


def _refuse(error: GatecError, *, as_json: bool) -> int:
    if as_json:
        diagnostics = [diagnostic.as_json() for diagnostic in error.diagnostics]
        console.out_json({"gatec": __version__, "ok": False, "diagnostics": diagnostics})
    else:
        console.report(error.diagnostics)
    return BAD


def _forget_output() -> None:
    """Let Python's last flush of a closed pipe go nowhere, instead of to a complaint."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        pass


def _bug(error: Exception) -> str:
    detail = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return (
        f"gatec: internal error: {detail[:300]}\n"
        "  This is a bug in gatec, not in your spec. Please report it, with the command, the spec\n"
        f"  and `gatec --version` ({__version__}). GATEC_DEBUG=1 shows where it happened."
    )


if __name__ == "__main__":
    sys.exit(main())

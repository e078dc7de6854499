"""What each command does, once its options are read. Every function returns the exit code."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gatec import __version__, console, resources
from gatec.errors import Diagnostic, GatecError

DONE, BAD = 0, 2


# --- compile --------------------------------------------------------------------------------------


def compile_(options: Namespace) -> int:
    """`gatec compile`: the files of every cell of every spec, or none of them."""
    from gatec import backends, compiler, files, native, outputs

    targets = backends.targets() if options.target == "all" else [options.target]
    if options.native and not {"c", "torch"} & set(targets):
        raise _error("E0711", "--native builds the C code: it goes with -t c, torch or all")
    if options.native and (options.output == "-" or options.stop_after):
        raise _error("E0711", "--native writes a shared library: it goes with files only")
    units, errors = _units(options.specs, options.cell)
    if options.stop_after:
        return _stop(units, errors, options)
    where = outputs.destination(options.output, targets, len(units) + len(errors))
    made = []
    for unit in units:
        try:
            made.append(compiler.compile_unit(unit, targets, where.stem))
        except GatecError as error:
            errors += error.diagnostics
    if errors:
        raise GatecError(errors)
    console.report([warning for cell in made for warning in cell.warnings])
    if options.output == "-":
        return _print(made, options.json)
    contents: dict[Path, bytes] = {}
    owners: list[tuple[str, Path]] = []
    results = []
    for cell in made:
        texts = {name: text.encode() for name, text in cell.files.items()}
        if options.native:
            texts |= native.shared_library(*_c_of(cell, where.stem))
        paths = where.paths(texts)
        contents |= {paths[name]: data for name, data in texts.items()}
        name = cell.resolution.cell.name
        owners += [(f"{name} of {cell.unit.spec}", path) for path in paths.values()]
        results.append({**_about(cell), "files": [str(path) for path in paths.values()]})
    if found := outputs.clashes(owners):
        raise GatecError(found)
    specs = [Path(spec.split("#")[0]) for spec in options.specs]
    files.write(contents, sources=specs, guard=not where.chosen)
    if options.json:
        console.out_json({"gatec": __version__, "ok": True, "cells": results})
    else:
        lines = [f"{r['cell']} -> {', '.join(r['files'])}\n" for r in results]
        console.out("".join(lines))
    return DONE


def _c_of(cell: Any, stem: str | None) -> tuple[dict[str, bytes], Any]:
    """The C files of a cell, whatever its targets are, and the program that its module carries."""
    from gatec import cell_text, compiler

    source = cell.resolution.cell
    files = compiler.generate(compiler.program(source), ["c"], stem or cell.unit.stem)
    carried = cell_text.verified(source)
    program = compiler.program(cell_text.read(carried)) if carried else None
    return {name: text.encode() for name, text in files.items()}, program


def _about(made: Any) -> dict[str, Any]:
    return {
        "cell": made.resolution.cell.name,
        "spec": made.unit.spec,
        "warnings": [warning.as_json() for warning in made.warnings],
    }


def _units(specs: list[str], cell: str | None) -> tuple[list[Any], list[Diagnostic]]:
    """The cells of all specs, and what is wrong with those that cannot be read."""
    from gatec import compiler

    units: list[Any] = []
    errors: list[Diagnostic] = []
    for spec in specs:
        try:
            units += compiler.units(spec, cell)
        except GatecError as error:
            errors += error.diagnostics
    return units, errors


def _stop(units: list[Any], errors: list[Diagnostic], options: Namespace) -> int:
    """`--stop-after STAGE`: print what stands there, of every cell."""
    from gatec import compiler

    if options.output not in (None, "-"):
        raise _error("E0711", "--stop-after prints to standard output: it takes no -o FILE")
    texts = {}
    for unit in units:
        try:
            texts[unit.document.name] = compiler.stage_text(unit.document, options.stop_after)
        except GatecError as error:
            errors += error.diagnostics
    if errors:
        raise GatecError(errors)
    if options.json:
        console.out_json(
            {"gatec": __version__, "ok": True, "stage": options.stop_after, "cells": texts}
        )
    else:
        console.out("\n".join(text.rstrip("\n") + "\n" for text in texts.values()))
    return DONE


def _print(made: list[Any], as_json: bool) -> int:
    """`-o -`: one file as it is; before each of several files a line with its name."""
    if as_json:
        cells = [{**_about(cell), "texts": dict(cell.files)} for cell in made]
        console.out_json({"gatec": __version__, "ok": True, "cells": cells})
        return DONE
    texts = [(name, text) for cell in made for name, text in cell.files.items()]
    if len(texts) == 1:
        console.out(texts[0][1], raw=True)
    else:
        console.out("\n".join(f"==> {name} <==\n{text}" for name, text in texts), raw=True)
    return DONE


# --- check ----------------------------------------------------------------------------------------

_REPORTS = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html", ".txt": "text"}


def check_(options: Namespace) -> int:
    """`gatec check`: the report on two cells, printed or written; the exit code is the answer."""
    from gatec import checking, files

    path = Path(options.output) if options.output not in (None, "-") else None
    sources = [Path(spec.split("#")[0]) for spec in (options.spec, options.against)]
    if path is not None:
        _check_report(path)
        files.allowed([path], sources)  # asked now: the comparison may take a while
    found = checking.compare(options.spec, options.against, options.cell)
    if path is not None:
        files.write({path: _report(found, path).encode()}, sources=sources)
    if options.json:
        console.out_json(found.as_json())
    elif path is not None:
        console.out(f"{found.kind}: {found.headline}\n-> {path}\n")
    else:
        colour = console.has_colour(sys.stdout)
        console.out(found.text(proof=options.proof, colour=colour))
    return found.exit_code


def _check_report(path: Path) -> None:
    if path.suffix.lower() not in (*_REPORTS, ".json"):
        hint = f"for example -o {path.stem or 'report'}.html"
        message = f"a report is a .html, .md, .txt or .json, not {path.suffix or 'a file without'}"
        raise _error("E0716", message, hint)


def _report(found: Any, path: Path) -> str:
    """The report in the form that the file's name asks for."""
    match _REPORTS.get(path.suffix.lower(), "json"):
        case "md":
            return str(found.markdown())
        case "html":
            return str(found.html())
        case "text":
            return str(found.text(proof=True))
        case _:
            return json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n"


# --- show -----------------------------------------------------------------------------------------


def show_(options: Namespace) -> int:
    """`gatec show`: what gatec understood."""
    from gatec import compiler, show

    units, errors = _units([options.spec], options.cell)
    if errors:
        raise GatecError(errors)
    found = []
    for unit in units:
        try:
            found.append(compiler.front(unit.document))
        except GatecError as error:
            errors += error.diagnostics
    if errors:
        raise GatecError(errors)
    console.report([warning for resolution in found for warning in resolution.warnings])
    if options.json:
        cells = [show.as_json(resolution) for resolution in found]
        console.out_json({"gatec": __version__, "ok": True, "cells": cells})
        return DONE
    if options.svg:
        from gatec.show_svg import svg

        if len(found) > 1:
            names = ", ".join(resolution.cell.name for resolution in found)
            raise _error("E0712", f"a drawing shows one cell: --cell one of {names}")
        console.out(svg(found[0].cell), raw=True)
        return DONE
    form = show.mentions if options.mentions else show.latex if options.latex else show.text
    console.out("\n".join(form(resolution) for resolution in found))
    return DONE


# --- list and new ---------------------------------------------------------------------------------


def list_(options: Namespace) -> int:
    """`gatec list`: the shipped specs, each with the comment that names its paper."""
    specs = dict(_papers())
    if options.json:
        named = [{"name": name, "paper": paper} for name, paper in specs.items()]
        console.out_json({"gatec": __version__, "ok": True, "specs": named})
        return DONE
    width = max(map(len, specs), default=0)
    console.out("".join(f"{name:<{width}}  {paper}\n" for name, paper in specs.items()))
    return DONE


def _papers() -> Iterator[tuple[str, str]]:
    for name in resources.spec_names():
        first = _shipped(name).partition("\n")[0]
        yield name, first.lstrip("#% ") if first.startswith(("#", "%")) else ""


def _shipped(name: str) -> str:
    return (resources.folder("specs") / f"{name}.gate").read_text(encoding="utf-8")


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def new_(options: Namespace) -> int:
    """`gatec new`: a copy of a shipped spec under a name of one's own."""
    from gatec import files

    path = Path(options.name.removesuffix(".gate") + ".gate")
    name = path.stem
    if not _NAME.fullmatch(name):
        hint = f"letters, digits and _ only, e.g. {re.sub('[^A-Za-z0-9_]', '_', name) or 'MyCell'}"
        raise _error("E0714", f"{name!r} cannot name a cell", hint)
    if options.origin not in resources.spec_names():
        raise _error("E0713", f"no shipped spec is called {options.origin!r}", _suggest(options))
    if path.exists():
        hint = "gatec new overwrites nothing: choose another name"
        raise GatecError(Diagnostic("E0705", "this file exists", file=str(path), hint=hint))
    text = re.sub(r"(?m)^cell .*$", f"cell {name}", _shipped(options.origin), count=1)
    files.write({path: f"# {name}, from the shipped spec {options.origin}.\n{text}".encode()})
    console.out(f"{path}\n")
    console.say(f"next: gatec show {path}; gatec compile {path}")
    return DONE


def _suggest(options: Namespace) -> str:
    import difflib

    names = resources.spec_names()
    near = difflib.get_close_matches(options.origin, names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def _error(code: str, message: str, hint: str | None = None) -> GatecError:
    return GatecError(Diagnostic(code, message, hint=hint))

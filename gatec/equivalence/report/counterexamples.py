"""A certified difference, laid out so that a reader can redo it with pencil and paper."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from gatec.equivalence.evaluate import Floats, Runner
from gatec.equivalence.libraries import numpy
from gatec.equivalence.report.maps import Maps
from gatec.equivalence.report.model import (
    Block,
    Formulas,
    Line,
    Section,
    Source,
    Table,
    Text,
)
from gatec.equivalence.report.names import Names, timed
from gatec.equivalence.verdict import Counterexample
from gatec.ir import Cell, Input


def sections(maps: Maps, found: Counterexample) -> tuple[Section, ...]:
    """The point, both outputs, the equation where they part."""
    names = maps.comparison.mine.name, maps.comparison.theirs.name
    made = [Section("where they differ", (*_outputs(names, found), *_point(maps, found)))]
    if found.equation is not None:
        texts = [" ".join(text.replace("&", " ").split()) for text in found.equation]
        sources = Source(tuple(zip(names, texts, strict=True)))
        made.append(Section("the first equation where they part", (sources,)))
    return (*made, _quantities(maps, found))


def _outputs(names: tuple[str, str], found: Counterexample) -> tuple[Block, ...]:
    sizes = ", ".join(f"{name} {count}" for name, count in found.sizes.items())
    steps = "after one step" if found.step == 1 else f"in step {found.step}"
    said = (
        f"At {sizes}, the outputs {steps} are apart for certain (each value lies between the "
        "bounds, whatever the roundings):"
    )
    rows = tuple(
        (f"unit {index}" + (" *" if index == found.unit + 1 else ""), interval(a), interval(b))
        for index, (a, b) in enumerate(zip(*found.outputs, strict=True), 1)
    )
    head = (f"output {timed('', 0).strip('_')} = {found.step}", *names)
    text = Text(said + (f" {found.note[:1].upper()}{found.note[1:]}." if found.note else ""))
    return text, Table(head, rows)


def interval(text: str) -> str:
    """`[low, high]`, or the one number that it is."""
    low, _, high = text.strip("[]").partition(", ")
    return low if low == high else text


def _point(maps: Maps, found: Counterexample) -> tuple[Block, ...]:
    """The numbers that are not 0, by the names of the equations."""
    lines, zeros = [], 0
    for name, value in _named(maps, found):
        if _is_zero(value):
            zeros += 1
        else:
            lines.append(Line(name, nested(value)))
    rest = "all other parameters, inputs and states are 0" if zeros else ""
    blocks: list[Block] = [Text("with")]
    if lines:
        blocks.append(Formulas(tuple(lines)))
    if rest:
        blocks.append(Text(f"{rest}." if lines else "all parameters, inputs and states 0."))
    return tuple(blocks)


def _quantities(maps: Maps, found: Counterexample) -> Section:
    """What every equation gives at the step where the outputs part, in float64."""
    names = maps.comparison.mine.name, maps.comparison.theirs.name
    sides = ((maps.one, maps.notation.mine, ""), (maps.other, maps.notation.theirs, "'"))
    columns = []
    for cell, own, mark in sides:
        values = _computed(cell, maps.one.inputs, found, mark)
        columns.append(
            [
                f"{own.of('var', e.name)} = {_decimals(values[e.name])}"
                for e in cell.equations
                if e.symbol
            ]
        )
    rows = tuple(itertools.zip_longest(*columns, fillvalue=""))
    step = f"all quantities in step {found.step}"
    return Section(step, (Table(names, rows),))


def _computed(
    cell: Cell, inputs: tuple[Input, ...], found: Counterexample, mark: str
) -> dict[str, Any]:
    """The values of a cell's equations in the last step; inputs go by the first cell's names."""

    def array(key: str) -> Any:
        exact = numpy().array(found.values[key], dtype=object)
        return numpy().vectorize(lambda text: float(Fraction(text)), otypes=[float])(exact)

    own = zip(cell.inputs, inputs, strict=True)
    run = Runner(cell).run(
        Floats(),
        found.sizes,
        {param.name: array(param.name)[None] for param in cell.params},
        {item.name: array(first.name)[:, None] for item, first in own},
        {state.name: array(f"{state.name}{mark}(0)")[None] for state in cell.states},
        steps=found.step,
    )
    return {name: value[0] for name, value in run.equations[-1].items()}


def _decimals(value: Any) -> str:
    if value.ndim:
        return f"[{', '.join(_decimals(part) for part in value)}]"
    return f"{float(value) + 0.0:.6g}"


def _named(maps: Maps, found: Counterexample) -> Iterator[tuple[str, object]]:
    """Every array of the point with its name: inputs and states first, they are the same."""
    one, other = maps.notation.mine, maps.notation.theirs
    params = []
    for key, value in found.values.items():
        start = re.fullmatch(r"(.*?)('?)\(0\)", key)
        if start is not None:
            names = other if start.group(2) else one
            yield _started(names, start.group(1)), value
        elif one.knows("input", key) and isinstance(value, list):
            for step, each in enumerate(value, 1):
                yield _indexed(one.bare("input", key), str(step)), each
        else:
            names = other if other.knows("param", key) else one
            params.append((names.of("param", key), value))
    yield from params


def _started(names: Names, state: str) -> str:
    """A state before the first step."""
    name = names.bare("state", state)
    return _indexed(name.removesuffix(names.mark), "0") + names.mark


def _indexed(name: str, index: str) -> str:
    return timed(name, 0).replace(",t}", f",{index}}}") if "_" in name else f"{name}_{index}"


def _is_zero(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_zero(part) for part in value)
    return value in ("0", 0)


def nested(value: object) -> str:
    """Numbers as nested brackets."""
    if isinstance(value, list):
        return f"[{', '.join(nested(part) for part in value)}]"
    return str(value)

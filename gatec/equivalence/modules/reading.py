"""Equations whose functions are named in words only: `φ` is what the module applies.

Documentation writes `\\phi(…)` and says in a sentence that φ is a nonlinearity, tanh by default.
What is applied like a function and is none is taken for one of the functions that the module
applies, the likeliest first.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gatec.equivalence.modules import words
from gatec.equivalence.modules.loaded import LoadedModule
from gatec.errors import GatecError, Source, Span
from gatec.expr import Apply
from gatec.ir import Cell
from gatec.ops import FUNCTIONS, OPS, Kind
from gatec.parse import parse
from gatec.passes.common import nodes
from gatec.resolve import Resolution, resolve
from gatec.source.document import Document, Formula, Style
from gatec.syntax import Bracket, Key, Module, Node, Product, Symbol, symbols, walk

_UNKNOWN = "E0204"  # a symbol is applied like a function, and is none
_USUAL = ("tanh", "sigmoid", "relu")
_SPACE = re.compile(r"(?:\s|\\[!,;:> ]|\\(?:left|[bB]igg?l?)(?![A-Za-z]))*")
# A left side that defines a name for every value of an index.
_FAMILY = re.compile(r"(?P<name>\\?[A-Za-z]+)_\{?[a-z]\}?(?:\([a-z]\))?\s*&?\s*=")
_MOST = 3  # unknown functions in one text


def cells(document: Document, module: LoadedModule) -> Iterator[tuple[Cell, str]]:
    """What a document may mean, with a sentence about what was assumed; the likeliest first.

    Raises GatecError where it cannot be read whatever its unknown functions are.
    """
    document, told = _with_sigma(document)
    try:
        resolution = resolve(parse(document))
        yield resolution.cell, "; ".join(filter(None, (told, _unread(resolution))))
        return
    except GatecError as error:
        names = _unknown_functions(document, error)
        if not names or len(names) > _MOST:
            raise
        said = {name: words.named(document, name) for name in names}
        options = [[f] if (f := said[name]) else _functions(module) for name in names]
        read, failures = [], []
        for chosen in itertools.product(*options):
            made = _with_functions(document, names, chosen)
            try:
                read.append((resolve(parse(made)), chosen))
            except GatecError as failure:
                failures.append(failure)
        if not read:
            raise failures[0] from None  # what is wrong but for the unknown functions
    applied = _applied(module.traced.cell) if module.traced else Counter()
    read.sort(key=lambda entry: _distance(_applied(entry[0].cell), applied))  # a stable order
    for resolution, chosen in read:
        pairs = list(zip(names, chosen, strict=True))
        stated = _told([pair for pair in pairs if said[pair[0]]], "as the text says")
        assumed = _told([pair for pair in pairs if not said[pair[0]]], f"as in {module.name}")
        notes = (told, stated, assumed, _unread(resolution))
        yield resolution.cell, "; ".join(filter(None, notes))


def _unread(resolution: Resolution) -> str:
    """A warning about a formula that could not be read, and whose names are parameters now.

    `o_k = \\begin{cases} … k \\in \\{0, 2\\}` defines o_0 and o_2, in a notation that gatec lacks.
    """
    told = []
    for mention in resolution.mentions:
        left = _FAMILY.match(mention.text) if mention.diagnostic is not None else None
        if left is None:
            continue
        named = re.compile(rf"{re.escape(left['name'])}_\{{?\d+\}}?")
        symbols = [p.symbol for p in resolution.cell.params if named.fullmatch(p.symbol)]
        if symbols:
            formula = mention.text if len(mention.text) <= 40 else f"{mention.text[:40]}…"
            names = ", ".join(re.sub(r"_\{(\d)\}", r"_\1", symbol) for symbol in symbols)
            counts = f"{names} count as parameters here, and what is said may be due to that"
            told.append(f"'{formula}' could not be read: {counts}")
    return "; ".join(told)


def _told(pairs: Sequence[tuple[str, str]], why: str) -> str:
    told = " and ".join(f"{name} is {function}" for name, function in pairs)
    return f"{told}, {why}" if told else ""


def _with_sigma(document: Document) -> tuple[Document, str]:
    """A text that says that its σ is no sigmoid, with that said as a formula."""
    for symbol in ("\\sigma", "σ"):
        function = words.named(document, symbol)
        if function not in (None, "sigmoid"):
            made = _with_functions(document, [symbol], [function])
            return made, f"{symbol} is {function}, as the text says"
    return document, ""


def _unknown_functions(document: Document, error: GatecError) -> list[str]:
    """What a text that cannot be read applies like functions; empty where that is not why."""
    unknown = [d.span.text for d in error.diagnostics if d.code == _UNKNOWN and d.span is not None]
    # What else is wrong may come from a letter that is taken for a vector: `s(W x_t + b)`.
    others = any(diagnostic.code != _UNKNOWN for diagnostic in error.diagnostics)
    return list(dict.fromkeys((*unknown, *(_applied_letters(parse(document)) if others else ()))))


def _applied_letters(module: Module) -> Iterator[str]:
    """Small letters that no equation defines and that stand before brackets only."""
    defined = {s.key for equation in module.equations for s in symbols(equation.left)}
    read = Counter(s.key for equation in module.equations for s in symbols(equation.right))
    applied: Counter[Key] = Counter()
    for equation in module.equations:
        for node in walk(equation.right):
            if not isinstance(node, Product) or node.elementwise:
                continue
            for factor, following in itertools.pairwise(node.factors):
                if isinstance(factor, Symbol) and _is_applied(factor, following):
                    applied[factor.key] += 1
    for key, count in applied.items():
        if key not in defined and count == read[key]:
            yield str(key)


def _is_applied(symbol: Symbol, following: Node) -> bool:
    """Whether a letter without time stands before a round bracket, with no sign between."""
    if not isinstance(following, Bracket) or symbol.time is not None or not symbol.key.plain:
        return False
    between = Span(symbol.span.source, symbol.span.end, following.span.start)
    letter = len(symbol.key.base) == 1 and symbol.key.base.islower()
    return letter and following.kind == "(" and _SPACE.fullmatch(between.text) is not None


def _with_functions(document: Document, names: Sequence[str], chosen: Sequence[str]) -> Document:
    """The document with a declaration of every unknown function."""
    text = "".join(f"function {n} = {f}\n" for n, f in zip(names, chosen, strict=True))
    source = Source("<functions of the module>", text)
    formula = Formula(source.span(0, len(text)), Style.GATE)
    return replace(document, formulas=(*document.formulas, formula))


def _functions(module: LoadedModule) -> list[str]:
    """The functions that a module applies, as equations spell them; then the usual ones."""
    spelled = {op: name for name, op in reversed(FUNCTIONS.items())}
    found = [spelled[op] for op in _applied(module.traced.cell)] if module.traced else []
    return list(dict.fromkeys((*found, *_USUAL, "identity")))[:8]


def _applied(cell: Cell) -> Counter[str]:
    """How often each function is applied, unit by unit."""
    spelled = set(FUNCTIONS.values())
    return Counter(
        node.op
        for equation in cell.equations
        for node in nodes(equation.value)
        if isinstance(node, Apply)
        and OPS[node.op].kind is Kind.POINTWISE
        and OPS[node.op].arity == 1
        and node.op in spelled
    )


def _distance(one: Counter[str], other: Counter[str]) -> int:
    return sum(((one - other) + (other - one)).values())


def distance(cell: Cell, module: LoadedModule) -> int:
    """How many functions one applies and the other does not."""
    return _distance(_applied(cell), _applied(module.traced.cell)) if module.traced else 0

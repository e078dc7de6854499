"""What the names of a document are: a table of quantities with their times.

Time is made relative here: a quantity defined at `t+1` and read at `t` is read one step back,
whatever the letters. After this, lag 0 is the current step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from gatec.errors import Diagnostic, Note, Span
from gatec.parse.suggest import nearest
from gatec.parse.vocabulary import SMALL_GREEK
from gatec.resolve import prose
from gatec.resolve.types import Type
from gatec.syntax import (
    Bracket,
    Declaration,
    Equation,
    Function,
    Key,
    Matrix,
    Module,
    Node,
    Number,
    Symbol,
    symbols,
)

INPUT_LETTERS = ("x", "u", "X", "s", "v", "y")
_BOLD = re.compile(r"\\(?:mathbf|mathbfit|boldsymbol|bm|pmb|bf|vec)(?![A-Za-z])")

_MAX_COMPARED = 50_000  # names, in search of similar ones


@dataclass(eq=False)
class Quantity:
    """A name of the document and what is known of it."""

    key: Key
    kind: str  # var | input | param | const | number
    span: Span
    type: Type = field(default_factory=Type)
    offset: int = 0  # of its definition (var) or of its newest use (input)
    lags: set[int] = field(default_factory=set)
    rule: str = ""
    declared: bool = False
    juxtaposed: bool = False
    used: bool = False
    timed: bool = False
    said: int | None = None  # the rank that the text says: W \in \mathbb{R}^{d \times h}
    made: bool = False  # by gatec, not by the text: the whole of a stack

    @property
    def is_step(self) -> bool:
        """`\\Delta t`: the length of a time step."""
        return self.key.base.startswith("Delta_")

    @property
    def greek(self) -> bool:
        """A small Greek letter: by convention a scalar."""
        return self.key.base in SMALL_GREEK or self.is_step

    @property
    def capital(self) -> bool:
        """A capital letter: by convention a matrix."""
        return self.key.base[:1].isupper() and not self.is_step


@dataclass(frozen=True)
class Definition:
    """An equation that counts: one name (or a stack of names) and the right side."""

    names: tuple[Symbol, ...]
    right: Node
    equation: Equation


class Table:
    """Quantities by key, and how a symbol refers to them."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.quantities: dict[Key, Quantity] = {}
        self.functions: dict[Key, Function] = {f.name.key: f for f in module.functions}
        self.definitions: list[Definition] = []
        self.ranks = dict(module.ranks)
        self.initials: dict[Key, tuple[Node, Span]] = {}
        self.diagnostics: list[Diagnostic] = []
        self.passed_over: list[tuple[Equation, str]] = []
        self._conflicts: list[tuple[Definition, Definition]] = []
        self._compared = 0
        self.primed = module.index is None
        self.untimed = _untimed(module)

    # --- definitions ----------------------------------------------------------------------------

    def collect(self) -> None:
        """Fill the table from the module's equations: definitions, then everything they read."""
        candidates = self._candidates()
        chosen = self._without_conflicts(candidates)
        chosen = self._initial_values(chosen)
        if not self.module.strict:
            chosen = prose.connected(self, chosen)
        self._report_conflicts(chosen)
        self.definitions = chosen
        for definition in chosen:
            for symbol in definition.names:
                key, offset = self.defined_key(symbol)
                self._check_free(key, symbol)
                timed = self.is_timed(symbol)
                self.quantities[key] = Quantity(key, "var", symbol.span, offset=offset, timed=timed)
        self._check_offsets()

    def _candidates(self) -> list[Definition]:
        return [Definition(left_names(e.left), e.right, e) for e in self.module.equations]

    def _check_free(self, key: Key, symbol: Symbol) -> None:
        """What is given from outside is not computed."""
        declared = self.quantities.get(key)
        if declared is not None and declared.declared:
            words = {"input": "an input", "param": "a parameter", "const": "a constant"}
            what = words.get(declared.kind, "given")
            self._error(
                "E0402",
                f"'{key}' is declared as {what}, but this equation computes it",
                symbol.span,
                "remove the declaration, or give one of the two another name",
                (Note("it is declared here", declared.span),),
            )

    def defined_key(self, symbol: Symbol) -> tuple[Key, int]:
        """The key a left side defines, and the offset of its time."""
        if self.primed and symbol.key.primes:
            return strip_prime(symbol.key), 0
        return self._apart(symbol), symbol.time or 0

    def _apart(self, symbol: Symbol) -> Key:
        """The key of a name with time, where the same name without is declared to be another."""
        key = symbol.key
        if symbol.time is not None and key in self.untimed:
            return Key(
                key.base, key.accents, (*key.sub, self.module.index or "t"), key.sup, key.primes
            )
        return key

    def is_timed(self, symbol: Symbol) -> bool:
        return symbol.time is not None or (self.primed and symbol.key.primes > 0)

    def _without_conflicts(self, candidates: list[Definition]) -> list[Definition]:
        """One definition per name: equal ones merge, asides and mentions give way."""
        by_key: dict[Key, Definition] = {}
        order: list[Definition] = []
        dropped: set[int] = set()
        for definition in candidates:
            keys = [self.defined_key(symbol)[0] for symbol in definition.names]
            if len(set(keys)) < len(keys):
                self._error(
                    "E0202", "a stack defines one name twice", definition.equation.left.span
                )
            clash = next((by_key[key] for key in keys if key in by_key), None)
            if clash is None:
                by_key.update(dict.fromkeys(keys, definition))
                order.append(definition)
                continue
            same = clash.right == definition.right and clash.names == definition.names
            if same:
                self.passed_over.append((definition.equation, "the same equation stands above"))
            elif self._weaker(definition, clash):
                self.passed_over.append((definition.equation, self._weakness(definition)))
            elif self._weaker(clash, definition):
                self.passed_over.append((clash.equation, self._weakness(clash)))
                dropped.add(id(clash))
                by_key.update(dict.fromkeys(keys, definition))
                order.append(definition)
            else:
                self._conflicts.append((definition, clash))
        return [definition for definition in order if id(definition) not in dropped]

    def _report_conflicts(self, chosen: list[Definition]) -> None:
        """Two right sides for one name are an error, unless the cell needs neither."""
        kept = {id(definition) for definition in chosen}
        for definition, clash in self._conflicts:
            if id(clash) not in kept:
                self.passed_over.append((definition.equation, "the cell does not need it"))
                continue
            self._error(
                "E0202",
                f"'{self.defined_key(definition.names[0])[0]}' is defined twice, with "
                "two different right sides",
                definition.equation.span,
                "keep one of the two"
                if self.module.strict
                else "keep one of the two, or mark the cells: <!-- cell NAME -->",
                (Note("it is defined here first", clash.equation.span),),
            )

    def _weaker(self, one: Definition, other: Definition) -> bool:
        """Whether `one` gives way to `other` in a prose document."""
        if self.module.strict:
            return False
        if one.equation.aside != other.equation.aside:
            return one.equation.aside
        return self._reads_itself(one) and not self._reads_itself(other)

    def _weakness(self, definition: Definition) -> str:
        if definition.equation.aside:
            return "an aside, and the name is defined in the text"
        return "it defines a quantity through itself, and another equation defines it"

    def _reads_itself(self, definition: Definition) -> bool:
        own = {(symbol.key, symbol.time) for symbol in definition.names}
        return any((symbol.key, symbol.time) in own for symbol in symbols(definition.right))

    def _initial_values(self, chosen: list[Definition]) -> list[Definition]:
        """`h_0 = 0` gives a state's initial value."""
        keys = {self.defined_key(symbol)[0] for d in chosen for symbol in d.names}
        kept = []
        for definition in chosen:
            symbol = definition.names[0]
            base = without_zero(symbol.key)
            if (
                len(definition.names) == 1
                and base is not None
                and base in keys
                and (symbol.time is None)
            ):
                self.initials[base] = (definition.right, definition.equation.span)
            else:
                kept.append(definition)
        return kept

    def _check_offsets(self) -> None:
        """One quantity is defined at one time only."""
        for definition in self.definitions:
            times = {symbol.time for symbol in definition.names if symbol.time is not None}
            if len(times) > 1:
                self._error(
                    "E0208",
                    "a stack defines quantities at two times",
                    definition.equation.left.span,
                )

    # --- references -----------------------------------------------------------------------------

    def reference_key(self, symbol: Symbol) -> tuple[Key, int]:
        """The key and the time offset that a symbol on a right side reads."""
        if self.primed and symbol.key.primes:
            return strip_prime(symbol.key), 0
        if self.primed:
            return symbol.key, -1
        return self._apart(symbol), symbol.time or 0

    def lookup(self, symbol: Symbol) -> tuple[Quantity | None, int]:
        """The quantity a symbol reads and its lag (meaningless for parameters)."""
        key, offset = self.reference_key(symbol)
        quantity = self.quantities.get(key)
        if quantity is None:
            return None, 0
        if quantity.kind == "var":
            if self.primed and not quantity.timed:
                return quantity, 0
            if not self.primed and symbol.time is None:
                return quantity, 0  # `r` for `r_t`
            return quantity, quantity.offset - offset
        if quantity.kind == "input":
            if self.primed or symbol.time is None:
                return quantity, -offset if quantity.timed else 0
            return quantity, quantity.offset - symbol.time
        return quantity, 0

    def suggestion(self, key: Key, among: Iterable[Key]) -> str | None:
        """The most similar name, for 'did you mean'; after many of them no more is sought."""
        if self._compared > _MAX_COMPARED:
            return None
        others = [other for other in among if other != key]
        self._compared += len(others)
        # The same letter with other marks: \hat h for \tilde h.
        alike = next((other for other in others if _differs_once(key, other)), None)
        return nearest(str(key), map(str, others), 0.6) or (str(alike) if alike else None)

    def _error(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        notes: tuple[Note, ...] = (),
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, hint, notes))


def _untimed(module: Module) -> set[Key]:
    """The names that stand for two quantities, one with time and one without.

    That is said by a declaration of a constant or a parameter, or by an equation of its own for a
    name without index that the equation with index reads: `a = \\sigma(\\Lambda)`, `a_t = a^{r_t}`;
    of Greek letters and steps by their font, too: `\\boldsymbol{\\tau}_t = \\tau \\sigma(…)`. A
    letter such as h, read without its index, more likely lacks it.
    """
    declared = {
        symbol.key
        for declaration in module.declarations
        if declaration.kind in ("const", "param")
        for symbol in declaration.names
    }
    timed: set[Key] = set()
    bare: set[Key] = set()
    read: set[Key] = set()
    bold: set[Key] = set()  # with an index, in a font
    for equation in module.equations:
        left = left_names(equation.left)
        own = {symbol.key for symbol in left if symbol.time is not None}
        timed |= own
        bare |= {symbol.key for symbol in left if symbol.time is None}
        bold |= {s.key for s in left if s.time is not None and _is_number(s.key) and _is_bold(s)}
        if own:
            read |= {s.key for s in symbols(equation.right) if s.time is None} & own
    if apart := bold & read:  # `\\mathbf r` for `\\mathbf r_t` is one quantity all the same
        apart -= {
            s.key
            for equation in module.equations
            for s in symbols(equation.right)
            if s.key in apart and _is_bold(s) == (s.time is None)
        }
    return (declared & timed) | (bare & read) | apart


def _is_number(key: Key) -> bool:
    """Whether a name without a font is by convention a number: a small Greek letter, a step."""
    return key.base in SMALL_GREEK or key.base.startswith("Delta_")


def _is_bold(symbol: Symbol) -> bool:
    """Whether a name is set as vectors are: `\\mathbf{h}`, `\\boldsymbol{\\Delta t}`."""
    return _BOLD.match(symbol.span.text.lstrip("{")) is not None


def left_names(node: Node) -> tuple[Symbol, ...]:
    """The names of a left side, one or a stack."""
    if isinstance(node, Symbol):
        return (node,)
    if isinstance(node, Bracket):
        return tuple(name for item in node.items for name in left_names(item))
    if isinstance(node, Matrix):
        return tuple(name for row in node.rows for item in row for name in left_names(item))
    return ()


def strip_prime(key: Key) -> Key:
    return Key(key.base, key.accents, key.sub, key.sup, key.primes - 1)


def _differs_once(one: Key, other: Key) -> bool:
    """Whether two names differ in their accents, one of their scripts or their primes alone."""
    parts = ("accents", "sub", "sup", "primes")
    differing = sum(getattr(one, part) != getattr(other, part) for part in parts)
    return one.base == other.base and differing == 1


def without_zero(key: Key) -> Key | None:
    """The key of `h` for `h_0`, `h^{<0>}`; None where there is no zero."""
    if "0" in key.sub:
        return Key(
            key.base, key.accents, tuple(s for s in key.sub if s != "0"), key.sup, key.primes
        )
    if "0" in key.sup:
        return Key(
            key.base, key.accents, key.sub, tuple(s for s in key.sup if s != "0"), key.primes
        )
    return None


__all__ = ["Declaration", "Definition", "Number", "Quantity", "Table", "left_names"]

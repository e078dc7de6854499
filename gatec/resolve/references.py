"""What a name on a right side refers to; a name that no equation defines becomes one.

Where a name is timed and nothing defines it, it is an input, unless it is more likely misspelt;
without time it is a parameter. The newest that is read of an input is its present.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from gatec.errors import Diagnostic, Note
from gatec.parse.vocabulary import MAX_LAG
from gatec.resolve.quantities import INPUT_LETTERS, Quantity, Table
from gatec.syntax import Key, Symbol, symbols

_WORDS = {"param": "parameter", "const": "constant"}


class References:
    """The names of a table's definitions. `report` is told what is wrong with them."""

    def __init__(self, table: Table, report: Callable[[Diagnostic], None]) -> None:
        self.table, self.report = table, report
        self.undefined: set[Key] = set()  # names that were reported as not defined
        self._offsets: dict[Key, list[int]] = {}  # of timed names that no equation defines
        self._survey()

    def find(self, symbol: Symbol) -> tuple[Quantity, int]:
        """The quantity that a symbol reads, and how many steps back."""
        quantity, lag = self.table.lookup(symbol)
        if quantity is None:
            quantity, lag = self._undefined(symbol)
        quantity.used = True
        if quantity.kind in ("var", "input"):
            lag = self._checked(symbol, lag)
            quantity.lags.add(lag)
        elif symbol.time is not None:
            notes = (Note("it is declared here", quantity.span),) if quantity.declared else ()
            self.report(
                Diagnostic(
                    "E0210",
                    f"'{quantity.key}' is a {_WORDS[quantity.kind]}, it has no time",
                    symbol.span,
                    f"write it without the index, or declare `input {quantity.key}`",
                    notes,
                )
            )
        return quantity, lag

    def knows(self, symbol: Symbol) -> bool:
        return self.table.lookup(symbol)[0] is not None

    def _checked(self, symbol: Symbol, lag: int) -> int:
        if lag < 0:
            self.report(
                Diagnostic(
                    "E0209",
                    f"'{symbol.key}' is read at a later time than it is computed",
                    symbol.span,
                    "a recurrent cell reads the present and the past; shift the indices",
                )
            )
            return 1
        if lag > MAX_LAG:
            self.report(
                Diagnostic(
                    "E0508",
                    f"'{symbol.key}' is read {lag} steps back",
                    symbol.span,
                    f"at most {MAX_LAG} steps are kept",
                )
            )
            return 1
        return lag

    # --- names that no equation defines -----------------------------------------------------------

    def _survey(self) -> None:
        """Note every timed use of the names that no equation defines."""
        table = self.table
        primed: dict[Key, Symbol] = {}
        declared = [q for q in table.quantities.values() if q.kind == "input"]
        wanted = {q.key for q in declared}
        for definition in table.definitions:
            for symbol in symbols(definition.right):
                key, offset = table.reference_key(symbol)
                if key in table.quantities and key not in wanted:
                    continue
                if symbol.time is not None:
                    self._offsets.setdefault(key, []).append(offset)
                elif table.primed and symbol.key.primes:
                    primed.setdefault(key, symbol)
        for quantity in declared:
            quantity.timed = quantity.key in primed if table.primed else quantity.timed
            quantity.offset = max([0, *self._offsets.get(quantity.key, ())])
        for key, symbol in primed.items():
            if key not in wanted:
                # x' is the present input, x the one before.
                rule = "primed, and no equation defines it"
                table.quantities[key] = Quantity(key, "input", symbol.span, timed=True, rule=rule)
        self._plain_inputs = not (self._offsets or declared or primed)

    def _undefined(self, symbol: Symbol) -> tuple[Quantity, int]:
        table = self.table
        key, offset = table.reference_key(symbol)
        lag = 0
        if symbol.time is not None or (table.primed and symbol.key.primes):
            self._check_known(symbol, key)
            newest = 0 if table.primed else max([offset, 0, *self._offsets.get(key, ())])
            rule = "timed, and no equation defines it"
            quantity = Quantity(key, "input", symbol.span, offset=newest, timed=True, rule=rule)
            lag = newest - offset
        elif self._plain_inputs and key.plain and key.base in ("x", "u"):
            quantity = Quantity(key, "input", symbol.span, rule="the usual letter of the input")
        else:
            if key.plain and key.base == table.module.index:
                self.report(
                    Diagnostic(
                        "E0211",
                        f"the time index '{key}' is no value",
                        symbol.span,
                        "give the cell an input that counts the steps",
                    )
                )
            rule = "it has no time index and no equation defines it"
            said = table.ranks.get(key)
            quantity = Quantity(key, "param", symbol.span, rule=rule, said=said)
        table.quantities[key] = quantity
        return quantity, lag

    def _check_known(self, symbol: Symbol, key: Key) -> None:
        """Report a timed name that is more likely misspelt than an input."""
        if key in self.table.module.broken:
            return  # its equation has an error of its own
        hint = self._misspelt(key)
        if hint is not None:
            self.undefined.add(key)
            self.report(Diagnostic("E0201", f"'{key}' is not defined", symbol.span, hint))

    def _misspelt(self, key: Key) -> str | None:
        """What to do about a name that is no likely input; None for one that is."""
        table = self.table
        if self._declares_inputs:
            near = table.suggestion(key, table.quantities)
            return f"did you mean '{near}'?" if near else f"define it, or declare `input {key}`"
        similar = table.suggestion(key, self._unread)
        if similar:
            return f"did you mean '{similar}'? Nothing reads that one"
        only_past = all(offset < 0 for offset in self._offsets.get(key, ()))
        others = any(k != key and k.base in INPUT_LETTERS for k in self._offsets)
        if only_past and others and key.base not in INPUT_LETTERS:
            near = table.suggestion(key, table.quantities)
            meant = f"did you mean '{near}'? " if near else ""
            return f"{meant}Nothing defines it at t; if it is an input, say `input {key}`"
        return None

    @cached_property
    def _declares_inputs(self) -> bool:
        return any(q.kind == "input" and q.declared for q in self.table.quantities.values())

    @cached_property
    def _unread(self) -> set[Key]:
        """The computed names that nothing reads."""
        table = self.table
        unread = {q.key for q in table.quantities.values() if q.kind == "var"}
        for definition in table.definitions:
            unread -= {table.reference_key(symbol)[0] for symbol in symbols(definition.right)}
        if table.definitions:
            unread.discard(table.defined_key(table.definitions[-1].names[-1])[0])
        for declaration in table.module.declarations:
            if declaration.kind in ("output", "state"):
                unread -= {name.key for name in declaration.names}
        return unread

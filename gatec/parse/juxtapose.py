"""What stands side by side: application, time index or product.

Which it is depends on the whole document: `\\sigma(…)` is an application, `W(…)` a product,
`x(t)` a time, `Wx` two names unless one name is defined so. This runs after every statement is
parsed and leaves no `Run` in the tree.
"""

from __future__ import annotations

from dataclasses import replace

from gatec.errors import Diagnostic, GatecError, Span
from gatec.ops import FUNCTIONS
from gatec.parse.known import ABBREVIATIONS, LAYERS, Names, is_layer, peel
from gatec.parse.suggest import nearest
from gatec.parse.vocabulary import GREEK, MAX_DEPTH
from gatec.syntax import (
    Bracket,
    Call,
    Cases,
    Comparison,
    Key,
    Matrix,
    Node,
    Norm,
    Number,
    Power,
    Product,
    Quotient,
    Run,
    Sum,
    Symbol,
    Transpose,
    symbols,
)


def _wrap(node: Node, around: list[Node]) -> Node:
    for outer in around:
        if isinstance(outer, Power):
            node = Power(node, outer.exponent, outer.span)
        else:
            node = Transpose(node, outer.span)
    return node


class Juxtaposer:
    """Rewrites trees; collects the errors it finds. `prose`: the text has formulas, not lines."""

    def __init__(self, names: Names, *, prose: bool = False) -> None:
        self.names, self.prose = names, prose
        self.diagnostics: list[Diagnostic] = []
        self._unknown: set[Key] = set()  # functions that were reported

    def left(self, node: Node) -> Node:
        """A left side: names are whole there."""
        if isinstance(node, Symbol):
            return replace(node, whole=True)
        if isinstance(node, Run):
            items = tuple(
                replace(item, whole=True) if isinstance(item, Symbol) else item
                for item in node.items
            )
            return _first_value(items) or self.rewrite(replace(node, items=items))
        return self.rewrite(node)

    def rewrite(self, node: Node) -> Node:
        match node:
            case Number():
                return node
            case Symbol():
                return self._run(Run((node,), frozenset(), node.span))
            case Run():
                return self._run(node)
            case Bracket():
                return replace(node, items=tuple(map(self.rewrite, node.items)))
            case Sum():
                return replace(
                    node, terms=tuple((sign, self.rewrite(term)) for sign, term in node.terms)
                )
            case Product():
                return replace(node, factors=tuple(map(self.rewrite, node.factors)))
            case Quotient():
                return replace(
                    node,
                    numerator=self.rewrite(node.numerator),
                    denominator=self.rewrite(node.denominator),
                )
            case Power():
                return self._power(node)
            case Transpose() | Norm():
                return replace(node, arg=self.rewrite(node.arg))
            case Call():
                return replace(node, args=tuple(map(self.rewrite, node.args)))
            case Matrix():
                return replace(node, rows=tuple(tuple(map(self.rewrite, row)) for row in node.rows))
            case Comparison():
                return replace(node, operands=tuple(map(self.rewrite, node.operands)))
            case Cases():
                return replace(
                    node,
                    branches=tuple(
                        (self.rewrite(value), tuple(self._comparison(c) for c in conditions))
                        for value, conditions in node.branches
                    ),
                )

    def _comparison(self, node: Comparison) -> Comparison:
        return replace(node, operands=tuple(map(self.rewrite, node.operands)))

    def _power(self, node: Power) -> Node:
        base = node.base
        if (
            isinstance(base, Symbol)
            and base.key.plain
            and base.key.base in ("e", "exp")
            and (base.time is None and base.key not in self.names.defined)
        ):
            return Call("exp", (self.rewrite(node.exponent),), node.span, base.span)
        return Power(self.rewrite(base), self.rewrite(node.exponent), node.span)

    # --- runs -----------------------------------------------------------------------------------

    def _run(self, run: Run) -> Node:
        items: list[Node] = []
        dotted: list[bool] = []
        for position, item in enumerate(run.items):
            parts = self._split(item)
            items += parts
            dotted += [position in run.dots] + [False] * (len(parts) - 1)
        factors: list[Node] = []
        position = 0
        while position < len(items):
            node, position = self._item(items, dotted, position, 0)
            factors.append(node)
        if len(factors) == 1:
            return factors[0]
        components = all(
            isinstance(factor, Number) or any(s.component for s in symbols(factor))
            for factor in factors
        )
        return Product(tuple(factors), components, run.span)

    def _item(
        self, items: list[Node], dotted: list[bool], position: int, depth: int
    ) -> tuple[Node, int]:
        """The factor that starts at `position`, and where the next one starts."""
        item = items[position]
        following = items[position + 1] if position + 1 < len(items) else None
        if following is not None and dotted[position + 1]:
            following = None
        bracket, around = peel(following)
        inner, powers = peel(item)
        if isinstance(inner, Symbol) and inner.time is None and isinstance(bracket, Bracket):
            time = self._time(bracket)
            if time is not None and not powers and not self.names.is_function(inner):
                return _wrap(
                    replace(inner, time=time, whole=True, span=inner.span.to(bracket.span)), around
                ), position + 2
        if self.names.is_function(inner):
            assert isinstance(inner, Symbol)
            return self._apply(items, dotted, position, depth)
        if (
            isinstance(inner, Symbol)
            and isinstance(bracket, Bracket)
            and (self.names.looks_like_function(inner))
        ):
            self._unknown_function(inner)
            argument = bracket.items[0] if bracket.items else bracket
            return self.rewrite(argument), position + 2
        if (
            isinstance(item, Symbol)
            and item.key == Key("Delta")
            and item.time is None
            and isinstance(following, Symbol)
            and len(following.key.base) == 1
            and item.key not in self.names.defined
            and self._is_difference(following)
        ):
            # \\Delta t is one name.
            key = replace(following.key, base=f"Delta_{following.key.base}")
            return replace(
                following, key=key, whole=True, span=item.span.to(following.span)
            ), position + 2
        if isinstance(item, Run):
            return self._run(item), position + 1
        if isinstance(item, Symbol):
            return item, position + 1
        return self.rewrite(item), position + 1

    def _is_difference(self, symbol: Symbol) -> bool:
        """Whether `\\Delta x` is one name: of a small letter, or where the text defines it."""
        key = replace(symbol.key, base=f"Delta_{symbol.key.base}")
        return symbol.key.base.islower() or key in self.names.defined

    def _unknown_function(self, symbol: Symbol) -> None:
        if symbol.key in self._unknown:
            return
        self._unknown.add(symbol.key)
        known = [*map(str, self.names.functions), *FUNCTIONS]
        word = symbol.key.base.lower()
        near = nearest(word, known) if len(self._unknown) < 50 else None
        spelled = _spelled(symbol)
        if word in LAYERS:
            self.diagnostics.append(
                Diagnostic(
                    "E0204",
                    f"'{symbol.key}' is a layer, whose parameters have no names here",
                    symbol.span,
                    "write it out, as in W x_t + b; each layer has parameters of its own",
                )
            )
            return
        line = f"${spelled}(z) = \\tanh(z)$" if self.prose else f"function {spelled} = tanh"
        kind = "formula" if self.prose else "line"
        self.diagnostics.append(
            Diagnostic(
                "E0204",
                f"'{symbol.key}' is applied like a function, but is none that gatec knows",
                symbol.span,
                f"did you mean '{near}'? To define it, add a {kind}: {line}"
                if near
                else f"define it in a {kind} of its own: {line}",
            )
        )

    def _apply(
        self, items: list[Node], dotted: list[bool], position: int, depth: int
    ) -> tuple[Node, int]:
        symbol, powers = peel(items[position])
        assert isinstance(symbol, Symbol)
        powers = self._powers(powers, symbol)
        if depth > MAX_DEPTH:
            raise GatecError(
                Diagnostic(
                    "E0501",
                    f"nested more than {MAX_DEPTH} deep",
                    symbol.span,
                    "give the inner part a name with an equation of its own",
                )
            )
        name: str | Key = self.names.builtin(symbol.key) or symbol.key
        start = position + 1
        bracket, around = peel(items[start]) if start < len(items) else (None, [])
        if isinstance(bracket, Bracket) and bracket.items and not dotted[start]:
            arguments = tuple(map(self.rewrite, bracket.items))
            if bracket.kind == "[":
                # `\\sigma[a, x]`: square brackets concatenate, also as an argument.
                arguments = (self.rewrite(bracket),) if len(arguments) > 1 else arguments
            call = Call(name, arguments, symbol.span.to(bracket.span), symbol.span)
            return _wrap(_wrap(call, powers), self._rewrite_around(around)), start + 1
        if start >= len(items):
            return items[position], start  # a bare function: its place decides (stacked gates)
        if self.names.is_function(items[start]):
            argument, stop = self._item(items, dotted, start, depth + 1)
        else:
            stop = start
            while stop < len(items) and not self.names.is_function(items[stop]):
                stop += 1
            dots = frozenset(i - start for i in range(start, stop) if dotted[i] and i > start)
            span = items[start].span.to(items[stop - 1].span)
            argument = self._run(Run(tuple(items[start:stop]), dots, span))
        span = symbol.span.to(argument.span)
        return _wrap(Call(name, (argument,), span, symbol.span), powers), stop

    def _powers(self, powers: list[Node], function: Symbol) -> list[Node]:
        """`\\tanh^2 x` is the square of the value; `\\tanh^{-1}` may mean two things."""
        powers = self._rewrite_around(powers)
        for power in powers:
            if isinstance(power, Power) and _is_minus_one(power.exponent):
                self.diagnostics.append(
                    Diagnostic(
                        "E0113",
                        f"'{_spelled(function)}^{{-1}}' may be the reciprocal or the inverse",
                        function.span.to(power.span),
                        f"write 1 / {_spelled(function)}(…) for the reciprocal",
                    )
                )
        return powers

    def _rewrite_around(self, around: list[Node]) -> list[Node]:
        return [
            replace(node, exponent=self.rewrite(node.exponent)) if isinstance(node, Power) else node
            for node in around
        ]

    def _time(self, bracket: Bracket) -> int | None:
        """The offset where a bracket holds the time index: `(t)`, `[t-1]`."""
        if len(bracket.items) != 1 or self.names.index is None or bracket.kind == "{":
            return None
        inner = bracket.items[0]
        offset = 0
        if isinstance(inner, Sum) and len(inner.terms) == 2 and inner.terms[0][0] == 1:
            sign, term = inner.terms[1]
            number = term.items[0] if isinstance(term, Run) and len(term.items) == 1 else term
            if not isinstance(number, Number) or number.value.denominator != 1:
                return None
            offset = sign * int(number.value)
            inner = inner.terms[0][1]
        if isinstance(inner, Run) and len(inner.items) == 1:
            inner = inner.items[0]
        if isinstance(inner, Symbol) and inner.key.plain and inner.key.base == self.names.index:
            return offset
        return None

    # --- words ----------------------------------------------------------------------------------

    def _split(self, item: Node) -> list[Node]:
        """A word's letters, where the word is no name of its own."""
        inner, around = peel(item)
        if not isinstance(inner, Symbol) or inner.whole:
            return [item]
        word = inner.key.base
        names = self.names
        if (
            inner.key in names.defined
            or word in names.bases
            or inner.key in names.functions
            or names.builtin(Key(word)) is not None
            or not self._is_product(word)
        ):
            return [_wrap(replace(inner, whole=True), around)]
        start = inner.span.start
        source = inner.span.source
        letters: list[Node] = [
            Symbol(
                Key(_letter(char)),
                None,
                True,
                inner.component,
                source.span(start + i, start + i + 1),
            )
            for i, char in enumerate(word[:-1])
        ]
        key = replace(inner.key, base=_letter(word[-1]))
        span = source.span(start + len(word) - 1, inner.span.end)
        letters.append(_wrap(Symbol(key, inner.time, True, inner.component, span), around))
        return letters

    def _is_product(self, word: str) -> bool:
        if not word.isalpha() or len(word) > 3 or (self.names.index or " ") in word:
            return False
        if len(set(word)) < len(word) or is_layer(word) or word in ABBREVIATIONS:
            return False  # nobody writes h squared as hh
        return word[0].isupper() or all(_letter(char) in self.names.letters for char in word)


def _first_value(items: tuple[Node, ...]) -> Symbol | None:
    """`h(0)`: the value before the first step, `h_0`."""
    if len(items) != 2 or not isinstance(items[0], Symbol) or not isinstance(items[1], Bracket):
        return None
    name, bracket = items
    assert isinstance(name, Symbol) and isinstance(bracket, Bracket)
    inner = bracket.items[0] if len(bracket.items) == 1 else None
    while isinstance(inner, Run) and len(inner.items) == 1:
        inner = inner.items[0]
    if not isinstance(inner, Number) or inner.value != 0 or bracket.kind == "{":
        return None
    key = replace(name.key, sub=(*name.key.sub, "0"))
    return replace(name, key=key, span=name.span.to(bracket.span))


def _is_minus_one(node: Node) -> bool:
    while isinstance(node, (Bracket, Run)) and len(node.items) == 1:
        node = node.items[0]
    if isinstance(node, Sum) and len(node.terms) == 1:
        sign, term = node.terms[0]
        while isinstance(term, Run) and len(term.items) == 1:
            term = term.items[0]
        return sign < 0 and isinstance(term, Number) and term.value == 1
    return False


def _letter(char: str) -> str:
    return GREEK.get(char, char)


def _spelled(symbol: Symbol) -> str:
    span: Span = symbol.span
    return " ".join(span.text.split())

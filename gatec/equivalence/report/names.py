"""Names of two compared cells in plain text, in the notation of their specs.

`\\Gamma_{f}` is `Γ_f`, `\\tilde{c}` at t is `c̃_t`. Names of the second cell carry a prime.
"""

from __future__ import annotations

import re
import unicodedata

from gatec.ir import Cell, Constant, Equation, Input, Param, State

_VARIANTS = {"varepsilon": "ε", "varphi": "φ", "vartheta": "ϑ", "ell": "ℓ", "prime": "'"}
_ACCENTS = {
    "tilde": "\u0303",
    "hat": "\u0302",
    "bar": "\u0304",
    "overline": "\u0304",
    "dot": "\u0307",
    "ddot": "\u0308",
    "vec": "\u20d7",
    "check": "\u030c",
    "breve": "\u0306",
    "acute": "\u0301",
    "grave": "\u0300",
    "mathring": "\u030a",
}
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.S)


def plain(symbol: str) -> str:
    """A symbol's LaTeX as plain text: `\\tilde{h}` is `h̃`, `W_{ih}` is `W_ih`."""
    made: list[str] = []
    accent, depth, shown = "", 0, 0
    for token in _TOKEN.findall(symbol):
        word = token[1:] if token.startswith("\\") else ""
        if word in _ACCENTS:
            accent = _ACCENTS[word]
        elif token == "{":
            depth += 1
            if made and made[-1] in ("_", "^"):
                made.append("{")
                shown = depth
        elif token == "}":
            if depth == shown:
                made.append("}")
                shown = 0
            depth -= 1
        else:
            text = _letter(word) if word.isalpha() else word or token
            made.append(text + accent if text.strip() else text)
            accent = accent if not text.strip() else ""
    text = unicodedata.normalize("NFC", "".join(made)).replace(" ", "")
    return re.sub(r"([_^])\{(\w+)\}(?=$|[_^'])", r"\1\2", text)


def _letter(macro: str) -> str:
    """The letter of a macro's name; nothing for a font."""
    if macro in _VARIANTS:
        return _VARIANTS[macro]
    size = "CAPITAL" if macro[0].isupper() else "SMALL"
    name = {"LAMBDA": "LAMDA"}.get(macro.upper(), macro.upper())
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name}")
    except KeyError:
        return ""


def timed(name: str, lag: int) -> str:
    """A name at t - lag: `h_{t-1}`, `Γ_{f,t}`, `h'_t`."""
    time = f"t-{lag}" if lag else "t"
    found = re.search(r"_(\{([^{}]*)\}|\w+)", name)
    if found is None:
        return f"{name}_{{{time}}}" if lag else f"{name}_{time}"
    inner = found.group(2) or found.group(1)
    return f"{name[: found.start()]}_{{{inner},{time}}}{name[found.end() :]}"


_Named = Input | State | Param | Constant | Equation


class Names:
    """The names of one cell. No two quantities have one name; `mark` follows every name."""

    def __init__(self, cell: Cell, mark: str) -> None:
        self.cell, self.mark = cell, mark
        tables: dict[str, tuple[_Named, ...]] = {
            "input": cell.inputs,
            "state": cell.states,
            "param": cell.params,
            "const": cell.constants,
            "var": cell.equations,
        }
        self._plain: dict[tuple[str, str], str] = {}
        for kind, items in tables.items():
            for item in items:
                own = item.name.rstrip("'")  # parameters of the second cell carry a prime already
                self._plain[kind, item.name] = plain(item.symbol) if item.symbol else own
        # A state has the name of the equation that gives its new value: these may meet.
        owners: dict[str, set[str]] = {}
        for (_, name), text in self._plain.items():
            owners.setdefault(text, set()).add(name.rstrip("'"))
        clashing = {text for text, names in owners.items() if len(names) > 1}
        for key, text in self._plain.items():
            if text in clashing or not text:
                self._plain[key] = key[1].rstrip("'")
        self._batched = {equation.name: equation.value.batched for equation in cell.equations}

    def all(self) -> set[str]:
        return set(self._plain.values())

    def of(self, kind: str, name: str, lag: int = 0) -> str:
        """The name of a quantity, with its time index where it has one."""
        text = self._plain.get((kind, name), name)
        is_timed = kind in ("input", "state") or (kind == "var" and self._batched.get(name, True))
        return (timed(text, lag) if is_timed else text) + self.mark

    def bare(self, kind: str, name: str) -> str:
        """The name without a time index."""
        return self._plain.get((kind, name), name) + self.mark

    def call(self, name: str, quantity: str) -> None:
        """Let an input go by the name of a quantity that it stands for."""
        self._plain["input", name] = self._plain["var", quantity]

    def knows(self, kind: str, name: str) -> bool:
        return (kind, name) in self._plain


class Notation:
    """The names of both cells: of `mine` as they are, of `theirs` with a prime (or two)."""

    def __init__(self, mine: Cell, theirs: Cell) -> None:
        """Both cells as `check.prepared` gives them."""
        own = Names(mine, "")
        taken = own.all()
        mark = next(m for m in ("'", "''", "'''", " of the other") if _fits(theirs, m, taken))
        self.mine, self.theirs = own, Names(theirs, mark)

    def names(self, cell: Cell) -> Names:
        """Those of a cell that is one of the two."""
        return self.mine if cell.params == self.mine.cell.params else self.theirs


def _fits(theirs: Cell, mark: str, taken: set[str]) -> bool:
    return not taken & {text + mark for text in Names(theirs, "").all()}

"""What the names of a document are, as far as the text tells before any kind is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from gatec.ops import FUNCTIONS
from gatec.parse.vocabulary import GREEK_NAMES
from gatec.syntax import Bracket, Key, Node, Power, Run, Symbol, Transpose, children

# Single letters that name a function where they are only ever applied.
_FUNCTION_LETTERS = frozenset(
    ["f", "g", "phi", "psi", "rho", "varphi", "sigma", "Phi", "Psi", "tau"]
)

# What papers write for an affine map with parameters of its own; in small letters, `linear` is the
# identity as an activation.
LAYERS = frozenset(["linear", "affine", "dense", "fc", "proj", "projection", "mlp", "ffn"])
# Capitals that stand for what is applied, never for a product of matrices.
ABBREVIATIONS = frozenset(["BN", "NN", "RNN", "GRU", "CNN", "MLP", "FFN"])


@dataclass
class Names:
    """What a document's names are, as far as its left sides and declarations tell."""

    index: str | None
    functions: frozenset[Key] = frozenset()
    defined: set[Key] = field(default_factory=set)
    letters: set[str] = field(default_factory=set)  # single-letter names seen anywhere
    free: dict[Key, bool] = field(default_factory=dict)  # key -> stands somewhere unapplied

    def survey(self, trees: Iterable[Node]) -> None:
        """Note every name of the trees, and which are only ever applied."""
        for tree in trees:
            stack = [tree]
            while stack:
                node = stack.pop()
                if isinstance(node, Run):
                    self._survey_run(node)
                elif isinstance(node, Symbol):
                    self._note(node, applied=False)
                stack.extend(
                    child
                    for child in children(node)
                    if not (isinstance(node, Run) and isinstance(child, Symbol))
                )

    def _survey_run(self, run: Run) -> None:
        for position, item in enumerate(run.items):
            if isinstance(item, Symbol):
                following = run.items[position + 1] if position + 1 < len(run.items) else None
                applied = isinstance(peel(following)[0], Bracket) if following else False
                self._note(item, applied=applied and position + 1 not in run.dots)

    def _note(self, symbol: Symbol, *, applied: bool) -> None:
        if len(symbol.key.base) == 1:
            self.letters.add(symbol.key.base)
        if symbol.time is None:
            self.free[symbol.key] = self.free.get(symbol.key, False) or not applied

    @cached_property
    def bases(self) -> set[str]:
        """The letters of the defined names; asked for once all of them are known."""
        return {key.base for key in self.defined}

    def builtin(self, key: Key) -> str | None:
        """The operator that a name means, unless the document means something else by it."""
        if not key.plain or key in self.defined or key in self.functions:
            return None
        if key.base == "sigma":
            return "sigmoid"
        if key.base == "LN":
            return "layer_norm"
        word = key.base.lower().replace("_", "").replace("-", "").replace(" ", "")
        if len(key.base) == 1 or (word == "ln" and key.base != "ln"):
            return None
        if word in LAYERS and key.base != word:
            return None  # Linear(x) is W x + b
        return FUNCTIONS.get(word)

    def is_function(self, node: Node | None) -> bool:
        inner = node.base if isinstance(node, Power) else node
        return (
            isinstance(inner, Symbol)
            and inner.time is None
            and (inner.key in self.functions or self.builtin(inner.key) is not None)
        )

    def looks_like_function(self, symbol: Symbol) -> bool:
        """An undefined name that is only ever applied, and is no usual name of a quantity."""
        key = symbol.key
        if symbol.time is not None or key in self.defined or self.free.get(key, True):
            return False
        if key.base in GREEK_NAMES or len(key.base) == 1:
            return key.base in _FUNCTION_LETTERS
        named = is_layer(key.base) or key.base in ABBREVIATIONS
        return symbol.whole or len(key.base) > 3 or named


def is_layer(word: str) -> bool:
    """Whether a word without a command around it names a layer; FC may be a product."""
    return len(word) > 2 and word.lower() in LAYERS


def peel(node: Node | None) -> tuple[Node | None, list[Node]]:
    """A node without the powers and transpositions around it, and those, innermost first."""
    around: list[Node] = []
    while isinstance(node, (Power, Transpose)):
        around.append(node)
        node = node.base if isinstance(node, Power) else node.arg
    return node, around[::-1]

"""Random cells as trees, and every way to write them: what two spellings share is the meaning.

`document()` draws equations; `spelled` writes them in a notation of its own, drawn anew for each
call: the form of time, fonts, spaces, brackets, signs, Unicode or LaTeX.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

# Trees of vectors: (kind, *parts).
Tree = tuple[Any, ...]
FUNCTIONS = {
    "tanh": [r"\tanh", "tanh", r"\mathrm{tanh}", r"\operatorname{tanh}", r"\text{tanh}"],
    "sigmoid": [r"\sigma", "σ", "sigmoid", r"\mathrm{sigm}", r"\operatorname{sigmoid}"],
    "softplus": [r"\operatorname{softplus}", r"\mathrm{softplus}", "softplus"],
    "relu": ["ReLU", r"\mathrm{ReLU}", r"\operatorname{relu}"],
}


@dataclass(frozen=True)
class Document:
    """Equations in order: (name, tree). The last one is the state h, the output."""

    equations: tuple[tuple[str, Tree], ...]

    def spelled(self, draw: Draw) -> str:
        """The cell in a notation of its own."""
        return Spelling(draw).document(self)


@st.composite
def document(draw: Draw) -> Document:
    """One to three equations over x, h and each other; every name is used."""
    count = draw(st.integers(0, 2))
    equations: list[tuple[str, Tree]] = []
    known: list[str] = []
    for name in ["z", "g"][:count]:
        equations.append((name, draw(trees(known))))
        known.append(name)
    rest = draw(trees(known))
    read = [("matrix", "V", ("now", "x")), *(("now", name) for name in known)]
    last = ("sum", rest, *read, ("hadamard", ("vector", "w"), ("past", "h")))
    return Document((*equations, ("h", last)))


def trees(known: Sequence[str]) -> st.SearchStrategy[Tree]:
    """Vector-valued trees; every parameter has a name of its own position (made in `Spelling`)."""
    leaves: list[st.SearchStrategy[Tree]] = [
        st.just(("past", "h")),
        st.just(("matrix", "W", ("now", "x"))),
        st.just(("matrix", "U", ("past", "h"))),
        *(st.just(("now", name)) for name in known),
    ]

    def grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        return st.one_of(
            st.tuples(st.just("sum"), inner, inner),
            st.tuples(st.just("difference"), inner, inner),
            st.tuples(st.just("hadamard"), inner, inner),
            st.tuples(st.just("ratio"), inner),
            st.tuples(st.just("call"), st.sampled_from(sorted(FUNCTIONS)), inner),
            st.tuples(st.just("one minus"), inner),
            st.tuples(st.just("scaled"), st.sampled_from(["2", "0.5", "1/2"]), inner),
            st.tuples(st.just("square"), inner),
            st.tuples(st.just("absolute"), inner),
            st.tuples(st.just("larger"), inner, inner),
            st.tuples(st.just("joined"), inner),
            st.tuples(st.just("biased"), inner),
        )

    return st.recursive(st.one_of(leaves), grown, max_leaves=6)


# How tightly a text holds together.
SUM, TERM, RUN, ATOM = range(4)


class Spelling:
    """One notation. `text(tree)` gives the text and how tightly it holds."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.tex = self.pick(True, False)
        forms = ["braces", "angles", "above", "call"]
        self.forms = forms if self.pick(True, False) else [self.pick(*forms)]
        self.shift = self.pick(0, 0, 1) if self.forms[0] != "angles" else 0
        self.letter = self.pick("t", "n", "k")
        self.count = 0

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def document(self, cell: Document) -> str:
        lines = []
        for name, tree in cell.equations:
            sign = self.pick("=", " = ", " =", ":=" if not self.tex else r"\; = \;")
            lines.append(f"{self.timed(name, 0)}{sign}{self.held(tree, SUM)}")
        if self.pick(True, False):
            lines.append(self.pick("output h", "# a comment", "cell Spelled", "% another")
                         if not self.tex else self.pick("output h", "% a comment"))  # fmt: skip
        if self.tex and self.pick(True, False):
            equations = [line for line in lines if "=" in line]
            others = [line for line in lines if "=" not in line]
            body = r" \\ ".join(line.replace("=", "&=", 1) for line in equations)
            name = self.pick("align", "aligned", "align*", "eqnarray")
            lines = [rf"\begin{{{name}}} {body} \end{{{name}}}", *others]
        return "\n".join(lines) + self.pick("", "\n", "\n\n")

    # --- names ------------------------------------------------------------------------------------

    def name(self, base: str) -> str:
        if not self.tex:
            return base
        return self.pick(base, base, rf"\mathbf{{{base}}}", rf"\boldsymbol {base}", rf"{{\bf {base}}}",
                         rf"\mathrm{{{base}}}")  # fmt: skip

    def parameter(self, base: str) -> str:
        """A parameter of its own: numbered in the order of the tree."""
        self.count += 1
        number = str(self.count)
        forms = [f"{base}_{number}" if len(number) == 1 else f"{base}_{{{number}}}",
                 f"{base}_{{{number}}}", f"{{{base}}}_{{{number}}}"]  # fmt: skip
        if self.tex:
            forms += [rf"{self.name(base)}_{{\mathrm{{{number}}}}}", rf"{base} _{{ {number} }}"]
        return self.pick(*forms)

    def timed(self, base: str, lag: int) -> str:
        offset = self.shift - lag
        space = self.pick("", " ")
        minus = self.pick("-", "−")
        index = self.letter
        if offset:
            index += f"{space}{minus if offset < 0 else '+'}{space}{abs(offset)}"
        text = self.name(base)
        form = self.pick(*self.forms)
        if form == "call":
            return f"{text}({index})"
        if form == "above":
            return f"{text}^{{({index})}}"
        if form == "angles":
            angles = (
                self.pick("<%>", r"\langle %\rangle", "⟨%⟩")
                if self.tex
                else self.pick("<%>", "⟨%⟩")
            )
            return f"{text}^{{{angles.replace('%', index)}}}"
        return f"{text}_{{{index}}}"

    # --- expressions ------------------------------------------------------------------------------

    def space(self) -> str:
        return self.pick(" ", "  ", r"\, " if self.tex else " ")

    def bracketed(self, text: str) -> str:
        pairs = [("(", ")"), ("[", "]")]
        if self.tex:
            pairs += [
                (r"\left(", r"\right)"),
                (r"\bigl[", r"\bigr]"),
                (r"\big(", r"\big)"),
                ("{(", ")}"),
            ]
        left, right = self.pick(*pairs)
        return f"{left}{self.pick('', ' ')}{text}{right}"

    def held(self, tree: Tree, level: int) -> str:
        """The tree's text, in brackets where it holds less tightly than it must."""
        text, own = self.text(tree)
        return self.bracketed(text) if own < level or self.pick(*[False] * 6, True) else text

    def text(self, tree: Tree) -> tuple[str, int]:
        made = getattr(self, f"_{tree[0].replace(' ', '_')}")(*tree[1:])
        assert isinstance(made, tuple)
        return made

    def _past(self, base: str) -> tuple[str, int]:
        return self.timed(base, 1), ATOM

    def _now(self, base: str) -> tuple[str, int]:
        return self.timed(base, 0), ATOM

    def _vector(self, base: str) -> tuple[str, int]:
        return self.parameter(base), ATOM

    def _matrix(self, base: str, tree: Tree) -> tuple[str, int]:
        weight = self.parameter(base)
        times = self.pick(" ", " ", r" \cdot " if self.tex else " · ", r"\," if self.tex else " ")
        return f"{weight}{times}{self.held(tree, ATOM)}", RUN

    def _sum(self, *trees: Tree) -> tuple[str, int]:
        return f"{self.space()}+{self.space()}".join(self.held(tree, TERM) for tree in trees), SUM

    def _difference(self, left: Tree, right: Tree) -> tuple[str, int]:
        minus = self.pick("-", "−", "-")
        return f"{self.held(left, TERM)} {minus}{self.space()}{self.held(right, TERM)}", SUM

    def _hadamard(self, left: Tree, right: Tree) -> tuple[str, int]:
        signs = ["*", "⊙", "∘"] + ([r"\odot", r"\circ", r"\ast"] if self.tex else [])
        sign = self.pick(*signs)
        return f"{self.held(left, RUN)} {sign} {self.held(right, RUN)}", TERM

    def _ratio(self, tree: Tree) -> tuple[str, int]:
        """e / (1 + |e|)"""
        count = self.count
        top = self.held(tree, RUN)
        self.count = count  # the same parameters once more
        bottom = f"1 + {self._absolute(tree)[0]}"
        if self.tex and self.pick(True, False):
            fraction = self.pick(r"\frac", r"\dfrac", r"\tfrac")
            return f"{fraction}{{{top}}}{{{bottom}}}", ATOM
        return f"{top} / ({bottom})", TERM

    def _call(self, function: str, tree: Tree) -> tuple[str, int]:
        spellings = [s for s in FUNCTIONS[function] if self.tex or "\\" not in s]
        inner = self.held(tree, SUM)
        return f"{self.pick(*spellings)}{self.pick('', ' ')}{self.bracketed(inner)}", ATOM

    def _one_minus(self, tree: Tree) -> tuple[str, int]:
        one = self.pick("1", r"\mathbf{1}" if self.tex else "1", "1.0")
        return f"{one} {self.pick('-', '−')} {self.held(tree, TERM)}", SUM

    def _scaled(self, number: str, tree: Tree) -> tuple[str, int]:
        spellings = {
            "2": ["2", "2.0"],
            "0.5": ["0.5", ".5", "5e-1"],
            "1/2": [r"\frac12", r"\frac{1}{2}", r"\tfrac 1 2"] if self.tex else ["(1/2)", "0.5"],
        }[number]
        times = self.pick(" ", r" \cdot " if self.tex else " · ")
        return f"{self.pick(*spellings)}{times}{self.held(tree, ATOM)}", RUN

    def _square(self, tree: Tree) -> tuple[str, int]:
        return f"{self.bracketed(self.held(tree, SUM))}{self.pick('^2', '^{2}', '²')}", ATOM

    def _absolute(self, tree: Tree) -> tuple[str, int]:
        pairs = [("|", "|")]
        if self.tex:
            pairs += [(r"\left|", r"\right|"), (r"\lvert ", r"\rvert")]
        left, right = self.pick(*pairs)
        # Bars inside bars are hard to read, for people, too.
        return f"{left}{self.bracketed(self.held(tree, SUM))}{right}", ATOM

    def _larger(self, left: Tree, right: Tree) -> tuple[str, int]:
        function = self.pick(r"\max", r"\max\!") if self.tex else "max"
        separator = self.pick(", ", ",", r",\, " if self.tex else ", ")
        return f"{function}({self.held(left, SUM)}{separator}{self.held(right, SUM)})", ATOM

    def _joined(self, tree: Tree) -> tuple[str, int]:
        weight = self.parameter("W")
        parts = [self.held(tree, SUM), self.timed("x", 0)]
        form = self.pick("[%, %]", "[%; %]", "[ % , % ]")
        if self.tex:
            form = self.pick(form, r"\begin{bmatrix} % \\ % \end{bmatrix}", r"\left[%; %\right]",
                             r"\begin{pmatrix} % \\ % \end{pmatrix}")  # fmt: skip
        for part in parts:
            form = form.replace("%", part, 1)
        return f"{weight}{self.pick('', ' ')}{form}", RUN

    def _biased(self, tree: Tree) -> tuple[str, int]:
        return f"{self.held(tree, TERM)} + {self.parameter('b')}", SUM

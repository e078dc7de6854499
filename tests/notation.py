"""How a random cell is written: spellings of names, time indices, brackets and functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

ELEMENTWISE = ("*", r"\odot", r"\circ", "⊙", "∘")

FUNCTIONS: dict[str, tuple[tuple[str, ...], Callable[[torch.Tensor], torch.Tensor]]] = {
    "tanh": ((r"\tanh", "tanh", r"\mathrm{tanh}", r"\operatorname{tanh}"), torch.tanh),
    "sigmoid": ((r"\sigma", "σ", "sigmoid", r"\mathrm{sigm}"), torch.sigmoid),
    "softplus": ((r"\operatorname{softplus}", r"\mathrm{softplus}"), nn.functional.softplus),
    "sin": ((r"\sin", "sin"), torch.sin),
    "relu": (("ReLU", r"\mathrm{ReLU}", r"\operatorname{relu}"), torch.relu),
    "silu": ((r"\operatorname{SiLU}", r"\mathrm{swish}"), nn.functional.silu),
    "softmax": ((r"\mathrm{softmax}", "softmax"), lambda v: torch.softmax(v, -1)),
    "layer_norm": (
        (r"\mathrm{LayerNorm}", r"\operatorname{LayerNorm}"),
        lambda v: nn.functional.layer_norm(v, v.shape[-1:]),
    ),
}


@dataclass(frozen=True)
class Name:
    """A name: its identifier in generated code, its spellings, and its base's subscript."""

    mangled: str
    spellings: tuple[str, ...]
    sub: str = ""


_NAMES = {
    "h_tilde": (r"\tilde{h}", r"\tilde h", r"\widetilde{\mathbf h}", "h̃"),
    "c_hat": (r"\hat{c}", r"\hat c", r"\hat{\mathbf{c}}", "ĉ"),
}


class Notation:
    """One document's way of writing, drawn once; spellings vary from place to place."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        forms = ["sub", "brace", "angle", "langle", "unicode", "paren", "call", "mixed"]
        style = self.pick(*forms, "shifted", "primed")
        self.primed = style == "primed"
        self.shift = int(style == "shifted")
        self.letter = self.pick("t", "t", "n", "k") if not self.shift else self.pick("n", "t")
        self.forms = {
            "mixed": ["sub", "brace", "angle", "langle", "paren", "call"],
            "shifted": ["brace", "paren"],
        }.get(style, [style])
        self.has_lags = not self.primed
        self.rich = self.pick(False, True)

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    # --- names ----------------------------------------------------------------------------------

    def name(self, mangled: str) -> Name:
        if mangled == "Gamma_f":
            return Name(mangled, (r"\Gamma", "Γ"), "f")
        spellings = _NAMES.get(mangled, (mangled, rf"\mathbf{{{mangled}}}"))
        return Name(mangled, spellings if self.rich else spellings[:1])

    def parameter(self, base: str, number: int) -> Name:
        """A fresh parameter; the number makes it unique."""
        if len(base) > 1:
            greek = {"alpha": "α", "lambda": "λ", "eta": "η"}[base]
            forms = (rf"\{base}_{{{number}}}", f"{greek}_{{{number}}}")
            return Name(f"{base}_{number}", forms)
        tag = self.pick("", "z", "f") + str(number)
        forms = (
            f"{base}_{{{tag}}}",
            rf"\mathbf{{{base}}}_{{{tag}}}",
            rf"{base}_{{\mathrm{{{tag}}}}}",
        )
        if not tag.isdigit() and self.rich:
            forms = (rf"{base}^{{{tag}}}", rf"\boldsymbol{{{base}}}^{{{tag}}}")
        return Name(f"{base}_{tag}", forms)

    def spell(self, name: Name) -> str:
        text = self.pick(*name.spellings) if self.rich else name.spellings[0]
        return text + (f"_{name.sub}" if name.sub else "")

    def timed(self, name: Name, lag: int) -> str:
        """The value `lag` steps ago. Where primes mark what is new, nothing has an index."""
        if self.primed:
            return self.spell(name)
        text = self.pick(*name.spellings) if self.rich else name.spellings[0]
        return self._indexed(text, name.sub, self.shift - lag)

    def current(self, name: Name, primed: bool) -> str:
        """The value of this step; `primed` where the bare name is the previous one."""
        if primed:
            return self.spell(name) + self.pick("'", r"^{\prime}" if self.rich else "'")
        return self.timed(name, 0)

    def _indexed(self, text: str, sub: str, offset: int) -> str:
        index = self.letter
        if offset:
            sign = "+" if offset > 0 else self.pick("-", "-", "−" if self.rich else "-")
            space = self.pick("", " ") if self.rich else ""
            index += f"{space}{sign}{space}{abs(offset)}"
        form = self.pick(*self.forms)
        if form in ("sub", "brace"):
            if sub:
                return f"{text}_{{{sub},{index}}}"
            return f"{text}_{index}" if form == "sub" and not offset else f"{text}_{{{index}}}"
        label = f"_{sub}" if sub else ""
        if form == "call":
            return f"{text}{label}({index})"
        inner = {
            "angle": f"<{index}>",
            "langle": rf"\langle {index} \rangle",
            "unicode": f"⟨{index}⟩",
            "paren": f"({index})",
        }[form]
        above = f"^{{{inner}}}"
        return text + (above + label if sub and self.rich else label + above)

    # --- everything else ------------------------------------------------------------------------

    def bracket(self, text: str) -> str:
        opening, closing = self.pick(
            ("(", ")"), (r"\left(", r"\right)"), (r"\bigl(", r"\bigr)"), ("(", ")")
        )
        return f"{opening}{text}{closing}"

    def call(self, function: str, argument: str) -> str:
        return function + self.bracket(argument)

    def minus(self) -> str:
        return self.pick(" - ", " - ", " − " if self.rich else " - ")

    def concatenation(self, parts: list[str]) -> str:
        form = self.pick("comma", "semicolon", "bmatrix", "pmatrix")
        if form == "comma":
            return f"[{', '.join(parts)}]"
        if form == "semicolon":
            return f"[{'; '.join(parts)}]"
        return rf"\begin{{{form}}} " + r" \\ ".join(parts) + rf" \end{{{form}}}"

    def layout(self, lines: list[str]) -> list[str]:
        """The equations as lines of their own, or aligned in an environment."""
        if not self.rich or self.pick(True, False):
            return lines
        name = self.pick("align", "aligned", "gather*")
        aligned = [line.replace("=", "&=", 1) if name != "gather*" else line for line in lines]
        return [rf"\begin{{{name}}}", *(line + r" \\" for line in aligned), rf"\end{{{name}}}"]

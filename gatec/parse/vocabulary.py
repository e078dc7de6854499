"""What the macros and words of the notation mean, as tables."""

from __future__ import annotations

# Macros that are operators or brackets of the grammar.
MACRO_TYPES: dict[str, str] = {
    **dict.fromkeys(
        ["odot", "circ", "ast", "star", "bullet", "circledast", "bigodot", "cdotp"], "TIMES"
    ),
    **dict.fromkeys(["cdot", "times", "centerdot"], "DOT"),
    **dict.fromkeys(["div", "oslash"], "SLASH"),
    "frac": "FRAC",
    "dfrac": "FRAC",
    "tfrac": "FRAC",
    "cfrac": "FRAC",
    "nicefrac": "FRAC",
    "sfrac": "FRAC",
    "sqrt": "SQRT",
    **dict.fromkeys(["lvert", "vert", "mid", "rvert", "lVert", "Vert", "rVert"], "BAR"),
    **dict.fromkeys(["le", "leq", "leqslant", "ge", "geq", "geqslant", "lt", "gt"], "COMPARE"),
    **dict.fromkeys(
        ["coloneqq", "triangleq", "equiv", "leftarrow", "gets", "doteq", "eqdef", "defeq"], "EQUALS"
    ),
    "langle": "OPENANGLE",
    "rangle": "CLOSEANGLE",
    "lbrace": "LSET",
    "rbrace": "RSET",
    "lbrack": "LSQB",
    "rbrack": "RSQB",
    "colon": "COLON",
    "lparen": "LPAR",
    "rparen": "RPAR",
    **dict.fromkeys(
        [
            "underbrace",
            "overbrace",
            "underset",
            "overset",
            "underbracket",
            "overbracket",
            "stackrel",
        ],
        "BRACED_OVER",
    ),
    **dict.fromkeys(["dots", "ldots", "cdots", "vdots", "ddots"], "DOTS"),
    **dict.fromkeys(["land", "wedge"], "AND"),
}

# Commands of templates that set one letter in a font: \vx, \mW, \rvh, \bfW, \bh.
_FONT_PREFIXES = ("v", "m", "rv", "rm", "b", "bf", "bm", "mb", "bs", "vec", "mat")


def letter_in_font(name: str) -> str | None:
    """The letter of a command that sets it in a font, as templates of conferences define them."""
    for prefix in _FONT_PREFIXES:
        letter = name.removeprefix(prefix)
        if letter != name and (len(letter) == 1 or letter in GREEK_NAMES):
            return letter
    return None


ACCENTS: dict[str, str] = {
    "tilde": "tilde", "widetilde": "tilde", "hat": "hat", "widehat": "hat", "bar": "bar",
    "overline": "bar", "dot": "dot", "ddot": "ddot", "check": "check", "breve": "breve",
    "acute": "acute", "grave": "grave", "mathring": "ring",
}  # fmt: skip

COMBINING: dict[str, str] = {
    "\u0303": "tilde", "\u0302": "hat", "\u0304": "bar", "\u0305": "bar", "\u0307": "dot",
    "\u0308": "ddot", "\u030c": "check", "\u0306": "breve", "\u0301": "acute", "\u0300": "grave",
    "\u030a": "ring",
}  # fmt: skip

_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta",
    "iota", "kappa", "lambda", "mu", "nu", "xi", "omicron", "pi",
    "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)  # fmt: skip
_LETTERS = "αβγδεζηθικλμνξοπρστυφχψω"
GREEK: dict[str, str] = {
    **dict(zip(_LETTERS, _GREEK, strict=True)),
    **{letter.upper(): name.capitalize() for letter, name in zip(_LETTERS, _GREEK, strict=True)},
    "ς": "varsigma",
    "ϑ": "theta",
    "ϕ": "phi",
    "ϵ": "epsilon",
    "∂": "partial",
    "∇": "nabla",
    "∆": "Delta",
    "∞": "infty",
}
GREEK_NAMES = frozenset(GREEK.values())
_VARIANTS = ("varepsilon", "vartheta", "varkappa", "varrho", "varsigma", "varphi")
SMALL_GREEK = frozenset([*_GREEK, *_VARIANTS])
CAPITAL_GREEK = frozenset(name.capitalize() for name in _GREEK)

CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LSET": "RSET", "LBRACE": "RBRACE"}
OPENERS = {close: start for start, close in CLOSERS.items()}
MATRIX_ENVIRONMENTS = frozenset(
    ["matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "smallmatrix", "array", "psmallmatrix"]
)
CASES_ENVIRONMENTS = frozenset(["cases", "dcases", "rcases", "drcases"])

KEYWORDS: dict[str, str] = {
    "cell": "KEY_CELL",
    "input": "KEY_INPUT",
    "inputs": "KEY_INPUT",
    "state": "KEY_STATE",
    "states": "KEY_STATE",
    "output": "KEY_OUTPUT",
    "outputs": "KEY_OUTPUT",
    "param": "KEY_PARAM",
    "params": "KEY_PARAM",
    "parameter": "KEY_PARAM",
    "parameters": "KEY_PARAM",
    "const": "KEY_CONST",
    "constant": "KEY_CONST",
    "size": "KEY_SIZE",
    "sizes": "KEY_SIZE",
    "function": "KEY_FUNCTION",
    "init": "KEY_INIT",
}
# A declaration of each kind, as a hint shows it.
EXAMPLES: dict[str, str] = {
    "cell": "cell LSTM",
    "input": "input x",
    "state": "state h = 0",
    "output": "output h",
    "param": "param U : n_h x n_x",
    "const": r"const \gamma = 0.01",
    "size": "size k = 16",
    "function": "function f(z) = …",
    "init": "init U = orthogonal",
}
# What a person reads for a token type in "expected …".
DESCRIPTIONS: dict[str, str] = {
    "NAME": "a name",
    "NUMBER": "a number",
    "EQUALS": "'='",
    "SIGN": "'+' or '-'",
    "TIMES": "'*'",
    "SLASH": "'/'",
    "RPAR": "')'",
    "RSQB": "']'",
    "RSET": "'\\}'",
    "RBRACE": "'}'",
    "COMMA": "','",
    "COLON": "':'",
    "LBRACE": "'{'",
    "BAR_CLOSE": "'|'",
    "END_MATRIX": "\\end of the matrix",
    "END_CASES": "\\end{cases}",
    "$END": "the end of the line",
}
OPERATORS = frozenset(["SIGN", "TIMES", "DOT", "SLASH", "EQUALS", "COMPARE"])
MAX_DEPTH = 200
MAX_DIGITS = 64
MAX_EQUATIONS = 10_000
MAX_POWER = 64
MAX_EXPONENT = 400  # of numbers
MAX_MARKS = 16  # on one name
MAX_LAG = 1_000

# Signs that papers use with more than one meaning, or for what gatec does not compile: better
# said than taken for a name. Each with what to write.
_SUMS = r"write sums over units as products: W x, u^\top v, \operatorname{sum}(v)"
_RELATION = (
    "an equation has '=' between a name and an expression; cases have <, >, \\le, \\ge and ="
)
REFUSED: dict[str, str] = {
    **dict.fromkeys(
        [r"\oplus", "⊕"], "write + for a sum, [a; b] for a concatenation"
    ),
    **dict.fromkeys(
        [r"\otimes", "⊗"],
        r"write \odot for the element-wise product, u v^\top for the outer product",
    ),
    **dict.fromkeys([r"\ominus", "⊖"], "write -"),
    **dict.fromkeys([r"\sum", r"\prod", r"\int", "∑", "∏", "∫"], _SUMS),
    **dict.fromkeys(
        [r"\in", r"\notin", r"\sim", r"\approx", r"\propto", r"\simeq", r"\cong", r"\to",
         r"\neq",
         r"\ne", r"\rightarrow", r"\Rightarrow", r"\longrightarrow", r"\mapsto", r"\implies",
         r"\iff",
         r"\Leftrightarrow", r"\leftrightarrow", r"\forall", r"\exists", r"\subset", r"\subseteq",
         r"\ll", r"\gg", r"\perp", r"\parallel", "∈", "∉", "∼", "≈", "∝", "→", "⇒", "↦", "⇔", "↔",
         "∀", "∃", "⊂", "⊆", "≠", "≫", "≪"],
        _RELATION,
    ),
    **dict.fromkeys([r"\pm", r"\mp", "±", "∓"], "write one equation with + and one with -"),
    **dict.fromkeys([r"\partial", "∂"], "write the derivative's formula; gatec derives gradients"),
    **dict.fromkeys(
        [r"\lfloor", r"\rfloor", r"\lceil", r"\rceil", "⌊", "⌋", "⌈", "⌉"],
        "rounding has no derivative: give the cell an input, or use \\operatorname{sign}",
    ),
    **dict.fromkeys(
        [r"\argmax", r"\argmin", r"\lim", r"\sup", r"\inf", r"\det", r"\Pr"],
        "use the functions that README.md lists, or define one: `function f(z) = …`",
    ),
    **dict.fromkeys(
        [r"\cup", r"\cap", r"\vee", r"\lor", r"\neg", r"\lnot", r"\setminus", "∪", "∩", "∨",
         "¬"],
        "conditions of cases are joined with `and`",
    ),
}  # fmt: skip

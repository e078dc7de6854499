"""A name as LaTeX."""

from __future__ import annotations

from gatec.syntax import Key

_GREEK_SET = frozenset(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho "
    "sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi "
    "Omega ell".split()
)


def latex(key: Key) -> str:
    """The name without its time index, as LaTeX mathematics."""
    base = key.base
    if base in _GREEK_SET:
        text = "\\" + base
    elif base.startswith("Delta_"):
        text = "\\Delta " + base[6:]
    elif len(base) == 1:
        text = base
    else:
        text = "\\mathrm{" + base.replace("_", "\\_") + "}"
    for accent in key.accents:
        macro = {"ring": "mathring"}.get(accent, accent)
        text = f"\\{macro}{{{text}}}"
    if key.sub:
        text += "_{" + ", ".join(_label(part) for part in key.sub) + "}"
    if key.sup:
        text += "^{(" + ", ".join(_label(part) for part in key.sup) + ")}"
    return text + "'" * key.primes


def _label(text: str) -> str:
    if text in _GREEK_SET:
        return "\\" + text
    if len(text) <= 2 or text.isdigit():
        return text
    return "\\mathrm{" + text.replace("_", "\\_") + "}"

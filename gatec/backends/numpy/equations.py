"""Equations as statements: each under the equation it came from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from gatec.backends import text
from gatec.backends.python import Printer, Used
from gatec.backends.python.cell import Helpers, references
from gatec.expr import Ref, Shape
from gatec.ir import Equation, Phase

UNTIMED = (Phase.ONCE, Phase.FINAL)


class Scope:
    """One function: its printers share what they use."""

    def __init__(self, helpers: Helpers) -> None:
        self.helpers, self.used = helpers, Used()
        self.numbers: set[str] = set()

    def printer(self, name: Callable[[Ref], str], *lead: str) -> Printer:
        """A printer for values with these leading dimensions."""
        library = self.helpers.library
        return Printer(library, name, lead, self.used, self.helpers, self.numbers)

    def statements(
        self,
        equations: Iterable[Equation],
        printer: Printer,
        *,
        stored: Collection[str] = (),
        target: Callable[[Equation], str] = lambda equation: equation.name,
    ) -> list[str]:
        """A statement per equation. Values that are `stored` broadcast to the array they go to."""
        lines: list[str] = []
        for equation in equations:
            if equation.text:
                lines += text.python_comment(equation.text, 4 * len(printer.lead))
            value = equation.value
            printed = printer.value(value)
            if equation.name in stored:
                code = printed.code
            elif printed.number and not value.shape and not value.batched:
                self.numbers.add(equation.name)
                code = printed.code
            else:
                code = printer.whole(value)
            lines.append(f"{target(equation)} = {code}")
        return lines


def params_of(equations: Iterable[Equation]) -> set[str]:
    """The parameters that equations read."""
    return {ref.name for ref in references(equations) if ref.kind == "param"}


def arrays(found: Iterable[tuple[str, Shape]], printer: Printer, dtype: str) -> list[str]:
    """Lines that allocate arrays over the sequence, those of one shape together."""
    groups: dict[Shape, list[str]] = {}
    for name, shape in found:
        groups.setdefault(shape, []).append(name)
    lines = []
    for shape, names in groups.items():
        size = printer.shape(shape, batched=True)
        if len(names) > 1:
            size = f"({len(names)}, {size[1:]}"
        lines.append(f"{', '.join(names)} = np.empty({size}, {dtype})")
    return lines


def section(comment: str, lines: list[str]) -> list[str]:
    """Lines under a comment; nothing where there are none."""
    return ["", f"# {comment}", *lines] if lines else []


def indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def one(names: list[str]) -> str:
    """One thing bare, several as a tuple."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"

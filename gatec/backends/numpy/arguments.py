"""What the generated functions are given, and what they find out about it first.

Sizes are read from the shapes of the parameters, else from those of the inputs; a size that
neither tells is a keyword argument, as every constant is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gatec.backends.numpy.sizes import Solved, Source, quoted, solve
from gatec.backends.python import number_text
from gatec.backends.python.cell import Locals
from gatec.expr import Shape
from gatec.ir import Cell, Input, State


class Arguments:
    """The arguments of one module's functions, and the names that are local to all of them."""

    def __init__(self, plan: Cell, local: Locals) -> None:
        self.plan, self.local = plan, local
        self.T, self.B, self.t, self.dtype = (local(name) for name in ("T", "B", "t", "dtype"))
        self.inputs = [item.name for item in plan.inputs]
        names = plan.size_names
        params = [Source(f'params["{p.name}"]', p.shape) for p in plan.params]
        self.by_params = solve(names, params)
        self.told = [name for name in names if name in {s.name for s in self.by_params}]
        inputs = [Source(item.name, item.shape) for item in plan.inputs]
        by_inputs = {solved.name for solved in solve(names, inputs, self.told)}
        self.untold = [name for name in names if name not in {*self.told, *by_inputs}]

    # --- Heads and calls ------------------------------------------------------------------------

    def head(self, name: str, *more: str) -> str:
        """The head of a public function; constants and untold sizes are its keywords."""
        keywords = [f"{c.name}={number_text(c.value)}" for c in self.plan.constants]
        defaults = {size.name: size.default for size in self.plan.sizes}
        keywords += [f"{n}={defaults[n]}" if n in defaults else n for n in self.untold]
        if keywords:
            keywords.insert(0, "*")
        return f"def {name}({', '.join(['params', *self.inputs, *more, *keywords])}):"

    def keyword_words(self) -> str:
        """What the keywords are, for a docstring; empty where there are none."""
        names = [constant.name for constant in self.plan.constants]
        sentences = [f"Constants of the equations: {', '.join(names)}."] if names else []
        if self.untold:
            sentences.append(f"Sizes: {', '.join(self.untold)}.")
        return " ".join(sentences)

    def call(self, name: str) -> str:
        """The head or a call of a private function that takes the same by position."""
        constants = [constant.name for constant in self.plan.constants]
        arguments = ["params", *self.inputs, "state", *constants, *self.untold]
        return f"{name}({', '.join(arguments)})"

    # --- What functions open with ---------------------------------------------------------------

    def opening(self, lead: Sequence[str], body: Sequence[str]) -> list[str]:
        """Sizes, as far as `body` needs them, and checks of the inputs.

        `lead` are the leading dimensions of inputs.
        """
        lines, known, used = list[str](), [*self.told, *self.untold], names_in(body)
        for position, item in enumerate(self.plan.inputs):
            dims = [quoted(dim, known) for dim in item.shape]
            first = lead if position else [f'"{dim}"' for dim in lead]
            lines.append(f"_check({', '.join([_string(item.name), item.name, *first, *dims])})")
            if not position:
                lines.append(self.leading(lead))
            told = self._told_by(item, known, len(lead))
            later = {
                n for i in self.plan.inputs[position + 1 :] for d in i.shape for n, _ in d.terms
            }
            lines += [f"{s.name} = {s.code}" for s in told if s.name in used | later]
            known += [solved.name for solved in told]
        sizes = self.sizes(used | names_in(lines)) or (["_sizes(params)"] if self.told else [])
        return [*self._defaults(), *sizes, *lines]

    def reopening(self, body: Sequence[str]) -> list[str]:
        """The sizes that `body` needs, of what has been checked."""
        needed = names_in(body)
        lines, known = [*self._defaults(), *self.sizes(needed)], [*self.told, *self.untold]
        for item in self.plan.inputs:
            told = self._told_by(item, known, 2)
            lines += [f"{solved.name} = {solved.code}" for solved in told if solved.name in needed]
            known += [solved.name for solved in told]
        return lines

    def leading(self, lead: Sequence[str]) -> str:
        """The leading dimensions by name."""
        x = self.inputs[0]
        if len(lead) == 1:
            return f"{lead[0]} = len({x})"
        return f"{', '.join(lead)} = {x}.shape[:{len(lead)}]"

    def sizes(self, needed: Iterable[str]) -> list[str]:
        """The sizes that parameters tell; `_` for those that are not needed."""
        wanted = set(needed)
        if not wanted & set(self.told):
            return []
        names = [name if name in wanted else "_" for name in self.told]
        return [f"{', '.join(names)} = _sizes(params)"]

    def dtype_line(self) -> str:
        """The data type of everything that is computed."""
        others = ["*params.values()"] if self.plan.params else []
        # With a floating type among them: whole numbers are no reason to compute with integers.
        found = ", ".join(["np.float32", *self.inputs, *others])
        return f"{self.dtype} = np.result_type({found})"

    def _told_by(self, item: Input, known: Sequence[str], lead: int) -> list[Solved]:
        return solve(self.plan.size_names, [Source(item.name, item.shape, lead)], known)

    def _defaults(self) -> list[str]:
        """Sizes that are those of the hidden state unless given."""
        return [
            f"{size.name} = hidden_size if {size.name} is None else {size.name}"
            for size in self.plan.sizes
            if size.default is None and size.name in self.untold
        ]


def size_names(cell: Cell, shapes: Iterable[Shape]) -> list[str]:
    """The sizes that shapes are made of, in the order of the interface."""
    used = {name for shape in shapes for dim in shape for name, _ in dim.terms}
    return [name for name in cell.size_names if name in used]


def words(shape: Shape, *lead: str) -> str:
    """A shape for docstrings: `(T, B, hidden_size)`."""
    return f"({', '.join([*lead, *map(str, shape)])})"


def named_words(items: Iterable[Input | State], *lead: str) -> str:
    """Names and shapes for docstrings: `a (B, hidden_size), c (B, hidden_size)`."""
    return ", ".join(f"{item.name} {words(item.shape, *lead)}" for item in items)


_WORD = re.compile(r"(?<![\w.\"])[A-Za-z_]\w*")


def names_in(lines: Iterable[str]) -> set[str]:
    """The names that code reads, comments, attributes and strings apart."""
    code = (line for line in lines if not line.lstrip().startswith("#"))
    return {name for line in code for name in _WORD.findall(line)}


def _string(text: str) -> str:
    return f'"{text}"'

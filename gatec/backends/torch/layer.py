"""One layer in one direction, as statements: what the equations become.

What reads parameters or inputs alone stands before the loop, for all steps at once; the step is
a function of the state and of that step's rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatec.backends import text
from gatec.backends.python import Printer, Used, shape_tuple
from gatec.backends.python.cell import Locals
from gatec.backends.python.lines import statements
from gatec.backends.torch.library import Torch
from gatec.backends.torch.pieces import Assignment, assignments
from gatec.backends.torch.printer import TorchPrinter
from gatec.expr import Dim, Ref
from gatec.ir import Phase, Program, State

# How deep the statements of a layer and of its step stand in the template.
LAYER_INDENT, STEP_INDENT = 8, 12
# What the template calls its own things, wherever the cell has no such name.
WORDS = ("weights", "steps", "batch", "reverse")


@dataclass(frozen=True)
class Layer:
    """The statements of a layer, in the order in which they stand in the module.

    names    what the template calls its own things there
    opening  sizes and parameters by their names
    initial  the state before the first step, where none is given
    before   what reads parameters or inputs alone
    rows     the names of what the step reads of the sequences
    step     the step, from the state's names to what it returns
    last     the run of the step over the rows
    """

    names: dict[str, str]
    opening: list[str]
    initial: list[str]
    before: list[str]
    rows: list[str]
    step: list[str]
    last: list[str]


def layer(program: Program) -> Layer:
    """The statements of one layer of the program's cell."""
    return _Writer(program).layer()


class _Writer:
    def __init__(self, program: Program) -> None:
        self.plan = program.plan
        self.local = Locals(program)
        self.words = {*WORDS, "rows"}
        self.assignments = assignments(self.plan, self.fresh)
        self.phases = {name: a.equation.phase for a in self.assignments for name in a.names}
        self.x = self.plan.inputs[0].name
        self.library = Torch(self.x)
        self.sizes: set[str] = set()
        self.numbers: set[str] = set()  # equations whose values are Python numbers
        self.read: set[str] = set()  # what the step reads of the sequences
        self.used: set[str] = set()  # parameters and states that are read at all

    def layer(self) -> Layer:
        names = {word: self.local(word) for word in WORDS}
        before, step, initial = self.before(), self.step(), self.initial()
        order = [i.name for i in self.plan.inputs]
        order += [name for item in self.assignments for name in item.names]
        rows = [name for name in order if name in self.read]
        arguments = ["step", "state", names["steps"], names["reverse"], *rows]
        return Layer(
            names,
            statements(self.opening(), LAYER_INDENT),
            statements(initial, LAYER_INDENT + 4),
            statements(before, LAYER_INDENT),
            rows,
            statements(step, STEP_INDENT),
            statements([f"return _scan({', '.join(arguments)})"], LAYER_INDENT),
        )

    def fresh(self, word: str) -> str:
        """A new name each time, made of the word."""
        new, count = word, 2
        while new in self.words:
            new, count = f"{word}_{count}", count + 1
        self.words.add(new)
        return self.local(new)

    def opening(self) -> list[str]:
        lines = []
        for name in self.plan.size_names:
            if name in self.sizes:
                where = f"{self.x}.shape[-1]" if name == "input_size" else f"self.{name}"
                lines.append(f"{name} = {where}")
        names = [self.unpacked(param.name) for param in self.plan.params]
        if names:
            lines.append(f"{_targets(names)} = {self.local('weights')}")
        return lines

    def initial(self) -> list[str]:
        values = [self.initial_value(state) for state in self.plan.states]
        batch = f"{self.local('batch')} = _batch({self.local('steps')}, {self.x})"
        return [batch, f"state = ({_unpacked(values)})"]

    def initial_value(self, state: State) -> str:
        lead = self.local("batch")
        shape = ", ".join([lead, *(self.size(dim) for dim in state.shape)])
        if state.initial.param is not None:
            self.used.add(state.initial.param)
            return f"{state.initial.param}.expand({shape})"
        if not state.initial.value:
            return f"{self.x}.new_zeros({shape})"
        whole = shape_tuple([lead, *map(str, state.shape)])
        return f"{self.x}.new_full({whole}, {float(state.initial.value)})"

    def size(self, dim: Dim) -> str:
        self.sizes.update(name for name, _ in dim.terms)
        return str(dim)

    # --- Equations ----------------------------------------------------------------------------

    def before(self) -> list[str]:
        """The equations that stand before the loop, in two paragraphs."""
        once = self.paragraph(Phase.ONCE, self.printer(()))
        printer = self.printer((self.local("rows"),))
        sequence = self.paragraph(Phase.SEQUENCE, printer)
        self.sizes |= printer.used.sizes
        if printer.used.lead:
            sequence.insert(0, f"{self.local('rows')} = {self.x}.shape[0]")
        lines = ["# Parameters alone.", *once] if once else []
        if sequence:
            lines += [""] * bool(lines)
            lines += ["# Inputs alone: the rows of all steps at once.", *sequence]
        return lines

    def step(self) -> list[str]:
        printer = self.printer((self.local("rows"),), step=True)
        first = f"{self.plan.states[0].name}_prev"
        lines = self.paragraph(Phase.STEP, printer)
        new = [self.result(state.update, printer) for state in self.plan.states]
        output = self.result(self.plan.output, printer)
        self.sizes |= printer.used.sizes
        if printer.used.lead:
            lines.insert(0, f"{self.local('rows')} = {first}.shape[0]")
            self.used.add(first)
        states = [self.unpacked(f"{state.name}_prev") for state in self.plan.states]
        opening = f"{_targets(states)} = state"
        return [opening, *lines, f"return {output}, ({_unpacked(new)})"]

    def result(self, name: str, printer: Printer) -> str:
        return printer.whole(self.plan.equation(name).ref, batched=True)

    def paragraph(self, phase: Phase, printer: Printer) -> list[str]:
        """The statements of a phase, each below the equation that it comes from."""
        lines: list[str] = []
        indent = STEP_INDENT if phase is Phase.STEP else LAYER_INDENT
        above = ""  # one text may give several equations
        for item in self.assignments:
            if item.equation.phase is phase:
                if item.equation.text != above:
                    lines += text.python_comment(item.equation.text, indent)
                above = item.equation.text
                lines.append(self.statement(item, printer))
        self.sizes |= printer.used.sizes
        return lines

    def statement(self, item: Assignment, printer: Printer) -> str:
        value = item.equation.value
        if item.sizes:
            sizes = [printer.size(size) for size in item.sizes]
            each = sizes[0] if len(set(sizes)) == 1 else f"[{', '.join(sizes)}]"
            split = f"torch.split({printer.whole(value)}, {each}, dim={item.axis})"
            return f"{', '.join(item.names)} = {split}"
        (name,) = item.names
        printed = printer.value(value)
        if printed.number and not value.shape:
            self.numbers.add(name)
            return f"{name} = {printed.code}"
        return f"{name} = {printer.whole(value)}"

    def unpacked(self, name: str) -> str:
        """A name that a tuple is unpacked to, marked where nothing reads it."""
        return name if name in self.used else f"_{name}"

    # --- Names --------------------------------------------------------------------------------

    def printer(self, lead: tuple[str, ...], step: bool = False) -> Printer:
        name = self.inside if step else self.outside
        return TorchPrinter(self.library, name, lead, Used(), _no_helper, self.numbers)

    def outside(self, ref: Ref) -> str:
        """A reference before the loop, where sequences are all their rows."""
        self.used.add(ref.name)
        return f"self.{ref.name}" if ref.kind == "const" else ref.name

    def inside(self, ref: Ref) -> str:
        """A reference in the step, where sequences are that step's rows."""
        if ref.kind == "state":
            self.used.add(f"{ref.name}_prev")
            return f"{ref.name}_prev"
        sequence = ref.kind == "var" and self.phases[ref.name] is Phase.SEQUENCE
        if ref.kind != "input" and not sequence:
            return self.outside(ref)
        self.read.add(ref.name)
        return f"{ref.name}_t"


def _unpacked(names: list[str] | tuple[str, ...]) -> str:
    """Names or values as a tuple without brackets."""
    return ", ".join(names) + ("," if len(names) == 1 else "")


def _targets(names: list[str]) -> str:
    """Names that a tuple is unpacked to."""
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)


def _no_helper(op: str, rank: int) -> str:
    raise KeyError(f"PyTorch has no {op}")

"""What the bodies of `forward` and `backward` have in common: phases become calls and kernels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gatec.backends.c_family import sharing
from gatec.backends.c_family.dialect import Dialect
from gatec.backends.c_family.groups import tasks
from gatec.backends.c_family.indices import count_text, product
from gatec.backends.c_family.interface import Interface
from gatec.backends.c_family.kernels import Kernels
from gatec.backends.c_family.lines import indented
from gatec.backends.c_family.parts import Parts
from gatec.backends.c_family.scan import Scans
from gatec.backends.c_family.statements import Statement, Target, folded, grouped, statements
from gatec.backends.c_family.storage import Scope, Slots, Storage
from gatec.backends.c_family.tasks import Call, Place, Task
from gatec.expr import Concat, Expr, Ref, Shape
from gatec.ir import Equation, Phase, Program, State
from gatec.passes.common import refs

# The phases whose sums over rows grow chunk by chunk.
CHUNKED = (Phase.SEQUENCE, Phase.AFTER)


@dataclass(frozen=True)
class Module:
    """What the functions of one generated file share."""

    program: Program
    interface: Interface
    dialect: Dialect
    storage: Storage
    kernels: Kernels
    # Forward equations that the way back reads.
    kept: frozenset[str]
    # The recurrences along time that threads can share.
    scans: Scans | None = None
    # The columns and terms of forward's products with matrices in panels.
    products: list[tuple[str, str]] = field(default_factory=list)
    # Those of a step among them.
    step_products: list[tuple[str, str]] = field(default_factory=list)


class Body(ABC):
    """The body of one function."""

    backward: bool

    def __init__(self, module: Module, equations: Iterable[Equation]) -> None:
        self.module = module
        self.plan = module.program.plan
        self.local = module.interface.local
        self.storage, self.dialect = module.storage, module.dialect
        self.equations = {equation.name: equation for equation in equations}
        self.readers: Counter[str] = Counter()
        self.reading_phases: dict[str, set[Phase]] = {}
        for equation in self.equations.values():
            for name in {ref.name for ref in refs(equation.value, "var")}:
                self.readers[name] += 1
                self.reading_phases.setdefault(name, set()).add(equation.phase)
        # What is read by code that no phase's loops are part of.
        self.read_outside: set[str] = set()
        # Declarations outside of the loop over time, for a chunk of steps, and for a step.
        self.outer, self.middle, self.inner = Scope(), Scope(), Scope()
        self.parts: Parts | None = None
        self.packs: dict[tuple[str, ...], str] = {}
        self.row_panels: dict[str, str] = {}  # by the number of columns
        self.filled: dict[str, str] = {}  # biases by name: where they lie with zeros if absent
        self.optional = {param.name for param in self.plan.params if param.bias}
        # Where the pointers of a step point to; the places of arrays, as they are written.
        self.places: dict[str, sharing.Place] = {}
        t, first = self.local["t"], self.local["first"]
        self.slots: dict[str, sharing.Slot] = {
            t: lambda t, train: t,
            f"({t} - {first})": lambda t, train: t,
            f"({t} + 1)": lambda t, train: t + 1,
            f"{t} % 2": lambda t, train: t % 2,
            f"({t} + 1) % 2": lambda t, train: (t + 1) % 2,
            self.local["slot"]: lambda t, train: t if train else 0,
            self.local["before"]: lambda t, train: t if train else t % 2,
            self.local["after"]: lambda t, train: t + 1 if train else (t + 1) % 2,
        }

    # --- What the two functions do in their own way ------------------------------------------

    @abstractmethod
    def array(self, ref: Ref, phase: Phase) -> str:
        """The name of the array of a reference, for code of a phase."""

    @abstractmethod
    def home(self, equation: Equation) -> Target:
        """Where an equation's values go; reserves and declares what that takes."""

    @abstractmethod
    def fixed(self, equation: Equation) -> tuple[Target, ...]:
        """Where an equation's values go whoever reads them: states, results."""

    # --- Phases -------------------------------------------------------------------------------

    def phase(
        self,
        phase: Phase,
        equations: Iterable[Equation],
        rows: str,
        title: str,
        stores: Iterable[Statement] = (),
    ) -> list[str]:
        """The statements that run equations of one phase, and then `stores`."""
        made = [*self._statements(phase, equations), *stores]
        groups = self._homes(grouped(made))
        step = phase is Phase.STEP
        place = Place(
            lambda ref: self.array_of(ref, phase),
            lambda ref: self._is_absent(ref, phase),
            rows,
            rows if step else self.local["rows"],
            self.module.interface.names,
            step=step,
            accumulate=phase in CHUNKED,
            calls=self.dialect.calls,
        )
        made_tasks = [self._packed(task, phase) for task in tasks(groups, place)]
        waits = set[int]()
        if step and self.dialect.waits():
            waits = sharing.waits(made_tasks, self.places, backward=self.backward)
        team = "mates" if step else self.crew(phase)
        return self.module.kernels.start(made_tasks, self.stem(phase), title, team, waits)

    def crew(self, phase: Phase) -> str:
        """The word for the threads that share what is computed outside of the loop over time."""
        return "team"

    def _is_absent(self, ref: Ref, phase: Phase) -> bool:
        """Whether a reference is to a bias that may be a NULL pointer."""
        known = phase is not Phase.ONCE and self.dialect.fills
        return ref.kind == "param" and ref.name in self.optional and not known

    def array_of(self, ref: Ref, phase: Phase) -> str:
        """The name of the array of a reference; of a bias that may be absent, of a copy of it."""
        if not (ref.kind == "param" and ref.name in self.optional) or phase is Phase.ONCE:
            return self.array(ref, phase)
        if not self.dialect.fills:
            return self.array(ref, phase)
        if ref.name not in self.filled:
            stem = ref.name + ("_back" if self.backward else "")
            name = self.filled[ref.name] = self.module.interface.fresh(f"{stem}_or_0")
            self.storage.reserve(name, Slots.ONE, ref.shape, False, self.backward)
            self.outer.add(name, self.storage.pointer(name))
        return self.filled[ref.name]

    def fill(self) -> list[str]:
        """The statements that copy biases that may be absent, once all phases are made."""
        shapes = {param.name: param.shape for param in self.plan.params}
        lines: list[str] = []
        for bias, name in self.filled.items():
            count = count_text(shapes[bias])
            lines += self.dialect.call("copy", ("1", count, name, count, bias, count, "1"))
        return lines

    def _packed(self, task: Task, phase: Phase) -> Task:
        """A product with its operands in panels, where the target wants them.

        A right operand that stays the same is brought into panels once; in a step each thread
        computes units of its own, in every block of columns. Sums over the rows of a chunk have
        room for the panels of those rows.
        """
        if not (self.dialect.packs and isinstance(task, Call)):
            return task
        if not task.fixed:
            if task.helper != "gemm_add":
                return task
            panels = self._row_panels(task) if phase in CHUNKED else "NULL"
            return replace(task, args=(*task.args, panels))
        step = phase is Phase.STEP
        rows, n, k, *rest = task.args
        pointer = rest[-3]
        helper, blocks, columns = task.helper.replace("gemm", "product"), "1", n
        if step:
            helper, (blocks, columns) = f"step_{helper}", task.columns
        right = (blocks, columns, k, *rest[-3:])
        if right not in self.packs:
            stem = pointer.split()[0] + ("_back" if self.backward else "")
            name = self.module.interface.fresh(f"{stem}_panels")
            self.packs[right] = name
            if not self.backward:
                self.module.products.append((n, k))
                self.module.step_products.extend([(n, k)] * step)
            self.storage.reserve_packed(name, blocks, columns, k, self.backward)
            self.outer.add(name, self.storage.pointer(name))
        lead = (rows, blocks, columns, k) if step else (rows, n, k)
        made = (*lead, *rest[:-3], self.packs[right])
        return Call(helper, made, accesses=task.accesses)

    def _row_panels(self, task: Call) -> str:
        """The room for the right operand of a sum over rows; those of one width share it."""
        columns, pointer = task.args[1], task.args[-3]
        name = self.row_panels.get(columns)
        if name is None:
            name = self.module.interface.fresh(f"{pointer.split()[0]}_panels")
            self.row_panels[columns] = name
            self.storage.reserve_packed(name, "1", columns, "GATEC_DEPTH", self.backward)
            self.outer.add(name, self.storage.pointer(name))
        return name

    def pack(self) -> list[str]:
        """The statements that bring matrices into panels, once all phases are made."""
        lines: list[str] = []
        for (blocks, n, k, *right), name in self.packs.items():
            lines += self.dialect.call("pack", (blocks, n, k, name, *right))
        return lines

    def stem(self, phase: Phase) -> str:
        return f"gatec_{type(self).__name__.lower()}_{phase.value}"

    def _statements(self, phase: Phase, equations: Iterable[Equation]) -> list[Statement]:
        made: list[Statement] = []
        free: set[str] = set()
        for equation in equations:
            targets = self.fixed(equation)
            elsewhere = self.reading_phases.get(equation.name, set()) - {phase}
            if not targets and not elsewhere and equation.name not in self.read_outside:
                free.add(equation.name)
            elif not targets:
                targets = (self.home(equation),)
            if isinstance(equation.value, Concat) and not targets:
                targets = (self.home(equation),)
            made += statements(equation, targets)
        return [self._in_place(s) for s in folded(made, self.readers, free)]

    def _in_place(self, statement: Statement) -> Statement:
        """The terms of a sum go to the first of its places; the last one knows the others."""
        if not statement.sum_of:
            return statement
        equation = self.equations[statement.sum_of]
        targets = self.fixed(equation) or (self.home(equation),)
        last = statement.name == statement.sum_of
        return replace(statement, targets=targets if last else targets[:1])

    def _homes(self, groups: list[list[Statement]]) -> list[list[Statement]]:
        """The groups, with arrays for what other groups read and for products."""
        outside: set[str] = set()
        for group in groups:
            own = {s.name for s in group if s.whole}
            outside |= {name for s in group for name in s.reads() - own}
        return [[self._housed(s, outside) for s in group] for group in groups]

    def _housed(self, statement: Statement, outside: set[str]) -> Statement:
        if statement.targets or (statement.is_loop and statement.name not in outside):
            return statement
        return replace(statement, targets=(self.home(self.equations[statement.name]),))

    # --- Lines --------------------------------------------------------------------------------

    def units(self, shape: Shape) -> str:
        """The number of units of one step."""
        return product(self.local["batch"], count_text(shape))

    def at(self, base: str, slot: str, shape: Shape) -> str:
        """The place of a step in an array of steps."""
        return f"{base} + {product(slot, self.units(shape))}"

    def rows_at(self, base: str, slot: str, shape: Shape) -> str:
        """The same, of the rows of the batch that are computed in the loop over time."""
        lead, batch = self.dialect.lead, self.local["batch"]
        if lead == "0":
            return self.at(base, slot, shape)
        rows = lead if slot == "0" else f"({product(slot, batch)} + {lead})"
        return f"{base} + {product(rows, count_text(shape))}"

    def declare_step(
        self,
        name: str,
        base: str,
        slot: str,
        shape: Shape,
        const: bool = False,
        unless: str = "",
    ) -> None:
        """Declare `{name}_t`, the pointer to a step's values, `unless` they lie elsewhere."""
        kind = "const real" if const else "real"
        place = unless + self.rows_at(base, slot, shape)
        self.inner.add(f"{name}_t", f"{kind} *const {name}_t = {place};")
        self.places.setdefault(f"{name}_t", self.place(base, slot))

    def place(self, base: str, slot: str) -> sharing.Place:
        """Which place of an array a pointer of a step points to."""
        return sharing.Place(base, self.slots.get(slot, lambda t, train: 0))

    def declare_local(self, name: str, shape: Shape, batched: bool) -> None:
        """Declare `{name}_t`, the pointer to values that take the place of the last step's."""
        local = self.local
        place = f"{local['memory']} + {local['layout']}.{name}"
        if batched:
            place = self.rows_at(place, "0", shape).removesuffix(" + 0")
        self.outer.add(f"{name}_t", f"real *const {name}_t = {place};")
        self.places.setdefault(f"{name}_t", sharing.Place(name))

    def declare_chunk(
        self, array: str, base: str, slot: str, shape: Shape, const: bool = True
    ) -> str:
        """Declare the pointer to the rows of a chunk of an array; returns its name."""
        name = self.module.interface.chunk_of(array)
        kind = "const real" if const else "real"
        self.middle.add(name, f"{kind} *const {name} = {self.at(base, slot, shape)};")
        return name

    def chunk_steps(self) -> str:
        """The number of steps of a chunk."""
        args = [self.local["steps"], self.local["batch"]]
        args += [self.local["joined"]] if self.module.scans else []
        return f"gatec_chunk({', '.join(args)})"

    def copy(self, shape: Shape, target: str, source: str, *, repeat: bool = False) -> list[str]:
        """A copy of the rows of one step; with `repeat`, of one row to all."""
        count = count_text(shape)
        args = (self.local["batch"], count, target, count, source, "0" if repeat else count, "1")
        return self.dialect.call("copy", args)

    def param_pointers(self) -> None:
        """Declare what is given, sizes, constants and parameters."""
        local = self.local
        arguments = self.dialect.arguments(self.module.interface.prefix)
        for name, line in arguments.items():
            self.outer.add(name, line)
        for name in (local["steps"], local["batch"], *self.module.interface.size_names):
            self.outer.add(name, f"const size_t {name} = {local['sizes']}->{name};")
        for constant in self.plan.constants:
            given = local["constants"]
            self.outer.add(
                constant.name, f"const real {constant.name} = (real){given}->{constant.name};"
            )
        for param in self.plan.params:
            self.outer.add(
                param.name, f"const real *const {param.name} = {local['params']}->{param.name};"
            )
        for item in self.plan.inputs:
            self.outer.add(
                item.name, f"const real *const {item.name} = {local['inputs']}->{item.name};"
            )
        for name, line in self.dialect.prelude(self.module.scans is not None).items():
            self.outer.add(name, line)


def state_of(plan_states: Iterable[State], equations: dict[str, Equation]) -> dict[str, State]:
    """The equations of the loop whose values are written to a state's own array."""
    owners: dict[str, State] = {}
    for state in plan_states:
        if equations[state.update].phase is Phase.STEP:
            owners.setdefault(state.update, state)
    return owners


def store(value: Expr, *targets: Target) -> Statement:
    """A value that goes to another place, too."""
    return Statement("", value, targets)


def section(title: str, lines: list[str]) -> list[str]:
    return ["", f"/* {title} */", *lines] if lines else []


def block(head: str, lines: list[str]) -> list[str]:
    return [f"{head} {{", *indented(lines), "}"]


def condition(test: str, lines: list[str]) -> list[str]:
    """`if` with brackets where there are more statements than one."""
    return braced(f"if ({test})", lines)


def otherwise(given: list[str], lines: list[str]) -> list[str]:
    """What `condition` gave, and what rules else."""
    if given[-1] == "}":
        return [*given[:-1], "} else {", *indented(lines), "}"]
    return [*given, *braced("else", lines)]


def braced(head: str, lines: list[str]) -> list[str]:
    """A head and what it rules, in brackets where there are more statements than one."""
    if len(lines) == 1:
        return [head, *indented(lines)]
    return block(head, lines)

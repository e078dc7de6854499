"""The lines with which threads share the steps of a chunk: see `scan`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatec.backends.c_family.groups import tasks
from gatec.backends.c_family.indices import count_text
from gatec.backends.c_family.lines import indented
from gatec.backends.c_family.scan import Scan
from gatec.backends.c_family.statements import Statement, grouped
from gatec.backends.c_family.storage import Slots
from gatec.backends.c_family.tasks import Place
from gatec.expr import Ref
from gatec.ir import Phase

if TYPE_CHECKING:
    from gatec.backends.c_family.function import Body

SHARED = "Threads share the steps: they run them from 0, and then know how their first ones start."
# How large coefficients may be, and all that they meet. Rounding then adds no more than in a loop,
# and no product is infinite, which would make NaN of a 0.
_MOST_FACTOR = "16"
_MOST = "(real)1e30"


class Parts:
    """A scan in the body of a function, whose arrays it reserves."""

    def __init__(self, body: Body, scan: Scan) -> None:
        self.body, self.scan, self.local = body, scan, body.local
        self.ends = [names.from_0 for _, names in scan.carried]
        self.firsts = {one.ref.name: names.first for one, names in scan.carried}
        shared = [*self.ends, *(array for array, _ in scan.factors)]
        # A thread's own part of an array.
        self.own = {array: body.module.interface.fresh(f"{array}_part") for array in shared}
        for array in [*self.firsts.values(), *shared]:
            body.storage.reserve(array, Slots.PARTS, scan.shape, True, body.backward)

    def declare(self) -> None:
        """Declare the arrays, after all that their places are told by."""
        body = self.body
        memory, layout = self.local["memory"], self.local["layout"]
        for array in self.own:
            body.outer.add(array, body.storage.pointer(array))
        for array in self.firsts.values():
            place = body.at(f"{memory} + {layout}.{array}", self._number(), self.scan.shape)
            body.outer.add(array, f"real *const {array} = {place};")

    def _number(self) -> str:
        return f"{self.local['team']}->part"

    def lines(self, begins: dict[str, str]) -> list[str]:
        """What a thread's steps start from, which the parts before tell; else one thread has all.

        `begins` are the places of what the chunk's first step receives, by what is carried.
        """
        first, end, start, stop, joined = (
            self.local[word] for word in ("first", "end", "start", "stop", "joined")
        )
        lines = list[str]()
        for one, names in self.scan.carried:
            lines += self._call("copy", *self._copied(names.first, begins[one.ref.name]))
        team = self.local["team"]
        from_0 = self._from_0()
        lines += [f"if ({team}->part + 1 < {team}->parts) {{", *indented(from_0), "}"]
        lines += self.body.dialect.waits()
        first_test, *tests = self._tests()
        last_test = tests.pop()
        ends = f"({team}->parts - 1) * {self.body.units(self.scan.shape)}"
        lines += [
            f"const size_t {self.local['ends']} = {ends};",
            f"if ({first_test}",
            *(f"    && {test}" for test in tests),
            f"    && {last_test}) {{",
            *indented(self._joined()),
            "} else {",
            f"    {start} = {self._number()} == 0 ? {first} : {end};",
            f"    {stop} = {end};",
            "}",
        ]
        return [f"if ({joined}) {{", *indented(lines), "}"]

    def bounds(self) -> list[str]:
        """The steps of a thread, in a chunk; backward, the first thread has the last ones."""
        team, first, end, start, stop = (
            self.local[word] for word in ("team", "first", "end", "start", "stop")
        )
        from_, to = (f"gatec_{word}({team}, {end} - {first}, 1)" for word in ("from", "to"))
        own = [f"{start} = {first} + {from_};", f"{stop} = {first} + {to};"]
        if self.body.backward:
            own = [f"{start} = {end} - {to};", f"{stop} = {end} - {from_};"]
        return [
            f"size_t {start} = {first}, {stop} = {end};",
            f"if ({self.local['joined']}) {{",
            *indented(own),
            "}",
        ]

    def _copied(self, target: str, source: str) -> tuple[str, ...]:
        count = count_text(self.scan.shape)
        return self.local["batch"], count, target, count, source, count, "1"

    def _call(self, helper: str, *args: str) -> list[str]:
        return self.body.dialect.call(helper, args, "mates")

    def _from_0(self) -> list[str]:
        """A thread's steps from a start of 0, and the product of their coefficients."""
        body = self.body
        units = body.units(self.scan.shape)
        lines = [
            f"real *const {own} = {body.at(array, self._number(), self.scan.shape)};"
            for array, own in self.own.items()
        ]
        for array, value in [*((array, 0) for array in self.ends), *self.scan.factors]:
            lines += self._call("fill", units, self.own[array], str(value))
        step = self._kernels(self.scan.step, "scan", "A part of the steps, from 0")
        loop = self.loop(self.local["start"], self.local["stop"])
        return [*lines, f"{loop} {{", *indented([*body.inner.used(step), *step]), "}"]

    def loop(self, start: str, stop: str) -> str:
        """The head of a loop over steps, in the order of the pass."""
        t = self.local["t"]
        if self.body.backward:
            return f"for (size_t {t} = {stop}; {t}-- > {start};)"
        return f"for (size_t {t} = {start}; {t} < {stop}; {t}++)"

    def unless(self, name: str) -> str:
        """What stands before the place of what a step receives: the first of a part has another."""
        t, start, stop = (self.local[word] for word in ("t", "start", "stop"))
        first = f"{t} + 1 == {stop}" if self.body.backward else f"{t} == {start}"
        return f"{self.local['joined']} && {first} ? {self.firsts[name]} : "

    def _tests(self) -> list[str]:
        """Whether coefficients and all that they meet are numbers of a usual size."""
        units, parts = self.body.units(self.scan.shape), self.local["ends"]
        tests = [f"gatec_bounded({units}, {first}, {_MOST})" for first in self.firsts.values()]
        tests += [f"gatec_bounded({parts}, {end}, {_MOST})" for end in self.ends]
        factors = [array for array, _ in self.scan.factors]
        return tests + [f"gatec_bounded({parts}, {array}, {_MOST_FACTOR})" for array in factors]

    def _joined(self) -> list[str]:
        """From the start of the chunk to that of a thread's steps, part by part."""
        part = self.local["part"]
        lines = [
            f"const real *const {own} = {self.body.at(array, part, self.scan.shape)};"
            for array, own in self.own.items()
        ]
        title = "The start of the next part"
        lines += self._kernels(self.scan.join, "join", title)
        head = f"for (size_t {part} = 0; {part} < {self._number()}; {part}++)"
        return [f"{head} {{", *indented(lines), "}"]

    def _array(self, ref: Ref) -> str:
        """The array of a reference, where what a step receives is that of a run from 0."""
        for one, names in self.scan.carried:
            if ref == one.ref:
                return self.own[names.from_0]
        if ref.kind == "state" and ref.name in self.own:
            return self.own[ref.name]
        if ref.kind == "state" and ref.name in self.firsts.values():
            return ref.name
        return self.body.array_of(ref, Phase.STEP)

    def _placed(self, statement: Statement) -> Statement:
        """A statement that writes to a thread's own part of an array."""
        targets = (replace(t, array=self.own.get(t.array, t.array)) for t in statement.targets)
        return replace(statement, targets=tuple(targets))

    def _kernels(self, given: tuple[Statement, ...], word: str, title: str) -> list[str]:
        body, own = self.body, self.body.dialect.own
        place = Place(
            self._array,
            lambda ref: False,
            own,
            own,
            body.module.interface.names,
            step=True,
            calls=body.dialect.calls,
        )
        made = tasks(grouped(map(self._placed, given)), place)
        stem = f"gatec_{type(body).__name__.lower()}_{word}"
        return body.module.kernels.start(made, stem, title, "mates")

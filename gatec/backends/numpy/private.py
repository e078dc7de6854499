"""The functions of a module that its users do not call: shapes, checks, states to start from."""

from __future__ import annotations

from gatec.backends.numpy.arguments import Arguments, size_names
from gatec.backends.python import number_text, shape_tuple
from gatec.ir import State

_CHECK = '''\
def _check(name, array, *shape):
    """Raises ValueError unless the array has this shape; a string stands for any size."""
    found = np.shape(array)
    fits = len(found) == len(shape) and all(
        isinstance(wanted, str) or wanted == size for wanted, size in zip(shape, found)
    )
    if not fits:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{name} should have shape ({wanted}), not {found}")
'''


class Private:
    """The private functions of one module, and the calls of them."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments, self.plan = arguments, arguments.plan
        self.param_sizes = size_names(self.plan, (param.shape for param in self.plan.params))
        self.state_sizes = size_names(self.plan, (state.shape for state in self.plan.states))
        # Whether a state starts anywhere but at 0.
        self.has_initial = any(s.initial.param or s.initial.value for s in self.plan.states)

    def functions(self) -> list[list[str]]:
        """Those that are called."""
        found = [_CHECK.splitlines(), self._state()]
        if self.has_initial:
            found.append(self._initial())
        if self.arguments.told:
            found.append(self._sizes())
        if self.plan.params:
            found.append(self._shapes())
        return found

    # --- Parameters -----------------------------------------------------------------------------

    def shapes_call(self) -> str:
        return f"_shapes({', '.join(self.param_sizes)})"

    def _shapes(self) -> list[str]:
        params = self.plan.params
        entries = [f'"{param.name}": {shape_tuple(map(str, param.shape))}' for param in params]
        return [
            f"def {self.shapes_call()}:",
            '    """The shapes of the parameters."""',
            f"    return {{{', '.join(entries)}}}",
        ]

    def _sizes(self) -> list[str]:
        told = self.arguments.told
        summary = f"{', '.join(told[:-1])} and {told[-1]}" if told[1:] else told[0]
        lines = [
            "def _sizes(params):",
            f'    """{summary}, as the shapes of the parameters say.',
            "",
            "    Raises ValueError where these contradict each other.",
            '    """',
        ]
        names = {f'params["{p.name}"]': p.name for p in self.plan.params}
        for source in dict.fromkeys(solved.source for solved in self.arguments.by_params):
            dims = [f'"{dim}"' for dim in source.shape]
            lines.append(f'    _check("{names[source.array]}", {", ".join([source.array, *dims])})')
        lines += [f"    {solved.name} = {solved.code}" for solved in self.arguments.by_params]
        name, shape = self.arguments.local("name"), self.arguments.local("shape")
        return [
            *lines,
            f"    for {name}, {shape} in {self.shapes_call()}.items():",
            f"        _check({name}, params[{name}], *{shape})",
            f"    return {', '.join(told)}",
        ]

    # --- States ---------------------------------------------------------------------------------

    def state_call(self, what: str, value: str) -> str:
        """A checked copy of the state (or its gradient) that `value` names."""
        return f'_state("{what}", {", ".join([value, *self._state_arguments()])})'

    def initial_lines(self) -> list[str]:
        """What stands before `state`, which may be None, is used."""
        if not self.has_initial:
            return []
        return ["if state is None:", f"    state = {self._initial_call()}"]

    def _state_arguments(self) -> list[str]:
        return [self.arguments.B, *self.state_sizes, self.arguments.dtype]

    def _state(self) -> list[str]:
        what, dtype, states = self.arguments.local("what"), self.arguments.dtype, self.plan.states
        zeros = [f"np.zeros({self._shape(state)}, {dtype})" for state in states]
        if len(states) == 1:
            names, labels, split = ["state"], [what], []
        else:
            names = [state.name for state in states]
            labels = [f'f"{{{what}}} {name}"' for name in names]
            split = [f"    {', '.join(names)} = state"]
        checks = [
            f"    _check({', '.join([label, name, self.arguments.B, *map(str, state.shape)])})"
            for label, name, state in zip(labels, names, states, strict=True)
        ]
        return [
            f"def _state({', '.join([what, 'state', *self._state_arguments()])}):",
            '    """A copy of a state, checked; zeros where it is None."""',
            "    if state is None:",
            f"        return {', '.join(zeros)}",
            *split,
            *checks,
            f"    return {', '.join(f'np.array({name}, {dtype})' for name in names)}",
        ]

    def _initial_call(self) -> str:
        learned = any(state.initial.param for state in self.plan.states)
        first = ["params"] if learned else []
        return f"_initial({', '.join([*first, self.arguments.B, *self.state_sizes])})"

    def _initial(self) -> list[str]:
        values = []
        for state in self.plan.states:
            shape, start = self._shape(state), state.initial
            if start.param is not None:
                values.append(f'np.broadcast_to(params["{start.param}"], {shape})')
            else:
                values.append(f"np.full({shape}, {number_text(start.value)})")
        return [
            f"def {self._initial_call()}:",
            '    """The state before the first step."""',
            f"    return {', '.join(values)}",
        ]

    def _shape(self, state: State) -> str:
        return shape_tuple([self.arguments.B, *map(str, state.shape)])

"""The function `init`: parameters drawn as the spec says."""

from __future__ import annotations

from gatec.backends.numpy.library import DRAWS
from gatec.backends.numpy.private import Private
from gatec.backends.python import shape_tuple
from gatec.expr import HIDDEN
from gatec.ir import Param

_NOT_DRAWN = ("zeros", "ones", "identity")


class Init:
    """The keywords and lines of `init`, and the functions that it calls."""

    def __init__(self, private: Private) -> None:
        self.private, self.plan, self.local = private, private.plan, private.arguments.local
        self.functions: dict[str, str] = {}
        self.keywords = [
            f"{s.name}: int | None = None" if s.default is None else f"{s.name}: int = {s.default}"
            for s in self.plan.sizes
        ]
        self.lines = [*self._sizes(), *self._draws()]
        uniform = {_kind(param) for param in self.plan.params}
        self.words = ""
        if "uniform" in uniform:
            self.words = (
                "They are drawn between ±1 / sqrt(hidden_size), as `torch.nn.LSTM` draws them"
            )
            self.words += ", unless a line says otherwise." if len(uniform) > 1 else "."

    def _sizes(self) -> list[str]:
        lines = [
            f"{size.name} = hidden_size if {size.name} is None else {size.name}"
            for size in self.plan.sizes
            if size.default is None
        ]
        if self.plan.inputs[0].shape == (HIDDEN,):
            lines += [
                "if input_size != hidden_size:",
                '    raise ValueError("this cell needs input_size == hidden_size")',
            ]
        return lines

    def _draws(self) -> list[str]:
        params = self.plan.params
        if not params:
            return ["return {}"]
        own = [param for param in params if _kind(param) != "uniform"]
        name, shape, bound = self.local("name"), self.local("shape"), self.local("bound")
        lines = []
        if any(_kind(param) not in _NOT_DRAWN and not _is_number(param) for param in params):
            lines.append("rng = np.random.default_rng(rng)")
        draw = f"np.empty({shape}, dtype)"
        if len(own) < len(params):
            lines.append(f"{bound} = 1 / np.sqrt(hidden_size)")
            draw = f"rng.uniform(-{bound}, {bound}, {shape}).astype(dtype)"
        return [
            *lines,
            "params = {}",
            f"for {name}, {shape} in {self.private.shapes_call()}.items():",
            f"    params[{name}] = {draw}",
            *(f'params["{param.name}"][...] = {self._value(param)}' for param in own),
            "return params",
        ]

    def _value(self, param: Param) -> str:
        shape = shape_tuple(map(str, param.shape))
        kind = _kind(param)
        if kind in DRAWS:
            function = self.local(kind)
            self.functions.setdefault(function, DRAWS[kind].replace("NAME", function))
            return f"{function}(rng, {shape})"
        return {
            "normal": f"rng.standard_normal({shape})",
            "zeros": "0",
            "ones": "1",
            "identity": f"np.eye({', '.join(map(str, param.shape))})",
        }.get(kind, kind)


def _kind(param: Param) -> str:
    """How a parameter is drawn; the rules for matrices leave vectors as they are by default."""
    matrix = len(param.shape) > 1
    return "uniform" if not matrix and param.init in (*DRAWS, "identity") else param.init


def _is_number(param: Param) -> bool:
    return param.init not in ("uniform", "normal", *_NOT_DRAWN, *DRAWS)

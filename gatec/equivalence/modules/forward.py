"""What the forward of a module takes, and what it leaves behind in the module."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

import torch
from torch import Tensor, nn

from gatec.equivalence.modules.calling import first, tensors
from gatec.equivalence.modules.construct import HIDDEN, INPUT, quiet

_NO_STATES = re.compile(r"mask|len(gth)?s?$|return|device|dtype")
_TOLERANCE = 1e-9


def parameters(module: nn.Module) -> list[inspect.Parameter]:
    """The parameters of forward that take a value each; those by keyword alone come last."""
    try:
        found = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def is_no_state(param: inspect.Parameter) -> bool:
    """Whether a parameter by keyword alone is there for something else."""
    if param.kind is not param.KEYWORD_ONLY:
        return False
    optional = param.default is not param.empty
    return optional and (param.default is not None or _NO_STATES.search(param.name) is not None)


class Keys(dict[str, Tensor]):
    """A dictionary that has what is asked for."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def __missing__(self, key: str) -> Tensor:
        self[key] = self.value
        return self.value

    def get(self, key: str, default: Any = None) -> Any:
        return self[key]


def kept(module: nn.Module, sizes: dict[str, int]) -> str:
    """The attributes that a call changes so that the next one gives something else; "" if none."""
    size = next((sizes[name] for name in (INPUT, HIDDEN, *sizes) if name in sizes), 0)
    for shape in ((2, size), (2, 2, size), (size,)):
        x = torch.linspace(-1, 1, math.prod(shape), dtype=torch.float64).reshape(shape)
        before = {id(part): _attributes(part) for part in module.modules()}
        outputs = []
        try:
            with quiet():
                outputs += [first(module(x)), first(module(x))]
        except Exception:
            outputs = []
        names = []
        for prefix, part in module.named_modules():
            now, old = _attributes(part), before[id(part)]
            names += [
                f"self.{prefix}.{name}" if prefix else f"self.{name}"
                for name, value in now.items()
                if tensors(value) and value is not old.get(name)
            ]
            vars(part).update({n: v for n, v in old.items() if n in vars(part)})
            if isinstance(part._buffers, dict):  # scripted modules keep theirs elsewhere
                part._buffers.update({n: v for n, v in old.items() if n in part._buffers})
        if names and outputs and not close(*outputs):
            return " and ".join(sorted(names))
    return ""


def _attributes(part: nn.Module) -> dict[str, Any]:
    return dict(vars(part)) | dict(part.named_buffers(recurse=False))


def close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool(torch.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))

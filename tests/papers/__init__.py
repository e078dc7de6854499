"""Cells as they stand in papers, course notes and documentation, each with a reference in torch.

A paper is one function: its docstring is the source text, formulas in the manner of the source;
its body is one step, written by hand from the paper. `step(p, x, s)` takes the parameters
(`p.W_f`), the inputs at t ((B, size) each, one tensor where there is one input) and the states at
t-1, and returns the output and the new states. Nothing of gatec is imported here.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

Step = Callable[[SimpleNamespace, Any, SimpleNamespace], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Paper:
    """A cell of the literature. Shapes are in letters, as in `references.py`.

    `memory` are states of the reference alone (inputs and states it remembers for longer than a
    step); they start at 0. `suffix` says what kind of file the text stands in. `sizes` gives
    size keywords beyond the two. `square` says that the mathematics forces input_size to equal
    hidden_size.
    """

    title: str
    step: Step
    params: dict[str, str]
    states: dict[str, str]
    inputs: dict[str, str] = field(default_factory=lambda: {"x": "x"})
    memory: dict[str, str] = field(default_factory=dict)
    suffix: str = "gate"
    sizes: dict[str, int] = field(default_factory=dict)
    square: bool = False

    @property
    def name(self) -> str:
        return self.step.__name__

    @property
    def text(self) -> str:
        return inspect.cleandoc(self.step.__doc__ or "") + "\n"

    def run(
        self, params: dict[str, Tensor], inputs: dict[str, Tensor], states: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Outputs (T, B, …) and last states, for inputs (T, B, …), by a plain loop."""
        outputs = []
        for t in range(len(next(iter(inputs.values())))):
            now = {name: values[t] for name, values in inputs.items()}
            x = next(iter(now.values())) if len(now) == 1 else SimpleNamespace(**now)
            output, states = self.step(SimpleNamespace(**params), x, SimpleNamespace(**states))
            outputs.append(output)
        return torch.stack(outputs), states


PAPERS: list[Paper] = []


def paper(title: str, params: dict[str, str], states: dict[str, str], **more: Any) -> Callable:
    """Collects a step function as a paper."""

    def collect(step: Step) -> Step:
        PAPERS.append(Paper(title, step, params, states, **more))
        return step

    return collect


def gates(pattern: dict[str, str], names: Iterable[str]) -> dict[str, str]:
    """`{"W_%": "h,x"}` for every gate letter."""
    return {name.replace("%", gate): shape for gate in names for name, shape in pattern.items()}


for _module in ("lstm", "gru", "plain", "pages", "memory", "continuous", "linear"):
    importlib.import_module(f"papers.{_module}")

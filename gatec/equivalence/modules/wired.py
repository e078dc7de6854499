"""Modules whose sizes are fixed in their code: which sizes these are, and the same at others.

A module at one size does not tell 16 inputs from 16 units. Its parameters are laid out anew, and
the numbers among its attributes follow; what is read from modules that were changed so is replayed
against the module as it is, at its own sizes, before anything is said about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gatec.equivalence.modules.record import Untraceable

_MOST_PARTS = 8  # gates in a packed weight
_MOST = 16  # pairs of sizes that are tried


class Layout:
    """How lengths are made of sizes: each is `parts` times a size, or times the sum of two."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self.made: dict[int, tuple[int, tuple[str, ...]]] = {}
        names = list(sizes)
        groups: list[tuple[str, ...]] = [(name,) for name in names]
        groups += [tuple(names)] if len(names) == 2 else []
        for parts in range(1, _MOST_PARTS + 1):
            for group in groups:
                total = parts * sum(sizes[name] for name in group)
                self.made.setdefault(total, (parts, group))

    def knows(self, length: int) -> bool:
        return length <= 1 or length in self.made

    def moved(self, length: int, sizes: Mapping[str, int]) -> int:
        """What a length is at other sizes. Raises Untraceable where it is not known."""
        if length <= 1:
            return length
        if length not in self.made:
            raise Untraceable(f"its sizes are fixed in its code, and {length} is none of them")
        parts, group = self.made[length]
        return parts * sum(sizes[name] for name in group)


def candidates(
    module: nn.Module, given: Mapping[str, int], missing: list[str]
) -> Iterator[dict[str, int]]:
    """Sizes that the parameters of a module may have, by name, the likeliest first.

    `given` are the sizes that it was built with; `missing` the names of those that its constructor
    does not take, the input's first.
    """
    shapes = [tuple(p.shape) for p in module.parameters() if p.dim()]
    lengths = {n for shape in shapes for n in shape if n > 1}
    wide = [shape for shape in shapes if len(shape) > 1]
    units = sorted(
        {n // k for n in lengths for k in (1, 2, 3, 4) if n % k == 0 and n // k > 1}, reverse=True
    )
    inputs = {shape[-1] for shape in wide} | {
        shape[-1] - n for shape in wide for n in units if shape[-1] > n
    }
    found = []
    if len(missing) == 2:
        found += [
            dict(zip(missing, (i, n), strict=True)) for n in units for i in sorted(inputs) if i != n
        ]
    found += [{missing[-1]: n} for n in units]
    fitting = [sizes for sizes in found if all(map(Layout({**given, **sizes}).knows, lengths))]
    # Of two explanations, that which needs fewer gates is the likelier.
    fitting.sort(key=lambda sizes: (-len(sizes), _parts({**given, **sizes}, shapes)))
    yield from fitting[:_MOST]


def _parts(sizes: Mapping[str, int], shapes: list[tuple[int, ...]]) -> int:
    layout = Layout(sizes)
    return sum(layout.made[n][0] for shape in shapes for n in shape if n > 1)


def resize(module: nn.Module, old: Mapping[str, int], new: Mapping[str, int]) -> None:
    """Give a module other sizes, in place. Raises Untraceable where a length is not known."""
    layout = Layout(old)
    done: dict[int, Tensor] = {}  # tied parameters stay tied
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = _resized(tensor, layout, new, done)
        for name, value in vars(part).items():
            if not name.startswith("_"):
                vars(part)[name] = _number(value, layout, new)
        if isinstance(part, nn.RNNBase):
            part._init_flat_weights()


def _resized(
    tensor: Tensor, layout: Layout, sizes: Mapping[str, int], done: dict[int, Tensor]
) -> Any:
    if id(tensor) not in done:
        shape = [layout.moved(n, sizes) for n in tensor.shape]
        if shape == list(tensor.shape):
            done[id(tensor)] = tensor
        elif isinstance(tensor, nn.Parameter):
            fresh = torch.zeros(shape, dtype=tensor.dtype)
            done[id(tensor)] = nn.Parameter(fresh, tensor.requires_grad)
        else:
            raise Untraceable("a constant tensor has a size that is fixed in its code")
    return done[id(tensor)]


def _number(value: Any, layout: Layout, sizes: Mapping[str, int]) -> Any:
    """An attribute that holds a size."""
    if isinstance(value, tuple) and type(value) in (tuple, torch.Size):
        return tuple(_number(entry, layout, sizes) for entry in value)
    if type(value) is int and value > 1 and value in layout.made:
        return layout.moved(value, sizes)
    return value

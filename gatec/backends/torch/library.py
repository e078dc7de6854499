"""How PyTorch spells what the printer of the Python family prints."""

from __future__ import annotations

from gatec.backends.python import Library
from gatec.ops import Op


class Torch(Library):
    """PyTorch 2.6 or later. Batched values are rows, with one leading dimension."""

    prefix = "torch"
    axis = "dim"
    # Operators that PyTorch lacks are composed, and the plan holds none of those.
    helpers: frozenset[str] = frozenset()

    def __init__(self, like: str) -> None:
        self.like = like  # a tensor of the data type and device to use
        self.functions = {
            "sum": "torch.sum",
            "amax": "torch.amax",
            "mean": "torch.mean",
            "concat": "torch.cat",
        }

    def template(self, op: Op) -> str:
        return op.torch

    def full(self, number: str, shape: str) -> str:
        return f"{self.like}.new_full({shape}, {number})"

    def scalar(self, number: str) -> str:
        return f"{self.like}.new_full((), {number})"

    def broadcast(self, array: str, shape: str) -> str:
        return f"{_receiver(array)}.expand{shape}"

    def identity(self, size: str) -> str:
        return f"torch.eye({size}, dtype={self.like}.dtype, device={self.like}.device)"

    def transposed(self, array: str, batched: bool) -> str:
        return f"{array}.mT" if batched else f"{array}.T"

    def sequence_product(self, vectors: str, matrix: str, transposed: bool) -> str:
        raise NotImplementedError("rows have one leading dimension")

    def batch_product(self, u: str, v: str) -> str:
        raise NotImplementedError("autograd differentiates the eager path")


def _receiver(code: str) -> str:
    """Code that a method can be called on."""
    depth = 0
    for char in code:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(char, 0)
        if char in " -" and depth == 0:
            return f"({code})"
    return code

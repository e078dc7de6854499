"""The printer for PyTorch: one call where the library has one for an affine map."""

from __future__ import annotations

from gatec.backends.python import Printer, Text
from gatec.backends.torch.affine import affine_operands
from gatec.expr import Apply, Expr


class TorchPrinter(Printer):
    """Prints `A v + b` over rows as `nn.functional.linear(v, A, b)`."""

    def _apply(self, node: Apply, done: dict[Expr, Text]) -> Text:
        affine = affine_operands(node)
        if affine is None:
            return super()._apply(node, done)
        matrix, rows, bias = (self._whole(e, done[e], e.batched) for e in affine)
        return Text(f"nn.functional.linear({rows}, {matrix}, {bias})")

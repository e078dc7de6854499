"""Weights of torch's own modules: `from_torch` and `to_torch`, of cells that are one of torch's.

What a cell is, the equivalence prover says; here its map of parameters becomes code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatec import __version__, cache, show_ir
from gatec.backends.python import Used
from gatec.backends.python.cell import Locals
from gatec.backends.python.lines import statements
from gatec.backends.text import WIDTH
from gatec.backends.torch.library import Torch
from gatec.backends.torch.printer import TorchPrinter
from gatec.equivalence.torch_form import has_the_form
from gatec.expr import Expr
from gatec.ir import Cell, Program
from gatec.passes.common import is_zero, refs

if TYPE_CHECKING:
    from gatec.equivalence.weights import Exchange

_BODY = 8
_TENSORS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@dataclass(frozen=True)
class Weights:
    """What the template writes.

    torch         the class in `torch.nn`
    nonlinearity  of `nn.RNN`
    values        what the table of torch's tensors is called
    unpacked      the blocks of torch's tensors, by names
    taken         the cell's parameters, made of those
    head          of the method that makes torch's tensors
    opened        the cell's parameters and sizes, by their names
    given         torch's tensors, made of those
    """

    torch: str
    nonlinearity: str
    values: str
    unpacked: list[str]
    taken: list[str]
    head: list[str]
    opened: list[str]
    given: list[str]


def weights(program: Program) -> Weights | None:
    """The exchange of weights; None for a cell that is none of torch's. Remembered between runs."""
    if not has_the_form(program.source):
        return None
    own = Path(__file__).read_bytes()  # what was written by another version is no answer
    made_from = own + f"{__version__}\n{show_ir.cell_text(program.source)}".encode()
    known = cache.read("weights", made_from)
    if known is not None:
        data = json.loads(known)
        return Weights(**data) if data else None
    # The prover is imported only where it has to answer.
    from gatec.equivalence.weights import exchange

    found = exchange(program.source)
    made = _Writer(program, found).weights() if found is not None else None
    cache.write("weights", made_from, json.dumps(made and asdict(made)).encode())
    return made


class _Writer:
    def __init__(self, program: Program, found: Exchange) -> None:
        self.cell: Cell = program.source
        self.found = found
        self.local = Locals(program)
        title = found.reference.title.removeprefix("torch.nn.")
        self.kind, _, self.option = title.partition("(")
        # The reference's parameters in each of torch's tensors, in the order of the rows.
        self.blocks = {
            tensor: [name for _, name in sorted(self._rows(tensor))] for tensor in _TENSORS
        }

    def _rows(self, tensor: str) -> Iterable[tuple[int, str]]:
        for name, (whole, place) in self.found.reference.chunks.items():
            if whole == tensor:
                yield place, name

    def weights(self) -> Weights:
        relu = "relu" if "relu" in self.option else "tanh"
        return Weights(
            self.kind,
            relu if self.kind == "RNN" else "",
            self.local("values"),
            statements(self.unpacked(), _BODY),
            statements(self.taken(), _BODY),
            self.head(),
            statements(self.opened(), _BODY),
            statements(self.given(), _BODY),
        )

    # --- From torch -----------------------------------------------------------------------------

    def unpacked(self) -> list[str]:
        used = _names(self.found.from_torch.values())
        lines: list[str] = []
        for tensor, blocks in self.blocks.items():
            if not used & set(blocks):
                continue
            default = ", none" if tensor.startswith("bias") else ""
            if default and not any("none =" in line for line in lines):
                count = f"{len(blocks)} * " if len(blocks) > 1 else ""
                first = self.blocks["weight_ih"][0]
                lines.append(f"none = {first}.new_zeros({count}module.hidden_size)")
            value = f'getattr(module, "{tensor}" + end{default})'
            value += f".chunk({len(blocks)})" if len(blocks) > 1 else ""
            targets = [name if name in used else f"_{name}" for name in blocks]
            lines.append(f"{', '.join(targets)} = {value}")
        return lines

    def taken(self) -> list[str]:
        zero = f"{self.blocks['weight_ih'][0]}.new_zeros(module.hidden_size)"
        printer = _printer(Used())
        return [
            f'values["{name}"] = {zero if is_zero(value) else printer.whole(value)}'
            for name, value in self.found.from_torch.items()
        ]

    # --- To torch -------------------------------------------------------------------------------

    def head(self) -> list[str]:
        layer, direction, weight = map(self.local, ("layer", "direction", "weight"))
        arguments = f"self, {layer}: int, {direction}: int, {weight}: Tensor"
        first, returned = f"def _given({arguments})", "-> dict[str, Tensor]:"
        if 4 + len(f"{first} {returned}") <= WIDTH:
            return [f"{first} {returned}"]
        return ["def _given(", f"    {arguments}", f") {returned}"]

    def opened(self) -> list[str]:
        values, sizes = self.found.to_torch.values(), Used()
        for value in values:
            _printer(sizes).value(value)
        texts = {
            "input_size": f"self._input_size({self.local('layer')})",
            "hidden_size": "self.hidden_size",
        }
        used = _names(values)
        names = [p.name if p.name in used else f"_{p.name}" for p in self.cell.params]
        arguments = ", ".join(map(self.local, ("layer", "direction", "weight")))
        return [
            *(f"{size} = {text}" for size, text in texts.items() if size in sizes.sizes),
            f"{', '.join(names)} = self._weights({arguments})",
        ]

    def given(self) -> list[str]:
        values = self.local("values")
        return [
            f'{values}["{tensor}"] = {self._joined([self.found.to_torch[name] for name in blocks])}'
            for tensor, blocks in self.blocks.items()
        ]

    def _joined(self, parts: Sequence[Expr]) -> str:
        """Blocks of rows, one below the other."""
        zero = f"{self.local('weight')}.new_zeros"
        if all(map(is_zero, parts)):
            count = f"{len(parts)} * " if len(parts) > 1 else ""
            return f"{zero}({count}self.hidden_size)"
        printer = _printer(Used())
        texts = [
            f"{zero}(self.hidden_size)" if is_zero(part) else printer.whole(part) for part in parts
        ]
        return f"torch.cat([{', '.join(texts)}])" if len(texts) > 1 else texts[0]


def _printer(used: Used) -> TorchPrinter:
    """Prints maps of parameters; sums and blocks of them need no more than names."""
    return TorchPrinter(Torch("weight"), lambda ref: ref.name, (), used, _no_helper, set())


def _names(values: Iterable[Expr]) -> set[str]:
    return {ref.name for value in values for ref in refs(value)}


def _no_helper(op: str, rank: int) -> str:
    raise KeyError(f"a map of parameters has no {op}")

"""PyTorch: one `nn.Module` per cell, with the manners of `nn.LSTM`.

The eager path prints the planned cell: what reads parameters or inputs alone stands before the
loop, and autograd differentiates it, twice if need be. All sequences run as packed rows, the
rows of step 0 first, so that padded and packed input are one case.

    inline    temporaries put back into the equations that read them
    pieces    grouped products taken apart by name
    layer     one layer in one direction: the equations as statements
    module    the rest of the class: shapes, arguments, checks
    describe  its docstrings
"""

from __future__ import annotations

from gatec.backends.torch.module import module
from gatec.ir import Program


def generate(program: Program, stem: str) -> dict[str, str]:
    """`{stem}.py`."""
    return {f"{stem}.py": module(program)}

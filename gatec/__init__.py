"""gatec: compile the equations of a gated recurrent cell to NumPy, PyTorch, C and CUDA-C.

    import gatec
    LSTM = gatec.load("lstm").LSTM            # a torch.nn.Module class
    code = gatec.compile("cell.gate", "numpy")  # the text of a module
    print(gatec.parse("h_t = tanh(W x_t + U h_{t-1} + b)"))
    print(gatec.check("my_gru.gate", "gru"))  # is it torch.nn.GRU?

In a notebook, `%load_ext gatec` gives the cell magic `%%gate`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gatec.api import check, compile, load, parse
    from gatec.errors import GatecError

__all__ = ["GatecError", "__version__", "check", "compile", "load", "parse"]


def __getattr__(name: str) -> Any:
    # Nothing is imported before it is used: the command line must start at once.
    if name == "GatecError":
        from gatec.errors import GatecError

        return GatecError
    if name in __all__:
        from gatec import api

        return getattr(api, name)
    raise AttributeError(f"module 'gatec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _Package(ModuleType):
    """Keeps `gatec.parse` the function: importing the subpackage would put the module there."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext gatec`."""
    from gatec import notebook

    notebook.register(shell)

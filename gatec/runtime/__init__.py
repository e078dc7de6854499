"""Generated modules on compiled kernels: `run_layer` is what a generated PyTorch module calls.

    build    C compiled for this machine, kept in a folder of the user's own
    kernels  the compiled functions of a cell, called with tensors
    layer    which path a call takes, and its derivatives

docs/runtime.md says when which path runs.
"""

from gatec.runtime.layer import run_layer

__all__ = ["run_layer"]

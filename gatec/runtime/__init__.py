"""Generated modules on compiled kernels: `run_layer` is what a generated PyTorch module calls, and
`announce` what it calls when it is imported. `release` frees what is kept between calls.

    build        C compiled for this machine, kept in a folder of the user's own
    shapes       what the shapes of a call say
    kernels      the compiled functions of a cell, called with tensors
    memory       workspaces, which are lent again; `release` gives them back
    cells        the kernels of a cell, by the text that its module carries
    segments     a long sequence in parts, of which states alone are kept
    checkpoints  how long segments are
    function     an eager call, with its derivatives (`calls`)
    packed       sequences of several lengths
    operators    what compiled and exported modules call
    layer        which path a call takes

docs/runtime.md says when which path runs.
"""

from gatec.runtime.cells import announce
from gatec.runtime.layer import run_layer
from gatec.runtime.memory import release

__all__ = ["announce", "release", "run_layer"]

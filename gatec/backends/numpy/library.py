"""How NumPy spells what the printer of the Python family prints."""

from __future__ import annotations

from gatec.backends.python import Library
from gatec.ops import OPS, Op

# Functions that NumPy lacks, or whose plain formula overflows.
HELPERS = {
    "sigmoid": '''\
def NAME(z):
    """1 / (1 + exp(-z)), exact in both tails and free of overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, np.ones_like(e), e) / (1 + e)
''',
    "erf": '''\
def NAME(z):
    """The error function, unit by unit (NumPy has none)."""
    return np.vectorize(math.erf, otypes=[np.float64])(z).astype(z.dtype)
''',
}
# Random matrices for `init` lines; the `dtype` comes after.
DRAWS = {
    "orthogonal": '''\
def NAME(rng, shape):
    """A random matrix with orthonormal rows or columns, whichever are fewer."""
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return q if shape[0] >= shape[1] else q.T
''',
    "xavier": '''\
def NAME(rng, shape):
    """Glorot and Bengio, 2010: uniform, by the sum of both sizes."""
    bound = np.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)
''',
    "xavier_normal": '''\
def NAME(rng, shape):
    """Glorot and Bengio, 2010: normal, by the sum of both sizes."""
    return np.sqrt(2 / sum(shape)) * rng.standard_normal(shape)
''',
    "kaiming": '''\
def NAME(rng, shape):
    """He et al., 2015: uniform, by the number of columns."""
    bound = np.sqrt(6 / shape[1])
    return rng.uniform(-bound, bound, shape)
''',
}
# Composed operators that NumPy has itself.
_OWN = frozenset({"tan", "sinh", "cosh", "mean"})


class NumPy(Library):
    """NumPy 1.26 or later."""

    prefix = "np"
    axis = "axis"
    helpers = frozenset(
        name for name, op in OPS.items() if op.definition and name not in _OWN
    ) | frozenset(HELPERS)
    arrays_only = False

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype  # the name of the data type where code is printed
        self.functions = {
            "sum": "np.sum",
            "amax": "np.max",
            "mean": "np.mean",
            "concat": "np.concatenate",
            "pow": "np.power",
        }

    def template(self, op: Op) -> str:
        return op.numpy

    def full(self, number: str, shape: str) -> str:
        return f"np.full({shape}, {number}, {self.dtype})"

    def scalar(self, number: str) -> str:
        return f"{self.dtype}.type({number})"

    def broadcast(self, array: str, shape: str) -> str:
        return f"np.broadcast_to({array}, {shape})"

    def identity(self, size: str) -> str:
        return f"np.eye({size}, dtype={self.dtype})"

    def transposed(self, array: str, batched: bool) -> str:
        return f"np.swapaxes({array}, -1, -2)" if batched else f"{array}.T"

    def sequence_product(self, vectors: str, matrix: str, transposed: bool) -> str:
        return f"np.tensordot({vectors}, {matrix}, axes=(-1, {int(transposed)}))"

    def batch_product(self, u: str, v: str) -> str:
        return f"np.tensordot({u}, {v}, axes=((0, 1), (0, 1)))"

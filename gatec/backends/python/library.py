"""What differs between the array libraries of the Python family."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gatec.ops import Op


class Library(ABC):
    """An array library: how it spells what NumPy and PyTorch spell differently."""

    prefix: str  # of its functions
    axis: str  # the keyword for a dimension
    functions: dict[str, str]  # sum, amax, mean, concat, pow: the names of its functions
    helpers: frozenset[str]  # operators that are functions of the generated module
    arrays_only: bool = True  # maximum, minimum and where take no Python numbers

    @abstractmethod
    def template(self, op: Op) -> str:
        """The operator as a template of its operands."""

    @abstractmethod
    def full(self, number: str, shape: str) -> str:
        """An array of one number."""

    @abstractmethod
    def scalar(self, number: str) -> str:
        """A number as an array without dimensions."""

    @abstractmethod
    def broadcast(self, array: str, shape: str) -> str:
        """An array broadcast to a shape."""

    @abstractmethod
    def identity(self, size: str) -> str:
        """The identity matrix."""

    @abstractmethod
    def transposed(self, array: str, batched: bool) -> str:
        """A matrix (perhaps one per row of the batch) transposed."""

    @abstractmethod
    def sequence_product(self, vectors: str, matrix: str, transposed: bool) -> str:
        """All vectors of a sequence (T, B, units) times one matrix (transposed), as one GEMM."""

    @abstractmethod
    def batch_product(self, u: str, v: str) -> str:
        """The sum over all leading dimensions of the outer products, as one GEMM."""

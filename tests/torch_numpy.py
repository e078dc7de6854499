"""As much of NumPy's interface as `gatec.interpret` and the operator table use, over torch.

Handed to the interpreter as its array library, it makes the living definition differentiable:
the gradients that every backend is held against come from torch's autograd through it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

float64 = torch.float64

exp, expm1, log, log1p = torch.exp, torch.expm1, torch.log, torch.log1p
sqrt, tanh, sin, cos, tan = torch.sqrt, torch.tanh, torch.sin, torch.cos, torch.tan
arctan, sinh, cosh, sign = torch.arctan, torch.sinh, torch.cosh, torch.sign
less, less_equal, greater = torch.lt, torch.le, torch.gt
greater_equal, equal = torch.ge, torch.eq


def asarray(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=float64)


def abs(x: Tensor) -> Tensor:
    return torch.abs(x)


def maximum(a: Any, b: Any) -> Tensor:
    return torch.maximum(asarray(a), asarray(b))


def minimum(a: Any, b: Any) -> Tensor:
    return torch.minimum(asarray(a), asarray(b))


def logaddexp(a: Any, b: Any) -> Tensor:
    return torch.logaddexp(asarray(a), asarray(b))


def clip(x: Tensor, low: float, high: float) -> Tensor:
    return torch.clamp(x, low, high)


def power(a: Any, b: Any) -> Tensor:
    return torch.pow(asarray(a), asarray(b))


def where(condition: Tensor, a: Any, b: Any) -> Tensor:
    return torch.where(condition, asarray(a), asarray(b))


def einsum(equation: str, *operands: Tensor) -> Tensor:
    return torch.einsum(equation, *operands)


def swapaxes(x: Tensor, a: int, b: int) -> Tensor:
    return torch.swapaxes(x, a, b)


def vectorize(function: Any, otypes: Any) -> Any:
    """Only `math.erf` is used unit by unit."""
    assert function is math.erf
    return torch.erf


def sum(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return torch.sum(x, dim=axis, keepdim=keepdims)


def mean(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return torch.mean(x, dim=axis, keepdim=keepdims)


def max(x: Tensor, axis: Any, keepdims: bool = False) -> Tensor:
    return torch.amax(x, dim=axis, keepdim=keepdims)


def eye(size: int) -> Tensor:
    return torch.eye(size, dtype=float64)


def zeros(shape: Sequence[int]) -> Tensor:
    return torch.zeros(tuple(shape), dtype=float64)


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    return torch.broadcast_to(x, tuple(shape))


def stack(arrays: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(arrays))


def concatenate(arrays: Sequence[Tensor], axis: int) -> Tensor:
    return torch.cat(list(arrays), dim=axis)


def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    return torch.reshape(x, tuple(shape))


def shape(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape)


def ndim(x: Tensor) -> int:
    return x.ndim

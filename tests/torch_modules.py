"""torch's own modules and the generated ones that compute the same, side by side."""

from functools import cache

import torch
from torch import nn

import gatec

PAIRS = {"lstm": nn.LSTM, "gru_v3": nn.GRU, "rnn": nn.RNN}
CLASSES = {"lstm": "LSTM", "gru_v3": "GRUv3", "rnn": "RNN"}


@cache
def generated(spec: str) -> type[nn.Module]:
    """The class of a generated module: of a shipped spec, or of equations as text."""
    module = gatec.load(spec)
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    )


def tensors(value):
    """A state as a list."""
    return list(value) if isinstance(value, tuple) else [value]


def state(name, *shape, dtype=torch.float32):
    """A state of a pair as it takes it: one tensor, or two."""
    value = torch.zeros(shape, dtype=dtype)
    return (value, value) if name == "lstm" else value

"""The cells that others are compared with by name: as torch computes them, as papers state them.

`--against gru` means `torch.nn.GRU`, whose reset gate acts after the product. Where a cell is not
that function, the other forms that go by the same name are tried, so that the answer says which
GRU a cell is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from gatec import resources, source
from gatec.ir import Cell
from gatec.parse import parse
from gatec.resolve import resolve


@dataclass(frozen=True)
class Reference:
    """A cell that is known by name.

    title   what it is called in a sentence
    note    what sets this form apart from others of the same name
    text    its equations
    chunks  of a torch module: parameter -> (tensor of the module without its layer, e.g.
            `weight_ih`, and which of its equal row blocks, counted from 0)
    """

    title: str
    note: str
    text: str
    chunks: Mapping[str, tuple[str, int]]

    @property
    def cell(self) -> Cell:
        return _cell(self.title, self.text)


@cache
def _cell(title: str, text: str) -> Cell:
    (document,) = source.read_text(text)
    return replace(resolve(parse(document)).cell, name=title)


def _shipped(name: str) -> str:
    return (resources.folder("specs") / f"{name}.gate").read_text(encoding="utf-8")


def _chunks(gates: str, single: bool = False) -> dict[str, tuple[str, int]]:
    """Where torch keeps W_i{gate}, W_h{gate}, b_i{gate}, b_h{gate}, for gates in torch's order."""
    found = {}
    for index, gate in enumerate(gates):
        for side in "ih":
            name = f"{side}h" if single else f"{side}{gate}"
            found[f"W_{name}"] = (f"weight_{side}h", index)
            found[f"b_{name}"] = (f"bias_{side}h", index)
    return found


_LSTM = r"""
i_t = \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi})
f_t = \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf})
g_t = \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg})
o_t = \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho})
c_t = f_t \odot c_{t-1} + i_t \odot g_t
h_t = o_t \odot \tanh(c_t)
"""
_GRU = r"""
r_t = \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr})
z_t = \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz})
n_t = \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn}))
h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}
"""
_RNN = r"h_t = {function}(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})"

NAMES = ("lstm", "gru", "rnn")


@cache
def forms(name: str) -> tuple[Reference, ...]:
    """What `--against NAME` means: torch's form first, then the others of that name.

    Raises KeyError where the name is not among NAMES.
    """
    return {"lstm": _lstm, "gru": _gru, "rnn": _rnn}[name]()


def _lstm() -> tuple[Reference, ...]:
    return (Reference("torch.nn.LSTM", "two biases, gates i, f, g, o", _LSTM, _chunks("ifgo")),)


def _gru() -> tuple[Reference, ...]:
    before = "the reset gate acts before the product"
    return (
        Reference("torch.nn.GRU", "the reset gate acts after the product", _GRU, _chunks("rzn")),
        Reference("the GRU of Cho et al., 2014", before, _shipped("gru"), {}),
    )


def _rnn() -> tuple[Reference, ...]:
    tanh, relu = (_RNN.replace("{function}", f) for f in (r"\tanh", r"\operatorname{ReLU}"))
    chunks = _chunks("h", single=True)
    return (
        Reference("torch.nn.RNN", "with tanh", tanh, chunks),
        Reference("torch.nn.RNN(nonlinearity='relu')", "with relu", relu, chunks),
    )

"""The shipped specs once more, written by hand in torch, one plain loop per paper.

Nothing of gatec is imported: these are what the specs are held against. A reference takes the
parameters under the specs' names, the input (T, B, input_size) and the states before the first
step, and returns the outputs (T, B, …) and the states after the last step. `SHAPES` says in
letters (`h` hidden_size, `x` input_size) what each parameter and state is, in the order of the
generated interface.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, sigmoid, tanh
from torch.nn.functional import logsigmoid, relu, silu

Values = Mapping[str, Tensor]
Reference = Callable[[Values, Tensor, Values], tuple[Tensor, dict[str, Tensor]]]


def rnn(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h = state["h"]
    outputs = []
    for x_t in x:
        h = tanh(x_t @ p["W_ih"].T + p["b_ih"] + h @ p["W_hh"].T + p["b_hh"])
        outputs.append(h)
    return torch.stack(outputs), {"h": h}


def lstm(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    a, c = state["a"], state["c"]
    outputs = []
    for x_t in x:
        joined = torch.cat([a, x_t], dim=1)
        forget = sigmoid(joined @ p["W_f"].T + p["b_f"])
        update = sigmoid(joined @ p["W_u"].T + p["b_u"])
        candidate = tanh(joined @ p["W_c"].T + p["b_c"])
        c = forget * c + update * candidate
        a = sigmoid(joined @ p["W_o"].T + p["b_o"]) * tanh(c)
        outputs.append(a)
    return torch.stack(outputs), {"a": a, "c": c}


def gru(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h = state["h"]
    outputs = []
    for x_t in x:
        reset = sigmoid(x_t @ p["W_r"].T + h @ p["U_r"].T + p["b_r"])
        keep = sigmoid(x_t @ p["W_z"].T + h @ p["U_z"].T + p["b_z"])
        candidate = tanh(x_t @ p["W_h"].T + (reset * h) @ p["U_h"].T + p["b_h"])
        h = keep * h + (1 - keep) * candidate
        outputs.append(h)
    return torch.stack(outputs), {"h": h}


def gru_v3(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h = state["h"]
    outputs = []
    for x_t in x:

        def sides(gate: str, x_t: Tensor = x_t, h: Tensor = h) -> tuple[Tensor, Tensor]:
            from_input = x_t @ p[f"W_i{gate}"].T + p[f"b_i{gate}"]
            return from_input, h @ p[f"W_h{gate}"].T + p[f"b_h{gate}"]

        reset, keep = sigmoid(sum(sides("r"))), sigmoid(sum(sides("z")))
        from_input, from_state = sides("n")
        h = (1 - keep) * tanh(from_input + reset * from_state) + keep * h
        outputs.append(h)
    return torch.stack(outputs), {"h": h}


def lstm_peephole(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h, c = state["h"], state["c"]
    outputs = []
    for x_t in x:
        into = x_t @ p["W_i"].T + h @ p["U_i"].T + p["b_i"] + p["p_i"] * c
        forget = x_t @ p["W_f"].T + h @ p["U_f"].T + p["b_f"] + p["p_f"] * c
        candidate = tanh(x_t @ p["W_c"].T + h @ p["U_c"].T + p["b_c"])
        c = sigmoid(forget) * c + sigmoid(into) * candidate
        out = x_t @ p["W_o"].T + h @ p["U_o"].T + p["b_o"] + p["p_o"] * c
        h = sigmoid(out) * tanh(c)
        outputs.append(h)
    return torch.stack(outputs), {"h": h, "c": c}


def cifg(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    y, c = state["y"], state["c"]
    outputs = []
    for x_t in x:
        block_input = tanh(x_t @ p["W_z"].T + y @ p["R_z"].T + p["b_z"])
        write = sigmoid(x_t @ p["W_i"].T + y @ p["R_i"].T + p["p_i"] * c + p["b_i"])
        c = block_input * write + c * (1 - write)
        y = tanh(c) * sigmoid(x_t @ p["W_o"].T + y @ p["R_o"].T + p["p_o"] * c + p["b_o"])
        outputs.append(y)
    return torch.stack(outputs), {"y": y, "c": c}


def mgu(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h = state["h"]
    outputs = []
    for x_t in x:
        forget = sigmoid(torch.cat([h, x_t], dim=1) @ p["W_f"].T + p["b_f"])
        candidate = tanh(torch.cat([forget * h, x_t], dim=1) @ p["W_h"].T + p["b_h"])
        h = (1 - forget) * h + forget * candidate
        outputs.append(h)
    return torch.stack(outputs), {"h": h}


def mingru(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h = state["h"]
    outputs = []
    for x_t in x:
        update = sigmoid(x_t @ p["W_z"].T + p["b_z"])
        h = (1 - update) * h + update * (x_t @ p["W_h"].T + p["b_h"])
        outputs.append(h)
    return torch.stack(outputs), {"h": h}


def minlstm(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h = state["h"]
    outputs = []
    for x_t in x:
        forget = sigmoid(x_t @ p["W_f"].T + p["b_f"])
        write = sigmoid(x_t @ p["W_i"].T + p["b_i"])
        h = (forget * h + write * (x_t @ p["W_h"].T + p["b_h"])) / (forget + write)
        outputs.append(h)
    return torch.stack(outputs), {"h": h}


def indrnn(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h = state["h"]
    outputs = []
    for x_t in x:
        h = relu(x_t @ p["W"].T + p["u"] * h + p["b"])
        outputs.append(h)
    return torch.stack(outputs), {"h": h}


def slstm(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    h, m, c, n = (state[name] for name in "hmcn")
    outputs = []
    for x_t in x:
        z, i, f, o = (
            x_t @ p[f"W_{gate}"].T + h @ p[f"R_{gate}"].T + p[f"b_{gate}"] for gate in "zifo"
        )
        previous, m = m, torch.maximum(logsigmoid(f) + m, i)
        write, keep = torch.exp(i - m), torch.exp(logsigmoid(f) + previous - m)
        c = keep * c + write * tanh(z)
        n = keep * n + write
        h = sigmoid(o) * c / n
        outputs.append(h)
    return torch.stack(outputs), {"h": h, "m": m, "c": c, "n": n}


def deltanet(p: Values, x: Tensor, state: Values) -> tuple[Tensor, dict[str, Tensor]]:
    memory = state["S"]  # (B, hidden_size, hidden_size): rows are values, columns are keys
    outputs = []
    for x_t in x:
        query, value = x_t @ p["W_q"].T, x_t @ p["W_v"].T
        key = silu(x_t @ p["W_k"].T)
        key = key / (key.square().sum(dim=1, keepdim=True) + 1e-6).sqrt()
        rate = sigmoid(x_t @ p["w_beta"])
        read = torch.einsum("bij,bj->bi", memory, key)
        memory = memory + torch.einsum("b,bi,bj->bij", rate, value - read, key)
        outputs.append(torch.einsum("bij,bj->bi", memory, query))
    return torch.stack(outputs), {"S": memory}


@dataclass(frozen=True)
class Shapes:
    """Parameters and states, name to shape in letters, e.g. `"h,h+x"`."""

    params: dict[str, str]
    states: dict[str, str]


def _gates(pattern: dict[str, str], gates: str) -> dict[str, str]:
    """`{"W_%": "h,x"}` for every gate letter."""
    return {name.replace("%", gate): shape for gate in gates for name, shape in pattern.items()}


_SPLIT = {"W_%": "h,x", "U_%": "h,h", "b_%": "h"}
_GREFF = {"W_%": "h,x", "R_%": "h,h", "b_%": "h"}
_JOINED = {"W_%": "h,h+x", "b_%": "h"}
_INPUT_ONLY = {"W_%": "h,x", "b_%": "h"}

SHAPES: dict[str, Shapes] = {
    "rnn": Shapes({"W_ih": "h,x", "b_ih": "h", "W_hh": "h,h", "b_hh": "h"}, {"h": "h"}),
    "lstm": Shapes(_gates(_JOINED, "fuco"), {"a": "h", "c": "h"}),
    "gru": Shapes(_gates(_SPLIT, "rzh"), {"h": "h"}),
    "gru_v3": Shapes(
        _gates({"W_i%": "h,x", "b_i%": "h", "W_h%": "h,h", "b_h%": "h"}, "rzn"), {"h": "h"}
    ),
    "lstm_peephole": Shapes(
        {**_gates(_SPLIT, "ifco"), **_gates({"p_%": "h"}, "ifo")}, {"h": "h", "c": "h"}
    ),
    "cifg": Shapes({**_gates(_GREFF, "zio"), **_gates({"p_%": "h"}, "io")}, {"y": "h", "c": "h"}),
    "mgu": Shapes(_gates(_JOINED, "fh"), {"h": "h"}),
    "mingru": Shapes(_gates(_INPUT_ONLY, "zh"), {"h": "h"}),
    "minlstm": Shapes(_gates(_INPUT_ONLY, "fih"), {"h": "h"}),
    "indrnn": Shapes({"W": "h,x", "u": "h", "b": "h"}, {"h": "h"}),
    "slstm": Shapes(_gates(_GREFF, "zifo"), {"h": "h", "m": "h", "c": "h", "n": "h"}),
    "deltanet": Shapes({**_gates({"W_%": "h,x"}, "qvk"), "w_beta": "x"}, {"S": "h,h"}),
}

REFERENCES: dict[str, Reference] = {
    f.__name__: f
    for f in (
        rnn,
        lstm,
        gru,
        gru_v3,
        lstm_peephole,
        cifg,
        mgu,
        mingru,
        minlstm,
        indrnn,
        slstm,
        deltanet,
    )
}


def shape(letters: str, **sizes: int) -> tuple[int, ...]:
    """The numbers behind a shape in letters: `"4h,h+x"` is (4 h, h + x), `""` a scalar."""
    terms = [re.findall(r"(\d*)([a-z]?)", dim) for dim in letters.split(",") if dim]
    return tuple(
        sum(int(count or 1) * (sizes[size] if size else 1) for count, size in dim if count or size)
        for dim in terms
    )

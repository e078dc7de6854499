"""How modules are called: states by keyword, in dictionaries, one row at a time, fixed sizes."""

import re

import pytest

import gatec
from gatec.equivalence import modules
from gatec.equivalence.verdict import Kind
from gatec.errors import GatecError

CODE = """
import torch
from torch import nn

class Plain(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.a = nn.Linear(input_size, hidden_size)
        self.b = nn.Linear(hidden_size, hidden_size)

class ByKeyword(Plain):
    def forward(self, x, *, state=None, return_gates=False):
        if state is None:
            state = x.new_zeros(x.size(0), self.b.in_features)
        h = torch.tanh(self.a(x) + self.b(state))
        return h, h

class ByKeywordWrong(ByKeyword):
    def forward(self, x, *, state=None, return_gates=False):
        h, _ = super().forward(x, state=state)
        return h, h + state if state is not None else h

class ByKeywordAlways(Plain):
    def forward(self, x, mask=None, *, h):
        return torch.tanh(self.a(x) + self.b(h))

class TwoByKeyword(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.cell = nn.LSTMCell(input_size, hidden_size)
    def forward(self, x, *, h=None, c=None):
        return self.cell(x, None if h is None else (h, c))

class InDictionary(Plain):
    def forward(self, x, state):
        h = torch.tanh(self.a(x) + self.b(state["h"]))
        return h, {"h": h}

class TwoInDictionary(TwoByKeyword):
    def forward(self, x, state):
        h, c = self.cell(x, (state["hidden"], state["memory"]))
        return h, {"hidden": h, "memory": c}

class TwoInDictionaryWrong(TwoInDictionary):
    def forward(self, x, state):
        h, new = super().forward(x, state)
        return h, {**new, "hidden": new["memory"]}

class Wired(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden_size = 12
        self.gates = nn.Linear(7 + self.hidden_size, 3 * self.hidden_size)
        self.candidate = nn.Linear(7 + self.hidden_size, self.hidden_size)
    def forward(self, x, state):
        h, c = state
        i, f, o = torch.sigmoid(self.gates(torch.cat((x, h), -1))).split(self.hidden_size, -1)
        c = f * c + i * torch.tanh(self.candidate(torch.cat((x, h), -1)))
        return o * torch.tanh(c), (o * torch.tanh(c), c)

class WiredWrong(Wired):
    def forward(self, x, state):
        h, (_, c) = super().forward(x, state)
        return h, (h, torch.tanh(c))

class HalfWired(nn.Module):
    def __init__(self, input_size):
        super().__init__()
        self.a, self.b = nn.Linear(input_size, 8), nn.Linear(8, 8)
    def forward(self, x, h):
        return torch.tanh(self.a(x) + self.b(h))

class InForward(HalfWired):
    def forward(self, x, h=None):
        h = x.new_zeros(len(x), 8) if h is None else h
        return torch.tanh(self.a(x) + self.b(h).view(len(x), 8))

class KeepsState(Plain):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.h = None
    def forward(self, x):
        if self.h is None:
            self.h = x.new_zeros(x.size(0), self.b.in_features)
        self.h = torch.tanh(self.a(x) + self.b(self.h))
        return self.h

class KeepsALog(ByKeyword):
    def forward(self, x, *, state=None):
        self.last, new = super().forward(x, state=state)
        return self.last, new

class BothWays(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.there, self.back = (nn.GRUCell(input_size, hidden_size) for _ in range(2))
    def forward(self, x):
        h = k = x.new_zeros(x.size(1), self.there.hidden_size)
        there, back = [], []
        for t in range(len(x)):
            h, k = self.there(x[t], h), self.back(x[len(x) - 1 - t], k)
            there.append(h)
            back.insert(0, k)
        return torch.cat([torch.stack(there), torch.stack(back)], -1)

class Stack(nn.Module):
    def __init__(self, input_size, hidden_size, num_layers=2):
        super().__init__()
        sizes = [input_size, *[hidden_size] * (num_layers - 1)]
        self.cells = nn.ModuleList(nn.RNNCell(n, hidden_size) for n in sizes)
    def forward(self, x, state):
        new = []
        for cell, h in zip(self.cells, state.unbind(1)):
            x = cell(x, h)
            new.append(x)
        return x, torch.stack(new, 1)

class OneRow(Plain):
    def forward(self, x, h):
        return torch.tanh(self.a.weight @ x + self.a.bias + self.b.weight @ h + self.b.bias)

class OneRowWrong(Plain):
    def forward(self, x, h):
        return torch.tanh(self.a.weight @ x + self.a.bias) + self.b.weight @ h

class OneSequence(Plain):
    def forward(self, xs):
        h = xs.new_zeros(self.b.in_features)
        out = []
        for x in xs:
            h = torch.tanh(self.a.weight.mv(x) + self.a.bias + self.b.weight.mv(h))
            out.append(h)
        return torch.stack(out)

class OneLast(OneSequence):
    def forward(self, xs):
        return super().forward(xs)[-1]

class OneState(Plain):
    def forward(self, xs, h=None):
        if h is None:
            h = xs.new_zeros(self.b.in_features)
        out = []
        for x in xs:
            h = torch.tanh(self.a.weight.mv(x) + self.a.bias + self.b.weight.mv(h))
            out.append(h)
        return torch.stack(out), h
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    path = tmp_path_factory.mktemp("modules") / "cells.py"
    path.write_text(CODE)

    def checked(spec, name):
        return modules.compare(gatec.parse(spec).cell, f"module:{path}:{name}")

    return checked


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("rnn", "ByKeyword"),
        ("rnn", "ByKeywordAlways"),
        ("lstm", "TwoByKeyword"),
        ("rnn", "InDictionary"),
        ("lstm", "TwoInDictionary"),
        ("rnn", "OneRow"),
        ("rnn", "OneSequence"),
        ("rnn", "OneLast"),
        ("rnn", "OneState"),
        ("lstm", "Wired"),
        ("rnn", "HalfWired"),
    ],
)
def test_states_are_handed_over(check, spec, name):
    verdict = check(spec, name)
    assert verdict.kind is Kind.EQUAL
    assert verdict.basis == "exact"


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("rnn", "ByKeywordWrong"),
        ("lstm", "TwoInDictionaryWrong"),
        ("rnn", "OneRowWrong"),
        ("lstm", "WiredWrong"),
    ],
)
def test_states_that_are_not_what_they_should_be(check, spec, name):
    assert check(spec, name).kind is Kind.DIFFERENT


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("InForward", "number of units that stands in its forward", "constructor"),
        ("KeepsState", "keeps its state between calls, in self.h", "return the new one"),
        ("BothWays", "reads? later inputs", "one direction"),
        ("Stack", "2 layers by default", r"Stack\(num_layers=1\)"),
    ],
)
def test_what_is_no_cell_is_told(check, name, message, hint):
    with pytest.raises(GatecError) as caught:
        check("rnn", name)
    (told,) = caught.value.diagnostics
    assert told.code == "E0805"
    assert re.search(message, told.message)
    assert re.search(hint, told.hint)


def test_what_is_kept_without_effect_is_no_state(check):
    assert check("rnn", "KeepsALog").kind is Kind.EQUAL

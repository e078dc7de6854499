"""Recurrent modules as people write them: some right, some wrong in the ways people are wrong.

Each says in its docstring what its author believes it computes.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

# --- Right ----------------------------------------------------------------------------------------


class JoinedLSTM(nn.Module):
    """The LSTM, all gates from one Linear of [x, h], in the order o, f, g, i; one step."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.gates = nn.Linear(input_size + hidden_size, 4 * hidden_size)

    def forward(self, x, state=None):
        if state is None:
            zeros = x.new_zeros(x.shape[0], self.hidden_size)
            state = (zeros, zeros)
        h, c = state
        o, f, g, i = self.gates(torch.cat([x, h], dim=-1)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class SplitLSTM(nn.Module):
    """The LSTM, each gate from two Linears of its own; h and c as arguments."""

    def __init__(self, n_in, n_hidden):
        super().__init__()
        for gate in "fioc":
            setattr(self, f"x{gate}", nn.Linear(n_in, n_hidden))
            setattr(self, f"h{gate}", nn.Linear(n_hidden, n_hidden, bias=False))

    def forward(self, x, h, c):
        forget = torch.sigmoid(self.xf(x) + self.hf(h))
        write = torch.sigmoid(self.xi(x) + self.hi(h))
        new = torch.tanh(self.xc(x) + self.hc(h))
        c = forget * c + write * new
        out = torch.sigmoid(self.xo(x) + self.ho(h)) * torch.tanh(c)
        return out, c


class SequenceGRU(nn.Module):
    """Cho's GRU over a sequence, batch first, weights for row vectors."""

    def __init__(self, input_dim, hidden_dim=8, batch_first=True):
        super().__init__()
        self.W = nn.Parameter(torch.randn(input_dim, 3 * hidden_dim))
        self.U = nn.Parameter(torch.randn(hidden_dim, 3 * hidden_dim))
        self.b = nn.Parameter(torch.zeros(3 * hidden_dim))
        self.dim = hidden_dim

    def forward(self, inputs, h=None):
        n = self.dim
        if h is None:
            h = torch.zeros(inputs.size(0), n, dtype=inputs.dtype)
        outputs = []
        for x in inputs.unbind(1):
            a = x @ self.W + self.b
            z = torch.sigmoid(a[:, :n] + h @ self.U[:, :n])
            r = torch.sigmoid(a[:, n : 2 * n] + h @ self.U[:, n : 2 * n])
            candidate = torch.tanh(a[:, 2 * n :] + (r * h) @ self.U[:, 2 * n :])
            h = torch.lerp(h, candidate, z)
            outputs.append(h)
        return torch.stack(outputs, dim=1), h


class EinsumGRU(nn.Module):
    """Cho's GRU, gates stacked in a leading axis of the weights."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, hidden_size, input_size))
        self.recurrent = nn.Parameter(torch.randn(3, hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(3, hidden_size))

    def forward(self, x, h):
        a = torch.einsum("ghi,bi->gbh", self.weight, x) + self.bias.unsqueeze(1)
        r = torch.sigmoid(a[0] + h @ self.recurrent[0].mT)
        z = torch.sigmoid(a[1] + h @ self.recurrent[1].mT)
        candidate = torch.tanh(a[2] + (r * h) @ self.recurrent[2].mT)
        return (1 - z) * candidate + z * h


class LeakyRNN(nn.Module):
    r"""A leaky integrator, one step of size `alpha`.

    .. math:: h_t = (1 - \alpha) h_{t-1} + \alpha \tanh(W x_t + U h_{t-1} + b)
    """

    def __init__(self, input_size, hidden_size, alpha=0.1):
        super().__init__()
        self.alpha = alpha
        self.W = nn.Linear(input_size, hidden_size)
        self.U = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, h=None):
        if h is None:
            h = torch.zeros(len(x), self.U.in_features, dtype=x.dtype)
        return h + self.alpha * (torch.tanh(self.W(x) + self.U(h)) - h)


class PeepholeLSTM(nn.Module):
    """Gers and Schmidhuber's LSTM, peepholes as rows of one parameter."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.x2h = nn.Linear(input_size, 4 * hidden_size)
        self.h2h = nn.Linear(hidden_size, 4 * hidden_size)
        self.peep = nn.Parameter(torch.randn(3, hidden_size))

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (self.x2h(x) + self.h2h(h)).chunk(4, -1)
        i = torch.sigmoid(i + self.peep[0] * c)
        f = torch.sigmoid(f + self.peep[1] * c)
        c = f * c + i * torch.tanh(g)
        o = torch.sigmoid(o + self.peep[2] * c)
        return o * torch.tanh(c), c


class LastState(nn.Module):
    """torch's LSTMCell over a sequence; the last hidden state alone comes out."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.cell = nn.LSTMCell(input_size, hidden_size)

    def forward(self, x):
        state = None
        for step in x:
            state = self.cell(step, state)
        return state[0]


class OwnLoop(nn.Module):
    """The plain RNN; its state is its own affair, outputs are written in place."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.inner = nn.Linear(input_size + hidden_size, hidden_size)
        self.hidden_size = hidden_size

    def forward(self, x):
        steps, rows, _ = x.shape
        out = torch.empty(steps, rows, self.hidden_size, dtype=x.dtype)
        h = torch.zeros(rows, self.hidden_size, dtype=x.dtype)
        for t in range(steps):
            h = torch.tanh(self.inner(torch.cat((h, x[t]), 1)))
            out[t] = h
        return out


class MGU(nn.Module):
    """The minimal gated unit; weights by F.linear, orders of [x, h] and [h, x] mixed."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        both = input_size + hidden_size
        self.wf = nn.Parameter(torch.randn(hidden_size, both) / math.sqrt(both))
        self.wh = nn.Parameter(torch.randn(hidden_size, both) / math.sqrt(both))
        self.bf = nn.Parameter(torch.zeros(hidden_size))
        self.bh = nn.Parameter(torch.zeros(1, hidden_size))

    def forward(self, input, hx):
        f = F.linear(torch.cat([input, hx], 1), self.wf, self.bf).sigmoid()
        candidate = F.linear(torch.cat([f * hx, input], 1), self.wh) + self.bh
        return hx.mul(1 - f).addcmul(f, candidate.tanh())


class NormalisedRNN(nn.Module):
    """The plain RNN with LayerNorm before the nonlinearity, and dropout."""

    def __init__(self, input_size, hidden_size, dropout=0.5):
        super().__init__()
        self.i = nn.Linear(input_size, hidden_size)
        self.h = nn.Linear(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, h):
        return torch.tanh(self.norm(self.i(x) + self.h(self.drop(h))))


class AttentiveMemory(nn.Module):
    """A matrix as state: written with an outer product, read with a query."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.qkv = nn.Linear(input_size, 3 * hidden_size, bias=False)
        self.decay = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("eye", torch.eye(hidden_size))

    def forward(self, x, memory=None):
        q, k, v = self.qkv(x).chunk(3, -1)
        if memory is None:
            memory = x.new_zeros(x.size(0), q.size(-1), q.size(-1))
        memory = self.decay * (memory @ self.eye) + v.unsqueeze(-1) * k.unsqueeze(-2)
        return torch.bmm(memory, q.unsqueeze(-1)).squeeze(-1), memory


class ColumnsLSTM(nn.Module):
    """The LSTM over a sequence: one matrix for [x, h, 1], states with a leading axis of 1."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.W = nn.Parameter(torch.randn(input_size + hidden_size + 1, 4 * hidden_size))
        self.n = hidden_size

    def forward(self, x, hc=None):
        rows = x.shape[1]
        if hc is None:
            hc = (x.new_zeros(1, rows, self.n),) * 2
        (h,), (c,) = hc
        out = []
        for step in x:
            z = torch.hstack([step, h, torch.ones(rows, 1, dtype=x.dtype)]) @ self.W
            i, f, g, o = z.reshape(rows, 4, self.n).unbind(1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            out.append(h)
        return torch.stack(out), (h[None], c[None])


class ForgetBiasLSTM(nn.Module):
    """The LSTM, its gates in a dictionary, a number added to the forget gate, state in a list."""

    def __init__(self, d_in, d_model, *, forget_bias=1.0):
        super().__init__()
        self.gate = nn.ModuleDict({key: nn.Linear(d_in + d_model, d_model) for key in "ifgo"})
        self.d_model, self.forget_bias = d_model, forget_bias

    def forward(self, x, state=None):
        h, c = state or [x.new_zeros(len(x), self.d_model) for _ in range(2)]
        both = torch.cat([h, x], 1)
        i, f, g, o = (self.gate[key](both) for key in "ifgo")
        c = c * (f + self.forget_bias).sigmoid() + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, [h, c]


class LearnedStart(nn.Module):
    """torch's RNNCell with a learned initial state."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.cell = torch.jit.script(nn.RNNCell(input_size, hidden_size))
        self.start = nn.Parameter(torch.randn(1, hidden_size))

    def forward(self, x, h=None):
        return self.cell(x, self.start.expand(len(x), -1) if h is None else h)


class ParallelScan(nn.Module):
    """minGRU, all steps at once by running products and sums."""

    def __init__(self, dim):
        super().__init__()
        self.z, self.h = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x):
        z = torch.sigmoid(self.z(x))
        kept = torch.cumprod(1 - z, 1)
        return kept * torch.cumsum(z * self.h(x) / kept, 1)


# --- Wrong ----------------------------------------------------------------------------------------


class BiaslessCandidate(JoinedLSTM):
    """The LSTM (but the candidate has lost its bias)."""

    def forward(self, x, state):
        h, c = state
        n = self.hidden_size
        both = torch.cat([x, h], dim=-1) @ self.gates.weight.t()
        i, f, g, o = both.split(n, -1)
        bi, bf, _, bo = self.gates.bias.split(n)
        c = torch.sigmoid(f + bf) * c + torch.sigmoid(i + bi) * torch.tanh(g)
        h = torch.sigmoid(o + bo) * torch.tanh(c)
        return h, (h, c)


class NoTanh(JoinedLSTM):
    """The LSTM (but the cell state goes out without tanh)."""

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.gates(torch.cat([x, h], dim=-1)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * c
        return h, (h, c)


class EarlyPeephole(PeepholeLSTM):
    """Gers and Schmidhuber's LSTM (but the output gate sees c of the step before)."""

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (self.x2h(x) + self.h2h(h)).chunk(4, -1)
        i = torch.sigmoid(i + self.peep[0] * c)
        f = torch.sigmoid(f + self.peep[1] * c)
        o = torch.sigmoid(o + self.peep[2] * c)
        c = f * c + i * torch.tanh(g)
        return o * torch.tanh(c), c


class SigmoidOfProduct(nn.Module):
    """A gated RNN, h = z * tanh(...) (but the sigmoid is of the product)."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.z = nn.Linear(input_size, hidden_size)
        self.c = nn.Linear(input_size, hidden_size)
        self.u = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, h):
        candidate = torch.tanh(self.c(x) + self.u(h))
        return torch.sigmoid(self.z(x) * candidate)


class ResetAfter(SequenceGRU):
    """Cho's GRU (but the reset gate acts after the product)."""

    def forward(self, inputs, h=None):
        n = self.dim
        if h is None:
            h = torch.zeros(inputs.size(0), n, dtype=inputs.dtype)
        outputs = []
        for x in inputs.unbind(1):
            a, u = x @ self.W + self.b, h @ self.U
            z = torch.sigmoid(a[:, :n] + u[:, :n])
            r = torch.sigmoid(a[:, n : 2 * n] + u[:, n : 2 * n])
            candidate = torch.tanh(a[:, 2 * n :] + r * u[:, 2 * n :])
            h = (1 - z) * h + z * candidate
            outputs.append(h)
        return torch.stack(outputs, dim=1), h


class ForgetOnInput(JoinedLSTM):
    """The LSTM (but the forget gate acts on the new content, too)."""

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.gates(torch.cat([x, h], dim=-1)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * (c + torch.sigmoid(i) * torch.tanh(g))
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class OffByOne(OwnLoop):
    """The plain RNN (but each output is the state before the step)."""

    def forward(self, x):
        steps, rows, _ = x.shape
        h = torch.zeros(rows, self.hidden_size, dtype=x.dtype)
        out = []
        for t in range(steps):
            new = torch.tanh(self.inner(torch.cat((h, x[t]), 1)))
            out.append(h + 0 * new)
            h = new
        return torch.stack(out)


class StoppedRNN(OwnLoop):
    """The plain RNN (right, but its gradient stops at every step)."""

    def forward(self, x):
        rows = x.shape[1]
        h = torch.zeros(rows, self.hidden_size, dtype=x.dtype)
        out = []
        for step in x:
            h = torch.tanh(self.inner(torch.cat((h.detach(), step), 1)))
            out.append(h)
        return torch.stack(out)


# --- What cannot be read as equations -------------------------------------------------------------


class GuardedLSTM(JoinedLSTM):
    """The LSTM, which looks at its values to decide what to do."""

    def forward(self, x, state=None):
        h, new = super().forward(x, state)
        if not torch.isfinite(h).all():
            raise FloatingPointError("the state has exploded")
        return h, new


class GuardedNoTanh(NoTanh):
    """The LSTM without its tanh, which looks at its values, too."""

    def forward(self, x, state):
        h, new = super().forward(x, state)
        if h.abs().max() > 1e6:
            raise FloatingPointError("the state has exploded")
        return h, new


class Documented(nn.Module):
    r"""A gated RNN, its functions in words.

    .. math::
        g_t &= \psi(W_g x_t + b_g) \\
        h_t &= g_t \odot h_{t-1} + (1 - g_t) \odot \phi(W x_t + U h_{t-1} + \delta)

    where :math:`\psi` is a gate and :math:`\phi` a nonlinearity.
    """

    def __init__(self, input_size, hidden_size, delta=0.5):
        super().__init__()
        self.gate = nn.Linear(input_size, hidden_size)
        self.inner = nn.Linear(input_size, hidden_size, bias=False)
        self.outer = nn.Linear(hidden_size, hidden_size, bias=False)
        self.delta = delta

    def forward(self, x, h):
        g = torch.sigmoid(self.gate(x))
        return g * h + (1 - g) * F.softplus(self.inner(x) + self.outer(h) + self.delta)


# --- What is no recurrent cell --------------------------------------------------------------------


class Needy(nn.Module):
    """Its constructor takes what nobody can guess."""

    def __init__(self, order, theta):
        super().__init__()
        if not isinstance(order, dict):
            raise TypeError("order must be a table")

    def forward(self, x):
        return x


class BatchMixer(nn.Module):
    """Rows of the batch meet."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.inner = nn.Linear(input_size, hidden_size)

    def forward(self, x, h):
        return torch.tanh(self.inner(x) - self.inner(x).mean(0) + h)


def function(x):
    return x

"""One layer of a generated module: on compiled kernels where that gives what the equations give.

The module's own equations, run by PyTorch step by step, are the eager path. It serves whatever the
kernels do not: other devices and types, derivatives of derivatives, tangents, `vmap`, tracing.
Nothing falls back in silence: `module.path` says what ran, and a missing compiler is warned about.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

if TYPE_CHECKING:
    from gatec.runtime.kernels import Kernels, Shapes

Result = tuple[Tensor, tuple[Tensor, ...]]
NATIVE = "native"
_OFF = ("off", "eager", "0", "no")  # values of GATEC_RUNTIME


class Module(Protocol):
    """What is asked of a generated module."""

    hidden_size: int
    _cell: str

    def _layer(
        self,
        weights: list[Tensor],
        state: tuple[Tensor, ...],
        batch_sizes: list[int],
        reverse: bool,
        *inputs: Tensor,
    ) -> Result: ...


def run_layer(
    module: Any,
    weights: list[Tensor],
    state: tuple[Tensor, ...],
    batch_sizes: list[int],
    reverse: bool,
    *inputs: Tensor,
) -> Result:
    """One layer in one direction over packed rows, `batch_sizes[t]` of them at step t.

    weights  the parameters, in the order of the cell
    state    a tensor (B, ...) for each state; () for the cell's own first states
    inputs   the rows of each input, those of step 0 first

    Returns the rows of the outputs and each sequence's state after its last step.
    """
    if torch.compiler.is_compiling() or torch._C._get_tracing_state():
        return module._layer(weights, state, batch_sizes, reverse, *inputs)  # type: ignore[no-any-return]
    reason = _why_not(weights, state, batch_sizes, inputs)
    if reason is None:
        reason, kernels = _kernels(module, inputs[0].dtype)
        if kernels is not None:
            module._path = NATIVE
            return _native(module, kernels, weights, state, batch_sizes, reverse, inputs)
    module._path = f"eager: {reason}"
    return module._layer(weights, state, batch_sizes, reverse, *inputs)  # type: ignore[no-any-return]


# --- Which path -----------------------------------------------------------------------------------


def _why_not(
    weights: Sequence[Tensor],
    state: Sequence[Tensor],
    batch_sizes: Sequence[int],
    inputs: Sequence[Tensor],
) -> str | None:
    """Why the kernels do not serve a call, whatever the cell; None where they may."""
    if os.environ.get("GATEC_RUNTIME", "").lower() in _OFF:
        return "GATEC_RUNTIME turns the kernels off"
    tensors = [*weights, *state, *inputs]
    for tensor in tensors:
        if type(tensor) not in (Tensor, torch.nn.Parameter):
            return f"{type(tensor).__name__} is another kind of tensor"
        if tensor.device.type != "cpu" or tensor.layout != torch.strided:
            return f"tensors on {tensor.device} have no kernels yet"
        if tensor.dtype not in (torch.float32, torch.float64) or tensor.dtype != inputs[0].dtype:
            return f"there are no kernels for {tensor.dtype}"
    if batch_sizes[0] != batch_sizes[-1]:
        return "the sequences have several lengths"
    if _is_transformed():
        return "a transform of torch.func is at work"
    if torch._C._len_torch_dispatch_stack():
        return "the operations of PyTorch are being observed"
    if any(map(_has_tangent, _dual(tensors))):
        return "there are tangents (forward-mode derivatives)"
    return None


def _is_transformed() -> bool:
    """Whether vmap, grad, jvp and the like are at work: kernels see no tensors of theirs."""
    peek = getattr(getattr(torch._C, "_functorch", None), "peek_interpreter_stack", None)
    return peek is not None and peek() is not None


def _dual(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Tensors that may have tangents: none outside of a level of forward-mode derivatives."""
    return tensors if getattr(forward_ad, "_current_level", 0) >= 0 else ()


def _has_tangent(tensor: Tensor) -> bool:
    return forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


_warned: set[str] = set()


def _kernels(module: Module, dtype: torch.dtype) -> tuple[str, Kernels | None]:
    """The kernels of a module; why there are none, which is said once."""
    from gatec.runtime import kernels
    from gatec.runtime.build import Unavailable

    try:
        return "", kernels.kernels(kernels.key_of(module._cell), dtype)
    except Unavailable as error:
        reason = str(error)
        if reason not in _warned:
            _warned.add(reason)
            warnings.warn(f"gatec runs the slower eager path: {reason}", stacklevel=6)
        return reason, None


# --- The call -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
    """A call of the kernels. `again` is the eager path on inputs, states and parameters."""

    kernels: Kernels
    shapes: Shapes
    constants: list[float]
    counts: tuple[int, int]  # of inputs and of states
    train: bool
    again: Callable[..., Result]

    def parts(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Tensors as inputs, states, parameters."""
        first, second = self.counts[0], sum(self.counts)
        return list(tensors[:first]), list(tensors[first:second]), list(tensors[second:])


def _native(
    module: Module,
    kernels: Kernels,
    weights: list[Tensor],
    state: tuple[Tensor, ...],
    batch_sizes: list[int],
    reverse: bool,
    inputs: Sequence[Tensor],
) -> Result:
    steps, batch = len(batch_sizes), batch_sizes[0]
    sequences = [rows.reshape(steps, batch, *rows.shape[1:]) for rows in inputs]
    if reverse:
        sequences = [sequence.flip(0) for sequence in sequences]
    tensors = [*sequences, *state, *weights]
    first, second = len(inputs), len(inputs) + len(state)  # `again` must not hold the tensors

    def again(*given: Tensor) -> Result:
        rows = [value.flatten(0, 1) for value in given[:first]]
        output, last = module._layer(
            list(given[second:]), tuple(given[first:second]), batch_sizes, False, *rows
        )
        return output.reshape(steps, batch, *output.shape[1:]), last

    call = _Call(
        kernels,
        kernels.shapes(sequences, weights, module.hidden_size),
        [float(getattr(module, constant.name)) for constant in kernels.plan.constants],
        (len(inputs), len(state)),
        torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors),
        again,
    )
    outputs, *last = _Layer.apply(call, *tensors)  # type: ignore[no-untyped-call]
    if reverse:
        outputs = outputs.flip(0)
    return outputs.flatten(0, 1), tuple(last)


class _Layer(torch.autograd.Function):
    """Forward and backward by the kernels; derivatives of derivatives by the eager path."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        dense = [tensor.contiguous() for tensor in tensors]
        inputs, states, params = call.parts(dense)
        *results, workspace = call.kernels.forward(
            call.shapes, inputs, states, params, call.constants, call.train
        )
        if call.train:
            ctx.call = call
            ctx.save_for_backward(workspace, *tensors)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        call, wanted = ctx.call, ctx.needs_input_grad[1:]
        workspace, *tensors = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants derivatives of these
            return (None, *_again(call, tensors, grads, wanted))
        inputs, states, params = call.parts([tensor.contiguous() for tensor in tensors])
        # Of the states that the cell begins with itself, nobody wants gradients.
        own = 0 if states else len(call.kernels.plan.states)
        first = len(inputs)
        asked = [*wanted[:first], *([False] * own), *wanted[first:]]
        made = call.kernels.backward(
            call.shapes,
            grads[0].contiguous(),
            [grad.contiguous() for grad in grads[1:]],
            inputs,
            states,
            params,
            call.constants,
            workspace,
            asked,
        )
        made = [*made[:first], *made[first + own :]]
        return (None, *(g if w else None for g, w in zip(made, wanted, strict=True)))


def _again(
    call: _Call, tensors: Sequence[Tensor], grads: Sequence[Tensor], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients by the eager path, which can be differentiated themselves."""
    output, last = call.again(*tensors)
    sought = [tensor for tensor, want in zip(tensors, wanted, strict=True) if want]
    pairs = [(v, g) for v, g in zip((output, *last), grads, strict=True) if v.requires_grad]
    found = iter(
        torch.autograd.grad(
            [value for value, _ in pairs],
            sought,
            [grad for _, grad in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return [next(found) if want else None for want in wanted]

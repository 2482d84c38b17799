"""Linear layers that keep for the backward pass what bitsandbytes' quantised ones keep, for counting memory.

The quantised layers themselves can't run on tensors without content. What each keeps and in which type it
answers was read in bitsandbytes 0.50, `nn/modules.py` and `autograd/_functions.py`.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from adapters.training.memory import linear_weights


def stand_in(core: Any, quantization: str, compute: torch.dtype) -> None:
    """Let the layers that quantisation changes keep what they would when quantised. Changes the model.

    Args:
        core: an outline, within whatever peft wrapped around its layers.
        quantization: ``8bit`` or ``4bit``; ``none`` changes nothing.
        compute: the type in which a 4-bit layer multiplies.
    """
    if quantization == "none":
        return
    for name in linear_weights(core):
        layer = core.get_submodule(name.rpartition(".")[0])
        layer.forward = partial(_forward_4bit if quantization == "4bit" else _forward_8bit, layer, compute)


def _forward_4bit(layer: Any, compute: torch.dtype, given: Tensor) -> Tensor:
    """Multiplies in the type of computing, but answers in the type that it was given."""
    bias = None if layer.bias is None else layer.bias.to(compute)
    return _Multiply.apply(given.to(compute), _upright(layer), bias, False).to(given.dtype)


def _forward_8bit(layer: Any, compute: torch.dtype, given: Tensor) -> Tensor:
    """Multiplies as autocast says, and keeps what it was given, of whatever type."""
    return _Multiply.apply(given, _upright(layer), layer.bias, True)


def _upright(layer: Any) -> Tensor:
    """The weight as (outputs, inputs): Conv1D, GPT-2's, holds it transposed."""
    weight: Tensor = layer.weight
    return weight.t() if type(layer).__name__ == "Conv1D" else weight


class _Multiply(torch.autograd.Function):  # type: ignore[misc]  # torch is not checked
    """x·Wᵀ with a weight that is unpacked each time it is needed."""

    @staticmethod
    def forward(context: Any, given: Tensor, weight: Tensor, bias: Tensor | None, keeps: bool) -> Tensor:
        """Unpack and multiply; the weight is kept packed, so it costs nothing more."""
        context.weight, context.dtype, context.given = weight, given.dtype, given if keeps else None
        return linear(given, _unpack(weight, given.dtype), bias)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient of what was given; the weight is frozen."""
        unpacked = _unpack(context.weight, context.dtype)
        return torch.matmul(gradient.to(context.dtype), unpacked), None, None, None


def _unpack(weight: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.empty(weight.shape, dtype=dtype, device=weight.device)

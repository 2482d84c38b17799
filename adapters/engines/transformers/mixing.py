"""Several LoRAs in one layer at once, each for its own rows.

peft can do that too (`adapter_names`), one adapter after the other: seven small computations for each of them
in each layer, which with five adapters took three quarters of the model's own time; this takes a tenth. The
adapters of a layer lie side by side in two matrices; all rows go through both, and between them each row
keeps its own part:

    y = W·x + B·(m ∘ A·x),   A = [A₁; A₂; …],   B = [B₁ B₂ …],   m = the row's own scale, 0 for all others

Loading stays peft's; the layers' own weights become views of these matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

Layout = tuple[tuple[str, int, float], ...]
"""The adapters of a layer side by side: key, rank, scale."""


@dataclass(frozen=True, eq=False)
class _Stack:
    """The adapters of one layer.

    Args:
        layout: which, in their order.
        down: A, (all ranks, inputs).
        up: B, (outputs, all ranks).
    """

    layout: Layout
    down: Tensor
    up: Tensor

    def find(self, voice: str | None) -> tuple[int, int, float] | None:
        """Where one adapter's part begins and ends, and its scale; None when the layer hasn't got it."""
        first = 0
        for key, rank, scale in self.layout:
            if key == voice:
                return first, first + rank, scale
            first += rank
        return None


class Mixing:
    """What the layers of one model do with the adapters that peft loaded on it. One thread at a time."""

    def __init__(self) -> None:
        self._rows: tuple[str | None, ...] = ()
        self._mixed = False
        self._masks: dict[tuple[Layout, Any], Tensor] = {}  # by layout and device

    def speak(self, voices: Sequence[str | None]) -> None:
        """Say whose row is whose; None is the base model."""
        if self._rows != (rows := tuple(voices)):
            self._rows, self._mixed, self._masks = rows, len(set(rows)) > 1, {}

    def attach(self, layers: Sequence[Any]) -> None:
        """Let peft's layers compute in this way, with the adapters that they have now."""
        self._masks = {}
        for layer in layers:
            layer.forward = partial(self._forward, layer.get_base_layer(), _stack(layer))

    def _forward(self, base: Any, stack: _Stack | None, given: Tensor) -> Tensor:
        result: Tensor = base(given)
        if stack is None:
            return result
        given = given.to(stack.down.dtype)
        if self._mixed:
            kept = linear(given, stack.down) * self._mask(stack)
            return result + linear(kept, stack.up).to(result.dtype)
        if (place := stack.find(self._rows[0])) is None:
            return result
        first, end, scale = place
        added = linear(linear(given, stack.down[first:end]), stack.up[:, first:end]) * scale
        return result + added.to(result.dtype)

    def _mask(self, stack: _Stack) -> Tensor:
        """(rows, 1, all ranks); the same for all layers of a layout."""
        key = stack.layout, stack.down.device
        if key not in self._masks:
            kept = [
                [scale if own == voice else 0.0 for own, rank, scale in stack.layout for _ in range(rank)]
                for voice in self._rows
            ]
            mask = torch.tensor(kept, dtype=stack.down.dtype, device=stack.down.device)
            self._masks[key] = mask[:, None]
        return self._masks[key]


def _stack(layer: Any) -> _Stack | None:
    """A layer's adapters side by side; the layer's own weights become views of that."""
    keys = list(layer.lora_A)
    if not keys:
        return None
    down = torch.cat([layer.lora_A[key].weight.data for key in keys])
    up = torch.cat([layer.lora_B[key].weight.data for key in keys], dim=1)
    layout = tuple((key, layer.lora_A[key].weight.shape[0], float(layer.scaling[key])) for key in keys)
    stack = _Stack(layout, down, up)
    for key in keys:
        first, end, _ = stack.find(key) or (0, 0, 0.0)
        layer.lora_A[key].weight.data = down[first:end]
        layer.lora_B[key].weight.data = up[:, first:end]
    return stack

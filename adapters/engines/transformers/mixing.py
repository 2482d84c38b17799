"""Several LoRAs in one layer at once, each for its own rows.

peft can do that too (`adapter_names`), one adapter after the other: seven small computations for each of them
in each layer, which with five adapters took three quarters of the model's own time; this takes a tenth. The
adapters of a layer lie side by side in two matrices; all rows go through both, and between them each row
keeps its own part:

    y = W·x + B·(m ∘ A·x),   A = [A₁; A₂; …],   B = [B₁ B₂ …],   m = the row's own scale, 0 for all others

It is added by a forward hook, so the model itself stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import linear

from adapters.engines.transformers.loras import Lora

Layout = tuple[tuple[str, int, float], ...]
"""The adapters of a layer side by side: key, rank, scale."""


@dataclass(frozen=True, eq=False)
class _Stack:
    """The adapters of one layer.

    Args:
        layout: which, in their order.
        down: A, (all ranks, inputs).
        up: B, (outputs, all ranks).
        hook: what adds them to what the layer computes.
    """

    layout: Layout
    down: Tensor
    up: Tensor
    hook: Any = None

    def find(self, voice: str | None) -> tuple[int, int, float] | None:
        """Where one adapter's part begins and ends, and its scale; None when the layer hasn't got it."""
        first = 0
        for key, rank, scale in self.layout:
            if key == voice:
                return first, first + rank, scale
            first += rank
        return None


class Mixing:
    """The adapters on the layers of one model, and whose rows are computed. One thread at a time."""

    def __init__(self) -> None:
        self._stacks: dict[Module, _Stack] = {}
        self._rows: tuple[str | None, ...] = ()
        self._mixed = False
        self._masks: dict[tuple[Layout, Any], Tensor] = {}  # by layout and device

    def speak(self, voices: Sequence[str | None]) -> None:
        """Say whose row is whose; None is the base model."""
        if self._rows != (rows := tuple(voices)):
            self._rows, self._mixed, self._masks = rows, len(set(rows)) > 1, {}

    def add(self, key: str, loras: Mapping[Module, Lora]) -> None:
        """Put an adapter beside the others; where memory doesn't reach, all is as it was."""
        added = {layer: _join(self._stacks.get(layer), key, lora) for layer, lora in loras.items()}
        for layer, stack in added.items():
            self._lay(layer, stack)

    def remove(self, key: str) -> None:
        """Free an adapter's memory."""
        for layer, stack in list(self._stacks.items()):
            if place := stack.find(key):
                self._lay(layer, _cut(stack, *place[:2]))

    def _lay(self, layer: Module, stack: _Stack) -> None:
        """Let a layer compute with these from now on."""
        self._masks = {}
        if before := self._stacks.pop(layer, None):
            before.hook.remove()
        if stack.layout:
            hook = layer.register_forward_hook(partial(self._add, stack))
            self._stacks[layer] = replace(stack, hook=hook)

    def _add(self, stack: _Stack, _layer: Module, inputs: tuple[Tensor, ...], result: Tensor) -> Tensor:
        """What a layer computed, and for each row what its adapter adds."""
        given = inputs[0].to(stack.down.device, stack.down.dtype)
        if self._mixed:
            mask = self._mask(stack)
            # Filled, for nought times what overflowed in somebody else's adapter is no number.
            kept = (linear(given, stack.down) * mask).masked_fill(mask == 0, 0.0)
            return result + linear(kept, stack.up).to(result.device, result.dtype)
        if (place := stack.find(self._rows[0])) is None:
            return result
        first, end, scale = place
        added = linear(linear(given, stack.down[first:end]), stack.up[:, first:end]) * scale
        return result + added.to(result.device, result.dtype)

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


def _join(stack: _Stack | None, key: str, lora: Lora) -> _Stack:
    """One more adapter at the end of a layer's."""
    entry = (key, lora.down.shape[0], lora.scale)
    if stack is None:
        return _Stack((entry,), lora.down, lora.up)
    down, up = torch.cat((stack.down, lora.down)), torch.cat((stack.up, lora.up), dim=1)
    return _Stack((*stack.layout, entry), down, up)


def _cut(stack: _Stack, first: int, end: int) -> _Stack:
    """All adapters of a layer but the one between these ranks."""
    layout, place = [], 0
    for entry in stack.layout:
        if place != first:
            layout.append(entry)
        place += entry[1]
    down = torch.cat((stack.down[:first], stack.down[end:]))
    up = torch.cat((stack.up[:, :first], stack.up[:, end:]), dim=1)
    return _Stack(tuple(layout), down, up)

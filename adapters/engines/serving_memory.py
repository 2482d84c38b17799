"""What serving a choice takes of memory, about, and what the machine has to give. Loads nothing.

The reckoning is `adapters.memory_fit`'s: a switch is refused by the figures that the list of models shows.
"""

from dataclasses import dataclass

import psutil

from adapters import catalog, embedded
from adapters.base_model import BaseModel, Weights
from adapters.engines.choice import Choice, EngineKind, wants_transformers
from adapters.machine import left_in_container
from adapters.memory_fit import Window, reckon
from adapters.model_store import file_bytes
from adapters.training.memory import look_at_machine


@dataclass(frozen=True)
class ServingMemory:
    """What a choice needs and what there is.

    Args:
        needed: about, bytes; None where nothing tells how large the model is.
        available: now, beside everything that runs, bytes.
    """

    needed: int | None
    available: int

    @property
    def fits(self) -> bool:
        """Whether there is room, as far as can be told."""
        return self.needed is None or self.needed <= self.available


def reckon_serving(choice: Choice, context_tokens: int, slots: int) -> ServingMemory:
    """What serving a choice would take beside what is served now.

    Args:
        choice: model and engine.
        context_tokens: window of one conversation, tokens.
        slots: conversations at once.

    Raises:
        ModelError: its file can't be read.
    """
    return ServingMemory(_needed(choice, Window(context_tokens, slots)), _available(choice.kind))


def _needed(choice: Choice, window: Window) -> int | None:
    if choice.kind is EngineKind.REMOTE:
        return 0
    model, weights, stored = _describe(choice), Weights.FULL, 0
    if choice.kind is EngineKind.LLAMACPP:
        weights = Weights.Q4  # whichever it is: its files' size says the rest
        stored = embedded.FILE_BYTES if choice.path is None else file_bytes(choice.path)
    need = reckon(model, weights, window, stored, choice.dtype)
    return None if need is None else need.total


def _describe(choice: Choice) -> BaseModel:
    """The catalogue's entry, which tells most; of others what their files say."""
    known = catalog.find(choice.base_model)
    return known if known.shape is not None else catalog.find(str(choice.path or choice.base_model))


def _available(kind: EngineKind) -> int:
    """Memory that could be taken now, bytes: the graphics card's where transformers computes on one."""
    if kind is EngineKind.TRANSFORMERS and wants_transformers("auto"):
        return look_at_machine().available
    return min(int(psutil.virtual_memory().available), left_in_container())

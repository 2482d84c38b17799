"""What serving a base model takes of memory, about, and what the machine has to give. Loads nothing.

For llama.cpp: the file, the keys and values of every slot's whole window in 16 bits, and what it computes in.
For transformers: the weights as they are kept; keys and values come and go there with the questions, so a
share of the weights stands for them. Both err to the high side: a machine that swaps answers nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from adapters import catalog, embedded
from adapters.engines.choice import Choice, EngineKind, wants_transformers
from adapters.engines.gguf_metadata import read_metadata
from adapters.training.memory import INT8_BYTES, NF4_BYTES, left_in_container, look_at_machine

# Measured with the embedded model: what the server takes beside file and cache, tables and buffers.
LLAMACPP_WORKSPACE = 150 * 2**20
# torch and transformers in a process that has not loaded them yet.
LIBRARIES = 500 * 2**20
TRANSFORMERS_SHARE = 1.2
CACHE_BYTES = 2  # of a key or a value: both engines keep them in 16 bits
_BYTES: Mapping[str, float] = {"bf16": 2, "fp16": 2, "fp32": 4, "8bit": INT8_BYTES, "4bit": NF4_BYTES}
_AUTO_BYTES = 2  # on a card and on most processors; fp32 where a processor doesn't compute in bf16


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
        context_tokens: window of one slot, tokens.
        slots: windows that llama.cpp keeps.
    """
    match choice.kind:
        case EngineKind.REMOTE:
            needed: int | None = 0
        case EngineKind.LLAMACPP:
            needed = _reckon_llamacpp(choice, context_tokens, slots)
        case EngineKind.TRANSFORMERS:
            needed = _reckon_transformers(choice)
    return ServingMemory(needed, _available(choice.kind))


def cache_bytes_a_token(metadata: Mapping[str, Any]) -> int:
    """Keys and values of one token in all layers, bytes, from a GGUF file's metadata.

    2 × layers × key/value heads × width of a head × 2 bytes; 23,040 for the embedded model.
    """
    architecture = metadata.get("general.architecture")

    def tell(name: str) -> int:
        value = metadata.get(f"{architecture}.{name}", 0)
        return int(value) if isinstance(value, int | float) else 0

    heads = tell("attention.head_count")
    width = tell("attention.key_length") or (tell("embedding_length") // heads if heads else 0)
    return 2 * tell("block_count") * (tell("attention.head_count_kv") or heads) * width * CACHE_BYTES


def _reckon_llamacpp(choice: Choice, context_tokens: int, slots: int) -> int | None:
    if choice.path is None:  # the embedded model, fetched yet or not
        tokens = context_tokens * slots
        return embedded.FILE_BYTES + tokens * _EMBEDDED_CACHE + LLAMACPP_WORKSPACE
    metadata = read_metadata(choice.path)
    own = int(metadata.get(f"{metadata.get('general.architecture')}.context_length", 0))
    tokens = min(context_tokens, own or context_tokens) * slots
    return _size_of(choice.path) + tokens * cache_bytes_a_token(metadata) + LLAMACPP_WORKSPACE


def _size_of(gguf: Path) -> int:
    """A file, or all parts of a model in several."""
    head, _, _ = gguf.name.rpartition("-00001-of-")
    parts = gguf.parent.glob(f"{head}-*-of-*.gguf") if head else (gguf,)
    return sum(part.stat().st_size for part in parts)


def _reckon_transformers(choice: Choice) -> int | None:
    entry = catalog.find(str(choice.path or choice.base_model))
    if not entry.parameters:
        return None
    each = _BYTES.get(choice.dtype, _AUTO_BYTES)
    return int(entry.parameters * each * TRANSFORMERS_SHARE) + LIBRARIES


def _available(kind: EngineKind) -> int:
    """Memory that could be taken now, bytes: the graphics card's where transformers computes on one."""
    if kind is EngineKind.TRANSFORMERS and wants_transformers("auto"):
        return look_at_machine().available
    return min(int(psutil.virtual_memory().available), left_in_container())


_EMBEDDED_CACHE = 2 * 30 * 3 * 64 * CACHE_BYTES  # layers, key/value heads, width of a head

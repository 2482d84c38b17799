"""What is remembered of prompts that were read: keys and values by adapter and tokens, within a bound.

A prompt is read in segments (`prompt.segments`). Each is kept under its voice, its own tokens and all those
before it, so a segment is found only where everything before it is the same, in the same voice. There is one
base model an engine, which therefore isn't part of the key.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Key = tuple[str | None, bytes]
Layers = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (1, heads, tokens, width)."""


@dataclass(frozen=True)
class _Entry:
    layers: Layers
    size: int


class Prefixes:
    """Segments of prompts, the least recently used ones forgotten first.

    Args:
        bound: most memory that they may take, bytes; 0 remembers nothing.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self.size = 0
        """Memory taken, bytes."""

    def find(self, voice: str | None, segments: Sequence[Sequence[int]]) -> list[Layers]:
        """What is remembered of the first segments, as far as it reaches without a gap."""
        found = []
        keys = chain(voice, segments)
        for key in keys:
            if key not in self._entries:
                break
            found.append(self._entries[key].layers)
        for key in reversed(keys[: len(found)]):  # the beginning is used last, so it is forgotten last
            self._entries.move_to_end(key)
        return found

    def keep(self, voice: str | None, segments: Sequence[Sequence[int]], layers: Layers) -> None:
        """Remember the last of these segments.

        Args:
            voice: who read it.
            segments: from the beginning of the prompt.
            layers: of the last one only; kept as they are, so they must not be views of something larger.
        """
        key = chain(voice, segments)[-1]
        size = sum(keys.nbytes + values.nbytes for keys, values in layers)
        if key in self._entries or size > self._bound:
            return
        self._entries[key] = _Entry(layers, size)
        self.size += size
        while self.size > self._bound:
            _, forgotten = self._entries.popitem(last=False)
            self.size -= forgotten.size

    def forget(self, voice: str | None) -> None:
        """Forget everything that this voice read."""
        for key in [key for key in self._entries if key[0] == voice]:
            self.size -= self._entries.pop(key).size

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)


def chain(voice: str | None, segments: Sequence[Sequence[int]]) -> list[Key]:
    """A key for each segment, that depends on all before it."""
    digest, keys = hashlib.sha256(), []
    for segment in segments:
        digest.update(",".join(map(str, segment)).encode() + b";")
        keys.append((voice, digest.digest()))
    return keys

"""Keys and values of a batch, in tensors that have room for more.

transformers' own `DynamicLayer` copies everything at every token; here a token is written into its place, and
only when the room is full, or a row comes or goes, is everything copied.
"""

from typing import Any

from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens of room that a tensor is made with beyond what it holds."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not checked
    """One layer's keys and values, (rows, heads, tokens, width); `keys` and `values` view what is used."""

    def __init__(self) -> None:
        super().__init__()
        self._key_room: Tensor | None = None
        self._value_room: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write the next tokens behind the others; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used = self.get_seq_length()
        needed = used + key_states.shape[-2]
        if self._key_room is None or self._value_room is None or self._key_room.shape[-2] < needed:
            self._key_room = _grow(self.keys if used else None, key_states, needed + ROOM)
            self._value_room = _grow(self.values if used else None, value_states, needed + ROOM)
        self._key_room[..., used:needed, :] = key_states
        self._value_room[..., used:needed, :] = value_states
        return self._view(needed)

    def rewind(self, length: int) -> None:
        """Forget all tokens beyond the first `length`."""
        if self.get_seq_length() > length:
            self._view(length)

    def set(self, keys: Tensor, values: Tensor, length: int) -> None:
        """Hold these, of which the first `length` tokens are used and the rest is room."""
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self._key_room, self._value_room = keys, values
        self._view(length)

    def _view(self, length: int) -> tuple[Tensor, Tensor]:
        assert self._key_room is not None and self._value_room is not None  # noqa: S101 -- for the type checker
        self.keys = self._key_room[..., :length, :]
        self.values = self._value_room[..., :length, :]
        return self.keys, self.values


def new_cache() -> Cache:
    """An empty cache. Windowed layers keep everything too: the mask hides what is out of their sight."""
    return Cache(layer_class_to_replicate=RoomyLayer)


def rewind(cache: Cache, length: int) -> None:
    """Forget all tokens beyond the first `length`, as after a forward that failed halfway."""
    for layer in cache.layers:
        layer.rewind(length)


def merge(parts: list[tuple[Cache, list[int], int]]) -> tuple[Cache, int]:
    """One cache of chosen rows of several, padded on the left to the longest.

    The parts stay as they are, so that nothing is lost when memory doesn't suffice for the new one.

    Args:
        parts: (cache, the rows wanted, how many tokens on the left to leave out, which must be padding).

    Returns:
        the new cache and its length, tokens.
    """
    length = max(cache.get_seq_length() - trim for cache, _, trim in parts)
    merged = new_cache()
    for index in range(len(parts[0][0].layers)):
        layer = RoomyLayer()
        layer.set(
            _join([(cache.layers[index].keys, rows, trim) for cache, rows, trim in parts], length),
            _join([(cache.layers[index].values, rows, trim) for cache, rows, trim in parts], length),
            length,
        )
        merged.layers.append(layer)
    return merged, length


def _join(parts: list[tuple[Tensor, list[int], int]], length: int) -> Tensor:
    example = parts[0][0]
    count = sum(len(rows) for _, rows, _ in parts)
    # Zeros, not whatever lies in memory: a padded place is multiplied by 0, and 0 × NaN is NaN.
    joined = example.new_zeros((count, example.shape[1], length + ROOM, example.shape[3]))
    first = 0
    for tensor, rows, trim in parts:
        kept = tensor[rows, :, trim:]
        joined[first : first + len(rows), :, length - kept.shape[2] : length] = kept
        first += len(rows)
    return joined


def _grow(used: Tensor | None, example: Tensor, capacity: int) -> Tensor:
    rows, heads, _, width = example.shape
    grown = example.new_zeros((rows, heads, capacity, width))
    if used is not None:
        grown[..., : used.shape[-2], :] = used
    return grown

"""What lies in a safetensors file, read without torch: names, shapes, types, and whether all are numbers.

The layout is that of https://github.com/huggingface/safetensors#format. The file may come from anybody, so
its header is held to its own rules before anything is made of it.
"""

import json
import mmap
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from adapters.errors import AdapterError

MOST_HEADER_BYTES = 16 * 2**20  # of a base model with many tensors; an adapter's is some 50 kB
_METADATA = "__metadata__"
_BYTES: Mapping[str, int] = MappingProxyType(
    {
        **{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1},
        **{"U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1},
    }
)
_BLOCK = 2**20  # numbers looked at in one go
# Bits of the smallest that is no number: an exponent of ones only (IEEE 754, and bfloat16 after it).
_FIRST_BAD: Mapping[str, int] = MappingProxyType({"F32": 0x7F800000, "F16": 0x7C00, "BF16": 0x7F80})
FLOATS = tuple(_FIRST_BAD)
"""The types that an adapter's numbers may have."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Args:
        dtype: in safetensors' words, such as F32.
        shape: its sizes.
        begin: first byte in the file.
        end: the byte after its last.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_shapes(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a file by their names.

    Raises:
        AdapterError: it isn't a whole safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MOST_HEADER_BYTES, size - 8):
                raise ValueError(f"its header would take {length:,} bytes")
            content = json.loads(file.read(length))
        tensors = {
            name: _read_entry(name, entry, 8 + length) for name, entry in content.items() if name != _METADATA
        }
        _check_places(tensors, 8 + length, size)
    except OSError as error:
        raise AdapterError(
            f"{path.name} can't be read: {error.strerror or error}. Check the file."
        ) from error
    except (struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise AdapterError(
            f"{path.name} must be a whole safetensors file; it isn't ({str(error)[:160]}). "
            "It was cut off or damaged on its way, or is another format: save it and bring it again."
        ) from error
    return tensors


def find_bad(path: Path, tensors: Mapping[str, StoredTensor]) -> str | None:
    """The first tensor that holds an infinity or something that isn't a number; None when there is none.

    Args:
        path: the file.
        tensors: those to look at, of the types in `FLOATS`.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        for name, tensor in tensors.items():
            if any((block >= _FIRST_BAD[tensor.dtype]).any() for block in _magnitudes(view, tensor)):
                return name
    return None


def are_zero(path: Path, tensors: Iterable[StoredTensor]) -> bool:
    """Whether every number of some tensors, of the types in `FLOATS`, is zero."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return not any(block.any() for tensor in tensors for block in _magnitudes(view, tensor))


def _read_entry(name: str, entry: Mapping[str, Any], start: int) -> StoredTensor:
    dtype, shape = str(entry["dtype"]), tuple(entry["shape"])
    first, last = entry["data_offsets"]
    numbers = (*shape, first, last)
    if not all(
        isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers
    ):
        raise ValueError(f"“{name[:80]}” has a size that is none")
    if dtype not in _BYTES or last - first != prod(shape) * _BYTES[dtype]:
        raise ValueError(f"“{name[:80]}” doesn't take as many bytes as its shape and type say")
    return StoredTensor(dtype, shape, start + first, start + last)


def _check_places(tensors: Mapping[str, StoredTensor], start: int, size: int) -> None:
    """Tensors must fill the file from its header to its end: no gap, no overlap."""
    at = start
    for tensor in sorted(tensors.values(), key=lambda each: (each.begin, each.end)):
        if tensor.begin != at:
            raise ValueError("its tensors overlap or leave gaps")
        at = tensor.end
    if at != size:
        raise ValueError(f"its tensors end at byte {at:,}, the file at {size:,}")


def _magnitudes(view: mmap.mmap, tensor: StoredTensor) -> Iterator[Any]:
    """The bits of a tensor's numbers without their signs, some at a time: as large as the numbers are."""
    width = _BYTES[tensor.dtype]
    unsigned = np.dtype(f"<u{width}")
    without_sign = unsigned.type((1 << (8 * width - 1)) - 1)
    for begin in range(tensor.begin, tensor.end, _BLOCK * width):
        chunk = view[begin : min(begin + _BLOCK * width, tensor.end)]
        yield np.frombuffer(chunk, unsigned) & without_sign

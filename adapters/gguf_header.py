"""What a GGUF file says of itself, read from its beginning alone: 40 GB take as long as 40 MB.

gguf's own reader maps the whole file and builds an array for every token; this reads some kilobytes to a few
megabytes and keeps no list. Layout: the GGUF specification, versions 2 and 3, in the ggml repository.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any

from adapters.errors import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_LONGEST_TEXT = 4 << 20  # bytes; chat templates are some kilobytes
_MOST_ENTRIES = 1 << 20
# GGUFValueType → struct's letter; 8 is a text and 9 an array.
_NUMBERS: Mapping[int, str] = {
    **{0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"},
    **{10: "Q", 11: "q", 12: "d"},
}
_TEXT, _ARRAY = 8, 9


@dataclass(frozen=True)
class GgufHeader:
    """A GGUF file in short.

    Args:
        architecture: in llama.cpp's words, such as llama or qwen3.
        values: every single value by its key; of arrays their length alone, under ``key.length``.
        parameters: weights of all its tensors.
        tensor_bytes: what those take, bytes.
        types: ggml's number of a type → weights that are of it.
        shapes: tensor → its sizes, the innermost first as ggml counts them.
    """

    architecture: str
    values: Mapping[str, Any]
    parameters: int
    tensor_bytes: int
    types: Mapping[int, int]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def quantisation(self) -> str:
        """The type that most of its weights have, such as Q4_K."""
        from gguf import GGMLQuantizationType

        if not self.types:
            return ""
        return str(GGMLQuantizationType(max(self.types, key=lambda kind: self.types[kind])).name)

    @property
    def has_chat_template(self) -> bool:
        """Whether it brings a chat template."""
        return bool(self.values.get("tokenizer.chat_template"))

    def number(self, name: str) -> int:
        """A value of its architecture, such as ``block_count``; 0 when it isn't given as one number."""
        value = self.values.get(f"{self.architecture}.{name}")
        return int(value) if isinstance(value, int) else 0


def read_header(path: Path) -> GgufHeader:
    """Read what a file says of itself.

    Args:
        path: a GGUF file; of one in several parts, the first.

    Raises:
        ModelError: it is none, or cut off within its header.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(
            f"A base model's file must be readable; {path} isn't ({reason}). Check it."
        ) from error
    except (struct.error, ValueError, KeyError) as error:
        raise ModelError(
            f"A GGUF file must begin with its whole header; that of {path} can't be read ({error}). "
            "Bring the file anew, or give another one."
        ) from error


def _read(file: IO[bytes]) -> GgufHeader:
    if file.read(4) != _MAGIC:
        raise ValueError("it doesn't begin with GGUF")
    version, tensors, entries = _unpack(file, "<IQQ")
    if version not in _VERSIONS:
        raise ValueError(f"its version is {version}; known are {' and '.join(map(str, _VERSIONS))}")
    if max(tensors, entries) > _MOST_ENTRIES:
        raise ValueError("it announces more entries than any model has")
    values = dict(_read_entry(file) for _ in range(entries))
    types: dict[int, int] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for _ in range(tensors):
        name, kind, shape = _read_tensor(file)
        shapes[name] = shape
        types[kind] = types.get(kind, 0) + prod(shape)
    size = sum(_tensor_bytes(kind, weights) for kind, weights in types.items())
    architecture = str(values.get("general.architecture", ""))
    return GgufHeader(architecture, values, sum(types.values()), size, types, shapes)


def _read_tensor(file: IO[bytes]) -> tuple[str, int, tuple[int, ...]]:
    """Its name, its type and its sizes."""
    name = _read_text(file)
    (dimensions,) = _unpack(file, "<I")
    if dimensions > 8:
        raise ValueError("a tensor has more than 8 dimensions")
    shape = _unpack(file, f"<{dimensions}Q")
    kind, _ = _unpack(file, "<IQ")
    return name, kind, shape


def _tensor_bytes(kind: int, weights: int) -> int:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    return weights // int(block) * int(size)


def _read_entry(file: IO[bytes]) -> tuple[str, Any]:
    """A key with its value."""
    key, (kind,) = _read_text(file), _unpack(file, "<I")
    if kind == _TEXT:
        return key, _read_text(file)
    if kind == _ARRAY:
        return f"{key}.length", _pass_array(file)
    return key, _unpack(file, f"<{_NUMBERS[kind]}")[0]


def _pass_array(file: IO[bytes]) -> int:
    """Read past an array; its length."""
    kind, length = _unpack(file, "<IQ")
    if kind == _TEXT:
        for _ in range(length):
            file.seek(_unpack(file, "<Q")[0], 1)
    elif kind == _ARRAY:
        for _ in range(length):
            _pass_array(file)
    else:
        file.seek(struct.calcsize(f"<{_NUMBERS[kind]}") * length, 1)
    return int(length)


def _read_text(file: IO[bytes]) -> str:
    (length,) = _unpack(file, "<Q")
    if length > _LONGEST_TEXT:
        raise ValueError("a text in it is longer than any should be")
    return file.read(length).decode("utf-8", "replace")


def _unpack(file: IO[bytes], layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))

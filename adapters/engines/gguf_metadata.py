"""What a GGUF file says about itself, read from its head without its weights.

The layout is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
The gguf package's reader makes an object of every token of the vocabulary; this one steps over arrays.
"""

import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adapters.errors import ModelError

_MAGIC = b"GGUF"
# Type number → struct's code; 8 is a string, 9 an array.
_SCALARS: Mapping[int, str] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9


def read_metadata(gguf: Path) -> dict[str, Any]:
    """Key → value, without arrays (of them only the length, under ``key.length``).

    Raises:
        ModelError: it isn't a GGUF file, or not a whole one.
    """
    try:
        with gguf.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return dict(_read(_Cursor(view)))
    except (OSError, ValueError, struct.error, UnicodeDecodeError, IndexError, KeyError) as error:
        raise ModelError(
            f"The base model must be a whole GGUF file; {gguf} can't be read as one "
            f"({type(error).__name__}: {error}). Remove it and have it fetched anew."
        ) from error


def read_context_tokens(gguf: Path) -> int:
    """The window that the model was trained for, tokens; 0 when the file doesn't say.

    Raises:
        ModelError: it isn't a GGUF file.
    """
    metadata = read_metadata(gguf)
    return int(metadata.get(f"{metadata.get('general.architecture')}.context_length", 0))


class _Cursor:
    """A place in a file."""

    def __init__(self, view: mmap.mmap) -> None:
        self._view = view
        self.at = 0

    def take(self, code: str) -> Any:
        """One number."""
        form = f"<{code}"
        (value,) = struct.unpack_from(form, self._view, self.at)
        self.at += struct.calcsize(form)
        return value

    def take_bytes(self, length: int) -> bytes:
        """Raw bytes.

        Raises:
            ValueError: the file ends before.
        """
        if self.at + length > len(self._view):
            raise ValueError("it ends in the middle")
        taken = self._view[self.at : self.at + length]
        self.at += length
        return taken

    def take_string(self) -> str:
        """A string, with its length before it."""
        return self.take_bytes(self.take("Q")).decode("utf-8", "replace")

    def pass_over(self, kind: int, count: int) -> None:
        """Step over an array's values."""
        if kind == _STRING:
            for _ in range(count):
                length = self.take("Q")  # before the place is read, which taking it moves
                self.at += length
        elif kind == _ARRAY:
            for _ in range(count):
                inner, number = self.take("I"), self.take("Q")
                self.pass_over(inner, number)
        else:
            self.at += struct.calcsize(_SCALARS[kind]) * count


def _read(cursor: _Cursor) -> Iterator[tuple[str, Any]]:
    if cursor.take_bytes(4) != _MAGIC:
        raise ValueError("it doesn't begin with GGUF")
    version = cursor.take("I")
    if version not in (2, 3):
        raise ValueError(f"its version is {version}, known are 2 and 3")
    cursor.take("Q")  # tensors
    for _ in range(cursor.take("Q")):
        key, kind = cursor.take_string(), cursor.take("I")
        if kind == _STRING:
            yield key, cursor.take_string()
        elif kind == _ARRAY:
            of, count = cursor.take("I"), cursor.take("Q")
            cursor.pass_over(of, count)
            yield f"{key}.length", count
        else:
            yield key, cursor.take(_SCALARS[kind])

"""Text files as training data comes in them: UTF-8, of a size that can be read whole."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from adapters.errors import DatasetError
from adapters.training.rejects import BadRow
from adapters.training.turns import MAX_ROW_CHARACTERS, check_length

MAX_FILE_BYTES = 200 * 1024 * 1024


def read_whole(path: Path) -> str:
    """The text of a file.

    Raises:
        DatasetError: it can't be read, has over 200 MB, or is not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            size = path.stat().st_size // 2**20
            raise DatasetError(
                f"{path.name} has {size} MB; at most 200 MB are read. Split it, or take fewer rows."
            )
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path} can't be read: {error.strerror}. Check the path and its permissions."
        ) from error
    try:
        return content.decode("utf-8-sig")  # spreadsheets like to put a byte order mark in front
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise DatasetError(
            f"{path.name} is not UTF-8: in line {line}, byte {error.start + 1} is 0x{byte:02x}. "
            "Save it again with the encoding UTF-8."
        ) from error


def parse_lines(lines: Iterable[str]) -> Iterator[Mapping[str, Any] | BadRow]:
    """The rows of JSONL; a `BadRow` stands where a line is none. Empty lines don't count.

    Args:
        lines: one JSON object each.
    """
    for line in lines:
        if line.strip():
            try:
                yield _parse_line(line)
            except BadRow as bad:
                yield bad


def _parse_line(line: str) -> Mapping[str, Any]:
    if len(line) > 2 * MAX_ROW_CHARACTERS:  # escapes can double it; what is in it is measured later
        check_length(len(line))
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:80]
        raise BadRow("not JSON", f"is not JSON ({reason}); write one JSON object a line") from error
    if not isinstance(row, dict):
        raise BadRow("not an object", 'is not a JSON object like {"instruction": …, "response": …}')
    return row

"""Reading training data: JSONL or CSV in, checked examples out. Nothing is repaired silently.

A file is taken whole or refused whole, with the rows that are wrong, so that nobody trains on half of it.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.engines.base import Turn
from adapters.errors import DatasetError
from db.vocabulary import Role

MAX_FILE_BYTES = 200 * 1024 * 1024
MAX_ROW_CHARACTERS = 100_000
ROWS_NAMED = 5  # how many wrong rows a message lists

QUESTION_ANSWER_NAMES: tuple[tuple[str, str], ...] = (
    ("instruction", "response"),
    ("prompt", "completion"),
    ("question", "answer"),
)
_ORIGIN_FIELDS = ("id", "topic", "response_id", "review_id", "adapter", "base_model")
_CSV_SUFFIXES = {".csv": ",", ".tsv": "\t"}
_JSONL_SUFFIXES = {".jsonl", ".ndjson", ".json"}


@dataclass(frozen=True)
class Example:
    """One thing to learn: a conversation whose last turn is the answer wanted.

    Args:
        messages: oldest first; the last is the assistant's.
        origin: where it came from (its id, the review behind it), kept for lineage.
    """

    messages: tuple[Turn, ...]
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The last user turn."""
        return next(turn.content for turn in reversed(self.messages) if turn.role is Role.USER)

    @property
    def answer(self) -> str:
        """The turn to learn."""
        return self.messages[-1].content


@dataclass(frozen=True)
class ColumnMap:
    """Which columns hold the question and the answer."""

    prompt: str
    answer: str


def guess_columns(header: Sequence[str]) -> ColumnMap | None:
    """The columns that look like question and answer, in any case; None when there's no telling."""
    names = {name.strip().lower(): name for name in header}
    for prompt, answer in QUESTION_ANSWER_NAMES:
        if prompt in names and answer in names:
            return ColumnMap(names[prompt], names[answer])
    return None


def read_columns(path: Path) -> list[str]:
    """The column names of a CSV file, or the fields of a JSONL file's first row, for mapping them by hand.

    Raises:
        DatasetError: the file can't be read or is empty.
    """
    text = _read_text(path)
    if path.suffix.lower() in _CSV_SUFFIXES:
        return next(_csv_lines(path, text), [])
    first = next((line for line in text.splitlines() if line.strip()), "")
    try:
        row = json.loads(first)
    except ValueError as error:
        raise DatasetError(f"{path.name}, row 1: is not JSON. Write one JSON object a line.") from error
    return list(row) if isinstance(row, dict) else []


def read_examples(path: Path, columns: ColumnMap | None = None) -> list[Example]:
    """Every example of a file.

    JSONL rows are ``{"instruction", "response"}``, ``{"prompt", "completion"}``, ``{"question", "answer"}``
    or ``{"messages": [{"role", "content"}, …]}``; CSV needs a header. UTF-8, at most 200 MB.

    Args:
        path: the file; its ending (.jsonl, .ndjson, .json, .csv, .tsv) says what it is.
        columns: where question and answer are; None finds them by name.

    Raises:
        DatasetError: what is wrong, with up to five row numbers.
    """
    text = _read_text(path)
    suffix = path.suffix.lower()
    if suffix in _CSV_SUFFIXES:
        rows = _csv_rows(path, text, columns)
    elif suffix in _JSONL_SUFFIXES:
        rows = _jsonl_rows(text)
    else:
        raise DatasetError(
            f"Training data is .jsonl or .csv, but this is {path.name}. Convert it, or rename it."
        )
    return parse_rows(rows, path.name, columns)


def parse_rows(
    rows: Iterable[Mapping[str, Any] | str], name: str, columns: ColumnMap | None = None
) -> list[Example]:
    """Check rows that are already in memory.

    Args:
        rows: one mapping a row; a string in its place says why that row could not be read.
        name: how messages call the data.
        columns: where question and answer are; None finds them by name.

    Raises:
        DatasetError: no rows, or rows that can't be used (the first five are named).
    """
    examples, problems = [], []
    for number, row in enumerate(rows, start=1):
        try:
            if isinstance(row, str):
                raise DatasetError(row)
            examples.append(_example(row, columns))
        except DatasetError as error:
            problems.append(f"row {number} {error.message}")
    if problems:
        more = f"; and {len(problems) - ROWS_NAMED} more rows" if len(problems) > ROWS_NAMED else ""
        listed = "; ".join(problems[:ROWS_NAMED])
        raise DatasetError(
            f"{name} can't be used: {listed}{more}. Correct them and try again; nothing was taken."
        )
    if not examples:
        raise DatasetError(f"{name} has no rows. Give at least one question with its answer.")
    return examples


def _read_text(path: Path) -> str:
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


def _jsonl_rows(text: str) -> Iterator[Mapping[str, Any] | str]:
    for line in text.split("\n"):
        if not line.strip():
            continue
        if len(line) > 2 * MAX_ROW_CHARACTERS:  # escapes can double it; what is in it is measured later
            yield _too_long(len(line))
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield f"is not JSON ({str(error).splitlines()[0][:80]}); write one JSON object a line"
            continue
        yield row if isinstance(row, dict) else 'is not a JSON object like {"instruction": …, "response": …}'


def _csv_rows(path: Path, text: str, columns: ColumnMap | None) -> Iterator[Mapping[str, Any] | str]:
    lines = _csv_lines(path, text)
    header = next(lines, [])
    chosen = columns or guess_columns(header)
    missing = (
        [name for name in (chosen.prompt, chosen.answer) if name not in header] if chosen else ["question"]
    )
    if header and missing:
        wanted = f"column {missing[0]!r}" if columns else "columns for question and answer"
        raise DatasetError(
            f"{path.name} has no {wanted}; it has {', '.join(header)[:300]}. "
            "Name them instruction and response, or choose which columns to use."
        )
    for values in lines:
        if any(value.strip() for value in values):
            yield dict(zip(header, values, strict=False))


def _csv_lines(path: Path, text: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_CSV_SUFFIXES[path.suffix.lower()])
    try:
        yield from reader
    except csv.Error as error:
        raise DatasetError(
            f"{path.name} can't be read as CSV near line {reader.line_num}: {error}. "
            f"A row holds at most {MAX_ROW_CHARACTERS:,} characters; put text with line breaks in quotes."
        ) from error


def _example(row: Mapping[str, Any], columns: ColumnMap | None) -> Example:
    origin = {name: str(row[name]) for name in _ORIGIN_FIELDS if row.get(name) is not None}
    if columns is None and "messages" in row:
        return Example(_turns(row["messages"]), origin)
    chosen = columns or guess_columns(list(row))
    missing = [name for name in (chosen.prompt, chosen.answer) if name not in row] if chosen else ["response"]
    if chosen is None or missing:
        seen = ", ".join(map(str, row))[:200] or "nothing"
        wanted = missing[0] if columns else "instruction and response"
        raise DatasetError(f"has no {wanted} (it has {seen})")
    question = _content(row[chosen.prompt], "question")
    answer = _content(row[chosen.answer], "answer")
    _check_length(len(question) + len(answer))
    return Example((Turn(Role.USER, question), Turn(Role.ASSISTANT, answer)), origin)


def _turns(messages: object) -> tuple[Turn, ...]:
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DatasetError('has messages that are not a list of {"role", "content"}')
    turns = tuple(_turn(message) for message in messages)
    if not turns or turns[-1].role is not Role.ASSISTANT:
        raise DatasetError("does not end with an assistant message: there is no answer to learn")
    if not any(turn.role is Role.USER for turn in turns):
        raise DatasetError("has no user message: there is no question to answer")
    if any(turn.role is Role.SYSTEM for turn in turns[1:]):
        raise DatasetError("has a system message that is not its first")
    _check_length(sum(len(turn.content) for turn in turns))
    return turns


def _turn(message: Mapping[str, Any]) -> Turn:
    roles = [role.value for role in Role]
    if message.get("role") not in roles:
        raise DatasetError(f"has the role {str(message.get('role'))[:40]!r}; use {', '.join(roles)}")
    role = Role(message["role"])
    return Turn(
        role, _content(message.get("content"), "answer" if role is Role.ASSISTANT else f"{role} message")
    )


def _content(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise DatasetError(f"has no text as {name}")
    if not value.strip():
        raise DatasetError(f"has an empty {name}")
    return value.strip()


def _check_length(characters: int) -> None:
    if characters > MAX_ROW_CHARACTERS:
        raise DatasetError(_too_long(characters))


def _too_long(characters: int) -> str:
    return f"has {characters:,} characters, where {MAX_ROW_CHARACTERS:,} are allowed; split or shorten it"

"""Files of many questions, read a row at a time: JSONL, CSV or TSV, or a question a line."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from adapters.engines.base import Turn
from db.vocabulary import Role
from elara_ui.errors import InvalidInput
from elara_ui.services.dialogue import Dialogue, take_apart

JSONL = (".jsonl", ".ndjson")
DELIMITERS: Mapping[str, str] = {".csv": ",;", ".tsv": "\t"}
"""By a file's ending; spreadsheets in countries with a decimal comma write semicolons."""
KNOWN = ("id", "question", "messages", "audience")
LONGEST_LINE = 4_000_000
"""Characters; a longer line is no row, and isn't held in memory."""


@dataclass(frozen=True)
class BatchRow:
    """A row of the file.

    Args:
        number: among the rows that aren't empty, from 1.
        id: as given; else the number.
        audience: whose answer it wants; None leaves that to the command.
        dialogue: what is asked; None where the row can't be.
        error: why it can't; empty when it can.
    """

    number: int
    id: object
    audience: str | None
    dialogue: Dialogue | None
    error: str = ""


def read_rows(path: Path, longest: int) -> Iterator[BatchRow]:
    """The rows of a file, by its ending; the file is never held whole.

    Args:
        longest: characters that a turn may have.

    Raises:
        InvalidInput: the file can't be read, isn't UTF-8, or is a table without questions.
    """
    ending = path.suffix.lower()
    with _open_text(path) as file:
        if ending in JSONL:
            found: Iterable[Mapping[str, Any] | str] = map(_parse_line, _lines(file))
        elif ending in DELIMITERS:
            found = _table_rows(path, file, DELIMITERS[ending])
        else:
            found = ({"question": line} for line in _lines(file))
        for number, values in enumerate(found, start=1):
            yield _make_row(number, values, longest)


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    try:
        # Spreadsheets like to put a byte order mark in front; csv wants its line ends as they are.
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}. Give the path of a file.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} isn't UTF-8 text ({error.reason}). Save it again with the encoding UTF-8."
        ) from error


def _lines(file: TextIO) -> Iterator[str]:
    """Lines that aren't empty; of one that is too long only its beginning."""
    while line := file.readline(LONGEST_LINE):
        rest = line
        while rest and not rest.endswith(("\n", "\r")):
            rest = file.readline(LONGEST_LINE)
        if line.strip():
            yield line.strip()


def _parse_line(line: str) -> Mapping[str, Any] | str:
    """The object in a line, or what is wrong with it."""
    if len(line) >= LONGEST_LINE:
        return f"The line has {LONGEST_LINE:,} characters or more, which is more than any row may have."
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:80]
        return f"The line is no JSON ({reason}). Write one object a line."
    if not isinstance(row, dict):
        return f"The line must be a JSON object, but it is {line[:60]!r}."
    return row


def _table_rows(path: Path, file: TextIO, delimiters: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a table by the names in its first line, in whatever case they are written."""
    header = file.readline(LONGEST_LINE)
    for delimiter in delimiters:
        names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
        if "question" in names:
            break
    else:
        raise InvalidInput(
            f"The first line of {path.name} must name a column question; it is {header.strip()[:80]!r}. "
            "Name the column, or give the file another ending to have each line asked."
        )
    reader = csv.reader(file, delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                values = dict(zip(names, cells, strict=False))
                yield {name: values[name] for name in KNOWN if values.get(name, "").strip()}
    except csv.Error as error:
        raise InvalidInput(
            f"{path.name} can't be read on from line {reader.line_num + 1} ({error}). Check its quotes."
        ) from error


def _make_row(number: int, values: Mapping[str, Any] | str, longest: int) -> BatchRow:
    if isinstance(values, str):
        return BatchRow(number, number, None, None, values)
    name = values.get("id")
    shown = number if name is None or isinstance(name, dict | list) else name
    audience = values.get("audience")
    try:
        if audience is not None and not (isinstance(audience, str) and audience.strip()):
            raise InvalidInput(f"The audience must be a word such as patient, but it is {audience!r}.")
        dialogue = take_apart(_turns_of(values), longest)
    except InvalidInput as error:
        return BatchRow(number, shown, audience if isinstance(audience, str) else None, None, error.message)
    return BatchRow(number, shown, audience.strip() if audience else None, dialogue)


def _turns_of(values: Mapping[str, Any]) -> list[Turn]:
    """What a row asks.

    Raises:
        InvalidInput: it has neither a question nor messages, or both.
    """
    question, messages = values.get("question"), values.get("messages")
    if isinstance(question, str) and messages is None:
        return [Turn(Role.USER, question)]
    if isinstance(messages, list) and messages and question is None:
        return [_turn_of(message) for message in messages]
    raise InvalidInput(
        'A row must have either "question" (a text) or "messages" (a list that isn\'t empty), and not both.'
    )


def _turn_of(message: Any) -> Turn:
    known = [str(role) for role in Role]
    if (
        isinstance(message, dict)
        and message.get("role") in known
        and isinstance(content := message.get("content"), str)
    ):
        return Turn(Role(message["role"]), content)
    raise InvalidInput(f"Each message must have a role (one of {', '.join(known)}) and a content of text.")

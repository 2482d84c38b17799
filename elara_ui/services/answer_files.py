"""Answers of any model as they come in files: rows with their line numbers, and what of a row is what.

A file that is broken somewhere is refused whole; of a row that merely lacks something it is said what.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from adapters.engines.base import Turn
from adapters.training.rejects import BadRow
from adapters.training.text_files import read_whole
from adapters.training.turns import check_length, read_text, read_turns
from db.vocabulary import Role
from elara_ui.errors import DatasetError

JSON_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = {".csv": ",", ".tsv": "\t"}

# The names under which each part is found, in any case; the first that a row has counts.
PROMPT = ("prompt", "question", "instruction", "input", "query", "messages", "conversations")
ANSWER = ("response", "answer", "completion", "output", "generation", "reply")
MODEL = ("model", "base_model", "model_name", "generator", "engine")
AUDIENCE = ("audience", "reader", "persona")
LANGUAGE = ("language", "lang", "locale")
USUAL = {"prompt": PROMPT, "response": ANSWER, "model": MODEL, "audience": AUDIENCE, "language": LANGUAGE}
UNKNOWN_MODEL = "unknown"
MODEL_LIMIT = 255
HEADER_ROWS = 100
"""Rows of a JSONL file that are looked at for the names of its fields."""


@dataclass(frozen=True)
class AnswerColumns:
    """Which columns of a file hold what; one that is empty is found by its usual names."""

    prompt: str = ""
    response: str = ""
    model: str = ""
    audience: str = ""
    language: str = ""

    def names(self, part: str) -> tuple[str, ...]:
        """The names under which a part is looked for, in lower case; the first that a row has counts."""
        chosen = str(getattr(self, part)).strip().lower()
        return (chosen,) if chosen else USUAL[part]


BY_NAME = AnswerColumns()
"""Everything is found by its usual names."""


@dataclass(frozen=True)
class ImportedAnswer:
    """One answer of a file.

    Args:
        line: where it stands, from 1.
        context: the turns that led to it; the last is the question.
        text: the answer.
        model: what made it, as the file says.
        audience: for whom it was written.
        language: ISO 639-1.
    """

    line: int
    context: tuple[Turn, ...]
    text: str
    model: str
    audience: str
    language: str

    @property
    def question(self) -> str:
        """The turn that was answered."""
        return self.context[-1].content


def read_header(path: Path) -> tuple[str, ...]:
    """The names of the columns, or of the fields of the first rows, in their order.

    Raises:
        DatasetError: as for `read_lines`.
    """
    names: dict[str, None] = {}
    for _, row in islice(_read_rows(path), HEADER_ROWS):
        names.update(dict.fromkeys(str(name) for name in row))
    return tuple(names)


def find_columns(header: Sequence[str]) -> AnswerColumns:
    """The columns that usual names tell, as they are written in the file; empty where there is none."""
    known = {name.strip().lower(): name for name in header}
    found = {
        part: next((known[name] for name in names if name in known), "") for part, names in USUAL.items()
    }
    return AnswerColumns(**found)


def read_lines(path: Path, columns: AnswerColumns = BY_NAME) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line number and fields of every row of a JSONL, CSV or TSV file.

    Args:
        path: the file; its ending says what it is.
        columns: which columns hold what.

    Raises:
        DatasetError: it is of another kind, can't be read, is broken somewhere, or lacks a column.
    """
    if path.suffix.lower() in TABLE_SUFFIXES:
        _check_header(path, read_header(path), columns)
    return _read_rows(path)


def _check_header(path: Path, header: Sequence[str], columns: AnswerColumns) -> None:
    """Refuse a table that lacks a column which was named, or has none for the answer."""
    known = {name.strip().lower() for name in header}
    listed = ", ".join(header)[:300] or "none"
    for part, name in asdict(columns).items():
        if name and name.strip().lower() not in known:
            raise DatasetError(
                f"{path.name} has no column {name[:80]!r} for the {part}; it has {listed}. Choose one of "
                "these."
            )
    answered = known & {*columns.names("response"), "messages", "conversations"}
    if header and not answered and not columns.prompt:
        raise DatasetError(
            f"{path.name} has no column for the answer; it has {listed}. Name it response, and the question "
            "prompt, or say which columns they are."
        )


def _read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    suffix = path.suffix.lower()
    if suffix in JSON_SUFFIXES:
        return _read_json(path)
    if suffix in TABLE_SUFFIXES:
        return _read_table(path, TABLE_SUFFIXES[suffix])
    raise DatasetError(
        f"Answers come in files that end in {', '.join((*JSON_SUFFIXES, *TABLE_SUFFIXES))}, but this is "
        f"{path.name}. Convert it, or rename it."
    )


def parse_answer(
    line: int,
    row: Mapping[str, Any],
    audiences: Sequence[str],
    audience: str | None,
    columns: AnswerColumns = BY_NAME,
) -> ImportedAnswer:
    """One row as an answer.

    Args:
        line: where it stands.
        row: as read.
        audiences: the audiences there are.
        audience: whose answers those rows are that don't say so themselves.
        columns: which columns hold what.

    Raises:
        BadRow: a part is missing, empty, too long or unknown.
    """
    fields = {str(name).strip().lower(): clean_up(value) for name, value in row.items()}
    turns = _read_prompt(fields, columns)
    if turns[-1].role is Role.ASSISTANT:  # a conversation that holds its answer
        turns, text = turns[:-1], turns[-1].content
    else:
        text = read_text(_pick(fields, columns.names("response")), "answer")
    if not turns or turns[-1].role is not Role.USER:
        raise BadRow("no question", "has no question before the answer")
    check_length(sum(len(turn.content) for turn in turns) + len(text))
    named = str(_pick(fields, columns.names("audience")) or audience or "").strip().lower()
    if named not in audiences:
        raise BadRow(
            "unknown audience" if named else "no audience",
            f"is for {named!r}; known are {', '.join(audiences)}" if named else "doesn't say for whom it is",
        )
    model = str(_pick(fields, columns.names("model")) or UNKNOWN_MODEL).strip()[:MODEL_LIMIT]
    return ImportedAnswer(line, turns, text, model, named, _read_language(fields, columns))


def clean_up(value: Any) -> Any:
    """The value without lone surrogates, which JSON can hold and a database can't."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [clean_up(part) for part in value]
    if isinstance(value, dict):
        return {name: clean_up(part) for name, part in value.items()}
    return value


def _read_prompt(fields: Mapping[str, Any], columns: AnswerColumns) -> tuple[Turn, ...]:
    value = _pick(fields, columns.names("prompt"))
    system = fields.get("system")
    before = (Turn(Role.SYSTEM, system.strip()),) if isinstance(system, str) and system.strip() else ()
    if isinstance(value, list):
        turns = read_turns(value)
        if not turns:
            raise BadRow("no question", "has no question")
        return turns if turns[0].role is Role.SYSTEM else (*before, *turns)
    return (*before, Turn(Role.USER, read_text(value, "question")))


def _read_language(fields: Mapping[str, Any], columns: AnswerColumns) -> str:
    language = str(_pick(fields, columns.names("language")) or "en").strip().lower()[:2]
    return language if language.isalpha() and len(language) == 2 else "en"


def _pick(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of these fields that holds something."""
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def _read_json(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(read_whole(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DatasetError(
                f"{path.name} is broken in line {number}: it is not JSON ({str(error)[:80]}). Write one JSON "
                "object a line; nothing was taken."
            ) from error
        if not isinstance(row, dict):
            raise DatasetError(
                f'{path.name} is broken in line {number}: it is not a JSON object like {{"prompt": …, '
                '"response": …}. Correct it; nothing was taken.'
            )
        yield number, row


def _read_table(path: Path, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(read_whole(path), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        begins = reader.line_num + 1
        for values in reader:
            if len(values) > len(header):
                raise DatasetError(
                    f"{path.name} is broken in line {begins}: it has {len(values)} values under "
                    f"{len(header)} columns. Put text with separators in quotes; nothing was taken."
                )
            if any(value.strip() for value in values):
                yield begins, dict(zip(header, values, strict=False))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(
            f"{path.name} is broken near line {reader.line_num}: {error}. Correct it; nothing was taken."
        ) from error

"""Where rows come from: opens a file or folder and yields its rows as they stand, unchecked."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from adapters.errors import DatasetError
from adapters.training.columns import ColumnMap, guess_columns
from adapters.training.dataset_import import DatasetReference, import_rows
from adapters.training.medquad import find_documents, read_documents
from adapters.training.rejects import BadRow
from adapters.training.text_files import parse_lines, read_whole
from adapters.training.turns import MAX_ROW_CHARACTERS

Row = Mapping[str, Any] | BadRow

_CSV_SUFFIXES = {".csv": ",", ".tsv": "\t"}
_JSONL_SUFFIXES = (".jsonl", ".ndjson", ".json")
KNOWN_SUFFIXES = (*_JSONL_SUFFIXES, *_CSV_SUFFIXES, ".parquet", ".xml")
PARQUET_BATCH_ROWS = 256  # a few rows at a time: a small file can unfold into a large table


def open_rows(path: Path, columns: ColumnMap | None = None, split: str = "") -> Iterator[Row]:
    """The rows of a file or folder, one by one.

    Args:
        path: JSONL, JSON (one list), CSV, TSV, Parquet or MedQuAD XML by its ending; or a folder of MedQuAD
            XML, a folder that ``datasets`` saved, or one of data files that it can load.
        columns: the columns chosen by hand, which a table must then have.
        split: the part of a dataset folder; empty takes ``train``, or the only one.

    Raises:
        DatasetError: it can't be read, or its header has no columns to use.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        documents = find_documents(path)
        return read_documents(documents) if documents else import_rows(DatasetReference(str(path), split))
    if split:
        raise DatasetError(f"{path.name} has no parts, so {split!r} can't be taken from it. Leave it away.")
    if suffix in _CSV_SUFFIXES:
        return _read_csv(path, columns)
    if suffix in _JSONL_SUFFIXES:
        return _read_json(path)
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix == ".xml":
        return read_documents([path])
    raise DatasetError(
        f"Training data is a folder, or a file that ends in {', '.join(KNOWN_SUFFIXES)}, but this is "
        f"{path.name}. Convert it to .jsonl or .csv, or rename it."
    )


def read_columns(path: Path, split: str = "") -> list[str]:
    """The column names of a table, or the fields of the first row, for mapping them by hand.

    Args:
        path: the file or folder.
        split: the part of a dataset folder whose first row is looked at.

    Raises:
        DatasetError: the file can't be read, or its first row is not one.
    """
    if path.suffix.lower() in _CSV_SUFFIXES and not path.is_dir():
        return next(_csv_lines(path, read_whole(path)), [])
    if path.is_dir() and not find_documents(path):
        rows: Iterable[Row] = import_rows(DatasetReference(str(path), split), limit=1)
    else:
        rows = open_rows(path, split=split)
    return name_fields(rows, path.name)


def name_fields(rows: Iterable[Row], name: str) -> list[str]:
    """The fields of the first of some rows.

    Args:
        rows: as read; none but the first is looked at.
        name: how messages call the data.

    Raises:
        DatasetError: the first row can't be read.
    """
    first = next(iter(rows), {})
    if isinstance(first, BadRow):
        raise DatasetError(f"{name}, row 1: {first.message}.")
    return list(first)


def _read_json(path: Path) -> Iterator[Row]:
    text = read_whole(path)
    if path.suffix.lower() != ".json" or not text.lstrip().startswith("["):
        yield from parse_lines(text.split("\n"))
        return
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path.name} is not JSON: {str(error)[:80]}. Correct it there.") from error
    for row in rows:
        yield row if isinstance(row, dict) else BadRow("not an object", "is not a JSON object with fields")


def _read_csv(path: Path, columns: ColumnMap | None) -> Iterator[Row]:
    lines = _csv_lines(path, read_whole(path))
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


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][:160]
        raise DatasetError(
            f"{path.name} can't be read as Parquet: {reason}. Check the file, or export it anew."
        ) from error

"""Which rows a person trains on: where they come from, how they are named, and how they are read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from adapters.starters import starter_file
from adapters.training.columns import guess_columns
from adapters.training.dataset_import import DatasetReference, import_rows, parse_hub_reference
from adapters.training.examples import ColumnMap, Reading, read_path, read_rows
from adapters.training.preparation import thaw
from adapters.training.rejects import Rejects, RejectTally
from adapters.training.sources import KNOWN_SUFFIXES, name_fields, read_columns
from db import snapshots as snapshot_store
from db.home import Home
from db.models import Snapshot
from db.session import Database
from db.training_rows import training_rows
from elara_ui.errors import DatasetError, InvalidInput

NO_FILE = "No file has been chosen. Upload a .jsonl or .csv file first."


class DataSource(StrEnum):
    """Where training rows come from."""

    STARTER = "starter"
    REVIEWS = "reviews"
    FILE = "file"
    HUB = "hub"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class DataChoice:
    """The rows a person wants to train on.

    Args:
        source: where they come from.
        path: the file or folder, for `DataSource.FILE`.
        columns: where question and answer are in it; None finds them by name.
        name: what to call the file, when its path is a temporary one.
        reference: ``owner/name[/config][:split]`` for `DataSource.HUB`; an id or ``name@version`` for
            `DataSource.SNAPSHOT`.
        split: the part of a dataset folder, e.g. ``test`` or ``train[:500]``.
        skip_bad_rows: leave bad rows out and report them, rather than refuse.
    """

    source: DataSource
    path: Path | None = None
    columns: ColumnMap | None = None
    name: str = ""
    reference: str = ""
    split: str = ""
    skip_bad_rows: bool = False

    @property
    def title(self) -> str:
        """What runs and snapshots call the source."""
        if self.source is DataSource.SNAPSHOT:
            return f"{self.source}:{self.reference}"
        if self.name or self.reference:
            return self.name or self.reference
        return self.path.name if self.path else str(self.source)


@dataclass(frozen=True)
class Header:
    """What the columns of a table are called.

    Args:
        names: in their order.
        proposed: which of them look like question and answer; None when there's no telling.
    """

    names: tuple[str, ...]
    proposed: ColumnMap | None


@dataclass(frozen=True)
class StoredSet:
    """A training set as listed.

    Args:
        source: what it was made from.
        rows: examples in it.
        objective: what its rows are for: sft, dpo or kto.
        audiences: for whom they are → how many; empty where that isn't recorded.
    """

    id: str
    source: str
    rows: int
    created_at: datetime
    objective: str = "sft"
    audiences: Mapping[str, int] = field(default_factory=dict)


def parse_data(dataset: str, *, skip_bad_rows: bool = False) -> DataChoice:
    """The rows that one word names, as on the command line.

    Args:
        dataset: ``starter``, ``reviews``, ``snapshot:ID`` or ``snapshot:NAME@VERSION``, a file, a folder with
            or without ``:split``, or ``owner/name[/config][:split]`` of the Hugging Face hub. What exists on
            disk goes first.
        skip_bad_rows: leave bad rows out and report them, rather than refuse.
    """
    if dataset in (DataSource.STARTER, DataSource.REVIEWS):
        return DataChoice(DataSource(dataset))
    if dataset.startswith(f"{DataSource.SNAPSHOT}:"):
        return DataChoice(DataSource.SNAPSHOT, reference=dataset.partition(":")[2])
    path = Path(dataset)
    folder, _, split = dataset.partition(":")
    if split and not path.exists() and Path(folder).is_dir():
        return DataChoice(DataSource.FILE, Path(folder), split=split, skip_bad_rows=skip_bad_rows)
    if not path.exists() and path.suffix.lower() not in KNOWN_SUFFIXES and parse_hub_reference(dataset):
        return DataChoice(DataSource.HUB, reference=dataset, skip_bad_rows=skip_bad_rows)
    return DataChoice(DataSource.FILE, path, skip_bad_rows=skip_bad_rows)


def choose_folder(text: str) -> DataChoice:
    """The dataset folder that a person names, ``/data/set`` or ``/data/set:test``.

    Raises:
        InvalidInput: there is no such folder.
    """
    path, split = Path(text.strip()).expanduser(), ""
    if not path.is_dir():
        head, _, split = text.strip().partition(":")
        path = Path(head).expanduser()
    if not text.strip() or not path.is_dir():
        raise InvalidInput(
            "A dataset folder is one on the machine where Elara runs, but there is no "
            f"{text.strip()[:200]!r}. Write its whole path, such as /data/medquad, or /data/medquad:test for "
            "a part of it."
        )
    return DataChoice(DataSource.FILE, path.absolute(), split=split)


def read_header(data: DataChoice) -> Header:
    """The columns of a file, a dataset folder or a dataset of the hub, of which only the first row is read.

    Raises:
        DatasetError: it can't be read or reached.
    """
    if data.source is DataSource.HUB:
        reference = _parse_hub(data.reference)
        names = name_fields(import_rows(reference, limit=1), reference.name)
    elif data.path is not None:
        names = read_columns(data.path, data.split)
    else:
        raise DatasetError(NO_FILE)
    return Header(tuple(names), guess_columns(names))


def list_stored(database: Database) -> tuple[StoredSet, ...]:
    """Every stored set, newest first."""
    with database.reading() as session:
        return tuple(map(_describe_stored, snapshot_store.list_recent(session)))


def find_stored(database: Database, reference: str) -> StoredSet:
    """A stored set by its id or ``name@version``.

    Raises:
        NotFound: there is none.
    """
    with database.reading() as session:
        return _describe_stored(snapshot_store.find_reference(session, reference))


def _describe_stored(item: Snapshot) -> StoredSet:
    return StoredSet(
        item.id,
        f"{item.name}@{item.version}" if item.name else item.source,
        item.rows,
        item.created_at,
        item.objective,
        dict(item.manifest.get("audiences", {})),
    )


def read_for(
    database: Database, home: Home, audience: str, data: DataChoice, audiences: Collection[str]
) -> tuple[Reading, tuple[Rejects, ...]]:
    """The rows that a person has chosen, apart from those that say they are for another audience.

    Args:
        database: holds reviews and the records of stored sets.
        home: holds the stored sets.
        audience: whose voice is learned.
        data: the choice.
        audiences: those there are; a row that names anything else says nothing.

    Returns:
        What is learned from, and what is left out for its audience.

    Raises:
        DatasetError: the rows can't be read or used, or none is for this audience.
        NotFound: there is no stored set of that id.
    """
    reading, tally = read_data(database, home, audience, data), RejectTally()
    kept = []
    for number, example in enumerate(reading.examples, start=1):
        named = example.origin.get("audience", audience)
        if named != audience and named in audiences:
            tally.add(f"for {named}", example.row or number, example.question)
        else:
            kept.append(example)
    others = tally.result()
    if not kept and reading.examples:
        listed = ", ".join(f"{group.count} {group.reason}" for group in others)
        raise DatasetError(
            f"{data.title} has no row for {audience}; it has {listed}. Choose that audience, or another "
            "source."
        )
    return replace(reading, examples=tuple(kept)), others


def read_data(database: Database, home: Home, audience: str, data: DataChoice) -> Reading:
    """The rows that a person has chosen, checked.

    Args:
        database: holds reviews and the records of stored sets.
        home: holds the stored sets.
        audience: whose starter rows or reviews are meant.
        data: the choice.

    Raises:
        DatasetError: they can't be read or used.
        NotFound: there is no stored set of that id.
    """
    match data.source:
        case DataSource.STARTER:
            return read_path(starter_file(audience))
        case DataSource.REVIEWS:
            return _read_reviews(database, audience)
        case DataSource.FILE:
            if data.path is None:
                raise DatasetError(NO_FILE)
            return read_path(data.path, data.columns, split=data.split, skip_bad_rows=data.skip_bad_rows)
        case DataSource.HUB:
            return _read_hub(data)
        case DataSource.SNAPSHOT:
            return _read_snapshot(database, home, data.reference)


def _read_reviews(database: Database, audience: str) -> Reading:
    with database.reading() as session:
        rows = list(training_rows(session, audience))
    if not rows:
        raise DatasetError(
            f"No review for {audience} has been accepted yet, so there is nothing to learn from. "
            "Review some answers first, or choose another source."
        )
    return read_rows(rows, "Accepted reviews")


def _read_snapshot(database: Database, home: Home, snapshot_id: str) -> Reading:
    if not snapshot_id:
        raise DatasetError("No stored set has been chosen. Pick one from the list, or give its id.")
    with database.reading() as session:
        snapshot = snapshot_store.find_reference(session, snapshot_id)
        path, digest = home.root / snapshot.path, snapshot.sha256
    train, evaluation = thaw(path, digest)
    return Reading((*train, *evaluation))


def _read_hub(data: DataChoice) -> Reading:
    reference = _parse_hub(data.reference)
    return read_rows(import_rows(reference), reference.name, data.columns, skip_bad_rows=data.skip_bad_rows)


def _parse_hub(text: str) -> DatasetReference:
    reference = parse_hub_reference(text)
    if reference is None:
        raise DatasetError(f"{text[:80]!r} is no dataset of the hub. Write owner/name, or owner/name:split.")
    return reference

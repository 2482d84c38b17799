"""Stored training sets: listing, comparing and exporting them."""

import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from adapters import hub
from adapters.scratch import EXPORT, PUSH, scratch
from adapters.training.preparation import EVALUATION
from db import lineage, snapshots
from db.home import Home
from db.models import Run, Snapshot
from db.session import Database
from elara_ui.errors import DatasetError, IdentifiersFound, InvalidInput, StorageError
from elara_ui.services.blindness import hidden_from
from elara_ui.services.exporting import read_token, require_token
from elara_ui.services.identifier_guard import NOT_FOUND, Findings, search
from elara_ui.services.snapshot_files import write_folder, write_parquet

RowKey = tuple[str, str]
"""What makes two rows of different sets the same one: the answer, and the one it was preferred to."""
SHOWN = 50


class DatasetForm(StrEnum):
    """The form in which a set leaves."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    FOLDER = "folder"
    HUB = "hub"


@dataclass(frozen=True)
class RunUse:
    """A run that learned from a set."""

    run_id: str
    audience: str
    status: str
    adapter: str | None


@dataclass(frozen=True)
class SnapshotView:
    """One stored training set.

    Args:
        label: ``name@version``; of one without a name, its id.
        train: rows to learn from.
        evaluation: rows held out.
        runs: that learned from it.
        withdrawn: rows by reviewers, or of answers, withdrawn since it was frozen.
        curated: whether rules made it, so that it can be made anew.
        manifest: its rules, counts and pseudonymous raters.
    """

    snapshot_id: str
    label: str
    name: str | None
    version: int | None
    objective: str
    rows: int
    train: int
    evaluation: int
    source: str
    sha256: str
    created_at: datetime
    runs: tuple[RunUse, ...]
    withdrawn: int
    curated: bool
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class RowChange:
    """One row that two sets differ in.

    Args:
        moved: into which part, when it changed that.
    """

    response_id: str
    question: str
    before: str
    after: str
    moved: str = ""


@dataclass(frozen=True)
class SnapshotDiff:
    """How one set differs from another: counts, and the first rows of each kind that may be told of.

    Args:
        hidden: differing rows that may not: someone is still to judge them blind.
    """

    before: str
    after: str
    added: int
    gone: int
    changed: int
    kept: int
    hidden: int
    rows_added: tuple[RowChange, ...]
    rows_gone: tuple[RowChange, ...]
    rows_changed: tuple[RowChange, ...]


@dataclass(frozen=True)
class DatasetExport:
    """What was written: a file, a folder, or an address of the hub."""

    place: str
    rows: int
    identifiers: Mapping[str, int]


class SnapshotService:
    """Reads stored sets; never changes one.

    Args:
        database: where they are recorded.
        home: where their files are, and where exports go.
        is_local: whether nobody else can reach the page.
    """

    def __init__(self, database: Database, home: Home, is_local: bool = True) -> None:
        self._database = database
        self._home = home
        self._is_local = is_local

    def list(self, *, named: bool = True) -> tuple[SnapshotView, ...]:
        """The stored sets, newest first.

        Args:
            named: only those that were given a name; every run leaves one without.
        """
        with self._database.reading() as session:
            found = snapshots.list_all(session, named=named)
            ids = [snapshot.id for snapshot in found]
            runs, withdrawn = snapshots.runs_of(session, ids), lineage.count_withdrawn(session, ids)
            return tuple(
                describe_snapshot(each, runs.get(each.id, ()), withdrawn.get(each.id, 0)) for each in found
            )

    def show(self, reference: str) -> SnapshotView:
        """One set by its id or ``name@version``.

        Raises:
            NotFound: there is none.
        """
        with self._database.reading() as session:
            found = snapshots.find_reference(session, reference)
            runs = snapshots.runs_of(session, [found.id])
            withdrawn = lineage.count_withdrawn(session, [found.id])
            return describe_snapshot(found, runs.get(found.id, ()), withdrawn.get(found.id, 0))

    def diff(self, before: str, after: str, *, reviewer: str | None = None) -> SnapshotDiff:
        """Rows that the second set has and the first hasn't, the other way round, and those with other text.

        Args:
            before: id or ``name@version``.
            after: of the set compared with it.
            reviewer: who looks, as `hidden_from` takes it: rows that they may not see are counted, not told.

        Raises:
            NotFound: there is no such set.
            DatasetError: a set's file is gone or was changed.
        """
        with self._database.reading() as session:
            old, new = (snapshots.find_reference(session, each) for each in (before, after))
        rows_old, rows_new = rows_by_answer(self._home, old), rows_by_answer(self._home, new)
        added = [key for key in rows_new if key not in rows_old]
        gone = [key for key in rows_old if key not in rows_new]
        both = [key for key in rows_old if key in rows_new]
        changed = [key for key in both if _taught(rows_old[key]) != _taught(rows_new[key])]
        differing = [*added, *gone, *changed]
        hidden = self._hidden(differing, reviewer)
        told = [[key for key in keys if key not in hidden][:SHOWN] for keys in (added, gone, changed)]
        return SnapshotDiff(
            label(old), label(new), len(added), len(gone), len(changed), len(both) - len(changed),
            len(hidden),
            tuple(_change(key, {}, rows_new[key]) for key in told[0]),
            tuple(_change(key, rows_old[key], {}) for key in told[1]),
            tuple(_change(key, rows_old[key], rows_new[key]) for key in told[2]),
        )  # fmt: skip

    def manifest(self, reference: str) -> dict[str, Any]:
        """All that is said of a set beside its rows: rules, counts, raters, and each row's hash and origin.

        Raises:
            NotFound: there is none.
        """
        with self._database.reading() as session:
            found = snapshots.find_reference(session, reference)
            rows = [
                {
                    "sha256": row.sha256,
                    "response_id": row.response_id,
                    "other_response_id": row.other_response_id,
                    "review_id": row.review_id,
                }
                for row in snapshots.members(session, found.id)
            ]
        return {
            "name": label(found),
            "id": found.id,
            "sha256": found.sha256,
            "objective": found.objective,
            "created_at": found.created_at.isoformat(),
            **found.manifest,
            "rows": rows,
        }

    def export(
        self,
        reference: str,
        form: DatasetForm,
        destination: str = "",
        *,
        accept_identifiers: bool = False,
        public: bool = False,
        reviewer: str | None = None,
    ) -> DatasetExport:
        """Write a set out, with its manifest. Likely identifiers in it have to be confirmed first.

        Args:
            reference: id or ``name@version``.
            form: one JSONL or Parquet file, a folder that ``datasets`` loads, or a dataset of the hub.
            destination: the file or folder, which must not exist, under ELARA_HOME/exports if not given; for
                the hub, ``owner/name``.
            accept_identifiers: what was found was looked at and may leave.
            public: on the hub, whether everybody may see it.
            reviewer: who asks, as `hidden_from` takes it: of what they may not see, no surroundings are shown
                where identifiers were found.

        Raises:
            NotFound: there is no such set.
            IdentifiersFound: there are some, and they weren't accepted.
            InvalidInput: the destination exists, or the hub's token is missing.
            DatasetError: the set's file is gone or was changed.
            AdapterError: the hub refuses.
        """
        with self._database.reading() as session:
            found = snapshots.find_reference(session, reference)
        findings = self._require_consent(found, accept_identifiers, reviewer)
        if public and form is not DatasetForm.HUB:
            raise InvalidInput("Only what goes to the hub can be public. Leave it out, or export to hub.")
        if form is DatasetForm.HUB:
            return DatasetExport(self._push(found, destination, public=public), found.rows, findings.kinds)
        ending = "" if form is DatasetForm.FOLDER else f".{form}"
        place = (
            Path(destination).expanduser().absolute()
            if destination
            else self._home.exports / f"{label(found).replace('@', '-').replace(' ', '-')}{ending}"
        )
        self._write(found, form, place)
        return DatasetExport(str(place), found.rows, findings.kinds)

    @property
    def has_token(self) -> bool:
        """Whether there is a token of the hub, without which nothing can be pushed."""
        return bool(read_token())

    def check_push(self, reference: str, repository: str, *, accept_identifiers: bool = False) -> None:
        """Refuse what can't be pushed from the page, as far as that is known without the hub.

        The token belongs to whoever runs Elara: on a page that other people can reach, none of them may
        publish in its owner's name.

        Raises:
            NotFound: there is no such set.
            InvalidInput: identifiers were found, the token is missing, or others can reach the page.
            DatasetError: the set's file is gone or was changed.
            AdapterError: the repository's name is wrong.
        """
        if not self._is_local:
            raise InvalidInput(
                "Datasets are pushed from the page only where Elara listens on this machine alone, and other "
                "machines can reach this one. Use `python -m elara_ui snapshots export … --to hub` on it."
            )
        require_token()
        hub.check_repository(repository)
        with self._database.reading() as session:
            found = snapshots.find_reference(session, reference)
        self._require_consent(found, accept_identifiers, reviewer="")

    def _require_consent(self, snapshot: Snapshot, accepted: bool, reviewer: str | None) -> Findings:
        """Likely identifiers in a set, unless they were found and not accepted."""
        findings = search(map(_text, self._rows(snapshot)))
        if findings.kinds and not accepted:
            hidden = self._hidden([_key(row) for row in self._rows(snapshot)], reviewer)
            told = search(_text(row) for row in self._rows(snapshot) if _key(row) not in hidden)
            raise IdentifiersFound(
                f"Likely identifiers are in {label(snapshot)}: {findings.summary}. A frozen set stays as it "
                "is: look at them, then confirm that they may leave, or freeze one without those rows. "
                f"{NOT_FOUND}",
                findings.kinds,
                told.previews,
            )
        return findings

    def _rows(self, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
        """The rows of a set's file, one by one."""
        return _each_row(_checked(self._home, snapshot))

    def _hidden(self, keys: Collection[RowKey], reviewer: str | None) -> set[RowKey]:
        """Which rows hold an answer that whoever looks may not be told of."""
        with self._database.reading() as session:
            answers = hidden_from(session, reviewer, {answer for key in keys for answer in key if answer})
        return {key for key in keys if not answers.isdisjoint(key)}

    def _push(self, found: Snapshot, repository: str, *, public: bool) -> str:
        token = require_token()
        hub.check_repository(repository)
        with scratch(self._home.exports, PUSH) as beside:
            folder = beside / "dataset"
            self._write(found, DatasetForm.FOLDER, folder)
            return hub.push(folder, repository, token, public=public, dataset=True)

    def _write(self, found: Snapshot, form: DatasetForm, place: Path) -> None:
        if place.exists():
            raise InvalidInput(f"{place} exists already. Remove it, or give another place.")
        manifest = json.dumps(self.manifest(found.id), ensure_ascii=False, indent=1)
        source = _checked(self._home, found)
        try:
            # A disk that fills up leaves no half of a set behind.
            with scratch(place.parent, EXPORT) as beside:
                made = beside / "set" / place.name
                made.parent.mkdir()
                if form is DatasetForm.FOLDER:
                    write_folder(found, label(found), source, made, manifest)
                else:
                    write = shutil.copyfile if form is DatasetForm.JSONL else write_parquet
                    write(source, made)
                    made.with_name(f"{made.name}.manifest.json").write_text(manifest, encoding="utf-8")
                for written in sorted(made.parent.iterdir(), reverse=True):  # the manifest before its rows
                    written.rename(place.with_name(written.name))
        except OSError as error:
            raise StorageError(
                f"The dataset can't be written to {place}: {error.strerror}. Choose another place."
            ) from error


def label(snapshot: Snapshot) -> str:
    """What people call a set."""
    return f"{snapshot.name}@{snapshot.version}" if snapshot.name else snapshot.id


def describe_snapshot(snapshot: Snapshot, runs: Iterable[Run], withdrawn: int) -> SnapshotView:
    """A stored set as a value."""
    manifest = snapshot.manifest
    return SnapshotView(
        snapshot.id, label(snapshot), snapshot.name, snapshot.version, snapshot.objective, snapshot.rows,
        manifest.get("train", snapshot.rows), manifest.get("evaluation", 0), snapshot.source,
        snapshot.sha256, snapshot.created_at,
        tuple(RunUse(run.id, run.audience, run.status, run.adapter) for run in runs),
        withdrawn, "rules" in manifest, manifest,
    )  # fmt: skip


def rows_by_answer(home: Home, snapshot: Snapshot) -> dict[RowKey, dict[str, Any]]:
    """The rows of a set's file by what makes them the same row in another set.

    Raises:
        DatasetError: the file is gone or was changed.
    """
    return {_key(row): row for row in _each_row(_checked(home, snapshot))}


def _checked(home: Home, snapshot: Snapshot) -> Path:
    """The set's file, unless it isn't what was frozen."""
    path = home.root / snapshot.path
    digest = sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise DatasetError(
            f"The file of {label(snapshot)} can't be read: {error.strerror}. Freeze the selection again."
        ) from error
    if digest.hexdigest() != snapshot.sha256:
        raise DatasetError(
            f"The file of {label(snapshot)} was changed after it was frozen. Freeze the selection again."
        )
    return path


def _each_row(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _key(row: Mapping[str, Any]) -> RowKey:
    origin = row["origin"]
    answer = origin.get("response_id") or sha256(json.dumps(row["messages"]).encode()).hexdigest()
    return answer, origin.get("other_response_id", "")


def _text(row: Mapping[str, Any]) -> str:
    """What is said in a row."""
    return "\n".join([*(turn["content"] for turn in row["messages"]), row.get("rejected", "")])


def _taught(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["messages"], row.get("rejected"), row.get("label"), row["part"]


def _change(key: RowKey, before: Mapping[str, Any], after: Mapping[str, Any]) -> RowChange:
    asked = [turn["content"] for turn in (before or after)["messages"] if turn["role"] == "user"]
    old, new = (str(row["messages"][-1]["content"]) if row else "" for row in (before, after))
    moved = ""
    if before and after and before["part"] != after["part"]:
        moved = "now held out" if after["part"] == EVALUATION else "no longer held out"
    return RowChange(key[0], asked[-1] if asked else "", old, new, moved)

"""Immutable training sets, known by the hash of their bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from db.errors import Conflict, NotFound
from db.models import Adjudication, Preference, Review, Run, Snapshot, SnapshotJudgement, SnapshotRow

CHUNK = 5000
"""Rows written, and ids asked for, in one statement."""


@dataclass(frozen=True)
class Origin:
    """Where one row of a training set came from.

    Args:
        sha256: of its line, 64 hex digits.
        response_id: the answer learned from; None when it is none of this home's.
        other_response_id: the answer it was preferred to.
        review_id: the review, preference or adjudication that let it in.
        further: the other judgements behind it.
    """

    sha256: str
    response_id: str | None = None
    other_response_id: str | None = None
    review_id: str | None = None
    further: tuple[str, ...] = ()

    @property
    def judgements(self) -> tuple[str, ...]:
        """All judgements behind it, each once."""
        return tuple(dict.fromkeys(filter(None, (self.review_id, *self.further))))


def add(
    session: Session,
    *,
    sha256: str,
    path: str,
    rows: int,
    source: str,
    manifest: dict[str, Any],
    objective: str = "sft",
) -> Snapshot:
    """Record a training set; the same bytes are recorded once.

    Args:
        session: a writing session.
        sha256: of the file's bytes, 64 hex digits.
        path: the JSONL file, relative to ELARA_HOME.
        rows: how many examples it holds.
        source: starter, reviews, or the uploaded file's name.
        manifest: what was kept and dropped, and why.
        objective: what its rows are for: sft, dpo or kto.

    Returns:
        The new snapshot, or the one that already holds these bytes, unchanged.
    """
    known = find(session, sha256)
    if known is not None:
        return known
    snapshot = Snapshot(
        sha256=sha256, path=path, rows=rows, source=source, manifest=manifest, objective=objective
    )
    session.add(snapshot)
    session.flush()
    return snapshot


def find(session: Session, sha256: str) -> Snapshot | None:
    """The snapshot with these bytes; None when there is none."""
    return session.scalar(select(Snapshot).where(Snapshot.sha256 == sha256))


def list_recent(session: Session) -> list[Snapshot]:
    """Every snapshot, newest first."""
    return list(session.scalars(select(Snapshot).order_by(Snapshot.created_at.desc(), Snapshot.id)))


def get(session: Session, snapshot_id: str) -> Snapshot:
    """One snapshot.

    Raises:
        NotFound: there is none of this id.
    """
    snapshot = session.get(Snapshot, snapshot_id)
    if snapshot is None:
        raise NotFound(f"There is no training set {snapshot_id!r}.")
    return snapshot


def add_rows(session: Session, snapshot_id: str, origins: Sequence[Origin]) -> None:
    """Record where each row came from, in the order of the file's lines; once for each set.

    A judgement that isn't this home's, as a file may name it, is kept with its row and shapes nothing here.

    Args:
        session: a writing session.
        snapshot_id: the set.
        origins: one for each line.
    """
    if session.scalar(select(SnapshotRow.id).where(SnapshotRow.snapshot_id == snapshot_id).limit(1)):
        return
    for start in range(0, len(origins), CHUNK):
        chunk = origins[start : start + CHUNK]
        people = _find_people(session, {id for row in chunk for id in row.judgements})
        rows = [
            {
                "snapshot_id": snapshot_id,
                "position": position,
                "sha256": row.sha256,
                "response_id": row.response_id,
                "other_response_id": row.other_response_id,
                "review_id": row.review_id,
                "reviewer_id": people.get(row.review_id or ""),
            }
            for position, row in enumerate(chunk, start)
        ]
        session.execute(insert(SnapshotRow), rows)
        judged = [
            {"snapshot_id": snapshot_id, "position": position, "judgement_id": id, "reviewer_id": people[id]}
            for position, row in enumerate(chunk, start)
            for id in row.judgements
            if id in people
        ]
        if judged:
            session.execute(insert(SnapshotJudgement), judged)


def _find_people(session: Session, judgement_ids: Iterable[str]) -> dict[str, str]:
    """Who gave each review, preference or adjudication."""
    ids = list(judgement_ids)
    found: dict[str, str] = {}
    for start in range(0, len(ids), CHUNK):
        for table, person in (
            (Review, Review.reviewer_id),
            (Preference, Preference.reviewer_id),
            (Adjudication, Adjudication.adjudicator_id),
        ):
            query = select(table.id, person).where(table.id.in_(ids[start : start + CHUNK]))
            found |= dict(session.execute(query).all())
    return found


def give_name(session: Session, snapshot: Snapshot, name: str) -> Snapshot:
    """Make a set the next version of a name; one that bears the name already stays as it is.

    Args:
        session: a writing session.
        snapshot: the set.
        name: without a version.

    Raises:
        Conflict: these very rows are stored under another name.
    """
    if snapshot.name == name:
        return snapshot
    if snapshot.name is not None:
        raise Conflict(
            f"A set is stored once, and these very rows are {snapshot.name}@{snapshot.version}. "
            "Use that one, or change the rules."
        )
    newest = session.scalar(select(func.max(Snapshot.version)).where(Snapshot.name == name))
    snapshot.name, snapshot.version = name, (newest or 0) + 1
    session.flush()
    return snapshot


def list_all(session: Session, *, named: bool = False, limit: int = 200) -> list[Snapshot]:
    """Training sets, newest first.

    Args:
        session: any session.
        named: only those that were given a name.
        limit: most sets returned.
    """
    query = select(Snapshot).order_by(Snapshot.created_at.desc(), Snapshot.id).limit(limit)
    return list(session.scalars(query.where(Snapshot.name.is_not(None)) if named else query))


def find_reference(session: Session, reference: str) -> Snapshot:
    """One set by its id, or by ``name@version``; a bare name means its newest version.

    Raises:
        NotFound: there is none.
    """
    found = session.get(Snapshot, reference)
    name, _, version = reference.rpartition("@")
    if found is None:
        query = select(Snapshot).where(Snapshot.name == (name or reference))
        if name and version.isdecimal():
            query = query.where(Snapshot.version == int(version))
        found = session.scalar(query.order_by(Snapshot.version.desc()).limit(1))
    if found is None or (name and not version.isdecimal()):
        raise NotFound(
            f"There is no training set {reference!r}. The list of datasets shows their names and ids."
        )
    return found


def runs_of(session: Session, snapshot_ids: Iterable[str]) -> dict[str, list[Run]]:
    """The runs that learned from each of these sets, oldest first."""
    query = select(Run).where(Run.snapshot_id.in_(list(snapshot_ids))).order_by(Run.created_at)
    found: dict[str, list[Run]] = {}
    for run in session.scalars(query):
        found.setdefault(run.snapshot_id, []).append(run)
    return found


def used(session: Session) -> list[Snapshot]:
    """The sets that some run has learned from."""
    return list(session.scalars(select(Snapshot).where(Snapshot.id.in_(select(Run.snapshot_id)))))


def members(session: Session, snapshot_id: str) -> list[SnapshotRow]:
    """Where the rows of a set came from, in the order of its lines."""
    query = select(SnapshotRow).where(SnapshotRow.snapshot_id == snapshot_id)
    return list(session.scalars(query.order_by(SnapshotRow.position)))

"""Immutable training sets, known by the hash of their bytes."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.models import Snapshot


def add(
    session: Session, *, sha256: str, path: str, rows: int, source: str, manifest: dict[str, Any]
) -> Snapshot:
    """Record a training set; the same bytes are recorded once.

    Args:
        session: a writing session.
        sha256: of the file's bytes, 64 hex digits.
        path: the JSONL file, relative to ELARA_HOME.
        rows: how many examples it holds.
        source: starter, reviews, or the uploaded file's name.
        manifest: what was kept and dropped, and why.

    Returns:
        The new snapshot, or the one that already holds these bytes, unchanged.
    """
    known = find(session, sha256)
    if known is not None:
        return known
    snapshot = Snapshot(sha256=sha256, path=path, rows=rows, source=source, manifest=manifest)
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

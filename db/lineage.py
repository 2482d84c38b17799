"""Which judgements came into which training sets, runs and adapters; and back."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from db.models import (
    Adapter,
    Adjudication,
    Preference,
    Response,
    Review,
    Reviewer,
    Run,
    Snapshot,
    SnapshotJudgement,
    SnapshotRow,
)


@dataclass(frozen=True)
class Judged:
    """A review, preference or adjudication.

    Args:
        kind: ``review``, ``preference`` or ``adjudication``.
        verdict: its disposition or choice.
    """

    judgement_id: str
    kind: str
    item_id: str
    reviewer_id: str
    verdict: str


def find_judgement(session: Session, judgement_id: str) -> Judged | None:
    """The review, preference or adjudication of this id; None when there is none."""
    if review := session.get(Review, judgement_id):
        return Judged(review.id, "review", review.item_id, review.reviewer_id, review.disposition)
    if choice := session.get(Preference, judgement_id):
        return Judged(choice.id, "preference", choice.item_id, choice.reviewer_id, choice.choice)
    if decision := session.get(Adjudication, judgement_id):
        by = decision.adjudicator_id
        return Judged(decision.id, "adjudication", decision.item_id, by, decision.disposition)
    return None


def holding(
    session: Session,
    *,
    judgement_id: str | None = None,
    reviewer_id: str | None = None,
    response_id: str | None = None,
) -> list[tuple[Snapshot, int]]:
    """The training sets that hold rows of this, with how many, oldest first. Give one of the three."""
    if response_id is not None:
        of_answer = or_(SnapshotRow.response_id == response_id, SnapshotRow.other_response_id == response_id)
        rows = select(SnapshotRow.snapshot_id, func.count().label("rows")).where(of_answer)
        counted = rows.group_by(SnapshotRow.snapshot_id).subquery()
    else:
        judged = SnapshotJudgement
        by = judged.judgement_id == judgement_id if judgement_id else judged.reviewer_id == reviewer_id
        number = func.count(judged.position.distinct()).label("rows")
        counted = select(judged.snapshot_id, number).where(by).group_by(judged.snapshot_id).subquery()
    query = select(Snapshot, counted.c.rows).join(counted, counted.c.snapshot_id == Snapshot.id)
    return [(row[0], row[1]) for row in session.execute(query.order_by(Snapshot.created_at, Snapshot.id))]


def adapters_of(session: Session, run_ids: Collection[str]) -> list[Adapter]:
    """The adapters that came of these runs, oldest first."""
    query = select(Adapter).where(Adapter.run_id.in_(run_ids)).order_by(Adapter.created_at)
    return list(session.scalars(query))


def adapter_called(session: Session, name: str) -> Adapter | None:
    """An adapter by its versioned name; None when it was deleted."""
    return session.scalar(select(Adapter).where(Adapter.name == name))


def run_of(session: Session, adapter: str) -> Run | None:
    """The run that made an adapter; None when it was brought in, or there is none of this name."""
    return session.scalar(
        select(Run).where(Run.id.in_(select(Adapter.run_id).where(Adapter.name == adapter)))
    )


def count_sources(session: Session, snapshot_id: str) -> tuple[int, int, int]:
    """Of a set: rows that came of judged answers, the judgements behind them, and who gave these."""
    of_answers = select(func.count(SnapshotRow.response_id)).where(SnapshotRow.snapshot_id == snapshot_id)
    judged = select(
        func.count(SnapshotJudgement.judgement_id.distinct()),
        func.count(SnapshotJudgement.reviewer_id.distinct()),
    ).where(SnapshotJudgement.snapshot_id == snapshot_id)
    judgements, people = session.execute(judged).one()
    return session.scalar(of_answers) or 0, judgements, people


def list_rows(session: Session, snapshot_id: str, after: int = -1, limit: int = 50) -> list[SnapshotRow]:
    """One page of a set's rows that came of judged answers, in the order of its lines."""
    query = select(SnapshotRow).where(
        SnapshotRow.snapshot_id == snapshot_id,
        SnapshotRow.position > after,
        SnapshotRow.response_id.is_not(None),
    )
    return list(session.scalars(query.order_by(SnapshotRow.position).limit(limit)))


def count_withdrawn(session: Session, snapshot_ids: Collection[str]) -> dict[str, int]:
    """How many rows of each set are by reviewers, or of answers, that have been withdrawn since."""
    people = select(Reviewer.id).where(Reviewer.withdrawn_at.is_not(None))
    answers = select(Response.id).where(Response.withdrawn_at.is_not(None))
    by_them = exists().where(
        SnapshotJudgement.snapshot_id == SnapshotRow.snapshot_id,
        SnapshotJudgement.position == SnapshotRow.position,
        SnapshotJudgement.reviewer_id.in_(people),
    )
    query = (
        select(SnapshotRow.snapshot_id, func.count())
        .where(
            SnapshotRow.snapshot_id.in_(snapshot_ids),
            or_(
                by_them,
                SnapshotRow.response_id.in_(answers),
                SnapshotRow.other_response_id.in_(answers),
            ),
        )
        .group_by(SnapshotRow.snapshot_id)
    )
    return dict(session.execute(query).all())

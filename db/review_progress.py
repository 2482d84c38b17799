"""How far the review queue is: for one reviewer, by batch, and as a whole."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, ColumnExpressionArgument, func, or_, select
from sqlalchemy.orm import Session

from db.adjudication_queue import opened_by
from db.curation import among
from db.models import Assignment, Preference, Review, Reviewer, ReviewItem, utc_now
from db.review_queue import has_room, in_scope, is_open, judged_by

WAITING_COUNTED = 1000
"""Open items are counted up to here: more is as good as endless, and a long queue stays quick."""

BATCHES_SHOWN = 20


@dataclass(frozen=True)
class BatchProgress:
    """How far one batch is.

    Args:
        batch: its name.
        done_by_me: items of it that this reviewer has judged.
        finished: items with all the judgements they want, or taken out.
        total: items sent under this name.
    """

    batch: str
    done_by_me: int
    finished: int
    total: int


@dataclass(frozen=True)
class ReviewProgress:
    """How far one reviewer is.

    Args:
        done_by_me: items this reviewer has judged.
        waiting_for_me: items within their scope that want more judgements and have none of theirs, counted
            up to `WAITING_COUNTED`.
        total: both together.
        batches: the batches with something open, by name; only where asked for.
    """

    done_by_me: int
    waiting_for_me: int
    total: int
    batches: tuple[BatchProgress, ...] = ()


@dataclass(frozen=True)
class Blocked:
    """Why an open queue has nothing for a reviewer.

    Args:
        judged_by_me: open items this reviewer has judged, counted up to `WAITING_COUNTED`.
        reserved: items in scope whose last places others have reserved.
        next_free_at: when the first of those falls free, if not judged by then; None when none is.
        out_of_scope: open items outside the reviewer's declared scope, counted likewise.
    """

    judged_by_me: int
    reserved: int
    next_free_at: datetime | None
    out_of_scope: int


@dataclass(frozen=True)
class QueueFigures:
    """The queue as a whole.

    Args:
        items: ever sent.
        open: want more judgements.
        contested: wait for adjudication.
        calibration: have a known judgement.
        reviews: by disposition.
        preferences: choices between two answers.
        reviewers: people who have judged something.
    """

    items: int
    open: int
    contested: int
    calibration: int
    reviews: dict[str, int]
    preferences: int
    reviewers: int


def count_done(session: Session, reviewer_id: str) -> int:
    """How many judgements a reviewer has given."""
    return sum(
        session.scalar(select(func.count()).where(table.reviewer_id == reviewer_id)) or 0
        for table in (Review, Preference)
    )


def progress(session: Session, reviewer: Reviewer) -> ReviewProgress:
    """How many items a reviewer has judged and has left, without the batches."""
    mine = ~judged_by(reviewer.id), ~opened_by(reviewer.id)
    left = _count_some(session, is_open(), in_scope(reviewer), *mine)
    done = count_done(session, reviewer.id)
    return ReviewProgress(done_by_me=done, waiting_for_me=left, total=done + left)


def batches(session: Session, reviewer_id: str) -> tuple[BatchProgress, ...]:
    """The batches with something open, by name; at most `BATCHES_SHOWN`."""
    names = session.scalars(
        select(ReviewItem.batch)
        .where(is_open(), ReviewItem.batch.is_not(None))
        .distinct()
        .order_by(ReviewItem.batch)
        .limit(BATCHES_SHOWN)
    ).all()
    done = _done_by_batch(session, reviewer_id, [name for name in names if name])
    rows = session.execute(
        select(
            ReviewItem.batch,
            func.count().filter((ReviewItem.judged >= ReviewItem.wanted) | ReviewItem.closed_at.is_not(None)),
            func.count(),
        )
        .where(ReviewItem.batch.in_(names))
        .group_by(ReviewItem.batch)
        .order_by(ReviewItem.batch)
    )
    return tuple(
        BatchProgress(str(batch), done.get(str(batch), 0), finished, total) for batch, finished, total in rows
    )


def blocked(session: Session, reviewer: Reviewer) -> Blocked:
    """What stands between a reviewer and the open items; meant for when they are given none."""
    now = utc_now()
    full = (
        select(func.count(ReviewItem.id.distinct()), func.min(Assignment.expires_at))
        .join(Assignment, Assignment.item_id == ReviewItem.id)
        .where(
            Assignment.expires_at > now,
            Assignment.skipped_at.is_(None),
            is_open(), in_scope(reviewer), ~judged_by(reviewer.id), ~opened_by(reviewer.id),
            ~has_room(reviewer.id, now),
        )
    )  # fmt: skip
    reserved, free_at = session.execute(full).one()
    return Blocked(
        judged_by_me=_count_some(session, is_open(), judged_by(reviewer.id)),
        reserved=reserved,
        next_free_at=free_at,
        out_of_scope=_count_some(session, is_open(), ~in_scope(reviewer), ~judged_by(reviewer.id)),
    )


def figures(session: Session) -> QueueFigures:
    """The queue as a whole, counted."""

    def count(*conditions: ColumnExpressionArgument[bool]) -> int:
        return session.scalar(select(func.count()).select_from(ReviewItem).where(*conditions)) or 0

    by_disposition = select(Review.disposition, func.count()).group_by(Review.disposition)
    people = select(Review.reviewer_id).union(select(Preference.reviewer_id)).subquery()
    return QueueFigures(
        items=count(),
        open=count(is_open()),
        contested=count(ReviewItem.contested),
        calibration=count(ReviewItem.expected.is_not(None)),
        reviews={str(name): int(number) for name, number in session.execute(by_disposition)},
        preferences=session.scalar(select(func.count(Preference.id))) or 0,
        reviewers=session.scalar(select(func.count()).select_from(people)) or 0,
    )


def _count_some(session: Session, *conditions: ColumnElement[bool]) -> int:
    """How many items meet the conditions, counted up to `WAITING_COUNTED`."""
    counted = select(ReviewItem.id).where(*conditions).limit(WAITING_COUNTED).subquery()
    return session.scalar(select(func.count()).select_from(counted)) or 0


def _done_by_batch(session: Session, reviewer_id: str, names: Collection[str]) -> dict[str, int]:
    done: dict[str, int] = {}
    for table in (Review, Preference):
        rows = session.execute(
            select(ReviewItem.batch, func.count())
            .join(table, table.item_id == ReviewItem.id)
            .where(table.reviewer_id == reviewer_id, ReviewItem.batch.in_(names))
            .group_by(ReviewItem.batch)
        )
        for batch, number in rows:
            done[str(batch)] = done.get(str(batch), 0) + number
    return done


def to_be_judged_blind(session: Session, response_ids: Collection[str], reviewer_id: str) -> set[str]:
    """Which of these answers someone is still to judge without knowing what made them or what others said.

    Args:
        session: any session.
        response_ids: the answers, however many.
        reviewer_id: who looks: what they have judged themselves they may see; empty for nobody.
    """
    sides = ReviewItem.response_id, ReviewItem.other_response_id
    asked = ReviewItem.closed_at.is_(None), or_(is_open(), ReviewItem.expected.is_not(None))
    query = select(*sides).where(
        or_(*(among(side, response_ids) for side in sides)), *asked, ~judged_by(reviewer_id)
    )
    return {id for row in session.execute(query) for id in row if id} & set(response_ids)

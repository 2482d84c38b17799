"""The review queue and clinicians' judgements."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from db import responses, reviewers
from db.errors import Conflict, NotFound
from db.models import Review, Reviewer, ReviewItem
from db.vocabulary import Disposition, ReviewReason


@dataclass(frozen=True)
class ReviewProgress:
    """How far one reviewer is.

    Args:
        done_by_me: items this reviewer has judged.
        waiting_for_me: items this reviewer hasn't.
        total: items in the queue, judged or not.
    """

    done_by_me: int
    waiting_for_me: int
    total: int


def send(session: Session, response_id: str, reason: str = "requested") -> ReviewItem:
    """Put an answer in the review queue; one that is there already stays as it is.

    Args:
        session: a writing session.
        response_id: the answer.
        reason: a `ReviewReason`.

    Raises:
        NotFound: there is no such answer.
    """
    response = responses.get(session, response_id)
    rating = ReviewItem.response_id == response_id, ReviewItem.other_response_id.is_(None)
    sent = session.scalar(select(ReviewItem).where(*rating))
    if sent is None:
        known = ReviewReason(reason)
        sent = ReviewItem(
            response_id=response_id, reason=known, priority=known.priority, audience=response.audience
        )
        session.add(sent)
        session.flush()
    return sent


def sent_response_ids(session: Session, ids: Collection[str]) -> set[str]:
    """Which of these answers are in the review queue."""
    return set(session.scalars(select(ReviewItem.response_id).where(ReviewItem.response_id.in_(ids))))


def item(session: Session, item_id: str) -> ReviewItem:
    """One item of the queue, with its response and reviews loaded.

    Raises:
        NotFound: there is none of this id.
    """
    options = (joinedload(ReviewItem.response), selectinload(ReviewItem.reviews))
    found = session.get(ReviewItem, item_id, options=options)
    if found is None:
        raise NotFound(f"There is no answer {item_id!r} in the review queue.")
    return found


def next_item(session: Session, reviewer: str, skip: Collection[str] = ()) -> ReviewItem | None:
    """What a reviewer should judge next: the least reviewed, then the longest waiting.

    Args:
        session: any session.
        reviewer: declared name; items this one has judged don't come back.
        skip: ids of items to leave for later.

    Returns:
        The item with its response loaded; None when nothing is left.
    """
    count = select(func.count()).where(Review.item_id == ReviewItem.id).scalar_subquery()
    query = (
        select(ReviewItem)
        .where(~_judged_by(reviewer), ReviewItem.id.not_in(skip))
        .order_by(count, ReviewItem.sent_at, ReviewItem.id)
        .limit(1)
        .options(joinedload(ReviewItem.response))
    )
    return session.scalar(query)


def submit(session: Session, review: Review) -> Review:
    """Store a judgement. What it may hold is checked by the reviewing service.

    Args:
        session: a writing session.
        review: a new one, with `item_id` and `reviewer_id` set.

    Raises:
        NotFound: its item isn't in the queue.
        Conflict: the reviewer has judged this item before.
    """
    judged = item(session, review.item_id)
    reviewer = reviewers.get(session, review.reviewer_id)
    if reviewer.id in {earlier.reviewer_id for earlier in judged.reviews}:
        raise Conflict(
            f"Each reviewer judges an answer once, and {reviewer.name!r} has judged this one. "
            "The first review stands; go on to the next answer."
        )
    session.add(review)
    judged.judged += review.disposition != Disposition.OUT_OF_SCOPE
    session.flush()
    return review


def progress(session: Session, reviewer: str) -> ReviewProgress:
    """How many items a reviewer has judged and has left."""
    total = session.scalar(select(func.count(ReviewItem.id))) or 0
    done = session.scalar(select(func.count(ReviewItem.id)).where(_judged_by(reviewer))) or 0
    return ReviewProgress(done_by_me=done, waiting_for_me=total - done, total=total)


def list_reviews(session: Session, reviewer: str | None = None, limit: int = 100) -> list[Review]:
    """Judgements, newest first, with their items and responses loaded.

    Args:
        session: any session.
        reviewer: only this one's; None for everybody's.
        limit: most reviews returned.
    """
    query = (
        select(Review)
        .order_by(Review.created_at.desc(), Review.id)
        .limit(limit)
        .options(joinedload(Review.reviewer), joinedload(Review.item).joinedload(ReviewItem.response))
    )
    if reviewer is not None:
        query = query.where(Review.reviewer.has(Reviewer.name == reviewer))
    return list(session.scalars(query))


def _judged_by(reviewer: str) -> ColumnElement[bool]:
    """Condition: the item has a review by this reviewer."""
    return exists().where(
        Review.item_id == ReviewItem.id,
        Review.reviewer_id == Reviewer.id,
        Reviewer.name == reviewer,
    )

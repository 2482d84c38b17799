"""Answers sent to review, and clinicians' reviews of them."""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from db import judgements, responses, reviewers
from db.errors import Conflict, NotFound
from db.models import Response, Review, ReviewItem
from db.vocabulary import OVERLAP, ReviewReason


def send(
    session: Session,
    response_id: str,
    reason: str = ReviewReason.REQUESTED,
    *,
    wanted: int = OVERLAP,
    specialty: str = "",
    language: str = "en",
    batch: str | None = None,
) -> ReviewItem:
    """Put an answer in the review queue; one that is there already isn't put there twice.

    What is there stays as it is, but a more pressing reason moves it forward.

    Args:
        session: a writing session.
        response_id: the answer.
        reason: a `ReviewReason`.
        wanted: independent judgements asked for.
        specialty: whom it is for; empty for anyone.
        language: of the answer, ISO 639-1.
        batch: name of what is sent together.

    Raises:
        NotFound: there is no such answer.
    """
    response = responses.get(session, response_id)
    known = ReviewReason(reason)
    rating = ReviewItem.response_id == response_id, ReviewItem.other_response_id.is_(None)
    sent = session.scalar(select(ReviewItem).where(*rating))
    if sent is None:
        sent = ReviewItem(
            response_id=response_id, reason=known, priority=known.priority, wanted=wanted,
            audience=response.audience, specialty=specialty.strip().casefold(),
            language=language, batch=batch,
        )  # fmt: skip
        session.add(sent)
    elif known.priority < sent.priority:
        sent.reason, sent.priority = known, known.priority
    session.flush()
    return sent


def send_new(
    session: Session,
    answers: Iterable[Response],
    reason: ReviewReason,
    *,
    languages: Mapping[str, str],
    batch: str,
) -> None:
    """Put many answers in the queue, none of which was there.

    Args:
        session: a writing session.
        answers: stored ones.
        reason: why they are sent.
        languages: response id → ISO 639-1.
        batch: name of what is sent together.
    """
    session.add_all(
        ReviewItem(
            response_id=answer.id, reason=reason, priority=reason.priority, audience=answer.audience,
            language=languages[answer.id], batch=batch,
        )
        for answer in answers
    )  # fmt: skip
    session.flush()


def sent_response_ids(session: Session, ids: Collection[str]) -> set[str]:
    """Which of these answers are in the review queue to be judged by themselves."""
    query = select(ReviewItem.response_id).where(
        ReviewItem.response_id.in_(ids), ReviewItem.other_response_id.is_(None)
    )
    return set(session.scalars(query))


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
    if judgements.find(session, judged.id, reviewer.id) is not None:
        raise Conflict(
            f"Each reviewer judges an answer once, and {reviewer.name!r} has judged this one. "
            "The first review stands; go on to the next answer."
        )
    judgements.add(session, review)
    session.refresh(judged, ["reviews"])
    return review


def list_reviews(
    session: Session,
    reviewer: str | None = None,
    limit: int = 100,
    *,
    disposition: str | None = None,
    before: Review | None = None,
) -> list[Review]:
    """Judgements, newest first, with their items and responses loaded.

    Args:
        session: any session.
        reviewer: only this one's, by name; None for everybody's.
        limit: most reviews returned.
        disposition: only those with this verdict.
        before: the last review of the page before; None for the first page.
    """
    query = (
        select(Review)
        .order_by(Review.created_at.desc(), Review.id)
        .limit(limit)
        .options(joinedload(Review.reviewer), joinedload(Review.item).joinedload(ReviewItem.response))
    )
    if reviewer is not None:
        known = reviewers.find(session, reviewer)
        query = query.where(Review.reviewer_id == (known.id if known else None))
    if disposition is not None:
        query = query.where(Review.disposition == disposition)
    if before is not None:
        # The first condition lets the index by time be used; the second parts those of one instant.
        query = query.where(
            Review.created_at <= before.created_at,
            (Review.created_at < before.created_at) | (Review.id > before.id),
        )
    return list(session.scalars(query))

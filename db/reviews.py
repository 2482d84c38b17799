"""The review queue, clinicians' judgements, and the training rows that come of them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from db import responses, reviewers
from db.errors import Conflict, NotFound
from db.models import Adjudication, Response, Review, Reviewer, ReviewItem
from db.vocabulary import Disposition, FinishReason, ReviewFlag, ReviewReason, Role


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


class TrainingRow(TypedDict):
    """One example that professionals have accepted, and where it comes from."""

    messages: list[dict[str, str]]
    audience: str
    response_id: str
    review_id: str  # of the review or the adjudication that let it in
    adapter: str | None
    base_model: str


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


def training_rows(session: Session, audience: str | None = None) -> Iterator[TrainingRow]:
    """The answers that reviewers let into training, oldest sent first.

    The rule of `docs/review.md`: a decision in adjudication goes before the reviews, and a contested answer
    without one stays out. Else an answer comes in by one review that accepts it (accuracy aligned,
    no harm, no great fault) or corrects it, and is kept out by any review that rejects or vetoes it.
    A correction goes before the original text, a newer correction before an older one. An answer that
    was cut off teaches to stop in mid-sentence, so it comes in only when corrected.

    Args:
        session: any session.
        audience: only this one's answers; None for every audience's.
    """
    query = (
        select(ReviewItem)
        .where(ReviewItem.reviews.any())
        .order_by(ReviewItem.sent_at, ReviewItem.id)
        .options(
            joinedload(ReviewItem.response),
            selectinload(ReviewItem.reviews),
            joinedload(ReviewItem.adjudication),
        )
    )
    if audience is not None:
        query = query.where(ReviewItem.response.has(Response.audience == audience))
    for reviewed in session.scalars(query):
        accepting = None if reviewed.contested else _accepting(reviewed)
        if accepting is not None and (accepting.correction or _is_whole(reviewed.response)):
            yield _training_row(reviewed.response, accepting)


def _judged_by(reviewer: str) -> ColumnElement[bool]:
    """Condition: the item has a review by this reviewer."""
    return exists().where(
        Review.item_id == ReviewItem.id,
        Review.reviewer_id == Reviewer.id,
        Reviewer.name == reviewer,
    )


def _accepting(reviewed: ReviewItem) -> Review | Adjudication | None:
    """What lets the answer in: the decision if there is one, else a review; None when it stays out."""
    decision = reviewed.adjudication
    if decision is None:
        return _accepting_review(reviewed.reviews)
    return None if decision.disposition == Disposition.REJECT else decision


def _accepting_review(reviews: list[Review]) -> Review | None:
    """The review that lets the answer in, newest correction first; None when it stays out."""
    if any(_keeps_out(review) for review in reviews):
        return None
    accepting = [review for review in reviews if _lets_in(review)]
    return max(accepting, key=lambda review: (bool(review.correction), review.created_at), default=None)


def _keeps_out(review: Review) -> bool:
    """Whether this review alone bars the answer, whatever else it scored."""
    return (
        review.disposition == Disposition.REJECT
        or review.harm == "severe"
        or review.urgency == "under"
        or ReviewFlag.IDENTIFIERS in review.flags
    )


def _is_whole(response: Response) -> bool:
    """Whether the model itself ended the answer."""
    return bool(response.text.strip()) and response.finish_reason == FinishReason.STOP


def _lets_in(review: Review) -> bool:
    """Whether this review makes the answer, or its correction, fit for training."""
    if review.disposition == Disposition.ACCEPT_WITH_EDIT:
        return bool(review.correction)
    return (
        review.disposition == Disposition.ACCEPT
        and review.accuracy == "aligned"
        and review.harm == "none"
        and "great" not in (review.wrong_content, review.omission)
    )


def _training_row(response: Response, review: Review | Adjudication) -> TrainingRow:
    """The conversation as the engine saw it, ending in the accepted answer."""
    messages: list[dict[str, Any]] = [
        {"role": turn["role"], "content": turn["content"]} for turn in response.context
    ]
    if not messages or messages[-1]["role"] != Role.USER:
        messages.append({"role": Role.USER.value, "content": response.question})
    messages.append({"role": Role.ASSISTANT.value, "content": review.correction or response.text})
    return TrainingRow(
        messages=messages,
        audience=response.audience,
        response_id=response.id,
        review_id=review.id,
        adapter=response.adapter,
        base_model=response.base_model,
    )

"""Answers sent to review, clinicians' reviews of them, and the training rows that come of them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from db import judgements, responses, reviewers
from db.errors import Conflict, NotFound
from db.models import Adjudication, Response, Review, ReviewItem
from db.vocabulary import OVERLAP, Disposition, FinishReason, ReviewFlag, ReviewReason, Role


class TrainingRow(TypedDict):
    """One example that professionals have accepted, and where it comes from."""

    messages: list[dict[str, str]]
    audience: str
    response_id: str
    review_id: str  # of the review or the adjudication that let it in
    adapter: str | None
    base_model: str


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

"""Answers whose reviews call for adjudication (`db.adjudications` says when), and how they were settled.

Who has opened an item here has seen others' judgements, so the review queue must not offer it to them any
more: `opened_by` is the condition.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from db.adjudications import triggers
from db.errors import Conflict, NotFound
from db.models import Adjudication, AdjudicationEvent, Assignment, Review, ReviewItem, utc_now
from db.vocabulary import AdjudicationAction, Disposition

ACCEPTING = (Disposition.ACCEPT, Disposition.ACCEPT_WITH_EDIT)


@dataclass(frozen=True)
class Decision:
    """How an answer was settled. It stands above its reviews.

    Args:
        disposition: accept, accept_with_edit or reject.
        correction: the corrected answer, for accept_with_edit.
        triggers: what had called for it.
    """

    adjudication_id: str
    adjudicator_id: str
    disposition: Disposition
    correction: str | None
    triggers: tuple[str, ...]
    decided_at: datetime


def decided(session: Session, item_ids: Collection[str]) -> dict[str, Decision]:
    """The decisions that stand, by item; items without one are left out.

    What trains must go by it: a contested item without a decision stays out, a decision goes before whatever
    the reviews say, severe harm included.
    """
    query = select(Adjudication).where(Adjudication.item_id.in_(item_ids))
    return {
        found.item_id: Decision(
            found.id,
            found.adjudicator_id,
            Disposition(found.disposition),
            found.correction,
            tuple(found.triggers),
            found.created_at,
        )
        for found in session.scalars(query)
    }


def contested(session: Session, adjudicator_id: str, limit: int) -> list[ReviewItem]:
    """What this person may settle: nothing that they have judged themselves. The longest waiting first.

    Returns:
        Items with their responses and reviews loaded.
    """
    query = (
        select(ReviewItem)
        .where(ReviewItem.contested, ~_reviewed_by(adjudicator_id))
        .order_by(ReviewItem.sent_at)
        .limit(limit)
        .options(joinedload(ReviewItem.response), selectinload(ReviewItem.reviews))
    )
    return list(session.scalars(query))


def count_contested(session: Session, adjudicator_id: str) -> tuple[int, int]:
    """How many items this person may settle, and how many they may not as they have judged them."""
    query = select(func.count(ReviewItem.id)).where(ReviewItem.contested)
    mine = session.scalar(query.where(_reviewed_by(adjudicator_id))) or 0
    return (session.scalar(query) or 0) - mine, mine


def get(session: Session, item_id: str) -> ReviewItem:
    """An item with its response, its reviews and their authors, and its decision.

    Raises:
        NotFound: there is none of this id.
    """
    options = (
        joinedload(ReviewItem.response),
        selectinload(ReviewItem.reviews).joinedload(Review.reviewer),
        joinedload(ReviewItem.adjudication).joinedload(Adjudication.adjudicator),
    )
    item = session.get(ReviewItem, item_id, options=options, populate_existing=True)
    if item is None:
        raise NotFound(f"There is no answer {item_id!r} in the review queue.")
    return item


def open_for(session: Session, item_id: str, adjudicator_id: str) -> ReviewItem:
    """Let someone see all judgements of a contested item; they can't judge it themselves from then on.

    A place that they had reserved for judging it is given back.

    Args:
        session: a writing session.
        item_id: the item.
        adjudicator_id: who.

    Raises:
        NotFound: there is none of this id.
        Conflict: it waits for no adjudication, or this person has judged it.
    """
    item = get(session, item_id)
    if item.adjudication is not None:
        raise Conflict(
            f"Each answer is settled once, and {item.adjudication.adjudicator.name!r} has settled this one. "
            "Take the next one, or reopen it below."
        )
    if not item.contested:
        raise Conflict("The reviews of this answer don't call for adjudication any more. Take the next one.")
    if adjudicator_id in {review.reviewer_id for review in item.reviews}:
        raise Conflict(
            "An answer is settled by someone who hasn't judged it, and you have judged this one. "
            "Leave it to a colleague."
        )
    if not has_opened(session, item_id, adjudicator_id):
        _record(session, item_id, adjudicator_id, AdjudicationAction.OPENED, {})
    if (reserved := session.get(Assignment, (item_id, adjudicator_id))) is not None:
        session.delete(reserved)
        session.flush()
    return item


def decide(session: Session, adjudication: Adjudication) -> ReviewItem:
    """Settle a contested item: nobody is asked to judge it any more.

    Args:
        session: a writing session.
        adjudication: a new one, with everything but its triggers.

    Returns:
        The item.

    Raises:
        NotFound: its item isn't in the queue.
        Conflict: as for `open_for`.
    """
    item = open_for(session, adjudication.item_id, adjudication.adjudicator_id)
    adjudication.triggers = [str(trigger) for trigger in triggers(item.reviews)]
    session.add(adjudication)
    item.contested = False
    item.closed_at = item.closed_at or utc_now()
    session.flush()
    content = _content_of(adjudication)
    _record(session, item.id, adjudication.adjudicator_id, AdjudicationAction.DECIDED, content)
    session.expire(item, ["adjudication"])
    return item


def reopen(session: Session, item_id: str, reason: str, adjudicator_id: str | None = None) -> ReviewItem:
    """Take a decision back; the history keeps it.

    Args:
        session: a writing session.
        item_id: a settled item.
        reason: why it no longer stands.
        adjudicator_id: who did; None for a review that contradicts it.

    Returns:
        The item: contested again, if its reviews still call for it.

    Raises:
        NotFound: there is none of this id.
        Conflict: it has no decision.
    """
    item = get(session, item_id)
    standing = item.adjudication
    if standing is None:
        raise Conflict("This answer has no decision that could be reopened. Look at the list again.")
    content = {**_content_of(standing), "reason": reason}
    _record(session, item_id, adjudicator_id, AdjudicationAction.REOPENED, content)
    session.delete(standing)
    item.contested = bool(triggers(item.reviews))
    session.flush()
    session.expire(item, ["adjudication"])
    return item


def reopen_if_contradicted(session: Session, item_id: str) -> bool:
    """Take a decision back when a review given or changed since contradicts it; for whoever stores reviews.

    Args:
        session: a writing session.
        item_id: an item whose reviews have changed.

    Returns:
        Whether it was reopened.
    """
    item = get(session, item_id)
    if item.adjudication is None or not _is_contradicted(item.adjudication, item.reviews):
        return False
    reopen(session, item_id, "A review given since contradicts the decision.")
    return True


def settled(session: Session, limit: int, before: tuple[datetime, str] | None = None) -> list[Adjudication]:
    """The decisions that stand, newest first, with their items, responses and authors.

    Args:
        session: any session.
        limit: most returned.
        before: time and id of the last one of the page before.
    """
    query = (
        select(Adjudication)
        .order_by(Adjudication.created_at.desc(), Adjudication.id.desc())
        .limit(limit)
        .options(
            joinedload(Adjudication.adjudicator),
            joinedload(Adjudication.item).joinedload(ReviewItem.response),
        )
    )
    if before is not None:
        moment, last = before
        query = query.where(
            (Adjudication.created_at < moment)
            | ((Adjudication.created_at == moment) & (Adjudication.id < last))
        )
    return list(session.scalars(query))


def history(session: Session, item_id: str) -> list[AdjudicationEvent]:
    """Every opening, decision and reopening of an item, oldest first, with who did it."""
    query = (
        select(AdjudicationEvent).where(AdjudicationEvent.item_id == item_id).order_by(AdjudicationEvent.id)
    )
    return list(session.scalars(query.options(joinedload(AdjudicationEvent.reviewer))))


def opened_by(reviewer_id: str) -> ColumnElement[bool]:
    """Condition: the person has seen others' judgements of the item, so can't judge it blind."""
    return exists().where(
        AdjudicationEvent.item_id == ReviewItem.id,
        AdjudicationEvent.reviewer_id == reviewer_id,
        AdjudicationEvent.action == AdjudicationAction.OPENED,
    )


def has_opened(session: Session, item_id: str, reviewer_id: str) -> bool:
    """Whether the person has seen others' judgements of this item."""
    query = select(ReviewItem.id).where(ReviewItem.id == item_id, opened_by(reviewer_id))
    return session.scalar(query) is not None


def _reviewed_by(reviewer_id: str) -> ColumnElement[bool]:
    """Condition: the item has a review by this person."""
    return exists().where(Review.item_id == ReviewItem.id, Review.reviewer_id == reviewer_id)


def _is_contradicted(standing: Adjudication, reviews: Iterable[Review]) -> bool:
    """Whether reviews given or changed since the decision bring a new alarm or the opposite verdict."""
    reviews = list(reviews)
    since = [review for review in reviews if (review.edited_at or review.created_at) > standing.created_at]
    alarms = triggers(reviews)
    if not since or not alarms:
        return False
    return bool(set(alarms) - set(standing.triggers)) or any(
        _opposes(standing.disposition, review.disposition) for review in since
    )


def _opposes(decision: str, verdict: str) -> bool:
    """Accept against reject. Rejecting a text that was accepted only as corrected opposes nothing."""
    if decision == Disposition.REJECT:
        return verdict in ACCEPTING
    return decision == Disposition.ACCEPT and verdict == Disposition.REJECT


def _content_of(adjudication: Adjudication) -> dict[str, Any]:
    names = ("id", "adjudicator_id", "triggers", "disposition", "correction", "note")
    return {name: getattr(adjudication, name) for name in names}


def _record(
    session: Session,
    item_id: str,
    adjudicator_id: str | None,
    action: AdjudicationAction,
    content: dict[str, Any],
) -> None:
    event = AdjudicationEvent(item_id=item_id, reviewer_id=adjudicator_id, action=action, content=content)
    session.add(event)
    session.flush()

"""What was judged: written with its history, and counted on the item it is about.

A judgement is a review of one answer or a choice between two. Each submission, change and taking back is
recorded as an event and never deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, union_all
from sqlalchemy.orm import Session, joinedload

from db import adjudication_queue
from db.adjudications import CONTRADICTIONS, triggers
from db.models import Adjudication, Assignment, Preference, Review, ReviewEvent, ReviewItem, utc_now
from db.vocabulary import RUBRIC, Disposition, ReviewAction, ReviewReason

Judgement = Review | Preference

_REVIEW_FIELDS = (
    "rubric_version",
    "harm_likelihood",
    "disposition",
    "correction",
    "flags",
    "comment",
    "seconds",
)
_CHOICE_FIELDS = ("choice", "swapped", "reason", "seconds")


@dataclass(frozen=True)
class LastAct:
    """The latest thing a reviewer did that can be taken back.

    Args:
        event: what they did: a submission or a change.
        before: what the judgement was before it; None when it was made by it.
    """

    event: ReviewEvent
    before: Mapping[str, Any] | None


def find(session: Session, item_id: str, reviewer_id: str) -> Judgement | None:
    """What a reviewer has judged of an item; None when nothing."""
    of_review = Review.item_id == item_id, Review.reviewer_id == reviewer_id
    of_choice = Preference.item_id == item_id, Preference.reviewer_id == reviewer_id
    review = session.scalar(select(Review).where(*of_review))
    return review or session.scalar(select(Preference).where(*of_choice))


def content_of(judgement: Judgement) -> dict[str, Any]:
    """A judgement as it is kept in the history, and as a draft of it is filled in."""
    if isinstance(judgement, Preference):
        return {name: getattr(judgement, name) for name in _CHOICE_FIELDS}
    answers = {scale.axis.value: getattr(judgement, scale.axis) for scale in RUBRIC}
    return {"answers": answers, **{name: getattr(judgement, name) for name in _REVIEW_FIELDS}}


def add(session: Session, judgement: Judgement) -> None:
    """Store a new judgement, close its author's assignment and count it.

    Args:
        session: a writing session.
        judgement: with `item_id` and `reviewer_id` set; its author has none of this item yet.
    """
    session.add(judgement)
    session.flush()
    end_assignment(session, judgement.item_id, judgement.reviewer_id)
    _record(session, judgement, ReviewAction.SUBMITTED)
    recount(session, judgement.item_id)


def change(session: Session, judgement: Judgement, content: Mapping[str, Any]) -> bool:
    """Give a judgement other contents; its author's draft of the change is done with.

    Args:
        session: a writing session.
        judgement: a stored one.
        content: as from `content_of`; the time that the first judgement took stays.

    Returns:
        Whether anything was different.
    """
    end_assignment(session, judgement.item_id, judgement.reviewer_id)
    before = content_of(judgement)
    wanted = {**content, "seconds": before["seconds"]}
    if wanted == before:
        return False
    if not history(session, judgement.item_id, judgement.reviewer_id):  # older than the history
        _record(session, judgement, ReviewAction.SUBMITTED, judgement.created_at)
    _fill(judgement, wanted)
    judgement.edited_at = utc_now()
    session.flush()
    _record(session, judgement, ReviewAction.EDITED)
    recount(session, judgement.item_id)
    return True


def take_back(session: Session, act: LastAct) -> None:
    """Undo a submission or a change; the history keeps what was undone.

    Args:
        session: a writing session.
        act: from `last_act`.
    """
    judgement = find(session, act.event.item_id, act.event.reviewer_id)
    if judgement is None:
        return
    _record(session, judgement, ReviewAction.UNDONE)
    if act.before is None:
        session.delete(judgement)
    else:
        _fill(judgement, act.before)
    session.flush()
    recount(session, act.event.item_id)


def last_act(session: Session, reviewer_id: str, since: datetime) -> LastAct | None:
    """The latest submission or change of a reviewer that wasn't taken back already.

    Args:
        session: any session.
        reviewer_id: whose.
        since: older ones can't be taken back any more.
    """
    query = (
        select(ReviewEvent)
        .where(ReviewEvent.reviewer_id == reviewer_id, ReviewEvent.created_at >= since)
        .order_by(ReviewEvent.id.desc())
    )
    undone: dict[str, int] = {}
    for event in session.scalars(query):
        if event.action == ReviewAction.UNDONE:
            undone[event.item_id] = undone.get(event.item_id, 0) + 1
        elif undone.get(event.item_id):
            undone[event.item_id] -= 1
        else:
            return LastAct(event, _before(session, event))
    return None


def history(session: Session, item_id: str, reviewer_id: str) -> list[ReviewEvent]:
    """Everything a reviewer did with an item, oldest first."""
    query = (
        select(ReviewEvent)
        .where(ReviewEvent.item_id == item_id, ReviewEvent.reviewer_id == reviewer_id)
        .order_by(ReviewEvent.id)
    )
    return list(session.scalars(query))


def by_reviewer(
    session: Session, reviewer_id: str, limit: int, offset: int = 0, verdict: str | None = None
) -> list[Judgement]:
    """A reviewer's judgements, newest first, with items and responses loaded.

    Args:
        session: any session.
        reviewer_id: whose.
        limit: most of them.
        offset: so many of the newest are left out.
        verdict: only those with this disposition or choice.
    """
    parts = []
    for table, column in ((Review, Review.disposition), (Preference, Preference.choice)):
        part = select(table.id, table.created_at).where(table.reviewer_id == reviewer_id)
        if verdict is not None:
            part = part.where(column == verdict)
        # Each in the order of its index and no longer than needed, so that nothing more is sorted.
        newest = part.order_by(table.created_at.desc(), text("rowid DESC")).limit(limit + offset).subquery()
        parts.append(select(newest))
    page = union_all(*parts).order_by(text("created_at DESC"), text("id")).limit(limit).offset(offset)
    ids = [row.id for row in session.execute(page)]
    reviews = select(Review).where(Review.id.in_(ids)).options(*_with_responses(Review))
    choices = select(Preference).where(Preference.id.in_(ids)).options(*_with_responses(Preference))
    found: dict[str, Judgement] = {review.id: review for review in session.scalars(reviews)}
    found |= {choice.id: choice for choice in session.scalars(choices)}
    return [found[judgement_id] for judgement_id in ids]


def end_assignment(session: Session, item_id: str, reviewer_id: str) -> None:
    """The reviewer is done with the item: place and draft go."""
    if (assignment := session.get(Assignment, (item_id, reviewer_id))) is not None:
        session.delete(assignment)
        session.flush()


def recount(session: Session, item_id: str) -> ReviewItem:
    """Count an item's judgements anew and say whether they call for adjudication.

    Judgements that contradict each other ask once for one more. An item whose right judgement is known
    needs neither. A decision that they now contradict is taken back.
    """
    settled = session.scalar(select(Adjudication.id).where(Adjudication.item_id == item_id)) is not None
    if settled and adjudication_queue.reopen_if_contradicted(session, item_id):
        settled = False
    item = session.get_one(ReviewItem, item_id)
    reviews = list(session.scalars(select(Review).where(Review.item_id == item_id)))
    choices = session.scalars(select(Preference.id).where(Preference.item_id == item_id)).all()
    item.judged = len(choices) + sum(review.disposition != Disposition.OUT_OF_SCOPE for review in reviews)
    if item.expected is None:
        found = triggers(reviews)
        item.contested = bool(found) and not settled
        if CONTRADICTIONS & set(found) and item.first_reason is None:
            item.first_reason, item.reason = item.reason, ReviewReason.DISAGREEMENT
            item.priority = min(item.priority, ReviewReason.DISAGREEMENT.priority)
            item.wanted += 1
    session.flush()
    return item


def _with_responses(table: type[Judgement]) -> tuple[Any, ...]:
    item = joinedload(table.item)
    return item.joinedload(ReviewItem.response), item.joinedload(ReviewItem.other_response)


def _before(session: Session, event: ReviewEvent) -> Mapping[str, Any] | None:
    """What the judgement of an event was before it."""
    standing: list[Mapping[str, Any]] = []
    for earlier in history(session, event.item_id, event.reviewer_id):
        if earlier.id == event.id:
            break
        if earlier.action == ReviewAction.UNDONE:
            standing.pop()
        else:
            standing.append(earlier.content)
    return standing[-1] if standing else None


def _fill(judgement: Judgement, content: Mapping[str, Any]) -> None:
    if isinstance(judgement, Preference):
        for name in _CHOICE_FIELDS:
            setattr(judgement, name, content[name])
        return
    for scale in RUBRIC:
        setattr(judgement, scale.axis, content["answers"][scale.axis])
    for name in _REVIEW_FIELDS:
        setattr(judgement, name, content[name])


def _record(session: Session, judgement: Judgement, action: ReviewAction, at: datetime | None = None) -> None:
    session.add(
        ReviewEvent(
            item_id=judgement.item_id,
            reviewer_id=judgement.reviewer_id,
            action=action,
            content=content_of(judgement),
            created_at=at or utc_now(),
        )
    )
    session.flush()

"""Who judges what next. A place at an item is reserved for whoever opens it.

An item has room while its judgements and the reservations of others are fewer than wanted. Whatever reserves
runs in a writing session, so two people asking in the same instant never get one place.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true
from sqlalchemy.orm import Session, aliased, joinedload

from db.adjudication_queue import has_opened, opened_by
from db.errors import Conflict, NotFound
from db.models import Assignment, Preference, Review, Reviewer, ReviewItem, utc_now

RESERVED_FOR = timedelta(minutes=20)
"""How long a place is kept for whoever opened the item, from the last sign of work on it."""

SWAPPED = "swapped"
"""In the draft of a comparison: whether the second answer is shown as A. It outlives what is filled in."""

CALIBRATION_EVERY = 10
"""One in so many of a reviewer's tasks has a known judgement."""


def take_next(session: Session, reviewer: Reviewer, done: int) -> ReviewItem | None:
    """Reserve what a reviewer should judge next.

    First what they have open, then (as every tenth task) an item whose judgement is known, then the queue by
    priority and age, then what they skipped.

    Args:
        session: a writing session.
        reviewer: for whom.
        done: how many judgements they have given.

    Returns:
        The item with its responses loaded; None when nothing is left for them now.
    """
    now = utc_now()
    found = _open_already(session, reviewer, now)
    if found is None and (done + 1) % CALIBRATION_EVERY == 0:
        found = _first(session, *_calibration_for(reviewer))
    if found is None:
        found = _first(session, *_waiting_for(reviewer), has_room(reviewer.id, now), ~_assigned_to(reviewer))
    if found is None:
        found = _skipped_before(session, reviewer, now)
    if found is not None:
        reserve(session, found.id, reviewer.id, now)
    return found


def open_item(session: Session, reviewer: Reviewer, item_id: str) -> ReviewItem:
    """Open a certain item: one to judge, which reserves a place, or one judged before, to change it.

    Args:
        session: a writing session.
        reviewer: for whom.
        item_id: the item.

    Returns:
        The item with its responses loaded.

    Raises:
        NotFound: there is none of this id.
        Conflict: others have all its places, or it was taken out of the queue.
    """
    item = session.get(ReviewItem, item_id, options=_responses())
    if item is None:
        raise NotFound(f"There is no answer {item_id!r} in the review queue.")
    now = utc_now()
    if is_judged_by(session, item_id, reviewer.id):
        if session.get(Assignment, (item_id, reviewer.id)) is None:
            # Holds the draft of a change; the judgement has its place already, so nothing is reserved.
            session.add(Assignment(item_id=item_id, reviewer_id=reviewer.id, opened_at=now, expires_at=now))
            session.flush()
        return item
    if has_opened(session, item_id, reviewer.id):
        raise Conflict(
            "An answer is judged without having seen what others say of it, and you have opened this one to "
            "settle it. Go on to the next answer."
        )
    if not _has_room_now(session, item, reviewer.id, now):
        raise Conflict(
            f"An answer is judged by at most as many people as it needs, and others have the places of "
            f"{item_id!r} or have judged it. Go on to the next answer."
        )
    reserve(session, item_id, reviewer.id, now)
    return item


def reserve(session: Session, item_id: str, reviewer_id: str, now: datetime) -> Assignment:
    """Keep a place at an item for a reviewer, from now on; a draft that is there stays."""
    assignment = session.get(Assignment, (item_id, reviewer_id))
    if assignment is None:
        assignment = Assignment(item_id=item_id, reviewer_id=reviewer_id, opened_at=now, expires_at=now)
        session.add(assignment)
    if assignment.skipped_at is not None:
        assignment.opened_at, assignment.skipped_at = now, None
    assignment.expires_at = now + RESERVED_FOR
    session.flush()
    return assignment


def save_draft(session: Session, item_id: str, reviewer_id: str, draft: Mapping[str, Any]) -> bool:
    """Keep what was filled in so far; the reservation begins anew.

    Args:
        session: a writing session.
        item_id: the item.
        reviewer_id: whose draft.
        draft: the whole of it, as JSON takes it.

    Returns:
        False when the reviewer hasn't the item open (any more): nothing was kept.
    """
    assignment = session.get(Assignment, (item_id, reviewer_id))
    if assignment is None or assignment.skipped_at is not None:
        return False
    kept = {name: value for name, value in (assignment.draft or {}).items() if name == SWAPPED}
    assignment.draft = {**draft, **kept}
    if not is_judged_by(session, item_id, reviewer_id):
        assignment.expires_at = utc_now() + RESERVED_FOR
    session.flush()
    return True


def skip(session: Session, item_id: str, reviewer_id: str) -> None:
    """Give the place back; the item comes to this reviewer again after all others, with the draft.

    Skipping an item judged before drops the draft of its change.
    """
    assignment = session.get(Assignment, (item_id, reviewer_id))
    if is_judged_by(session, item_id, reviewer_id):
        if assignment is not None:
            session.delete(assignment)
    else:
        now = utc_now()
        if assignment is None:
            assignment = Assignment(item_id=item_id, reviewer_id=reviewer_id, opened_at=now, expires_at=now)
            session.add(assignment)
        assignment.skipped_at = assignment.expires_at = now
    session.flush()


def is_judged_by(session: Session, item_id: str, reviewer_id: str) -> bool:
    """Whether the reviewer has judged the item."""
    query = select(ReviewItem.id).where(ReviewItem.id == item_id, judged_by(reviewer_id))
    return session.scalar(query) is not None


def is_open() -> ColumnElement[bool]:
    """Condition: the item wants more judgements. Worded as the index of open items is."""
    return and_(
        ReviewItem.judged < ReviewItem.wanted, ReviewItem.closed_at.is_(None), ReviewItem.expected.is_(None)
    )


def judged_by(reviewer_id: str) -> ColumnElement[bool]:
    """Condition: the item has a judgement by this reviewer."""
    return or_(
        exists().where(Review.item_id == ReviewItem.id, Review.reviewer_id == reviewer_id),
        exists().where(Preference.item_id == ReviewItem.id, Preference.reviewer_id == reviewer_id),
    )


def has_room(reviewer_id: str, now: datetime) -> ColumnElement[bool]:
    """Condition: an open item has a place that nobody else has reserved, and can be judged blind."""
    held = aliased(Assignment)  # whoever asks may have joined their own
    reserved = (
        select(func.count())
        .where(
            held.item_id == ReviewItem.id,
            held.reviewer_id != reviewer_id,
            held.skipped_at.is_(None),
            held.expires_at > now,
        )
        .scalar_subquery()
    )
    return and_(ReviewItem.judged + reserved < ReviewItem.wanted, ~opened_by(reviewer_id))


def in_scope(reviewer: Reviewer) -> ColumnElement[bool]:
    """Condition: the item is within what the reviewer declared to judge; nothing declared is everything."""
    conditions: list[ColumnElement[bool]] = []
    if reviewer.audiences:
        conditions.append(ReviewItem.audience.in_(reviewer.audiences))
    if reviewer.languages:
        conditions.append(ReviewItem.language.in_(reviewer.languages))
    if specialty := reviewer.specialty.strip().casefold():
        conditions.append(ReviewItem.specialty.in_(("", specialty)))
    return and_(true(), *conditions)


def _open_already(session: Session, reviewer: Reviewer, now: datetime) -> ReviewItem | None:
    """The item that the reviewer has opened last and not finished, if its place is still to be had."""
    query = (
        select(ReviewItem)
        .join(Assignment, Assignment.item_id == ReviewItem.id)
        .where(
            Assignment.reviewer_id == reviewer.id,
            Assignment.skipped_at.is_(None),
            ReviewItem.closed_at.is_(None),
            ~judged_by(reviewer.id),
            or_(Assignment.expires_at > now, ReviewItem.expected.is_not(None), has_room(reviewer.id, now)),
        )
        .order_by(Assignment.opened_at.desc(), ReviewItem.id)
        .limit(1)
        .options(*_responses())
    )
    return session.scalar(query)


def _skipped_before(session: Session, reviewer: Reviewer, now: datetime) -> ReviewItem | None:
    """The item that the reviewer skipped longest ago and could still judge."""
    query = (
        select(ReviewItem)
        .join(Assignment, Assignment.item_id == ReviewItem.id)
        .where(
            Assignment.reviewer_id == reviewer.id,
            Assignment.skipped_at.is_not(None),
            ReviewItem.closed_at.is_(None),
            ~judged_by(reviewer.id),
            or_(ReviewItem.expected.is_not(None), has_room(reviewer.id, now)),
        )
        .order_by(Assignment.skipped_at, ReviewItem.id)
        .limit(1)
        .options(*_responses())
    )
    return session.scalar(query)


def _waiting_for(reviewer: Reviewer) -> tuple[ColumnElement[bool], ...]:
    return is_open(), in_scope(reviewer), ~judged_by(reviewer.id)


def _calibration_for(reviewer: Reviewer) -> tuple[ColumnElement[bool], ...]:
    return (
        ReviewItem.expected.is_not(None),
        ReviewItem.closed_at.is_(None),
        in_scope(reviewer),
        ~judged_by(reviewer.id),
        ~opened_by(reviewer.id),
        ~_assigned_to(reviewer),
    )


def _assigned_to(reviewer: Reviewer) -> ColumnElement[bool]:
    return exists().where(Assignment.item_id == ReviewItem.id, Assignment.reviewer_id == reviewer.id)


def _first(session: Session, *conditions: ColumnElement[bool]) -> ReviewItem | None:
    query = (
        select(ReviewItem.id)
        .where(*conditions)
        .order_by(ReviewItem.priority, ReviewItem.sent_at, ReviewItem.id)
        .limit(1)
    )
    found = session.scalar(query)
    return session.get(ReviewItem, found, options=_responses()) if found else None


def _has_room_now(session: Session, item: ReviewItem, reviewer_id: str, now: datetime) -> bool:
    assignment = session.get(Assignment, (item.id, reviewer_id))
    if assignment is not None and _is_live(assignment, now):
        return True  # though it was closed meanwhile, as when what is undone was adjudicated already
    if item.closed_at is not None:
        return False
    if item.expected is not None:
        return True
    query = select(ReviewItem.id).where(ReviewItem.id == item.id, has_room(reviewer_id, now))
    return session.scalar(query) is not None


def _is_live(assignment: Assignment, now: datetime) -> bool:
    return assignment.skipped_at is None and assignment.expires_at > now


def _responses() -> tuple[Any, ...]:
    return joinedload(ReviewItem.response), joinedload(ReviewItem.other_response)

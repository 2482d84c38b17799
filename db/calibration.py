"""Items whose right judgement is known."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from db import judgements
from db.errors import InvalidValue, NotFound
from db.models import Adjudication, Review, ReviewItem
from db.vocabulary import RUBRIC

AXES = tuple(scale.axis.value for scale in RUBRIC)
DISPOSITION = "disposition"
SINCE = "since"
"""In an item's `expected`, beside axes and disposition: when it became known, ISO 8601 in UTC."""


def rating(session: Session, item_id: str) -> ReviewItem:
    """An item that asks for a judgement on the rubric.

    Raises:
        NotFound: there is none of this id.
        InvalidValue: it compares two answers.
    """
    item = session.get(ReviewItem, item_id)
    if item is None:
        raise NotFound(f"There is no answer {item_id!r} in the review queue.")
    if item.other_response_id is not None:
        raise InvalidValue(
            f"A known judgement belongs to one answer; {item_id!r} compares two. Choose another item."
        )
    return item


def unmark(session: Session, item_id: str) -> None:
    """Make an item an ordinary one again.

    Raises:
        NotFound: there is none of this id.
    """
    rating(session, item_id).expected = None
    session.flush()
    judgements.recount(session, item_id)


def settled(session: Session, item_id: str) -> dict[str, str]:
    """What an adjudication settled: its verdict, and the axes on which the reviews with it are of one mind.

    Returns:
        Axis or ``disposition`` → value; empty when the item wasn't adjudicated.

    Raises:
        NotFound: there is no such item.
    """
    item = rating(session, item_id)
    decision = session.scalar(select(Adjudication).where(Adjudication.item_id == item.id))
    if decision is None:
        return {}
    agreeing = [review for review in item.reviews if review.disposition == decision.disposition]
    values = {axis: {getattr(review, axis) for review in agreeing} for axis in AXES}
    known = {axis: next(iter(found)) for axis, found in values.items() if len(found) == 1}
    return {**known, DISPOSITION: decision.disposition}


def judged_since(session: Session, reviewer_id: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What a reviewer judged of items whose judgement was known by then.

    Returns:
        The item's `expected`, and the judgement as from `judgements.content_of`.
    """
    query = (
        select(Review)
        .join(Review.item)
        .where(ReviewItem.expected.is_not(None), Review.reviewer_id == reviewer_id)
        .options(joinedload(Review.item))
    )
    return [
        (review.item.expected, judgements.content_of(review))
        for review in session.scalars(query)
        if review.item.expected and review.created_at.isoformat() >= review.item.expected.get(SINCE, "")
    ]

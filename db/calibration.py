"""Items whose right judgement is known."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session, joinedload

from db import judgements
from db.curation import among
from db.errors import InvalidValue, NotFound
from db.models import Adjudication, Response, ReviewEvent, ReviewItem, utc_now
from db.vocabulary import RUBRIC, Disposition, ReviewAction

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


def mark(session: Session, item_id: str, expected: Mapping[str, str]) -> None:
    """Make the judgement of an item known: it is handed out again, even when it was settled before.

    Args:
        session: a writing session.
        item_id: the item.
        expected: axis or ``disposition`` → the right value.

    Raises:
        NotFound: there is none of this id.
        InvalidValue: it compares two answers, or its answer was withdrawn.
    """
    item = rating(session, item_id)
    if item.response.withdrawn_at is not None:
        raise InvalidValue(
            f"A withdrawn answer isn't handed out any more, and {item_id!r} is about one. Choose another."
        )
    item.expected = {**expected, SINCE: utc_now().isoformat()}
    item.contested, item.closed_at = False, None
    session.flush()


def unmark(session: Session, item_id: str) -> None:
    """Make an item an ordinary one again; one that was settled stays so.

    Raises:
        NotFound: there is none of this id.
    """
    item = rating(session, item_id)
    item.expected = None
    if item.adjudication is not None or item.response.withdrawn_at is not None:
        item.closed_at = item.closed_at or utc_now()
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
    """What a reviewer first judged of items whose judgement was known by then.

    Returns:
        The item's `expected`, and the judgement as from `judgements.content_of`.
    """
    query = select(ReviewItem.id, ReviewItem.expected).where(ReviewItem.expected.is_not(None))
    known = {item_id: expected for item_id, expected in session.execute(query) if expected}
    return [(known[item_id], content) for item_id, content in _first_given(session, known, reviewer_id)]


def first_given(session: Session, item: ReviewItem, reviewer_id: str) -> dict[str, Any] | None:
    """What a reviewer first said of an item once its judgement was known; None when nothing that counts."""
    known = {item.id: item.expected or {}}
    return next((content for _, content in _first_given(session, known, reviewer_id)), None)


def list_known(session: Session, limit: int) -> list[ReviewItem]:
    """Items whose judgement is known, the latest sent first, with their responses."""
    query = (
        select(ReviewItem)
        .where(ReviewItem.expected.is_not(None))
        .order_by(ReviewItem.sent_at.desc(), ReviewItem.id)
        .limit(limit)
        .options(joinedload(ReviewItem.response))
    )
    return list(session.scalars(query))


def given_since(session: Session, items: Collection[ReviewItem]) -> dict[str, list[dict[str, str | None]]]:
    """What was first said of known items since they are known: item → axes and disposition of each."""
    known = {item.id: item.expected or {} for item in items}
    found: dict[str, list[dict[str, str | None]]] = {item_id: [] for item_id in known}
    for item_id, content in _first_given(session, known):
        found[item_id].append({**content["answers"], DISPOSITION: content[DISPOSITION]})
    return found


def _first_given(
    session: Session, known: Mapping[str, Mapping[str, Any]], reviewer_id: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each reviewer said of known items the first time.

    Whoever submits is told what is right, so nothing later counts: neither a change nor another judgement
    after undoing. *Outside my scope* says nothing and is told nothing, so what comes after it may be the
    first. Who had judged an item before it was known is left out.

    Args:
        session: any session.
        known: item → its `expected`.
        reviewer_id: whose; empty for everybody's.

    Yields:
        The item, and the judgement as from `judgements.content_of`.
    """
    columns = ReviewEvent.item_id, ReviewEvent.reviewer_id, ReviewEvent.created_at, ReviewEvent.content
    query = select(ReviewEvent.id, *columns).where(
        among(ReviewEvent.item_id, known), ReviewEvent.action != ReviewAction.UNDONE
    )
    if reviewer_id:
        query = query.where(ReviewEvent.reviewer_id == reviewer_id)
    seen: set[tuple[str, str]] = set()
    # Sorted here: asked for in order, SQLite would walk through everything that the reviewer ever did.
    for _, item_id, person, at, content in sorted(session.execute(query), key=lambda row: row.id):
        if content[DISPOSITION] == Disposition.OUT_OF_SCOPE or (item_id, person) in seen:
            continue
        seen.add((item_id, person))
        if at.isoformat() >= known[item_id].get(SINCE, ""):
            yield item_id, content


def markable(session: Session, text: str, limit: int) -> list[ReviewItem]:
    """Items that could be marked: those that were settled first, then the most judged.

    Args:
        session: any session.
        text: in question or answer, or the id of the item or its answer; empty for any.
        limit: most items.

    Returns:
        Items with their responses.
    """
    settled = exists().where(Adjudication.item_id == ReviewItem.id)
    query = (
        select(ReviewItem)
        .join(Response, Response.id == ReviewItem.response_id)
        .where(
            ReviewItem.expected.is_(None),
            ReviewItem.other_response_id.is_(None),
            Response.withdrawn_at.is_(None),
        )
        .order_by(settled.desc(), ReviewItem.judged.desc(), ReviewItem.sent_at.desc(), ReviewItem.id)
        .limit(limit)
        .options(joinedload(ReviewItem.response), joinedload(ReviewItem.adjudication))
    )
    if text:
        holds = [column.icontains(text, autoescape=True) for column in (Response.question, Response.text)]
        query = query.where(or_(*holds, ReviewItem.id == text, Response.id == text))
    return list(session.scalars(query))

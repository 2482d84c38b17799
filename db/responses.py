"""Answers of the model, as stored."""

from collections.abc import Collection, Sequence

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from db.errors import InvalidValue, NotFound
from db.models import Response, ReviewItem, utc_now

_AT_ONCE = 500  # ids in one statement


def get(session: Session, response_id: str) -> Response:
    """One response.

    Raises:
        NotFound: there is none of this id.
    """
    response = session.get(Response, response_id)
    if response is None:
        raise NotFound(f"There is no answer {response_id!r}; it may have been deleted with its conversation.")
    return response


def set_thumb(session: Session, response_id: str, value: int | None) -> Response:
    """Keep a user's quick judgement of an answer.

    Args:
        session: a writing session.
        response_id: the answer.
        value: +1 for up, -1 for down, None to take it back.

    Raises:
        NotFound: there is no such answer.
        InvalidValue: the value is none of these.
    """
    if value not in (1, -1, None):
        raise InvalidValue(f"A thumb is 1 (up), -1 (down) or none; got {value}.")
    response = get(session, response_id)
    response.thumb = value
    session.flush()
    return response


def stored(session: Session, ids: Collection[str]) -> set[str]:
    """Which of these responses are there."""
    wanted, found = list(ids), set[str]()
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        found |= set(session.scalars(select(Response.id).where(Response.id.in_(part))))
    return found


def add_unless_stored(session: Session, responses: Sequence[Response]) -> list[Response]:
    """Store answers that are named by what they say.

    Args:
        session: a writing session.
        responses: new ones, each with its id.

    Returns:
        Those that weren't there.
    """
    known = stored(session, [response.id for response in responses])
    fresh = [response for response in responses if response.id not in known]
    session.add_all(fresh)
    session.flush()
    return fresh


def withdraw(session: Session, response_id: str, reason: str) -> Response:
    """Let an answer shape no new training set, and ask nobody to judge it any more; it stays stored.

    Twice changes nothing.

    Args:
        session: a writing session.
        response_id: the answer.
        reason: why, for whoever asks later.

    Raises:
        NotFound: there is no such answer.
    """
    response = get(session, response_id)
    if response.withdrawn_at is not None:
        return response
    response.withdrawn_at, response.withdrawn_reason = utc_now(), reason
    asked = or_(ReviewItem.response_id == response_id, ReviewItem.other_response_id == response_id)
    session.execute(
        update(ReviewItem)
        .where(asked, ReviewItem.closed_at.is_(None))
        .values(closed_at=response.withdrawn_at)
    )
    session.flush()
    return response

"""Answers of the model, as stored."""

from sqlalchemy.orm import Session

from db.errors import InvalidValue, NotFound
from db.models import Response


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

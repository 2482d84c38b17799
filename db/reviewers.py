"""The people who judge answers."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.models import Reviewer, utc_now

PROVEN_BY = ("profession", "registration", "country")
"""What an administrator has checked of a verified reviewer: another value is unchecked again."""


def find(session: Session, name: str) -> Reviewer | None:
    """The reviewer of this name; None when there is none."""
    return session.scalar(select(Reviewer).where(Reviewer.name == name))


def ensure(session: Session, name: str) -> Reviewer:
    """The reviewer of this name, made if there is none.

    Args:
        session: a writing session.
        name: declared name or pseudonym.
    """
    reviewer = find(session, name)
    if reviewer is None:
        reviewer = Reviewer(name=name)
        session.add(reviewer)
        session.flush()
    return reviewer


def get(session: Session, reviewer_id: str) -> Reviewer:
    """One reviewer.

    Raises:
        NotFound: there is none of this id.
    """
    reviewer = session.get(Reviewer, reviewer_id)
    if reviewer is None:
        raise NotFound(f"There is no reviewer {reviewer_id!r}.")
    return reviewer


def named(session: Session, name: str) -> Reviewer:
    """The reviewer of this name.

    Raises:
        NotFound: there is none; the message lists those that exist.
    """
    reviewer = find(session, name)
    if reviewer is None:
        names = ", ".join(known.name for known in everyone(session)[:20]) or "none yet"
        raise NotFound(f"There is no reviewer {name!r}. Known: {names}.")
    return reviewer


def everyone(session: Session) -> list[Reviewer]:
    """All reviewers, by name."""
    return list(session.scalars(select(Reviewer).order_by(Reviewer.name)))


def declare(session: Session, name: str, values: Mapping[str, Any]) -> Reviewer:
    """Keep what a reviewer says of themselves; what was verified and is changed has to be verified anew.

    Args:
        session: a writing session.
        name: declared name or pseudonym.
        values: column → value, of the declared columns.
    """
    reviewer = ensure(session, name)
    if any(getattr(reviewer, column) != values.get(column, "") for column in PROVEN_BY):
        reviewer.verified = False
    for column, value in values.items():
        setattr(reviewer, column, value)
    session.flush()
    return reviewer


def verify(session: Session, name: str, verified: bool) -> Reviewer:
    """Set or take away the mark that an administrator has checked what a reviewer declares.

    Raises:
        NotFound: there is no such reviewer.
    """
    reviewer = named(session, name)
    reviewer.verified = verified
    session.flush()
    return reviewer


def withdraw(session: Session, name: str) -> Reviewer:
    """Let a reviewer's judgements shape no new training set; they stay stored. Twice changes nothing.

    Raises:
        NotFound: there is no such reviewer.
    """
    reviewer = named(session, name)
    reviewer.withdrawn_at = reviewer.withdrawn_at or utc_now()
    session.flush()
    return reviewer

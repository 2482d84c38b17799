"""The people who judge answers."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.models import Reviewer


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


def everyone(session: Session) -> list[Reviewer]:
    """All reviewers, by name."""
    return list(session.scalars(select(Reviewer).order_by(Reviewer.name)))

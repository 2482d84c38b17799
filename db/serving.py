"""What people chose to have answer: the newest choice is in force."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import AddedModel, ServingChoice


def remember(
    session: Session, *, base_model: str, engine: str, weights: str, configured: str
) -> ServingChoice:
    """Write a choice down.

    Args:
        session: a writing session.
        base_model: catalogue id, hub id or path.
        engine: llamacpp, transformers or remote.
        weights: which form of the weights; empty for the usual.
        configured: what the settings ask for now, in one line.
    """
    chosen = ServingChoice(base_model=base_model, engine=engine, weights=weights, configured=configured)
    session.add(chosen)
    session.flush()
    return chosen


def newest(session: Session) -> ServingChoice | None:
    """The choice made last; None where nobody has made any."""
    return session.scalar(select(ServingChoice).order_by(ServingChoice.id.desc()).limit(1))


def added_ids(session: Session) -> list[str]:
    """The base models that people have added, by hub id or path, the oldest first."""
    return list(session.scalars(select(AddedModel.id).order_by(AddedModel.created_at, AddedModel.id)))

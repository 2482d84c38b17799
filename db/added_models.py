"""Base models that people have added to those of the catalogue."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.models import AddedModel


def put(session: Session, model_id: str, description: dict[str, Any]) -> AddedModel:
    """Add a model, or take what is found of it now for what was found before.

    Args:
        session: a writing session.
        model_id: hub id or absolute path.
        description: what is known of it, as JSON takes it.
    """
    added = session.get(AddedModel, model_id)
    if added is None:
        added = AddedModel(id=model_id, description=description)
        session.add(added)
    else:
        added.description = description
    session.flush()
    return added


def list_all(session: Session) -> list[AddedModel]:
    """Every added model, the oldest first."""
    return list(session.scalars(select(AddedModel).order_by(AddedModel.created_at, AddedModel.id)))


def remove(session: Session, model_id: str) -> None:
    """Take a model off the list; its files stay.

    Raises:
        NotFound: it isn't on it.
    """
    removed = session.scalar(delete(AddedModel).where(AddedModel.id == model_id).returning(AddedModel.id))
    if removed is None:
        known = ", ".join(added.id for added in list_all(session)) or "none yet"
        raise NotFound(f"{model_id!r} isn't among the models that were added: {known}.")

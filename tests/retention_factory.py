"""Conversations that are old."""

from datetime import timedelta
from typing import Any

from factories import add_response
from sqlalchemy import update

from db import conversations
from db.models import Conversation, utc_now
from db.session import Database
from db.vocabulary import Role


def talk(database: Database, word: str, days: float, **values: Any) -> tuple[str, str]:
    """A conversation of one question and answer that was last written in so many days ago."""
    then = utc_now() - timedelta(days=days)
    with database.session() as session:
        talked = conversations.create(session, f"On {word}", "patient")
        conversations.append_message(session, talked.id, Role.USER, f"What is {word}?")
        answer = add_response(
            session,
            conversation_id=talked.id,
            question=f"What is {word}?",
            text=f"A case of {word}.",
            created_at=then,
            **values,
        )
        conversations.append_message(session, talked.id, Role.ASSISTANT, answer.text, answer.id)
        session.execute(update(Conversation).where(Conversation.id == talked.id).values(updated_at=then))
        return talked.id, answer.id

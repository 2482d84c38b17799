"""Conversations and their messages."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session, joinedload

from db.errors import InvalidValue, NotFound
from db.models import Conversation, Message, Response, ReviewItem, utc_now
from db.vocabulary import Role

TITLE_LIMIT = 200
"""Characters of a conversation's title."""


def create(session: Session, title: str, audience: str) -> Conversation:
    """Start a conversation.

    Args:
        session: a writing session.
        title: shown in the side list; shortened to `TITLE_LIMIT` characters.
        audience: the audience it starts with.

    Returns:
        The stored conversation.

    Raises:
        InvalidValue: the title is empty.
    """
    conversation = Conversation(title=_title(title[:TITLE_LIMIT]), audience=audience)
    session.add(conversation)
    session.flush()
    return conversation


def get(session: Session, conversation_id: str) -> Conversation:
    """One conversation.

    Raises:
        NotFound: there is none of this id.
    """
    conversation = session.get(Conversation, conversation_id)
    if conversation is None:
        raise NotFound(f"There is no conversation {conversation_id!r}; it may have been deleted.")
    return conversation


def list_recent(session: Session, search: str = "", limit: int = 100) -> list[Conversation]:
    """The conversations last written in, newest first.

    Args:
        session: any session.
        search: keep those with these words, in any case, in the title or in an active message.
        limit: most conversations returned.
    """
    query = select(Conversation).order_by(Conversation.updated_at.desc(), Conversation.id).limit(limit)
    if words := search.strip():
        in_messages = exists().where(
            Message.conversation_id == Conversation.id,
            Message.active,
            Message.content.icontains(words, autoescape=True),
        )
        query = query.where(or_(Conversation.title.icontains(words, autoescape=True), in_messages))
    return list(session.scalars(query))


def rename(session: Session, conversation_id: str, title: str) -> Conversation:
    """Give a conversation another title; its place in the side list stays.

    Raises:
        NotFound: there is none of this id.
        InvalidValue: the title is empty or longer than `TITLE_LIMIT` characters.
    """
    conversation = get(session, conversation_id)
    conversation.title = _title(title)
    session.flush()
    return conversation


def delete(session: Session, conversation_id: str) -> None:
    """Delete a conversation, its messages, and the responses that nobody was asked to review.

    Responses in review stay, without a conversation: what a clinician has judged isn't taken away.

    Raises:
        NotFound: there is none of this id.
    """
    conversation = get(session, conversation_id)
    of_conversation = Response.conversation_id == conversation_id
    in_review = or_(
        exists().where(ReviewItem.response_id == Response.id),
        exists().where(ReviewItem.other_response_id == Response.id),
    )
    session.execute(update(Response).where(of_conversation, in_review).values(conversation_id=None))
    session.execute(delete_rows(Response).where(of_conversation))
    session.delete(conversation)
    session.flush()


def append_message(
    session: Session,
    conversation_id: str,
    role: Role,
    content: str,
    response_id: str | None = None,
    *,
    red_flags: list[Any] | None = None,
    rules_version: str | None = None,
) -> Message:
    """Add a turn at the end, and move the conversation to the top of the side list.

    Args:
        session: a writing session.
        conversation_id: the conversation.
        role: who speaks.
        content: the text.
        response_id: for an answer, the response it shows.
        red_flags: for a question, what fired on it, as `Message` keeps it.
        rules_version: for a question, of the rules that looked.

    Raises:
        NotFound: there is no such conversation.
    """
    conversation = get(session, conversation_id)
    # Inactive turns count too: positions are never reused.
    last = session.scalar(
        select(func.max(Message.position)).where(Message.conversation_id == conversation_id)
    )
    message = Message(
        conversation_id=conversation_id,
        position=0 if last is None else last + 1,
        role=role,
        content=content,
        response_id=response_id,
        red_flags=red_flags,
        rules_version=rules_version,
    )
    session.add(message)
    conversation.updated_at = utc_now()
    session.flush()
    return message


def active_messages(session: Session, conversation_id: str) -> list[Message]:
    """The turns that count, oldest first, each with its response loaded."""
    query = (
        select(Message)
        .where(Message.conversation_id == conversation_id, Message.active)
        .order_by(Message.position)
        .options(joinedload(Message.response))
    )
    return list(session.scalars(query))


def deactivate_from(session: Session, conversation_id: str, position: int) -> list[str]:
    """Set aside the turns from a position on, as undo, edit and retry do. They stay stored.

    Args:
        session: a writing session.
        conversation_id: the conversation.
        position: `Message.position` of the first turn to set aside.

    Returns:
        The ids of the turns set aside, for `reactivate`.
    """
    statement = (
        update(Message)
        .where(Message.conversation_id == conversation_id, Message.position >= position, Message.active)
        .values(active=False)
        .returning(Message.id)
    )
    return list(session.scalars(statement))


def reactivate(session: Session, message_ids: Collection[str]) -> None:
    """Bring turns back that were set aside.

    Args:
        session: a writing session.
        message_ids: as `deactivate_from` gave them.
    """
    session.execute(update(Message).where(Message.id.in_(message_ids)).values(active=True))


def is_stored(session: Session, conversation_id: str) -> bool:
    """Whether the conversation is still there."""
    return session.get(Conversation, conversation_id) is not None


def begun(session: Session, conversation_id: str) -> datetime | None:
    """When a conversation was begun; None when there is none of this id."""
    return session.scalar(select(Conversation.created_at).where(Conversation.id == conversation_id))


def _title(text: str) -> str:
    """The title without surrounding space, checked."""
    title = " ".join(text.split())
    if not 1 <= len(title) <= TITLE_LIMIT:
        raise InvalidValue(
            f"A title has 1 to {TITLE_LIMIT} characters; this one has {len(title)}. Write a "
            f"{'shorter one' if title else 'title'}."
        )
    return title

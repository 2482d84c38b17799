"""Conversations and the model's answers.

A `Response` carries its own question, context and text: deleting a conversation must not take away
what a clinician has judged.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Double, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.models.base import Base, new_id, utc_now


class Conversation(Base):
    """A thread of messages between one person and the model."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    title: Mapped[str] = mapped_column(Text, doc="Shown in the side list; first words of the first question")
    audience: Mapped[str] = mapped_column(String(64), doc="Audience last used; preselected on reopening")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, index=True, doc="Sorts the side list")

    messages: Mapped[list["Message"]] = relationship(
        back_populates="conversation",
        order_by="Message.position",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )


def _reading_grade(context: Any) -> float | None:
    """The grade among the figures of an answer that is being stored."""
    figures: dict[str, Any] = context.get_current_parameters()["readability"]
    grade: float | None = figures.get("flesch_kincaid_grade")
    return grade


class Response(Base):
    """A model's answer, with the adapter, parameters and timings that made it."""

    __tablename__ = "responses"
    __table_args__ = (  # the few that curation treats in a way of their own
        Index("ix_responses_cut_off", "id", sqlite_where=text("finish_reason <> 'stop'")),
        Index("ix_responses_withdrawn", "id", sqlite_where=text("withdrawn_at IS NOT NULL")),
        Index("ix_responses_thumbed", "id", sqlite_where=text("thumb IS NOT NULL")),
        # Counts grades by maker without reading a text.
        Index("ix_responses_reading", "audience", "adapter", "base_model", "reading_grade", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    conversation_id: Mapped[str | None] = mapped_column(
        ForeignKey("conversations.id", ondelete="SET NULL"),
        index=True,
        doc="Null once deleted, or outside one",
    )
    audience: Mapped[str] = mapped_column(String(64), index=True)
    base_model: Mapped[str] = mapped_column(String(255), doc="Catalogue id of the base model")
    adapter: Mapped[str | None] = mapped_column(
        String(100), index=True, doc="Versioned adapter name; null = base alone"
    )
    question: Mapped[str] = mapped_column(Text, doc="The user turn that was answered")
    context: Mapped[list[Any]] = mapped_column(doc="Messages as sent to the engine: [{role, content}, …]")
    text: Mapped[str] = mapped_column(Text, doc="The answer as generated")
    parameters: Mapped[dict[str, Any]] = mapped_column(doc="Sampling parameters and seed")
    prompt_tokens: Mapped[int] = mapped_column(doc="Tokens")
    completion_tokens: Mapped[int] = mapped_column(doc="Tokens")
    seconds: Mapped[float] = mapped_column(doc="From request to last token, s")
    first_token_seconds: Mapped[float] = mapped_column(doc="From request to first token, s")
    tokens_per_second: Mapped[float] = mapped_column(doc="Decode rate after the first token, 1/s")
    finish_reason: Mapped[str] = mapped_column(String(16), doc="FinishReason")
    dropped_turns: Mapped[int] = mapped_column(default=0, doc="Oldest messages left out to fit the window")
    readability: Mapped[dict[str, Any]] = mapped_column(doc="Readability figures of the text")
    reading_grade: Mapped[float | None] = mapped_column(
        Double,
        default=_reading_grade,
        doc="Flesch-Kincaid grade among the figures, to be counted by; null: none",
    )
    thumb: Mapped[int | None] = mapped_column(doc="+1 up, -1 down, null none")
    origin: Mapped[str] = mapped_column(
        String(255),
        default="chat",
        server_default="chat",
        doc="chat, distilled, or the file it was imported from",
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    withdrawn_at: Mapped[datetime | None] = mapped_column(doc="Set: no new training set may hold it")
    withdrawn_reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    red_flags: Mapped[list[Any] | None] = mapped_column(
        doc="What fired on the question: [{category, matched, sentence}, …]; null where nobody looked"
    )
    rules_version: Mapped[str | None] = mapped_column(String(64), doc="Of the red-flag rules that looked")
    reassures: Mapped[bool] = mapped_column(
        default=False, server_default="0", doc="The answer soothes though a red flag had fired"
    )


class Message(Base):
    """One turn of a conversation. Undone, edited and retried turns stay, inactive."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("conversation_id", "position"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(doc="Order within the conversation, from 0, never reused")
    role: Mapped[str] = mapped_column(String(16), doc="Role")
    content: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True, doc="False once undone, edited away or retried")
    response_id: Mapped[str | None] = mapped_column(
        ForeignKey("responses.id", ondelete="SET NULL"), index=True, doc="For answers"
    )
    red_flags: Mapped[list[Any] | None] = mapped_column(
        doc="For questions: what fired, as in Response; the card outlives an answer that never came"
    )
    rules_version: Mapped[str | None] = mapped_column(String(64), doc="Of the red-flag rules that looked")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    conversation: Mapped[Conversation] = relationship(back_populates="messages")
    response: Mapped[Response | None] = relationship()

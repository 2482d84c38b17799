"""The tables, as SQLAlchemy 2 typed classes. Every column says what it holds.

Times are UTC. Identifiers are random hex strings, so that rows made on two machines can meet.
A `Response` carries its own question, context and text: deleting a conversation must not take away
what a clinician has judged.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from db.vocabulary import AdapterStatus, RunStatus


def new_id() -> str:
    """A fresh identifier: 12 random hex digits (48 bits; unique enough for one home, short to type)."""
    return uuid4().hex[:12]


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite forgets time zones; this puts UTC back on the way out."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Store as naive UTC."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give back as aware UTC."""
        return value.replace(tzinfo=UTC) if value else None


class Base(DeclarativeBase):
    """The metadata that Alembic migrates; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


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


class Response(Base):
    """A model's answer, with the adapter, parameters and timings that made it."""

    __tablename__ = "responses"

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
    thumb: Mapped[int | None] = mapped_column(doc="+1 up, -1 down, null none")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)

    review_item: Mapped["ReviewItem | None"] = relationship(back_populates="response")


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
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    conversation: Mapped[Conversation] = relationship(back_populates="messages")
    response: Mapped[Response | None] = relationship()


class ReviewItem(Base):
    """A response waiting for, or having had, professional review."""

    __tablename__ = "review_items"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    response_id: Mapped[str] = mapped_column(ForeignKey("responses.id", ondelete="RESTRICT"), unique=True)
    reason: Mapped[str] = mapped_column(String(32), doc="Why it is in the queue: requested, thumbs_down…")
    sent_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)

    response: Mapped[Response] = relationship(back_populates="review_item")
    reviews: Mapped[list["Review"]] = relationship(back_populates="item", order_by="Review.created_at")


class Review(Base):
    """One clinician's judgement of one response on the seven axes.

    Only a reviewer for whom the matter is out of scope may leave axes unanswered.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("item_id", "reviewer"),
        CheckConstraint(
            "disposition = 'out_of_scope' OR (accuracy IS NOT NULL AND wrong_content IS NOT NULL"
            " AND omission IS NOT NULL AND harm IS NOT NULL AND urgency IS NOT NULL"
            " AND readability IS NOT NULL AND relevance IS NOT NULL)",
            name="axes_answered",
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    item_id: Mapped[str] = mapped_column(ForeignKey("review_items.id", ondelete="RESTRICT"), index=True)
    reviewer: Mapped[str] = mapped_column(String(120), index=True, doc="Declared name or pseudonym")
    rubric_version: Mapped[str] = mapped_column(String(16))
    accuracy: Mapped[str | None] = mapped_column(String(32))
    wrong_content: Mapped[str | None] = mapped_column(String(32))
    omission: Mapped[str | None] = mapped_column(String(32))
    harm: Mapped[str | None] = mapped_column(String(32))
    harm_likelihood: Mapped[str | None] = mapped_column(String(32), doc="Asked from mild harm up")
    urgency: Mapped[str | None] = mapped_column(String(32))
    readability: Mapped[str | None] = mapped_column(String(32))
    relevance: Mapped[str | None] = mapped_column(String(32))
    disposition: Mapped[str] = mapped_column(String(32), index=True, doc="Disposition")
    correction: Mapped[str | None] = mapped_column(Text, doc="The corrected answer, for accept_with_edit")
    flags: Mapped[list[Any]] = mapped_column(default=list, doc="ReviewFlag values")
    comment: Mapped[str] = mapped_column(Text, default="")
    seconds: Mapped[float | None] = mapped_column(doc="From opening the item to submission, s")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)

    item: Mapped[ReviewItem] = relationship(back_populates="reviews")


class Snapshot(Base):
    """An immutable, content-hashed training set on disk."""

    __tablename__ = "snapshots"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    sha256: Mapped[str] = mapped_column(String(64), unique=True, doc="Of the file's bytes")
    path: Mapped[str] = mapped_column(Text, doc="JSONL, relative to ELARA_HOME")
    rows: Mapped[int] = mapped_column(doc="Examples")
    source: Mapped[str] = mapped_column(Text, doc="starter, reviews, or the uploaded file's name")
    manifest: Mapped[dict[str, Any]] = mapped_column(doc="What was kept and dropped, and why")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Run(Base):
    """One training run: its frozen recipe, its state, and the last figures its worker wrote."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    audience: Mapped[str] = mapped_column(String(64), index=True)
    base_model: Mapped[str] = mapped_column(String(255))
    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.id"))
    recipe: Mapped[dict[str, Any]] = mapped_column(doc="Every hyperparameter, frozen at launch")
    status: Mapped[str] = mapped_column(String(16), default=RunStatus.QUEUED, index=True)
    stage: Mapped[str] = mapped_column(String(64), default="waiting", doc="What it is doing, in plain words")
    position: Mapped[int] = mapped_column(
        default=0, server_default="0", doc="Place in the queue: of those that wait, the lowest is next"
    )
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    step: Mapped[int] = mapped_column(default=0, doc="Optimizer steps done")
    total_steps: Mapped[int | None] = mapped_column(doc="Optimizer steps planned")
    epoch: Mapped[float] = mapped_column(default=0.0)
    train_loss: Mapped[float | None] = mapped_column(doc="Last logged, nats per token")
    eval_loss: Mapped[float | None] = mapped_column(doc="Last held-out, nats per token")
    tokens_per_second: Mapped[float | None] = mapped_column(doc="Training rate, useful tokens, 1/s")
    pid: Mapped[int | None] = mapped_column(doc="Worker process")
    pid_started_at: Mapped[float | None] = mapped_column(
        doc="Its start, s since the epoch: a pid alone can be reused"
    )
    heartbeat_at: Mapped[datetime | None] = mapped_column(doc="Last sign of life")
    error: Mapped[str | None] = mapped_column(Text, doc="One clear sentence, when failed")
    failure: Mapped[str | None] = mapped_column(String(32), doc="RunFailure, when failed or interrupted")
    adapter: Mapped[str | None] = mapped_column(String(100), doc="The adapter it made, e.g. patient@1")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    started_at: Mapped[datetime | None] = mapped_column()
    finished_at: Mapped[datetime | None] = mapped_column()

    snapshot: Mapped[Snapshot] = relationship()
    points: Mapped[list["RunPoint"]] = relationship(
        back_populates="run", order_by="RunPoint.id", cascade="all, delete-orphan", passive_deletes=True
    )
    samples: Mapped[list["RunSample"]] = relationship(
        back_populates="run", order_by="RunSample.id", cascade="all, delete-orphan", passive_deletes=True
    )


class RunPoint(Base):
    """One dot of a run's charts."""

    __tablename__ = "run_points"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    step: Mapped[int] = mapped_column(doc="Optimizer step")
    train_loss: Mapped[float | None] = mapped_column(doc="Nats per token")
    eval_loss: Mapped[float | None] = mapped_column(doc="Held-out, nats per token")
    learning_rate: Mapped[float | None] = mapped_column(doc="At this step")
    grad_norm: Mapped[float | None] = mapped_column(doc="Of all gradients together, before clipping")
    tokens_per_second: Mapped[float | None] = mapped_column(doc="Useful tokens, 1/s")
    padded_tokens_per_second: Mapped[float | None] = mapped_column(doc="Padding counted too, 1/s")
    memory_bytes: Mapped[int | None] = mapped_column(
        BigInteger, doc="What the worker holds; on a graphics card, the most it has held there"
    )
    reward_accuracy: Mapped[float | None] = mapped_column(
        doc="With dpo, the share of pairs whose better answer has gained more than the worse one"
    )
    reward_margin: Mapped[float | None] = mapped_column(
        doc="With dpo and kto, beta x what better answers have gained over worse ones, nats"
    )
    eval_reward_accuracy: Mapped[float | None] = mapped_column(doc="Held-out")
    eval_reward_margin: Mapped[float | None] = mapped_column(doc="Held-out, nats")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    run: Mapped[Run] = relationship(back_populates="points")


class RunSample(Base):
    """What the model being trained answered to a fixed question, so that one sees its voice change."""

    __tablename__ = "run_samples"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    step: Mapped[int] = mapped_column(doc="Optimizer steps done; 0 is the base model")
    probe: Mapped[str] = mapped_column(Text, doc="The question")
    text: Mapped[str] = mapped_column(Text, doc="The answer, drawn greedily and cut short")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    run: Mapped[Run] = relationship(back_populates="samples")


class Adapter(Base):
    """One version of an audience's LoRA and where it stands. Its files carry a manifest of their own."""

    __tablename__ = "adapters"
    __table_args__ = (
        UniqueConstraint("audience", "version"),
        Index("ix_adapters_one_live", "audience", unique=True, sqlite_where=text("status = 'live'")),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100), unique=True, doc="audience@version")
    audience: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int] = mapped_column()
    status: Mapped[str] = mapped_column(String(16), default=AdapterStatus.CANDIDATE)
    base_model: Mapped[str] = mapped_column(String(255))
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    path: Mapped[str] = mapped_column(Text, doc="Folder, relative to ELARA_HOME")
    sha256: Mapped[str] = mapped_column(String(64), doc="Of adapter_model.safetensors")
    metrics: Mapped[dict[str, Any]] = mapped_column(doc="Held-out loss before and after, and the like")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    promoted_at: Mapped[datetime | None] = mapped_column()

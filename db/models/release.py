"""What answers whom and since when: every release, the candidate being tried, and the blind comparisons."""

from datetime import datetime
from typing import Any

from sqlalchemy import Double, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, utc_now


class Release(Base):
    """One thing that somebody did to what answers an audience. Never changed and never deleted."""

    __tablename__ = "releases"
    __table_args__ = (Index("ix_releases_audience", "audience", "base_model", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, doc="In the order in which they happened")
    action: Mapped[str] = mapped_column(String(16), doc="ReleaseAction")
    audience: Mapped[str] = mapped_column(String(64), doc="For whom")
    base_model: Mapped[str] = mapped_column(String(255), doc="Catalogue id, hub id or path")
    before: Mapped[str | None] = mapped_column(
        String(100), doc="Versioned name of what answered before; null = base alone"
    )
    after: Mapped[str | None] = mapped_column(
        String(100), doc="What answers from then on, or the candidate of a canary; null = base alone"
    )
    by: Mapped[str] = mapped_column(String(120), doc="Who did it, as declared")
    reason: Mapped[str] = mapped_column(Text, default="", doc="Why, in their words")
    share: Mapped[float | None] = mapped_column(Double, doc="Of a canary: of new conversations, from 0 to 1")
    figures: Mapped[dict[str, Any] | None] = mapped_column(
        doc="The gate's checks and a canary's figures as they were at that moment; null: none were looked at"
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now, doc="When")


class Canary(Base):
    """A candidate that answers a share of an audience's new conversations: at most one at a time."""

    __tablename__ = "canaries"

    audience: Mapped[str] = mapped_column(String(64), primary_key=True, doc="For whom")
    base_model: Mapped[str] = mapped_column(String(255), primary_key=True, doc="The candidate's")
    adapter: Mapped[str] = mapped_column(String(100), doc="Versioned name of the candidate")
    share: Mapped[float] = mapped_column(Double, doc="Of new conversations, from 0 to 1")
    started_at: Mapped[datetime] = mapped_column(
        default=utc_now, doc="Conversations begun before keep what answered them"
    )


class BlindBatch(Base):
    """A blind comparison of a candidate with what is live. Its name tells reviewers nothing of either."""

    __tablename__ = "blind_batches"
    __table_args__ = (Index("ix_blind_batches_candidate", "candidate", "opponent", "created_at"),)

    batch: Mapped[str] = mapped_column(String(100), primary_key=True, doc="The review items' batch")
    audience: Mapped[str] = mapped_column(String(64), doc="For whom both answered")
    base_model: Mapped[str] = mapped_column(String(255), doc="What both are adapters of")
    candidate: Mapped[str] = mapped_column(String(100), doc="Versioned name")
    opponent: Mapped[str | None] = mapped_column(String(100), doc="What was live; null = base alone")
    questions: Mapped[list[Any]] = mapped_column(doc="What both are asked, so that it can go on after a stop")
    by: Mapped[str] = mapped_column(String(120), doc="Who asked for it, as declared")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, doc="When")

"""Which base models people have added, and which one they had answer."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, utc_now


class AddedModel(Base):
    """A base model that isn't in Elara's catalogue and that somebody of this home has added."""

    __tablename__ = "added_models"

    id: Mapped[str] = mapped_column(String(255), primary_key=True, doc="Hub id, or the absolute path of it")
    description: Mapped[dict[str, Any]] = mapped_column(doc="What was found: architecture, licence, …")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ServingChoice(Base):
    """One time that somebody chose what answers; the newest is in force."""

    __tablename__ = "serving_choices"

    id: Mapped[int] = mapped_column(primary_key=True)
    base_model: Mapped[str] = mapped_column(String(255), doc="Catalogue id, hub id or path")
    engine: Mapped[str] = mapped_column(String(16), doc="llamacpp, transformers or remote")
    weights: Mapped[str] = mapped_column(
        String(16), doc="Q4, Q8 or F16 of llama.cpp; bf16, 8bit, … of transformers; empty for the usual"
    )
    configured: Mapped[str] = mapped_column(
        Text, doc="What the settings asked for then; where they ask for something else now, the choice lapses"
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

"""What was deleted because it was old."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, utc_now


class RetentionReport(Base):
    """One time that old conversations were deleted: how much of what, what stayed, and why. No contents."""

    __tablename__ = "retention_reports"

    id: Mapped[int] = mapped_column(primary_key=True)
    days: Mapped[int] = mapped_column(doc="How long conversations were kept then, days")
    before: Mapped[datetime] = mapped_column(doc="What was last written in before this went")
    deleted: Mapped[dict[str, Any]] = mapped_column(doc="Kind → how many")
    kept: Mapped[dict[str, Any]] = mapped_column(doc="Reason → how many answers stayed, without conversation")
    redacted: Mapped[int] = mapped_column(doc="Of those, how many lost likely identifiers now")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)

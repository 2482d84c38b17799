"""Professional review: who judges, what waits, what was judged, and how contradictions were settled."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.models.base import Base, new_id, utc_now
from db.models.chat import Response
from db.vocabulary import OVERLAP

_IS_OPEN = text("judged < wanted AND closed_at IS NULL AND expected IS NULL")
_IS_CALIBRATION = text("expected IS NOT NULL")
_IS_JUDGED = text("judged > 0")


class Reviewer(Base):
    """A medical professional who judges answers. Everything but the mark `verified` is declared."""

    __tablename__ = "reviewers"
    __table_args__ = (
        Index(
            "ix_reviewers_withdrawn",
            "id",
            sqlite_where=text("withdrawn_at IS NOT NULL"),
            postgresql_where=text("withdrawn_at IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(120), unique=True, doc="Name or pseudonym")
    profession: Mapped[str] = mapped_column(String(80), default="", server_default="")
    specialty: Mapped[str] = mapped_column(String(80), default="", server_default="")
    years: Mapped[int | None] = mapped_column(doc="In the profession")
    country: Mapped[str] = mapped_column(String(80), default="", server_default="")
    registration: Mapped[str] = mapped_column(
        String(80), default="", server_default="", doc="Number of the professional register"
    )
    verified: Mapped[bool] = mapped_column(default=False, server_default="0", doc="Set by an administrator")
    audiences: Mapped[list[Any]] = mapped_column(
        default=list, server_default="[]", doc="Audiences judged; empty = all"
    )
    languages: Mapped[list[Any]] = mapped_column(
        default=list, server_default="[]", doc="ISO 639-1 codes of languages read; empty = all"
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    withdrawn_at: Mapped[datetime | None] = mapped_column(doc="Set: their reviews shape no new training set")


class ReviewItem(Base):
    """A response waiting for, or having had, professional review; or two responses to compare."""

    __tablename__ = "review_items"
    __table_args__ = (
        Index(
            "ix_review_items_one_rating",
            "response_id",
            unique=True,
            sqlite_where=text("other_response_id IS NULL"),
            postgresql_where=text("other_response_id IS NULL"),
        ),
        Index("ix_review_items_batch", "batch", "judged", "wanted", "closed_at"),
        Index("ix_review_items_one_pair", "response_id", "other_response_id", unique=True),
        Index(
            "ix_review_items_open",
            "priority",
            "sent_at",
            "id",
            # The rest is read from the index itself, so that passing over items costs no look at the table.
            *("audience", "language", "specialty", "batch", "judged", "wanted", "closed_at", "expected"),
            sqlite_where=_IS_OPEN,
            postgresql_where=_IS_OPEN,
        ),
        Index(
            "ix_review_items_judged",
            "sent_at",
            "id",
            sqlite_where=_IS_JUDGED,
            postgresql_where=_IS_JUDGED,
        ),
        Index(
            "ix_review_items_contested",
            "sent_at",
            sqlite_where=text("contested = 1"),
            postgresql_where=text("contested"),
        ),
        Index(
            "ix_review_items_calibration",
            "sent_at",
            "id",
            sqlite_where=_IS_CALIBRATION,
            postgresql_where=_IS_CALIBRATION,
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    response_id: Mapped[str] = mapped_column(ForeignKey("responses.id", ondelete="RESTRICT"))
    other_response_id: Mapped[str | None] = mapped_column(
        ForeignKey("responses.id", ondelete="RESTRICT"),
        index=True,
        doc="Set: which of the two is better is asked, not the rubric",
    )
    reason: Mapped[str] = mapped_column(String(32), doc="ReviewReason: why it is in the queue")
    first_reason: Mapped[str | None] = mapped_column(
        String(32), doc="Set: its reviews contradicted each other, and this is why it had been sent before"
    )
    priority: Mapped[int] = mapped_column(default=50, server_default="50", doc="The lowest is judged first")
    wanted: Mapped[int] = mapped_column(
        default=OVERLAP, server_default="1", doc="Independent judgements asked for"
    )
    judged: Mapped[int] = mapped_column(
        default=0, server_default="0", doc="Judgements that stand, those outside the scope not counted"
    )
    audience: Mapped[str] = mapped_column(String(64), default="", server_default="", doc="The response's")
    specialty: Mapped[str] = mapped_column(
        String(80), default="", server_default="", doc="Whom it is for; empty = anyone"
    )
    language: Mapped[str] = mapped_column(String(8), default="en", server_default="en", doc="ISO 639-1")
    batch: Mapped[str | None] = mapped_column(String(100), doc="Sent together under this name")
    expected: Mapped[dict[str, Any] | None] = mapped_column(
        doc="Set: a calibration item, and this is its known judgement: axes and disposition"
    )
    contested: Mapped[bool] = mapped_column(
        default=False, server_default="0", doc="Its reviews call for adjudication, and there was none yet"
    )
    sent_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    closed_at: Mapped[datetime | None] = mapped_column(doc="Set: taken out of the queue")

    response: Mapped[Response] = relationship(foreign_keys=[response_id])
    other_response: Mapped[Response | None] = relationship(foreign_keys=[other_response_id])
    reviews: Mapped[list["Review"]] = relationship(back_populates="item", order_by="Review.created_at")
    preferences: Mapped[list["Preference"]] = relationship(
        back_populates="item", order_by="Preference.created_at"
    )
    adjudication: Mapped["Adjudication | None"] = relationship(back_populates="item")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is in the queue: first why it was sent, then that its reviews contradict each other."""
        return (
            (self.reason,) if self.first_reason in (None, self.reason) else (self.first_reason, self.reason)
        )


class Assignment(Base):
    """An item that a reviewer has opened and not finished: reserved, skipped, or half filled in."""

    __tablename__ = "review_assignments"

    item_id: Mapped[str] = mapped_column(ForeignKey("review_items.id", ondelete="CASCADE"), primary_key=True)
    reviewer_id: Mapped[str] = mapped_column(
        ForeignKey("reviewers.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    opened_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True, doc="Until then nobody else gets this place")
    skipped_at: Mapped[datetime | None] = mapped_column(doc="Set: left for later, nothing reserved")
    draft: Mapped[dict[str, Any] | None] = mapped_column(doc="What was filled in so far")


def _audience_of(context: Any) -> Any:
    """The audience of the item that a review is stored for."""
    item_id = context.get_current_parameters()["item_id"]
    return context.connection.scalar(select(ReviewItem.audience).where(ReviewItem.id == item_id))


def _maker_of(context: Any) -> Any:
    """What made the answer that a review is stored for."""
    item_id = context.get_current_parameters()["item_id"]
    maker = select(func.coalesce(Response.adapter, Response.base_model)).join(
        ReviewItem, ReviewItem.response_id == Response.id
    )
    return context.connection.scalar(maker.where(ReviewItem.id == item_id))


class Review(Base):
    """One clinician's judgement of one response on the seven axes.

    Only a reviewer for whom the matter is out of scope may leave axes unanswered. What figures are sorted by
    is kept here too, and fills itself in: counting half a million reviews must not read a million answers.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("item_id", "reviewer_id"),
        CheckConstraint(
            "disposition = 'out_of_scope' OR (accuracy IS NOT NULL AND wrong_content IS NOT NULL"
            " AND omission IS NOT NULL AND harm IS NOT NULL AND urgency IS NOT NULL"
            " AND readability IS NOT NULL AND relevance IS NOT NULL)",
            name="axes_answered",
        ),
        Index("ix_reviews_reviewer_id", "reviewer_id", "created_at"),
        Index("ix_reviews_disposition", "disposition", "created_at"),
        Index(
            "ix_reviews_figures", "audience", "made_by", "created_at", "id", "item_id", "reviewer_id",
            "seconds", "disposition", "accuracy", "wrong_content", "omission", "harm", "urgency",
            "readability", "relevance",
        ),
        # Holds all that curation counts, so that it needn't read the reviews themselves.
        Index(
            "ix_reviews_item_id",
            *("item_id", "reviewer_id", "disposition", "accuracy", "wrong_content", "omission"),
            *("harm", "urgency", "flags"),
        ),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    item_id: Mapped[str] = mapped_column(ForeignKey("review_items.id", ondelete="RESTRICT"))
    reviewer_id: Mapped[str] = mapped_column(ForeignKey("reviewers.id", ondelete="RESTRICT"))
    audience: Mapped[str] = mapped_column(String(64), default=_audience_of, doc="The item's")
    made_by: Mapped[str] = mapped_column(
        String(255), default=_maker_of, doc="The response's adapter, or its base model where it had none"
    )
    rubric_version: Mapped[str] = mapped_column(String(16))
    accuracy: Mapped[str | None] = mapped_column(String(32))
    wrong_content: Mapped[str | None] = mapped_column(String(32))
    omission: Mapped[str | None] = mapped_column(String(32))
    harm: Mapped[str | None] = mapped_column(String(32))
    harm_likelihood: Mapped[str | None] = mapped_column(String(32), doc="Asked from mild harm up")
    urgency: Mapped[str | None] = mapped_column(String(32))
    readability: Mapped[str | None] = mapped_column(String(32))
    relevance: Mapped[str | None] = mapped_column(String(32))
    disposition: Mapped[str] = mapped_column(String(32), doc="Disposition")
    correction: Mapped[str | None] = mapped_column(Text, doc="The corrected answer, for accept_with_edit")
    flags: Mapped[list[Any]] = mapped_column(default=list, doc="ReviewFlag values")
    comment: Mapped[str] = mapped_column(Text, default="")
    seconds: Mapped[float | None] = mapped_column(doc="From opening the item to submission, s")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    edited_at: Mapped[datetime | None] = mapped_column(doc="Last change by its own author")

    item: Mapped[ReviewItem] = relationship(back_populates="reviews")
    reviewer: Mapped[Reviewer] = relationship()


class Preference(Base):
    """One clinician's choice between the two responses of an item."""

    __tablename__ = "preferences"
    __table_args__ = (
        UniqueConstraint("item_id", "reviewer_id"),
        Index("ix_preferences_reviewer_id", "reviewer_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    item_id: Mapped[str] = mapped_column(ForeignKey("review_items.id", ondelete="RESTRICT"))
    reviewer_id: Mapped[str] = mapped_column(ForeignKey("reviewers.id", ondelete="RESTRICT"))
    choice: Mapped[str] = mapped_column(
        String(16), doc="PairChoice: first is the item's response, second the other, however they were shown"
    )
    swapped: Mapped[bool] = mapped_column(doc="The other response was shown as A")
    reason: Mapped[str] = mapped_column(Text, default="")
    seconds: Mapped[float | None] = mapped_column(doc="From opening the item to submission, s")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    edited_at: Mapped[datetime | None] = mapped_column(doc="Last change by its own author")

    item: Mapped[ReviewItem] = relationship(back_populates="preferences")
    reviewer: Mapped[Reviewer] = relationship()


class ReviewEvent(Base):
    """What was once stored of a judgement: every submission, change and undoing, never deleted."""

    __tablename__ = "review_events"
    __table_args__ = (
        Index("ix_review_events_item_id", "item_id", "reviewer_id"),
        Index("ix_review_events_reviewer_id", "reviewer_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("review_items.id", ondelete="RESTRICT"))
    reviewer_id: Mapped[str] = mapped_column(ForeignKey("reviewers.id", ondelete="RESTRICT"))
    action: Mapped[str] = mapped_column(String(16), doc="ReviewAction")
    content: Mapped[dict[str, Any]] = mapped_column(doc="The judgement as it then stood")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Adjudication(Base):
    """How contradicting or alarming reviews of one response were settled."""

    __tablename__ = "adjudications"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    item_id: Mapped[str] = mapped_column(ForeignKey("review_items.id", ondelete="RESTRICT"), unique=True)
    adjudicator_id: Mapped[str] = mapped_column(ForeignKey("reviewers.id", ondelete="RESTRICT"), index=True)
    triggers: Mapped[list[Any]] = mapped_column(doc="AdjudicationTrigger values that called for it")
    disposition: Mapped[str] = mapped_column(
        String(32), doc="Disposition: accept, accept_with_edit or reject"
    )
    correction: Mapped[str | None] = mapped_column(Text, doc="The corrected answer, for accept_with_edit")
    note: Mapped[str] = mapped_column(Text, doc="Why")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)

    item: Mapped[ReviewItem] = relationship(back_populates="adjudication")
    adjudicator: Mapped[Reviewer] = relationship()


class AdjudicationEvent(Base):
    """Every opening, decision and reopening in adjudication, never deleted."""

    __tablename__ = "adjudication_events"
    __table_args__ = (Index("ix_adjudication_events_item_id", "item_id", "reviewer_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("review_items.id", ondelete="RESTRICT"))
    reviewer_id: Mapped[str | None] = mapped_column(
        ForeignKey("reviewers.id", ondelete="RESTRICT"), doc="Who; null = reopened by a contradicting review"
    )
    action: Mapped[str] = mapped_column(String(16), doc="AdjudicationAction")
    content: Mapped[dict[str, Any]] = mapped_column(doc="The decision made or undone, and why it was undone")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    reviewer: Mapped[Reviewer | None] = relationship()

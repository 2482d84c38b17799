"""What came of the conversations begun since a candidate answers a share of them, by version.

Only answers within conversations that are still kept count: those outside one belong to nobody's share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from db.models import Conversation, Response, Review, Reviewer, ReviewItem
from db.vocabulary import Disposition


@dataclass(frozen=True)
class Speed:
    """Decode rates of answers that weren't repeated from memory.

    Args:
        answers: how many.
        mean: tokens a second; 0 when there is none.
        deviation: standard deviation, tokens a second.
    """

    answers: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class VersionCounts:
    """What one version's answers came to.

    Args:
        thumbs_up: answers with a thumb up; likewise down.
        red_flagged: answers to questions on which a red flag fired.
        reassuring: those of them that soothe over it.
        grades: reading grade and number of answers, in order.
    """

    answers: int
    conversations: int
    thumbs_up: int
    thumbs_down: int
    red_flagged: int
    reassuring: int
    grades: tuple[tuple[float, int], ...]
    speed: Speed


@dataclass(frozen=True)
class Verdict:
    """One review of one of these answers, those outside the reviewer's scope left out.

    Args:
        harm: the value on that axis.
        flagged: whether the reviewer put any further mark on it.
    """

    response_id: str
    disposition: Disposition
    harm: str
    flagged: bool


def count_version(
    session: Session, audience: str, base_model: str, adapter: str | None, since: datetime
) -> VersionCounts:
    """Count what one version answered in conversations begun since.

    Args:
        session: any session.
        adapter: versioned name; None is the base model alone.
        since: when the candidate began.
    """
    chosen = _chosen(audience, base_model, adapter, since)
    rate = Response.tokens_per_second
    fresh = func.coalesce(Response.parameters["cached"].as_boolean(), False).is_(False)
    row = session.execute(
        select(
            func.count(),
            func.count(Response.conversation_id.distinct()),
            func.count().filter(Response.thumb == 1),
            func.count().filter(Response.thumb == -1),
            func.count().filter(_has_flags()),
            func.count().filter(Response.reassures),
            func.count().filter(fresh),
            func.avg(rate).filter(fresh),
            func.avg(rate * rate).filter(fresh),
        )
        .join(Conversation, Conversation.id == Response.conversation_id)
        .where(*chosen)
    ).one()
    grades = session.execute(
        select(Response.reading_grade, func.count())
        .join(Conversation, Conversation.id == Response.conversation_id)
        .where(*chosen, Response.reading_grade.is_not(None))
        .group_by(Response.reading_grade)
        .order_by(Response.reading_grade)
    )
    mean, squares = float(row[7] or 0), float(row[8] or 0)
    return VersionCounts(
        answers=row[0],
        conversations=row[1],
        thumbs_up=row[2],
        thumbs_down=row[3],
        red_flagged=row[4],
        reassuring=row[5],
        grades=tuple((grade, number) for grade, number in grades if grade is not None),
        speed=Speed(row[6], mean, max(0.0, squares - mean * mean) ** 0.5),
    )


def verdicts(
    session: Session, audience: str, base_model: str, adapter: str | None, since: datetime
) -> Sequence[Verdict]:
    """The reviews of the same answers; those of withdrawn reviewers don't count."""
    query = (
        select(Response.id, Review.disposition, Review.harm, Review.flags)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(Response, Response.id == ReviewItem.response_id)
        .join(Conversation, Conversation.id == Response.conversation_id)
        .join(Reviewer, Reviewer.id == Review.reviewer_id)
        .where(
            *_chosen(audience, base_model, adapter, since),
            Review.disposition != Disposition.OUT_OF_SCOPE,
            Reviewer.withdrawn_at.is_(None),
        )
    )
    return [
        Verdict(response_id, Disposition(disposition), harm or "", bool(flags))
        for response_id, disposition, harm, flags in session.execute(query)
    ]


def _has_flags() -> ColumnElement[bool]:
    """Whether a red flag fired; none is kept as an empty list."""
    return func.coalesce(func.json_array_length(Response.red_flags), 0) > 0


def _chosen(
    audience: str, base_model: str, adapter: str | None, since: datetime
) -> tuple[ColumnElement[bool], ...]:
    return (
        Response.audience == audience,
        Response.base_model == base_model,
        Response.adapter == adapter if adapter else Response.adapter.is_(None),
        Conversation.created_at >= since,
    )

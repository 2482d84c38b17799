"""How hard stored answers are to read, counted by who made them. Knows nothing of targets.

The count comes from the one index `ix_responses_reading`, which spares reading the texts; grades have one
decimal, so that a maker has some hundred of them at most, however many answers there are.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import Response
from db.review_figures import Selection


@dataclass(frozen=True)
class GradeCount:
    """How many answers of one maker for one audience have a grade.

    Args:
        made_by: the adapter, or the base model where there was none.
        grade: Flesch-Kincaid, one decimal.
    """

    audience: str
    made_by: str
    grade: float
    answers: int


def origins(session: Session) -> list[tuple[str, str]]:
    """Audience and maker of the answers that have a grade, in order."""
    columns = Response.audience, Response.adapter, Response.base_model
    query = select(*columns).where(Response.reading_grade.is_not(None)).group_by(*columns)
    return sorted((audience, adapter or base) for audience, adapter, base in session.execute(query))


def count(session: Session, selection: Selection) -> list[GradeCount]:
    """Answers by audience, maker and grade, in this order; an answer too short for a grade isn't counted.

    Args:
        session: any session.
        selection: which answers; its times are those of the answer.
    """
    columns = Response.audience, Response.adapter, Response.base_model, Response.reading_grade
    query = select(*columns, func.count()).group_by(*columns)
    if selection.audience is not None:
        query = query.where(Response.audience == selection.audience)
    if selection.made_by is not None:
        query = query.where(func.coalesce(Response.adapter, Response.base_model) == selection.made_by)
    if selection.since is not None:
        query = query.where(Response.created_at >= selection.since)
    if selection.until is not None:
        query = query.where(Response.created_at < selection.until)
    found = [
        GradeCount(audience, adapter or base, grade, answers)
        for audience, adapter, base, grade, answers in session.execute(query)
        if grade is not None
    ]
    return sorted(found, key=lambda each: (each.audience, each.made_by, each.grade))

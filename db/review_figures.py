"""What judgements say, as columns of numbers to count with, and the answers behind a count.

Knows nothing of statistics. Judgements outside a reviewer's scope and those of withdrawn reviewers don't
count. The columns come from the one index `ix_reviews_figures`, which spares reading the texts.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, String, and_, case, func, literal, or_, select, tuple_, type_coerce
from sqlalchemy.orm import Session, aliased, joinedload

from db.models import Adjudication, Review, Reviewer, ReviewItem
from db.vocabulary import RUBRIC, Disposition

VERDICT = "disposition"
COUNTED: dict[str, tuple[str, ...]] = {
    **{scale.axis.value: scale.values for scale in RUBRIC},
    VERDICT: (Disposition.ACCEPT.value, Disposition.ACCEPT_WITH_EDIT.value, Disposition.REJECT.value),
}
"""What is counted: column of a review → the values told apart."""

VALUE_BITS = 3
"""Of each column in a judgement's code: none and up to seven values."""

READ_AT_ONCE = 50_000
"""Rows held as Python objects while they become columns."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """Which judgements are looked at; what is None doesn't matter.

    Args:
        audience: of the answer.
        made_by: the adapter that answered, or the base model where there was none.
        since: judged then or later.
        until: judged before.
    """

    audience: str | None = None
    made_by: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Selection()


@dataclass(frozen=True)
class Judgements:
    """Judgements as columns: place i of each is one of them.

    Args:
        origins: audience and maker, in order; `origin` names a place in it.
        reviewers: ids; `reviewer` names a place in it.
        item: a number for each answer.
        day: when it was given, in days since 1970-01-01.
        seconds: how long it took, s; not a number where unknown.
        code: what it says, see `values`.
    """

    origins: tuple[tuple[str, str], ...]
    reviewers: tuple[str, ...]
    origin: Integers
    item: Integers
    reviewer: Integers
    day: Integers
    seconds: Floats
    code: Integers

    def values(self, column: str) -> Integers:
        """What the judgements say in a column of `COUNTED`: the place of the value there; -1 for none."""
        place = VALUE_BITS * list(COUNTED).index(column)
        return ((self.code >> place) & ((1 << VALUE_BITS) - 1)) - 1


def names(session: Session) -> dict[str, tuple[str, bool]]:
    """Each reviewer's name and whether it was verified, by id."""
    query = select(Reviewer.id, Reviewer.name, Reviewer.verified)
    return {row[0]: (row[1], row[2]) for row in session.execute(query)}


def origins(session: Session) -> list[tuple[str, str]]:
    """Audience and maker of the answers judged, in order."""
    columns = Review.audience, Review.made_by
    return [(row[0], row[1]) for row in session.execute(select(*columns).distinct().order_by(*columns))]


def judgements(session: Session, selection: Selection) -> Judgements:
    """The judgements chosen, in no particular order; half a million take a second or two."""
    code = sum((_encode(column, place) for place, column in enumerate(COUNTED)), start=literal(0))
    query = select(
        Review.audience,
        Review.made_by,
        Review.item_id,
        Review.reviewer_id,
        func.substr(type_coerce(Review.created_at, String), 1, 10),
        Review.seconds,
        code,
    ).where(*_chosen(selection))
    origins: dict[tuple[str, str], int] = {}
    items: dict[str, int] = {}
    people: dict[str, int] = {}
    parts: list[tuple[Integers, npt.NDArray[np.datetime64], Floats]] = []
    for rows in session.connection().execute(query).partitions(READ_AT_ONCE):
        audiences, makers, item_ids, reviewer_ids, days, seconds, codes = zip(*rows, strict=True)
        numbers = (
            [origins.setdefault(key, len(origins)) for key in zip(audiences, makers, strict=True)],
            [items.setdefault(key, len(items)) for key in item_ids],
            [people.setdefault(key, len(people)) for key in reviewer_ids],
            codes,
        )
        taken = np.array([np.nan if value is None else value for value in seconds], dtype=np.float64)
        parts.append((np.array(numbers, dtype=np.int64), np.array(days, dtype="datetime64[D]"), taken))
    whole = np.concatenate([part[0] for part in parts], axis=1) if parts else np.empty((4, 0), np.int64)
    return _in_order(
        Judgements(
            origins=tuple(origins),
            reviewers=tuple(people),
            origin=whole[0],
            item=whole[1],
            reviewer=whole[2],
            day=np.concatenate([part[1] for part in parts]).astype(np.int64) if parts else whole[0],
            seconds=np.concatenate([part[2] for part in parts]) if parts else np.empty(0),
            code=whole[3],
        )
    )


def _in_order(found: Judgements) -> Judgements:
    """The same with its origins sorted."""
    order = sorted(range(len(found.origins)), key=found.origins.__getitem__)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return replace(found, origins=tuple(found.origins[place] for place in order), origin=places[found.origin])


def _encode(column: str, place: int) -> ColumnElement[int]:
    """A column's part of the code: 0 for none, else one more than the value's place."""
    values = {value: (number + 1) << (VALUE_BITS * place) for number, value in enumerate(COUNTED[column])}
    return case(values, value=getattr(Review, column), else_=0)


def _chosen(selection: Selection, review: Any = Review) -> list[ColumnElement[bool]]:
    """Conditions of the judgements that count."""
    withdrawn = select(Reviewer.id).where(Reviewer.withdrawn_at.is_not(None))
    conditions = [review.disposition != Disposition.OUT_OF_SCOPE, review.reviewer_id.not_in(withdrawn)]
    if selection.audience is not None:
        conditions.append(review.audience == selection.audience)
    if selection.made_by is not None:
        conditions.append(review.made_by == selection.made_by)
    if selection.since is not None:
        conditions.append(review.created_at >= selection.since)
    if selection.until is not None:
        conditions.append(review.created_at < selection.until)
    return conditions


def count_waiting(session: Session) -> tuple[int, int]:
    """Answers that wait for judgements, and answers whose judgements wait for adjudication."""
    is_open = ReviewItem.judged < ReviewItem.wanted, ReviewItem.closed_at.is_(None)
    waiting = session.scalar(select(func.count()).select_from(ReviewItem).where(*is_open)) or 0
    contested = session.scalar(select(func.count()).select_from(ReviewItem).where(ReviewItem.contested)) or 0
    return waiting, contested


def list_judged(
    session: Session,
    selection: Selection,
    column: str | None = None,
    value: str | None = None,
    *,
    before: tuple[datetime, str] | None = None,
    limit: int = 20,
) -> list[Review]:
    """The answers behind a count, newest judgement first, each once with all its reviews.

    Only answers whose judgement is complete: one that waits for somebody is judged blind, and one whose
    judgement is known goes on being handed out.

    Args:
        session: any session.
        selection: which judgements.
        column: of `COUNTED`; None takes them all.
        value: what a judgement must say there.
        before: time and id of the last judgement on the page before.
        limit: most answers returned.

    Returns:
        The newest fitting judgement of each answer, its item, response and all reviews loaded.
    """
    fitting, later = _fitting(Review, selection, column, value), aliased(Review)
    place = tuple_(later.created_at, later.id) > tuple_(Review.created_at, Review.id)
    of_same = later.item_id == Review.item_id
    has_later = select(later.id).where(of_same, place, *_fitting(later, selection, column, value)).exists()
    judged = and_(ReviewItem.judged >= ReviewItem.wanted, ReviewItem.expected.is_(None))
    complete = or_(judged, ReviewItem.closed_at.is_not(None))
    query = (
        select(Review.id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(*fitting, complete, ~has_later)
        .order_by(Review.created_at.desc(), Review.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(tuple_(Review.created_at, Review.id) < before)
    whole = (
        joinedload(Review.item).joinedload(ReviewItem.response),
        joinedload(Review.item).selectinload(ReviewItem.reviews).joinedload(Review.reviewer),
        joinedload(Review.item).joinedload(ReviewItem.adjudication).joinedload(Adjudication.adjudicator),
    )
    ids = list(session.scalars(query))
    found = select(Review).where(Review.id.in_(ids)).options(*whole)
    return sorted(session.scalars(found), key=lambda review: ids.index(review.id))


def _fitting(
    review: Any, selection: Selection, column: str | None, value: str | None
) -> list[ColumnElement[bool]]:
    """Conditions of the judgements that are listed."""
    conditions = _chosen(selection, review)
    if column is not None:
        conditions.append(getattr(review, column) == value)
    return conditions

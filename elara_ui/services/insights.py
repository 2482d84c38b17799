"""What reviews say about adapters and about each other: figures, agreement, and the answers behind them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from db import pair_figures, review_figures
from db.models import Adjudication, Review, utc_now
from db.pair_figures import Sides
from db.review_figures import EVERYTHING, Judgements, Selection
from db.session import Database
from db.vocabulary import RUBRIC, Disposition, PairChoice
from elara_ui.errors import InvalidInput
from elara_ui.services.compared_pairs import JudgedPair, describe_judged_pair
from elara_ui.services.insight_figures import (
    SCALES,
    AgreementRow,
    OriginFigures,
    PairFigures,
    ReviewerFigures,
    Scale,
    WeekShare,
    measure_origins,
    measure_pairs,
    measure_reviewers,
    measure_rows,
    measure_weeks,
)

PAGE = 20
"""Answers listed at once."""


@dataclass(frozen=True)
class Overview:
    """Everything counted, in short.

    Args:
        waiting: answers in the queue that still want judgements, whatever was chosen.
        contested: answers whose reviews wait for adjudication, whatever was chosen.
    """

    reviews: int
    answers: int
    reviewers: int
    waiting: int
    contested: int


@dataclass(frozen=True)
class Summary:
    """Overview, and shares by audience and maker."""

    overview: Overview
    origins: tuple[OriginFigures, ...]
    pairs: tuple[PairFigures, ...]


@dataclass(frozen=True)
class Cursor:
    """Where a page of answers or comparisons ended: time and id of its last judgement."""

    judged_at: datetime
    review_id: str


@dataclass(frozen=True)
class Opinion:
    """One reviewer's judgement, its author named.

    Args:
        axes: label of the choice on each axis, in the rubric's order; None where it was left open.
        flags: `ReviewFlag` values.
    """

    reviewer: str
    verified: bool
    profession: str
    disposition: Disposition
    axes: tuple[str | None, ...]
    flags: tuple[str, ...]
    comment: str
    correction: str | None
    judged_at: datetime


@dataclass(frozen=True)
class Settlement:
    """How an adjudicator settled an answer."""

    adjudicator: str
    disposition: Disposition
    correction: str | None
    note: str
    decided_at: datetime


@dataclass(frozen=True)
class JudgedAnswer:
    """An answer whose judgement is complete, with what made it and what was said of it."""

    response_id: str
    audience: str
    made_by: str
    base_model: str
    question: str
    text: str
    judged_at: datetime
    withdrawn: bool
    opinions: tuple[Opinion, ...]
    settlement: Settlement | None


@dataclass(frozen=True)
class AnswerPage:
    """Some answers, and where the next page begins; None after the last."""

    answers: tuple[JudgedAnswer, ...]
    next: Cursor | None


@dataclass(frozen=True)
class PairPage:
    """Some comparisons, and where the next page begins; None after the last."""

    pairs: tuple[JudgedPair, ...]
    next: Cursor | None


class InsightsService:
    """Looking at what was judged. Names adapters and people, so it lists no answer that waits for review.

    Args:
        database: where reviews are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def origins(self) -> list[tuple[str, str]]:
        """Audience and maker of everything judged: what there is to choose from."""
        with self._database.reading() as session:
            return review_figures.origins(session)

    def summary(self, selection: Selection = EVERYTHING) -> Summary:
        """What was judged, and what the judgements say of each adapter.

        Args:
            selection: which judgements.
        """
        with self._database.reading() as session:
            found = review_figures.judgements(session, selection)
            pairs = pair_figures.count_pairs(session, selection)
            waiting, contested = review_figures.count_waiting(session)
        overview = Overview(
            reviews=len(found.code),
            answers=int(found.item.max(initial=-1)) + 1,
            reviewers=len(found.reviewers),
            waiting=waiting,
            contested=contested,
        )
        return Summary(overview, tuple(measure_origins(found)), tuple(measure_pairs(pairs)))

    def weeks(self, column: str, selection: Selection = EVERYTHING) -> list[WeekShare]:
        """The share of good judgements, week by week.

        Args:
            column: an `Axis`, or disposition.
            selection: which judgements.

        Raises:
            InvalidInput: there is no such column.
        """
        return measure_weeks(self._find(selection), find_scale(column))

    def agreement(self, selection: Selection = EVERYTHING) -> list[AgreementRow]:
        """How far reviewers agree: among all answers chosen, then by audience, then by audience and maker."""
        return measure_rows(self._find(selection))

    def reviewers(self, selection: Selection = EVERYTHING) -> list[ReviewerFigures]:
        """Each reviewer beside the others."""
        with self._database.reading() as session:
            found = review_figures.judgements(session, selection)
            names = review_figures.names(session)
        return measure_reviewers(found, names)

    def pairs(self, selection: Selection = EVERYTHING) -> list[PairFigures]:
        """How answers of different makers fared side by side."""
        with self._database.reading() as session:
            return measure_pairs(pair_figures.count_pairs(session, selection))

    def answers(
        self,
        selection: Selection,
        column: str | None = None,
        value: str | None = None,
        after: Cursor | None = None,
        limit: int = PAGE,
    ) -> AnswerPage:
        """The answers behind a figure, the latest judged first. Those that wait for a reviewer are left out.

        Args:
            selection: which judgements.
            column: an `Axis`, or disposition; None lists all.
            value: what some judgement says there.
            after: where the page before ended.
            limit: most answers.

        Raises:
            InvalidInput: there is no such column or value.
        """
        if column is not None and value not in find_scale(column).values:
            known = ", ".join(find_scale(column).values)
            raise InvalidInput(f"On {column} the values are {known}; got {value!r}. Choose one of these.")
        before = (after.judged_at, after.review_id) if after else None
        with self._database.reading() as session:
            found = review_figures.list_judged(
                session, selection, column, value, before=before, limit=limit + 1
            )
            shown = found[:limit]
            more = Cursor(shown[-1].created_at, shown[-1].id) if len(found) > limit else None
            return AnswerPage(tuple(_judged_answer(review) for review in shown), more)

    def compared(
        self,
        selection: Selection,
        sides: Sides,
        choice: PairChoice | None = None,
        after: Cursor | None = None,
        limit: int = PAGE,
    ) -> PairPage:
        """The comparisons behind a figure, the latest judged first. Those that wait are left out.

        Args:
            selection: which choices.
            sides: what made the two answers, as `PairFigures` names them.
            choice: what some reviewer chose; None lists all.
            after: where the page before ended.
            limit: most comparisons.
        """
        before = (after.judged_at, after.review_id) if after else None
        with self._database.reading() as session:
            found = pair_figures.list_compared(
                session, selection, sides, choice, before=before, limit=limit + 1
            )
            shown = found[:limit]
            more = Cursor(shown[-1].created_at, shown[-1].id) if len(found) > limit else None
            return PairPage(tuple(describe_judged_pair(each, sides) for each in shown), more)

    def _find(self, selection: Selection) -> Judgements:
        with self._database.reading() as session:
            return review_figures.judgements(session, selection)


def choose(
    audience: str | None = None,
    made_by: str | None = None,
    days: int | None = None,
    week: date | None = None,
) -> Selection:
    """Which judgements are looked at.

    Args:
        audience: of the answer; None for all.
        made_by: adapter, or base model where there was none; None for all.
        days: judged within so many days; None for ever.
        week: judged in the seven days from this one on, UTC; None for any.

    Raises:
        InvalidInput: the days aren't 1 or more.
    """
    if days is not None and days < 1:
        raise InvalidInput(f"A period has 1 day or more; got {days}. Leave it out for all time.")
    since = utc_now() - timedelta(days=days) if days else None
    until = None
    if week is not None:
        begin = datetime.combine(week, time(), UTC)
        since, until = max(since or begin, begin), begin + timedelta(days=7)
    return Selection(audience or None, made_by or None, since, until)


def find_scale(column: str) -> Scale:
    """The scale of a column.

    Raises:
        InvalidInput: there is none.
    """
    found = next((scale for scale in SCALES if scale.column == column), None)
    if found is None:
        known = ", ".join(scale.column for scale in SCALES)
        raise InvalidInput(f"Figures are about one of {known}; got {column!r}. Choose one of these.")
    return found


def describe_opinion(review: Review) -> Opinion:
    """A review as those see it who may see all of them."""
    labels = [{choice.value: choice.label for choice in scale.choices} for scale in RUBRIC]
    given = [getattr(review, scale.axis) for scale in RUBRIC]
    return Opinion(
        reviewer=review.reviewer.name,
        verified=review.reviewer.verified,
        profession=", ".join(filter(None, (review.reviewer.profession, review.reviewer.specialty))),
        disposition=Disposition(review.disposition),
        axes=tuple(known.get(value) if value else None for known, value in zip(labels, given, strict=True)),
        flags=tuple(review.flags),
        comment=review.comment,
        correction=review.correction,
        judged_at=review.edited_at or review.created_at,
    )


def differ(choices: Collection[str | None]) -> bool:
    """Whether not all that reviewers chose is the same; what was left open says nothing."""
    return len({choice for choice in choices if choice}) > 1


def describe_settlement(adjudication: Adjudication) -> Settlement:
    """A decision with its author's name."""
    return Settlement(
        adjudication.adjudicator.name,
        Disposition(adjudication.disposition),
        adjudication.correction,
        adjudication.note,
        adjudication.created_at,
    )


def _judged_answer(review: Review) -> JudgedAnswer:
    item, response = review.item, review.item.response
    return JudgedAnswer(
        response_id=response.id,
        audience=response.audience,
        made_by=review.made_by,
        base_model=response.base_model,
        question=response.question,
        text=response.text,
        judged_at=review.created_at,
        withdrawn=response.withdrawn_at is not None,
        opinions=tuple(describe_opinion(each) for each in item.reviews),
        settlement=describe_settlement(item.adjudication) if item.adjudication else None,
    )

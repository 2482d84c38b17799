"""Comparisons as insights count them, by what made the two answers, and the pairs behind a count.

Choices of withdrawn reviewers don't count. An answer is named by its adapter, or the base model where there
was none; two answers of one maker are told apart by their temperature.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased, joinedload

from db.curation import among
from db.models import Preference, Response, Reviewer, ReviewItem
from db.review_figures import Selection
from db.vocabulary import PairChoice

MIRRORED = {PairChoice.FIRST: PairChoice.SECOND, PairChoice.SECOND: PairChoice.FIRST}
"""A choice as it reads when the two answers are named the other way round; the others stay what they are."""


@dataclass(frozen=True)
class PairCount:
    """The judgements of one comparison, by its two makers.

    Args:
        first: made the item's response.
        second: made the other.
        wins: for the first; likewise losses for the second.
    """

    audience: str
    first: str
    second: str
    wins: int
    losses: int
    ties: int
    unsafe: int


@dataclass(frozen=True)
class Sides:
    """Two makers side by side, whichever was stored first.

    Args:
        audience: for whom both answered.
        first: its name, as in `PairCount`.
        second: likewise.
    """

    audience: str
    first: str
    second: str


def count_pairs(session: Session, selection: Selection) -> list[PairCount]:
    """The comparisons of answers by different makers, one by one."""
    choices: dict[str, Counter[str]] = {}
    counted = select(Preference.item_id, Preference.choice, func.count()).where(*_chosen(selection))
    for item_id, choice, number in session.execute(counted.group_by(Preference.item_id, Preference.choice)):
        choices.setdefault(item_id, Counter())[choice] += number
    return [
        PairCount(
            sides.audience,
            sides.first,
            sides.second,
            wins=choices[item_id][PairChoice.FIRST],
            losses=choices[item_id][PairChoice.SECOND],
            ties=choices[item_id][PairChoice.TIE],
            unsafe=choices[item_id][PairChoice.BOTH_UNSAFE],
        )
        for item_id, sides in _each_pair(session, selection)
        if item_id in choices
    ]


def list_compared(
    session: Session,
    selection: Selection,
    sides: Sides,
    choice: PairChoice | None = None,
    *,
    before: tuple[datetime, str] | None = None,
    limit: int = 20,
) -> list[Preference]:
    """The pairs behind a count, newest choice first, each once. Only those whose judgement is complete.

    Args:
        session: any session.
        selection: which choices.
        sides: the two makers.
        choice: what some reviewer chose, first and second as `sides` names them; None for anything.
        before: time and id of the last choice on the page before.
        limit: most pairs returned.

    Returns:
        The newest fitting choice of each pair, its item with both answers and all choices loaded.
    """
    straight, mirrored = [], []
    for item_id, found in _each_pair(session, selection):
        if found == sides:
            straight.append(item_id)
        elif found == Sides(sides.audience, sides.second, sides.first):
            mirrored.append(item_id)
    turned = None if choice is None else MIRRORED.get(choice, choice)

    def fitting(preference: type[Preference]) -> list[ColumnElement[bool]]:
        either = [
            and_(among(preference.item_id, ids), *([preference.choice == wanted] if wanted else []))
            for ids, wanted in ((straight, choice), (mirrored, turned))
        ]
        return [or_(*either), *_chosen(selection, preference)]

    later = aliased(Preference)
    follows = tuple_(later.created_at, later.id) > tuple_(Preference.created_at, Preference.id)
    has_later = select(later.id).where(later.item_id == Preference.item_id, follows, *fitting(later)).exists()
    query = (
        select(Preference)
        .join(Preference.item)
        .where(
            *fitting(Preference),
            or_(ReviewItem.judged >= ReviewItem.wanted, ReviewItem.closed_at.is_not(None)),
            ~has_later,
        )
        .order_by(Preference.created_at.desc(), Preference.id.desc())
        .limit(limit)
        .options(
            joinedload(Preference.item).joinedload(ReviewItem.response),
            joinedload(Preference.item).joinedload(ReviewItem.other_response),
            joinedload(Preference.item).selectinload(ReviewItem.preferences).joinedload(Preference.reviewer),
        )
    )
    if before is not None:
        query = query.where(tuple_(Preference.created_at, Preference.id) < before)
    return list(session.scalars(query))


def name_sides(item: ReviewItem, other: Response) -> Sides:
    """What made the two answers of a comparison, its own response first."""
    temperatures = [each.parameters.get("temperature") for each in (item.response, other)]
    makers = [each.adapter or each.base_model for each in (item.response, other)]
    return _name(item.audience, makers[0], makers[1], temperatures[0], temperatures[1])


def _each_pair(session: Session, selection: Selection) -> Iterator[tuple[str, Sides]]:
    """Every comparison of different makers: its item, and what made the two answers."""
    first, second = aliased(Response), aliased(Response)
    makers = func.coalesce(first.adapter, first.base_model), func.coalesce(second.adapter, second.base_model)
    warmth = [each.parameters["temperature"].as_float() for each in (first, second)]
    query = (
        select(ReviewItem.id, ReviewItem.audience, *makers, *warmth)
        .join(first, first.id == ReviewItem.response_id)
        .join(second, second.id == ReviewItem.other_response_id)
        .where(or_(makers[0] != makers[1], func.coalesce(warmth[0], -1) != func.coalesce(warmth[1], -1)))
    )
    if selection.audience is not None:
        query = query.where(ReviewItem.audience == selection.audience)
    if selection.made_by is not None:
        query = query.where(or_(makers[0] == selection.made_by, makers[1] == selection.made_by))
    for item_id, *rest in session.execute(query):
        yield item_id, _name(*rest)


def _name(
    audience: str, first: str, second: str, first_warmth: float | None, second_warmth: float | None
) -> Sides:
    if first != second:
        return Sides(audience, first, second)
    named = ["unknown" if warmth is None else f"{warmth:g}" for warmth in (first_warmth, second_warmth)]
    return Sides(audience, f"{first} at {named[0]}", f"{second} at {named[1]}")


def _chosen(selection: Selection, preference: type[Preference] = Preference) -> list[ColumnElement[bool]]:
    """Conditions of the choices that count."""
    withdrawn = select(Reviewer.id).where(Reviewer.withdrawn_at.is_not(None))
    conditions: list[ColumnElement[bool]] = [preference.reviewer_id.not_in(withdrawn)]
    if selection.since is not None:
        conditions.append(preference.created_at >= selection.since)
    if selection.until is not None:
        conditions.append(preference.created_at < selection.until)
    return conditions

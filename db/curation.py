"""How each judged answer stands by some rules: one SQL expression that counts, pages and freezing share.

The clinical rule of `docs/review.md` is in here and can't be changed by rules: what lets an answer in, and
the vetoes that keep it out.
"""

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session

from db.curation_rules import BASE_ALONE, CurationRules, LeftOut
from db.models import Adapter, Adjudication, Response, Review, Reviewer, ReviewItem, Run
from db.vocabulary import Axis, Disposition, ReviewFlag

Rows = Select[*tuple[Any, ...]]

BETTER, WORSE = "better", "worse"
"""Standings of answers that are taken, as wanted and as not wanted; every other standing is a `LeftOut`."""

# One sum over an item's reviews counts all of these at once, in seven bits each: SQLite then looks each
# review up once, in an index only, which is what makes counting quick. The last two have more room, since
# reviews outside the scope, which `judged` doesn't count, add to them as well.
_ACCEPT, _CORRECT, _OTHERWISE, _REJECT, _UNDER, _SEVERE, _FLAGGED, _IDENTIFIERS = (*range(0, 49, 7), 52)
_BITS = {_FLAGGED: 10, _IDENTIFIERS: 11}
_FEW = 127
"""Judgements of one item that seven bits can count. Items with more, as calibration items gather them, are
looked at more thoroughly: what is counted has 20 bits each, and of all else it is told whether there is any.
"""
_SLOTS = (_ACCEPT, _CORRECT, _OTHERWISE, _REJECT, _UNDER, _SEVERE, _FLAGGED, _IDENTIFIERS)
_COUNTED = {_ACCEPT: 0, _CORRECT: 20, _REJECT: 40}
_CUT_OFF = text("finish_reason <> 'stop'")  # as the partial index has it
_WITHDRAWN = text("withdrawn_at IS NOT NULL")
_JUDGED = text("review_items.judged > 0")
_THUMBED = text("thumb IS NOT NULL")


@dataclass(frozen=True)
class Standing:
    """How one rated answer stands.

    Args:
        value: `BETTER`, `WORSE` or a `LeftOut`.
        accepting: reviewers who let it in, within the rules.
        correcting: those of them who corrected it.
        rejecting: reviewers who rejected it.
        decision: an adjudicator's disposition, when there was one.
        included: whether it was picked by hand.
    """

    item_id: str
    response_id: str
    sent_at: datetime
    value: str
    accepting: int
    correcting: int
    rejecting: int
    decision: str | None
    included: bool


def count_rated(session: Session, rules: CurationRules) -> tuple[Counter[str], int]:
    """How many rated answers stand how; and how many of those that come in do so with a correction."""
    found = standings(rules).subquery()
    query = select(found.c.value, found.c.corrected, func.count()).group_by(found.c.value, found.c.corrected)
    numbers: Counter[str] = Counter()
    corrected = 0
    for value, is_corrected, number in session.execute(query):
        numbers[value] += number
        corrected += number if value == BETTER and is_corrected else 0
    return numbers, corrected


def rated(
    session: Session,
    rules: CurationRules,
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = 1000,
    values: Collection[str] = (),
    corrected: bool = False,
) -> list[Standing]:
    """One page of rated answers, the longest sent first.

    Args:
        session: any session.
        rules: what is asked.
        after: `sent_at` and id of the item before the page.
        limit: most answers.
        values: only these standings; empty for all.
        corrected: only those that come in with a correction.
    """
    found = standings(rules, after, ordered=True).subquery()
    query = select(found).limit(limit)  # in the order of what is beneath; sorting again would read it all
    if values:
        query = query.where(found.c.value.in_(values))
    if corrected:
        query = query.where(found.c.value == BETTER, found.c.corrected)
    return [
        Standing(
            row.item_id, row.response_id, row.sent_at, row.value,
            _read(row, _ACCEPT) + _read(row, _CORRECT), _read(row, _CORRECT), _read(row, _REJECT),
            row.decision, bool(row.included),
        )
        for row in session.execute(query)
    ]  # fmt: skip


def thumbed(rules: CurationRules) -> Select[str]:
    """Ids of the answers that a reader's thumb alone speaks for or against.

    Whoever restricts reviewers wants no unknown reader; a review, of whatever outcome, goes before a thumb.
    """
    if not rules.thumbs or rules.reviewers or rules.verified_only or rules.batches:
        return select(Response.id).where(false())
    reviewed = exists().where(
        ReviewItem.response_id == Response.id, ReviewItem.other_response_id.is_(None), ReviewItem.judged > 0
    )
    query = select(Response.id).where(
        _THUMBED, Response.withdrawn_at.is_(None), ~among(Response.id, rules.exclude), ~reviewed
    )
    query = query.where(or_(Response.thumb == -1, Response.finish_reason == "stop"))
    if rules.answers:
        query = query.where(among(Response.id, rules.answers))
    if rules.audiences:
        query = query.where(Response.audience.in_(rules.audiences))
    return query.where(*_voice(rules)).order_by(Response.id)


def list_voices(
    session: Session,
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Audiences of judged answers; adapters and base models there are; batches they were sent in."""
    audiences = session.scalars(select(ReviewItem.audience).distinct().order_by(ReviewItem.audience))
    batch = ReviewItem.batch
    batches = session.scalars(select(batch).where(batch.is_not(None)).distinct().order_by(batch))
    made = select(Adapter.name, Adapter.base_model).order_by(Adapter.audience, Adapter.version)
    adapters = session.execute(made).all()
    models = session.scalars(select(Run.base_model).distinct())
    return (
        tuple(filter(None, audiences)),
        (BASE_ALONE, *(name for name, _ in adapters)),
        tuple(sorted({*models, *(model for _, model in adapters)})),
        tuple(filter(None, batches)),
    )


def count_thumbed(session: Session, rules: CurationRules) -> int:
    """How many answers a reader's thumb alone speaks for or against."""
    return session.scalar(select(func.count()).select_from(thumbed(rules).order_by(None).subquery())) or 0


def lets_in(rules: CurationRules, *, wanted: bool = True) -> ColumnElement[bool]:
    """Condition on a review: it lets the answer, or its correction, into training.

    Args:
        rules: whose reviewers count.
        wanted: only within the rules' own limits; else whatever the clinical rule allows.
    """
    as_it_is, correcting = _accepting(rules, wanted=wanted)
    return or_(as_it_is, correcting)


def standings(
    rules: CurationRules, after: tuple[datetime, str] | None = None, *, ordered: bool = False
) -> Rows:
    """Every rated answer within the rules' scope, with how it stands; the longest sent first if ordered."""
    tally, counts = _count_reviews(rules)
    decision = (
        select(
            case((Reviewer.withdrawn_at.is_not(None), "withdrawn"), else_=Adjudication.disposition),
        )
        .where(Adjudication.item_id == ReviewItem.id, Reviewer.id == Adjudication.adjudicator_id)
        .scalar_subquery()
    )
    query = select(
        ReviewItem.id.label("item_id"),
        ReviewItem.response_id,
        ReviewItem.sent_at,
        ReviewItem.contested,
        func.coalesce(tally, 0).label("tally"),
        counts.label("counts"),
        decision.label("decision"),
        among(ReviewItem.response_id, rules.include).label("included"),
    ).where(_JUDGED, func.coalesce(ReviewItem.other_response_id, "") == "")
    # Not IS NULL: SQLite would take that column's index and sort everything for the first page.
    query = query.where(or_(and_(*in_scope(rules)), among(ReviewItem.response_id, rules.include)))
    if rules.answers:
        query = query.where(among(ReviewItem.response_id, rules.answers))
    query = after_item(query, after)
    if ordered:
        query = query.order_by(ReviewItem.sent_at, ReviewItem.id)
    # The limit keeps SQLite from merging the queries, which would sum the reviews anew at every mention.
    facts = query.limit(-1).subquery()
    corrected = case(
        (facts.c.decision.is_(None), _count(facts.c, _CORRECT) > 0),
        else_=facts.c.decision == Disposition.ACCEPT_WITH_EDIT,
    )
    judged = select(
        facts.c.item_id, facts.c.response_id, facts.c.sent_at, facts.c.tally, facts.c.counts,
        facts.c.decision, facts.c.included, corrected.label("corrected"),
        _judge(facts.c, corrected, rules).label("value"),
    )  # fmt: skip
    return judged.limit(-1)


def _judge(facts: Any, corrected: ColumnElement[bool], rules: CurationRules) -> ColumnElement[str]:
    """The standing: the order of the conditions is that of `LeftOut`."""
    count = {slot: _count(facts, slot) for slot in _SLOTS}
    taken = count[_ACCEPT] + count[_CORRECT]
    accepted = taken + count[_OTHERWISE]
    vetoed = count[_SEVERE] + count[_UNDER] > 0
    undecided = facts.decision.is_(None)
    cut_off = and_(~corrected, facts.response_id.in_(select(Response.id).where(_CUT_OFF)))
    bounded = and_(undecided, ~facts.included)
    return case(
        (facts.response_id.in_(select(Response.id).where(_WITHDRAWN)), LeftOut.WITHDRAWN),
        (among(facts.response_id, rules.exclude), LeftOut.EXCLUDED),
        (count[_IDENTIFIERS] > 0, LeftOut.IDENTIFIERS),
        (facts.contested, LeftOut.CONTESTED),
        (facts.decision == "withdrawn", LeftOut.WITHDRAWN),
        (facts.decision == Disposition.REJECT, WORSE),
        (facts.decision.not_in([*rules.dispositions]), LeftOut.OUTSIDE),
        (and_(undecided, count[_SEVERE] > 0), LeftOut.SEVERE_HARM),
        (and_(undecided, vetoed), LeftOut.UNDER_TRIAGE),
        (and_(undecided, count[_REJECT] > 0, accepted == 0), WORSE),
        (and_(undecided, count[_REJECT] > rules.max_rejecting), LeftOut.REJECTED),
        (and_(undecided, accepted == 0), LeftOut.NOT_ACCEPTED),
        (and_(bounded, count[_FLAGGED] > 0), LeftOut.FLAGGED),
        (and_(bounded, taken == 0), LeftOut.OUTSIDE),
        (and_(bounded, taken < rules.min_accepting), LeftOut.TOO_FEW),
        (cut_off, LeftOut.CUT_OFF),
        else_=BETTER,
    )


def _count_reviews(rules: CurationRules) -> tuple[ColumnElement[int], ColumnElement[int | None]]:
    """An item's tally; and where seven bits aren't enough, its counts in more bits, else null."""

    def over_reviews(number: ColumnElement[int]) -> ColumnElement[int]:
        return select(number).where(Review.item_id == ReviewItem.id).scalar_subquery()  # correlates

    weight = _weight(rules)

    def find(slot: int) -> ColumnElement[int]:
        return weight.op(">>")(slot).op("&")((1 << _BITS.get(slot, 7)) - 1)

    nothing: ColumnElement[int] = literal_column("0")
    seen = sum(
        (case((func.max(find(slot)) > 0, 1 << slot), else_=0) for slot in _SLOTS if slot not in _COUNTED),
        start=nothing,
    )
    counts = sum((func.sum(find(slot)).op("<<")(bits) for slot, bits in _COUNTED.items()), start=nothing)
    few = ReviewItem.judged <= _FEW
    return (
        case((few, over_reviews(func.sum(weight))), else_=over_reviews(seen)),
        case((few, None), else_=over_reviews(counts)),
    )


def _weight(rules: CurationRules) -> ColumnElement[int]:
    """What one review adds to its item's tally."""
    as_it_is, correcting = _accepting(rules)
    base = or_(*_accepting(rules, wanted=False))
    steps = [
        (and_(cast(Review.flags, Text) != "[]", _flag(ReviewFlag.IDENTIFIERS)), 1 << _IDENTIFIERS),
        (Review.harm == "severe", 1 << _SEVERE),
        (Review.urgency == "under", 1 << _UNDER),
        (as_it_is, 1 << _ACCEPT),
        (correcting, 1 << _CORRECT),
        (and_(Review.disposition == Disposition.REJECT, by_counted(rules)), 1 << _REJECT),
        (base, 1 << _OTHERWISE),
    ]
    # Written out: bound numbers would hide from SQLite that it may compare them as they are.
    weight = case(*((condition, literal_column(str(unit))) for condition, unit in steps), else_=0)
    if not rules.without_flags:
        return weight
    return weight + case((or_(*map(_flag, rules.without_flags)), literal_column(str(1 << _FLAGGED))), else_=0)


def _accepting(
    rules: CurationRules, *, wanted: bool = True
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Conditions on a review: it lets the answer in as it is; it lets its correction in."""
    as_it_is = and_(
        Review.disposition == Disposition.ACCEPT,
        Review.accuracy == "aligned",
        Review.harm == "none",
        Review.wrong_content != "great",
        Review.omission != "great",
    )
    correcting = Review.disposition == Disposition.ACCEPT_WITH_EDIT
    if not wanted:
        standing = by_counted(CurationRules())
        return and_(as_it_is, standing), and_(correcting, standing)
    axes = [getattr(Review, Axis(axis)).in_(values) for axis, values in rules.axes.items() if values]
    allowed = {
        verdict: true() if verdict in rules.dispositions else false()
        for verdict in (Disposition.ACCEPT, Disposition.ACCEPT_WITH_EDIT)
    }
    counted = by_counted(rules)
    return (
        and_(as_it_is, *axes, allowed[Disposition.ACCEPT], counted),
        and_(correcting, allowed[Disposition.ACCEPT_WITH_EDIT], counted),
    )


def by_counted(rules: CurationRules, column: Any = Review.reviewer_id) -> ColumnElement[bool]:
    """Condition: the judgement is by someone whose judgement counts."""
    if not (rules.verified_only or rules.reviewers or rules.without_reviewers):
        # The same, said of the few: looking nothing up in an empty list costs nothing.
        return column.not_in(  # type: ignore[no-any-return]
            select(Reviewer.id).where(Reviewer.withdrawn_at.is_not(None))
        )
    known = select(Reviewer.id).where(Reviewer.withdrawn_at.is_(None))
    if rules.verified_only:
        known = known.where(Reviewer.verified)
    if rules.reviewers:
        known = known.where(or_(Reviewer.name.in_(rules.reviewers), Reviewer.id.in_(rules.reviewers)))
    if rules.without_reviewers:
        out = rules.without_reviewers
        known = known.where(Reviewer.name.not_in(out), Reviewer.id.not_in(out))
    return column.in_(known)  # type: ignore[no-any-return]


def _flag(flag: str) -> ColumnElement[bool]:
    return cast(Review.flags, Text).contains(f'"{flag}"')


def in_scope(rules: CurationRules) -> list[ColumnElement[bool]]:
    """Conditions on an item: the rules ask for answers like this at all."""
    conditions: list[ColumnElement[bool]] = [true()]
    if rules.audiences:
        conditions.append(ReviewItem.audience.in_(rules.audiences))
    if rules.batches:
        conditions.append(ReviewItem.batch.in_(rules.batches))
    if voice := _voice(rules):
        conditions.append(exists().where(Response.id == ReviewItem.response_id, *voice))
    return conditions


def _voice(rules: CurationRules) -> list[ColumnElement[bool]]:
    """Conditions on a response: what answered, and when."""
    conditions: list[ColumnElement[bool]] = []
    if rules.adapters:
        names = [name for name in rules.adapters if name != BASE_ALONE]
        alone = Response.adapter.is_(None) if BASE_ALONE in rules.adapters else false()
        conditions.append(or_(Response.adapter.in_(names), alone))
    if rules.base_models:
        conditions.append(Response.base_model.in_(rules.base_models))
    if rules.since:
        conditions.append(Response.created_at >= datetime.combine(rules.since, time(), UTC))
    if rules.until:
        end = datetime.combine(rules.until, time(), UTC) + timedelta(days=1)
        conditions.append(Response.created_at < end)
    return conditions


def after_item(query: Rows, after: tuple[datetime, str] | None) -> Rows:
    """The query, from the item after this one on: its `sent_at` and id."""
    if after is None:
        return query
    sent_at, item_id = after
    return query.where(
        ReviewItem.sent_at >= sent_at, or_(ReviewItem.sent_at > sent_at, ReviewItem.id > item_id)
    )


def among(column: Any, ids: Collection[str]) -> ColumnElement[bool]:
    """Condition: one of these ids, however many they are (a statement takes only so many parameters)."""
    if not ids:
        return false()
    listed = func.json_each(json.dumps(sorted(ids))).table_valued("value")
    return column.in_(select(listed.c.value))  # type: ignore[no-any-return]


def _count(facts: Any, slot: int) -> ColumnElement[int]:
    """How many reviews of an item count there; of what isn't counted among many, whether there is one."""
    few: ColumnElement[int] = facts.tally.op(">>")(slot).op("&")((1 << _BITS.get(slot, 7)) - 1)
    if slot not in _COUNTED:
        return few
    return func.coalesce(facts.counts.op(">>")(_COUNTED[slot]).op("&")((1 << 20) - 1), few)


def _read(row: Any, slot: int) -> int:
    """The same of a row that was read."""
    if row.counts is None:
        return int(row.tally >> slot & 127)
    return int(row.counts >> _COUNTED[slot] & ((1 << 20) - 1))

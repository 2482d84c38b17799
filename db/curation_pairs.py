"""Pairs of a better and a worse answer: accepted beside rejected, and chosen by whoever compared two."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import String, and_, case, cast, func, select
from sqlalchemy.orm import Session

from db.curation import BETTER, WORSE, Rows, after_item, among, by_counted, in_scope, standings
from db.curation_rules import CurationRules, LeftOut
from db.models import Preference, Response, ReviewItem
from db.vocabulary import PairChoice, Role


@dataclass(frozen=True)
class Vote:
    """How two compared answers stand.

    Args:
        left_out: a `LeftOut`; empty when the pair is taken.
    """

    item_id: str
    sent_at: datetime
    better_id: str
    worse_id: str
    left_out: str
    votes: int
    against: int


@dataclass(frozen=True)
class Match:
    """An accepted and a rejected answer to the same prompt, as items of the queue."""

    better_item: str
    better_id: str
    worse_item: str
    worse_id: str


def matches(session: Session, rules: CurationRules) -> list[Match]:
    """Each rejected answer beside an accepted one to the same conversation, in the order they were sent.

    Several rejected answers to one prompt are spread over those that were accepted.
    """
    better, worse = _by_conversation(session, rules)
    found = []
    for prompt, rejected in worse.items():
        accepted = better.get(prompt, [])
        for number, (_, worse_item, worse_id) in enumerate(rejected if accepted else ()):
            _, better_item, better_id = accepted[number % len(accepted)]
            found.append(Match(better_item, better_id, worse_item, worse_id))
    return found


def count_matches(session: Session, rules: CurationRules) -> int:
    """How many rejected answers stand beside an accepted one."""
    better, worse = _by_conversation(session, rules)
    return sum(len(rejected) for prompt, rejected in worse.items() if prompt in better)


def votes(
    session: Session, rules: CurationRules, *, after: tuple[datetime, str] | None = None, limit: int = 1000
) -> list[Vote]:
    """One page of compared answers with how the reviewers chose, the longest sent first."""
    rows = session.execute(_compared(rules, after).limit(limit)).all()
    vetoes = _vetoed(session, rules, {id for row in rows for id in (row.response_id, row.other_response_id)})
    return [_count_votes(row, rules, vetoes) for row in rows]


def each_vote(session: Session, rules: CurationRules, page: int = 2000) -> Iterator[Vote]:
    """All compared answers, page by page."""
    after = None
    while found := votes(session, rules, after=after, limit=page):
        yield from found
        after = found[-1].sent_at, found[-1].item_id


def first_responses(session: Session, item_ids: Collection[str]) -> dict[str, str]:
    """Of compared items, the answer that `PairChoice.FIRST` means."""
    query = select(ReviewItem.id, ReviewItem.response_id).where(ReviewItem.id.in_(item_ids))
    return dict(session.execute(query).all())


_ByConversation = dict[bytes, list[tuple[datetime, str, str]]]


def _by_conversation(session: Session, rules: CurationRules) -> tuple[_ByConversation, _ByConversation]:
    """Accepted answers to what was rejected too, and the rejected ones; each in order of sending.

    By a hash of audience and turns, system prompts left aside: SQLite, which knows nothing of the texts,
    would compare each with each.
    """
    worse = _group(session, rules, WORSE)
    return (_group(session, rules, BETTER, only=worse) if worse else {}), worse


def _group(
    session: Session, rules: CurationRules, value: str, only: Collection[bytes] | None = None
) -> _ByConversation:
    found = standings(rules).subquery()
    context = cast(Response.context, String)  # as stored: reading half a million of them as JSON takes long
    query = (
        select(found.c.sent_at, found.c.item_id, found.c.response_id, Response.audience, context)
        .join(Response, Response.id == found.c.response_id)
        .where(found.c.value == value)
    )
    grouped: _ByConversation = {}
    for sent_at, item_id, response_id, audience, turns in session.execute(query):
        prompt = blake2b(f"{audience}\n{_without_system(turns)}".encode(), digest_size=16).digest()
        if only is None or prompt in only:
            grouped.setdefault(prompt, []).append((sent_at, item_id, response_id))
    for answers in grouped.values():
        answers.sort()
    return dict(sorted(grouped.items(), key=lambda group: group[1][0]))


def _without_system(context: str) -> str:
    """The conversation that was answered, without its system prompt, as JSON."""
    turns = json.loads(context)
    return json.dumps(turns[1:] if turns and turns[0]["role"] == Role.SYSTEM else turns)


def _compared(rules: CurationRules, after: tuple[datetime, str] | None) -> Rows:
    """Pairs that someone whose judgement counts has compared."""
    counted = by_counted(rules, Preference.reviewer_id)
    chose = [
        func.sum(case((and_(Preference.choice == choice, counted), 1), else_=0)).label(choice.value)
        for choice in PairChoice
        if choice is not PairChoice.BOTH_UNSAFE
    ]
    unsafe = func.sum(case((Preference.choice == PairChoice.BOTH_UNSAFE, 1), else_=0)).label("unsafe")
    query = (
        select(
            ReviewItem.id, ReviewItem.sent_at, ReviewItem.response_id, ReviewItem.other_response_id,
            *chose, unsafe,
        )
        .join(Preference, Preference.item_id == ReviewItem.id)
        .where(ReviewItem.other_response_id.is_not(None), *in_scope(rules))
        .group_by(ReviewItem.sent_at, ReviewItem.id)
        .order_by(ReviewItem.sent_at, ReviewItem.id)
    )  # fmt: skip
    if rules.answers:
        query = query.where(
            among(ReviewItem.response_id, rules.answers),
            among(ReviewItem.other_response_id, rules.answers),
        )
    return after_item(query, after)


def _vetoed(session: Session, rules: CurationRules, ids: Collection[str]) -> dict[str, str]:
    """What speaks against these answers, by response id: why they are out, or that they were rejected."""
    asked = CurationRules(
        answers=tuple(ids), exclude=rules.exclude, max_rejecting=rules.max_rejecting
    )  # the reviews of both are judged by the clinical rule alone
    found = standings(asked).subquery()
    against = (
        LeftOut.WITHDRAWN, LeftOut.EXCLUDED, LeftOut.IDENTIFIERS, LeftOut.CONTESTED, LeftOut.SEVERE_HARM,
        LeftOut.UNDER_TRIAGE, LeftOut.REJECTED, WORSE,
    )  # fmt: skip
    query = select(found.c.response_id, found.c.value).where(found.c.value.in_(against))
    judged = dict(session.execute(query).all()) if ids else {}
    gone = select(Response.id).where(among(Response.id, ids), Response.withdrawn_at.is_not(None))
    return (
        judged
        | dict.fromkeys(set(rules.exclude) & set(ids), LeftOut.EXCLUDED)
        | dict.fromkeys(session.scalars(gone), LeftOut.WITHDRAWN)
    )


def _count_votes(row: Any, rules: CurationRules, against: dict[str, str]) -> Vote:
    first, second, tie = row.first, row.second, row.tie
    better, worse = row.response_id, row.other_response_id
    if second > first:
        better, worse = worse, better
    most = max(first, second)
    left_out = ""
    veto = against.get(better, "") or against.get(worse, "").replace(WORSE, "")
    if veto in (LeftOut.WITHDRAWN, LeftOut.EXCLUDED):
        left_out = veto
    elif row.unsafe:
        left_out = LeftOut.BOTH_UNSAFE
    elif veto:
        left_out = LeftOut.VETOED
    elif 2 * most <= first + second + tie:
        left_out = LeftOut.NO_WINNER
    elif most < rules.min_accepting:
        left_out = LeftOut.TOO_FEW
    return Vote(row.id, row.sent_at, better, worse, left_out, most, min(first, second) + tie)

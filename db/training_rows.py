"""The rows of a training set: judged answers, as conversations to learn from, page by page."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import curation, curation_pairs
from db.curation import BETTER, WORSE, Standing
from db.curation_pairs import Match, Vote
from db.curation_rules import CurationRules, LeftOut, Objective, RowKind
from db.models import Adjudication, Preference, Response, Review
from db.vocabulary import Disposition, FinishReason, PairChoice, Role

PAGE = 1000
"""Answers read at a time: no more than these are held in memory."""

Cursor = tuple[str, str, str]
"""Where a page ended: which kind of candidate, and the two values that its last one is ordered by."""


class TrainingRow(TypedDict):
    """One example that professionals have accepted, and where it comes from."""

    messages: list[dict[str, str]]
    audience: str
    response_id: str
    review_id: str
    further_reviews: str
    adapter: str | None
    base_model: str


By = tuple[str, str]
"""A judgement and who gave it, by their ids."""


@dataclass(frozen=True)
class Candidate:
    """One row as it would stand in a training set, or an answer that stays out.

    Args:
        left_out: why it stays out, a `LeftOut`; empty when it is in.
        kind: why it is in, a `RowKind`; empty when it stays out.
        response_id: the answer learned from.
        messages: the conversation that was answered.
        answer: the text wanted; of one that stays out, the text as generated.
        rejected: a worse answer to the same conversation, for dpo.
        label: whether the answer is wanted, for kto.
        other_response_id: the answer that `rejected` is, when that is an answer of its own.
        review_id: the review, preference or adjudication that let it in; empty for a thumb.
        reviewer_id: who gave it.
        further: the other judgements behind the row: of those who let it in too, who chose or rejected the
            same, or who rejected what it is preferred to.
        accepting: reviewers in favour.
        rejecting: reviewers against.
        included: whether it was picked by hand.
        cursor: for the page after it.
    """

    left_out: str
    kind: str
    response_id: str
    audience: str
    base_model: str
    adapter: str | None
    messages: tuple[dict[str, str], ...]
    answer: str
    rejected: str = ""
    label: bool | None = None
    other_response_id: str = ""
    other_adapter: str | None = None
    review_id: str = ""
    reviewer_id: str = ""
    further: tuple[By, ...] = ()
    accepting: int = 0
    rejecting: int = 0
    included: bool = False
    cursor: Cursor = ("", "", "")

    @property
    def question(self) -> str:
        """The last user turn."""
        return next((turn["content"] for turn in reversed(self.messages) if turn["role"] == Role.USER), "")


@dataclass(frozen=True)
class Judgement:
    """What let an answer in: a review or an adjudication.

    Args:
        further: reviews that let it in as well; of a decision none, since it goes before them.
    """

    judgement_id: str
    reviewer_id: str
    correction: str
    decided: bool
    further: tuple[By, ...] = ()


@dataclass(frozen=True)
class _Answer:
    """What of a response a row needs."""

    id: str
    audience: str
    base_model: str
    adapter: str | None
    question: str
    context: list[Any]
    text: str
    finish_reason: str
    thumb: int | None


def training_rows(session: Session, audience: str | None = None) -> Iterator[TrainingRow]:
    """The answers that reviewers let into training by the plain rules, oldest sent first.

    Args:
        session: any session.
        audience: only this one's answers; None for every audience's.
    """
    for found in select_rows(session, CurationRules(audiences=(audience,) if audience else ())):
        yield TrainingRow(
            messages=[*found.messages, {"role": Role.ASSISTANT.value, "content": found.answer}],
            audience=found.audience,
            response_id=found.response_id,
            review_id=found.review_id,
            further_reviews=" ".join(judgement for judgement, _ in found.further),
            adapter=found.adapter,
            base_model=found.base_model,
        )


def select_rows(session: Session, rules: CurationRules) -> Iterator[Candidate]:
    """Every row that the rules let in; at most a page of them is in memory."""
    return (found for found in candidates(session, rules, only_in=True) if not found.left_out)


def candidates(
    session: Session,
    rules: CurationRules,
    *,
    after: Cursor | None = None,
    only_in: bool = False,
    values: Sequence[str] = (),
) -> Iterator[Candidate]:
    """What the rules look at, with whether and why each is in.

    Args:
        session: any session.
        rules: what is asked.
        after: `Candidate.cursor` of the one before.
        only_in: leave those that stay out away.
        values: of rated answers, only these standings; empty for all.
    """
    kinds = {
        Objective.SFT: (_rated,),
        Objective.KTO: (_rated, _thumbed),
        Objective.DPO: (_rated, _matched, _preferred),
    }[rules.objective]
    begun = after is None
    for kind in kinds:
        if not begun and after is not None and after[0] != kind.__name__:
            continue
        yield from kind(session, rules, None if begun else after, only_in, tuple(values))
        begun = True


def _rated(
    session: Session, rules: CurationRules, after: Cursor | None, only_in: bool, values: tuple[str, ...]
) -> Iterator[Candidate]:
    """Rated answers; for dpo those that were corrected, each beside its original."""
    dpo = rules.objective is Objective.DPO
    if only_in:
        values = (BETTER, WORSE) if rules.objective is Objective.KTO else (BETTER,)
    place = (datetime.fromisoformat(after[1]), after[2]) if after else None
    while found := curation.rated(
        session, rules, after=place, limit=PAGE, values=values, corrected=dpo and only_in
    ):
        yield from _rate(session, rules, found)
        place = found[-1].sent_at, found[-1].item_id


def _rate(session: Session, rules: CurationRules, found: Sequence[Standing]) -> Iterator[Candidate]:
    answers = _read(session, (standing.response_id for standing in found))
    let_in = _judgements(session, rules, [each.item_id for each in found if each.value == BETTER])
    against = (
        _rejections(session, rules, [each.item_id for each in found if each.value == WORSE])
        if rules.objective is Objective.KTO
        else {}
    )
    for standing in found:
        answer = answers[standing.response_id]
        cursor = ("_rated", standing.sent_at.isoformat(), standing.item_id)
        judgement = let_in.get(standing.item_id)
        if standing.value == BETTER and judgement is not None:
            candidate = _take(rules, answer, standing, judgement)
        elif standing.value == WORSE and rules.objective is Objective.KTO:
            first, *others = against[standing.item_id]
            candidate = _candidate(
                answer, kind=RowKind.REJECTED, label=False, review_id=first[0], reviewer_id=first[1],
                further=tuple(others),
            )  # fmt: skip
        else:
            value = {BETTER: LeftOut.NOT_ACCEPTED, WORSE: LeftOut.REJECTED}.get(
                standing.value, standing.value
            )
            candidate = _candidate(answer, left_out=value)
        if candidate is not None:
            yield replace(
                candidate, cursor=cursor, accepting=standing.accepting, rejecting=standing.rejecting,
                included=standing.included,
            )  # fmt: skip


def _take(
    rules: CurationRules, answer: _Answer, standing: Standing, judgement: Judgement
) -> Candidate | None:
    """An accepted answer as a row of the objective; None where it alone says nothing to learn."""
    text = judgement.correction or answer.text
    whole = judgement.correction or answer.finish_reason == FinishReason.STOP
    kind = RowKind.CORRECTED if judgement.correction else RowKind.ACCEPTED
    by: dict[str, Any] = {"review_id": judgement.judgement_id, "reviewer_id": judgement.reviewer_id}
    if not (whole and text.strip()):
        return _candidate(answer, left_out=LeftOut.CUT_OFF)
    if judgement.decided:
        kind = RowKind.DECIDED
    if rules.objective is Objective.DPO:
        if not judgement.correction:
            return None
        if not answer.text.strip() or answer.text.strip() == text.strip():
            return _candidate(answer, left_out=LeftOut.SAME_TEXT)
        # Whoever took the original as it is hasn't said that the correction is better.
        return _candidate(answer, kind=kind, answer=text, rejected=answer.text, **by)
    by["further"] = judgement.further
    label = True if rules.objective is Objective.KTO else None
    return _candidate(answer, kind=kind, answer=text, label=label, **by)


def _matched(
    session: Session, rules: CurationRules, after: Cursor | None, only_in: bool, values: tuple[str, ...]
) -> Iterator[Candidate]:
    """Accepted answers beside rejected ones to the same prompt."""
    found = curation_pairs.matches(session, rules)
    start = next((n + 1 for n, match in enumerate(found) if after and match.worse_item == after[2]), 0)
    for page in _pages(found[start:]):
        answers = _read(session, (id for match in page for id in (match.better_id, match.worse_id)))
        judged = _judgements(session, rules, [match.better_item for match in page])
        against = _rejections(session, rules, [match.worse_item for match in page])
        for match in page:
            yield _match(match, answers, judged, against)


def _match(
    match: Match, answers: dict[str, _Answer], judged: dict[str, Judgement], against: dict[str, list[By]]
) -> Candidate:
    better, worse = answers[match.better_id], answers[match.worse_id]
    judgement = judged.get(match.better_item)
    text = (judgement.correction if judgement else "") or better.text
    cursor = ("_matched", "", match.worse_item)
    if judgement is None or not worse.text.strip() or worse.text.strip() == text.strip():
        return replace(_candidate(better, left_out=LeftOut.SAME_TEXT), cursor=cursor)
    return replace(
        _candidate(
            better, kind=RowKind.MATCHED, answer=text, rejected=worse.text, other_response_id=worse.id,
            other_adapter=worse.adapter, review_id=judgement.judgement_id, reviewer_id=judgement.reviewer_id,
            further=(*judgement.further, *against.get(match.worse_item, ())),
        ),
        cursor=cursor,
    )  # fmt: skip


def _preferred(
    session: Session, rules: CurationRules, after: Cursor | None, only_in: bool, values: tuple[str, ...]
) -> Iterator[Candidate]:
    """Answers that reviewers chose over others."""
    place = (datetime.fromisoformat(after[1]), after[2]) if after else None
    while page := curation_pairs.votes(session, rules, after=place, limit=PAGE):
        taken = [vote for vote in page if not (only_in and vote.left_out)]
        answers = _read(session, (id for vote in taken for id in (vote.better_id, vote.worse_id)))
        chosen = _choices(session, rules, taken)
        yield from (_prefer(vote, answers, chosen) for vote in taken)
        place = page[-1].sent_at, page[-1].item_id


def _prefer(vote: Vote, answers: dict[str, _Answer], chosen: dict[str, list[By]]) -> Candidate:
    better, worse = answers[vote.better_id], answers[vote.worse_id]
    cursor = ("_preferred", vote.sent_at.isoformat(), vote.item_id)
    left_out = vote.left_out
    if not left_out and (better.finish_reason != FinishReason.STOP or not better.text.strip()):
        left_out = LeftOut.CUT_OFF
    if not left_out and better.text.strip() == worse.text.strip():
        left_out = LeftOut.SAME_TEXT
    if left_out:
        candidate = _candidate(better, left_out=left_out, rejected=worse.text, other_response_id=worse.id)
    else:
        (preference, reviewer), *others = chosen[vote.item_id]
        candidate = _candidate(
            better, kind=RowKind.PREFERRED, rejected=worse.text, other_response_id=worse.id,
            other_adapter=worse.adapter, review_id=preference, reviewer_id=reviewer, further=tuple(others),
        )  # fmt: skip
    return replace(candidate, cursor=cursor, accepting=vote.votes, rejecting=vote.against)


def _thumbed(
    session: Session, rules: CurationRules, after: Cursor | None, only_in: bool, values: tuple[str, ...]
) -> Iterator[Candidate]:
    """Answers that a reader's thumb alone speaks for or against."""
    last = after[2] if after else ""
    while ids := list(session.scalars(curation.thumbed(rules).where(Response.id > last).limit(PAGE))):
        for answer in _read(session, ids).values():
            if answer.text.strip():
                candidate = _candidate(answer, kind=RowKind.THUMB, label=answer.thumb == 1)
                yield replace(candidate, cursor=("_thumbed", "", answer.id))
        last = ids[-1]


def _read(session: Session, ids: Iterable[str]) -> dict[str, _Answer]:
    """The responses by id, in the order given."""
    wanted = list(dict.fromkeys(ids))
    query = select(
        Response.id, Response.audience, Response.base_model, Response.adapter, Response.question,
        Response.context, Response.text, Response.finish_reason, Response.thumb,
    ).where(Response.id.in_(wanted))  # fmt: skip
    found = {row.id: _Answer(*row) for row in session.execute(query)}
    return {id: found[id] for id in wanted}


def _judgements(session: Session, rules: CurationRules, item_ids: list[str]) -> dict[str, Judgement]:
    """What lets each item in: the decision, else the newest correction, else the newest review.

    Reviews within the rules' own limits go before others, which only count for answers picked by hand.
    """
    found: dict[str, list[tuple[Any, Judgement]]] = {}
    for order, wanted in enumerate((False, True)):
        query = select(
            Review.item_id, Review.id, Review.reviewer_id, Review.correction, Review.created_at
        ).where(Review.item_id.in_(item_ids), curation.lets_in(rules, wanted=wanted))
        if not wanted and not rules.include:
            continue
        for item_id, review_id, reviewer_id, correction, moment in session.execute(query):
            rank = (order, bool(correction), moment, review_id)
            judgement = Judgement(review_id, reviewer_id, correction or "", decided=False)
            found.setdefault(item_id, []).append((rank, judgement))
    judged = {item_id: _lead(each) for item_id, each in found.items()}
    decisions = select(Adjudication).where(
        Adjudication.item_id.in_(item_ids), Adjudication.disposition != Disposition.REJECT
    )
    for decision in session.scalars(decisions):
        text = decision.correction if decision.disposition == Disposition.ACCEPT_WITH_EDIT else ""
        judged[decision.item_id] = Judgement(decision.id, decision.adjudicator_id, text or "", decided=True)
    return judged


def _lead(found: list[tuple[Any, Judgement]]) -> Judgement:
    """The highest ranked of an item's reviews, which knows of those that let it in by the same limits."""
    ranked = sorted(found, key=lambda each: each[0], reverse=True)
    (order, *_), first = ranked[0]
    others = {
        each.judgement_id: (each.judgement_id, each.reviewer_id)
        for rank, each in ranked[1:]
        if rank[0] == order
    }
    return replace(first, further=tuple(others.values()))


def _rejections(session: Session, rules: CurationRules, item_ids: list[str]) -> dict[str, list[By]]:
    """The rejections of each item that count, the first one first; of a decision against it, that alone."""
    reviews = (
        select(Review.item_id, Review.id, Review.reviewer_id)
        .where(
            Review.item_id.in_(item_ids),
            Review.disposition == Disposition.REJECT,
            curation.by_counted(rules),
        )
        .order_by(Review.created_at, Review.id)
    )
    found: dict[str, list[By]] = {}
    for item_id, review_id, person in session.execute(reviews):
        found.setdefault(item_id, []).append((review_id, person))
    decisions = select(Adjudication).where(Adjudication.item_id.in_(item_ids))
    return found | {each.item_id: [(each.id, each.adjudicator_id)] for each in session.scalars(decisions)}


def _choices(session: Session, rules: CurationRules, votes: Sequence[Vote]) -> dict[str, list[By]]:
    """The choices of each pair's winner, the first one first."""
    asked = {vote.item_id: vote for vote in votes if not vote.left_out}
    query = (
        select(Preference)
        .where(Preference.item_id.in_(asked), curation.by_counted(rules, Preference.reviewer_id))
        .order_by(Preference.created_at, Preference.id)
    )
    firsts = curation_pairs.first_responses(session, asked)
    found: dict[str, list[By]] = {}
    for choice in session.scalars(query):
        is_first = firsts[choice.item_id] == asked[choice.item_id].better_id
        if choice.choice == (PairChoice.FIRST if is_first else PairChoice.SECOND):
            found.setdefault(choice.item_id, []).append((choice.id, choice.reviewer_id))
    return found


def _candidate(of: _Answer, /, **values: Any) -> Candidate:
    """A row of this answer; the conversation is as the engine saw it."""
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in of.context]
    if not turns or turns[-1]["role"] != Role.USER:
        turns.append({"role": Role.USER.value, "content": of.question})
    defaults = {
        "left_out": "", "kind": "", "response_id": of.id, "audience": of.audience,
        "base_model": of.base_model, "adapter": of.adapter, "messages": tuple(turns),
        "answer": of.text,
    }  # fmt: skip
    return Candidate(**(defaults | values))


def _pages(matches: Sequence[Match]) -> Iterator[Sequence[Match]]:
    for start in range(0, len(matches), PAGE):
        yield matches[start : start + PAGE]

"""Two answers to one question, to be compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from db import judgements, responses
from db.errors import InvalidValue, NotFound
from db.models import Assignment, Preference, Response, ReviewItem
from db.review_queue import SWAPPED
from db.vocabulary import OVERLAP, FinishReason, ReviewReason

CHAT = "chat"
"""Origin of answers that this home gave, not imported ones."""

Asked = tuple[str, tuple[tuple[str, str], ...]]
"""An audience, and what was asked for it."""


@dataclass(frozen=True)
class BatchOfPairs:
    """How far the comparisons of one batch are.

    Args:
        batch: its name.
        pairs: sent under it.
        finished: pairs with all the judgements they want, or taken out.
        judgements: given so far, of any pair.
        wanted: judgements asked for in all.
    """

    batch: str
    pairs: int
    finished: int
    judgements: int
    wanted: int


def send(
    session: Session,
    response_id: str,
    other_response_id: str,
    reason: str = ReviewReason.REQUESTED,
    *,
    wanted: int = OVERLAP,
    batch: str | None = None,
) -> ReviewItem:
    """Ask which of two answers is better; a pair that is there already, either way round, stays as it is.

    Args:
        session: a writing session.
        response_id: the one answer.
        other_response_id: the other one.
        reason: a `ReviewReason`.
        wanted: independent judgements asked for.
        batch: name of what is sent together.

    Raises:
        NotFound: there is no such answer.
        InvalidValue: they answer different things, or say the same.
    """
    first, second = responses.get(session, response_id), responses.get(session, other_response_id)
    check(first, second)
    sent = find(session, first.id, second.id)
    if sent is None:
        known = ReviewReason(reason)
        sent = ReviewItem(
            response_id=first.id, other_response_id=second.id, reason=known, priority=known.priority,
            wanted=wanted, audience=first.audience, batch=batch,
        )  # fmt: skip
        session.add(sent)
        session.flush()
    return sent


def find(session: Session, response_id: str, other_response_id: str) -> ReviewItem | None:
    """The item that compares these two answers, either way round; None when there is none."""
    one, other = ReviewItem.response_id, ReviewItem.other_response_id
    return session.scalar(
        select(ReviewItem).where(
            or_(
                (one == response_id) & (other == other_response_id),
                (one == other_response_id) & (other == response_id),
            )
        )
    )


def check(first: Response, second: Response) -> None:
    """Hold two answers against what makes them comparable.

    Raises:
        InvalidValue: another audience or question, or the same text.
    """
    if first.audience != second.audience:
        raise InvalidValue(
            f"Two answers compare only when written for one audience; these are for {first.audience} and "
            f"{second.audience}. Ask the same question for the same audience."
        )
    if asked(first) != asked(second):
        raise InvalidValue(
            "Two answers compare only when the question and the turns before it are the same; these "
            "differ. Ask both the same."
        )
    if first.text.strip() == second.text.strip():
        raise InvalidValue("The two answers are word for word the same: there is nothing to compare.")


def asked(response: Response) -> tuple[tuple[str, str], ...]:
    """What an answer answers: the turns without the system prompt, ending in the question."""
    turns = [(turn["role"], turn["content"]) for turn in response.context if turn["role"] != "system"]
    if not turns or turns[-1][0] != "user":
        turns.append(("user", response.question))
    return tuple(turns)


def show_order(session: Session, item_id: str, reviewer_id: str, random: Random) -> bool:
    """Whether the second answer is shown as A: drawn once for each reviewer, and then kept.

    Args:
        session: a writing session.
        item_id: an item that the reviewer has open.
        reviewer_id: to whom it is shown.
        random: draws.
    """
    judged = judgements.find(session, item_id, reviewer_id)
    if isinstance(judged, Preference):
        return judged.swapped
    assignment = session.get_one(Assignment, (item_id, reviewer_id))
    draft = assignment.draft or {}
    if SWAPPED not in draft:
        draft = {**draft, SWAPPED: random.random() < 0.5}
        assignment.draft = draft
        session.flush()
    return bool(draft[SWAPPED])


def shown_swapped(session: Session, item_id: str, reviewer_id: str) -> bool:
    """Whether the second answer was shown to this reviewer as A.

    Raises:
        NotFound: it was never shown to them.
    """
    judged = judgements.find(session, item_id, reviewer_id)
    if isinstance(judged, Preference):
        return judged.swapped
    assignment = session.get(Assignment, (item_id, reviewer_id))
    if assignment is None or SWAPPED not in (assignment.draft or {}):
        raise NotFound(f"The comparison {item_id!r} isn't open. Open it again, then choose.")
    return bool((assignment.draft or {})[SWAPPED])


def answered_by_both(
    session: Session, adapter: str | None, other_adapter: str | None, audience: str | None
) -> Iterator[tuple[Response, Response]]:
    """The newest whole answers of two adapters to each question that both answered, oldest question first.

    Args:
        session: any session.
        adapter: versioned name; None for the base model alone.
        other_adapter: likewise.
        audience: only this one's answers; None for every audience's.
    """
    first, second = (_newest_answers(session, maker, audience) for maker in (adapter, other_adapter))
    for question, response_id in first.items():
        if question in second:
            yield session.get_one(Response, response_id), session.get_one(Response, second[question])


def _newest_answers(session: Session, adapter: str | None, audience: str | None) -> dict[Asked, str]:
    """Audience and question → response id."""
    query = (
        select(Response)
        .where(
            Response.adapter == adapter if adapter else Response.adapter.is_(None),
            Response.finish_reason == FinishReason.STOP,
            Response.withdrawn_at.is_(None),
        )
        .order_by(Response.created_at, Response.id)
        .execution_options(yield_per=500)
    )
    if audience is not None:
        query = query.where(Response.audience == audience)
    return {(response.audience, asked(response)): response.id for response in session.scalars(query)}


def batches(session: Session, limit: int) -> list[BatchOfPairs]:
    """The batches that compare answers, the latest first."""
    query = (
        select(
            ReviewItem.batch,
            func.count(),
            func.count().filter((ReviewItem.judged >= ReviewItem.wanted) | ReviewItem.closed_at.is_not(None)),
            func.sum(ReviewItem.judged),
            func.sum(ReviewItem.wanted),
        )
        .where(ReviewItem.batch.is_not(None), ReviewItem.other_response_id.is_not(None))
        .group_by(ReviewItem.batch)
        .order_by(func.max(ReviewItem.sent_at).desc(), ReviewItem.batch)
        .limit(limit)
    )
    return [BatchOfPairs(str(row[0]), *(int(number) for number in row[1:])) for row in session.execute(query)]


def asked_in_batch(session: Session, batch: str) -> set[str]:
    """The questions whose answers a batch compares already."""
    query = (
        select(Response.question)
        .join(ReviewItem, ReviewItem.response_id == Response.id)
        .where(ReviewItem.batch == batch, ReviewItem.other_response_id.is_not(None))
    )
    return set(session.scalars(query))


def recent_questions(session: Session, audience: str, limit: int) -> list[str]:
    """The questions that people asked for an audience, each once, the latest first."""
    query = (
        select(Response.question)
        .where(Response.audience == audience, Response.withdrawn_at.is_(None), Response.origin == CHAT)
        .group_by(Response.question)
        .order_by(func.max(Response.created_at).desc(), Response.question)
        .limit(limit)
    )
    return list(session.scalars(query))

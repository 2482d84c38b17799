"""Blind comparisons of a candidate with what is live: which there are, and what reviewers chose."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.models import BlindBatch, Preference, Response, Reviewer, ReviewItem
from db.vocabulary import PairChoice


@dataclass(frozen=True)
class BlindPair:
    """What was chosen of one pair; choices of withdrawn reviewers don't count.

    Args:
        wins: choices for the candidate.
        losses: choices for its opponent.
        unsafe: choices of “both unsafe”.
        finished: it has all the judgements it wants, or was taken out.
    """

    item_id: str
    wins: int
    losses: int
    ties: int
    unsafe: int
    finished: bool


def add(
    session: Session,
    *,
    batch: str,
    audience: str,
    base_model: str,
    candidate: str,
    opponent: str | None,
    questions: Sequence[str],
    by: str,
) -> BlindBatch:
    """Record a blind comparison before its answers are given.

    Args:
        session: a writing session.
        batch: the review items' batch; it should tell nothing.
        candidate: versioned name.
        opponent: likewise; None is the base model alone.
        questions: what both are asked.
        by: who asked for it, as declared.
    """
    made = BlindBatch(
        batch=batch,
        audience=audience,
        base_model=base_model,
        candidate=candidate,
        opponent=opponent,
        questions=list(questions),
        by=by,
    )
    session.add(made)
    session.flush()
    return made


def next_number(session: Session, audience: str) -> int:
    """Numbers an audience's blind comparisons, from 1."""
    counted = select(func.count()).select_from(BlindBatch).where(BlindBatch.audience == audience)
    return (session.scalar(counted) or 0) + 1


def newest(session: Session, candidate: str, opponent: str | None) -> BlindBatch | None:
    """The last comparison of these two; None when there was none."""
    against = BlindBatch.opponent == opponent if opponent else BlindBatch.opponent.is_(None)
    query = (
        select(BlindBatch)
        .where(BlindBatch.candidate == candidate, against)
        .order_by(BlindBatch.created_at.desc())
    )
    return session.scalars(query).first()


def of_candidate(session: Session, candidate: str) -> list[BlindBatch]:
    """Every comparison of a candidate, whatever it was compared with; the oldest first."""
    query = select(BlindBatch).where(BlindBatch.candidate == candidate).order_by(BlindBatch.created_at)
    return list(session.scalars(query))


def keeps_silent(session: Session, batch: str | None) -> bool:
    """Whether a batch is a blind comparison that isn't finished: nobody is told what made its answers."""
    if batch is None or session.get(BlindBatch, batch) is None:
        return False
    waits = ReviewItem.judged < ReviewItem.wanted, ReviewItem.closed_at.is_(None)
    return session.scalar(select(ReviewItem.id).where(ReviewItem.batch == batch, *waits).limit(1)) is not None


def pairs(session: Session, batch: BlindBatch) -> list[BlindPair]:
    """What was chosen of each pair of a batch, those that wait included."""
    first = aliased(Response)
    items = (
        select(ReviewItem, first.adapter)
        .join(first, first.id == ReviewItem.response_id)
        .where(ReviewItem.batch == batch.batch, ReviewItem.other_response_id.is_not(None))
        .order_by(ReviewItem.sent_at, ReviewItem.id)
    )
    chosen = _choices(session, batch.batch)
    found = []
    for item, maker in session.execute(items):
        choices = chosen.get(item.id, {})
        ours, theirs = PairChoice.FIRST, PairChoice.SECOND
        if maker != batch.candidate:
            ours, theirs = theirs, ours
        found.append(
            BlindPair(
                item.id,
                wins=choices.get(ours, 0),
                losses=choices.get(theirs, 0),
                ties=choices.get(PairChoice.TIE, 0),
                unsafe=choices.get(PairChoice.BOTH_UNSAFE, 0),
                finished=item.judged >= item.wanted or item.closed_at is not None,
            )
        )
    return found


def _choices(session: Session, batch: str) -> dict[str, dict[str, int]]:
    """Item → choice → how often."""
    query = (
        select(Preference.item_id, Preference.choice, func.count())
        .join(ReviewItem, ReviewItem.id == Preference.item_id)
        .join(Reviewer, Reviewer.id == Preference.reviewer_id)
        .where(ReviewItem.batch == batch, Reviewer.withdrawn_at.is_(None))
        .group_by(Preference.item_id, Preference.choice)
    )
    found: dict[str, dict[str, int]] = {}
    for item_id, choice, number in session.execute(query):
        found.setdefault(item_id, {})[choice] = number
    return found

"""What a reviewer is shown: blind to the model, the adapter, its settings and everybody else's judgement."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from db.models import Response, ReviewItem
from db.review_queue import SWAPPED
from db.vocabulary import FinishReason, ReviewReason, Role
from elara_ui.services.answers import unverified_references

REASON_SHOWN = "Sent for review"
EMERGENCY_SHOWN = "The question may describe an emergency"
"""Of the reasons for a review only this one can be told: the others say who thought what of the answer."""


@dataclass(frozen=True)
class ContextTurn:
    """A turn before the question."""

    role: Role
    content: str


@dataclass(frozen=True)
class Glance:
    """Figures of an answer that help to judge it.

    Args:
        words: how many.
        reading_grade: Flesch-Kincaid grade; None when too short to say.
        cut_off: whether it was stopped, or met its length limit.
        unverified: references in it that the user's messages don't hold, as written.
    """

    words: int = 0
    reading_grade: float | None = None
    cut_off: bool = False
    unverified: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReviewTask:
    """One answer to judge on the rubric.

    Args:
        item_id: names the task in a `ReviewDraft`.
        context: the turns before the question, oldest first, without the system prompt.
        position: which one it is for this reviewer, from 1.
        total: judged by this reviewer and waiting for them; see `ReviewProgress`.
        reason_shown: why it is asked, as far as that can be said before it is judged.
        glance: figures of the answer.
        draft: what this reviewer has filled in or judged so far, as `save_draft` took it; a judgement made
            before has the names of `ReviewDraft`'s fields. None when nothing.
        judged: whether this reviewer has judged it before, so that submitting changes that.
        language: of the answer, ISO 639-1.
    """

    item_id: str
    audience: str
    question: str
    context: tuple[ContextTurn, ...]
    answer: str
    position: int
    total: int
    reason_shown: str = REASON_SHOWN
    glance: Glance = field(default_factory=Glance)
    draft: Mapping[str, Any] | None = None
    judged: bool = False
    language: str = "en"


@dataclass(frozen=True)
class PairTask:
    """Two answers to one question, to be compared; which is A was drawn once for this reviewer.

    Args:
        item_id: names the task in a `PairDraft`.
        context: the turns before the question, oldest first, without the system prompt.
        position: which one it is for this reviewer, from 1.
        total: judged by this reviewer and waiting for them; see `ReviewProgress`.
        draft: what this reviewer has filled in or chosen so far (``choice`` a, b, tie or both_unsafe;
            ``reason``); None when nothing.
        judged: whether this reviewer has chosen before, so that submitting changes that.
    """

    item_id: str
    audience: str
    question: str
    context: tuple[ContextTurn, ...]
    answer_a: str
    answer_b: str
    position: int
    total: int
    draft: Mapping[str, Any] | None = None
    judged: bool = False


def describe_rating(
    item: ReviewItem, position: int, total: int, draft: Mapping[str, Any] | None, *, judged: bool
) -> ReviewTask:
    """An item of the queue as its reviewer may see it."""
    response = item.response
    return ReviewTask(
        item_id=item.id,
        audience=response.audience,
        question=response.question,
        context=turns_before_question(response),
        answer=response.text,
        position=position,
        total=total,
        reason_shown=EMERGENCY_SHOWN if ReviewReason.RED_FLAG in item.reasons else REASON_SHOWN,
        glance=_glance(response),
        draft=draft,
        judged=judged,
        language=item.language,
    )


def describe_pair(
    item: ReviewItem,
    other: Response,
    position: int,
    total: int,
    draft: Mapping[str, Any] | None,
    *,
    swapped: bool,
    judged: bool,
) -> PairTask:
    """A comparison as its reviewer may see it.

    Args:
        item: with two answers.
        other: the second of them.
        position: see `PairTask`.
        total: see `PairTask`.
        draft: as stored.
        swapped: whether the second answer is shown as A.
        judged: see `PairTask`.
    """
    answers = item.response.text, other.text
    shown = {name: value for name, value in (draft or {}).items() if name != SWAPPED}
    return PairTask(
        item_id=item.id,
        audience=item.response.audience,
        question=item.response.question,
        context=turns_before_question(item.response),
        answer_a=answers[swapped],
        answer_b=answers[not swapped],
        position=position,
        total=total,
        draft=shown or None,
        judged=judged,
    )


def turns_before_question(response: Response) -> tuple[ContextTurn, ...]:
    """The conversation that led to the question; the question itself is shown on its own."""
    turns = [ContextTurn(Role(turn["role"]), turn["content"]) for turn in response.context]
    if turns and turns[-1].role is Role.USER:
        turns.pop()
    return tuple(turn for turn in turns if turn.role is not Role.SYSTEM)


def _glance(response: Response) -> Glance:
    return Glance(
        words=len(response.text.split()),
        reading_grade=response.readability.get("flesch_kincaid_grade"),
        cut_off=response.finish_reason != FinishReason.STOP,
        unverified=tuple(reference.text for reference in unverified_references(response)),
    )

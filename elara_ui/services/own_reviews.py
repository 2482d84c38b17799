"""A reviewer's own judgements: what they were of, and how they came to be what they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.judgements import Judgement
from db.models import Preference
from db.review_queue import SWAPPED
from db.vocabulary import PairChoice, ReviewAction


@dataclass(frozen=True)
class OwnReview:
    """A judgement among one's own.

    Args:
        question: what was asked.
        answer: the answer judged; of a comparison, the first one stored.
        disposition: a `Disposition`; of a comparison, its `PairChoice`.
        adapter: what made the answer: an adapter, or None for the base model alone.
        other_adapter: the same of a comparison's second answer.
        is_pair: whether two answers were compared.
        told: whether what made them is told; not before a blind comparison is finished.
        judged_at: when it was first given.
        edited_at: when it was last changed; None when never.
    """

    item_id: str
    review_id: str
    audience: str
    question: str
    answer: str
    disposition: str
    adapter: str | None
    base_model: str
    judged_at: datetime
    edited_at: datetime | None
    is_pair: bool = False
    other_adapter: str | None = None
    other_base_model: str | None = None
    comment: str = ""
    told: bool = True


@dataclass(frozen=True)
class HistoryEntry:
    """What was once stored of a judgement.

    Args:
        action: submitted, edited or undone.
        content: the judgement as it then stood; of an undoing, what was taken back.
    """

    action: ReviewAction
    content: Mapping[str, Any]
    at: datetime


def describe_own(judgement: Judgement, *, told: bool = True) -> OwnReview:
    """A stored judgement as its author sees it in the list, its item and answers loaded.

    Args:
        judgement: theirs.
        told: whether they may know what made the answers.
    """
    item, response = judgement.item, judgement.item.response
    other = item.other_response
    is_pair = isinstance(judgement, Preference)
    return OwnReview(
        item_id=item.id,
        review_id=judgement.id,
        audience=response.audience,
        question=response.question,
        answer=response.text,
        disposition=judgement.choice if isinstance(judgement, Preference) else judgement.disposition,
        adapter=response.adapter if told else None,
        base_model=response.base_model,
        judged_at=judgement.created_at,
        edited_at=judgement.edited_at,
        is_pair=is_pair,
        other_adapter=other.adapter if other and told else None,
        other_base_model=other.base_model if other else None,
        comment=judgement.reason if isinstance(judgement, Preference) else judgement.comment,
        told=told,
    )


def as_filled_in(content: Mapping[str, Any]) -> dict[str, Any]:
    """A judgement from the history as the form held it: with the names of the drafts' fields.

    Of a comparison the choice is a or b again, as the answers were shown, and `SWAPPED` stays beside it.
    """
    if SWAPPED not in content:
        return {name: value for name, value in content.items() if name != "rubric_version"}
    return {**content, "choice": letter_of(content["choice"], swapped=content[SWAPPED])}


def letter_of(choice: str, *, swapped: bool) -> str:
    """A stored `PairChoice` as it was pressed: a, b, tie or both_unsafe."""
    letters = {PairChoice.FIRST: "ab"[swapped], PairChoice.SECOND: "ba"[swapped]}
    return letters.get(PairChoice(choice), choice)

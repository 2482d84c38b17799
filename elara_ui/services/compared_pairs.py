"""Pairs of answers as insights list them: what made each, and what was chosen."""

from dataclasses import dataclass
from datetime import datetime

from db.models import Preference
from db.pair_figures import MIRRORED, Sides, name_sides
from db.vocabulary import PairChoice


@dataclass(frozen=True)
class PairVote:
    """One reviewer's choice, its author named.

    Args:
        choice: first and second as the pair names them.
    """

    reviewer: str
    verified: bool
    choice: PairChoice
    reason: str
    chosen_at: datetime


@dataclass(frozen=True)
class JudgedPair:
    """Two answers whose comparison is complete.

    Args:
        sides: what made them, in the order of the texts.
        batch: name under which it was sent; empty for none.
        withdrawn: whether either answer has been since.
    """

    item_id: str
    sides: Sides
    question: str
    first_id: str
    first_text: str
    second_id: str
    second_text: str
    batch: str
    withdrawn: bool
    votes: tuple[PairVote, ...]


def describe_judged_pair(newest: Preference, sides: Sides) -> JudgedPair:
    """A comparison with all its choices, its answers in the order of `sides`."""
    item, other = newest.item, newest.item.other_response
    if other is None:
        raise ValueError(f"{item.id} compares nothing")
    answers = (item.response, other)
    turned = name_sides(item, other) != sides
    first, second = reversed(answers) if turned else answers
    votes = tuple(
        PairVote(
            each.reviewer.name,
            each.reviewer.verified,
            _read(each.choice, turned=turned),
            each.reason,
            each.edited_at or each.created_at,
        )
        for each in item.preferences
    )
    return JudgedPair(
        item.id, sides, item.response.question, first.id, first.text, second.id, second.text,
        item.batch or "", any(each.withdrawn_at is not None for each in answers), votes,
    )  # fmt: skip


def _read(choice: str, *, turned: bool) -> PairChoice:
    stored = PairChoice(choice)
    return MIRRORED.get(stored, stored) if turned else stored

"""Which judged answers a training set shall hold, as one value. Knows neither files nor the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from db.vocabulary import Disposition

BASE_ALONE = "base"
"""Among `CurationRules.adapters`: answers of the base model without any adapter."""


class Objective(StrEnum):
    """What is learned from the answers."""

    SFT = "sft"  # to answer like those that are wanted
    DPO = "dpo"  # to prefer the better of two answers
    KTO = "kto"  # to tell wanted answers from others


class RowKind(StrEnum):
    """Why a row is in."""

    ACCEPTED = "accepted"  # reviewers took the answer as it is
    CORRECTED = "corrected"  # a reviewer's corrected text
    DECIDED = "decided"  # an adjudicator's decision
    MATCHED = "matched"  # an accepted and a rejected answer to the same prompt
    PREFERRED = "preferred"  # chosen by reviewers over another answer
    REJECTED = "rejected"  # an example of what is not wanted
    THUMB = "thumb"  # a reader's thumb, up or down


class LeftOut(StrEnum):
    """Why an answer stays out. The first that holds, in this order, is told."""

    WITHDRAWN = "withdrawn"
    EXCLUDED = "excluded"
    IDENTIFIERS = "identifiers"
    CONTESTED = "contested"
    SEVERE_HARM = "severe_harm"
    UNDER_TRIAGE = "under_triage"
    REJECTED = "rejected"
    NOT_ACCEPTED = "not_accepted"
    FLAGGED = "flagged"
    OUTSIDE = "outside"
    TOO_FEW = "too_few"
    CUT_OFF = "cut_off"
    BOTH_UNSAFE = "both_unsafe"
    NO_WINNER = "no_winner"
    VETOED = "vetoed"
    SAME_TEXT = "same_text"


@dataclass(frozen=True)
class CurationRules:
    """What to take. Empty means no limit; the vetoes hold whatever is written here.

    Args:
        objective: what the rows are for.
        audiences: for whom the answers were written.
        adapters: versioned names of what answered; ``base`` for the base model alone.
        base_models: catalogue ids.
        batches: names under which answers were sent to review together.
        since: answers given on this day or later, UTC.
        until: answers given on this day or before, UTC.
        dispositions: the verdicts that let an answer in.
        axes: axis → the values an answer taken as it is may have on it; a correction was not rated.
        min_accepting: how many reviewers must have let it in (of two answers: chosen the better).
        max_rejecting: how many may have rejected it all the same.
        without_flags: review flags that keep an answer out, beside identifiers.
        reviewers: names or ids of those whose judgement counts; a veto counts whoever gave it.
        without_reviewers: names or ids of those whose judgement doesn't.
        verified_only: count only reviewers whose registration was verified.
        thumbs: for kto, take readers' thumbs on answers that nobody has reviewed.
        answers: ids of the only answers to look at.
        include: response id → why it comes in although the limits above leave it out. It must have been
            accepted by someone, and no veto gives way.
        exclude: response id → why it stays out.
        eval_fraction: share of the rows held out, by clusters of alike prompts.
        seed: of the draw.
    """

    objective: Objective = Objective.SFT
    audiences: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    dispositions: tuple[Disposition, ...] = (Disposition.ACCEPT, Disposition.ACCEPT_WITH_EDIT)
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    min_accepting: int = 1
    max_rejecting: int = 0
    without_flags: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    without_reviewers: tuple[str, ...] = ()
    verified_only: bool = False
    thumbs: bool = True
    answers: tuple[str, ...] = ()
    include: Mapping[str, str] = field(default_factory=dict)
    exclude: Mapping[str, str] = field(default_factory=dict)
    eval_fraction: float = 0.1
    seed: int = 42

"""A judgement as filled in, and what the rubric asks of it."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from db.models import Review
from db.vocabulary import HARM_LIKELIHOOD, OVERLAP, RUBRIC, RUBRIC_VERSION, Axis, Disposition, ReviewFlag
from elara_ui.errors import InvalidInput

REVIEWER_LIMIT = 120
TEXT_LIMIT = 20_000
"""Characters of a correction, and of a comment."""

WANTED_LIMIT = 20
"""Most judgements asked for of one item."""

DRAFT_LIMIT = 4 * TEXT_LIMIT
"""Characters of a draft as JSON."""

HARMS = ("mild", "moderate", "severe")
"""The harms whose likelihood is asked."""


@dataclass(frozen=True)
class ReviewDraft:
    """A judgement as filled in, not yet checked.

    Args:
        item_id: from the `ReviewTask`.
        reviewer: declared name or pseudonym.
        disposition: a `Disposition`.
        answers: axis → value of `RUBRIC`; every axis, unless the matter is out of scope.
        harm_likelihood: low, medium or high; exactly when harm is mild or more.
        correction: the whole corrected answer, for accept_with_edit.
        flags: `ReviewFlag` values.
        comment: free text.
        seconds: from opening the task to submitting, s.
    """

    item_id: str
    reviewer: str
    disposition: str
    answers: Mapping[str, str | None] = field(default_factory=dict)
    harm_likelihood: str | None = None
    correction: str | None = None
    flags: Collection[str] = ()
    comment: str = ""
    seconds: float | None = None


def check_reviewer(name: str) -> str:
    """A reviewer's name without surplus space.

    Raises:
        InvalidInput: it isn't 1 to 120 characters long.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= REVIEWER_LIMIT:
        raise InvalidInput(
            f"A reviewer's name has 1 to {REVIEWER_LIMIT} characters; this one has {len(name)}. "
            "Enter your name or a pseudonym."
        )
    return name


def check_unfinished(content: Mapping[str, Any]) -> dict[str, Any]:
    """A draft that can be kept; what is in it isn't judged yet.

    Raises:
        InvalidInput: it is too long, or holds what JSON can't.
    """
    try:
        written = json.dumps(dict(content), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"A draft holds only text, numbers and lists, but {error}. Leave that out."
        ) from error
    if len(written) > DRAFT_LIMIT:
        raise InvalidInput(
            f"A draft has at most {DRAFT_LIMIT:,} characters; this one has {len(written):,}. Shorten it."
        )
    kept: dict[str, Any] = json.loads(written)
    return kept


def check_draft(draft: ReviewDraft, answer: str) -> Review:
    """Hold a judgement against the rubric.

    Args:
        draft: as filled in.
        answer: the text that was judged.

    Returns:
        The review, not stored yet. Axes may be None only when the matter is out of scope.

    Raises:
        InvalidInput: a rule is broken; the message says which and what to do.
    """
    disposition = Disposition(choose("Verdict", draft.disposition, tuple(Disposition)))
    axes = _check_axes(draft.answers, required=disposition is not Disposition.OUT_OF_SCOPE)
    return Review(
        item_id=draft.item_id,
        rubric_version=RUBRIC_VERSION,
        **axes,
        harm_likelihood=_check_likelihood(draft.harm_likelihood, axes[Axis.HARM], disposition),
        disposition=disposition,
        correction=check_correction(draft.correction, answer, disposition),
        flags=sorted({choose("Flag", flag, tuple(ReviewFlag)) for flag in draft.flags}),
        comment=check_length("comment", draft.comment.strip()),
        seconds=check_seconds(draft.seconds),
    )


def _check_axes(answers: Mapping[str, str | None], *, required: bool) -> dict[str, str | None]:
    """The seven answers by axis, each one of its scale's values."""
    for name in answers:
        choose("Axis", name, tuple(Axis))
    missing = [scale.title for scale in RUBRIC if not answers.get(scale.axis)]
    if required and missing:
        raise InvalidInput(
            f"Every axis needs an answer before this verdict; missing: {', '.join(missing)}. "
            "Answer them, or choose 'Outside my scope'."
        )
    return {
        scale.axis.value: choose(scale.title, value, scale.values)
        if (value := answers.get(scale.axis))
        else None
        for scale in RUBRIC
    }


def _check_likelihood(likelihood: str | None, harm: str | None, disposition: Disposition) -> str | None:
    """The likelihood of harm: there exactly when there is harm (one out of scope may leave it)."""
    if not likelihood:
        if harm in HARMS and disposition is not Disposition.OUT_OF_SCOPE:
            raise InvalidInput(
                f"From mild harm up, say how likely it is; harm is {harm} and no likelihood is chosen. "
                "Choose low, medium or high."
            )
        return None
    if harm not in HARMS:
        raise InvalidInput(
            f"Likelihood belongs to mild harm or more; harm is {harm or 'unanswered'}. Clear the likelihood."
        )
    return choose("Likelihood", likelihood, tuple(choice.value for choice in HARM_LIKELIHOOD))


def check_correction(correction: str | None, answer: str, disposition: Disposition) -> str | None:
    """The corrected text that accept_with_edit needs; dropped for reject and out_of_scope."""
    corrected = check_length("correction", (correction or "").replace("\r\n", "\n").strip())
    changed = corrected not in ("", answer.replace("\r\n", "\n").strip())
    if disposition is Disposition.ACCEPT and changed:
        raise InvalidInput(
            "Accept takes the answer as it is, but its text was changed. Choose 'Accept with edit', "
            "or restore the text."
        )
    if disposition is not Disposition.ACCEPT_WITH_EDIT:
        return None
    if not changed:
        raise InvalidInput(
            "Accept with edit needs a corrected text that differs from the answer; this one is "
            f"{'the same' if corrected else 'empty'}. Edit it, or choose 'Accept'."
        )
    return corrected


def check_length(what: str, text: str) -> str:
    """The text, unless it is too long."""
    if len(text) > TEXT_LIMIT:
        raise InvalidInput(
            f"A {what} has at most {TEXT_LIMIT:,} characters; this one has {len(text):,}. Shorten it."
        )
    return text


def check_seconds(seconds: float | None) -> float | None:
    """The time taken, unless it can't be one."""
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidInput(f"The seconds taken are 0 or more; got {seconds}. Leave them out.")
    return seconds


def choose(what: str, value: str, allowed: tuple[str, ...]) -> str:
    """The value, when it is an allowed one."""
    if value not in allowed:
        raise InvalidInput(f"{what} is one of {', '.join(allowed)}; got {value!r}. Choose one of these.")
    return str(value)


def check_wanted(wanted: int | None) -> int:
    """How many judgements are asked for.

    Raises:
        InvalidInput: none, or more than anyone will give.
    """
    if wanted is None:
        return OVERLAP
    if not 1 <= wanted <= WANTED_LIMIT:
        raise InvalidInput(
            f"Of an answer 1 to {WANTED_LIMIT} judgements can be wanted; got {wanted}. Leave it "
            f"out for {OVERLAP}."
        )
    return wanted

"""Professional review: sending answers in, judging them blind, and exporting what was accepted."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from db import reviewers
from db import reviews as review_store
from db.home import Home
from db.models import Response, Review
from db.reviews import ReviewProgress
from db.session import Database
from db.training_rows import training_rows
from db.vocabulary import HARM_LIKELIHOOD, RUBRIC, RUBRIC_VERSION, Axis, Disposition, ReviewFlag, Role
from elara_ui.errors import InvalidInput
from elara_ui.services.files import Document, write_atomically

REVIEWER_LIMIT = 120
TEXT_LIMIT = 20_000
"""Characters of a correction, and of a comment."""

HARMS = ("mild", "moderate", "severe")
"""The harms whose likelihood is asked."""


@dataclass(frozen=True)
class ContextTurn:
    """A turn before the question."""

    role: Role
    content: str


@dataclass(frozen=True)
class ReviewTask:
    """What a reviewer sees. Blind: neither model nor adapter nor anyone else's judgement.

    Args:
        item_id: names the task in a `ReviewDraft`.
        context: the turns before the question, oldest first, without the system prompt.
        position: which one it is for this reviewer, from 1.
        total: answers in the queue, judged or not.
    """

    item_id: str
    audience: str
    question: str
    context: tuple[ContextTurn, ...]
    answer: str
    position: int
    total: int


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


@dataclass(frozen=True)
class SubmittedReview:
    """What a reviewer learns once the judgement is stored.

    Args:
        adapter: versioned name of the adapter that answered; None for the base model alone.
        base_model: catalogue id.
    """

    review_id: str
    adapter: str | None
    base_model: str


@dataclass(frozen=True)
class ExportResult:
    """A written export: where, and how many training rows."""

    path: Path
    rows: int


class ReviewingService:
    """The review queue as people use it.

    Args:
        database: where responses and reviews are.
        home: whose exports folder receives files.
    """

    def __init__(self, database: Database, home: Home) -> None:
        self._database = database
        self._home = home

    def send(self, response_id: str, reason: str = "requested") -> str:
        """Put an answer in the queue; sending it again changes nothing.

        Args:
            response_id: the answer.
            reason: a `ReviewReason`.

        Returns:
            The item's id.

        Raises:
            NotFound: there is no such answer.
        """
        with self._database.session() as session:
            return review_store.send(session, response_id, reason).id

    def next(self, reviewer: str, skip: Collection[str] = ()) -> ReviewTask | None:
        """What the reviewer should judge next; None when nothing is left.

        Args:
            reviewer: declared name; answers this one has judged don't come back.
            skip: item ids to leave for later.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(reviewer)
        with self._database.reading() as session:
            item = review_store.next_item(session, name, skip)
            if item is None:
                return None
            done = review_store.progress(session, name)
            return ReviewTask(
                item_id=item.id,
                audience=item.response.audience,
                question=item.response.question,
                context=_turns_before_question(item.response),
                answer=item.response.text,
                position=done.done_by_me + 1,
                total=done.total,
            )

    def submit(self, draft: ReviewDraft) -> SubmittedReview:
        """Check a judgement against the rubric and store it.

        Returns:
            What made the answer: hidden until now.

        Raises:
            InvalidInput: the draft breaks a rule of the rubric; nothing is stored.
            NotFound: the item isn't in the queue.
            Conflict: this reviewer has judged the answer before.
        """
        with self._database.session() as session:
            response = review_store.item(session, draft.item_id).response
            review = check_draft(draft, response.text)
            review.reviewer_id = reviewers.ensure(session, check_reviewer(draft.reviewer)).id
            review_store.submit(session, review)
            return SubmittedReview(review.id, response.adapter, response.base_model)

    def progress(self, reviewer: str) -> ReviewProgress:
        """How many answers the reviewer has judged and has left.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(reviewer)
        with self._database.reading() as session:
            return review_store.progress(session, name)

    def export(self, path: Path | None = None) -> ExportResult:
        """Write the accepted and corrected answers as JSONL training rows.

        Args:
            path: the file to write, replaced if there; None for a new one in ELARA_HOME's exports.

        Returns:
            The file and its rows; none is an empty file.

        Raises:
            StorageError: the file can't be written; what stood there stays.
        """
        document = self.write_rows()
        target = path or self._home.exports / document.name
        return ExportResult(write_atomically(target, document.text), document.text.count("\n"))

    def write_rows(self) -> Document:
        """The accepted and corrected answers as JSONL training rows, for a browser; may be empty."""
        with self._database.reading() as session:
            lines = [json.dumps(row, ensure_ascii=False) for row in training_rows(session)]
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        return Document(f"reviews-{stamp}.jsonl", "".join(f"{line}\n" for line in lines))


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
    disposition = Disposition(_choose("Verdict", draft.disposition, tuple(Disposition)))
    axes = _check_axes(draft.answers, required=disposition is not Disposition.OUT_OF_SCOPE)
    return Review(
        item_id=draft.item_id,
        rubric_version=RUBRIC_VERSION,
        **axes,
        harm_likelihood=_check_likelihood(draft.harm_likelihood, axes[Axis.HARM], disposition),
        disposition=disposition,
        correction=_check_correction(draft.correction, answer, disposition),
        flags=sorted({_choose("Flag", flag, tuple(ReviewFlag)) for flag in draft.flags}),
        comment=_check_length("comment", draft.comment.strip()),
        seconds=_check_seconds(draft.seconds),
    )


def _check_axes(answers: Mapping[str, str | None], *, required: bool) -> dict[str, str | None]:
    """The seven answers by axis, each one of its scale's values."""
    for name in answers:
        _choose("Axis", name, tuple(Axis))
    missing = [scale.title for scale in RUBRIC if not answers.get(scale.axis)]
    if required and missing:
        raise InvalidInput(
            f"Every axis needs an answer before this verdict; missing: {', '.join(missing)}. "
            "Answer them, or choose 'Outside my scope'."
        )
    return {
        scale.axis.value: _choose(scale.title, value, scale.values)
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
    return _choose("Likelihood", likelihood, tuple(choice.value for choice in HARM_LIKELIHOOD))


def _check_correction(correction: str | None, answer: str, disposition: Disposition) -> str | None:
    """The corrected text that accept_with_edit needs; dropped for reject and out_of_scope."""
    corrected = _check_length("correction", (correction or "").replace("\r\n", "\n").strip())
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


def _check_length(what: str, text: str) -> str:
    """The text, unless it is too long."""
    if len(text) > TEXT_LIMIT:
        raise InvalidInput(
            f"A {what} has at most {TEXT_LIMIT:,} characters; this one has {len(text):,}. Shorten it."
        )
    return text


def _check_seconds(seconds: float | None) -> float | None:
    """The time taken, unless it can't be one."""
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidInput(f"The seconds taken are 0 or more; got {seconds}. Leave them out.")
    return seconds


def _choose(what: str, value: str, allowed: tuple[str, ...]) -> str:
    """The value, when it is an allowed one."""
    if value not in allowed:
        raise InvalidInput(f"{what} is one of {', '.join(allowed)}; got {value!r}. Choose one of these.")
    return str(value)


def _turns_before_question(response: Response) -> tuple[ContextTurn, ...]:
    """The conversation that led to the question; the question itself is shown on its own."""
    turns = [ContextTurn(Role(turn["role"]), turn["content"]) for turn in response.context]
    if turns and turns[-1].role is Role.USER:
        turns.pop()
    return tuple(turn for turn in turns if turn.role is not Role.SYSTEM)

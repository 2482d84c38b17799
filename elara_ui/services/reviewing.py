"""Professional review as people use it: sending answers in, judging them blind, changing, undoing, export."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import SystemRandom
from typing import Any

from sqlalchemy.orm import Session

from db import blind_batches, judgements, pairs, review_progress, review_queue, reviewers
from db import reviews as review_store
from db.home import Home
from db.models import Assignment, Reviewer, ReviewItem, utc_now
from db.review_progress import QueueFigures, ReviewProgress
from db.session import Database
from db.training_rows import training_rows
from db.vocabulary import ReviewAction
from elara_ui.clinical.identifiers import redact
from elara_ui.errors import InvalidInput
from elara_ui.services.blindness import hidden_from
from elara_ui.services.calibration import CalibrationResult, compare_submitted
from elara_ui.services.empty_queue import explain
from elara_ui.services.files import Document, write_atomically
from elara_ui.services.identifier_guard import Handling, check_export
from elara_ui.services.own_reviews import HistoryEntry, OwnReview, as_filled_in, describe_own
from elara_ui.services.review_drafts import (
    HARMS,
    ReviewDraft,
    check_draft,
    check_reviewer,
    check_unfinished,
    check_wanted,
)
from elara_ui.services.review_tasks import (
    ContextTurn,
    Glance,
    PairTask,
    ReviewTask,
    describe_pair,
    describe_rating,
)

__all__ = [
    "HARMS",
    "ContextTurn",
    "ExportResult",
    "Glance",
    "HistoryEntry",
    "OwnReview",
    "PairTask",
    "ReviewDraft",
    "ReviewTask",
    "ReviewingService",
    "SubmittedReview",
]

UNDO_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class SubmittedReview:
    """What a reviewer learns once the judgement is stored.

    Args:
        adapter: versioned name of the adapter that answered; None for the base model alone.
        base_model: catalogue id.
        calibration: how it stands to the known judgement, where there is one.
        changed: whether an earlier judgement was changed by it.
    """

    review_id: str
    adapter: str | None
    base_model: str
    calibration: CalibrationResult | None = None
    changed: bool = False


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
        self._random = SystemRandom()  # draws which of two answers is shown as A

    def send(
        self,
        response_id: str,
        reason: str = "requested",
        *,
        wanted: int | None = None,
        specialty: str = "",
        language: str = "en",
        batch: str | None = None,
    ) -> str:
        """Put an answer in the queue; sending it again puts it there no second time.

        Args:
            response_id: the answer.
            reason: a `ReviewReason`; a more pressing one moves an answer that is there forward.
            wanted: independent judgements asked for; `OVERLAP` if not given.
            specialty: whom it is for; empty for anyone.
            language: of the answer, ISO 639-1.
            batch: name of what is sent together.

        Returns:
            The item's id.

        Raises:
            NotFound: there is no such answer.
            InvalidInput: `wanted` is out of range.
        """
        wanted = check_wanted(wanted)
        with self._database.session() as session:
            sent = review_store.send(
                session, response_id, reason, wanted=wanted,
                specialty=specialty, language=language, batch=batch,
            )  # fmt: skip
            return sent.id

    def next(self, reviewer: str) -> ReviewTask | PairTask | None:
        """What the reviewer should judge next, reserved for them for 20 minutes; None when there is nothing.

        What they have open comes first, with its draft; `why_nothing` explains None.

        Args:
            reviewer: declared name.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(reviewer)
        with self._database.session() as session:
            person = reviewers.ensure(session, name)
            if person.withdrawn_at is not None:
                return None
            progress = review_progress.progress(session, person)
            item = review_queue.take_next(session, person, progress.done_by_me)
            return self._show(session, person, item, progress) if item else None

    def open(self, reviewer: str, item_id: str) -> ReviewTask | PairTask:
        """Go to a certain item: one's own judgement of it is filled in as a draft.

        Args:
            reviewer: declared name.
            item_id: one judged before, or one to judge, which is then reserved.

        Raises:
            InvalidInput: the name is empty or too long.
            NotFound: there is no such item.
            Conflict: others have its places.
        """
        name = check_reviewer(reviewer)
        with self._database.session() as session:
            person = reviewers.ensure(session, name)
            item = review_queue.open_item(session, person, item_id)
            return self._show(session, person, item, review_progress.progress(session, person))

    def why_nothing(self, reviewer: str) -> str:
        """Why `next` gives this reviewer nothing now, in a sentence or two.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(reviewer)
        with self._database.reading() as session:
            person = reviewers.find(session, name) or Reviewer(id="", name=name, specialty="")
            if person.withdrawn_at is not None:
                return (
                    "This reviewer has been withdrawn, so no answers are handed out. Ask whoever runs this "
                    "Elara if that is wrong."
                )
            return explain(review_progress.blocked(session, person), person)

    def save_draft(self, reviewer: str, item_id: str, content: Mapping[str, Any]) -> bool:
        """Keep what is filled in so far; the reservation begins anew.

        Args:
            reviewer: declared name.
            item_id: an item they have open.
            content: the whole form; best with the names of `ReviewDraft`'s or `PairDraft`'s fields.

        Returns:
            False when the item isn't open (any more), as when a late draft follows its submission.

        Raises:
            InvalidInput: the draft is too long.
        """
        name, draft = check_reviewer(reviewer), check_unfinished(content)
        with self._database.session() as session:
            person = reviewers.ensure(session, name)
            return review_queue.save_draft(session, item_id, person.id, draft)

    def skip(self, reviewer: str, item_id: str) -> None:
        """Leave an item for later: the place is free for others, and it comes back after all else.

        Skipping an item judged before leaves that judgement as it was.

        Raises:
            NotFound: there is no such item.
        """
        name = check_reviewer(reviewer)
        with self._database.session() as session:
            review_store.item(session, item_id)
            review_queue.skip(session, item_id, reviewers.ensure(session, name).id)

    def submit(self, draft: ReviewDraft) -> SubmittedReview:
        """Check a judgement against the rubric and store it, or change the one given before.

        A judgement always counts, even when its reservation had run out and others filled the places.

        Returns:
            What made the answer: hidden until now.

        Raises:
            InvalidInput: the draft breaks a rule of the rubric; nothing is stored.
            NotFound: the item isn't in the queue.
        """
        name = check_reviewer(draft.reviewer)
        with self._database.session() as session:
            item = review_store.item(session, draft.item_id)
            if item.other_response_id is not None:
                raise InvalidInput(f"{draft.item_id!r} compares two answers. Choose one of them instead.")
            review = check_draft(draft, item.response.text)
            person = reviewers.ensure(session, name)
            earlier = judgements.find(session, item.id, person.id)
            if earlier is None:
                review.reviewer_id = person.id
                review_store.submit(session, review)
            else:  # a second press of the button has the same contents, and that is no change
                judgements.change(session, earlier, judgements.content_of(review))
            return SubmittedReview(
                review_id=earlier.id if earlier else review.id,
                adapter=item.response.adapter,
                base_model=item.response.base_model,
                calibration=compare_submitted(session, item, person.id, judgements.content_of(review)),
                changed=earlier is not None,
            )

    def undo(self, reviewer: str) -> str | None:
        """Take back the reviewer's latest submission or change, if it was within the last 10 minutes.

        What was taken back is a draft again; after the undoing of a change the judgement before it stands.

        Returns:
            The item, to `open`; None when there is nothing to take back.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(reviewer)
        with self._database.session() as session:
            person = reviewers.ensure(session, name)
            act = judgements.last_act(session, person.id, utc_now() - UNDO_WITHIN)
            if act is None:
                return None
            judgements.take_back(session, act)
            item_id = act.event.item_id
            if act.before is None:
                review_queue.reserve(session, item_id, person.id, utc_now())
            else:
                review_queue.open_item(session, person, item_id)
            review_queue.save_draft(session, item_id, person.id, as_filled_in(act.event.content))
            return item_id

    def mine(
        self, reviewer: str, limit: int = 50, offset: int = 0, *, disposition: str | None = None
    ) -> list[OwnReview]:
        """One's own judgements, newest first, with what made the answers.

        Args:
            reviewer: declared name.
            limit: most of them.
            offset: leave so many of the newest out.
            disposition: only those with this verdict (or this choice between two answers).
        """
        name = check_reviewer(reviewer)
        with self._database.reading() as session:
            person = reviewers.find(session, name)
            if person is None:
                return []
            found = judgements.by_reviewer(session, person.id, limit, offset, disposition)
            silent = {
                batch
                for batch in {judgement.item.batch for judgement in found}
                if blind_batches.keeps_silent(session, batch)
            }
            return [describe_own(each, told=each.item.batch not in silent) for each in found]

    def history(self, reviewer: str, item_id: str) -> list[HistoryEntry]:
        """Everything the reviewer did with one item, oldest first."""
        name = check_reviewer(reviewer)
        with self._database.reading() as session:
            person = reviewers.find(session, name)
            events = judgements.history(session, item_id, person.id) if person else []
            return [HistoryEntry(ReviewAction(e.action), e.content, e.created_at) for e in events]

    def progress(self, reviewer: str) -> ReviewProgress:
        """How many answers the reviewer has judged and has left, in all and by batch.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(reviewer)
        with self._database.reading() as session:
            person = reviewers.find(session, name) or Reviewer(id="", name=name, specialty="")
            progress = review_progress.progress(session, person)
            return ReviewProgress(
                progress.done_by_me,
                progress.waiting_for_me,
                progress.total,
                review_progress.batches(session, person.id),
            )

    def figures(self) -> QueueFigures:
        """The queue as a whole, counted."""
        with self._database.reading() as session:
            return review_progress.figures(session)

    def export(self, path: Path | None = None, identifiers: Handling = Handling.ASK) -> ExportResult:
        """Write the accepted and corrected answers as JSONL training rows.

        Args:
            path: the file to write, replaced if there; None for a new one in ELARA_HOME's exports.
            identifiers: what becomes of likely ones in them.

        Returns:
            The file and its rows; none is an empty file.

        Raises:
            IdentifiersFound: there are some, and they were not decided about.
            StorageError: the file can't be written; what stood there stays.
        """
        document = self.write_rows(identifiers)
        target = path or self._home.exports / document.name
        return ExportResult(write_atomically(target, document.text), document.text.count("\n"))

    def write_rows(self, identifiers: Handling = Handling.ASK, *, reviewer: str | None = None) -> Document:
        """The accepted and corrected answers as JSONL training rows, for a browser; may be empty.

        Args:
            identifiers: what becomes of likely ones in them.
            reviewer: declared name of who gets them: answers that someone is still to judge blind are left
                out, unless they have judged them themselves. None for whoever runs this Elara: all of them.

        Raises:
            IdentifiersFound: there are some, and they were not decided about.
        """
        with self._database.reading() as session:
            rows = list(training_rows(session))
            hidden = hidden_from(session, reviewer, [row["response_id"] for row in rows])
            rows = [row for row in rows if row["response_id"] not in hidden]
        texts = ("\n".join(turn["content"] for turn in row["messages"]) for row in rows)
        check_export(texts, identifiers, "This export")
        if identifiers is Handling.REDACT:
            for row in rows:
                row["messages"] = [turn | {"content": redact(turn["content"])} for turn in row["messages"]]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        return Document(f"reviews-{stamp}.jsonl", "".join(f"{line}\n" for line in lines))

    def _show(
        self, session: Session, person: Reviewer, item: ReviewItem, progress: ReviewProgress
    ) -> ReviewTask | PairTask:
        """An item that the reviewer has open, as they may see it."""
        judged = judgements.find(session, item.id, person.id)
        filled = as_filled_in(judgements.content_of(judged)) if judged else None
        assignment = session.get(Assignment, (item.id, person.id))
        draft = (assignment.draft if assignment else None) or filled
        place = progress.done_by_me + (judged is None), progress.total
        if item.other_response is None:
            return describe_rating(item, *place, draft, judged=judged is not None)
        swapped = pairs.show_order(session, item.id, person.id, self._random)
        return describe_pair(
            item, item.other_response, *place, draft, swapped=swapped, judged=judged is not None
        )

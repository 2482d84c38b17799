"""What happens on the reviewer's desk: each handler makes one service call and paints what comes of it."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.review_tasks import PairTask, ReviewTask
from elara_ui.tabs import pair_view, review_content, review_form, review_view, standing_view
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, unchanged

TRAIL = 50
"""Items that Back remembers in one browser tab."""

NOTHING_TO_UNDO = (
    "Undo takes back your latest judgement within 10 minutes, and there is none. Older ones can be changed "
    "under “My reviews”."
)
NOTHING_BEFORE = "There is none before this one: you have judged nothing yet."

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReviewState:
    """What one browser tab judges.

    Args:
        item_id: the task on the desk, None when there is none.
        opened_at: when it was shown, s (monotonic clock).
        original: the answer as it was given.
        trail: items that were on the desk before, the latest last.
    """

    item_id: str | None = None
    opened_at: float = 0.0
    original: str = ""
    trail: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeskParts:
    """The queue's components.

    Args:
        standing: who reviews and how far.
        last: what came of the judgement before.
        exam: question and answer, or why there is none.
        changes: what the correction changes.
    """

    state: gr.State
    standing: gr.HTML
    exam: gr.HTML
    changes: gr.HTML
    history: gr.HTML
    last: gr.HTML
    rubric: gr.HTML
    trouble: gr.HTML
    verdicts: gr.HTML


class ReviewHandlers:
    """The behaviour of the desk."""

    def __init__(self, services: Services, parts: DeskParts) -> None:
        self._services = services
        self._reviewing = services.reviewing
        self.parts = parts

    def refresh(self, reviewer: str, state: ReviewState) -> Updates:
        """Paint the task on the desk with its kept draft; the next one when there is none any more."""
        if not reviewer:
            return unchanged(self.parts.state)
        if state.item_id is not None:
            try:
                task = self._reviewing.open(reviewer, state.item_id)
                return self._show(reviewer, state, task)
            except ElaraError as error:
                _LOG.info("The item on the desk can't be opened again: %s", error.message)
        return self._next(reviewer, state)

    def open(self, reviewer: str, item_id: str, state: ReviewState) -> Updates:
        """Put an item of this reviewer's on the desk."""
        return self._attempt(
            lambda: self._show(reviewer, _step(state), self._reviewing.open(reviewer, item_id))
        )

    def act(self, reviewer: str, state: ReviewState, event: gr.EventData) -> Updates:
        """Something on the desk was pressed, or a draft is to be kept."""
        act, item_id = str(event.act), str(event.item)
        if not reviewer:
            return unchanged(self.parts.state)
        if act == "draft":
            return self._keep(reviewer, item_id, state, event.content, str(event.number))
        if act == "submit":
            return self._submit(reviewer, item_id, state, str(event.disposition), event.content)
        moves = {
            "skip": lambda: self._skip(reviewer, item_id, state),
            "undo": lambda: self._undo(reviewer, state),
            "back": lambda: self._back(reviewer, state),
        }
        return self._attempt(moves.get(act, lambda: self._next(reviewer, state)))

    def _keep(
        self, reviewer: str, item_id: str, state: ReviewState, fields: Mapping[str, Any], number: str
    ) -> Updates:
        """Store what is filled in so far; show what the correction changes."""
        pair = "choice" in fields
        draft = review_content.to_pair_draft(fields) if pair else review_content.to_draft(fields)
        try:
            kept = self._reviewing.save_draft(reviewer, item_id, draft)
        except ElaraError as error:
            return {self.parts.trouble: review_view.render_trouble(error.message)}
        if item_id != state.item_id:  # it was left while its last draft was on the way
            return unchanged(self.parts.state)
        corrected = "" if pair else draft["correction"]
        known = number if kept else ""
        return {self.parts.changes: review_view.render_changes(state.original, corrected, known)}

    def _submit(
        self, reviewer: str, item_id: str, state: ReviewState, disposition: str, fields: Mapping[str, Any]
    ) -> Updates:
        """Store the judgement and show the next task; a refused one stays as filled in."""
        seconds = time.monotonic() - state.opened_at if item_id == state.item_id else None
        try:
            if "choice" in fields:
                compared = self._services.pairs.submit(
                    review_content.compare(item_id, reviewer, fields, seconds)
                )
                told = standing_view.describe_compared(compared, str(fields["choice"]))
            else:
                judged = self._reviewing.submit(
                    review_content.judge(item_id, reviewer, disposition, fields, seconds)
                )
                told = standing_view.describe_submitted(judged, disposition)
        except ElaraError as error:
            return {self.parts.trouble: review_view.render_trouble(error.message)}
        return self._next(reviewer, _step(state)) | {self.parts.last: told}

    def _skip(self, reviewer: str, item_id: str, state: ReviewState) -> Updates:
        self._reviewing.skip(reviewer, item_id)
        told = notice("Skipped: it comes back when the others are done.", "info")
        return self._next(reviewer, _step(state)) | {self.parts.last: told}

    def _undo(self, reviewer: str, state: ReviewState) -> Updates:
        item_id = self._reviewing.undo(reviewer)
        if item_id is None:
            return {self.parts.trouble: review_view.render_trouble(NOTHING_TO_UNDO)}
        task = self._reviewing.open(reviewer, item_id)
        told = notice("Taken back. It is here again, as you had filled it in.", "info")
        return self._show(reviewer, _step(state), task) | {self.parts.last: told}

    def _back(self, reviewer: str, state: ReviewState) -> Updates:
        earlier = state.trail or self._judged_before(reviewer, state.item_id)
        if not earlier:
            return {self.parts.trouble: review_view.render_trouble(NOTHING_BEFORE)}
        state = replace(state, trail=earlier[:-1])
        try:
            return self._show(reviewer, state, self._reviewing.open(reviewer, earlier[-1]))
        except ElaraError as error:  # others have its places by now: the next time, the one before it
            trouble = review_view.render_trouble(error.message)
            return {self.parts.trouble: trouble, self.parts.state: state}

    def _judged_before(self, reviewer: str, item_id: str | None) -> tuple[str, ...]:
        """What this reviewer judged before an item, or at all, the latest last."""
        judged = [review.item_id for review in self._reviewing.mine(reviewer, limit=TRAIL)]
        older = judged[judged.index(item_id) + 1 :] if item_id in judged else judged
        return tuple(reversed(older))

    def _next(self, reviewer: str, state: ReviewState) -> Updates:
        return self._attempt(lambda: self._show(reviewer, state, self._reviewing.next(reviewer)))

    def _attempt(self, paint: Callable[[], Updates]) -> Updates:
        try:
            return paint()
        except ElaraError as error:
            return {self.parts.trouble: review_view.render_trouble(error.message)}

    def _show(self, reviewer: str, state: ReviewState, task: ReviewTask | PairTask | None) -> Updates:
        """Paint a task, or why there is none."""
        parts = self.parts
        painted: Updates = {
            parts.changes: "",
            parts.history: "",
            parts.trouble: review_view.render_trouble(),
            parts.standing: self._stand(reviewer),
        }
        if task is None:
            return painted | {
                parts.state: replace(state, item_id=None),
                parts.exam: review_view.render_nothing(self._reviewing.why_nothing(reviewer)),
                parts.rubric: "",
                parts.verdicts: "",
            }
        fields = review_content.to_fields(task.draft, pair=isinstance(task, PairTask))
        state = replace(state, item_id=task.item_id, opened_at=time.monotonic())
        past = self._reviewing.history(reviewer, task.item_id)
        painted[parts.history] = standing_view.render_history(past)
        if isinstance(task, PairTask):
            return painted | {
                parts.state: replace(state, original=""),
                parts.exam: pair_view.render_pair(task, self._services.recipes),
                parts.rubric: pair_view.render_choice(task.item_id, reviewer, fields),
                parts.verdicts: pair_view.render_pair_verdicts(),
            }
        return painted | {
            parts.state: replace(state, original=task.answer),
            parts.exam: review_view.render_task(task, self._services.recipes),
            parts.changes: review_view.render_changes(task.answer, str(fields.get("correction") or "")),
            parts.rubric: review_form.render_rubric(task.item_id, reviewer, fields),
            parts.verdicts: review_form.render_verdicts(),
        }

    def _stand(self, reviewer: str) -> str:
        """Who reviews, how far they are, and how well they agree with what is known."""
        return standing_view.render_standing(
            self._services.reviewers.profile(reviewer),
            self._reviewing.progress(reviewer),
            self._services.calibration.standing(reviewer),
        )


def _step(state: ReviewState) -> ReviewState:
    """The state when the task on the desk makes room for another."""
    if state.item_id is None:
        return state
    trail = (*(each for each in state.trail if each != state.item_id), state.item_id)
    return replace(state, item_id=None, trail=trail[-TRAIL:])

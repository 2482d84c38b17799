"""What happens in adjudication when something is pressed: each handler makes one service call and paints."""

from dataclasses import dataclass, replace

import gradio as gr

from db.vocabulary import Disposition
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.adjudication import DecisionDraft
from elara_ui.services.insights import Cursor
from elara_ui.tabs import adjudication_view
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, unchanged


@dataclass(frozen=True)
class AdjudicationState:
    """What one browser tab looks at.

    Args:
        item_id: the answer being settled.
        reopening: the settled answer whose reopening is being explained.
        older: where the next page of decisions begins.
        adjudicator: who looks; somebody else starts over.
    """

    item_id: str | None = None
    reopening: str | None = None
    older: Cursor | None = None
    adjudicator: str = ""


@dataclass(frozen=True)
class AdjudicationParts:
    """The tab's components.

    Args:
        reviewer: who reviews and settles, kept in the browser; empty until someone has said so.
        asking: asks for it here, as long as nobody has.
    """

    reviewer: gr.BrowserState
    state: gr.State
    who: gr.HTML
    asking: gr.Row
    adjudicator: gr.Textbox
    begin: gr.Button
    message: gr.HTML
    waiting: gr.HTML
    desk: gr.Column
    task: gr.HTML
    correction: gr.Textbox
    note: gr.Textbox
    trouble: gr.HTML
    accept: gr.Button
    edit: gr.Button
    reject: gr.Button
    settled: gr.HTML
    reopening: gr.Row
    reason: gr.Textbox
    reopen: gr.Button
    keep: gr.Button
    older: gr.Button


class AdjudicationHandlers:
    """The tab's behaviour."""

    def __init__(self, services: Services, parts: AdjudicationParts) -> None:
        self._adjudication = services.adjudication
        self._reviewers = services.reviewers
        self._recipes = services.recipes
        self.parts = parts

    def refresh(self, adjudicator: str, state: AdjudicationState) -> Updates:
        """Paint who settles, what waits and what was settled; an answer being settled stays as it is."""
        parts = self.parts
        closed: Updates = {}
        if adjudicator != state.adjudicator:
            state, closed = AdjudicationState(adjudicator=adjudicator), self._close()
        try:
            page = self._adjudication.settled()
            updates: Updates = closed | {
                parts.who: adjudication_view.render_who(adjudicator),
                parts.asking: gr.update(visible=not adjudicator),
                parts.settled: adjudication_view.render_settled(page),
                parts.older: gr.update(visible=page.next is not None),
                parts.state: replace(state, older=page.next),
            }
            if adjudicator:
                waiting = self._adjudication.waiting(adjudicator)
                updates[parts.waiting] = adjudication_view.render_waiting(waiting, state.item_id)
            else:
                updates[parts.waiting] = f'<p class="el-muted">{adjudication_view.EXPLANATION}</p>'
            return updates
        except ElaraError as error:
            return {parts.message: notice(error.message)}

    def begin(self, name: str) -> Updates:
        """Take the name typed in for who reviews and settles, and show what this person may settle."""
        parts = self.parts
        try:
            known = self._reviewers.profile(name or "")
        except ElaraError as error:
            return {parts.message: notice(error.message)}
        return {
            parts.reviewer: known.name,
            parts.message: "",
            **self.refresh(known.name, AdjudicationState()),
        }

    def open(self, adjudicator: str, state: AdjudicationState, event: gr.EventData) -> Updates:
        """Show an answer of the list with all its reviews."""
        parts = self.parts
        try:
            task = self._adjudication.open(adjudicator, str(event.item))
        except ElaraError as error:
            return {parts.message: notice(error.message)} | self.refresh(adjudicator, state)
        state = replace(state, item_id=task.item_id, adjudicator=adjudicator)
        return self.refresh(adjudicator, state) | {
            parts.message: "",
            parts.trouble: "",
            parts.desk: gr.update(visible=True),
            parts.task: adjudication_view.render_task(task, self._recipes),
            parts.correction: task.answer,
            parts.note: "",
        }

    def use(self, adjudicator: str, state: AdjudicationState, event: gr.EventData) -> Updates:
        """Take a reviewer's correction over."""
        if str(event.act) != "use" or state.item_id is None:
            return unchanged(self.parts.state)
        try:
            opinions = self._adjudication.open(adjudicator, state.item_id).opinions
        except ElaraError as error:
            return {self.parts.trouble: notice(error.message)}
        place = int(str(event.item))
        taken = opinions[place].correction if place < len(opinions) else None
        return {self.parts.correction: taken} if taken else unchanged(self.parts.state)

    def decide(
        self, disposition: Disposition, adjudicator: str, state: AdjudicationState, correction: str, note: str
    ) -> Updates:
        """Settle the answer; a refused decision stays as filled in."""
        parts = self.parts
        if state.item_id is None:
            return unchanged(parts.state)
        draft = DecisionDraft(state.item_id, adjudicator, disposition, note or "", correction)
        try:
            done = self._adjudication.decide(draft)
        except ElaraError as error:
            return {parts.trouble: notice(error.message)}
        told = notice(adjudication_view.describe_decision(done), "good")
        anew = AdjudicationState(adjudicator=adjudicator)
        return self._close() | {parts.message: told} | self.refresh(adjudicator, anew)

    def ask_reason(self, state: AdjudicationState, event: gr.EventData) -> Updates:
        """Ask why a decision should no longer stand."""
        if str(event.act) != "reopen":
            return unchanged(self.parts.state)
        return {
            self.parts.state: replace(state, reopening=str(event.item)),
            self.parts.reopening: gr.update(visible=True),
            self.parts.reason: "",
        }

    def reopen(self, adjudicator: str, state: AdjudicationState, reason: str) -> Updates:
        """Take the decision back."""
        parts = self.parts
        if state.reopening is None:
            return unchanged(parts.state)
        try:
            self._adjudication.reopen(adjudicator, state.reopening, reason or "")
        except ElaraError as error:
            return {parts.message: notice(error.message)}
        told = notice(
            "Reopened: the answer waits for adjudication again, if its reviews call for it.", "good"
        )
        return (
            {parts.message: told}
            | self.keep(state)
            | self.refresh(adjudicator, replace(state, reopening=None))
        )

    def keep(self, state: AdjudicationState) -> Updates:
        """Leave the decision as it is."""
        return {
            self.parts.state: replace(state, reopening=None),
            self.parts.reopening: gr.update(visible=False),
        }

    def show_older(self, state: AdjudicationState) -> Updates:
        """The next page of decisions."""
        try:
            page = self._adjudication.settled(state.older)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return {
            self.parts.settled: adjudication_view.render_settled(page),
            self.parts.older: gr.update(visible=page.next is not None),
            self.parts.state: replace(state, older=page.next),
        }

    def _close(self) -> Updates:
        """Put the desk away."""
        parts = self.parts
        return {parts.desk: gr.update(visible=False), parts.task: "", parts.trouble: "", parts.note: ""}

"""A reviewer's own reviews: a page of them, what made each answer, and the way back to change one."""

from dataclasses import dataclass

import gradio as gr

from elara_ui.errors import ElaraError, IdentifiersFound
from elara_ui.services import Services
from elara_ui.services.identifier_guard import Handling
from elara_ui.tabs.identifier_prompt import BACK, REDACTED, render_export_prompt
from elara_ui.tabs.markup import download_link, notice
from elara_ui.tabs.own_reviews_view import render_own
from elara_ui.tabs.parts import Updates

PAGE = 20
"""Reviews shown at once."""


@dataclass(frozen=True)
class OwnState:
    """How many of the newest reviews are passed over."""

    offset: int = 0


@dataclass(frozen=True)
class OwnParts:
    """The list's components."""

    state: gr.State
    list: gr.HTML
    export: gr.Button
    download: gr.HTML
    message: gr.HTML


class OwnHandlers:
    """The behaviour of the list."""

    def __init__(self, services: Services, parts: OwnParts) -> None:
        self._reviewing = services.reviewing
        self._lineage = services.lineage
        self.parts = parts

    def refresh(self, reviewer: str, state: OwnState) -> Updates:
        """Paint a page of the reviewer's own reviews."""
        try:
            found = self._reviewing.mine(reviewer, limit=PAGE + 1, offset=state.offset)
            went = self._lineage.where_they_went([review.review_id for review in found[:PAGE]])
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return {
            self.parts.state: state,
            self.parts.list: render_own(found[:PAGE], went, state.offset, more=len(found) > PAGE),
            self.parts.message: "",
        }

    def turn(self, reviewer: str, state: OwnState, *, older: bool) -> Updates:
        """Paint the next page, or the one before."""
        offset = state.offset + PAGE if older else max(state.offset - PAGE, 0)
        return self.refresh(reviewer, OwnState(offset))

    def decide(self, reviewer: str, event: gr.EventData) -> Updates:
        """What was chosen about likely identifiers in the file."""
        if event.act == BACK:
            return {self.parts.message: ""}
        return self.export(reviewer, Handling.REDACT if event.act == REDACTED else Handling.KEEP)

    def export(self, reviewer: str, identifiers: Handling = Handling.ASK) -> Updates:
        """Hand the accepted and corrected answers to the browser, but for those still judged blind."""
        try:
            document = self._reviewing.write_rows(identifiers, reviewer=reviewer or "")
        except IdentifiersFound as found:
            return {self.parts.message: render_export_prompt(found)}
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        rows = document.text.count("\n")
        if not rows:
            said = (
                "No answer has been accepted yet of those whose reviews are all in, or that you have judged: "
                "nothing to export."
            )
            return {self.parts.message: notice(said, "info")}
        return {
            self.parts.download: download_link(document.name, document.text),
            self.parts.message: notice(f"{rows} training rows exported.", "good"),
        }

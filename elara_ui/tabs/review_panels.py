"""Which part of the review tab is seen: the queue, one's own reviews, who reviews, or how it is organised."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.tabs.markup import notice
from elara_ui.tabs.own_reviews import OwnHandlers, OwnParts, OwnState
from elara_ui.tabs.parts import Updates
from elara_ui.tabs.review_handlers import DeskParts, ReviewHandlers, ReviewState
from elara_ui.tabs.reviewer_profile import ProfileHandlers, ProfileParts

QUEUE, OWN, PROFILE, ORGANISING = "queue", "own", "profile", "organising"
PANELS = (("Queue", QUEUE), ("My reviews", OWN), ("About me", PROFILE), ("Organise", ORGANISING))


@dataclass(frozen=True)
class ReviewParts:
    """The tab's components.

    Args:
        reviewer: the reviewer's name, kept in the browser; empty until someone has said who reviews.
        panel: which of `PANELS` is seen.
        columns: the panels themselves, in that order.
    """

    reviewer: gr.BrowserState
    panel: gr.Radio
    columns: tuple[gr.Column, ...]
    desk: DeskParts
    own: OwnParts
    profile: ProfileParts


class PanelHandlers:
    """What passes between the panels."""

    def __init__(self, services: Services, parts: ReviewParts) -> None:
        self.parts = parts
        self.desk = ReviewHandlers(services, parts.desk)
        self.own = OwnHandlers(services, parts.own)
        self.profile = ProfileHandlers(services, parts.profile)

    @property
    def inputs(self) -> list[gr.blocks.Block]:
        """What `choose` needs."""
        return [self.parts.panel, self.parts.reviewer, self.parts.desk.state]

    def choose(self, panel: str, reviewer: str, state: ReviewState) -> Updates:
        """Show a panel, painted anew; who hasn't said who they are can't come to their own."""
        panel = panel if reviewer or panel == ORGANISING else PROFILE
        match panel:
            case "own":
                painted = self.own.refresh(reviewer, OwnState())
            case "profile":
                painted = self.profile.fill(reviewer)
            case "organising":  # each of its sections paints itself
                painted = {}
            case _:
                painted = self.desk.refresh(reviewer, state)
        return self._turn_to(panel) | painted

    def act_on_own(self, reviewer: str, state: ReviewState, page: OwnState, event: gr.EventData) -> Updates:
        """Something among the reviewer's own reviews was pressed."""
        if event.act == "open":
            return self._turn_to(QUEUE) | self.desk.open(reviewer, str(event.item), state)
        return self.own.turn(reviewer, page, older=event.act == "older")

    def enter(self, reviewer: str, *fields: Any) -> Updates:
        """Enter was pressed behind the name: somebody known comes in as they are, anybody else is kept."""
        name = str(fields[0])
        try:
            known = self.profile.find(name) if name.strip() else None
        except ElaraError as error:
            return {self.parts.profile.message: notice(error.message)}
        if known is None or known.name == reviewer:
            return self.save(*fields)
        return self._come_in(known.name)

    def save(self, *fields: Any) -> Updates:
        """Keep who reviews, and go to the queue."""
        try:
            profile = self.profile.save(*fields)
        except ElaraError as error:
            return {self.parts.profile.message: notice(error.message)}
        return self._come_in(profile.name)

    def _come_in(self, name: str) -> Updates:
        """Review under this name from now on."""
        return {
            self.parts.reviewer: name,
            self.parts.profile.message: "",
            **self._turn_to(QUEUE),
            **self.desk.refresh(name, ReviewState()),
        }

    def _turn_to(self, panel: str) -> Updates:
        """Show one panel."""
        seen = {
            column: gr.update(visible=name == panel)
            for column, (_, name) in zip(self.parts.columns, PANELS, strict=True)
        }
        return {self.parts.panel: panel, **seen}

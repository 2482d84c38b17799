"""The release tab's behaviour: it calls services and paints what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.release import Standing
from elara_ui.services.release_words import describe_voice
from elara_ui.tabs import release_view
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates

if TYPE_CHECKING:
    from elara_ui.tabs.release import ReleaseParts


class ReleaseHandlers:
    """What the tab does."""

    def __init__(self, services: Services, parts: ReleaseParts) -> None:
        self._services = services
        self.parts = parts

    def refresh(self, reviewer: str, audience: str, candidate: str | None, by: str) -> Updates:
        """Paint everything; whoever reviews in this browser is taken to be who acts, until they say else.

        Args:
            reviewer: who reviews in this browser; empty for nobody.
            by: the name typed here.
        """
        return self._paint(audience, candidate) | {
            self.parts.choice.by: by or reviewer or "",
            self.parts.message: "",
        }

    def choose_audience(self, audience: str) -> Updates:
        """Show another audience, with its newest candidate."""
        return self._paint(audience, None) | {self.parts.message: ""}

    def choose_candidate(self, audience: str, candidate: str | None) -> Updates:
        """Show how another version stands."""
        return self._paint(audience, candidate) | {self.parts.message: ""}

    def watch(self, audience: str, candidate: str | None) -> Updates:
        """Paint what goes on in the background."""
        return self._paint(audience, candidate)

    def measure(self, audience: str, candidate: str | None, by: str, why: str) -> Updates:
        """Have what the gate lacks evaluated."""
        try:
            begun = self._services.gate.measure(self._need(candidate))
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        said = f"{begun} evaluations were begun." if begun else "They are under way already."
        return self._paint(audience, candidate) | {self.parts.message: notice(said, "info")}

    def ask_blind(
        self, audience: str, candidate: str | None, by: str, why: str, pairs: float | None
    ) -> Updates:
        """Ask both the same questions, and send the pairs to the review tab."""
        try:
            self._services.blind.start(self._need(candidate), by, int(pairs or 0))
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self._paint(audience, candidate) | {self.parts.message: ""}

    def turn_trial(
        self, audience: str, candidate: str | None, by: str, why: str, share: float | None
    ) -> Updates:
        """Try a candidate on a share of new conversations, or stop the trial that there is."""
        try:
            if self._services.release.standing(audience).trial:
                name = self._services.trials.stop(audience, by, why)
                said = f"{name} is no longer tried; what is live answers everybody."
            else:
                trial = self._services.trials.start(self._need(candidate), by, (share or 0) / 100, why)
                said = f"{trial.adapter} answers {trial.share:.0%} of new conversations from now on."
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self._done(audience, candidate, said)

    def promote(self, audience: str, candidate: str | None, by: str, why: str, promoted: float) -> Updates:
        """Make the candidate live."""
        try:
            adapter = self._services.release.promote(self._need(candidate), by, why)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        said = f"{adapter.name} now answers for {adapter.audience}, from the next message on."
        return self._done(audience, None, said) | {self.parts.promoted: promoted + 1}

    def roll_back(self, audience: str, candidate: str | None, by: str, why: str, promoted: float) -> Updates:
        """Let what answered before answer again."""
        try:
            live = self._services.release.roll_back(audience, by, why)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        said = f"{live.name if live else 'The base model'} answers {audience} again."
        return self._done(audience, candidate, said) | {self.parts.promoted: promoted + 1}

    def _need(self, candidate: str | None) -> str:
        return candidate or ""

    def _done(self, audience: str, candidate: str | None, said: str) -> Updates:
        """Everything anew, the reason used up."""
        return self._paint(audience, candidate) | {
            self.parts.message: notice(said, "good"),
            self.parts.choice.why: "",
        }

    def _paint(self, audience: str, candidate: str | None) -> Updates:
        """Everything that follows from the audience and the version that is looked at."""
        release, parts = self._services.release, self.parts
        standing = release.standing(audience)
        names = [each.name for each in standing.candidates]
        chosen = candidate if candidate in names else next(iter(names), None)
        gate = release.gate(chosen) if chosen else None
        measured = self._services.gate.under_way(chosen) if chosen else ()
        compared = self._services.comparing.current
        busy = bool(measured) or (compared is not None and compared.is_under_way)
        return {
            parts.choice.candidate: gr.update(choices=names, value=chosen, interactive=bool(names)),
            parts.standing: release_view.render_standing(standing),
            parts.gate: release_view.render_gate(gate, strict=release.is_strict),
            parts.progress: release_view.render_progress(measured, compared if busy else None),
            parts.trial: release_view.render_trial(standing.trial, self._services.trials.figures(audience)),
            parts.history: release_view.render_history(release.history(audience)),
            parts.poll: gr.Timer(active=busy),
            **self._offer(standing, chosen, blocked=bool(gate and gate.blockers)),
        }

    def _offer(self, standing: Standing, chosen: str | None, *, blocked: bool) -> Updates:
        """What can be done now."""
        buttons = self.parts.buttons
        tried = standing.trial
        return {
            buttons.measure: gr.update(interactive=chosen is not None),
            buttons.blind: gr.update(interactive=chosen is not None),
            buttons.trial: gr.update(
                value=f"Stop trying {tried.adapter}" if tried else "Try on a share",
                interactive=tried is not None or (chosen is not None and not blocked),
            ),
            buttons.promote: gr.update(
                value=f"Promote {chosen}" if chosen else "Promote",
                interactive=chosen is not None and not blocked,
            ),
            buttons.roll_back: gr.update(
                value=f"Roll back to {describe_voice(standing.back_to)}" if standing.live else "Roll back",
                interactive=standing.live is not None,
            ),
        }

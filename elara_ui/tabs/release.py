"""The release tab: what answers an audience, what might, what speaks for it, and who decided so."""

from dataclasses import dataclass

import gradio as gr

from elara_ui.services import Services
from elara_ui.services.blind_batches import USUAL_QUESTIONS
from elara_ui.services.canary import USUAL_SHARE
from elara_ui.services.release_rules import REASON_LIMIT
from elara_ui.services.review_drafts import REVIEWER_LIMIT
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.release_handlers import ReleaseHandlers

POLL_SECONDS = 3.0


@dataclass(frozen=True)
class ReleaseChoice:
    """For whom, which version, and who acts why."""

    audience: gr.Dropdown
    candidate: gr.Dropdown
    by: gr.Textbox
    why: gr.Textbox


@dataclass(frozen=True)
class ReleaseButtons:
    """What can be done, and how much of it."""

    measure: gr.Button
    blind: gr.Button
    trial: gr.Button
    promote: gr.Button
    roll_back: gr.Button
    pairs: gr.Number
    share: gr.Number


@dataclass(frozen=True)
class ReleaseParts:
    """The tab's components.

    Args:
        promoted: counts changes of what is live, for others to follow.
        poll: ticks while something is measured or answered.
    """

    choice: ReleaseChoice
    standing: gr.HTML
    gate: gr.HTML
    buttons: ReleaseButtons
    message: gr.HTML
    progress: gr.HTML
    trial: gr.HTML
    history: gr.HTML
    promoted: gr.Number
    poll: gr.Timer

    @property
    def chosen(self) -> list[gr.components.Component]:
        """What `ReleaseHandlers.refresh` takes after the reviewer."""
        return [self.choice.audience, self.choice.candidate, self.choice.by]

    @property
    def signed(self) -> list[gr.components.Component]:
        """What an action takes."""
        return components_of(self.choice)


def build_release_tab(services: Services) -> ReleaseHandlers:
    """Build the tab and wire it; it is painted when it is opened.

    Args:
        services: the use-cases it calls.
    """
    parts = _build(services)
    handlers = ReleaseHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    parts.choice.audience.input(handlers.choose_audience, [parts.choice.audience], **common)
    parts.choice.candidate.input(
        handlers.choose_candidate, [parts.choice.audience, parts.choice.candidate], **common
    )
    buttons = parts.buttons
    buttons.measure.click(handlers.measure, parts.signed, **common)
    buttons.blind.click(handlers.ask_blind, [*parts.signed, buttons.pairs], **common)
    buttons.trial.click(handlers.turn_trial, [*parts.signed, buttons.share], **common)
    buttons.promote.click(handlers.promote, [*parts.signed, parts.promoted], **common)
    buttons.roll_back.click(handlers.roll_back, [*parts.signed, parts.promoted], **common)
    parts.poll.tick(handlers.watch, [parts.choice.audience, parts.choice.candidate], **common)
    return handlers


def _build(services: Services) -> ReleaseParts:
    recipes = services.recipes
    with gr.Row():
        audience = gr.Dropdown(
            [(recipe.title, recipe.audience) for recipe in recipes.values()],
            value=next(iter(recipes)), label="For whom", min_width=180, elem_id="release-audience",
        )  # fmt: skip
        candidate = gr.Dropdown([], label="Candidate", min_width=180, elem_id="release-candidate")
    standing = gr.HTML(elem_id="release-standing")
    gate = gr.HTML(elem_id="release-gate")
    with gr.Row():
        by = gr.Textbox(
            label="Your name", max_lines=1, max_length=REVIEWER_LIMIT, min_width=180, elem_id="release-by"
        )
        why = gr.Textbox(
            label="Why (needed where a check isn't met)", max_lines=3, max_length=REASON_LIMIT, scale=3,
            min_width=240, elem_id="release-why",
        )  # fmt: skip
    buttons = _build_buttons()
    message = gr.HTML(elem_id="release-message")
    progress = gr.HTML(elem_id="release-progress")
    trial = gr.HTML(elem_id="release-trial")
    history = gr.HTML(elem_id="release-history", js_on_load=ACT_SCRIPT)
    return ReleaseParts(
        *(ReleaseChoice(audience, candidate, by, why), standing, gate, buttons, message, progress, trial),
        *(history, gr.Number(0, visible=False), gr.Timer(POLL_SECONDS, active=False)),
    )


def _build_buttons() -> ReleaseButtons:
    with gr.Row(elem_id="release-buttons"):
        measure = gr.Button("Measure", min_width=110, elem_id="release-measure")
        blind = gr.Button("Blind A/B", min_width=110, elem_id="release-blind")
        trial = gr.Button("Try on a share", min_width=130, elem_id="release-canary")
        promote = gr.Button("Promote", variant="primary", min_width=110, elem_id="release-promote")
        roll_back = gr.Button("Roll back", variant="stop", min_width=110, elem_id="release-rollback")
    with gr.Accordion("How many pairs, and what share", open=False), gr.Row():
        pairs = gr.Number(
            USUAL_QUESTIONS, precision=0, minimum=1, label="Pairs of a blind comparison", min_width=180,
            elem_id="release-pairs",
        )  # fmt: skip
        share = gr.Number(
            100 * USUAL_SHARE, minimum=1, maximum=50, label="Share of new conversations, %", min_width=180,
            elem_id="release-share",
        )  # fmt: skip
    return ReleaseButtons(measure, blind, trial, promote, roll_back, pairs, share)

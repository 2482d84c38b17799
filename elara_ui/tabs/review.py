"""The review tab: the queue, a reviewer's own reviews, who reviews, how it is organised. Builds and wires."""

import gradio as gr

from elara_ui.services import Services
from elara_ui.tabs.markup import ACT_SCRIPT, DOWNLOAD_SCRIPT
from elara_ui.tabs.organising import build_organising
from elara_ui.tabs.own_reviews import OwnParts, OwnState
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.review_form import ANSWERED_SCRIPT, DESK_SCRIPT
from elara_ui.tabs.review_handlers import DeskParts, ReviewState
from elara_ui.tabs.review_panels import PANELS, QUEUE, PanelHandlers, ReviewParts
from elara_ui.tabs.reviewer_profile import build_profile


def build_review_tab(services: Services, reviewer: gr.BrowserState) -> PanelHandlers:
    """Build the tab's components and wire them.

    Args:
        services: the use-cases it calls.
        reviewer: who reviews.

    Returns:
        The tab's handlers, with which the page fills it when it opens.
    """
    with gr.Row(elem_id="review-head"):
        standing = gr.HTML()
        panel = gr.Radio(
            list(PANELS),
            value=QUEUE,
            show_label=False,
            label="Part of the review tab",
            container=False,
            elem_id="review-panel",
            elem_classes="el-segments",
        )
    with gr.Column(visible=False, elem_id="review-queue") as queue:
        desk = _build_desk(standing)
    with gr.Column(visible=False, elem_id="review-own") as own_column:
        own = _build_own()
    with gr.Column(visible=False, elem_id="review-profile") as profile_column:
        profile = build_profile(services.recipes)
    with gr.Column(visible=False, elem_id="review-organising") as organising:
        build_organising(services)
    parts = ReviewParts(reviewer, panel, (queue, own_column, profile_column, organising), desk, own, profile)
    handlers = PanelHandlers(services, parts)
    _wire(handlers)
    return handlers


def _build_desk(standing: gr.HTML) -> DeskParts:
    """What is judged on the left, the judgement on the right; on a narrow screen one under the other."""
    state = gr.State(ReviewState())
    with gr.Row(equal_height=False, elem_id="review-desk"):
        with gr.Column(scale=1, min_width=320):
            exam = gr.HTML(elem_id="review-exam")
            changes = gr.HTML(js_on_load=ANSWERED_SCRIPT, elem_id="review-changes")
            history = gr.HTML(elem_id="review-history")
            last = gr.HTML(elem_id="review-last")
        with gr.Column(scale=1, min_width=320):
            rubric = gr.HTML(js_on_load=DESK_SCRIPT, elem_id="review-rubric")
            trouble = gr.HTML(js_on_load=ANSWERED_SCRIPT, elem_id="review-trouble")
            verdicts = gr.HTML(elem_id="review-verdicts")
    return DeskParts(state, standing, exam, changes, history, last, rubric, trouble, verdicts)


def _build_own() -> OwnParts:
    state = gr.State(OwnState())
    message = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="own-message")
    listing = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="own-reviews")
    with gr.Row():
        export = gr.Button(
            "Download accepted answers as training rows (JSONL)", size="sm", scale=0, min_width=340
        )
    download = gr.HTML(js_on_load=DOWNLOAD_SCRIPT, elem_classes="el-invisible")
    return OwnParts(state, listing, export, download, message)


def _wire(handlers: PanelHandlers) -> None:
    parts = handlers.parts
    desk, own, profile = parts.desk, parts.own, parts.profile
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    parts.panel.input(handlers.choose, handlers.inputs, **common)
    # A draft may be under way when a verdict is pressed: Gradio must drop neither.
    desk.rubric.act(handlers.desk.act, [parts.reviewer, desk.state], trigger_mode="multiple", **common)
    own.list.act(handlers.act_on_own, [parts.reviewer, desk.state, own.state], **common)
    own.export.click(handlers.own.export, [parts.reviewer], **common)
    own.message.act(handlers.own.decide, [parts.reviewer], **common)
    profile.name.blur(handlers.profile.recognise, [profile.name], **common)
    fields = [
        profile.name, profile.profession, profile.specialty, profile.years, profile.country,
        profile.registration, profile.audiences, profile.languages,
    ]  # fmt: skip
    profile.name.submit(handlers.enter, [parts.reviewer, *fields], **common)
    profile.save.click(handlers.save, fields, **common)

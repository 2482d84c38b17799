"""The adjudication tab: what waits on one side, the answer with all its reviews on the other.

A tab of its own, since whoever reviews must not meet other people's judgements by a slip of the hand.
"""

from functools import partial

import gradio as gr

from db.vocabulary import Disposition
from elara_ui.services import Services
from elara_ui.tabs.adjudication_handlers import AdjudicationHandlers, AdjudicationParts, AdjudicationState
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of

__all__ = ["AdjudicationHandlers", "AdjudicationParts", "build_adjudication_tab"]


SCROLL_SCRIPT = (
    "() => document.querySelector('#contested-answer .el-exam')?.scrollIntoView({block: 'nearest'})"
)
"""Brings the answer into sight, for whoever pressed its row above it on a narrow page."""


def build_adjudication_tab(services: Services, reviewer: gr.BrowserState) -> AdjudicationHandlers:
    """Build the tab's components and wire them.

    Args:
        services: the use-cases it calls.
        reviewer: who reviews, and settles: one person is one name in the whole page.
    """
    handlers = AdjudicationHandlers(services, _build(reviewer))
    _wire(handlers)
    return handlers


def _build(reviewer: gr.BrowserState) -> AdjudicationParts:
    state = gr.State(AdjudicationState())
    who = gr.HTML(elem_id="settling-as")
    with gr.Row(equal_height=False, visible=False, elem_classes="el-review-head") as asking:
        adjudicator = gr.Textbox(
            label="Who is adjudicating?",
            info="Your name or a pseudonym, the same as in Review. It is stored with your decisions.",
            max_length=120,
            max_lines=1,
            scale=3,
            elem_id="adjudicator",
        )
        begin = gr.Button("Begin", variant="primary", scale=0, min_width=110, elem_id="begin-adjudication")
    message = gr.HTML()
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=280):
            gr.HTML("<h3>Waiting</h3>")
            waiting = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="contested")
        with gr.Column(scale=8, min_width=300, visible=False) as desk:
            task = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="contested-answer")
            correction = gr.Textbox(
                label="Correction",
                info="Change the text in place, then choose “Accept with edit”.",
                lines=4,
                max_lines=24,
                elem_id="settled-text",
            )
            note = gr.Textbox(
                label="Why",
                info="Required. It is kept with the decision for whoever asks later.",
                lines=2,
                max_lines=8,
                elem_id="decision-note",
            )
            trouble = gr.HTML()
            with gr.Row(equal_height=True):
                accept = gr.Button("Accept", variant="primary", min_width=120, elem_id="decide-accept")
                edit = gr.Button("Accept with edit", min_width=140, elem_id="decide-edit")
                reject = gr.Button("Reject", variant="stop", min_width=120, elem_id="decide-reject")
    gr.HTML("<h3>Settled</h3>")
    with gr.Row(visible=False, equal_height=False, elem_classes="el-review-head") as reopening:
        reason = gr.Textbox(
            label="Why should this decision no longer stand?", max_lines=4, scale=3, elem_id="reopen-reason"
        )
        reopen = gr.Button("Reopen", variant="stop", scale=0, min_width=110, elem_id="reopen")
        keep = gr.Button("Keep it", scale=0, min_width=110)
    settled = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="settled")
    older = gr.Button("Older decisions", size="sm", visible=False)
    return AdjudicationParts(
        reviewer, state, who, asking, adjudicator, begin, message, waiting, desk, task, correction, note,
        trouble, accept, edit, reject, settled, reopening, reason, reopen, keep, older,
    )  # fmt: skip


def _wire(handlers: AdjudicationHandlers) -> None:
    parts = handlers.parts
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    who = [parts.reviewer, parts.state]
    gr.on([parts.begin.click, parts.adjudicator.submit], handlers.begin, [parts.adjudicator], **common)
    parts.waiting.act(handlers.open, who, **common)
    parts.task.act(handlers.use, who, **common)
    parts.task.change(None, None, None, js=SCROLL_SCRIPT)
    for button, disposition in (
        (parts.accept, Disposition.ACCEPT),
        (parts.edit, Disposition.ACCEPT_WITH_EDIT),
        (parts.reject, Disposition.REJECT),
    ):
        button.click(partial(handlers.decide, disposition), [*who, parts.correction, parts.note], **common)
    parts.settled.act(handlers.ask_reason, [parts.state], **common)
    gr.on([parts.reopen.click, parts.reason.submit], handlers.reopen, [*who, parts.reason], **common)
    parts.keep.click(handlers.keep, [parts.state], **common)
    parts.older.click(handlers.show_older, [parts.state], **common)

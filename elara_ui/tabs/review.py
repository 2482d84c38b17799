"""The review tab: one answer at a time, judged blind on the rubric, submitted by its verdict."""

import time
from dataclasses import dataclass, replace
from functools import partial

import gradio as gr

from db.vocabulary import HARM_LIKELIHOOD, RUBRIC, Axis, Choice, Disposition, ReviewFlag
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.reviewing import HARMS, ReviewDraft, ReviewTask
from elara_ui.tabs import review_view
from elara_ui.tabs.markup import DOWNLOAD_SCRIPT, download_link, notice
from elara_ui.tabs.parts import Updates, components_of, unchanged

FLAG_LABELS = {
    ReviewFlag.BIAS: "Bias",
    ReviewFlag.IDENTIFIERS: "Identifies a person",
    ReviewFlag.JARGON: "Jargon",
    ReviewFlag.INVENTED_SOURCE: "Invented source",
}

SCROLL_SCRIPT = "() => document.querySelector('.el-exam')?.scrollIntoView({block: 'nearest'})"
"""Brings the next answer into sight, for whoever pressed a button at the end of the form."""


@dataclass(frozen=True)
class ReviewState:
    """What one reviewer is doing.

    Args:
        item_id: the answer being judged, None when there is none.
        opened_at: when it was shown, s (monotonic clock).
    """

    item_id: str | None = None
    opened_at: float = 0.0


@dataclass(frozen=True)
class ReviewParts:
    """The tab's components."""

    state: gr.State
    reviewer: gr.Textbox
    begin: gr.Button
    progress: gr.HTML
    form: gr.Row
    exam: gr.HTML
    axes: tuple[gr.Radio, ...]
    likelihood: gr.Radio
    flags: gr.CheckboxGroup
    correction: gr.Textbox
    comment: gr.Textbox
    message: gr.HTML
    trouble: gr.HTML
    accept: gr.Button
    edit: gr.Button
    reject: gr.Button
    out_of_scope: gr.Button
    skip: gr.Button
    export: gr.Button
    download: gr.HTML


@dataclass(frozen=True)
class ReviewTab:
    """What the page needs of this tab."""

    handlers: "ReviewHandlers"
    parts: ReviewParts


def build_review_tab(services: Services) -> ReviewTab:
    """Build the tab's components and wire them."""
    state = gr.State(ReviewState())
    with gr.Row(equal_height=False, elem_classes="el-review-head"):
        reviewer = gr.Textbox(
            label="Who is reviewing?",
            info="Your name or a pseudonym. It is stored with your reviews.",
            max_length=120,
            max_lines=1,
            scale=3,
            elem_id="reviewer",
        )
        begin = gr.Button("Begin", variant="primary", scale=0, min_width=110, elem_id="begin-review")
    progress = gr.HTML()
    message = gr.HTML()
    with gr.Row(visible=False, equal_height=False) as form:
        with gr.Column(scale=5, min_width=300):
            exam = gr.HTML()
            correction = gr.Textbox(
                label="Correction",
                info="Change the text in place, then choose “Accept with edit”.",
                lines=6,
                max_lines=24,
                elem_id="correction",
            )
        with gr.Column(scale=4, min_width=300):
            axes, likelihood = _build_axes()
            flags = gr.CheckboxGroup(
                [(label, flag.value) for flag, label in FLAG_LABELS.items()],
                label="Flags",
                elem_classes="el-axis",
            )
            comment = gr.Textbox(label="Comment (optional)", lines=1, max_lines=6)
            trouble = gr.HTML()
            with gr.Row():
                accept = gr.Button("Accept", variant="primary", min_width=120, elem_id="accept")
                edit = gr.Button("Accept with edit", min_width=140, elem_id="accept-with-edit")
            with gr.Row():
                reject = gr.Button("Reject", variant="stop", min_width=120, elem_id="reject")
                out_of_scope = gr.Button("Outside my scope", min_width=140)
            skip = gr.Button("Skip for now", size="sm")
    with gr.Row():
        export = gr.Button(
            "Download accepted answers as training rows (JSONL)", size="sm", scale=0, min_width=340
        )
    download = gr.HTML(js_on_load=DOWNLOAD_SCRIPT, elem_classes="el-invisible")
    parts = ReviewParts(
        state, reviewer, begin, progress, form, exam, axes, likelihood, flags, correction, comment, message,
        trouble, accept, edit, reject, out_of_scope, skip, export, download,
    )  # fmt: skip
    handlers = ReviewHandlers(services, parts)
    _wire(handlers, parts)
    return ReviewTab(handlers, parts)


def _build_axes() -> tuple[tuple[gr.Radio, ...], gr.Radio]:
    axes: list[gr.Radio] = []
    for scale in RUBRIC:
        axes.append(
            gr.Radio(_choices(scale.choices), label=scale.title, info=scale.question, elem_classes="el-axis")
        )
        if scale.axis is Axis.HARM:
            likelihood = gr.Radio(
                _choices(HARM_LIKELIHOOD),
                label="How likely is that harm?",
                visible=False,
                elem_classes="el-axis",
            )
    return tuple(axes), likelihood


def _choices(choices: tuple[Choice, ...]) -> list[tuple[str, str]]:
    return [(choice.label, choice.value) for choice in choices]


def _wire(handlers: "ReviewHandlers", parts: ReviewParts) -> None:
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    gr.on([parts.begin.click, parts.reviewer.submit], handlers.begin, [parts.reviewer, parts.state], **common)
    filled = [
        parts.reviewer, parts.state, parts.likelihood, parts.flags, parts.correction, parts.comment,
        *parts.axes,
    ]  # fmt: skip
    for button, disposition in (
        (parts.accept, Disposition.ACCEPT),
        (parts.edit, Disposition.ACCEPT_WITH_EDIT),
        (parts.reject, Disposition.REJECT),
        (parts.out_of_scope, Disposition.OUT_OF_SCOPE),
    ):
        button.click(partial(handlers.submit, disposition), filled, **common)
    parts.exam.change(None, None, None, js=SCROLL_SCRIPT)
    parts.skip.click(handlers.skip, [parts.reviewer, parts.state], **common)
    parts.export.click(handlers.export, None, **common)
    harm = parts.axes[[scale.axis for scale in RUBRIC].index(Axis.HARM)]
    harm.change(handlers.ask_likelihood, [harm], [parts.likelihood], show_progress="hidden")


class ReviewHandlers:
    """The tab's behaviour."""

    def __init__(self, services: Services, parts: ReviewParts) -> None:
        self._reviewing = services.reviewing
        self._recipes = services.recipes
        self._parts = parts

    def begin(self, reviewer: str, state: ReviewState) -> Updates:
        """Show the first answer for this reviewer; a changed name starts over with the queue."""
        return {self._parts.message: "", self._parts.trouble: "", **self._show_next(reviewer, ReviewState())}

    def refresh(self, reviewer: str, state: ReviewState) -> Updates:
        """The tab is opened again: an answer being judged stays as it is."""
        if not reviewer.strip():
            return unchanged(self._parts.state)
        if state.item_id is not None:
            return self._show_progress(reviewer)
        return self._show_next(reviewer, state)

    def submit(
        self,
        disposition: Disposition,
        reviewer: str,
        state: ReviewState,
        likelihood: str | None,
        flags: list[str],
        correction: str,
        comment: str,
        *axes: str | None,
    ) -> Updates:
        """Store the judgement and show the next answer; a refused one stays as filled in."""
        if state.item_id is None:
            return unchanged(self._parts.state)
        draft = ReviewDraft(
            item_id=state.item_id,
            reviewer=reviewer,
            disposition=disposition,
            answers=dict(zip((scale.axis for scale in RUBRIC), axes, strict=True)),
            harm_likelihood=likelihood,
            correction=correction,
            flags=flags or (),
            comment=comment or "",
            seconds=time.monotonic() - state.opened_at,
        )
        try:
            done = self._reviewing.submit(draft)
        except ElaraError as error:
            return {self._parts.trouble: notice(error.message)}
        return {
            self._parts.message: notice(review_view.describe_submitted(done), "good"),
            self._parts.trouble: "",
            **self._show_next(reviewer, state),
        }

    def skip(self, reviewer: str, state: ReviewState) -> Updates:
        """Leave this answer for later."""
        if state.item_id is None:
            return unchanged(self._parts.state)
        try:
            self._reviewing.skip(reviewer, state.item_id)
        except ElaraError as error:
            return {self._parts.trouble: notice(error.message)}
        return {self._parts.message: "", self._parts.trouble: "", **self._show_next(reviewer, state)}

    def ask_likelihood(self, harm: str | None) -> Updates:
        """Ask how likely the harm is, from mild up."""
        asked = harm in HARMS
        return {
            self._parts.likelihood: gr.update(visible=True) if asked else gr.update(visible=False, value=None)
        }

    def export(self) -> Updates:
        """Hand the accepted and corrected answers to the browser."""
        try:
            document = self._reviewing.write_rows()
        except ElaraError as error:
            return {self._parts.message: notice(error.message)}
        rows = document.text.count("\n")
        if not rows:
            return {
                self._parts.message: notice("No answer has been accepted yet: nothing to export.", "info")
            }
        return {
            self._parts.download: download_link(document.name, document.text),
            self._parts.message: notice(f"{rows} training rows exported.", "good"),
        }

    def _show_next(self, reviewer: str, state: ReviewState) -> Updates:
        parts = self._parts
        try:
            task = self._reviewing.next(reviewer)
        except ElaraError as error:
            return {parts.message: notice(error.message), parts.form: gr.update(visible=False)}
        cleared: Updates = {
            **dict.fromkeys(parts.axes),
            parts.likelihood: gr.update(value=None, visible=False),
            parts.flags: [],
            parts.comment: "",
        }
        if not isinstance(task, ReviewTask):
            return cleared | {
                parts.state: replace(state, item_id=None),
                parts.form: gr.update(visible=False),
                **self._show_progress(reviewer),
            }
        return cleared | {
            parts.state: replace(state, item_id=task.item_id, opened_at=time.monotonic()),
            parts.form: gr.update(visible=True),
            parts.exam: review_view.render_task(task, self._recipes),
            parts.correction: task.answer,
            **self._show_progress(reviewer),
        }

    def _show_progress(self, reviewer: str) -> Updates:
        try:
            progress = self._reviewing.progress(reviewer)
        except ElaraError:
            return unchanged(self._parts.state)
        return {self._parts.progress: review_view.render_progress(progress)}

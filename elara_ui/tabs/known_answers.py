"""Answers whose right judgement is known: found, marked with what is right, listed and let go again."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from db.vocabulary import RUBRIC, Disposition
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.tabs.known_answers_view import (
    INTRODUCTION,
    render_chosen,
    render_known,
    render_markable,
)
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.opinions_view import VERDICTS
from elara_ui.tabs.parts import Updates, components_of, unchanged

OPEN = ("not compared", "")
AXES = tuple(scale.axis.value for scale in RUBRIC)
VERDICT = "disposition"
SCROLL_SCRIPT = "() => document.querySelector('#known-form')?.scrollIntoView({block: 'nearest'})"
"""Brings the form into sight, for whoever pressed an answer above it on a narrow page."""


@dataclass(frozen=True)
class KnownParts:
    """The section's components.

    Args:
        chosen: id of the item being marked; None for none.
        values: what is right on each axis, in the rubric's order, and the verdict.
    """

    chosen: gr.State
    search: gr.Textbox
    find: gr.Button
    found: gr.HTML
    form: gr.Column
    answer: gr.HTML
    values: tuple[gr.Dropdown, ...]
    mark: gr.Button
    leave: gr.Button
    message: gr.HTML
    known: gr.HTML


def build_known_answers(services: Services) -> "KnownHandlers":
    """Build the section and wire it."""
    parts = _build()
    handlers = KnownHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    gr.on([parts.find.click, parts.search.submit], handlers.find, [parts.search], **common)
    parts.answer.change(None, None, None, js=SCROLL_SCRIPT)
    parts.found.act(handlers.choose, [parts.search], **common)
    parts.mark.click(handlers.mark, [parts.chosen, parts.search, *parts.values], **common)
    parts.leave.click(handlers.leave, None, **common)
    parts.known.act(handlers.unmark, [parts.search], **common)
    return handlers


def _build() -> KnownParts:
    gr.HTML(INTRODUCTION)
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            with gr.Row(elem_classes="el-freeze-row"):
                search = gr.Textbox(
                    label="Find an answer in the queue",
                    placeholder="words of the question or answer, or its id",
                    max_lines=1,
                    max_length=200,
                    scale=3,
                    min_width=180,
                    elem_id="known-search",
                )
                find = gr.Button("Find", scale=0, min_width=90, elem_id="find-known")
            found = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="markable")
        with gr.Column(scale=6, min_width=300):
            message = gr.HTML(elem_id="known-message")
            with gr.Column(visible=False, elem_classes="el-card", elem_id="known-form") as form:
                answer = gr.HTML()
                with gr.Row():
                    values = (
                        *(
                            _choice(scale.title, [(each.label, each.value) for each in scale.choices])
                            for scale in RUBRIC
                        ),
                        _choice("Verdict", [(VERDICTS[each], each.value) for each in VERDICTS if
                                            each is not Disposition.OUT_OF_SCOPE]),
                    )  # fmt: skip
                with gr.Row():
                    mark = gr.Button("Mark as known", variant="primary", min_width=180, elem_id="mark-known")
                    leave = gr.Button("Leave it", min_width=100)
            known = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="known")
    return KnownParts(gr.State(None), search, find, found, form, answer, values, mark, leave, message, known)


def _choice(title: str, choices: list[tuple[str, str]]) -> gr.Dropdown:
    return gr.Dropdown([OPEN, *choices], value="", label=title, min_width=170, elem_id=_id_of(title))


def _id_of(title: str) -> str:
    return f"known-{title.lower().replace(' ', '-')}"


class KnownHandlers:
    """The section's behaviour."""

    def __init__(self, services: Services, parts: KnownParts) -> None:
        self._calibration = services.calibration
        self.parts = parts

    def refresh(self, search: str) -> Updates:
        """What is known, and what could be marked."""
        return self.find(search) | {self.parts.known: render_known(self._calibration.known())}

    def find(self, search: str) -> Updates:
        """Look for answers to mark."""
        found = self._calibration.markable(search or "")
        return {self.parts.found: render_markable(found, searched=bool((search or "").strip()))}

    def choose(self, search: str, event: gr.EventData) -> Updates:
        """Ask what is right of an answer; what an adjudicator settled is filled in."""
        parts, item_id = self.parts, str(event.item)
        found = next((each for each in self._calibration.markable(item_id, 1)), None)
        if str(event.act) != "choose" or found is None:
            return self.refresh(search)
        try:
            settled = self._calibration.suggest(item_id)
        except ElaraError as error:
            return {parts.message: notice(error.message)}
        return {
            parts.chosen: item_id,
            parts.message: "",
            parts.form: gr.update(visible=True),
            parts.answer: render_chosen(found, settled=bool(settled)),
            **{
                part: settled.get(name, "") for part, name in zip(parts.values, (*AXES, VERDICT), strict=True)
            },
        }

    def mark(self, chosen: str | None, search: str, *values: str | None) -> Updates:
        """Make the judgement known; a refused one stays as filled in."""
        if chosen is None:
            return unchanged(self.parts.chosen)
        expected = {name: value for name, value in zip((*AXES, VERDICT), values, strict=True) if value}
        try:
            self._calibration.mark(chosen, expected)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        told = "Marked. From now on it comes among other tasks, and nobody can tell it from them."
        return self.leave() | {self.parts.message: notice(told, "good")} | self.refresh(search)

    def leave(self) -> dict[Any, Any]:
        """Mark nothing."""
        return {
            self.parts.chosen: None,
            self.parts.form: gr.update(visible=False),
            self.parts.message: "",
        }

    def unmark(self, search: str, event: gr.EventData) -> Updates:
        """Make an item an ordinary one again."""
        if str(event.act) != "unmark":
            return unchanged(self.parts.chosen)
        try:
            self._calibration.unmark(str(event.item))
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        told = "It is an ordinary answer again. What was judged of it stays, and counts as before."
        return {self.parts.message: notice(told, "good")} | self.refresh(search)

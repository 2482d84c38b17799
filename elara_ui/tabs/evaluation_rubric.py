"""Scoring rubric points: one answer at a time, each met or not, and no word of which version wrote it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.evaluation_rubric import RubricTask
from elara_ui.tabs.markup import escape, markdown, notice
from elara_ui.tabs.parts import Updates, components_of

INTRODUCTION = (
    '<p class="el-muted">For questions with points: tick what the answer has, leave the rest. You are not '
    "told which version answered. The share of points met, by weight, joins its evaluation’s figures.</p>"
)


@dataclass(frozen=True)
class RubricParts:
    """The panel.

    Args:
        suites: those whose questions have points.
        task: the answer on show; None for none.
    """

    suites: gr.Dropdown
    name: gr.Textbox
    begin: gr.Button
    task: gr.State
    answer: gr.HTML
    points: gr.CheckboxGroup
    save: gr.Button
    message: gr.HTML


def build_rubric(services: Services, reviewer: gr.BrowserState) -> "RubricHandlers":
    """Build the closed panel and wire it.

    Args:
        reviewer: who reviews in this browser.
    """
    with gr.Accordion("Score rubric points", open=False, elem_id="rubric-points") as panel:
        gr.HTML(INTRODUCTION)
        with gr.Row(elem_classes="el-freeze-row"):
            suites = gr.Dropdown([], label="Questions", min_width=180, elem_id="rubric-suite")
            name = gr.Textbox(
                label="Your name or pseudonym", max_lines=1, min_width=180, elem_id="rubric-name"
            )
            begin = gr.Button("Next answer", size="md", scale=0, min_width=160, elem_id="rubric-next")
        answer = gr.HTML(elem_id="rubric-answer")
        points = gr.CheckboxGroup([], label="The answer has", visible=False, elem_id="rubric-met")
        save = gr.Button("Save and go on", variant="primary", size="md", visible=False, elem_id="rubric-save")
        message = gr.HTML(elem_id="rubric-message")
    parts = RubricParts(suites, name, begin, gr.State(None), answer, points, save, message)
    handlers = RubricHandlers(services, parts)
    common: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
    outputs = components_of(parts)
    panel.expand(handlers.open, [reviewer], outputs, **common)
    begin.click(handlers.next, [name, suites], outputs, **common)
    save.click(handlers.save, [name, suites, parts.task, points], outputs, **common)
    return handlers


class RubricHandlers:
    """The panel's behaviour."""

    def __init__(self, services: Services, parts: RubricParts) -> None:
        self._services = services
        self.parts = parts

    def open(self, reviewer: str) -> Updates:
        """Offer the suites that have points."""
        found = [suite.name for suite in self._services.suites.newest() if suite.has_points]
        told = "" if found else notice("No suite has points yet. Add one with points above.", "info")
        return {
            self.parts.suites: gr.update(choices=found, value=next(iter(found), None)),
            self.parts.name: reviewer,
            self.parts.message: told,
        }

    def next(self, name: str, suite: str | None) -> Updates:
        """Show an answer that this reviewer has not scored."""
        try:
            task = self._services.rubric.next(name, suite) if suite else None
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self._paint(task)

    def save(self, name: str, suite: str, task: RubricTask | None, met: list[int]) -> Updates:
        """Keep what was found, and show the next."""
        if task is None:
            return self.next(name, suite)
        found = [place in met for place in range(len(task.points))]
        try:
            self._services.rubric.score(name, task.answer_id, found)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self.next(name, suite)

    def _paint(self, task: RubricTask | None) -> Updates:
        parts = self.parts
        if task is None:
            done = notice("Nothing is left to score here.", "info")
            hidden = {parts.points: gr.update(visible=False), parts.save: gr.update(visible=False)}
            return {parts.task: None, parts.answer: "", parts.message: done} | hidden
        choices = [(point.text, place) for place, point in enumerate(task.points)]
        return {
            parts.task: task,
            parts.answer: _render_task(task),
            parts.points: gr.update(choices=choices, value=[], visible=True),
            parts.save: gr.update(visible=True),
            parts.message: "",
        }


def _render_task(task: RubricTask) -> str:
    return (
        f'<div class="el-card"><p class="el-muted">{task.left} to score</p><p><strong>{escape(task.question)}'
        f'</strong></p><div class="el-answer">{markdown(task.text)}</div></div>'
    )

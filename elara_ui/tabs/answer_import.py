"""Answers of other models, brought in from the page: what would be taken first, then the import."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.answer_files import JSON_SUFFIXES, TABLE_SUFFIXES, AnswerColumns
from elara_ui.tabs.answer_import_view import INTRODUCTION, render_preview, render_report
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, components_of

LABELS = {
    "prompt": "Column: question",
    "response": "Column: answer",
    "model": "Column: model",
    "audience": "Column: audience",
    "language": "Column: language",
}
BY_NAME = ("usual name", "")
OWN_AUDIENCE = ("as each row says", "")


@dataclass(frozen=True)
class ImportParts:
    """The section's components.

    Args:
        columns: where the file keeps each part of an answer, in the order of `AnswerColumns`.
    """

    file: gr.File
    mapping: gr.Column
    columns: tuple[gr.Dropdown, ...]
    audience: gr.Dropdown
    batch: gr.Textbox
    preview: gr.HTML
    send: gr.Button
    report: gr.HTML

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `ImportHandlers.look` takes."""
        return [self.file, self.audience, *self.columns]


def build_answer_import(services: Services) -> "ImportHandlers":
    """Build the section and wire it."""
    parts = _build(services)
    handlers = ImportHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    parts.file.change(handlers.open, [parts.file, parts.audience], **common)
    gr.on([part.input for part in parts.inputs[1:]], handlers.look, parts.inputs, **common)
    gr.on([parts.send.click, parts.batch.submit], handlers.send, [parts.batch, *parts.inputs], **common)
    return handlers


def _build(services: Services) -> ImportParts:
    gr.HTML(INTRODUCTION)
    file = gr.File(
        label="JSONL, CSV or TSV",
        file_types=sorted((*JSON_SUFFIXES, *TABLE_SUFFIXES)),
        height=120,
        elem_id="answers-file",
    )
    with gr.Column(visible=False) as mapping:
        with gr.Row():
            columns = tuple(
                gr.Dropdown(
                    [BY_NAME], value="", label=LABELS[field.name], min_width=150,
                    elem_id=f"answers-{field.name}",
                )
                for field in fields(AnswerColumns)
            )  # fmt: skip
        with gr.Row():
            audience = gr.Dropdown(
                [OWN_AUDIENCE, *((recipe.title, recipe.audience) for recipe in services.recipes.values())],
                value="",
                label="Written for",
                info="Of rows that don't say so themselves.",
                min_width=180,
                elem_id="answers-default-audience",
            )
            batch = gr.Textbox(
                label="Name of the batch",
                info="Made from the file's name and the time if left empty.",
                max_lines=1,
                max_length=100,
                min_width=220,
                elem_id="answers-batch",
            )
    preview = gr.HTML(elem_id="answers-preview")
    send = gr.Button(
        "Send to review", variant="primary", visible=False, scale=0, min_width=220, elem_id="import-answers"
    )
    report = gr.HTML(elem_id="answers-report")
    return ImportParts(file, mapping, columns, audience, batch, preview, send, report)


class ImportHandlers:
    """The section's behaviour."""

    def __init__(self, services: Services, parts: ImportParts) -> None:
        self._importing = services.importing
        self._recipes = services.recipes
        self.parts = parts

    def open(self, file: str | None, audience: str) -> Updates:
        """Offer the columns of an uploaded file, those that usual names tell chosen, and preview it."""
        parts = self.parts
        if file is None:
            return self._put_away() | {parts.preview: ""}
        try:
            header, found = self._importing.columns(Path(file))
        except ElaraError as error:
            return self._put_away() | {parts.preview: notice(error.message)}
        values = [getattr(found, field.name) for field in fields(AnswerColumns)]
        choices = [BY_NAME, *((name, name) for name in header)]
        offered: Updates = {
            part: gr.update(choices=choices, value=value)
            for part, value in zip(parts.columns, values, strict=True)
        }
        shown: Updates = {parts.mapping: gr.update(visible=True), parts.report: ""}
        return offered | shown | self.look(file, audience, *values)

    def look(self, file: str | None, audience: str, *columns: str) -> Updates:
        """Say what would be taken and what left out."""
        parts = self.parts
        if file is None:
            return self._put_away()
        try:
            seen = self._importing.preview(Path(file), audience or None, _read(columns))
        except ElaraError as error:
            return {parts.preview: notice(error.message), parts.send: gr.update(visible=False)}
        word = "answer" if seen.fresh == 1 else "answers"
        return {
            parts.preview: render_preview(seen, self._recipes),
            parts.send: gr.update(visible=seen.fresh > 0, value=f"Send {seen.fresh:,} {word} to review"),
        }

    def send(self, batch: str, file: str | None, audience: str, *columns: str) -> Updates:
        """Take what can be taken; what was left out is listed with why."""
        parts = self.parts
        if file is None:
            return self._put_away()
        try:
            report = self._importing.import_answers(
                Path(file), audience or None, batch=batch or "", columns=_read(columns)
            )
        except ElaraError as error:
            return {parts.report: notice(error.message)}
        return self._put_away() | {
            parts.file: None,
            parts.batch: "",
            parts.preview: "",
            parts.report: render_report(report),
        }

    def _put_away(self) -> dict[Any, Any]:
        """Nothing to map and nothing to send."""
        return {self.parts.mapping: gr.update(visible=False), self.parts.send: gr.update(visible=False)}


def _read(columns: Sequence[str | None]) -> AnswerColumns:
    return AnswerColumns(*(name or "" for name in columns))

"""Adding a suite of one's own questions: a file, a name, and what is wrong with it line by line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError, InvalidInput
from elara_ui.services import Services
from elara_ui.services.suite_files import read_suite_file
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, components_of

INTRODUCTION = (
    '<p class="el-muted">One JSON object a line. Only <code>id</code> and <code>question</code> are needed; '
    "a <code>reference</code> answer gives a held-out loss; <code>points</code> are what reviewers look for. "
    "Questions that hold something of a real person don’t belong here: they are stored with every answer.</p>"
    '<pre class="el-example">{"id": "burn-1", "question": "What helps a small burn?",\n'
    ' "reference": "Cool it under running water for 20 minutes.",\n'
    ' "points": [{"text": "Cools it with water", "weight": 2}, {"text": "Advises against ice"}]}</pre>'
)


@dataclass(frozen=True)
class SuiteParts:
    """The panel.

    Args:
        added: counts suites added, for others to follow.
    """

    file: gr.File
    name: gr.Textbox
    add: gr.Button
    message: gr.HTML
    added: gr.Number


def build_suites(services: Services) -> "SuiteHandlers":
    """Build the closed panel and wire it."""
    with gr.Accordion("Add questions of your own", open=False, elem_id="add-suite"):
        gr.HTML(INTRODUCTION)
        with gr.Row(equal_height=False):
            file = gr.File(label="JSONL file", file_types=[".jsonl"], height=120, elem_id="suite-file")
            with gr.Column():
                name = gr.Textbox(
                    label="Name", placeholder="the file’s own name", max_lines=1, elem_id="suite-name"
                )
                add = gr.Button("Add", size="md", elem_id="suite-add")
        message = gr.HTML(elem_id="suite-message")
        parts = SuiteParts(file, name, add, message, gr.Number(0, visible=False))
    handlers = SuiteHandlers(services, parts)
    common: dict[str, Any] = {"outputs": components_of(parts), "show_progress": "hidden"}
    add.click(handlers.add, [file, name, parts.added], concurrency_limit=None, **common)
    return handlers


class SuiteHandlers:
    """The panel's behaviour."""

    def __init__(self, services: Services, parts: SuiteParts) -> None:
        self._services = services
        self.parts = parts

    def add(self, file: str | None, name: str, added: float) -> Updates:
        """Keep the file's questions."""
        try:
            if not file:
                raise InvalidInput("No file was chosen. Choose a JSONL file first.")
            path = Path(file)
            questions = read_suite_file(path)
            suite = self._services.suites.add(name.strip() or path.stem.lower(), questions, path.name)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        said = f"{suite.label} has {len(suite.questions)} questions and can be chosen above."
        return {
            self.parts.message: notice(said, "good"),
            self.parts.file: None,
            self.parts.name: "",
            self.parts.added: added + 1,
        }

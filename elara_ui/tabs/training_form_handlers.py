"""What happens in the fine-tune tab's form: each handler unpacks, makes one service call and paints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from adapters.hyperparameters import HYPERPARAMETERS
from adapters.training.examples import ColumnMap
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.training import DataChoice, DataSource
from elara_ui.tabs import training_form_view
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates


@dataclass(frozen=True)
class DataParts:
    """What to learn, on what, from what."""

    audience: gr.Radio
    base_model: gr.Dropdown
    source: gr.Radio
    file: gr.File
    prompt_column: gr.Dropdown
    answer_column: gr.Dropdown
    reference: gr.Textbox
    skip: gr.Checkbox
    check: gr.Button
    preview: gr.HTML


@dataclass(frozen=True)
class FormParts:
    """Everything in the form that its handlers fill.

    Args:
        launched: the run started last, for the list of runs to follow.
    """

    data: DataParts
    hyperparameters: tuple[gr.components.Component, ...]
    launch: gr.Button
    message: gr.HTML
    launched: gr.Textbox


class FormHandlers:
    """The form's behaviour."""

    def __init__(self, services: Services, parts: FormParts) -> None:
        self._services = services
        self._data = parts.data
        self.parts = parts

    def choose_audience(self, audience: str) -> Updates:
        """Set every hyperparameter to the audience's recipe."""
        recipe = self._services.recipes[audience].hyperparameters
        values = [getattr(recipe, info.name) for info in HYPERPARAMETERS]
        shown = [", ".join(value) if isinstance(value, tuple) else value for value in values]
        return {**dict(zip(self.parts.hyperparameters, shown, strict=True)), self._data.preview: ""}

    def choose_source(self, source: str) -> Updates:
        """Ask for a file, or a name, only when one is wanted."""
        named = source in (DataSource.HUB, DataSource.SNAPSHOT)
        return {
            self._data.file: gr.update(visible=source == DataSource.FILE),
            self._data.reference: gr.update(visible=named),
            self._data.skip: gr.update(visible=source in (DataSource.FILE, DataSource.HUB)),
            self._data.prompt_column: gr.update(visible=False),
            self._data.answer_column: gr.update(visible=False),
            self._data.preview: "",
        }

    def choose_file(self, file: str | None) -> Updates:
        """Read the column names of an uploaded file and propose which are question and answer."""
        hidden = {
            self._data.prompt_column: gr.update(visible=False, value=None),
            self._data.answer_column: gr.update(visible=False, value=None),
            self._data.preview: "",
        }
        if file is None:
            return hidden
        try:
            names, guess = self._services.training.columns(Path(file))
        except ElaraError as error:
            return hidden | {self._data.preview: notice(error.message)}
        if names == ["messages"] or "messages" in names:
            return hidden
        return {
            self._data.prompt_column: gr.update(
                choices=names, value=guess.prompt if guess else None, visible=True
            ),
            self._data.answer_column: gr.update(
                choices=names, value=guess.answer if guess else None, visible=True
            ),
            self._data.preview: "",
        }

    def check(
        self,
        audience: str,
        source: str,
        file: str | None,
        prompt_column: str | None,
        answer_column: str | None,
        reference: str,
        skip: bool,
        *values: Any,
    ) -> Updates:
        """Say what would be trained on."""
        try:
            data = self._choose_data(source, file, prompt_column, answer_column, reference, skip)
            preview = self._services.training.preview(audience, data, name_values(values))
        except ElaraError as error:
            return {self._data.preview: notice(error.message)}
        return {self._data.preview: training_form_view.render_preview(preview)}

    def launch(
        self,
        base_model: str,
        audience: str,
        source: str,
        file: str | None,
        prompt_column: str | None,
        answer_column: str | None,
        reference: str,
        skip: bool,
        *values: Any,
    ) -> Updates:
        """Start a run; a refused one leaves everything as filled in."""
        try:
            data = self._choose_data(source, file, prompt_column, answer_column, reference, skip)
            run_id = self._services.training.launch(audience, data, name_values(values), base_model)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return {
            self.parts.launched: run_id,
            self.parts.message: notice(
                f"Run {run_id} is on its way. It goes on by itself: this page may be closed.", "good"
            ),
        }

    def _choose_data(
        self,
        source: str,
        file: str | None,
        prompt_column: str | None,
        answer_column: str | None,
        reference: str,
        skip: bool,
    ) -> DataChoice:
        """The form's data fields as a choice.

        Columns left as they were proposed are found by name again, row by row: a set may mix its names.
        """
        chosen = DataSource(source)
        if chosen is not DataSource.FILE:
            return DataChoice(chosen, reference=(reference or "").strip(), skip_bad_rows=skip)
        path, columns = Path(file) if file else None, None
        if path is not None and prompt_column and answer_column:
            _, proposed = self._services.training.columns(path)
            if proposed is None or (proposed.prompt, proposed.answer) != (prompt_column, answer_column):
                columns = ColumnMap(prompt_column, answer_column)
        return DataChoice(chosen, path, columns, path.name if path else "", skip_bad_rows=skip)


def name_values(values: Sequence[Any]) -> dict[str, object]:
    """The form's values by hyperparameter name."""
    return {info.name: value for info, value in zip(HYPERPARAMETERS, values, strict=True)}

"""What happens in the fine-tune tab: each handler unpacks, makes one service call and paints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from adapters.hyperparameters import HYPERPARAMETERS
from adapters.training.examples import ColumnMap
from db.vocabulary import RunStatus
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.training import DataChoice, DataSource, RunView
from elara_ui.tabs import finetune_view
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, unchanged


@dataclass(frozen=True)
class FinetuneState:
    """What one browser tab looks at.

    Args:
        run_id: the run shown; None shows the newest.
    """

    run_id: str | None = None


@dataclass(frozen=True)
class Painted:
    """What of a run is on the page, so that the chart is only drawn again when something is new."""

    run_id: str = ""
    points: int = 0
    status: str = ""


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
class RunParts:
    """The runs and the one that is looked at."""

    list: gr.HTML
    detail: gr.HTML
    chart: gr.LinePlot
    cancel: gr.Button
    resume: gr.Button
    log_panel: gr.Accordion
    log: gr.HTML


@dataclass(frozen=True)
class FinetuneParts:
    """Everything in the tab that handlers fill.

    Args:
        state: written by what a person does, never by the clock.
        painted: written by whoever paints.
        promoted: counts promotions, for others to follow.
    """

    state: gr.State
    painted: gr.State
    data: DataParts
    hyperparameters: tuple[gr.components.Component, ...]
    launch: gr.Button
    message: gr.HTML
    runs: RunParts
    adapters: gr.HTML
    promoted: gr.Number


class FinetuneHandlers:
    """The tab's behaviour."""

    def __init__(self, services: Services, parts: FinetuneParts) -> None:
        self._services = services
        self._data = parts.data
        self._runs = parts.runs
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
        return {self._data.preview: finetune_view.render_preview(preview)}

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
        return self._look_at(run_id) | {
            self.parts.message: notice(
                f"Run {run_id} is on its way. It goes on by itself: this page may be closed.", "good"
            )
        }

    def open_run(self, event: gr.EventData) -> Updates:
        """Look at another run."""
        return self._look_at(str(event.item))

    def cancel(self, painted: Painted) -> Updates:
        """Ask the run shown to stop."""
        return self._change(painted, self._services.training.cancel)

    def resume(self, painted: Painted) -> Updates:
        """Let the run shown go on."""
        return self._change(painted, self._services.training.resume)

    def promote(self, promoted: float, event: gr.EventData) -> Updates:
        """Make an adapter live."""
        try:
            adapter = self._services.adapters.promote(str(event.item))
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return {
            self.parts.adapters: finetune_view.render_adapters(self._services.adapters.versions()),
            self.parts.message: notice(
                f"{adapter.name} now answers for {adapter.audience}, from the next message on.", "good"
            ),
            self.parts.promoted: promoted + 1,
        }

    def refresh(self, state: FinetuneState, painted: Painted) -> Updates:
        """Paint what the database says now; the chart only when it has something new."""
        try:
            self._services.training.reconcile()
            listed = self._services.training.recent()
            shown_id = state.run_id or (listed[0].run_id if listed else None)
            updates: Updates = {
                self._runs.list: finetune_view.render_runs(listed, shown_id),
                self.parts.adapters: finetune_view.render_adapters(self._services.adapters.versions()),
            }
            if shown_id is None:
                return updates
            return updates | self._show_run(self._services.training.show(shown_id), painted)
        except ElaraError as error:
            return {self._runs.detail: notice(error.message)}

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

    def _look_at(self, run_id: str) -> Updates:
        state = FinetuneState(run_id)
        return {self.parts.state: state, **self.refresh(state, Painted())}

    def _show_run(self, run: RunView, painted: Painted) -> Updates:
        now = Painted(run.run_id, len(run.points), str(run.status))
        updates: Updates = {
            self.parts.painted: now,
            self._runs.detail: finetune_view.render_run(run),
            self._runs.log: finetune_view.render_log(self._services.training.log(run.run_id)),
        }
        if now != painted:
            resumable = run.status in (RunStatus.INTERRUPTED, RunStatus.FAILED, RunStatus.CANCELLED)
            updates |= {
                self._runs.chart: gr.update(
                    value=finetune_view.tabulate_losses(run), visible=bool(run.points)
                ),
                self._runs.cancel: gr.update(visible=not run.status.ended),
                self._runs.resume: gr.update(visible=resumable),
                self._runs.log_panel: gr.update(visible=True),
            }
        return updates

    def _change(self, painted: Painted, change: Callable[[str], RunView]) -> Updates:
        if not painted.run_id:
            return unchanged(self.parts.state)
        try:
            change(painted.run_id)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self._look_at(painted.run_id) | {self.parts.message: ""}


def name_values(values: Sequence[Any]) -> dict[str, object]:
    """The form's values by hyperparameter name."""
    return {info.name: value for info, value in zip(HYPERPARAMETERS, values, strict=True)}

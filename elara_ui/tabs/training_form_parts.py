"""The form of the fine-tune tab: its components, and what a person has filled in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from adapters.hyperparameters import HYPERPARAMETERS, Hyperparameters
from adapters.training.examples import ColumnMap
from elara_ui.services.training import DataChoice, DataSource, TrainingService

SETTINGS_BEGIN = 11
"""Where, among the values of `FormParts.inputs`, the hyperparameters begin."""


@dataclass(frozen=True)
class DataParts:
    """What to learn, on what, from what."""

    audience: gr.Radio
    base_model: gr.Dropdown
    source: gr.Radio
    file: gr.File
    prompt_column: gr.Dropdown
    answer_column: gr.Dropdown
    context_column: gr.Dropdown
    rejected_column: gr.Dropdown
    label_column: gr.Dropdown
    reference: gr.Dropdown
    skip: gr.Checkbox
    check: gr.Button
    preview: gr.HTML

    @property
    def columns(self) -> tuple[gr.Dropdown, ...]:
        """Where a file keeps what is learned, in the order of `ColumnMap`."""
        return (
            self.prompt_column,
            self.answer_column,
            self.context_column,
            self.rejected_column,
            self.label_column,
        )

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `read_form` expects first."""
        return [
            self.audience,
            self.base_model,
            self.source,
            self.file,
            *self.columns,
            self.reference,
            self.skip,
        ]


@dataclass(frozen=True)
class RecipeParts:
    """The settings: where they come from, what was changed, and each of them."""

    saved: gr.Dropdown
    name: gr.Textbox
    save: gr.Button
    delete: gr.Button
    reset: gr.Button
    changes: gr.HTML
    fields: tuple[gr.components.Component, ...]


@dataclass(frozen=True)
class LaunchParts:
    """The preview and the start.

    Args:
        gate: what was previewed.
        launched: the run started last, for the list of runs to follow.
    """

    gate: gr.State
    preview: gr.Button
    report: gr.HTML
    launch: gr.Button
    message: gr.HTML
    launched: gr.Textbox


@dataclass(frozen=True)
class FormParts:
    """Everything in the form that its handlers fill."""

    data: DataParts
    recipe: RecipeParts
    launching: LaunchParts

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `read_form` takes, in its order."""
        return [*self.data.inputs, *self.recipe.fields]


@dataclass(frozen=True)
class FormValues:
    """A filled-in form.

    Args:
        audience: for whom.
        base_model: on what.
        data: from what.
        settings: hyperparameter → value as typed.
    """

    audience: str
    base_model: str
    data: DataChoice
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """What stands between a form and its start.

    Args:
        previewed: the form whose preview succeeded; None before there is one.
        rows: examples to learn from, as last counted; None before.
    """

    previewed: FormValues | None = None
    rows: int | None = None


def read_form(training: TrainingService, values: Sequence[Any]) -> FormValues:
    """What is filled in.

    Args:
        training: knows which columns a file proposes.
        values: of `FormParts.inputs`, in that order. Columns count for files only.

    Raises:
        DatasetError: the file can't be read.
    """
    audience, base_model, source, file, prompt, answer, *optional, reference, skip = values[:SETTINGS_BEGIN]
    chosen = DataSource(source)
    if chosen is DataSource.FILE:
        path = Path(file) if file else None
        columns = None
        if path and prompt and answer:
            chosen_columns = ColumnMap(prompt, answer, *(name or None for name in optional))
            columns = training.settle_columns(path, chosen_columns)
        data = DataChoice(chosen, path, columns, path.name if path else "", skip_bad_rows=bool(skip))
    else:
        data = DataChoice(chosen, reference=(reference or "").strip(), skip_bad_rows=bool(skip))
    named = {info.name: value for info, value in zip(HYPERPARAMETERS, values[SETTINGS_BEGIN:], strict=True)}
    return FormValues(audience, (base_model or "").strip(), data, named)


def fill_fields(fields: Sequence[gr.components.Component], settings: Hyperparameters) -> dict[Any, Any]:
    """The fields' values for these settings."""
    values = [getattr(settings, info.name) for info in HYPERPARAMETERS]
    shown = [", ".join(value) if isinstance(value, tuple) else value for value in values]
    return dict(zip(fields, shown, strict=True))

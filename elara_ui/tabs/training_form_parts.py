"""The form of the fine-tune tab: its components, and what a person has filled in."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr

from adapters.hyperparameters import HYPERPARAMETERS, Hyperparameters
from adapters.training.examples import ColumnMap
from elara_ui.services.training import DataChoice, DataSource, TrainingService
from elara_ui.tabs import column_mapping
from elara_ui.tabs.column_mapping import place_of

SETTINGS_BEGIN = 14
"""Where, among the values of `FormParts.inputs`, the hyperparameters begin."""


@dataclass(frozen=True)
class DataParts:
    """What to learn, on what, from what.

    Args:
        told: about the columns that were read.
        mappings: the columns of each source, as `Mappings`.
        found: what the latest reading came to, before it is taken into `mappings`.
    """

    audience: gr.Radio
    base_model: gr.Dropdown
    source: gr.Radio
    file: gr.File
    hub: gr.Textbox
    folder: gr.Textbox
    stored: gr.Dropdown
    read: gr.Button
    told: gr.HTML
    prompt_column: gr.Dropdown
    answer_column: gr.Dropdown
    context_column: gr.Dropdown
    rejected_column: gr.Dropdown
    label_column: gr.Dropdown
    skip: gr.Checkbox
    mappings: gr.State
    found: gr.State
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
    def places(self) -> tuple[gr.Textbox | gr.Dropdown, ...]:
        """Where a source is named that is no upload."""
        return (self.hub, self.folder, self.stored)

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `read_form` expects first."""
        return [
            self.audience,
            self.base_model,
            self.source,
            self.file,
            *self.places,
            *self.columns,
            self.skip,
            self.mappings,
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
    """What is filled in. No file is read for it.

    Args:
        training: opens folders, or doesn't.
        values: of `FormParts.inputs`, in that order.

    Raises:
        InvalidInput: the folder isn't there, or none may be named.
    """
    audience, base_model, *rest = values[:SETTINGS_BEGIN]
    named = {info.name: value for info, value in zip(HYPERPARAMETERS, values[SETTINGS_BEGIN:], strict=True)}
    return FormValues(audience, (base_model or "").strip(), _read_data(training, *rest), named)


def _read_data(
    training: TrainingService,
    source: str,
    file: str | None,
    hub: str | None,
    folder: str | None,
    stored: str | None,
    *rest: Any,
) -> DataChoice:
    """The rows that are chosen; columns count only for what they were read from."""
    *columns, skip, mappings = rest
    place = place_of(source, file, hub, folder)
    mapped = mappings.find(source, place)
    chosen = None
    if mapped is not None and columns[0] and columns[1]:
        chosen = mapped.settle(ColumnMap(*columns[:2], *(name or None for name in columns[2:])))
    match source:
        case DataSource.FILE:
            path = Path(place) if place else None
            return DataChoice(
                DataSource.FILE, path, chosen, path.name if path else "", skip_bad_rows=bool(skip)
            )
        case DataSource.HUB:
            return DataChoice(DataSource.HUB, columns=chosen, reference=place, skip_bad_rows=bool(skip))
        case column_mapping.FOLDER:
            return replace(training.choose_folder(place), columns=chosen, skip_bad_rows=bool(skip))
        case DataSource.SNAPSHOT:
            return DataChoice(DataSource.SNAPSHOT, reference=(stored or "").strip())
        case _:
            return DataChoice(DataSource(source))


def fill_fields(fields: Sequence[gr.components.Component], settings: Hyperparameters) -> dict[Any, Any]:
    """The fields' values for these settings."""
    values = [getattr(settings, info.name) for info in HYPERPARAMETERS]
    shown = [", ".join(value) if isinstance(value, tuple) else value for value in values]
    return dict(zip(fields, shown, strict=True))

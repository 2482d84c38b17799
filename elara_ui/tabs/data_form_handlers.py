"""What happens where the form asks what is learned from: sources, and which of their columns hold what."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.training import DataChoice, DataSource
from elara_ui.tabs import column_mapping, training_form_view
from elara_ui.tabs.column_mapping import FOLDER, Found, Mapped, Mappings, place_of
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, unchanged
from elara_ui.tabs.training_form_parts import DataParts

FILE, HUB = DataSource.FILE.value, DataSource.HUB.value


class DataHandlers:
    """The behaviour of sources and their columns."""

    def __init__(self, services: Services, parts: DataParts) -> None:
        self._training = services.training
        self._parts = parts

    def choose_source(
        self, source: str, file: str | None, hub: str, folder: str, mappings: Mappings
    ) -> Updates:
        """Ask for what the source needs, with its columns as they were last seen."""
        parts = self._parts
        return {
            parts.file: gr.update(visible=source == FILE),
            parts.hub: gr.update(visible=source == HUB),
            parts.folder: gr.update(visible=source == FOLDER),
            parts.stored: gr.update(visible=source == DataSource.SNAPSHOT, choices=self.list_stored()),
            parts.read: gr.update(visible=source in (HUB, FOLDER), interactive=True),
            parts.skip: gr.update(visible=source in (FILE, HUB, FOLDER)),
            parts.preview: "",
            **self._show(mappings.find(source, place_of(source, file, hub, folder))),
        }

    def choose_file(self, file: str | None, mappings: Mappings) -> Updates:
        """Read the column names of an uploaded file and propose which hold what."""
        if file is None:
            return self._show(None) | {self._parts.preview: ""}
        if mappings.find(FILE, file) is None:
            mappings = mappings.take(self._read(FILE, file))
        return {
            self._parts.mappings: mappings,
            self._parts.preview: "",
            **self._show(mappings.find(FILE, file)),
        }

    def read_columns(self, source: str, file: str | None, hub: str, folder: str) -> Iterator[Updates]:
        """Read the first row of a hub dataset or a folder, which takes a while; `take` shows it."""
        place = place_of(source, file, hub, folder)
        yield self._show(None) | {
            self._parts.told: training_form_view.render_reading(place),
            self._parts.read: gr.update(interactive=False),
        }
        yield {self._parts.found: self._read(source, place)}

    def take(
        self,
        found: Found | None,
        source: str,
        file: str | None,
        hub: str,
        folder: str,
        mappings: Mappings,
    ) -> Updates:
        """Keep what was read, and show it unless another source is looked at meanwhile."""
        if found is None:
            return unchanged(self._parts.found)
        mappings = mappings.take(found)
        updates: Updates = {self._parts.mappings: mappings, self._parts.found: None}
        if (found.source, found.place) != (source, place_of(source, file, hub, folder)):
            return updates
        return {
            **updates,
            self._parts.read: gr.update(interactive=True),
            **self._show(mappings.find(source, found.place)),
        }

    def show_columns(
        self, source: str, file: str | None, hub: str, folder: str, mappings: Mappings
    ) -> Updates:
        """Another place is being named: its columns aren't known, unless it was read before."""
        return {
            self._parts.read: gr.update(interactive=True),
            **self._show(mappings.find(source, place_of(source, file, hub, folder))),
        }

    def pick_columns(
        self, source: str, file: str | None, hub: str, folder: str, mappings: Mappings, *chosen: str | None
    ) -> Updates:
        """Remember what was picked by hand, for when the source is looked at again."""
        place = place_of(source, file, hub, folder)
        return {self._parts.mappings: mappings.pick(source, place, chosen)}

    def list_stored(self) -> list[tuple[str, str]]:
        """The menu of stored sets, newest first."""
        return [(training_form_view.name_stored(item), item.id) for item in self._training.stored_sets()]

    def _read(self, source: str, place: str) -> Found:
        try:
            match source:
                case column_mapping.FOLDER:
                    data = self._training.choose_folder(place)
                case DataSource.HUB:
                    data = DataChoice(DataSource.HUB, reference=place)
                case _:
                    data = DataChoice(DataSource.FILE, Path(place))
            return Found(source, place, self._training.header(data))
        except ElaraError as error:
            return Found(source, place, None, error.message)

    def _show(self, mapped: Mapped | None) -> Updates:
        """The columns to choose from, or none."""
        parts = self._parts
        hidden: Updates = dict.fromkeys(parts.columns, gr.update(visible=False, value=None))
        if mapped is None:
            return hidden | {parts.told: ""}
        if mapped.trouble:
            return hidden | {parts.told: notice(mapped.trouble)}
        told = training_form_view.render_columns(mapped.header, mapped.is_conversation)
        if mapped.is_conversation:
            return hidden | {parts.told: told}
        names: list[Any] = list(mapped.header.names)
        optional = [("none", ""), *((name, name) for name in names)]
        needed = parts.columns[:2]
        return {
            parts.told: told,
            **{
                column: gr.update(choices=names, value=name or None, visible=True)
                if column in needed
                else gr.update(choices=optional, value=name, visible=True)
                for column, name in zip(parts.columns, mapped.chosen, strict=True)
            },
        }

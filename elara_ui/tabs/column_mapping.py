"""Which columns of a source hold what: read once for each, and remembered while another is looked at."""

from dataclasses import astuple, dataclass, replace
from typing import Any

from adapters.training.columns import CONVERSATION_COLUMNS, ColumnMap
from elara_ui.services.training import DataSource, Header

FOLDER = "folder"
"""A choice of the page alone: for the services a dataset folder is a file."""


@dataclass(frozen=True)
class Mapped:
    """The columns of one source.

    Args:
        place: what was read: a file's path, a folder, a hub dataset.
        header: its columns and the proposal.
        chosen: the column picked for each field of `ColumnMap`; empty for none.
    """

    place: str
    header: Header
    chosen: tuple[str, ...]

    @property
    def is_conversation(self) -> bool:
        """Whether its rows are conversations, which have no columns to map."""
        return any(name in self.header.names for name in CONVERSATION_COLUMNS)

    def settle(self, chosen: ColumnMap) -> ColumnMap | None:
        """The columns to read by; None when they are those proposed.

        What was only proposed is found by name again, row by row: a set may mix its names.
        """
        return None if chosen == self.header.proposed else chosen


@dataclass(frozen=True)
class Mappings:
    """The columns of the last file, hub dataset and folder that were read; one browser tab's."""

    file: Mapped | None = None
    hub: Mapped | None = None
    folder: Mapped | None = None

    def find(self, source: str, place: str) -> Mapped | None:
        """What is known of a source; None when it hasn't been read, or another of its kind has."""
        known: Mapped | None = getattr(self, source, None)
        return known if known and known.place == place else None

    def read(self, source: str, place: str, header: Header) -> "Mappings":
        """With a source just read, mapped as proposed."""
        proposed = astuple(header.proposed) if header.proposed else (None,) * len(ColumnMap.__match_args__)
        mapped = Mapped(place, header, tuple(name or "" for name in proposed))
        return replace(self, **{source: mapped})

    def pick(self, source: str, place: str, chosen: tuple[Any, ...]) -> "Mappings":
        """With columns picked by hand; unchanged when that source isn't known."""
        mapped = self.find(source, place)
        if mapped is None:
            return self
        return replace(self, **{source: replace(mapped, chosen=tuple(name or "" for name in chosen))})


def place_of(source: str, file: str | None, hub: str | None, folder: str | None) -> str:
    """What of a source is meant; empty when it has no columns to map, or nothing has been given."""
    given = {DataSource.FILE.value: file, DataSource.HUB.value: hub, FOLDER: folder}
    return (given.get(source) or "").strip()

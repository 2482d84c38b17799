"""Which columns of a source hold what: read once for each, and remembered while another is looked at."""

from dataclasses import astuple, dataclass, replace
from typing import Any

from adapters.training.columns import CONVERSATION_COLUMNS, ColumnMap
from elara_ui.services.training import DataSource, Header

FOLDER = "folder"
"""A choice of the page alone: for the services a dataset folder is a file."""
NO_HEADER = Header((), None)


@dataclass(frozen=True)
class Mapped:
    """The columns of one source.

    Args:
        place: what was read: a file's path, a folder, a hub dataset.
        header: its columns and the proposal.
        chosen: the column picked for each field of `ColumnMap`; empty for none.
        trouble: why it could not be read; empty when it could.
    """

    place: str
    header: Header
    chosen: tuple[str, ...] = ()
    trouble: str = ""

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
class Found:
    """What a reading came to, which may end after another source has been chosen.

    Args:
        header: the columns; None when they could not be read.
        trouble: why not.
    """

    source: str
    place: str
    header: Header | None
    trouble: str = ""


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

    def take(self, found: Found) -> "Mappings":
        """With a source just read, mapped as proposed."""
        if found.header is None:
            mapped = Mapped(found.place, NO_HEADER, trouble=found.trouble)
        else:
            proposed = found.header.proposed or ColumnMap("", "")
            mapped = Mapped(found.place, found.header, tuple(name or "" for name in astuple(proposed)))
        return replace(self, **{found.source: mapped})

    def pick(self, source: str, place: str, chosen: tuple[Any, ...]) -> "Mappings":
        """With columns picked by hand; unchanged when that source isn't known."""
        mapped = self.find(source, place)
        if mapped is None or mapped.trouble:
            return self
        return replace(self, **{source: replace(mapped, chosen=tuple(name or "" for name in chosen))})


def place_of(source: str, file: str | None, hub: str | None, folder: str | None) -> str:
    """What of a source is meant; empty when it has no columns to map, or nothing has been given."""
    given = {DataSource.FILE.value: file, DataSource.HUB.value: hub, FOLDER: folder}
    return (given.get(source) or "").strip()

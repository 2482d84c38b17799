"""Adapters that were trained elsewhere, brought in by a person; they answer nobody before their probe."""

from collections.abc import Callable, Sequence
from pathlib import Path

from adapters.base_model import BaseModel
from adapters.intake import Accepted, Arrival, Report, take_in
from db.home import Home
from db.session import Database
from elara_ui.errors import InvalidInput

__all__ = ["Accepted", "AdapterIntake"]

LONGEST_NAME = 100


class AdapterIntake:
    """Takes adapters in.

    Args:
        database: where they are recorded.
        home: where they are kept, and the base models that they are held against.
        audiences: those that there are.
        known: tells the base models that there are.
        find: a base model by its id or path.
        most_bytes: of an adapter's files together, unpacked.
        is_local: whether nobody else can reach the page.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        audiences: Sequence[str],
        known: Callable[[], Sequence[BaseModel]],
        find: Callable[[str], BaseModel],
        most_bytes: int,
        is_local: bool = True,
    ) -> None:
        self._database = database
        self._home = home
        self._audiences = tuple(audiences)
        self._known = known
        self._find = find
        self._most_bytes = most_bytes
        self._is_local = is_local

    def bases(self) -> tuple[BaseModel, ...]:
        """The base models that an adapter may be said to be for."""
        return tuple(self._known())

    def check_open(self) -> None:
        """Refuse what comes over a page that other people can reach: an adapter speaks for its owner.

        Raises:
            InvalidInput: it is such a page.
        """
        if not self._is_local:
            raise InvalidInput(
                "Adapters are brought in from the page only where Elara listens on this machine alone, and "
                "other machines can reach this one. Use `python -m elara_ui adapters add` on it."
            )

    def take_in(
        self,
        sources: Sequence[Path],
        audience: str,
        base: str = "",
        by: str = "",
        report: Report = lambda stage: None,
    ) -> Accepted:
        """Take an adapter in as its audience's next version, a candidate that has still to be probed.

        Args:
            sources: one zip, one folder, or the adapter's files.
            audience: for whom it speaks.
            base: catalogue id, hub id or path of its base model; empty to go by what its files say.
            by: who brings it; empty when they don't say.
            report: told what is being done.

        Raises:
            InvalidInput: nothing was given, or there is no such audience.
            AdapterError: it isn't a whole plain LoRA, doesn't fit, or is there already; nothing is kept.
            ModelError: there is no such base model.
        """
        if audience not in self._audiences:
            raise InvalidInput(
                f"An adapter speaks for one of {', '.join(self._audiences)}; “{audience[:60]}” is none. "
                "Choose one."
            )
        given = tuple(path.expanduser() for path in sources)
        if not given:
            raise InvalidInput("There is no adapter yet. Choose a zip or its files, or name its folder.")
        for path in given:
            if not path.exists():
                raise InvalidInput(f"An adapter must be there to be taken in; {path} isn't. Check the path.")
        chosen = self._find(base) if base.strip() else None
        who = " ".join(by.split())[:LONGEST_NAME]
        arrival = Arrival(given, audience, chosen, who)
        return take_in(self._database, self._home, arrival, self._known(), self._most_bytes, report)

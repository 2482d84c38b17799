"""Adapters out of Elara: as files for other programs, or to the Hugging Face hub."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from adapters import bundle, hub, registry
from adapters.manifest import Form
from adapters.scratch import PUSH, scratch
from adapters.training.merging import write_merged
from db import adapters as adapter_store
from db.home import Home
from db.session import Database
from elara_ui.errors import InvalidInput
from elara_ui.services.files import StoredFile, list_files

TOKEN = "HF_TOKEN"  # noqa: S105 (the variable's name)


class Target(StrEnum):
    """Where an adapter can go."""

    PEFT = Form.PEFT
    GGUF = Form.GGUF
    MERGED = Form.MERGED
    HUB = "hub"


@dataclass(frozen=True)
class Exported:
    """What came out.

    Args:
        name: of the adapter.
        place: the folder's path, or the address on the hub.
        files: what is there, by name.
        note: what making it has shown; empty when there is nothing to say.
    """

    name: str
    target: Target
    place: str
    files: tuple[StoredFile, ...]
    note: str = ""


class ExportService:
    """Exports adapters. What leaves holds weights and figures, never a row of the training data.

    Args:
        database: where adapters are recorded.
        home: where their files are, and where exports go.
        is_local: whether nobody else can reach the page.
    """

    def __init__(self, database: Database, home: Home, is_local: bool = True) -> None:
        self._database = database
        self._home = home
        self._is_local = is_local

    def default_place(self, name: str, target: Target) -> Path:
        """Where an export goes when no destination is given."""
        return self._home.exports / f"{name.replace('@', '-')}-{target}"

    def written(self, name: str) -> dict[Target, Path]:
        """The forms in which an adapter was exported to where exports go by default, and where each is."""
        places = {target: self.default_place(name, target) for target in Target if target is not Target.HUB}
        return {target: place for target, place in places.items() if place.is_dir()}

    def export(
        self,
        name: str,
        target: Target,
        destination: str = "",
        *,
        public: bool = False,
        report: Callable[[str], None] = lambda stage: None,
    ) -> Exported:
        """Write an adapter out.

        Args:
            name: such as ``patient@1``.
            target: its form, or the hub.
            destination: a folder to make, under ELARA_HOME/exports if not given; for the hub, ``owner/name``.
            public: on the hub, whether everybody may see it.
            report: told what is being done, where it takes time.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: it is damaged or has no such form, the destination exists, or the hub refuses.
            InvalidInput: the hub's token or repository is missing.
        """
        source = self._folder(name)
        if target is Target.HUB:
            return self._push(name, source, destination, public)
        if public:
            raise InvalidInput("Only what goes to the hub can be public. Leave it out, or export to hub.")
        place = Path(destination).expanduser().absolute() if destination else self.default_place(name, target)
        note = ""
        match target:
            case Target.PEFT:
                bundle.write_peft(source, place)
            case Target.GGUF:
                bundle.write_gguf(source, place)
            case Target.MERGED:
                note = write_merged(self._home, source, place, report).summary
        return Exported(name, target, str(place), list_files(place), note)

    @property
    def has_token(self) -> bool:
        """Whether there is a token of the hub, without which nothing can be pushed."""
        return bool(read_token())

    def check_push(self, name: str, repository: str) -> None:
        """Refuse what can't be pushed from the page, as far as that is known without the hub.

        The token belongs to whoever runs Elara: on a page that other people can reach, none of them may
        publish in its owner's name.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: it is damaged or only of use on this machine, or the repository's name is wrong.
            InvalidInput: the hub's token or repository is missing, or others can reach the page.
        """
        if not self._is_local:
            raise InvalidInput(
                "Adapters are pushed from the page only where Elara listens on this machine alone, and other "
                "machines can reach this one. Use `python -m elara_ui adapters export … --to hub` on it."
            )
        self._prepare_push(self._folder(name), repository)

    def _prepare_push(self, source: Path, repository: str) -> str:
        """The token, when nothing speaks against pushing."""
        token = require_token()
        if not repository:
            raise InvalidInput("Pushing to the hub needs a repository. Give it as owner/name.")
        hub.check_repository(repository)
        hub.check_shareable(registry.verify(source))
        return token

    def _push(self, name: str, source: Path, repository: str, public: bool) -> Exported:
        token = self._prepare_push(source, repository)
        with scratch(self._home.exports, PUSH) as beside:
            folder = beside / "adapter"
            bundle.write_peft(source, folder)  # checked, and nobody changes it while it is uploaded
            address = hub.push(folder, repository, token, public=public)
            return Exported(name, Target.HUB, address, list_files(folder))

    def _folder(self, name: str) -> Path:
        with self._database.reading() as session:
            return registry.folder(self._home, adapter_store.get(session, name))


def require_token() -> str:
    """The hub's token.

    Raises:
        InvalidInput: there is none.
    """
    token = read_token()
    if not token:
        raise InvalidInput(
            f"Pushing to the hub needs a token with the right to write in {TOKEN}, and there is none. "
            "Make one at huggingface.co/settings/tokens and start Elara with it."
        )
    return token


def read_token() -> str:
    """The hub's token; empty when there is none."""
    return os.environ.get(TOKEN, "").strip()

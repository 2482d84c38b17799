"""Which adapters the engine has: those that are live, and those that somebody tries."""

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters import registry
from adapters.engines.base import Engine
from db import adapters as adapter_store
from db.home import Home
from db.models import Adapter
from db.session import Database
from db.vocabulary import AdapterStatus
from elara_ui.errors import AdapterError

log = logging.getLogger(__name__)

Version = tuple[str, str]
"""An adapter's name and the hash of its weights."""
LOOK_AGAIN_SECONDS = 30.0
"""How long the refusal of another machine's server holds: it may be started again with what it lacked."""


@dataclass(frozen=True)
class Refusal:
    """An engine won't have an adapter.

    Args:
        reason: why, and what to do about it.
        until: when it may be offered again, on the monotonic clock, s.
    """

    reason: str
    until: float


class AdapterPublisher:
    """Keeps an engine's adapters in step with the database.

    An adapter that can't be served is left out: it must not take the others' answers away. A version's files
    are held against their seal before it is published for the first time. What an engine of this machine
    refuses isn't offered again, since each attempt loads the base model once more; another machine's is asked
    again after a while.

    `publish_live` and `publish` are for one thread at a time; `refusal` and `left_out` are for any.

    Args:
        database: where live adapters are looked up.
        home: where their files are.
    """

    def __init__(self, database: Database, home: Home) -> None:
        self._database = database
        self._home = home
        self._intact: set[Version] = set()
        self._refused: dict[Version, Refusal] = {}
        self._left_out: dict[str, str] = {}

    @property
    def left_out(self) -> Mapping[str, str]:
        """The live adapters that can't be served, as last seen: name → why, and what to do about it."""
        return self._left_out

    def publish_live(self, engine: Engine) -> None:
        """Publish what is live, as far as it can be served, when the engine lacks some of it.

        The database is asked each time, so that a promotion made elsewhere (the command line, another
        process) is in force for the next message.
        """
        with self._database.reading() as session:
            live = adapter_store.all_live(session, engine.base_model)
        self._publish(engine, live)
        reasons = {each.name: self._reason_against(each) for each in live}
        self._left_out = {name: reason for name, reason in reasons.items() if reason}

    def publish(self, engine: Engine, names: Iterable[str]) -> None:
        """Publish these beside what the engine has.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: one of them is damaged, or not for this base model; whatever can be served is.
        """
        with self._database.reading() as session:
            present = [adapter_store.get(session, name) for name in sorted(engine.adapters)]
            wanted = [adapter_store.get(session, name) for name in sorted(names)]
        for adapter in wanted:
            _check_base_model(adapter, engine.base_model)
        self._publish(engine, [*present, *wanted])
        for adapter in wanted:
            self._check(adapter)

    def withdraw(self, engine: Engine, name: str) -> None:
        """Take an adapter from the engine, unless it is live or isn't there."""
        if name not in engine.adapters:
            return
        with self._database.reading() as session:
            if adapter_store.status_of(session, name) is AdapterStatus.LIVE:
                return
            kept = [adapter_store.get(session, other) for other in sorted(engine.adapters - {name})]
        try:
            engine.publish(self._servable(kept))
        except AdapterError as error:  # what was published stays, which is no harm
            log.warning("%s stays published: %s", name, error.message)

    def refusal(self, name: str) -> str | None:
        """Why a live adapter doesn't answer, and what to do about it; None when nothing is wrong with it.

        Raises:
            NotFound: no adapter of that name.
        """
        with self._database.reading() as session:
            adapter = adapter_store.get(session, name)
        reason = self._reason_against(adapter)
        if reason is None:
            return None
        return (
            f"The live adapter {name} can't be served. {reason} "
            "Until then, roll back to another version in the Release tab."
        )

    def _reason_against(self, adapter: Adapter) -> str | None:
        """Why an adapter can't be served; None when it can."""
        try:
            self._check(adapter)
        except AdapterError as error:
            return error.message
        return None

    def _publish(self, engine: Engine, adapters: Sequence[Adapter]) -> None:
        """Publish those of them that can be served, unless the engine has them already."""
        folders = self._servable(adapters)
        if folders.keys() <= engine.adapters:
            return
        try:
            engine.publish(folders)
        except AdapterError:
            self._intact.clear()  # a file may have been changed or lost since it was looked at
            self._publish_singly(engine, adapters)

    def _publish_singly(self, engine: Engine, adapters: Sequence[Adapter]) -> None:
        """Add one after the other to what the engine has, and remember those that it refuses."""
        folders = self._servable(adapters)
        taken = {name: folder for name, folder in folders.items() if name in engine.adapters}
        for adapter in adapters:
            if adapter.name not in folders or adapter.name in taken:
                continue
            try:
                engine.publish(taken | {adapter.name: folders[adapter.name]})
            except AdapterError as error:
                until = time.monotonic() + LOOK_AGAIN_SECONDS if engine.is_remote else math.inf
                self._refused[_version(adapter)] = Refusal(error.message, until)
                log.error("%s is not served: %s", adapter.name, error.message)
            else:
                taken[adapter.name] = folders[adapter.name]

    def _servable(self, adapters: Iterable[Adapter]) -> dict[str, Path]:
        """The folders of those that are whole and weren't refused, by name."""
        folders = {}
        for adapter in adapters:
            try:
                folders[adapter.name] = self._check(adapter)
            except AdapterError as error:
                log.error("%s is not served: %s", adapter.name, error.message)
        return folders

    def _check(self, adapter: Adapter) -> Path:
        """An adapter's folder, unless it is damaged or was refused.

        Damage is looked for again each time, so that restored files are taken.
        """
        version = _version(adapter)
        refusal = self._refused.get(version)
        if refusal is not None and time.monotonic() < refusal.until:
            raise AdapterError(refusal.reason)
        folder = registry.folder(self._home, adapter)
        if version not in self._intact:
            registry.verify(folder)
            self._intact.add(version)
        return folder


def _version(adapter: Adapter) -> Version:
    return adapter.name, adapter.sha256


def _check_base_model(adapter: Adapter, served: str) -> None:
    if adapter.base_model != served:
        raise AdapterError(
            f"{adapter.name} was trained on {adapter.base_model}, but {served} answers here, and an adapter "
            f"only fits its own base model. Choose one trained on {served}."
        )

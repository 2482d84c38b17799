"""Which adapters there are and which of them answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from adapters import registry
from db import adapters as adapter_store
from db import releases
from db.home import Home
from db.models import Adapter
from db.session import Database
from db.vocabulary import AdapterStatus
from elara_ui.errors import AdapterError
from elara_ui.services.adapter_details import AdapterDetails, describe_adapter
from elara_ui.services.canary import Trial, choose_candidate, describe_trial


class ProbeStanding(StrEnum):
    """Whether an adapter has shown that it speaks."""

    NOT_NEEDED = "not needed"  # it was trained here
    UNTRIED = "untried"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True)
class AdapterSummary:
    """One adapter version as listed.

    Args:
        probe: of one that was brought in, whether it has shown that it speaks.
    """

    name: str
    audience: str
    version: int
    status: AdapterStatus
    base_model: str
    run_id: str | None
    metrics: dict[str, Any]
    created_at: datetime
    probe: ProbeStanding = ProbeStanding.NOT_NEEDED


@dataclass(frozen=True)
class Answering:
    """What answers next.

    Args:
        adapter: versioned name; None is the base model alone.
        trial: the candidate that may answer instead, in a conversation that isn't begun; None when none does.
    """

    adapter: str | None
    trial: Trial | None = None


class AdapterService:
    """Lists adapters and tells which of them answer; `ReleaseService` changes that.

    Args:
        database: where their status is.
        home: where their files are.
        served: tells the catalogue id of the base model that answers now.
    """

    def __init__(self, database: Database, home: Home, served: Callable[[], str]) -> None:
        self._database = database
        self._home = home
        self._served = served

    def versions(self, audience: str | None = None) -> tuple[AdapterSummary, ...]:
        """Every version, of one audience or of all."""
        with self._database.reading() as session:
            listed = adapter_store.list_all(session, audience)
            return tuple(replace(describe_version(found), probe=self._standing(found)) for found in listed)

    def details(self, name: str) -> AdapterDetails:
        """One version with its lineage, figures, files and card; its files are checked on the way.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: its files are missing or changed.
        """
        with self._database.reading() as session:
            return describe_adapter(session, self._home, adapter_store.get(session, name))

    def _standing(self, adapter: Adapter) -> ProbeStanding:
        """Whether an adapter may answer; what can't be read will be refused when it is promoted."""
        if adapter.run_id is not None:
            return ProbeStanding.NOT_NEEDED
        try:
            manifest = registry.read_manifest(registry.folder(self._home, adapter))
        except AdapterError:
            return ProbeStanding.NOT_NEEDED
        if not manifest.provenance.upload:
            return ProbeStanding.NOT_NEEDED
        if not manifest.probe:
            return ProbeStanding.UNTRIED
        return ProbeStanding.PASSED if manifest.probe.get("passed") is True else ProbeStanding.FAILED

    def live(self) -> dict[str, str]:
        """Audience → name of the adapter that answers it on the base model served; else it is absent."""
        with self._database.reading() as session:
            return {found.audience: found.name for found in adapter_store.all_live(session, self._served())}

    def live_versions(self) -> dict[str, AdapterSummary]:
        """Audience → the adapter that answers it on the base model served; else it is absent."""
        with self._database.reading() as session:
            return {
                found.audience: describe_version(found)
                for found in adapter_store.all_live(session, self._served())
            }

    def answering(self, audience: str, conversation_id: str | None) -> Answering:
        """What answers next for an audience.

        Args:
            conversation_id: where it would; None for one that isn't begun, of which nobody knows yet whether
                a candidate answers it.
        """
        served = self._served()
        with self._database.reading() as session:
            live = adapter_store.live(session, audience, served)
            candidate = choose_candidate(session, audience, served, conversation_id)
            trial = describe_trial(releases.canary(session, audience, served))
        return Answering(
            candidate or (live.name if live else None), trial if conversation_id is None else None
        )


def describe_version(adapter: Adapter) -> AdapterSummary:
    """A stored version as listed."""
    return AdapterSummary(
        name=adapter.name,
        audience=adapter.audience,
        version=adapter.version,
        status=AdapterStatus(adapter.status),
        base_model=adapter.base_model,
        run_id=adapter.run_id,
        metrics=adapter.metrics,
        created_at=adapter.created_at,
    )

"""Which adapters there are and which of them answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from adapters import registry
from db import adapters as adapter_store
from db.home import Home
from db.models import Adapter
from db.session import Database
from db.vocabulary import AdapterStatus
from elara_ui.errors import AdapterError
from elara_ui.services.adapter_details import AdapterDetails, describe_adapter


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


class AdapterService:
    """Lists adapters and makes them live.

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
            return tuple(replace(_summarise(found), probe=self._standing(found)) for found in listed)

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
                found.audience: _summarise(found) for found in adapter_store.all_live(session, self._served())
            }

    def promote(self, name: str) -> AdapterSummary:
        """Make an adapter the one that answers its audience; the one before is retired.

        The engine follows at the next message, here and in every other process of this home.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: it was trained on another base model than the one served, its files are damaged,
                or it was brought in and hasn't passed its probe; what was live stays.
        """
        served = self._served()
        with self._database.session() as session:
            base_model = adapter_store.get(session, name).base_model
            if base_model != served:
                raise AdapterError(
                    f"{name} was trained on {base_model}, but {served} answers here, and an adapter "
                    f"only fits its own base model. Train one on {served} instead."
                )
            return _summarise(registry.promote(session, self._home, name))


def _summarise(adapter: Adapter) -> AdapterSummary:
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

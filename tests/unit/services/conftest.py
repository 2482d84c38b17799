"""Services over a real database and an engine without weights."""

from collections.abc import Iterator

import pytest
from fake_engine import FakeEngine

from db.home import Home
from elara_ui.services import Services, build_services
from elara_ui.settings import Settings


@pytest.fixture
def engine() -> FakeEngine:
    """What answers; tests change its reply."""
    return FakeEngine()


@pytest.fixture
def services(home: Home, engine: FakeEngine) -> Iterator[Services]:
    """Every service, on a fresh home."""
    services = build_services(Settings.read(home=home.root), engine_factory=lambda report: engine)
    yield services
    services.close()

"""The page on an engine without weights, and Chromium. A file may give its own `engine` and `choices`."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from fake_engine import FakeEngine
from playwright.sync_api import Browser, sync_playwright

from db.home import Home
from elara_ui.services import Services, build_services
from elara_ui.settings import Settings

CHROMIUM = os.environ.get("ELARA_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def choices() -> dict[str, Any]:
    """Settings beside home and port."""
    return {}


@pytest.fixture
def services(home: Home, engine: FakeEngine, choices: dict[str, Any]) -> Iterator[Services]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = Settings.read(home=home.root, port=port, **choices)
    services = build_services(settings, engine_factory=lambda *_: engine)
    yield services
    services.close()


@pytest.fixture
def address(services: Services, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(home.uploads))
    from elara_ui.blocks import build_page, launch_page

    served = build_page(services)
    yield launch_page(served, services.settings, wait=False)
    served.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()

"""The page on an engine without weights, and Chromium."""

import os
import socket
from collections.abc import Iterator

import pytest
from fake_engine import FakeEngine
from playwright.sync_api import Browser, sync_playwright

from db.home import Home
from elara_ui.services import Services, build_services
from elara_ui.settings import Settings

CHROMIUM = os.environ.get("ELARA_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture
def services(home: Home) -> Iterator[Services]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    services = build_services(
        Settings.read(home=home.root, port=port), engine_factory=lambda report: FakeEngine()
    )
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

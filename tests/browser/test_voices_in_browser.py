"""A new home in real Chromium: the first question is answered in the audience's own voice.

Set ELARA_SCREENSHOTS=1 to leave pictures of the page under docs/images.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from db.home import Home
from elara_ui.services import Services, build_services
from elara_ui.settings import Settings

pytestmark = pytest.mark.slow

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZES = {"1440": (1440, 900), "390": (390, 844)}
PATIENCE = 90_000  # ms; the real model writes, beside whatever else the machine does


@pytest.fixture
def services(home: Home, embedded_gguf: Path) -> Iterator[Services]:
    """As `python app.py` begins: the embedded model and the adapters that come with Elara."""
    (home.models / embedded_gguf.name).symlink_to(embedded_gguf)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    services = build_services(Settings.read(home=home.root, port=port, starters=True))
    yield services
    services.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    expect(page.locator(".el-first-use")).to_be_visible(timeout=PATIENCE)
    yield page
    assert troubles == []


def test_the_first_question_is_answered_in_the_voice_that_was_chosen(page: Page) -> None:
    ask(page, "What is asthma?", 1)
    expect(page.locator("#thread .el-meta").last).to_contain_text("patient@1")
    expect(page.locator(".el-meter").last).to_contain_text("Reading grade")
    picture(page, "chat")
    page.get_by_role("radio", name="Emergency").check()
    ask(page, "My friend has burnt her hand on the stove. What should I do?", 2)
    expect(page.locator("#thread .el-meta").last).to_contain_text("emergency@1")


def ask(page: Page, question: str, answers: int) -> None:
    """Ask, and wait until so many answers are there and the last is complete."""
    page.locator("#question textarea").fill(question)
    page.locator("#send").click()
    expect(page.locator("#thread [data-response]")).to_have_count(answers, timeout=PATIENCE)
    expect(page.locator("#send")).to_be_visible(timeout=PATIENCE)


def picture(page: Page, name: str) -> None:
    """Leave pictures, light and dark, when asked."""
    if not os.environ.get("ELARA_SCREENSHOTS"):
        return
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
            page.wait_for_timeout(600)
            page.screenshot(path=IMAGES / f"{name}-{size}-{theme}.png")
        page.evaluate("document.body.classList.remove('dark')")
    page.set_viewport_size({"width": 1440, "height": 900})

"""Identifiers and private conversations on the page, in real Chromium with the real model."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_process import AppProcess
from home_search import holding
from playwright.sync_api import Page, expect, sync_playwright

from db.home import Home

pytestmark = pytest.mark.slow

CHROMIUM = os.environ.get("ELARA_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
MARKER = "xylophonitis"


@pytest.fixture
def app(home: Home, embedded_gguf: Path, tmp_path: Path) -> Iterator[AppProcess]:
    app = AppProcess(home.root, embedded_gguf, log=tmp_path / "app.log")
    app.start()
    yield app
    app.kill()


@pytest.fixture
def page(app: AppProcess) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(app.url)
        expect(page.locator(".el-welcome")).to_be_visible(timeout=60_000)
        yield page
        browser.close()


def send(page: Page, text: str) -> None:
    page.locator("#question textarea").fill(text)
    page.locator("#send").click()


def expect_answers(page: Page, number: int) -> None:
    expect(page.locator("#thread [data-response]")).to_have_count(number, timeout=90_000)
    expect(page.locator("#send")).to_be_visible(timeout=90_000)


def test_a_private_conversation_leaves_nothing_and_ends_with_the_page(
    page: Page, home: Home, app: AppProcess
) -> None:
    page.locator("#private input").check()
    expect(page.locator(".el-private")).to_contain_text("Closing or reloading the page loses it")
    send(page, f"What is {MARKER}? Write to jane.roe@example.com.")
    expect_answers(page, 1)  # nobody asks about identifiers where nothing is stored
    thread = page.locator("#thread")
    expect(thread.get_by_role("button", name="Send to review")).to_have_count(0)
    expect(thread.get_by_title("Poor answer")).to_have_count(0)
    expect(page.get_by_text("This conversation", exact=True)).to_have_count(0)
    thread.get_by_role("button", name="Retry").click()
    expect(page.locator(".el-streaming")).to_be_visible()
    page.locator("#stop").click()
    expect_answers(page, 1)
    thread.get_by_role("button", name="Edit").click()
    expect(page.locator("#thread")).to_contain_text("it replaces the last one", timeout=30_000)
    send(page, f"How is {MARKER} treated?")
    expect(page.locator(".el-bubble")).to_have_text(re.compile("treated"), timeout=30_000)
    expect_answers(page, 1)
    page.get_by_role("button", name="New conversation").click()
    row = page.get_by_role("navigation", name="Private conversations").get_by_role("button")
    row.click()
    expect(page.locator(".el-bubble")).to_contain_text("treated")
    page.reload()
    expect(page.locator(".el-welcome")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("navigation", name="Private conversations")).to_have_count(0)
    app.kill()
    assert holding(home, MARKER) == []
    assert app.log is not None
    assert MARKER not in app.log.read_text(encoding="utf-8", errors="replace")


def test_identifiers_are_asked_about_before_they_are_stored(page: Page, home: Home) -> None:
    typed = "My patient, jane.roe@example.com, has a cough. What helps?"
    send(page, typed)
    card = page.locator(".el-identifiers")
    expect(card).to_contain_text("My patient, [e-mail address], has a cough.")
    card.get_by_role("button", name="Go back and edit").click()
    expect(card).to_have_count(0)
    question = page.locator("#question textarea")
    expect(question).to_have_value(typed)
    expect(question).to_be_focused()
    page.locator("#send").click()
    card.get_by_role("button", name="Send the redacted text").click()
    expect(page.locator(".el-bubble")).to_contain_text("[e-mail address]", timeout=30_000)
    expect_answers(page, 1)
    assert holding(home, "jane.roe") == []
    send(page, "And for john.roe@example.com?")
    card.get_by_role("button", name="Send as it is").click()
    expect_answers(page, 2)
    send(page, "And again for john.roe@example.com?")
    expect_answers(page, 3)  # it isn't asked twice
    page.get_by_text("This conversation", exact=True).click()
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as download:
        card.get_by_role("button", name="Download redacted").click()
    text = Path(str(download.value.path())).read_text(encoding="utf-8")
    assert "[e-mail address]" in text
    assert "john.roe" not in text

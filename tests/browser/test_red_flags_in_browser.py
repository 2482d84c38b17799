"""Red flags as someone meets them on the page, in real Chromium: above the answer, and before it."""

from collections.abc import Iterator
from typing import Any

import pytest
from fake_engine import FakeEngine
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow

STROKE = "my dad's face has dropped on one side and he can't lift his arm"
SIZES = ((1440, 900), (1024, 768), (390, 844))


@pytest.fixture
def engine() -> FakeEngine:
    """Slow enough that what comes before its answer can be seen."""
    return FakeEngine("It is probably nothing. See doi:10.1000/xyz123. " + "Rest and wait. " * 10, pause=0.1)


@pytest.fixture
def choices() -> dict[str, Any]:
    return {"country": "GB"}


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    expect(page.locator(".el-welcome")).to_be_visible(timeout=30_000)
    yield page
    page.close()


def ask(page: Page, question: str) -> None:
    page.locator("#question textarea").fill(question)
    page.locator("#send").click()


def wait_for_answer(page: Page) -> None:
    expect(page.locator("#thread [data-response]")).to_be_visible(timeout=30_000)
    expect(page.locator("#send")).to_be_visible()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_banner_is_there_before_the_answer_and_stays_in_its_place(
    page: Page, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    ask(page, STROKE)
    banner = page.get_by_role("alert").filter(has_text="Get help now")
    expect(banner).to_be_in_viewport(timeout=10_000)
    assert page.locator("#thread [data-response]").count() == 0  # no answer yet
    expect(banner).to_contain_text("Call 999 now")
    expect(banner).to_contain_text("face has dropped")
    page.wait_for_timeout(400)
    before = banner.bounding_box()
    assert before is not None
    assert before["x"] + before["width"] <= size[0]
    wait_for_answer(page)
    after = banner.bounding_box()
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2
    assert "may reassure wrongly" in page.locator(".el-mark-reassures").inner_text()
    assert "10.1000/xyz123" in page.locator(".el-mark-unverified").inner_text()
    page.locator(".el-row").first.click()  # reopened
    expect(page.locator(".el-flag")).to_contain_text("Call 999 now")


def test_a_look_alike_shows_none(page: Page) -> None:
    ask(page, "What do the letters of FAST stand for in a stroke?")
    wait_for_answer(page)
    assert page.locator(".el-flag").count() == 0


def test_a_doctor_gets_the_quieter_one(page: Page) -> None:
    page.locator(".el-segments label", has_text="Doctor").click()
    ask(page, STROKE)
    banner = page.locator(".el-flag")
    expect(banner).to_be_visible(timeout=10_000)
    expect(banner).to_contain_text("Red flag")
    expect(banner).to_contain_text("Call 999 now")
    expect(banner).to_contain_text("Why this shows")
    assert page.get_by_text("Get help now").count() == 0
    assert page.get_by_text("Give nothing to eat or drink").is_visible() is False
    banner.locator("summary").click()
    expect(page.get_by_text("Give nothing to eat or drink")).to_be_visible()


def test_the_note_of_first_use_is_put_away_for_good(page: Page) -> None:
    note = page.locator(".el-first-use")
    expect(note).to_contain_text("can be wrong")
    note.get_by_role("button", name="Got it").click()
    expect(note).to_have_count(0)
    page.reload()
    expect(page.locator(".el-welcome")).to_be_visible(timeout=30_000)
    page.locator(".el-segments label", has_text="Doctor").click()
    expect(note).to_contain_text("not decision support")
    page.locator(".el-segments label", has_text="Patient").click()
    expect(note).to_have_count(0)


def test_what_it_is_not_for_stays_in_sight(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    page.mouse.wheel(0, 2000)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_text("Not for care.")).to_be_in_viewport()

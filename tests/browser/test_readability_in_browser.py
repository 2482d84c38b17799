"""The meter beneath an answer in real Chromium: by key, on small screens, without jumps."""

from collections.abc import Iterator

import pytest
from fake_engine import FakeEngine
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow

PATIENCE = 20_000  # ms, for a machine that does other things too
SIZES = ((1440, 900), (1024, 768), (390, 844))
HARD = (
    "Oedema necessitates multifactorial evaluation; **bradycardia** and orthopnoea characterise cardiac "
    "decompensation."
)
EASY = (
    "Swelling has many causes. A slow heart is one of them. Call your doctor if you can't breathe lying flat."
)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(HARD, pause=0.05)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page with one answer that is too hard; complains about scripts' errors."""
    troubles: list[str] = []
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    expect(page.locator(".el-first-use")).to_be_visible(timeout=PATIENCE)  # then the page stands
    page.locator("#question textarea").fill("Why do my legs swell?")
    page.locator("#send").click()
    yield page
    assert troubles == []


def test_the_meter_comes_when_the_answer_is_finished_and_moves_nothing(page: Page) -> None:
    writing = page.locator(".el-streaming .el-answer")
    expect(writing).to_contain_text("Oedema", timeout=PATIENCE)
    assert page.locator(".el-meter").count() == 0
    top = writing.bounding_box()
    expect(page.locator(".el-meter")).to_contain_text("too hard", timeout=PATIENCE)
    finished = page.locator(".el-model .el-answer").bounding_box()
    assert top is not None
    assert finished is not None
    assert abs(finished["y"] - top["y"]) < 2


def test_hard_words_are_reached_by_key_and_stay_unfolded(page: Page) -> None:
    words = page.locator(".el-hard-words")
    expect(words).to_be_visible(timeout=PATIENCE)
    words.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(words).to_contain_text("bradycardia say “slow heartbeat”")
    expect(page.locator(".el-hard", has_text="Oedema")).to_have_attribute("title", "swelling")
    page.locator('[data-act="up"]').click()
    expect(page.locator('[data-act="up"][aria-pressed="true"]')).to_be_visible()
    expect(words).to_have_attribute("open", "")


def test_said_more_simply_the_easier_answer_is_shown(page: Page, engine: FakeEngine) -> None:
    expect(page.locator(".el-meter")).to_contain_text("too hard", timeout=PATIENCE)
    engine.reply = EASY
    page.get_by_role("button", name="Say it more simply").click()
    expect(page.locator(".el-notice")).to_contain_text("Said more simply: reading grade", timeout=PATIENCE)
    expect(page.locator(".el-model")).to_have_count(1)
    expect(page.locator(".el-model .el-answer")).to_contain_text("Swelling has many causes")
    expect(page.locator(".el-meter")).to_contain_text("on target")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_fits_the_screen_unfolded(page: Page, size: tuple[int, int]) -> None:
    expect(page.locator(".el-meter")).to_contain_text("too hard", timeout=PATIENCE)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for summary in page.locator(".el-meter summary").all():
        summary.click()
    expect(page.locator(".el-measures")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    inside = "box => box.scrollWidth <= box.clientWidth + 1"
    assert page.locator("#thread").evaluate(inside)

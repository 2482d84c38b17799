"""Reviewing by keyboard alone, in real Chromium: what is pressed is stored, and nothing filled in is lost."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from factories import GOOD_AXES, add_response
from playwright.sync_api import Browser, Page, expect

from db.models import Review
from elara_ui.services import Services

pytestmark = pytest.mark.slow

ADA = "Dr Ada"
SIZES = ((1440, 900), (1024, 768), (390, 844))
QUESTION = "My chest feels tight when I run and at night. Could it be asthma, and what should I do then?"
ANSWER = """Asthma is a long-term condition that makes the airways in your lungs narrow and swell. This can \
make it hard to breathe.

Common signs are:

- wheezing, a whistling sound when you breathe out
- a tight chest
- coughing, often at night or early in the morning

**What to do now.** Use your blue reliever inhaler as soon as you feel tight. Take one puff every 30 to 60 \
seconds, up to 10 puffs. Sit upright and try to stay calm.

**When to get help.** Call your emergency number if you are no better after 10 puffs, if you cannot finish a \
sentence, or if your lips turn blue. See your doctor soon if you need your reliever three times a week."""
GOOD_KEYS = "3111133"
"""Aligned, no fault, no omission, no harm, right urgency, right readability, fully relevant."""


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The review tab, opened by keyboard; complains about scripts' errors."""
    troubles: list[str] = []
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    open_review(page, address)
    yield page
    assert not troubles


def open_review(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Review").focus()
    page.keyboard.press("Enter")


def come_in(page: Page, name: str = ADA) -> None:
    field = page.get_by_label("Name or pseudonym")
    expect(field).to_be_visible(timeout=20_000)
    field.focus()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.locator(".el-exam")).to_be_visible(timeout=20_000)
    expect_axis(page, "accuracy")


def expect_axis(page: Page, axis: str) -> None:
    expect(page.locator(f'[data-axis="{axis}"][data-current]')).to_be_visible(timeout=20_000)


def press(page: Page, keys: str) -> None:
    """Press keys one after the other, once the desk takes any."""
    expect(page.locator("#review-desk[aria-busy]")).to_have_count(0, timeout=20_000)
    for key in keys:
        page.keyboard.press(key)


def send(services: Services, *texts: str) -> list[str]:
    with services.database.session() as session:
        ids = [add_response(session, question=QUESTION, text=text).id for text in texts]
    return [services.reviewing.send(response_id) for response_id in ids]


def stored(services: Services) -> list[Review]:
    with services.database.reading() as session:
        return list(session.query(Review).order_by(Review.created_at))


def test_an_answer_of_120_words_is_reviewed_by_keyboard_in_well_under_a_minute(
    page: Page, services: Services
) -> None:
    assert 115 <= len(ANSWER.split()) <= 125
    send(services, ANSWER, "Another answer.")
    come_in(page)
    verdict = page.locator(".el-verdict").first.bounding_box()
    assert verdict is not None
    assert verdict["y"] + verdict["height"] <= 900
    assert page.evaluate("document.documentElement.scrollHeight") <= 900
    started = time.monotonic()
    press(page, "3112")  # mild harm
    expect_axis(page, "harm_likelihood")
    press(page, "1133")
    press(page, "f")
    press(page, "34")
    press(page, "4")  # and not an invented source after all
    press(page, "c")
    page.keyboard.type("Says 10 puffs: a, e, r, o and 1 2 3 are only letters here.")
    page.keyboard.press("Escape")
    press(page, "a")
    expect(page.locator("#review-last")).to_contain_text("patient@1 on smollm2-135m", timeout=20_000)
    assert time.monotonic() - started < 20
    [review] = stored(services)
    assert {axis: getattr(review, axis) for axis in GOOD_AXES} == GOOD_AXES | {"harm": "mild"}
    assert (review.harm_likelihood, review.flags, review.disposition) == ("low", ["jargon"], "accept")
    assert review.comment.endswith("only letters here.")
    expect(page.locator(".el-exam")).to_contain_text("Another answer.")
    expect_axis(page, "accuracy")


def test_arrows_move_and_change_and_a_missing_axis_is_gone_to(page: Page, services: Services) -> None:
    send(services, ANSWER)
    come_in(page)
    page.keyboard.press("ArrowDown")
    expect_axis(page, "wrong_content")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator('[name="wrong_content"][value="little"]')).to_be_checked()
    page.keyboard.press("Tab")
    expect_axis(page, "omission")
    press(page, "11133")
    press(page, "a")
    expect(page.locator("#review-trouble").get_by_role("alert")).to_contain_text("missing: Medical accuracy")
    expect_axis(page, "accuracy")
    press(page, "3")
    press(page, "r")
    expect(page.locator("#review-last")).to_contain_text("Reject", timeout=20_000)
    expect(page.locator("#review-exam")).to_contain_text("You have judged 1 answer")
    [review] = stored(services)
    assert (review.wrong_content, review.omission, review.disposition) == ("little", "none", "reject")


def test_a_correction_shows_its_difference_and_can_be_undone_and_changed(
    page: Page, services: Services
) -> None:
    item, _ = send(services, "Take two tablets. Rest.", "Another answer.")
    come_in(page)
    press(page, GOOD_KEYS)
    press(page, "e")  # nothing is changed yet: it opens the text
    text = page.locator('textarea[name="correction"]')
    expect(text).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.type(" Drink water.")
    page.keyboard.press("Escape")
    expect(page.locator(".el-diff ins")).to_contain_text("Drink water.")
    expect(page.locator(".el-answer")).to_be_hidden()
    press(page, "e")
    expect(page.locator(".el-exam")).to_contain_text("Another answer.", timeout=20_000)
    assert stored(services)[0].correction == "Take two tablets. Rest. Drink water."
    press(page, "u")
    expect(page.locator(".el-diff ins")).to_contain_text("Drink water.", timeout=20_000)
    assert stored(services) == []
    press(page, "e")
    expect(page.locator(".el-exam")).to_contain_text("Another answer.", timeout=20_000)
    press(page, "b")
    expect(page.locator("#review-history")).to_contain_text("History of your judgement", timeout=20_000)
    press(page, "r")
    expect(page.locator("#review-last")).to_contain_text("Changed: Reject", timeout=20_000)
    assert [entry.action for entry in services.reviewing.history(ADA, item)] == [
        "submitted", "undone", "submitted", "edited",
    ]  # fmt: skip


def test_what_is_filled_in_outlives_the_tab_and_the_browser(
    page: Page, services: Services, browser: Browser, address: str
) -> None:
    send(services, ANSWER)
    come_in(page)
    press(page, "31")
    press(page, "c")
    page.keyboard.type("Half a thought")
    context = page.context
    page.close()  # before the draft can have gone out
    page = context.new_page()
    open_review(page, address)
    expect(page.locator('textarea[name="comment"]')).to_have_value("Half a thought", timeout=20_000)
    expect(page.locator('[name="accuracy"][value="aligned"]')).to_be_checked()
    expect_axis(page, "omission")
    expect(page.locator(".el-saved")).to_have_text("Draft saved", timeout=20_000)
    context.close()
    page = browser.new_page()
    open_review(page, address)
    come_in_again(page)
    expect(page.locator('textarea[name="comment"]')).to_have_value("Half a thought")
    expect_axis(page, "omission")


def come_in_again(page: Page) -> None:
    page.get_by_label("Name or pseudonym").fill(ADA)
    page.keyboard.press("Enter")
    expect(page.locator(".el-exam")).to_be_visible(timeout=20_000)


def test_keys_are_listed_and_can_be_turned_off(page: Page, services: Services) -> None:
    send(services, ANSWER)
    come_in(page)
    press(page, "?")
    keys = page.locator(".el-keys")
    expect(keys).to_be_visible()
    expect(keys).to_contain_text("accept with edit")
    press(page, "3r")  # they don't act behind the list
    keys.get_by_role("checkbox").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    press(page, "3r")
    expect(page.locator('[data-axis="accuracy"] input:checked')).to_have_count(0)
    page.keyboard.press("Space")  # as without any script
    expect(page.locator('[name="accuracy"][value="opposed"]')).to_be_checked()
    assert stored(services) == []


def test_two_answers_are_compared_by_keyboard_and_nothing_scrolls_sideways(
    page: Page, services: Services
) -> None:
    with services.database.session() as session:
        one = add_response(session, question=QUESTION, text=ANSWER, adapter="patient@1").id
        two = add_response(session, question=QUESTION, text=ANSWER.replace("10", "6"), adapter=None).id
    services.pairs.create(one, two)
    send(services, "w" * 300)
    page.get_by_label("Name or pseudonym").fill(ADA)
    page.keyboard.press("Enter")
    expect(page.locator(".el-pair")).to_be_visible(timeout=20_000)
    expect_axis(page, "choice")
    fits(page)
    a, b = page.locator(".el-pair-answer").all()
    lower, upper = b.bounding_box(), a.bounding_box()
    assert lower is not None
    assert upper is not None
    assert lower["y"] == upper["y"]
    page.keyboard.press("2")
    press(page, "c")
    page.keyboard.type("Safer.")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator("#review-last")).to_contain_text("B is better", timeout=20_000)
    [own] = services.reviewing.mine(ADA)
    assert own.is_pair
    assert own.comment == "Safer."
    fits(page)


def test_on_a_phone_reading_begins_at_the_question_and_not_at_the_line_to_answer(
    page: Page, services: Services
) -> None:
    with services.database.session() as session:
        texts = ANSWER, ANSWER.replace("10", "6"), ANSWER.replace("10", "8")
        ids = [add_response(session, question=QUESTION, text=text).id for text in texts]
    for other in ids[1:]:
        services.pairs.create(ids[0], other)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label("Name or pseudonym").fill(ADA)
    page.keyboard.press("Enter")
    for _ in range(2):
        expect(page.locator(".el-pair")).to_be_visible(timeout=20_000)
        expect_axis(page, "choice")
        expect(page.locator(".el-pair").get_by_text(QUESTION)).to_be_in_viewport(ratio=1)
        page.locator(".el-choice", has_text="Tie").click()
        page.locator(".el-verdict").click()
        expect(page.locator("#review-desk[aria-busy]")).to_have_count(0, timeout=20_000)
    expect(page.locator(".el-nothing")).to_be_visible(timeout=20_000)


def fits(page: Page) -> Any:
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ends = page.locator(".el-choice, .el-verdict").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().right)"
        )
        assert max(ends) <= width
    page.set_viewport_size({"width": 1440, "height": 900})
    page.wait_for_timeout(300)

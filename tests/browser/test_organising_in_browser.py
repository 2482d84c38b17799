"""Running the reviewing in real Chromium: bars that open their answers, an import, one name in every tab."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from curation_factory import compare
from factories import add_response, add_review
from playwright.sync_api import Browser, Page, expect

from db.adjudications import triggers
from db.vocabulary import PairChoice
from elara_ui.services import Services

pytestmark = pytest.mark.slow

SIZES = ((1440, 900), (1024, 768), (390, 844))


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    troubles: list[str] = []
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    yield page
    assert not troubles


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def fits(page: Page) -> None:
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_pressed_bar_shows_the_answers_that_it_stands_for(page: Page, services: Services) -> None:
    with services.database.session() as session:
        for text, accuracy in (("Good answer.", "aligned"), ("Poor answer.", "opposed")):
            answer = add_response(session, text=text)
            add_review(session, answer, "Rater A", accuracy=accuracy)
            add_review(session, answer, "Rater B", accuracy=accuracy)
        first, other = add_response(session, text="One."), add_response(session, text="Two.", adapter=None)
        compare(session, first, other, PairChoice.FIRST, PairChoice.TIE).wanted = 2
    open_tab(page, "Insights")
    shown = page.locator("#judged-answers")
    page.locator('#shares-chart path[aria-label*="value: Opposed"]').click(timeout=20_000)
    expect(shown).to_contain_text("Poor answer.", timeout=20_000)
    expect(shown).not_to_contain_text("Good answer.")
    page.locator('#shares-chart path[aria-label*="value: Aligned"]').click()
    expect(shown).to_contain_text("Good answer.", timeout=20_000)
    expect(shown).not_to_contain_text("Poor answer.")
    page.get_by_role("radio", name="Side by side").click()
    page.locator('#pairs-chart path[aria-label*="outcome: tie"]').click(timeout=20_000)
    expect(shown).to_contain_text("One.", timeout=20_000)
    expect(shown).to_contain_text("tie")
    fits(page)


def test_a_file_of_answers_is_mapped_previewed_and_sent(
    page: Page, services: Services, tmp_path: Path
) -> None:
    file = tmp_path / "answers.csv"
    file.write_text("Frage,Antwort,audience\nWhat is gout?,A joint disease.,patient\nQ?,,patient\n")
    open_tab(page, "Review")
    expect(page.get_by_role("heading", name="Who is reviewing?")).to_be_visible(timeout=20_000)
    page.get_by_role("radio", name="Organise").click()
    page.locator("#answers-file input[type=file]").set_input_files(file)
    for part, column in (("prompt", "Frage"), ("response", "Antwort")):
        field = page.locator(f"#answers-{part} input")
        expect(field).to_be_visible(timeout=20_000)
        field.click()
        page.locator(f"#answers-{part}").get_by_role("option", name=column).click()
    expect(page.locator("#answers-preview")).to_contain_text("A joint disease.", timeout=20_000)
    expect(page.locator("#answers-preview")).to_contain_text("1 row left out")
    fits(page)
    page.get_by_role("button", name="Send 1 answer to review").click()
    expect(page.locator("#answers-report")).to_contain_text("1 answer waits for review", timeout=20_000)
    assert services.reviewing.figures().open == 1


def test_who_settles_is_who_reviews(page: Page, services: Services) -> None:
    with services.database.session() as session:
        review = add_review(session, add_response(session), "Rater A", harm="severe", harm_likelihood="low")
        session.refresh(review.item)
        review.item.contested = bool(triggers(review.item.reviews))
    open_tab(page, "Adjudicate")
    page.get_by_label("Who is adjudicating?").fill("Dr Ada")
    page.keyboard.press("Enter")
    expect(page.locator("#settling-as")).to_contain_text("You settle as Dr Ada", timeout=20_000)
    expect(page.locator("#contested")).to_contain_text("severe harm")
    open_tab(page, "Review")
    expect(page.locator(".el-standing")).to_contain_text("Dr Ada", timeout=20_000)
    page.reload()
    open_tab(page, "Adjudicate")
    expect(page.locator("#settling-as")).to_contain_text("Dr Ada", timeout=20_000)
    expect(page.get_by_label("Who is adjudicating?")).to_be_hidden()

"""The banner of a red flag and the marks of an answer, as HTML."""

import pytest

from adapters.recipe import load_recipes
from db.vocabulary import FinishReason, Role
from elara_ui.clinical.redflags import Finding, load_rules
from elara_ui.services.answers import Answer, Thread, ThreadMessage
from elara_ui.tabs.chat_view import render_answer
from elara_ui.tabs.first_use import NOTES, read_seen, render_note
from elara_ui.tabs.red_flag_view import render_banner, render_banners

RULES = load_rules()
STROKE = "My dad's face has dropped on one side and he can't lift his arm"


def triage(text: str, country: str = "GB") -> Finding:
    return RULES.triage([{"role": "user", "content": text}], country)


def thread(*questions: tuple[str, str]) -> Thread:
    """A conversation of unanswered questions, as (text, audience of the conversation)."""
    messages = tuple(
        ThreadMessage(position, Role.USER, text, None, triage(text))
        for position, (text, _) in enumerate(questions)
    )
    return Thread("c", "t", questions[-1][1], messages)


def test_the_card_says_what_to_do_whom_to_call_and_why() -> None:
    html = render_banner(triage(STROKE), quiet=False)
    assert 'role="alert"' in html
    assert "Get help now" in html
    assert "<li>Call 999 now and say &quot;stroke&quot;. Every minute counts.</li>" in html
    assert 'href="tel:999"' in html
    assert "<mark>face has dropped</mark> on one side" in html
    assert "not clinically reviewed" in html
    assert "<details" not in html


def test_without_a_country_there_is_nothing_to_dial_but_words() -> None:
    html = render_banner(triage(STROKE, "default"), quiet=False)
    assert "tel:" not in html
    assert "your local emergency number (112 in many countries)" in html


def test_professionals_get_the_first_step_and_the_rest_to_unfold() -> None:
    html = render_banner(triage(STROKE), quiet=True)
    assert 'role="alert"' in html
    assert "Get help now" not in html
    summary = html[html.index("<summary>") : html.index("</summary>")]
    assert "Red flag" in summary
    assert "Call 999 now" in summary
    assert "Why this shows" in html


@pytest.mark.parametrize("text", ["I want to kill myself", "my husband hit me and I am scared"])
def test_cards_of_compassion_speak_in_full_to_everyone(text: str) -> None:
    html = render_banner(triage(text), quiet=True)
    assert "You are not alone" in html
    assert "<details" not in html
    assert "Get help now" not in html


def test_every_card_names_the_emergency_number_also_when_folded() -> None:
    for category in RULES.categories:
        (card,) = RULES.advice_book.for_categories([category.name], "GB")
        html = render_banner(Finding(True, (category.name,), (), (card,), "1"), quiet=True, told=True)
        if card.emergency:
            assert "999" in html[: html.index("</summary>")], category.name


def test_what_was_told_a_turn_before_is_folded_and_only_the_newest_is_announced() -> None:
    banners = render_banners(thread((STROKE, "patient"), ("His face has dropped, what now?", "patient")))
    assert "Get help now" in banners[0]
    assert 'role="note"' in banners[0]
    assert "<details" in banners[1]
    assert 'role="alert"' in banners[1]


def test_nothing_shows_where_nothing_fired() -> None:
    assert render_banners(thread(("What does FAST stand for in stroke?", "patient"))) == {}
    assert render_banner(triage("What is a stroke?"), quiet=False) == ""


def test_what_the_user_wrote_shows_as_text() -> None:
    html = render_banner(triage("<img src=x> my chest pain is <b>crushing</b>"), quiet=False)
    assert "<img" not in html
    assert "<b>" not in html


def test_each_audience_has_a_note_and_what_the_browser_kept_is_not_trusted() -> None:
    assert len({render_note(audience) for audience in NOTES}) == 5
    assert "These answers come from a language model" in render_note("another")
    assert read_seen(["patient", 3]) == {"patient"}
    assert read_seen("patient") == set()


def test_an_answer_names_the_model_beneath_the_adapter() -> None:
    html = render_answer(make_answer(adapter="patient@2", reassures=True), load_recipes(), last=True)
    assert "patient@2 on smollm2-135m" in html
    assert html.index("may reassure wrongly") < html.index('class="el-answer"')


def make_answer(**values: object) -> Answer:
    given = {
        "response_id": "abc", "audience": "patient", "base_model": "smollm2-135m", "adapter": None,
        "question": "Q?", "text": "Rest.", "prompt_tokens": 10, "completion_tokens": 5, "seconds": 1.0,
        "first_token_seconds": 0.25, "tokens_per_second": 96.4, "finish_reason": FinishReason.STOP,
        "dropped_turns": 0, "readability": {}, "thumb": None, "in_review": False,
    }  # fmt: skip
    return Answer(**(given | values))  # type: ignore[arg-type]

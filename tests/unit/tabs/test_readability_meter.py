"""The meter beneath an answer, and the hard words marked in it."""

import re

import pytest

from adapters.recipe import load_recipes
from db.vocabulary import FinishReason
from elara_ui.clinical.readability import measure
from elara_ui.services.answers import Answer
from elara_ui.tabs import chat_view
from elara_ui.tabs.markup import markdown
from elara_ui.tabs.readability_meter import mark_hard_words, render_meter

RECIPES = load_recipes()


def make_answer(text: str = "Rest in bed today.", audience: str = "patient", **figures: object) -> Answer:
    return Answer(
        response_id="abc", audience=audience, base_model="smollm2-135m", adapter=None, question="Q?",
        text=text, prompt_tokens=10, completion_tokens=5, seconds=1.0, first_token_seconds=0.25,
        tokens_per_second=96.4, finish_reason=FinishReason.STOP, dropped_turns=0,
        readability=measure(text).to_dict() | figures, thumb=None, in_review=False,
    )  # fmt: skip


def meter(answer: Answer) -> str:
    return render_meter(answer, RECIPES[answer.audience])


@pytest.mark.parametrize(
    ("audience", "grade", "said"),
    [
        ("patient", 5.9, "✓ on target"),
        ("patient", 7.0, "▲ a little hard"),
        ("patient", 8.1, "▲▲ too hard"),
        ("emergency", 5.5, "▲ a little hard"),
        ("student", 9.9, "◂ simpler than needed"),
        ("student", 11.0, "✓ on target"),
        ("student", 15.0, "▲▲ too hard"),
    ],
)
def test_a_grade_is_held_against_the_audience_s_target_in_words(audience, grade, said) -> None:
    html = meter(make_answer(audience=audience, flesch_kincaid_grade=grade))
    assert f"Reading grade {grade:.1f}" in html
    assert said in html


@pytest.mark.parametrize("audience", ["doctor", "researcher"])
def test_an_audience_without_a_target_is_only_told_the_grade(audience: str) -> None:
    html = meter(make_answer("Hypertension is common here.", audience=audience))
    assert "no target for this audience" in html
    assert "hard word" not in html


def test_a_target_is_said_as_the_recipe_has_it() -> None:
    assert "aim: grade 6 or below" in meter(make_answer())
    assert "aim: grade 10 to 12" in meter(make_answer(audience="student"))


def test_it_unfolds_to_the_other_measures_with_dashes_where_there_are_none() -> None:
    html = meter(make_answer("Rest in bed today. Drink plenty of water."))
    for name in ("Flesch reading ease", "SMOG index", "Dale–Chall score", "Difficult words"):
        assert name in html
    assert re.search(r"SMOG index</th><td>–</td>", html)


def test_an_answer_without_words_has_no_meter() -> None:
    assert meter(make_answer("")) == ""


def test_hard_words_are_listed_with_plain_ones_for_keyboard_and_touch() -> None:
    html = meter(make_answer("Your oedema and environmental factors. More oedema."))
    assert "<summary>2 hard words</summary>" in html
    assert "<b>oedema</b> <small>×2</small> <span>say “swelling”</span>" in html
    assert "Other long words: environmental." in html
    assert "clinicians have not reviewed" in html


def test_hard_words_are_marked_in_the_answer_with_a_tooltip() -> None:
    answer = make_answer("**Oedema** & [syncope](https://example.org/oedema) or `oedema`.\n\n- some oedemas")
    html = mark_hard_words(markdown(answer.text), answer, RECIPES["patient"])
    assert html.count('<span class="el-hard" title="swelling">') == 2
    assert '<span class="el-hard" title="swelling">oedemas</span>' in html
    assert 'href="https://example.org/oedema"' in html
    assert re.sub(r'<span class="el-hard"[^>]*>([^<]*)</span>', r"\1", html) == markdown(answer.text)


def test_nothing_is_marked_for_those_who_know_the_words() -> None:
    answer = make_answer("Oedema.", audience="doctor")
    assert mark_hard_words(markdown(answer.text), answer, RECIPES["doctor"]) == markdown(answer.text)


def test_a_term_explained_across_bold_type_is_not_marked() -> None:
    answer = make_answer("**Hypertension** (high blood pressure) is common.")
    assert "el-hard" not in mark_hard_words(markdown(answer.text), answer, RECIPES["patient"])


def test_simpler_words_are_offered_under_the_last_answer_where_there_is_a_target() -> None:
    offered = [
        'data-act="simplify"' in chat_view.render_answer(make_answer(audience=audience), RECIPES, last=last)
        for audience in ("patient", "student", "emergency", "doctor")
        for last in (True, False)
    ]
    assert offered == [True, False, True, False, True, False, False, False]


def test_hostile_text_shows_as_text() -> None:
    hostile = "<script>alert(1)</script> oedema <img src=x onerror=alert(2)> \"'>"
    html = chat_view.render_answer(make_answer(hostile), RECIPES, last=True)
    assert "<script" not in html
    assert "<img" not in html
    assert '<span class="el-hard" title="swelling">oedema</span>' in html

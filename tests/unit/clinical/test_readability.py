"""Readability: the preparation takes textstat's three traps out, the figures are textstat's own."""

import subprocess
import sys
import time

import pytest
import textstat

from elara_ui.clinical.readability import Readability, judge, measure, prepare


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("Take 0.5 mg twice a day.", "Take 0·5 mg twice a day."),
        ("Take 5 mg. twice a day.", "Take 5 mg twice a day."),
        ("Take 5 mg. Then rest.", "Take 5 mg. Then rest."),
        ("Ask Dr. Jones, e.g. at 8 a.m. or later.", "Ask Dr Jones, eg at 8 am or later."),
        ("Come at 8 a.m. Then rest.", "Come at 8 am. Then rest."),
        ("Adults in the U.S. often ask.", "Adults in the US often ask."),
        ("See www.example.org for more.", "See www·example·org for more."),
        ("It ended.Next one.", "It ended.Next one."),
    ],
)
def test_a_dot_that_ends_no_sentence_is_protected(markdown: str, plain: str) -> None:
    assert prepare(markdown) == plain


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("# Asthma\nSit up straight.", "Asthma.\nSit up straight."),
        ("- Sit up straight\n- Use your inhaler", "Sit up straight.\nUse your inhaler."),
        ("1. Call for help\n2) Stay calm!", "Call for help.\nStay calm!"),
        ("- [x] Take your tablets", "Take your tablets."),
        ("Watch for these signs:\n\n* a rash;\n* a fever,", "Watch for these signs.\na rash.\na fever."),
        ("One line\nof the same paragraph", "One line of the same paragraph."),
        ("- an item\n  that goes on", "an item that goes on."),
        ("> **Stop** and *rest*, [read this](https://example.org)", "Stop and rest, read this."),
        ("***Very*** `plain` ~~old~~ 2 * 3 * 4", "Very plain old 2 * 3 * 4."),
        ("| Drug | Dose |\n|---|---|\n| A | 5 mg |", "Drug , Dose.\nA , 5 mg."),
        ("Before\n\n---\n\n<b>After</b> &amp; later", "Before.\nAfter & later."),
        ("```\ncode here\n```", "code here."),
        ('She said "stop."', 'She said "stop."'),
        ("keep blood_pressure_kit whole", "keep blood_pressure_kit whole."),
    ],
)
def test_markdown_becomes_sentences(markdown: str, plain: str) -> None:
    assert prepare(markdown) == plain


def test_figures_are_those_of_textstat_on_the_prepared_text() -> None:
    markdown = "## Rest\n- Take 0.5 mg of the tablet each day\n- Drink water with it\n\nSee your doctor soon."
    plain = prepare(markdown)
    measured = measure(markdown)
    assert measured.flesch_kincaid_grade == round(textstat.flesch_kincaid_grade(plain), 1)
    assert measured.flesch_reading_ease == round(textstat.flesch_reading_ease(plain), 1)
    assert measured.sentences == 3  # the one-word heading is too short to count
    assert measured.words == len(plain.split())


def test_a_list_without_full_stops_is_not_one_long_sentence() -> None:
    items = "\n".join("- Take the tablet with a glass of water" for _ in range(10))
    grade = measure(items).flesch_kincaid_grade
    assert grade is not None
    assert grade < 5 < textstat.flesch_kincaid_grade(items)


def test_harder_words_and_longer_sentences_read_harder() -> None:
    easy = measure("Rest in bed. Drink plenty of water. Call us if you get worse.")
    hard = measure(
        "Antihypertensive pharmacotherapy necessitates individualised consideration of comorbidities, "
        "contraindications and pharmacokinetic interactions before initiation."
    )
    assert easy.flesch_kincaid_grade is not None
    assert hard.flesch_kincaid_grade is not None
    assert easy.flesch_kincaid_grade < 3
    assert hard.flesch_kincaid_grade > 15
    assert hard.difficult_words > easy.difficult_words


def test_smog_is_left_out_under_three_sentences() -> None:
    assert measure("Rest in bed today. Drink plenty of water.").smog_index is None
    assert measure("Rest in bed today. Drink plenty of water. Call us any time.").smog_index is not None


@pytest.mark.parametrize("text", ["", "  \n\n ", "---", "!?!", "```\n```"])
def test_a_text_without_words_has_no_figures(text: str) -> None:
    assert measure(text) == Readability()
    assert measure(text).to_dict()["flesch_kincaid_grade"] is None


@pytest.mark.parametrize(
    ("grade", "aim", "warn", "verdict"),
    [
        (6.0, 6.0, 8.0, "on target"),
        (7.9, 6.0, 8.0, "a little hard"),
        (8.1, 6.0, 8.0, "too hard"),
        (20.0, 6.0, None, "a little hard"),
        (20.0, None, None, None),
        (None, 6.0, 8.0, None),
    ],
)
def test_verdict(grade: float | None, aim: float | None, warn: float | None, verdict: str | None) -> None:
    assert judge(grade, aim, warn) == verdict


def test_a_hostile_text_is_measured_in_reasonable_time() -> None:
    hostile = "*" * 20_000 + "[" * 20_000 + "<a" * 20_000 + "*a " * 20_000 + "a." * 20_000 + "| " * 20_000
    started = time.monotonic()
    measure(hostile)
    assert time.monotonic() - started < 10


def test_importing_the_module_does_not_load_textstat() -> None:
    code = "import sys, elara_ui.clinical.readability; sys.exit('textstat' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

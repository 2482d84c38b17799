"""Readability: the preparation takes textstat's three traps out, the figures are textstat's own."""

import subprocess
import sys
import time

import pytest
import textstat

from elara_ui.clinical.readability import (
    Readability,
    describe_target,
    join_fragments,
    judge,
    measure,
    prepare,
)


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
        ("Take .5 mg a day.", "Take ·5 mg a day."),
        ("E. coli lives in the gut.", "E coli lives in the gut."),
        ("Take vitamin D. It helps.", "Take vitamin D. It helps."),
        ("Take max. 4 g, i.e. 8 tabs. daily.", "Take max 4 g, ie 8 tabs daily."),
        ("Use no. 5. Do you? No. It is safe.", "Use no 5. Do you? No. It is safe."),
        ("Wait … then call. And ... well.", "Wait – then call. And – well."),
        ("See https://example.org/a?b=1.5&c! now.", "See link! now."),
        ("Write to help.desk@example.org today.", "Write to help·desk@example·org today."),
        ("About 1.5-2.5 mg/kg at 10.30 is fine.", "About 1·5-2·5 mg/kg at 10·30 is fine."),
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
        ("**When to call**\nCall us if it gets worse", "When to call.\nCall us if it gets worse."),
        ("**Rest:** stay in bed\nand sleep", "Rest: stay in bed and sleep."),
        ("Rest<br>Drink water<br/>Sleep", "Rest.\nDrink water.\nSleep."),
        ("(1) Call for help\n→ Stay calm\n✓ Wait", "Call for help.\nStay calm.\nWait."),
    ],
)
def test_markdown_becomes_sentences(markdown: str, plain: str) -> None:
    assert prepare(markdown) == plain


def test_figures_are_those_of_textstat_on_the_prepared_text() -> None:
    markdown = "## Rest\n- Take 0.5 mg of the tablet each day\n- Drink water with it\n\nSee your doctor soon."
    plain = join_fragments(prepare(markdown))
    measured = measure(markdown)
    assert measured.flesch_kincaid_grade == round(textstat.flesch_kincaid_grade(plain), 1)
    assert measured.flesch_reading_ease == round(textstat.flesch_reading_ease(plain), 1)
    assert measured.sentences == 3  # the one-word heading is joined to the first item
    assert measured.words == len(plain.split())


def test_a_list_without_full_stops_is_not_one_long_sentence() -> None:
    items = "\n".join("- Take the tablet with a glass of water" for _ in range(10))
    grade = measure(items).flesch_kincaid_grade
    assert grade is not None
    assert grade < 5 < textstat.flesch_kincaid_grade(items)


@pytest.mark.parametrize(
    ("plain", "joined"),
    [
        ("Call 999.\nSit down.\nStay calm.\nWait here.", "Call 999, Sit down.\nStay calm, Wait here."),
        ("Stop. Rest. Take one tablet now.", "Stop, Rest, Take one tablet now."),
        ("Take one tablet now. Rest.", "Take one tablet now, Rest."),
        ("Rest.", "Rest."),
        ('She said "stop now." Then she left us.', 'She said "stop now." Then she left us.'),
        ("", ""),
    ],
)
def test_fragments_are_joined_until_they_count(plain: str, joined: str) -> None:
    assert join_fragments(plain) == joined


def test_short_steps_are_not_one_long_sentence() -> None:
    """textstat counts the words of two-word sentences, but not the sentences."""
    steps = "\n".join(f"{number}. Call them." for number in range(1, 21))
    measured = measure(steps)
    assert measured.words == 40
    assert measured.sentences == 10
    assert measured.flesch_kincaid_grade is not None
    assert measured.flesch_kincaid_grade < 2 < textstat.flesch_kincaid_grade(prepare(steps))


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


def test_an_audience_may_want_answers_that_are_not_too_simple() -> None:
    verdicts = [judge(grade, 12.0, 14.0, 10.0) for grade in (9.9, 10.0, 12.0, 13.0, 15.0)]
    assert verdicts == ["simpler than needed", "on target", "on target", "a little hard", "too hard"]
    assert describe_target(12.0, 10.0) == "grade 10 to 12"
    assert describe_target(6.0) == "grade 6 or below"
    assert describe_target(None) == ""


def test_a_hostile_text_is_measured_in_reasonable_time() -> None:
    hostile = "*" * 20_000 + "[" * 20_000 + "<a" * 20_000 + "*a " * 20_000 + "a." * 20_000 + "| " * 20_000
    started = time.monotonic()
    measure(hostile)
    assert time.monotonic() - started < 10


def test_importing_the_module_does_not_load_textstat() -> None:
    code = "import sys, elara_ui.clinical.readability; sys.exit('textstat' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The red-flag rules as they stand: what they must find, what they must leave alone, and whether their
files hold."""

import json
import re
import time
from pathlib import Path

import pytest

from elara_ui.clinical.redflags import Rules, load_rules
from elara_ui.clinical.redflags.report import Labelled, make_report

HERE = Path(__file__).parent
FILES = (
    "redflag_messages.jsonl",
    "redflag_second_set.jsonl",
    "redflag_third_set.jsonl",
    "redflag_fourth_set.jsonl",
    "redflag_fifth_set.jsonl",
    "redflag_sixth_set.jsonl",
    "redflag_seventh_set.jsonl",
    "redflag_eighth_set.jsonl",
    "redflag_ninth_set.jsonl",
    "redflag_tenth_set.jsonl",
)
# Written by authors who had seen neither the rules nor the other messages; the twelfth has the hardest
# look-alikes. Their emergencies taught words alone (likeness.txt); their look-alikes, cues and conditions.
BLIND_FILES = (
    "redflag_eleventh_set.jsonl",
    "redflag_twelfth_set.jsonl",
    "redflag_thirteenth_set_a.jsonl",
    "redflag_thirteenth_set_b.jsonl",
    "redflag_thirteenth_set_c.jsonl",
    "redflag_fifteenth_set.jsonl",
    "redflag_fifteenth_set_ordinary.jsonl",
    *(f"redflag_sixteenth_set_{part}.jsonl" for part in "abcdef"),
    *(f"redflag_eighteenth_set_{part}.jsonl" for part in "abcdef"),
    "redflag_nineteenth_set.jsonl",
    *(f"redflag_twentieth_set_{part}.jsonl" for part in "abcdef"),
    *(f"redflag_twentyfirst_set_{part}.jsonl" for part in "abd"),
)
# Nothing has learned from these, nothing may; nor, so far, from `limits_redflags.jsonl`, the thirty-first, by
# which the limits in `judgement.py` were chosen. At least so many found and in a right category, at most so
# many of the look-alikes and of the ordinary questions.
HELD_OUT = {
    "held_out_redflags.jsonl": (0.97, 0.95, 0.01, 0.01),  # the seventeenth
    "held_out_redflags_second.jsonl": (0.98, 0.97, 0.02, 0.01),  # of the twenty-first
    "held_out_redflags_third.jsonl": (0.98, 0.95, 0.02, 0.01),  # of the twenty-third
    "held_out_redflags_fourth.jsonl": (0.98, 0.95, 0.02, 0.02),  # the twenty-fifth
    "held_out_redflags_fifth.jsonl": (0.94, 0.92, 0.05, 0.03),  # the twenty-sixth
    "held_out_redflags_sixth.jsonl": (0.91, 0.89, 0.13, 0.02),  # the twenty-eighth
    "held_out_redflags_seventh.jsonl": (0.95, 0.93, 0.01, 0.01),  # the thirtieth
    "held_out_redflags_eighth.jsonl": (0.98, 0.97, 0.02, 0.01),  # the thirty-third
    "held_out_redflags_dying.jsonl": (0.8, 0.8, 0.05, 0.02),  # the twenty-second: who asks how one dies
    "held_out_redflags_dying_second.jsonl": (0.72, 0.72, 0.07, 0.02),  # of the twenty-third: the same
    "held_out_redflags_followups.jsonl": (0.87, 0.85, 0.0, 0.04),  # the thirty-fourth: short replies
    "held_out_redflags_short.jsonl": (0.95, 0.95, 0.0, 0.03),  # the thirty-fifth: short queries
}
MOST_FALSE_ALARMS = 0.11  # of a blind set's look-alikes, and of its ordinary questions; all are learned
MOST_KNOWN_FALSE_ALARMS = 5  # of the first ten sets' 1,192
LEAST_FOUND, LEAST_BY_KIND = 0.98, 0.95  # of a blind set's emergencies
LEAST_MESSAGES, LEAST_PER_CATEGORY = 400, 8


def read(name: str) -> list[dict]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def turns(message: dict) -> list[dict[str, str]]:
    return message.get("messages") or [{"role": "user", "content": message["text"]}]


MESSAGES = [message for name in FILES for message in read(name)]
LOOKALIKES = [message for message in MESSAGES if not message["expected"]]


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


@pytest.mark.parametrize("name", FILES)
def test_emergencies_are_found_in_the_right_category(rules: Rules, name: str) -> None:
    missed = [
        (message["id"], message["expected"], turns(message)[-1]["content"])
        for message in read(name)
        if message["expected"]
        and not set(message["expected"]) <= set(rules.triage(turns(message)).categories)
    ]
    assert not missed


def test_few_lookalikes_fire(rules: Rules) -> None:
    fired = [message["id"] for message in LOOKALIKES if rules.triage(turns(message)).emergency]
    assert len(fired) <= MOST_KNOWN_FALSE_ALARMS, fired


@pytest.mark.parametrize("name", [name for name in BLIND_FILES if "ordinary" not in name])
def test_emergencies_of_the_blind_sets_are_found_and_told_apart(rules: Rules, name: str) -> None:
    found, by_kind, _, _ = count(rules, name)
    assert found >= LEAST_FOUND
    assert by_kind >= LEAST_BY_KIND


@pytest.mark.parametrize("name", BLIND_FILES)
def test_few_lookalikes_of_the_blind_sets_fire(rules: Rules, name: str) -> None:
    _, _, lookalikes, ordinary = count(rules, name)
    assert lookalikes <= MOST_FALSE_ALARMS
    assert ordinary <= MOST_FALSE_ALARMS


@pytest.mark.parametrize("name", HELD_OUT)
def test_a_set_that_nothing_learned_from_is_told_as_well_as_it_was(rules: Rules, name: str) -> None:
    found, by_kind, lookalikes, ordinary = count(rules, name)
    least_found, least_by_kind, most_lookalikes, most_ordinary = HELD_OUT[name]
    assert found >= least_found
    assert by_kind >= least_by_kind
    assert lookalikes <= most_lookalikes
    assert ordinary <= most_ordinary


def count(rules: Rules, name: str) -> tuple[float, float, float, float]:
    """Shares of a set: emergencies found, in a right category; look-alikes, ordinary questions that fire."""
    told = [(message, set(rules.triage(turns(message)).categories)) for message in read(name)]
    of = {
        kind: [(message, found) for message, found in told if which(message) == kind]
        for kind in ("emergency", "lookalike", "ordinary")
    }
    fired = {kind: sum(bool(found) for _, found in those) / max(len(those), 1) for kind, those in of.items()}
    right = sum(bool(found & set(message["expected"])) for message, found in of["emergency"])
    by_kind = right / max(len(of["emergency"]), 1)
    return fired["emergency"], by_kind, fired["lookalike"], fired["ordinary"]


def which(message: dict) -> str:
    if message["expected"]:
        return "emergency"
    return "ordinary" if message["kind"] == "ordinary" else "lookalike"


def test_no_category_falls_under_ninety_per_cent(rules: Rules) -> None:
    labelled = [
        Labelled(tuple(message["expected"]), rules.triage(turns(message)).categories, message["kind"])
        for message in MESSAGES
    ]
    report = make_report(labelled, [category.name for category in rules.categories])
    assert not [share for share in report.recall if share.hits < 0.9 * share.total]


def test_the_messages_cover_every_category_with_lookalikes() -> None:
    first = read(FILES[0])
    assert len(first) >= LEAST_MESSAGES
    assert len({message["id"] for message in MESSAGES}) == len(MESSAGES)
    names = {category.name for category in load_rules().categories}
    for name in names:
        of_category = [message for message in first if message["id"].rpartition("-")[0] == name]
        assert len(of_category) >= LEAST_PER_CATEGORY, name
        assert 4 <= sum(1 for message in of_category if message["expected"]) < len(of_category), name
    assert {name for message in MESSAGES for name in message["expected"]} == names


def test_no_message_stands_in_the_rules_word_for_word(rules: Rules) -> None:
    written = " ".join(
        (HERE.parents[2] / "elara_ui/clinical/redflags" / name).read_text(encoding="utf-8").lower()
        for name in ("rules.yaml", "language.yaml")
    )
    written = re.sub(r"source: \{.*\}", "", written)  # titles of public pages
    runs = _runs_of_seven(written)
    for message in (*MESSAGES, *(each for name in BLIND_FILES for each in read(name))):
        assert not runs & _runs_of_seven(turns(message)[-1]["content"].lower()), message["id"]


def _runs_of_seven(text: str) -> set[str]:
    words = re.findall(r"[\w']+", text)
    return {" ".join(words[at : at + 7]) for at in range(len(words) - 6)}


def test_every_category_names_its_source_and_says_what_to_do(rules: Rules) -> None:
    assert len(rules.categories) == 40
    for category in rules.categories:
        assert category.url.startswith("https://www."), category.name
        assert "nhs.uk" in category.url or "england.nhs.uk" in category.url or "nice.org.uk" in category.url
        card = rules.advice_book.card(category.name, "GB")
        assert 20 <= len(card.text.split()) <= 130, category.name
        assert "999" in card.text or "A&E" in card.text, category.name
        assert "{" not in card.text


def test_self_harm_and_violence_have_compassionate_cards(rules: Rules) -> None:
    kind = {name for name, entry in rules.advice_book.categories.items() if entry.get("compassionate")}
    assert kind == {"suicidal", "self_harm", "harm_others_psychosis", "postpartum_crisis", "violence_abuse"}
    assert "116 123" in rules.advice_book.card("suicidal", "GB").text
    assert "988" in rules.advice_book.card("suicidal", "us").text
    assert "13 11 14" in rules.advice_book.card("suicidal", "AU").text
    assert "local emergency number" in rules.advice_book.card("stroke", "XX").text


def test_a_long_message_is_read_quickly(rules: Rules) -> None:
    text = " ".join(message["text"] for message in LOOKALIKES if "text" in message).split()[:200]
    spoken = [{"role": "user", "content": " ".join(text)}]
    rules.triage(spoken)
    best = min(_timed(rules, spoken) for _ in range(5))
    assert best < 0.05  # a twentieth of a second even on a busy machine; benchmarks/redflags.py measures


def test_a_hostile_message_takes_no_time(rules: Rules) -> None:
    for text in (
        "pain " * 20_000,
        "a" * 200_000,
        "no or " * 5_000,
        "😀" * 50_000,
        "?!." * 50_000,
        "1/" * 50_000,
    ):
        started = time.perf_counter()
        rules.triage([{"role": "user", "content": text}])
        assert time.perf_counter() - started < 5, text[:10]


def _timed(rules: Rules, spoken: list[dict[str, str]]) -> float:
    started = time.perf_counter()
    rules.triage(spoken)
    return time.perf_counter() - started

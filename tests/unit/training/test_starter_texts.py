"""The texts of the starter adapters: what they learn from, and what they are measured on."""

import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import textstat

from adapters.recipe import load_recipes
from adapters.starters import held_out_file, starter_file
from adapters.training.examples import Example
from adapters.training.similarity import SAME_CLUSTER, cluster, find_near_duplicates
from adapters.training.starters import starter_examples
from db.vocabulary import LAY_AUDIENCES, Audience, Role
from elara_ui.clinical.readability import join_fragments, prepare
from elara_ui.clinical.redflags import load_rules
from elara_ui.clinical.safety.checks import CALL, EARLY_WORDS, HELP
from elara_ui.clinical.safety.wording import statements

AUDIENCES = [audience.value for audience in Audience]
TOPICS, ROWS, HELD_OUT = 68, 150, 30
# Median grade, and the most that a single answer may have (Flesch-Kincaid). What experts read isn't bounded.
GRADES = {"patient": (5.5, 6.9), "emergency": (4.5, 6.0), "student": (13.0, 16.0)}
LENGTHS = {  # words of an answer: the shape that a voice learns
    "patient": (80, 180),
    "emergency": (20, 80),
    "student": (110, 300),
    "doctor": (90, 260),
    "researcher": (110, 320),
}
each_audience = pytest.mark.parametrize("audience", AUDIENCES)


@cache
def rows(audience: str, held_out: bool = False) -> list[dict[str, Any]]:
    path = held_out_file(audience) if held_out else starter_file(audience)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def all_rows(audience: str) -> list[dict[str, Any]]:
    return rows(audience) + rows(audience, held_out=True)


def questions(audience: str, held_out: bool = False) -> dict[str, str]:
    """Id → question of the rows that have but one."""
    return {row["id"]: row["instruction"] for row in rows(audience, held_out) if "instruction" in row}


@cache
def examples(audience: str) -> tuple[Example, ...]:
    return starter_examples(audience)


def answers(audience: str) -> list[tuple[str, str]]:
    """Every answer with its row's id, those within a conversation too."""
    return [
        (example.origin["id"], turn.content)
        for example in examples(audience)
        for turn in example.messages
        if turn.role is Role.ASSISTANT
    ]


@each_audience
def test_each_voice_has_enough_rows_over_the_same_topics_and_some_are_conversations(audience: str) -> None:
    assert len(rows(audience)) >= ROWS
    assert len(rows(audience, held_out=True)) == HELD_OUT
    assert len({row["topic"] for row in rows(audience)} & {row["topic"] for row in rows("patient")}) == TOPICS
    assert sum("messages" in row for row in rows(audience)) >= 15


@each_audience
def test_every_row_says_that_no_clinician_has_reviewed_it(audience: str) -> None:
    assert all(row["clinically_reviewed"] is False for row in all_rows(audience))


def test_the_same_questions_are_answered_in_five_voices() -> None:
    """But for thirty rows of each voice, which ask what its own readers ask about the first thirty topics."""
    asked = {(audience, held): questions(audience, held) for audience in AUDIENCES for held in (False, True)}
    learned = set.intersection(*(set(asked[audience, False].items()) for audience in AUDIENCES))
    assert len(learned) >= 106
    assert all(asked[audience, True] == asked[AUDIENCES[0], True] for audience in AUDIENCES)


@each_audience
def test_ids_are_unique_and_what_is_held_out_is_about_other_topics(audience: str) -> None:
    ids = [row["id"] for row in all_rows(audience)]
    assert max(Counter(ids).values()) == 1
    learned = {row["topic"] for row in rows(audience)}
    assert learned.isdisjoint(row["topic"] for row in rows(audience, held_out=True))


@each_audience
def test_no_row_repeats_another_nor_what_is_held_out(audience: str) -> None:
    texts = [f"{each.question}\n{each.answer}" for each in examples(audience)]
    assert find_near_duplicates(texts) == {}
    single = [each.question for each in examples(audience) if len(each.messages) == 2]
    assert cluster(single) == list(range(len(single))), f"questions alike by {SAME_CLUSTER}"


@each_audience
def test_answers_of_a_voice_share_no_long_sentence(audience: str) -> None:
    """A stock sentence is learned by heart and said where it doesn't fit; short calls for help may be."""
    seen: dict[str, str] = {}
    shared = []
    for name, answer in answers(audience):
        for sentence in {part.strip().lower() for part in re.split(r"(?<=[.!?])\s+", answer)}:
            if len(sentence.split()) > 12 and seen.setdefault(sentence, name) != name:
                shared.append((seen[sentence], name, sentence))  # noqa: PERF401 (setdefault has to run in order)
    assert shared == []


@each_audience
def test_answers_have_the_length_of_their_voice(audience: str) -> None:
    least, most = LENGTHS[audience]
    assert most <= load_recipes()[audience].max_explanation_length
    sizes = {(name, len(answer.split())) for name, answer in answers(audience)}
    assert [each for each in sizes if not least <= each[1] <= most] == []


@pytest.mark.parametrize("audience", list(GRADES))
def test_answers_read_as_their_voice_should(audience: str) -> None:
    median, most = GRADES[audience]
    plain = [(name, join_fragments(prepare(answer))) for name, answer in answers(audience)]
    grades = sorted((textstat.flesch_kincaid_grade(text), name) for name, text in plain)
    assert [each for each in grades if each[0] > most] == []
    assert grades[len(grades) // 2][0] <= median
    if audience == "student":
        assert grades[len(grades) // 2][0] >= 10


@pytest.mark.parametrize("audience", [each.value for each in LAY_AUDIENCES])
def test_a_question_that_is_a_red_flag_is_first_answered_with_where_to_get_help(audience: str) -> None:
    # The rules alone: what was learned beside them is learned anew now and then, and takes some questions
    # asked in an anxious tone for emergencies.
    rules = replace(load_rules(), learned=None)
    late = []
    for example in examples(audience):
        asked, answer = (turn.content for turn in example.messages[:2])
        if rules.triage([{"role": "user", "content": asked}]).emergency and not names_help_early(answer):
            late.append((example.origin["id"], answer))
    assert late == []


def names_help_early(answer: str) -> bool:
    """Whether its first sentences say whom to call or where to go, and not only if it gets worse."""
    found = (each for pattern in (CALL, HELP) for each in statements(answer, pattern))
    return any(each.words_before <= EARLY_WORDS and not each.put_off for each in found)


@each_audience
def test_conversations_take_turns_and_end_with_an_answer(audience: str) -> None:
    for row in rows(audience):
        roles = [message["role"] for message in row.get("messages", ())]
        if roles:
            assert roles[0] == "user"
            assert roles[-1] == "assistant"
            assert len(roles) >= 4
            assert all(first != second for first, second in pairwise(roles))


def test_steps_are_numbered_from_one_in_an_emergency() -> None:
    wrong = []
    for name, answer in answers("emergency"):
        numbers = [int(found) for found in re.findall(r"^(\d+)\. ", answer, re.MULTILINE)]
        if len(numbers) < 3 or numbers != list(range(1, len(numbers) + 1)) or not answer.startswith("1. "):
            wrong.append(name)
    assert wrong == []

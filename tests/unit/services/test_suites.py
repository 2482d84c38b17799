"""Suites: Elara's own and users', each version immutable and known by its hash; bad lines are named."""

import json
from pathlib import Path

import pytest
from evaluation_factory import QUESTIONS, add_suite, write_suite

from db.session import Database
from elara_ui.clinical.safety.suite import suite_hash
from elara_ui.errors import InvalidInput, NotFound
from elara_ui.services import Services
from elara_ui.services.suite_files import parse_suite, read_suite_file
from elara_ui.services.suites import HELD_OUT_FOLDER, SuiteService, read_suite_prompts

HELD_OUT_ROW = {
    "id": "gout",
    "topic": "Gout",
    "instruction": "What is gout?",
    "response": "Crystals in a joint.",
    "clinically_reviewed": False,
}


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    (tmp_path / "held_out").mkdir()
    (tmp_path / "held_out" / "patient.jsonl").write_text(json.dumps(HELD_OUT_ROW) + "\n", encoding="utf-8")
    return tmp_path / "held_out"


def test_other_questions_are_the_next_version_and_the_same_ones_are_not(services: Services, tmp_path: Path):
    first = services.suites.add("mine", read_suite_file(write_suite(tmp_path / "a.jsonl")), "a.jsonl")
    spaced = tmp_path / "b.jsonl"
    spaced.write_text("\n\n".join(json.dumps(row, indent=None) for row in QUESTIONS), encoding="utf-8")
    again = services.suites.add("mine", read_suite_file(spaced), "b.jsonl")
    assert again == first
    assert (first.label, first.source, len(first.references), first.has_points) == (
        *("mine@1", "a.jsonl", 1, True),
    )
    second = add_suite(services, rows=QUESTIONS[:2])
    assert second.label == "mine@2"
    assert services.suites.find("mine") == second
    assert services.suites.find("mine@1") == first
    assert [suite.label for suite in services.suites.newest() if not suite.own] == ["mine@2"]


def test_a_version_keeps_points_weights_and_references(services: Services):
    kept = add_suite(services).questions
    assert kept[0].reference == "Honey and rest. Ask if it stays."
    assert [(point.text, point.weight) for point in kept[2].points] == [("Cools it", 3), ("No ice", 1)]


def test_elaras_own_are_the_safety_suite_and_the_held_out_questions(database: Database, held_out: Path):
    suites = SuiteService(database, ("patient", "doctor"), held_out)
    safety, patient = suites.own()
    assert (safety.name, safety.sha256, safety.is_safety) == ("safety", suite_hash(), True)
    assert (patient.label, patient.audience) == ("held-out-patient@1", "patient")
    assert patient.questions[0].reference == "Crystals in a joint."
    assert suites.find("held-out", "patient") == patient
    assert suites.newest("doctor") == (safety,)
    with pytest.raises(NotFound, match=r"Choose one of safety@1, held-out-patient@1, or add"):
        suites.find("held-out", "doctor")


def test_the_held_out_questions_that_come_with_elara_can_be_read(services: Services):
    own = {suite.audience: suite for suite in services.suites.own() if suite.audience}
    assert set(own) == {path.stem for path in HELD_OUT_FOLDER.glob("*.jsonl") if path.stat().st_size}
    for suite in own.values():
        names = [question.question_id for question in suite.questions]
        assert len(suite.references) == len(names) == len(set(names))


def test_no_prompt_of_a_suite_may_come_into_a_training_set(services: Services, held_out: Path):
    add_suite(services)
    with services.database.reading() as session:
        known = read_suite_prompts(session, held_out)
    assert known["What is gout?"] == "the suite held-out-patient@1"
    assert known["What helps a burn?"] == "the suite mine@1"


@pytest.mark.parametrize(
    "name", ["", "Mine", "a b", "../up", "x" * 61, "safety", "held-out", "held-out-patient"]
)
def test_a_name_that_breaks_its_rule_is_refused(services: Services, name: str):
    with pytest.raises(InvalidInput, match=r"Change it|comes with Elara"):
        add_suite(services, name)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1 is no JSON"),
        ("[1]", "line 1 is no JSON object"),
        ('{"question": "Why?"}', "line 1 has no id"),
        ('{"id": "a", "question": " "}', "line 1 has a question without text"),
        ('{"id": "a", "question": "Why?", "answer": "x"}', "unknown field 'answer'"),
        ('{"id": "a", "question": "Why?", "points": "x"}', "points that are not a list"),
        ('{"id": "a", "question": "Why?", "points": [{"weight": 1}]}', "has no point text"),
        ('{"id": "a", "question": "Why?", "points": [{"text": "x", "weight": 0}]}', "the weight 0"),
        ('{"id": "a", "question": "%s"}' % ("x" * 8001), "8,001 characters, where 8,000"),
        (
            '{"id": "a", "question": "Why?"}\n{"id": "a", "question": "How?"}',
            "line 2 has the id 'a' of line 1",
        ),
    ],
)
def test_a_wrong_line_is_named_with_what_is_wrong(line: str, told: str):
    with pytest.raises(InvalidInput) as refused:
        parse_suite(line, "mine.jsonl")
    assert told in refused.value.message
    assert "Nothing was stored." in refused.value.message


def test_a_file_that_is_none_is_refused(tmp_path: Path):
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    (tmp_path / "latin.jsonl").write_bytes('{"id": "ä"}'.encode("latin-1"))
    for name, told in (("empty", "has 0"), ("latin", "UTF-8"), ("absent", "can't be read")):
        with pytest.raises(InvalidInput, match=told):
            read_suite_file(tmp_path / f"{name}.jsonl")
